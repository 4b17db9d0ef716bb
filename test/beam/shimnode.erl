%% shimnode: what shim_SUITE runs on a VM that has a companion: starting it for longer than one call, processes that
%% hold names and memberships, a logger handler that keeps what it gets, a process that keeps what it is sent.
-module(shimnode).
-behaviour(gen_server).

-export([start/1, stop/0, spawn_idle/1, kill/1, hear/1, heard/1, clear/1, forget/0, in_background/1, result/1, idle/0]).
-export([catch_logs/0, logs/0, release_logs/0, log/2]).
-export([load/2, load_result/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% ---- the companion --------------------------------------------------------------------------------------------------

%% The supervisor is linked to who starts it, and ends with it.
start(Options) ->
    Caller = self(),
    Ref = make_ref(),
    {Keeper, Monitor} = spawn_monitor(fun() ->
        Result = remora:start_link(Options),
        Caller ! {Ref, Result},
        case Result of
            {ok, Sup} -> unlink(Sup), keep(monitor(process, Sup));
            {error, _} -> ok
        end
    end),
    receive
        {Ref, Result} -> demonitor(Monitor, [flush]), Result;
        {'DOWN', Monitor, process, Keeper, Reason} -> {crashed, Reason}
    end.

keep(Monitor) -> receive {'DOWN', Monitor, process, _, _} -> ok end.

stop() -> remora:stop().

%% ---- processes ------------------------------------------------------------------------------------------------------

spawn_idle(Count) -> [spawn(?MODULE, idle, []) || _ <- lists:seq(1, Count)].
idle() -> receive stop -> ok end.

%% All that spawn_idle/1 and hear/1 have started.
forget() ->
    kill([Pid || Pid <- processes(), {_, Call} <- [process_info(Pid, initial_call)],
                 {_, {dictionary, Dictionary}} <- [{Call, process_info(Pid, dictionary)}],
                 Call =:= {?MODULE, idle, 0} orelse proplists:get_value('$initial_call', Dictionary) =:= {?MODULE, init, 1}]).

%% Runs Fun in a process whose result is asked for later.
in_background(Fun) -> spawn(fun() -> Result = Fun(), receive {result, From, Ref} -> From ! {Ref, Result} end end).

result(Pid) ->
    Ref = monitor(process, Pid),
    Pid ! {result, self(), Ref},
    receive
        {Ref, Result} -> demonitor(Ref, [flush]), Result;
        {'DOWN', Ref, process, Pid, Reason} -> {died, Reason}
    end.

kill(Pids) ->
    Monitors = [monitor(process, Pid) || Pid <- Pids],
    [exit(Pid, kill) || Pid <- Pids],
    [receive {'DOWN', M, process, _, _} -> ok end || M <- Monitors],
    ok.

%% A process that runs Fun first, which may subscribe, and keeps each message it gets. It answers calls too.
hear(Fun) ->
    {ok, Pid} = gen_server:start(?MODULE, [], []),
    {Pid, gen_server:call(Pid, {run, Fun})}.

%% In their order.
heard(Pid) -> gen_server:call(Pid, heard).
clear(Pid) -> gen_server:call(Pid, clear).

init([]) -> {ok, []}.
handle_call({run, Fun}, _From, Heard) -> {reply, Fun(), Heard};
handle_call(heard, _From, Heard) -> {reply, lists:reverse(Heard), Heard};
handle_call(clear, _From, _) -> {reply, ok, []};
handle_call({exit, Reason}, _From, _) -> exit(Reason);
handle_call(Request, _From, Heard) -> {reply, {answer, Request}, Heard}.
handle_cast(Message, Heard) -> {noreply, [Message | Heard]}.
handle_info(Message, Heard) -> {noreply, [Message | Heard]}.

%% ---- logger -----------------------------------------------------------------------------------------------------------

catch_logs() ->
    case ets:whereis(shimnode_logs) of
        undefined ->
            Holder = spawn(fun() -> ets:new(shimnode_logs, [named_table, public, ordered_set]), receive stop -> ok end end),
            wait(fun() -> ets:whereis(shimnode_logs) =/= undefined end),
            register(shimnode_logs, Holder);
        _ -> true = ets:delete_all_objects(shimnode_logs)
    end,
    logger:update_primary_config(#{level => debug}),
    _ = logger:remove_handler(shimnode),
    ok = logger:add_handler(shimnode, ?MODULE, #{level => debug}).

log(Event, _Config) -> ets:insert(shimnode_logs, {erlang:unique_integer([monotonic]), Event}).
logs() -> [Event || {_, Event} <- ets:tab2list(shimnode_logs)].

release_logs() ->
    ok = logger:remove_handler(shimnode),
    logger:update_primary_config(#{level => notice}),
    whereis(shimnode_logs) ! stop,
    ok.

wait(Fun) -> Fun() orelse (erlang:yield() andalso wait(Fun)).

%% ---- load -------------------------------------------------------------------------------------------------------------

%% Callers that go on until they are told; each keeps how often it got which kind of result, and its longest wait in ms.
load(Count, Call) -> [spawn(fun() -> caller(Call, #{}, 0) end) || _ <- lists:seq(1, Count)].

caller(Call, Kinds, Longest) ->
    receive
        {result, From, Ref} -> From ! {Ref, Kinds, Longest}
    after 0 ->
        Start = erlang:monotonic_time(millisecond),
        Kind = try Call() catch Class:Reason -> {crashed, Class, Reason} end,
        Waited = erlang:monotonic_time(millisecond) - Start,
        Kind =:= {error, not_running} andalso receive after 1 -> ok end,
        caller(Call, maps:update_with(Kind, fun(N) -> N + 1 end, 1, Kinds), max(Longest, Waited))
    end.

%% {[{Kind, Count}], LongestMs} of all.
load_result(Callers) ->
    Results = [begin
                   Ref = monitor(process, Pid),
                   Pid ! {result, self(), Ref},
                   receive
                       {Ref, Kinds, Longest} -> demonitor(Ref, [flush]), {Kinds, Longest};
                       {'DOWN', Ref, process, Pid, Reason} -> {#{{died, Reason} => 1}, 0}
                   end
               end || Pid <- Callers],
    All = lists:foldl(fun({Kinds, _}, Acc) ->
                          maps:fold(fun(K, N, A) -> maps:update_with(K, fun(M) -> M + N end, N, A) end, Acc, Kinds)
                      end, #{}, Results),
    {All, lists:max([Longest || {_, Longest} <- Results])}.
