%%% @doc Connections of this VM itself to other nodes: made, ended in order, and why one cannot be made.
%%% @private
-module(remora_link).

-export([connect/1, disconnect/1, why_not/1]).

-define(ASK_MS, 2_000). % each question to epmd or the port

%% @doc Takes as long as net_kernel does: net_setuptime, 7 s, where nobody answers. The words are the companion's
%% (remora_cluster:connect_error()).
-spec connect(node()) -> ok | {error, atom()}.
connect(Node) ->
    case net_kernel:connect_node(Node) of
        true -> ok;
        false -> {error, why_not(Node)};
        ignored -> {error, not_distributed}
    end.

%% @doc OTP says only that it did not connect. A node that listens and yet does not become a peer closed the handshake.
-spec why_not(node()) -> host_unknown | no_epmd | not_registered | unreachable | handshake_closed | bad_name.
why_not(Node) ->
    case string:split(atom_to_list(Node), "@") of
        [Name, Host] ->
            case address(Host) of
                {ok, Address} -> why_not(Name, Host, Address);
                error -> host_unknown
            end;
        _ -> bad_name
    end.

why_not(Name, Host, Address) ->
    case (net_kernel:epmd_module()):port_please(Name, Address, ?ASK_MS) of
        {port, Port, _} ->
            case gen_tcp:connect(Address, Port, [], ?ASK_MS) of
                {ok, Socket} -> gen_tcp:close(Socket), handshake_closed;
                {error, _} -> unreachable
            end;
        _ -> % erl_epmd says noport for both
            case remora_lookup:epmd_names(unicode:characters_to_binary(Host), ?ASK_MS) of
                {ok, _} -> not_registered;
                {error, _} -> no_epmd
            end
    end.

address(Host) ->
    case inet:getaddr(Host, inet) of
        {ok, _} = Found -> Found;
        {error, _} ->
            case inet:getaddr(Host, inet6) of
                {ok, _} = Found -> Found;
                {error, _} -> error
            end
    end.

%% @doc Ends a connection so that no third node takes it for a broken one: with prevent_overlapping_partitions `global' of
%% each node that hears of a lost connection drops both of its ends. Both ends forget each other by the message that
%% `global' itself sends where it parts two nodes (global.erl, remove_connection): who gets it closes the connection, and
%% is silent about its loss. So each must have it before it sees the connection end:
%%
%%   the other one   it is written to the connection before ours closes that: a port does what it was told in order, so
%%                   an answer of it comes after the message has left
%%   ours            the other one's end of the connection comes back after a way through two nodes, and nothing of this
%%                   VM gets in between, as this process has the highest priority
%%
%% A node that `global' does not know, a hidden one, is still connected afterwards.
-spec disconnect(node()) -> ok | {error, not_connected}.
disconnect(Node) ->
    case lists:keyfind(Node, 1, erlang:system_info(dist_ctrl)) of
        {Node, Controller} ->
            Before = process_flag(priority, max),
            _ = erlang:send({global_name_server, Node}, {remove_connection, node()}, [noconnect]),
            written(Controller),
            global_name_server ! {remove_connection, Node},
            _ = process_flag(priority, Before),
            _ = gen_server:call(global_name_server, get_known, infinity), % it has done so
            _ = erlang:disconnect_node(Node),
            ok;
        false -> {error, not_connected}
    end.

written(Port) when is_port(Port) -> _ = erlang:port_info(Port, output), ok;
written(_Process) -> ok. % of another distribution, as TLS: it is on its own
