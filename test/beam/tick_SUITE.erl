%% tick_SUITE: keep-alive (protocol 3.2; checklist line "ticks"). Every node runs with a net_ticktime of 4 s:
%% ticks each second, silence noticed after 3 to 5 s. These cases wait because time is what they are about;
%% all of a group run at once.
-module(tick_SUITE).
-define(PARALLEL, true).
-include("suite.hrl").

-define(TICKTIME, 4).
-define(NOTICED_MS, 5_000 + 1_500).

cases() ->
    [idle_connection_stays, raw_ticks_arrive, silent_peer_is_dropped, ticks_alone_keep_it, frozen_peer_is_dropped,
     frozen_node_is_dropped_and_returns, only_they_send, only_we_send].

peers() -> [#{ticktime => ?TICKTIME}].

nut_opts(_) -> #{ticktime => ?TICKTIME}.

idle_connection_stays(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        pong = net_adm:ping(Node),
        monitor_node(Node, true),
        ?assertEqual(up, receive {nodedown, Node} -> down after 3 * ?TICKTIME * 1000 -> up end)
    end).

%% One tick for each quarter of the ticktime in which nothing else was written.
raw_ticks_arrive(Config) ->
    Conn = connection(Config),
    Ticks = count_ticks(Conn, 2 * ?TICKTIME * 1000),
    ?assert(Ticks >= 4),
    ?assert(Ticks =< 10),
    raw_dist:close(Conn).

silent_peer_is_dropped(Config) ->
    Conn = connection(Config),
    {Ms, Closed} = elapsed(fun() -> raw_dist:closed(Conn, 2 * ?NOTICED_MS) end),
    ?assert(Closed),
    ?assert(Ms >= 2_500),
    ?assert(Ms =< ?NOTICED_MS).

ticks_alone_keep_it(Config) ->
    Conn = connection(Config),
    each_second(3 * ?TICKTIME, fun() -> ok = raw_dist:tick(Conn) end),
    ?assertNot(raw_dist:closed(Conn, 0)),
    echo(Conn).

frozen_peer_is_dropped(Config) ->
    #{node := Node} = nut(Config),
    Peer = #{node := PeerNode} =
        remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("frozen"), ticktime => ?TICKTIME,
                                                       release => maps:get(release, peer(1, Config))}),
    connect(Peer, nut(Config)),
    Knows = fun() -> lists:member(PeerNode, rcall(peer(1, Config), rpc, call, [Node, erlang, nodes, []])) end,
    wait_until(Knows, 2_000),
    remora_ct:freeze(Peer),
    {Ms, _} = elapsed(fun() -> wait_until(fun() -> not Knows() end, 2 * ?NOTICED_MS) end),
    remora_ct:stop(Peer),
    ?assert(Ms >= 2_500),
    ?assert(Ms =< ?NOTICED_MS).

frozen_node_is_dropped_and_returns(Config) ->
    Nut = #{node := Node} = nut(Config),
    Peer = peer(1, Config),
    connect(Peer, Nut),
    remora_ct:freeze(Nut),
    {Ms, _} = elapsed(fun() ->
        wait_until(fun() -> not lists:member(Node, rcall(Peer, erlang, nodes, [])) end, 2 * ?NOTICED_MS)
    end),
    remora_ct:thaw(Nut),
    wait_until(fun() -> pong =:= rcall(Peer, net_adm, ping, [Node]) end, 10_000),
    ?assert(Ms =< ?NOTICED_MS).

%% We only receive, so our ticks are what keeps the connection on their side.
only_they_send(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        pong = net_adm:ping(Node),
        monitor_node(Node, true),
        each_second(3 * ?TICKTIME, fun() -> {sink, Node} ! traffic end),
        ?assertEqual(up, receive {nodedown, Node} -> down after 0 -> up end),
        ?assert(gen_server:call({sink, Node}, count) >= 3 * ?TICKTIME)
    end).

%% A peer that never writes anything but is written to all the time is as silent as any other.
only_we_send(Config) ->
    Conn = #{name := Name, creation := Creation} = connection(Config),
    Self = raw_dist:pid(Name, Creation, 1),
    #{node := Node} = nut(Config),
    Writer = rcall(peer(1, Config), erlang, spawn, [?MODULE, write_to, [Node, Self]]),
    {Ms, Closed} = elapsed(fun() -> raw_dist:closed(Conn, 2 * ?NOTICED_MS) end),
    rcall(peer(1, Config), erlang, exit, [Writer, kill]),
    ?assert(Closed),
    ?assert(Ms =< ?NOTICED_MS).

%% The echo answers to whoever the message names: here a process of the raw node.
write_to(Node, Pid) ->
    {echo, Node} ! {Pid, traffic},
    receive after 200 -> write_to(Node, Pid) end.

%% ---- helpers ---------------------------------------------------------------------------------------

connection(Config) ->
    Name = list_to_atom(atom_to_list(remora_ct:unique("raw")) ++ "@127.0.0.1"),
    #{port := Port, node := Node} = nut(Config),
    {ok, Conn} = raw_dist:handshake(Port, #{name => Name, peer => Node, cookie => remora_ct:cookie(Config)}),
    Conn.

each_second(0, _) -> ok;
each_second(N, Do) ->
    Do(),
    receive after 1_000 -> each_second(N - 1, Do) end.

count_ticks(Conn, Ms) -> count_ticks(Conn, erlang:monotonic_time(millisecond) + Ms, 0).
count_ticks(Conn, Deadline, N) ->
    raw_dist:tick(Conn),
    case raw_dist:recv(Conn, max(0, Deadline - erlang:monotonic_time(millisecond))) of
        tick -> count_ticks(Conn, Deadline, N + 1);
        timeout -> N;
        closed -> error(closed);
        _ -> count_ticks(Conn, Deadline, N)
    end.

echo(Conn = #{name := Name, creation := Creation}) ->
    Self = raw_dist:pid(Name, Creation, 1),
    ok = raw_dist:send(Conn, {6, Self, '', echo}, {Self, hello}),
    ?assertMatch({{_, _, Self}, {echo, hello}}, raw_dist:recv_signal(Conn)).
