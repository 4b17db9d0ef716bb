%% program_SUITE: the program as people and scripts meet it: what it prints where, its exit codes, its configuration and
%% cookie, its last moments. Every mistake is answered by what was tried, what was found and what to do.
-module(program_SUITE).
-define(NO_NUT, true).
-include("suite.hrl").
-include_lib("kernel/include/file.hrl").

cases() ->
    [ping, names, nodes, status, call, call_arguments, json_of_every_command,
     no_such_node, no_such_function, wrong_arguments, client_with_wrong_cookie, node_with_wrong_cookie,
     no_epmd, mute_epmd, global_names, name_taken, address_in_use, no_such_address, wrong_names,
     a_service_is_killed, leaves_on_sigterm, leaves_on_sigint, leaves_with_lifeline, no_lifeline_to_watch,
     config_file, config_mistakes, command_line_wins,
     cookie_is_created, cookie_in_xdg_place, cookie_order, cookie_file_mistakes, cookie_of_systemd, cookie_is_never_told,
     ready_is_the_only_line, json_logs, full_disk, closed_output, version_and_help].

peers() -> [#{}, #{}].

%% ---- clients -------------------------------------------------------------------------------------------

ping(Config) ->
    [begin
         {0, [Line], []} = client(Config, ["ping", text(Node)]),
         match(Line, "^pong from " ++ text(Node) ++ " in [0-9.]+ ms$")
     end || #{node := Node} <- remora_ct:peers(Config)].

names(Config) ->
    #{node := Node, port := Port} = peer(1, Config),
    {0, Lines, []} = client(Config, ["names"]),
    ?assert(lists:member(short(Node) ++ " at port " ++ integer_to_list(Port), Lines)),
    ?assertEqual({0, Lines, []}, client(Config, ["names", "localhost"])).

nodes(Config) ->
    [#{node := A} = PeerA, #{node := B} = PeerB] = remora_ct:peers(Config),
    connect(PeerA, PeerB),
    Hidden = start_remora(Config, ["--hidden"]),
    connect(PeerA, Hidden),
    {0, Lines, []} = client(Config, ["nodes", text(A)]),
    ?assert(lists:member(text(B), Lines)),
    ?assert(lists:member(text(maps:get(node, Hidden)) ++ " (hidden)", Lines)),
    ?assertEqual([], [L || L <- Lines, string:find(L, "remora-") =/= nomatch]),
    ?assertEqual(0, remora_ct:stop(Hidden)).

status(Config) ->
    #{node := Node, release := Release} = peer(1, Config),
    {0, [Otp], []} = client(Config, ["status", text(Node)]),
    match(Otp, "otp_release => \"" ++ integer_to_list(Release) ++ "\""),
    with_remora(Config, [], fun(#{node := Remora, creation := Creation}) ->
        {0, [Line], []} = client(Config, ["status", text(Remora)]),
        match(Line, "creation => " ++ integer_to_list(Creation)),
        match(Line, "version => <<\"[0-9.]+\">>")
    end).

call(Config) ->
    #{node := Node} = peer(1, Config),
    Call = fun(Arguments) -> client(Config, ["call", text(Node) | Arguments]) end,
    ?assertEqual({0, ["[1,2,3]"], []}, Call(["lists", "seq", "1", "3"])),
    ?assertEqual({0, ["'" ++ text(Node) ++ "'"], []}, Call(["erlang", "node"])),
    ?assertEqual({0, ["ok"], ["out of the function"]}, Call(["io", "put_chars", "\"out of the function\\n\""])),
    ?assertMatch({0, ["#Pid<" ++ _], []}, Call(["erlang", "whereis", "init"])).

%% What a shell hands over: several terms in one argument, negative numbers, atoms in need of quotes, options' looks.
call_arguments(Config) ->
    #{node := Node} = peer(1, Config),
    Echo = fun(Arguments) -> client(Config, ["call", text(Node), "erlang", "list_to_tuple" | Arguments]) end,
    ?assertEqual({0, ["{1,2}"], []}, Echo(["[1, 2]"])),
    ?assertEqual({0, ["-3"], []}, client(Config, ["call", text(Node), "erlang", "-", "3"])),
    ?assertEqual({0, ["-3"], []}, client(Config, ["call", text(Node), "erlang", "+", "-1", "-2"])),
    ?assertEqual({0, ["-1.5"], []}, client(Config, ["call", text(Node), "erlang", "+", "-1.0, -0.5"])),
    ?assertEqual({0, ["{-1,'an Atom',<<\"bin\">>,\"text\",#{a => [b|c]}}"], []},
                 Echo(["[-1, 'an Atom', <<\"bin\">>, \"text\", #{a => [b | c]}]"])),
    ?assertEqual({0, ["[255,1]"], []}, client(Config, ["call", text(Node), "lists", "append", "[16#ff], [1]"])).

json_of_every_command(Config) ->
    #{node := Node} = peer(1, Config),
    Json = fun(Arguments) ->
        {0, [Line], []} = client(Config, Arguments),
        {ok, Value} = json_text:decode(Line),
        Value
    end,
    NodeText = list_to_binary(text(Node)),
    #{<<"node">> := NodeText, <<"answer">> := <<"pong">>, <<"ms">> := Ms} = Json(["ping", "--json", text(Node)]),
    ?assert(is_float(Ms)),
    ?assertMatch([#{<<"name">> := _, <<"port">> := _} | _], Json(["names", "--json"])),
    #{<<"node">> := NodeText, <<"visible">> := V, <<"hidden">> := H} = Json(["nodes", "--json", text(Node)]),
    ?assert(is_list(V) andalso is_list(H)),
    ?assertMatch(#{<<"otp_release">> := _, <<"processes">> := _}, Json(["status", "--json", text(Node)])),
    ?assertMatch(#{<<"a">> := [1, 2.5, <<"x">>, true]},
                 Json(["call", text(Node), "maps", "from_list", "[{a, [1, 2.5, <<\"x\">>, true]}]", "--json"])),
    with_remora(Config, [], fun(#{node := Remora}) ->
        ?assertMatch(#{<<"version">> := _, <<"uptime_ms">> := _}, Json(["status", "--json", text(Remora)]))
    end).

no_such_node(Config) ->
    {1, [], [Unknown]} = client(Config, ["ping", "nobody@127.0.0.1"]),
    match(Unknown, "^remora: cannot connect to nobody@127.0.0.1: .*nobody"),
    {1, [], [NoHost]} = client(Config, ["ping", "nobody@no-such-host.invalid"]),
    match(NoHost, "no-such-host.invalid"),
    {1, [], [NoEpmd]} = client(Config, ["ping", "nobody@127.0.0.1", "--epmd-port", integer_to_list(remora_ct:free_port())]),
    match(NoEpmd, "epmd").

no_such_function(Config) ->
    #{node := Node} = peer(1, Config),
    {1, [], [Undef]} = client(Config, ["call", text(Node), "nomod", "nofun", "1"]),
    match(Undef, "nomod:nofun/1 on " ++ text(Node) ++ " failed: .*undef"),
    {1, [], [Raised]} = client(Config, ["call", text(Node), "erlang", "hd", "[]"]),
    match(Raised, "badarg").

%% Exit code 2, nothing on standard output, and the way out.
wrong_arguments(Config) ->
    #{node := Node} = peer(1, Config),
    [begin
         {2, [], Lines} = client(Config, Arguments),
         match(lists:join(" ", Lines), Text)
     end || {Arguments, Text} <-
        [{[], "subcommand"}, {["no-such-command"], "no-such-command|subcommand"}, {["ping"], "NODE"}, {["ping", "nohost"], "NAME@HOST"},
         {["ping", "a@b@c"], "NAME@HOST"}, {["ping", "--no-such-option", text(Node)], "no-such-option"},
         {["call", text(Node)], "MODULE"}, {["call", text(Node), "m"], "FUNCTION"},
         {["call", text(Node), "lists", "reverse", "[1"], "\\[1 is no Erlang term"},
         {["ping", text(Node), "--timeout", "0"], "timeout"}, {["ping", text(Node), "--port", "70000"], "port"},
         {["ping", text(Node), "--epmd-port", "x"], "epmd-port"}, {["run"], "--name"}, {["run", "--name", "x@127.0.0.1", "--port", "-1"], "port"}]].

client_with_wrong_cookie(Config) ->
    #{node := Node} = peer(1, Config),
    {1, [], [Line]} = client(Config, ["ping", text(Node)], [{"REMORA_COOKIE", "notthecookie"}]),
    match(Line, "cookie differs.*--cookie-file"),
    ?assertEqual(nomatch, string:find(Line, "notthecookie")).

%% One clear line, and nobody else is disturbed.
node_with_wrong_cookie(Config) ->
    Peer = #{node := Asking} = peer(1, Config),
    with_remora(Config, [], fun(Remora = #{node := Node}) ->
        run(Peer, fun() -> true = erlang:set_cookie(Node, wrong_cookie) end),
        ?assertEqual(pang, rcall(Peer, net_adm, ping, [Node])),
        connect(peer(2, Config), Remora),
        wait_until(fun() -> [] =/= about(Asking, Remora) end, 5_000),
        [Line] = about(Asking, Remora),
        match(Line, "cookie"),
        Cookie = remora_ct:cookie(Config),
        run(Peer, fun() -> true = erlang:set_cookie(Node, list_to_atom(Cookie)) end),
        ?assertEqual(pong, rcall(Peer, net_adm, ping, [Node]))
    end).

about(Node, Remora) -> [L || L <- remora_ct:log_lines(Remora), string:find(L, text(Node)) =/= nomatch,
                             string:find(L, "warning") =/= nomatch].

%% ---- start ----------------------------------------------------------------------------------------------

no_epmd(Config) ->
    Port = integer_to_list(remora_ct:free_port()),
    {4, [], Lines} = client(Config, ["run", "--name", "x@127.0.0.1", "--epmd-port", Port]),
    match(Lines, "no epmd .*port " ++ Port ++ ".*epmd -daemon"),
    {1, [], Names} = client(Config, ["names", "--epmd-port", Port]),
    match(Names, "port " ++ Port ++ ".*epmd -daemon").

%% Something accepts on that port and never says a word.
mute_epmd(Config) ->
    {ok, Mute} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {backlog, 10}]),
    {ok, Port} = inet:port(Mute),
    {4, [], Lines} = client(Config, ["run", "--name", "x@127.0.0.1", "--epmd-port", integer_to_list(Port)]),
    match(Lines, "port " ++ integer_to_list(Port) ++ " does not answer.*epmd -daemon"),
    gen_tcp:close(Mute).

%% The registry is asked of an OTP node and of a remora node alike.
global_names(Config) ->
    Peer = #{node := PeerNode} = peer(1, Config),
    Pid = run(Peer, fun() -> P = spawn(timer, sleep, [infinity]), yes = global:register_name({shard, 1}, P), P end),
    with_remora(Config, [], fun(#{node := Node} = Remora) ->
        remora_ct:connect(Peer, Remora),
        [begin
             Shown = wait_until(fun() ->
                 case client(Config, ["whereis", "{shard,1}", "--node", text(Asked)]) of
                     {0, [Line], []} -> Line;
                     _ -> false
                 end
             end, 10_000),
             ?assertNotEqual(nomatch, string:find(Shown, text(node(Pid)))),
             ?assertMatch({0, ["{shard,1}"], []}, client(Config, ["registered", text(Asked)])),
             {1, [], Nobody} = client(Config, ["whereis", "nobody", "--node", text(Asked)]),
             match(Nobody, "knows no nobody")
         end || Asked <- [PeerNode, Node]]
    end),
    {2, [], Wrong} = client(Config, ["whereis", "{a", "--node", text(PeerNode)]),
    match(Wrong, "no Erlang term"),
    run(Peer, fun() -> global:unregister_name({shard, 1}) end).

name_taken(Config) ->
    with_remora(Config, [], fun(#{node := Node}) ->
        {3, [], Lines} = client(Config, ["run", "--name", text(Node)]),
        match(Lines, "refused the name " ++ text(Node) ++ ".*choose another"),
        ?assertMatch({0, _, _}, client(Config, ["ping", text(Node)]))
    end),
    {3, [], _} = client(Config, ["run", "--name", text(maps:get(node, peer(1, Config)))]).

address_in_use(Config) ->
    with_remora(Config, [], fun(#{port := Port}) ->
        {5, [], Lines} = client(Config, ["run", "--name", "x@127.0.0.1", "--port", integer_to_list(Port)]),
        match(Lines, "port " ++ integer_to_list(Port) ++ ".*another --port")
    end).

no_such_address(Config) ->
    {6, [], Lines} = client(Config, ["run", "--name", "x@127.0.0.1", "--listen", "192.0.2.1"]),
    match(Lines, "192.0.2.1"),
    {6, [], Other} = client(Config, ["run", "--name", "x@127.0.0.1", "--listen", "localhost"]),
    match(Other, "localhost").

wrong_names(Config) ->
    [begin
         {2, [], Lines} = client(Config, ["run" | Arguments]),
         match(Lines, Text)
     end || {Arguments, Text} <-
        [{["--name", "nohost"], "no host.*nohost@HOST"}, {["--name", "a@b@c"], "a@b@c"}, {["--name", "@h"], "@h"},
         {["--name", "a@"], "a@"}, {["--name", lists:duplicate(256, $a) ++ "@h"], "255"},
         {["--name", "a@h", "--sname", "a"], "one name"}, {["--sname", "a@h.example"], "--name"},
         {["--name", <<255, "@h">>], "node name"}]].

%% ---- end --------------------------------------------------------------------------------------------------

%% As an OTP node ends when a process of its kernel does: not half a node stays.
a_service_is_killed(Config) ->
    Peer = peer(1, Config),
    [begin
         Remora = #{node := Node} = start_remora(Config, []),
         remora_ct:connect(Peer, Remora),
         Pid = rcall(Peer, rpc, call, [Node, erlang, whereis, [Service]]),
         rcall(Peer, erlang, exit, [Pid, kill]),
         ?assertEqual(1, remora_ct:await_exit(Remora, 10_000)),
         wait_until(fun() -> not lists:member(Node, rcall(Peer, erlang, nodes, [])) end, 10_000),
         remora_ct:stop(Remora)
     end || Service <- [net_kernel, rex, global_name_server, remora_names, remora]].

leaves_on_sigterm(Config) -> leaves(Config, fun remora_ct:terminate/1).
leaves_on_sigint(Config) -> leaves(Config, fun remora_ct:interrupt/1).

leaves(Config, Signal) ->
    Remora = #{node := Node} = start_remora(Config, []),
    connect(peer(1, Config), Remora),
    connect(peer(2, Config), Remora),
    Signal(Remora),
    ?assertEqual(0, remora_ct:await_exit(Remora, 5_000)),
    gone(Config, Node),
    remora_ct:stop(Remora).

leaves_with_lifeline(Config) ->
    Log = log(Config),
    Script = "sleep 0.2 | { \"$0\" run --name \"$1\" --lifeline stdin; echo status $?; }",
    Name = text(remora_ct:unique("lifeline")) ++ "@127.0.0.1",
    Shell = remora_ct:start_program("/bin/sh", ["-c", Script, bin(), Name], env(Config), Log),
    {line, <<"{\"event\":\"ready\"", _/binary>>} = remora_ct:await_line(Shell, 5_000),
    ?assertEqual({line, <<"status 0">>}, remora_ct:await_line(Shell, 5_000)),
    match(remora_ct:log_lines(Shell), "lifeline ended"),
    gone(Config, list_to_atom(Name)),
    remora_ct:stop(Shell).

%% What is closed, or at its end already, has ended.
no_lifeline_to_watch(Config) ->
    [begin
         {0, _, Lines} = shell(Config, "\"$0\" run --name x@127.0.0.1 --lifeline stdin " ++ Redirection),
         match(Lines, "lifeline ended")
     end || Redirection <- ["</dev/null", "<&-"]],
    {2, [], Unknown} = client(Config, ["run", "--name", "x@127.0.0.1", "--lifeline", "parent"]),
    match(Unknown, "there is: stdin").

gone(Config, Node) ->
    wait_until(fun() -> {error, 1} =:= raw_dist:epmd_lookup(remora_ct:epmd_port(Config), short(Node)) end, 5_000),
    [wait_until(fun() -> not lists:member(Node, rcall(Peer, erlang, nodes, [])) end, 5_000)
     || Peer <- remora_ct:peers(Config)].

%% ---- configuration -----------------------------------------------------------------------------------------

config_file(Config) ->
    Port = remora_ct:free_port(),
    File = file(Config, "good.toml", ["name = \"configured@127.0.0.1\"\nport = ", integer_to_list(Port),
                                      "\nhidden = true\nnet-setuptime = 3\nlog-level = \"debug\"\n"]),
    Remora = remora_ct:start_ready(bin(), ["run", "--config", File, "--lifeline", "stdin"], env(Config), log(Config)),
    ?assertMatch(#{node := 'configured@127.0.0.1', port := Port}, Remora),
    connect(peer(1, Config), Remora),
    ?assert(lists:member('configured@127.0.0.1', rcall(peer(1, Config), erlang, nodes, [hidden]))),
    ?assertEqual(0, remora_ct:stop(Remora)).

config_mistakes(Config) ->
    [begin
         File = file(Config, "bad.toml", Text),
         {2, [], Lines} = client(Config, ["run", "--config", File]),
         match(Lines, "bad.toml.*" ++ Expected)
     end || {Text, Expected} <-
        [{"name = \"a@127.0.0.1\"\nhiden = true\n", "line 2.*hiden.*there are: name, .*hidden"},
         {"port = \"1\"\n", "line 1.*port must be a whole number"}, {"hidden = 1\n", "hidden must be true or false"},
         {"name = [\n", "line [12]"}, {"name = 7\n", "name must be a string"}]],
    {2, [], Missing} = client(Config, ["run", "--config", "/no/such/file.toml"]),
    match(Missing, "/no/such/file.toml"),
    [begin
         File = file(Config, "range.toml", ["name = \"a@127.0.0.1\"\n", Line]),
         {2, [], Lines} = client(Config, ["run", "--config", File]),
         match(Lines, Expected)
     end || {Line, Expected} <-
        [{"port = 65536", "port 65536"}, {"net-ticktime = 1", "4 to 86400"}, {"net-setuptime = 0", "net-setuptime"},
         {"log-level = \"loud\"", "loud.*debug"}, {"log-format = \"xml\"", "xml.*json"}, {"no-epmd = true", "--port"},
         {"outbox-low-mark = 0", "outbox-low-mark"}, {"outbox-low-mark = 99999999", "must not decrease"}]].

command_line_wins(Config) ->
    File = file(Config, "wins.toml", "name = \"file@127.0.0.1\"\nlog-level = \"none\"\n"),
    Remora = remora_ct:start_ready(bin(), ["run", "--config", File, "--name", "line@127.0.0.1", "--lifeline", "stdin"],
                                   env(Config), log(Config)),
    ?assertMatch(#{node := 'line@127.0.0.1'}, Remora),
    ?assertEqual(0, remora_ct:stop(Remora)).

%% ---- cookie --------------------------------------------------------------------------------------------------

%% As OTP creates it, and OTP takes it.
cookie_is_created(Config) ->
    Home = home(Config),
    Remora = #{node := Node} = start_at(Config, Home, []),
    File = filename:join(Home, ".erlang.cookie"),
    {ok, #file_info{mode = Mode}} = file:read_file_info(File),
    ?assertEqual(8#400, Mode band 8#777),
    {ok, Cookie} = file:read_file(File),
    match(Cookie, "^[A-Z]{20}$"),
    ?assertMatch({0, _, _}, client(Config, ["ping", text(Node)], env_at(Home))),
    ?assertMatch({0, _, _}, client(Config, ["ping", text(Node)], [{"REMORA_COOKIE", binary_to_list(Cookie)}])),
    ?assertEqual({ok, Cookie}, file:read_file(File)),
    ?assertEqual(0, remora_ct:stop(Remora)).

cookie_in_xdg_place(Config) ->
    Home = home(Config),
    Xdg = filename:join([Home, "config", "erlang", ".erlang.cookie"]),
    cookie_file(Xdg, remora_ct:cookie(Config)),
    Env = [{"XDG_CONFIG_HOME", filename:join(Home, "config")} | env_at(Home)],
    ?assertMatch({0, _, _}, client(Config, ["ping", peer_text(Config)], Env)),
    ?assertEqual({error, enoent}, file:read_file_info(filename:join(Home, ".erlang.cookie"))),
    Default = home(Config),
    cookie_file(filename:join([Default, ".config", "erlang", ".erlang.cookie"]), remora_ct:cookie(Config)),
    ?assertMatch({0, _, _}, client(Config, ["ping", peer_text(Config)], env_at(Default))).

%% --cookie-file, REMORA_COOKIE, the home directory, the XDG place: the first that there is counts.
cookie_order(Config) ->
    Home = home(Config),
    Right = remora_ct:cookie(Config),
    Ping = fun(Arguments, Env) ->
        {Status, _, _} = client(Config, ["ping", peer_text(Config) | Arguments], Env ++ env_at(Home)), Status
    end,
    cookie_file(filename:join([Home, ".config", "erlang", ".erlang.cookie"]), Right),
    ?assertEqual(0, Ping([], [])),
    cookie_file(filename:join(Home, ".erlang.cookie"), "wrong"),
    ?assertEqual(1, Ping([], [])),
    ?assertEqual(0, Ping([], [{"REMORA_COOKIE", Right}])),
    cookie_file(filename:join(Home, "given"), "wrong"),
    ?assertEqual(1, Ping(["--cookie-file", filename:join(Home, "given")], [{"REMORA_COOKIE", Right}])).

cookie_file_mistakes(Config) ->
    Home = home(Config),
    File = filename:join(Home, ".erlang.cookie"),
    [begin
         file:delete(File),
         cookie_file(File, Text),
         ok = file:change_mode(File, Mode),
         {2, [], Lines} = client(Config, ["run", "--name", "x@127.0.0.1"], env_at(Home)),
         match(Lines, Expected),
         ?assertEqual(nomatch, string:find(Lines, "SECRET"))
     end || {Text, Mode, Expected} <-
        [{"SECRET", 8#440, "read by others.*chmod 400 " ++ File}, {"SECRET", 8#404, "chmod 400"},
         {"", 8#400, "is empty"}, {"SECRET\nSECRET", 8#400, "more than one line"},
         {lists:duplicate(256, $S) ++ "ECRET", 8#400, "at most 255"}]],
    {2, [], Missing} = client(Config, ["run", "--name", "x@127.0.0.1", "--cookie-file", "/no/such/cookie"]),
    match(Missing, "/no/such/cookie"),
    {2, [], Folder} = client(Config, ["run", "--name", "x@127.0.0.1", "--cookie-file", Home]),
    match(Folder, "no regular file"),
    {2, [], Homeless} = client(Config, ["ping", peer_text(Config)],
                               [{"REMORA_COOKIE", false}, {"HOME", "/proc/no/home"}, {"XDG_CONFIG_HOME", false}]),
    match(Homeless, "cannot be created.*--cookie-file"),
    {2, [], Nowhere} = client(Config, ["ping", peer_text(Config)],
                              [{"REMORA_COOKIE", false}, {"HOME", false}, {"XDG_CONFIG_HOME", false}]),
    match(Nowhere, "neither HOME nor XDG_CONFIG_HOME").

%% systemd shows its credentials as readable by the group, where an access control list names the service's user.
cookie_of_systemd(Config) ->
    Home = home(Config),
    File = filename:join(Home, "cookie"),
    cookie_file(File, remora_ct:cookie(Config)),
    ok = file:change_mode(File, 8#440),
    Ping = fun(Credentials) ->
        {Status, _, _} = client(Config, ["ping", peer_text(Config), "--cookie-file", File],
                                [{"CREDENTIALS_DIRECTORY", Credentials} | env_at(Home)]),
        Status
    end,
    ?assertEqual(0, Ping(Home)),
    ?assertEqual(2, Ping(filename:join(Home, "other"))),
    ok = file:change_mode(File, 8#444),
    ?assertEqual(2, Ping(Home)).

%% Not in the log at its most talkative, nor in errors, help, status, or where any user can look.
cookie_is_never_told(Config) ->
    Cookie = remora_ct:cookie(Config),
    Remora = #{node := Node, os_pid := OsPid} = start_remora(Config, ["--log-level", "debug"]),
    connect(peer(1, Config), Remora),
    {_, Out1, Err1} = client(Config, ["status", text(Node)]),
    {_, Out2, Err2} = client(Config, ["run", "--name", text(Node)]),
    {_, Out3, Err3} = client(Config, ["ping", text(Node)], [{"REMORA_COOKIE", Cookie ++ "\n" ++ Cookie}]),
    {_, Out4, Err4} = client(Config, ["run", "--help"]),
    {ok, CommandLine} = file:read_file("/proc/" ++ integer_to_list(OsPid) ++ "/cmdline"),
    Stranger = remora_ct:start_peer((remora_ct:opts(Config))#{name => remora_ct:unique("stranger"), cookie => "wrong"}),
    pang = rcall(Stranger, net_adm, ping, [Node]),
    remora_ct:stop(Stranger),
    ?assertEqual(0, remora_ct:stop(Remora)),
    Told = [Out1, Err1, Out2, Err2, Out3, Err3, Out4, Err4, binary_to_list(CommandLine), remora_ct:log_lines(Remora)],
    ?assertEqual(nomatch, string:find(lists:flatten(lists:join("\n", [text(T) || T <- Told])), Cookie)).

%% ---- output ----------------------------------------------------------------------------------------------------

ready_is_the_only_line(Config) ->
    Remora = #{ready := Ready, node := Node, port := Port, creation := Creation, version := Version} = start_remora(Config, []),
    NodeText = list_to_binary(text(Node)),
    VersionText = list_to_binary(Version),
    ?assertEqual({ok, #{<<"event">> => <<"ready">>, <<"node">> => NodeText, <<"port">> => Port, <<"creation">> => Creation,
                        <<"version">> => VersionText}}, json_text:decode(Ready)),
    connect(peer(1, Config), Remora),
    run(peer(1, Config), fun() -> {badrpc, _} = rpc:call(Node, no, such, []) end),
    remora_ct:terminate(Remora),
    ?assertEqual({exit_status, 0}, remora_ct:await_line(Remora, 5_000)),
    remora_ct:stop(Remora).

json_logs(Config) ->
    Remora = #{node := Node} = start_remora(Config, ["--log-format", "json", "--log-level", "debug"]),
    connect(peer(1, Config), Remora),
    run(peer(2, Config), fun() -> erlang:set_cookie(Node, wrong), pang = net_adm:ping(Node) end),
    Cookie = remora_ct:cookie(Config),
    run(peer(2, Config), fun() -> erlang:set_cookie(Node, list_to_atom(Cookie)) end),
    ?assertEqual(0, remora_ct:stop(Remora)),
    Lines = [begin {ok, Line} = json_text:decode(L), Line end || L <- remora_ct:log_lines(Remora)],
    [?assertMatch(#{<<"time">> := _, <<"level">> := _, <<"event">> := _, <<"text">> := _}, L) || L <- Lines],
    Events = [E || #{<<"event">> := E} <- Lines],
    [?assert(lists:member(E, Events)) || E <- [<<"peer_up">>, <<"handshake_failed">>, <<"leaving">>]],
    {4, [], [Failed]} = client(Config, ["run", "--name", "x@127.0.0.1", "--log-format", "json",
                                        "--epmd-port", integer_to_list(remora_ct:free_port())]),
    ?assertMatch({ok, #{<<"level">> := <<"error">>, <<"text">> := _}}, json_text:decode(Failed)).

%% Nothing that is printed is worth a node.
full_disk(Config) -> survives(Config, ["2>/dev/full", ">/dev/full", ">/dev/full 2>&1"]).
closed_output(Config) -> survives(Config, ["2>&-", ">&-", ">&- 2>&-", "2>&1 | head -n 1"]).

survives(Config, Redirections) ->
    [begin
         Name = text(remora_ct:unique("output")) ++ "@127.0.0.1",
         Script = "exec 3<&0; { \"$0\" run --name \"$1\" --log-level debug --lifeline stdin <&3; echo $? >\"$2\"; } " ++ R,
         Code = filename:join(home(Config), "code"),
         Shell = remora_ct:start_program("/bin/sh", ["-c", Script, bin(), Name, Code], env(Config), log(Config)),
         Node = list_to_atom(Name),
         wait_until(fun() -> pong =:= rcall(peer(1, Config), net_adm, ping, [Node]) end, 5_000),
         run(peer(2, Config), fun() -> erlang:set_cookie(Node, wrong), pang = net_adm:ping(Node) end),
         ?assertEqual({R, Node}, {R, rcall(peer(1, Config), rpc, call, [Node, erlang, node, []])}),
         remora_ct:close_stdin(Shell),
         wait_until(fun() -> {ok, <<"0\n">>} =:= file:read_file(Code) end, 5_000),
         gone(Config, Node)
     end || R <- Redirections].

version_and_help(Config) ->
    {0, [Version], []} = client(Config, ["--version"]),
    match(Version, "^[0-9]+\\.[0-9]+\\.[0-9]+$"),
    {0, Help, []} = client(Config, ["--help"]),
    [match(Help, Command) || Command <- ["run", "ping", "names", "nodes", "status", "call"]],
    {0, RunHelp, []} = client(Config, ["run", "--help"]),
    match(RunHelp, "--cookie-file.*REMORA_COOKIE").

%% ---- helpers ---------------------------------------------------------------------------------------------------

bin() -> os:getenv("REMORA_BIN").
env(Config) ->
    [{"REMORA_COOKIE", remora_ct:cookie(Config)}, {"ERL_EPMD_PORT", integer_to_list(remora_ct:epmd_port(Config))}].
%% Of two values for one variable the first counts.
env(Config, Env) -> maps:to_list(maps:merge(maps:from_list(env(Config)), maps:from_list(lists:reverse(Env)))).
env_at(Home) -> [{"REMORA_COOKIE", false}, {"HOME", Home}, {"XDG_CONFIG_HOME", false}].

%% Runs the program to its end: its exit code, lines of standard output, lines of standard error.
client(Config, Arguments) -> client(Config, Arguments, []).
client(Config, Arguments, Env) -> finished(remora_ct:start_program(bin(), Arguments, env(Config, Env), log(Config))).
shell(Config, Script) -> finished(remora_ct:start_program("/bin/sh", ["-c", Script, bin()], env(Config), log(Config))).

finished(Program) ->
    Status = remora_ct:await_exit(Program, 15_000),
    Out = lines(Program),
    Err = [unicode:characters_to_list(L) || L <- remora_ct:log_lines(Program), L =/= <<>>],
    remora_ct:stop(Program),
    {Status, Out, Err}.

lines(Program) ->
    case remora_ct:await_line(Program, 5_000) of
        {line, Line} -> [unicode:characters_to_list(Line) | lines(Program)];
        {exit_status, _} -> []
    end.

start_remora(Config, Arguments) ->
    remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("remora"), args => Arguments}).

start_at(Config, Home, Arguments) ->
    Name = text(remora_ct:unique("home")) ++ "@127.0.0.1",
    remora_ct:start_ready(bin(), ["run", "--name", Name, "--lifeline", "stdin" | Arguments], env(Config, env_at(Home)), log(Config)).

with_remora(Config, Arguments, Fun) ->
    Remora = start_remora(Config, Arguments),
    try Fun(Remora) after ?assertEqual(0, remora_ct:stop(Remora)) end.

log(Config) -> filename:join(proplists:get_value(priv_dir, Config), text(remora_ct:unique("program")) ++ ".log").

home(Config) ->
    Home = filename:join(proplists:get_value(priv_dir, Config), text(remora_ct:unique("home"))),
    ok = file:make_dir(Home),
    Home.

file(Config, Name, Text) ->
    File = filename:join(home(Config), Name),
    ok = file:write_file(File, Text),
    File.

cookie_file(File, Cookie) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Cookie),
    ok = file:change_mode(File, 8#400).

peer_text(Config) -> text(maps:get(node, peer(1, Config))).
short(Node) -> hd(string:split(text(Node), "@")).
text(Atom) when is_atom(Atom) -> atom_to_list(Atom);
text(Lines) -> unicode:characters_to_list(Lines).

match(Lines, Pattern) ->
    Text = case Lines of [L | _] when is_list(L); is_binary(L) -> lists:join(" ", Lines); _ -> Lines end,
    case re:run(Text, Pattern, [unicode, dotall]) of
        {match, _} -> ok;
        nomatch -> error({no_match, Pattern, Text})
    end.
