%% shim_SUITE: the companion of a VM from its start to its end: who is started in which order, every way in which a start
%% fails and what is said of it, the program's log in the VM's, and who takes whom along.
-module(shim_SUITE).
-define(OWN_TESTCASE, true).
-include("suite.hrl").

cases() ->
    [start_order, one_per_vm, options_reach_the_program, wrong_options, starts_again, in_a_supervisor,
     not_distributed, binary_not_found, binary_not_executable, wrong_version, never_ready, no_epmd, name_taken,
     address_in_use, usage, ends_before_ready, ends_before_the_cookie, managed_elsewhere, cookie_mismatch, no_companion_there,
     cookie_is_hidden, cookie_file, versions_agree,
     log_lines, long_and_broken_lines, json_of_lines,
     killed_and_back, restarts_are_limited, vm_death, vm_stop, frozen, frozen_and_full, out_of_reach].

peers() -> [shim_ct:peer_opts(?MODULE), shim_ct:peer_opts(?MODULE)].

%% What a case that failed has left is no other's business.
init_per_testcase(_, Config) -> Config.
end_per_testcase(_, Config) -> [shim_ct:stop(Peer) || Peer <- remora_ct:peers(Config)], ok.

vm(Config) -> peer(1, Config).

%% ---- start --------------------------------------------------------------------------------------------------------

start_order(Config) ->
    Vm = #{node := Node} = vm(Config),
    Other = peer(2, Config),
    connect(Vm, Other),
    shim_ct:with(Vm, #{}, fun() ->
        {ok, #{companion := Companion, os_pid := OsPid, nodes := Nodes, scopes := [pg]}} = rcall(Vm, remora, status, []),
        ?assertEqual(derived(Node), Companion),
        ?assertEqual(OsPid, shim_ct:os_pid(Vm)),
        ?assert(lists:member(Node, Nodes)),
        ?assert(lists:member(Companion, rcall(Vm, erlang, nodes, []))),
        wait_until(fun() -> lists:member(Companion, rcall(Other, erlang, nodes, [])) end, 5_000),
        Children = [Id || {Id, Pid, _, _} <- lists:reverse(rcall(Vm, supervisor, which_children, [remora_sup])), is_pid(Pid)],
        ?assertEqual([remora_intents, remora_port, remora_mirror, remora_server, remora_discovery, remora_beat], Children)
    end),
    %% Nothing is left, and nobody lost a third node by it.
    ?assertEqual({error, not_running}, rcall(Vm, remora, status, [])),
    ?assertEqual(undefined, rcall(Vm, ets, whereis, [remora_names])),
    wait_until(fun() -> not lists:member(derived(Node), rcall(Other, erlang, nodes, [])) end, 5_000),
    ?assert(lists:member(Node, rcall(Other, erlang, nodes, []))).

derived(Node) ->
    [Name, Host] = string:split(atom_to_list(Node), "@"),
    list_to_atom(Name ++ "_remora@" ++ Host).

one_per_vm(Config) ->
    Vm = vm(Config),
    shim_ct:with(Vm, #{}, fun() ->
        Sup = rcall(Vm, erlang, whereis, [remora_sup]),
        ?assertEqual({error, {already_started, Sup}}, shim_ct:start(Vm)),
        says({already_started, Sup}, "already supervised")
    end).

options_reach_the_program(Config) ->
    Vm = #{node := Node} = vm(Config),
    [_, Host] = string:split(atom_to_list(Node), "@"),
    Name = atom_to_binary(remora_ct:unique("mate")),
    Full = binary_to_atom(<<Name/binary, "@", (list_to_binary(Host))/binary>>),
    File = filename:join("/tmp", binary_to_list(Name) ++ ".toml"),
    ok = rcall(Vm, file, write_file, [File, "global-call-timeout = 3\n"]),
    Port = remora_ct:free_port(),
    Options = #{companion => Name, visibility => hidden, pg_scopes => [one, two], log_level => warning, config => File,
                args => ["--port", integer_to_list(Port)]},
    shim_ct:with(Vm, Options, fun() ->
        {ok, #{companion := Full, scopes := Scopes}} = rcall(Vm, remora, status, []),
        ?assertEqual([one, pg, two], lists:sort(Scopes)),
        ?assertNot(lists:member(Full, rcall(Vm, erlang, nodes, []))),
        ?assert(lists:member(Full, rcall(Vm, erlang, nodes, [hidden]))),
        Arguments = arguments(shim_ct:os_pid(Vm)),
        [?assert(follows(Flag, Value, Arguments))
         || {Flag, Value} <- [{"--log-level", "warning"}, {"--config", File}, {"--port", integer_to_list(Port)},
                              {"--listen", "127.0.0.1"}, {"--lifeline", "stdin"}]]
    end),
    %% What both nodes must have alike.
    Slow = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("slow"), ticktime => 17,
        otp_args => ["-kernel", "prevent_overlapping_partitions", "false"]}, shim_ct:peer_opts(?MODULE))),
    {ok, _} = shim_ct:start(Slow, #{companion => Full, args => ["--listen", <<"127.0.0.1">>, "--net-ticktime", "18"]}),
    ?assert(follows("--net-ticktime", "18", arguments(shim_ct:os_pid(Slow)))),
    ok = shim_ct:stop(Slow),
    {ok, _} = shim_ct:start(Slow, #{companion => Full}),
    Like = arguments(shim_ct:os_pid(Slow)),
    ?assert(follows("--net-ticktime", "17", Like)),
    ?assert(follows("--prevent-overlapping-partitions", "false", Like)),
    remora_ct:stop(Slow).

arguments(OsPid) ->
    {ok, Text} = file:read_file("/proc/" ++ integer_to_list(OsPid) ++ "/cmdline"),
    string:split(binary_to_list(Text), [0], all).

follows(Flag, Value, [Flag, Value | _]) -> true;
follows(Flag, Value, [_ | Rest]) -> follows(Flag, Value, Rest);
follows(_, _, []) -> false.

wrong_options(Config) ->
    Vm = vm(Config),
    [begin
         ?assertEqual({error, {option, Key, Value}}, shim_ct:start(Vm, #{Key => Value})),
         says({option, Key, Value}, "start option")
     end || {Key, Value} <- [{companion, <<"a@b@c">>}, {companion, <<>>}, {companion, 1}, {binary, somewhere},
                             {binary, {at, <<>>}}, {cookie_file, 5}, {visibility, shy}, {pg_scopes, [<<"pg">>]},
                             {companion, binary:copy(<<"x">>, 250)}, {binary, {managed_elsewhere, <<"a@">>}}, {log_level, loud}, {args, [1.5]}, {start_timeout, 0}, {call_timeout, infinity},
                             {max_new_atoms, -1}, {restart_intensity, 5}, {no_such_option, true}]].

%% A name that is free again at once, and settings that stay.
starts_again(Config) ->
    Vm = vm(Config),
    ok = rcall(Vm, remora_settings, set_max_message_size, [12_345]),
    Init = rcall(Vm, erlang, whereis, [init]),
    [begin
         {ok, _} = shim_ct:start(Vm),
         %% The cluster keeps the name of a process that lives.
         Expected = case N of 1 -> ok; _ -> {error, already_named} end,
         ?assertEqual(Expected, rcall(Vm, remora_registry, register, [again, Init])),
         ?assertEqual({ok, Init}, rcall(Vm, remora_registry, whereis, [again])),
         Program = #{os_pid => shim_ct:os_pid(Vm)},
         ok = shim_ct:stop(Vm),
         ?assertNot(remora_ct:alive(Program)),
         ?assertEqual({error, not_running}, rcall(Vm, remora_registry, whereis, [again])),
         ?assertEqual({error, not_running}, shim_ct:stop(Vm))
     end || N <- lists:seq(1, 5)],
    ?assertEqual(12_345, rcall(Vm, remora_settings, max_message_size, [])),
    ok = rcall(Vm, remora_settings, set_max_message_size, [10 * 1024 * 1024]),
    _ = rcall(Vm, global, unregister_name, [again]).

in_a_supervisor(Config) ->
    Vm = vm(Config),
    Binary = {at, shim_ct:program(Vm)},
    run(Vm, fun() ->
        process_flag(trap_exit, true),
        {ok, Top} = supervisor:start_link(?MODULE, [remora:child_spec(#{binary => Binary})]),
        [{remora, Sup, supervisor, _}] = supervisor:which_children(Top),
        ?assertEqual(Sup, whereis(remora_sup)),
        {ok, OsPid} = remora_port:os_pid(),
        %% The whole tree ends with a crash of the supervisor, and is there again.
        exit(Sup, kill),
        wait_until(fun() -> remora_state:is_up() andalso remora_port:os_pid() =/= {ok, OsPid} end, 10_000),
        unlink(Top),
        ok = gen_server:stop(Top, shutdown, 10_000),
        ?assertEqual(undefined, whereis(remora_sup)),
        %% A failed start is the error that it is, and no exit of a caller that does not trap them.
        {Pid, Monitor} = spawn_monitor(fun() -> exit({result, remora:start_link(#{binary => {at, "/nowhere"}})}) end),
        receive {'DOWN', Monitor, process, Pid, Reason} ->
            ?assertEqual({result, {error, {binary, {not_found, ["/nowhere"]}}}}, Reason)
        end
    end).

init(Specs) -> {ok, {#{}, Specs}}.

%% ---- errors of a start -------------------------------------------------------------------------------------------

%% This node is none.
not_distributed(_) ->
    ?assertEqual({error, not_distributed}, remora_sup:start_link(#{})),
    ?assertEqual({error, not_running}, remora:status()),
    says(not_distributed, "not distributed").

binary_not_found(Config) ->
    Vm = vm(Config),
    fails(Vm, #{binary => {at, "/no/such/remora"}}, {binary, {not_found, ["/no/such/remora"]}}, "/no/such/remora"),
    rcall(Vm, os, putenv, ["REMORA_BIN", "/not/there"]),
    fails(Vm, #{binary => search}, {binary, {not_found, ["/not/there"]}}, "/not/there"),
    rcall(Vm, os, unsetenv, ["REMORA_BIN"]),
    Path = rcall(Vm, os, getenv, ["PATH"]),
    %% In this order: the environment, priv, the checkout, PATH.
    rcall(Vm, os, putenv, ["PATH", filename:dirname(shim_ct:program(Vm))]),
    {ok, Found} = rcall(Vm, remora_binary, locate, [search]),
    rcall(Vm, os, putenv, ["PATH", Path]),
    ?assertEqual("remora", filename:basename(Found)),
    rcall(Vm, os, putenv, ["REMORA_BIN", shim_ct:program(Vm)]),
    ?assertEqual({ok, shim_ct:program(Vm)}, rcall(Vm, remora_binary, locate, [search])),
    shim_ct:with(Vm, #{binary => search}, fun() -> ok end),
    rcall(Vm, os, unsetenv, ["REMORA_BIN"]).

binary_not_executable(Config) ->
    Vm = vm(Config),
    Plain = script(Vm, "plain", "no program"),
    ok = rcall(Vm, file, change_mode, [Plain, 8#644]),
    fails(Vm, #{binary => {at, Plain}}, {binary, {not_executable, Plain}}, "chmod"),
    NoFormat = script(Vm, "noformat", "#!/no/such/interpreter\n"),
    fails(Vm, #{binary => {at, NoFormat}}, {binary, {not_executable, NoFormat}}, NoFormat).

wrong_version(Config) ->
    Vm = vm(Config),
    [fails(Vm, #{binary => {at, script(Vm, Name, "#!/bin/sh\n" ++ Script)}}, {binary, {wrong_version, Found, <<"0.1.0">>}},
           binary_to_list(Found))
     || {Name, Script, Found} <- [{"newer", "echo 0.2.0", <<"0.2.0">>}, {"named", "echo remora 9.0.1", <<"9.0.1">>},
                                  {"other", "echo something else", <<"something else">>},
                                  {"failing", "echo broken; exit 3", <<"broken">>}]].

%% Its own process, so that it is seen that it ends.
never_ready(Config) ->
    Vm = vm(Config),
    Told = "/tmp/" ++ atom_to_list(remora_ct:unique("never")),
    Script = program(Vm, "never", "echo $$ >" ++ Told ++ "\nexec sleep 600\n"),
    fails(Vm, #{binary => {at, Script}, start_timeout => 1_000}, {companion, {timeout, 1_000}}, "within 1000 ms"),
    {ok, Pid} = rcall(Vm, file, read_file, [Told]),
    ?assertNot(remora_ct:alive(#{os_pid => list_to_integer(string:trim(binary_to_list(Pid)))})).

no_epmd(Config) ->
    Vm = vm(Config),
    Port = rcall(Vm, os, getenv, ["ERL_EPMD_PORT"]),
    rcall(Vm, os, putenv, ["ERL_EPMD_PORT", integer_to_list(remora_ct:free_port())]),
    {error, {companion, {no_epmd, Text}} = Reason} = shim_ct:start(Vm),
    rcall(Vm, os, putenv, ["ERL_EPMD_PORT", Port]),
    says(Reason, "epmd -daemon"),
    ?assertNotEqual(<<>>, Text).

name_taken(Config) ->
    #{node := Taken} = peer(2, Config),
    {error, {companion, {name_taken, Text}} = Reason} = shim_ct:start(vm(Config), #{companion => Taken}),
    says(Reason, "companion => Name"),
    ?assertMatch({_, _}, binary:match(Text, hd(binary:split(atom_to_binary(Taken), <<"@">>)))).

address_in_use(Config) ->
    #{port := Port} = peer(2, Config),
    {error, {companion, {address_in_use, Text}} = Reason} =
        shim_ct:start(vm(Config), #{args => ["--port", integer_to_list(Port)]}),
    says(Reason, "another port"),
    ?assertMatch({_, _}, binary:match(Text, integer_to_binary(Port))).

usage(Config) ->
    {error, {companion, {usage, Text}} = Reason} = shim_ct:start(vm(Config), #{args => ["--no-such-option"]}),
    says(Reason, "no-such-option"),
    ?assertNotEqual(<<>>, Text).

%% A program that dies of something that has no exit code of its own.
ends_before_ready(Config) ->
    Vm = vm(Config),
    Script = program(Vm, "dies", "echo out of luck >&2\nkill -ABRT $$\n"),
    fails(Vm, #{binary => {at, Script}}, {companion, {exit_status, 134, <<"out of luck">>}}, "signal 6").

%% What the VM writes to the program finds nobody any more, in the moment in which it has not seen the end: then the port
%% goes with the program's words. Not met every time, and in tens of tries for sure.
ends_before_the_cookie(Config) ->
    Vm = vm(Config),
    Script = program(Vm, "hasty", "echo out of luck >&2\nexit 9\n"),
    Starts = [begin
                  %% It has the cookie, and is asked for it between the start and the writing.
                  ok = rcall(Vm, sys, suspend, [auth]),
                  rcall(Vm, erlang, spawn, [?MODULE, resume_auth, [Ms]]),
                  shim_ct:start(Vm, #{binary => {at, Script}, start_timeout => 2_000})
              end || _ <- lists:seq(1, 8), Ms <- lists:seq(4, 16, 2)],
    ?assertEqual([{error, {companion, {exit_status, 9, <<"out of luck">>}}}], lists:usort(Starts)).
resume_auth(Ms) -> receive after Ms -> sys:resume(auth) end.

%% A node that somebody else runs: found, lost, found again; what this VM had is told to the new one.
managed_elsewhere(Config) ->
    Vm = vm(Config),
    Name = remora_ct:unique("elsewhere"),
    Remora = #{node := Node} = remora_ct:start_remora((remora_ct:opts(Config))#{name => Name}),
    shim_ct:with(Vm, #{binary => {managed_elsewhere, Node}}, fun() ->
        {ok, #{companion := Node}} = rcall(Vm, remora, status, []),
        ?assertEqual(undefined, rcall(Vm, remora_port, os_pid, [])),
        {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
        [Pid] = rcall(Vm, shimnode, spawn_idle, [1]),
        ok = rcall(Vm, remora_groups, join, [managed, Pid]),
        ok = rcall(Vm, remora_registry, register, [managed, Pid]),
        remora_ct:kill(Remora),
        wait_until(fun() -> {error, not_running} =:= rcall(Vm, remora_groups, members, [managed]) end, 5_000),
        ?assertEqual({error, not_running}, rcall(Vm, remora_registry, register, [other, Pid])),
        Again = remora_ct:start_remora((remora_ct:opts(Config))#{name => Name}),
        shim_ct:await_up(Vm),
        ?assertEqual({ok, [Pid]}, rcall(Vm, remora_groups, members, [managed])),
        ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis, [managed])),
        Events = [Event || {remora_event, R, Event} <- rcall(Vm, shimnode, heard, [Listener]), R =:= Ref],
        ?assertMatch([{companion_down, connection_lost}, companion_up],
                     [E || E <- Events, E =:= companion_up orelse element(1, E) =:= companion_down]),
        remora_ct:stop(Again)
    end).

cookie_mismatch(Config) ->
    Remora = #{node := Node} = remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("other"),
                                                                                  cookie => "another"}),
    fails(vm(Config), #{binary => {managed_elsewhere, Node}}, {companion, {cookie_mismatch, Node}}, "cookie"),
    remora_ct:stop(Remora).

no_companion_there(Config) ->
    #{node := Beam} = peer(2, Config),
    fails(vm(Config), #{binary => {managed_elsewhere, Beam}}, {companion, {no_door, Beam}}, "remora run"),
    Nobody = 'nobody@127.0.0.1',
    fails(vm(Config), #{binary => {managed_elsewhere, Nobody}}, {companion, {unreachable, Nobody}}, "no node").

%% ---- secrets and versions ------------------------------------------------------------------------------------------

cookie_is_hidden(Config) ->
    Vm = vm(Config),
    Cookie = list_to_binary(remora_ct:cookie(Config)),
    run(Vm, fun() -> shimnode:catch_logs() end),
    {ok, _} = shim_ct:start(Vm, #{log_level => debug}),
    OsPid = shim_ct:os_pid(Vm),
    [begin
         {ok, Text} = file:read_file("/proc/" ++ integer_to_list(OsPid) ++ "/" ++ File),
         ?assertEqual(nomatch, binary:match(Text, Cookie))
     end || File <- ["cmdline", "environ"]],
    [?assertEqual(nomatch, binary:match(shown(rcall(Vm, sys, get_status, [Name])), Cookie))
     || Name <- [remora_port, remora_server, remora_mirror, remora_intents, remora_sup]],
    %% A crash shows what there is.
    Program = shim_ct:kill_companion(Vm),
    shim_ct:gone(Program),
    shim_ct:await_up(Vm),
    ok = shim_ct:stop(Vm),
    {error, Reason} = shim_ct:start(Vm, #{args => ["--no-such-option"]}),
    Logs = rcall(Vm, shimnode, logs, []),
    ?assert(length(Logs) > 5),
    ?assertEqual(nomatch, binary:match(shown({Logs, Reason, remora_error:format(Reason)}), Cookie)),
    rcall(Vm, shimnode, release_logs, []).

shown(Term) -> unicode:characters_to_binary(io_lib:format("~tp ~tw", [Term, Term])).

cookie_file(Config) ->
    Vm = vm(Config),
    File = "/tmp/" ++ atom_to_list(remora_ct:unique("cookie")),
    ok = rcall(Vm, file, write_file, [File, remora_ct:cookie(Config)]),
    ok = rcall(Vm, file, change_mode, [File, 8#400]),
    shim_ct:with(Vm, #{cookie_file => File}, fun() ->
        ?assert(follows("--cookie-file", File, arguments(shim_ct:os_pid(Vm))))
    end),
    ok = rcall(Vm, file, delete, [File]),
    {error, {companion, {usage, Text}}} = shim_ct:start(Vm, #{cookie_file => File}),
    ?assertMatch({_, _}, binary:match(Text, list_to_binary(File))).

%% The application, the program, and what the application takes for the right program.
versions_agree(_) ->
    {ok, Found} = remora_binary:version(os:getenv("REMORA_BIN")),
    {ok, [{application, remora, Keys}]} = file:consult(filename:join([top(), "erl", "remora.app.src"])),
    ?assertEqual(Found, remora_binary:wanted()),
    ?assertEqual(binary_to_list(Found), proplists:get_value(vsn, Keys)),
    ?assert(remora_binary:is_wanted(<<"0.1.7">>)),
    ?assertNot(remora_binary:is_wanted(<<"0.2.0">>)).

top() -> filename:join(filename:dirname(os:getenv("REMORA_BIN")), "..").

%% ---- log ------------------------------------------------------------------------------------------------------------

%% Each line of the program is an event of logger, at its level and time, with its fields; and a correlation id goes from
%% a caller here through the companion into its line and back.
log_lines(Config) ->
    Vm = #{node := Node} = vm(Config),
    #{node := Other} = peer(2, Config),
    run(Vm, fun() -> shimnode:catch_logs() end),
    Before = erlang:system_time(microsecond),
    shim_ct:with(Vm, #{log_level => debug}, fun() ->
        {ok, Companion} = rcall(Vm, remora_cluster, companion, []),
        #{level := Level, msg := {"~ts", [Text]}, meta := Meta} =
            found(Vm, fun(#{meta := M}) -> maps:get(event, M, none) =:= <<"peer_up">> end),
        ?assertEqual(info, Level),
        ?assertMatch({_, _}, binary:match(Text, atom_to_binary(Node))),
        #{domain := [remora], companion := Companion, fields := Fields, time := Time, pid := _} = Meta,
        ?assert(is_map(Fields) andalso map_size(Fields) > 0),
        ?assert(abs(Time - Before) < 60_000_000),
        %% rpc
        Id = rcall(Vm, remora_log, generate_correlation_id, []),
        {error, {raised, error, badarith}} = run(Vm, fun() ->
            remora_log:with_correlation(Id, fun() -> remora_rpc:call(Other, erlang, '/', [1, 0]) end)
        end),
        #{level := debug, meta := #{fields := #{<<"correlation">> := Id}}, msg := {_, [Called]}} = found(Vm, correlated(Id)),
        ?assertMatch({_, _}, binary:match(Called, atom_to_binary(Other))),
        %% a call
        Second = rcall(Vm, remora_log, generate_correlation_id, []),
        {error, noproc} = run(Vm, fun() ->
            remora_log:set_correlation(Second),
            [Dead] = shimnode:spawn_idle(1),
            shimnode:kill([Dead]),
            remora_messaging:call(Dead, hello)
        end),
        ?assertMatch(#{level := debug}, found(Vm, correlated(Second)))
    end),
    rcall(Vm, shimnode, release_logs, []).

correlated(Id) -> fun(#{meta := M}) -> maps:get(correlation, M, none) =:= Id andalso is_map_key(companion, M) end.

found(Vm, Is) ->
    wait_until(fun() -> case [E || E <- rcall(Vm, shimnode, logs, []), Is(E)] of [E | _] -> E; [] -> false end end, 5_000).

%% What the program says is bounded here, and taken for text where it is none of its JSON.
long_and_broken_lines(Config) ->
    Vm = vm(Config),
    run(Vm, fun() -> shimnode:catch_logs() end),
    Script = program(Vm, "talks",
        "read -r cookie\n"
        "echo no json at all\n"
        "printf '\\377\\376 not utf8\\n'\n"
        "echo '{\"text\":\"only text\"}'\n"
        "echo '{\"time\":\"x\",\"level\":\"shouting\",\"event\":\"odd\",\"text\":\"odd level\",\"n\":[1,{\"a\":null}]}'\n"
        "head -c 100000 /dev/zero | tr '\\0' x; echo\n"
        "echo the end >&2; exit 9\n"),
    {error, {companion, {exit_status, 9, <<"the end">>}}} = shim_ct:start(Vm, #{binary => {at, Script}}),
    Texts = [Text || #{msg := {"~ts", [Text]}, meta := #{event := _}} <- rcall(Vm, shimnode, logs, [])],
    ?assert(lists:member(<<"no json at all">>, Texts)),
    ?assert(lists:member(<<"ÿþ not utf8"/utf8>>, Texts)),
    ?assert(lists:member(<<"odd level">>, Texts)),
    ?assertEqual([], [byte_size(T) || T <- Texts, byte_size(T) > 20_000]),
    #{level := notice, meta := #{fields := Fields}} = found(Vm, fun(#{msg := M}) -> M =:= {"~ts", [<<"odd level">>]} end),
    ?assertEqual(#{<<"n">> => [1, #{<<"a">> => null}]}, Fields),
    rcall(Vm, shimnode, release_logs, []).

json_of_lines(_) ->
    Same = fun(Text, Value) -> ?assertEqual({ok, Value}, remora_json:decode(Text)) end,
    Same(<<"{}">>, #{}),
    Same(<<" { \"a\" : [ 1 , -2.5e3 , \"x\" , true , false , null , [] , 1E2 ] } ">>,
         #{<<"a">> => [1, -2500.0, <<"x">>, true, false, null, [], 100.0]}),
    Same(<<"\"\\u00e9\\ud83d\\ude00\\n\\\"\\\\\\/\\b\\f\\r\\t\"">>, <<"é😀\n\"\\/\b\f\r\t"/utf8>>),
    Same(<<"\"é\""/utf8>>, <<"é"/utf8>>),
    Same(<<"{\"a\":1,\"a\":2}">>, #{<<"a">> => 2}),
    Same(<<"0">>, 0),
    Same(<<"-0.5">>, -0.5),
    [?assertEqual({Text, error}, {Text, remora_json:decode(Text)})
     || Text <- [<<>>, <<"{">>, <<"[1,]">>, <<"{\"a\"}">>, <<"{a:1}">>, <<"01">>, <<"1.">>, <<"\"\\x\"">>, <<"\"\\ud800\"">>,
                 <<"\"\\ud83d\\u0041\"">>, <<"\"", 7, "\"">>, <<"\"", 255, "\"">>, <<"nul">>, <<"1 2">>, <<"1e999">>, <<"\"\\u-123\"">>,
                 <<"\"open">>, binary:copy(<<"[">>, 1000), iolist_to_binary([lists:duplicate(20, $[), lists:duplicate(20, $])])]],
    %% What the program can write, our own reader reads; no atom comes of it.
    Before = erlang:system_info(atom_count),
    [{ok, _} = remora_json:decode(iolist_to_binary(io_lib:format("{\"key~b\":\"value~b\"}", [N, N]))) || N <- lists:seq(1, 5_000)],
    ?assertEqual(Before, erlang:system_info(atom_count)).

%% ---- the end -----------------------------------------------------------------------------------------------------------

killed_and_back(Config) ->
    Vm = vm(Config),
    run(Vm, fun() -> shimnode:catch_logs() end),
    shim_ct:with(Vm, #{}, fun() ->
        {Listener, {ok, Ref}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
        {ok, #{creation := Creation}} = rcall(Vm, remora, status, []),
        Program = shim_ct:kill_companion(Vm),
        wait_until(fun() -> lists:member({remora_event, Ref, companion_up}, rcall(Vm, shimnode, heard, [Listener])) end, 5_000),
        ?assertNot(remora_ct:alive(Program)),
        {ok, #{creation := NewCreation}} = rcall(Vm, remora, status, []),
        ?assertNotEqual(Creation, NewCreation),
        [{companion_down, {exit_status, 137, _}}] =
            [Event || {remora_event, _, {companion_down, _} = Event} <- rcall(Vm, shimnode, heard, [Listener])],
        found(Vm, fun(#{level := error, msg := {Format, _}}) when is_list(Format) -> string:find(Format, "ended") =/= nomatch;
                     (_) -> false end)
    end),
    rcall(Vm, shimnode, release_logs, []).

%% As with every supervisor: more restarts than it allows are its own end.
restarts_are_limited(Config) ->
    Vm = vm(Config),
    {ok, Sup} = shim_ct:start(Vm, #{restart_intensity => {1, 60}}),
    shim_ct:gone(shim_ct:kill_companion(Vm)),
    shim_ct:await_up(Vm),
    shim_ct:gone(shim_ct:kill_companion(Vm)),
    wait_until(fun() -> not rcall(Vm, erlang, is_process_alive, [Sup]) end, 5_000),
    ?assertEqual({error, not_running}, rcall(Vm, remora_registry, names, [])),
    ?assertEqual({error, not_running}, rcall(Vm, remora, status, [])),
    ?assertEqual({error, not_running}, rcall(Vm, remora_events, subscribe, [])).

vm_death(Config) ->
    Vm = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("mortal"),
        release => maps:get(release, vm(Config))}, shim_ct:peer_opts(?MODULE))),
    {ok, _} = shim_ct:start(Vm),
    Companion = #{os_pid => shim_ct:os_pid(Vm)},
    remora_ct:kill(Vm),
    {Ms, true} = elapsed(fun() -> wait_until(fun() -> not remora_ct:alive(Companion) end, 5_000) end),
    ct:pal("the companion ended ~b ms after its VM", [Ms]),
    ?assert(Ms < 1_000),
    remora_ct:stop(Vm).

%% init:stop/0 with the companion below an application's supervisor is the same in order.
vm_stop(Config) ->
    Vm = remora_ct:start_peer(maps:merge((remora_ct:opts(Config))#{name => remora_ct:unique("leaving"),
        release => maps:get(release, vm(Config))}, shim_ct:peer_opts(?MODULE))),
    {ok, _} = shim_ct:start(Vm),
    Companion = #{os_pid => shim_ct:os_pid(Vm)},
    rcall(Vm, init, stop, []),
    wait_until(fun() -> not remora_ct:alive(Vm) end, 5_000),
    wait_until(fun() -> not remora_ct:alive(Companion) end, 1_000),
    remora_ct:stop(Vm).

%% A companion that does not answer: every call ends within its time, and reads go on.
frozen(Config) ->
    Vm = vm(Config),
    shim_ct:with(Vm, #{call_timeout => 300}, fun() ->
        Companion = #{os_pid => shim_ct:os_pid(Vm)},
        [Pid] = rcall(Vm, shimnode, spawn_idle, [1]),
        ok = rcall(Vm, remora_registry, register, [frozen, Pid]),
        remora_ct:freeze(Companion),
        try
            [begin
                 {Ms, Result} = elapsed(fun() -> rcall(Vm, M, F, A) end),
                 ?assertEqual({M, F, {error, timeout}}, {M, F, Result}),
                 ?assert(Ms < 1_000)
             end || {M, F, A} <- [{remora_registry, register, [other, Pid]}, {remora_registry, unregister, [frozen]},
                                  {remora_registry, whereis_fresh, [frozen]}, {remora_groups, join, [g, Pid]},
                                  {remora_groups, broadcast, [g, hello]}, {remora_rpc, call, [node(Pid), erlang, node, []]},
                                  {remora_rpc, call, [node(Pid), erlang, node, [], 200]},
                                  {remora_cluster, ping, [node(Pid)]}, {remora, status, []}]],
            ?assertEqual({ok, Pid}, rcall(Vm, remora_registry, whereis, [frozen])),
            ?assertEqual([{error, timeout}, {error, timeout}],
                         rcall(Vm, remora_rpc, multicall, [[node(Pid), node(Pid)], erlang, node, [], 200]))
        after remora_ct:thaw(Companion)
        end,
        wait_until(fun() -> {ok, node(Pid)} =:= rcall(Vm, remora_rpc, call, [node(Pid), erlang, node, []]) end, 5_000)
    end).

%% The same where the connection to it is full: to send would suspend a process until it reads again, or is lost.
frozen_and_full(Config) ->
    Vm = vm(Config),
    shim_ct:with(Vm, #{call_timeout => 500}, fun() ->
        Companion = #{os_pid => shim_ct:os_pid(Vm)},
        {Listener, ok} = rcall(Vm, shimnode, hear, [fun() -> ok end]),
        ok = rcall(Vm, remora_groups, join, [full, Listener]),
        remora_ct:freeze(Companion),
        try
            {Ms, Results} = elapsed(fun() -> run(Vm, fun() ->
                Large = binary:copy(<<"x">>, 1_000_000),
                Asked = [shimnode:in_background(fun() -> remora_groups:broadcast(full, Large) end) || _ <- lists:seq(1, 30)],
                [shimnode:result(Pid) || Pid <- Asked]
                    ++ remora_rpc:multicall([node(), node()], erlang, node, [], 500)
                    ++ [remora_rpc:cast(node(), erlang, node, []), remora_registry:register(full, Listener)]
            end) end),
            ?assertEqual([{error, timeout}], lists:usort(Results)),
            ?assert(Ms < 4_000)
        after remora_ct:thaw(Companion)
        end,
        wait_until(fun() -> {ok, node(Listener)} =:= rcall(Vm, remora_rpc, call, [node(Listener), erlang, node, []]) end, 10_000)
    end).

%% A program of ours that runs, and answers nobody for its start_timeout, is replaced.
out_of_reach(Config) ->
    Vm = vm(Config),
    shim_ct:with(Vm, #{start_timeout => 1_500}, fun() ->
        Former = #{os_pid => shim_ct:os_pid(Vm)},
        {Listener, {ok, _}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
        {ok, Companion} = rcall(Vm, remora_cluster, companion, []),
        Pid = hd(rcall(Vm, shimnode, spawn_idle, [1])),
        ok = rcall(Vm, remora_groups, join, [stays, Pid]),
        remora_ct:freeze(Former),
        true = rcall(Vm, erlang, disconnect_node, [Companion]),
        wait_until(fun() -> not remora_ct:alive(Former) end, 30_000),
        wait_until(fun() -> rcall(Vm, remora_state, is_up, []) end, 10_000),
        ?assertEqual({ok, [Pid]}, rcall(Vm, remora_groups, members, [stays])),
        ?assertEqual([{companion_down, connection_lost}, companion_up],
                     [E || {remora_event, _, E} <- rcall(Vm, shimnode, heard, [Listener]),
                           E =:= companion_up orelse element(1, E) =:= companion_down])
    end).

%% ---- helpers -----------------------------------------------------------------------------------------------------------

fails(Vm, Options, Reason, Words) ->
    ?assertEqual({error, Reason}, shim_ct:start(Vm, Options)),
    ?assertEqual(undefined, rcall(Vm, erlang, whereis, [remora_sup])),
    says(Reason, Words).

says(Reason, Words) ->
    Text = shim_ct:error_text(Reason),
    ?assertEqual({nomatch, Text}, {string:find(Text, "Unexpected"), Text}),
    ?assertNotEqual({nomatch, Words, Text}, {string:find(Text, Words), Words, Text}).

%% A file that the VM sees: OTP 27 has a root of its own.
%% Of the right version.
program(Vm, Name, Text) -> script(Vm, Name, "#!/bin/sh\n[ \"$1\" = --version ] && { echo 0.1.0; exit; }\n" ++ Text).
script(Vm, Name, Text) ->
    Path = "/tmp/" ++ atom_to_list(remora_ct:unique(Name)),
    ok = rcall(Vm, file, write_file, [Path, Text]),
    ok = rcall(Vm, file, change_mode, [Path, 8#755]),
    Path.
