%% frame_SUITE: what surrounds the signals (protocol 3.1, 3.3, 3.4; checklist line "headers") and what a bad
%% frame costs: its own connection, and nothing else. raw_dist writes the frames that a real node writes only
%% by chance; a real peer writes the large and the many.
-module(frame_SUITE).
-include("suite.hrl").

cases() ->
    [pass_through, header_without_cache, old_control_forms, cache_new_then_old, cache_255_entries,
     cache_long_atoms, cache_slot_reuse, cache_of_dropped_message_counts, cache_empty_slot_closes,
     many_atoms_from_a_real_node, long_atoms_from_a_real_node, fragments_are_joined, fragments_interleaved,
     fragment_single, fragments_sent_are_64k, fragment_out_of_order_closes, fragment_unknown_closes,
     half_a_fragmented_message_is_dropped, megabytes_64_both_ways, all_kinds_of_terms, bad_frames_close_only_theirs].

peers() -> [#{}].

nut_opts(_) -> #{}.

%% ---- framing modes ---------------------------------------------------------------------------------

%% 112: only when neither ATOM_CACHE nor FRAGMENTS was negotiated.
pass_through(Config) ->
    Conn = connection(Config, 16#0000000d074f5fbd),
    ?assertNot(maps:get(header, Conn)),
    echo(Conn, [pass, through, 1.5, <<"bytes">>]).

header_without_cache(Config) ->
    Conn = connection(Config, 16#0000000d07cf5fbd),
    ?assert(maps:get(header, Conn)),
    echo(Conn, [header, without, cache]).

%% Op 2 is SEND without the sender: what was queued before the connection was up may still use it.
old_control_forms(Config) ->
    Conn = connection(Config),
    {Echo, Self} = {echo_pid(Config), self_of(Conn)},
    ok = raw_dist:send(Conn, {2, '', Echo}, {Self, plain}),
    ?assertMatch({{_, _, Self}, {echo, plain}}, raw_dist:recv_signal(Conn)),
    ok = raw_dist:send(Conn, {12, '', Echo, {0, 17, 1, Self, 0}}, {Self, traced}),
    {Traced, {echo, traced}} = raw_dist:recv_signal(Conn),  % OTP answers with the token, others may not
    ?assertEqual(Self, element(3, Traced)),
    ok = raw_dist:send(Conn, {16, Self, '', echo, {0, 17, 1, Self, 0}}, {Self, traced_name}),
    {TracedName, {echo, traced_name}} = raw_dist:recv_signal(Conn),
    ?assertEqual(Self, element(3, TracedName)).

%% ---- atom cache: what we read -------------------------------------------------------------------------

cache_new_then_old(Config) ->
    Conn = cache_connection(Config),
    cached(Conn, [{trapper, 1000, new}, {first, 1001, new}], first),
    cached(Conn, [{trapper, 1000, old}, {first, 1001, old}], [first, first]),
    cached(Conn, [{trapper, 1000, old}, {second, 2047, new}, {first, 1001, old}], {second, first}),
    received(Config, [first, [first, first], {second, first}]).

cache_255_entries(Config) ->
    Conn = cache_connection(Config),
    Atoms = [list_to_atom("entry" ++ integer_to_list(I)) || I <- lists:seq(1, 254)],
    Slots = [{A, I * 8, new} || {I, A} <- lists:enumerate(Atoms)],
    cached(Conn, [{trapper, 0, new} | Slots], Atoms),
    cached(Conn, [{trapper, 0, old} | [{A, Slot, old} || {A, Slot, new} <- Slots]], Atoms),
    received(Config, [Atoms, Atoms]).

%% LongAtoms: lengths of two bytes, because one name has more than 255.
cache_long_atoms(Config) ->
    Conn = cache_connection(Config),
    Long = binary_to_atom(unicode:characters_to_binary(lists:duplicate(255, 16#20ac))),
    cached(Conn, [{trapper, 5, new}, {Long, 6, new}, {short, 7, new}], {Long, short}),
    cached(Conn, [{trapper, 5, old}, {Long, 6, old}], [Long]),
    received(Config, [{Long, short}, [Long]]).

cache_slot_reuse(Config) ->
    Conn = cache_connection(Config),
    Atoms = [list_to_atom("reused" ++ integer_to_list(I)) || I <- lists:seq(1, 50)],
    [cached(Conn, [{trapper, 0, new}, {A, 300, new}], {A, I}) || {I, A} <- lists:enumerate(Atoms)],
    received(Config, [{A, I} || {I, A} <- lists:enumerate(Atoms)]).

cache_of_dropped_message_counts(Config) ->
    Conn = cache_connection(Config),
    cached(Conn, [{nosuch_name, 9, new}, {remembered, 10, new}], remembered, nosuch_name),
    cached(Conn, [{trapper, 0, new}, {remembered, 10, old}], remembered),
    received(Config, [remembered]).

cache_empty_slot_closes(Config) ->
    Conn = cache_connection(Config),
    cached(Conn, [{trapper, 0, new}, {never_set, 77, old}], never_set),
    ?assert(raw_dist:closed(Conn, 5_000)),
    undisturbed(Config).

many_atoms_from_a_real_node(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        [begin
             Atoms = [list_to_atom("atom_" ++ integer_to_list(Round * 400 + I)) || I <- lists:seq(1, 400)],
             ?assertEqual(Atoms, gen_server:call({echo, Node}, {echo, Atoms}))
         end || Round <- lists:seq(1, 20)],
        Few = [list_to_atom("atom_" ++ integer_to_list(I * 7)) || I <- lists:seq(100, 1100)],
        [?assertEqual(A, gen_server:call({echo, Node}, {echo, A})) || A <- Few]
    end).

long_atoms_from_a_real_node(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        Atoms = [binary_to_atom(unicode:characters_to_binary(lists:duplicate(N, C)))
                 || C <- [$a, 16#e9, 16#20ac, 16#1f600], N <- [0, 1, 127, 128, 254, 255]],
        ?assertEqual(Atoms, gen_server:call({echo, Node}, {echo, Atoms})),
        [?assertEqual(A, gen_server:call({echo, Node}, {echo, A})) || A <- Atoms ++ Atoms]
    end).

%% ---- fragments ------------------------------------------------------------------------------------------

fragments_are_joined(Config) ->
    Conn = connection(Config),
    Msg = {joined, rand:bytes(10_000)},
    [ok = raw_dist:send_bytes(Conn, F)
     || F <- raw_dist:fragments(Conn, 4711, {6, self_of(Conn), '', trapper}, Msg, 64)],
    received(Config, [Msg]).

%% Two senders, their parts in turns and whole messages between them.
fragments_interleaved(Config) ->
    Conn = connection(Config),
    A = raw_dist:pid(maps:get(name, Conn), 77, 11),
    B = raw_dist:pid(maps:get(name, Conn), 77, 12),
    [MsgA, MsgB] = [{Who, rand:bytes(1_000)} || Who <- [a, b]],
    [A1 | As] = raw_dist:fragments(Conn, 1, {6, A, '', trapper}, MsgA, 200),
    [B1 | Bs] = raw_dist:fragments(Conn, 2, {6, B, '', trapper}, MsgB, 200),
    raw_dist:send_bytes(Conn, A1),
    raw_dist:send_bytes(Conn, B1),
    ok = raw_dist:send(Conn, {6, self_of(Conn), '', trapper}, between),
    [begin raw_dist:send_bytes(Conn, FB), raw_dist:send_bytes(Conn, FA) end || {FA, FB} <- lists:zip(As, Bs)],
    received(Config, [between, MsgB, MsgA]).

fragment_single(Config) ->
    Conn = connection(Config),
    [One] = raw_dist:fragments(Conn, 9, {6, self_of(Conn), '', trapper}, alone, 1000),
    ok = raw_dist:send_bytes(Conn, One),
    received(Config, [alone]).

%% 200 kB come back in parts of 64 KiB: ids 4, 3, 2, 1 of one sequence.
fragments_sent_are_64k(Config) ->
    Conn = connection(Config),
    Bytes = rand:bytes(200_000),
    ok = raw_dist:send(Conn, {6, self_of(Conn), '', echo}, {self_of(Conn), Bytes}),
    {fragment, <<131, 69, Sequence:64, 4:64, 0, First/binary>>} = raw_dist:recv_signal(Conn),
    Rest = [begin
                {fragment, <<131, 70, Sequence:64, Id:64, Part/binary>>} = raw_dist:recv_signal(Conn),
                ?assert(byte_size(Part) =< 65_536),
                Part
            end || Id <- [3, 2, 1]],
    {_Control, Used} = binary_to_term(<<131, First/binary>>, [used]),
    Payload = binary:part(First, Used - 1, byte_size(First) - Used + 1),
    ?assertEqual({echo, Bytes}, binary_to_term(iolist_to_binary([131, Payload | Rest]))).

fragment_out_of_order_closes(Config) ->
    Conn = connection(Config),
    [One, _Two, Three | _] = raw_dist:fragments(Conn, 5, {6, self_of(Conn), '', trapper}, rand:bytes(1_000), 100),
    raw_dist:send_bytes(Conn, One),
    raw_dist:send_bytes(Conn, Three),
    ?assert(raw_dist:closed(Conn, 5_000)),
    undisturbed(Config).

fragment_unknown_closes(Config) ->
    Conn = connection(Config),
    raw_dist:send_bytes(Conn, [131, 70, <<12345:64, 3:64>>, "part"]),
    ?assert(raw_dist:closed(Conn, 5_000)),
    undisturbed(Config).

half_a_fragmented_message_is_dropped(Config) ->
    Conn = connection(Config),
    [One, Two | _] = raw_dist:fragments(Conn, 5, {6, self_of(Conn), '', trapper}, rand:bytes(1_000), 100),
    raw_dist:send_bytes(Conn, One),
    raw_dist:send_bytes(Conn, Two),
    raw_dist:close(Conn),
    Next = connection(Config),
    ok = raw_dist:send(Next, {6, self_of(Next), '', trapper}, after_it),
    received(Config, [after_it]).

megabytes_64_both_ways(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        Bytes = binary:copy(rand:bytes(1 bsl 20), 64),
        ?assertEqual(erlang:md5(Bytes), erlang:md5(gen_server:call({echo, Node}, {echo, Bytes}, 60_000)))
    end).

all_kinds_of_terms(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        Terms = [0, 255, 256, -1, 1 bsl 31, -(1 bsl 31), 1 bsl 64, -(1 bsl 2100), 1.5, -0.0, 1.0e308, [], "text",
                 [1 | 2], lists:seq(1, 70_000) ++ tail, list_to_tuple(lists:seq(1, 300)), {}, <<>>, <<1:1>>, <<5:7, 1:3>>,
                 #{}, #{a => #{1 => [b]}, "k" => <<"v">>}, self(), make_ref(), hd(erlang:ports()), fun lists:map/2,
                 fun() -> Node end, alias(), 'Ünïcode', [[[[[]]]]], lists:foldl(fun(_, A) -> [A] end, [], lists:seq(1, 200))],
        [?assertEqual(T, gen_server:call({echo, Node}, {echo, T})) || T <- Terms],
        ?assertEqual(Terms, gen_server:call({echo, Node}, {echo, Terms}))
    end).

%% ---- bad frames -----------------------------------------------------------------------------------------

%% Each on a connection of its own; what OTP itself closes for (protocol 3.8), and bytes that are no terms.
bad_frames_close_only_theirs(Config) ->
    Witness = connection(Config),
    Self = fun self_of/1,
    [begin
         Conn = connection(Config),
         raw_dist:send_bytes(Conn, Bad(Conn)),
         ?assertEqual({Why, true}, {Why, raw_dist:closed(Conn, 5_000)}),
         echo(Witness, Why)
     end || {Why, Bad} <-
         [{op_37, fun(C) -> raw_dist:frame(C, {37, Self(C), Self(C)}) end},
          {op_99, fun(C) -> raw_dist:frame(C, {99, Self(C), Self(C)}) end},
          {control_no_tuple, fun(C) -> raw_dist:frame(C, [1, 2]) end},
          {control_empty_tuple, fun(C) -> raw_dist:frame(C, {}) end},
          {control_op_no_integer, fun(C) -> raw_dist:frame(C, {send, Self(C)}) end},
          {control_too_short, fun(C) -> raw_dist:frame(C, {22, Self(C)}, x) end},
          {no_payload, fun(C) -> raw_dist:frame(C, {22, Self(C), echo_pid(Config)}) end},
          {pass_through_after_header, fun(C) -> [112, raw_dist:frame(C#{header := false}, {6, Self(C), '', echo}, x)] end},
          {unknown_header, fun(_) -> <<131, 67, 0, 97, 1>> end},
          {no_version, fun(_) -> <<1, 2, 3, 4>> end},
          {truncated_control, fun(_) -> <<131, 68, 0, 104, 4, 97, 6>> end},
          {unknown_tag, fun(_) -> <<131, 68, 0, 1, 2, 3>> end},
          {huge_tuple, fun(_) -> <<131, 68, 0, 105, 16#ffffffff:32>> end},
          {header_without_atoms, fun(_) -> <<131, 68, 200>> end},
          {unlink_id_zero, fun(C) -> raw_dist:frame(C, {35, 0, Self(C), echo_pid(Config)}) end},
          {link_from_a_stranger, fun(C) ->
              raw_dist:frame(C, {1, raw_dist:pid('stranger@127.0.0.1', 7, 1), echo_pid(Config)}) end},
          {monitor_from_a_stranger, fun(C) ->
              raw_dist:frame(C, {19, raw_dist:pid('stranger@127.0.0.1', 7, 1), echo,
                                 raw_dist:ref(maps:get(name, C), 77, [1, 2, 3])}) end}]],
    undisturbed(Config).

%% ---- helpers ---------------------------------------------------------------------------------------

connection(Config) -> connection(Config, raw_dist:flags()).
connection(Config, Flags) ->
    Name = list_to_atom(atom_to_list(remora_ct:unique("raw")) ++ "@127.0.0.1"),
    #{port := Port, node := Node} = nut(Config),
    {ok, Conn} = raw_dist:handshake(Port, #{name => Name, peer => Node, cookie => remora_ct:cookie(Config),
                                            flags => Flags}),
    Conn.

cache_connection(Config) ->
    connection(Config, raw_dist:flags() bor raw_dist:flag(dist_hdr_atom_cache)).

self_of(#{name := Name, creation := Creation}) -> raw_dist:pid(Name, Creation, 1).

cached(Conn, Entries, Msg) -> cached(Conn, Entries, Msg, trapper).
cached(Conn, Entries, Msg, To) ->
    ok = raw_dist:send_bytes(Conn, raw_dist:cached(Entries, {6, self_of(Conn), '', To}, Msg)).

%% What the trapper has received, once it is as much as expected.
received(Config, Expected) ->
    #{node := Node} = nut(Config),
    Log = run(peer(1, Config), fun() ->
        wait_for_log(Node, length(Expected), [], erlang:monotonic_time(millisecond) + 5_000)
    end),
    ?assertEqual(Expected, Log).

wait_for_log(Node, Count, Sofar, Deadline) ->
    Log = Sofar ++ gen_server:call({trapper, Node}, log),
    case length(Log) >= Count orelse erlang:monotonic_time(millisecond) > Deadline of
        true -> Log;
        false -> receive after 10 -> wait_for_log(Node, Count, Log, Deadline) end
    end.

echo_pid(Config) ->
    rcall(peer(1, Config), rpc, call, [maps:get(node, nut(Config)), erlang, whereis, [echo]]).

undisturbed(Config) ->
    ?assertEqual(pong, rcall(peer(1, Config), net_adm, ping, [maps:get(node, nut(Config))])),
    echo(connection(Config), undisturbed).

echo(Conn, Msg) ->
    Self = self_of(Conn),
    ok = raw_dist:send(Conn, {6, Self, '', echo}, {Self, Msg}),
    ?assertMatch({{_, _, Self}, {echo, Msg}}, raw_dist:recv_signal(Conn)).
