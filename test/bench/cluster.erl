%% cluster: how fast a remora node is as a member of `global' and `pg', against what BEAM nodes do in the same cluster
%% and the same minutes. bench takes these values like its own; a cluster lives for all runs.
%%
%%   register_many   names registered per second by 64 concurrent processes, 16 on each BEAM node, in a cluster of four BEAM
%%                   nodes and one remora node: through remora's door, and with global:register_name/2. (All on one node
%%                   measures the members more than who registers: OTP's name servers copy a map of all names of a
%%                   node at each of them, save_node_resource_info/2.)
%%   register_one    median of a lone registration by one process there, the same two ways, in microseconds
%%   join_cluster    a node joins eight BEAM nodes that share 10,000 names: ms from the first dial until it knows
%%                   the names and all eight nodes
%%   group_join      median of joining a process group through remora's door, and of a plain gen call to that node
%%   group_sync      a BEAM node connects to a node with 10,000 memberships: ms until it has them all
-module(cluster).
-export([start/1, stop/1, register_many/2, register_one/2, join_cluster/2, group_join/2, group_sync/2]).
%% run on the nodes
-export([spawn_idle/1, kill_all/1, register_all/3, register_times/3, join_times/2, call_times/2, join_groups/3,
         await_groups/2, name_all/1, knows/2]).

-define(CALLERS, 64).
-define(NAMES, 5_000).
-define(ONES, 300).
-define(JOIN_NAMES, 10_000).
-define(JOIN_NODES, 8).
-define(GROUPS, 1_000).
-define(PER_GROUP, 10).
-define(PG, ["-kernel", "start_pg", "true"]).

start(Opts) ->
    Beams = [remora_ct:start_peer(Opts#{name => remora_ct:unique("member"), otp_args => ?PG}) || _ <- lists:seq(1, 4)],
    Remora = remora_ct:start_remora(Opts#{name => remora_ct:unique("companion"), program => os:getenv("REMORA_TESTNODE")}),
    connect_all(Beams ++ [Remora]),
    Eight = [remora_ct:start_peer(Opts#{name => remora_ct:unique("full")}) || _ <- lists:seq(1, ?JOIN_NODES)],
    connect_all(Eight),
    Last = remora_ct:rcall(hd(Eight), ?MODULE, name_all, [?JOIN_NAMES]),
    #{opts => Opts, beams => Beams, remora => Remora, eight => Eight, last => Last}.

stop(#{beams := Beams, remora := Remora, eight := Eight}) -> [remora_ct:stop(N) || N <- [Remora | Beams ++ Eight]], ok.

%% Each to the first, which introduces them; then until every BEAM node shares names with all others.
connect_all([First | Rest] = All) ->
    [remora_ct:connect(First, N) || N <- Rest],
    Beams = [N || N = #{kind := peer} <- All],
    [remora_ct:wait_until(fun() -> knows(N, length(All) - 1) end, 60_000) || N <- Beams],
    ok.

knows(Node, Count) -> length(remora_ct:rcall(Node, gen_server, call, [global_name_server, get_known])) =:= Count.

%% ---- names --------------------------------------------------------------------------------------------------

register_many(Through, #{beams := Beams} = Cluster) ->
    Door = door(Through, Cluster),
    Share = ?NAMES div length(Beams),
    Pids = [{N, remora_ct:rcall(N, ?MODULE, spawn_idle, [Share])} || N <- Beams],
    Start = erlang:monotonic_time(nanosecond),
    Refs = [element(2, spawn_monitor(fun() ->
                remora_ct:rcall(N, ?MODULE, register_all, [Door, Ps, ?CALLERS div length(Beams)])
            end)) || {N, Ps} <- Pids],
    [receive {'DOWN', R, process, _, Why} -> normal = Why end || R <- Refs],
    Ns = erlang:monotonic_time(nanosecond) - Start,
    [remora_ct:rcall(N, ?MODULE, kill_all, [Ps]) || {N, Ps} <- Pids],
    await_no_names(Cluster),
    Share * length(Beams) * 1_000_000_000 / Ns.

register_one(Through, Cluster) ->
    Asker = asker(Cluster),
    Pids = remora_ct:rcall(Asker, ?MODULE, spawn_idle, [?ONES]),
    Times = remora_ct:rcall(Asker, ?MODULE, register_times, [door(Through, Cluster), Pids, []]),
    forget(Asker, Pids, Cluster),
    lists:nth(?ONES div 2, lists:sort(Times)) / 1000.

asker(#{beams := [First | _]}) -> First.
door(remora, #{remora := #{node := Node}}) -> {remora, Node};
door(beam, _) -> global.

%% The next measure begins when all nodes have forgotten these names.
forget(Asker, Pids, Cluster) ->
    remora_ct:rcall(Asker, ?MODULE, kill_all, [Pids]),
    await_no_names(Cluster).

await_no_names(#{beams := Beams}) ->
    [remora_ct:wait_until(fun() -> remora_ct:rcall(N, ets, info, [global_names, size]) =:= 0 end, 30_000) || N <- Beams],
    ok.

spawn_idle(Count) -> [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Count)].
kill_all(Pids) -> [exit(P, kill) || P <- Pids], ok.

register_all(Door, Pids, Callers) ->
    Shares = shares(Pids, length(Pids) div Callers + 1),
    Start = erlang:monotonic_time(nanosecond),
    Refs = [element(2, spawn_monitor(fun() -> [yes = register_name(Door, P) || P <- Share] end)) || Share <- Shares],
    [receive {'DOWN', R, process, _, Why} -> normal = Why end || R <- Refs],
    erlang:monotonic_time(nanosecond) - Start.

shares([], _) -> [];
shares(List, N) when length(List) =< N -> [List];
shares(List, N) -> {Share, Rest} = lists:split(N, List), [Share | shares(Rest, N)].

register_times(_, [], Times) -> Times;
register_times(Door, [Pid | Pids], Times) ->
    Start = erlang:monotonic_time(nanosecond),
    yes = register_name(Door, Pid),
    register_times(Door, Pids, [erlang:monotonic_time(nanosecond) - Start | Times]).

register_name(global, Pid) -> global:register_name({bench, Pid}, Pid);
register_name(Door, Pid) -> gen_server:call(Door, {register_name, {bench, Pid}, Pid, random_exit}, infinity).

%% Straight into the table of every node as a join would bring them: registering 10,000 one by one takes longer than all
%% other measures together.
name_all(Count) ->
    Pids = spawn_idle(Count),
    Named = [{{bench, N}, P, fun global:random_exit_name/3} || {N, P} <- lists:zip(lists:seq(1, Count), Pids)],
    global:trans({global, self()}, fun() ->
        [[yes = gen_server:call({global_name_server, Node}, {register, Name, P, M}, infinity)
          || Node <- [node() | nodes()]] || {Name, P, M} <- Named]
    end),
    {bench, Count}.

%% What joins is there and idle before the clock starts; one of the eight dials it.
join_cluster(Joiner, #{opts := Opts, eight := Eight, last := Last}) ->
    New = case Joiner of
              beam -> remora_ct:start_peer(Opts#{name => remora_ct:unique("joiner")});
              remora -> remora_ct:start_remora(Opts#{name => remora_ct:unique("joiner"), program => os:getenv("REMORA_BIN")})
          end,
    #{node := Node} = New,
    Start = erlang:monotonic_time(microsecond),
    true = remora_ct:rcall(hd(Eight), net_kernel, connect_node, [Node]),
    remora_ct:wait_until(fun() -> joined(hd(Eight), Node, Last) end, 120_000),
    Ms = (erlang:monotonic_time(microsecond) - Start) / 1000,
    remora_ct:stop(New),
    [remora_ct:wait_until(fun() -> knows(N, ?JOIN_NODES - 1) end, 30_000) || N <- Eight],
    Ms.

joined(First, Node, Last) ->
    is_pid(remora_ct:rcall(First, rpc, call, [Node, global, whereis_name, [Last]])) andalso
        length(remora_ct:rcall(First, rpc, call, [Node, erlang, nodes, []])) >= ?JOIN_NODES.

%% ---- groups -------------------------------------------------------------------------------------------------

group_join(join, #{remora := #{node := Node}} = Cluster) ->
    Pids = remora_ct:rcall(asker(Cluster), ?MODULE, spawn_idle, [?ONES]),
    Times = remora_ct:rcall(asker(Cluster), ?MODULE, join_times, [Node, Pids]),
    remora_ct:rcall(asker(Cluster), ?MODULE, kill_all, [Pids]),
    lists:nth(?ONES div 2, lists:sort(Times)) / 1000;
group_join(gen_call, #{remora := #{node := Node}} = Cluster) ->
    Times = remora_ct:rcall(asker(Cluster), ?MODULE, call_times, [Node, ?ONES]),
    lists:nth(?ONES div 2, lists:sort(Times)) / 1000.

join_times(Node, Pids) -> [timed(fun() -> ok = gen_server:call({remora, Node}, {join, pg, bench, P}) end) || P <- Pids].
call_times(Node, Count) ->
    [timed(fun() -> hello = gen_server:call({echo, Node}, {echo, hello}) end) || _ <- lists:seq(1, Count)].

timed(Call) ->
    Start = erlang:monotonic_time(nanosecond),
    Call(),
    erlang:monotonic_time(nanosecond) - Start.

group_sync(With, #{opts := Opts}) ->
    Keeper = remora_ct:start_peer(Opts#{name => remora_ct:unique("keeper"), otp_args => ?PG}),
    Full = case With of
               beam -> Keeper;
               remora -> remora_ct:start_remora(Opts#{name => remora_ct:unique("full"), program => os:getenv("REMORA_BIN")})
           end,
    #{node := Node} = Full,
    ok = remora_ct:rcall(Keeper, ?MODULE, join_groups, [With, Node, ?GROUPS]),
    Fresh = remora_ct:start_peer(Opts#{name => remora_ct:unique("fresh"), otp_args => ?PG}),
    Ns = remora_ct:rcall(Fresh, ?MODULE, await_groups, [Node, ?GROUPS]),
    [remora_ct:stop(N) || N <- lists:usort([Keeper, Full, Fresh])],
    Ns / 1_000_000.

%% remora's members are processes of an application's node.
join_groups(With, Node, Groups) ->
    Pids = spawn_idle(?PER_GROUP),
    [ok = case With of
              beam -> pg:join({bench, G}, Pids);
              remora -> gen_server:call({remora, Node}, {join, pg, {bench, G}, Pids})
          end || G <- lists:seq(1, Groups)],
    ok.

await_groups(Node, Groups) ->
    Start = erlang:monotonic_time(nanosecond),
    true = net_kernel:connect_node(Node),
    await_members([{bench, G} || G <- lists:seq(1, Groups)], Start + 30_000_000_000),
    erlang:monotonic_time(nanosecond) - Start.

await_members([], _) -> ok;
await_members([Group | Rest] = All, Until) ->
    case length(pg:get_members(Group)) of
        ?PER_GROUP -> await_members(Rest, Until);
        _ -> true = erlang:monotonic_time(nanosecond) < Until, erlang:yield(), await_members(All, Until)
    end.
