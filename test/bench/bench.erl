%% bench: how fast a remora node is, as ratios to two others measured in the same minutes on the same machine:
%% `raw_ei', a plain loop around ei (raw_ei.c), and `beam', an OTP node with the same processes (testnode.erl).
%%
%% A separate OTP node, the client, does all the asking; this one starts the nodes, reads /proc and prints.
%% Noise hits all alike: in each run every measure takes one target after the other, and the next run starts
%% with another one. What is printed is the median over the runs. build/bench.json has every single value.
%%
%% What a measure means:
%%   *_p50         median of single calls by one caller, in microseconds
%%   pipelined     {From, <<64 bytes>>} to `echo' with 100 of them under way, answers per second
%%   cpu           processor time (all threads, /proc/PID/task/*/schedstat) per 64 B message flooded into `sink'
%%   payload_*     binaries echoed by gen_server:call, MiB of payload there and back per second
%%   lookup        names found per second by native code, among 10,000 (lookup.cpp)
%%   reconcile     processor time of discovery for 1,000 listed nodes, both sides, the dearest of three rounds (reconcile.cpp)
%%   register_*, join_cluster, group_*   said in cluster.erl
%%   mirror_*, shim_*, replay            said in shim.erl
%%   seeds, redial                       said in discovery.erl
%%   ready         from starting the program to its ready line, milliseconds
%%   rss           resident memory of a program that is ready, has one peer and does nothing, MB
%%
%% Environment, set by run.sh: REMORA_BIN, REMORA_TESTNODE (skipped when missing), BENCH_RAW_EI, BENCH_RUNS,
%% BENCH_JSON, BENCH_DIR.
-module(bench).
-export([main/0]).
%% run on the client
-export([gen_call/1, bare_call/1, pipelined_native/2, rpc_call/1, erpc_call/1, pipelined/1, flood/1, payload/3]).

-define(CALLS, 2_000).
-define(PIPELINED, 50_000).
-define(OUTSTANDING, 100).
-define(FLOOD, 100_000).

%% {Measure, Unit, how a value is taken, the targets it is taken of}
measures() ->
    [{gen_call_p50, "us", {client, gen_call, []}, [raw_ei, remora, beam]},
     {bare_call_p50, "us", {client, bare_call, []}, [raw_ei, remora, beam]},
     {rpc_p50, "us", {client, rpc_call, []}, [remora, beam]},
     {erpc_p50, "us", {client, erpc_call, []}, [remora, beam]},
     {pipelined, "msg/s", {client, pipelined, []}, [raw_ei, remora, beam]},
     {pipelined_native, "msg/s", {driver, pipelined_native, []}, [raw_ei_for_driver, remora, beam]},
     {cpu, "us/msg", cpu, [remora, beam, beam_no_busy_wait]},
     {payload_1_mib, "MiB/s", {client, payload, [1, 50]}, [remora, beam]},
     {payload_64_mib, "MiB/s", {client, payload, [64, 2]}, [remora, beam]},
     {register_many, "names/s", {cluster, register_many}, [remora, beam]},
     {register_one, "us", {cluster, register_one}, [remora, beam]},
     {join_cluster, "ms", {cluster, join_cluster}, [remora, beam]},
     {group_join, "us", {cluster, group_join}, [join, gen_call]},
     {group_sync, "ms", {cluster, group_sync}, [remora, beam]},
     {lookup, "M/s", lookup, [native]},
     {reconcile, "ms", reconcile, [native]},
     {mirror_whereis, "ns", {shim, mirror_whereis}, [remora, beam]},
     {mirror_members, "ns", {shim, mirror_members}, [remora, beam]},
     {shim_rpc, "us", {shim, shim_rpc}, [remora, beam]},
     {shim_rpc_many, "calls/s", {shim, shim_rpc_many}, [remora, beam]},
     {replay, "ms", {shim, replay}, [remora]},
     {seeds, "ms", {discovery, seeds}, [remora]},
     {redial, "ms", {discovery, redial}, [remora]},
     {ready, "ms", ready, [remora_program]},
     {rss, "MB", rss, [remora_program]}].

%% {Measure, Target, compared with (none: a plain limit), at most | at least, Limit}
demands() ->
    [{gen_call_p50, remora, raw_ei, at_most, 1.1},
     {bare_call_p50, remora, raw_ei, at_most, 1.1},
     {rpc_p50, remora, beam, at_most, 1.0},
     {erpc_p50, remora, beam, at_most, 1.0},
     {pipelined, remora, beam, at_least, 1.3},
     {pipelined, remora, raw_ei, at_least, 2.0},
     {pipelined_native, remora, beam, at_least, 1.3},
     {pipelined_native, remora, raw_ei_for_driver, at_least, 2.0},
     {cpu, remora, beam, at_most, 0.5},
     {payload_1_mib, remora, beam, at_least, 1.0},
     {payload_64_mib, remora, beam, at_least, 1.0},
     {register_many, remora, beam, at_least, 10},
     {register_one, remora, beam, at_most, 1.2},
     {join_cluster, remora, beam, at_most, 1.0},
     {group_join, join, gen_call, at_most, 2.0},
     {group_sync, remora, beam, at_most, 1.2},
     {lookup, native, none, at_least, 5},
     {reconcile, native, none, at_most, 10},
     {mirror_whereis, remora, beam, at_most, 2.0},
     {mirror_members, remora, beam, at_most, 2.0},
     {shim_rpc, remora, beam, at_most, 2.2},
     {shim_rpc_many, remora, beam, at_least, 0.7},
     {replay, remora, none, at_most, 2_000},
     {seeds, remora, none, at_most, 1_000},
     {redial, remora, none, at_most, 500},
     {ready, remora_program, none, at_most, 50},
     {rss, remora_program, none, at_most, 12}].

main() ->
    Runs = list_to_integer(os:getenv("BENCH_RUNS", "15")),
    Dir = os:getenv("BENCH_DIR"),
    Epmd = remora_ct:start_epmd(Dir),
    Opts = #{epmd_port => maps:get(port, Epmd), cookie => "bench", dir => Dir, modules => [bench]},
    ClusterRuns = list_to_integer(os:getenv("BENCH_CLUSTER_RUNS", "5")),
    Values = case os:getenv("BENCH_ONLY") of
                 "shim" -> run_part(shim, "package", ClusterRuns, Opts);
                 "discovery" -> run_part(discovery, "discovery", ClusterRuns, Opts);
                 _ -> run_single(Runs, Opts) ++ run_clusters(ClusterRuns, Opts#{modules => [bench, cluster]})
                          ++ run_part(shim, "package", ClusterRuns, Opts)
                          ++ run_part(discovery, "discovery", ClusterRuns, Opts)
             end,
    remora_ct:stop(Epmd),
    Medians = medians(Values),
    Judged = [judge(Demand, Medians) || Demand <- demands()],
    print(Medians, Judged, Runs),
    ok = file:write_file(os:getenv("BENCH_JSON"), json(Values, Medians, Judged, Runs)),
    halt(0).

%% ---- targets -----------------------------------------------------------------------------------------

targets(Opts) ->
    [{raw_ei, start_raw_ei(raw_ei, Opts)}, {raw_ei_for_driver, start_raw_ei(raw_ei_for_driver, Opts)}]
    ++ if_there("REMORA_TESTNODE", fun(Program) ->
           {remora, remora_ct:start_remora(Opts#{name => remora, program => Program})} end)
    ++ if_there("REMORA_TESTNODE", fun(Program) ->
           {driver, remora_ct:start_remora(Opts#{name => driver, program => Program, hidden => true})} end)
    ++ [{beam, start_beam(Opts#{name => beam})},
        {beam_no_busy_wait, start_beam(Opts#{name => beam_no_busy_wait,
            otp_args => ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]})}]
    ++ if_there("REMORA_BIN", fun(Program) ->
           {remora_program, Opts#{name => remora_program, program => Program}} end).

if_there(Variable, Target) ->
    Program = os:getenv(Variable, ""),
    case filelib:is_regular(Program) of
        true -> [Target(Program)];
        false -> io:format("bench: no program ~ts: its rows are skipped~n", [Program]), []
    end.

%% It serves one connection at a time, hence one of its own for the client and for the driver.
start_raw_ei(Name, #{epmd_port := EpmdPort, cookie := Cookie, dir := Dir}) ->
    remora_ct:start_ready(os:getenv("BENCH_RAW_EI"), [atom_to_list(Name) ++ "@127.0.0.1"],
                          [{"REMORA_COOKIE", Cookie}, {"ERL_EPMD_PORT", integer_to_list(EpmdPort)}],
                          filename:join(Dir, atom_to_list(Name) ++ ".log")).

start_beam(Opts) ->
    Beam = remora_ct:start_peer(Opts),
    ok = remora_ct:rcall(Beam, testnode, start, []),
    Beam.

%% Connections are made, code is loaded and heaps have grown before anything counts.
warm_up(Client, Targets) ->
    [value(How, Client, Targets, Target)
     || {_, _, {Who, F, A} = How, Of} <- measures(), Who =:= client orelse Who =:= driver, {F, A} =/= {payload, [64, 2]},
        Target <- Of, lists:keymember(Target, 1, Targets)].

%% ---- runs ----------------------------------------------------------------------------------------------

run_single(Runs, Opts) ->
    Client = remora_ct:start_peer(Opts#{name => client}),
    Targets = targets(Opts),
    [remora_ct:connect(Client, Target)
     || {Name, Target} <- Targets, not lists:member(Name, [raw_ei, raw_ei_for_driver, remora_program])],
    warm_up(Client, Targets),
    Values = lists:append([run(Run, Runs, Client, Targets) || Run <- lists:seq(1, Runs)]),
    [remora_ct:stop(Target) || {Name, Target} <- Targets, Name =/= remora_program],
    remora_ct:stop(Client),
    Values.

%% [{Measure, Target, Value}] of one run.
run(Run, Runs, Client, Targets) ->
    io:format("run ~b of ~b~n", [Run, Runs]),
    [{Measure, Target, value(How, Client, Targets, Target)}
     || {Measure, _, How, Of} <- measures(), not of_cluster(How), not of_part(How), Target <- rotate(Run, Of),
        lists:keymember(Target, 1, Targets)].

run_clusters(0, _) -> [];
run_clusters(Runs, Opts) ->
    Cluster = cluster:start(Opts),
    Values = lists:append([run_cluster(Run, Runs, Cluster) || Run <- lists:seq(1, Runs)]),
    cluster:stop(Cluster),
    Values.

%% A module with measures of its own: shim, discovery.
run_part(_, _, 0, _) -> [];
run_part(Module, Title, Runs, Opts) ->
    Started = Module:start(Opts),
    Values = lists:append([run_one(Module, Title, Run, Runs, Started) || Run <- lists:seq(1, Runs)]),
    Module:stop(Started),
    Values.

run_one(Module, Title, Run, Runs, Started) ->
    io:format("~s, run ~b of ~b~n", [Title, Run, Runs]),
    [{Measure, Target, Module:Function(Target, Started)}
     || {Measure, _, {M, Function}, Of} <- measures(), M =:= Module, Target <- rotate(Run, Of)].

run_cluster(Run, Runs, Cluster) ->
    io:format("cluster, run ~b of ~b~n", [Run, Runs]),
    [{Measure, Target, cluster_value(How, Target, Cluster)}
     || {Measure, _, How, Of} <- measures(), of_cluster(How), Target <- rotate(Run, Of)].

of_part({Module, _}) -> Module =:= shim orelse Module =:= discovery;
of_part(_) -> false.

of_cluster({cluster, _}) -> true;
of_cluster(How) -> How =:= lookup orelse How =:= reconcile.

cluster_value({cluster, Function}, Target, Cluster) -> cluster:Function(Target, Cluster);
cluster_value(lookup, native, _) -> list_to_integer(string:trim(os:cmd(os:getenv("BENCH_LOOKUP")))) / 1.0e6;
cluster_value(reconcile, native, _) -> list_to_float(string:trim(os:cmd(os:getenv("BENCH_RECONCILE")))).

rotate(N, List) ->
    {Front, Back} = lists:split(N rem length(List), List),
    Back ++ Front.

value(How, Client, Targets, Name) ->
    {Name, Target} = lists:keyfind(Name, 1, Targets),
    take(How, Client, Target, Targets).

%% The driver is a remora node that is told by rpc what to send where.
take({driver, Function, Args}, Client, #{node := Node}, Targets) ->
    {driver, #{node := Driver}} = lists:keyfind(driver, 1, Targets),
    remora_ct:rcall(Client, bench, Function, [Driver, Node | Args]);
take(How, Client, Target, _) ->
    take(How, Client, Target).

take({client, Function, Args}, Client, #{node := Node}) ->
    remora_ct:rcall(Client, bench, Function, [Node | Args]);
take(cpu, Client, #{node := Node, os_pid := Pid}) ->
    Before = cpu_ns(Pid),
    Count = remora_ct:rcall(Client, bench, flood, [Node]),
    (cpu_ns(Pid) - Before) / 1000 / Count;
take(ready, _Client, Opts) ->
    Start = erlang:monotonic_time(microsecond),
    Remora = remora_ct:start_remora(Opts),
    Ms = (erlang:monotonic_time(microsecond) - Start) / 1000,
    remora_ct:stop(Remora),
    Ms;
take(rss, Client, Opts) ->
    Remora = remora_ct:start_remora(Opts),
    remora_ct:connect(Client, Remora),
    Mb = rss_mb(Remora),
    remora_ct:stop(Remora),
    Mb.

cpu_ns(Pid) ->
    Files = filelib:wildcard("/proc/" ++ integer_to_list(Pid) ++ "/task/*/schedstat"),
    lists:sum([list_to_integer(hd(string:lexemes(binary_to_list(Stat), " ")))
               || File <- Files, {ok, Stat} <- [file:read_file(File)]]).

rss_mb(#{os_pid := Pid}) ->
    {ok, Status} = file:read_file("/proc/" ++ integer_to_list(Pid) ++ "/status"),
    {match, [Kb]} = re:run(Status, "VmRSS:\\s+([0-9]+) kB", [{capture, all_but_first, list}]),
    list_to_integer(Kb) / 1024.

%% ---- on the client ---------------------------------------------------------------------------------------

gen_call(Node) -> p50(fun() -> hello = gen_server:call({echo, Node}, {echo, hello}) end).
%% The request of a gen call without its monitor: a raw ei loop cannot be monitored, so that gen_server:call sends it
%% one signal and every other node three. This is the same work for both.
bare_call(Node) ->
    p50(fun() ->
            Tag = make_ref(),
            {echo, Node} ! {'$gen_call', {self(), Tag}, {echo, hello}},
            receive {Tag, hello} -> ok end
        end).

rpc_call(Node) -> p50(fun() -> Node = rpc:call(Node, erlang, node, []) end).
erpc_call(Node) -> p50(fun() -> Node = erpc:call(Node, erlang, node, []) end).

p50(Call) ->
    Times = [begin
                 Start = erlang:monotonic_time(nanosecond),
                 Call(),
                 erlang:monotonic_time(nanosecond) - Start
             end || _ <- lists:seq(1, ?CALLS)],
    lists:nth(?CALLS div 2, lists:sort(Times)) / 1000.

pipelined(Node) ->
    Msg = {self(), binary:copy(<<"x">>, 64)},
    Echo = {echo, Node},
    Start = erlang:monotonic_time(nanosecond),
    [Echo ! Msg || _ <- lists:seq(1, ?OUTSTANDING)],
    pipelined(Echo, Msg, ?PIPELINED - ?OUTSTANDING),
    [receive {echo, _} -> ok end || _ <- lists:seq(1, ?OUTSTANDING)],
    ?PIPELINED * 1_000_000_000 / (erlang:monotonic_time(nanosecond) - Start).

%% The same load from a remora node: an OTP sender is the slowest part of `pipelined', whatever echoes.
pipelined_native(Driver, Node) ->
    Ns = erpc:call(Driver, client, pipelined, [{echo, Node}, 64, ?OUTSTANDING, ?PIPELINED]),
    ?PIPELINED * 1_000_000_000 / Ns.

pipelined(_, _, 0) -> ok;
pipelined(Echo, Msg, Left) ->
    receive {echo, _} -> Echo ! Msg end,
    pipelined(Echo, Msg, Left - 1).

%% Returns when the last one was received there: the call stands behind them.
flood(Node) ->
    Sink = {sink, Node},
    Before = gen_server:call(Sink, count, infinity),
    Msg = {flood, binary:copy(<<"x">>, 64)},
    [Sink ! Msg || _ <- lists:seq(1, ?FLOOD)],
    ?FLOOD = gen_server:call(Sink, count, infinity) - Before.

payload(Node, Mib, Times) ->
    Bytes = binary:copy(<<"payload-">>, Mib bsl 17),
    Start = erlang:monotonic_time(nanosecond),
    [begin
         Answer = gen_server:call({echo, Node}, {echo, Bytes}, infinity),
         true = byte_size(Answer) =:= byte_size(Bytes)
     end || _ <- lists:seq(1, Times)],
    2 * Mib * Times * 1_000_000_000 / (erlang:monotonic_time(nanosecond) - Start).

%% ---- results ---------------------------------------------------------------------------------------------

medians(Values) ->
    Grouped = lists:foldl(fun({M, T, V}, Acc) ->
        maps:update_with({M, T}, fun(Vs) -> [V | Vs] end, [V], Acc)
    end, #{}, Values),
    maps:map(fun(_, Vs) -> median(lists:sort(Vs)) end, Grouped).

median(Sorted) when length(Sorted) rem 2 =:= 1 -> lists:nth(length(Sorted) div 2 + 1, Sorted);
median(Sorted) -> (lists:nth(length(Sorted) div 2, Sorted) + lists:nth(length(Sorted) div 2 + 1, Sorted)) / 2.

%% A demand with what was found: {Demand, Ratio or value, ok | miss | skipped}.
judge({Measure, Target, Other, Sense, Limit} = Demand, Medians) ->
    case {Medians, Other} of
        {#{{Measure, Target} := V}, none} -> {Demand, V, verdict(Sense, V, Limit)};
        {#{{Measure, Target} := V, {Measure, Other} := W}, _} -> {Demand, V / W, verdict(Sense, V / W, Limit)};
        _ -> {Demand, none, skipped}
    end.

verdict(at_most, V, Limit) when V =< Limit -> ok;
verdict(at_least, V, Limit) when V >= Limit -> ok;
verdict(_, _, _) -> miss.

print(Medians, Judged, Runs) ->
    Names = [raw_ei, remora, beam, beam_no_busy_wait],
    io:format("~nmedians of ~b runs; ~ts~n~n", [Runs, machine()]),
    io:format("~-16s ~-8s ~12s ~12s ~12s ~18s~n", ["measure", "unit" | [atom_to_list(N) || N <- Names]]),
    [io:format("~-16s ~-8s ~12s ~12s ~12s ~18s~n", [Measure, Unit | [cell(Measure, N, Medians) || N <- Names]])
     || {Measure, Unit, _, _} <- measures()],
    io:format("~n~-16s ~-10s ~12s ~12s  ~s~n", ["measure", "against", "found", "target", ""]),
    [io:format("~-16s ~-10s ~12s ~12s  ~s~n", [Measure, against(Other), number(Found), target(Sense, Limit), shown(Verdict)])
     || {{Measure, _, Other, Sense, Limit}, Found, Verdict} <- Judged],
    io:format("~n~b ok, ~b missed, ~b skipped~n",
              [length([x || {_, _, V} <- Judged, V =:= Is]) || Is <- [ok, miss, skipped]]).

%% A measure of one target, whatever it is called, stands under remora.
cell(Measure, remora, Medians) ->
    number(hd([V || T <- [remora, remora_program, join, native], {ok, V} <- [maps:find({Measure, T}, Medians)]] ++ [none]));
cell(group_join, beam, Medians) -> number(maps:get({group_join, gen_call}, Medians, none));
cell(Measure, Name, Medians) -> number(maps:get({Measure, Name}, Medians, none)).

number(none) -> "-";
number(V) when V >= 1000 -> integer_to_list(round(V));
number(V) -> io_lib:format("~.2f", [float(V)]).

against(none) -> "";
against(Other) -> atom_to_list(Other).

target(at_most, Limit) -> io_lib:format("<= ~w", [Limit]);
target(at_least, Limit) -> io_lib:format(">= ~w", [Limit]).

shown(ok) -> "ok";
shown(miss) -> "MISS";
shown(skipped) -> "skipped".

machine() ->
    {ok, Info} = file:read_file("/proc/cpuinfo"),
    Model = case re:run(Info, "model name\\s*:\\s*(.*)", [{capture, all_but_first, list}]) of
                {match, [M]} -> M;
                nomatch -> "unknown processor"
            end,
    io_lib:format("~ts, ~b logical processors, OTP ~ts",
                  [Model, erlang:system_info(logical_processors), erlang:system_info(otp_release)]).

%% OTP 25 has no JSON writer; all of this is names and numbers.
json(Values, Medians, Judged, Runs) ->
    ["{\"machine\":\"", machine(), "\",\"runs\":", integer_to_list(Runs),
     ",\n\"medians\":[", rows([median_row(M, T, V) || {{M, T}, V} <- lists:sort(maps:to_list(Medians))]),
     "],\n\"targets\":[", rows([judged_row(J) || J <- Judged]),
     "],\n\"values\":[", rows([median_row(M, T, V) || {M, T, V} <- Values]), "]}\n"].

rows(Rows) -> lists:join(",", [["\n ", Row] || Row <- Rows]).

median_row(Measure, Target, Value) ->
    {_, Unit, _, _} = lists:keyfind(Measure, 1, measures()),
    io_lib:format("{\"measure\":\"~s\",\"target\":\"~s\",\"unit\":\"~s\",\"value\":~.4f}",
                  [Measure, Target, Unit, float(Value)]).

judged_row({{Measure, _, Other, Sense, Limit}, Found, Verdict}) ->
    io_lib:format("{\"measure\":\"~s\",\"against\":\"~s\",\"sense\":\"~s\",\"limit\":~w,\"found\":~s,\"verdict\":\"~s\"}",
                  [Measure, Other, Sense, Limit, case Found of none -> "null"; _ -> io_lib:format("~.4f", [float(Found)]) end,
                   Verdict]).
