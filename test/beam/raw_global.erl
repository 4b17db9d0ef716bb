%% raw_global: the newcomer's side of `global' joining (protocol 7.7, transcript 8.1), spoken by hand over raw_dist, so
%% that it can end in the middle of any step. It never locks by itself: the other side acts, as OTP's protocol allows.
%%
%%    {ok, Conn} = raw_dist:handshake(..), {died, Step} = raw_global:join(Conn, Peer, Step),
%%    {ok, Conn2} = raw_dist:handshake(..), {joined, Newcomer} = raw_global:join(Conn2, Peer, never)
%%
%% steps/0 lists the steps in their order. `parted', `closed' and `timeout' are what the other side did instead.
-module(raw_global).

-export([steps/0, join/3, parted/1]).

-define(WAIT, 20_000).

%% What has just been read when the connection is closed; `connected' is nothing yet.
steps() -> [connected, init_connect, init_connect_ack, set_lock, lock_set, exchange, resolved, del_lock].

join(Conn, Peer, DieAt) ->
    #{name := Us, creation := Creation} = Conn,
    step(connected, #{conn => Conn, peer => Peer, us => Us, die_at => DieAt, tag => rand:uniform(1 bsl 40),
                      gns => raw_dist:pid(Us, Creation, 50), locker => raw_dist:pid(Us, Creation, 51)}).

step(Step, #{die_at := Step, conn := Conn}) ->
    raw_dist:close(Conn),
    {died, Step};
step(del_lock, S) -> {joined, S};
step(_, #{conn := Conn} = S) ->
    case raw_dist:recv(Conn, ?WAIT) of
        {{6, From, _, global_name_server}, {'$gen_cast', Cast}} -> cast(Cast, From, S);
        {{6, _, _, global_name_server}, {'$gen_call', {Pid, Tag}, Request}} -> call(Request, Pid, Tag, S);
        {{6, _, _, global_name_server}, {init_connect_ack, _, _, _}} -> step(init_connect_ack, S);
        {{6, _, _, global_name_server}, {remove_connection, _}} -> part(Conn);
        closed -> closed;
        timeout -> timeout;
        _ -> step(none, S)
    end.

cast({init_connect, {_, HisTag}, _, {locker, _, _, _}}, _, 
     #{us := Us, tag := Tag, locker := Locker, peer := Peer, conn := Conn, gns := Gns} = S) ->
    %% The locker's third element is for releases before 25 alone.
    tell({init_connect, {8, Tag}, Us, {locker, no_longer_a_pid, #{{connection_id, Peer} => 1}, Locker}}, S),
    ok = raw_dist:send(Conn, {6, Gns, '', global_name_server}, {init_connect_ack, Us, HisTag, Tag}),
    step(init_connect, S#{his_tag => HisTag});
cast({lock_set, _, true, _Known, _}, _, #{locker := Locker, his_tag := HisTag} = S) ->
    tell({lock_set, Locker, true, [], HisTag}, S),
    step(lock_set, S);
cast({exchange, _, _, _, _}, _, #{us := Us, his_tag := HisTag} = S) ->
    tell({exchange, Us, [], [], HisTag}, S),
    step(exchange, S);
cast({resolved, _, _, _, _, _, _}, _, #{us := Us, his_tag := HisTag} = S) ->
    tell({resolved, Us, [], [], unused, [], HisTag}, S),
    step(resolved, S);
cast(_, _, S) -> step(none, S).

call({set_lock, _}, _, _, #{die_at := set_lock} = S) -> step(set_lock, S); % unanswered
call({del_lock, _}, Pid, Tag, S) ->
    answer(Pid, Tag, true, S),
    step(del_lock, S);
call(_, Pid, Tag, S) ->
    answer(Pid, Tag, true, S),
    step(none, S).

tell(Message, #{conn := Conn, gns := Gns}) ->
    ok = raw_dist:send(Conn, {6, Gns, '', global_name_server}, {'$gen_cast', Message}).

answer(Pid, Tag, Result, #{conn := Conn, gns := Gns}) ->
    Control = case Tag of
                  [alias | Ref] -> {33, Gns, Ref};
                  [[alias | Ref] | _] -> {33, Gns, Ref};
                  _ -> {22, Gns, Pid}
              end,
    ok = raw_dist:send(Conn, Control, {Tag, Result}).

%% Waits for the peer to part from us as prevent_overlapping_partitions has it: it says `remove_connection', and we close.
%% Calls are answered until then.
parted(#{conn := Conn} = S) ->
    case raw_dist:recv(Conn, ?WAIT) of
        {{6, _, _, global_name_server}, {remove_connection, _}} -> part(Conn);
        {{6, _, _, global_name_server}, {'$gen_call', {Pid, Tag}, _}} ->
            answer(Pid, Tag, true, S),
            parted(S);
        closed -> closed;
        timeout -> timeout;
        _ -> parted(S)
    end.

part(Conn) ->
    raw_dist:close(Conn),
    parted.
