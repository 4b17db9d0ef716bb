%% host_cluster: VMs with companions on hosts of their own (network namespaces): app@10.77.0.N with app_remora@10.77.0.N, an epmd
%% on each. Companions find each other by a list; what they run beside is up to `args'. Each VM has a member_watch on its own
%% companion.
-module(host_cluster).
-export([start/4, stop/1, vm/2, companion/2, companion_os_pid/2, watch_events/2, watch_clear/1, watch_again/2, door/3,
         stop_companion/2, cont_companion/2, median/1, percentile/2, name/1, app_name/1]).
-import(remora_ct, [rcall/4, wait_until/2]).

-define(WAIT, 30_000).

%% Args: a fun of the host's number, more of the companion's command line.
start(Config, Suite, N, Args) ->
    Dir = proplists:get_value(priv_dir, Config),
    Hosts = discovery_parts:start_hosts(Dir, N),
    Port = remora_ct:free_port(),
    Cluster0 = #{hosts => Hosts, epmd_port => Port, n => N},
    Epmds = [epmd(Dir, Hosts, I, Port) || I <- lists:seq(1, N)],
    Parent = self(),
    Starting = [spawn_monitor(fun() -> Parent ! {vm, I, start_vm(Config, Suite, Dir, Cluster0, I, Args)}, receive stop -> ok end end)
                || I <- lists:seq(1, N)],
    Vms = maps:from_list([receive
                              {vm, I, Vm} -> {I, Vm};
                              {'DOWN', _, process, _, Why} -> error({no_vm, Why})
                          after ?WAIT -> error(no_vm)
                          end || I <- lists:seq(1, N)]),
    [demonitor(M, [flush]) || {_, M} <- Starting],
    Cluster = Cluster0#{vms => Vms, epmds => Epmds},
    wait_until(fun() -> lists:all(fun(I) -> is_whole(Cluster, I) end, lists:seq(1, N)) end, ?WAIT),
    Cluster#{watches => maps:from_list([{I, watch(Cluster, I)} || I <- lists:seq(1, N)])}.

stop(#{hosts := Hosts, vms := Vms, epmds := Epmds}) ->
    [remora_ct:stop(Vm) || Vm <- maps:values(Vms)],
    [remora_ct:stop(E) || E <- Epmds],
    discovery_parts:stop_hosts(Hosts),
    ok.

epmd(Dir, Hosts, I, Port) ->
    {Program, Args} = discovery_parts:start_on(Hosts, I, os:find_executable("epmd"),
                                               ["-port", integer_to_list(Port), "-relaxed_command_check"]),
    Epmd = remora_ct:start_guarded(Program, Args, [], filename:join(Dir, "epmd.log")),
    Listens = fun() -> discovery_parts:command_on(Hosts, I, ["ss -Hltn sport = :", integer_to_list(Port)]) =/= "" end,
    wait_until(Listens, ?WAIT),
    Epmd#{kind => epmd}.

start_vm(Config, Suite, Dir, #{hosts := Hosts, epmd_port := Port, n := N}, I, Args) ->
    Address = discovery_parts:address(I),
    Opts = (shim_ct:peer_opts(Suite))#{name => app, host => Address, epmd_port => Port, cookie => remora_ct:cookie(Config),
                                       dir => filename:join(Dir, integer_to_list(I)), enter => discovery_parts:enter(Hosts, I),
                                       otp_args => ["-kernel", "prevent_overlapping_partitions", "false"]},
    ok = filelib:ensure_dir(filename:join(maps:get(dir, Opts), "x")),
    Modules = [member_watch | maps:get(modules, Opts)],
    Vm = remora_ct:start_peer(Opts#{modules => Modules}),
    Names = lists:join(",", [atom_to_list(name(J)) || J <- lists:seq(1, N)]),
    {ok, _} = shim_ct:start(Vm, #{args => ["--discover", lists:flatten(["nodes:", Names]), "--discover-poll", "1" | Args(I)]}),
    Vm.

is_whole(#{n := N} = Cluster, I) ->
    length(rcall(vm(Cluster, I), erlang, nodes, [])) =:= 2 * N - 1.

watch(Cluster, I) -> rcall(vm(Cluster, I), member_watch, start, [name(I)]).
watch_again(#{watches := Watches} = Cluster, I) ->
    Cluster#{watches := Watches#{I := watch(Cluster, I)}}.
watch_events(#{watches := Watches} = Cluster, I) -> rcall(vm(Cluster, I), member_watch, events, [maps:get(I, Watches)]).
watch_clear(#{watches := Watches} = Cluster) ->
    [rcall(vm(Cluster, I), member_watch, clear, [W]) || {I, W} <- maps:to_list(Watches)],
    ok.

vm(#{vms := Vms}, I) -> maps:get(I, Vms).
name(I) -> list_to_atom("app_remora@" ++ discovery_parts:address(I)).
app_name(I) -> list_to_atom("app@" ++ discovery_parts:address(I)).
companion(_Cluster, I) -> name(I).
companion_os_pid(Cluster, I) -> shim_ct:os_pid(vm(Cluster, I)).
stop_companion(Cluster, I) -> Thing = #{os_pid => companion_os_pid(Cluster, I)}, remora_ct:freeze(Thing), Thing.
cont_companion(_Cluster, Thing) -> remora_ct:thaw(Thing).

door(Cluster, I, Request) -> rcall(vm(Cluster, I), gen_server, call, [{remora, name(I)}, Request, 10_000]).

median(List) -> percentile(List, 50).
percentile(List, P) ->
    Sorted = lists:sort(List),
    lists:nth(max(1, ceil(length(Sorted) * P / 100)), Sorted).
