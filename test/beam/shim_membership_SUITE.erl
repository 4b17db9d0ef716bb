%% shim_membership_SUITE: membership as an application sees it: members and verdicts in the VM's copy, events once and none
%% that a restart repeats, node monitors that fire on verdicts, what is told again to a new companion, limits, odd answers.
%% The cases on a stand-in (doorstand) say what the package does with each thing that a companion may say; the others run
%% with real companions.
-module(shim_membership_SUITE).
-define(OWN_TESTCASE, true).
-include("suite.hrl").

cases() ->
    [members_of_the_stream, events_once, nonsense_is_no_member, no_atoms_of_members, gap_of_members, restart_is_no_news,
     what_a_restart_lost, monitors_hear_verdicts, monitor_of_a_dead_node, stops_and_starts, told_again, options_are_checked,
     wrong_option_at_the_start, no_socket_at_the_start, metadata_limits, event_limits, odd_answers, health_by_verdicts, beats,
     doc_example, finds_each_other, a_node_hangs, a_companion_is_killed, restart_under_listeners, leaves, metadata_and_events,
     gossip_is_merged].

peers() -> [(shim_ct:peer_opts(?MODULE))#{modules := [doorstand | maps:get(modules, shim_ct:peer_opts(?MODULE))]}
            || _ <- [1, 2, 3]].

init_per_testcase(_, Config) -> Config.

end_per_testcase(_, Config) ->
    [shim_ct:stop(P) || P <- remora_ct:peers(Config)],
    [rcall(P, shimnode, forget, []) || P <- remora_ct:peers(Config)],
    shim_ct:apart(Config).

vm(Config) -> peer(1, Config).
second(Config) -> peer(2, Config).
third(Config) -> peer(3, Config).

%% ---- a stand-in -----------------------------------------------------------------------------------------------------

beside_a_stand(Config, Test) -> shim_ct:beside_a_stand(vm(Config), second(Config), #{}, Test).

%% What Vm hears of membership.
listen(Vm) ->
    {Listener, {ok, _}} = rcall(Vm, shimnode, hear, [fun remora_membership:subscribe/0]),
    Listener.

events(Vm, Listener) -> [Event || {remora_membership, _, Event} <- rcall(Vm, shimnode, heard, [Listener])].
await_event(Vm, Listener, Event) -> wait_until(fun() -> lists:member(Event, events(Vm, Listener)) end, 10_000).

%% Events by the name of their member.
short({What, #{node := Node}}) -> {What, Node};
short(Event) -> Event.
short_events(Vm, Listener) -> [short(Event) || Event <- events(Vm, Listener)].

change(Second, Changes) -> ok = rcall(Second, doorstand, change, [Changes]).

%% The mirror has seen all that was sent before.
settled(Vm) -> _ = rcall(Vm, sys, get_state, [remora_mirror]), ok.

map() -> #{kind => remora, creation => 7, companion => none, address => <<"127.0.0.1:4000">>, metadata => #{}}.
member(Node, Status, N) -> {member, Node, Status, N, map()}.

three() -> [{membership, started}, member(<<"a@h">>, alive, 0), member(<<"b@h">>, alive, 0), member(<<"c@h">>, alive, 0),
            {member_leader, <<"c@h">>}].

members_of_the_stream(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        ?assertEqual({error, not_started}, rcall(Vm, remora_membership, alive, [])),
        ?assertEqual({error, not_started}, rcall(Vm, remora_membership, current_leader, [])),
        change(Second, three()),
        wait_until(fun() -> {ok, [<<"a@h">>, <<"b@h">>, <<"c@h">>]} =:= rcall(Vm, remora_membership, alive, []) end, 5_000),
        ?assertEqual({ok, <<"c@h">>}, rcall(Vm, remora_membership, current_leader, [])),
        change(Second, [member(<<"b@h">>, suspect, 1), {member, <<"d@h">>, dead, 4, #{kind => beam, companion => <<"a@h">>}},
                        {member_leader, <<"d@h">>}]),
        wait_until(fun() -> {ok, <<"d@h">>} =:= rcall(Vm, remora_membership, current_leader, []) end, 5_000),
        ?assertEqual({ok, [<<"b@h">>]}, rcall(Vm, remora_membership, suspect, [])),
        ?assertEqual({ok, [{<<"a@h">>, alive, 0}, {<<"b@h">>, suspect, 1}, {<<"c@h">>, alive, 0}, {<<"d@h">>, dead, 4}]},
                     rcall(Vm, remora_membership, members_with_status, [])),
        {ok, Members} = rcall(Vm, remora_membership, members, []),
        ?assertEqual(#{node => <<"d@h">>, status => dead, incarnation => 4, kind => beam, creation => 0, companion => <<"a@h">>,
                       address => none, metadata => #{}}, lists:last(Members)),
        ?assertEqual({ok, hd(Members)}, rcall(Vm, remora_membership, member, ['a@h'])),
        ?assertEqual({error, unknown_node}, rcall(Vm, remora_membership, member, [<<"e@h">>])),
        ok = rcall(Second, doorstand, answer, [{membership, members}, {ok, [{<<"d@h">>, dead, 9, #{}}, {<<"e@h">>, alive, 1, #{}}]}]),
        Now = erlang:system_time(millisecond),
        {ok, [{<<"d@h">>, dead, 9, Ms1}, {<<"e@h">>, alive, 1, Ms2}]} = rcall(Vm, remora_membership, local_view, []),
        ?assert(abs(Now - Ms1) < 60_000 andalso abs(Now - Ms2) < 60_000),
        change(Second, [{unmember, <<"d@h">>}, {membership, stopped}]),
        wait_until(fun() -> {error, not_started} =:= rcall(Vm, remora_membership, members, []) end, 5_000),
        ?assertEqual([], rcall(Vm, ets, tab2list, [remora_members]))
    end).

%% Each verdict by its name, and none twice.
events_once(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Listener = listen(Vm),
        A = fun(Status, N) -> member(<<"a@h">>, Status, N) end,
        [change(Second, Changes) || Changes <- [
            [{membership, started}, {membership, started}, A(alive, 0), A(alive, 0)],
            [A(suspect, 0)], [A(suspect, 0)], [A(alive, 1)], [A(suspect, 1), A(dead, 1)], [A(dead, 1)], [A(alive, 2)], [A(left, 2)],
            [A(alive, 3)], [setelement(5, A(alive, 3), (map())#{metadata => #{<<"k">> => <<"v">>}})],
            [{member_leader, <<"a@h">>}], [{member_leader, <<"a@h">>}], [{member_event, <<"a@h">>, <<"e">>, <<0>>}],
            [{member_event, <<"a@h">>, <<"e">>, <<0>>}], [{unmember, <<"a@h">>}], [{unmember, <<"a@h">>}], [{membership, stopped}],
            [{membership, stopped}]]],
        await_event(Vm, Listener, stopped),
        ?assertEqual([started, {joined, <<"a@h">>}, {suspected, <<"a@h">>}, {cleared, <<"a@h">>}, {suspected, <<"a@h">>},
                      {died, <<"a@h">>}, {joined, <<"a@h">>}, {left, <<"a@h">>}, {joined, <<"a@h">>}, {updated, <<"a@h">>},
                      {leader, <<"a@h">>}, {event, <<"a@h">>, <<"e">>, <<0>>}, {event, <<"a@h">>, <<"e">>, <<0>>},
                      {forgotten, <<"a@h">>}, stopped],
                     short_events(Vm, Listener))
    end).

%% What a newer companion, or a wrong one, says.
nonsense_is_no_member(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Listener = listen(Vm),
        change(Second, [{membership, started}, {member, a, alive, 0, #{}}, {member, <<"x@h">>, odd, 0, #{}}, {member, <<"x@h">>, alive, x, #{}},
                        {member, <<"x@h">>, alive, 0, []}, {member, <<"x@h">>}, {unmember, x}, {member_leader, 7}, {membership, paused},
                        {member_event, a, b, c}, {a_change_of_tomorrow, 1, 2, 3}, word, 17, [], {},
                        {member, <<"y@h">>, alive, 0, #{kind => odd, creation => x, companion => 5, address => [], metadata => #{a => b}}}]),
        wait_until(fun() -> {ok, [<<"y@h">>]} =:= rcall(Vm, remora_membership, alive, []) end, 5_000),
        ?assertEqual({ok, [#{node => <<"y@h">>, status => alive, incarnation => 0, kind => beam, creation => 0, companion => none,
                             address => none, metadata => #{}}]}, rcall(Vm, remora_membership, members, [])),
        ?assertEqual([started, {joined, <<"y@h">>}], short_events(Vm, Listener))
    end).

no_atoms_of_members(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, [{membership, started}]),
        Names = fun(Round) -> [<<"atomless_", (integer_to_binary(N))/binary, "@h", Round>> || N <- lists:seq(1, 5_000)] end,
        All = fun() ->
            {remora_membership:alive(), remora_membership:members(), remora_membership:members_with_status(),
             remora_membership:current_leader(), remora_health:cluster(), remora_health:greatest(), remora_health:node(<<"atomless_1@h1">>),
             remora_membership:member(<<"atomless_1@h1">>), remora_mirror:node_state(<<"atomless_1@h1">>)}
        end,
        _ = run(Vm, All),
        Before = rcall(Vm, erlang, system_info, [atom_count]),
        [change(Second, [member(N, S, I) || N <- Names($1)] ++ [{member_leader, hd(Names($1))}])
         || {S, I} <- [{alive, 0}, {suspect, 0}, {dead, 0}, {alive, 1}]],
        wait_until(fun() -> {ok, L} = rcall(Vm, remora_membership, alive, []), length(L) =:= 5_000 end, 10_000),
        _ = run(Vm, All),
        change(Second, [{unmember, N} || N <- Names($1)]),
        wait_until(fun() -> {ok, []} =:= rcall(Vm, remora_membership, members, []) end, 10_000),
        ?assertEqual(Before, rcall(Vm, erlang, system_info, [atom_count]))
    end).

%% The same companion says all anew: what it does not say is not so.
gap_of_members(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, three()),
        wait_until(fun() -> {ok, <<"c@h">>} =:= rcall(Vm, remora_membership, current_leader, []) end, 5_000),
        Listener = listen(Vm),
        ok = rcall(Second, doorstand, snapshot, [[{membership, started}, member(<<"a@h">>, alive, 0), member(<<"b@h">>, dead, 0),
                                                  {member_leader, <<"a@h">>}]]),
        ok = rcall(Vm, shim_ct, lose, []),
        change(Second, [member(<<"x@h">>, alive, 0)]),
        wait_until(fun() -> {ok, [<<"a@h">>]} =:= rcall(Vm, remora_membership, alive, []) end, 5_000),
        ?assertEqual([{died, <<"b@h">>}, {forgotten, <<"c@h">>}, {leader, <<"a@h">>}], lists:sort(short_events(Vm, Listener))),
        ?assertEqual({ok, <<"a@h">>}, rcall(Vm, remora_membership, current_leader, []))
    end).

%% A new companion knows itself at first, and hears of the others: that is no news.
restart_is_no_news(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, three()),
        wait_until(fun() -> {ok, <<"c@h">>} =:= rcall(Vm, remora_membership, current_leader, []) end, 5_000),
        Listener = listen(Vm),
        ok = rcall(Second, doorstand, snapshot, [[{membership, started}, member(<<"a@h">>, alive, 0), {member_leader, <<"a@h">>}]]),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        ?assertEqual({ok, [<<"a@h">>, <<"b@h">>, <<"c@h">>]}, rcall(Vm, remora_membership, alive, [])),
        ?assertEqual({ok, <<"c@h">>}, rcall(Vm, remora_membership, current_leader, [])),
        change(Second, [member(<<"b@h">>, alive, 0), {member_leader, <<"b@h">>}]),
        change(Second, [member(<<"c@h">>, alive, 0), {member_leader, <<"c@h">>}]),
        change(Second, [member(<<"d@h">>, alive, 0), {member_leader, <<"d@h">>}]),
        await_event(Vm, Listener, {leader, <<"d@h">>}),
        receive after 5_500 -> ok end, % the time for the others is over
        ?assertEqual([{joined, <<"d@h">>}, {leader, <<"d@h">>}], short_events(Vm, Listener))
    end).

%% Who is not heard of again was lost while the companion was away; who is dead by now is told so at once.
what_a_restart_lost(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, three()),
        wait_until(fun() -> {ok, <<"c@h">>} =:= rcall(Vm, remora_membership, current_leader, []) end, 5_000),
        Listener = listen(Vm),
        ok = rcall(Second, doorstand, snapshot, [[{membership, started}, member(<<"a@h">>, alive, 0), {member_leader, <<"a@h">>}]]),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        change(Second, [member(<<"b@h">>, dead, 0)]),
        wait_until(fun() -> [{died, <<"b@h">>}] =:= short_events(Vm, Listener) end, 2_000),
        await_event(Vm, Listener, {leader, <<"a@h">>}),
        ?assertEqual([{died, <<"b@h">>}, {forgotten, <<"c@h">>}, {leader, <<"a@h">>}], short_events(Vm, Listener)),
        %% A companion that does not run it any more.
        ok = rcall(Second, doorstand, snapshot, [[]]),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        await_event(Vm, Listener, stopped),
        ?assertEqual({error, not_started}, rcall(Vm, remora_membership, alive, []))
    end).

%% ---- node monitors --------------------------------------------------------------------------------------------------

%% Down once, whatever is known first; up when it is connected and not dead.
monitors_hear_verdicts(Config) ->
    #{node := N3} = third(Config),
    Name = atom_to_binary(N3),
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, [{up, N3, visible}, {membership, started}, member(Name, alive, 0)]),
        wait_until(fun() -> {ok, [Name]} =:= rcall(Vm, remora_membership, alive, []) end, 5_000),
        {One, {ok, _}} = rcall(Vm, shimnode, hear, [fun() -> remora_monitor:monitor_node(N3) end]),
        {All, {ok, _}} = rcall(Vm, shimnode, hear, [fun remora_monitor:monitor_nodes/0]),
        {Events, {ok, _}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
        [change(Second, Changes) || Changes <- [
            [member(Name, suspect, 0)], [member(Name, dead, 0)],                 % down
            [{down, N3, connection_closed}],                                     % told already
            [{up, N3, visible}],                                                 % dead still
            [member(Name, alive, 1)],                                            % up
            [{down, N3, net_tick_timeout}], [member(Name, dead, 1)],             % down, by the other
            [member(Name, alive, 2)],                                            % not connected
            [{up, N3, visible}],                                                 % up
            [member(Name, dead, 2)], [{membership, stopped}]]],                  % down; who knows better now? up
        Wanted = [{down, N3, died}, {up, N3}, {down, N3, net_tick_timeout}, {up, N3}, {down, N3, died}, {up, N3}],
        [?assertEqual(Wanted, [Event || {remora_node, _, Event} <- shim_ct:heard(Vm, L, 6)]) || L <- [One, All]],
        settled(Vm),
        ?assertEqual(Wanted, [Event || {remora_node, _, Event} <- rcall(Vm, shimnode, heard, [One])]),
        %% What is told of connections stays that.
        ?assertEqual([{node_down, N3, connection_closed}, {node_up, N3}, {node_down, N3, net_tick_timeout}, {node_up, N3}],
                     [Event || {remora_event, _, Event} <- rcall(Vm, shimnode, heard, [Events])])
    end).

monitor_of_a_dead_node(Config) ->
    #{node := N3} = third(Config),
    Name = atom_to_binary(N3),
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, [{up, N3, visible}, {membership, started}, member(Name, dead, 0)]),
        wait_until(fun() -> died =:= rcall(Vm, remora_mirror, node_state, [Name]) end, 5_000),
        {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun() -> remora_monitor:monitor_node(N3) end]),
        ?assertEqual([{remora_node, Ref, {down, N3, died}}], shim_ct:heard(Vm, Listener, 1)),
        ?assertEqual(not_connected, rcall(Vm, remora_mirror, node_state, [<<"nobody@h">>]))
    end).

%% ---- starting, telling again ----------------------------------------------------------------------------------------

stops_and_starts(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        ok = rcall(Vm, remora_membership, start_service, [#{interval => 200, expel => dead, address => "10.0.0.7"}]),
        ok = rcall(Vm, remora_membership, start_service, []),
        ok = rcall(Vm, remora_membership, stop_service, []),
        ok = rcall(Second, doorstand, answer, [{membership, stop}, {error, not_started}]),
        ?assertEqual({error, not_started}, rcall(Vm, remora_membership, stop_service, [])),
        ?assertEqual([{membership, {start, #{interval => 200, expel => dead, address => <<"10.0.0.7">>}}}, {membership, {start, #{}}},
                      {membership, stop}, {membership, stop}], asked(Second)),
        ?assertEqual([], rcall(Vm, remora_intents, all, []))
    end).

asked(Second) -> [Request || Request <- rcall(Second, doorstand, asked, []), element(1, Request) =/= app].

%% The last options, with what was said since; nothing of what was stopped.
told_again(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        ok = rcall(Vm, remora_membership, start_service, [#{interval => 200, metadata => #{zone => "a"}}]),
        ok = rcall(Vm, remora_membership, set_metadata, [#{<<"zone">> => <<"b">>}]),
        ok = rcall(Vm, remora_membership, start_service, [#{interval => 100}]),
        Last = {membership, {start, #{interval => 100, metadata => #{<<"zone">> => <<"b">>}}}},
        ?assertEqual(Last, lists:last(asked(Second))),
        Before = length(asked(Second)),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        ?assertEqual([Last], lists:nthtail(Before, asked(Second))),
        %% The companion does not take it any more: that is in the log, and the rest goes on.
        ok = rcall(Second, doorstand, answer, [Last, {error, {option, interval, <<"it is too odd">>}}]),
        run(Vm, fun() -> shimnode:catch_logs() end),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        wait_until(fun() -> nomatch =/= string:find(io_lib:format("~tp", [rcall(Vm, shimnode, logs, [])]), "too odd") end, 5_000),
        rcall(Vm, shimnode, release_logs, []),
        ok = rcall(Vm, remora_membership, stop_service, []),
        Stopped = length(asked(Second)),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        ?assertEqual([], lists:nthtail(Stopped, asked(Second))),
        %% Said of a service that the program's own options have started.
        ok = rcall(Vm, remora_membership, set_metadata, [#{a => b}]),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        ?assertEqual({membership, {start, #{metadata => #{<<"a">> => <<"b">>}}}}, lists:last(asked(Second)))
    end).

options_are_checked(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        [begin
             {error, {membership_option, Key, Text}} = rcall(Vm, remora_membership, start_service, [#{Key => Value}]),
             ?assert(is_binary(Text)),
             ?assert(nomatch =/= string:find(shim_ct:error_text({membership_option, Key, Text}), io_lib:format("~tp", [Key])))
         end || {Key, Value} <- [{interval, 0}, {interval, soon}, {probe_timeout, -1}, {suspicion_min, 1.5}, {sync_interval, 0},
                                 {indirect_probes, x}, {suspicion_max_factor, 0}, {expel, always}, {port, 65536}, {address, 17},
                                 {key_file, ""}, {metadata, [{a, b}]}, {metadata, #{a => 5}}, {metadata, #{a => binary:copy(<<"x">>, 600)}},
                                 {unheard_of, 1}]],
        ?assertMatch({error, {membership_option, membership, _}}, rcall(Vm, remora_membership, start_service, [[{interval, 1}]])),
        ?assertEqual([], asked(Second)),
        ok = rcall(Second, doorstand, answer, [{membership, {start, #{port => 1}}}, {error, {no_socket, <<"not allowed">>}}]),
        ?assertEqual({error, {no_socket, <<"not allowed">>}}, rcall(Vm, remora_membership, start_service, [#{port => 1}])),
        ok = rcall(Second, doorstand, answer, [{membership, {start, #{port => 2}}}, {error, {option, port, <<"not that one">>}}]),
        ?assertEqual({error, {membership_option, port, <<"not that one">>}}, rcall(Vm, remora_membership, start_service, [#{port => 2}])),
        ?assertEqual([], rcall(Vm, remora_intents, all, []))
    end).

%% A start with options that cannot be fails, with the same words.
wrong_option_at_the_start(Config) -> fails_at_the_start(Config, {option, interval, <<"it is too odd">>},
                                                        {membership_option, interval, <<"it is too odd">>}).
no_socket_at_the_start(Config) -> fails_at_the_start(Config, {no_socket, <<"in use">>}, {membership, {no_socket, <<"in use">>}}).

fails_at_the_start(Config, Said, Wanted) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    ok = rcall(Second, doorstand, start, []),
    ok = rcall(Second, doorstand, answer, [{membership, {start, #{interval => 5}}}, {error, Said}]),
    Start = fun(Options) -> shim_ct:start(Vm, Options#{binary => {managed_elsewhere, Node}}) end,
    try
        ?assertEqual({error, Wanted}, Start(#{membership => #{interval => 5}})),
        ?assertEqual({error, not_running}, rcall(Vm, remora_membership, alive, [])),
        ?assertMatch({error, {membership_option, interval, _}}, Start(#{membership => #{interval => 0}})),
        {ok, _} = Start(#{membership => #{interval => 6}}),
        ?assertEqual({membership, {start, #{interval => 6}}}, lists:last(asked(Second)))
    after
        shim_ct:stop(Vm),
        rcall(Second, doorstand, stop, [])
    end.

%% ---- limits ---------------------------------------------------------------------------------------------------------

%% 3 for each pair: nothing is sent of what is more.
metadata_limits(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Of = fun(Bytes) -> #{<<"k">> => binary:copy(<<"x">>, Bytes - 4)} end,
        ?assertEqual(ok, rcall(Vm, remora_membership, set_metadata, [Of(512)])),
        ?assertEqual({error, {metadata_too_large, 513, 512}}, rcall(Vm, remora_membership, set_metadata, [Of(513)])),
        ?assertEqual({error, {metadata_too_large, 256, 255}},
                     rcall(Vm, remora_membership, set_metadata, [#{binary:copy(<<"k">>, 256) => <<>>}])),
        ?assertEqual(ok, rcall(Vm, remora_membership, set_metadata, [#{}])),
        [?assertEqual({error, badarg}, rcall(Vm, remora_membership, set_metadata, [Wrong]))
         || Wrong <- [[], 5, #{1 => <<"a">>}, #{<<"a">> => 1}, #{<<"a">> => <<255>>}, #{a => b, <<"a">> => c}]],
        ?assertEqual([{membership, {set_metadata, Of(512)}}, {membership, {set_metadata, #{}}}], asked(Second)),
        ok = rcall(Second, doorstand, answer, [{membership, {set_metadata, #{}}}, {error, too_large}]),
        ?assertEqual({error, {metadata_too_large, 0, 512}}, rcall(Vm, remora_membership, set_metadata, [#{}]))
    end).

event_limits(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        ?assertEqual(ok, rcall(Vm, remora_membership, event, [name, binary:copy(<<1>>, 508)])),
        ?assertEqual({error, {event_too_large, 513, 512}}, rcall(Vm, remora_membership, event, ["name", binary:copy(<<1>>, 509)])),
        [?assertEqual({error, badarg}, rcall(Vm, remora_membership, event, Wrong)) || Wrong <- [[5, <<>>], [name, "text"], [<<255>>, <<>>]]],
        ?assertMatch([_], asked(Second)),
        ok = rcall(Second, doorstand, answer, [{membership, {event, <<"n">>, <<>>}}, {error, too_large}]),
        ?assertEqual({error, {event_too_large, 1, 512}}, rcall(Vm, remora_membership, event, [n, <<>>]))
    end).

%% Whatever a companion answers, and when, it is one of the specs' values.
odd_answers(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Hearsay = [{<<"b@h">>, suspect, 3}],
        Calls = [{{membership, {start, #{}}}, {start_service, []}}, {{membership, stop}, {stop_service, []}},
                 {{membership, members}, {members_fresh, []}}, {{membership, metrics}, {metrics, []}}, {{membership, health}, {health, []}},
                 {{membership, {set_metadata, #{}}}, {set_metadata, [#{}]}}, {{membership, {event, <<"n">>, <<>>}}, {event, [n, <<>>]}},
                 {{membership, {merge, Hearsay}}, {merge, [[{'b@h', suspect, 3}]]}},
                 {{membership, {tell, <<"b@h">>, Hearsay}}, {tell, ['b@h', Hearsay]}}],
        [begin
             ok = rcall(Second, doorstand, answer, [Request, Answer]),
             {Ms, Result} = elapsed(fun() -> rcall(Vm, remora_membership, Function, Args) end),
             ?assertEqual({Function, Answer, {error, Wanted}}, {Function, Answer, Result}),
             ?assert(Ms < 2_000)
         end || {Request, {Function, Args}} <- Calls,
                {Answer, Wanted} <- [{{error, not_started}, not_started}, {{error, strange}, badarg}, {{ok, odd}, badarg}, {yes, badarg},
                                     {{error, {option, 1, 2}}, badarg}, {silent, timeout}, {{late, 900, ok}, timeout}]],
        ok = rcall(Second, doorstand, answer, [{membership, {tell, <<"b@h">>, []}}, {error, unknown_node}]),
        ?assertEqual({error, unknown_node}, rcall(Vm, remora_membership, tell, [<<"b@h">>, []])),
        [?assertEqual({error, badarg}, rcall(Vm, remora_membership, merge, [Wrong]))
         || Wrong <- [x, [{a, alive}], [{a, odd, 1}], [{a, alive, -1}], [{5, alive, 1}], [{a, alive, 1} | x]]],
        ok = rcall(Second, doorstand, answer, [{membership, members}, {ok, [{<<"b@h">>, left, 2, #{}}]}]),
        ?assertMatch({ok, [#{node := <<"b@h">>, status := left, incarnation := 2, metadata := #{}}]},
                     rcall(Vm, remora_membership, members_fresh, [])),
        ok = rcall(Second, doorstand, answer, [{membership, health}, {ok, #{multiplier => 3, lag => 250, full_queues => [<<"b@h">>], more => 1}}]),
        ?assertEqual({ok, #{multiplier => 3, lag => 250, full_queues => [<<"b@h">>]}}, rcall(Vm, remora_membership, health, []))
    end).

health_by_verdicts(Config) ->
    {#{node := Own}, #{node := Companion}} = {vm(Config), second(Config)},
    beside_a_stand(Config, fun(Vm, Second) ->
        ?assertEqual({ok, isolated}, rcall(Vm, remora_health, cluster, [])),
        ?assertEqual({ok, down}, rcall(Vm, remora_health, node, [<<"a@h">>])),
        ?assertEqual({ok, atom_to_binary(Own)}, rcall(Vm, remora_health, greatest, [])),
        change(Second, [{membership, started}, member(atom_to_binary(Companion), alive, 0), member(atom_to_binary(Own), alive, 0)]),
        wait_until(fun() -> rcall(Vm, remora_membership, is_started, []) end, 5_000),
        ?assertEqual({ok, isolated}, rcall(Vm, remora_health, cluster, [])),
        change(Second, three()),
        wait_until(fun() -> {ok, healthy} =:= rcall(Vm, remora_health, cluster, []) end, 5_000),
        ?assertEqual({ok, 4}, rcall(Vm, remora_health, alive_count, [])),
        change(Second, [member(<<"a@h">>, suspect, 0), member(<<"b@h">>, dead, 0), member(<<"d@h">>, left, 0)]),
        wait_until(fun() -> {ok, {degraded, 1, 1}} =:= rcall(Vm, remora_health, cluster, []) end, 5_000),
        ?assertEqual([{ok, 2}, {ok, 1}, {ok, 1}], [rcall(Vm, remora_health, F, []) || F <- [alive_count, suspect_count, dead_count]]),
        ?assertEqual([true, false], [rcall(Vm, remora_health, has_quorum, [N]) || N <- [3, 4]]),
        ?assertEqual([{ok, suspect}, {ok, down}, {ok, healthy}, {ok, down}, {ok, down}],
                     [rcall(Vm, remora_health, node, [N]) || N <- [<<"a@h">>, 'b@h', <<"c@h">>, <<"d@h">>, <<"e@h">>]]),
        ?assertEqual({ok, <<"c@h">>}, rcall(Vm, remora_health, greatest, [])),
        ok = rcall(Second, doorstand, answer, [{membership, health}, {ok, #{multiplier => 1, lag => 10, full_queues => []}}]),
        ?assertEqual({ok, healthy}, rcall(Vm, remora_health, node, [Own])),
        ok = rcall(Second, doorstand, answer, [{membership, health}, {ok, #{multiplier => 2, lag => 500, full_queues => [<<"b@h">>]}}]),
        [?assertEqual({ok, {strained, [{slow, 2}, {lagging, 500}, {full_queues, [<<"b@h">>]}]}}, rcall(Vm, remora_health, node, [N]))
         || N <- [Own, Companion]],
        ok = rcall(Second, doorstand, answer, [{membership, health}, silent]),
        ?assertEqual({error, timeout}, rcall(Vm, remora_health, node, [Own])),
        change(Second, [member(<<"c@h">>, dead, 0)]),
        wait_until(fun() -> {ok, isolated} =:= rcall(Vm, remora_health, cluster, []) end, 5_000)
    end).

%% To each new companion by whom, and each half second that it does.
beats(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        wait_until(fun() -> lists:member({app, here}, rcall(Second, doorstand, asked, [])) end, 5_000),
        First = rcall(Second, doorstand, beats, []),
        receive after 1_600 -> ok end,
        More = rcall(Second, doorstand, beats, []) - First,
        ?assert(More >= 2 andalso More =< 4),
        ok = rcall(Second, doorstand, another, []),
        shim_ct:reconnect(Vm, Second),
        wait_until(fun() -> 2 =:= length([x || {app, here} <- rcall(Second, doorstand, asked, [])]) end, 5_000),
        %% A crash of the process that says so.
        true = rcall(Vm, erlang, exit, [rcall(Vm, erlang, whereis, [remora_beat]), kill]),
        wait_until(fun() -> 3 =:= length([x || {app, here} <- rcall(Second, doorstand, asked, [])]) end, 5_000),
        run(Vm, fun() ->
            ok = gen_server:cast(remora_beat, nonsense),
            remora_beat ! nonsense,
            {error, unknown_request} = gen_server:call(remora_beat, nonsense)
        end)
    end).

%% ---- real companions ------------------------------------------------------------------------------------------------

%% What the head of remora_membership shows is so.
doc_example(Config) -> shim_ct:doc_example(vm(Config), remora_membership).

options() -> #{interval => 200, probe_timeout => 80}.

%% Three VMs with a companion each, that know all six.
cluster(Config) ->
    Vms = [A | Others] = remora_ct:peers(Config),
    [connect(A, P) || P <- Others],
    [{ok, _} = shim_ct:start(P, #{membership => (options())#{metadata => #{number => integer_to_binary(N)}}})
     || {N, P} <- lists:enumerate(Vms)],
    All = lists:sort([name(P) || P <- Vms] ++ [companion(P) || P <- Vms]),
    [wait_until(fun() -> {ok, All} =:= rcall(P, remora_membership, alive, []) end, 20_000) || P <- Vms],
    All.

name(#{node := Node}) -> atom_to_binary(Node).
companion(Peer) -> binary:replace(name(Peer), <<"@">>, <<"_remora@">>).

member_of(Vm, Node) ->
    case rcall(Vm, remora_membership, member, [Node]) of
        {ok, Member} -> Member;
        {error, Reason} -> #{node => Node, status => Reason, incarnation => -1}
    end.
await_status(Vm, Node, Status) -> wait_until(fun() -> Status =:= maps:get(status, member_of(Vm, Node)) end, 20_000).

finds_each_other(Config) ->
    Vms = [Vm, Second | _] = remora_ct:peers(Config),
    All = cluster(Config),
    [begin
         ?assertMatch(#{status := alive, kind := remora, companion := none, address := <<_, _/binary>>}, member_of(P, companion(Q))),
         ?assertMatch(#{status := alive, kind := beam, address := none}, member_of(P, name(Q)))
     end || P <- Vms, Q <- Vms],
    %% A VM is known with its companion, and what a companion says of itself to all.
    [wait_until(fun() -> [companion(Q)] =:= [C || #{node := N, companion := C} <- fresh(P), N =:= name(Q)] end, 20_000)
     || P <- Vms, Q <- Vms],
    [wait_until(fun() -> #{<<"number">> => integer_to_binary(N)} =:= maps:get(metadata, member_of(P, companion(Q))) end, 20_000)
     || P <- Vms, {N, Q} <- lists:enumerate(Vms)],
    [?assertEqual({ok, lists:last(All)}, rcall(P, remora_membership, current_leader, [])) || P <- Vms],
    ?assertEqual(All, lists:sort([N || #{node := N, status := alive} <- fresh(Vm)])),
    ?assertEqual({ok, healthy}, rcall(Vm, remora_health, cluster, [])),
    ?assertEqual({ok, 5}, rcall(Vm, remora_health, alive_count, [])),
    {ok, #{packets_in := In}} = rcall(Second, remora_membership, metrics, []),
    ?assert(In > 0).

%% Both of a node are stopped: its connections stay, and the others know it long before these would tell.
a_node_hangs(Config) ->
    {Vm, Third = #{node := N3}} = {vm(Config), third(Config)},
    cluster(Config),
    {Nodes, {ok, _}} = rcall(Vm, shimnode, hear, [fun() -> remora_monitor:monitor_node(N3) end]),
    Frozen = [Third, #{os_pid => shim_ct:os_pid(Third)}],
    Start = erlang:monotonic_time(millisecond),
    [remora_ct:freeze(P) || P <- Frozen],
    try
        await_status(Vm, companion(Third), dead),
        Companion = erlang:monotonic_time(millisecond) - Start,
        await_status(Vm, name(Third), dead),
        ct:pal("a companion that was stopped was dead after ~b ms, its VM after ~b ms", [Companion, erlang:monotonic_time(millisecond) - Start]),
        ?assertMatch([{remora_node, _, {down, N3, died}}], shim_ct:heard(Vm, Nodes, 1)),
        ?assert(lists:member(N3, rcall(Vm, erlang, nodes, []))), % connected still
        ?assertMatch({ok, {degraded, _, 2}}, rcall(Vm, remora_health, cluster, []))
    after
        [remora_ct:thaw(P) || P <- Frozen]
    end,
    await_status(Vm, companion(Third), alive),
    await_status(Vm, name(Third), alive),
    ?assertMatch([{remora_node, _, {down, N3, died}}, {remora_node, _, {up, N3}}], shim_ct:heard(Vm, Nodes, 2)).

%% Another one of its name, by its creation.
a_companion_is_killed(Config) ->
    {Vm, Third} = {vm(Config), third(Config)},
    cluster(Config),
    #{creation := Before} = member_of(Vm, companion(Third)),
    Listener = listen(Vm),
    ok = rcall(Third, remora_membership, set_metadata, [#{number => <<"none">>}]),
    shim_ct:gone(shim_ct:kill_companion(Third)),
    shim_ct:await_up(Third),
    wait_until(fun() -> #{status := S, creation := C} = maps:merge(#{creation => 0}, member_of(Vm, companion(Third))),
                        S =:= alive andalso C =/= Before end, 20_000),
    wait_until(fun() -> #{<<"number">> => <<"none">>} =:= maps:get(metadata, member_of(Vm, companion(Third)), none) end, 20_000),
    %% Its VM was there all the time.
    ?assertEqual([], [E || {What, #{node := N}} = E <- events(Vm, Listener), N =:= name(Third), What =:= died orelse What =:= suspected]).

%% Who listens beside a companion that is killed hears nothing of the others, who were there all the time.
restart_under_listeners(Config) ->
    {Vm, Second, Third} = {vm(Config), second(Config), third(Config)},
    All = cluster(Config),
    Listener = listen(Vm),
    shim_ct:gone(shim_ct:kill_companion(Vm)),
    shim_ct:await_up(Vm),
    wait_until(fun() -> {ok, All} =:= rcall(Vm, remora_membership, alive, []) end, 20_000),
    receive after 6_000 -> ok end, % the time for the others is over
    Others = [name(Second), name(Third), companion(Second), companion(Third)],
    Loud = [E || {What, Node} = E <- short_events(Vm, Listener), What =/= updated, lists:member(Node, Others)],
    ?assertEqual([], Loud),
    ?assertEqual({ok, All}, rcall(Vm, remora_membership, alive, [])).

%% In order: nobody takes it for dead.
leaves(Config) ->
    {Vm, Third} = {vm(Config), third(Config)},
    cluster(Config),
    Listener = listen(Vm),
    ok = rcall(Third, remora_membership, stop_service, []),
    await_status(Vm, companion(Third), left),
    ?assertEqual({error, not_started}, rcall(Third, remora_membership, alive, [])),
    ?assertEqual([], [E || {died, #{node := N}} = E <- events(Vm, Listener), N =:= companion(Third)]),
    ok = rcall(Third, remora_membership, start_service, [options()]),
    await_status(Vm, companion(Third), alive).

metadata_and_events(Config) ->
    {Vm, Second, Third} = {vm(Config), second(Config), third(Config)},
    cluster(Config),
    Listeners = [{P, listen(P)} || P <- [Vm, Second, Third]],
    ok = rcall(Second, remora_membership, set_metadata, [#{<<"zone">> => <<"z">>}]),
    %% At once for who has said it.
    ?assertEqual(#{<<"zone">> => <<"z">>}, maps:get(metadata, member_of(Second, companion(Second)))),
    [wait_until(fun() -> #{<<"zone">> => <<"z">>} =:= maps:get(metadata, member_of(P, companion(Second))) end, 20_000) || P <- [Vm, Third]],
    ok = rcall(Third, remora_membership, event, ["deployed", <<1, 2, 3>>]),
    [await_event(P, L, {event, companion(Third), <<"deployed">>, <<1, 2, 3>>}) || {P, L} <- Listeners],
    receive after 1_000 -> ok end,
    [?assertEqual(1, length([x || {event, _, _, _} <- events(P, L)])) || {P, L} <- Listeners].

%% Nobody dies of hearsay; who is meant objects, and says so with a greater incarnation.
gossip_is_merged(Config) ->
    {Vm, Second, Third} = {vm(Config), second(Config), third(Config)},
    cluster(Config),
    Listener = listen(Vm),
    Before = incarnation(Second, companion(Second)),
    ok = rcall(Vm, remora_membership, merge, [[{companion(Second), dead, Before}, {companion(Third), suspect, 0}, {<<"nobody@nowhere">>, dead, 1}]]),
    ok = rcall(Vm, remora_membership, tell, [companion(Second), [{companion(Second), suspect, Before}]]),
    wait_until(fun() -> incarnation(Second, companion(Second)) > Before end, 20_000),
    wait_until(fun() -> incarnation(Vm, companion(Second)) > Before end, 20_000),
    ?assertEqual([], [E || {died, _} = E <- short_events(Vm, Listener)]),
    ?assertEqual({error, unknown_node}, rcall(Vm, remora_membership, member, [<<"nobody@nowhere">>])),
    ?assertEqual({error, unknown_node}, rcall(Vm, remora_membership, tell, [<<"nobody@nowhere">>, []])).

incarnation(Vm, Node) -> hd([N || #{node := M, incarnation := N} <- fresh(Vm), M =:= Node]).

fresh(Vm) ->
    {ok, Members} = rcall(Vm, remora_membership, members_fresh, []),
    Members.
