%% door_SUITE: the door `remora` as an application's shim uses it, by plain gen_server calls of OTP processes: writes and
%% batches, the stream of changes, calls on other nodes, connections, the log; and the cookie on standard input. Peer 1
%% is the application's node, peer 2 another node of the cluster; both are visible, with the default settings of their
%% release but for a running scope of pg.
-module(door_SUITE).
-define(OWN_TESTCASE, true).
-include("suite.hrl").

-define(WAIT, 20_000).

cases() ->
    [hello, unknown_requests, write_precedes, batch_in_order, batch_shares_rounds, batch_too_long,
     stream_follows, stream_ends, stream_after_loss, unread_stream, many_at_the_beginning,
     rpc_as_erpc, rpc_times_out, rpc_late_answer, rpc_nodedown, rpc_never_blocks, rpc_caller_gone, rpc_without_monitor,
     rpc_on_the_companion, rpc_large, rpc_cast, correlation_in_log, log_lines, log_is_limited,
     connect_reasons, ping_and_nodes, disconnect_in_order,
     cookie_on_stdin, cookie_mistakes, mistakes_as_json].

peers() -> [door_peer(), door_peer()].
door_peer() -> #{otp_args => ["-kernel", "start_pg", "true"]}.

nut_opts(unread_stream) -> #{config => "outbox-high-mark = 65536\noutbox-low-mark = 16384\noutbox-bytes-max = 2097152\n"};
nut_opts(_) -> #{args => ["--log-level", "debug", "--log-format", "json"]}.

init_per_testcase(Case, Config) ->
    case remora_ct:nut_kind() of
        beam -> {skip, "only remora has the door"};
        remora -> start(lists:member(Case, [cookie_on_stdin, cookie_mistakes, mistakes_as_json]), Case, Config)
    end.

start(true, _, Config) -> Config;
start(false, Case, Config0) ->
    Config = remora_ct:start_nut(Config0, with_config(nut_opts(Case), Config0)),
    [connect(P, nut(Config)) || P <- remora_ct:peers(Config)],
    connect(peer(1, Config), peer(2, Config)),
    known(Config),
    Count = rcall(peer(1, Config), erpc, call, [maps:get(node, nut(Config)), erlang, system_info, [process_count]]),
    [{processes, Count} | Config].

with_config(#{config := Text} = Opts, Config) ->
    File = filename:join(proplists:get_value(priv_dir, Config), "remora.toml"),
    ok = file:write_file(File, Text),
    Opts#{args => ["--config", File]};
with_config(Opts, _) -> Opts.

end_per_testcase(_, Config) ->
    case nut(Config) of
        undefined -> ok;
        _ -> remora_ct:stop_nut(Config)
    end.

%% ---- the door itself ------------------------------------------------------------------------------------------

hello(Config) ->
    #{node := Node, creation := Creation, os_pid := Pid, version := Version} = nut(Config),
    {ok, Hello} = door(Config, hello),
    ?assertEqual(#{protocol => 1, version => list_to_binary(Version), node => Node, creation => Creation,
                   scopes => [pg], os_pid => Pid}, Hello),
    ok = door(Config, {start_scope, second}),
    {ok, #{scopes := [pg, second]}} = door(Config, hello).

unknown_requests(Config) ->
    [?assertEqual({error, {unknown_request, R}}, door(Config, R)) || R <- [what, {what, ever}, 7, [], {}, {hello, 1}]].

%% The answer of a write may be acted on: the receiver of the stream, on the same node, has been sent it before.
write_precedes(Config) ->
    Mirror = mirror(Config, 1),
    run(peer(1, Config), fun() ->
        [begin
             {Version, ok} = call(Config, {write, {join, pg, {g, N}, self()}}),
             ?assertMatch({V, #{}} when V >= Version, ask(Mirror, state_now))
         end || N <- lists:seq(1, 200)],
        {V1, yes} = call(Config, {write, {register_name, me, self(), random_exit}}),
        {V2, no} = call(Config, {write, {register_name, me, self(), random_exit}}),
        {V3, ok} = call(Config, {write, {unregister_name, me}}),
        ?assert(V1 =< V2 andalso V2 < V3),
        {_, {error, badarg}} = call(Config, {write, {write, hello}}),
        {_, {error, {unknown_request, x}}} = call(Config, {write, x})
    end),
    agrees(Config, Mirror).

batch_in_order(Config) ->
    Node = maps:get(node, peer(2, Config)),
    run(peer(1, Config), fun() ->
        {_, Answers} = call(Config, {batch, [{rpc, Node, timer, sleep, [300], 5000, #{}}, {join, pg, g, self()},
                                             {register_name, n, self(), random_exit},
                                             {register_name, n, self(), random_exit}, {nodes, hidden},
                                             {batch, []}, {leave, pg, g, self()}]}),
        ?assertEqual([{ok, ok}, ok, yes, no, [], {error, badarg}, ok], Answers)
    end),
    ?assertMatch({_, []}, door(Config, {batch, []})),
    ?assertEqual({error, badarg}, door(Config, {batch, [hello | hello]})).

%% Thousands of names of one caller: the locks are asked for a few times, and all nodes have all of them. (More than
%% these take the OTP members long: at each name they copy a map of all names of its node.)
batch_shares_rounds(Config) ->
    Count = 3_000,
    Counter = count_locks(peer(2, Config)),
    {Ms, ok} = elapsed(fun() -> run(peer(1, Config), fun() ->
        Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Count)],
        Requests = [{register_name, {batch, N}, P, random_exit} || {N, P} <- lists:enumerate(Pids)],
        {_, Answers} = call(Config, {batch, Requests}, 60_000),
        ?assertEqual(lists:duplicate(Count, yes), Answers),
        register(batch_owner, spawn(fun() -> receive stop -> [P ! stop || P <- Pids] end end)),
        ok
    end) end),
    Locks = locks_counted(peer(2, Config), Counter),
    ct:pal("~b names in ~b ms, ~b set_lock calls at a member", [Count, Ms, Locks]),
    [?assertEqual(Count, run(P, fun() -> length([N || {batch, N} <- global:registered_names()]) end))
     || P <- remora_ct:peers(Config)],
    ?assert(Locks =< 20),
    run(peer(1, Config), fun() -> batch_owner ! stop end),
    wait_until(fun() -> door(Config, registered_names) =:= [] end, ?WAIT).

batch_too_long(Config) ->
    run(peer(1, Config), fun() ->
        {_, Answers} = call(Config, {batch, lists:duplicate(65_536, {nodes, hidden})}),
        ?assertEqual(65_536, length(Answers)),
        ?assertEqual({error, system_limit}, call(Config, {batch, lists:duplicate(65_537, {nodes, hidden})}))
    end).

%% ---- the stream -----------------------------------------------------------------------------------------------

stream_follows(Config) ->
    P = spawn_at(peer(1, Config)),
    yes = door(Config, {register_name, early, P, random_exit}),
    ok = door(Config, {join, pg, g, [P, P]}),
    Mirror = mirror(Config, 1),
    agrees(Config, Mirror),
    Q = spawn_at(peer(2, Config)),
    run(peer(2, Config), fun() -> ok = pg:join(g, Q), yes = global:register_name(theirs, Q) end),
    agrees(Config, Mirror),
    ok = door(Config, {start_scope, second}),
    ok = door(Config, {join, second, h, [P, Q]}),
    agrees(Config, Mirror),
    exit_at(peer(1, Config), P),
    wait_until(fun() -> door(Config, {whereis_name, early}) =:= undefined end, ?WAIT),
    agrees(Config, Mirror),
    ok = door(Config, {stop_scope, second}),
    agrees(Config, Mirror),
    Third = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("third")}, door_peer())),
    Node = maps:get(node, Third),
    connect(Third, nut(Config)),
    wait_until(fun() -> {_, #{nodes := N}} = ask_at(Config, Mirror, state_now), maps:is_key(Node, N) end, ?WAIT),
    remora_ct:kill(Third),
    wait_until(fun() -> {_, #{nodes := N}} = ask_at(Config, Mirror, state_now), not maps:is_key(Node, N) end, ?WAIT),
    {_, #{reasons := #{Node := connection_closed}}} = ask_at(Config, Mirror, state_now),
    remora_ct:stop(Third),
    exit_at(peer(2, Config), Q),
    wait_until(fun() -> rcall(peer(2, Config), global, registered_names, []) =:= [] end, ?WAIT),
    agrees(Config, Mirror).

stream_ends(Config) ->
    A = mirror(Config, 1),
    B = mirror(Config, 2),
    ?assertEqual(2, streams(Config)),
    exit_at(peer(1, Config), A),
    wait_until(fun() -> streams(Config) =:= 1 end, ?WAIT),
    agrees(Config, B, 2),
    run(peer(1, Config), fun() ->
        {ok, Ref} = call(Config, mirror),
        ok = call(Config, {demirror, Ref}),
        {error, unknown_stream} = call(Config, {demirror, Ref}),
        {error, unknown_stream} = call(Config, {demirror, make_ref()}),
        {error, unknown_stream} = call(Config, {demirror, x})
    end),
    ?assertEqual(1, streams(Config)).

%% The connection to the receiver's node is lost and comes back: the old stream is over, a new one begins.
stream_after_loss(Config) ->
    Mirror = mirror(Config, 1),
    Node = maps:get(node, nut(Config)),
    run(peer(1, Config), fun() -> true = erlang:disconnect_node(Node) end),
    %% prevent_overlapping_partitions ends our other connection too, and that of the two if we hear of our loss before we
    %% are parted; until then a new one may be among them.
    wait_until(fun() -> not lists:any(fun(P) -> lists:member(Node, rcall(P, erlang, nodes, [])) end, remora_ct:peers(Config)) end,
               ?WAIT),
    Driver = remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("driver"), hidden => true}),
    wait_until(fun() -> rcall(Driver, gen_server, call, [{remora, Node}, {nodes, visible}]) =:= [] end, ?WAIT),
    remora_ct:stop(Driver),
    connect(peer(1, Config), nut(Config)),
    [connect(peer(2, Config), X) || X <- [peer(1, Config), nut(Config)]],
    {_, #{}} = ask_at(Config, Mirror, resync),
    known(Config),
    agrees(Config, Mirror).

%% Its outbox fills to the limit, its connection is closed, and nobody else notices.
unread_stream(Config) ->
    App = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("app")}, door_peer())),
    connect(App, nut(Config)),
    Nut = maps:get(node, nut(Config)),
    run(App, fun() -> spawn(fun() -> {ok, _} = gen_server:call({remora, Nut}, mirror), receive stop -> ok end end) end),
    wait_until(fun() -> streams(Config) =:= 1 end, ?WAIT),
    remora_ct:freeze(App),
    P = spawn_at(peer(1, Config)),
    Big = binary:copy(<<"g">>, 10_000),
    wait_until(fun() ->
        {_, _} = door(Config, {batch, [{join, pg, {Big, N}, P} || N <- lists:seq(1, 50)]}),
        {_, _} = door(Config, {batch, [{leave, pg, {Big, N}, P} || N <- lists:seq(1, 50)]}),
        streams(Config) =:= 0
    end, ?WAIT),
    remora_ct:thaw(App),
    remora_ct:stop(App),
    pong = run(peer(2, Config), fun() -> net_adm:ping(Nut) end).

many_at_the_beginning(Config) ->
    Names = 2_000,     % more takes OTP's `global` long to forget again
    Count = 20_000,
    P = spawn_at(peer(1, Config)),
    {_, _} = run(peer(1, Config), fun() ->
        Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Names)],
        {_, A} = call(Config, {batch, [{register_name, {n, N}, X, random_exit} || {N, X} <- lists:enumerate(Pids)]}, 60_000),
        ?assertEqual(Names, length([yes || yes <- A])),
        register(owner_of_many, spawn(fun() -> receive stop -> [exit(X, kill) || X <- [P | Pids]] end end)),
        call(Config, {batch, [{join, pg, {g, N}, [P, P]} || N <- lists:seq(1, Count)]}, 60_000)
    end),
    {Ms, Mirror} = elapsed(fun() -> mirror(Config, 1) end),
    {_, #{messages := Messages, changes_max := Most}} = ask_at(Config, Mirror, state_now),
    ct:pal("~b names and ~b memberships in ~b messages, ~b ms", [Names, 2 * Count, Messages, Ms]),
    ?assert(Messages >= (Names + Count) div 1000),
    ?assert(Most =< 1001),   % 1,000 and synced
    agrees(Config, Mirror),
    run(peer(1, Config), fun() -> owner_of_many ! stop end),
    wait_until(fun() -> [] =:= [N || {n, N} <- rcall(peer(2, Config), global, registered_names, [])] end, ?WAIT),
    agrees(Config, Mirror).

%% ---- calls on other nodes -------------------------------------------------------------------------------------

%% Whatever erpc:call/5 tells apart is told apart in the same way.
rpc_as_erpc(Config) ->
    Node = maps:get(node, peer(2, Config)),
    Calls = [{erlang, node, []}, {lists, seq, [1, 5]}, {erlang, hd, [[]]}, {erlang, error, [my_reason]},
             {erlang, exit, [my_reason]}, {erlang, exit, [normal]}, {erlang, throw, [my_term]}, {nosuch, f, [1]},
             {lists, nosuch, []}, {erlang, nosuch, [a, b, c]}, {lists, seq, [1]}, {?MODULE, undef_deeper, []},
             {?MODULE, undef_deeper_here, []}, {?MODULE, raises_undef, []}, {?MODULE, raises_undef, [x]},
             {?MODULE, raises_undef_of, []}, {?MODULE, raises_erpc, [timeout]}, {?MODULE, raises_erpc, [noconnection]},
             {?MODULE, is_killed, []}, {lists, nosuch, lists:seq(1, 200)},
             {erlang, apply, [nosuch, f, []]}, {erlang, error, [{undef, x}]}, {erlang, binary_to_atom, [<<255>>]}],
    run(peer(1, Config), fun() ->
        [?assertEqual({M, F, A, by_erpc(Node, M, F, A, 5000)},
                      {M, F, A, call(Config, {rpc, Node, M, F, A, 5000, #{}})}) || {M, F, A} <- Calls]
    end),
    ?assertEqual({error, {undef, {nosuch, f, 1}}}, door(Config, {rpc, Node, nosuch, f, [1], 5000, #{}})),
    ?assertEqual({error, {raised, error, undef}}, door(Config, {rpc, Node, ?MODULE, undef_deeper, [], 5000, #{}})),
    ?assertEqual({error, {badrpc, {signal, killed}}}, door(Config, {rpc, Node, ?MODULE, is_killed, [], 5000, #{}})),
    [?assertEqual({error, badarg}, door(Config, R)) ||
        R <- [{rpc, Node, "lists", seq, [1, 2], 5000, #{}}, {rpc, Node, lists, seq, [1 | 2], 5000, #{}},
              {rpc, Node, lists, seq, [1, 2], -1, #{}}, {rpc, Node, lists, seq, [1, 2], 1 bsl 32, #{}},
              {rpc, Node, lists, seq, [1, 2], 5000, []}, {rpc, Node, lists, seq, lists:seq(1, 256), 5000, #{}},
              {rpc, Node, lists, seq, [1, 2], 5000, #{correlation => binary:copy(<<"x">>, 257)}}]].

undef_deeper() -> Result = nosuch:function(1), [Result].
undef_deeper_here() -> Result = (fun() -> nosuch:function(1) end)(), {Result}.
raises_undef() -> erlang:error(undef).
raises_undef(X) -> erlang:error(undef, [X]).
raises_undef_of() -> erlang:raise(error, undef, [{nosuch, f, [1], []}]).
raises_erpc(Why) -> erlang:error({erpc, Why}).
is_killed() -> exit(self(), kill), receive never -> ok end.

by_erpc(Node, M, F, A, Timeout) ->
    Arity = length(A),
    try {ok, erpc:call(Node, M, F, A, Timeout)}
    catch
        throw:T -> {error, {raised, throw, T}};
        exit:{exception, R} -> {error, {raised, exit, R}};
        exit:{signal, R} -> {error, {badrpc, {signal, R}}};
        error:{exception, undef, [{M, F, A, []} | _]} -> {error, {undef, {M, F, Arity}}};
        error:{exception, R, _} -> {error, {raised, error, R}};
        error:{erpc, timeout} -> {error, timeout};
        error:{erpc, noconnection} -> {error, {nodedown, Node}};
        error:{erpc, R} -> {error, {badrpc, R}}
    end.

%% Never before its time, and not much after it; the machine may be busy, so the best of some counts.
rpc_times_out(Config) ->
    Node = maps:get(node, peer(2, Config)),
    run(peer(1, Config), fun() ->
        [begin
             Took = [begin
                         Before = erlang:monotonic_time(microsecond),
                         {error, timeout} = call(Config, {rpc, Node, timer, sleep, [5000], Ms, #{}}),
                         erlang:monotonic_time(microsecond) - Before
                     end || _ <- lists:seq(1, 7)],
             ?assert(lists:min(Took) >= Ms * 1000),
             ?assert(lists:min(Took) =< Ms * 1000 + 4000)
         end || Ms <- [0, 1, 20, 100]]
    end),
    quiet(Config).

rpc_late_answer(Config) ->
    Node = maps:get(node, peer(2, Config)),
    run(peer(1, Config), fun() ->
        [{error, timeout} = call(Config, {rpc, Node, timer, sleep, [1000], 20, #{}}) || _ <- lists:seq(1, 20)],
        {ok, late} = call(Config, {rpc, Node, ?MODULE, after_ms, [1200, late], 5000, #{}}), % the others have ended there
        ?assertEqual({messages, []}, process_info(self(), messages))
    end),
    quiet(Config).

after_ms(Ms, Answer) -> timer:sleep(Ms), Answer.

rpc_nodedown(Config) ->
    Third = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("third")}, door_peer())),
    Node = maps:get(node, Third),
    {ok, Node} = door(Config, {rpc, Node, erlang, node, [], 5000, #{}}),   % dials it
    Caller = run(peer(1, Config), fun() ->
        spawn(fun() ->
            Answer = call(Config, {rpc, Node, timer, sleep, [infinity], infinity, #{}}),
            receive {get, From} -> From ! {self(), Answer} end
        end)
    end),
    wait_until(fun() -> tracked(Config) =:= 1 end, ?WAIT),
    remora_ct:kill(Third),
    {Ms, Answer} = elapsed(fun() -> ask_at(Config, Caller, get) end),
    ?assertEqual({error, {nodedown, Node}}, Answer),
    ?assert(Ms < 5000),
    remora_ct:stop(Third),
    ?assertEqual({error, {nodedown, Node}}, door(Config, {rpc, Node, erlang, node, [], 5000, #{}})),
    ?assertEqual({error, {nodedown, 'nosuch@127.0.0.1'}},
                 door(Config, {rpc, 'nosuch@127.0.0.1', erlang, node, [], 5000, #{}})),
    quiet(Config).

%% A hundred calls that wait do not keep the door from answering.
rpc_never_blocks(Config) ->
    Node = maps:get(node, peer(2, Config)),
    run(peer(1, Config), fun() ->
        Pids = [spawn_monitor(fun() -> exit(call(Config, {rpc, Node, timer, sleep, [1000], 5000, #{}})) end)
                || _ <- lists:seq(1, 100)],
        {Us, {ok, _}} = timer:tc(fun() -> call(Config, hello) end),
        ?assert(Us < 900_000),
        [receive {'DOWN', R, process, P, Reason} -> ?assertEqual({ok, ok}, Reason) end || {P, R} <- Pids]
    end),
    quiet(Config).

%% Killed, or tired of waiting: what was done for it ends with it.
rpc_caller_gone(Config) ->
    Node = maps:get(node, peer(2, Config)),
    Request = {rpc, Node, timer, sleep, [infinity], infinity, #{}},
    Callers = run(peer(1, Config), fun() -> [spawn(fun() -> call(Config, Request, infinity) end) || _ <- lists:seq(1, 50)] end),
    wait_until(fun() -> tracked(Config) =:= 50 end, ?WAIT),
    [exit_at(peer(1, Config), P) || P <- Callers],
    quiet(Config),
    run(peer(1, Config), fun() ->
        [?assertExit({timeout, _}, call(Config, R, 100)) || R <- [Request, {write, Request}, {batch, [hello, Request]}]]
    end),
    quiet(Config),
    App = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("app")}, door_peer())),
    connect(App, nut(Config)),
    run(App, fun() -> [spawn(fun() -> call(Config, Request, infinity) end) || _ <- lists:seq(1, 5)] end),
    wait_until(fun() -> tracked(Config) =:= 5 end, ?WAIT),
    remora_ct:kill(App),
    quiet(Config),
    remora_ct:stop(App).

%% One signal instead of three (see services/rpc_door.cpp), and the companion's end is heard all the same.
rpc_without_monitor(Config) ->
    Node = maps:get(node, peer(2, Config)),
    #{node := Nut} = nut(Config),
    run(peer(1, Config), fun() ->
        {ok, Node} = cheap_call(Nut, {rpc, Node, erlang, node, [], 5000, #{}}, 5000),
        timeout = cheap_call(Nut, {rpc, Node, timer, sleep, [200], 5000, #{}}, 50),
        {error, timeout} = cheap_call(Nut, {rpc, Node, timer, sleep, [200], 50, #{}}, 5000)
    end),
    ?assertEqual(0, tracked(Config)),
    quiet(Config),
    Dies = run(peer(1, Config), fun() ->
        spawn(fun() -> cheap_call(Nut, {rpc, Node, timer, sleep, [infinity], infinity, #{}}, infinity) end)
    end),
    wait_until(fun() -> tracked(Config) =:= 1 end, ?WAIT),
    exit_at(peer(1, Config), Dies),
    quiet(Config),
    Waits = run(peer(1, Config), fun() ->
        spawn(fun() ->
            Answer = cheap_call(Nut, {rpc, Node, timer, sleep, [infinity], 60_000, #{}}, infinity),
            receive {get, From} -> From ! {self(), Answer} end
        end)
    end),
    wait_until(fun() -> rcall(peer(1, Config), erlang, process_info, [Waits, current_function]) =/= undefined end, ?WAIT),
    remora_ct:kill(nut(Config)),
    ?assertEqual(nodedown, ask_at(Config, Waits, get)).

cheap_call(Nut, Request, Timeout) ->
    Alias = erlang:alias([reply]),
    true = erlang:monitor_node(Nut, true),
    {remora, Nut} ! {'$gen_call', {self(), [alias | Alias]}, Request},
    Answer = receive
                 {[alias | Alias], Said} -> Said;
                 {nodedown, Nut} -> nodedown
             after Timeout -> timeout
             end,
    erlang:unalias(Alias),
    true = erlang:monitor_node(Nut, false),
    Answer.

rpc_on_the_companion(Config) ->
    #{node := Nut} = nut(Config),
    ?assertEqual({ok, Nut}, door(Config, {rpc, Nut, erlang, node, [], 5000, #{}})),
    ?assertEqual({error, {undef, {nosuch, f, 0}}}, door(Config, {rpc, Nut, nosuch, f, [], 5000, #{}})),
    ?assertEqual({error, {raised, error, x}}, door(Config, {rpc, Nut, calc, crash, [x], 5000, #{}})),
    ?assertEqual({error, {raised, throw, x}}, door(Config, {rpc, Nut, calc, throw, [x], 5000, #{}})),
    quiet(Config).

rpc_large(Config) ->
    Node = maps:get(node, peer(2, Config)),
    run(peer(1, Config), fun() ->
        [begin
             Big = crypto_free_bytes(Size),
             {ok, Big} = call(Config, {rpc, Node, erlang, iolist_to_binary, [Big], 60_000, #{}}, 60_000),
             {_, {ok, Big}} = call(Config, {write, {rpc, Node, erlang, iolist_to_binary, [Big], 60_000, #{}}}, 60_000)
         end || Size <- [0, 1000, 70_000, 10 bsl 20]],
        ok % what a case returns is printed, half a minute for these
    end).

crypto_free_bytes(Size) -> << <<(N band 255)>> || N <- lists:seq(1, Size) >>.

rpc_cast(Config) ->
    Third = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("third")}, door_peer())),
    Node = maps:get(node, Third),
    Self = run(peer(1, Config), fun() ->
        spawn(fun() -> receive {cast, From} -> receive {get, To} -> To ! {self(), From} end end end)
    end),
    {Ms, ok} = elapsed(fun() -> door(Config, {rpc_cast, Node, ?MODULE, says, [Self], #{}}) end),
    ?assert(Ms < 1000),
    ?assertEqual(Node, ask_at(Config, Self, get)),
    ok = door(Config, {rpc_cast, 'nosuch@127.0.0.1', erlang, node, [], #{}}),
    ok = door(Config, {rpc_cast, Node, nosuch, f, [], #{}}),
    remora_ct:stop(Third),
    quiet(Config).

says(To) -> To ! {cast, node()}.

correlation_in_log(Config) ->
    Node = maps:get(node, peer(2, Config)),
    {error, {undef, _}} = door(Config, {rpc, Node, nosuch, f, [secret_argument], 5000, #{correlation => <<"cor-1">>}}),
    {ok, _} = door(Config, {rpc, Node, erlang, node, [], 5000, #{correlation => "cor-2"}}),
    {error, _} = door(Config, {rpc, Node, erlang, error, [x], 5000, #{}}),
    {ok, _} = door(Config, {rpc, Node, erlang, nodes, [], 5000, #{}}),
    wait_until(fun() -> logged(Config, "\"mfa\":\"erlang:error/1\"") =/= [] end, ?WAIT),
    [One] = logged(Config, "\"correlation\":\"cor-1\""),
    [?assertMatch({match, _}, re:run(One, Part)) || Part <- ["\"event\":\"rpc_failed\"", "\"mfa\":\"nosuch:f/1\"",
                                                             "\"peer\":\"" ++ atom_to_list(Node), "\"level\":\"debug\"",
                                                             "undef"]],
    ?assertEqual([], logged(Config, "secret_argument")),
    [Two] = logged(Config, "\"correlation\":\"cor-2\""),
    ?assertMatch({match, _}, re:run(Two, "\"event\":\"rpc\"")),
    ?assertEqual([], logged(Config, "erlang:nodes/0")).

log_lines(Config) ->
    ok = door(Config, {log, warning, ["from the app: ", <<"ä"/utf8>>], #{correlation => <<"c-1">>, user => "anna", n => 7,
                                                                         event => hidden, level => hidden}}),
    [Line] = wait_until(fun() -> case logged(Config, "from the app") of [] -> false; L -> L end end, ?WAIT),
    [?assertMatch({match, _}, re:run(Line, Part, [unicode])) ||
        Part <- ["\"event\":\"application\"", "\"level\":\"warning\"", "\"correlation\":\"c-1\"", "\"user\":\"anna\"",
                 "\"n\":\"7\"", "\"text\":\"from the app: ä\""]],
    ?assertEqual(nomatch, re:run(Line, "hidden")),
    [?assertEqual({error, badarg}, door(Config, R)) ||
        R <- [{log, loud, "x", #{}}, {log, info, x, #{}}, {log, info, "x", []},
              {log, info, binary:copy(<<"x">>, 65_537), #{}}]].

log_is_limited(Config) ->
    {_, Said} = run(peer(1, Config), fun() -> call(Config, {batch, lists:duplicate(20_000, {log, info, "flood", #{}})}) end),
    ?assertEqual([ok], lists:usort(Said)),
    wait_until(fun() -> door(Config, {log, info, "after the flood", #{}}), logged(Config, "\"left_out\"") =/= [] end, ?WAIT),
    Passed = length(logged(Config, "\"text\":\"flood\"")),
    ?assert(Passed >= 2000 andalso Passed < 15_000).

%% ---- connections ----------------------------------------------------------------------------------------------

connect_reasons(Config) ->
    #{node := P2} = peer(2, Config),
    ok = door(Config, {connect, P2}),
    ok = door(Config, {connect, maps:get(node, nut(Config))}),
    {error, not_registered} = door(Config, {connect, 'nosuch@127.0.0.1'}),
    {error, bad_name} = door(Config, {connect, nosuch}),
    {error, host_unknown} = door(Config, {connect, 'x@no.such.host.invalid'}),
    {error, badarg} = door(Config, {connect, "x@y"}),
    Other = remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("other"), cookie => "another"}),
    {error, handshake_closed} = door(Config, {connect, maps:get(node, Other)}),
    remora_ct:stop(Other),
    Frozen = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("frozen")}, door_peer())),
    remora_ct:freeze(Frozen),
    Node = maps:get(node, Frozen),
    {error, timeout} = run(peer(1, Config), fun() -> call(Config, {connect, Node}, 30_000) end),
    remora_ct:thaw(Frozen),
    wait_until(fun() -> door(Config, {connect, Node}) =:= ok end, ?WAIT),
    remora_ct:stop(Frozen).

ping_and_nodes(Config) ->
    [#{node := P1}, #{node := P2}] = remora_ct:peers(Config),
    pong = door(Config, {ping, P2}),
    pang = door(Config, {ping, 'nosuch@127.0.0.1'}),
    Hidden = remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("hidden"), hidden => true}),
    connect(Hidden, nut(Config)),
    #{node := H} = Hidden,
    ?assertEqual(lists:sort([P1, P2]), lists:sort(door(Config, {nodes, visible}))),
    ?assertEqual([H], door(Config, {nodes, hidden})),
    ?assertEqual(lists:sort([P1, P2, H]), lists:sort(door(Config, {nodes, connected}))),
    {error, badarg} = door(Config, {nodes, this}),
    remora_ct:stop(Hidden).

%% prevent_overlapping_partitions is on everywhere: a connection that is closed on purpose takes nothing else down.
disconnect_in_order(Config) ->
    #{node := Nut} = nut(Config),
    [#{node := P1}, #{node := P2}] = remora_ct:peers(Config),
    {error, not_connected} = door(Config, {disconnect, 'nosuch@127.0.0.1'}),
    ok = door(Config, {disconnect, P2}),
    {error, not_connected} = door(Config, {disconnect, P2}),
    ?assertEqual([P1], door(Config, {nodes, connected})),
    wait_until(fun() -> not lists:member(Nut, rcall(peer(2, Config), erlang, nodes, [])) end, ?WAIT),
    %% Each name server has done what it had to, and what that made the other do, when it has answered twice.
    [rcall(P, sys, get_state, [global_name_server]) || _ <- [1, 2, 3], P <- remora_ct:peers(Config)],
    ?assertEqual(lists:sort([Nut, P2]), lists:sort(rcall(peer(1, Config), erlang, nodes, []))),
    ?assertEqual([P1], rcall(peer(2, Config), erlang, nodes, [])),
    ok = door(Config, {connect, P2}),
    known(Config).

%% ---- the cookie on standard input -----------------------------------------------------------------------------

%% The cookie, then the lifeline on the same descriptor; nothing of it is seen from outside.
cookie_on_stdin(Config) ->
    Name = remora_ct:unique("stdin"),
    Port = companion(Config, Name, ["--lifeline", "stdin"]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    receive {Port, _} -> error(it_did_not_wait) after 0 -> ok end,
    true = port_command(Port, remora_ct:cookie(Config)),   % not yet a line
    true = port_command(Port, "\nnot for the cookie\n"),
    Ready = line(Port),
    ?assertMatch({match, _}, re:run(Ready, "\"event\":\"ready\"")),
    Node = list_to_atom(atom_to_list(Name) ++ "@127.0.0.1"),
    pong = rcall(peer(1, Config), net_adm, ping, [Node]),
    [begin
         {ok, Seen} = file:read_file(["/proc/", integer_to_list(OsPid), "/", File]),
         ?assertEqual(nomatch, binary:match(Seen, list_to_binary(remora_ct:cookie(Config))))
     end || File <- ["cmdline", "environ"]],
    true = port_close(Port),
    wait_until(fun() -> not remora_ct:alive(#{os_pid => OsPid}) end, 5000).

cookie_mistakes(Config) ->
    [begin
         Port = companion(Config, remora_ct:unique("wrong"), ["--log-format", "json"]),
         true = port_command(Port, Input),
         Line = line(Port),
         ?assertEqual({Input, 2}, {Input, status(Port)}),
         [?assertMatch({match, _}, re:run(Line, P)) || P <- ["\"event\":\"failed\"", "\"level\":\"error\"", Expected]],
         ?assertEqual(nomatch, string:find(Line, "xxxxxx"))
     end || {Input, Expected} <- [{"\n", "standard input is empty"},
                                  {lists:duplicate(256, $x) ++ "\n", "256 characters; at most 255"},
                                  {lists:duplicate(5000, $x), "more than 255 characters"}]],
    %% A pipe that ends: the shell closes it, which a port cannot and live.
    [begin
         {Status, Text} = shell(Config, "printf '" ++ Input ++ "' | "),
         ?assertEqual(2, Status),
         ?assertMatch({match, _}, re:run(Text, Expected))
     end || {Input, Expected} <- [{"xxxxxx", "ended before the end of that line"}, {"", "ended without one"}]],
    %% Silence: 10 s, and no more.
    Port = companion(Config, remora_ct:unique("silent"), []),
    {Ms, Line} = elapsed(fun() -> line(Port) end),
    ?assertMatch({match, _}, re:run(Line, "no whole line came within 10 s")),
    ?assertEqual(2, status(Port)),
    ?assert(Ms > 9000 andalso Ms < 14_000).

%% Whoever reads the log as JSON can read why there is none.
mistakes_as_json(Config) ->
    [begin
         Port = open_port({spawn_executable, program()}, [{args, ["run" | Args]}, stderr_to_stdout, exit_status,
                                                         {line, 4096}, binary, {env, env(Config)}]),
         Line = line(Port),
         ?assertEqual(2, status(Port)),
         [?assertMatch({match, _}, re:run(Line, P)) || P <- ["^\\{\"time\":", "\"event\":\"failed\"", Expected]]
     end || {Args, Expected} <- [{["--name", "x@127.0.0.1", "--no-such-thing", "--log-format", "json"], "no-such-thing"},
                                 {["--name", "x@127.0.0.1", "--log-format=json", "--lifeline", "y"], "lifeline"},
                                 {["--name", "nohost", "--log-format", "json"], "no host"},
                                 {["--name", "x@127.0.0.1", "--log-format", "json", "--cookie-file", "/no/such"], "/no/such"}]].

companion(Config, Name, Args) ->
    open_port({spawn_executable, program()},
              [{args, ["run", "--name", atom_to_list(Name) ++ "@127.0.0.1", "--listen", "127.0.0.1", "--cookie-file", "-" | Args]},
               stderr_to_stdout, exit_status, {line, 4096}, binary, {env, env(Config)}]).

shell(Config, Before) ->
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", Before ++ "exec \"$0\" run --name x@127.0.0.1 --cookie-file -", program()]},
                      stderr_to_stdout, exit_status, {line, 4096}, binary, {env, env(Config)}]),
    Line = line(Port),
    {status(Port), Line}.

%% REMORA_COOKIE is there, and wrong: what standard input says counts.
env(Config) -> [{"REMORA_COOKIE", "fromtheenvironment"}, {"ERL_EPMD_PORT", integer_to_list(remora_ct:epmd_port(Config))}].
program() -> os:getenv("REMORA_BIN").

line(Port) -> receive {Port, {data, {_, Line}}} -> Line after ?WAIT -> error(no_line) end.
status(Port) -> receive {Port, {exit_status, S}} -> S after ?WAIT -> error(no_end) end.

%% ---- a receiver of the stream, as a shim has it -----------------------------------------------------------------

mirror(Config, N) ->
    #{node := Nut} = nut(Config),
    Pid = run(peer(N, Config), fun() -> spawn(?MODULE, receiver, [Nut]) end),
    {_, #{}} = rcall(peer(N, Config), ?MODULE, ask, [Pid, state]),
    Pid.

receiver(Nut) ->
    {ok, Ref} = gen_server:call({remora, Nut}, mirror),
    receiver(Nut, Ref, 0, empty()).

empty() -> #{names => #{}, scopes => #{}, nodes => #{}, reasons => #{}, synced => false, messages => 0, changes_max => 0}.

%% `state` is answered once it is in sync, `state_now` at once.
receiver(Nut, Ref, Version, State = #{messages := N, changes_max := Most}) ->
    receive
        {remora_mirror, Ref, Version, To, Changes} ->
            Next = lists:foldl(fun change/2, State, Changes),
            receiver(Nut, Ref, To, Next#{messages := N + 1, changes_max := max(Most, length(Changes))});
        {remora_mirror, Ref, _, _, _} = Other -> exit({gap, Version, Other});
        {resync, From} ->
            {ok, New} = gen_server:call({remora, Nut}, mirror),
            self() ! {state, From},
            receiver(Nut, New, 0, empty());
        {state, From} when map_get(synced, State) -> From ! {self(), {Version, State}}, receiver(Nut, Ref, Version, State);
        {state_now, From} -> From ! {self(), {Version, State}}, receiver(Nut, Ref, Version, State)
    end.

change(synced, S) -> S#{synced := true};
change({name, Name, Pid}, S = #{names := N}) -> S#{names := N#{Name => Pid}};
change({unname, Name}, S = #{names := N}) -> #{Name := _} = N, S#{names := maps:remove(Name, N)};
change({up, Node, Kind}, S = #{nodes := N}) -> false = is_map_key(Node, N), S#{nodes := N#{Node => Kind}};
change({down, Node, Why}, S = #{nodes := N, reasons := R}) ->
    #{Node := _} = N,
    S#{nodes := maps:remove(Node, N), reasons := R#{Node => Why}};
change({scope, Scope}, S = #{scopes := N}) -> false = is_map_key(Scope, N), S#{scopes := N#{Scope => #{}}};
change({unscope, Scope}, S = #{scopes := N}) -> #{Scope := _} = N, S#{scopes := maps:remove(Scope, N)};
change({join, Scope, Group, Pids}, S = #{scopes := N}) ->
    Groups = map_get(Scope, N),
    S#{scopes := N#{Scope := Groups#{Group => Pids ++ maps:get(Group, Groups, [])}}};
change({leave, Scope, Group, Pids}, S = #{scopes := N}) ->
    Groups = #{Group := Before} = map_get(Scope, N),
    Left = Before -- Pids,
    ?assertEqual(length(Before), length(Left) + length(Pids)),
    S#{scopes := N#{Scope := case Left of [] -> maps:remove(Group, Groups); _ -> Groups#{Group := Left} end}}.

ask(Pid, What) ->
    Mon = monitor(process, Pid),
    Pid ! {What, self()},
    receive {Pid, Answer} -> demonitor(Mon, [flush]), Answer;
            {'DOWN', Mon, process, Pid, Why} -> error({ended, Why})
    after ?WAIT -> error({no_answer, What})
    end.

ask_at(Config, Pid, What) -> rcall(peer(1, Config), ?MODULE, ask, [Pid, What]).

agrees(Config, Mirror) -> agrees(Config, Mirror, 1).
agrees(Config, Mirror, N) ->
    wait_until(fun() ->
        {_, #{names := Names, scopes := Scopes, nodes := Nodes}} = rcall(peer(N, Config), ?MODULE, ask, [Mirror, state]),
        Names =:= maps:from_list(whereis_all(Config))
            andalso sorted(Scopes) =:= sorted(really(Config))
            andalso lists:sort(maps:keys(Nodes)) =:= lists:sort(door(Config, {nodes, connected}))
    end, ?WAIT).

%% In one call each: what a node knows may be much.
whereis_all(Config) ->
    run(peer(1, Config), fun() ->
        Names = call(Config, registered_names),
        {_, Pids} = call(Config, {batch, [{whereis_name, Name} || Name <- Names]}),
        lists:zip(Names, Pids)
    end).

really(Config) ->
    run(peer(1, Config), fun() ->
        {ok, #{scopes := Scopes}} = call(Config, hello),
        maps:from_list([begin
            Groups = call(Config, {which_groups, S}),
            {_, Members} = call(Config, {batch, [{get_members, S, G} || G <- Groups]}),
            {S, maps:from_list(lists:zip(Groups, Members))}
        end || S <- Scopes])
    end).

sorted(Scopes) -> maps:map(fun(_, Groups) -> maps:map(fun(_, Pids) -> lists:sort(Pids) end, Groups) end, Scopes).

%% ---- helpers --------------------------------------------------------------------------------------------------

%% A process of the application's node asks; `call` within it.
door(Config, Request) ->
    #{node := Nut} = nut(Config),
    rcall(peer(1, Config), gen_server, call, [{remora, Nut}, Request, 30_000]).
call(Config, Request) -> call(Config, Request, 30_000).
call(Config, Request, Timeout) -> gen_server:call({remora, maps:get(node, nut(Config))}, Request, Timeout).

spawn_at(Peer) -> run(Peer, fun() -> spawn(fun() -> receive stop -> ok end end) end).
exit_at(Peer, Pid) -> rcall(Peer, erlang, exit, [Pid, kill]).

%% {state, Version, Streams, Tracked callers}
door_state(Config) -> rcall(peer(1, Config), sys, get_state, [{remora, maps:get(node, nut(Config))}]).
streams(Config) -> element(3, door_state(Config)).
tracked(Config) -> element(4, door_state(Config)).

%% Nothing is done for anybody, and nobody is watched: no more processes than a node had that was asked nothing. It may have
%% had one that was just dialling a node which `global' had introduced.
quiet(Config) ->
    Count = fun() -> rcall(peer(1, Config), erpc, call, [maps:get(node, nut(Config)), erlang, system_info, [process_count]]) end,
    wait_until(fun() -> tracked(Config) =:= 0 andalso Count() =< proplists:get_value(processes, Config) end, ?WAIT).

logged(Config, Pattern) -> [L || L <- remora_ct:log_lines(nut(Config)), re:run(L, Pattern) =/= nomatch].

%% Everybody's `global` knows everybody: from here on a lost connection is seen by all.
known(Config) ->
    Nodes = lists:sort([N || #{node := N} <- [nut(Config) | remora_ct:peers(Config)]]),
    wait_until(fun() ->
        lists:all(fun(X) ->
            Known = rcall(peer(1, Config), gen_server, call, [{global_name_server, X}, get_known, infinity]),
            lists:sort([X | Known]) =:= Nodes
        end, Nodes)
    end, ?WAIT).

%% How often the name server of a node is asked for a lock.
count_locks(Peer) ->
    run(Peer, fun() ->
        Pid = spawn(fun() -> counting(0) end),
        1 = erlang:trace(whereis(global_name_server), true, ['receive', {tracer, Pid}]),
        Pid
    end).

counting(N) ->
    receive
        {trace, _, 'receive', {'$gen_call', _, {set_lock, _}}} -> counting(N + 1);
        {count, From} -> From ! {self(), N};
        _ -> counting(N)
    end.

locks_counted(Peer, Pid) ->
    run(Peer, fun() ->
        1 = erlang:trace(whereis(global_name_server), false, ['receive']),
        ask(Pid, count)
    end).
