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
%% each node that hears of a lost connection drops both of its ends. Both ends are told to forget each other first, by the
%% message that `global' itself sends where it parts two nodes (global.erl, remove_connection): the other one over this
%% connection, so before it ends, and then ours. A node that `global' does not know, a hidden one, is then still
%% connected.
-spec disconnect(node()) -> ok | {error, not_connected}.
disconnect(Node) ->
    case lists:member(Node, nodes(connected)) of
        true ->
            _ = erlang:send({global_name_server, Node}, {remove_connection, node()}, [noconnect]),
            global_name_server ! {remove_connection, Node},
            _ = gen_server:call(global_name_server, get_known, infinity), % it has done so
            _ = erlang:disconnect_node(Node),
            ok;
        false -> {error, not_connected}
    end.
