%% discovery: how fast an application is in its cluster, and in it again. bench takes these values like its own.
%%
%%   seeds    a VM starts the package with a list of 100 nodes, of which 50 live and 50 are black holes: registered, connected
%%            to, and silent. ms from the start, the program's own included, until the VM and its companion are both connected
%%            to all that live
%%   redial   one more that lives is killed and started again: ms from its ready line until both are connected to it again
%%
%% Those that live are native and hidden, so that nobody is introduced to them by `global'.
-module(discovery).
-export([start/1, stop/1, seeds/2, redial/2]).
%% run on the VM
-export([connected/1, leave/0]).

-define(LIVE, 50).
-define(BLACK, 50).

start(Opts) ->
    Modules = [discovery, shim_ct, shimnode | maps:get(modules, shim_ct:peer_opts(discovery))],
    App = remora_ct:start_peer(Opts#{name => remora_ct:unique("app"), modules => Modules}),
    Live = [remora_ct:start_remora(Opts#{name => remora_ct:unique("live"), hidden => true}) || _ <- lists:seq(1, ?LIVE)],
    {ok, Listener} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {backlog, 1024}]),
    {ok, Port} = inet:port(Listener),
    Black = [remora_ct:unique("black") || _ <- lists:seq(1, ?BLACK)],
    Held = [begin
                {ok, Socket, _} = raw_dist:epmd_register(maps:get(epmd_port, Opts), atom_to_list(Name), Port),
                Socket
            end || Name <- Black],
    #{app => App, opts => Opts, live => Live, held => [Listener | Held],
      nodes => [Node || #{node := Node} <- Live] ++ [list_to_atom(atom_to_list(Name) ++ "@127.0.0.1") || Name <- Black]}.

stop(#{app := App, live := Live, held := Held}) ->
    remora_ct:stop(App),
    [remora_ct:stop(One) || One <- Live],
    [gen_tcp:close(Socket) || Socket <- Held],
    ok.

%% The next run begins with nobody connected.
seeds(remora, #{app := App} = All) ->
    {Ms, ok} = with_discovery(All, fun() -> ok end),
    ok = remora_ct:rcall(App, discovery, leave, []),
    Ms.

redial(remora, #{app := App, opts := Opts, live := Live, nodes := Nodes} = All) ->
    Named = Opts#{name => remora_ct:unique("again"), hidden => true},
    #{node := Node} = Before = remora_ct:start_remora(Named),
    {_, {Ms, After}} = with_discovery(All#{live := [Before | Live], nodes := [Node | Nodes]}, fun() ->
        remora_ct:kill(Before),
        remora_ct:wait_until(fun() -> not remora_ct:rcall(App, discovery, connected, [[Node]]) end, 10_000),
        Again = remora_ct:start_remora(Named),
        Start = erlang:monotonic_time(microsecond),
        await(App, [Node]),
        {(erlang:monotonic_time(microsecond) - Start) / 1000, Again}
    end),
    remora_ct:stop(After),
    ok = remora_ct:rcall(App, discovery, leave, []),
    Ms.

with_discovery(#{app := App, live := Live, nodes := Nodes}, Then) ->
    Sources = [{nodes, [atom_to_binary(Node) || Node <- Nodes]}],
    Start = erlang:monotonic_time(microsecond),
    {ok, _} = shim_ct:start(App, #{visibility => hidden, discovery => #{sources => Sources}}),
    await(App, [Node || #{node := Node} <- Live]),
    Ms = (erlang:monotonic_time(microsecond) - Start) / 1000,
    Result = Then(),
    shim_ct:stop(App),
    {Ms, Result}.

await(App, Nodes) -> remora_ct:wait_until(fun() -> remora_ct:rcall(App, discovery, connected, [Nodes]) end, 60_000).

%% By both sides.
connected(Nodes) ->
    case {remora_cluster:nodes(), remora_cluster:hidden_nodes()} of
        {{ok, Visible}, {ok, Hidden}} -> Nodes -- (Visible ++ Hidden) =:= [] andalso Nodes -- nodes(connected) =:= [];
        _ -> false
    end.

leave() ->
    [erlang:disconnect_node(Node) || Node <- nodes(connected)],
    ok.
