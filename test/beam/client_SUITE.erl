%% client_SUITE: the node under test as a client of OTP nodes: calls, rpc, spawns and dialling on demand, with OTP's
%% own error values (protocol 3.7, 3.11, 5.1, 5.4). Driven by rpc to its client:* functions; only remora has them.
-module(client_SUITE).
-include("suite.hrl").

cases() ->
    [call_answers, call_no_process, call_timeout_leaves_nothing, call_server_dies, call_no_node, call_node_dies,
     rpc_outcomes, rpc_timeout, rpc_no_node, spawn_and_see_it_end, dials_on_demand, dial_unknown].

peers() -> [#{}, #{}].

nut_opts(_) -> #{}.

call_answers(Config) ->
    driven(Config, fun(Client, Peer) ->
        Pid = server(Peer),
        ?assertEqual({ok, {got, hello}}, Client(call, [Pid, hello, 5_000])),
        ?assertEqual({ok, {got, 1 bsl 100}}, Client(call, [{served, Peer}, 1 bsl 100, 5_000])),
        Big = binary:copy(<<"0123456789abcdef">>, 1 bsl 18),
        ?assertEqual({ok, {got, Big}}, Client(call, [Pid, Big, 20_000]))
    end).

call_no_process(Config) ->
    driven(Config, fun(Client, Peer) ->
        Dead = server(Peer),
        exit(Dead, kill),
        ?assertEqual({error, noproc}, Client(call, [{no_such_name, Peer}, hello, 5_000])),
        ?assertEqual({error, noproc}, Client(call, [Dead, hello, 5_000]))
    end).

%% What answers too late must not turn up anywhere: the process that called is asked for its messages afterwards.
call_timeout_leaves_nothing(Config) ->
    driven(Config, fun(Client, Peer) ->
        Pid = server(Peer),
        ?assertEqual({error, timeout}, Client(call, [Pid, {late, 100}, 20])),
        ?assertEqual({ok, {got, again}}, Client(call, [Pid, again, 5_000]))
    end).

call_server_dies(Config) ->
    driven(Config, fun(Client, Peer) ->
        ?assertEqual({error, {oops, 1}}, Client(call, [server(Peer), {die, {oops, 1}}, 5_000]))
    end).

call_no_node(Config) ->
    driven(Config, fun(Client, _) ->
        ?assertEqual({error, {nodedown, 'nobody@127.0.0.1'}}, Client(call, [{served, 'nobody@127.0.0.1'}, hello, 5_000]))
    end).

call_node_dies(Config) ->
    Victim = remora_ct:start_peer((remora_ct:opts(Config))#{name => unique("victim"), release => 25}),
    #{node := VictimNode} = Victim,
    driven(Config, fun(Client, _) ->
        true = Client(connect, [VictimNode]),
        Self = self(),
        spawn_link(fun() -> Self ! {answer, Client(call, [{init, VictimNode}, hello, 10_000])} end),
        Self ! ready,
        receive ready -> ok end,
        ok = erpc:call(VictimNode, fun() -> ok end),
        erpc:cast(VictimNode, erlang, halt, [0, [{flush, false}]]),
        ?assertEqual({error, {nodedown, VictimNode}}, receive {answer, A} -> A after 10_000 -> none end)
    end),
    remora_ct:kill(Victim).

rpc_outcomes(Config) ->
    driven(Config, fun(Client, Peer) ->
        Rpc = fun(M, F, A) -> Client(rpc, [Peer, M, F, A, 5_000]) end,
        ?assertEqual({ok, Peer}, Rpc(erlang, node, [])),
        ?assertEqual({ok, [3, 2, 1]}, Rpc(lists, reverse, [[1, 2, 3]])),
        ?assertMatch({error, {error, {exception, undef, [{no, such, [1], []} | _]}}}, Rpc(no, such, [1])),
        ?assertMatch({error, {error, {exception, badarg, [_ | _]}}}, Rpc(erlang, atom_to_list, [1])),
        ?assertEqual({error, {throw, ball}}, Rpc(erlang, throw, [ball])),
        ?assertEqual({error, {exit, {exception, bye}}}, Rpc(erlang, exit, [bye]))
    end).

rpc_timeout(Config) ->
    driven(Config, fun(Client, Peer) ->
        ?assertEqual({error, {error, {erpc, timeout}}}, Client(rpc, [Peer, timer, sleep, [5_000], 50]))
    end).

rpc_no_node(Config) ->
    driven(Config, fun(Client, _) ->
        ?assertEqual({error, {error, {erpc, noconnection}}}, Client(rpc, ['nobody@127.0.0.1', erlang, node, [], 5_000]))
    end).

spawn_and_see_it_end(Config) ->
    driven(Config, fun(Client, Peer) ->
        {ok, Pid} = Client(spawn, [Peer, timer, sleep, [60_000], none]),
        ?assertEqual(Peer, node(Pid)),
        exit(Pid, kill),
        ?assertMatch({ok, P, {'DOWN', _, process, P, normal}}, Client(spawn, [Peer, erlang, node, [], monitor])),
        ?assertMatch({ok, P, {'EXIT', P, bye}}, Client(spawn, [Peer, erlang, exit, [bye], link])),
        ?assertEqual({error, noconnection}, Client(spawn, ['nobody@127.0.0.1', erlang, node, [], none]))
    end).

%% A call to a node that it never heard of dials that node, and it is a visible peer from then on.
dials_on_demand(Config) ->
    #{node := Other} = peer(2, Config),
    #{node := Node} = nut(Config),
    driven(Config, fun(Client, _) ->
        ?assertNot(lists:member(Other, erpc:call(Node, erlang, nodes, []))),
        ?assertEqual({ok, Other}, Client(rpc, [Other, erlang, node, [], 5_000])),
        ?assert(lists:member(Other, erpc:call(Node, erlang, nodes, [])))
    end),
    ?assert(lists:member(Node, rcall(peer(2, Config), erlang, nodes, []))).

dial_unknown(Config) ->
    driven(Config, fun(Client, _) -> ?assertEqual(false, Client(connect, ['nobody@127.0.0.1'])) end).

%% Runs Fun(Client, PeerNode) on the first peer; Client(F, A) calls client:F there.
driven(Config, Fun) ->
    case remora_ct:nut_kind() of
        remora ->
            #{node := Node} = nut(Config),
            #{node := Peer} = First = peer(1, Config),
            remora_ct:load(First, [?MODULE]),
            run(First, fun() -> Fun(fun(F, A) -> erpc:call(Node, client, F, A, 30_000) end, Peer) end);
        beam ->
            {skip, "only remora has client:*"}
    end.

unique(Prefix) -> remora_ct:unique(Prefix).

%% On the peer: a process that answers gen calls by hand.
server(_Peer) ->
    Pid = spawn(fun serve/0),
    catch unregister(served),
    register(served, Pid),
    Pid.

serve() ->
    receive
        {'$gen_call', _, {die, Reason}} -> exit(Reason);
        {'$gen_call', From, {late, Ms}} ->
            receive after Ms -> gen:reply(From, late) end,
            serve();
        {'$gen_call', From, Request} ->
            gen:reply(From, {got, Request}),
            serve()
    end.
