%% spawn_SUITE: processes spawned on the node under test (protocol 3.7; checklist line "spawn"). The functions
%% that may be spawned are those that may be called: module `calc' and a few of `erlang'.
-module(spawn_SUITE).
-include("suite.hrl").

cases() ->
    [spawn_monitor_normal, spawn_link_exit, spawn_error_has_stack, spawn_undef, crash_is_told_to_our_logger, spawn_badopt, spawn_with_options,
     request_reply_and_down, link_and_monitor_at_once, parent_end_reaches_child, parent_dead_before_reply,
     many_at_once, raw_request, raw_undef, old_pids_after_restart].

peers() -> [#{}].

nut_opts(_) -> #{}.

spawn_monitor_normal(Config) ->
    on_peer(Config, fun(Node) ->
        {Pid, Ref} = spawn_monitor(Node, calc, add, [1, 2]),
        ?assertEqual(Node, node(Pid)),
        ?assertEqual({'DOWN', Ref, process, Pid, normal}, next())
    end).

spawn_link_exit(Config) ->
    on_peer(Config, fun(Node) ->
        Pid = spawn_link(Node, calc, exit, [bye]),
        ?assertEqual({'EXIT', Pid, bye}, next())
    end).

spawn_error_has_stack(Config) ->
    on_peer(Config, fun(Node) ->
        {Pid, Ref} = spawn_monitor(Node, calc, crash, [oops]),
        ?assertMatch({'DOWN', Ref, process, Pid, {oops, [_ | _]}}, next()),
        {Pid2, Ref2} = spawn_monitor(Node, calc, throw, [ball]),
        ?assertMatch({'DOWN', Ref2, process, Pid2, {{nocatch, ball}, [_ | _]}}, next())
    end).

%% Not a failure of the spawn: the child starts and ends with undef.
spawn_undef(Config) ->
    on_peer(Config, fun(Node) ->
        {Pid, Ref} = spawn_monitor(Node, nomod, nofun, [1]),
        ?assertMatch({'DOWN', Ref, process, Pid, {undef, [{nomod, nofun, [1], []} | _]}}, next()),
        {Pid2, Ref2} = spawn_monitor(Node, calc, nofun, []),
        ?assertMatch({'DOWN', Ref2, process, Pid2, {undef, [{calc, nofun, [], []} | _]}}, next())
    end).

%% The group leader is ours, and so is the logger that hears how it ended; an exit is no crash.
crash_is_told_to_our_logger(Config) ->
    on_peer(Config, fun(Node) ->
        ok = logger:add_handler(crash, ?MODULE, #{config => #{tell => self()}}),
        {_, ExitRef} = spawn_monitor(Node, calc, exit, [bye]),
        ?assertMatch({'DOWN', ExitRef, process, _, bye}, next()),
        {Pid, Ref} = spawn_monitor(Node, calc, crash, [oops]),
        Two = [next(), next()],
        ok = logger:remove_handler(crash),
        [#{level := Level, msg := {Format, Args}, meta := Meta}] = [E || {event, E} <- Two],
        ?assertMatch([{'DOWN', Ref, process, Pid, {oops, _}}], [D || D <- Two, element(1, D) =:= 'DOWN']),
        ?assertEqual({error, "Error in process ~p on node ~p with exit value:~n~p~n"}, {Level, Format}),
        ?assertMatch([Pid, Node, {oops, [_ | _]}], Args),
        ?assertMatch(#{pid := Pid, gl := _, time := _, error_logger := #{emulator := true, tag := error}}, Meta)
    end).

%% As a handler of logger.
log(Event = #{meta := #{error_logger := #{emulator := true}}}, #{config := #{tell := Pid}}) -> Pid ! {event, Event};
log(_, _) -> ok.

spawn_badopt(Config) ->
    on_peer(Config, fun(Node) ->
        Ref = spawn_request(Node, calc, add, [1, 2], [foo]),
        ?assertEqual({spawn_reply, Ref, error, badopt}, next())
    end).

spawn_with_options(Config) ->
    on_peer(Config, fun(Node) ->
        Opts = [monitor, link, {priority, high}, {min_heap_size, 500}, {fullsweep_after, 5},
                {min_bin_vheap_size, 500}, {max_heap_size, 0}, {message_queue_data, off_heap}],
        {Pid, Ref} = spawn_opt(Node, calc, exit, [done], Opts),
        Two = lists:sort([next(), next()]),
        ?assertEqual(lists:sort([{'EXIT', Pid, done}, {'DOWN', Ref, process, Pid, done}]), Two)
    end).

request_reply_and_down(Config) ->
    on_peer(Config, fun(Node) ->
        Ref = spawn_request(Node, calc, exit, [soon], [monitor]),
        {spawn_reply, Ref, ok, Pid} = next(),
        ?assertEqual({'DOWN', Ref, process, Pid, soon}, next()),
        Tagged = spawn_request(Node, calc, add, [1, 2], [{reply_tag, mine}]),
        ?assertMatch({mine, Tagged, ok, _}, next())
    end).

link_and_monitor_at_once(Config) ->
    on_peer(Config, fun(Node) ->
        [begin
             {Pid, Ref} = spawn_opt(Node, calc, exit, [I], [monitor, link]),
             Two = lists:sort([next(), next()]),
             ?assertEqual(lists:sort([{'EXIT', Pid, I}, {'DOWN', Ref, process, Pid, I}]), Two)
         end || I <- lists:seq(1, 100)],
        ?assertEqual(nothing, next(0))
    end).

%% A child that lives: an echo, made by a call and then linked to a parent that ends.
parent_end_reaches_child(Config) ->
    on_peer(Config, fun(Node) ->
        Child = rpc:call(Node, calc, spawn_echo, []),
        Ref = monitor(process, Child),
        Parent = spawn(fun() -> link(Child), exit(parent_gone) end),
        ?assertEqual({'DOWN', Ref, process, Child, parent_gone}, next()),
        ?assertNot(is_process_alive(Parent))
    end).

%% The answer finds nobody: the requester's node takes the link and the monitor back, and nothing stays.
parent_dead_before_reply(Config) ->
    on_peer(Config, fun(Node) ->
        Before = length(rpc:call(Node, erlang, processes, [])),
        [spawn(fun() -> spawn_request(Node, calc, add, [1, 2], [link, monitor]) end) || _ <- lists:seq(1, 200)],
        pong = net_adm:ping(Node),
        ?assert(wait_until(fun() -> length(rpc:call(Node, erlang, processes, [])) =< Before end, 10_000)),
        ?assertEqual(3, rpc:call(Node, calc, add, [1, 2]))
    end).

many_at_once(Config) ->
    on_peer(Config, fun(Node) ->
        Refs = [spawn_request(Node, calc, exit, [I], [monitor]) || I <- lists:seq(1, 1000)],
        Pids = [receive {spawn_reply, Ref, ok, Pid} -> Pid after 10_000 -> none end || Ref <- Refs],
        ?assertEqual(1000, length(lists:usort(Pids))),
        Reasons = [receive {'DOWN', Ref, process, _, Reason} -> Reason after 10_000 -> none end || Ref <- Refs],
        ?assertEqual(lists:seq(1, 1000), Reasons)
    end).

%% SPAWN_REPLY comes first and has the flags of what was asked: 1 link, 2 monitor.
raw_request(Config) ->
    Conn = connection(Config),
    Self = self_of(Conn),
    [begin
         Ref = raw_dist:ref(maps:get(name, Conn), 77, [I, 2, 3]),
         ok = raw_dist:send(Conn, {29, Ref, Self, Self, {calc, exit, 1}, Opts}, [bye]),
         {31, Ref, Self, Flags, Child} = raw_dist:recv_signal(Conn),
         Ends = lists:sort([raw_dist:recv_signal(Conn) || _ <- Opts]),
         ?assertEqual(lists:sort([{{24, Child, Self}, bye} || link <- Opts]
                                 ++ [{{28, Child, Self, Ref}, bye} || monitor <- Opts]), Ends)
     end || {I, Opts, Flags} <- [{1, [], 0}, {2, [link], 1}, {3, [monitor], 2}, {4, [monitor, link], 3}]],
    Bad = raw_dist:ref(maps:get(name, Conn), 77, [9, 2, 3]),
    ok = raw_dist:send(Conn, {29, Bad, Self, Self, {calc, exit, 1}, [foo]}, [bye]),
    ?assertEqual({31, Bad, Self, 0, badopt}, raw_dist:recv_signal(Conn)).

%% References of five words, as 27 makes them for aliases, come back as they are.
raw_undef(Config) ->
    Conn = connection(Config),
    Self = self_of(Conn),
    Ref = raw_dist:ref(maps:get(name, Conn), 77, [1, 2, 3, 4, 5]),
    ok = raw_dist:send(Conn, {29, Ref, Self, Self, {nomod, nofun, 1}, [monitor]}, [x]),
    {31, Ref, Self, 2, Child} = signal_but_log(Conn),
    {{28, Child, Self, Ref}, Reason} = signal_but_log(Conn),
    ?assertMatch({undef, [{nomod, nofun, [x], []} | _]}, Reason).

%% The crash of a process with our group leader is also told to our logger_proxy; that is not asked here.
signal_but_log(Conn) ->
    case raw_dist:recv_signal(Conn) of
        {{6, _, _, logger_proxy}, _} -> signal_but_log(Conn);
        {{22, _, _}, {log, _, _, _, _}} -> signal_but_log(Conn);
        Signal -> Signal
    end.

%% What a peer still holds of the earlier incarnation is dead, and the new one is not hurt by it.
old_pids_after_restart(Config) ->
    Nut = #{node := Node} = nut(Config),
    Peer = peer(1, Config),
    Old = rcall(Peer, rpc, call, [Node, calc, spawn_echo, []]),
    remora_ct:kill(Nut),
    wait_until(fun() -> not lists:member(Node, rcall(Peer, erlang, nodes, [])) end, 5_000),
    Again = remora_ct:start_node_like_nut(Config, maps:get(opts, Nut)),
    run(Peer, fun() ->
        process_flag(trap_exit, true),
        Old ! {self(), to_nobody},
        exit(Old, kill),
        Ref = monitor(process, Old),
        ?assertEqual({'DOWN', Ref, process, Old, noproc}, next()),
        link(Old),
        ?assertEqual({'EXIT', Old, noproc}, next()),
        ?assertEqual(3, rpc:call(Node, calc, add, [1, 2])),
        ?assertEqual(nothing, next(0))
    end),
    remora_ct:stop(Again).

%% ---- helpers ---------------------------------------------------------------------------------------

on_peer(Config, Fun) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        process_flag(trap_exit, true),
        pong = net_adm:ping(Node),
        Fun(Node)
    end).

next() -> next(10_000).
next(Timeout) -> receive Msg -> Msg after Timeout -> nothing end.

connection(Config) ->
    Name = list_to_atom(atom_to_list(remora_ct:unique("raw")) ++ "@127.0.0.1"),
    #{port := Port, node := Node} = nut(Config),
    {ok, Conn} = raw_dist:handshake(Port, #{name => Name, peer => Node, cookie => remora_ct:cookie(Config)}),
    Conn.

self_of(#{name := Name, creation := Creation}) -> raw_dist:pid(Name, Creation, 1).
