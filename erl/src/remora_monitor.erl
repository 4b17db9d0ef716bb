%%% @doc Nodes coming and going, as the companion sees it: `{remora_node, Ref, {up, Node} | {down, Node, Reason}}'.
%%%
%%% Reasons are single words: `connection_closed', `net_tick_timeout', and so on; `died' when membership
%%% ({@link remora_membership}) runs and finds it dead, which is mostly long before its connection is lost; `not_connected'
%%% where it was not there when asked for; `resynchronised' where it went away while we could not see it. A node that is
%%% down is told once, whatever is known of it first, and is up again when it is connected and not dead. Processes are monitored by
%%% `erlang:monitor/2' as ever.
%%%
%%% A subscription outlives companions: when one is back, what is different is told. It ends with its process, or by
%%% {@link demonitor_node/1}.
-module(remora_monitor).

-export([monitor_node/1, monitor_nodes/0, demonitor_node/1]).

%% @doc One node, each time it comes and goes. If it is not connected, or dead, that is the first message.
-spec monitor_node(node()) -> {ok, reference()} | {error, not_running | timeout}.
monitor_node(Node) ->
    case remora_mirror:subscribe_node(Node, self()) of
        {ok, Ref, connected} -> {ok, Ref};
        {ok, Ref, Why} ->
            self() ! {remora_node, Ref, {down, Node, Why}},
            {ok, Ref};
        {error, _} = Error -> Error
    end.

%% @doc All of them.
-spec monitor_nodes() -> {ok, reference()} | {error, not_running}.
monitor_nodes() -> remora_intents:subscribe(nodes, self()).

%% @doc No more messages. Those that are in the caller's mailbox are taken out.
-spec demonitor_node(reference()) -> ok | {error, not_running}.
demonitor_node(Ref) ->
    Result = remora_intents:unsubscribe(Ref),
    flush(Ref),
    Result.

flush(Ref) ->
    receive {remora_node, Ref, _} -> flush(Ref)
    after 0 -> ok
    end.
