%% example_SUITE: the native service of test/examples/calc.cpp does for BEAM nodes what its head promises: a function,
%% a gen_server, a watch on a process of another node. It is the program that the README shows.
-module(example_SUITE).
-define(NO_NUT, true).
-include("suite.hrl").
-dialyzer({nowarn_function, counter/1}). % sys takes {Name, Node} too; its type forgets it

cases() ->
    [function, counter, counter_crashes, watches_until_exit, watches_nobody, watches_until_node_is_gone,
     leaves_in_order, says_what_is_wrong].

peers() -> [#{}, #{}].

function(Config) ->
    with_calc(Config, [], fun(#{node := Node}) ->
        on_each_peer(Config, fun() ->
            ?assertEqual(5, rpc:call(Node, calc, add, [2, 3])),
            ?assertEqual(5, erpc:call(Node, calc, add, [2, 3])),
            ?assertError({exception, badarg, _}, erpc:call(Node, calc, add, [two, 3])),
            ?assertError({exception, undef, [{calc, sub, [2, 3], []} | _]}, erpc:call(Node, calc, sub, [2, 3])),
            ?assert(lists:member(Node, nodes()))
        end)
    end).

counter(Config) ->
    with_calc(Config, [], fun(#{node := Node}) ->
        run(peer(1, Config), fun() ->
            ?assertEqual(1, gen_server:call({counter, Node}, next)),
            ?assertEqual(2, gen_server:call({counter, Node}, anything)),
            ?assertEqual(2, sys:get_state({counter, Node})),
            ?assertMatch({status, _, {module, _}, _}, sys:get_status({counter, Node}))
        end),
        ?assertEqual(3, rcall(peer(2, Config), gen_server, call, [{counter, Node}, next])),
        ?assertEqual(3, rcall(peer(2, Config), sys, get_state, [{counter, Node}]))
    end).

%% Its end is that of one process: watchers are told the reason, the node goes on.
counter_crashes(Config) ->
    with_calc(Config, [], fun(#{node := Node}) ->
        run(peer(1, Config), fun() ->
            process_flag(trap_exit, true),
            Counter = rpc:call(Node, erlang, whereis, [counter]),
            Ref = monitor(process, {counter, Node}),
            link(Counter),
            ?assertExit({crashed, {gen_server, call, [_, crash]}}, gen_server:call({counter, Node}, crash)),
            ?assertEqual({'DOWN', Ref, process, {counter, Node}, crashed}, receive M = {'DOWN', _, _, _, _} -> M end),
            ?assertEqual({'EXIT', Counter, crashed}, receive X = {'EXIT', _, _} -> X end),
            ?assertEqual(5, rpc:call(Node, calc, add, [2, 3]))
        end)
    end).

watches_until_exit(Config) ->
    [begin
         Greeter = rcall(Peer, erlang, spawn, [?MODULE, greeter, []]),
         true = rcall(Peer, erlang, register, [greeter, Greeter]),
         with_calc(Config, ["greeter", atom_to_list(Node)], fun(Calc) ->
             ?assertEqual({line, iolist_to_binary(io_lib:format("it answered {hello,~p}", [Node]))}, next_line(Calc)),
             rcall(Peer, erlang, exit, [Greeter, {shutdown, done}]),
             ?assertEqual({line, <<"it ended: {shutdown,done}">>}, next_line(Calc))
         end)
     end || Peer = #{node := Node} <- remora_ct:peers(Config)].

watches_nobody(Config) ->
    #{node := Node} = peer(1, Config),
    with_calc(Config, ["no_such_name", atom_to_list(Node)], fun(Calc) ->
        ?assertEqual({line, <<"it answered noproc">>}, next_line(Calc)),
        ?assertEqual({line, <<"it ended: noproc">>}, next_line(Calc))
    end).

watches_until_node_is_gone(Config) ->
    Peer = #{node := Node} =
        remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("gone"),
                                                       release => maps:get(release, peer(2, Config))}),
    true = run(Peer, fun() -> register(greeter, spawn(?MODULE, greeter, [])) end),
    with_calc(Config, ["greeter", atom_to_list(Node)], fun(Calc) ->
        {line, <<"it answered {hello,", _/binary>>} = next_line(Calc),
        remora_ct:kill(Peer),
        ?assertEqual({line, <<"it ended: noconnection">>}, next_line(Calc))
    end),
    remora_ct:stop(Peer).

leaves_in_order(Config) ->
    [begin
         Calc = #{node := Node} = start_calc(Config, []),
         true = run(Peer, fun() -> pong =:= net_adm:ping(Node) andalso lists:member(Node, nodes()) end),
         Asked = rcall(Peer, erlang, spawn, [?MODULE, await_nodedown, [Node]]),
         wait_until(fun() -> {ok, ready} =:= rcall(Peer, ?MODULE, ask, [Asked]) end, 5_000),
         Signal(Calc),
         ?assertEqual(0, remora_ct:await_exit(Calc, 10_000)),
         ?assertEqual({ok, {nodedown, Node}}, rcall(Peer, ?MODULE, ask, [Asked])),
         remora_ct:stop(Calc)
     end || Peer <- remora_ct:peers(Config), Signal <- [fun remora_ct:terminate/1, fun remora_ct:interrupt/1]].

await_nodedown(Node) ->
    monitor_node(Node, true),
    receive {From1, Ref1} -> From1 ! {Ref1, ready} end,
    receive {nodedown, Node} -> ok end,
    receive {From2, Ref2} -> From2 ! {Ref2, {nodedown, Node}} end.

ask(Pid) ->
    Ref = make_ref(),
    Pid ! {self(), Ref},
    receive {Ref, Answer} -> {ok, Answer} after 10_000 -> no_answer end.

says_what_is_wrong(Config) ->
    Calc = #{name := Name} = start_calc(Config, []),
    Refused = [{[], 2, "usage: calc"},
               {["nohost"], 1, "nohost is no node name"},
               {[Name], 1, "refused the name " ++ Name}],
    [begin
         Program = remora_ct:start_guarded(program(), Args, env(Config), log(Config, "refused")),
         ?assertEqual(Status, remora_ct:await_exit(Program, 10_000)),
         ?assertNotEqual(nomatch, string:find(lists:last(remora_ct:log_lines(Program)), Text)),
         remora_ct:stop(Program)
     end || {Args, Status, Text} <- Refused],
    ?assertEqual(0, remora_ct:stop(Calc)).

%% ---- helpers ---------------------------------------------------------------------------------------

greeter() ->
    receive {'$gen_call', From, hello} -> gen:reply(From, {hello, node()}) end,
    greeter().

with_calc(Config, Args, Fun) ->
    Calc = start_calc(Config, Args),
    try Fun(Calc) after ?assertEqual(0, remora_ct:stop(Calc)) end.

start_calc(Config, Args) ->
    Name = atom_to_list(remora_ct:unique("calc")) ++ "@127.0.0.1",
    Program = remora_ct:start_guarded(program(), [Name | Args], env(Config), log(Config, Name)),
    {line, <<"ready on port ", _/binary>>} = next_line(Program),
    Program#{name => Name, node => list_to_atom(Name)}.

next_line(Program) -> remora_ct:await_line(Program, 10_000).

program() -> os:getenv("REMORA_CALC").
env(Config) ->
    [{"REMORA_COOKIE", remora_ct:cookie(Config)}, {"ERL_EPMD_PORT", integer_to_list(remora_ct:epmd_port(Config))}].
log(Config, Name) -> filename:join(proplists:get_value(priv_dir, Config), Name ++ ".log").

on_each_peer(Config, Fun) -> [run(Peer, Fun) || Peer <- remora_ct:peers(Config)].
