%%% @doc Nodes: this VM's, the companion's, and those that the companion is connected to.
-module(remora_cluster).

-export([start_node/2, stop_node/0, is_distributed/0, self_node/0]).
-export([companion/0, connect/1, connect/2, disconnect/1, disconnect/2, ping/1, ping/2]).
-export([nodes/0, hidden_nodes/0, connected_count/0, health/0]).

-export_type([connect_error/0, start_node_error/0, health/0]).

%% From the companion: the name's host is not known; no epmd there, or one that does not answer as one; the node is not
%% registered with it; nothing listens; it closed the handshake (most likely the cookies differ) or failed it in one of
%% the other ways; the connection ended.
-type connect_error() :: host_unknown | no_epmd | epmd_failed | not_registered | unreachable | handshake_closed
                       | bad_cookie | wrong_name | not_allowed | missing_flags | malformed | bad_name | system_limit
                       | leaving | connection_closed | badarg | timeout | not_running | atom().
-type start_node_error() :: already_started | bad_name | bad_cookie | no_epmd | {name_taken, node()} | {failed, term()}.
-type health() :: healthy | isolated.

%% ---- this VM ----------------------------------------------------------------------------------------------------------

%% @doc Makes this VM a node, `<<"name@host">>', a long name where the host has a dot. One atom is made of it and one
%% of the cookie. epmd must run already, as a VM starts it only from its command line: `epmd -daemon'.
-spec start_node(Name :: binary(), Cookie :: binary()) -> ok | {error, start_node_error()}.
start_node(Name, Cookie) ->
    case {is_alive(), node_name(Name), is_cookie(Cookie)} of
        {true, _, _} -> {error, already_started};
        {false, error, _} -> {error, bad_name};
        {false, _, false} -> {error, bad_cookie};
        {false, {Node, Domain}, true} -> start_net(Node, Domain, binary_to_atom(Cookie))
    end.

node_name(Name) when is_binary(Name), byte_size(Name) =< 255 ->
    case binary:split(Name, <<"@">>, [global]) of
        [Short, Host] when Short =/= <<>>, Host =/= <<>> ->
            case re:run(Name, "^[0-9A-Za-z_-]+@[0-9A-Za-z._:-]+$") of
                nomatch -> error;
                _ -> {binary_to_atom(Name), domain(Host)}
            end;
        _ -> error
    end;
node_name(_) -> error.

domain(Host) ->
    case binary:match(Host, [<<".">>, <<":">>]) of
        nomatch -> shortnames;
        _ -> longnames
    end.

is_cookie(Cookie) -> is_binary(Cookie) andalso Cookie =/= <<>> andalso byte_size(Cookie) =< 255.

start_net(Node, Domain, Cookie) ->
    case net_kernel:start(Node, #{name_domain => Domain}) of
        {ok, _} -> true = erlang:set_cookie(Cookie), ok;
        {error, Reason} -> {error, why_not_started(Node, Reason)}
    end.

%% net_kernel says of most only that it did not start; epmd can be asked.
why_not_started(Node, Reason) ->
    [Name, _] = string:split(atom_to_list(Node), "@"),
    case erl_epmd:names("localhost") of
        {error, _} -> no_epmd;
        {ok, Names} ->
            case lists:keymember(Name, 1, Names) of
                true -> {name_taken, Node};
                false -> {failed, Reason}
            end
    end.

%% @doc Of a node that start_node/2 started: one that was started by the command line cannot be stopped.
-spec stop_node() -> ok | {error, not_distributed | not_allowed}.
stop_node() ->
    case net_kernel:stop() of
        ok -> ok;
        {error, not_found} -> {error, not_distributed};
        {error, _} -> {error, not_allowed}
    end.

-spec is_distributed() -> boolean().
is_distributed() -> is_alive().

%% @doc `nonode@nohost' where it is none.
-spec self_node() -> node().
self_node() -> node().

%% ---- the companion ------------------------------------------------------------------------------------------------------

-spec companion() -> {ok, node()} | {error, not_running}.
companion() ->
    case remora_state:companion() of
        undefined -> {error, not_running};
        Node -> {ok, Node}
    end.

-spec connect(node()) -> ok | {error, connect_error()}.
connect(Node) -> connect(Node, remora_state:call_timeout()).

%% @doc The companion dials. As always on the BEAM, the nodes that both know meet each other too.
-spec connect(node(), timeout()) -> ok | {error, connect_error()}.
connect(Node, Timeout) -> ok_or_error(remora_door:write(remora_door:connect(Node), Timeout)).

-spec disconnect(node()) -> ok | {error, not_connected | badarg | timeout | not_running}.
disconnect(Node) -> disconnect(Node, remora_state:call_timeout()).

%% @doc In the orderly way: no third node takes it for a broken connection.
-spec disconnect(node(), timeout()) -> ok | {error, not_connected | badarg | timeout | not_running}.
disconnect(Node, Timeout) -> ok_or_error(remora_door:write(remora_door:disconnect(Node), Timeout)).

ok_or_error({ok, ok, _}) -> ok;
ok_or_error({ok, {error, Reason}, _}) when is_atom(Reason) -> {error, Reason};
ok_or_error({ok, _, _}) -> {error, badarg};
ok_or_error({error, _} = Error) -> Error.

-spec ping(node()) -> pong | pang | {error, badarg | timeout | not_running}.
ping(Node) -> ping(Node, remora_state:call_timeout()).

%% @doc By the companion, as net_adm:ping/1.
-spec ping(node(), timeout()) -> pong | pang | {error, badarg | timeout | not_running}.
ping(Node, Timeout) ->
    case remora_door:call(remora_door:ping(Node), Timeout) of
        {ok, Answer} when Answer =:= pong; Answer =:= pang -> Answer;
        {ok, _} -> {error, badarg};
        {error, _} = Error -> Error
    end.

%% @doc Visible nodes that the companion is connected to, from the mirror; this VM is one.
-spec nodes() -> {ok, [node()]} | {error, not_running}.
nodes() -> of_type(visible).

-spec hidden_nodes() -> {ok, [node()]} | {error, not_running}.
hidden_nodes() -> of_type(hidden).

of_type(Type) ->
    try remora_state:is_up() andalso ets:select(remora_nodes, [{{'$1', Type}, [], ['$1']}]) of
        false -> {error, not_running};
        Nodes -> {ok, Nodes}
    catch error:badarg -> {error, not_running}
    end.

%% @doc Visible and hidden ones.
-spec connected_count() -> {ok, non_neg_integer()} | {error, not_running}.
connected_count() ->
    case remora_state:is_up() andalso ets:info(remora_nodes, size) of
        Count when is_integer(Count) -> {ok, Count};
        _ -> {error, not_running}
    end.

%% @doc `isolated': the companion runs, and is connected to no visible node but this VM's.
-spec health() -> {ok, health()} | {error, not_running}.
health() ->
    case of_type(visible) of
        {ok, Nodes} ->
            case Nodes -- [node()] of
                [] -> {ok, isolated};
                _ -> {ok, healthy}
            end;
        {error, _} = Error -> Error
    end.
