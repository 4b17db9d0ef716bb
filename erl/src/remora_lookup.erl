%%% @doc Questions to epmd and to name servers, each with a limit of time and of size. For Gleam: text is binaries, and
%%% answers are constructors of Gleam's types.
%%% @private
-module(remora_lookup).

-export([epmd_names/2, epmd_port/0, dns_lookup/2, format_ip_v6/1]).
-export([async/1, await/2]).

-define(EPMD_PORT, 4369).
-define(EPMD_NAMES, 110). % erl_dist_protocol, NAMES_REQ
-define(EPMD_ANSWER_MAX, 1_048_576). % some 20,000 nodes; what says more is no epmd
-define(HOST_MAX, 253). % RFC 1035, 2.3.4: 255 octets on the wire
-define(LABEL_MAX, 63).

-type text() :: binary().

%% ---- epmd -----------------------------------------------------------------------------------------------------------------------------

%% Asked here and not by erl_epmd:names/1, which waits for as long as the other side likes.
-spec epmd_names(text(), integer()) -> {ok, [{text(), inet:port_number()}]} | {error, term()}.
epmd_names(Host, Ms) ->
    Deadline = remora_door:deadline(max(0, Ms)),
    Port = epmd_port(),
    case epmd_connect(Host, Port, remora_door:left(Deadline)) of
        {ok, Socket} ->
            Answer = epmd_answer(Socket, Deadline),
            gen_tcp:close(Socket),
            epmd_result(Answer, Host, Port, Ms);
        {error, Reason} -> {error, epmd_error(Reason, Host, Port, Ms)}
    end.

%% What is no host name is an exit.
epmd_connect(Host, Port, Ms) ->
    try gen_tcp:connect(unicode:characters_to_list(Host), Port, [binary, {active, false}], Ms)
    catch exit:badarg -> {error, nxdomain}
    end.

-spec epmd_port() -> inet:port_number().
epmd_port() ->
    case init:get_argument(epmd_port) of % the emulator makes it of ERL_EPMD_PORT
        {ok, [[Port | _] | _]} -> list_to_integer(Port);
        error -> list_to_integer(os:getenv("ERL_EPMD_PORT", integer_to_list(?EPMD_PORT)))
    end.

epmd_answer(Socket, Deadline) ->
    case gen_tcp:send(Socket, <<1:16, ?EPMD_NAMES>>) of
        ok -> epmd_read(Socket, <<>>, Deadline);
        {error, _} = Error -> Error
    end.

%% It closes behind the last name.
epmd_read(_, Text, _) when byte_size(Text) > ?EPMD_ANSWER_MAX -> {error, not_epmd};
epmd_read(Socket, Text, Deadline) ->
    case gen_tcp:recv(Socket, 0, remora_door:left(Deadline)) of
        {ok, More} -> epmd_read(Socket, <<Text/binary, More/binary>>, Deadline);
        {error, closed} -> {ok, Text};
        {error, _} = Error -> Error
    end.

%% The number in front is the port that it listens on, which another may lead to.
epmd_result({ok, <<_:32, Lines/binary>>}, Host, Port, _) ->
    try {ok, [epmd_line(Line) || Line <- binary:split(Lines, <<"\n">>, [global, trim_all])]}
    catch error:_ -> {error, {not_epmd, Host, Port}}
    end;
epmd_result({ok, _}, Host, Port, _) -> {error, {not_epmd, Host, Port}};
epmd_result({error, Reason}, Host, Port, Ms) -> {error, epmd_error(Reason, Host, Port, Ms)}.

epmd_line(Line) ->
    [<<"name ", Name/binary>>, Port] = binary:split(Line, <<" at port ">>),
    {Name, binary_to_integer(Port)}.

epmd_error(timeout, Host, _, Ms) -> {epmd_timeout, Host, Ms};
epmd_error(etimedout, Host, _, Ms) -> {epmd_timeout, Host, Ms};
epmd_error(nxdomain, Host, _, _) -> {unknown_host, Host};
epmd_error(einval, Host, _, _) -> {unknown_host, Host};
epmd_error(econnrefused, Host, Port, _) -> {no_epmd, Host, Port};
epmd_error(not_epmd, Host, Port, _) -> {not_epmd, Host, Port};
epmd_error(Reason, Host, _, _) -> {epmd_unreachable, Host, atom_to_binary(Reason)}.

%% ---- dns ------------------------------------------------------------------------------------------------------------------------------

%% Both kinds at once; the error of the A records is told when there is nothing.
-spec dns_lookup(text(), integer()) -> {ok, [tuple()]} | {error, term()}.
dns_lookup(Host, Ms) ->
    case is_host(Host) of
        true ->
            Asked = [async(fun() -> resolve(Host, Type, max(0, Ms)) end) || Type <- [a, aaaa]],
            dns_result([resolved(await(One, infinity)) || One <- Asked]);
        false -> {error, query_format_error}
    end.

is_host(Host) ->
    Labels = binary:split(string:trim(Host, trailing, "."), <<".">>, [global]),
    byte_size(Host) =< ?HOST_MAX andalso lists:all(fun(L) -> L =/= <<>> andalso byte_size(L) =< ?LABEL_MAX end, Labels).

resolve(Host, Type, Ms) ->
    case inet_res:resolve(unicode:characters_to_list(Host), in, Type, [], Ms) of
        {ok, Message} ->
            {ok, [inet_dns:rr(Record, data) || Record <- inet_dns:msg(Message, anlist), inet_dns:rr(Record, type) =:= Type]};
        {error, {Reason, _Message}} -> {error, Reason};
        {error, _} = Error -> Error
    end.

resolved({ok, Answer}) -> Answer;
resolved(error) -> {error, unknown}.

dns_result([{error, Reason}, {error, _}]) -> {error, dns_error(Reason)};
dns_result(Answers) ->
    case lists:append([Addresses || {ok, Addresses} <- Answers]) of
        [] -> {error, dns_error(hd([Reason || {error, Reason} <- Answers] ++ [nxdomain]))};
        Addresses -> {ok, [ip_address(Address) || Address <- Addresses]}
    end.

ip_address(Address) when tuple_size(Address) =:= 4 -> list_to_tuple([ip_v4 | tuple_to_list(Address)]);
ip_address(Address) -> list_to_tuple([ip_v6 | tuple_to_list(Address)]).

dns_error(formerr) -> format_error;
dns_error(qfmterror) -> query_format_error;
dns_error(servfail) -> server_failure;
dns_error(nxdomain) -> no_such_domain;
dns_error(timeout) -> timeout;
dns_error(notimp) -> not_implemented;
dns_error(refused) -> refused;
dns_error(badvers) -> bad_version;
dns_error(unknown) -> unknown;
dns_error(Posix) when is_atom(Posix) -> {posix_error, atom_to_binary(Posix)};
dns_error(_) -> unknown.

-spec format_ip_v6([0..65535]) -> text().
format_ip_v6(Parts) -> list_to_binary(inet:ntoa(list_to_tuple(Parts))).

%% ---- answers that may come late ---------------------------------------------------------------------------------------

%% @doc In a process of its own.
-spec async(fun(() -> term())) -> {reference(), reference()}.
async(Fun) ->
    Alias = alias([reply]),
    {_, Monitor} = spawn_monitor(fun() -> Alias ! {Alias, Fun()} end),
    {Alias, Monitor}.

%% @doc `error': it crashed, or was not there in time. What comes later is dropped.
-spec await({reference(), reference()}, timeout()) -> {ok, term()} | error.
await({Alias, Monitor}, Ms) ->
    receive
        {Alias, Result} -> demonitor(Monitor, [flush]), {ok, Result};
        {'DOWN', Monitor, process, _, _} -> _ = unalias(Alias), error
    after Ms ->
        demonitor(Monitor, [flush]),
        _ = unalias(Alias),
        receive {Alias, Result} -> {ok, Result}
        after 0 -> error
        end
    end.
