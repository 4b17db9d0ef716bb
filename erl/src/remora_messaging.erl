%%% @doc Messages and calls to processes of the cluster, whose size is checked before any byte leaves.
%%%
%%% They go straight from this VM to the process's node, with OTP's guarantees: signals between two processes keep their
%%% order. A message larger than {@link remora_settings:set_max_message_size/1} is `{error, {too_large, Bytes, Max}}';
%%% Bytes is what it would take in the external term format, at most.
-module(remora_messaging).

-export([send/2, send_name/2, send_batch/1, call/2, call/3, check_size/1]).
-export_type([too_large/0, to/0, call_error/0]).

-type too_large() :: {too_large, Bytes :: pos_integer(), Max :: pos_integer()}.
-type to() :: pid() | {name, Name :: term()}.
%% exit: what the process ended with before it answered; noproc: it is not there.
-type call_error() :: timeout | not_found | not_running | noproc | {nodedown, node()} | {exit, Reason :: term()} | too_large().

%% @doc `ok' does not say that it arrived.
-spec send(pid(), term()) -> ok | {error, too_large()}.
send(Pid, Message) when is_pid(Pid) ->
    case check_size(Message) of
        ok -> Pid ! Message, ok;
        {error, _} = Error -> Error
    end.

%% @doc To the process that has a global name, by the mirror.
-spec send_name(term(), term()) -> ok | {error, not_found | not_running | too_large()}.
send_name(Name, Message) ->
    case find({name, Name}) of
        {ok, Pid} -> send(Pid, Message);
        {error, _} = Error -> Error
    end.

%% @doc Each to its own; to how many. Nothing is sent when one of them is too large or not found.
-spec send_batch([{to(), term()}]) -> {ok, Count :: non_neg_integer()} | {error, not_found | not_running | too_large()}.
send_batch(Messages) -> send_batch(Messages, []).

send_batch([], Found) ->
    lists:foreach(fun({Pid, Message}) -> Pid ! Message end, lists:reverse(Found)),
    {ok, length(Found)};
send_batch([{To, Message} | Rest], Found) ->
    case {find(To), check_size(Message)} of
        {{ok, Pid}, ok} -> send_batch(Rest, [{Pid, Message} | Found]);
        {{error, _} = Error, _} -> Error;
        {_, {error, _} = Error} -> Error
    end.

-spec call(to(), term()) -> {ok, Reply :: term()} | {error, call_error()}.
call(To, Request) -> call(To, Request, remora_state:call_timeout()).

%% @doc gen_server:call/3 whose failures are values. A call that fails is a line of the companion's log, at the level
%% debug, when the caller has a correlation id.
-spec call(to(), term(), timeout()) -> {ok, Reply :: term()} | {error, call_error()}.
call(To, Request, Timeout) ->
    case {find(To), check_size(Request)} of
        {{ok, Pid}, ok} ->
            Result = call_pid(Pid, Request, Timeout),
            tell_companion(Pid, Result, remora_log:correlation_meta()),
            Result;
        {{error, _} = Error, _} -> Error;
        {_, {error, _} = Error} -> Error
    end.

call_pid(Pid, Request, Timeout) ->
    try {ok, gen_server:call(Pid, Request, Timeout)}
    catch
        exit:{timeout, {gen_server, call, _}} -> {error, timeout};
        exit:{noproc, {gen_server, call, _}} -> {error, noproc};
        exit:{{nodedown, Node}, {gen_server, call, _}} -> {error, {nodedown, Node}};
        exit:{Reason, {gen_server, call, _}} -> {error, {exit, Reason}};
        exit:calling_self -> {error, {exit, calling_self}}
    end.

tell_companion(Pid, {error, Reason}, #{correlation := _} = Meta) ->
    Text = io_lib:format("a call to ~p failed: ~0tP", [Pid, Reason, 10]),
    remora_door:tell(remora_door:log(debug, unicode:characters_to_binary(Text), Meta#{node => node(Pid)}));
tell_companion(_, _, _) -> ok.

find(Pid) when is_pid(Pid) -> {ok, Pid};
find({name, Name}) -> remora_registry:whereis(Name).

%% @doc Is it small enough to be sent?
-spec check_size(term()) -> ok | {error, too_large()}.
check_size(Message) ->
    Max = remora_settings:max_message_size(),
    case erlang:external_size(Message) of
        Bytes when Bytes =< Max -> ok;
        Bytes -> {error, {too_large, Bytes, Max}}
    end.
