%% epmd_SUITE: registration with epmd (protocol: EPMD requests ALIVE2, PORT_PLEASE2, NAMES; checklist line
%% "register, duplicate refused, lookup, names, epmd restart keeps creation"). epmd is asked by raw_dist, so
%% what it says is seen byte by byte.
-module(epmd_SUITE).
-include("suite.hrl").

cases() ->
    [registers, is_listed, hidden_registers_too, duplicate_is_refused, leaves_when_terminated,
     leaves_when_killed, new_incarnation_has_new_creation, epmd_restart_keeps_creation, fixed_port,
     without_epmd, exit_codes_tell_causes_apart, terminates_when_lifeline_closes].

peers() -> [#{}].

nut_opts(hidden_registers_too) -> #{hidden => true};
nut_opts(_) -> #{}.

registers(Config) ->
    #{port := Port} = Nut = nut(Config),
    {ok, Found} = raw_dist:epmd_lookup(remora_ct:epmd_port(Config), short(Nut)),
    ?assertMatch(#{port := Port, type := 77, protocol := 0, high := 6}, Found),
    ?assert(maps:get(low, Found) =< 6),
    ?assertEqual(list_to_binary(short(Nut)), maps:get(name, Found)).

is_listed(Config) ->
    Nut = nut(Config),
    Names = raw_dist:epmd_names(remora_ct:epmd_port(Config)),
    ?assertEqual({short(Nut), maps:get(port, Nut)}, lists:keyfind(short(Nut), 1, Names)).

%% Visibility is decided by the handshake alone; epmd is told the same (protocol 1.2).
hidden_registers_too(Config) ->
    Nut = #{node := Node} = nut(Config),
    ?assertMatch({ok, #{type := 77}}, raw_dist:epmd_lookup(remora_ct:epmd_port(Config), short(Nut))),
    run(peer(1, Config), fun() ->
        ?assertEqual(pong, net_adm:ping(Node)),
        ?assert(lists:member(Node, nodes(hidden))),
        ?assertNot(lists:member(Node, nodes()))
    end).

duplicate_is_refused(Config) ->
    Nut = nut(Config),
    refused(Config, #{name => list_to_atom(short(Nut))}),
    connect(peer(1, Config), Nut).

leaves_when_terminated(Config) ->
    Nut = nut(Config),
    remora_ct:stop(Nut),
    unregistered(Config, Nut).

leaves_when_killed(Config) ->
    Nut = nut(Config),
    remora_ct:kill(Nut),
    unregistered(Config, Nut).

new_incarnation_has_new_creation(Config) ->
    Nut = #{creation := Creation} = nut(Config),
    ?assert(Creation >= 4),
    ?assertEqual(Creation, creation_in_handshake(Config, Nut)),
    remora_ct:kill(Nut),
    unregistered(Config, Nut),
    Again = remora_ct:start_node_like_nut(Config, #{name => list_to_atom(short(Nut))}),
    Creation2 = creation_in_handshake(Config, Again),
    remora_ct:stop(Again),
    ?assertNotEqual(Creation, Creation2).

%% Connections outlive epmd; the name is back within 3 s of epmd's return; the creation stays for life.
epmd_restart_keeps_creation(Config) ->
    Dir = proplists:get_value(priv_dir, Config),
    Epmd = #{port := EpmdPort} = remora_ct:start_epmd(Dir),
    Nut = #{port := Port} = remora_ct:start_node_like_nut(Config, #{epmd_port => EpmdPort}),
    Before = creation_in_handshake(Config, Nut),
    {ok, Conn} = raw_dist:handshake(Port, raw(Config, Nut, 'witness@127.0.0.1')),
    remora_ct:stop(Epmd),
    echo(Conn),
    Epmd2 = remora_ct:start_epmd(Dir, EpmdPort),
    {Ms, _} = elapsed(fun() ->
        wait_until(fun() -> {error, 1} =/= raw_dist:epmd_lookup(EpmdPort, short(Nut)) end, 5_000)
    end),
    ?assert(Ms < 3_000),
    ?assertMatch({ok, #{port := Port}}, raw_dist:epmd_lookup(EpmdPort, short(Nut))),
    ?assertEqual(Before, creation_in_handshake(Config, Nut)),
    echo(Conn),
    remora_ct:stop(Nut),
    remora_ct:stop(Epmd2).

fixed_port(Config) ->
    Port = remora_ct:free_port(),
    Node = remora_ct:start_node_like_nut(Config, #{port => Port}),
    ?assertMatch({ok, #{port := Port}}, raw_dist:epmd_lookup(remora_ct:epmd_port(Config), short(Node))),
    remora_ct:stop(Node).

%% There is no epmd at this port, and nobody misses it.
without_epmd(Config) ->
    Port = remora_ct:free_port(),
    Node = remora_ct:start_node_like_nut(Config, #{port => Port, no_epmd => true,
                                                   epmd_port => remora_ct:free_port()}),
    ?assert(creation_in_handshake(Config, Node#{port := Port}) >= 4),
    remora_ct:stop(Node).

exit_codes_tell_causes_apart(Config) ->
    case remora_ct:nut_kind() of
        beam -> {skip, "an OTP node has one exit code for all"};
        remora ->
            Nut = nut(Config),
            {ok, Busy} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
            {ok, BusyPort} = inet:port(Busy),
            Codes = [refused(Config, #{name => list_to_atom(short(Nut))}),
                     refused(Config, #{epmd_port => remora_ct:free_port()}),
                     refused(Config, #{port => BusyPort}),
                     refused(Config, #{args => ["--no-such-flag"]})],
            gen_tcp:close(Busy),
            ?assertEqual(4, length(lists:usort(Codes))),
            ?assertNot(lists:member(0, Codes))
    end.

terminates_when_lifeline_closes(Config) ->
    case remora_ct:nut_kind() of
        beam -> {skip, "an OTP node has no --lifeline"};
        remora ->
            Nut = nut(Config),
            remora_ct:close_stdin(Nut),
            unregistered(Config, Nut),
            wait_until(fun() -> not remora_ct:alive(Nut) end, 5_000)
    end.

%% A node with these options does not come up. remora says why in its log and by its exit code.
refused(Config, Opts) ->
    case remora_ct:nut_kind() of
        beam -> ?assertError({no_peer, _, _, _, _}, remora_ct:start_node_like_nut(Config, Opts));
        remora ->
            Node = remora_ct:start_node_like_nut(Config, Opts#{ready => false}),
            Status = remora_ct:await_exit(Node, 10_000),
            ?assertNotEqual([], remora_ct:log_lines(Node)),
            Status
    end.

unregistered(Config, Nut) ->
    wait_until(fun() -> {error, 1} =:= raw_dist:epmd_lookup(remora_ct:epmd_port(Config), short(Nut)) end, 5_000).

creation_in_handshake(Config, Nut = #{port := Port}) ->
    {ok, Conn = #{them := #{creation := Creation}}} =
        raw_dist:handshake(Port, raw(Config, Nut, 'asks_creation@127.0.0.1')),
    raw_dist:close(Conn),
    Creation.

raw(Config, #{node := Node}, Name) -> #{name => Name, peer => Node, cookie => remora_ct:cookie(Config)}.

echo(Conn = #{name := Name, creation := Creation}) ->
    Self = raw_dist:pid(Name, Creation, 1),
    ok = raw_dist:send(Conn, {6, Self, '', echo}, {Self, hello}),
    ?assertMatch({{_, _, Self}, {echo, hello}}, raw_dist:recv_signal(Conn)).

short(#{node := Node}) -> hd(string:lexemes(atom_to_list(Node), "@")).
