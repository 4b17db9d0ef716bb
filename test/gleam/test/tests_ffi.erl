%% tests_ffi: what the Gleam tests ask of Erlang that the package does not give.
-module(tests_ffi).
-export([unique/1, atom_count/0, identity/1, eventually/2, on_other/1, together/0, elapsed/1, pid_text/1,
         register_global/2, whereis_global/1, unregister_global/1, pg_join/2, pg_members/1, send_raw/2, exit_pid/2,
         collector/0, collected/1, counter/0, kill_companion/0, companion_pid/0, os_process_is_there/1,
         with_log/1, await_logged/2, listen_once/1, in_plain_vm/2, epmd_port/0, with_dns/2, dns_server/0, raise/1, process_count/0]).

-define(OTHER, 'other@127.0.0.1').

%% ---- values -----------------------------------------------------------------------------------------------

%% Text that is no atom of this VM and was never used before.
unique(Prefix) ->
    Bytes = binary:encode_hex(crypto:strong_rand_bytes(8)),
    <<Prefix/binary, "_", Bytes/binary>>.

atom_count() -> erlang:system_info(atom_count).
process_count() -> erlang:system_info(process_count).

identity(Term) -> Term.

pid_text(Pid) -> list_to_binary(pid_to_list(Pid)).

%% Asks until the answer is true, for Ms at most: {ok, nil}, else {error, nil}.
eventually(Ms, Ask) -> eventually_until(erlang:monotonic_time(millisecond) + Ms, Ask).

eventually_until(Deadline, Ask) ->
    case Ask() of
        true -> {ok, nil};
        false ->
            case erlang:monotonic_time(millisecond) >= Deadline of
                true -> {error, nil};
                false -> receive after 10 -> eventually_until(Deadline, Ask) end
            end
    end.

elapsed(Fun) ->
    Start = erlang:monotonic_time(millisecond),
    Result = Fun(),
    {erlang:monotonic_time(millisecond) - Start, Result}.

%% error, exit or throw, for remote calls.
raise(<<"error">>) -> error(gone_wrong);
raise(<<"exit">>) -> exit(gone_away);
raise(<<"throw">>) -> throw(gone_up).

%% ---- the other node -------------------------------------------------------------------------------------------

on_other(Fun) -> erpc:call(?OTHER, Fun, 20_000).

%% This VM, its companion and the other node are one cluster, and all have exchanged their names.
together() ->
    {ok, Companion} = remora_cluster:companion(),
    pong = net_adm:ping(?OTHER),
    {ok, nil} = eventually(10_000, fun() -> remora_cluster:ping(?OTHER) =:= pong end),
    Key = {together, make_ref()},
    yes = global:register_name(Key, self()),
    {ok, nil} = eventually(10_000, fun() ->
        is_pid(erpc:call(?OTHER, global, whereis_name, [Key])) andalso is_pid(erpc:call(Companion, global, whereis_name, [Key]))
    end),
    _ = global:unregister_name(Key),
    nil.

register_global(Name, Pid) -> global:register_name(Name, Pid) =:= yes.
unregister_global(Name) -> _ = global:unregister_name(Name), nil.
whereis_global(Name) ->
    case global:whereis_name(Name) of
        undefined -> {error, nil};
        Pid -> {ok, Pid}
    end.

%% A scope of OTP's own; it is started once and stays.
pg_join(Group, Pid) ->
    _ = case whereis(pg) of
            undefined -> {ok, _} = pg:start(pg);
            _ -> ok
        end,
    ok = pg:join(Group, Pid),
    nil.
pg_members(Group) ->
    try pg:get_members(Group) catch error:badarg -> [] end.

%% ---- processes ----------------------------------------------------------------------------------------------------

send_raw(Pid, Term) -> Pid ! Term, nil.
exit_pid(Pid, Reason) -> exit(Pid, Reason), nil.

%% Keeps what it is sent.
collector() -> spawn(fun() -> collect([]) end).
collect(Terms) ->
    receive
        {collected, From, Ref} -> From ! {Ref, lists:reverse(Terms)}, collect(Terms);
        Term -> collect([Term | Terms])
    end.
collected(Pid) ->
    Ref = make_ref(),
    Pid ! {collected, self(), Ref},
    receive {Ref, Terms} -> Terms after 5_000 -> error(no_collector) end.

%% A gen_server's protocol: answers numbers with their double, `crash' with its end, anything else not at all.
counter() ->
    spawn(fun Loop() ->
        receive
            {'$gen_call', From, N} when is_integer(N) -> gen_server:reply(From, 2 * N), Loop();
            {'$gen_call', _, <<"crash">>} -> exit(crashed);
            _ -> Loop()
        end
    end).

%% ---- the companion ----------------------------------------------------------------------------------------------------

companion_pid() ->
    {ok, {ok, #{os_pid := OsPid}}} = remora_door:call(remora_door:hello()),
    OsPid.

kill_companion() ->
    [] = os:cmd("kill -KILL " ++ integer_to_list(companion_pid())),
    nil.

os_process_is_there(OsPid) -> filelib:is_dir("/proc/" ++ integer_to_list(OsPid)).

%% A VM that is no node, with our code, whose epmd is at this port: what Fun gives there.
in_plain_vm(EpmdPort, Fun) ->
    Dir = filename:dirname(code:which(?MODULE)),
    {ok, Peer, _} = peer:start(#{connection => standard_io, wait_boot => 30_000, args => ["-pa", Dir],
                                 env => [{"ERL_EPMD_PORT", integer_to_list(EpmdPort)}]}),
    try peer:call(Peer, erlang, apply, [Fun, []], 30_000)
    after peer:stop(Peer)
    end.

%% ---- log --------------------------------------------------------------------------------------------------------------

%% The lines that logger got while Fun ran, of what remora says: [{Level, Text, Fields}], fields as text.
with_log(Fun) ->
    Self = self(),
    Id = list_to_atom("tests_" ++ integer_to_list(erlang:unique_integer([positive]))),
    #{level := Before} = logger:get_primary_config(),
    ok = logger:set_primary_config(level, debug),
    ok = logger:add_handler(Id, tests_log, #{config => Self}),
    try Fun()
    after
        ok = logger:remove_handler(Id),
        ok = logger:set_primary_config(level, Before)
    end,
    lines().

%% Within with_log/1: until a line has this field. All lines are still there afterwards.
await_logged(Key, Value) ->
    Lines = await_logged({Key, Value}, [], erlang:monotonic_time(millisecond) + 5_000),
    _ = [self() ! {tests_log, Line} || Line <- lists:reverse(Lines)],
    Lines =/= [] andalso lists:member({Key, Value}, element(3, hd(Lines))).

await_logged(Field, Lines, Until) ->
    receive
        {tests_log, {_, _, Fields} = Line} ->
            case lists:member(Field, Fields) of
                true -> [Line | Lines];
                false -> await_logged(Field, [Line | Lines], Until)
            end
    after max(0, Until - erlang:monotonic_time(millisecond)) -> Lines
    end.

lines() ->
    receive {tests_log, Line} -> [Line | lines()]
    after 0 -> []
    end.

%% ---- epmd and dns --------------------------------------------------------------------------------------------------------

%% That of the tests.
epmd_port() -> list_to_integer(os:getenv("ERL_EPMD_PORT")).

%% A server for one connection that answers so: {some, Bytes} and closes, or none and stays silent. Its port.
listen_once(Answer) ->
    Self = self(),
    _ = spawn_link(fun() ->
        {ok, Listener} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
        {ok, Port} = inet:port(Listener),
        Self ! {self(), Port},
        {ok, Socket} = gen_tcp:accept(Listener),
        {ok, _} = gen_tcp:recv(Socket, 3),
        case Answer of
            {some, Bytes} -> gen_tcp:send(Socket, Bytes), gen_tcp:close(Socket);
            none -> gen_tcp:recv(Socket, 0)
        end
    end),
    receive {_, Port} -> Port end.

%% While Fun runs, a name server of our own is asked: it answers as Zone says, [{Name, Type, Answer}], where Type is a or
%% aaaa and Answer a list of addresses or a code of RFC 1035, 4.1.1.
with_dns(Zone, Fun) ->
    {ok, Socket} = gen_udp:open(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    Server = spawn_link(fun() -> receive start -> serve_dns(Socket, Zone) end end),
    ok = gen_udp:controlling_process(Socket, Server),
    Server ! start,
    Before = inet_db:res_option(resolv_conf),
    ok = inet_db:res_option(resolv_conf, ""), % else it is read again now and then
    ok = inet_db:res_option(nameservers, [{{127, 0, 0, 1}, Port}]),
    try Fun()
    after
        ok = inet_db:res_option(resolv_conf, Before),
        unlink(Server),
        exit(Server, kill)
    end.

%% Within with_dns/2: where it is.
dns_server() ->
    [{_, Port} | _] = inet_db:res_option(nameservers),
    <<"127.0.0.1:", (integer_to_binary(Port))/binary>>.

serve_dns(Socket, Zone) ->
    {ok, {Address, Port, Bytes}} = gen_udp:recv(Socket, 0),
    {ok, Question} = inet_dns:decode(Bytes),
    [Query] = inet_dns:msg(Question, qdlist),
    Name = inet_dns:dns_query(Query, domain), % its case is by chance (RFC 5452)
    Type = inet_dns:dns_query(Query, type),
    case lists:keyfind({list_to_binary(string:lowercase(Name)), Type}, 1, [{{N, T}, A} || {N, T, A} <- Zone]) of
        {_, <<"silent">>} -> ok;
        {_, Addresses} when is_list(Addresses) -> answer(Socket, Address, Port, Question, Name, Type, 0, Addresses);
        {_, Code} -> answer(Socket, Address, Port, Question, Name, Type, Code, []);
        false -> answer(Socket, Address, Port, Question, Name, Type, 3, [])
    end,
    serve_dns(Socket, Zone).

answer(Socket, Address, Port, Question, Name, Type, Code, Addresses) ->
    Header = inet_dns:make_header(inet_dns:msg(Question, header), [{qr, true}, {ra, true}, {rcode, Code}]),
    Records = [inet_dns:make_rr([{domain, Name}, {type, Type}, {class, in}, {ttl, 1}, {data, Data}]) || Data <- Addresses],
    Message = inet_dns:make_msg([{header, Header}, {qdlist, inet_dns:msg(Question, qdlist)}, {anlist, Records},
                                 {nslist, []}, {arlist, []}]),
    ok = gen_udp:send(Socket, Address, Port, inet_dns:encode(Message)).
