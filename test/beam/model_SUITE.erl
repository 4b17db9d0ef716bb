%% model_SUITE: random histories of a cluster of three OTP nodes and two of ours, against a model that knows only what
%% each node's own processes did. Joins, leaves, deaths, cuts, healing and restarts of scopes come in any order and
%% without waiting for each other; when the network is whole again and nothing moves, every node's view is the model's.
%%
%% PropEr makes the histories and shrinks what fails to the fewest commands; the log then has them. REMORA_RUNS says
%% how many there are in a case (20).
%%
%% The model is one function, next/2, and the cluster another, do/2: one clause for each command. What the registry adds
%% - register and unregister by the door's {register_name, Name, Pid, Policy} and {unregister_name, Name} - is a clause
%% in each, and a line in command/0 and in views/2.
-module(model_SUITE).
-define(OWN_TESTCASE, true).
-import(proper_types, [frequency/1, oneof/1, integer/2, list/1, resize/2]).
-include("suite.hrl").

-define(NODES, 5).       % 1..3 are OTP nodes, 4 and 5 ours
-define(PROCESSES, 2).   % of each node, at any time
-define(QUIET_MS, 10_000).

cases() -> [groups_agree_when_quiet].

peers() -> [pg_peer(), pg_peer(), pg_peer(), (pg_peer())#{hidden => true}].
pg_peer() -> #{otp_args => ["-kernel", "prevent_overlapping_partitions", "false"], modules => [?MODULE, pg_SUITE]}.

init_per_testcase(_, Config) ->
    case remora_ct:nut_kind() of
        remora -> [{ours, [remora_ct:start_node_like_nut(Config, #{args => ["--prevent-overlapping-partitions", "false"]}) || _ <- [1, 2]]} | Config];
        beam -> {skip, "only remora has the door"}
    end.

end_per_testcase(_, Config) ->
    [remora_ct:stop(Nut) || Nut <- proplists:get_value(ours, Config, [])],
    [rcall(P, pg_SUITE, forget_all, []) || P <- remora_ct:peers(Config)],
    ok.

groups_agree_when_quiet(Config) ->
    ct:timetrap({minutes, 10}),
    Runs = list_to_integer(os:getenv("REMORA_RUNS", "20")),
    Property = proper:forall(resize(30, list(command())), fun(Commands) -> held(Config, Commands) end),
    Options = [{numtests, Runs}, {max_shrinks, 30}, long_result, {on_output, fun(F, A) -> ct:log(F, A) end}],
    case proper:quickcheck(Property, Options) of
        true -> ok;
        Counterexample -> ct:fail({disagreed_after, Counterexample})
    end.

%% ---- histories -------------------------------------------------------------------------------------------

command() ->
    frequency([{6, {join, a_node(), group(), some()}},
               {4, {leave, a_node(), group(), some()}},
               {2, {kill, a_node(), one()}},
               {2, {cut, a_node(), a_node()}},
               {1, heal},
               {1, {restart_scope, a_node()}},
               {1, quiet}]).

a_node() -> integer(1, ?NODES).
group() -> oneof([g, {g, 1}, "text", #{b => 1, a => [2]}]).
one() -> integer(1, ?PROCESSES).
some() -> oneof([one(), list(one())]).

%% Debian's PropEr cannot report an exception on OTP 25 (it asks for erlang:get_stacktrace/0): it gets none to see.
held(Config, Commands) ->
    try
        holds(Config, Commands)
    catch
        Class:Reason:Stack ->
            ct:log("~p~n~p ~p~n~p", [Commands, Class, Reason, Stack]),
            false
    end.

%% Every run has a scope of its own: what one leaves behind the next does not see.
holds(Config, Commands) ->
    Scope = remora_ct:unique("scope"),
    Cluster = #{config => Config, scope => Scope},
    [start_scope(Cluster, N) || N <- lists:seq(1, ?NODES)],
    heal(Cluster),
    Processes = maps:from_list([{{N, P}, spawn_on(Cluster, N)} || N <- lists:seq(1, ?NODES), P <- lists:seq(1, ?PROCESSES)]),
    Model = #{processes => Processes, members => []},
    {_, Agreed} = lists:foldl(fun(_, {M, false}) -> {M, false};
                                 (C, {M, true}) -> step(Cluster, C, M) end,
                              {Model, true}, Commands ++ [quiet]),
    [stop_scope(Cluster, N) || N <- lists:seq(1, ?NODES)],
    Agreed.

step(Cluster, quiet, Model) ->
    heal(Cluster),
    {Model, agrees(Cluster, Model)};
step(Cluster, {kill, N, P}, Model) ->
    do(Cluster, {kill, pid(Model, N, P)}),
    {next({kill, N, P, spawn_on(Cluster, N)}, Model), true};
step(Cluster, {What, N, Group, Ps}, Model) ->
    Pids = case Ps of [_ | _] -> [pid(Model, N, P) || P <- Ps]; [] -> []; P -> pid(Model, N, P) end,
    do(Cluster, {What, N, Group, Pids}),
    {next({What, N, Group, Pids}, Model), true};
step(Cluster, Command, Model) ->
    do(Cluster, Command),
    {next(Command, Model), true}.

pid(#{processes := All}, N, P) -> maps:get({N, P}, All).

%% ---- the model: members is a list of {Node, Group, Pid}, one for each membership ---------------------------

next({join, N, Group, Pids}, #{members := M} = Model) -> Model#{members := [{N, Group, P} || P <- each(Pids)] ++ M};
next({leave, N, Group, Pids}, #{members := M} = Model) -> Model#{members := M -- [{N, Group, P} || P <- each(Pids)]};
next({kill, N, P, New}, #{members := M, processes := All} = Model) ->
    Dead = maps:get({N, P}, All),
    Model#{members := [E || {_, _, Pid} = E <- M, Pid =/= Dead], processes := All#{{N, P} := New}};
next({restart_scope, N}, #{members := M} = Model) -> Model#{members := [E || {At, _, _} = E <- M, At =/= N]};
next(_, Model) -> Model.

each(Pids) when is_list(Pids) -> Pids;
each(Pid) -> [Pid].

expected(#{members := M}) ->
    Groups = lists:usort([G || {_, G, _} <- M]),
    pg_SUITE:sorted([{G, [P || {_, H, P} <- M, H =:= G]} || G <- Groups]).

%% ---- the cluster -----------------------------------------------------------------------------------------

do(C = #{scope := Scope}, {join, N, Group, Pids}) ->
    case at(C, N) of
        _ when Pids =:= [] -> ok;   % on OTP an empty group for ever
        {otp, Peer} -> ok = rcall(Peer, pg, join, [Scope, Group, Pids]);
        {ours, Nut} -> ok = door(C, Nut, {join, Scope, Group, Pids})
    end;
do(C = #{scope := Scope}, {leave, N, Group, Pids}) ->
    case at(C, N) of
        {otp, Peer} -> rcall(Peer, pg, leave, [Scope, Group, Pids]);
        {ours, Nut} -> door(C, Nut, {leave, Scope, Group, Pids})
    end;
do(C, {kill, Pid}) ->
    kill(C, Pid);
do(C, {cut, A, B}) ->
    case {at(C, A), at(C, B)} of
        {Same, Same} -> ok;
        {{otp, Peer}, {_, #{node := Node}}} -> rcall(Peer, erlang, disconnect_node, [Node]);
        {{_, #{node := Node}}, {otp, Peer}} -> rcall(Peer, erlang, disconnect_node, [Node]);
        _ -> ok   % ours among themselves: nobody outside can part them
    end;
do(C, heal) ->
    heal(C);
do(C = #{scope := Scope}, {restart_scope, N}) ->
    case at(C, N) of
        {otp, Peer} -> rcall(Peer, pg_SUITE, kill_and_wait, [Scope]);
        {ours, Nut} -> ok = door(C, Nut, {stop_scope, Scope})
    end,
    start_scope(C, N).

agrees(C, Model) ->
    Wanted = lists:duplicate(?NODES, expected(Model)),
    try
        wait_until(fun() -> views(C) =:= Wanted end, ?QUIET_MS),
        true
    catch
        error:{still_false_after_ms, _} ->
            ct:log("expected ~p~nseen ~p", [hd(Wanted), views(C)]),
            false
    end.

views(C = #{config := Config, scope := Scope}) ->
    [pg_SUITE:view(element(2, at(C, N)), Config, Scope) || N <- lists:seq(1, ?NODES)].

heal(C = #{config := Config}) ->
    pg_SUITE:connect_nodes(Config, [element(2, at(C, N)) || N <- lists:seq(1, ?NODES)]).

at(#{config := Config}, N) when N =< 3 -> {otp, peer(N, Config)};
at(#{config := Config}, N) -> {ours, lists:nth(N - 3, proplists:get_value(ours, Config))}.

start_scope(C = #{scope := Scope}, N) ->
    case at(C, N) of
        {otp, Peer} -> {ok, _} = rcall(Peer, pg, start, [Scope]);
        {ours, Nut} -> ok = door(C, Nut, {start_scope, Scope})
    end.
stop_scope(C = #{scope := Scope}, N) ->
    case at(C, N) of
        {otp, Peer} -> rcall(Peer, pg_SUITE, kill_and_wait, [Scope]);
        {ours, Nut} -> ok = door(C, Nut, {stop_scope, Scope})
    end.

spawn_on(C = #{config := Config}, N) ->
    case at(C, N) of
        {otp, Peer} -> pg_SUITE:process(Peer);
        {ours, Nut} -> pg_SUITE:native(Config, Nut)
    end.
kill(#{config := Config}, Pid) -> pg_SUITE:kill(Config, Pid).
door(#{config := Config}, Nut, Request) -> pg_SUITE:door(Config, Nut, Request).
