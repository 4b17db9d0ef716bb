%%% @doc Erlang as Gleam's modules see it. Each function gives what its @external line promises: results as `{ok, _}' or
%%% `{error, _}', nothing as `nil', text as binaries, and constructors of Gleam's types as their atoms and tuples. It
%%% has no process and no state of its own.
%%% @private
-module(remora_ffi).

%% remora
-export([start_link/3, shutdown/1, status/0, subscribe_events/2]).
%% cluster
-export([start_node/2, stop_node/0, connect/1, disconnect/1, ping/1, nodes/0, hidden_nodes/0, connected_count/0,
         hidden_count/0, self_node/0, companion/0]).
%% registry
-export([register_name/3, re_register_name/2, register_many/1, register_door/4, unregister_name/1, whereis/1,
         whereis_fresh/1, await_name/2, names/0, subscribe_names/2]).
%% groups
-export([join/3, leave/3, join_door/5, leave_door/3, members/2, local_members/2, groups/1, broadcast/3,
         broadcast_local/3, subscribe_group/4, subscribe_groups/3, start_scope/1, stop_scope/1]).
%% messaging
-export([send/2, send_name/2, send_batch/1, call/3, reply/2, read_address/1, address_correlation/1, call_server/3]).
%% monitor
-export([down_reason/1, subscribe_node/3, subscribe_nodes/2]).
%% remote_call
-export([rpc/5, rpc_cast/4, rpc_multicall/5]).
%% codec
-export([identity/1, read_nil/1, read_pid/1, read_option/1, is_tuple_of/2, encode_term/2, decode_term/2]).
%% settings
-export([set_allow_atom_creation/1, is_allow_atom_creation/0, put_max_new_atoms/1, get_max_new_atoms/0,
         set_use_crypto_ids/1, is_use_crypto_ids/0, put_max_message_size/1, get_max_message_size/0]).
%% log
-export([log/4, with_correlation_id/2, correlation_id/0, generate_correlation_id/0, set_log_level/1, get_log_level/0,
         set_log_backend/1, get_log_backend/0, disable_logging/0, enable_logging/0]).
%% binary, gossip
-export([locate/1, program_version/1, pick_random/2]).

-define(NAME, {?MODULE, name}). % of the builder, for status/0
-define(LOG, {?MODULE, log}). % {?LOG, level | all} is off where Gleam has set it so
-define(SHOWN_DEPTH, 30).
-define(REPLY_TO, remora_reply_to). % {remora_reply_to, 1, Alias, CorrelationId}: where a call wants its answer
-define(REPLY, remora_reply). % {remora_reply, Alias, Term}: the answer

-type text() :: binary().
-type option(T) :: {some, T} | none.
-type forward() :: fun((term()) -> term()).

%% ---- remora ---------------------------------------------------------------------------------------------------------------

%% {options, ..}: the record of remora.gleam.
-spec start_link(tuple(), option(text()), option({pid(), forward()})) -> {ok, pid()} | {error, term()}.
start_link({options, Binary, Companion, CookieFile, Config, Visibility, Scopes, Level, MaxAtoms, StartMs, CallMs, Discovery,
            Membership, Election}, Name, Listener) ->
    ok = atom_budget(MaxAtoms),
    case scopes(Scopes) of
        {ok, ScopeAtoms} ->
            Given = maps:from_list([{binary, Binary}, {visibility, Visibility}, {pg_scopes, ScopeAtoms},
                                    {log_level, level_out(Level)}, {start_timeout, StartMs}, {call_timeout, CallMs}]
                                   ++ given(companion, Companion) ++ given(cookie_file, CookieFile) ++ given(config, Config)
                                   ++ [{discovery, remora_discovery_ffi:options(Sources, Settings)}
                                       || {some, {Sources, Settings}} <- [Discovery]]
                                   ++ [{membership, remora_membership_ffi:options(Settings)} || {some, {options, Settings}} <- [Membership]]
                                   ++ [{election, remora_election_ffi:options(Settings)} || {some, {options, Settings}} <- [Election]]),
            started(remora_sup:start_link(Given), Name, Listener);
        {error, _} = Error -> Error
    end.

atom_budget({some, Max}) when Max > 0 -> remora_settings:set_atom_budget(Max);
atom_budget(_) -> ok.

scopes(Scopes) ->
    Atoms = [{Scope, remora_atoms:to_atom(Scope)} || Scope <- Scopes],
    case [Scope || {Scope, {error, _}} <- Atoms] of
        [] -> {ok, [Atom || {_, {ok, Atom}} <- Atoms]};
        [Wrong | _] -> {error, {scope_not_allowed, Wrong}}
    end.

given(_, none) -> [];
given(Key, {some, Value}) -> [{Key, Value}].

started({ok, Pid}, Name, Listener) ->
    persistent_term:put(?NAME, Name),
    case Listener of
        {some, {Owner, Forward}} -> _ = subscribe_events(Owner, Forward), ok;
        none -> ok
    end,
    {ok, Pid};
started({error, Reason}, _, _) -> {error, start_error(Reason)}.

start_error(not_distributed) -> not_distributed;
start_error({already_started, Pid}) -> {already_started, Pid};
start_error({option, Key, Value}) -> {invalid_option, option_name(Key), shown(Value)};
start_error({discovery_option, Key, Text}) -> {invalid_discovery, shown(Key), Text};
start_error({membership_option, Key, Text}) -> {invalid_membership, shown(Key), Text};
start_error({election_option, Key, Text}) -> {invalid_election, shown(Key), Text};
start_error({binary, _} = Reason) -> {binary_failed, binary_error(<<>>, Reason)};
start_error({companion, {usage, Text}}) -> {usage_refused, text(Text)};
start_error({companion, {name_taken, Text}}) -> {name_taken, text(Text)};
start_error({companion, {no_epmd, Text}}) -> {no_epmd, text(Text)};
start_error({companion, {Address, Text}}) when Address =:= address_in_use; Address =:= bad_address ->
    {address_unavailable, text(Text)};
start_error({companion, {exit_status, Status, Text}}) -> {companion_ended, Status, text(Text)};
start_error({companion, {timeout, Ms}}) -> {start_timeout, Ms};
start_error({companion, {cookie_mismatch, Node}}) -> {cookie_mismatch, text(Node)};
start_error({companion, {unreachable, Node}}) -> {unreachable, text(Node)};
start_error(Reason) -> {start_failed, remora_error:format(Reason)}.

%% As the builder calls them.
option_name(companion) -> <<"with_node_name">>;
option_name(cookie_file) -> <<"with_cookie_file">>;
option_name(config) -> <<"with_config_file">>;
option_name(binary) -> <<"with_binary">>;
option_name(start_timeout) -> <<"with_start_timeout">>;
option_name(call_timeout) -> <<"with_call_timeout">>;
option_name(Key) -> shown(Key).

%% By a process of its own, for the time limit. Who started it is linked to it, and shall outlive it when it is us.
-spec shutdown(integer()) -> {ok, nil} | {error, not_running | refresh_timeout}.
shutdown(Ms) ->
    case erlang:whereis(remora_sup) of
        undefined -> ok;
        Sup -> unlink(Sup)
    end,
    case remora_lookup:await(remora_lookup:async(fun remora_sup:stop/0), max(0, Ms)) of
        {ok, ok} -> {ok, nil};
        {ok, {error, not_running}} -> {error, not_running};
        _ -> {error, refresh_timeout}
    end.

-spec status() -> {ok, tuple()} | {error, status_not_running | status_timeout}.
status() ->
    case remora_door:call(remora_door:hello()) of
        {ok, {ok, #{node := Node, version := Version, creation := Creation, os_pid := OsPid}}} ->
            Nodes = case ?MODULE:nodes() of {ok, All} -> All; {error, _} -> [] end,
            {ok, {status, persistent_term:get(?NAME, none), text(Node), Version, OsPid, Creation, Nodes}};
        {error, timeout} -> {error, status_timeout};
        _ -> {error, status_not_running}
    end.

%% First what is now, then what comes; a node that comes in between is told once.
-spec subscribe_events(pid(), forward()) -> {ok, pid()} | {error, status_not_running}.
subscribe_events(Owner, Forward) ->
    Subscribe = fun() ->
                    case remora_events:subscribe() of
                        {ok, Ref} -> tell_now(Forward), {ok, Ref};
                        Error -> Error
                    end
                end,
    Handle = fun(Event) -> [Forward(Told) || Told <- event(Event), is_news(Told)] end,
    case remora_relay:listen(Owner, Subscribe, Handle, fun() -> Forward(stopped) end) of
        {ok, Pid, _} -> {ok, Pid};
        {error, _} -> {error, status_not_running}
    end.

tell_now(Forward) ->
    case ?MODULE:nodes() of
        {ok, Nodes} -> tell_all(Forward, [companion_up | [{node_up, Node} || Node <- Nodes]]);
        {error, _} -> ok
    end.

tell_all(Forward, Events) -> lists:foreach(fun(Event) -> is_news(Event) andalso Forward(Event) end, Events).

%% In the listener: what is believed to be up, so that nothing comes up twice.
is_news(companion_up) -> put(companion, up) =/= up;
is_news({companion_down, _}) -> put(companion, down), true;
is_news({node_up, Node}) -> put({node, Node}, up) =/= up;
is_news({node_down, Node, _}) -> erase({node, Node}), true;
is_news(_) -> true.

event(companion_up) -> [companion_up];
event({companion_down, Reason}) -> [{companion_down, companion_reason(Reason)}];
event({node_up, Node}) -> [{node_up, text(Node)} || Node =/= node()];
event({node_down, Node, Reason}) -> [{node_down, text(Node), text(Reason)} || Node =/= node()];
event({name_lost, Name, Holder}) -> [{name_lost, Text, Holder} || {ok, Text} <- [name_text(Name)]];
event({membership_lost, Scope, Group, Pid}) ->
    [{membership_lost, text(Scope), Text, Pid} || {ok, Text} <- [name_text(Group)]];
event(Other) -> remora_discovery_ffi:event(Other).

companion_reason({exit_status, Status, Text}) ->
    iolist_to_binary(["exit code ", integer_to_binary(Status), ": ", text(Text)]);
companion_reason(Reason) -> text(Reason).

%% ---- cluster ----------------------------------------------------------------------------------------------------------------

-spec start_node(text(), text()) -> {ok, nil} | {error, term()}.
start_node(Name, Cookie) ->
    case remora_cluster:start_node(Name, Cookie) of
        ok -> {ok, nil};
        {error, already_started} -> {error, already_started};
        {error, bad_name} -> {error, {invalid_node_name, Name}};
        {error, bad_cookie} -> {error, invalid_cookie};
        {error, no_epmd} -> {error, no_epmd};
        {error, {name_taken, Node}} -> {error, {name_taken, text(Node)}};
        {error, {failed, Reason}} -> {error, {start_failed, shown(Reason)}}
    end.

-spec stop_node() -> {ok, nil} | {error, stop_not_distributed | stop_not_allowed}.
stop_node() ->
    case remora_cluster:stop_node() of
        ok -> {ok, nil};
        {error, not_distributed} -> {error, stop_not_distributed};
        {error, not_allowed} -> {error, stop_not_allowed}
    end.

-spec connect(text()) -> {ok, nil} | {error, term()}.
connect(Name) ->
    case is_node_name(Name) of
        true ->
            with_atoms([Name], fun atom_error/1, fun([Node]) -> connected(Name, remora_cluster:connect(Node)) end);
        false -> {error, {invalid_node, Name}}
    end.

connected(_, ok) -> {ok, nil};
connected(_, {error, not_running}) -> {error, not_running};
connected(Name, {error, timeout}) -> {error, {connect_timeout, Name}};
connected(Name, {error, Reason}) -> {error, {not_reached, Name, text(Reason)}}.

%% A node that no atom names is connected to nobody here.
-spec disconnect(text()) -> {ok, nil} | {error, term()}.
disconnect(Name) ->
    case remora_atoms:existing(Name) of
        {ok, Node} ->
            case remora_cluster:disconnect(Node) of
                ok -> {ok, nil};
                {error, not_running} -> {error, disconnect_not_running};
                {error, timeout} -> {error, {disconnect_timeout, Name}};
                {error, _} -> {error, {not_connected, Name}}
            end;
        {error, _} -> {error, {not_connected, Name}}
    end.

-spec ping(text()) -> boolean().
ping(Name) ->
    case is_node_name(Name) andalso remora_atoms:to_atom(Name) of
        {ok, Node} -> remora_cluster:ping(Node) =:= pong;
        _ -> false
    end.

is_node_name(Name) ->
    case binary:split(Name, <<"@">>, [global]) of
        [Short, Host] -> Short =/= <<>> andalso Host =/= <<>>;
        _ -> false
    end.

-spec nodes() -> {ok, [text()]} | {error, read_not_running}.
nodes() -> others(remora_cluster:nodes()).

-spec hidden_nodes() -> {ok, [text()]} | {error, read_not_running}.
hidden_nodes() -> others(remora_cluster:hidden_nodes()).

others({ok, Nodes}) -> {ok, [text(Node) || Node <- lists:sort(Nodes), Node =/= node()]};
others({error, not_running}) -> {error, read_not_running}.

-spec connected_count() -> {ok, non_neg_integer()} | {error, read_not_running}.
connected_count() -> count(?MODULE:nodes()).

-spec hidden_count() -> {ok, non_neg_integer()} | {error, read_not_running}.
hidden_count() -> count(hidden_nodes()).

count({ok, Nodes}) -> {ok, length(Nodes)};
count({error, _} = Error) -> Error.

-spec self_node() -> text().
self_node() -> text(node()).

-spec companion() -> {ok, text()} | {error, read_not_running}.
companion() ->
    case remora_cluster:companion() of
        {ok, Node} -> {ok, text(Node)};
        {error, not_running} -> {error, read_not_running}
    end.

%% ---- registry ---------------------------------------------------------------------------------------------------------------

-spec register_name(text(), pid(), term()) -> {ok, nil} | {error, term()}.
register_name(Name, Pid, Conflict) ->
    with_policy(Conflict, fun(Policy) -> registered(remora_registry:register(Name, Pid, Policy)) end).

-spec re_register_name(text(), pid()) -> {ok, nil} | {error, term()}.
re_register_name(Name, Pid) -> registered(remora_registry:re_register(Name, Pid)).

-spec register_many([{text(), pid()}]) -> [{ok, nil} | {error, term()}].
register_many(Pairs) -> [registered(Result) || Result <- remora_registry:register_many(Pairs)].

%% The name was never seen by others, or nobody has it any more: its door goes.
-spec register_door(text(), term(), pid(), forward()) -> {ok, nil} | {error, term()}.
register_door(Name, Conflict, Owner, Forward) ->
    with_policy(Conflict, fun(Policy) ->
        case remora_relay:door(Owner, {name, Name}, Forward) of
            {ok, Door} -> or_stop(Door, registered(remora_registry:register(Name, Door, Policy)));
            {error, no_owner} -> {error, no_owner}
        end
    end).

or_stop(_, {ok, nil}) -> {ok, nil};
or_stop(Door, {error, _} = Error) -> remora_relay:stop(Door), Error.

with_policy({node_priority, Names}, Fun) ->
    with_atoms(Names, fun atom_error/1, fun(Nodes) -> Fun({node_priority, Nodes}) end);
with_policy(Policy, Fun) -> Fun(Policy).

registered(ok) -> {ok, nil};
registered({error, {member_timeout, Node}}) -> {error, {member_timeout, text(Node)}};
registered({error, timeout}) -> {error, register_timeout};
registered({error, badarg}) -> {error, {refused, <<"badarg">>}};
registered({error, Reason}) -> {error, Reason}. % {taken, Pid}, already_named, busy, not_running

-spec unregister_name(text()) -> {ok, nil} | {error, term()}.
unregister_name(Name) ->
    Holder = remora_registry:whereis(Name),
    case remora_registry:unregister(Name) of
        ok -> close_door(Holder, {name, Name}), {ok, nil};
        {error, {member_timeout, Node}} -> {error, {unregister_member_timeout, text(Node)}};
        {error, busy} -> {error, unregister_busy};
        {error, timeout} -> {error, unregister_timeout};
        {error, not_running} -> {error, unregister_not_running}
    end.

close_door({ok, Pid}, Key) -> remora_relay:is_door(Pid, Key) andalso remora_relay:stop(Pid);
close_door(_, _) -> false.

%% Text first; then the atom of that text, which is how Erlang's own names are spelt.
-spec whereis(text()) -> {ok, pid()} | {error, not_found | lookup_not_running}.
whereis(Name) -> looked_up(text_or_atom(Name, fun remora_registry:whereis/1)).

-spec whereis_fresh(text()) -> {ok, pid()} | {error, not_found | lookup_timeout | lookup_not_running}.
whereis_fresh(Name) -> looked_up(text_or_atom(Name, fun remora_registry:whereis_fresh/1)).

-spec await_name(text(), integer()) -> {ok, pid()} | {error, lookup_timeout | lookup_not_running}.
await_name(Name, Ms) ->
    case ?MODULE:whereis(Name) of
        {error, not_found} ->
            case remora_registry:await(Name, max(0, Ms)) of
                {error, timeout} -> or_timeout(?MODULE:whereis(Name));
                Result -> looked_up(Result)
            end;
        Result -> Result
    end.

or_timeout({error, not_found}) -> {error, lookup_timeout};
or_timeout(Result) -> Result.

text_or_atom(Name, Find) ->
    case {Find(Name), remora_atoms:existing(Name)} of
        {{error, not_found}, {ok, Atom}} -> Find(Atom);
        {Result, _} -> Result
    end.

looked_up({error, timeout}) -> {error, lookup_timeout};
looked_up({error, not_running}) -> {error, lookup_not_running};
looked_up(Result) -> Result.

-spec names() -> {ok, [text()]} | {error, lookup_not_running}.
names() ->
    case remora_registry:names() of
        {ok, Names} -> {ok, lists:usort([Text || Name <- Names, {ok, Text} <- [name_text(Name)]])};
        {error, not_running} -> {error, lookup_not_running}
    end.

-spec subscribe_names(pid(), forward()) -> {ok, pid()} | {error, lookup_not_running}.
subscribe_names(Owner, Forward) ->
    Handle = fun({registered, Name, Pid}) -> [Forward({registered, Text, Pid}) || {ok, Text} <- [name_text(Name)]];
                ({unregistered, Name}) -> [Forward({unregistered, Text}) || {ok, Text} <- [name_text(Name)]]
             end,
    case remora_relay:listen(Owner, fun remora_registry:subscribe/0, Handle, fun nothing/0) of
        {ok, Pid, _} -> {ok, Pid};
        {error, _} -> {error, lookup_not_running}
    end.

%% ---- groups -----------------------------------------------------------------------------------------------------------------

-spec join(text(), text(), pid()) -> {ok, nil} | {error, term()}.
join(Scope, Group, Pid) -> in_scope(Scope, fun(S) -> remora_groups:join(S, Group, Pid) end).

-spec leave(text(), text(), pid()) -> {ok, nil} | {error, term()}.
leave(Scope, Group, Pid) -> in_scope(Scope, fun(S) -> remora_groups:leave(S, Group, Pid) end).

-spec join_door(text(), text(), term(), pid(), forward()) -> {ok, nil} | {error, term()}.
join_door(Scope, Group, Subject, Owner, Forward) ->
    case remora_relay:door(Owner, {group, Scope, Group, Subject}, Forward) of
        {ok, Door} -> or_stop(Door, join(Scope, Group, Door));
        {error, no_owner} -> {error, no_owner}
    end.

-spec leave_door(text(), text(), term()) -> {ok, nil} | {error, term()}.
leave_door(Scope, Group, Subject) ->
    case local_members(Scope, Group) of
        {ok, Pids} ->
            case [Pid || Pid <- Pids, remora_relay:is_door(Pid, {group, Scope, Group, Subject})] of
                [Door | _] -> left(Door, leave(Scope, Group, Door));
                [] -> {error, not_joined}
            end;
        {error, _} = Error -> Error
    end.

left(Door, {ok, nil}) -> remora_relay:stop(Door), {ok, nil};
left(_, {error, _} = Error) -> Error.

-spec members(text(), text()) -> {ok, [pid()]} | {error, term()}.
members(Scope, Group) -> in_scope(Scope, fun(S) -> remora_groups:members(S, group_term(S, Group)) end).

-spec local_members(text(), text()) -> {ok, [pid()]} | {error, term()}.
local_members(Scope, Group) -> in_scope(Scope, fun(S) -> remora_groups:local_members(S, group_term(S, Group)) end).

%% The group that a text means: the one of that text, unless only the one of the atom has members.
group_term(Scope, Group) ->
    case {remora_groups:members(Scope, Group), remora_atoms:existing(Group)} of
        {{ok, []}, {ok, Atom}} ->
            case remora_groups:members(Scope, Atom) of
                {ok, [_ | _]} -> Atom;
                _ -> Group
            end;
        _ -> Group
    end.

-spec groups(text()) -> {ok, [text()]} | {error, term()}.
groups(Scope) ->
    case in_scope(Scope, fun remora_groups:groups/1) of
        {ok, Groups} -> {ok, lists:usort([Text || Group <- Groups, {ok, Text} <- [name_text(Group)]])};
        {error, _} = Error -> Error
    end.

-spec broadcast(text(), text(), term()) -> {ok, non_neg_integer()} | {error, term()}.
broadcast(Scope, Group, Term) ->
    in_scope(Scope, fun(S) -> remora_groups:broadcast(S, group_term(S, Group), Term) end).

-spec broadcast_local(text(), text(), term()) -> {ok, non_neg_integer()} | {error, term()}.
broadcast_local(Scope, Group, Term) ->
    in_scope(Scope, fun(S) -> remora_groups:broadcast_local(S, group_term(S, Group), Term) end).

-spec subscribe_group(text(), text(), pid(), forward()) -> {ok, {pid(), [pid()]}} | {error, term()}.
subscribe_group(Scope, Group, Owner, Forward) ->
    Subscribe = fun(S) -> fun() -> remora_groups:subscribe(S, group_term(S, Group)) end end,
    Handle = fun({What, _, Pids}) -> Forward({group_event(What), Group, Pids}) end,
    in_scope(Scope, fun(S) -> listening(remora_relay:listen(Owner, Subscribe(S), Handle, fun nothing/0)) end).

-spec subscribe_groups(text(), pid(), forward()) -> {ok, {pid(), [{text(), [pid()]}]}} | {error, term()}.
subscribe_groups(Scope, Owner, Forward) ->
    Subscribe = fun(S) -> fun() -> remora_groups:subscribe_scope(S) end end,
    Handle = fun({What, Group, Pids}) ->
                 [Forward({group_event(What), Text, Pids}) || {ok, Text} <- [name_text(Group)]]
             end,
    case in_scope(Scope, fun(S) -> listening(remora_relay:listen(Owner, Subscribe(S), Handle, fun nothing/0)) end) of
        {ok, {Pid, Now}} -> {ok, {Pid, [{Text, Pids} || {Group, Pids} <- maps:to_list(Now), {ok, Text} <- [name_text(Group)]]}};
        {error, _} = Error -> Error
    end.

listening({ok, Pid, Now}) -> {ok, {Pid, Now}};
listening({error, _} = Error) -> Error.

group_event(join) -> joined;
group_event(leave) -> left.

-spec start_scope(text()) -> {ok, nil} | {error, term()}.
start_scope(Scope) ->
    case remora_atoms:to_atom(Scope) of
        {ok, Atom} -> grouped(Scope, remora_groups:start_scope(Atom));
        {error, Reason} -> {error, atom_error(Reason)}
    end.

-spec stop_scope(text()) -> {ok, nil} | {error, term()}.
stop_scope(Scope) -> in_scope(Scope, fun remora_groups:stop_scope/1).

%% Only start_scope/1 may make an atom: a scope that is none here does not run here.
in_scope(Scope, Fun) ->
    case remora_atoms:existing(Scope) of
        {ok, Atom} -> grouped(Scope, Fun(Atom));
        {error, Reason} -> {error, atom_error(Reason)}
    end.

grouped(_, ok) -> {ok, nil};
grouped(_, {ok, _} = Ok) -> Ok;
grouped(Scope, {error, {no_scope, _}}) -> {error, {no_scope, Scope}};
grouped(Scope, {error, name_taken}) -> {error, {scope_name_taken, Scope}};
grouped(_, {error, system_limit}) -> {error, limit_reached};
grouped(_, {error, badarg}) -> {error, {refused, <<"badarg">>}};
grouped(_, {error, _} = Error) -> Error. % not_joined, {too_large, ..}, timeout, not_running

%% ---- messaging ----------------------------------------------------------------------------------------------------------------

-spec send(pid(), term()) -> {ok, nil} | {error, {too_large, pos_integer(), pos_integer()}}.
send(Pid, Term) -> sent(remora_messaging:send(Pid, Term)).

sent(ok) -> {ok, nil};
sent({error, _} = Error) -> Error.

-spec send_name(text(), term()) -> {ok, nil} | {error, term()}.
send_name(Name, Term) ->
    case ?MODULE:whereis(Name) of
        {ok, Pid} -> send(Pid, Term);
        {error, not_found} -> {error, {no_such_name, Name}};
        {error, lookup_not_running} -> {error, not_running}
    end.

-spec send_batch([{pid(), term()}]) -> [{ok, nil} | {error, term()}].
send_batch(Messages) -> [send(Pid, Term) || {Pid, Term} <- Messages].

%% The answer comes to an alias, which ends with it, with the time, or with the process that was asked.
-spec call(pid(), integer(), fun((term()) -> term())) -> {ok, term()} | {error, term()}.
call(Pid, Ms, MakeTerm) ->
    Alias = erlang:monitor(process, Pid, [{alias, reply_demonitor}]),
    Term = MakeTerm({?REPLY_TO, 1, Alias, correlation_id()}),
    case remora_messaging:send(Pid, Term) of
        ok -> called(Pid, Alias, max(0, Ms));
        {error, {too_large, Bytes, Max}} ->
            demonitor(Alias, [flush]),
            {error, {call_too_large, Bytes, Max}}
    end.

called(Pid, Alias, Ms) ->
    receive
        {?REPLY, Alias, Answer} -> {ok, Answer};
        {'DOWN', Alias, process, _, Reason} -> call_failed(Pid, {call_down, shown(Reason)})
    after Ms ->
        demonitor(Alias, [flush]),
        receive {?REPLY, Alias, Answer} -> {ok, Answer}
        after 0 -> call_failed(Pid, call_timeout)
        end
    end.

%% As remora_messaging:call/3 does it: who follows a correlation id finds the failure in the companion's log.
call_failed(Pid, Reason) ->
    case correlation_id() of
        {some, Id} ->
            Text = text(io_lib:format("a call to ~p failed: ~0tP", [Pid, Reason, ?SHOWN_DEPTH])),
            remora_door:tell(remora_door:log(debug, Text, #{correlation => Id, node => node(Pid)}));
        none -> ok
    end,
    {error, Reason}.

-spec call_server(pid(), term(), integer()) -> {ok, term()} | {error, term()}.
call_server(Pid, Request, Ms) ->
    case remora_messaging:call(Pid, Request, max(0, Ms)) of
        {ok, _} = Ok -> Ok;
        {error, timeout} -> {error, call_timeout};
        {error, {too_large, Bytes, Max}} -> {error, {call_too_large, Bytes, Max}};
        {error, {nodedown, _}} -> {error, {call_down, <<"noconnection">>}};
        {error, {exit, Reason}} -> {error, {call_down, shown(Reason)}};
        {error, Reason} -> {error, {call_down, shown(Reason)}}
    end.

-spec reply(term(), term()) -> {ok, nil} | {error, {too_large, pos_integer(), pos_integer()}}.
reply({?REPLY_TO, 1, Alias, _}, Term) ->
    case remora_messaging:check_size(Term) of
        ok -> Alias ! {?REPLY, Alias, Term}, {ok, nil};
        {error, _} = Error -> Error
    end.

%% Of another node: nothing of it is believed. The error has a placeholder, as decoders want it.
-spec read_address(term()) -> {ok, term()} | {error, term()}.
read_address({?REPLY_TO, 1, Alias, none} = Address) when is_reference(Alias) -> {ok, Address};
read_address({?REPLY_TO, 1, Alias, {some, Id}} = Address) when is_reference(Alias), is_binary(Id) -> {ok, Address};
read_address(_) -> {error, {?REPLY_TO, 1, make_ref(), none}}.

-spec address_correlation(term()) -> option(text()).
address_correlation({?REPLY_TO, 1, _, Correlation}) -> Correlation.

%% ---- monitor ------------------------------------------------------------------------------------------------------------------

%% The reason as gleam/erlang/process has it.
-spec down_reason(normal | killed | {abnormal, term()}) -> normal | killed | no_process | no_connection | {crashed, text()}.
down_reason(normal) -> normal;
down_reason(killed) -> killed;
down_reason({abnormal, shutdown}) -> normal;
down_reason({abnormal, {shutdown, _}}) -> normal;
down_reason({abnormal, noproc}) -> no_process;
down_reason({abnormal, noconnection}) -> no_connection;
down_reason({abnormal, Reason}) -> {crashed, shown(Reason)}.

%% By its text: a node that was never heard of is no atom yet, and need not be one to be waited for.
-spec subscribe_node(pid(), text(), forward()) -> {ok, pid()} | {error, not_running}.
subscribe_node(Owner, Name, Forward) ->
    Subscribe = fun() ->
                    case remora_monitor:monitor_nodes() of
                        {ok, Ref} -> tell_not_there(Name, remora_mirror:node_state(Name), Forward), {ok, Ref};
                        Error -> Error
                    end
                end,
    listen_to_nodes(Owner, Subscribe, fun(Event) -> element(2, Event) =:= Name andalso Forward(Event) end).

-spec subscribe_nodes(pid(), forward()) -> {ok, pid()} | {error, not_running}.
subscribe_nodes(Owner, Forward) -> listen_to_nodes(Owner, fun remora_monitor:monitor_nodes/0, Forward).

listen_to_nodes(Owner, Subscribe, Handle) ->
    Told = fun({up, Node}) -> Node =/= node() andalso Handle({node_up, text(Node)});
              ({down, Node, Reason}) -> Node =/= node() andalso Handle({node_down, text(Node), text(Reason)})
           end,
    case remora_relay:listen(Owner, Subscribe, Told, fun nothing/0) of
        {ok, Pid, _} -> {ok, Pid};
        {error, _} -> {error, not_running}
    end.

tell_not_there(_, connected, _) -> nil;
tell_not_there(Name, Why, Forward) -> Forward({node_down, Name, text(Why)}).

%% ---- remote_call ----------------------------------------------------------------------------------------------------------------

-spec rpc(text(), text(), text(), [term()], integer()) -> {ok, term()} | {error, term()}.
rpc(Node, Module, Function, Args, Ms) ->
    with_atoms([Node, Module, Function], fun rpc_atom_error/1,
               fun([N, M, F]) -> rpc_result(Node, remora_rpc:call(N, M, F, Args, max(0, Ms))) end).

-spec rpc_cast(text(), text(), text(), [term()]) -> {ok, nil} | {error, term()}.
rpc_cast(Node, Module, Function, Args) ->
    with_atoms([Node, Module, Function], fun rpc_atom_error/1,
               fun([N, M, F]) ->
                   case remora_rpc:cast(N, M, F, Args) of
                       ok -> {ok, nil};
                       {error, _} = Error -> rpc_result(Node, Error)
                   end
               end).

%% Those whose names cannot be said are not asked; the others all at once.
-spec rpc_multicall([text()], text(), text(), [term()], integer()) -> [{text(), {ok, term()} | {error, term()}}].
rpc_multicall(Names, Module, Function, Args, Ms) ->
    Nodes = [{Name, remora_atoms:to_atom(Name)} || Name <- Names],
    Asked = with_atoms([Module, Function], fun rpc_atom_error/1,
                       fun([M, F]) ->
                           {ok, remora_rpc:multicall([Node || {_, {ok, Node}} <- Nodes], M, F, Args, max(0, Ms))}
                       end),
    case Asked of
        {ok, Results} -> merged(Nodes, Results);
        {error, _} = Error -> [{Name, Error} || Name <- Names]
    end.

merged([], []) -> [];
merged([{Name, {ok, _}} | Nodes], [Result | Results]) -> [{Name, rpc_result(Name, Result)} | merged(Nodes, Results)];
merged([{Name, {error, Reason}} | Nodes], Results) -> [{Name, {error, rpc_atom_error(Reason)}} | merged(Nodes, Results)].

rpc_result(_, {ok, _} = Ok) -> Ok;
rpc_result(Node, {error, Reason}) -> {error, rpc_error(Node, Reason)}.

rpc_error(_, timeout) -> rpc_timeout;
rpc_error(Node, {nodedown, _}) -> {rpc_node_down, Node};
rpc_error(_, {undef, {M, F, A}}) -> {rpc_undefined, text(M), text(F), A};
rpc_error(_, {raised, Class, Reason}) -> {rpc_raised, raised(Class), shown(Reason)};
rpc_error(_, {badrpc, Reason}) -> {rpc_bad_rpc, shown(Reason)};
rpc_error(_, {too_large, Bytes, Max}) -> {rpc_too_large, Bytes, Max};
rpc_error(_, not_running) -> not_running;
rpc_error(_, Reason) -> {rpc_bad_rpc, shown(Reason)}.

raised(error) -> raised_error;
raised(exit) -> raised_exit;
raised(throw) -> raised_throw.

rpc_atom_error(Reason) ->
    case atom_error(Reason) of
        {no_such_atom, Text} -> {rpc_no_such_atom, Text};
        {atom_budget_spent, Max} -> {rpc_atom_budget_spent, Max}
    end.

%% ---- codec ------------------------------------------------------------------------------------------------------------------------

-spec identity(Term) -> Term.
identity(Term) -> Term.

-spec read_nil(term()) -> {ok, nil} | {error, nil}.
read_nil(nil) -> {ok, nil};
read_nil(_) -> {error, nil}.

%% The error has a placeholder: decoders go on after one, to find all errors.
-spec read_pid(term()) -> {ok, pid()} | {error, pid()}.
read_pid(Pid) when is_pid(Pid) -> {ok, Pid};
read_pid(_) -> {error, self()}.

-spec read_option(term()) -> {ok, option(term())} | {error, nil}.
read_option(none) -> {ok, none};
read_option({some, _} = Some) -> {ok, Some};
read_option(_) -> {error, nil}.

-spec is_tuple_of(term(), non_neg_integer()) -> boolean().
is_tuple_of(Term, Size) -> is_tuple(Term) andalso tuple_size(Term) =:= Size.

-spec encode_term(term(), pos_integer()) -> {ok, binary()} | {error, {too_large, pos_integer(), pos_integer()}}.
encode_term(Term, Limit) ->
    case term_to_binary(Term) of
        Bits when byte_size(Bits) =< Limit -> {ok, Bits};
        Bits -> {error, {too_large, byte_size(Bits), Limit}}
    end.

%% A compressed term says how large it becomes before anything is unpacked (erl_ext_dist, 1: tag 80).
-spec decode_term(bitstring(), pos_integer()) ->
    {ok, term()} | {error, not_a_term | {too_large_to_decode, pos_integer(), pos_integer()}}.
decode_term(<<131, 80, Size:32, _/binary>>, Limit) when Size > Limit -> {error, {too_large_to_decode, Size, Limit}};
decode_term(Bits, Limit) when byte_size(Bits) > Limit -> {error, {too_large_to_decode, byte_size(Bits), Limit}};
decode_term(Bits, _) when is_binary(Bits) ->
    try binary_to_term(Bits, [safe, used]) of
        {Term, Used} when Used =:= byte_size(Bits) -> {ok, Term};
        _ -> {error, not_a_term}
    catch
        error:badarg -> {error, not_a_term}
    end;
decode_term(_, _) -> {error, not_a_term}.

%% ---- settings -----------------------------------------------------------------------------------------------------------------------

-spec set_allow_atom_creation(boolean()) -> nil.
set_allow_atom_creation(Allow) -> nil(remora_settings:set_allow_atom_creation(Allow)).

-spec is_allow_atom_creation() -> boolean().
is_allow_atom_creation() -> remora_settings:is_allow_atom_creation().

-spec put_max_new_atoms(non_neg_integer()) -> nil.
put_max_new_atoms(Count) -> nil(remora_settings:set_max_new_atoms(Count)).

-spec get_max_new_atoms() -> non_neg_integer().
get_max_new_atoms() -> remora_settings:max_new_atoms().

%% crypto is an application that the package depends on, so it is there.
-spec set_use_crypto_ids(boolean()) -> nil.
set_use_crypto_ids(Use) -> nil(remora_settings:set_use_crypto_ids(Use)).

-spec is_use_crypto_ids() -> boolean().
is_use_crypto_ids() -> remora_settings:is_use_crypto_ids().

-spec put_max_message_size(pos_integer()) -> nil.
put_max_message_size(Bytes) -> nil(remora_settings:set_max_message_size(Bytes)).

-spec get_max_message_size() -> pos_integer().
get_max_message_size() -> remora_settings:max_message_size().

nil(ok) -> nil.

%% ---- log ----------------------------------------------------------------------------------------------------------------------------

%% Off, as a level of a line and as the level that is shown, is Gleam's alone.
-spec log(debug | info | warn | error | off, text(), [{text(), text()}], option(text())) -> nil.
log(Level, Text, Meta, Correlation) ->
    case Level =/= off andalso is_on() of
        true -> nil(remora_log:log(level_out(Level), Text, maps:merge(maps:from_list(Meta), correlation_meta(Correlation))));
        false -> nil
    end.

correlation_meta(none) -> #{};
correlation_meta({some, Id}) -> #{correlation => Id}.

-spec with_correlation_id(text(), fun(() -> Result)) -> Result.
with_correlation_id(Id, Fun) -> remora_log:with_correlation(Id, Fun).

-spec correlation_id() -> option(text()).
correlation_id() ->
    case remora_log:correlation() of
        undefined -> none;
        Id -> {some, Id}
    end.

-spec generate_correlation_id() -> text().
generate_correlation_id() -> remora_log:generate_correlation_id().

-spec set_log_level(debug | info | warn | error | off) -> nil.
set_log_level(off) -> switch(level, off);
set_log_level(Level) ->
    switch(level, on),
    nil(remora_log:set_level(level_out(Level))).

-spec get_log_level() -> debug | info | warn | error | off.
get_log_level() ->
    case persistent_term:get({?LOG, level}, on) of
        off -> off;
        on -> level_in(remora_log:level())
    end.

level_out(warn) -> warning;
level_out(off) -> error; % the companion says what ends it in any case
level_out(Level) -> Level.

level_in(warning) -> warn;
level_in(notice) -> info;
level_in(Level) -> Level.

-spec set_log_backend(console | erlang_logger) -> nil.
set_log_backend(console) -> nil(remora_log:set_backend(console));
set_log_backend(erlang_logger) -> nil(remora_log:set_backend(logger)).

-spec get_log_backend() -> console | erlang_logger.
get_log_backend() ->
    case remora_log:backend() of
        console -> console;
        logger -> erlang_logger
    end.

-spec disable_logging() -> nil.
disable_logging() -> switch(all, off).

-spec enable_logging() -> nil.
enable_logging() -> switch(all, on).

switch(What, To) -> nil(persistent_term:put({?LOG, What}, To)).

is_on() -> persistent_term:get({?LOG, level}, on) =:= on andalso persistent_term:get({?LOG, all}, on) =:= on.

%% ---- binary ---------------------------------------------------------------------------------------------------------------------------

-spec locate(search | {at, text()}) -> {ok, text()} | {error, term()}.
locate(Where) ->
    case remora_binary:locate(Where) of
        {ok, Path} -> {ok, text(Path)};
        {error, Reason} -> {error, binary_error(<<>>, Reason)}
    end.

-spec program_version(text()) -> {ok, text()} | {error, term()}.
program_version(Path) ->
    case remora_binary:version(unicode:characters_to_list(Path)) of
        {ok, Version} ->
            case remora_binary:is_wanted(Version) of
                true -> {ok, Version};
                false -> {error, {wrong_version, Path, Version, remora_binary:wanted()}}
            end;
        {error, Reason} -> {error, binary_error(Path, Reason)}
    end.

binary_error(_, {binary, {not_found, Searched}}) -> {not_found, [text(Place) || Place <- Searched]};
binary_error(_, {binary, {not_executable, Path}}) -> {not_executable, text(Path)};
binary_error(Path, {binary, {wrong_version, Found, Wanted}}) -> {wrong_version, Path, text(Found), text(Wanted)}.

%% ---- gossip -----------------------------------------------------------------------------------------------------------------------------

-spec pick_random([T], integer()) -> [T].
pick_random(List, Count) ->
    Shuffled = [X || {_, X} <- lists:sort([{rand:uniform(), X} || X <- List])],
    lists:sublist(Shuffled, max(0, Count)).

%% ---- all ------------------------------------------------------------------------------------------------------------------------------

with_atoms(Texts, OnError, Fun) -> with_atoms(Texts, [], OnError, Fun).

with_atoms([], Atoms, _, Fun) -> Fun(lists:reverse(Atoms));
with_atoms([Text | Texts], Atoms, OnError, Fun) ->
    case remora_atoms:to_atom(Text) of
        {ok, Atom} -> with_atoms(Texts, [Atom | Atoms], OnError, Fun);
        {error, Reason} -> {error, OnError(Reason)}
    end.

atom_error({no_such_atom, Text}) -> {no_such_atom, Text};
atom_error({too_long, Text}) -> {no_such_atom, Text};
atom_error({atom_budget, Max}) -> {atom_budget_spent, Max};
atom_error(badarg) -> {no_such_atom, <<>>}.

%% Gleam's names are text; those that Erlang made of atoms can be shown as text, others not.
name_text(Name) when is_atom(Name) -> {ok, atom_to_binary(Name)};
name_text(Name) when is_binary(Name) ->
    case unicode:characters_to_binary(Name) of
        Name -> {ok, Name};
        _ -> error
    end;
name_text(_) -> error.

text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Chars) ->
    try unicode:characters_to_binary(Chars) of
        Text when is_binary(Text) -> Text;
        _ -> shown(Chars)
    catch error:badarg -> shown(Chars)
    end.

shown(Term) -> unicode:characters_to_binary(io_lib:format("~0tP", [Term, ?SHOWN_DEPTH])).

nothing() -> nil.
