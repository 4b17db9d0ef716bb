%% What run.sh shows, on the second node.
-module(tally_demo).

-export([main/1]).

main(First) ->
    pong = net_adm:ping(First), % first the cluster, then what wants a name in it
    {ok, _} = application:ensure_all_started(tally),
    {ok, _} = remora_registry:await(<<"tally">>, 10_000),
    wait(fun() -> {{ok, [_, _]}, {ok, [_, _, _]}} = {remora_groups:members(tallies), remora_cluster:nodes()} end),
    say("nodes", fun() -> {ok, Nodes} = remora_cluster:nodes(), lists:sort([short(N) || N <- Nodes]) end),
    say("who counts", fun() -> {ok, Node} = tally:holder(), short(Node) end),
    say("add 2", fun() -> tally:add(2) end),
    say("add 3", fun() -> tally:add(3) end),
    ok = remora_rpc:cast(First, erlang, halt, []),
    wait(fun() -> {ok, Node} = tally:holder(), Node = node() end),
    say("the first node has ended; who counts", fun() -> {ok, Node} = tally:holder(), short(Node) end),
    say("add 10", fun() -> tally:add(10) end),
    init:stop().

say(What, Do) -> io:format("~ts: ~p~n", [What, Do()]).

short(Node) -> list_to_atom(hd(string:lexemes(atom_to_list(Node), "@"))).

%% Until Do does not crash; what happens on other nodes takes a moment.
wait(Do) -> wait(Do, erlang:monotonic_time(millisecond) + 10_000).
wait(Do, Until) ->
    try Do()
    catch error:_ ->
        case erlang:monotonic_time(millisecond) < Until of
            true -> receive after 20 -> wait(Do, Until) end;
            false -> Do()
        end
    end.
