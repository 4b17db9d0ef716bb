%% shim_race_SUITE: a companion that goes away and comes back while this VM works with it, and everything that can happen
%% in between: what is replayed, what must not be, and that no caller crashes, hangs, or is told something untrue.
%% A second VM with OTP's own `global' and `pg' says what the cluster has.
-module(shim_race_SUITE).
-define(OWN_TESTCASE, true).
-include("suite.hrl").

-define(COUNT, 1_000).

cases() ->
    [back_within_a_second, callers_under_kills, listeners_hear_no_restart, scopes_come_back,
     taken_while_away, ends_while_away, name_with_two_owners, another_name_meanwhile, refused_scope,
     gap_is_filled, former_stream, nonsense_in_the_stream, mirror_crashes, server_crashes, connection_breaks, intents_crash, listener_ends,
     yes_before_the_end, leave_before_the_end, unregister_before_the_end, one_key_two_writers, late_row, churn_and_kills].

peers() -> [pg_peer(), pg_peer()].
pg_peer() -> maps:merge(#{otp_args => ["-kernel", "start_pg", "true"]}, shim_ct:peer_opts(?MODULE)).

init_per_testcase(_, Config) ->
    connect(vm(Config), cluster(Config)),
    {ok, _} = shim_ct:start(vm(Config), #{restart_intensity => {100, 1}}),
    Config.

end_per_testcase(_, Config) ->
    shim_ct:stop(vm(Config)),
    [rcall(P, shimnode, forget, []) || P <- remora_ct:peers(Config)],
    ok.

vm(Config) -> peer(1, Config).
cluster(Config) -> peer(2, Config).

idle(Peer) -> hd(rcall(Peer, shimnode, spawn_idle, [1])).

%% Kills the companion and waits until the next one is up.
replace(Vm) ->
    Up = rcall(Vm, remora_state, epoch, []),
    shim_ct:gone(shim_ct:kill_companion(Vm)),
    wait_until(fun() -> rcall(Vm, remora_state, is_up, []) andalso rcall(Vm, remora_state, epoch, []) =/= Up end, 10_000).

%% ---- replay -----------------------------------------------------------------------------------------------------------

back_within_a_second(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Pids = rcall(Vm, shimnode, spawn_idle, [?COUNT]),
    ok = rcall(Vm, ?MODULE, have, [Pids]),
    Sorted = lists:sort(Pids),
    wait_until(fun() -> Sorted =:= lists:sort(rcall(Cluster, pg, get_members, [workers])) end, 10_000),
    [begin
         %% Some that end while it is away must not come back.
         Program = shim_ct:kill_companion(Vm),
         wait_until(fun() -> not rcall(Vm, remora_state, is_up, []) end, 5_000),
         Start = erlang:monotonic_time(millisecond),
         wait_until(fun() -> rcall(Vm, remora_state, is_up, []) andalso has_all(Vm, Cluster, Pids, Sorted) end, 10_000),
         Ms = erlang:monotonic_time(millisecond) - Start,
         ct:pal("~b names and memberships were back on another node ~b ms after the kill", [?COUNT, Ms]),
         ?assert(Ms < 1_000),
         shim_ct:gone(Program)
     end || _ <- [1, 2, 3]].

have(Pids) ->
    [] = [R || R <- remora_registry:register_many([{{worker, P}, P} || P <- Pids], 60_000), R =/= ok],
    remora_groups:join(workers, Pids).

has_all(Vm, Cluster, Pids, Sorted) ->
    rcall(Vm, ?MODULE, mirror_has, [Pids]) andalso rcall(Cluster, ?MODULE, global_has, [Pids])
        andalso Sorted =:= lists:sort(rcall(Cluster, pg, get_members, [workers])).

mirror_has(Pids) ->
    {ok, Members} = remora_groups:members(workers),
    lists:sort(Members) =:= lists:sort(Pids) andalso
        lists:all(fun(P) -> remora_registry:whereis({worker, P}) =:= {ok, P} end, Pids).
global_has(Pids) -> lists:all(fun(P) -> global:whereis_name({worker, P}) =:= P end, Pids).

%% Every result is one of the specs', none takes longer than its time, and no process of the VM dies.
callers_under_kills(Config) ->
    {Vm, #{node := There}} = {vm(Config), cluster(Config)},
    Pids = rcall(Vm, shimnode, spawn_idle, [100]),
    ok = rcall(Vm, ?MODULE, have, [Pids]),
    Callers = run(Vm, fun() ->
        Me = hd(Pids),
        [{Kind, shimnode:load(4, Call)}
         || {Kind, Call} <- [{whereis, fun() -> remora_registry:whereis({worker, Me}) end},
                             {members, fun() -> case remora_groups:members(workers) of {ok, M} when is_list(M) -> ok; E -> E end end},
                             {register, fun() ->
                                 Name = {mine, make_ref()},
                                 case remora_registry:register(Name, self()) of
                                     ok -> remora_registry:unregister(Name);
                                     Error -> Error
                                 end
                             end},
                             {join, fun() ->
                                 case remora_groups:join({mine, self()}, self()) of
                                     ok -> remora_groups:leave({mine, self()}, self());
                                     Error -> Error
                                 end
                             end},
                             {rpc, fun() -> remora_rpc:call(There, erlang, node, []) end}]]
    end),
    [replace(Vm) || _ <- lists:seq(1, 5)],
    Results = [{Kind, rcall(Vm, shimnode, load_result, [Pids0])} || {Kind, Pids0} <- Callers],
    ct:pal("~p", [Results]),
    [begin
         ?assertEqual({Kind, #{}}, {Kind, maps:without(allowed(Kind, hd(Pids), There), All)}),
         ?assert(Longest < 6_000),
         ?assert(maps:get({error, not_running}, All, 0) > 0)
     end || {Kind, {All, Longest}} <- Results],
    %% And nothing is left of them.
    [rcall(Vm, shimnode, kill, [P]) || {_, P} <- Callers],
    consistent(Vm, cluster(Config)).

allowed(whereis, Pid, _) -> [{ok, Pid}, {error, not_running}];
allowed(members, _, _) -> [ok, {error, not_running}];
%% A process whose unregister was not carried out has a name already.
allowed(register, _, _) -> [ok, {error, not_running}, {error, already_named}, {error, busy}];
allowed(join, _, _) -> [ok, {error, not_running}, {error, not_joined}];
allowed(rpc, _, There) -> [{ok, There}, {error, not_running}, {error, {nodedown, There}}].

%% A restart changes nothing for who listens: the names and members are the same before and after.
listeners_hear_no_restart(Config) ->
    Vm = vm(Config),
    Pids = rcall(Vm, shimnode, spawn_idle, [50]),
    ok = rcall(Vm, ?MODULE, have, [Pids]),
    {Listener, _} = rcall(Vm, shimnode, hear, [fun() ->
        {ok, _} = remora_registry:subscribe(),
        {ok, _, _} = remora_groups:subscribe(workers),
        {ok, _, _} = remora_groups:subscribe_scope()
    end]),
    replace(Vm),
    %% What comes after it is heard, and is the first that is heard.
    New = idle(Vm),
    ok = rcall(Vm, remora_groups, join, [workers, New]),
    ok = rcall(Vm, remora_registry, register, [{worker, New}, New]),
    Heard = [Event || {_, _, Event} <- shim_ct:heard(Vm, Listener, 3)],
    ?assertEqual([{join, workers, [New]}, {join, workers, [New]}, {registered, {worker, New}, New}], Heard),
    %% What changed while it was away is told when it is back.
    [Gone | Rest] = Pids,
    rcall(Vm, shimnode, clear, [Listener]),
    Program = shim_ct:kill_companion(Vm),
    ok = rcall(Vm, shimnode, kill, [[Gone]]),
    shim_ct:gone(Program),
    shim_ct:await_up(Vm),
    ?assertEqual(lists:sort([{leave, workers, [Gone]}, {leave, workers, [Gone]}, {unregistered, {worker, Gone}}]),
                 lists:sort([Event || {_, _, Event} <- shim_ct:heard(Vm, Listener, 3)])),
    ?assertEqual(lists:sort([New | Rest]), lists:sort(element(2, rcall(Vm, remora_groups, members, [workers])))).

scopes_come_back(Config) ->
    Vm = vm(Config),
    Scope = remora_ct:unique("scope"),
    Pid = idle(Vm),
    ok = rcall(Vm, remora_groups, start_scope, [Scope]),
    ok = rcall(Vm, remora_groups, join, [Scope, g, [Pid, Pid]]),
    replace(Vm),
    ?assertEqual({ok, [Pid, Pid]}, rcall(Vm, remora_groups, members, [Scope, g])),
    ok = rcall(Vm, remora_groups, stop_scope, [Scope]),
    replace(Vm),
    ?assertEqual({error, {no_scope, Scope}}, rcall(Vm, remora_groups, members, [Scope, g])).

%% ---- while it is away ---------------------------------------------------------------------------------------------------

%% Somebody else has the name by then: it is theirs, and we are told.
taken_while_away(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Ours = idle(Vm),
    Theirs = idle(Cluster),
    ok = rcall(Vm, remora_registry, register, [contended, Ours]),
    {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
    run(Vm, fun() -> shimnode:catch_logs() end),
    away(Vm, fun() -> yes = rcall(Cluster, global, re_register_name, [contended, Theirs]) end),
    ?assert(lists:member({remora_event, Ref, {name_lost, contended, Theirs}}, shim_ct:heard(Vm, Listener, 3))),
    ?assertEqual({ok, Theirs}, rcall(Vm, remora_registry, whereis, [contended])),
    ?assertEqual(none, rcall(Vm, remora_intents, find_name, [contended])),
    ?assertMatch([_], [F || #{level := warning, msg := {F, [contended, O, T]}} <- rcall(Vm, shimnode, logs, []), O =:= Ours, T =:= Theirs]),
    rcall(Vm, shimnode, release_logs, []),
    %% The next restart leaves it alone.
    replace(Vm),
    ?assertEqual(Theirs, rcall(Cluster, global, whereis_name, [contended])).

%% The program cannot be started again while Do runs.
away(Vm, Do) ->
    ok = rcall(Vm, sys, suspend, [remora_sup]),
    shim_ct:gone(shim_ct:kill_companion(Vm)),
    wait_until(fun() -> not rcall(Vm, remora_state, is_up, []) end, 5_000),
    Result = Do(),
    ok = rcall(Vm, sys, resume, [remora_sup]),
    wait_until(fun() -> rcall(Vm, remora_state, is_up, []) end, 10_000),
    Result.

ends_while_away(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    [A, B] = rcall(Vm, shimnode, spawn_idle, [2]),
    [ok = rcall(Vm, remora_registry, register, [{ends, P}, P]) || P <- [A, B]],
    ok = rcall(Vm, remora_groups, join, [ends, [A, B, A]]),
    away(Vm, fun() ->
        ?assertEqual({error, not_running}, rcall(Vm, remora_registry, whereis, [{ends, A}])),
        ?assertEqual({error, not_running}, rcall(Vm, remora_groups, members, [ends])),
        rcall(Vm, shimnode, kill, [[A]])
    end),
    ?assertEqual({error, not_found}, rcall(Vm, remora_registry, whereis, [{ends, A}])),
    ?assertEqual({ok, [B]}, rcall(Vm, remora_groups, members, [ends])),
    ?assertEqual({ok, B}, rcall(Vm, remora_registry, whereis, [{ends, B}])),
    wait_until(fun() -> [B] =:= rcall(Cluster, pg, get_members, [ends]) end, 5_000),
    ?assertEqual(2, length(rcall(Vm, remora_intents, all, []))).

%% Two processes of this VM want the same name one after the other: only the last is told to the next companion.
name_with_two_owners(Config) ->
    Vm = vm(Config),
    [A, B] = rcall(Vm, shimnode, spawn_idle, [2]),
    ok = rcall(Vm, remora_registry, register, [moving, A]),
    ok = rcall(Vm, remora_registry, re_register, [moving, B]),
    ?assertMatch({ok, B, random_exit}, rcall(Vm, remora_intents, find_name, [moving])),
    ok = rcall(Vm, shimnode, kill, [[A]]),
    replace(Vm),
    ?assertEqual({ok, B}, rcall(Vm, remora_registry, whereis, [moving])),
    %% The name of a process that another process of ours took by global itself.
    C = idle(Vm),
    yes = rcall(Vm, global, re_register_name, [moving, C]),
    wait_until(fun() -> {ok, C} =:= rcall(Vm, remora_registry, whereis, [moving]) end, 5_000),
    replace(Vm),
    ?assertEqual({ok, C}, rcall(Vm, remora_registry, whereis, [moving])),
    ?assertEqual(none, rcall(Vm, remora_intents, find_name, [moving])).

%% The process has another name by then, and as with global one only.
another_name_meanwhile(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Pid = idle(Vm),
    ok = rcall(Vm, remora_registry, register, [former, Pid]),
    {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
    away(Vm, fun() ->
        _ = rcall(Cluster, global, unregister_name, [former]),
        _ = rcall(Vm, global, unregister_name, [former]),
        yes = rcall(Cluster, global, register_name, [latter, Pid])
    end),
    ?assert(lists:member({remora_event, Ref, {name_lost, former, none}}, shim_ct:heard(Vm, Listener, 3))),
    ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis, [latter])),
    ?assertEqual({error, not_found}, rcall(Vm, remora_registry, whereis, [former])),
    ?assertEqual([], rcall(Vm, remora_intents, all, [])).

%% A membership in a scope that the new companion does not have is given up, and told.
refused_scope(Config) ->
    Vm = vm(Config),
    Scope = remora_ct:unique("lost"),
    Pid = idle(Vm),
    ok = rcall(Vm, remora_groups, start_scope, [Scope]),
    ok = rcall(Vm, remora_groups, join, [Scope, g, Pid]),
    {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
    true = rcall(Vm, ets, delete, [remora_intents, {scope, Scope}]),
    replace(Vm),
    ?assert(lists:member({remora_event, Ref, {membership_lost, Scope, g, Pid}}, shim_ct:heard(Vm, Listener, 3))),
    ?assertEqual([], rcall(Vm, remora_intents, all, [])).

%% ---- the stream -------------------------------------------------------------------------------------------------------------

gap_is_filled(Config) ->
    Vm = vm(Config),
    [A, B, C] = rcall(Vm, shimnode, spawn_idle, [3]),
    ok = rcall(Vm, remora_registry, register, [before, A]),
    ok = rcall(Vm, remora_groups, join, [gap, A]),
    {Listener, {ok, Ref, [A]}} = rcall(Vm, shimnode, hear, [fun() -> remora_groups:subscribe(gap) end]),
    Stream = stream(Vm),
    %% As if a message had been lost: ours is behind. And something in the tables that was never told.
    ok = rcall(Vm, ?MODULE, lose, [remora_mirror]),
    true = rcall(Vm, ets, insert, [remora_names, {never_told, A}]),
    ok = rcall(Vm, remora_groups, join, [gap, [B, C]]),
    %% The caller's ok waits for the new stream, too.
    ?assertEqual(lists:sort([A, B, C]), lists:sort(element(2, rcall(Vm, remora_groups, members, [gap])))),
    ?assertNotEqual(Stream, stream(Vm)),
    ?assertEqual({ok, A}, rcall(Vm, remora_registry, whereis, [before])),
    ?assertEqual({error, not_found}, rcall(Vm, remora_registry, whereis, [never_told])),
    [{remora_groups, Ref, {join, gap, Joined}}] = shim_ct:heard(Vm, Listener, 1),
    ?assertEqual(lists:sort([B, C]), lists:sort(Joined)),
    %% The former stream has ended over there: a new one each time would not last long.
    [begin
         ok = rcall(Vm, ?MODULE, lose, [remora_mirror]),
         ok = rcall(Vm, remora_groups, join, [gap, A])
     end || _ <- lists:seq(1, 50)],
    ?assertEqual(53, length(element(2, rcall(Vm, remora_groups, members, [gap])))).

stream(Vm) -> element(3, rcall(Vm, sys, get_state, [remora_mirror])).

lose(Mirror) ->
    _ = sys:replace_state(Mirror, fun(State) -> setelement(4, State, element(4, State) + 1_000) end),
    ok.

%% What a former companion, or a stream before a gap, still says.
former_stream(Config) ->
    Vm = vm(Config),
    Pid = idle(Vm),
    Former = stream(Vm),
    replace(Vm),
    [rcall(Vm, erlang, send, [remora_mirror, {remora_mirror, Former, From, 99, [{name, zombie, Pid}, {join, pg, zombies, [Pid]}]}])
     || From <- [0, rcall(Vm, remora_state, version, [])]],
    ok = rcall(Vm, remora_groups, join, [living, Pid]),
    ?assertEqual({error, not_found}, rcall(Vm, remora_registry, whereis, [zombie])),
    ?assertEqual({ok, []}, rcall(Vm, remora_groups, members, [zombies])),
    ?assertNotEqual(Former, stream(Vm)).

%% Messages are input: what is none of the stream's shapes changes nothing and ends nothing.
nonsense_in_the_stream(Config) ->
    Vm = vm(Config),
    Before = rcall(Vm, erlang, whereis, [remora_mirror]),
    [begin
         rcall(Vm, erlang, send, [To, Message]),
         rcall(Vm, gen_server, cast, [To, Message]),
         ?assertEqual({error, unknown_request}, rcall(Vm, gen_server, call, [To, {no, Message}]))
     end || To <- [remora_mirror, remora_server, remora_intents, remora_port],
            Message <- [hello, {remora_mirror, 1, 2}, {remora_mirror, x, 0, 1, []}, {nodedown, 'x@y'}, {make_ref(), x},
                        {'DOWN', make_ref(), process, self(), x}]],
    %% A change that a newer companion may know.
    {Ref, Version} = {stream(Vm), rcall(Vm, remora_state, version, [])},
    rcall(Vm, erlang, send, [remora_mirror, {remora_mirror, Ref, Version, Version, [{newer, x}, {name, seen, Before}]}]),
    wait_until(fun() -> {ok, Before} =:= rcall(Vm, remora_registry, whereis, [seen]) end, 5_000),
    ?assertEqual(Before, rcall(Vm, erlang, whereis, [remora_mirror])),
    ?assert(rcall(Vm, remora_state, is_up, [])).

%% Its own crash costs the companion nothing.
mirror_crashes(Config) -> crash(Config, remora_mirror, mirror_restarted).
server_crashes(Config) -> crash(Config, remora_server, shim_restarted).

crash(Config, Which, Why) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Pids = rcall(Vm, shimnode, spawn_idle, [50]),
    ok = rcall(Vm, ?MODULE, have, [Pids]),
    wait_until(fun() -> has_all(Vm, Cluster, Pids, lists:sort(Pids)) end, 10_000), % the other node has joined
    {Listener, _} = rcall(Vm, shimnode, hear, [fun() ->
        {ok, _} = remora_registry:subscribe(),
        {ok, _, _} = remora_groups:subscribe(workers)
    end]),
    {Events, _} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
    OsPid = shim_ct:os_pid(Vm),
    [begin
         Process = rcall(Vm, erlang, whereis, [Which]),
         true = rcall(Vm, erlang, exit, [Process, kill]),
         %% Down and up again: up alone may still be what it was before the kill.
         wait_until(fun() -> length([up || companion_up <- of_companion(Vm, Events)]) =:= Time end, 10_000)
     end || Time <- [1, 2]],
    ?assertEqual(OsPid, shim_ct:os_pid(Vm)),
    ?assert(has_all(Vm, Cluster, Pids, lists:sort(Pids))),
    New = idle(Vm),
    ok = rcall(Vm, remora_groups, join, [workers, New]),
    ?assertEqual([{join, workers, [New]}], [Event || {_, _, Event} <- shim_ct:heard(Vm, Listener, 1)]),
    ?assertEqual([{companion_down, Why}, companion_up, {companion_down, Why}, companion_up], of_companion(Vm, Events)).

%% Without the nodes that come and go beside it.
of_companion(Vm, Events) ->
    [Event || {_, _, Event} <- shim_ct:heard(Vm, Events, 0), Event =:= companion_up orelse element(1, Event) =:= companion_down].

%% The connection breaks and the program lives: it has left the groups of a node that it lost, and is told again.
connection_breaks(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Pids = rcall(Vm, shimnode, spawn_idle, [50]),
    ok = rcall(Vm, ?MODULE, have, [Pids]),
    OsPid = shim_ct:os_pid(Vm),
    {ok, Companion} = rcall(Vm, remora_cluster, companion, []),
    [begin
         Epoch = rcall(Vm, remora_state, epoch, []),
         true = rcall(Vm, erlang, disconnect_node, [Companion]),
         wait_until(fun() -> rcall(Vm, remora_state, is_up, []) andalso rcall(Vm, remora_state, epoch, []) > Epoch end, 10_000)
     end || _ <- [1, 2, 3]],
    ?assertEqual(OsPid, shim_ct:os_pid(Vm)),
    %% The third node has dropped both of a broken connection, as it must.
    {ok, Again} = rcall(Vm, remora_cluster, companion, []),
    wait_until(fun() ->
        [rcall(Vm, net_adm, ping, [N]) || N <- [Again, maps:get(node, Cluster)]],
        has_all(Vm, Cluster, Pids, lists:sort(Pids))
    end, 20_000).

%% The tables are the supervisor's: intents and subscriptions are there again, and watched.
intents_crash(Config) ->
    Vm = vm(Config),
    [A, B] = rcall(Vm, shimnode, spawn_idle, [2]),
    ok = rcall(Vm, remora_groups, join, [kept, [A, B]]),
    {Listener, {ok, Ref, _}} = rcall(Vm, shimnode, hear, [fun() -> remora_groups:subscribe(kept) end]),
    Process = rcall(Vm, erlang, whereis, [remora_intents]),
    Epoch = rcall(Vm, remora_state, epoch, []),
    true = rcall(Vm, erlang, exit, [Process, kill]),
    %% That it is up may still be said of the companion of before: its supervisor takes a moment to end it.
    wait_until(fun() -> rcall(Vm, remora_state, is_up, []) andalso rcall(Vm, remora_state, epoch, []) > Epoch end, 10_000),
    ?assertEqual(lists:sort([A, B]), lists:sort(element(2, rcall(Vm, remora_groups, members, [kept])))),
    ok = rcall(Vm, shimnode, kill, [[A]]),
    ?assertEqual([{remora_groups, Ref, {leave, kept, [A]}}], shim_ct:heard(Vm, Listener, 1)),
    wait_until(fun() -> 1 =:= length(rcall(Vm, remora_intents, all, [])) end, 5_000),
    ok = rcall(Vm, shimnode, kill, [[Listener]]),
    wait_until(fun() -> [] =:= rcall(Vm, ets, tab2list, [remora_subscriptions]) end, 5_000).

%% Nothing is kept of a listener, nor of a process that left each group it was in.
listener_ends(Config) ->
    Vm = vm(Config),
    Pid = idle(Vm),
    run(Vm, fun() ->
        Refs = [element(2, spawn_monitor(fun() ->
                    {ok, _} = remora_registry:subscribe(),
                    {ok, _, _} = remora_groups:subscribe({g, N}),
                    {ok, _} = remora_monitor:monitor_nodes(),
                    {ok, _} = remora_monitor:monitor_node(node()),
                    {ok, _} = remora_events:subscribe()
                end)) || N <- lists:seq(1, 100)],
        [receive {'DOWN', R, process, _, Why} -> ?assertEqual(normal, Why) end || R <- Refs],
        [begin ok = remora_groups:join({g, N}, Pid), ok = remora_groups:leave({g, N}, Pid) end || N <- lists:seq(1, 100)]
    end),
    wait_until(fun() -> [] =:= rcall(Vm, ets, tab2list, [remora_subscriptions]) end, 5_000),
    wait_until(fun() -> {state, #{}, #{}} =:= rcall(Vm, sys, get_state, [remora_intents]) end, 5_000).

%% ---- between the yes and the row ------------------------------------------------------------------------------------------
%% The companion ends after it said yes and before the caller has noted it. The caller is where its code says: the same
%% steps, with the companion replaced in between.

yes_before_the_end(Config) ->
    Vm = vm(Config),
    Pid = idle(Vm),
    {ok, yes, Version} = rcall(Vm, remora_door, write, [{register_name, between, Pid, random_exit}]),
    {ok, ok, _} = rcall(Vm, remora_door, write, [{join, pg, between, Pid}]),
    replace(Vm),
    ?assertEqual({ok, []}, rcall(Vm, remora_groups, members, [between])),
    ok = rcall(Vm, remora_intents, put_name, [between, Pid, random_exit, Version]),
    ok = rcall(Vm, remora_server, reconcile, [rcall(Vm, remora_intents, name_key, [between]), none]),
    ok = rcall(Vm, remora_intents, joined, [pg, between, [Pid, Pid]]),
    ok = rcall(Vm, remora_server, reconcile, [rcall(Vm, remora_intents, member_key, [pg, between, Pid]), none]),
    wait_until(fun() -> {ok, [Pid, Pid]} =:= rcall(Vm, remora_groups, members, [between]) end, 5_000),
    ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis, [between])),
    %% Asked twice it is done once.
    ok = rcall(Vm, remora_server, reconcile, [rcall(Vm, remora_intents, member_key, [pg, between, Pid]), none]),
    rcall(Vm, sys, get_state, [remora_server]),
    ?assertEqual({ok, [Pid, Pid]}, rcall(Vm, remora_groups, members, [between])),
    ?assertMatch({ok, Pid, random_exit}, rcall(Vm, remora_intents, find_name, [between])).

leave_before_the_end(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Pid = idle(Vm),
    ok = rcall(Vm, remora_groups, join, [between, [Pid, Pid]]),
    {ok, ok, _} = rcall(Vm, remora_door, write, [{leave, pg, between, Pid}]),
    replace(Vm),
    ?assertEqual({ok, [Pid, Pid]}, rcall(Vm, remora_groups, members, [between])),
    ok = rcall(Vm, remora_intents, left, [pg, between, [Pid]]),
    ok = rcall(Vm, remora_server, reconcile, [rcall(Vm, remora_intents, member_key, [pg, between, Pid]), none]),
    wait_until(fun() -> {ok, [Pid]} =:= rcall(Vm, remora_groups, members, [between]) end, 5_000),
    wait_until(fun() -> [Pid] =:= rcall(Cluster, pg, get_members, [between]) end, 5_000).

unregister_before_the_end(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    Pid = idle(Vm),
    ok = rcall(Vm, remora_registry, register, [between, Pid]),
    {ok, ok, Version} = rcall(Vm, remora_door, write, [{unregister_name, between}]),
    replace(Vm),
    ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis, [between])),
    {ok, Pid} = rcall(Vm, remora_intents, drop_name, [between, Version]),
    ok = rcall(Vm, remora_server, reconcile, [rcall(Vm, remora_intents, name_key, [between]), Pid]),
    wait_until(fun() -> {error, not_found} =:= rcall(Vm, remora_registry, whereis, [between]) end, 5_000),
    wait_until(fun() -> undefined =:= rcall(Cluster, global, whereis_name, [between]) end, 5_000).

%% Rows written in another order than the companion answered.
one_key_two_writers(Config) ->
    Vm = vm(Config),
    [A, B] = rcall(Vm, shimnode, spawn_idle, [2]),
    {ok, yes, First} = rcall(Vm, remora_door, write, [{register_name, late, A, random_exit}]),
    {ok, ok, Gone} = rcall(Vm, remora_door, write, [{unregister_name, late}]),
    {ok, yes, Second} = rcall(Vm, remora_door, write, [{register_name, late, B, random_exit}]),
    Rows = [{put, A, First}, {drop, Gone}, {put, B, Second}],
    [begin
         [case Row of
              {put, Pid, Version} -> ok = rcall(Vm, remora_intents, put_name, [late, Pid, random_exit, Version]);
              {drop, Version} -> rcall(Vm, remora_intents, drop_name, [late, Version])
          end || Row <- Order],
         ?assertMatch({Order, {ok, B, random_exit}}, {Order, rcall(Vm, remora_intents, find_name, [late])}),
         true = rcall(Vm, ets, delete, [remora_intents, rcall(Vm, remora_intents, name_key, [late])])
     end || Order <- permutations(Rows)].

permutations([]) -> [[]];
permutations(List) -> [[X | Rest] || X <- List, Rest <- permutations(List -- [X])].

%% A yes that is noted after the name was given back leaves nothing; nor does a join noted after its leave, or after the
%% end of its process.
late_row(Config) ->
    Vm = vm(Config),
    [A, B] = rcall(Vm, shimnode, spawn_idle, [2]),
    {ok, yes, First} = rcall(Vm, remora_door, write, [{register_name, late, A, random_exit}]),
    ok = rcall(Vm, remora_registry, unregister, [late]),
    ok = rcall(Vm, remora_intents, put_name, [late, A, random_exit, First]),
    ?assertEqual(none, rcall(Vm, remora_intents, find_name, [late])),
    ok = rcall(Vm, remora_intents, left, [pg, late, [A]]),
    ok = rcall(Vm, remora_intents, joined, [pg, late, [A]]),
    ?assertEqual([], rcall(Vm, remora_intents, all, [])),
    ok = rcall(Vm, shimnode, kill, [[B]]),
    ok = rcall(Vm, remora_intents, joined, [pg, late, [B]]),
    wait_until(fun() -> [] =:= rcall(Vm, remora_intents, all, []) end, 5_000),
    wait_until(fun() -> {state, #{}, #{}} =:= rcall(Vm, sys, get_state, [remora_intents]) end, 5_000).

%% ---- all at once -------------------------------------------------------------------------------------------------------------

%% Processes that register, give back, join, leave and end, on few keys, while companions are killed. When it is quiet,
%% the intents, the mirror, the companion and the cluster say the same.
churn_and_kills(Config) ->
    {Vm, Cluster} = {vm(Config), cluster(Config)},
    {Listener, {ok, Ref, []}} = rcall(Vm, shimnode, hear, [fun() -> remora_groups:subscribe(churn) end]),
    Churners = rcall(Vm, ?MODULE, churners, [8]),
    [begin receive after rand:uniform(150) -> replace(Vm) end end || _ <- lists:seq(1, 8)], % somewhere in the middle of it
    Kept = rcall(Vm, ?MODULE, settle, [Churners]),
    ?assertEqual([], [Reason || {died, Reason} <- Kept]),
    wait_until(fun() -> rcall(Vm, remora_state, is_up, []) end, 10_000),
    consistent(Vm, Cluster),
    %% A listener that added up what it heard has the members.
    {ok, Members} = rcall(Vm, remora_groups, members, [churn]),
    wait_until(fun() ->
        Heard = [Event || {remora_groups, R, Event} <- rcall(Vm, shimnode, heard, [Listener]), R =:= Ref],
        lists:sort(Members) =:= lists:sort(lists:foldl(fun({join, _, P}, All) -> P ++ All; ({leave, _, P}, All) -> All -- P end, [], Heard))
    end, 5_000).

churners(Count) -> [spawn(fun() -> churn(shimnode:spawn_idle(5), rand:seed_s(exsss, N)) end) || N <- lists:seq(1, Count)].

churn(Pids, Seed) ->
    receive {settle, From, Ref} -> From ! {Ref, Pids}
    after 0 ->
        {What, Seed1} = rand:uniform_s(10, Seed),
        {Which, Seed2} = rand:uniform_s(length(Pids), Seed1),
        {Key, Seed3} = rand:uniform_s(6, Seed2),
        Pid = lists:nth(Which, Pids),
        case act(What, Key, Pid) of
            ended -> churn(shimnode:spawn_idle(1) ++ (Pids -- [Pid]), Seed3);
            Result -> true = allowed(Result), churn(Pids, Seed3)
        end
    end.

act(1, _, Pid) -> ok = shimnode:kill([Pid]), ended;
act(What, Key, Pid) when What < 4 -> remora_registry:register({churn, Key}, Pid);
act(4, Key, Pid) -> remora_registry:re_register({churn, Key}, Pid);
act(What, Key, _) when What < 7 -> remora_registry:unregister({churn, Key});
act(What, _, Pid) when What < 9 -> remora_groups:join(churn, Pid);
act(_, _, Pid) -> remora_groups:leave(churn, Pid).

allowed(ok) -> true;
allowed({error, {taken, Pid}}) -> is_pid(Pid);
allowed({error, {member_timeout, Node}}) -> is_atom(Node);
allowed({error, Why}) -> lists:member(Why, [not_running, already_named, busy, not_joined, timeout]).

settle(Churners) ->
    [begin
         Ref = monitor(process, Pid),
         Pid ! {settle, self(), Ref},
         receive {Ref, Kept} -> demonitor(Ref, [flush]), Kept; {'DOWN', Ref, process, _, Reason} -> {died, Reason} end
     end || Pid <- Churners].

%% Intents, mirror, companion, and the other node.
consistent(Vm, Cluster) ->
    try wait_until(fun() -> differences(Vm, Cluster) =:= [] end, 15_000)
    catch error:{still_false_after_ms, _} -> ?assertEqual([], differences(Vm, Cluster))
    end.

differences(Vm, Cluster) ->
    Companion = rcall(Vm, remora_cluster, companion, []),
    case Companion of
        {ok, Node} ->
            {Intents, Mirror, Groups} = rcall(Vm, ?MODULE, views, []),
            Theirs = [{N, P} || N <- rcall(Cluster, global, registered_names, []), P <- [rcall(Cluster, global, whereis_name, [N])]],
            Fresh = rcall(Vm, ?MODULE, fresh, [Node]),
            %% A name without an intent may be left by a request whose caller was told `not_running': it is alive.
            [{intent_without_name, Row} || {N, P} = Row <- Intents, lists:member(Row, Mirror) =:= false, N =/= P]
                ++ [{mirror, R} || R <- Mirror -- Fresh] ++ [{fresh, R} || R <- Fresh -- Mirror]
                ++ [{cluster, R} || R <- Mirror -- Theirs] ++ [{only_cluster, R} || R <- Theirs -- Mirror]
                ++ [{group, G, Ours, Local, At, Pg}
                    || {G, Ours, Local, At} <- Groups, Pg <- [lists:sort(rcall(Cluster, pg, get_members, [G]))],
                       {Ours, Local, At} =/= {Pg, Pg, Pg}];
        {error, _} = Error -> [Error]
    end.

views() ->
    Rows = remora_intents:all(),
    Groups = lists:usort([G || {{member, _, _, G, _}, _} <- Rows] ++ element(2, remora_groups:groups())),
    {[{N, P} || {{name, _, N}, P, _, _} <- Rows], ets:tab2list(remora_names),
     [{G, lists:sort(element(2, remora_groups:members(G))), lists:sort(element(2, remora_groups:local_members(G))),
       lists:sort(element(2, remora_groups:members_fresh(G)))} || G <- Groups]}.

fresh(Node) -> [{N, P} || N <- gen_server:call({remora, Node}, registered_names), P <- [gen_server:call({remora, Node}, {whereis_name, N})]].
