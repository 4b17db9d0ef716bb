%% shim_discovery_SUITE: the front of discovery: a VM with a companion that finds other VMs, connects to them by either side
%% or both, and hears what comes of it; functions of the user that raise, hang or lie; a companion that goes and comes back;
%% links that are lost, and links that are ended in order.
%%
%% Companions are hidden where it is asked who connected whom: `global' introduces visible nodes to each other by itself.
-module(shim_discovery_SUITE).
-define(OWN_TESTCASE, true).
-include("suite.hrl").

cases() ->
    [doc_example, side_both, side_companion, side_app, from_epmd, as_the_program_was_told, as_the_program_alone_was_told, refresh_finds_the_new, events_of_rounds,
     attempts_that_fail, lost_links_come_back, nobody_is_dropped_wrongly, dropped_in_order, keep_missing,
     raises_hangs_lies, own_connections, own_connections_fail, own_list_is_asked, own_list_that_fails, connects_do_not_block,
     pause_and_resume, shut_down, killed_while_discovering, killed_while_paused, front_crashes, frozen_companion,
     pop_cut_heals, once, once_beside_no_discovery, once_with_functions, not_configured, wrong_options, secrets_are_hidden, sentences,
     former_ref, orders_and_reports, news_before_the_answer, refused_later, silent_at_first, jobs].

peers() -> [(shim_ct:peer_opts(?MODULE))#{modules := [doorstand | maps:get(modules, shim_ct:peer_opts(?MODULE))]}
            || _ <- [1, 2, 3]].

init_per_testcase(_, Config) ->
    [ok = rcall(P, ?MODULE, fresh, []) || P <- remora_ct:peers(Config)],
    Config.

end_per_testcase(_, Config) ->
    [shim_ct:stop(P) || P <- remora_ct:peers(Config)],
    [rcall(P, shimnode, forget, []) || P <- remora_ct:peers(Config)],
    apart(Config).

%% All at once, and again: `global' of one introduces those that are still connected to each other.
apart(Config) ->
    wait_until(fun() ->
                   [run(P, fun() -> [erlang:disconnect_node(N) || N <- nodes(connected)] end) || P <- remora_ct:peers(Config)],
                   lists:all(fun(P) -> rcall(P, erlang, nodes, [connected]) =:= [] end, remora_ct:peers(Config))
               end, 20_000).

vm(Config) -> peer(1, Config).
second(Config) -> peer(2, Config).
third(Config) -> peer(3, Config).

%% ---- starting, asking ---------------------------------------------------------------------------------------------

%% Long polls: what happens in a test is by what it does, unless it says otherwise.
start(Vm, Discovery) -> start(Vm, Discovery, #{visibility => hidden}).
start(Vm, Discovery, Options) ->
    {ok, _} = shim_ct:start(Vm, Options#{discovery => maps:merge(#{poll_interval => 60_000}, Discovery)}),
    ok.

nodes_source(Peers) -> {nodes, [atom_to_binary(Node) || #{node := Node} <- Peers]}.
custom() -> {custom, fun ?MODULE:look/0}.

refresh(Vm) -> rcall(Vm, remora_discovery, refresh, [20_000]).

has(#{node := _} = Peer, Node) -> lists:member(Node, rcall(Peer, erlang, nodes, [connected])).
%% The end that was dialled lists a connection a moment after the end that dialled has called it up: the last message of the
%% handshake is its own.
await_has(Peer, Node) -> wait_until(fun() -> has(Peer, Node) end, 10_000).
await_lost(Peer, Node) -> wait_until(fun() -> not has(Peer, Node) end, 10_000).

companion(#{node := Node}) ->
    [Name, Host] = string:split(atom_to_list(Node), "@"),
    list_to_atom(Name ++ "_remora@" ++ Host).

%% What the process heard of remora's events, in their order.
listen(Vm) ->
    {Listener, {ok, _}} = rcall(Vm, shimnode, hear, [fun remora_events:subscribe/0]),
    Listener.

events(Vm, Listener) -> [Event || {remora_event, _, Event} <- rcall(Vm, shimnode, heard, [Listener])].
await_event(Vm, Listener, IsIt) ->
    wait_until(fun() ->
                   case [Event || Event <- events(Vm, Listener), IsIt(Event)] of
                       [Event | _] -> Event;
                       [] -> false
                   end
               end, 10_000).

%% ---- on the VM: the user's functions -----------------------------------------------------------------------------

fresh() ->
    persistent_term:put(looks, counters:new(1, [])),
    [persistent_term:erase(Key) || Key <- [says, connects, disconnects, lists]],
    persistent_term:put(calls, ets_of_calls()),
    ok.

ets_of_calls() ->
    Self = self(),
    Holder = spawn(fun() -> Self ! {self(), ets:new(calls, [public, ordered_set])}, receive stop -> ok end end),
    receive {Holder, Table} -> Table end.

says(Vm, Answer) -> rcall(Vm, persistent_term, put, [says, Answer]).
does(Vm, What, Answer) -> rcall(Vm, persistent_term, put, [What, Answer]).
looks(Vm) -> run(Vm, fun() -> counters:get(persistent_term:get(looks), 1) end).
calls(Vm) -> run(Vm, fun() -> [Call || {_, Call} <- ets:tab2list(persistent_term:get(calls))] end).

look() ->
    counters:add(persistent_term:get(looks), 1, 1),
    behave(persistent_term:get(says, {ok, []})).

behave(raise) -> error(oh_no);
behave(leave) -> exit(oh_no);
behave(hang) -> receive never -> ok end;
behave(die) -> exit(self(), kill);
behave({only, Node, Answer, Node}) -> behave(Answer);
behave({only, _, _, _}) -> ok;
behave(Answer) -> Answer.

own_connect(Node) -> called(connects, Node).
own_disconnect(Node) -> called(disconnects, Node).
called(What, Node) ->
    ets:insert(persistent_term:get(calls), {erlang:unique_integer([monotonic]), {What, Node}}),
    behave(case persistent_term:get(What, ok) of
               {only, Which, Answer} -> {only, Which, Answer, Node};
               Answer -> Answer
           end).
own_list() -> behave(persistent_term:get(lists, {ok, []})).

own() -> {custom, #{discover => fun ?MODULE:look/0, connect => fun ?MODULE:own_connect/1,
                    disconnect => fun ?MODULE:own_disconnect/1}}.
own_with_list() ->
    {custom, Functions} = own(),
    {custom, Functions#{list => fun ?MODULE:own_list/0}}.

%% ---- the documentation ----------------------------------------------------------------------------------------------

%% What the head of remora_discovery shows is so.
doc_example(Config) ->
    Vm = vm(Config),
    {ok, Source} = file:read_file(proplists:get_value(source, remora_discovery:module_info(compile))),
    [_, Block | _] = re:split(Source, "%%% (?:```|\'\'\')\n", [{return, list}]),
    {ok, Tokens, _} = erl_scan:string(re:replace(Block, "(^|\n)%%%", "\\1", [global, {return, list}])),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    true = rcall(Vm, os, putenv, ["REMORA_BIN", shim_ct:program(Vm)]),
    run(Vm, fun() ->
        {value, {ok, Nodes}, _} = erl_eval:exprs(Expressions, erl_eval:new_bindings()),
        true = length(Nodes) >= 2,
        ok = remora:stop()
    end).

%% ---- who is connected ----------------------------------------------------------------------------------------------

side_both(Config) -> connected_by(both, Config, true, true).
side_companion(Config) -> connected_by(companion, Config, true, false).
side_app(Config) -> connected_by(app, Config, false, true).

connected_by(Side, Config, ByCompanion, ByVm) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    start(Vm, #{sources => [nodes_source([Second])], side => Side}),
    ?assertEqual({ok, [Node]}, refresh(Vm)),
    {ok, #{state := running, nodes := [#{node := Node, companion := C, app := A}]}} =
        rcall(Vm, remora_discovery, status, []),
    ?assertEqual({ByCompanion, ByVm}, {is_up(C), is_up(A)}),
    [await_has(Second, companion(Vm)) || ByCompanion],
    %% A round has ended: who is not connected by it was not asked to be.
    ?assertEqual({ByCompanion, ByVm}, {has(Second, companion(Vm)), has(Vm, Node)}).

is_up(undefined) -> false;
is_up(#{up := Up}) -> Up.

from_epmd(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    start(Vm, #{sources => [local_epmd]}),
    {ok, Nodes} = refresh(Vm),
    ?assertEqual([], [N2, N3] -- Nodes),
    ?assertNot(lists:member(maps:get(node, Vm), Nodes)),
    await_has(Vm, N2),
    await_has(Vm, N3).

%% Sources of the program's own command line: this VM takes part in them, if it says so.
as_the_program_was_told(Config) ->
    {Vm, #{node := N2} = Second, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    {ok, _} = shim_ct:start(Vm, #{visibility => hidden, discovery => #{}, args => ["--discover", told([N2])]}),
    ?assertEqual({ok, [N2]}, refresh(Vm)),
    ?assert(has(Vm, N2)),
    await_has(Second, companion(Vm)),
    shim_ct:stop(Vm),
    %% And adds its own.
    {ok, _} = shim_ct:start(Vm, #{visibility => hidden, discovery => #{sources => [{nodes, [N3]}]},
                                  args => ["--discover", told([N2])]}),
    ?assertEqual({ok, lists:sort([N2, N3])}, refresh(Vm)).

%% Else the companion does it alone; a pause is known to the next one all the same.
as_the_program_alone_was_told(Config) ->
    {Vm, #{node := N2} = Second} = {vm(Config), second(Config)},
    {ok, _} = shim_ct:start(Vm, #{visibility => hidden, args => ["--discover", told([N2])]}),
    ?assertEqual({ok, [N2]}, refresh(Vm)),
    await_has(Second, companion(Vm)),
    ?assertNot(has(Vm, N2)),
    ok = rcall(Vm, remora_discovery, pause, [5_000]),
    replace(Vm),
    wait_until(fun() -> refresh(Vm) =:= {error, paused} end, 5_000).

told(Nodes) -> "nodes:" ++ lists:flatten(lists:join(",", [atom_to_list(Node) || Node <- Nodes])).

%% What the list says now is asked for, not what it said.
refresh_finds_the_new(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2]}),
    start(Vm, #{sources => [custom()]}),
    ?assertEqual({ok, [N2]}, refresh(Vm)),
    says(Vm, {ok, [atom_to_binary(N3), atom_to_list(N2), N2]}), % as atom, text or twice
    ?assertEqual({ok, lists:sort([N2, N3])}, refresh(Vm)).

%% ---- events --------------------------------------------------------------------------------------------------------

events_of_rounds(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    start(Vm, #{sources => [nodes_source([Second])], poll_interval => 100}),
    Listener = listen(Vm),
    await_event(Vm, Listener, fun(E) -> E =:= {refreshed, {ok, [Node]}} end),
    ok = rcall(Vm, remora_discovery, pause, [5_000]),
    await_event(Vm, Listener, fun(E) -> E =:= paused end),
    ok = rcall(Vm, remora_discovery, resume, [5_000]),
    await_event(Vm, Listener, fun(E) -> E =:= resumed end),
    says(Vm, raise),
    ok = rcall(Vm, remora_discovery, shutdown, [5_000]),
    await_event(Vm, Listener, fun(E) -> E =:= stopped end).

attempts_that_fail(Config) ->
    Vm = vm(Config),
    [_, Host] = string:split(atom_to_list(maps:get(node, Vm)), "@"),
    Absent = list_to_binary("absent@" ++ Host),
    start(Vm, #{sources => [{nodes, [Absent, <<"absent@no.such.host.invalid">>]}], backoff_min => 20, backoff_max => 40}),
    Listener = listen(Vm),
    {error, {connect_failed, Failed}} = refresh(Vm),
    ?assertEqual(lists:sort([binary_to_atom(Absent), 'absent@no.such.host.invalid']), lists:usort([N || {N, _} <- Failed])),
    [begin
         {connect_failed, Side, _, not_registered, Ms} =
             await_event(Vm, Listener, fun(E) ->
                                           is_tuple(E) andalso element(1, E) =:= connect_failed andalso element(2, E) =:= Side
                                               andalso element(3, E) =:= binary_to_atom(Absent)
                                       end),
         ?assert(Ms =< 40)
     end || Side <- [app, companion]].

%% ---- links ---------------------------------------------------------------------------------------------------------

%% At once, and not at the next poll. While `global' of the other node is still busy with this one it dials too, and two OTP
%% nodes that dial each other in the moment of a disconnect may take their whole net_setuptime, 7 s; so not then.
lost_links_come_back(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    start(Vm, #{sources => [nodes_source([Second])]}),
    {ok, [Node]} = refresh(Vm),
    [begin
         together([Vm, Second]),
         Up = run(Vm, fun() -> net_kernel:monitor_nodes(true), erlang:disconnect_node(Node),
                               receive {nodedown, Node} -> ok after 5_000 -> error(no_nodedown) end,
                               receive {nodeup, Node} -> up after 5_000 -> error(no_nodeup) end
                      end),
         ?assertEqual(up, Up)
     end || _ <- [1, 2, 3]],
    true = run(Second, fun() -> erlang:disconnect_node(binary_to_existing_atom(atom_to_binary(companion(Vm)))) end),
    await_has(Second, companion(Vm)).

nobody_is_dropped_wrongly(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2]}),
    start(Vm, #{sources => [custom()], grace => 1, ask_timeout => 300}),
    {ok, [N2]} = refresh(Vm),
    [begin
         says(Vm, Answer),
         _ = refresh(Vm),
         _ = refresh(Vm),
         ?assert(has(Vm, N2))
     end || Answer <- [{ok, []}, {error, <<"not now">>}, raise, hang, {ok, [<<"no name">>]}]],
    %% And one whom somebody else connected stays, whatever is listed.
    pong = rcall(Vm, net_adm, ping, [N3]),
    says(Vm, {ok, [N2, N3]}),
    {ok, [_, _]} = refresh(Vm),
    says(Vm, {ok, [N2]}),
    {ok, [N2]} = refresh(Vm),
    {ok, [N2]} = refresh(Vm),
    ?assert(has(Vm, N3)).

%% Only after `grace' answers; and no third node loses anybody by it, which an ordinary disconnect would bring about.
dropped_in_order(Config) ->
    {Vm, #{node := N2} = Second, #{node := N3} = Third} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2, N3]}),
    start(Vm, #{sources => [custom()], grace => 3}),
    {ok, [_, _]} = refresh(Vm),
    together([Vm, Second, Third]),
    Listener = listen(Vm),
    Watch = [{P, element(1, rcall(P, shimnode, hear, [fun() -> net_kernel:monitor_nodes(true, [nodedown_reason]) end]))}
             || P <- [Vm, Second, Third]],
    says(Vm, {ok, [N3]}),
    {ok, [N2, N3]} = refresh(Vm),
    {ok, [N2, N3]} = refresh(Vm),
    ?assert(has(Vm, N2)),
    {ok, [N3]} = refresh(Vm),
    await_lost(Vm, N2),
    await_lost(Second, companion(Vm)),
    [await_event(Vm, Listener, fun(E) -> E =:= {dropped, Side, N2} end) || Side <- [app, companion]],
    %% A lost connection would be told to all within the time of one message: asked after a round trip with everybody.
    [rcall(P, gen_server, call, [global_name_server, get_known]) || P <- [Vm, Second, Third, Vm, Second, Third]],
    [DownHere, DownThere, DownThird] = [[Down || {nodedown, _, _} = Down <- rcall(P, shimnode, heard, [L])] || {P, L} <- Watch],
    ?assertEqual({true, true, []}, {has(Third, maps:get(node, Vm)), has(Third, N2), DownThird}),
    ?assertMatch({[{nodedown, N2, _}], [_]}, {DownHere, DownThere}),
    %% It is not dialled again, and comes back when it is listed.
    says(Vm, {ok, [N2, N3]}),
    {ok, [_, _]} = refresh(Vm),
    ?assert(has(Vm, N2)).

%% `global' of each has exchanged names with all others; it may know a node before it is connected.
together(Peers) ->
    Nodes = [Node || #{node := Node} <- Peers],
    wait_until(fun() ->
                   lists:all(fun(#{node := Node} = P) ->
                                 (Nodes -- [Node]) -- rcall(P, gen_server, call, [global_name_server, get_known]) =:= []
                                     andalso (Nodes -- [Node]) -- rcall(P, erlang, nodes, []) =:= []
                             end, Peers)
               end, 60_000).

keep_missing(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2, N3]}),
    start(Vm, #{sources => [custom()], grace => 1, keep_missing_nodes => true}),
    {ok, [_, _]} = refresh(Vm),
    says(Vm, {ok, [N3]}),
    [{ok, [N3]} = refresh(Vm) || _ <- [1, 2, 3]],
    ?assert(has(Vm, N2)).

%% ---- functions of the user -------------------------------------------------------------------------------------------

raises_hangs_lies(Config) ->
    {Vm, #{node := Node}} = {vm(Config), second(Config)},
    says(Vm, {ok, [Node]}),
    start(Vm, #{sources => [custom()], ask_timeout => 300}),
    Listener = listen(Vm),
    Front = rcall(Vm, erlang, whereis, [remora_discovery]),
    [begin
         says(Vm, Answer),
         {error, {discovery_failed, [{<<"custom">>, by_app, Text}]}} = refresh(Vm),
         ?assertNotEqual({Answer, nomatch}, {Answer, string:find(Text, Words)}),
         await_event(Vm, Listener, fun(E) -> E =:= {source_failed, <<"custom">>, by_app, Text} end)
     end || {Answer, Words} <- [{raise, "oh_no"}, {leave, "oh_no"}, {die, "killed"}, {hang, "300 ms"}, {nonsense, "neither"},
                                {{ok, Node}, "neither"}, {{ok, [Node | Node]}, "proper list"}, {{ok, [Node, 5]}, "NAME@HOST"},
                                {{ok, [<<"a@b@c">>]}, "NAME@HOST"}, {{ok, [<<255, 254>>]}, "NAME@HOST"},
                                {{ok, [binary:copy(<<"x">>, 300)]}, "NAME@HOST"}, {{error, <<"it is locked">>}, "it is locked"},
                                {{error, {odd, reason}}, "odd"}]],
    %% None of it has cost the front its life, or anybody a connection.
    ?assertEqual(Front, rcall(Vm, erlang, whereis, [remora_discovery])),
    ?assert(has(Vm, Node)),
    says(Vm, {ok, [Node]}),
    ?assertEqual({ok, [Node]}, refresh(Vm)).

own_connections(Config) ->
    {Vm, #{node := N2} = Second, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2, N3]}),
    start(Vm, #{sources => [own()], grace => 1}),
    ?assertEqual({ok, lists:sort([N2, N3])}, refresh(Vm)),
    ?assertEqual(lists:sort([{connects, N2}, {connects, N3}]), lists:sort(calls(Vm))),
    says(Vm, {ok, [N2]}),
    {ok, [N2]} = refresh(Vm),
    wait_until(fun() -> lists:member({disconnects, N3}, calls(Vm)) end, 5_000),
    %% Only these were called: nobody is connected in truth.
    ?assertNot(has(Second, companion(Vm)) orelse has(Vm, N2)).

own_connections_fail(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2, N3]}),
    does(Vm, connects, {only, N2, {error, no_road}}),
    start(Vm, #{sources => [own()], dial_timeout => 300}),
    [begin
         does(Vm, connects, {only, N2, Answer}),
         %% One node's failure stops no other.
         ?assertEqual({error, {connect_failed, [{N2, Reason}]}}, refresh(Vm)),
         {ok, #{nodes := Nodes}} = rcall(Vm, remora_discovery, status, []),
         ?assertMatch([#{app := #{up := true}}], [N || #{node := Node} = N <- Nodes, Node =:= N3])
     end || {Answer, Reason} <- [{{error, no_road}, no_road}, {{error, <<"no road">>}, <<"no road">>}, {raise, raised},
                                 {leave, raised}, {die, raised}, {nonsense, failed}, {{error, {odd, x}}, failed},
                                 {hang, timeout}]],
    does(Vm, connects, ok),
    ?assertEqual({ok, lists:sort([N2, N3])}, refresh(Vm)).

own_list_is_asked(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2, N3]}),
    does(Vm, lists, {ok, [N2]}),
    start(Vm, #{sources => [own_with_list()]}),
    {ok, _} = refresh(Vm),
    ?assertEqual([{connects, N3}], calls(Vm)), % the other one is there, its list says
    does(Vm, lists, {ok, [N3]}),
    {ok, _} = refresh(Vm),
    wait_until(fun() -> lists:member({connects, N2}, calls(Vm)) end, 5_000).

own_list_that_fails(Config) ->
    {Vm, #{node := Node}} = {vm(Config), second(Config)},
    says(Vm, {ok, [Node]}),
    start(Vm, #{sources => [own_with_list()], ask_timeout => 300}),
    [begin
         does(Vm, lists, Answer),
         ?assertMatch({error, {discovery_failed, [{<<"custom">>, by_app, _}]}}, refresh(Vm))
     end || Answer <- [raise, hang, nonsense, {error, <<"no">>}]].

%% Sixty that hang at once, more than may: the front answers as ever, and no more than the limit were called.
connects_do_not_block(Config) ->
    Vm = vm(Config),
    says(Vm, {ok, [iolist_to_binary(["n", integer_to_binary(N), "@127.0.0.9"]) || N <- lists:seq(1, 60)]}),
    does(Vm, connects, hang),
    start(Vm, #{sources => [own()], dial_timeout => 2_000, dial_limit => 20}),
    wait_until(fun() -> length(calls(Vm)) >= 20 end, 5_000),
    {Ms, _} = elapsed(fun() -> rcall(Vm, sys, get_status, [remora_discovery]) end),
    ?assert(Ms < 500),
    ?assertEqual(20, length(calls(Vm))),
    {StopMs, ok} = elapsed(fun() -> shim_ct:stop(Vm) end),
    ?assert(StopMs < 5_000),
    wait_until(fun() -> [] =:= rcall(Vm, ?MODULE, hanging, []) end, 5_000). % nobody is left behind

hanging() ->
    [Pid || Pid <- processes(), {current_function, {?MODULE, behave, 1}} <- [process_info(Pid, current_function)]].

%% ---- pause, shutdown, and a companion that goes ------------------------------------------------------------------------

pause_and_resume(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    says(Vm, {ok, [Node]}),
    start(Vm, #{sources => [custom()], poll_interval => 100}),
    {ok, [Node]} = refresh(Vm),
    ok = rcall(Vm, remora_discovery, pause, [5_000]),
    Looks = settled_looks(Vm),
    ?assertEqual({error, paused}, refresh(Vm)),
    together([Vm, Second]), % else `global' itself connects again
    true = rcall(Vm, erlang, disconnect_node, [Node]),
    %% Five polls' time, and some attempts'.
    ?assertError({still_false_after_ms, _}, wait_until(fun() -> looks(Vm) > Looks orelse has(Vm, Node) end, 500)),
    ok = rcall(Vm, remora_discovery, resume, [5_000]),
    await_has(Vm, Node),
    wait_until(fun() -> looks(Vm) > Looks end, 5_000).

%% A look that was under way may still end.
settled_looks(Vm) ->
    Looks = looks(Vm),
    try wait_until(fun() -> looks(Vm) > Looks end, 200) of
        true -> settled_looks(Vm)
    catch error:{still_false_after_ms, _} -> Looks
    end.

shut_down(Config) ->
    {Vm, #{node := Node}} = {vm(Config), second(Config)},
    says(Vm, {ok, [Node]}),
    start(Vm, #{sources => [custom()], poll_interval => 100}),
    {ok, [Node]} = refresh(Vm),
    ok = rcall(Vm, remora_discovery, shutdown, [5_000]),
    ?assertEqual({error, shut_down}, refresh(Vm)),
    ?assert(has(Vm, Node)),
    Looks = settled_looks(Vm),
    %% Also for the next companion.
    replace(Vm),
    ?assertMatch({error, Why} when Why =:= shut_down; Why =:= not_configured, refresh(Vm)),
    ?assertError({still_false_after_ms, _}, wait_until(fun() -> looks(Vm) > Looks end, 300)).

replace(Vm) ->
    Up = rcall(Vm, remora_state, epoch, []),
    shim_ct:gone(shim_ct:kill_companion(Vm)),
    wait_until(fun() -> rcall(Vm, remora_state, is_up, []) andalso rcall(Vm, remora_state, epoch, []) =/= Up end, 10_000).

killed_while_discovering(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    says(Vm, {ok, [Node]}),
    start(Vm, #{sources => [custom()], poll_interval => 100}, #{visibility => hidden, restart_intensity => {100, 1}}),
    Listener = listen(Vm),
    [begin
         {ok, [Node]} = refresh(Vm),
         replace(Vm),
         rcall(Vm, shimnode, clear, [Listener]),
         await_event(Vm, Listener, fun(E) -> E =:= {refreshed, {ok, [Node]}} end),
         await_has(Second, companion(Vm))
     end || _ <- [1, 2, 3]],
    %% Who asks meanwhile is told at once.
    says(Vm, hang),
    Asking = rcall(Vm, shimnode, in_background, [fun() -> remora_discovery:refresh(20_000) end]),
    wait_until(fun() -> looks(Vm) > 0 end, 5_000),
    Program = shim_ct:kill_companion(Vm),
    ?assertEqual({error, not_running}, rcall(Vm, shimnode, result, [Asking])),
    shim_ct:gone(Program).

killed_while_paused(Config) ->
    {Vm, #{node := Node}} = {vm(Config), second(Config)},
    says(Vm, {ok, [Node]}),
    start(Vm, #{sources => [custom()], poll_interval => 100}),
    {ok, [Node]} = refresh(Vm),
    ok = rcall(Vm, remora_discovery, pause, [5_000]),
    replace(Vm),
    wait_until(fun() -> refresh(Vm) =:= {error, paused} end, 5_000),
    ok = rcall(Vm, remora_discovery, resume, [5_000]),
    ?assertEqual({ok, [Node]}, refresh(Vm)).

front_crashes(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    says(Vm, {ok, [N2]}),
    start(Vm, #{sources => [custom()]}),
    {ok, [N2]} = refresh(Vm),
    Front = rcall(Vm, erlang, whereis, [remora_discovery]),
    ok = rcall(Vm, shimnode, kill, [[Front]]),
    wait_until(fun() -> is_pid(rcall(Vm, erlang, whereis, [remora_discovery])) end, 5_000),
    ?assert(has(Vm, N2)),
    says(Vm, {ok, [N2, N3]}),
    wait_until(fun() -> {ok, lists:sort([N2, N3])} =:= refresh(Vm) end, 10_000).

%% It takes nothing, and then all at once.
frozen_companion(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    start(Vm, #{sources => [nodes_source([Second])]}),
    {ok, [Node]} = refresh(Vm),
    Program = #{os_pid => shim_ct:os_pid(Vm)},
    remora_ct:freeze(Program),
    {Ms, {error, timeout}} = elapsed(fun() -> rcall(Vm, remora_discovery, refresh, [300]) end),
    ?assert(Ms < 2_000),
    true = rcall(Vm, erlang, disconnect_node, [Node]),
    remora_ct:thaw(Program),
    await_has(Vm, Node),
    ?assertEqual({ok, [Node]}, refresh(Vm)).

%% One broken link between two of three: OTP lets all three end up alone. Nobody helps here but discovery.
pop_cut_heals(Config) ->
    Peers = [_, #{node := N2} = Second, #{node := N3}] = remora_ct:peers(Config),
    [start(P, #{sources => [nodes_source(Peers)], poll_interval => 1_000}, #{}) || P <- Peers],
    All = lists:sort([Node || #{node := Node} <- Peers] ++ [companion(P) || P <- Peers]),
    whole(Peers, All),
    together(Peers),
    Watch = [{P, rcall(P, shimnode, hear, [fun() -> net_kernel:monitor_nodes(true) end])} || P <- Peers],
    true = rcall(Second, erlang, disconnect_node, [N3]),
    wait_until(fun() ->
                   [] =/= [x || {P, {Listener, _}} <- Watch, {nodedown, N} <- rcall(P, shimnode, heard, [Listener]),
                                N =:= N2 orelse N =:= N3]
               end, 10_000),
    whole(Peers, All).

whole(Peers, All) ->
    wait_until(fun() ->
                   lists:all(fun(#{node := Node} = P) ->
                                 case rcall(P, remora_cluster, nodes, []) of
                                     {ok, Seen} ->
                                         All =:= lists:usort([companion(P) | Seen])
                                             andalso All =:= lists:usort([Node | rcall(P, erlang, nodes, [])]);
                                     {error, not_running} -> false
                                 end
                             end, Peers)
               end, 60_000).

%% ---- one round -----------------------------------------------------------------------------------------------------

once(Config) ->
    {Vm, #{node := N2} = Second, #{node := N3} = Third} = {vm(Config), second(Config), third(Config)},
    start(Vm, #{sources => [nodes_source([Second])]}),
    {ok, [N2]} = refresh(Vm),
    ?assertEqual({ok, [N3]}, rcall(Vm, remora_discovery, run_once, [#{sources => [nodes_source([Third])]}])),
    ?assert(has(Vm, N3)),
    await_has(Third, companion(Vm)),
    %% What remora was started with goes on, and knows nothing of it.
    ?assertEqual({ok, [N2]}, refresh(Vm)),
    [_, Host] = string:split(atom_to_list(N2), "@"),
    Absent = list_to_binary("absent@" ++ Host),
    {error, {connect_failed, [_ | _]}} = rcall(Vm, remora_discovery, run_once, [#{sources => [{nodes, [Absent]}]}]),
    {error, {discovery_failed, [{_, no_file, _}]}} =
        rcall(Vm, remora_discovery, run_once, [#{sources => [{file, "/nowhere/nodes"}]}]),
    ?assertMatch({error, {discovery_option, grace, _}}, rcall(Vm, remora_discovery, run_once, [#{grace => 0}])).

%% A remora that was started without discovery connects this VM too, for the time of the round.
once_beside_no_discovery(Config) ->
    {Vm, #{node := N2} = Second, #{node := N3} = Third} = {vm(Config), second(Config), third(Config)},
    {ok, _} = shim_ct:start(Vm, #{visibility => hidden}),
    Listener = listen(Vm),
    Fronts = fun() -> rcall(Vm, ?MODULE, fronts, []) end,
    ?assertEqual(1, length(Fronts())),
    ?assertEqual({ok, [N2]}, rcall(Vm, remora_discovery, run_once, [#{sources => [nodes_source([Second])], side => app}])),
    ?assertEqual({true, false}, {has(Vm, N2), has(Second, companion(Vm))}),
    ?assertEqual({ok, [N3]}, rcall(Vm, remora_discovery, run_once, [#{sources => [nodes_source([Third])]}])),
    ?assert(has(Vm, N3)),
    await_has(Third, companion(Vm)),
    wait_until(fun() -> {error, not_configured} =:= refresh(Vm) end, 5_000),
    wait_until(fun() -> length(Fronts()) =:= 1 end, 5_000),
    ?assertEqual([], [E || E <- events(Vm, Listener), is_tuple(E), element(1, E) =:= refreshed]).

fronts() ->
    [Pid || Pid <- processes(), {dictionary, Dictionary} <- [process_info(Pid, dictionary)],
            proplists:get_value('$initial_call', Dictionary) =:= {remora_discovery_front, init, 1}].

once_with_functions(Config) ->
    {Vm, #{node := N2}, #{node := N3}} = {vm(Config), second(Config), third(Config)},
    Once = fun(Options) -> rcall(Vm, remora_discovery, run_once, [Options]) end,
    %% Functions that connect need no companion.
    says(Vm, {ok, [N2, N3]}),
    ?assertEqual({ok, lists:sort([N2, N3])}, Once(#{sources => [own()]})),
    ?assertEqual(lists:sort([{connects, N2}, {connects, N3}]), lists:sort(calls(Vm))),
    does(Vm, lists, {ok, [N2]}),
    does(Vm, connects, {only, N3, raise}),
    ?assertEqual({error, {connect_failed, [{N3, raised}]}}, Once(#{sources => [own_with_list()]})),
    does(Vm, connects, hang),
    ?assertEqual({error, {connect_failed, [{N3, timeout}]}}, Once(#{sources => [own_with_list()], dial_timeout => 200})),
    ?assertMatch({error, {discovery_option, sources, _}}, Once(#{sources => [local_epmd, own()]})),
    [begin
         says(Vm, Answer),
         ?assertMatch({error, {discovery_failed, [{<<"custom">>, by_app, _}]}}, Once(#{sources => [own()], ask_timeout => 200}))
     end || Answer <- [raise, hang, nonsense, {error, <<"no">>}]],
    %% One that only finds nodes does.
    says(Vm, {ok, [N2]}),
    ?assertEqual({error, not_running}, Once(#{sources => [custom()]})),
    start(Vm, #{sources => []}),
    ?assertEqual({ok, [N2]}, Once(#{sources => [custom()]})),
    says(Vm, raise),
    ?assertMatch({error, {discovery_failed, [{<<"custom">>, by_app, _}]}},
                 Once(#{sources => [custom(), {nodes, [atom_to_binary(N3)]}]})),
    ?assert(has(Vm, N3)), % what others list is connected all the same
    says(Vm, {ok, [N2]}),
    ?assertEqual({ok, [N2]}, Once(#{sources => [custom(), {nodes, [N2]}]})). % by both

%% ---- options -------------------------------------------------------------------------------------------------------

not_configured(Config) ->
    Vm = vm(Config),
    ?assertEqual({error, not_running}, refresh(Vm)),
    ?assertEqual({error, not_running}, rcall(Vm, remora_discovery, status, [])),
    {ok, _} = shim_ct:start(Vm),
    ?assertEqual({error, not_configured}, refresh(Vm)),
    [?assertEqual({error, not_configured}, rcall(Vm, remora_discovery, What, [1_000])) || What <- [pause, resume, shutdown]],
    ?assertMatch({ok, #{state := not_configured, sources := [], nodes := []}}, rcall(Vm, remora_discovery, status, [])).

wrong_options(Config) ->
    Vm = vm(Config),
    Sup = fun() -> rcall(Vm, erlang, whereis, [remora_sup]) end,
    [begin
         {error, {discovery_option, Key, Text}} = shim_ct:start(Vm, #{discovery => Discovery}),
         ?assertNotEqual({Discovery, nomatch}, {Discovery, string:find(Text, Words)}),
         ?assertNotEqual(nomatch, string:find(shim_ct:error_text({discovery_option, Key, Text}), "option")),
         ?assertEqual(undefined, Sup())
     end || {Key, Discovery, Words} <-
                [{discovery, many, "map"}, {no_such, #{no_such => 1}, "poll_interval"}, {sources, #{sources => local_epmd}, "list"},
                 {sources, #{sources => [everywhere]}, "local_epmd"}, {sources, #{sources => [{dns, "a"}]}, "{dns, Basename"},
                 {sources, #{sources => lists:duplicate(17, local_epmd)}, "16"},
                 {sources, #{sources => [custom(), custom()]}, "more than one"},
                 {nodes, #{sources => [{nodes, ["a"]}]}, "NAME@HOST"}, {epmd, #{sources => [{epmd, [5]}]}, "hosts"},
                 {dns, #{sources => [{dns, <<>>, <<>>}]}, "Hostname"}, {dns, #{sources => [{dns, 5, "a"}]}, "basename"},
                 {file, #{sources => [{file, ""}]}, "path"}, {hosts_file, #{sources => [{hosts_file, 5}]}, "path"},
                 {kubernetes, #{sources => [{kubernetes, #{}}]}, "namespace"},
                 {kubernetes, #{sources => [{kubernetes, #{namespace => "a", addressing => mac}}]}, "ip, pod or hostname"},
                 {kubernetes, #{sources => [{kubernetes, #{namespace => "a", colour => red}}]}, "colour"},
                 {kubernetes_dns, #{sources => [{kubernetes_dns, #{namespace => "a"}}]}, "service"},
                 {multicast, #{sources => [{multicast, #{group => "233.252.1.32", port => 0, secret => "s3cret"}}]}, "65535"},
                 {multicast, #{sources => [{multicast, #{group => "233.252.1.32", port => 1}}]}, "secret is missing"},
                 {multicast, #{sources => [{multicast, #{group => "233.252.1.32", port => 1, secret => ""}}]}, "no secret"},
                 {multicast, #{sources => [{multicast, #{group => "233.252.1.32", port => 1, secret => {file, "/nowhere"}}}]},
                  "/nowhere"},
                 {multicast, #{sources => [{multicast, #{group => "233.252.1.32", port => 1, secret => {env, "NO_SUCH"}}}]},
                  "NO_SUCH"},
                 {custom, #{sources => [{custom, #{discover => fun ?MODULE:look/0, connect => fun ?MODULE:look/0}}]}, "connect/1"},
                 {side, #{side => left}, "companion"}, {side, #{sources => [own()], side => both}, "functions"},
                 {poll_interval, #{poll_interval => -1}, "milliseconds"}, {poll_jitter, #{poll_jitter => 0.95}, "0.9"},
                 {grace, #{grace => 0}, "1 or more"}, {keep_missing_nodes, #{keep_missing_nodes => 1}, "true"},
                 {dial_limit, #{dial_limit => 0}, "1 or more"}, {dial_timeout, #{dial_timeout => infinity}, "milliseconds"},
                 {backoff_min, #{backoff_min => 1.5}, "milliseconds"}, {backoff_max, #{backoff_max => 0}, "milliseconds"},
                 {ask_timeout, #{ask_timeout => 0}, "milliseconds"}, {dns_servers, #{dns_servers => [5]}, "IP"}]],
    %% What only the companion can judge is an error of the start too, and nothing is left of it.
    [begin
         {error, {discovery_option, _, Text}} = shim_ct:start(Vm, #{discovery => Discovery}),
         ?assert(is_binary(Text) andalso Text =/= <<>>),
         ?assertEqual(undefined, Sup())
     end || Discovery <- [#{dns_servers => ["nowhere"]}, #{backoff_min => 500, backoff_max => 100}, #{poll_interval => 20},
                          #{sources => [{multicast, #{group => "10.0.0.1", port => 4000, secret => "s3cret"}}]}]].

%% Not in what the VM says of its processes, nor in what a failed start logs, nor in any error.
secrets_are_hidden(Config) ->
    Vm = vm(Config),
    Secret = "open sesame 5417",
    Source = {multicast, #{group => "233.252.1.32", port => 45_892, secret => Secret, interface => "127.0.0.1"}},
    run(Vm, fun() -> shimnode:catch_logs() end),
    start(Vm, #{sources => [Source]}),
    Shown = run(Vm, fun() ->
        io_lib:format("~p ~p ~p ~p ~p",
                      [sys:get_status(remora_discovery), sys:get_state(remora_sup), supervisor:which_children(remora_sup),
                       [supervisor:get_childspec(remora_sup, Id) || {Id, _, _, _} <- supervisor:which_children(remora_sup)],
                       remora:child_spec(#{discovery => #{sources => [Source]}})])
    end),
    ?assertEqual(nomatch, string:find(Shown, Secret)),
    Front = rcall(Vm, erlang, whereis, [remora_discovery]),
    ok = rcall(Vm, gen_server, cast, [Front, configure]),
    ok = rcall(Vm, sys, terminate, [Front, crash]),
    wait_until(fun() -> rcall(Vm, erlang, whereis, [remora_discovery]) =/= Front end, 5_000),
    shim_ct:stop(Vm),
    {error, _} = shim_ct:start(Vm, #{discovery => #{sources => [Source, {epmd, []}, nonsense]}}),
    Logs = rcall(Vm, shimnode, logs, []),
    ?assertNotEqual([], Logs),
    ?assertEqual(nomatch, string:find(io_lib:format("~tp", [Logs]), Secret)),
    rcall(Vm, shimnode, release_logs, []).

%% Every error is a sentence that says what is wrong.
sentences(_Config) ->
    [?assertNotEqual({Reason, nomatch}, {Reason, string:find(shim_ct:error_text(Reason), Words)})
     || {Reason, Words} <-
            [{not_configured, "option discovery"}, {paused, "resume"}, {shut_down, "started again"},
             {{discovery_failed, [{<<"dns app@a.b">>, no_such_name, <<"there is no such name">>}]}, "dns app@a.b: there is no"},
             {{connect_failed, [{'a@b', no_epmd}, {'c@d', my_reason}]}, "a@b, because no epmd"},
             {{connect_failed, [{'a@b', no_epmd}, {'c@d', my_reason}]}, "c@d: my reason"},
             {{disconnect_failed, [{'a@b', not_connected}]}, "Not disconnected: a@b"},
             {{discovery_option, grace, <<"it is 0">>}, "grace"}]].

%% News of a former configuration, and nonsense, change nothing.
former_ref(Config) ->
    {Vm, #{node := Node} = Second} = {vm(Config), second(Config)},
    start(Vm, #{sources => [nodes_source([Second])]}),
    {ok, [Node]} = refresh(Vm),
    Listener = listen(Vm),
    Front = rcall(Vm, erlang, whereis, [remora_discovery]),
    run(Vm, fun() ->
        [Front ! Message || Message <- [{remora_discovery, make_ref(), {disconnect, Node}}, {remora_discovery, x, paused},
                                        {remora_discovery, make_ref()}, nonsense, {'EXIT', self(), odd}, again, flush]],
        ok = gen_server:cast(Front, nonsense),
        {error, unknown_request} = gen_server:call(Front, nonsense)
    end),
    ?assert(has(Vm, Node)),
    ?assertNot(lists:member(paused, events(Vm, Listener))),
    ?assertEqual(Front, rcall(Vm, erlang, whereis, [remora_discovery])).

%% ---- a companion that is none: doorstand ---------------------------------------------------------------------------

beside_a_stand(Config, Discovery, Test) ->
    {Vm, Second} = {vm(Config), second(Config)},
    ok = rcall(Second, doorstand, start, []),
    try
        Test(Vm, Second, fun() ->
            start(Vm, Discovery, #{binary => {managed_elsewhere, maps:get(node, Second)}, call_timeout => 500})
        end)
    after
        shim_ct:stop(Vm),
        rcall(Second, doorstand, stop, [])
    end.

said(Second) -> rcall(Second, doorstand, said, []).
await_said(Second, What) -> wait_until(fun() -> lists:member(What, said(Second)) end, 5_000).

%% Each order of the companion, and what it hears of it.
orders_and_reports(Config) ->
    #{node := N3} = Third = third(Config),
    [_, Host] = string:split(atom_to_list(N3), "@"),
    Absent = list_to_atom("absent@" ++ Host),
    beside_a_stand(Config, #{sources => [custom(), local_epmd], grace => 7}, fun(Vm, Second, Start) ->
        pong = rcall(Vm, net_adm, ping, [N3]),
        Start(),
        Say = fun(News) -> ok = rcall(Second, doorstand, say, [News]) end,
        %% Who is connected already comes first.
        await_said(Second, {up, N3}),
        [{configure, #{sources := [custom, local_epmd], grace := 7}}, {up, N3} | _] = said(Second),
        Say({connect, Absent}),
        await_said(Second, {connect_failed, Absent, not_registered}),
        Say({disconnect, N3}),
        await_said(Second, {disconnected, N3}),
        wait_until(fun() -> [{down, N3, R} || {down, N, R} <- said(Second), N =:= N3, is_atom(R)] =/= [] end, 5_000),
        ?assertNot(has(Vm, N3)),
        Say({disconnect, N3}),
        await_said(Second, {disconnect_failed, N3, not_connected}),
        Say({connect, N3}),
        wait_until(fun() -> length([x || {up, N} <- said(Second), N =:= N3]) >= 2 end, 5_000),
        await_has(Third, maps:get(node, Vm)),
        says(Vm, {ok, [N3, <<"b@h">>]}),
        Say({list, 17}),
        await_said(Second, {listed, 17, {ok, lists:sort([atom_to_binary(N3), <<"b@h">>])}}),
        says(Vm, raise),
        Say({list, 18}),
        wait_until(fun() -> [x || {listed, 18, {error, Text}} <- said(Second), is_binary(Text)] =/= [] end, 5_000),
        %% What this version does not know is logged, and nothing else.
        Listener = listen(Vm),
        Say({something, new}),
        Say({refreshed, {error, {disconnect_failed, [{N3, leaving}]}}}),
        await_event(Vm, Listener, fun(E) -> E =:= {refreshed, {error, {disconnect_failed, [{N3, leaving}]}}} end),
        ?assertEqual([], [E || E <- events(Vm, Listener), element(1, E) =:= something])
    end).

%% Another process of the companion may be quicker than the one that answers.
news_before_the_answer(Config) ->
    beside_a_stand(Config, #{sources => [custom()]}, fun(Vm, Second, Start) ->
        says(Vm, {ok, [<<"b@h">>]}),
        Start(),
        ok = rcall(Second, doorstand, will, [{news, [{list, 1}, {list, 2}]}]),
        ok = run(Vm, fun() -> remora_discovery_front:configure() end),
        [await_said(Second, {listed, Id, {ok, [<<"b@h">>]}}) || Id <- [1, 2]]
    end).

%% Not at the start: then it is in the log, and the rest goes on.
refused_later(Config) ->
    beside_a_stand(Config, #{sources => [local_epmd]}, fun(Vm, Second, Start) ->
        ok = rcall(Second, doorstand, will, [{error, {option, grace, <<"it is too odd">>}}]),
        ?assertError({badmatch, {error, {discovery_option, grace, <<"it is too odd">>}}}, Start()),
        Start(),
        Front = rcall(Vm, erlang, whereis, [remora_discovery]),
        run(Vm, fun() -> shimnode:catch_logs() end),
        ok = rcall(Second, doorstand, will, [{error, {option, grace, <<"it is too odd">>}}]),
        ok = run(Vm, fun() -> remora_discovery_front:configure() end),
        wait_until(fun() -> nomatch =/= string:find(io_lib:format("~tp", [rcall(Vm, shimnode, logs, [])]), "too odd") end, 5_000),
        rcall(Vm, shimnode, release_logs, []),
        ?assertEqual(Front, rcall(Vm, erlang, whereis, [remora_discovery]))
    end).

%% The start does not wait for ever, and the configuration is told again until it is answered.
silent_at_first(Config) ->
    beside_a_stand(Config, #{sources => [local_epmd]}, fun(Vm, Second, Start) ->
        ok = rcall(Second, doorstand, will, [silent]),
        {Ms, ok} = elapsed(Start),
        ?assert(Ms >= 500 andalso Ms < 5_000),
        wait_until(fun() -> length([x || {configure, _} <- said(Second)]) =:= 2 end, 5_000),
        Listener = listen(Vm),
        ok = rcall(Second, doorstand, say, [paused]),
        await_event(Vm, Listener, fun(E) -> E =:= paused end)
    end).

%% ---- remora_jobs, by itself ------------------------------------------------------------------------------------------

jobs(Config) -> ok = rcall(vm(Config), ?MODULE, jobs_here, []).

jobs_here() ->
    process_flag(trap_exit, true),
    Self = self(),
    Report = fun(What) -> fun() -> Self ! {began, What, self()}, receive go -> What end end end,
    %% Two at once, in their order; a key that is there is not started again.
    J1 = lists:foldl(fun(K, J) -> remora_jobs:start(K, Report(K), 5_000, J) end, remora_jobs:new(2), [a, b, a, c, c, d]),
    [PidA, PidB] = [receive {began, K, Pid} -> Pid end || K <- [a, b]],
    false = receive {began, _, _} -> true after 50 -> false end,
    PidA ! go,
    {a, {ok, a}, J2} = await_job(J1),
    PidC = receive {began, c, P} -> P end,
    exit(PidB, kill),
    {b, {raised, exit, killed}, J3} = await_job(J2),
    PidD = receive {began, d, Q} -> Q end,
    PidC ! go, PidD ! go,
    {K1, {ok, K1}, J4} = await_job(J3),
    {K2, {ok, K2}, J5} = await_job(J4),
    [c, d] = lists:sort([K1, K2]),
    %% What raises, and what takes too long.
    {e, {raised, error, badarg}, J6} = await_job(remora_jobs:start(e, fun() -> error(badarg) end, 5_000, J5)),
    {f, {raised, throw, x}, J7} = await_job(remora_jobs:start(f, fun() -> throw(x) end, 5_000, J6)),
    {g, {timeout, 50}, J8} = await_job(remora_jobs:start(g, Report(g), 50, J7)),
    false = receive {began, g, G} -> is_process_alive(G) end,
    %% And all of them at once.
    J9 = lists:foldl(fun(K, J) -> remora_jobs:start(K, Report(K), 5_000, J) end, J8, [h, i, j]),
    Pids = [receive {began, K, Pid} -> Pid end || K <- [h, i]],
    _ = remora_jobs:stop(J9),
    [] = [Pid || Pid <- Pids, is_process_alive(Pid)],
    no = receive Any -> remora_jobs:message(Any, J8) after 50 -> no end,
    ok.

await_job(Jobs) ->
    receive
        Message when element(1, Message) =/= began ->
            case remora_jobs:message(Message, Jobs) of
                no -> await_job(Jobs); % the exit signals of links
                Done -> Done
            end
    after 5_000 -> error(no_job_ended)
    end.
