%% handshake_SUITE: handshake version 6 in both roles (protocol: section 2; checklist lines "handshake in both
%% roles" and "simultaneous connect"). Most cases talk by raw_dist, because a real node never sends a wrong
%% digest or falls silent. To make the node under test dial, a peer asks its process `trapper' to send
%% something to a node that raw_dist plays.
-module(handshake_SUITE).
-include("suite.hrl").

cases() ->
    [accepts, initiates, digest_flag_stands_for_all, missing_mandatory_flag, without_v4_nc, without_published,
     hidden_node, wrong_cookie_from_initiator, wrong_cookie_from_acceptor, wrong_cookie_of_a_real_node,
     wrong_name_in_challenge, malformed_names, silence_ends_after_setuptime, alive_false_keeps_the_old,
     alive_true_replaces_the_old, simultaneous_nut_greater, simultaneous_nut_smaller, nok_then_incoming,
     simultaneous_100_times_nut_greater, simultaneous_100_times_nut_smaller, restart_within_a_second,
     dynamic_name, dynamic_name_of_a_real_node].

%% prevent_overlapping_partitions off: these cases cut connections on purpose, and `global' would cut more.
peers() -> [#{otp_args => no_pop()}, #{otp_args => no_pop()}].

nut_opts(simultaneous_100_times_nut_greater) -> #{name => remora_ct:unique("z"), otp_args => no_pop()};
nut_opts(simultaneous_100_times_nut_smaller) -> #{name => remora_ct:unique("a"), otp_args => no_pop()};
nut_opts(hidden_node) -> #{hidden => true, otp_args => no_pop()};
nut_opts(_) -> #{otp_args => no_pop()}.

no_pop() -> ["-kernel", "prevent_overlapping_partitions", "false"].

%% ---- the ordinary course ---------------------------------------------------------------------------

accepts(Config) ->
    #{node := Node, port := Port, creation := Creation} = nut(Config),
    {ok, Conn} = raw_dist:handshake(Port, raw(Config)),
    #{name := Name, flags := Flags, creation := Creation2} = maps:get(them, Conn),
    ?assertEqual(Node, Name),
    ?assertEqual(Creation, Creation2),
    mandatory(Flags),
    echo(Conn).

initiates(Config) ->
    #{node := Node, creation := Creation} = nut(Config),
    Fake = fake(Config),
    make_dial(Config, Fake, hi),
    {ok, Conn} = raw_dist:accept_handshake(maps:get(listener, Fake), raw(Config, Fake)),
    #{name := Name, flags := Flags, creation := Creation2} = maps:get(them, Conn),
    ?assertEqual({Node, Creation}, {Name, Creation2}),
    mandatory(Flags),
    ?assertMatch({{6, _, _, x}, hi}, raw_dist:recv_signal(Conn)),
    echo(Conn).

%% MANDATORY_25_DIGEST alone: the receiver adds the eleven flags that it stands for.
digest_flag_stands_for_all(Config) ->
    Flags = raw_dist:flag(mandatory_25_digest) bor raw_dist:flag(spawn) bor raw_dist:flag(unlink_id)
        bor raw_dist:flag(v4_nc) bor raw_dist:flag(alias) bor raw_dist:flag(published) bor 16#80000,
    {ok, Conn} = raw_dist:handshake(port(Config), (raw(Config))#{flags => Flags}),
    echo(Conn).

missing_mandatory_flag(Config) ->
    All = raw_dist:flags() band bnot raw_dist:flag(mandatory_25_digest),
    [?assertEqual({Flag, {error, {status, "not_allowed"}}},
                  {Flag, raw_dist:handshake(port(Config), (raw(Config))#{flags => All band bnot Flag})})
     || Flag <- [16#4, 16#10, 16#80, 16#100, 16#200, 16#400, 16#800, 16#10000, 16#20000, 16#40000]],
    undisturbed(Config).

%% 25 accepts it, 27 refuses it; remora may do either, but says so in the protocol's way.
without_v4_nc(Config) ->
    Flags = raw_dist:flags() band bnot raw_dist:flag(v4_nc) band bnot raw_dist:flag(mandatory_25_digest),
    case {raw_dist:handshake(port(Config), (raw(Config))#{flags => Flags}), maps:get(release, nut(Config), remora)} of
        {{ok, Conn}, Release} when Release =/= 27 -> echo(Conn);
        {{error, {status, "not_allowed"}}, Release} when Release =/= 25 -> ok
    end.

without_published(Config) ->
    Hidden = raw_dist:flags() band bnot raw_dist:flag(published),
    Raw = #{name := Name} = raw(Config),
    {ok, Conn} = raw_dist:handshake(port(Config), Raw#{flags => Hidden}),
    echo(Conn),  % the ack may be seen before the connection counts as up
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        ?assert(lists:member(Name, rpc:call(Node, erlang, nodes, [hidden]))),
        ?assertNot(lists:member(Name, rpc:call(Node, erlang, nodes, [])))
    end),
    raw_dist:close(Conn).

hidden_node(Config) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        ?assertEqual(pong, net_adm:ping(Node)),
        ?assert(lists:member(Node, nodes(hidden))),
        ?assertNot(lists:member(Node, nodes()))
    end).

%% ---- refusals: that one connection is closed, and nothing else happens ---------------------------------

wrong_cookie_from_initiator(Config) ->
    ?assertEqual({error, {ack, closed}}, raw_dist:handshake(port(Config), (raw(Config))#{cookie => "wrong"})),
    undisturbed(Config).

wrong_cookie_from_acceptor(Config) ->
    Fake = #{listener := L} = fake(Config),
    Opts = raw(Config, Fake),
    make_dial(Config, Fake, hi),
    S = raw_dist:accept(L),
    _ = raw_dist:recv_name(S),
    ok = raw_dist:send_status(S, "ok"),
    {ok, Theirs} = raw_dist:recv_reply(S, raw_dist:send_challenge(S, Opts), Opts),
    ok = raw_dist:send_ack(S, Theirs, #{cookie => "wrong"}),
    ?assertEqual({error, closed}, gen_tcp:recv(S, 0, 5_000)),
    undisturbed(Config).

wrong_cookie_of_a_real_node(Config) ->
    #{node := Node} = nut(Config),
    Stranger = remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("stranger"), cookie => "wrong"}),
    ?assertEqual(pang, rcall(Stranger, net_adm, ping, [Node])),
    remora_ct:stop(Stranger),
    undisturbed(Config).

%% NameB must equal the name that A dialled.
wrong_name_in_challenge(Config) ->
    Fake = #{listener := L} = fake(Config),
    Opts = raw(Config, Fake),
    make_dial(Config, Fake, hi),
    S = raw_dist:accept(L),
    _ = raw_dist:recv_name(S),
    ok = raw_dist:send_status(S, "ok"),
    Ours = raw_dist:send_challenge(S, Opts#{name => 'somebody_else@127.0.0.1'}),
    ?assertEqual(closed, raw_dist:recv_reply(S, Ours, Opts)),
    undisturbed(Config).

malformed_names(Config) ->
    [begin
         S = raw_dist:dial(port(Config)),
         ok = raw_dist:send_name(S, #{name => Name}),
         ?assertEqual({Name, closed}, {Name, raw_dist:recv_status(S)})
     end || Name <- ['nohost', '@127.0.0.1', 'noname@', 'two@at@127.0.0.1', '']],
    undisturbed(Config).

%% Each phase of both roles at once: nothing, after the name, after the challenge; status, challenge, ack.
silence_ends_after_setuptime(Config) ->
    Port = port(Config),
    Raw = fun() -> raw(Config) end,
    Fakes = [fake(Config) || _ <- [1, 2, 3]],
    [make_dial(Config, Fake, hi) || Fake <- Fakes],
    [NoStatus, NoChallenge, NoAck] = [raw_dist:accept(maps:get(listener, Fake)) || Fake <- Fakes],
    Nothing = raw_dist:dial(Port),
    AfterName = raw_dist:dial(Port),
    ok = raw_dist:send_name(AfterName, Raw()),
    "ok" = raw_dist:recv_status(AfterName),
    #{} = raw_dist:recv_challenge(AfterName),
    [raw_dist:recv_name(S) || S <- [NoStatus, NoChallenge, NoAck]],
    [raw_dist:send_status(S, "ok") || S <- [NoChallenge, NoAck]],
    Opts = raw(Config, lists:nth(3, Fakes)),
    {ok, _} = raw_dist:recv_reply(NoAck, raw_dist:send_challenge(NoAck, Opts), Opts),
    Sockets = [{nothing, Nothing}, {after_name, AfterName}, {no_status, NoStatus},
               {no_challenge, NoChallenge}, {no_ack, NoAck}],
    {Ms, _} = elapsed(fun() ->
        [?assertEqual({Phase, {error, closed}}, {Phase, gen_tcp:recv(S, 0, 10_000)}) || {Phase, S} <- Sockets]
    end),
    ?assert(Ms > 5_000),
    ?assert(Ms < 9_000),
    undisturbed(Config).

%% ---- a second connection under the same name --------------------------------------------------------

alive_false_keeps_the_old(Config) ->
    Raw = raw(Config),
    {ok, Old} = raw_dist:handshake(port(Config), Raw),
    echo(Old),
    S = raw_dist:dial(port(Config)),
    ok = raw_dist:send_name(S, Raw),
    ?assertEqual("alive", raw_dist:recv_status(S)),
    ok = raw_dist:send_status(S, "false"),
    ?assertEqual({error, closed}, gen_tcp:recv(S, 0, 5_000)),
    echo(Old).

%% The old connection is closed before the ack of the new one.
alive_true_replaces_the_old(Config) ->
    Raw = raw(Config),
    {ok, Old} = raw_dist:handshake(port(Config), Raw),
    echo(Old),
    S = raw_dist:dial(port(Config)),
    ok = raw_dist:send_name(S, Raw),
    ?assertEqual("alive", raw_dist:recv_status(S)),
    ok = raw_dist:send_status(S, "true"),
    Them = raw_dist:recv_challenge(S),
    Ours = raw_dist:send_reply(S, Them, Raw),
    ?assertEqual(ok, raw_dist:recv_ack(S, Ours, Raw)),
    ?assert(raw_dist:closed(Old, 100)),
    echo(raw_dist:initiated(S, Them, Raw)).

%% ---- both dial at once ----------------------------------------------------------------------------

%% The connection of the greater name survives: here the node under test says nok and goes on dialling.
simultaneous_nut_greater(Config) ->
    Fake = #{listener := L} = fake(Config, "a"),
    Raw = raw(Config, Fake),
    make_dial(Config, Fake, hi),
    Theirs = raw_dist:accept(L),
    Them = raw_dist:recv_name(Theirs),
    ?assertEqual({error, {status, "nok"}}, raw_dist:handshake(port(Config), Raw)),
    ok = raw_dist:send_status(Theirs, "ok_simultaneous"),
    {ok, Challenge} = raw_dist:recv_reply(Theirs, raw_dist:send_challenge(Theirs, Raw), Raw),
    ok = raw_dist:send_ack(Theirs, Challenge, Raw),
    Conn = raw_dist:accepted(Theirs, Them, Raw),
    ?assertMatch({{6, _, _, x}, hi}, raw_dist:recv_signal(Conn)),
    echo(Conn).

%% Here it gives its own attempt up and accepts ours.
simultaneous_nut_smaller(Config) ->
    Fake = #{listener := L} = fake(Config, "z"),
    Raw = raw(Config, Fake),
    make_dial(Config, Fake, hi),
    Theirs = raw_dist:accept(L),
    _ = raw_dist:recv_name(Theirs),
    S = raw_dist:dial(port(Config)),
    ok = raw_dist:send_name(S, Raw),
    ?assertEqual("ok_simultaneous", raw_dist:recv_status(S)),
    ?assertEqual({error, closed}, gen_tcp:recv(Theirs, 0, 5_000)),
    Them = raw_dist:recv_challenge(S),
    ?assertEqual(ok, raw_dist:recv_ack(S, raw_dist:send_reply(S, Them, Raw), Raw)),
    Conn = raw_dist:initiated(S, Them, Raw),
    ?assertMatch({{6, _, _, x}, hi}, raw_dist:recv_signal(Conn)),
    echo(Conn).

%% nok is not a failure: what waited for the connection goes out on the one that comes in.
nok_then_incoming(Config) ->
    Fake = #{listener := L} = fake(Config, "z"),
    Raw = raw(Config, Fake),
    make_dial(Config, Fake, hi),
    Theirs = raw_dist:accept(L),
    _ = raw_dist:recv_name(Theirs),
    ok = raw_dist:send_status(Theirs, "nok"),
    gen_tcp:close(Theirs),
    {ok, Conn} = raw_dist:handshake(port(Config), Raw),
    ?assertMatch({{6, _, _, x}, hi}, raw_dist:recv_signal(Conn)),
    echo(Conn).

simultaneous_100_times_nut_greater(Config) -> simultaneous_100_times(Config).
simultaneous_100_times_nut_smaller(Config) -> simultaneous_100_times(Config).

%% Two real nodes, one of them the node under test: a third makes it dial while the other one dials it.
simultaneous_100_times(Config) ->
    #{node := Node} = nut(Config),
    Peer = #{node := PeerNode} = peer(1, Config),
    Third = peer(2, Config),
    ok = connect(Third, nut(Config)),
    Inbox = remora_ct:unique("inbox"),
    InboxPid = rcall(Peer, erlang, spawn, [?MODULE, inbox, []]),
    true = rcall(Peer, erlang, register, [Inbox, InboxPid]),
    [begin
         disconnect(Peer, PeerNode, Third, Node),
         Request = {send, {Inbox, PeerNode}, Round},
         Dial = rcall(Third, erlang, spawn, [gen_server, call, [{trapper, Node}, Request]]),
         ?assert(is_pid(Dial)),
         ?assertEqual({Round, pong}, {Round, rcall(Peer, net_adm, ping, [Node])}),
         ?assertEqual(Round, rcall(Peer, ?MODULE, last_of, [Inbox]))
     end || Round <- lists:seq(1, 100)],
    rcall(Peer, erlang, exit, [InboxPid, kill]),
    ok.

%% Until both sides know it: what is sent while one still believes in the old connection is rightly lost.
%% A late message of `global' or `pg' may have dialled again, so it is told again.
disconnect(Peer, PeerNode, Third, Node) ->
    wait_until(fun() ->
        rcall(Peer, erlang, disconnect_node, [Node]),
        not lists:member(Node, rcall(Peer, erlang, nodes, [connected])) andalso
        not lists:member(PeerNode, rcall(Third, rpc, call, [Node, erlang, nodes, []]))
    end, 5_000).

%% A process that keeps the last thing sent to it.
inbox() ->
    receive Round when is_integer(Round) ->
        receive {From, last} -> From ! {last, Round} end,
        inbox()
    end.

last_of(Name) ->
    Name ! {self(), last},
    receive {last, Round} -> Round after 10_000 -> timeout end.

%% ---- restart and names ---------------------------------------------------------------------------------

restart_within_a_second(Config) ->
    Nut = #{node := Node} = nut(Config),
    Peer = peer(1, Config),
    connect(Peer, Nut),
    OldEcho = rcall(Peer, rpc, call, [Node, erlang, whereis, [echo]]),
    remora_ct:kill(Nut),
    {Ms, Again} = elapsed(fun() ->
        New = remora_ct:start_node_like_nut(Config, maps:get(opts, Nut)),
        connect(Peer, New),
        New
    end),
    ?assertNotEqual(OldEcho, rcall(Peer, rpc, call, [Node, erlang, whereis, [echo]])),
    remora_ct:stop(Again),
    ?assert(Ms < case remora_ct:nut_kind() of remora -> 1_000; beam -> 3_000 end).

%% A node that asks for its name: it has one as soon as it is connected, is hidden, and can call.
dynamic_name_of_a_real_node(Config) ->
    #{node := Node} = nut(Config),
    Eval = io_lib:format("N = '~s', true = net_kernel:connect_node(N), "
                         "io:format(\"~~p.~~n\", [{node(), nodes(hidden), rpc:call(N, erlang, node, [])}]), halt().", [Node]),
    Env = [{"ERL_EPMD_PORT", integer_to_list(remora_ct:epmd_port(Config))}],
    Asking = remora_ct:start_program(os:find_executable("erl"),
        ["-noshell", "-start_epmd", "false", "-name", "undefined@127.0.0.1", "-setcookie", remora_ct:cookie(Config),
         "-eval", lists:flatten(Eval)], Env, filename:join(maps:get(dir, remora_ct:opts(Config)), "dynamic.log")),
    {line, Line} = remora_ct:await_line(Asking, 10_000),
    {ok, Tokens, _} = erl_scan:string(binary_to_list(iolist_to_binary(Line))),
    {ok, {Given, Hidden, Answer}} = erl_parse:parse_term(Tokens),
    ?assertEqual([Node], Hidden),
    ?assertEqual(Node, Answer),
    ?assertMatch([_, "127.0.0.1"], string:split(atom_to_list(Given), "@")).

%% NAME_ME: we say only our host and learn our name and creation.
dynamic_name(Config) ->
    S = raw_dist:dial(port(Config)),
    Flags = (raw_dist:flags() bor raw_dist:flag(name_me)) band bnot raw_dist:flag(published),
    ok = raw_dist:send_name(S, #{name => '127.0.0.1', flags => Flags, creation => 0}),
    "named:" ++ Rest = raw_dist:recv_status(S),
    <<N:16, Name:N/binary, Creation:32>> = list_to_binary(Rest),
    ?assertMatch([_, <<"127.0.0.1">>], binary:split(Name, <<"@">>)),
    ?assert(Creation >= 4),
    Raw = (raw(Config))#{name => binary_to_atom(Name), creation => Creation, flags => Flags},
    Them = raw_dist:recv_challenge(S),
    ?assertEqual(ok, raw_dist:recv_ack(S, raw_dist:send_reply(S, Them, Raw), Raw)),
    echo(raw_dist:initiated(S, Them, Raw)).

%% ---- helpers ---------------------------------------------------------------------------------------

port(Config) -> maps:get(port, nut(Config)).

raw(Config) -> raw(Config, #{node => raw_name("raw")}).
raw(Config, #{node := Name}) ->
    #{name => Name, peer => maps:get(node, nut(Config)), cookie => remora_ct:cookie(Config)}.

raw_name(Prefix) -> list_to_atom(atom_to_list(remora_ct:unique(Prefix)) ++ "@127.0.0.1").

%% A node that exists only in epmd and as a listening socket of this process.
fake(Config) -> fake(Config, "fake").
fake(Config, Prefix) ->
    {L, Port} = raw_dist:listen(),
    Node = raw_name(Prefix),
    [Short, _] = string:lexemes(atom_to_list(Node), "@"),
    {ok, Registration, _} = raw_dist:epmd_register(remora_ct:epmd_port(Config), Short, Port),
    #{node => Node, listener => L, registration => Registration}.

%% The node under test is asked to send Msg to the name x there; the answer is not waited for.
make_dial(Config, #{node := Fake}, Msg) ->
    #{node := Node} = nut(Config),
    ok = connect(peer(1, Config), nut(Config)),
    Request = {send, {x, Fake}, Msg},
    Pid = rcall(peer(1, Config), erlang, spawn, [gen_server, call, [{trapper, Node}, Request]]),
    ?assert(is_pid(Pid)).

undisturbed(Config) ->
    ?assertEqual(pong, rcall(peer(1, Config), net_adm, ping, [maps:get(node, nut(Config))])),
    {ok, Conn} = raw_dist:handshake(port(Config), raw(Config)),
    echo(Conn),
    raw_dist:close(Conn).

mandatory(Flags) ->
    Mandatory = 16#4_03070f94,
    ?assertEqual(Mandatory, Flags band Mandatory).

echo(Conn = #{name := Name, creation := Creation}) ->
    Self = raw_dist:pid(Name, Creation, 1),
    ok = raw_dist:send(Conn, {6, Self, '', echo}, {Self, hello}),
    ?assertMatch({{_, _, Self}, {echo, hello}}, raw_dist:recv_signal(Conn)).
