%%% @doc Process groups of the whole cluster: OTP's `pg', through the companion.
%%%
%%% What joins here is a member for `pg:get_members/2' on every node that runs the scope, and the other way round. A
%%% process may be in a group several times, and leaves it as often. It leaves when it ends. The default scope is `pg';
%%% others are started by {@link start_scope/1} or the option `pg_scopes'. Reads are from this VM's mirror, and see what
%%% the caller itself joined as soon as it has its `ok'. Memberships of living processes are joined again when a
%%% companion is back.
%%%
%%% Scopes are atoms; groups are any terms.
-module(remora_groups).

-export([join/2, join/3, leave/2, leave/3, start_scope/1, stop_scope/1]).
-export([members/1, members/2, local_members/1, local_members/2, members_fresh/1, members_fresh/2,
         groups/0, groups/1, scopes/0]).
-export([broadcast/2, broadcast/3, broadcast_local/2, broadcast_local/3]).
-export([subscribe/1, subscribe/2, subscribe_scope/0, subscribe_scope/1, unsubscribe/1]).

-export_type([scope/0, group/0, error/0]).

-type scope() :: atom().
-type group() :: term().
-type error() :: {no_scope, scope()} | system_limit | badarg | timeout | not_running.

-define(SCOPE, pg).

%% ---- writes -----------------------------------------------------------------------------------------------------------

-spec join(group(), pid() | [pid()]) -> ok | {error, error()}.
join(Group, PidOrPids) -> join(?SCOPE, Group, PidOrPids).

%% @doc One process, or each of a list. They may be processes of any node.
-spec join(scope(), group(), pid() | [pid()]) -> ok | {error, error()}.
join(Scope, Group, PidOrPids) ->
    write(Scope, Group, PidOrPids, fun remora_door:join/3, fun remora_intents:joined/3).

-spec leave(group(), pid() | [pid()]) -> ok | {error, not_joined | error()}.
leave(Group, PidOrPids) -> leave(?SCOPE, Group, PidOrPids).

%% @doc Once for each time that it joined. `not_joined': none of them is a member through this companion.
-spec leave(scope(), group(), pid() | [pid()]) -> ok | {error, not_joined | error()}.
leave(Scope, Group, PidOrPids) ->
    write(Scope, Group, PidOrPids, fun remora_door:leave/3, fun remora_intents:left/3).

write(Scope, Group, PidOrPids, Request, Note) ->
    case is_atom(Scope) andalso pids(PidOrPids) of
        false -> {error, badarg};
        Pids ->
            case remora_door:write(Request(Scope, Group, PidOrPids)) of
                {ok, ok, Version} ->
                    Note(Scope, Group, Pids),
                    replayed(Version, [remora_intents:member_key(Scope, Group, Pid) || Pid <- Pids]);
                {ok, not_joined, _} -> {error, not_joined};
                {ok, {error, Reason}, _} -> {error, Reason};
                {ok, _, _} -> {error, badarg};
                {error, _} = Error -> Error
            end
    end.

pids(Pid) when is_pid(Pid) -> [Pid];
pids(Pids) -> is_list(Pids) andalso lists:all(fun erlang:is_pid/1, Pids) andalso Pids.

replayed({Epoch, _}, Keys) ->
    case remora_state:epoch() of
        Epoch -> ok;
        _ -> lists:foreach(fun(Key) -> remora_server:reconcile(Key, none) end, Keys)
    end.

%% @doc Takes part in a scope from here on, also after a restart of the companion. It is no error when it runs.
-spec start_scope(scope()) -> ok | {error, name_taken | error()}.
start_scope(Scope) when is_atom(Scope) ->
    case remora_door:write(remora_door:start_scope(Scope)) of
        {ok, ok, Version} ->
            remora_intents:put_scope(Scope),
            replayed(Version, [remora_intents:scope_key(Scope)]);
        {ok, {error, Reason}, _} -> {error, Reason};
        {ok, _, _} -> {error, badarg};
        {error, _} = Error -> Error
    end;
start_scope(_) -> {error, badarg}.

%% @doc With all memberships in it that are ours.
-spec stop_scope(scope()) -> ok | {error, error()}.
stop_scope(Scope) when is_atom(Scope) ->
    case remora_door:write(remora_door:stop_scope(Scope)) of
        {ok, ok, Version} ->
            remora_intents:drop_scope(Scope),
            replayed(Version, [remora_intents:scope_key(Scope)]);
        {ok, {error, Reason}, _} -> {error, Reason};
        {ok, _, _} -> {error, badarg};
        {error, _} = Error -> Error
    end;
stop_scope(_) -> {error, badarg}.

%% ---- reads ------------------------------------------------------------------------------------------------------------

-spec members(group()) -> {ok, [pid()]} | {error, not_running | {no_scope, scope()}}.
members(Group) -> members(?SCOPE, Group).

%% @doc From the mirror, one for each membership. A group without members is an empty list.
-spec members(scope(), group()) -> {ok, [pid()]} | {error, not_running | {no_scope, scope()}}.
members(Scope, Group) ->
    case remora_state:is_up() of
        true ->
            try {ok, ets:lookup_element(remora_groups, {Scope, Group}, 2)}
            catch error:badarg -> none_in(Scope)
            end;
        false -> {error, not_running}
    end.

none_in(Scope) ->
    try ets:member(remora_scopes, Scope) of
        true -> {ok, []};
        false -> {error, {no_scope, Scope}}
    catch error:badarg -> {error, not_running}
    end.

-spec local_members(group()) -> {ok, [pid()]} | {error, not_running | {no_scope, scope()}}.
local_members(Group) -> local_members(?SCOPE, Group).

%% @doc Those that this VM joined.
-spec local_members(scope(), group()) -> {ok, [pid()]} | {error, not_running | {no_scope, scope()}}.
local_members(Scope, Group) ->
    case remora_state:is_up() andalso none_in(Scope) of
        {ok, []} -> {ok, remora_intents:local_members(Scope, Group)};
        {error, _} = Error -> Error;
        false -> {error, not_running}
    end.

-spec members_fresh(group()) -> {ok, [pid()]} | {error, error()}.
members_fresh(Group) -> members_fresh(?SCOPE, Group).

%% @doc Asks the companion.
-spec members_fresh(scope(), group()) -> {ok, [pid()]} | {error, error()}.
members_fresh(Scope, Group) ->
    case remora_door:call(remora_door:get_members(Scope, Group)) of
        {ok, Members} when is_list(Members) -> {ok, Members};
        {ok, {error, Reason}} -> {error, Reason};
        {ok, _} -> {error, badarg};
        {error, _} = Error -> Error
    end.

-spec groups() -> {ok, [group()]} | {error, not_running | {no_scope, scope()}}.
groups() -> groups(?SCOPE).

%% @doc Those that have members.
-spec groups(scope()) -> {ok, [group()]} | {error, not_running | {no_scope, scope()}}.
groups(Scope) ->
    Pattern = {{{'$1', '$2'}, '_'}, [{'=:=', '$1', {const, Scope}}], ['$2']},
    case remora_state:is_up() andalso none_in(Scope) of
        {ok, []} -> {ok, ets:select(remora_groups, [Pattern])};
        {error, _} = Error -> Error;
        false -> {error, not_running}
    end.

%% @doc Those that the companion runs.
-spec scopes() -> {ok, [scope()]} | {error, not_running}.
scopes() ->
    try remora_state:is_up() andalso ets:tab2list(remora_scopes) of
        false -> {error, not_running};
        Rows -> {ok, [Scope || {Scope} <- Rows]}
    catch error:badarg -> {error, not_running}
    end.

%% ---- messages to all ----------------------------------------------------------------------------------------------------

-spec broadcast(group(), term()) -> {ok, Count :: non_neg_integer()} | {error, error() | remora_messaging:too_large()}.
broadcast(Group, Message) -> broadcast(?SCOPE, Group, Message).

%% @doc To every member, once for each membership; to how many. The message goes to the companion once.
-spec broadcast(scope(), group(), term()) ->
    {ok, Count :: non_neg_integer()} | {error, error() | remora_messaging:too_large()}.
broadcast(Scope, Group, Message) ->
    case remora_messaging:check_size(Message) of
        ok ->
            case remora_door:call(remora_door:broadcast(Scope, Group, Message)) of
                {ok, {ok, Count}} -> {ok, Count};
                {ok, {error, Reason}} -> {error, Reason};
                {ok, _} -> {error, badarg};
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

-spec broadcast_local(group(), term()) ->
    {ok, Count :: non_neg_integer()} | {error, not_running | {no_scope, scope()} | remora_messaging:too_large()}.
broadcast_local(Group, Message) -> broadcast_local(?SCOPE, Group, Message).

%% @doc To those that this VM joined.
-spec broadcast_local(scope(), group(), term()) ->
    {ok, Count :: non_neg_integer()} | {error, not_running | {no_scope, scope()} | remora_messaging:too_large()}.
broadcast_local(Scope, Group, Message) ->
    case remora_messaging:check_size(Message) of
        ok ->
            case local_members(Scope, Group) of
                {ok, Pids} -> lists:foreach(fun(Pid) -> Pid ! Message end, Pids), {ok, length(Pids)};
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

%% ---- changes ------------------------------------------------------------------------------------------------------------

-spec subscribe(group()) -> {ok, reference(), [pid()]} | {error, not_running | timeout | {no_scope, scope()}}.
subscribe(Group) -> subscribe(?SCOPE, Group).

%% @doc The members now; each change after it comes to the calling process as
%% `{remora_groups, Ref, {join | leave, Group, [Pid]}}'. It outlives companions: when one is back, what is different is
%% told.
-spec subscribe(scope(), group()) -> {ok, reference(), [pid()]} | {error, not_running | timeout | {no_scope, scope()}}.
subscribe(Scope, Group) -> remora_mirror:subscribe_group(Scope, Group, self()).

-spec subscribe_scope() ->
    {ok, reference(), #{group() => [pid()]}} | {error, not_running | timeout | {no_scope, scope()}}.
subscribe_scope() -> subscribe_scope(?SCOPE).

%% @doc All groups of a scope.
-spec subscribe_scope(scope()) ->
    {ok, reference(), #{group() => [pid()]}} | {error, not_running | timeout | {no_scope, scope()}}.
subscribe_scope(Scope) -> remora_mirror:subscribe_scope(Scope, self()).

%% @doc No more of them. Those that are in the caller's mailbox are taken out.
-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) ->
    Result = remora_intents:unsubscribe(Ref),
    flush(Ref),
    Result.

flush(Ref) ->
    receive {remora_groups, Ref, _} -> flush(Ref)
    after 0 -> ok
    end.
