%%% @doc The connection to the companion as a process of this VM: it lives as long as the connection does. Who waits for an
%%% answer monitors it.
%%%
%%% A gen_server:call is three signals to another node, of which each is a system call there: monitor, message,
%%% demonitor. With a monitor on a process here, a call is one signal there and one back; and because a message can be
%%% sent without waiting for a full connection (nosuspend), and a monitor to another node cannot, no call waits longer
%%% than its time even where the companion reads nothing any more.
%%%
%%% It is no stop on the way: nothing is sent through it.
%%% @private
-module(remora_line).

-export([start_link/1, stop/1, init/2]).

%% @doc To a node that is connected. Where it is so no more by now, it ends at once.
-spec start_link(node()) -> {ok, pid()}.
start_link(Node) -> proc_lib:start_link(?MODULE, init, [self(), Node]).

%% @doc For who started it: also takes its exit out of the mailbox.
-spec stop(pid()) -> ok.
stop(Line) ->
    true = unlink(Line),
    true = exit(Line, kill),
    receive {'EXIT', Line, _} -> ok
    after 0 -> ok
    end.

%% @private
-spec init(pid(), node()) -> no_return().
init(Parent, Node) ->
    true = erlang:monitor_node(Node, true),
    proc_lib:init_ack(Parent, {ok, self()}),
    receive
        {nodedown, Node} ->
            remora_state:lost(),
            exit({shutdown, nodedown})
    end.
