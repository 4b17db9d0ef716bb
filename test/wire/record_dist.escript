#!/usr/bin/env escript
%% -*- erlang; coding: utf-8 -*-
%% Records whole conversations of two real nodes, for test/unit/wire_dist.cpp: with epmd, the handshake, and every
%% frame. Both nodes are told that this program is epmd; it forwards to a real one, and answers the question for
%% b's port with its own, so that it stands between them.
%%
%%   escript record_dist.escript > dist_25.txt                       nodes of this machine's release
%%   escript record_dist.escript CHROOT_WRAPPER ROOT > dist_27.txt   nodes run by: CHROOT_WRAPPER ROOT erl ..
%%
%% Lines: who, tab, what, tab, bytes. Who is a or b (`a' dials), and epmd for what epmd answers to whoever spoke
%% last. What is alive2, port, names; hs, a handshake message without its length; frame, without its length, or
%% tick. Bytes are hex, with runs written as HH*count between commas. The cookie is "golden".
-mode(compile).

-define(HOST, {127, 0, 0, 1}).

main(Wrapper) ->
    Self = self(),
    EpmdPort = free_port(),
    Epmd = open_port({spawn_executable, os:find_executable("epmd")}, [{args, ["-port", integer_to_list(EpmdPort)]}, exit_status]),
    timer:sleep(300),
    {ok, FakeEpmd} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?HOST}, {reuseaddr, true}]),
    {ok, FakePort} = inet:port(FakeEpmd),
    {ok, Door} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?HOST}, {reuseaddr, true}]),
    {ok, DoorPort} = inet:port(Door),
    Ports = ets:new(ports, [public]),
    spawn_link(fun() -> epmd_loop(FakeEpmd, EpmdPort, Ports, DoorPort, Self) end),
    B = start_node(Wrapper, "b", FakePort, "receive after infinity -> ok end."),
    await_alive(b, Ports),
    spawn_link(fun() -> {ok, S} = gen_tcp:accept(Door), between(S, Ports, Self) end),
    A = start_node(Wrapper, "a", FakePort, story()),
    collect(A),
    [stop(P) || P <- [B, Epmd]],
    halt(0).

stop(Port) ->
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    os:cmd("kill " ++ integer_to_list(Pid)).

free_port() ->
    {ok, L} = gen_tcp:listen(0, [{ip, ?HOST}]),
    {ok, P} = inet:port(L),
    gen_tcp:close(L),
    P.

start_node(Wrapper, Name, EpmdPort, Eval) ->
    [Program | Args] = Wrapper ++ ["erl"],
    open_port({spawn_executable, os:find_executable(Program)},
              [{args, Args ++ ["-noshell", "-name", Name ++ "@127.0.0.1", "-setcookie", "golden", "-kernel",
                               "net_ticktime", "8", "-eval", Eval]},
               {env, [{"ERL_EPMD_PORT", integer_to_list(EpmdPort)}]}, exit_status, stderr_to_stdout, binary]).

%% What a does: one of everything.
story() ->
    "try B = 'b@127.0.0.1', process_flag(trap_exit, true), pong = net_adm:ping(B), timer:sleep(600),
         net_adm:names(), P = spawn(B, timer, sleep, [20000]), link(P), unlink(P), link(P),
         R = monitor(process, P), demonitor(R), monitor(process, P), monitor(process, {nosuch, B}),
         group_leader(group_leader(), P), exit(P, normal), P ! hello, {nosuch, B} ! hello,
         exit(P, foo), receive {'EXIT', P, foo} -> ok end, link(P), receive {'EXIT', P, noproc} -> ok end,
         monitor(process, P), P2 = spawn_link(B, timer, sleep, [1]), receive {'EXIT', P2, normal} -> ok end,
         B = erpc:call(B, erlang, node, []), catch erpc:call(B, erlang, throw, [x]),
         catch erpc:call(B, nomod, nof, [1]), rpc:cast(B, erlang, node, []), rpc:block_call(B, erlang, node, []),
         rpc:call(B, io, format, [\"hello~n\"]), rpc:sbcast([B], nosuch, hi),
         spawn_request(B, erlang, node, [], [link, monitor, {priority, high}]),
         receive {spawn_reply, _, ok, _} -> ok end,
         {nosuch, B} ! binary:copy(<<\"x\">>, 65000), {nosuch, B} ! binary:copy(<<\"y\">>, 70000),
         {nosuch, B} ! {binary:copy(<<\"z\">>, 140000), self()},
         {nosuch, B} ! list_to_atom(lists:duplicate(255, $a)), {nosuch, B} ! list_to_atom(lists:duplicate(255, 233)),
         {nosuch, B} ! [list_to_atom([$x | integer_to_list(I)]) || I <- lists:seq(1, 300)],
         {nosuch, B} ! ['' | list_to_atom([$x | integer_to_list(7)])],
         P3 = spawn(B, timer, sleep, [20000]), seq_trace:set_token(label, 17), P3 ! traced,
         {nosuch, B} ! traced, exit(P3, traced), seq_trace:set_token([]),
         {nosuch, B} ! [1, -1, 1 bsl 70, 1.5, \"abc\", #{a => [b | c]}, <<1:3>>, make_ref(), fun lists:map/2,
                        fun(X) -> X end], timer:sleep(2500)
     catch C:E:S -> io:format(\"FAILED ~p~n\", [{C, E, S}]) end, halt().".

%% ---- epmd: one request per connection, but for the one that is a registration

epmd_loop(L, Port, Ports, Door, Out) ->
    {ok, S} = gen_tcp:accept(L),
    Pid = spawn_link(fun() -> receive go -> epmd(S, Port, Ports, Door, Out) end end),
    ok = gen_tcp:controlling_process(S, Pid),
    Pid ! go,
    epmd_loop(L, Port, Ports, Door, Out).

epmd(S, Port, Ports, Door, Out) ->
    {ok, <<N:16>>} = gen_tcp:recv(S, 2),
    {ok, Request} = gen_tcp:recv(S, N),
    {ok, Real} = gen_tcp:connect(?HOST, Port, [binary, {active, false}]),
    ok = gen_tcp:send(Real, <<N:16, Request/binary>>),
    case Request of
        <<120, Listen:16, _:6/binary, Len:16, Name:Len/binary, _/binary>> ->
            {ok, Answer} = gen_tcp:recv(Real, 6),
            Who = binary_to_atom(Name),
            Out ! {line, Who, alive2, <<N:16, Request/binary>>},
            Out ! {line, epmd, alive2, Answer},
            ets:insert(Ports, {Who, Listen}),
            ok = gen_tcp:send(S, Answer),
            gen_tcp:recv(S, 0); % until the node ends
        <<Tag, _/binary>> when Tag =:= 122; Tag =:= 110 ->
            Answer = all(Real, <<>>),
            What = case Tag of 122 -> port; 110 -> names end,
            Out ! {line, a, What, <<N:16, Request/binary>>},
            Out ! {line, epmd, What, Answer},
            ok = gen_tcp:send(S, case {Tag, Answer} of
                                     {122, <<119, 0, _:16, Rest/binary>>} -> <<119, 0, Door:16, Rest/binary>>;
                                     {110, <<_:32, Names/binary>>} -> <<(own_port(S)):32, Names/binary>>;
                                     _ -> Answer
                                 end),
            gen_tcp:close(S)
    end.

own_port(S) -> {ok, {_, P}} = inet:sockname(S), P.

all(S, Sofar) ->
    case gen_tcp:recv(S, 0) of
        {ok, More} -> all(S, <<Sofar/binary, More/binary>>);
        {error, closed} -> Sofar
    end.

await_alive(Who, Ports) ->
    case ets:lookup(Ports, Who) of
        [_] -> timer:sleep(300);
        [] -> timer:sleep(50), await_alive(Who, Ports)
    end.

%% ---- between the nodes

between(FromA, Ports, Out) ->
    [{b, Port}] = ets:lookup(Ports, b),
    {ok, ToB} = gen_tcp:connect(?HOST, Port, [binary, {active, true}, {nodelay, true}]),
    inet:setopts(FromA, [{active, true}, {nodelay, true}]),
    between(FromA, ToB, {hs, <<>>}, {hs, <<>>}, Out).

between(A, B, FromA, FromB, Out) ->
    receive
        {tcp, A, Bytes} -> gen_tcp:send(B, Bytes), between(A, B, more(a, FromA, Bytes, Out), FromB, Out);
        {tcp, B, Bytes} -> gen_tcp:send(A, Bytes), between(A, B, FromA, more(b, FromB, Bytes, Out), Out);
        {tcp_closed, _} -> gen_tcp:close(A), gen_tcp:close(B)
    end.

more(Who, {Phase, Left}, More, Out) -> cut(Who, Phase, <<Left/binary, More/binary>>, Out).

cut(Who, hs, <<N:16, Body:N/binary, Rest/binary>>, Out) ->
    Out ! {line, Who, hs, Body},
    cut(Who, case Body of <<T, _/binary>> when T =:= $r; T =:= $a -> frame; _ -> hs end, Rest, Out);
cut(Who, frame, <<0:32, Rest/binary>>, Out) ->
    Out ! {line, Who, tick, <<>>},
    cut(Who, frame, Rest, Out);
cut(Who, frame, <<N:32, Body:N/binary, Rest/binary>>, Out) ->
    Out ! {line, Who, frame, Body},
    cut(Who, frame, Rest, Out);
cut(_, Phase, Left, _) -> {Phase, Left}.

%% ---- lines

collect(A) ->
    receive
        {line, Who, What, Bytes} ->
            io:put_chars([atom_to_list(Who), $\t, atom_to_list(What), $\t, hex(Bytes), $\n]),
            collect(A);
        {A, {exit_status, _}} -> ok;
        {_, {data, Text}} -> io:put_chars(standard_error, Text), collect(A)
    after 30000 -> io:put_chars(standard_error, "no end\n"), halt(1)
    end.

hex(Bytes) -> lists:join($,, pieces(Bytes, <<>>)).

pieces(<<>>, <<>>) -> [];
pieces(<<>>, Plain) -> [binary:encode_hex(Plain)];
pieces(<<C, _/binary>> = Bytes, Plain) ->
    case run(Bytes, C, 0) of
        N when N >= 32 ->
            <<_:N/binary, Rest/binary>> = Bytes,
            [binary:encode_hex(Plain) || Plain =/= <<>>] ++
                [[binary:encode_hex(<<C>>), $*, integer_to_list(N)] | pieces(Rest, <<>>)];
        _ ->
            <<_, Rest/binary>> = Bytes,
            pieces(Rest, <<Plain/binary, C>>)
    end.

run(<<C, Rest/binary>>, C, N) -> run(Rest, C, N + 1);
run(_, _, N) -> N.
