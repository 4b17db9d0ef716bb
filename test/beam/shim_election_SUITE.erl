%% shim_election_SUITE: the election as an application sees it: leases that are counted from before the question, leaders and
%% names in the VM's copy, what is over with its companion and what a restart only repeats, campaigns that are told again
%% until their process ends. The cases on a stand-in (doorstand) say what the package does with each thing that a companion
%% may say; the others run with real companions.
-module(shim_election_SUITE).
-define(OWN_TESTCASE, true).
-include("suite.hrl").

cases() ->
    [leader_of_the_stream, events_once, nonsense_leads_nobody, unconfigured, forming_is_waited_for, leases_are_counted_from_before,
     own_leadership_ends_with_the_companion, restart_is_no_news, what_a_restart_lost, names_of_the_stream, campaigns_told_again,
     campaigner_ends, options_are_checked, wrong_option_at_the_start, failures_by_name, odd_answers,
     one_leads, transfer_and_resign, voters_change, not_configured, the_leading_companion_is_killed, the_leading_vm_is_stopped,
     one_holds, campaigner_is_killed, a_stopped_vm_loses_its_name, told_again_for_real].

peers() -> [(shim_ct:peer_opts(?MODULE))#{modules := [doorstand | maps:get(modules, shim_ct:peer_opts(?MODULE))]}
            || _ <- [1, 2, 3]].

init_per_testcase(Case, Config) ->
    [{unique, lists:concat([Case, "_", erlang:unique_integer([positive])])} | Config].

end_per_testcase(_, Config) ->
    [shim_ct:stop(P) || P <- remora_ct:peers(Config)],
    [rcall(P, shimnode, forget, []) || P <- remora_ct:peers(Config)],
    [rcall(P, file, del_dir_r, [folder(Config)]) || P <- remora_ct:peers(Config)],
    shim_ct:apart(Config).

vm(Config) -> peer(1, Config).
second(Config) -> peer(2, Config).
third(Config) -> peer(3, Config).

%% ---- a stand-in -----------------------------------------------------------------------------------------------------

beside_a_stand(Config, Test) -> shim_ct:beside_a_stand(vm(Config), second(Config), #{}, Test).

listen(Vm) -> element(1, {_, {ok, _}} = rcall(Vm, shimnode, hear, [fun remora_election:subscribe/0])).
listen(Vm, Name) -> element(1, {_, {ok, _}} = rcall(Vm, shimnode, hear, [fun() -> remora_election:subscribe(Name) end])).

events(Vm, Listener) -> [Event || {remora_election, _, Event} <- rcall(Vm, shimnode, heard, [Listener])].
await_event(Vm, Listener, Event) -> wait_until(fun() -> lists:member(Event, events(Vm, Listener)) end, 10_000).

change(Second, Changes) -> ok = rcall(Second, doorstand, change, [Changes]).
answer(Second, Request, Answer) -> ok = rcall(Second, doorstand, answer, [Request, Answer]).
asked(Second) -> [Request || Request <- rcall(Second, doorstand, asked, []), element(1, Request) =/= app].
another(Vm, Second, Snapshot) ->
    ok = rcall(Second, doorstand, snapshot, [Snapshot]),
    ok = rcall(Second, doorstand, another, []),
    shim_ct:reconnect(Vm, Second).

status() -> #{role => follower, term => 5, leader => <<"b@h">>, token => 77, lease_left => 0, voters => [<<"a@h">>, <<"b@h">>],
              version => 1, abstains => none}.

call(Vm, Function, Args) -> rcall(Vm, remora_election, Function, Args).

leader_of_the_stream(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        [?assertEqual({error, not_started}, call(Vm, F, A)) || {F, A} <- [{current_leader, []}, {current_term, []}, {leader, [n]}]],
        change(Second, [{election, started}, {leader, <<"b@h">>, 5, 77}]),
        wait_until(fun() -> {ok, <<"b@h">>, 77} =:= call(Vm, current_leader, []) end, 5_000),
        ?assertEqual({ok, 5}, call(Vm, current_term, [])),
        ?assertEqual([], asked(Second)), % nobody was asked
        change(Second, [{no_leader, 6}]),
        wait_until(fun() -> {ok, 6} =:= call(Vm, current_term, []) end, 5_000),
        answer(Second, {election, status}, {ok, (status())#{leader := none, role := candidate}}),
        ?assertEqual({error, no_leader}, call(Vm, current_leader, [])),
        answer(Second, {election, status}, {ok, status()}), % it is quicker than its stream
        ?assertEqual({ok, <<"b@h">>, 77}, call(Vm, current_leader, [])),
        ?assertEqual({ok, status()}, call(Vm, status, [])),
        answer(Second, {election, elect}, {ok, <<"c@h">>, 78}),
        ?assertEqual({ok, <<"c@h">>, 78}, call(Vm, elect, [])),
        change(Second, [{election, stopped}]),
        wait_until(fun() -> {error, not_started} =:= call(Vm, current_leader, []) end, 5_000),
        ?assertEqual([], rcall(Vm, ets, tab2list, [remora_services]))
    end).

events_once(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Listener = listen(Vm),
        [change(Second, Changes) || Changes <- [
            [{election, started}, {election, started}, {no_leader, 0}, {abstains, none}], [{leader, <<"b@h">>, 5, 77}],
            [{leader, <<"b@h">>, 5, 77}], [{leader, <<"a@h">>, 6, 90}], [{no_leader, 6}, {no_leader, 7}], [{no_leader, 8}],
            [{abstains, <<"no disk">>}], [{abstains, <<"no disk">>}], [{abstains, none}], [{abstains, none}],
            [{leader, <<"b@h">>, 9, 99}], [{election, stopped}], [{election, stopped}]]],
        await_event(Vm, Listener, stopped),
        ?assertEqual([started, {leader, <<"b@h">>, 5, 77}, {leader, <<"a@h">>, 6, 90}, {no_leader, 6}, {abstains, <<"no disk">>},
                      {abstains, none}, {leader, <<"b@h">>, 9, 99}, {no_leader, 9}, stopped], events(Vm, Listener))
    end).

nonsense_leads_nobody(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Listener = listen(Vm),
        Named = listen(Vm, n),
        Before = rcall(Vm, erlang, system_info, [atom_count]),
        change(Second, [{election, started}, {leader, b, 5, 77}, {leader, <<"b@h">>, x, 77}, {leader, <<"b@h">>, 5}, {no_leader, x},
                        {led, n, <<"b@h">>, 1}, {led, <<"n">>, b, 1}, {unled, 5}, {held, <<"n">>, pid, 1}, {held, n, self(), 1},
                        {unheld, <<"n">>, 1}, {abstains, 5}, {elected_by_dice, <<"b@h">>}, {unheld, <<"n">>, self()}, {unled, <<"n">>},
                        {no_leader, 4}]),
        wait_until(fun() -> {ok, 4} =:= call(Vm, current_term, []) end, 5_000),
        ?assertEqual([started], events(Vm, Listener)),
        ?assertEqual([], events(Vm, Named)),
        change(Second, [{led, <<"atomless name ", (integer_to_binary(N))/binary>>, <<"atomless node">>, N} || N <- lists:seq(1, 1_000)]),
        wait_until(fun() -> {ok, <<"atomless node">>, 1_000} =:= call(Vm, leader, [<<"atomless name 1000">>]) end, 5_000),
        ?assertEqual(Before, rcall(Vm, erlang, system_info, [atom_count]))
    end).

%% A typed answer, never a guess.
unconfigured(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, [{election, started}]),
        answer(Second, {election, status}, {ok, (status())#{role := unconfigured, leader := none, term := 0, voters := []}}),
        answer(Second, {election, elect}, {error, not_configured}),
        wait_until(fun() -> {error, not_configured} =:= call(Vm, current_leader, []) end, 5_000),
        ?assertEqual({error, not_configured}, call(Vm, elect, [])),
        ?assertEqual({ok, 0}, call(Vm, current_term, [])),
        ?assertEqual(false, call(Vm, am_i_leader, [])),
        ?assertEqual({error, not_leader}, call(Vm, fencing_token, []))
    end).

%% Where this VM has said who votes, they may not have agreed on it yet.
forming_is_waited_for(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        answer(Second, {election, elect}, {error, not_configured}),
        {AtOnce, {error, not_configured}} = elapsed(fun() -> call(Vm, elect, []) end),
        ok = call(Vm, start_service, [#{voters => ['a@h'], election_max => 100}]),
        {Waited, {error, not_configured}} = elapsed(fun() -> call(Vm, elect, []) end),
        {Cut, {error, not_configured}} = elapsed(fun() -> call(Vm, elect, [100]) end),
        ?assert(AtOnce < 400 andalso Waited >= 250 andalso Waited < 1_000 andalso Cut < 400),
        ok = call(Vm, start_service, [#{bootstrap_expect => 3}]),
        Asking = rcall(Vm, shimnode, in_background, [fun remora_election:elect/0]),
        receive after 100 -> ok end,
        answer(Second, {election, elect}, {ok, <<"a@h">>, 5}),
        ?assertEqual({ok, <<"a@h">>, 5}, rcall(Vm, shimnode, result, [Asking]))
    end).

%% ---- leases ---------------------------------------------------------------------------------------------------------

%% An answer that is on its way for as long as the lease that it tells of is a no.
leases_are_counted_from_before(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
        Holds = {election, {holds, <<"n">>, Pid}},
        Leads = fun(Left, Late) ->
            Status = {ok, (status())#{role := leader, lease_left := Left}},
            answer(Second, {election, status}, late(Late, Status)),
            answer(Second, Holds, late(Late, {ok, 5, Left})),
            {call(Vm, am_i_leader, []), call(Vm, fencing_token, []), call(Vm, holds, [n, Pid])}
        end,
        No = {false, {error, not_leader}, {error, not_held}},
        ?assertEqual({true, {ok, 77}, {ok, 5}}, Leads(400, 0)),
        ?assertEqual({true, {ok, 77}, {ok, 5}}, Leads(400, 150)),
        ?assertEqual(No, Leads(150, 200)),
        ?assertEqual(No, Leads(0, 0)),
        %% Another role never leads, whatever else it says.
        answer(Second, {election, status}, {ok, (status())#{role := follower, lease_left := 400}}),
        ?assertEqual(false, call(Vm, am_i_leader, [])),
        answer(Second, Holds, {error, not_held}),
        ?assertEqual({error, not_held}, call(Vm, holds, [<<"n">>, Pid])),
        answer(Second, {election, status}, silent),
        ?assertEqual({false, {error, timeout}}, {call(Vm, am_i_leader, []), call(Vm, fencing_token, [])}),
        %% The process itself was stopped while the answer waited for it.
        answer(Second, {election, status}, {ok, (status())#{role := leader, lease_left := 100}}),
        Asker = rcall(Vm, shimnode, in_background, [fun() ->
            erlang:process_flag(priority, low),
            Self = self(),
            Stopper = spawn(fun() -> receive go -> erlang:suspend_process(Self), receive after 300 -> ok end end end),
            remora_election:current_term(), % the code is loaded
            Stopper ! go,
            [R || R <- [remora_election:fencing_token() || _ <- lists:seq(1, 20)], R =/= {ok, 77}]
        end]),
        ?assertEqual([], [R || R <- rcall(Vm, shimnode, result, [Asker]), R =/= {error, not_leader}])
    end).

late(0, Answer) -> Answer;
late(Ms, Answer) -> {late, Ms, Answer}.

%% ---- a companion that goes ------------------------------------------------------------------------------------------

%% At once, and not when the next one is there.
own_leadership_ends_with_the_companion(Config) ->
    #{node := Node} = second(Config),
    Own = atom_to_binary(Node),
    beside_a_stand(Config, fun(Vm, Second) ->
        Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
        Listener = listen(Vm),
        Named = listen(Vm, "n"),
        change(Second, [{election, started}, {leader, Own, 5, 77}, {led, <<"n">>, Own, 80}, {held, <<"n">>, Pid, 80},
                        {led, <<"m">>, <<"b@h">>, 81}]),
        await_event(Vm, Listener, {leader, Own, 5, 77}),
        await_event(Vm, Named, {held, <<"n">>, Pid, 80}),
        ok = rcall(Second, doorstand, snapshot, [[{election, started}, {no_leader, 6}]]),
        ok = rcall(Second, doorstand, another, []),
        run(Vm, fun() ->
            ok = sys:suspend(remora_server),
            true = erlang:disconnect_node(Node),
            ok = sys:resume(remora_server)
        end),
        wait_until(fun() -> lists:last(events(Vm, Listener)) =:= {no_leader, 5} end, 1_000),
        wait_until(fun() -> lists:last(events(Vm, Named)) =:= {unheld, <<"n">>, Pid} end, 1_000),
        shim_ct:await_up(Vm),
        await_event(Vm, Named, {unled, <<"n">>}),
        ?assertEqual([started, {leader, Own, 5, 77}, {no_leader, 5}], events(Vm, Listener)),
        ?assertEqual([{led, <<"n">>, Own, 80}, {held, <<"n">>, Pid, 80}, {unheld, <<"n">>, Pid}, {unled, <<"n">>}], events(Vm, Named)),
        %% What others hold is theirs still.
        ?assertEqual({ok, <<"b@h">>, 81}, call(Vm, leader, [m]))
    end).

restart_is_no_news(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, [{election, started}, {leader, <<"b@h">>, 5, 77}, {led, <<"n">>, <<"b@h">>, 80}]),
        wait_until(fun() -> {ok, <<"b@h">>, 80} =:= call(Vm, leader, [n]) end, 5_000),
        {Listener, Named} = {listen(Vm), listen(Vm, n)},
        another(Vm, Second, [{election, started}, {no_leader, 5}]),
        ?assertEqual({ok, <<"b@h">>, 77}, call(Vm, current_leader, [])),
        ?assertEqual({ok, <<"b@h">>, 80}, call(Vm, leader, [n])),
        change(Second, [{leader, <<"b@h">>, 5, 77}, {led, <<"n">>, <<"b@h">>, 80}]),
        receive after 5_500 -> ok end, % the time for the others is over
        ?assertEqual({[], []}, {events(Vm, Listener), events(Vm, Named)}),
        ?assertEqual({ok, <<"b@h">>, 77}, call(Vm, current_leader, [])),
        change(Second, [{leader, <<"a@h">>, 6, 90}, {led, <<"n">>, <<"a@h">>, 91}]),
        await_event(Vm, Listener, {leader, <<"a@h">>, 6, 90}),
        await_event(Vm, Named, {led, <<"n">>, <<"a@h">>, 91})
    end).

what_a_restart_lost(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        change(Second, [{election, started}, {leader, <<"b@h">>, 5, 77}, {led, <<"n">>, <<"b@h">>, 80}]),
        wait_until(fun() -> {ok, <<"b@h">>, 80} =:= call(Vm, leader, [n]) end, 5_000),
        {Listener, Named} = {listen(Vm), listen(Vm, n)},
        another(Vm, Second, [{election, started}]),
        await_event(Vm, Listener, {no_leader, 5}),
        await_event(Vm, Named, {unled, <<"n">>}),
        ?assertEqual({[{no_leader, 5}], [{unled, <<"n">>}]}, {events(Vm, Listener), events(Vm, Named)}),
        change(Second, [{leader, <<"b@h">>, 6, 90}]),
        await_event(Vm, Listener, {leader, <<"b@h">>, 6, 90}),
        another(Vm, Second, []),
        await_event(Vm, Listener, stopped),
        ?assertEqual([{no_leader, 5}, {leader, <<"b@h">>, 6, 90}, {no_leader, 6}, stopped], events(Vm, Listener))
    end).

%% ---- names ----------------------------------------------------------------------------------------------------------

names_of_the_stream(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
        {N, M} = {listen(Vm, n), listen(Vm, <<"m">>)},
        [change(Second, Changes) || Changes <- [
            [{election, started}, {led, <<"n">>, <<"a@h">>, 1}, {led, <<"n">>, <<"a@h">>, 1}], [{led, <<"n">>, <<"b@h">>, 2}],
            [{held, <<"n">>, Pid, 2}, {held, <<"n">>, Pid, 2}], [{unheld, <<"n">>, Pid}], [{unled, <<"n">>}, {unled, <<"n">>}],
            [{held, <<"m">>, Pid, 3}, {led, <<"m">>, <<"b@h">>, 3}]]],
        await_event(Vm, M, {led, <<"m">>, <<"b@h">>, 3}),
        ?assertEqual([{led, <<"n">>, <<"a@h">>, 1}, {led, <<"n">>, <<"b@h">>, 2}, {held, <<"n">>, Pid, 2}, {unheld, <<"n">>, Pid},
                      {unled, <<"n">>}], events(Vm, N)),
        ?assertEqual({error, no_leader}, call(Vm, leader, [n])),
        ?assertEqual({ok, <<"b@h">>, 3}, call(Vm, leader, ["m"])),
        change(Second, [{election, stopped}]),
        await_event(Vm, M, {unled, <<"m">>}),
        ?assertEqual([{held, <<"m">>, Pid, 3}, {led, <<"m">>, <<"b@h">>, 3}, {unheld, <<"m">>, Pid}, {unled, <<"m">>}], events(Vm, M)),
        %% What is no name.
        [?assertEqual({error, badarg}, call(Vm, F, A))
         || Wrong <- [<<>>, "", 5, binary:copy(<<"x">>, 256), <<255, 254>>, {a}],
            {F, A} <- [{campaign, [Wrong, Pid]}, {resign, [Wrong, Pid]}, {holds, [Wrong, Pid]}, {leader, [Wrong]}, {subscribe, [Wrong]},
                       {transfer, [Wrong]}, {add_voter, [Wrong]}, {remove_voter, [Wrong]}]],
        ?assertEqual({error, badarg}, call(Vm, campaign, [n, self()])), % a process of another node
        ?assertEqual([], asked(Second))
    end).

campaigns_told_again(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        [A, B, C] = rcall(Vm, shimnode, spawn_idle, [3]),
        Start = {election, {start, #{priority => 2}}},
        ok = call(Vm, start_service, [#{priority => 2}]),
        [ok = call(Vm, campaign, [N, P]) || {N, P} <- [{n, A}, {n, A}, {n, B}, {<<"m">>, A}, {gone, C}]],
        ok = call(Vm, resign, [n, B]),
        ok = rcall(Vm, shimnode, kill, [[C]]),
        wait_until(fun() -> [] =:= [x || {{campaign, <<"gone">>, _}, _} <- rcall(Vm, remora_intents, all, [])] end, 5_000),
        Before = length(asked(Second)),
        another(Vm, Second, [{election, started}]),
        [Start | Campaigns] = lists:nthtail(Before, asked(Second)),
        ?assertEqual([{election, {campaign, <<"m">>, A}}, {election, {campaign, <<"n">>, A}}], lists:sort(Campaigns)),
        %% One that is refused is given up.
        answer(Second, {election, {campaign, <<"m">>, A}}, {error, too_many}),
        another(Vm, Second, [{election, started}]),
        wait_until(fun() -> [{campaign, <<"n">>, A}] =:= [K || {{campaign, _, _} = K, _} <- rcall(Vm, remora_intents, all, [])] end, 5_000),
        %% Who stops it, stops all.
        ok = call(Vm, stop_service, []),
        ?assertEqual([], rcall(Vm, remora_intents, all, [])),
        Stopped = length(asked(Second)),
        another(Vm, Second, []),
        ?assertEqual([], lists:nthtail(Stopped, asked(Second)))
    end).

%% While no companion is there.
campaigner_ends(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        [A, B] = rcall(Vm, shimnode, spawn_idle, [2]),
        ok = call(Vm, campaign, [n, A]),
        ok = call(Vm, campaign, [n, B]),
        ok = rcall(Vm, shimnode, kill, [[A]]),
        wait_until(fun() -> 1 =:= length(rcall(Vm, remora_intents, all, [])) end, 5_000),
        %% Not the process that watches, but the next of it.
        ok = rcall(Vm, ?MODULE, kill_intents, []),
        shim_ct:await_up(Vm),
        ok = rcall(Vm, shimnode, kill, [[B]]),
        wait_until(fun() -> [] =:= rcall(Vm, remora_intents, all, []) end, 5_000),
        _ = Second
    end).

kill_intents() ->
    Pid = whereis(remora_intents),
    Ref = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, _} -> ok end.

%% ---- what is wrong --------------------------------------------------------------------------------------------------

options_are_checked(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        [begin
             {error, {election_option, Key, Text}} = call(Vm, start_service, [#{Key => Value}]),
             ?assert(is_binary(Text)),
             ?assert(nomatch =/= string:find(shim_ct:error_text({election_option, Key, Text}), io_lib:format("~tp", [Key])))
         end || {Key, Value} <- [{heartbeat, 0}, {election_min, x}, {election_max, -1}, {lease, -1}, {name_lease, 0}, {priority, 1.5},
                                 {voters, <<"a@h">>}, {voters, [nohost]}, {voters, [<<"@h">>]}, {voters, [5]}, {bootstrap_expect, -1},
                                 {observer, 1}, {state_dir, 7}, {state_dir, ""}, {unheard_of, 1}]],
        ?assertMatch({error, {election_option, election, _}}, call(Vm, start_service, [x])),
        ?assertEqual([], asked(Second)),
        ok = call(Vm, start_service, [#{voters => ['a@h', "b@h", <<"c@h">>], state_dir => "/tmp/x", observer => false, lease => 0}]),
        ?assertEqual([{election, {start, #{voters => [<<"a@h">>, <<"b@h">>, <<"c@h">>], state_dir => <<"/tmp/x">>, observer => false,
                                           lease => 0}}}], asked(Second)),
        answer(Second, {election, {start, #{priority => 3}}}, {error, {option, priority, <<"too much">>}}),
        ?assertEqual({error, {election_option, priority, <<"too much">>}}, call(Vm, start_service, [#{priority => 3}])),
        ?assertMatch([{{service, election}, #{lease := 0}, _}], rcall(Vm, remora_intents, all, []))
    end).

wrong_option_at_the_start(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    ok = rcall(Second, doorstand, start, []),
    answer(Second, {election, {start, #{priority => 5}}}, {error, {option, priority, <<"too much">>}}),
    Start = fun(Options) -> shim_ct:start(Vm, #{binary => {managed_elsewhere, Node}, election => Options}) end,
    try
        ?assertEqual({error, {election_option, priority, <<"too much">>}}, Start(#{priority => 5})),
        ?assertMatch({error, {election_option, priority, _}}, Start(#{priority => -1})),
        {ok, _} = Start(#{priority => 6}),
        ?assertEqual({election, {start, #{priority => 6}}}, lists:last(asked(Second)))
    after
        shim_ct:stop(Vm),
        rcall(Second, doorstand, stop, [])
    end.

%% Each failure is the caller's, by its name, and has a sentence.
failures_by_name(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
        [begin
             answer(Second, {election, Request}, {error, Failure}),
             ?assertEqual({Function, {error, Failure}}, {Function, call(Vm, Function, Args)}),
             ?assert(byte_size(rcall(Vm, remora_error, format, [Failure])) > 10)
         end || {Request, Function, Args, Failures} <-
            [{{transfer, <<"b@h">>}, transfer, ['b@h'], [not_leader, unknown_node, not_voter, busy, timeout, stopped, not_configured]},
             {resign, resign, [], [not_leader, no_leader, busy, timeout, stopped]},
             {{add, <<"b@h">>}, add_voter, [<<"b@h">>], [not_leader, is_voter, unknown_node, too_many, busy, timeout]},
             {{remove, <<"b@h">>}, remove_voter, [<<"b@h">>], [not_leader, not_voter, busy, timeout]},
             {{check_token, 7}, check_token, [7], [stale_token, unknown_token, no_leader, timeout, not_configured]},
             {{campaign, <<"n">>, Pid}, campaign, [n, Pid], [too_many, not_started]},
             {{resign, <<"n">>, Pid}, resign, [n, Pid], [not_campaigning, not_started]},
             {elect, elect, [], [not_configured, no_leader, stopped]}],
            Failure <- Failures],
        answer(Second, {election, elect}, {error, timeout}),
        ?assertEqual({error, no_leader}, call(Vm, elect, [])),
        [?assertEqual({error, badarg}, call(Vm, check_token, [Wrong])) || Wrong <- [x, -1, 1.5]]
    end).

odd_answers(Config) ->
    beside_a_stand(Config, fun(Vm, Second) ->
        Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
        Calls = [{{start, #{}}, start_service, []}, {stop, stop_service, []}, {status, status, []}, {status, fencing_token, []},
                 {elect, elect, []}, {{transfer, <<"b@h">>}, transfer, [<<"b@h">>]}, {resign, resign, []}, {{add, <<"b@h">>}, add_voter, ['b@h']},
                 {{remove, <<"b@h">>}, remove_voter, ['b@h']}, {{check_token, 7}, check_token, [7]}, {{campaign, <<"n">>, Pid}, campaign, [n, Pid]},
                 {{resign, <<"n">>, Pid}, resign, [n, Pid]}, {{holds, <<"n">>, Pid}, holds, [n, Pid]}],
        [begin
             answer(Second, {election, Request}, Answer),
             {Ms, Result} = elapsed(fun() -> call(Vm, Function, Args) end),
             ?assertEqual({Function, Answer, {error, Wanted}}, {Function, Answer, Result}),
             ?assert(Ms < 2_000)
         end || {Request, Function, Args} <- Calls,
                {Answer, Wanted} <- [{{error, not_started}, not_started}, {{error, strange}, badarg}, {{ok, odd}, badarg}, {yes, badarg},
                                     {{ok, b, 5}, badarg}, {{error, {option, 1, 2}}, badarg}, {silent, timeout}]],
        [begin
             answer(Second, {election, status}, {ok, maps:merge(status(), Odd)}),
             ?assertEqual({Odd, {error, badarg}}, {Odd, call(Vm, status, [])})
         end || Odd <- [#{leader => b}, #{term => x}, #{lease_left => 0.5}, #{voters => none}, #{role => <<"leader">>}]]
    end).

%% ---- real companions ------------------------------------------------------------------------------------------------

-define(NAME_LEASE, 800).

name(#{node := Node}) -> atom_to_binary(Node).
companion(Peer) -> binary:replace(name(Peer), <<"@">>, <<"_remora@">>).

%% Three VMs whose companions vote.
cluster(Config) -> cluster(Config, remora_ct:peers(Config)).
cluster(Config, Voters) ->
    Vms = [A | Others] = remora_ct:peers(Config),
    [connect(A, P) || P <- Others],
    [start(Config, P, Voters) || P <- Vms],
    elected(Vms).

start(Config, Vm, Voters) ->
    {ok, _} = shim_ct:start(Vm, #{election => #{voters => [companion(P) || P <- Voters], state_dir => state_dir(Config, Vm),
                                                election_min => 300, election_max => 600, heartbeat => 60, name_lease => ?NAME_LEASE}}).

%% Of this case, where the VM is: that of OTP 27 has a root of its own.
state_dir(Config, #{node := Node} = Vm) ->
    Dir = filename:join(folder(Config), Node),
    ok = rcall(Vm, filelib, ensure_path, [Dir]),
    Dir.

folder(Config) -> filename:join("/tmp", "shim_election_" ++ os:getpid() ++ "_" ++ proplists:get_value(unique, Config)).

%% Until all agree; the VM beside who leads, and the token.
elected(Vms) ->
    wait_until(fun() ->
                   case lists:usort([call(P, current_leader, []) || P <- Vms]) of
                       [{ok, Node, Token}] ->
                           [{P, Token} || P <- Vms, companion(P) =:= Node, call(P, am_i_leader, [])] =/= []
                               andalso {hd([P || P <- Vms, companion(P) =:= Node]), Token};
                       _ -> false
                   end
               end, 20_000).

one_leads(Config) ->
    Vms = remora_ct:peers(Config),
    {Leader, Token} = cluster(Config),
    Others = Vms -- [Leader],
    ?assertEqual({ok, Token}, call(Leader, fencing_token, [])),
    [?assertEqual({false, {error, not_leader}}, {call(P, am_i_leader, []), call(P, fencing_token, [])}) || P <- Others],
    [?assertEqual({ok, companion(Leader), Token}, call(P, elect, [])) || P <- Vms],
    [?assertEqual(ok, call(P, check_token, [Token])) || P <- Vms],
    [?assertEqual({error, unknown_token}, call(P, check_token, [Token + 1])) || P <- Vms],
    Voters = lists:sort([companion(P) || P <- Vms]),
    {ok, #{term := Term}} = call(Leader, status, []),
    [?assertMatch({ok, #{role := Role, voters := Voters, term := Term, abstains := none}}, call(P, status, []))
     || {P, Role} <- [{Leader, leader} | [{P, follower} || P <- Others]]],
    [?assertEqual({ok, Term}, call(P, current_term, [])) || P <- Vms].

transfer_and_resign(Config) ->
    Vms = remora_ct:peers(Config),
    {Leader, Token} = cluster(Config),
    [Next, Third] = Vms -- [Leader],
    Listeners = [{P, listen(P)} || P <- Vms],
    ?assertEqual({error, not_leader}, call(Next, resign, [])),
    ?assertMatch({error, _}, call(Leader, transfer, [<<"nobody@nowhere">>])),
    %% Another node asks the leader to.
    {Ms, ok} = elapsed(fun() -> call(Third, transfer, [companion(Next)]) end),
    ct:pal("leadership was handed over in ~b ms", [Ms]),
    {Next, Second} = elected(Vms),
    ?assert(Second > Token),
    ?assertEqual({error, stale_token}, call(Third, check_token, [Token])),
    ok = call(Next, resign, []),
    wait_until(fun() -> {_, T} = elected(Vms), T > Second end, 10_000),
    {_, Last} = elected(Vms),
    %% Everybody hears of the last one, and of none out of order.
    Heard = fun(P, L) -> [T || {leader, _, _, T} <- events(P, L)] end,
    [wait_until(fun() -> Tokens = Heard(P, L), Tokens =/= [] andalso lists:last(Tokens) >= Last end, 5_000) || {P, L} <- Listeners],
    [?assertEqual(lists:sort(Heard(P, L)), Heard(P, L)) || {P, L} <- Listeners].

voters_change(Config) ->
    Vms = [A, B, C] = remora_ct:peers(Config),
    {Leader, _} = cluster(Config, [A, B]),
    Voters = fun() -> {ok, #{voters := V}} = call(Leader, status, []), V end,
    ?assertEqual({error, is_voter}, call(Leader, add_voter, [companion(B)])),
    ok = call(C, add_voter, [companion(C)]), % the leader is asked to
    ?assertEqual(lists:sort([companion(P) || P <- Vms]), Voters()),
    wait_until(fun() -> {ok, #{role := R}} = call(C, status, []), R =:= follower end, 10_000),
    ok = call(Leader, remove_voter, [companion(C)]),
    ?assertEqual(lists:sort([companion(A), companion(B)]), Voters()),
    ?assertEqual({error, not_voter}, call(Leader, remove_voter, [companion(C)])).

%% Nobody was told who votes: a typed answer, never a guess.
not_configured(Config) ->
    {Vm, Second} = {vm(Config), second(Config)},
    connect(Vm, Second),
    [{ok, _} = shim_ct:start(P, #{election => #{state_dir => state_dir(Config, P)}}) || P <- [Vm, Second]],
    ?assertEqual({error, not_configured}, call(Vm, current_leader, [])),
    ?assertEqual({error, not_configured}, call(Vm, elect, [])),
    ?assertEqual(false, call(Vm, am_i_leader, [])),
    %% Without a folder it is an observer, and says so.
    ok = call(Second, start_service, []),
    {ok, #{role := Role}} = call(Second, status, []),
    ?assert(lists:member(Role, [observer, unconfigured])).

%% What it led is over for its VM at once. It may win again when it is back: with a greater token.
the_leading_companion_is_killed(Config) ->
    Vms = remora_ct:peers(Config),
    {Leader, Token} = cluster(Config),
    Listener = listen(Leader),
    Start = erlang:monotonic_time(millisecond),
    Program = shim_ct:kill_companion(Leader),
    wait_until(fun() -> [] =/= [x || {no_leader, _} <- events(Leader, Listener)] end, 2_000),
    ?assertEqual(false, call(Leader, am_i_leader, [])),
    shim_ct:gone(Program),
    shim_ct:await_up(Leader),
    wait_until(fun() -> {_, T} = elected(Vms), T > Token end, 20_000),
    ct:pal("there was a leader again ~b ms after the kill", [erlang:monotonic_time(millisecond) - Start]),
    ?assertEqual({error, stale_token}, call(Leader, check_token, [Token])).

%% It hangs, and its companion hands over.
the_leading_vm_is_stopped(Config) ->
    Vms = remora_ct:peers(Config),
    {Leader, Token} = cluster(Config),
    Others = Vms -- [Leader],
    Start = erlang:monotonic_time(millisecond),
    remora_ct:freeze(Leader),
    try
        wait_until(fun() -> case lists:usort([call(P, current_leader, []) || P <- Others]) of
                                [{ok, Node, T}] -> T > Token andalso Node =/= companion(Leader);
                                _ -> false
                            end end, 10_000),
        Ms = erlang:monotonic_time(millisecond) - Start,
        ct:pal("another one led ~b ms after the VM was stopped, with a name_lease of ~b ms", [Ms, ?NAME_LEASE]),
        ?assert(Ms < ?NAME_LEASE + 2_000)
    after
        remora_ct:thaw(Leader)
    end,
    ?assertEqual(false, call(Leader, am_i_leader, [])),
    {_, Now} = elected(Vms),
    ?assert(Now > Token).

%% A candidate at each VM: one of them holds it.
one_holds(Config) ->
    Vms = remora_ct:peers(Config),
    cluster(Config),
    {Holder, Token, Candidates} = campaign(Vms, billing),
    [?assertEqual({ok, companion(Holder), Token}, await_leader(P, billing)) || P <- Vms],
    [?assertEqual({error, not_held}, call(P, holds, [billing, Pid])) || {P, Pid} <- Candidates, P =/= Holder],
    ?assertEqual({error, no_leader}, call(hd(Vms), leader, [other])),
    {Holder, Pid} = lists:keyfind(Holder, 1, Candidates),
    Listeners = [{P, listen(P, billing)} || P <- Vms],
    ok = call(Holder, resign, [billing, Pid]),
    ?assertEqual({error, not_held}, call(Holder, holds, [billing, Pid])),
    ?assertEqual({error, not_campaigning}, call(Holder, resign, [billing, Pid])),
    {Next, NextToken} = holder([C || {P, _} = C <- Candidates, P =/= Holder], billing),
    ?assert(NextToken > Token),
    [await_event(P, L, {led, <<"billing">>, companion(Next), NextToken}) || {P, L} <- Listeners],
    {_, NextPid} = lists:keyfind(Next, 1, Candidates),
    ?assert(lists:member({held, <<"billing">>, NextPid, NextToken}, events(Next, element(2, lists:keyfind(Next, 1, Listeners))))),
    ?assert(lists:member({unheld, <<"billing">>, Pid}, events(Holder, element(2, lists:keyfind(Holder, 1, Listeners))))).

campaign(Vms, Name) ->
    Candidates = [{P, hd(rcall(P, shimnode, spawn_idle, [1]))} || P <- Vms],
    [ok = call(P, campaign, [Name, Pid]) || {P, Pid} <- Candidates],
    {Holder, Token} = holder(Candidates, Name),
    {Holder, Token, Candidates}.

holder(Candidates, Name) ->
    wait_until(fun() ->
                   case [{P, Token} || {P, Pid} <- Candidates, {ok, Token} <- [call(P, holds, [Name, Pid])]] of
                       [One] -> One;
                       [] -> false
                   end
               end, 20_000).

await_leader(Vm, Name) -> wait_until(fun() -> case call(Vm, leader, [Name]) of {ok, _, _} = Led -> Led; _ -> false end end, 5_000).

campaigner_is_killed(Config) ->
    Vms = remora_ct:peers(Config),
    cluster(Config),
    {Holder, Token, Candidates} = campaign(Vms, billing),
    {_, Pid} = lists:keyfind(Holder, 1, Candidates),
    ok = rcall(Holder, shimnode, kill, [[Pid]]),
    {Ms, {_, Next}} = elapsed(fun() -> holder(Candidates -- [{Holder, Pid}], billing) end),
    ct:pal("another one held the name ~b ms after its holder had ended", [Ms]),
    ?assert(Next > Token).

%% Within the lease, and what it takes to notice; when it goes on it knows that it holds nothing.
a_stopped_vm_loses_its_name(Config) ->
    Vms = remora_ct:peers(Config),
    cluster(Config),
    {Holder, Token, Candidates} = campaign(Vms, billing),
    {_, Pid} = lists:keyfind(Holder, 1, Candidates),
    Start = erlang:monotonic_time(millisecond),
    remora_ct:freeze(Holder),
    try
        {_, Next} = holder([C || {P, _} = C <- Candidates, P =/= Holder], billing),
        Ms = erlang:monotonic_time(millisecond) - Start,
        ct:pal("another one held the name ~b ms after the VM of its holder was stopped, with a name_lease of ~b ms", [Ms, ?NAME_LEASE]),
        ?assert(Next > Token),
        ?assert(Ms < ?NAME_LEASE + 2_000)
    after
        remora_ct:thaw(Holder)
    end,
    ?assertEqual({error, not_held}, call(Holder, holds, [billing, Pid])),
    %% It stands again: when all others are gone, it holds the name.
    [ok = rcall(P, shimnode, kill, [[C]]) || {P, C} <- Candidates, P =/= Holder],
    ?assertMatch({Holder, _}, holder([{Holder, Pid}], billing)).

%% A companion that is started again knows its voters from the disk, and who stands from the VM.
told_again_for_real(Config) ->
    Vms = [Vm | _] = remora_ct:peers(Config),
    cluster(Config),
    Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
    ok = call(Vm, campaign, [billing, Pid]),
    {Vm, Token} = holder([{Vm, Pid}], billing),
    Listener = listen(Vm, billing),
    Program = shim_ct:kill_companion(Vm),
    await_event(Vm, Listener, {unheld, <<"billing">>, Pid}),
    shim_ct:gone(Program),
    shim_ct:await_up(Vm),
    {Vm, Next} = holder([{Vm, Pid}], billing),
    ?assert(Next > Token),
    elected(Vms).
