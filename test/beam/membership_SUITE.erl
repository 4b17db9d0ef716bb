%% membership_SUITE: SWIM among real nodes. In the group `hosts' five VMs with companions, each on a host of its own (network
%% namespaces), of which some hang, are cut off, lose packets or are starved; detection times are printed. In the group `alone'
%% nodes on loopback: bad packets by the hundred thousand, keys, leaving, restarting, the door and the command line.
-module(membership_SUITE).
-include_lib("stdlib/include/assert.hrl").
-compile([export_all, nowarn_export_all]).
-import(remora_ct, [rcall/4, wait_until/2, elapsed/1]).

-define(WAIT, 20_000).
-define(HOSTS, 5).

all() -> [{group, alone}, {group, hosts}].
groups() ->
    [{alone, [], [members_of_two, wrong_cookie, bad_packets, keys_are_rotated, restart_is_recognised, leaving, metadata_and_events,
                  expel, requests, command_line]},
     {hosts, [], [all_are_members, companion_hangs, app_hangs, both_hang, cut, one_way_cut, lossy, starved, killed]}].
suite() -> [{timetrap, {minutes, 3}}].

init_per_suite(Config) ->
    case remora_ct:nut_kind() of
        remora -> remora_ct:start_suite(?MODULE, Config);
        beam -> {skip, "only remora has membership"}
    end.
end_per_suite(Config) -> remora_ct:stop_suite(Config).

init_per_group(alone, Config) ->
    Driver = remora_ct:start_peer((remora_ct:opts(Config))#{name => driver, hidden => true, modules => [?MODULE, member_watch]}),
    [{driver, Driver} | Config];
init_per_group(hosts, Config) ->
    case discovery_parts:may_have_hosts() of
        true -> [{cluster, host_cluster:start(Config, ?MODULE, ?HOSTS, fun(_) -> quick() end)} | Config];
        Skip -> Skip
    end.
end_per_group(alone, Config) -> remora_ct:stop(proplists:get_value(driver, Config));
end_per_group(hosts, Config) -> host_cluster:stop(cluster(Config)).

init_per_testcase(Case, Config) ->
    case proplists:get_value(cluster, Config) of
        undefined ->
            Dir = filename:join(proplists:get_value(priv_dir, Config), Case),
            ok = filelib:ensure_dir(filename:join(Dir, "x")),
            [{dir, Dir}, {things, ets:new(things, [public, ordered_set])} | Config];
        Cluster ->
            await_all_alive(Cluster),
            ok = host_cluster:watch_clear(Cluster),
            Config
    end.
end_per_testcase(_, Config) ->
    case proplists:get_value(things, Config) of
        undefined -> ok;
        Things -> [remora_ct:stop(T) || {_, T} <- lists:reverse(ets:tab2list(Things))], ok
    end.

quick() -> ["--membership", "--membership-interval", "0.2", "--membership-probe-timeout", "0.08", "--membership-sync-interval", "2"].

%% ---- on hosts ----------------------------------------------------------------------------------------------------

cluster(Config) -> proplists:get_value(cluster, Config).

%% Each companion lists all companions and all VMs, and knows whose companion each is.
all_are_members(Config) ->
    C = cluster(Config),
    Expected = lists:sort(lists:append([[{text(host_cluster:name(I)), remora, none},
                                         {text(host_cluster:app_name(I)), beam, text(host_cluster:name(I))}] || I <- hosts()])),
    [wait_until(fun() -> Expected =:= lists:sort([{N, maps:get(kind, M), maps:get(companion, M)} || {N, alive, _, M} <- members(C, I)]) end,
                ?WAIT) || I <- hosts()].

%% The program stops; its connections stay open, and its VM is well.
companion_hangs(Config) ->
    C = cluster(Config),
    Stopped = host_cluster:stop_companion(C, 2),
    report("a companion hangs", dead_after(C, others(2), host_cluster:name(2), member_watch:now_us()), 2_000),
    host_cluster:cont_companion(C, Stopped),
    await_all_alive(C).

%% Its companion says that it does not answer, and so do others.
app_hangs(Config) ->
    C = cluster(Config),
    #{2 := Vm} = maps:get(vms, C),
    ok = remora_ct:freeze(Vm),
    report("a VM hangs", dead_after(C, others(2), host_cluster:app_name(2), member_watch:now_us()), 10_000),
    ok = remora_ct:thaw(Vm),
    await_all_alive(C).

both_hang(Config) ->
    C = cluster(Config),
    #{3 := Vm} = maps:get(vms, C),
    Stopped = host_cluster:stop_companion(C, 3),
    ok = remora_ct:freeze(Vm),
    Now = member_watch:now_us(),
    report("both hang: the companion", dead_after(C, others(3), host_cluster:name(3), Now), 2_000),
    report("both hang: the VM", dead_after(C, others(3), host_cluster:app_name(3), Now), 10_000),
    host_cluster:cont_companion(C, Stopped),
    ok = remora_ct:thaw(Vm),
    await_all_alive(C).

%% The cable is pulled: the others lose one, and that one all others. They merge by themselves.
cut(Config) ->
    C = #{hosts := Hosts} = cluster(Config),
    discovery_parts:cut(Hosts, 5),
    Now = member_watch:now_us(),
    try
        report("a cable is pulled, seen by the others", dead_after(C, others(5), host_cluster:name(5), Now), 2_000),
        %% Nobody answers it: it takes itself for slow first, and gives the others more time.
        report("a cable is pulled, seen by the one", [hd(dead_after(C, [5], host_cluster:name(I), Now)) || I <- others(5)], 15_000)
    after discovery_parts:heal(Hosts, 5)
    end,
    {Ms, _} = elapsed(fun() -> await_all_alive(C) end),
    ct:pal("all are members again ~b ms after the heal", [Ms]).

%% What comes to host 4 is lost, what it sends arrives: it is not heard to answer, and does not live on by what it says.
one_way_cut(Config) ->
    C = #{hosts := Hosts} = cluster(Config),
    discovery_parts:filter(Hosts, 4, "drop"),
    try report("a host hears nothing", dead_after(C, others(4), host_cluster:name(4), member_watch:now_us()), 5_000)
    after discovery_parts:filter_off(Hosts, 4)
    end,
    {Ms, _} = elapsed(fun() -> await_all_alive(C) end),
    ct:pal("all are members again ~b ms after the heal", [Ms]).

%% A fifth of all packets is lost on every host, TCP's too: nobody is declared dead.
lossy(Config) ->
    C = #{hosts := Hosts} = cluster(Config),
    [discovery_parts:filter(Hosts, I, "numgen random mod 100 < 20 drop") || I <- hosts()],
    try await_probes(C, 1, 50)
    after [discovery_parts:filter_off(Hosts, I) || I <- hosts()]
    end,
    ?assertEqual([], deaths(C)),
    await_all_alive(C).

%% A node that has a fifth of its time only, in slices, is slow and not dead.
starved(Config) ->
    C = cluster(Config),
    Thing = #{os_pid => host_cluster:companion_os_pid(C, 2)},
    Starver = spawn_link(fun() -> starve(Thing) end),
    await_probes(C, 1, 50),
    Starver ! {stop, self()},
    receive stopped -> ok end,
    ?assertEqual([], deaths(C)),
    await_all_alive(C).

starve(Thing) ->
    ok = remora_ct:freeze(Thing),
    receive after 80 -> ok end,
    ok = remora_ct:thaw(Thing),
    receive {stop, From} -> From ! stopped
    after 20 -> starve(Thing)
    end.

%% Killed, and started again by its VM: another start of the same name, which all take for one.
killed(Config) ->
    C = cluster(Config),
    [{_, _, _, #{creation := Before}}] = member(C, 1, host_cluster:name(2)),
    remora_ct:kill(#{os_pid => host_cluster:companion_os_pid(C, 2)}),
    {Ms, _} = elapsed(fun() ->
        wait_until(fun() -> lists:all(fun(I) -> restarted(member(C, I, host_cluster:name(2)), Before) end, others(2)) end, ?WAIT)
    end),
    ct:pal("killed with SIGKILL, and known as another start by all after ~b ms", [Ms]),
    await_all_alive(C).

restarted([{_, alive, _, #{creation := Now}}], Before) -> Now =/= Before;
restarted(_, _) -> false.

hosts() -> lists:seq(1, ?HOSTS).
others(I) -> hosts() -- [I].
members(C, I) ->
    {ok, Members} = host_cluster:door(C, I, {membership, members}),
    Members.
member(C, I, Node) -> [M || {N, _, _, _} = M <- members(C, I), N =:= text(Node)].

await_all_alive(C) ->
    wait_until(fun() -> lists:all(fun(I) -> [alive || _ <- lists:seq(1, 2 * ?HOSTS)] =:= [S || {_, S, _, _} <- members(C, I)] end, hosts()) end,
               2 * ?WAIT).

%% How many ms after Since each of these companions told of the death.
dead_after(C, Watching, Node, Since) ->
    Name = text(Node),
    [wait_until(fun() ->
                    case [Us || {Us, {member, N, dead, _, _}} <- host_cluster:watch_events(C, I), N =:= Name] of
                        [First | _] -> (First - Since) div 1_000;
                        [] -> false
                    end
                end, ?WAIT) || I <- Watching].

report(What, Times, AtMost) ->
    ct:pal("~s: declared dead after ~w ms", [What, lists:sort(Times)]),
    ?assertMatch(Longest when Longest =< AtMost, lists:max(Times)).

deaths(C) -> [{I, N} || I <- hosts(), {_, {member, N, dead, _, _}} <- host_cluster:watch_events(C, I)].

%% So many more probes of this companion.
await_probes(C, I, More) ->
    Count = fun() -> {ok, #{probes := P}} = host_cluster:door(C, I, {membership, metrics}), P end,
    Before = Count(),
    wait_until(fun() -> Count() >= Before + More end, 3 * ?WAIT).

text(Node) -> atom_to_binary(Node).

%% ---- alone -------------------------------------------------------------------------------------------------------

members_of_two(Config) ->
    {A, B} = two(Config, []),
    sees(Config, A, [{A, alive}, {B, alive}]),
    sees(Config, B, [{A, alive}, {B, alive}]),
    ?assertEqual(lists:max([text(maps:get(node, X)) || X <- [A, B]]), leader(Config, A)).

%% Who has another key is no member, and that is said once. (The cookies are the same: with others there is no connection.)
wrong_cookie(Config) ->
    Files = [begin F = filename:join(dir(Config), N), ok = file:write_file(F, [lists:duplicate(20, C), "\n"]), F end
             || {N, C} <- [{"one", $1}, {"two", $2}]],
    [A, B] = [start(Config, ["--membership-key-file", F]) || F <- Files],
    connect(Config, A, B),
    wait_until(fun() -> #{refused_unknown_key := U, refused_not_authentic := N} = metrics(Config, A), U + N > 3 end, ?WAIT),
    ?assertMatch([_], [L || L <- remora_ct:log_lines(A), string:find(L, "membership_refused") =/= nomatch]),
    ?assertEqual([], [L || L <- remora_ct:log_lines(A), string:find(L, lists:duplicate(20, $1)) =/= nomatch]).

%% 100,000 packets that are none: nothing moves but a counter. What is replayed is a real one: B's datagrams to A pass
%% through the test, which keeps them.
bad_packets(Config) ->
    Relay = relay(),
    A = start(Config, ["--membership-address", "127.0.0.9"], "127.0.0.8"),
    relay_to(Relay, A),
    B = start(Config, []),
    connect(Config, A, B),
    sees(Config, B, [{A, alive}, {B, alive}]),
    Real = wait_until(fun() -> case relayed(Relay) of [_, _, _ | _] = L -> L; _ -> false end end, ?WAIT),
    Before = metrics(Config, A),
    Members = members_of(Config, A),
    Each = 20_000,
    Send = fun(Make) -> flood(A, Each, Make) end,
    Send(fun(_) -> crypto:strong_rand_bytes(rand:uniform(1_400)) end),
    Send(fun(N) -> P = lists:nth(1 + N rem length(Real), Real), binary:part(P, 0, rand:uniform(byte_size(P)) - 1) end),
    Send(fun(N) -> lists:nth(1 + N rem length(Real), Real) end),
    Send(fun(_) -> crypto:strong_rand_bytes(1_900) end),
    %% One bit of a real one is another: as one that was sealed with a key that is no longer there.
    Send(fun(N) -> flip(lists:nth(1 + N rem length(Real), Real), N) end),
    Refused = fun() -> M = metrics(Config, A), lists:sum([maps:get(K, M) - maps:get(K, Before) || K <- refusals()]) end,
    wait_until(fun() -> Refused() >= 5 * Each * 9 div 10 end, ?WAIT), % the system may drop what it has no room for
    ct:pal("~b of ~b packets were refused; ~p", [Refused(), 5 * Each, maps:with(refusals(), metrics(Config, A))]),
    ?assertEqual(Members, members_of(Config, A)),
    ?assertMatch(#{malformed := 0}, metrics(Config, A)),
    sees(Config, B, [{A, alive}, {B, alive}]).

refusals() -> [refused_malformed, refused_unknown_key, refused_not_authentic, refused_replayed].

flip(Packet, N) ->
    Bit = N rem bit_size(Packet),
    <<Head:Bit/bitstring, X:1, Rest/bitstring>> = Packet,
    <<Head/bitstring, (1 - X):1, Rest/bitstring>>.

flood(#{port := Port}, Count, Make) ->
    {ok, Socket} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}, binary, {sndbuf, 1 bsl 20}]),
    [begin
         ok = gen_udp:send(Socket, {127, 0, 0, 8}, Port, Make(N)),
         N rem 200 =:= 0 andalso receive after 1 -> ok end
     end || N <- lists:seq(1, Count)],
    gen_udp:close(Socket).

%% 127.0.0.9, where A says that it is, hands on to 127.0.0.8, where it is.
relay() ->
    Self = self(),
    spawn_link(fun() ->
        Port = receive {to, P} -> P end,
        {ok, In} = gen_udp:open(Port, [{ip, {127, 0, 0, 9}}, binary, {active, true}]),
        Self ! {self(), ready},
        relay(In, Port, [])
    end).
relay(In, Port, Kept) ->
    receive
        {udp, In, _, _, Packet} ->
            ok = gen_udp:send(In, {127, 0, 0, 8}, Port, Packet),
            relay(In, Port, lists:sublist([Packet | Kept], 100));
        {kept, From} -> From ! {self(), Kept}, relay(In, Port, Kept)
    end.
relay_to(Relay, #{port := Port}) -> Relay ! {to, Port}, receive {Relay, ready} -> ok end.
relayed(Relay) -> Relay ! {kept, self()}, receive {Relay, Kept} -> Kept end.

%% A key is exchanged in three steps, on one node after the other, while they probe each other: nobody is suspected.
keys_are_rotated(Config) ->
    Key = fun(C) -> [lists:duplicate(20, C), "\n"] end,
    Files = [filename:join(dir(Config), N) || N <- ["a", "b"]],
    Write = fun(File, Keys) ->
        ok = file:write_file(File ++ ".new", Keys),
        ok = file:rename(File ++ ".new", File)
    end,
    [Write(F, Key($1)) || F <- Files],
    [A, B] = Nodes = [start(Config, ["--membership-key-file", F]) || F <- Files],
    connect(Config, A, B),
    sees(Config, A, [{A, alive}, {B, alive}]),
    [begin
         Read = length([L || L <- remora_ct:log_lines(Node), string:find(L, "membership_keys") =/= nomatch]),
         Write(File, Keys),
         wait_until(fun() -> length([L || L <- remora_ct:log_lines(Node), string:find(L, "membership_keys") =/= nomatch]) > Read end, ?WAIT),
         P = maps:get(probes, metrics(Config, A)),
         wait_until(fun() -> maps:get(probes, metrics(Config, A)) >= P + 5 end, ?WAIT)
     end || Keys <- [[Key($1), Key($2)], [Key($2), Key($1)], Key($2)], {File, Node} <- lists:zip(Files, Nodes)],
    ?assertMatch(#{suspicions := 0, refused_unknown_key := 0, refused_not_authentic := 0}, metrics(Config, A)),
    ?assertMatch(#{suspicions := 0, refused_unknown_key := 0, refused_not_authentic := 0}, metrics(Config, B)).

restart_is_recognised(Config) ->
    {A, #{opts := Opts} = B} = two(Config, []),
    sees(Config, A, [{A, alive}, {B, alive}]),
    Watch = watch(Config, A),
    remora_ct:kill(B),
    Again = note(Config, remora_ct:start_remora(Opts)),
    connect(Config, A, Again),
    wait_until(fun() -> {_, alive, _, #{creation := C}} = lists:keyfind(text(maps:get(node, B)), 1, members_of(Config, A)),
                        C =:= maps:get(creation, Again) end, ?WAIT),
    sees(Config, Again, [{A, alive}, {B, alive}]),
    stop_watch(Config, Watch).

%% A node that leaves has left: it is not suspected first.
leaving(Config) ->
    {A, B} = two(Config, []),
    sees(Config, A, [{A, alive}, {B, alive}]),
    Watch = watch(Config, A),
    0 = remora_ct:stop(B),
    sees(Config, A, [{A, alive}, {B, left}]),
    ?assertEqual([left], [S || {_, {member, N, S, _, _}} <- watched(Config, Watch), N =:= text(maps:get(node, B)), S =/= alive]),
    stop_watch(Config, Watch).

metadata_and_events(Config) ->
    {A, B} = two(Config, []),
    sees(Config, A, [{A, alive}, {B, alive}]),
    Watch = watch(Config, B),
    ok = door(Config, A, {membership, {set_metadata, #{<<"zone">> => <<"a">>, role => "db"}}}),
    wait_until(fun() -> {_, alive, _, #{metadata := M}} = lists:keyfind(text(maps:get(node, A)), 1, members_of(Config, B)),
                        M =:= #{<<"zone">> => <<"a">>, <<"role">> => <<"db">>} end, ?WAIT),
    Large = #{<<"k">> => binary:copy(<<"x">>, 600)},
    ?assertEqual({error, too_large}, door(Config, A, {membership, {set_metadata, Large}})),
    [ok = door(Config, A, {membership, {event, <<"deploy">>, integer_to_binary(N)}}) || N <- lists:seq(1, 5)],
    Heard = fun() -> lists:sort([P || {_, {member_event, _, <<"deploy">>, P}} <- watched(Config, Watch)]) end,
    wait_until(fun() -> Heard() =:= [<<"1">>, <<"2">>, <<"3">>, <<"4">>, <<"5">>] end, ?WAIT),
    ?assertEqual({error, too_large}, door(Config, A, {membership, {event, <<"big">>, binary:copy(<<"x">>, 600)}})),
    stop_watch(Config, Watch).

%% With `dead' the verdict ends the connection too; by default it stays.
expel(Config) ->
    [begin
         {A, B} = two(Config, ["--membership-expel", Expel]),
         sees(Config, A, [{A, alive}, {B, alive}]),
         ok = remora_ct:freeze(B),
         sees(Config, A, [{A, alive}, {B, dead}]),
         wait_until(fun() -> lists:member(maps:get(node, B), door(Config, A, {nodes, connected})) =:= Stays end, ?WAIT),
         ok = remora_ct:thaw(B),
         [forget(Config, X) || X <- [A, B]]
     end || {Expel, Stays} <- [{"never", true}, {"dead", false}]].

requests(Config) ->
    A = start_off(Config),
    Ask = fun(R) -> door(Config, A, {membership, R}) end,
    [?assertEqual({R, {error, not_started}}, {R, Ask(R)}) || R <- [members, metrics, health, stop, {set_metadata, #{}}, {merge, []}]],
    [?assertMatch({O, {error, {option, K, T}}} when is_binary(T), {O, Ask({start, O})})
     || {O, K} <- [{#{interval => -1}, interval}, {#{nosuch => 1}, nosuch}, {#{expel => maybe_so}, expel}, {no_map, options},
                   {#{metadata => #{<<"k">> => binary:copy(<<"x">>, 600)}}, metadata}, {#{key_file => "/nowhere/keys"}, key_file}],
        true],
    {ok, Taken} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Taken),
    ?assertMatch({error, {no_socket, _}}, Ask({start, #{port => Port}})),
    ok = gen_udp:close(Taken),
    ok = Ask({start, #{interval => 300}}),
    ok = Ask({start, #{interval => 200}}), % changes how it runs
    Us = text(maps:get(node, A)),
    ?assertMatch({ok, [{Us, alive, _, #{kind := remora}}]}, Ask(members)),
    ?assertMatch({ok, #{multiplier := 1, full_queues := []}}, Ask(health)),
    [?assertEqual({R, {error, badarg}}, {R, Ask(R)}) || R <- [nosuch, {set_metadata, x}, {merge, [x]}, {merge, [{a, b, c}]}, {event, a, b}, 42, {tell, 1, 2}]],
    ?assertEqual({error, unknown_node}, Ask({tell, <<"nobody@127.0.0.1">>, []})),
    ok = Ask({merge, [{<<"nobody@127.0.0.1">>, dead, 3}]}), % hearsay makes nobody a member
    ?assertMatch({ok, [_]}, Ask(members)),
    ok = Ask(stop),
    ?assertEqual({error, not_started}, Ask(members)),
    ok = Ask({start, #{}}).

command_line(Config) ->
    {A, B} = two(Config, []),
    sees(Config, A, [{A, alive}, {B, alive}]),
    {0, Lines} = client(Config, ["members", node_of(A)]),
    ?assertMatch([_, _], [L || L <- Lines, string:find(L, "alive") =/= nomatch]),
    {0, [Json]} = client(Config, ["members", "--json", node_of(A)]),
    ?assertNotEqual(nomatch, string:find(Json, "\"remora\"")),
    {0, [Status]} = client(Config, ["status", node_of(A)]),
    ?assertNotEqual(nomatch, string:find(Status, "membership => #{alive => 2")),
    Off = start_off(Config),
    ?assertMatch({1, []}, client(Config, ["members", node_of(Off)])),
    Driver = maps:get(node, proplists:get_value(driver, Config)),
    ?assertMatch({1, []}, client(Config, ["members", atom_to_list(Driver)])),
    %% What --watch prints, line by line, until it is interrupted.
    Watching = remora_ct:start_program(remora_ct:remora_program(),
        ["members", "--watch", "--epmd-port", integer_to_list(remora_ct:epmd_port(Config)), node_of(A)],
        [{"REMORA_COOKIE", remora_ct:cookie(Config)}], filename:join(dir(Config), "watch.log")),
    [{line, _} = remora_ct:await_line(Watching, ?WAIT) || _ <- [1, 2]],
    ok = remora_ct:freeze(B),
    wait_until(fun() -> {line, L} = remora_ct:await_line(Watching, ?WAIT), string:find(L, "dead") =/= nomatch end, ?WAIT),
    ok = remora_ct:thaw(B),
    remora_ct:interrupt(Watching),
    0 = remora_ct:await_exit(Watching, ?WAIT),
    [?assertMatch({2, []}, client(Config, ["run", "--name", "x@127.0.0.1", Option, Value]))
     || {Option, Value} <- [{"--membership-interval", "-1"}, {"--membership-expel", "perhaps"}, {"--membership-port", "70000"}]].

%% ---- nodes -------------------------------------------------------------------------------------------------------

dir(Config) -> proplists:get_value(dir, Config).
driver(Config) -> proplists:get_value(driver, Config).
node_of(#{node := Node}) -> atom_to_list(Node).

note(Config, Thing) ->
    true = ets:insert(proplists:get_value(things, Config), {erlang:unique_integer([monotonic]), Thing}),
    Thing.
forget(Config, #{os_pid := Pid} = Thing) ->
    Things = proplists:get_value(things, Config),
    [ets:delete(Things, Key) || {Key, #{os_pid := P}} <- ets:tab2list(Things), P =:= Pid],
    remora_ct:stop(Thing).

start(Config, Args) -> start(Config, Args, "127.0.0.1").
start(Config, Args, Host) ->
    note(Config, remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("member"), host => Host, dir => dir(Config),
                                                                  args => ["--log-format", "json" | quick()] ++ Args})).
start_off(Config) -> note(Config, remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("member"), dir => dir(Config)})).

two(Config, Args) ->
    [A, B] = [start(Config, Args) || _ <- [1, 2]],
    connect(Config, A, B),
    {A, B}.

door(Config, #{node := Node}, Request) -> rcall(driver(Config), gen_server, call, [{remora, Node}, Request, ?WAIT]).
connect(Config, A, #{node := Node}) -> ok = door(Config, A, {connect, Node}).
members_of(Config, A) -> {ok, Members} = door(Config, A, {membership, members}), Members.
metrics(Config, A) -> {ok, Metrics} = door(Config, A, {membership, metrics}), Metrics.

sees(Config, A, Expected) ->
    Wanted = lists:sort([{text(N), S} || {#{node := N}, S} <- Expected]),
    try wait_until(fun() -> Wanted =:= lists:sort([{N, S} || {N, S, _, _} <- members_of(Config, A)]) end, ?WAIT)
    catch error:{still_false_after_ms, _} -> error({sees, members_of(Config, A), instead_of, Wanted})
    end.

leader(Config, A) ->
    Watch = watch(Config, A),
    [Leader | _] = wait_until(fun() -> case [L || {_, {member_leader, L}} <- watched(Config, Watch)] of [] -> false; L -> L end end, ?WAIT),
    stop_watch(Config, Watch),
    Leader.

watch(Config, #{node := Node}) -> rcall(driver(Config), member_watch, start, [Node]).
watched(Config, Watch) -> rcall(driver(Config), member_watch, events, [Watch]).
stop_watch(Config, Watch) -> rcall(driver(Config), member_watch, stop, [Watch]).

client(Config, [Command | Args]) ->
    Program = remora_ct:start_program(remora_ct:remora_program(),
        [Command, "--epmd-port", integer_to_list(remora_ct:epmd_port(Config)) | Args],
        [{"REMORA_COOKIE", remora_ct:cookie(Config)}], filename:join(dir(Config), "client.log")),
    Status = remora_ct:await_exit(Program, ?WAIT),
    {Status, lines(Program)}.
lines(Program) ->
    case remora_ct:await_line(Program, 1_000) of
        {line, Line} -> [binary_to_list(Line) | lines(Program)];
        _ -> []
    end.
