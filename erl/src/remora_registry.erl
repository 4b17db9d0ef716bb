%%% @doc Names of the whole cluster: OTP's `global', through the companion.
%%%
%%% A name registered here is found by `global:whereis_name/1' on every node, and the other way round. Requests of many
%%% processes share lock rounds, so that many register much faster than by `global:register_name/2'.
%%%
%%% Reads ({@link whereis/1}, {@link names/0}) are from this VM's mirror: no message, no wait. A process finds what it
%%% registered itself as soon as it has its `ok'. While there is no companion they are `{error, not_running}'; names of
%%% living processes are registered again when it is back.
%%%
%%% It is a `via' module: `{via, remora_registry, Name}' names a gen_server, from Erlang and from Elixir.
-module(remora_registry).

-export([register/2, register/3, register/4, re_register/2, re_register/3, unregister/1, unregister/2,
         register_many/1, register_many/2]).
-export([whereis/1, whereis_fresh/1, whereis_fresh/2, names/0, await/2]).
-export([subscribe/0, unsubscribe/1]).
%% via
-export([register_name/2, unregister_name/1, whereis_name/1, send/2]).

-compile({no_auto_import, [register/2, unregister/1, whereis/1]}).

-export_type([policy/0, register_error/0]).

%% What happens when two nodes that meet have the name for two processes; random_exit when nothing is said. The first
%% three are those of global.
-type policy() :: random_exit | random_notify | notify_all | lowest_pid | highest_pid | keep_local | kill_both
                | {node_priority, [node()]}.

%% taken: by another process. already_named: this process has a name already, this one or, as with global (whose
%% global_multi_name_action is not told `allow'), another one: a process has one name. member_timeout: that node did not
%% answer while all were asked; nothing is registered. busy: others held the lock, or the name, for too long; again.
%% timeout: no answer in time; it may be registered, or soon be.
-type register_error() :: {taken, pid()} | already_named | {member_timeout, node()} | busy | badarg | timeout | not_running.

-define(POLICY, random_exit).
-define(BATCH, 16_384). % requests of one message; the door takes 65,536

%% @equiv register(Name, Pid, random_exit)
-spec register(term(), pid()) -> ok | {error, register_error()}.
register(Name, Pid) -> register(Name, Pid, ?POLICY).

-spec register(term(), pid(), policy()) -> ok | {error, register_error()}.
register(Name, Pid, Policy) -> register(Name, Pid, Policy, remora_state:call_timeout()).

%% @doc Any term may be a name, and any process of the cluster have it. Timeout in ms.
-spec register(term(), pid(), policy(), timeout()) -> ok | {error, register_error()}.
register(Name, Pid, Policy, Timeout) when is_pid(Pid) ->
    answer(remora_door:write(remora_door:register_name(Name, Pid, Policy), Timeout), Name, Pid, Policy);
register(_, _, _, _) -> {error, badarg}.

%% @equiv re_register(Name, Pid, random_exit)
-spec re_register(term(), pid()) -> ok | {error, register_error()}.
re_register(Name, Pid) -> re_register(Name, Pid, ?POLICY).

%% @doc Whoever has the name: it is Pid's now.
-spec re_register(term(), pid(), policy()) -> ok | {error, register_error()}.
re_register(Name, Pid, Policy) when is_pid(Pid) ->
    answer(remora_door:write(remora_door:re_register_name(Name, Pid, Policy)), Name, Pid, Policy);
re_register(_, _, _) -> {error, badarg}.

%% @doc The results in the order of the pairs. Requests of up to 16,384 names each, in which they share lock rounds; Timeout
%% is for all of them.
-spec register_many([{term(), pid()}]) -> [ok | {error, register_error()}].
register_many(Pairs) -> register_many(Pairs, remora_state:call_timeout()).

-spec register_many([{term(), pid()}], timeout()) -> [ok | {error, register_error()}].
register_many(Pairs, Timeout) ->
    Right = [Pair || {_, Pid} = Pair <- Pairs, is_pid(Pid)],
    Answers = batch([remora_door:register_name(Name, Pid, ?POLICY) || {Name, Pid} <- Right], Timeout),
    in_order(Pairs, lists:zip(Right, Answers)).

in_order([], []) -> [];
in_order([Pair | Pairs], [{Pair, Answer} | Answers]) ->
    {Name, Pid} = Pair,
    [answer(Answer, Name, Pid, ?POLICY) | in_order(Pairs, Answers)];
in_order([_ | Pairs], Answers) -> [{error, badarg} | in_order(Pairs, Answers)].

batch(Requests, Timeout) -> batch_until(Requests, remora_door:deadline(Timeout)).

batch_until([], _Deadline) -> [];
batch_until(Requests, Deadline) ->
    {Now, Later} = lists:split(min(?BATCH, length(Requests)), Requests),
    Answers = case remora_door:batch_write(Now, remora_door:left(Deadline)) of
                  {ok, All, Version} when length(All) =:= length(Now) -> [{ok, Answer, Version} || Answer <- All];
                  {ok, Refused, Version} -> [{ok, Refused, Version} || _ <- Now];
                  {error, _} = Error -> [Error || _ <- Now]
              end,
    Answers ++ batch_until(Later, Deadline).

answer({ok, yes, Version}, Name, Pid, Policy) ->
    remora_intents:put_name(Name, Pid, Policy, Version),
    replayed(Version, remora_intents:name_key(Name), none);
answer({ok, no, Version}, Name, Pid, Policy) ->
    case remora_mirror:peek(Name) of
        {ok, Pid} ->
            %% From before a start of the companion, say. It is to have it, so it is told to the next one too.
            remora_intents:put_name(Name, Pid, Policy, Version),
            {error, already_named};
        {ok, Other} -> {error, {taken, Other}};
        _ ->
            case remora_mirror:has_name(Pid) of
                true -> {error, already_named};
                false -> {error, busy} % its holder has just gone
            end
    end;
answer({ok, {error, {timeout, Node}}, _}, _, _, _) -> {error, {member_timeout, Node}};
answer({ok, {error, busy}, _}, _, _, _) -> {error, busy};
answer({ok, {error, aborted}, _}, _, _, _) -> {error, busy};
answer({ok, {error, system_limit}, _}, _, _, _) -> {error, busy};
answer({ok, _, _}, _, _, _) -> {error, badarg};
answer({error, Reason}, _, _, _) -> {error, Reason}.

%% Was the companion replaced in between? Then the new one may not have been told.
replayed({Epoch, _}, Key, Hint) ->
    case remora_state:epoch() of
        Epoch -> ok;
        _ -> remora_server:reconcile(Key, Hint)
    end.

%% @equiv unregister(Name, 5_000)
-spec unregister(term()) -> ok | {error, {member_timeout, node()} | busy | timeout | not_running}.
unregister(Name) -> unregister(Name, remora_state:call_timeout()).

%% @doc Whoever has it. As with global it is no error when nobody does.
-spec unregister(term(), timeout()) -> ok | {error, {member_timeout, node()} | busy | timeout | not_running}.
unregister(Name, Timeout) ->
    case remora_door:write(remora_door:unregister_name(Name), Timeout) of
        {ok, ok, Version} ->
            Hint = case remora_intents:drop_name(Name, Version) of
                       {ok, Pid} -> Pid;
                       none -> none
                   end,
            replayed(Version, remora_intents:name_key(Name), Hint);
        {ok, {error, {timeout, Node}}, _} -> {error, {member_timeout, Node}};
        {ok, {error, _}, _} -> {error, busy};
        {error, _} = Error -> Error
    end.

%% ---- reads ------------------------------------------------------------------------------------------------------------

%% @doc From the mirror. A process of this VM that has ended is not found any more, at once.
-spec whereis(term()) -> {ok, pid()} | {error, not_found | not_running}.
whereis(Name) ->
    case remora_state:is_up() andalso remora_mirror:peek(Name) of
        {ok, Pid} when node(Pid) =:= node() ->
            case is_process_alive(Pid) of
                true -> {ok, Pid};
                false -> {error, not_found}
            end;
        {ok, _} = Found -> Found;
        none -> {error, not_found};
        _ -> {error, not_running}
    end.

%% @doc Asks the companion.
-spec whereis_fresh(term()) -> {ok, pid()} | {error, not_found | not_running | timeout}.
whereis_fresh(Name) -> whereis_fresh(Name, remora_state:call_timeout()).

-spec whereis_fresh(term(), timeout()) -> {ok, pid()} | {error, not_found | not_running | timeout}.
whereis_fresh(Name, Timeout) ->
    case remora_door:call(remora_door:whereis_name(Name), Timeout) of
        {ok, Pid} when is_pid(Pid) -> {ok, Pid};
        {ok, _} -> {error, not_found};
        {error, _} = Error -> Error
    end.

%% @doc All of them, from the mirror.
-spec names() -> {ok, [term()]} | {error, not_running}.
names() ->
    try remora_state:is_up() andalso ets:select(remora_names, [{{'$1', '_'}, [], ['$1']}]) of
        false -> {error, not_running};
        Names -> {ok, Names}
    catch error:badarg -> {error, not_running}
    end.

%% @doc Until a process has the name, for at most so many ms. A companion that goes away meanwhile is waited for.
-spec await(term(), timeout()) -> {ok, pid()} | {error, timeout | not_running}.
await(Name, Timeout) ->
    case whereis(Name) of
        {error, not_found} -> await_event(Name, remora_door:deadline(Timeout));
        Result -> Result
    end.

%% First listened, then looked: what comes in between is in the mailbox.
await_event(Name, Deadline) ->
    case remora_intents:subscribe({name, Name}, self()) of
        {ok, Ref} ->
            Result = look_and_wait(Name, Ref, Deadline),
            _ = unsubscribe(Ref),
            Result;
        {error, _} = Error -> Error
    end.

look_and_wait(Name, Ref, Deadline) ->
    case whereis(Name) of
        {ok, _} = Found -> Found;
        {error, _} ->
            receive {remora_registry, Ref, _} -> look_and_wait(Name, Ref, Deadline)
            after remora_door:left(Deadline) -> {error, timeout}
            end
    end.

%% ---- changes ----------------------------------------------------------------------------------------------------------

%% @doc The calling process gets `{remora_registry, Ref, {registered, Name, Pid} | {unregistered, Name}}' for each change
%% from here on. It outlives companions: when one is back, what is different is told.
-spec subscribe() -> {ok, reference()} | {error, not_running}.
subscribe() -> remora_intents:subscribe(names, self()).

%% @doc No more of them. Those that are in the caller's mailbox are taken out.
-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) ->
    Result = remora_intents:unsubscribe(Ref),
    flush(Ref),
    Result.

flush(Ref) ->
    receive {remora_registry, Ref, _} -> flush(Ref)
    after 0 -> ok
    end.

%% ---- via --------------------------------------------------------------------------------------------------------------

%% @doc `no' for whatever reason; {@link register/2} says which.
-spec register_name(term(), pid()) -> yes | no.
register_name(Name, Pid) ->
    case register(Name, Pid) of
        ok -> yes;
        {error, _} -> no
    end.

-spec unregister_name(term()) -> ok.
unregister_name(Name) ->
    _ = unregister(Name),
    ok.

-spec whereis_name(term()) -> pid() | undefined.
whereis_name(Name) ->
    case whereis(Name) of
        {ok, Pid} -> Pid;
        {error, _} -> undefined
    end.

%% @doc Exits `{badarg, {Name, Message}}' where nobody has the name, as global:send/2.
-spec send(term(), term()) -> pid().
send(Name, Message) ->
    case whereis(Name) of
        {ok, Pid} -> Pid ! Message, Pid;
        {error, _} -> exit({badarg, {Name, Message}})
    end.
