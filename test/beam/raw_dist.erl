%% raw_dist: the distribution spoken by hand over a plain socket, one step at a time.
%%
%% A real node always does the right thing; this one does what a test tells it to: a wrong digest, silence in
%% any phase, missing flags, a second connection under the same name, frames cut anywhere. It follows
%% erl_dist_protocol (EPMD, handshake version 6, frames) and keeps no state but what is in its `conn' map.
%%
%%    {ok, Conn} = raw_dist:handshake(Port, #{name => 'raw@127.0.0.1', peer => Node, cookie => Cookie}),
%%    ok = raw_dist:send(Conn, {6, Pid, '', echo}, {Pid, hello}),
%%    {{22, _, Pid}, {echo, hello}} = raw_dist:recv(Conn)
%%
%% Frames are read and written without an atom cache on our side: the default flags leave
%% DIST_HDR_ATOM_CACHE out. cached/3 writes cached headers for a connection that did negotiate it.
-module(raw_dist).

-export([epmd_register/3, epmd_register/4, epmd_lookup/2, epmd_names/1, epmd_ask/2]).
-export([flags/0, flag/1, dial/1, send_name/2, recv_status/1, send_status/2, recv_challenge/1, send_reply/3,
         recv_ack/3, initiated/3, handshake/2]).
-export([listen/0, accept/1, recv_name/1, send_challenge/2, recv_reply/3, send_ack/3, accepted/3,
         accept_handshake/2, accept_handshake/3]).
-export([send/2, send/3, send_bytes/2, tick/1, frame/2, frame/3, fragments/5, cached/3, recv/1, recv/2,
         recv_signal/1, recv_signal/2, closed/2, close/1]).
-export([pid/3, ref/3, digest/2]).

-define(HOST, {127, 0, 0, 1}).
-define(WAIT, 10_000).
-define(CACHE, 16#2000).
-define(FRAGMENTS, 16#800000).

%% ---- EPMD ------------------------------------------------------------------------------------------

epmd_register(EpmdPort, Name, Port) -> epmd_register(EpmdPort, Name, Port, 77).

%% {ok, Socket, Creation}: the registration lasts as long as the socket. {error, Result} when refused.
epmd_register(EpmdPort, Name, Port, Type) ->
    {ok, S} = gen_tcp:connect(?HOST, EpmdPort, [binary, {active, false}]),
    N = list_to_binary(Name),
    ok = epmd_send(S, <<120, Port:16, Type, 0, 6:16, 5:16, (byte_size(N)):16, N/binary, 0:16>>),
    case gen_tcp:recv(S, 6, ?WAIT) of
        {ok, <<118, 0, Creation:32>>} -> {ok, S, Creation};
        {ok, <<118, Result, _:32>>} -> gen_tcp:close(S), {error, Result}
    end.

epmd_lookup(EpmdPort, Name) ->
    case epmd_ask(EpmdPort, [122, Name]) of
        <<119, 0, Port:16, Type, Protocol, High:16, Low:16, N:16, Found:N/binary, _/binary>> ->
            {ok, #{port => Port, type => Type, protocol => Protocol, high => High, low => Low, name => Found}};
        <<119, Result>> -> {error, Result}
    end.

epmd_names(EpmdPort) ->
    <<EpmdPort:32, Lines/binary>> = epmd_ask(EpmdPort, [110]),
    [begin
         {match, [Name, Port]} = re:run(L, "^name (.*) at port ([0-9]+)$", [{capture, all_but_first, list}]),
         {Name, list_to_integer(Port)}
     end || L <- string:lexemes(binary_to_list(Lines), "\n")].

%% One request, and all that epmd answers until it closes.
epmd_ask(EpmdPort, Request) ->
    {ok, S} = gen_tcp:connect(?HOST, EpmdPort, [binary, {active, false}]),
    ok = epmd_send(S, iolist_to_binary(Request)),
    all_until_closed(S, <<>>).

epmd_send(S, Request) -> gen_tcp:send(S, <<(byte_size(Request)):16, Request/binary>>).

all_until_closed(S, Sofar) ->
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, More} -> all_until_closed(S, <<Sofar/binary, More/binary>>);
        {error, closed} -> Sofar
    end.

%% ---- handshake: we start it --------------------------------------------------------------------------
%% Opts: name, cookie, peer (the name that we dial); flags, creation.

%% What OTP 25 and 27 send, without the atom cache.
flags() -> 16#0000000d07df5fbd.

flag(published) -> 16#1;
flag(dist_hdr_atom_cache) -> ?CACHE;
flag(exit_payload) -> 16#400000;
flag(fragments) -> ?FRAGMENTS;
flag(handshake_23) -> 16#1000000;
flag(unlink_id) -> 16#2000000;
flag(mandatory_25_digest) -> 16#4000000;
flag(spawn) -> 16#1_0000_0000;
flag(name_me) -> 16#2_0000_0000;
flag(v4_nc) -> 16#4_0000_0000;
flag(alias) -> 16#8_0000_0000.

dial(Port) ->
    {ok, S} = gen_tcp:connect(?HOST, Port, [binary, {active, false}, {packet, 2}, {nodelay, true}]),
    S.

send_name(S, Opts = #{name := Name}) ->
    N = atom_to_binary(Name),
    gen_tcp:send(S, <<$N, (maps:get(flags, Opts, flags())):64, (maps:get(creation, Opts, 77)):32,
                      (byte_size(N)):16, N/binary>>).

%% The status as text, or closed.
recv_status(S) ->
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, <<$s, Status/binary>>} -> binary_to_list(Status);
        {error, closed} -> closed
    end.

send_status(S, Status) -> gen_tcp:send(S, [$s, Status]).

recv_challenge(S) ->
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, <<$N, Flags:64, Challenge:32, Creation:32, N:16, Name:N/binary, _/binary>>} ->
            #{flags => Flags, challenge => Challenge, creation => Creation, name => binary_to_atom(Name)};
        {error, closed} -> closed
    end.

%% Answers their challenge; the result is ours.
send_reply(S, #{challenge := Theirs}, #{cookie := Cookie}) ->
    Ours = rand:uniform(16#ffffffff),
    ok = gen_tcp:send(S, [<<$r, Ours:32>>, digest(Cookie, Theirs)]),
    Ours.

recv_ack(S, Ours, #{cookie := Cookie}) ->
    Digest = digest(Cookie, Ours),
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, <<$a, Digest:16/binary>>} -> ok;
        {ok, <<$a, _/binary>>} -> wrong_digest;
        {error, closed} -> closed
    end.

%% The last step of the initiator: from here on frames have four-byte lengths.
initiated(S, Them, Opts) -> connected(S, Them, Opts).

%% All of it. {ok, Conn}, or what went wrong and where.
handshake(Port, Opts) ->
    S = dial(Port),
    ok = send_name(S, Opts),
    case recv_status(S) of
        "ok" -> challenged(S, Opts);
        "ok_simultaneous" -> challenged(S, Opts);
        "alive" ->
            ok = send_status(S, "true"),
            challenged(S, Opts);
        Other ->
            gen_tcp:close(S),
            {error, {status, Other}}
    end.

challenged(S, Opts) ->
    case recv_challenge(S) of
        closed -> {error, {challenge, closed}};
        Them ->
            case recv_ack(S, send_reply(S, Them, Opts), Opts) of
                ok -> {ok, connected(S, Them, Opts)};
                Other -> gen_tcp:close(S), {error, {ack, Other}}
            end
    end.

%% ---- handshake: they start it --------------------------------------------------------------------------

listen() ->
    {ok, L} = gen_tcp:listen(0, [binary, {active, false}, {packet, 2}, {ip, ?HOST}, {nodelay, true}, {backlog, 100}]),
    {ok, Port} = inet:port(L),
    {L, Port}.

accept(L) ->
    case gen_tcp:accept(L, ?WAIT) of
        {ok, S} -> S;
        {error, timeout} -> timeout
    end.

recv_name(S) ->
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, <<$N, Flags:64, Creation:32, N:16, Name:N/binary, _/binary>>} ->
            #{flags => Flags, creation => Creation, name => binary_to_atom(Name)};
        {error, closed} -> closed
    end.

%% The result is our challenge.
send_challenge(S, Opts = #{name := Name}) ->
    Ours = rand:uniform(16#ffffffff),
    N = atom_to_binary(Name),
    ok = gen_tcp:send(S, <<$N, (maps:get(flags, Opts, flags())):64, Ours:32, (maps:get(creation, Opts, 77)):32,
                           (byte_size(N)):16, N/binary>>),
    Ours.

%% {ok, TheirChallenge} when their digest over ours is right.
recv_reply(S, Ours, #{cookie := Cookie}) ->
    Digest = digest(Cookie, Ours),
    case gen_tcp:recv(S, 0, ?WAIT) of
        {ok, <<$r, Theirs:32, Digest:16/binary>>} -> {ok, Theirs};
        {ok, <<$r, _/binary>>} -> wrong_digest;
        {error, closed} -> closed
    end.

send_ack(S, Theirs, #{cookie := Cookie}) -> gen_tcp:send(S, [$a, digest(Cookie, Theirs)]).

accepted(S, Them, Opts) -> connected(S, Them, Opts).

accept_handshake(L, Opts) -> accept_handshake(L, Opts, "ok").
accept_handshake(L, Opts, Status) ->
    S = accept(L),
    Them = recv_name(S),
    ok = send_status(S, Status),
    Ours = send_challenge(S, Opts),
    case recv_reply(S, Ours, Opts) of
        {ok, Theirs} ->
            ok = send_ack(S, Theirs, Opts),
            {ok, connected(S, Them, Opts)};
        Other -> {error, {reply, Other}}
    end.

connected(S, Them, Opts) ->
    ok = inet:setopts(S, [{packet, 4}]),
    Flags = maps:get(flags, Opts, flags()) band maps:get(flags, Them),
    #{socket => S, flags => Flags, header => Flags band (?CACHE bor ?FRAGMENTS) =/= 0, them => Them,
      name => maps:get(name, Opts), creation => maps:get(creation, Opts, 77)}.

digest(Cookie, Challenge) -> erlang:md5([Cookie, integer_to_list(Challenge)]).

%% ---- frames --------------------------------------------------------------------------------------------

send(#{socket := S} = Conn, Control) -> gen_tcp:send(S, frame(Conn, Control)).
send(#{socket := S} = Conn, Control, Payload) -> gen_tcp:send(S, frame(Conn, Control, Payload)).

%% Any body; its length is written before it.
send_bytes(#{socket := S}, Bytes) -> gen_tcp:send(S, Bytes).

tick(Conn) -> send_bytes(Conn, <<>>).

frame(#{header := true}, Control) -> [131, 68, 0, bare(Control)];
frame(#{header := false}, Control) -> [112, term_to_binary(Control)].

frame(#{header := true} = Conn, Control, Payload) -> [frame(Conn, Control), bare(Payload)];
frame(#{header := false} = Conn, Control, Payload) -> [frame(Conn, Control), term_to_binary(Payload)].

bare(Term) ->
    <<131, Bytes/binary>> = term_to_binary(Term),
    Bytes.

%% The frames of one fragmented message, each with at most PartBytes of the payload, first to last.
fragments(#{header := true}, Sequence, Control, Payload, PartBytes) ->
    [First | Rest] = parts(bare(Payload), PartBytes),
    Last = length(Rest),
    [[131, 69, <<Sequence:64, (Last + 1):64>>, 0, bare(Control), First] |
     [[131, 70, <<Sequence:64, Id:64>>, Part] || {Id, Part} <- lists:zip(lists:seq(Last, 1, -1), Rest)]].

parts(Bytes, Size) when byte_size(Bytes) =< Size -> [Bytes];
parts(Bytes, Size) ->
    <<Part:Size/binary, Rest/binary>> = Bytes,
    [Part | parts(Rest, Size)].

%% One frame whose header sets and uses the atom cache. Entries: [{Atom, Slot, new | old}], at most 255; every
%% atom among them is written as a reference to its entry (tag 82). Tuples, lists, integers, binaries and
%% atoms are written here; other terms as they are.
cached(Entries, Control, Payload) ->
    Long = lists:any(fun({A, _, _}) -> byte_size(atom_to_binary(A)) > 255 end, Entries),
    Index = maps:from_list([{A, I} || {I, {A, _, _}} <- lists:zip(lists:seq(0, length(Entries) - 1), Entries)]),
    [131, 68, length(Entries), header_flags(Entries, Long), [entry(E, Long) || E <- Entries],
     with_refs(Control, Index), with_refs(Payload, Index)].

header_flags([], _) -> [];
header_flags(Entries, Long) ->
    Nibbles = [case New of new -> 8; old -> 0 end bor (Slot bsr 8) || {_, Slot, New} <- Entries]
        ++ [case Long of true -> 1; false -> 0 end],
    pack(Nibbles).

pack([Low, High | Rest]) -> [Low bor (High bsl 4) | pack(Rest)];
pack([Low]) -> [Low];
pack([]) -> [].

entry({_, Slot, old}, _) -> [Slot band 255];
entry({Atom, Slot, new}, Long) ->
    Text = atom_to_binary(Atom),
    Length = case Long of true -> <<(byte_size(Text)):16>>; false -> byte_size(Text) end,
    [Slot band 255, Length, Text].

with_refs(Atom, Index) when is_map_key(Atom, Index) -> [82, map_get(Atom, Index)];
with_refs(Tuple, Index) when is_tuple(Tuple) ->
    [104, tuple_size(Tuple) | [with_refs(E, Index) || E <- tuple_to_list(Tuple)]];
with_refs([_ | _] = List, Index) ->
    [108, <<(length(List)):32>>, [with_refs(E, Index) || E <- List], 106];
with_refs(Term, _) -> bare(Term).

%% The next frame: tick, Control, {Control, Payload}, {fragment, Bytes}, {cached, Bytes} (a header
%% with atoms, which is not read here), closed or timeout.
recv(Conn) -> recv(Conn, ?WAIT).
recv(#{socket := S}, Timeout) ->
    case gen_tcp:recv(S, 0, Timeout) of
        {ok, <<>>} -> tick;
        {ok, <<112, Terms/binary>>} -> decode(Terms);
        {ok, <<131, 68, 0, Terms/binary>>} -> decode_bare(Terms);
        {ok, <<131, 68, _/binary>> = Bytes} -> {cached, Bytes};
        {ok, <<131, Tag, _/binary>> = Bytes} when Tag =:= 69; Tag =:= 70 -> {fragment, Bytes};
        {error, timeout} -> timeout;
        {error, _} -> closed
    end.

decode(Terms) ->
    case binary_to_term(Terms, [used]) of
        {Control, Used} when Used =:= byte_size(Terms) -> Control;
        {Control, Used} -> {Control, binary_to_term(binary:part(Terms, Used, byte_size(Terms) - Used))}
    end.

decode_bare(Terms) ->
    case binary_to_term(<<131, Terms/binary>>, [used]) of
        {Control, Used} when Used - 1 =:= byte_size(Terms) -> Control;
        {Control, Used} ->
            Payload = binary:part(Terms, Used - 1, byte_size(Terms) - Used + 1),
            {Control, binary_to_term(<<131, Payload/binary>>)}
    end.

%% The next frame that is neither a tick nor the small talk of an OTP node that sees a new visible node
%% (global, pg, rex and their monitors), or of a remora node.
recv_signal(Conn) -> recv_signal(Conn, ?WAIT).
recv_signal(Conn, Timeout) ->
    Deadline = erlang:monotonic_time(millisecond) + Timeout,
    case recv(Conn, Timeout) of
        Answer when Answer =:= closed; Answer =:= timeout -> Answer;
        Frame ->
            case small_talk(Frame) of
                true -> recv_signal(Conn, max(0, Deadline - erlang:monotonic_time(millisecond)));
                false -> Frame
            end
    end.

small_talk(tick) -> true;
small_talk({{6, _, _, Name}, _}) -> is_service(Name);
small_talk({19, _, Name, _}) -> is_service(Name);
small_talk({20, _, Name, _}) -> is_service(Name);
small_talk(_) -> false.

is_service(Name) -> lists:member(Name, [global_name_server, rex, pg, net_kernel, remora_fan_out]).

%% True when the other side closes within the time, whatever it still says before.
closed(Conn, Timeout) ->
    Deadline = erlang:monotonic_time(millisecond) + Timeout,
    case recv(Conn, Timeout) of
        closed -> true;
        timeout -> false;
        _ -> closed(Conn, max(0, Deadline - erlang:monotonic_time(millisecond)))
    end.

close(#{socket := S}) -> gen_tcp:close(S).

%% ---- identifiers of nodes that do not exist ---------------------------------------------------------------

pid(Node, Creation, Id) ->
    binary_to_term(<<131, 88, (atom_bytes(Node))/binary, Id:32, 0:32, Creation:32>>).

ref(Node, Creation, Words) ->
    binary_to_term(<<131, 90, (length(Words)):16, (atom_bytes(Node))/binary, Creation:32,
                     (<< <<W:32>> || W <- Words >>)/binary>>).

atom_bytes(Atom) ->
    <<131, Bytes/binary>> = term_to_binary(Atom, [{minor_version, 2}]),
    Bytes.
