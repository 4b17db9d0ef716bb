%% testnode: what the suites talk to on a node under test, for the case that it is a beam. remora's testnode
%% program has the same processes natively, so every case says what both must do.
%%
%%   echo     a gen_server with an integer as its state; spawn_echo/0 starts more of them without a name
%%              {From, Msg}             -> From ! {echo, Msg}
%%              call {echo, X}          -> X
%%              call {get} | state      -> the integer      cast {add, N}  adds to it
%%              call stop               -> ok, then exits normal
%%              call crash              -> exits {crashed, x}
%%   sink     takes everything;  call count -> number of messages so far
%%   trapper  traps exits and keeps all that it receives
%%              call log                -> what arrived since the last `log', in order
%%              call {link, Pid} {unlink, Pid} {demonitor, Ref} {send, Dest, Msg} {exit, Pid, Reason} -> ok
%%              call {monitor, PidOrNameNode} -> Ref
-module(testnode).
-behaviour(gen_server).
-export([start/0, spawn_echo/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

start() ->
    [{ok, _} = gen_server:start({local, Role}, ?MODULE, Role, []) || Role <- [echo, sink, trapper]],
    ok.

spawn_echo() ->
    {ok, Pid} = gen_server:start(?MODULE, echo, []),
    Pid.

%% The state of an echo is its integer alone: sys:get_state/1 must show just that.
init(echo) -> {ok, 0};
init(sink) -> {ok, {sink, 0}};
init(trapper) ->
    process_flag(trap_exit, true),
    {ok, {trapper, []}}.

handle_call(count, _, {sink, N}) -> {reply, N, {sink, N}};
handle_call(log, _, {trapper, Log}) -> {reply, lists:reverse(Log), {trapper, []}};
handle_call(Request, _, {trapper, Log}) -> {reply, trapper(Request), {trapper, Log}};
handle_call({echo, X}, _, N) -> {reply, X, N};
handle_call({get}, _, N) -> {reply, N, N};
handle_call(state, _, N) -> {reply, N, N};
handle_call(stop, _, N) -> {stop, normal, ok, N};
handle_call(crash, _, _) -> exit({crashed, x}).

trapper({link, Pid}) -> link(Pid), ok;
trapper({unlink, Pid}) -> unlink(Pid), ok;
trapper({monitor, What}) -> monitor(process, What);
trapper({demonitor, Ref}) -> demonitor(Ref), ok;
trapper({send, Dest, Msg}) -> Dest ! Msg, ok;
trapper({exit, Pid, Reason}) -> exit(Pid, Reason), ok.

handle_cast(_, {sink, N}) -> {noreply, {sink, N + 1}};
handle_cast({add, M}, N) when is_integer(N) -> {noreply, N + M};
handle_cast(_, State) -> {noreply, State}.

handle_info(_, {sink, N}) -> {noreply, {sink, N + 1}};
handle_info(Msg, {trapper, Log}) -> {noreply, {trapper, [Msg | Log]}};
handle_info({From, Msg}, N) when is_pid(From) -> From ! {echo, Msg}, {noreply, N};
handle_info(_, State) -> {noreply, State}.
