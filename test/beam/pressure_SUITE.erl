%% pressure_SUITE: peers that do not read and consumers that do not consume cost a bounded amount of memory, and other
%% peers notice nothing (issue: backpressure; design: no unbounded queue). Driven by client:flood, remora only.
-module(pressure_SUITE).
-include("suite.hrl").

-define(MIB, 1048576).
-define(OUTBOX_MAX, 16 * ?MIB).
-define(HIGH_MARK, ?MIB).
-define(LOW_MARK, ?HIGH_MARK div 4).
-define(MAILBOX_MAX, 4 * ?MIB).
-define(SLACK, 24 * ?MIB). % of everything else: allocator, socket reads, code

cases() -> [waiting_sender_is_held_and_loses_nothing, pushing_sender_loses_the_peer, full_mailbox_stops_reading].

peers() -> [#{}, #{}].

nut_opts(_) ->
    File = filename:join(os:getenv("TMPDIR", "/tmp"), "remora-pressure-" ++ os:getpid() ++ ".toml"),
    ok = file:write_file(File, io_lib:format(
        "outbox-bytes-max = ~b~noutbox-high-mark = ~b~noutbox-low-mark = ~b~nmailbox-bytes-max = ~b~n",
        [?OUTBOX_MAX, ?HIGH_MARK, ?LOW_MARK, ?MAILBOX_MAX])),
    #{args => ["--config", File]}.

%% A frozen peer: the sender that waits is suspended at the high mark, others are served, and after the thaw all of it
%% arrives.
waiting_sender_is_held_and_loses_nothing(Config) ->
    only_remora(Config, fun(Node, Watcher, Frozen) ->
        #{node := FrozenNode} = Frozen,
        Count = 200,
        ok = rcall(Frozen, ?MODULE, start_counter, []),
        true = rcall(Watcher, erpc, call, [Node, client, connect, [FrozenNode]]),
        remora_ct:freeze(Frozen),
        Flood = rcall(Watcher, ?MODULE, start_flood, [Node, {counter, FrozenNode}, ?MIB div 4, Count, wait]),
        %% Held at the high mark, the sender is let go below the low one: what the system took meanwhile may have
        %% left any amount between the two.
        wait_until(fun() -> outbox(Watcher, Node) > ?LOW_MARK end, 10_000),
        {Ms, _} = elapsed(fun() -> [rcall(Watcher, erpc, call, [Node, erlang, node, []]) || _ <- lists:seq(1, 100)] end),
        ?assert(Ms < 5_000),
        ?assert(outbox(Watcher, Node) =< ?HIGH_MARK + ?MIB),
        ?assert(resident(Watcher, Node) < ?OUTBOX_MAX + ?SLACK),
        remora_ct:thaw(Frozen),
        {Sent, Busy, 0} = rcall(Watcher, ?MODULE, flooded, [Flood]),
        ?assertEqual(Count, Sent + Busy),
        ?assert(Busy > 0),
        ?assert(wait_until(fun() -> rcall(Frozen, ?MODULE, counted, []) =:= Count end, 20_000))
    end).

%% A sender that does not wait: the peer's connection is given up at the limit, and only that one.
pushing_sender_loses_the_peer(Config) ->
    only_remora(Config, fun(Node, Watcher, Frozen) ->
        #{node := FrozenNode} = Frozen,
        true = rcall(Watcher, erpc, call, [Node, client, connect, [FrozenNode]]),
        remora_ct:freeze(Frozen),
        {_, _, Dropped} = rcall(Watcher, erpc, call, [Node, client, flood, [{counter, FrozenNode}, ?MIB, 64, push]]),
        ?assert(Dropped > 0),
        ?assertNot(lists:member(FrozenNode, rcall(Watcher, erpc, call, [Node, erlang, nodes, []]))),
        ?assert(resident(Watcher, Node) < ?OUTBOX_MAX + ?SLACK),
        ?assert(lists:member(Node, rcall(Watcher, erlang, nodes, []))),
        ?assert(wait_until(fun() -> logged(Config, "outbox_limit") end, 5_000)),
        remora_ct:thaw(Frozen)
    end).

%% A consumer that is suspended: its senders' connection is not read any more, another peer's is, and after the resume
%% nothing is missing.
full_mailbox_stops_reading(Config) ->
    only_remora(Config, fun(Node, Watcher, Sender) ->
        Count = 400,
        ok = rcall(Watcher, sys, suspend, [{sink, Node}]),
        ok = rcall(Sender, ?MODULE, start_sending, [{sink, Node}, ?MIB div 8, Count]),
        ?assert(wait_until(fun() -> queued(Watcher, Node) > 0 end, 10_000)),
        ?assertEqual(sending, rcall(Sender, ?MODULE, sending, [500])),
        ?assert(resident(Watcher, Node) < ?MAILBOX_MAX + ?SLACK),
        ?assertEqual(Node, rcall(Watcher, erpc, call, [Node, erlang, node, []])),
        ok = rcall(Watcher, sys, resume, [{sink, Node}]),
        ?assertEqual(done, rcall(Sender, ?MODULE, sending, [30_000])),
        ?assert(wait_until(fun() -> rcall(Watcher, gen_server, call, [{sink, Node}, count]) =:= Count end, 20_000))
    end).

%% ---- on the peers -------------------------------------------------------------------------------------

start_counter() ->
    Owner = self(),
    spawn(fun() -> register(counter, self()), Owner ! registered, count(0) end),
    receive registered -> ok end.

count(N) ->
    receive
        {count, From} -> From ! {counted, N}, count(N);
        Bin when is_binary(Bin) -> count(N + 1)
    end.

counted() ->
    counter ! {count, self()},
    receive {counted, N} -> N end.

start_flood(Node, To, Bytes, Count, How) ->
    keep(flood, fun() -> erpc:call(Node, client, flood, [To, Bytes, Count, How], 60_000) end).

flooded(Pid) ->
    Pid ! {result, self()},
    receive {flood, Result} -> Result end.

start_sending(To, Bytes, Count) ->
    Bin = binary:copy(<<"x">>, Bytes),
    Pid = keep(sending, fun() -> [To ! Bin || _ <- lists:seq(1, Count)], done end),
    register(sender, Pid),
    ok.

%% Whether all was handed to the connection within Ms.
sending(Ms) ->
    sender ! {result, self()},
    receive {sending, Result} -> Result after Ms -> sending end.

%% Runs Fun in a process that outlives the caller, and answers {result, From} with {Tag, Value} when it is done.
keep(Tag, Fun) -> spawn(fun() -> answer_for_ever(Tag, Fun()) end).

answer_for_ever(Tag, Value) ->
    receive {result, From} -> From ! {Tag, Value} end,
    answer_for_ever(Tag, Value).

%% ---- here ---------------------------------------------------------------------------------------------

only_remora(Config, Fun) ->
    case remora_ct:nut_kind() of
        remora ->
            #{node := Node} = nut(Config),
            [Watcher, Other] = remora_ct:peers(Config),
            [remora_ct:load(P, [?MODULE]) || P <- [Watcher, Other]],
            pong = rcall(Watcher, net_adm, ping, [Node]),
            try Fun(Node, Watcher, Other) after remora_ct:thaw(Other), catch forget(Other) end;
        beam ->
            {skip, "only remora has client:*"}
    end.

forget(Peer) -> [rcall(Peer, ?MODULE, stop_registered, [Name]) || Name <- [counter, sender]].

stop_registered(Name) ->
    case whereis(Name) of
        undefined -> ok;
        Pid -> exit(Pid, kill)
    end.

metric(Watcher, Node, Key) -> maps:get(Key, rcall(Watcher, erpc, call, [Node, remora, metrics, []])).
outbox(Watcher, Node) -> metric(Watcher, Node, outbox_bytes).
resident(Watcher, Node) -> metric(Watcher, Node, resident_bytes).

queued(Watcher, Node) ->
    Sink = rcall(Watcher, erpc, call, [Node, erlang, whereis, [sink]]),
    {message_queue_len, N} = rcall(Watcher, erpc, call, [Node, erlang, process_info, [Sink, message_queue_len]]),
    N.

logged(Config, Text) -> lists:any(fun(L) -> string:find(L, Text) =/= nomatch end, remora_ct:log_lines(nut(Config))).
