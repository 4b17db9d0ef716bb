%% demo: the story that `make run' tells. Two OTP nodes, a and b, and a native service, calc, become one cluster.
%%
%% Each step is one line: how long it took, who saw it, what was done, what came of it. A step that comes out otherwise
%% than expected ends the story with exit code 1. What a side only hears of (a 'DOWN', a nodedown) is timed from its cause
%% on: the signal to the program, or the exit of a process. This VM is no member of the cluster: it steers a and b over their
%% standard input and output, and hears calc by what it prints. On a and on b one process, the observer, holds the
%% monitors and links of that side and notes when what comes of them arrives.
%%
%% Environment, set by run.sh: REMORA_DEMO_DIR (HOME with the cookie, pids/, beams/), REMORA_BIN, REMORA_CALC.
-module(demo).
-export([main/0, observer/0, observe/1, greeter/0]).
-dialyzer({nowarn_function, story/0}). % sys takes {Name, Node} too; its type forgets it

-define(HOST, "@127.0.0.1").
-define(WAIT, 5_000).

main() ->
    Started = now_us(),
    process_flag(trap_exit, true),
    try
        story(),
        io:format("~n~b steps as expected, ~.1f s in all~n", [get(steps), (now_us() - Started) / 1.0e6]),
        halt(0)
    catch
        throw:unexpected -> show_logs(), halt(1);
        Class:Reason:Stack ->
            io:format("~nthe story broke off: ~tp~n~tp~n", [{Class, Reason}, Stack]), show_logs(), halt(1)
    end.

story() ->
    put(steps, 0),
    put(suffix, os:getpid() ++ ?HOST),
    io:format("Node names end in ~ts, which is left out below.~n", [get(suffix)]),

    chapter("Two OTP nodes and a native one come up"),
    [A, B] = timed("a, b", "erl, visible, default settings", fun(Nodes) -> releases(Nodes) end, fun start_beams/0),
    Calc = step("calc", "test/examples/calc.cpp starts", {prefix, "ready on port "}, fun() -> start_calc([greeter, A]) end),
    step("epmd", "remora names", [{"a", port}, {"b", port}, {"calc", port}], fun() -> registered(3) end),

    chapter("They are one cluster"),
    on(A, "net_adm:ping(b)", pong, fun() -> net_adm:ping(name("b")) end),
    on(A, "net_adm:ping(calc)", pong, fun() -> net_adm:ping(name("calc")) end),
    on(B, "net_adm:ping(calc)", pong, fun() -> net_adm:ping(name("calc")) end),
    on(A, "nodes()", names(["b", "calc"]), fun() -> lists:sort(nodes()) end),
    on(B, "nodes()", names(["a", "calc"]), fun() -> lists:sort(nodes()) end),
    remora("nodes()", ["call", "calc", "erlang", "nodes"], names(["a", "b"])),
    remora("net_adm:ping(b), seen from there", ["call", "calc", "net_adm", "ping", name("b")], pong),
    remora("remora ping calc", ["ping", "calc"], {prefix, "pong from calc"}),

    chapter("Functions, both ways"),
    on(A, "rpc:call(calc, calc, add, [2, 3])", 5, fun() -> rpc:call(name("calc"), calc, add, [2, 3]) end),
    on(B, "erpc:call(calc, calc, add, [2, 3])", 5, fun() -> erpc:call(name("calc"), calc, add, [2, 3]) end),
    on(B, "erpc:call(calc, calc, sub, [2, 3])", undef,
       fun() -> try erpc:call(name("calc"), calc, sub, [2, 3]) catch error:{exception, Why, _} -> Why end end),
    remora("remora call a lists seq 1 5", ["call", "a", "lists", "seq", "1", "5"], [1, 2, 3, 4, 5]),
    remora("remora call b erlang node", ["call", "b", "erlang", "node"], name("b")),

    chapter("A native gen_server"),
    on(A, "gen_server:call({counter, calc}, next)", 1, fun() -> gen_server:call({counter, name("calc")}, next) end),
    on(B, "gen_server:call({counter, calc}, next)", 2, fun() -> gen_server:call({counter, name("calc")}, next) end),
    on(B, "sys:get_state({counter, calc})", 2, fun() -> sys:get_state({counter, name("calc")}) end),

    chapter("A native process calls one on a, and monitors it"),
    tell("calc", "gen_server call to {greeter, a}", "it answered {hello,a}", {earlier, line(Calc)}),
    cause(fun() -> on(A, "exit(whereis(greeter), kill)", true, fun() -> exit(whereis(greeter), kill) end) end),
    heard(Calc, "'DOWN' from a", "it ended: killed"),

    chapter("The native node is killed: SIGKILL"),
    Old = on(A, "monitor of counter", {pid, "calc"}, fun() -> watch_counter() end),
    on(B, "link to counter", {pid, "calc"}, fun() -> link_counter() end),
    Killed = cause(fun() -> signal("KILL", Calc) end),
    saw(A, "'DOWN' for the monitor", noconnection, fun({'DOWN', _, _, Pid, Why}) when Pid =:= Old -> Why end),
    saw(B, "'EXIT' for the link", noconnection, fun({'EXIT', Pid, Why}) when Pid =:= Old -> Why end),
    saw(A, "nodedown", name("calc"), fun({nodedown, Node}) -> Node end),
    saw(B, "nodedown", name("calc"), fun({nodedown, Node}) -> Node end),
    step("epmd", "remora names", [{"a", port}, {"b", port}], fun() -> registered(2) end),

    chapter("It comes back under the same name"),
    Calc2 = step("calc", "starts again", {prefix, "ready on port "}, fun() -> start_calc([]) end),
    on(A, "net_adm:ping(calc)", pong, fun() -> net_adm:ping(name("calc")) end),
    on(B, "net_adm:ping(calc)", pong, fun() -> net_adm:ping(name("calc")) end),
    tell("a, b", "from the SIGKILL to both pongs", "less than 1 s", {system_us() - Killed, within(Killed, 1_000_000)}),
    on(A, "call to the counter's old pid", noproc, fun() -> try gen_server:call(Old, next) catch exit:{Why, _} -> Why end end),
    on(A, "call to the new counter", 1, fun() -> gen_server:call({counter, name("calc")}, next) end),

    chapter("A native process crashes"),
    New = on(A, "monitor of counter", {pid, "calc"}, fun() -> watch_counter() end),
    on(B, "link to counter", New, fun() -> link_counter() end),
    cause(fun() -> on(A, "gen_server:call({counter, calc}, crash)", crashed,
                      fun() -> try gen_server:call(New, crash) catch exit:{Why, _} -> Why end end) end),
    saw(A, "'DOWN' for the monitor", crashed, fun({'DOWN', _, _, Pid, Why}) when Pid =:= New -> Why end),
    saw(B, "'EXIT' for the link", crashed, fun({'EXIT', Pid, Why}) when Pid =:= New -> Why end),
    on(A, "the node itself lives: rpc", 5, fun() -> rpc:call(name("calc"), calc, add, [2, 3]) end),

    chapter("The native node leaves in order: SIGTERM"),
    cause(fun() -> signal("TERM", Calc2) end),
    step("calc", "exit code", 0, fun() -> exit_status(Calc2) end),
    saw(A, "nodedown", name("calc"), fun({nodedown, Node}) -> Node end),
    saw(B, "nodedown", name("calc"), fun({nodedown, Node}) -> Node end),
    on(A, "nodes()", names(["b"]), fun() -> nodes() end),
    on(B, "nodes()", names(["a"]), fun() -> nodes() end),
    [peer:stop(Server) || #{server := Server} <- [A, B]].

%% ---- lines of the story ------------------------------------------------------------------------------

chapter(Title) -> io:format("~n~ts~n", [Title]).

%% A step on an OTP node, done and timed there by its observer.
on(#{server := Server, short := Who}, What, Expected, Fun) ->
    tell(Who, What, Expected, peer:call(Server, ?MODULE, observe, [timed(Fun)], ?WAIT)).

%% One by the remora program: what it printed is read as a term where a term is expected.
remora(What, [Command, Node | Arguments], Expected) ->
    Text = [text(A) || A <- Arguments],
    Fun = timed(fun() -> run(os:getenv("REMORA_BIN"), [Command, atom_to_list(name(Node)) | Text]) end),
    {Us, {0, Output}} = Fun(),
    Who = case Command of "call" -> Node; _ -> "remora" end,
    tell(Who, What, Expected, {Us, read(Output, Expected)}).

step(Who, What, Expected, Fun) -> tell(Who, What, Expected, (timed(Fun))()).

%% What reached an observer, and how long after its cause.
saw(#{server := Server, short := Who}, What, Expected, Match) ->
    {At, Seen} = peer:call(Server, ?MODULE, observe, [fun() -> note(Match) end], ?WAIT + 1_000),
    tell(Who, What, Expected, {At - get(cause), Seen}).

heard(Calc, What, Expected) ->
    Line = line(Calc),
    tell("calc", What, Expected, {system_us() - get(cause), Line}).

cause(Fun) ->
    put(cause, system_us()),
    Fun(),
    get(cause).

within(Since, Us) -> case system_us() - Since < Us of true -> "less than 1 s"; false -> "too long" end.

%% One whose result is not what is shown.
timed(Who, What, Show, Fun) ->
    {Us, Result} = (timed(Fun))(),
    tell(Who, What, any, {Us, Show(Result)}),
    Result.

timed(Fun) -> fun() -> Start = now_us(), Result = Fun(), {now_us() - Start, Result} end.

tell(Who, What, Expected, {Us, Result}) ->
    put(steps, get(steps) + 1),
    Seen = case Result of #{says := Says} -> Says; _ -> Result end,
    Ms = case Us of earlier -> ""; _ -> io_lib:format("~.1f ms", [Us / 1000]) end,
    io:format("~12ts  ~-7ts ~-40ts ~ts~n", [Ms, Who, What, shorten(text(Seen))]),
    fits(Expected, Seen) orelse begin
        io:format("~22ts FAILED: expected ~ts~n", ["", shorten(text(Expected))]),
        throw(unexpected)
    end,
    Result.

fits(any, _) -> true;
fits({prefix, Prefix}, Text) -> is_list(Text) andalso lists:prefix(Prefix, shorten(Text));
fits({pid, Short}, Pid) -> is_pid(Pid) andalso node(Pid) =:= name(Short);
fits([{_, port} | _] = Names, Found) -> [N || {N, _} <- Names] =:= [N || {N, P} <- Found, is_integer(P)];
fits("it " ++ _ = Expected, Text) -> Expected =:= shorten(Text);
fits(Expected, Seen) -> Expected =:= Seen.

text(Term) ->
    case io_lib:printable_unicode_list(Term) andalso Term =/= [] of
        true -> Term;
        false -> lists:flatten(io_lib:format("~0tp", [Term]))
    end.

shorten(Text) ->
    NoQuotes = string:replace(Text, ["'"], "", all),
    lists:flatten(string:replace(NoQuotes, get(suffix), "", all)).

read(Output, {prefix, _}) -> Output;
read(Output, _) ->
    {ok, Tokens, _} = erl_scan:string(Output ++ "."),
    {ok, Term} = erl_parse:parse_term(Tokens),
    Term.

show_logs() ->
    [begin
         {ok, Text} = file:read_file(File),
         Text =:= <<>> orelse io:format("~n-- ~ts~n~ts", [filename:basename(File), Text])
     end || File <- filelib:wildcard(filename:join(dir(), "*.log"))].

%% ---- the nodes -----------------------------------------------------------------------------------------

name(Short) -> list_to_atom(Short ++ get_suffix()).
names(Shorts) -> [name(S) || S <- Shorts].

%% On a and b the suffix is that of the node itself.
get_suffix() ->
    case get(suffix) of
        undefined -> put(suffix, lists:dropwhile(fun(C) -> C > $9 end, atom_to_list(node()))), get(suffix);
        Suffix -> Suffix
    end.

dir() -> os:getenv("REMORA_DEMO_DIR").

start_beams() ->
    Self = self(),
    Starting = [spawn_link(fun() -> Self ! {self(), start_beam(Short)}, receive never -> ok end end) || Short <- ["a", "b"]],
    [receive {Pid, Beam} -> Beam; {'EXIT', Pid, Why} -> error({not_started, Why}) end || Pid <- Starting].

%% What it prints and logs goes to a file, which is shown when something fails.
start_beam(Short) ->
    {ok, Log} = file:open(filename:join(dir(), Short ++ ".log"), [append, {encoding, utf8}]),
    group_leader(Log, self()),
    {ok, Server, Node} =
        peer:start(#{name => Short ++ hd(string:split(suffix_of_parent(), "@")), host => "127.0.0.1", longnames => true,
                     connection => standard_io, wait_boot => 30_000, peer_down => continue,
                     args => ["-start_epmd", "false", "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
                              "-pa", filename:join(dir(), "beams")]}),
    remember(list_to_integer(peer:call(Server, os, getpid, []))),
    Observer = peer:call(Server, ?MODULE, observer, []),
    #{server => Server, node => Node, short => Short, observer => Observer}.

suffix_of_parent() -> os:getpid() ++ ?HOST.

releases(Nodes) ->
    Releases = [peer:call(S, erlang, system_info, [otp_release]) || #{server := S} <- Nodes],
    "OTP " ++ lists:flatten(lists:join(" and OTP ", lists:usort(Releases))).

start_calc(Watch) ->
    Arguments = case Watch of [Name, #{node := Node}] -> [atom_to_list(Name), atom_to_list(Node)]; [] -> [] end,
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", "exec \"$0\" \"$@\" 2>>\"$REMORA_DEMO_DIR/calc.log\"", os:getenv("REMORA_CALC"),
                              atom_to_list(name("calc")) | Arguments]},
                      {line, 4096}, exit_status, use_stdio]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    remember(OsPid),
    Calc = #{port => Port, os_pid => OsPid},
    Calc#{says => line(Calc)}.

line(#{port := Port}) ->
    receive
        {Port, {data, {eol, Line}}} -> Line;
        {Port, {exit_status, Status}} -> lists:flatten(io_lib:format("ended with ~b", [Status]))
    after ?WAIT -> "nothing"
    end.

exit_status(#{port := Port}) ->
    receive {Port, {exit_status, Status}} -> Status after ?WAIT -> still_running end.

signal(Signal, #{os_pid := Pid}) -> [] = os:cmd("kill -" ++ Signal ++ " " ++ integer_to_list(Pid)).

%% run.sh ends what is named here, whatever becomes of this VM.
remember(OsPid) -> ok = file:write_file(filename:join([dir(), "pids", integer_to_list(OsPid)]), "").

%% Our own names as the local epmd has them: asked again until there are that many.
registered(Count) -> registered(Count, now_us() + ?WAIT * 1000).
registered(Count, Deadline) ->
    {0, Output} = run(os:getenv("REMORA_BIN"), ["names"]),
    [Ours | _] = string:split(get(suffix), "@"),
    Found = lists:sort([{string:slice(Name, 0, length(Name) - length(Ours)), list_to_integer(Port)}
                        || Line <- string:lexemes(Output, "\n"), [Name, "at", "port", Port] <- [string:lexemes(Line, " ")],
                           lists:suffix(Ours, Name)]),
    case length(Found) =:= Count orelse now_us() > Deadline of
        true -> Found;
        false -> registered(Count, Deadline)
    end.

run(Program, Arguments) ->
    Port = open_port({spawn_executable, Program}, [{args, Arguments}, exit_status, stderr_to_stdout, use_stdio]),
    output(Port, []).

output(Port, Output) ->
    receive
        {Port, {data, Data}} -> output(Port, [Output | Data]);
        {Port, {exit_status, Status}} -> {Status, string:trim(lists:flatten(Output))}
    end.

now_us() -> erlang:monotonic_time(microsecond).
system_us() -> os:system_time(microsecond). % the same on all nodes of this machine

%% ---- on a and b ------------------------------------------------------------------------------------------

observer() ->
    Observer = spawn(fun() ->
        process_flag(trap_exit, true),
        ok = net_kernel:monitor_nodes(true),
        work()
    end),
    true = register(observer, Observer),
    true = register(greeter, spawn(?MODULE, greeter, [])),
    Observer.

work() ->
    receive
        {observe, From, Ref, Fun} -> From ! {Ref, Fun()};
        Heard -> hear(Heard)
    end,
    work().

hear(Heard) -> put(heard, heard() ++ [{system_us(), Heard}]).
heard() -> case get(heard) of undefined -> []; Heard -> Heard end.

%% The first thing heard that Match accepts: what it makes of it, and when it came. It is forgotten then.
note(Match) -> note(Match, heard(), []).
note(Match, [{At, Heard} | More], Other) ->
    try Match(Heard) of
        Seen -> put(heard, lists:reverse(Other, More)), {At, Seen}
    catch error:function_clause -> note(Match, More, [{At, Heard} | Other])
    end;
note(Match, [], Other) ->
    receive Heard -> put(heard, lists:reverse(Other)), hear(Heard), note(Match)
    after ?WAIT -> {system_us(), nothing_seen}
    end.

observe(Fun) ->
    Ref = make_ref(),
    observer ! {observe, self(), Ref, Fun},
    receive {Ref, Result} -> Result after ?WAIT -> {?WAIT * 1000, nothing_seen} end.

watch_counter() ->
    Pid = erpc:call(name("calc"), erlang, whereis, [counter]),
    monitor(process, Pid),
    Pid.

link_counter() ->
    Pid = erpc:call(name("calc"), erlang, whereis, [counter]),
    link(Pid),
    Pid.

%% What the native process calls and monitors.
greeter() ->
    receive {'$gen_call', From, hello} -> gen:reply(From, {hello, node()}) end,
    greeter().
