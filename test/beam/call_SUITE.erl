%% call_SUITE: what other nodes call (protocol 5.1 to 5.4; checklist lines "ping", "rpc", "erpc" and
%% "gen_server"): net_kernel, rex, the functions behind rpc and erpc with every way to end, gen_server calls to
%% the process `echo', sys requests, and calls that time out or lose their node. Peer 1 and peer 2 are of
%% both releases in the mixed group; 25 and 27 tag calls differently, so each case runs on both.
-module(call_SUITE).
-include("suite.hrl").
-dialyzer({nowarn_function, sys_requests/1}). % sys takes {Name, Node} too; its type forgets it

cases() ->
    [ping_both_ways, net_kernel_requests, rpc_call, rpc_block_call, rpc_cast, rpc_async_call, rpc_multicall,
     rpc_sbcast_abcast, rex_requests, erpc_outcomes, erpc_cast_and_multicall, erpc_requests,
     erpc_timeout, undef_as_on_otp, listed_functions, gen_call_and_cast, gen_call_by_every_name, gen_call_noproc,
     gen_call_crash_and_stop, gen_multi_call, gen_call_timeout_leaves_nothing, sys_requests, sends_dial_on_demand,
     node_dies_during_calls, many_callers].

peers() -> [#{}, #{}].

nut_opts(_) -> #{}.

%% ---- net_kernel --------------------------------------------------------------------------------------

ping_both_ways(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual(pong, net_adm:ping(Node)),
        ?assert(lists:member(Node, nodes())),
        ?assertEqual(pong, rpc:call(Node, net_adm, ping, [node()])),
        ?assertEqual(pang, rpc:call(Node, net_adm, ping, ['nobody@127.0.0.1'])),
        ?assert(lists:member(node(), rpc:call(Node, erlang, nodes, [])))
    end).

net_kernel_requests(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual(yes, gen_server:call({net_kernel, Node}, {is_auth, node()})),
        ?assertEqual(Node, gen_server:call({net_kernel, Node}, nodename)),
        ?assertEqual(true, gen_server:call({net_kernel, Node}, longnames)),
        ?assertEqual(60_000, gen_server:call({net_kernel, Node}, ticktime)),
        {net_kernel, Node} ! {nothing, it, knows},
        ok = gen_server:cast({net_kernel, Node}, nothing_it_knows),
        ?assertEqual(yes, gen_server:call({net_kernel, Node}, {is_auth, node()}))
    end).

%% ---- rpc ----------------------------------------------------------------------------------------------

rpc_call(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual(Node, rpc:call(Node, erlang, node, [])),
        ?assertEqual(5, rpc:call(Node, calc, add, [2, 3])),
        ?assertEqual(1 bsl 100, gen_server:call({echo, Node}, {echo, 1 bsl 100})),
        ?assertEqual(ball, rpc:call(Node, calc, throw, [ball])),
        ?assertEqual({badrpc, {'EXIT', bye}}, rpc:call(Node, calc, exit, [bye])),
        ?assertMatch({badrpc, {'EXIT', {oops, [_ | _]}}}, rpc:call(Node, calc, crash, [oops])),
        ?assertMatch({badrpc, {'EXIT', {undef, _}}}, rpc:call(Node, nomod, nofun, [])),
        {badrpc, {'EXIT', {NoNumber, _}}} = rpc:call(Node, calc, add, [one, 1]),
        ?assert(lists:member(NoNumber, [badarith, badarg])) % of an operator there, of a C++ type here
    end).

rpc_block_call(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual(5, rpc:block_call(Node, calc, add, [2, 3])),
        ?assertMatch({badrpc, {'EXIT', {oops, _}}}, rpc:block_call(Node, calc, crash, [oops])),
        ?assertMatch({badrpc, {'EXIT', {undef, _}}}, rpc:block_call(Node, nomod, nofun, []))
    end).

%% A cast has no answer: its effect is seen at the process `echo'.
rpc_cast(Config) ->
    on_each_peer(Config, fun(Node) ->
        true = rpc:cast(Node, calc, add, [1, 2]),
        true = rpc:cast(Node, nomod, nofun, []),
        ?assertEqual(Node, rpc:call(Node, erlang, node, [])),
        ?assertEqual(nothing, next(0))
    end).

rpc_async_call(Config) ->
    on_each_peer(Config, fun(Node) ->
        Keys = [rpc:async_call(Node, calc, add, [I, 1]) || I <- lists:seq(1, 20)],
        ?assertEqual(lists:seq(2, 21), [rpc:yield(Key) || Key <- Keys])
    end).

rpc_multicall(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual({[node(), Node], []}, rpc:multicall([node(), Node], erlang, node, [])),
        ?assertEqual({[Node], ['nobody@127.0.0.1']}, rpc:multicall([Node, 'nobody@127.0.0.1'], erlang, node, []))
    end).

rpc_sbcast_abcast(Config) ->
    on_each_peer(Config, fun(Node) ->
        Before = gen_server:call({sink, Node}, count),
        ?assertEqual({[Node], []}, rpc:sbcast([Node], sink, hello)),
        ?assertEqual({[], [Node]}, rpc:sbcast([Node], no_such_name, hello)),
        abcast = rpc:abcast([Node], sink, hello),
        ?assertEqual(Before + 2, gen_server:call({sink, Node}, count))
    end).

%% As C nodes and old tools ask (protocol 5.3).
rex_requests(Config) ->
    on_each_peer(Config, fun(Node) ->
        {rex, Node} ! {self(), features_request},
        ?assertEqual({features_reply, Node, [erpc]}, next()),
        {rex, Node} ! {self(), {call, calc, add, [2, 3], user}},
        ?assertEqual({rex, 5}, next()),
        {rex, Node} ! {self(), {call, calc, add, [2, 3], group_leader()}},
        ?assertEqual({rex, 5}, next()),
        ?assertEqual(5, gen_server:call({rex, Node}, {call, calc, add, [2, 3], group_leader()})),
        ok = gen_server:cast({rex, Node}, {cast, calc, add, [2, 3], group_leader()}),
        {rex, Node} ! {self(), {send, no_such_name, hello}},
        ?assertEqual({rex, Node, {nonexisting_name, no_such_name}}, next()),
        {rex, Node} ! nothing_it_knows,
        ?assertEqual(Node, rpc:block_call(Node, erlang, node, []))
    end).

%% ---- erpc -----------------------------------------------------------------------------------------------

erpc_outcomes(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual(5, erpc:call(Node, calc, add, [2, 3])),
        ?assertThrow(ball, erpc:call(Node, calc, throw, [ball])),
        ?assertExit({exception, bye}, erpc:call(Node, calc, exit, [bye])),
        ?assertError({exception, oops, [_ | _]}, erpc:call(Node, calc, crash, [oops])),
        ?assertError({exception, undef, [{nomod, nofun, [1], []} | _]}, erpc:call(Node, nomod, nofun, [1])),
        Large = binary:copy(<<"large">>, 50_000),
        ?assertThrow(Large, erpc:call(Node, calc, throw, [Large])),
        ?assertEqual(nothing, next(0))
    end).

erpc_cast_and_multicall(Config) ->
    on_each_peer(Config, fun(Node) ->
        ok = erpc:cast(Node, calc, add, [2, 3]),
        ok = erpc:multicast([Node, node()], erlang, node, []),
        ?assertEqual([{ok, node()}, {ok, Node}], erpc:multicall([node(), Node], erlang, node, [])),
        ?assertMatch([{throw, ball}, {exit, {exception, bye}}, {error, {exception, oops, _}}],
                     [Outcome || {F, A} <- [{throw, ball}, {exit, bye}, {crash, oops}],
                                 Outcome <- erpc:multicall([Node], calc, F, [A])])
    end).

erpc_requests(Config) ->
    on_each_peer(Config, fun(Node) ->
        Requests = [erpc:send_request(Node, calc, add, [I, I]) || I <- lists:seq(1, 100)],
        ?assertEqual([2 * I || I <- lists:seq(1, 100)], [erpc:receive_response(R, 10_000) || R <- Requests])
    end).

%% The node stands still while it is asked; the answer that comes after the timeout is not seen.
erpc_timeout(Config) ->
    Nut = #{node := Node} = nut(Config),
    [begin
         connect(Peer, Nut),
         remora_ct:freeze(Nut),
         Pid = rcall(Peer, erlang, spawn, [?MODULE, timing_out, [Node]]),
         timeout = rcall(Peer, ?MODULE, ask, [Pid, outcome]),
         remora_ct:thaw(Nut),
         ?assertEqual({5, nothing}, rcall(Peer, ?MODULE, ask, [Pid, afterwards]))
     end || Peer <- remora_ct:peers(Config)].

timing_out(Node) ->
    Outcome = try erpc:call(Node, calc, add, [1, 1], 200) catch error:{erpc, Error} -> Error end,
    receive {From1, outcome} -> From1 ! {outcome, Outcome} end,
    receive {From2, afterwards} -> From2 ! {afterwards, {erpc:call(Node, calc, add, [2, 3]), next(0)}} end.

ask(Pid, What) ->
    Pid ! {self(), What},
    receive {What, Answer} -> Answer after 10_000 -> no_answer end.

undef_as_on_otp(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertError({exception, undef, [{os, nofun, ["ls"], []} | _]}, erpc:call(Node, os, nofun, ["ls"])),
        ?assertError({exception, undef, [{calc, add, [1, 2, 3], []} | _]}, erpc:call(Node, calc, add, [1, 2, 3]))
    end).

%% The functions that remora ships, with results of OTP's shape.
listed_functions(Config) ->
    on_each_peer(Config, fun(Node) ->
        Ask = fun(F, A) -> erpc:call(Node, erlang, F, A) end,
        ?assertEqual(Node, Ask(node, [])),
        ?assert(lists:member(node(), Ask(nodes, []))),
        ?assert(lists:member(node(), Ask(nodes, [connected]))),
        ?assertNot(lists:member(node(), Ask(nodes, [hidden]))),
        ?assertEqual([], [echo, sink, trapper, net_kernel, rex] -- Ask(registered, [])),
        Echo = Ask(whereis, [echo]),
        ?assertEqual(Node, node(Echo)),
        ?assertEqual(undefined, Ask(whereis, [no_such_name])),
        ?assert(lists:member(Echo, Ask(processes, []))),
        ?assertEqual(true, Ask(is_process_alive, [Echo])),
        ?assertEqual({registered_name, echo}, Ask(process_info, [Echo, registered_name])),
        ?assertEqual(echo, proplists:get_value(registered_name, Ask(process_info, [Echo]))),
        ?assert(is_integer(Ask(system_info, [process_limit]))),
        ?assert(is_integer(proplists:get_value(total, Ask(memory, [])))),
        ?assert(is_integer(Ask(monotonic_time, []))),
        Dead = erpc:call(Node, calc, spawn_echo, []),
        ok = gen_server:call(Dead, stop),
        ?assert(wait_until(fun() -> not Ask(is_process_alive, [Dead]) end, 5_000)),
        ?assertEqual(undefined, Ask(process_info, [Dead]))
    end).

%% ---- gen_server ---------------------------------------------------------------------------------------

gen_call_and_cast(Config) ->
    on_each_peer(Config, fun(Node) ->
        Start = gen_server:call({echo, Node}, {get}),
        [gen_server:cast({echo, Node}, {add, I}) || I <- lists:seq(1, 100)],
        ?assertEqual(Start + 5050, gen_server:call({echo, Node}, {get})),
        ?assertEqual(Start + 5050, gen_server:call({echo, Node}, state)),
        {echo, Node} ! {self(), [any, "thing"]},
        ?assertEqual({echo, [any, "thing"]}, next())
    end).

gen_call_by_every_name(Config) ->
    on_each_peer(Config, fun(Node) ->
        Echo = rpc:call(Node, erlang, whereis, [echo]),
        ?assertEqual(by_name, gen_server:call({echo, Node}, {echo, by_name})),
        ?assertEqual(by_pid, gen_server:call(Echo, {echo, by_pid})),
        ?assertEqual(infinite, gen_server:call(Echo, {echo, infinite}, infinity)),
        Request = gen_server:send_request(Echo, {echo, request}),
        ?assertEqual({reply, request}, gen_server:wait_response(Request, 5_000))
    end).

gen_call_noproc(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertExit({noproc, {gen_server, call, [{no_such_name, Node}, x]}}, gen_server:call({no_such_name, Node}, x)),
        Dead = rpc:call(Node, calc, spawn_echo, []),
        ok = gen_server:call(Dead, stop),
        ?assertExit({Reason, _} when Reason =:= noproc; Reason =:= normal, gen_server:call(Dead, {echo, x}))
    end).

gen_call_crash_and_stop(Config) ->
    on_each_peer(Config, fun(Node) ->
        Crashing = rpc:call(Node, calc, spawn_echo, []),
        ?assertExit({{crashed, x}, {gen_server, call, [Crashing, crash]}}, gen_server:call(Crashing, crash)),
        Stopping = rpc:call(Node, calc, spawn_echo, []),
        Ref = monitor(process, Stopping),
        ?assertEqual(ok, gen_server:call(Stopping, stop)),
        ?assertEqual({'DOWN', Ref, process, Stopping, normal}, next())
    end).

%% 25 tags these calls {Ref, Node}, 27 [[alias | Alias] | Mon] with five words.
gen_multi_call(Config) ->
    on_each_peer(Config, fun(Node) ->
        ?assertEqual({[{Node, hello}], []}, gen_server:multi_call([Node], echo, {echo, hello})),
        ?assertEqual({[{Node, hello}], []}, gen_server:multi_call([Node], echo, {echo, hello}, 5_000)),
        ?assertEqual({[], [Node]}, gen_server:multi_call([Node], no_such_name, {echo, hello})),
        abcast = gen_server:abcast([Node], echo, {add, 0}),
        ?assertEqual(nothing, next(0))
    end).

gen_call_timeout_leaves_nothing(Config) ->
    Nut = #{node := Node} = nut(Config),
    [begin
         connect(Peer, Nut),
         remora_ct:freeze(Nut),
         Pid = rcall(Peer, erlang, spawn, [?MODULE, gen_timing_out, [Node]]),
         timeout = rcall(Peer, ?MODULE, ask, [Pid, outcome]),
         remora_ct:thaw(Nut),
         ?assertEqual({sync, nothing}, rcall(Peer, ?MODULE, ask, [Pid, afterwards]))
     end || Peer <- remora_ct:peers(Config)].

gen_timing_out(Node) ->
    Outcome = try gen_server:call({echo, Node}, {echo, late}, 200) catch exit:{Reason, _} -> Reason end,
    receive {From1, outcome} -> From1 ! {outcome, Outcome} end,
    receive {From2, afterwards} ->
        From2 ! {afterwards, {gen_server:call({echo, Node}, {echo, sync}), next(0)}}
    end.

%% sys:get_state of 27 crashes on the bare state that 25 answers, so OTP itself cannot do that pair.
sys_requests(Config) ->
    Release = maps:get(release, nut(Config), remora),
    Asking = [P || P = #{release := R} <- remora_ct:peers(Config), {Release, R} =/= {25, 27}],
    on_each(Asking, Config, fun(Node) ->
        Start = gen_server:call({echo, Node}, {get}),
        ?assertEqual(Start, sys:get_state({echo, Node})),
        gen_server:cast({echo, Node}, {add, 7}),
        ?assertEqual(Start + 7, sys:get_state({echo, Node})),
        ?assertMatch({status, _, {module, _}, [_ | _]}, sys:get_status({echo, Node})),
        ?assertEqual(ok, sys:suspend({echo, Node})),
        ?assertExit({timeout, _}, gen_server:call({echo, Node}, {echo, x}, 100)),
        ?assertEqual(ok, sys:resume({echo, Node})),
        ?assertEqual(awake, gen_server:call({echo, Node}, {echo, awake}))
    end).

%% ---- dialling, dying, many ------------------------------------------------------------------------------

%% The node under test knows peer 2 only from the name in the request.
sends_dial_on_demand(Config) ->
    #{node := Node} = nut(Config),
    Peer2 = #{node := Node2} = peer(2, Config),
    Name = remora_ct:unique("inbox"),
    Inbox = rcall(Peer2, erlang, spawn, [?MODULE, inbox, []]),
    true = rcall(Peer2, erlang, register, [Name, Inbox]),
    ok = rcall(peer(1, Config), gen_server, call, [{trapper, Node}, {send, {Name, Node2}, over_there}]),
    ?assertEqual(over_there, rcall(Peer2, ?MODULE, ask, [Inbox, last])),
    ok = rcall(peer(1, Config), gen_server, call, [{trapper, Node}, {send, Inbox, by_pid}]),
    ?assertEqual(by_pid, rcall(Peer2, ?MODULE, ask, [Inbox, last])),
    ?assert(lists:member(Node, rcall(Peer2, erlang, nodes, []))).

inbox() ->
    receive Msg when is_atom(Msg) ->
        receive {From, last} -> From ! {last, Msg} end,
        inbox()
    end.

node_dies_during_calls(Config) ->
    Nut = #{node := Node} = nut(Config),
    Peer = peer(1, Config),
    connect(Peer, Nut),
    remora_ct:freeze(Nut),
    Callers = [{rpc, fun() -> rpc:call(Node, calc, add, [1, 2]) end, {badrpc, nodedown}},
               {erpc, fun() -> try erpc:call(Node, calc, add, [1, 2]) catch error:E -> E end end, {erpc, noconnection}},
               {gen, fun() -> try gen_server:call({echo, Node}, x) catch exit:{E, _} -> E end end, {nodedown, Node}}],
    Pids = [{What, rcall(Peer, erlang, spawn, [?MODULE, calling, [Call]]), Expected} || {What, Call, Expected} <- Callers],
    [wait_until(fun() -> waiting(Peer, Pid) end, 5_000) || {_, Pid, _} <- Pids],
    remora_ct:kill(Nut),
    [?assertEqual({What, Expected}, {What, rcall(Peer, ?MODULE, ask, [Pid, outcome])}) || {What, Pid, Expected} <- Pids].

calling(Call) ->
    Outcome = Call(),
    receive {From, outcome} -> From ! {outcome, Outcome} end.

waiting(Peer, Pid) -> {status, waiting} =:= rcall(Peer, erlang, process_info, [Pid, status]).

many_callers(Config) ->
    on_each_peer(Config, fun(Node) ->
        Callers = [spawn_monitor(fun() ->
            [I = gen_server:call({echo, Node}, {echo, I}) || I <- lists:seq(1, 200)],
            [Node = rpc:call(Node, erlang, node, []) || _ <- lists:seq(1, 20)]
        end) || _ <- lists:seq(1, 50)],
        [?assertEqual({'DOWN', Ref, process, Pid, normal}, receive {'DOWN', Ref, _, _, _} = Down -> Down end)
         || {Pid, Ref} <- Callers]
    end).

%% ---- helpers ---------------------------------------------------------------------------------------

on_each_peer(Config, Fun) -> on_each(remora_ct:peers(Config), Config, Fun).
on_each(Peers, Config, Fun) ->
    #{node := Node} = nut(Config),
    [run(Peer, fun() ->
         ?assertEqual(pong, net_adm:ping(Node)),
         Fun(Node)
     end) || Peer <- Peers].

next() -> next(10_000).
next(Timeout) -> receive Msg -> Msg after Timeout -> nothing end.
