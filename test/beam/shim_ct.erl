%% shim_ct: what the suites of the Erlang package share: VMs that have the package's code, and the program where each VM
%% finds it.
-module(shim_ct).

-export([peer_opts/1, program/1, start/1, start/2, stop/1, with/3, os_pid/1, kill_companion/1, gone/1, await_up/1,
         heard/3, error_text/1]).
-export([doc_example/2, beside_a_stand/4, reconnect/2, lose/0, apart/1]).
-import(remora_ct, [rcall/4, wait_until/2]).

%% Options of a peer that has the package: its modules, and those of a suite.
peer_opts(Suite) -> #{modules => [Suite, ?MODULE, shimnode | modules()]}.

modules() ->
    Here = filename:dirname(code:which(remora_sup)),
    [list_to_atom(filename:basename(File, ".beam"))
     || File <- filelib:wildcard("remora*.beam", Here), File =/= "remora_ct.beam"].

%% OTP 27 has a root of its own here, in which the program is put.
program(#{release := 25}) -> os:getenv("REMORA_BIN", "priv/remora");
program(#{release := 27}) ->
    Command = lists:join(" ", [os:getenv("REMORA_INTO_OTP27"), os:getenv("REMORA_OTP27"), program(#{release => 25})]),
    string:trim(os:cmd(lists:flatten(Command))).

start(Peer) -> start(Peer, #{}).
start(Peer, Options) ->
    rcall(Peer, shimnode, start, [maps:merge(#{binary => {at, program(Peer)}}, Options)]).

stop(Peer) -> rcall(Peer, remora, stop, []).

%% Runs Test with a companion, and ends it whatever happens.
with(Peer, Options, Test) ->
    {ok, _} = start(Peer, Options),
    try Test()
    after stop(Peer)
    end.

os_pid(Peer) ->
    {ok, OsPid} = rcall(Peer, remora_port, os_pid, []),
    OsPid.

kill_companion(Peer) ->
    Program = #{os_pid => os_pid(Peer)},
    [] = os:cmd("kill -9 " ++ integer_to_list(maps:get(os_pid, Program))),
    Program.

gone(Program) -> wait_until(fun() -> not remora_ct:alive(Program) end, 5_000).

await_up(Peer) -> wait_until(fun() -> rcall(Peer, remora_state, is_up, []) end, 10_000).

%% The messages of a shimnode:hear/1, when there are as many as wanted.
heard(Peer, Listener, Count) ->
    wait_until(fun() ->
                   Heard = rcall(Peer, shimnode, heard, [Listener]),
                   length(Heard) >= Count andalso Heard
               end, 5_000).

%% What a user reads of an error; it must be about it.
error_text(Reason) -> binary_to_list(unicode:characters_to_binary(remora_error:format(Reason), utf8, latin1)).

%% ---- a companion that is none: doorstand, on another VM ---------------------------------------------------------------

beside_a_stand(Vm, #{node := Node} = Second, Options, Test) ->
    ok = rcall(Second, doorstand, start, []),
    try
        {ok, _} = start(Vm, Options#{binary => {managed_elsewhere, Node}, call_timeout => 500}),
        Test(Vm, Second)
    after
        stop(Vm),
        rcall(Second, doorstand, stop, [])
    end.

%% The connection breaks, and whoever is there afterwards is the companion.
reconnect(Vm, #{node := Node}) ->
    Before = rcall(Vm, remora_state, epoch, []),
    true = rcall(Vm, erlang, disconnect_node, [Node]),
    wait_until(fun() -> rcall(Vm, remora_state, is_up, []) andalso rcall(Vm, remora_state, epoch, []) =/= Before end, 10_000).

%% As if a message of the stream had been lost: ours is behind.
lose() ->
    _ = sys:replace_state(remora_mirror, fun(State) -> setelement(4, State, element(4, State) + 1_000) end),
    ok.

%% All at once, and again: `global' of one introduces those that are still connected to each other.
apart(Config) ->
    wait_until(fun() ->
                   [remora_ct:run(P, fun() -> [erlang:disconnect_node(N) || N <- nodes(connected)] end) || P <- remora_ct:peers(Config)],
                   lists:all(fun(P) -> rcall(P, erlang, nodes, [connected]) =:= [] end, remora_ct:peers(Config))
               end, 20_000).

%% What the head of a module shows is so.
doc_example(Vm, Module) ->
    {ok, Source} = file:read_file(proplists:get_value(source, Module:module_info(compile))),
    [_, Block | _] = re:split(Source, "%%% (?:```|\'\'\')\n", [{return, list}]),
    {ok, Tokens, _} = erl_scan:string(re:replace(Block, "(^|\n)%%%", "\\1", [global, {return, list}])),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    true = rcall(Vm, os, putenv, ["REMORA_BIN", program(Vm)]),
    remora_ct:run(Vm, fun() -> {value, _, _} = erl_eval:exprs(Expressions, erl_eval:new_bindings()), ok = remora:stop() end).
