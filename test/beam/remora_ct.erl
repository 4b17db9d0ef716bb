%% remora_ct: starts and stops the real things that the suites put together - a private epmd, OTP nodes of
%% release 25 and 27, and the node under test (nut), which is the remora program or, to prove the suites
%% themselves, an OTP node in its role.
%%
%% - Every suite has an epmd of its own on a free port, so suites and the machine's own nodes never meet.
%% - OTP nodes are steered over their standard input and output (`peer', connection => standard_io), so a
%%   test still reaches a node that is cut off, and the test node itself is no member of any cluster.
%% - Each started thing is a map with its `os_pid'. What is stopped is stopped by that pid, and all of them
%%   watch their standard input, so an interrupted run leaves nothing behind either.
%% - Nothing sleeps for luck: wait_until/2 asks again until a deadline.
%%
%% Environment (set by run.sh): REMORA_OTP releases to test, out of "25 27 mixed"; REMORA_NUT remora or beam;
%% REMORA_BIN, REMORA_TESTNODE the programs; REMORA_OTP27 the root of OTP 27; REMORA_IN_OTP27 what enters it.
-module(remora_ct).

%% shape of a suite
-export([all/0, groups/1, groups/2, start_suite/2, stop_suite/1, start_group/3, stop_group/1,
         start_nut/1, start_nut/2, stop_nut/1, start_node_like_nut/2, unique/1]).
%% what a case asks for
-export([nut/1, nut_kind/0, peer/2, peers/1, epmd_port/1, cookie/1, opts/1]).
%% real things
-export([start_epmd/1, start_epmd/2, start_peer/1, start_remora/1, start_ready/4, start_program/4, start_guarded/4,
         await_line/2, stop/1, kill/1, freeze/1, thaw/1,
         terminate/1, interrupt/1, close_stdin/1, await_exit/2, alive/1]).
-export([rcall/4, rcall/5, run/2, run/3, load/2, log_lines/1, connect/2]).
%% time and ports
-export([wait_until/2, free_port/0, elapsed/1, remora_program/0]).

-define(HOST, "127.0.0.1").
-define(READY_MS, 10_000).
-define(CALL_MS, 120_000).

%% ---- shape of a suite ----------------------------------------------------------------------------

%% The groups to run: the same cases against OTP 25, OTP 27 and both in one cluster.
all() ->
    [{group, list_to_atom(group_name(R))} || R <- string:lexemes(os:getenv("REMORA_OTP", "25 27 mixed"), " ")].

group_name("mixed") -> "mixed";
group_name(Release) -> "otp" ++ Release.

groups(Cases) -> groups(Cases, []).
groups(Cases, Properties) -> [{G, Properties, Cases} || G <- [otp25, otp27, mixed]].

start_suite(Suite, Config) ->
    Epmd = start_epmd(dir(Config)),
    Cookie = "cookie" ++ integer_to_list(rand:uniform(1 bsl 48)),
    [{suite, Suite}, {epmd, Epmd}, {cookie, Cookie} | Config].

stop_suite(Config) ->
    stop(proplists:get_value(epmd, Config)).

%% Starts the OTP nodes that the cases of a group share; Peers is one map of options for each.
start_group(Group, Config, Peers) ->
    case needs_otp27(Group) andalso not filelib:is_file(filename:join(otp27(), ".otp27")) of
        true ->
            {skip, "no OTP 27 in " ++ otp27() ++ ": run 'make otp27'"};
        false ->
            Releases = case Group of otp25 -> [25]; otp27 -> [27]; mixed -> [25, 27] end,
            Config1 = [{releases, Releases} | Config],
            Started = [start_peer(maps:merge(peer_opts(N, Config1), Opts))
                       || {N, Opts} <- lists:enumerate(Peers)],
            [{peers, Started} | Config1]
    end.

stop_group(Config) ->
    lists:foreach(fun stop/1, peers(Config)).

needs_otp27(Group) -> Group =/= otp25.

peer_opts(N, Config) ->
    (opts(Config))#{name => list_to_atom("p" ++ integer_to_list(N)), release => release(N, Config)}.

%% Nodes alternate between the releases of the group, so "mixed" has both as soon as it has two.
release(N, Config) ->
    Releases = proplists:get_value(releases, Config),
    lists:nth((N - 1) rem length(Releases) + 1, Releases).

%% Starts the node under test for one case. Options: those of start_remora/1 or start_peer/1, of which
%% `name', `hidden', `ticktime', `cookie', `port' and `no_epmd' mean the same for both; `args' is for remora
%% alone and `otp_args' for OTP nodes alone.
start_nut(Config) -> start_nut(Config, #{}).
start_nut(Config, Opts) ->
    [{nut, start_node_like_nut(Config, Opts)} | Config].

%% The same for a case that wants more than one, or one of its own.
start_node_like_nut(Config, Opts0) ->
    Opts = maps:merge((opts(Config))#{name => unique("nut")}, Opts0),
    case nut_kind() of
        remora -> start_remora(Opts#{program => testnode_program()});
        beam -> start_beam_nut(Opts#{release => release(1, Config)})
    end.

%% A name that no other node of this run has.
unique(Prefix) ->
    list_to_atom(Prefix ++ integer_to_list(erlang:unique_integer([positive]))).

start_beam_nut(Opts) ->
    Nut = start_peer(Opts),
    ok = rcall(Nut, testnode, start, []),
    Nut.

%% A node that SIGTERM does not end in order fails the case: that is how a sanitizer's report shows.
stop_nut(Config) ->
    Nut = nut(Config),
    WasAlive = alive(Nut),
    case stop(Nut) of
        ok -> ok;
        0 -> ok;
        _ when not WasAlive -> ok;
        Status -> {fail, {nut_exit_status, Status, log_lines(Nut)}}
    end.

%% ---- what a case asks for --------------------------------------------------------------------------

nut(Config) -> proplists:get_value(nut, Config).
nut_kind() -> list_to_atom(os:getenv("REMORA_NUT", "remora")).
peers(Config) -> proplists:get_value(peers, Config, []).
peer(N, Config) -> lists:nth(N, peers(Config)).
epmd_port(Config) -> maps:get(port, proplists:get_value(epmd, Config)).
cookie(Config) -> proplists:get_value(cookie, Config).

%% What every node of this suite is started with.
opts(Config) ->
    #{epmd_port => epmd_port(Config), cookie => cookie(Config), dir => dir(Config),
      modules => [proplists:get_value(suite, Config)]}.

dir(Config) -> proplists:get_value(priv_dir, Config, "/tmp").

%% ---- epmd ------------------------------------------------------------------------------------------

start_epmd(Dir) -> start_epmd(Dir, free_port()).
start_epmd(Dir, Port) ->
    PortStr = integer_to_list(Port),
    %% epmd does not watch its standard input, so this shell does it: at its end it ends epmd.
    Script = "epmd -port " ++ PortStr ++ " -relaxed_command_check >/dev/null 2>&1 </dev/null & "
             "echo $!; read _; kill $! 2>/dev/null; wait $!",
    Program = start_program("/bin/sh", ["-c", Script], [], filename:join(Dir, "epmd.log")),
    {line, Pid} = await_line(Program, ?READY_MS),
    Epmd = Program#{kind => epmd, os_pid => list_to_integer(binary_to_list(Pid)), port => Port},
    wait_until(fun() -> answers(Port) orelse (not alive(Epmd) andalso error({epmd_died, Port})) end, ?READY_MS),
    Epmd.

answers(Port) ->
    case gen_tcp:connect(?HOST, Port, [], 1000) of
        {ok, S} -> gen_tcp:close(S), true;
        {error, _} -> false
    end.

%% ---- OTP nodes -------------------------------------------------------------------------------------

%% Options: name, epmd_port, cookie, dir; release 25 | 27; otp_args [string()]; env [{K, V}]; hidden boolean();
%% ticktime seconds; port (a fixed listen port); no_epmd boolean(); host (an address of this machine); modules to load beside the helpers;
%% enter [string()], a command that starts it elsewhere and becomes it.
start_peer(Opts = #{name := Name, dir := Dir}) ->
    Release = maps:get(release, Opts, 25),
    Log = filename:join(Dir, lists:concat([Name, "-otp", Release, ".log"])),
    PeerOpts = #{connection => standard_io, name => Name, host => host(Opts), longnames => true,
                 exec => logged(maps:get(enter, Opts, []) ++ erl(Release)), args => peer_args(Opts), env => [{"PROGRAM_LOG", Log} | peer_env(Opts)],
                 peer_down => continue, wait_boot => 30_000},
    case hold(fun() -> held_peer(Log, PeerOpts) end) of
        {ok, Holder, {Server, Node}} ->
            Peer = #{kind => peer, holder => Holder, server => Server, node => Node, release => Release,
                     log => Log, opts => Opts, args => peer_args(Opts)},
            load(Peer, [?MODULE, raw_dist, testnode, calc | maps:get(modules, Opts, [])]),
            OsPid = list_to_integer(rcall(Peer, os, getpid, [])),
            Peer#{os_pid => OsPid, port => listen_port(Peer), creation => rcall(Peer, erlang, system_info, [creation])};
        {error, Reason} ->
            error({no_peer, Name, Release, Reason, Log})
    end.

%% The node's own output goes to a file: the group leader of the test case that starts it ends too early.
held_peer(Log, PeerOpts) ->
    {ok, File} = file:open(Log, [append, {encoding, utf8}]),
    group_leader(File, self()),
    {ok, Server, Node} = peer:start(PeerOpts),
    {Server, Node}.

erl(25) -> [os:find_executable("erl")];
erl(27) -> [os:getenv("REMORA_IN_OTP27"), otp27(), "erl"].

%% A program whose standard error goes to the file PROGRAM_LOG. The shell becomes the program: same pid.
logged(Command) -> {"/bin/sh", ["-c", "exec \"$0\" \"$@\" 2>>\"$PROGRAM_LOG\"" | Command]}.

otp27() -> os:getenv("REMORA_OTP27", "build/otp27").

peer_args(Opts) ->
    ["-start_epmd", "false", "-setcookie", maps:get(cookie, Opts),
     "-kernel", "inet_dist_use_interface", lists:flatten(io_lib:format("~0p", [address(Opts)]))]
    ++ case tuple_size(address(Opts)) of 8 -> ["-proto_dist", "inet6_tcp"]; 4 -> [] end
    ++ ["-hidden" || maps:get(hidden, Opts, false)]
    ++ kernel(net_ticktime, maps:find(ticktime, Opts))
    ++ port_args(Opts)
    ++ maps:get(otp_args, Opts, []).

%% The host part of a node's name is an address of this machine, and what it listens on.
host(Opts) -> maps:get(host, Opts, ?HOST).
address(Opts) ->
    {ok, Address} = inet:parse_address(host(Opts)),
    Address.

kernel(_, error) -> [];
kernel(Key, {ok, Value}) -> ["-kernel", atom_to_list(Key), lists:flatten(io_lib:format("~0p", [Value]))].

port_args(#{no_epmd := true, port := Port}) -> ["-erl_epmd_port", integer_to_list(Port)];
port_args(#{port := Port}) ->
    kernel(inet_dist_listen_min, {ok, Port}) ++ kernel(inet_dist_listen_max, {ok, Port});
port_args(_) -> [].

peer_env(#{epmd_port := Port} = Opts) ->
    [{"ERL_EPMD_PORT", integer_to_list(Port)}, {"ERL_CRASH_DUMP", "/dev/null"}, {"ERL_FLAGS", false},
     {"ERL_AFLAGS", false}, {"ERL_ZFLAGS", false}, {"ERL_LIBS", false} | maps:get(env, Opts, [])].

%% The only listening socket of a fresh node is that of its distribution.
listen_port(Peer) ->
    run(Peer, fun() ->
        Ports = [P || Port <- erlang:ports(), {ok, {_, P}} <- [listening(Port)]],
        case Ports of [P | _] -> P; [] -> undefined end
    end).

listening(Port) ->
    case {erlang:port_info(Port, name), prim_inet:getstatus(Port)} of
        {{name, "tcp_inet"}, {ok, Status}} ->
            case lists:member(listen, Status) of true -> inet:sockname(Port); false -> no end;
        _ -> no
    end.

%% Gives modules of this test run to a node, compiled as they are here.
load(Peer, Modules) ->
    [begin
         {Module, Beam, File} = code:get_object_code(Module),
         {module, Module} = rcall(Peer, code, load_binary, [Module, File, Beam])
     end || Module <- Modules],
    ok.

%% ---- remora ----------------------------------------------------------------------------------------

%% Options: name, epmd_port, cookie, dir; hidden, ticktime, port, no_epmd, host; args [string()] of `remora run';
%% env; program; lifeline false to leave `--lifeline stdin' out; ready false not to wait for the ready line.
start_remora(Opts = #{name := Name, dir := Dir}) ->
    Log = filename:join(Dir, lists:concat([Name, ".log"])),
    Env = [{"REMORA_COOKIE", maps:get(cookie, Opts, false)} | maps:get(env, Opts, [])],
    Program = maps:get(program, Opts, remora_program()),
    case maps:get(ready, Opts, true) of
        true -> (start_ready(Program, remora_args(Opts), Env, Log))#{opts => Opts};
        false -> (start_program(Program, remora_args(Opts), Env, Log))#{opts => Opts}
    end.

%% Starts a program and waits for the ready line on its standard output.
start_ready(Program, Args, Env, Log) ->
    Started = start_program(Program, Args, Env, Log),
    ready(Started, await_line(Started, ?READY_MS)).

remora_args(Opts = #{name := Name}) ->
    ["run", "--name", lists:concat([Name, "@", host(Opts)]), "--listen", host(Opts)]
    ++ ["--hidden" || maps:get(hidden, Opts, false)]
    ++ ["--no-epmd" || maps:get(no_epmd, Opts, false)]
    ++ flag("--epmd-port", maps:find(epmd_port, Opts))
    ++ flag("--net-ticktime", maps:find(ticktime, Opts))
    ++ flag("--port", maps:find(port, Opts))
    ++ case maps:get(lifeline, Opts, true) of true -> ["--lifeline", "stdin"]; false -> [] end
    ++ maps:get(args, Opts, []).

flag(_, error) -> [];
flag(Flag, {ok, Value}) -> [Flag, lists:concat([Value])].

ready(Remora, {line, Line}) ->
    Fields = maps:from_list([{Key, field(Line, Key)} || Key <- [event, node, port, creation, version]]),
    "ready" = maps:get(event, Fields),
    Remora#{node => list_to_atom(maps:get(node, Fields)), port => list_to_integer(maps:get(port, Fields)),
            creation => list_to_integer(maps:get(creation, Fields)), version => maps:get(version, Fields),
            ready => Line};
ready(Remora, Other) ->
    error({not_ready, Other, log_lines(Remora)}).

%% The ready line is flat JSON, and OTP 25 has no JSON reader: one expression finds a field in it.
field(Line, Key) ->
    Pattern = ["\"", atom_to_list(Key), "\"\\s*:\\s*(?:\"([^\"]*)\"|([0-9]+))"],
    case re:run(Line, Pattern, [{capture, all_but_first, list}]) of
        {match, Groups} -> lists:append(Groups);
        nomatch -> error({no_field_in_ready_line, Key, Line})
    end.

remora_program() -> os:getenv("REMORA_BIN", "priv/remora").
testnode_program() -> os:getenv("REMORA_TESTNODE", "build/release/test/support/testnode").

%% ---- everything that was started -------------------------------------------------------------------

%% Orderly: OTP nodes halt, programs get SIGTERM. Returns the exit status of a program.
stop(undefined) ->
    ok;
stop(#{kind := peer, server := Server, holder := Holder} = Peer) ->
    thaw(Peer),
    catch peer:stop(Server),
    gone(Peer),
    release_holder(Holder);
stop(#{holder := Holder} = Program) ->
    thaw(Program),
    Status = case Program of
                 #{kind := epmd} -> signal("KILL", Program), gone(Program);
                 _ -> signal("TERM", Program), await_exit(Program, 10_000)
             end,
    release_holder(Holder),
    Status.

%% What a dead parent looks like to a program started with `--lifeline stdin'.
close_stdin(#{holder := Holder} = Program) ->
    release_holder(Holder),
    Program.

terminate(Thing) -> signal("TERM", Thing).
interrupt(Thing) -> signal("INT", Thing).
freeze(Thing) -> signal("STOP", Thing).
thaw(Thing) -> signal("CONT", Thing).
kill(Thing) ->
    signal("KILL", Thing),
    gone(Thing).

signal(Signal, #{os_pid := Pid}) ->
    os:cmd("kill -" ++ Signal ++ " " ++ integer_to_list(Pid) ++ " 2>/dev/null"),
    ok.

gone(Thing) ->
    wait_until(fun() -> not alive(Thing) end, 10_000),
    ok.

%% A zombie has ended too: only its parent has not asked yet.
alive(#{os_pid := Pid}) ->
    case file:read_file("/proc/" ++ integer_to_list(Pid) ++ "/stat") of
        {ok, Stat} ->
            [_, AfterName] = string:split(Stat, ") ", trailing),
            binary:first(AfterName) =/= $Z;
        {error, _} -> false
    end.

%% The exit status of a program; an OTP node has none here.
await_exit(#{holder := Holder} = Program, Timeout) ->
    case ask(Holder, exit_status, Timeout) of
        {exit_status, Status} -> Status;
        released -> gone(Program);
        timeout -> error({still_running, Timeout, catch log_lines(Program)})
    end.

log_lines(#{log := Log}) ->
    case file:read_file(Log) of
        {ok, Text} -> string:split(string:trim(Text, trailing), "\n", all);
        {error, enoent} -> []
    end.

%% ---- calls into OTP nodes --------------------------------------------------------------------------

rcall(Peer, M, F, A) -> rcall(Peer, M, F, A, ?CALL_MS).
rcall(#{kind := peer, server := Server}, M, F, A, Timeout) ->
    peer:call(Server, M, F, A, Timeout).

%% Runs a fun of a loaded module in one fresh process of that node.
run(Peer, Fun) -> run(Peer, Fun, ?CALL_MS).
run(Peer, Fun, Timeout) -> rcall(Peer, erlang, apply, [Fun, []], Timeout).

%% Connects two nodes and waits until both sides say so.
connect(Peer, #{node := Node}) ->
    pong = rcall(Peer, net_adm, ping, [Node]),
    ok.

%% ---- time and ports --------------------------------------------------------------------------------

%% Asks until the answer is not false; that answer is the result. A miss is an error that shows the wait.
wait_until(Fun, Timeout) ->
    wait_until(Fun, erlang:monotonic_time(millisecond) + Timeout, Timeout).

wait_until(Fun, Deadline, Timeout) ->
    case Fun() of
        false ->
            case erlang:monotonic_time(millisecond) >= Deadline of
                true -> error({still_false_after_ms, Timeout});
                false ->
                    receive after 10 -> ok end,
                    wait_until(Fun, Deadline, Timeout)
            end;
        Answer -> Answer
    end.

elapsed(Fun) ->
    Start = erlang:monotonic_time(millisecond),
    Result = Fun(),
    {erlang:monotonic_time(millisecond) - Start, Result}.

free_port() ->
    {ok, L} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(L),
    gen_tcp:close(L),
    Port.

%% ---- holders: ports and peers live as long as the thing, not as the test case that started it --------

hold(Start) ->
    {Pid, Mon} = spawn_monitor(fun() -> process_flag(trap_exit, true), exit_or_hold(Start) end),
    Ref = make_ref(),
    Pid ! {ask, self(), Ref, started},
    receive
        {Ref, Result} -> demonitor(Mon, [flush]), {ok, Pid, Result};
        {'DOWN', Mon, process, Pid, Reason} -> {error, Reason}
    end.

exit_or_hold(Start) ->
    Result = Start(),
    receive {ask, From, Ref, started} -> From ! {Ref, Result} end,
    receive release -> ok end.

release_holder(Holder) ->  % also of a thing released before
    Mon = monitor(process, Holder),
    Holder ! release,
    receive {'DOWN', Mon, process, Holder, _} -> ok end.

%% A program of the system: standard output as lines, standard error in the log file.
start_program(Exec, Args, Env, Log) ->
    Caller = self(),
    Ref = make_ref(),
    Holder = spawn(fun() ->
        {Shell, ShellArgs} = logged([Exec | Args]),
        Port = open_port({spawn_executable, Shell},
                         [{args, ShellArgs}, {env, [{"PROGRAM_LOG", Log} | Env]},
                          {line, 65536}, binary, exit_status, use_stdio]),
        {os_pid, OsPid} = erlang:port_info(Port, os_pid),
        Caller ! {Ref, OsPid},
        program(Port, [], running, [])
    end),
    receive {Ref, OsPid} -> #{kind => program, holder => Holder, os_pid => OsPid, log => Log} end.

%% Lines are handed out in order, each once; who asks too early waits in Asking.
program(Port, Lines, Status, Asking) ->
    receive
        {Port, {data, {_, Line}}} -> answer(Port, Lines ++ [Line], Status, Asking);
        {Port, {exit_status, Code}} -> answer(Port, Lines, {exit_status, Code}, Asking);
        {ask, From, Ref, What} -> answer(Port, Lines, Status, Asking ++ [{From, Ref, What}]);
        release -> ok
    end.

answer(Port, [Line | Lines], Status, Asking) when Asking =/= [] ->
    case lists:keytake(line, 3, Asking) of
        {value, {From, Ref, line}, Rest} -> From ! {Ref, {line, Line}}, answer(Port, Lines, Status, Rest);
        false -> answer_status(Port, [Line | Lines], Status, Asking)
    end;
answer(Port, Lines, Status, Asking) ->
    answer_status(Port, Lines, Status, Asking).

answer_status(Port, Lines, running, Asking) ->
    program(Port, Lines, running, Asking);
answer_status(Port, Lines, Status, Asking) ->
    [From ! {Ref, Status} || {From, Ref, What} <- Asking, What =:= exit_status orelse Lines =:= []],
    program(Port, Lines, Status, [A || {_, _, line} = A <- Asking, Lines =/= []]).

%% The same for a program that does not watch its standard input: a shell does it, and ends with the program's status.
start_guarded(Exec, Args, Env, Log) ->
    Script = "\"$0\" \"$@\" & p=$!; echo $p; exec 3<&0; (read _ <&3; kill -KILL $p 2>/dev/null) & guard=$!; "
             "wait $p 2>/dev/null; code=$?; kill $guard 2>/dev/null; exit $code",
    Program = start_program("/bin/sh", ["-c", Script, Exec | Args], Env, Log),
    {line, Pid} = await_line(Program, ?READY_MS),
    Program#{os_pid => list_to_integer(binary_to_list(Pid))}.

await_line(#{holder := Holder}, Timeout) -> ask(Holder, line, Timeout).

ask(Holder, What, Timeout) ->
    Ref = monitor(process, Holder),
    Holder ! {ask, self(), Ref, What},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, process, Holder, _} -> released
    after Timeout -> demonitor(Ref, [flush]), timeout
    end.
