%% model_SUITE: random histories of a cluster of three OTP nodes and two of ours, against a model that knows only what
%% each node's own processes did. Joins, leaves, registrations, deaths, cuts, healing and restarts of scopes come in any
%% order and without waiting for each other; when the network is whole again and nothing moves, every node's view of groups
%% and names is the model's.
%%
%% PropEr makes the histories and shrinks what fails to the fewest commands; the log then has them. REMORA_RUNS says
%% how many there are in a case (20).
%%
%% The model is one function, next/2, and the cluster another, do/2: one clause for each command.
%%
%% Of a name the model knows whom it may belong to when all is quiet. In a whole cluster that is one process, or none, and
%% what register answers is known, too. While nodes are apart each part may give it away, and any of those stays
%% (random_notify: nobody is killed for it, so that groups are not touched).
-module(model_SUITE).
-define(OWN_TESTCASE, true).
-import(proper_types, [frequency/1, oneof/1, integer/2, list/1, resize/2]).
-include("suite.hrl").

-define(NODES, 5).       % 1..3 are OTP nodes, 4 and 5 ours
-define(PROCESSES, 2).   % of each node, at any time
-define(QUIET_MS, 10_000).

cases() -> [groups_agree_when_quiet, names_agree_when_quiet].

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

%% Any pair of nodes may be parted.
groups_agree_when_quiet(Config) ->
    agree_when_quiet(Config, frequency([{2, {cut, a_node(), a_node()}}, {1, {restart_scope, a_node()}} | common()])).

%% A node may be parted from all others. With prevent_overlapping_partitions off OTP nodes of which only a pair was parted
%% can know each other again without having compared their names: a third one introduces them (global.erl, new_nodes). Four
%% OTP nodes alone, of which two pairs are parted and meet again, end so every time.
names_agree_when_quiet(Config) ->
    agree_when_quiet(Config, frequency([{2, {isolate, a_node()}},
                                        {6, {register, a_node(), name(), one()}},
                                        {3, {unregister, a_node(), name()}} | common()])).

common() ->
    [{6, {join, a_node(), group(), some()}}, {4, {leave, a_node(), group(), some()}}, {2, {kill, a_node(), one()}},
     {1, heal}, {1, quiet}].

agree_when_quiet(Config, Command) ->
    ct:timetrap({minutes, 10}),
    Runs = list_to_integer(os:getenv("REMORA_RUNS", "20")),
    Property = proper:forall(resize(30, list(Command)), fun(Commands) -> held(Config, Commands) end),
    Options = [{numtests, Runs}, {max_shrinks, 30}, long_result, {on_output, fun(F, A) -> ct:log(F, A) end}],
    case proper:quickcheck(Property, Options) of
        true -> ok;
        Counterexample -> ct:fail({disagreed_after, Counterexample})
    end.

%% ---- histories -------------------------------------------------------------------------------------------

a_node() -> integer(1, ?NODES).
group() -> oneof([g, {g, 1}, "text", #{b => 1, a => [2]}]).
name() -> oneof([n, {n, 1}]).
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
    whole(Cluster),
    Processes = maps:from_list([{{N, P}, spawn_on(Cluster, N)} || N <- lists:seq(1, ?NODES), P <- lists:seq(1, ?PROCESSES)]),
    Model = #{processes => Processes, members => [], names => #{}, whole => true},
    {_, Agreed} = lists:foldl(fun(_, {M, false}) -> {M, false};
                                 (C, {M, true}) -> step(Cluster, C, M) end,
                              {Model, true}, Commands ++ [quiet]),
    [stop_scope(Cluster, N) || N <- lists:seq(1, ?NODES)],
    Agreed.

step(Cluster, quiet, Model) ->
    whole(Cluster),
    case agrees(Cluster, Model) of
        {true, Names} -> {Model#{names := Names, whole := true}, true};
        false -> {Model, false}
    end;
step(Cluster, {kill, N, P}, Model) ->
    do(Cluster, {kill, pid(Model, N, P)}),
    {next({kill, N, P, spawn_on(Cluster, N)}, Model), true};
step(Cluster = #{scope := Scope}, {register, N, Text, P}, Model) ->
    Name = {Scope, Text},
    Pid = pid(Model, N, P),
    Answer = do(Cluster, {register, N, Name, Pid}),
    Right = lists:member(Answer, answers(Name, Pid, Model)),
    Right orelse ct:log("~p for ~p was answered ~p; expected ~p", [Name, Pid, Answer, answers(Name, Pid, Model)]),
    {next({registered, Name, Pid, Answer}, Model), Right};
step(Cluster = #{scope := Scope}, {unregister, N, Text}, Model) ->
    do(Cluster, {unregister, N, {Scope, Text}}),
    {next({unregistered, {Scope, Text}}, Model), true};
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
next({kill, N, P, New}, #{members := M, processes := All, names := Names} = Model) ->
    Dead = maps:get({N, P}, All),
    Model#{members := [E || {_, _, Pid} = E <- M, Pid =/= Dead], processes := All#{{N, P} := New},
           names := maps:map(fun(_, Whose) -> [case W of Dead -> gone; _ -> W end || W <- Whose] end, Names)};
next({isolate, _}, Model) -> Model#{whole := false};
next({registered, Name, Pid, yes}, #{names := Names, whole := true} = Model) -> Model#{names := Names#{Name => [Pid]}};
next({registered, Name, Pid, yes}, #{names := Names} = Model) ->
    Model#{names := Names#{Name => [Pid | [W || W <- whose(Name, Model), is_pid(W)]]}};
next({unregistered, Name}, #{names := Names, whole := true} = Model) -> Model#{names := Names#{Name => [none]}};
next({unregistered, Name}, #{names := Names} = Model) -> Model#{names := Names#{Name => [none | whose(Name, Model)]}};
next({restart_scope, N}, #{members := M} = Model) -> Model#{members := [E || {At, _, _} = E <- M, At =/= N]};
next(_, Model) -> Model.

%% `gone' is a process that was killed: the name is nobody's soon.
whose(Name, #{names := Names}) -> maps:get(Name, Names, [none]).

%% What register may say. The name must be free, and the process must have no other one.
answers(_, _, #{whole := false}) -> [yes, no];
answers(Name, Pid, #{names := Names} = Model) ->
    Named = lists:member(Pid, lists:append(maps:values(Names))),
    case whose(Name, Model) of
        [none] when not Named -> [yes];
        [none] -> [no];
        [Other] when is_pid(Other) -> [no];
        _ -> [yes, no]
    end.

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
do(C, {register, N, Name, Pid}) ->
    case at(C, N) of
        {otp, Peer} -> rcall(Peer, global, register_name, [Name, Pid, fun global:random_notify_name/3]);
        {ours, Nut} -> slow_door(C, Nut, {register_name, Name, Pid, random_notify})
    end;
do(C, {unregister, N, Name}) ->
    case at(C, N) of
        {otp, Peer} -> rcall(Peer, global, unregister_name, [Name]);
        {ours, Nut} -> ok = slow_door(C, Nut, {unregister_name, Name})
    end;
do(C, {kill, Pid}) ->
    kill(C, Pid);
do(C, {cut, A, B}) ->
    part(C, A, B);
do(C = #{config := Config}, {isolate, A}) ->
    %% Once each: to part again who is introduced meanwhile would part pairs.
    Others = lists:seq(1, ?NODES) -- [A],
    [part(C, A, B) || B <- Others],
    wait_until(fun() -> not lists:any(fun(B) -> pg_SUITE:sees(Config, element(2, at(C, A)), element(2, at(C, B))) end, Others) end,
               ?QUIET_MS);
do(C, heal) ->
    heal(C);
do(C = #{scope := Scope}, {restart_scope, N}) ->
    case at(C, N) of
        {otp, Peer} -> rcall(Peer, pg_SUITE, kill_and_wait, [Scope]);
        {ours, Nut} -> ok = door(C, Nut, {stop_scope, Scope})
    end,
    start_scope(C, N).

part(C, A, B) ->
    case {at(C, A), at(C, B)} of
        {Same, Same} -> ok;
        {{otp, Peer}, {_, #{node := Node}}} -> rcall(Peer, erlang, disconnect_node, [Node]);
        {{_, #{node := Node}}, {otp, Peer}} -> rcall(Peer, erlang, disconnect_node, [Node]);
        {{ours, Nut}, {ours, #{node := Node}}} -> door(C, Nut, {disconnect, Node})
    end.

%% And if so, whose the names are: one process or none, the same on all nodes.
agrees(C, #{names := Names} = Model) ->
    Wanted = lists:duplicate(?NODES, expected(Model)),
    Agreed = fun() ->
                 Seen = names(C, maps:keys(Names)),
                 views(C) =:= Wanted andalso lists:all(fun({Name, Holders}) -> fits(Holders, whose(Name, Model)) end, Seen)
             end,
    try
        wait_until(Agreed, ?QUIET_MS),
        {true, maps:from_list([{Name, [Holder]} || {Name, [Holder]} <- names(C, maps:keys(Names))])}
    catch
        error:{still_false_after_ms, _} ->
            ct:log("expected ~p ~p~nseen ~p ~p", [hd(Wanted), Names, views(C), names(C, maps:keys(Names))]),
            false
    end.

fits([Holder], Whose) -> lists:member(Holder, [case W of gone -> none; _ -> W end || W <- Whose]);
fits(_, _) -> false.

names(C, Names) -> [{Name, lists:usort([holder(C, N, Name) || N <- lists:seq(1, ?NODES)])} || Name <- Names].
holder(C, N, Name) ->
    Found = case at(C, N) of
                {otp, Peer} -> rcall(Peer, global, whereis_name, [Name]);
                {ours, Nut} -> door(C, Nut, {whereis_name, Name})
            end,
    case Found of undefined -> none; Pid -> Pid end.

views(C = #{config := Config, scope := Scope}) ->
    [pg_SUITE:view(element(2, at(C, N)), Config, Scope) || N <- lists:seq(1, ?NODES)].

heal(C = #{config := Config}) ->
    pg_SUITE:connect_nodes(Config, [element(2, at(C, N)) || N <- lists:seq(1, ?NODES)]).

%% Connected, and joined as far as `global' goes.
whole(C = #{config := Config}) ->
    heal(C),
    Nodes = [element(2, at(C, N)) || N <- lists:seq(1, ?NODES)],
    Names = lists:sort([Node || #{node := Node} <- Nodes]),
    wait_until(fun() -> lists:all(fun(#{node := Node}) -> known(Config, Node) =:= Names -- [Node] end, Nodes) end, 30_000).

known(Config, Node) ->
    lists:sort(rcall(pg_SUITE:driver(Config), gen_server, call, [{global_name_server, Node}, get_known])).

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
%% A registration waits for its turn at the lock, behind nodes that join.
slow_door(#{config := Config}, #{node := Node}, Request) ->
    rcall(pg_SUITE:driver(Config), gen_server, call, [{remora, Node}, Request, 60_000]).
