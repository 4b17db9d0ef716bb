%% link_SUITE: links and monitors across the connection, and what is said when it is lost (protocol 3.5, 3.6,
%% 3.8 to 3.10; checklist line "links"). The far end of most cases is an unnamed echo process of the node under
%% test (calc:spawn_echo/0); `trapper' shows what a process over there receives.
-module(link_SUITE).
-include("suite.hrl").

cases() ->
    [linked_normal_end, linked_crash, linked_kill, exit_signals, link_to_dead, our_end_reaches_theirs, large_reasons,
     unlinked_is_silent, unlink_relink_races, unlink_id_is_always_acknowledged, trapper_links_and_unlinks,
     monitor_by_pid, monitor_by_name, monitor_noproc, demonitor_crossing_exit, trapper_monitors,
     stale_identifiers, unknown_ones_are_ignored, group_leader_signal, order_on_loss_seen_by_otp,
     order_on_loss_seen_by_the_nut, exit_without_payload_flag].

peers() -> [#{}].

nut_opts(_) -> #{}.

%% ---- links -----------------------------------------------------------------------------------------

linked_normal_end(Config) ->
    on_echo(Config, fun(Echo) ->
        link(Echo),
        ok = gen_server:call(Echo, stop),
        ?assertEqual({'EXIT', Echo, normal}, next())
    end).

linked_crash(Config) ->
    on_echo(Config, fun(Echo) ->
        link(Echo),
        ?assertExit({{crashed, x}, _}, gen_server:call(Echo, crash)),
        ?assertEqual({'EXIT', Echo, {crashed, x}}, next())
    end).

linked_kill(Config) ->
    on_echo(Config, fun(Echo) ->
        link(Echo),
        exit(Echo, kill),
        ?assertEqual({'EXIT', Echo, killed}, next())
    end).

%% `normal' from another process ends nobody; any other reason ends who does not trap exits.
exit_signals(Config) ->
    on_echo(Config, fun(Echo) ->
        Ref = monitor(process, Echo),
        exit(Echo, normal),
        ?assertEqual(still_here, gen_server:call(Echo, {echo, still_here})),
        exit(Echo, {any, [<<"term">>]}),
        ?assertEqual({'DOWN', Ref, process, Echo, {any, [<<"term">>]}}, next())
    end).

link_to_dead(Config) ->
    on_echo(Config, fun(Echo) ->
        ok = gen_server:call(Echo, stop),
        down(Echo),
        link(Echo),
        ?assertEqual({'EXIT', Echo, noproc}, next())
    end).

our_end_reaches_theirs(Config) ->
    on_echo(Config, fun(Echo) ->
        Ref = monitor(process, Echo),
        {Pid1, Ref1} = spawn_monitor(fun() -> link(Echo), gen_server:call(Echo, {echo, sync}) end),
        ?assertEqual({'DOWN', Ref1, process, Pid1, normal}, next()),
        ?assertEqual(still_here, gen_server:call(Echo, {echo, still_here})),
        {Pid2, Ref2} = spawn_monitor(fun() -> link(Echo), exit(boom) end),
        Both = lists:sort([next(), next()]),
        ?assertEqual(lists:sort([{'DOWN', Ref2, process, Pid2, boom}, {'DOWN', Ref, process, Echo, boom}]), Both)
    end).

%% Reasons of several fragments, there and back.
large_reasons(Config) ->
    on_echo(Config, fun(Echo) ->
        Reason = {large, binary:copy(<<"reason">>, 50_000)},
        Ref = monitor(process, Echo),
        link(Echo),
        exit(Echo, Reason),
        Two = [next(), next()],
        ?assert(lists:member({'EXIT', Echo, Reason}, Two)),
        ?assert(lists:member({'DOWN', Ref, process, Echo, Reason}, Two))
    end).

unlinked_is_silent(Config) ->
    on_echo(Config, fun(Echo) ->
        Ref = monitor(process, Echo),
        link(Echo),
        unlink(Echo),
        ok = gen_server:call(Echo, stop),
        ?assertEqual({'DOWN', Ref, process, Echo, normal}, next()),
        ?assertEqual(nothing, next(0))
    end).

%% Links are counted neither here nor there: after any number of turns one exit signal, or none.
unlink_relink_races(Config) ->
    on_echo(Config, fun(Echo) ->
        [begin link(Echo), unlink(Echo) end || _ <- lists:seq(1, 500)],
        link(Echo),
        link(Echo),
        ?assertEqual(sync, gen_server:call(Echo, {echo, sync})),
        exit(Echo, bang),
        ?assertEqual({'EXIT', Echo, bang}, next()),
        ?assertEqual(nothing, next(100))
    end),
    on_echo(Config, fun(Echo) ->
        Ref = monitor(process, Echo),
        [begin link(Echo), unlink(Echo) end || _ <- lists:seq(1, 500)],
        exit(Echo, bang),
        ?assertEqual({'DOWN', Ref, process, Echo, bang}, next()),
        ?assertEqual(nothing, next(100))
    end).

%% {35, Id, From, To} gets {36, Id, To, From}: linked, never linked, dead.
unlink_id_is_always_acknowledged(Config) ->
    Conn = connection(Config),
    Self = self_of(Conn),
    Echo = spawn_echo(Config),
    ok = raw_dist:send(Conn, {1, Self, Echo}),
    [begin
         ok = raw_dist:send(Conn, {35, Id, Self, Echo}),
         ?assertEqual({36, Id, Echo, Self}, raw_dist:recv_signal(Conn))
     end || Id <- [1, 2, 1 bsl 63, 3]],
    run(peer(1, Config), fun() -> exit(Echo, kill), down(Echo) end),
    ok = raw_dist:send(Conn, {35, 9, Self, Echo}),
    ?assertEqual({36, 9, Echo, Self}, raw_dist:recv_signal(Conn)).

trapper_links_and_unlinks(Config) ->
    Trapper = {trapper, maps:get(node, nut(Config))},
    run(peer(1, Config), fun() ->
        [begin
             {Pid, Ref} = spawn_monitor(fun() -> receive {end_as, R} -> exit(R) end end),
             ok = gen_server:call(Trapper, {link, Pid}),
             ?assertMatch({links, [_]}, wait_links(Pid)),
             Pid ! {end_as, Reason},
             {'DOWN', Ref, process, Pid, Reason} = next(),
             ?assertEqual([{'EXIT', Pid, Reason}], log(Trapper, 1))
         end || Reason <- [normal, shutdown, {some, reason}, binary:copy(<<"large">>, 40_000)]],
        {Pid, Ref} = spawn_monitor(fun() -> receive {end_as, R} -> exit(R) end end),
        ok = gen_server:call(Trapper, {link, Pid}),
        ok = gen_server:call(Trapper, {unlink, Pid}),
        wait_until(fun() -> {links, []} =:= process_info(Pid, links) end, 5_000),
        Pid ! {end_as, silent},
        {'DOWN', Ref, process, Pid, silent} = next(),
        ok = gen_server:call(Trapper, {link, Pid}),
        ?assertEqual([{'EXIT', Pid, noproc}], log(Trapper, 1)),
        {Victim, VictimRef} = spawn_monitor(fun() -> receive never -> ok end end),
        ok = gen_server:call(Trapper, {exit, Victim, told}),
        ?assertEqual({'DOWN', VictimRef, process, Victim, told}, next())
    end).

wait_links(Pid) ->
    wait_until(fun() ->
        case process_info(Pid, links) of {links, []} -> false; Links -> Links end
    end, 5_000).

%% A peer without EXIT_PAYLOAD gets ops 3 and 21, with the reason inside.
exit_without_payload_flag(Config) ->
    Conn = connection(Config, raw_dist:flags() band bnot raw_dist:flag(exit_payload)),
    Self = self_of(Conn),
    Ref = raw_dist:ref(maps:get(name, Conn), 77, [1, 2, 3]),
    Echo = spawn_echo(Config),
    ok = raw_dist:send(Conn, {1, Self, Echo}),
    ok = raw_dist:send(Conn, {19, Self, Echo, Ref}),
    ok = raw_dist:send(Conn, {22, Self, Echo}, {Self, sync}),  % the end comes on another connection
    ?assertMatch({{_, _, Self}, {echo, sync}}, raw_dist:recv_signal(Conn)),
    run(peer(1, Config), fun() -> exit(Echo, gone), down(Echo) end),
    Two = lists:sort([raw_dist:recv_signal(Conn), raw_dist:recv_signal(Conn)]),
    ?assertEqual([{3, Echo, Self, gone}, {21, Echo, Self, Ref, gone}], lists:sort(Two)).

%% ---- monitors ----------------------------------------------------------------------------------------

monitor_by_pid(Config) ->
    [on_echo(Config, fun(Echo) ->
        Refs = [monitor(process, Echo), monitor(process, Echo)],
        catch gen_server:call(Echo, How),
        ?assertEqual(lists:sort([{'DOWN', Ref, process, Echo, Reason} || Ref <- Refs]), lists:sort([next(), next()]))
     end) || {How, Reason} <- [{stop, normal}, {crash, {crashed, x}}]].

monitor_by_name(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        Ref = monitor(process, {echo, Node}),
        ok = gen_server:call({echo, Node}, stop),
        ?assertEqual({'DOWN', Ref, process, {echo, Node}, normal}, next())
    end).

monitor_noproc(Config) ->
    #{node := Node} = nut(Config),
    on_echo(Config, fun(Echo) ->
        Ref1 = monitor(process, {nosuch, Node}),
        ?assertEqual({'DOWN', Ref1, process, {nosuch, Node}, noproc}, next()),
        exit(Echo, kill),
        down(Echo),
        Ref2 = monitor(process, Echo),
        ?assertEqual({'DOWN', Ref2, process, Echo, noproc}, next())
    end).

demonitor_crossing_exit(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        [begin
             Echo = rpc:call(Node, calc, spawn_echo, []),
             Ref = monitor(process, Echo),
             Keep = monitor(process, Echo),
             exit(Echo, crossing),
             demonitor(Ref, [flush]),
             ?assertEqual({'DOWN', Keep, process, Echo, crossing}, next()),
             ?assertEqual(nothing, next(0))
         end || _ <- lists:seq(1, 100)]
    end).

trapper_monitors(Config) ->
    Trapper = {trapper, maps:get(node, nut(Config))},
    run(peer(1, Config), fun() ->
        Wait = fun() -> receive {end_as, R} -> exit(R) end end,
        Pid = spawn(Wait),
        Ref = gen_server:call(Trapper, {monitor, Pid}),
        Pid ! {end_as, {some, reason}},
        ?assertEqual([{'DOWN', Ref, process, Pid, {some, reason}}], log(Trapper, 1)),
        Ref2 = gen_server:call(Trapper, {monitor, Pid}),
        ?assertEqual([{'DOWN', Ref2, process, Pid, noproc}], log(Trapper, 1)),
        Named = spawn(Wait),
        register(monitored, Named),
        Ref3 = gen_server:call(Trapper, {monitor, {monitored, node()}}),
        Named ! {end_as, normal},
        ?assertEqual([{'DOWN', Ref3, process, {monitored, node()}, normal}], log(Trapper, 1)),
        Quiet = spawn(Wait),
        Ref4 = gen_server:call(Trapper, {monitor, Quiet}),
        ok = gen_server:call(Trapper, {demonitor, Ref4}),
        down(Quiet, fun() -> Quiet ! {end_as, silent} end),
        ?assertEqual([], gen_server:call(Trapper, log))
    end).

%% ---- bad and stale identifiers (protocol 3.8) ----------------------------------------------------------

%% A pid of an earlier incarnation: watchers are told noproc with the pid as they said it, the rest is dropped.
stale_identifiers(Config) ->
    #{node := Node, creation := Creation} = nut(Config),
    Conn = connection(Config),
    Self = self_of(Conn),
    Old = raw_dist:pid(Node, Creation - 1, 100),
    Ref = raw_dist:ref(maps:get(name, Conn), 77, [1, 2, 3]),
    ok = raw_dist:send(Conn, {1, Self, Old}),
    ?assertEqual({{24, Old, Self}, noproc}, raw_dist:recv_signal(Conn)),
    ok = raw_dist:send(Conn, {19, Self, Old, Ref}),
    ?assertEqual({{28, Old, Self, Ref}, noproc}, raw_dist:recv_signal(Conn)),
    ok = raw_dist:send(Conn, {22, Self, Old}, hello),
    ok = raw_dist:send(Conn, {26, Self, Old}, kill),
    ok = raw_dist:send(Conn, {28, Self, Old, Ref}, gone),
    echo(Conn).

unknown_ones_are_ignored(Config) ->
    #{node := Node, creation := Creation} = nut(Config),
    Conn = connection(Config),
    Self = self_of(Conn),
    Echo = spawn_echo(Config),
    Ref = raw_dist:ref(maps:get(name, Conn), 77, [1, 2, 3]),
    TheirRef = raw_dist:ref(Node, Creation, [1, 2, 3]),
    ok = raw_dist:send(Conn, {20, Self, Echo, Ref}),
    ok = raw_dist:send(Conn, {20, Self, nosuch, Ref}),
    ok = raw_dist:send(Conn, {28, Self, Echo, TheirRef}, gone),
    ok = raw_dist:send(Conn, {33, Self, TheirRef}, to_no_alias),
    ok = raw_dist:send(Conn, {31, TheirRef, Echo, 0, badopt}),
    ok = raw_dist:send(Conn, {36, 77, Self, Echo}),
    ok = raw_dist:send(Conn, {24, Self, Echo}, without_link),
    ok = raw_dist:send(Conn, {6, Self, '', nosuch}, dropped),
    echo(Conn),
    ?assertEqual(here, rcall(peer(1, Config), gen_server, call, [Echo, {echo, here}])).

group_leader_signal(Config) ->
    on_echo(Config, fun(Echo) ->
        group_leader(self(), Echo),
        ?assertEqual(here, gen_server:call(Echo, {echo, here}))
    end).

%% ---- the connection is lost (protocol 3.10) --------------------------------------------------------------

%% Links first, then monitors, then nodedown: as one process of the surviving OTP node sees it.
order_on_loss_seen_by_otp(Config) ->
    Nut = #{node := Node} = nut(Config),
    Echo = spawn_echo(Config),
    Peer = peer(1, Config),
    Watcher = rcall(Peer, erlang, spawn, [?MODULE, watcher, [Node, Echo]]),
    ready = rcall(Peer, ?MODULE, ask, [Watcher, ready]),
    remora_ct:kill(Nut),
    Seen = wait_until(fun() ->
        case rcall(Peer, ?MODULE, ask, [Watcher, seen]) of [_, _, _, _] = Four -> Four; _ -> false end
    end, 10_000),
    rcall(Peer, erlang, exit, [Watcher, kill]),
    ?assertMatch([{'EXIT', Echo, noconnection}, {'DOWN', _, process, _, noconnection},
                  {'DOWN', _, process, _, noconnection}, {nodedown, Node}], Seen),
    ?assertEqual(lists:sort([Echo, {echo, Node}]), lists:sort([What || {'DOWN', _, _, What, _} <- Seen])).

%% Holds a link and monitors, answers questions, keeps everything else that arrives in order.
watcher(Node, Echo) ->
    process_flag(trap_exit, true),
    pong = net_adm:ping(Node),
    ok = net_kernel:monitor_nodes(true),  % monitor_node/2 was seen to say it before the DOWNs
    _ = monitor(process, {echo, Node}),
    link(Echo),
    _ = monitor(process, Echo),
    sync = gen_server:call(Echo, {echo, sync}),
    watcher_loop([]).

watcher_loop(Seen) ->
    receive
        {From, Ref, ready} -> From ! {Ref, ready}, watcher_loop(Seen);
        {From, Ref, seen} -> From ! {Ref, lists:reverse(Seen)}, watcher_loop(Seen);
        Msg -> watcher_loop([Msg | Seen])
    end.

ask(Pid, What) ->
    Ref = make_ref(),
    Pid ! {self(), Ref, What},
    receive {Ref, Answer} -> Answer after 10_000 -> timeout end.

order_on_loss_seen_by_the_nut(Config) ->
    Trapper = {trapper, maps:get(node, nut(Config))},
    Peer = peer(1, Config),
    Gone = #{node := GoneNode} = remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("gone"),
                                                                               release => maps:get(release, Peer)}),
    connect(Gone, nut(Config)),
    Linked = rcall(Gone, erlang, whereis, [init]),
    Watched = rcall(Gone, erlang, whereis, [kernel_sup]),
    run(Peer, fun() ->
        _ = gen_server:call(Trapper, {monitor, Watched}),
        _ = gen_server:call(Trapper, {monitor, {rex, GoneNode}}),
        ok = gen_server:call(Trapper, {link, Linked})
    end),
    wait_until(fun() -> {links, []} =/= rcall(Gone, erlang, process_info, [Linked, links]) end, 5_000),
    remora_ct:kill(Gone),
    remora_ct:stop(Gone),
    Log = run(Peer, fun() -> log(Trapper, 3) end),
    ?assertMatch([{'EXIT', Linked, noconnection}, {'DOWN', _, process, _, noconnection},
                  {'DOWN', _, process, _, noconnection}], Log),
    ?assertEqual(lists:sort([Watched, {rex, GoneNode}]), lists:sort([What || {'DOWN', _, _, What, _} <- Log])).

%% ---- helpers ---------------------------------------------------------------------------------------

%% Runs Fun(Echo) in a process of the peer that traps exits; Echo is a fresh process of the node under test.
on_echo(Config, Fun) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        process_flag(trap_exit, true),
        Fun(rpc:call(Node, calc, spawn_echo, []))
    end).

spawn_echo(Config) -> rcall(peer(1, Config), rpc, call, [maps:get(node, nut(Config)), calc, spawn_echo, []]).

next() -> next(10_000).
next(Timeout) -> receive Msg -> Msg after Timeout -> nothing end.

down(Pid) -> down(Pid, fun() -> ok end).
down(Pid, Do) ->
    Ref = monitor(process, Pid),
    Do(),
    receive {'DOWN', Ref, process, Pid, _} -> ok end.

log(Trapper, Count) -> log(Trapper, Count, [], erlang:monotonic_time(millisecond) + 10_000).
log(Trapper, Count, Sofar, Deadline) ->
    Log = Sofar ++ gen_server:call(Trapper, log),
    case length(Log) >= Count orelse erlang:monotonic_time(millisecond) > Deadline of
        true -> Log;
        false -> receive after 10 -> log(Trapper, Count, Log, Deadline) end
    end.

connection(Config) -> connection(Config, raw_dist:flags()).
connection(Config, Flags) ->
    Name = list_to_atom(atom_to_list(remora_ct:unique("raw")) ++ "@127.0.0.1"),
    #{port := Port, node := Node} = nut(Config),
    {ok, Conn} = raw_dist:handshake(Port, #{name => Name, peer => Node, cookie => remora_ct:cookie(Config),
                                            flags => Flags}),
    Conn.

self_of(#{name := Name, creation := Creation}) -> raw_dist:pid(Name, Creation, 1).

echo(Conn) ->
    Self = self_of(Conn),
    ok = raw_dist:send(Conn, {6, Self, '', echo}, {Self, hello}),
    ?assertMatch({{_, _, Self}, {echo, hello}}, raw_dist:recv_signal(Conn)).
