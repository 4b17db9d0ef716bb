%% shim_api_SUITE: what the package's modules offer, each against OTP's own `global', `pg' and `erpc' on other nodes: two
%% VMs, each with a companion, and a third one without. The companions live as long as the nodes.
-module(shim_api_SUITE).
-define(OWN_TESTCASE, true).
-define(OWN_GROUP, true).
-include("suite.hrl").

cases() ->
    [names_are_global, taken_and_moved, names_of_any_term, dead_and_wrong, many_names, policies, await_a_name, names_told,
     via_tuples,
     groups_are_pg, members_several_times, groups_of_any_term, scopes, broadcasts, groups_told, member_ends,
     rpc_results, rpc_failures, rpc_many, rpc_casts,
     messages, calls, sizes,
     nodes_and_connections, connect_errors, nodes_told, events_told,
     atoms_stay, atom_budget, settings, correlation_ids, log_backends,
     not_running_at_all, errors_are_sentences, read_your_writes,
     start_a_node]. % the last: the others' `global' parts from whom it did not quite meet

peers() -> [pg_peer(), pg_peer(), pg_peer()].
pg_peer() -> maps:merge(#{otp_args => ["-kernel", "start_pg", "true"]}, shim_ct:peer_opts(?MODULE)).

init_per_group(Group, Config0) ->
    case remora_ct:start_group(Group, Config0, peers()) of
        {skip, _} = Skip -> Skip;
        Config ->
            [A, B, C] = remora_ct:peers(Config),
            [connect(A, P) || P <- [B, C]],
            [{ok, _} = shim_ct:start(P, #{log_level => debug}) || P <- [A, B]],
            Config
    end.

end_per_group(_, Config) ->
    [shim_ct:stop(P) || P <- [vm(Config), other(Config)]],
    remora_ct:stop_group(Config).

init_per_testcase(_, Config) -> Config.

%% Names and members of a case go with its processes.
end_per_testcase(_, Config) ->
    [rcall(P, shimnode, forget, []) || P <- remora_ct:peers(Config)],
    ok.

vm(Config) -> peer(1, Config).
other(Config) -> peer(2, Config).
plain(Config) -> peer(3, Config).

idle(Peer) -> hd(idle(Peer, 1)).
idle(Peer, Count) -> rcall(Peer, shimnode, spawn_idle, [Count]).

%% ---- names ----------------------------------------------------------------------------------------------------------

names_are_global(Config) ->
    {Vm, Other, Plain} = {vm(Config), other(Config), plain(Config)},
    Pid = idle(Vm),
    ok = rcall(Vm, remora_registry, register, [here, Pid]),
    ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis, [here])),
    ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis_fresh, [here])),
    %% Every node that lives has it when it is answered.
    [?assertEqual(Pid, rcall(P, global, whereis_name, [here])) || P <- [Vm, Other, Plain]],
    sees(Other, here, Pid),
    Theirs = idle(Plain),
    yes = rcall(Plain, global, register_name, [there, Theirs]),
    [sees(P, there, Theirs) || P <- [Vm, Other]],
    {ok, Names} = rcall(Vm, remora_registry, names, []),
    ?assertEqual([here, there], lists:sort([N || N <- Names, lists:member(N, [here, there])])),
    %% A process of another node.
    Another = idle(Plain),
    ok = rcall(Vm, remora_registry, register, [of_theirs, Another]),
    ?assertEqual(Another, rcall(Plain, global, whereis_name, [of_theirs])),
    ok = rcall(Vm, remora_registry, unregister, [here]),
    ?assertEqual({error, not_found}, rcall(Vm, remora_registry, whereis, [here])),
    ?assertEqual({error, not_found}, rcall(Vm, remora_registry, whereis_fresh, [here])),
    ?assertEqual(undefined, rcall(Plain, global, whereis_name, [here])),
    ok = rcall(Vm, remora_registry, unregister, [there]),
    ?assertEqual(undefined, rcall(Plain, global, whereis_name, [there])),
    ?assertEqual(ok, rcall(Vm, remora_registry, unregister, [nobody_has_it])).

sees(Peer, Name, Pid) -> wait_until(fun() -> {ok, Pid} =:= rcall(Peer, remora_registry, whereis, [Name]) end, 5_000).

taken_and_moved(Config) ->
    {Vm, Other} = {vm(Config), other(Config)},
    [A, B] = idle(Vm, 2),
    C = idle(Other),
    ok = rcall(Vm, remora_registry, register, [taken, A]),
    ?assertEqual({error, already_named}, rcall(Vm, remora_registry, register, [taken, A])),
    ?assertEqual({error, already_named}, rcall(Vm, remora_registry, register, [second_name, A])),
    ?assertEqual({error, {taken, A}}, rcall(Vm, remora_registry, register, [taken, B])),
    ?assertEqual({error, {taken, A}}, rcall(Other, remora_registry, register, [taken, C])),
    ok = rcall(Other, remora_registry, re_register, [taken, C]),
    ?assertEqual({ok, C}, rcall(Other, remora_registry, whereis, [taken])),
    sees(Vm, taken, C),
    ok = rcall(Vm, remora_registry, re_register, [taken, B, notify_all]),
    ?assertEqual(B, rcall(Other, global, whereis_name, [taken])).

names_of_any_term(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    Names = [<<"text">>, "list", 1, 1.0, {tuple, [1]}, #{map => 1}, [], 'an atom', '_', '$1', {'_', '$1'}, make_ref(), self(),
             binary:copy(<<"x">>, 10_000), 1 bsl 200, -0.5],
    Pids = idle(Vm, length(Names)),
    [?assertEqual({N, ok}, {N, rcall(Vm, remora_registry, register, [N, P])}) || {N, P} <- lists:zip(Names, Pids)],
    [begin
         ?assertEqual({N, {ok, P}}, {N, rcall(Vm, remora_registry, whereis, [N])}),
         ?assertEqual({N, P}, {N, rcall(Plain, global, whereis_name, [N])}),
         ?assertMatch({ok, P, random_exit}, rcall(Vm, remora_intents, find_name, [N]))
     end || {N, P} <- lists:zip(Names, Pids)],
    [ok = rcall(Vm, remora_registry, unregister, [N]) || N <- Names],
    [?assertEqual(none, rcall(Vm, remora_intents, find_name, [N])) || N <- Names].

dead_and_wrong(Config) ->
    Vm = vm(Config),
    Pid = idle(Vm),
    ok = rcall(Vm, remora_registry, register, [dies, Pid]),
    %% At once for the VM that it lived on, before anybody was told.
    ?assertEqual({error, not_found}, run(Vm, fun() -> shimnode:kill([Pid]), remora_registry:whereis(dies) end)),
    wait_until(fun() -> none =:= rcall(Vm, remora_mirror, peek, [dies]) end, 5_000),
    wait_until(fun() -> [] =:= rcall(Vm, remora_intents, find, [rcall(Vm, remora_intents, name_key, [dies])]) end, 5_000),
    ?assertEqual({error, badarg}, rcall(Vm, remora_registry, register, [no_pid, not_a_pid])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_registry, re_register, [no_pid, "x"])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_registry, register, [no_policy, idle(Vm), no_such_policy])).

many_names(Config) ->
    Vm = vm(Config),
    Pids = idle(Vm, 500),
    Pairs = lists:zip([{many, N} || N <- lists:seq(1, 500)], Pids),
    Seventh = idle(Vm),
    ok = rcall(Vm, remora_registry, register, [{many, 7}, Seventh]),
    Results = rcall(Vm, remora_registry, register_many, [Pairs ++ [{wrong, no_pid}]]),
    ?assertEqual(501, length(Results)),
    ?assertEqual({error, {taken, Seventh}}, lists:nth(7, Results)),
    ?assertEqual({error, badarg}, lists:last(Results)),
    ?assertEqual([{error, {taken, Seventh}}, {error, badarg}], [R || R <- Results, R =/= ok]),
    [?assertEqual({ok, P}, rcall(Vm, remora_registry, whereis, [N])) || {N, P} <- Pairs, N =/= {many, 7}],
    ?assertEqual([], rcall(Vm, remora_registry, register_many, [[]])),
    %% More than one message takes.
    One = idle(Vm),
    More = rcall(Vm, remora_registry, register_many, [[{{many, 7}, One} || _ <- lists:seq(1, 70_000)], 60_000]),
    ?assertEqual({70_000, [{error, {taken, Seventh}}]}, {length(More), lists:usort(More)}),
    ok = rcall(Vm, shimnode, kill, [[Seventh | Pids]]),
    wait_until(fun() -> {ok, []} =:= many(Vm) end, 5_000).

many(Vm) ->
    {ok, Names} = rcall(Vm, remora_registry, names, []),
    {ok, [N || {many, _} = N <- Names]}.

policies(Config) ->
    Vm = #{node := Node} = vm(Config),
    [begin
         Pid = idle(Vm),
         ?assertEqual({Policy, ok}, {Policy, rcall(Vm, remora_registry, register, [{policy, Policy}, Pid, Policy])}),
         ?assertMatch({ok, Pid, Policy}, rcall(Vm, remora_intents, find_name, [{policy, Policy}]))
     end || Policy <- [random_exit, random_notify, notify_all, lowest_pid, highest_pid, keep_local, kill_both,
                       {node_priority, [Node]}]],
    ?assertEqual(ok, rcall(Vm, remora_registry, register, [timed, idle(Vm), random_exit, 2_000])).

await_a_name(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    Pid = idle(Plain),
    {Ms, {error, timeout}} = elapsed(fun() -> rcall(Vm, remora_registry, await, [awaited, 150]) end),
    ?assert(Ms >= 150 andalso Ms < 1_000),
    ?assertEqual({error, timeout}, rcall(Vm, remora_registry, await, [awaited, 0])),
    Asked = rcall(Vm, shimnode, in_background, [fun() -> remora_registry:await(awaited, 10_000) end]),
    wait_until(fun() -> [] =/= rcall(Vm, ets, lookup, [remora_subscriptions, {name, awaited}]) end, 5_000),
    yes = rcall(Plain, global, register_name, [awaited, Pid]),
    ?assertEqual({ok, Pid}, rcall(Vm, shimnode, result, [Asked])),
    ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, await, [awaited, infinity])),
    ?assertEqual([], rcall(Vm, ets, tab2list, [remora_subscriptions])).

names_told(Config) ->
    {Vm, Other} = {vm(Config), other(Config)},
    {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora_registry:subscribe/0]),
    [A, B] = idle(Other, 2),
    ok = rcall(Other, remora_registry, register, [told, A]),
    ok = rcall(Other, remora_registry, re_register, [told, B]),
    ok = rcall(Other, remora_registry, unregister, [told]),
    ?assertEqual([{remora_registry, Ref, E} || E <- [{registered, told, A}, {registered, told, B}, {unregistered, told}]],
                 about(told, shim_ct:heard(Vm, Listener, 3))),
    %% No more, and none left behind.
    {Second, ok} = rcall(Vm, shimnode, hear, [fun() ->
        {ok, R} = remora_registry:subscribe(),
        ok = remora_registry:register(told, self()),
        ok = remora_registry:unsubscribe(R)
    end]),
    ok = rcall(Vm, remora_registry, unregister, [told]),
    shim_ct:heard(Vm, Listener, 5),
    ?assertEqual([], rcall(Vm, shimnode, heard, [Second])),
    %% With its process a subscription ends.
    ok = rcall(Vm, shimnode, kill, [[Listener]]),
    wait_until(fun() -> [] =:= rcall(Vm, ets, tab2list, [remora_subscriptions]) end, 5_000).

about(Name, Heard) -> [M || {_, _, Event} = M <- Heard, element(2, Event) =:= Name].

via_tuples(Config) ->
    {Vm, Other} = {vm(Config), other(Config)},
    Via = {via, remora_registry, <<"a server">>},
    {ok, Pid} = rcall(Vm, gen_server, start, [Via, shimnode, [], []]),
    ?assertEqual({error, {already_started, Pid}}, rcall(Vm, gen_server, start, [Via, shimnode, [], []])),
    ?assertEqual({answer, hello}, rcall(Vm, gen_server, call, [Via, hello])),
    sees(Other, <<"a server">>, Pid),
    ?assertEqual({answer, hello}, rcall(Other, gen_server, call, [Via, hello])),
    ok = rcall(Other, gen_server, cast, [Via, cast]),
    ?assertEqual(Pid, rcall(Other, remora_registry, send, [<<"a server">>, message])),
    ?assertEqual([cast, message], shim_ct:heard(Vm, Pid, 2)),
    ?assertEqual(Pid, rcall(Vm, remora_registry, whereis_name, [<<"a server">>])),
    ok = rcall(Vm, gen_server, stop, [Via]),
    ?assertEqual(undefined, rcall(Vm, remora_registry, whereis_name, [<<"a server">>])),
    ?assertEqual({'EXIT', {badarg, {<<"a server">>, m}}}, run(Vm, fun() -> catch remora_registry:send(<<"a server">>, m) end)),
    ?assertMatch({'EXIT', {noproc, _}}, run(Vm, fun() -> catch gen_server:call(Via, hello) end)),
    ?assertEqual(yes, rcall(Vm, remora_registry, register_name, [by_name, idle(Vm)])),
    ?assertEqual(no, rcall(Vm, remora_registry, register_name, [by_name, idle(Vm)])),
    ?assertEqual(ok, rcall(Vm, remora_registry, unregister_name, [by_name])).

%% ---- groups ---------------------------------------------------------------------------------------------------------

groups_are_pg(Config) ->
    {Vm, Other, Plain} = {vm(Config), other(Config), plain(Config)},
    [A, B] = idle(Vm, 2),
    ok = rcall(Vm, remora_groups, join, [workers, A]),
    ok = rcall(Vm, remora_groups, join, [workers, [B]]),
    members(Vm, workers, [A, B]),
    ?assertEqual([A, B], lists:sort(ok(rcall(Vm, remora_groups, members_fresh, [workers])))),
    [wait_until(fun() -> lists:sort([A, B]) =:= lists:sort(rcall(P, pg, get_members, [workers])) end, 5_000)
     || P <- [Other, Plain]],
    C = idle(Plain),
    ok = rcall(Plain, pg, join, [workers, C]),
    [wait_until(fun() -> lists:sort([A, B, C]) =:= lists:sort(ok(rcall(P, remora_groups, members, [workers]))) end, 5_000)
     || P <- [Vm, Other]],
    ?assertEqual(lists:sort([A, B]), lists:sort(ok(rcall(Vm, remora_groups, local_members, [workers])))),
    ?assertEqual({ok, []}, rcall(Other, remora_groups, local_members, [workers])),
    ?assert(lists:member(workers, ok(rcall(Vm, remora_groups, groups, [])))),
    ok = rcall(Vm, remora_groups, leave, [workers, [A, B]]),
    members(Vm, workers, [C]),
    ?assertEqual({error, not_joined}, rcall(Vm, remora_groups, leave, [workers, A])),
    wait_until(fun() -> [C] =:= rcall(Other, pg, get_members, [workers]) end, 5_000),
    ok = rcall(Plain, pg, leave, [workers, C]),
    wait_until(fun() -> not lists:member(workers, ok(rcall(Vm, remora_groups, groups, []))) end, 5_000),
    ?assertEqual({ok, []}, rcall(Vm, remora_groups, members, [workers])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_groups, join, [workers, [A, no_pid]])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_groups, join, [<<"no atom">>, workers, A])).

ok({ok, Value}) -> Value.

%% What the caller did it sees at once.
members(Vm, Group, Expected) ->
    ?assertEqual(lists:sort(Expected), lists:sort(ok(rcall(Vm, remora_groups, members, [Group])))).

members_several_times(Config) ->
    Vm = vm(Config),
    A = idle(Vm),
    ok = rcall(Vm, remora_groups, join, [often, [A, A]]),
    ok = rcall(Vm, remora_groups, join, [often, A]),
    members(Vm, often, [A, A, A]),
    ?assertEqual({ok, [A, A, A]}, rcall(Vm, remora_groups, local_members, [often])),
    ok = rcall(Vm, remora_groups, leave, [often, A]),
    members(Vm, often, [A, A]),
    ok = rcall(Vm, remora_groups, leave, [often, [A, A]]),
    members(Vm, often, []),
    ?assertEqual([], intents(Vm)).

intents(Vm) -> [Row || Row <- rcall(Vm, remora_intents, all, []), element(1, element(1, Row)) =:= member].

groups_of_any_term(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    Groups = [<<"text">>, 1, 1.0, {t, []}, #{m => 1}, '_', '$1', [], make_ref()],
    [begin
         A = idle(Vm),
         ok = rcall(Vm, remora_groups, join, [G, A]),
         members(Vm, G, [A]),
         ?assertEqual({ok, [A]}, rcall(Vm, remora_groups, local_members, [G])),
         wait_until(fun() -> [A] =:= rcall(Plain, pg, get_members, [G]) end, 5_000)
     end || G <- Groups],
    [begin
         {ok, [A]} = rcall(Vm, remora_groups, members, [G]),
         ok = rcall(Vm, remora_groups, leave, [G, A])
     end || G <- Groups],
    ?assertEqual([], intents(Vm)).

scopes(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    Scope = remora_ct:unique("scope"),
    A = idle(Vm),
    NoScope = {error, {no_scope, Scope}},
    [?assertEqual(NoScope, rcall(Vm, remora_groups, F, [Scope, g])) || F <- [members, local_members, members_fresh, subscribe]],
    [?assertEqual(NoScope, rcall(Vm, remora_groups, F, [Scope])) || F <- [groups, subscribe_scope, stop_scope]],
    [?assertEqual(NoScope, rcall(Vm, remora_groups, F, [Scope, g, A])) || F <- [join, leave, broadcast, broadcast_local]],
    ok = rcall(Vm, remora_groups, start_scope, [Scope]),
    ok = rcall(Vm, remora_groups, start_scope, [Scope]),
    ?assertEqual([pg, Scope], lists:sort(ok(rcall(Vm, remora_groups, scopes, [])))),
    ?assertEqual({error, name_taken}, rcall(Vm, remora_groups, start_scope, [rex])),
    ok = rcall(Vm, remora_groups, join, [Scope, g, A]),
    ?assertEqual({ok, [A]}, rcall(Vm, remora_groups, members, [Scope, g])),
    {ok, _} = rcall(Plain, pg, start, [Scope]),
    wait_until(fun() -> [A] =:= rcall(Plain, pg, get_members, [Scope, g]) end, 5_000),
    ok = rcall(Vm, remora_groups, stop_scope, [Scope]),
    ?assertEqual(NoScope, rcall(Vm, remora_groups, members, [Scope, g])),
    ?assertEqual([], intents(Vm)),
    wait_until(fun() -> [] =:= rcall(Plain, pg, get_members, [Scope, g]) end, 5_000),
    ?assertEqual({error, badarg}, rcall(Vm, remora_groups, start_scope, [<<"text">>])).

broadcasts(Config) ->
    {Vm, Other, Plain} = {vm(Config), other(Config), plain(Config)},
    Listeners = [{P, element(1, rcall(P, shimnode, hear, [fun() -> ok end]))} || P <- [Vm, Other, Plain]],
    [{Vm, A}, {Other, B}, {Plain, C}] = Listeners,
    ok = rcall(Vm, remora_groups, join, [all, A]),
    ok = rcall(Other, remora_groups, join, [all, B]),
    ok = rcall(Plain, pg, join, [all, C]),
    wait_until(fun() -> 3 =:= length(ok(rcall(Vm, remora_groups, members, [all]))) end, 5_000),
    ?assertEqual({ok, 3}, rcall(Vm, remora_groups, broadcast, [all, {hello, 1}])),
    [?assertEqual([{hello, 1}], shim_ct:heard(P, L, 1)) || {P, L} <- Listeners],
    ?assertEqual({ok, 1}, rcall(Vm, remora_groups, broadcast_local, [all, here])),
    ?assertEqual([{hello, 1}, here], shim_ct:heard(Vm, A, 2)),
    ?assertEqual({ok, 0}, rcall(Vm, remora_groups, broadcast, [nobody, hello])).

groups_told(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    [A, B] = idle(Vm, 2),
    ok = rcall(Vm, remora_groups, join, [told, A]),
    {One, {ok, RefOne, [A]}} = rcall(Vm, shimnode, hear, [fun() -> remora_groups:subscribe(told) end]),
    {All, {ok, RefAll, #{told := [A]}}} = rcall(Vm, shimnode, hear, [fun remora_groups:subscribe_scope/0]),
    ok = rcall(Vm, remora_groups, join, [told, [B, B]]),
    C = idle(Plain),
    ok = rcall(Plain, pg, join, [other, C]),
    ok = rcall(Vm, remora_groups, leave, [told, B]),
    Told = [{join, told, [B, B]}, {leave, told, [B]}],
    ?assertEqual([{remora_groups, RefOne, E} || E <- Told], shim_ct:heard(Vm, One, 2)),
    Everything = shim_ct:heard(Vm, All, 3),
    ?assertEqual([{remora_groups, RefAll, E} || E <- Told], about(told, Everything)),
    ?assertEqual([{remora_groups, RefAll, {join, other, [C]}}], about(other, Everything)),
    ?assertEqual({0, 0}, run(Vm, fun() ->
        {ok, Ref, _} = remora_groups:subscribe(told),
        ok = remora_groups:leave(told, B),
        Before = ets:info(remora_subscriptions, size),
        ok = remora_groups:unsubscribe(Ref),
        {element(2, process_info(self(), message_queue_len)), ets:info(remora_subscriptions, size) - Before + 1}
    end)).

member_ends(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    Pids = idle(Vm, 50),
    ok = rcall(Vm, remora_groups, join, [mortal, Pids ++ Pids]),
    wait_until(fun() -> 100 =:= length(rcall(Plain, pg, get_members, [mortal])) end, 5_000),
    ok = rcall(Vm, shimnode, kill, [Pids]),
    wait_until(fun() -> {ok, []} =:= rcall(Vm, remora_groups, members, [mortal]) end, 5_000),
    wait_until(fun() -> [] =:= rcall(Plain, pg, get_members, [mortal]) end, 5_000),
    wait_until(fun() -> [] =:= intents(Vm) end, 5_000).

%% ---- rpc ------------------------------------------------------------------------------------------------------------

rpc_results(Config) ->
    {Vm, #{node := Other}, #{node := Plain}} = {vm(Config), other(Config), plain(Config)},
    [?assertEqual({ok, N}, rcall(Vm, remora_rpc, call, [N, erlang, node, []])) || N <- [Other, Plain, maps:get(node, Vm)]],
    {ok, Companion} = rcall(Vm, remora_cluster, companion, []),
    {ok, Names} = rcall(Vm, remora_rpc, call, [Companion, erlang, nodes, []]),
    ?assert(lists:member(Plain, Names)),
    Big = binary:copy(<<"x">>, 5_000_000),
    ?assertEqual({ok, Big}, rcall(Vm, remora_rpc, call, [Plain, lists, last, [[Big]]])),
    ?assertEqual({ok, {ok, {error, x}}}, rcall(Vm, remora_rpc, call, [Plain, erlang, list_to_tuple, [[ok, {error, x}]], infinity])).

rpc_failures(Config) ->
    {Vm, #{node := Plain}} = {vm(Config), plain(Config)},
    Call = fun(M, F, A) -> rcall(Vm, remora_rpc, call, [Plain, M, F, A]) end,
    ?assertEqual({error, {undef, {nomod, nofun, 2}}}, Call(nomod, nofun, [1, 2])),
    ?assertMatch({error, {raised, error, undef}}, Call(erlang, apply, [nomod, nofun, []])),
    ?assertEqual({error, {raised, error, badarith}}, Call(erlang, '/', [1, 0])),
    ?assertEqual({error, {raised, exit, why}}, Call(erlang, exit, [why])),
    ?assertEqual({error, {raised, throw, up}}, Call(erlang, throw, [up])),
    ?assertEqual({error, {nodedown, 'nobody@127.0.0.1'}},
                 rcall(Vm, remora_rpc, call, ['nobody@127.0.0.1', erlang, node, []])),
    {Ms, {error, timeout}} = elapsed(fun() -> rcall(Vm, remora_rpc, call, [Plain, timer, sleep, [60_000], 200]) end),
    ?assert(Ms >= 190 andalso Ms < 1_500),
    ?assertEqual({error, badarg}, rcall(Vm, remora_rpc, call, [<<"node">>, erlang, node, []])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_rpc, call, [Plain, erlang, node, no_list])).

rpc_many(Config) ->
    {Vm, #{node := Other}, #{node := Plain}} = {vm(Config), other(Config), plain(Config)},
    ?assertEqual([{ok, Other}, {error, {nodedown, 'nobody@127.0.0.1'}}, {ok, Plain}, {error, badarg}],
                 rcall(Vm, remora_rpc, multicall, [[Other, 'nobody@127.0.0.1', Plain, 5], erlang, node, []])),
    {Ms, Results} = elapsed(fun() -> rcall(Vm, remora_rpc, multicall, [[Other, Plain], timer, sleep, [60_000], 200]) end),
    ?assertEqual([{error, timeout}, {error, timeout}], Results),
    ?assert(Ms < 1_500),
    ?assertEqual({messages, []}, run(Vm, fun() ->
        _ = remora_rpc:multicall([Other, Plain], timer, sleep, [300], 50),
        {ok, _} = remora_rpc:call(Plain, timer, sleep, [500]),
        process_info(self(), messages)
    end)).

rpc_casts(Config) ->
    {Vm, Plain = #{node := Node}} = {vm(Config), plain(Config)},
    {Listener, ok} = rcall(Plain, shimnode, hear, [fun() -> ok end]),
    ok = rcall(Vm, remora_rpc, cast, [Node, erlang, send, [Listener, cast]]),
    ?assertEqual([cast], shim_ct:heard(Plain, Listener, 1)),
    ?assertEqual(ok, rcall(Vm, remora_rpc, cast, ['nobody@127.0.0.1', erlang, node, []])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_rpc, cast, [Node, erlang, node, x])).

%% ---- messages -----------------------------------------------------------------------------------------------------------

messages(Config) ->
    {Vm, Plain} = {vm(Config), plain(Config)},
    {Listener, ok} = rcall(Plain, shimnode, hear, [fun() -> ok end]),
    ok = rcall(Vm, remora_messaging, send, [Listener, one]),
    ok = rcall(Vm, remora_registry, register, [listener, Listener]),
    ok = rcall(Vm, remora_messaging, send_name, [listener, two]),
    ?assertEqual({error, not_found}, rcall(Vm, remora_messaging, send_name, [nobody, two])),
    ?assertEqual({ok, 2}, rcall(Vm, remora_messaging, send_batch, [[{Listener, three}, {{name, listener}, four}]])),
    ?assertEqual({error, not_found}, rcall(Vm, remora_messaging, send_batch, [[{Listener, never}, {{name, nobody}, never}]])),
    ?assertEqual([four, one, three, two], lists:sort(shim_ct:heard(Plain, Listener, 4))).

calls(Config) ->
    {Vm, Plain = #{node := Node}} = {vm(Config), plain(Config)},
    {Server, ok} = rcall(Plain, shimnode, hear, [fun() -> ok end]),
    ok = rcall(Vm, remora_registry, register, [server, Server]),
    Call = fun(To) -> rcall(Vm, remora_messaging, call, [To, hello, 300]) end,
    ?assertEqual({ok, {answer, hello}}, Call(Server)),
    ?assertEqual({ok, {answer, hello}}, Call({name, server})),
    ?assertEqual({error, not_found}, Call({name, nobody})),
    ?assertEqual({error, timeout}, Call(idle(Plain))),
    Dead = idle(Plain),
    rcall(Plain, shimnode, kill, [[Dead]]),
    ?assertEqual({error, noproc}, Call(Dead)),
    ?assertEqual({error, {exit, boom}}, rcall(Vm, remora_messaging, call, [Server, {exit, boom}])),
    ?assert(is_atom(Node)).

%% Larger than the limit: an error before any byte leaves.
sizes(Config) ->
    {Vm, Plain = #{node := Node}} = {vm(Config), plain(Config)},
    {Listener, ok} = rcall(Plain, shimnode, hear, [fun() -> ok end]),
    ok = rcall(Vm, remora_registry, register, [sized, Listener]),
    ok = rcall(Vm, remora_groups, join, [sized, Listener]),
    ?assertEqual(10 * 1024 * 1024, rcall(Vm, remora_settings, max_message_size, [])),
    ok = rcall(Vm, remora_settings, set_max_message_size, [1_000]),
    Large = binary:copy(<<"x">>, 1_001),
    [?assertMatch({M, F, {error, {too_large, Bytes, 1_000}}} when Bytes > 1_000, {M, F, rcall(Vm, M, F, A)})
     || {M, F, A} <- [{remora_messaging, send, [Listener, Large]}, {remora_messaging, send_name, [sized, Large]},
                      {remora_messaging, send_batch, [[{Listener, small}, {Listener, Large}]]},
                      {remora_messaging, call, [Listener, Large]}, {remora_groups, broadcast, [sized, Large]},
                      {remora_groups, broadcast_local, [sized, Large]},
                      {remora_rpc, call, [Node, erlang, byte_size, [Large]]}, {remora_rpc, cast, [Node, erlang, byte_size, [Large]]}]],
    ?assertMatch([{error, {too_large, _, _}}], rcall(Vm, remora_rpc, multicall, [[Node], erlang, byte_size, [Large]])),
    Fits = binary:copy(<<"x">>, 900),
    ok = rcall(Vm, remora_messaging, send, [Listener, Fits]),
    ?assertEqual([Fits], shim_ct:heard(Plain, Listener, 1)),
    ok = rcall(Vm, remora_settings, set_max_message_size, [10 * 1024 * 1024]).

%% ---- nodes ----------------------------------------------------------------------------------------------------------------

nodes_and_connections(Config) ->
    {Vm = #{node := Here}, #{node := There}} = {vm(Config), other(Config)},
    {ok, Companion} = rcall(Vm, remora_cluster, companion, []),
    {ok, Nodes} = rcall(Vm, remora_cluster, nodes, []),
    [?assert(lists:member(N, Nodes)) || N <- [Here, There, maps:get(node, plain(Config))]],
    {ok, Count} = rcall(Vm, remora_cluster, connected_count, []),
    {ok, Hidden} = rcall(Vm, remora_cluster, hidden_nodes, []),
    ?assertEqual(Count, length(Nodes) + length(Hidden)),
    ?assertEqual(Here, rcall(Vm, remora_cluster, self_node, [])),
    ?assert(rcall(Vm, remora_cluster, is_distributed, [])),
    ?assertNot(remora_cluster:is_distributed()),
    ?assertEqual({ok, healthy}, rcall(Vm, remora_cluster, health, [])),
    ?assertEqual(pong, rcall(Vm, remora_cluster, ping, [There])),
    ?assertEqual(pong, rcall(Vm, remora_cluster, ping, [Companion])),
    ?assertEqual(pang, rcall(Vm, remora_cluster, ping, ['nobody@127.0.0.1'])),
    ?assertEqual(ok, rcall(Vm, remora_cluster, connect, [There])),
    New = remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("lonely"), hidden => true}),
    #{node := Lonely} = New,
    ?assertEqual(ok, rcall(Vm, remora_cluster, connect, [Lonely])),
    ?assertEqual({ok, [Lonely]}, rcall(Vm, remora_cluster, hidden_nodes, [])),
    ?assertEqual(ok, rcall(Vm, remora_cluster, disconnect, [Lonely])),
    ?assertEqual({ok, []}, rcall(Vm, remora_cluster, hidden_nodes, [])),
    ?assertEqual({error, not_connected}, rcall(Vm, remora_cluster, disconnect, [Lonely])),
    remora_ct:stop(New),
    ?assertEqual({ok, isolated}, run(Vm, fun() ->
        ets:safe_fixtable(remora_nodes, true), % what is there now, without its peers
        Rows = ets:tab2list(remora_nodes),
        [ets:delete(remora_nodes, N) || {N, _} <- Rows, N =/= node()],
        Health = remora_cluster:health(),
        ets:insert(remora_nodes, Rows),
        ets:safe_fixtable(remora_nodes, false),
        Health
    end)).

connect_errors(Config) ->
    Vm = vm(Config),
    Cause = fun(Node) -> {error, Reason} = rcall(Vm, remora_cluster, connect, [Node]), Reason end,
    ?assertEqual(not_registered, Cause('nobody@127.0.0.1')),
    ?assertEqual(host_unknown, Cause('nobody@no-such-host.invalid')),
    Strange = #{node := Other} = remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("strange"), cookie => "strange"}),
    Reason = Cause(Other),
    ?assert(lists:member(Reason, [handshake_closed, bad_cookie])),
    remora_ct:stop(Strange),
    [?assertEqual(nomatch, string:find(shim_ct:error_text(R), "Unexpected"))
     || R <- [not_registered, host_unknown, Reason, unreachable, no_epmd]].

nodes_told(Config) ->
    Vm = vm(Config),
    Name = remora_ct:unique("comes"),
    Node = list_to_atom(lists:concat([Name, "@127.0.0.1"])),
    {Listener, {{ok, All}, {ok, One}}} = rcall(Vm, shimnode, hear, [fun() ->
        {remora_monitor:monitor_nodes(), remora_monitor:monitor_node(Node)}
    end]),
    [{remora_node, One, {down, Node, not_connected}}] = shim_ct:heard(Vm, Listener, 1),
    rcall(Vm, shimnode, clear, [Listener]),
    Remora = remora_ct:start_remora((remora_ct:opts(Config))#{name => Name}),
    ok = rcall(Vm, remora_cluster, connect, [Node]),
    remora_ct:kill(Remora),
    Heard = shim_ct:heard(Vm, Listener, 4),
    [?assertMatch([{remora_node, Ref, {up, Node}}, {remora_node, Ref, {down, Node, Reason}}] when is_atom(Reason),
                  [M || {_, R, Event} = M <- Heard, R =:= Ref, element(2, Event) =:= Node]) || Ref <- [All, One]],
    ok = run(Vm, fun() -> {ok, Ref} = remora_monitor:monitor_nodes(), remora_monitor:demonitor_node(Ref) end).

events_told(Config) ->
    Vm = vm(Config),
    {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora:subscribe/0]),
    Remora = #{node := Node} = remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("seen")}),
    ok = rcall(Vm, remora_cluster, connect, [Node]),
    remora_ct:stop(Remora),
    ?assertMatch([{remora_event, Ref, {node_up, Node}}, {remora_event, Ref, {node_down, Node, _}} | _],
                 [M || {_, _, E} = M <- shim_ct:heard(Vm, Listener, 2), element(2, E) =:= Node]),
    ok = run(Vm, fun() -> {ok, R} = remora:subscribe(), remora:unsubscribe(R) end).

%% ---- strings, settings, log -------------------------------------------------------------------------------------------

%% 100,000 names that nobody has said before, everywhere a string can be said.
atoms_stay(Config) ->
    Vm = vm(Config),
    {Before, After} = run(Vm, fun() ->
        Random = fun() -> base64:encode(rand:bytes(12)) end,
        All = fun(Text) ->
            {error, {no_such_atom, Text}} = remora_atoms:to_atom(Text),
            {error, not_found} = remora_registry:whereis(Text),
            {ok, []} = remora_groups:members(Text),
            {error, not_found} = remora_messaging:send_name(Text, hello),
            {error, {option, companion, _}} = remora_sup:start_link(#{companion => <<Text/binary, "@a@b">>})
        end,
        All(Random()),
        _ = remora_error:format({no_such_atom, Random()}),
        Count = erlang:system_info(atom_count),
        [All(Random()) || _ <- lists:seq(1, 100_000)],
        %% And some that go to the companion and come back.
        [begin
             {error, not_found} = remora_registry:whereis_fresh(Random()),
             {error, not_joined} = remora_groups:leave(Random(), self()),
             {ok, 0} = remora_groups:broadcast(Random(), Random())
         end || _ <- lists:seq(1, 500)],
        {Count, erlang:system_info(atom_count)}
    end),
    ?assertEqual(Before, After).

atom_budget(Config) ->
    Vm = vm(Config),
    ?assertEqual({ok, erlang}, rcall(Vm, remora_atoms, to_atom, [<<"erlang">>])),
    ?assertNot(rcall(Vm, remora_settings, is_allow_atom_creation, [])),
    New = fun() -> list_to_binary("never_said_" ++ integer_to_list(erlang:unique_integer([positive])) ++ "_"
                                  ++ integer_to_list(erlang:system_time())) end,
    Text = New(),
    ?assertEqual({error, {no_such_atom, Text}}, rcall(Vm, remora_atoms, to_atom, [Text])),
    ok = rcall(Vm, remora_settings, set_allow_atom_creation, [true]),
    ?assertEqual({error, {atom_budget, 0}}, rcall(Vm, remora_atoms, to_atom, [Text])),
    ok = rcall(Vm, remora_settings, set_max_new_atoms, [3]),
    [?assertMatch({ok, A} when is_atom(A), rcall(Vm, remora_atoms, to_atom, [New()])) || _ <- [1, 2, 3]],
    ?assertEqual({error, {atom_budget, 3}}, rcall(Vm, remora_atoms, to_atom, [New()])),
    ?assertEqual(3, rcall(Vm, remora_settings, new_atoms, [])),
    ?assertEqual({ok, erlang}, rcall(Vm, remora_atoms, to_atom, [<<"erlang">>])),
    Long = binary:copy(<<"ä"/utf8>>, 256),
    ?assertEqual({error, {too_long, Long}}, rcall(Vm, remora_atoms, to_atom, [Long])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_atoms, to_atom, [<<255, 254>>])),
    ?assertEqual({error, badarg}, rcall(Vm, remora_atoms, to_atom, ["text"])),
    %% Many at once do not spend more than there is.
    ok = rcall(Vm, remora_settings, set_max_new_atoms, [53]),
    Made = run(Vm, fun() ->
        Made0 = erlang:system_info(atom_count),
        Refs = [element(2, spawn_monitor(fun() ->
                    [remora_atoms:to_atom(<<"many_", (integer_to_binary(N * 1000 + M))/binary, Text/binary>>) || M <- lists:seq(1, 50)]
                end)) || N <- lists:seq(1, 20)],
        [receive {'DOWN', R, process, _, _} -> ok end || R <- Refs],
        erlang:system_info(atom_count) - Made0
    end),
    ?assertEqual(50, Made),
    ok = rcall(Vm, remora_settings, set_allow_atom_creation, [false]).

settings(Config) ->
    Vm = vm(Config),
    ?assertEqual(false, rcall(Vm, remora_settings, is_use_crypto_ids, [])),
    ?assertEqual(ok, rcall(Vm, remora_settings, set_use_crypto_ids, [true])),
    ?assert(rcall(Vm, remora_settings, is_use_crypto_ids, [])),
    Ids = [rcall(Vm, remora_log, generate_correlation_id, []) || _ <- lists:seq(1, 50)],
    ?assertEqual(50, length(lists:usort(Ids))),
    [?assertMatch({match, _}, re:run(Id, "^[0-9a-f]{32}$")) || Id <- Ids],
    ok = rcall(Vm, remora_settings, set_use_crypto_ids, [false]),
    ?assertMatch({match, _}, re:run(rcall(Vm, remora_log, generate_correlation_id, []), "^[0-9a-f]{32}$")),
    [?assertMatch({'EXIT', {function_clause, _}}, run(Vm, fun() -> catch remora_settings:F(Value) end))
     || {F, Value} <- [{set_max_message_size, 0}, {set_max_new_atoms, -1}, {set_allow_atom_creation, maybe_so}]],
    %% They are those of the VM, whatever becomes of code and companion.
    ok = rcall(Vm, remora_settings, set_max_message_size, [77]),
    ok = remora_ct:load(Vm, [remora_settings]),
    ?assertEqual(77, rcall(Vm, remora_settings, max_message_size, [])),
    ok = rcall(Vm, remora_settings, set_max_message_size, [10 * 1024 * 1024]).

correlation_ids(Config) ->
    run(vm(Config), fun() ->
        undefined = remora_log:correlation(),
        ok = remora_log:set_correlation(<<"one">>),
        ?assertEqual(<<"two">>, remora_log:with_correlation(<<"two">>, fun remora_log:correlation/0)),
        ?assertEqual(<<"one">>, remora_log:correlation()),
        ?assertError(oops, remora_log:with_correlation(<<"two">>, fun() -> error(oops) end)),
        ?assertEqual(#{correlation => <<"one">>}, remora_log:correlation_meta()),
        ok = remora_log:set_correlation(binary:copy(<<"x">>, 1_000)),
        ?assertEqual(256, byte_size(remora_log:correlation())),
        ok = remora_log:set_correlation(undefined),
        ?assertEqual(#{}, remora_log:correlation_meta())
    end).

log_backends(Config) ->
    Vm = vm(Config),
    run(Vm, fun() ->
        shimnode:catch_logs(),
        ok = remora_log:set_correlation(<<"mine">>),
        ok = remora_log:log(warning, ["chardata ", <<"ü"/utf8>>], #{user => 1, <<"no atom">> => 2}),
        ok = remora_log:set_level(error),
        ok = remora_log:warning("left out"),
        ok = remora_log:error("not left out"),
        ok = remora_log:set_level(debug),
        Mine = [E || #{meta := #{correlation := <<"mine">>}} = E <- shimnode:logs()],
        [#{level := warning, msg := {"~ts", [Text]}, meta := Meta}, #{level := error}] = Mine,
        ?assertEqual(<<"chardata ü"/utf8>>, unicode:characters_to_binary(Text)),
        ?assertMatch(#{user := 1, domain := [remora], fields := #{<<"no atom">> := 2}, pid := _}, Meta),
        ok = remora_log:set_backend(console),
        ?assertEqual(console, remora_log:backend()),
        ok = remora_log:info("on the console"),
        ok = remora_log:set_backend(logger),
        shimnode:release_logs()
    end),
    wait_until(fun() -> [L || L <- remora_ct:log_lines(Vm), re:run(L, "Z info on the console correlation=mine") =/= nomatch] =/= [] end, 5_000).

%% ---- no companion ---------------------------------------------------------------------------------------------------------

%% A VM that has never had one. Each function of each module is a value at once.
not_running_at_all(Config) ->
    Plain = #{node := Node} = plain(Config),
    Pid = idle(Plain),
    [begin
         {Ms, Result} = elapsed(fun() -> rcall(Plain, M, F, A) end),
         ?assertEqual({M, F, {error, not_running}}, {M, F, Result}),
         ?assert(Ms < 500)
     end || {M, F, A} <-
        [{remora, status, []}, {remora, nodes, []}, {remora, stop, []}, {remora, subscribe, []}, {remora, unsubscribe, [make_ref()]}]
        ++ [{remora_registry, F, A} || {F, A} <- [{register, [n, Pid]}, {re_register, [n, Pid]}, {unregister, [n]}, {whereis, [n]},
            {whereis_fresh, [n]}, {names, []}, {await, [n, 10_000]}, {subscribe, []}, {unsubscribe, [make_ref()]}]]
        ++ [{remora_groups, F, A} || {F, A} <- [{join, [g, Pid]}, {leave, [g, Pid]}, {members, [g]}, {local_members, [g]},
            {members_fresh, [g]}, {groups, []}, {scopes, []}, {broadcast, [g, m]}, {broadcast_local, [g, m]}, {start_scope, [s]},
            {stop_scope, [s]}, {subscribe, [g]}, {subscribe_scope, []}, {unsubscribe, [make_ref()]}]]
        ++ [{remora_cluster, F, A} || {F, A} <- [{connect, [Node]}, {disconnect, [Node]}, {ping, [Node]}, {nodes, []}, {hidden_nodes, []},
            {companion, []}, {connected_count, []}, {health, []}]]
        ++ [{remora_membership, F, A} || {F, A} <- [{start_service, []}, {start_service, [#{interval => 5}]}, {stop_service, []},
            {alive, []}, {suspect, []}, {members, []}, {members_fresh, []}, {member, [Node]}, {members_with_status, []},
            {current_leader, []}, {set_metadata, [#{}]}, {event, [e, <<>>]}, {merge, [[]]}, {tell, [Node, []]}, {metrics, []},
            {health, []}, {subscribe, []}, {unsubscribe, [make_ref()]}]]
        ++ [{remora_election, F, A} || {F, A} <- [{start_service, [#{}]}, {stop_service, []}, {elect, []}, {elect, [1_000]},
            {current_leader, []}, {current_term, []}, {fencing_token, []}, {check_token, [1]}, {status, []}, {transfer, [Node]},
            {resign, []}, {add_voter, [Node]}, {remove_voter, [Node]}, {campaign, [n, Pid]}, {resign, [n, Pid]}, {leader, [n]},
            {holds, [n, Pid]}, {subscribe, []}, {subscribe, [n]}, {unsubscribe, [make_ref()]}]]
        ++ [{remora_health, F, A} || {F, A} <- [{cluster, []}, {node, [Node]}, {alive_count, []}, {suspect_count, []},
            {dead_count, []}, {greatest, []}]]
        ++ [{remora_rpc, call, [Node, erlang, node, []]}, {remora_rpc, cast, [Node, erlang, node, []]},
            {remora_membership, local_view, []}, {remora_election, start_service, []},
            {remora_monitor, monitor_node, [Node]}, {remora_monitor, monitor_nodes, []},
            {remora_monitor, demonitor_node, [make_ref()]}, {remora_messaging, send_name, [n, m]},
            {remora_messaging, call, [{name, n}, m]}]],
    ?assertEqual([{error, not_running}], rcall(Plain, remora_rpc, multicall, [[Node], erlang, node, []])),
    ?assertEqual([{error, not_running}], rcall(Plain, remora_registry, register_many, [[{n, Pid}]])),
    ?assertEqual(false, rcall(Plain, remora_election, am_i_leader, [])),
    ?assertEqual(false, rcall(Plain, remora_membership, is_started, [])),
    ?assertEqual(false, rcall(Plain, remora_health, has_quorum, [1])),
    ?assertEqual(no, rcall(Plain, remora_registry, register_name, [n, Pid])),
    ?assertEqual(ok, rcall(Plain, remora_registry, unregister_name, [n])),
    ?assertEqual(undefined, rcall(Plain, remora_registry, whereis_name, [n])),
    ?assertEqual(ok, rcall(Plain, remora_messaging, send, [Pid, m])),
    ?assertMatch({ok, _}, rcall(Plain, remora_atoms, to_atom, [<<"erlang">>])).

%% Each reason that a spec names has a sentence of its own, and its sentence says what it is about.
errors_are_sentences(_) ->
    Pid = self(),
    [begin
         Text = remora_error:format(Reason),
         ?assert(is_binary(Text) andalso byte_size(Text) > 10),
         ?assertEqual({Reason, nomatch}, {Reason, binary:match(Text, <<"Unexpected">>)}),
         ?assertEqual({Reason, $.}, {Reason, binary:last(Text)}),
         ?assertEqual(Text, remora_error:format({error, Reason}))
     end || Reason <-
        [not_running, timeout, {taken, Pid}, already_named, {member_timeout, n@h}, busy, not_found, not_joined,
         {no_scope, s}, name_taken, system_limit, badarg, {nodedown, n@h}, {undef, {m, f, 3}}, {raised, error, why},
         {badrpc, why}, {too_large, 5, 4}, noproc, {exit, why}, not_connected, {no_such_atom, <<"x">>}, {atom_budget, 5},
         {too_long, binary:copy(<<"x">>, 300)}, no_crypto, already_started, bad_name, bad_cookie, {name_taken, n@h}, {failed, why},
         not_started, {membership_option, interval, <<"wrong">>}, {election_option, lease, <<"wrong">>}, {no_socket, <<"in use">>},
         {membership, {no_socket, <<"in use">>}}, {metadata_too_large, 600, 512}, {event_too_large, 600, 512}, unknown_node,
         not_configured, no_leader, not_leader, is_voter, not_voter, too_many, stale_token, unknown_token, stopped,
         not_campaigning, not_held]],
    ?assertMatch({_, _}, binary:match(remora_error:format({surprise, 1}), <<"surprise">>)).

%% A VM that becomes a node, and then has a companion.
start_a_node(Config) ->
    Vm = vm(Config),
    ?assertEqual({error, already_started}, rcall(Vm, remora_cluster, start_node, [<<"x@127.0.0.1">>, <<"c">>])),
    ?assertEqual({error, not_allowed}, rcall(Vm, remora_cluster, stop_node, [])),
    Name = atom_to_list(remora_ct:unique("fresh")) ++ "@127.0.0.1",
    Script = io_lib:format(
        "ok = application:set_env(kernel, inet_dist_use_interface, {127,0,0,1}),"
        "{error, bad_name} = remora_cluster:start_node(<<\"no host\">>, <<\"c\">>),"
        "{error, bad_cookie} = remora_cluster:start_node(<<\"~s\">>, <<>>),"
        "{error, not_distributed} = remora_cluster:stop_node(),"
        "{error, not_distributed} = remora:start_link(),"
        "{error, {name_taken, '~s'}} = remora_cluster:start_node(<<\"~s\">>, <<\"c\">>),"
        "ok = remora_cluster:start_node(<<\"~s\">>, <<\"~s\">>),"
        "'~s' = remora_cluster:self_node(), true = remora_cluster:is_distributed(),"
        "{ok, _} = remora:start_link(), {ok, #{companion := C}} = remora:status(),"
        "pong = remora_cluster:ping('~s'), ok = remora:stop(), ok = remora_cluster:stop_node(),"
        "io:format(\"~~s~~n\", [C]), halt().",
        [Name, maps:get(node, Vm), maps:get(node, Vm), Name, remora_ct:cookie(Config), Name, maps:get(node, Vm)]),
    Program = remora_ct:start_program(os:find_executable("erl"),
        ["-noinput", "-kernel", "logger_level", "emergency", "-start_epmd", "false", "-pa", filename:dirname(code:which(remora_sup)), "-eval", lists:flatten(Script)],
        [{"ERL_EPMD_PORT", integer_to_list(remora_ct:epmd_port(Config))}, {"REMORA_BIN", os:getenv("REMORA_BIN")},
         {"ERL_CRASH_DUMP", "/dev/null"}],
        filename:join(proplists:get_value(priv_dir, Config), "fresh.log")),
    ?assertEqual({line, list_to_binary(string:replace(Name, "@", "_remora@"))}, remora_ct:await_line(Program, 20_000)),
    ?assertEqual(0, remora_ct:await_exit(Program, 10_000)).

%% Many processes, each of which reads what it has just written.
read_your_writes(Config) ->
    Vm = vm(Config),
    ?assertEqual([], run(Vm, fun() ->
        Refs = [element(2, spawn_monitor(fun() -> [write_and_read(N, M) || M <- lists:seq(1, 20)] end)) || N <- lists:seq(1, 50)],
        [Reason || R <- Refs, Reason <- [receive {'DOWN', R, process, _, Why} -> Why end], Reason =/= normal]
    end)).

write_and_read(N, M) ->
    Me = self(),
    ok = remora_registry:register({n, N, M}, Me),
    {ok, Me} = remora_registry:whereis({n, N, M}),
    ok = remora_groups:join({g, N}, Me),
    {ok, [Me]} = remora_groups:members({g, N}),
    ok = remora_registry:unregister({n, N, M}),
    {error, not_found} = remora_registry:whereis({n, N, M}),
    ok = remora_groups:leave({g, N}, Me),
    {ok, []} = remora_groups:members({g, N}).
