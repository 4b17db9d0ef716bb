%%% @doc The companion's door, as this VM's processes call it: the only place that spells the shapes of its requests.
%%%
%%% The door is a gen_server, registered as `remora' on the companion. A caller calls it directly: no process of ours
%%% is in between, so callers do not queue behind each other here. What can go wrong is a value:
%%%
%%%   not_running   there is no companion, or it went away before it answered. At once, never after a wait
%%%   timeout       no answer within the time; whether the request was carried out is not known
%%%
%%% A write is answered together with the version that the companion's mirror had by then. write/2 returns when our own
%%% mirror has that version, so a process finds by a read what it has just written. The stream's message was sent before
%%% the answer and over the same connection, so it is at least in the mailbox of remora_mirror by then.
%%% @private
-module(remora_door).

-export([call/1, call/2, write/1, write/2, batch_write/2, call_node/3, ask/1, receive_answer/2, tell/1, deadline/1, left/1]).
-export([hello/0, mirror/0, demirror/1, batch/1]).
-export([register_name/3, re_register_name/3, unregister_name/1, whereis_name/1]).
-export([join/3, leave/3, get_members/2, get_local_members/2, start_scope/1, stop_scope/1, broadcast/3]).
-export([rpc/6, rpc_cast/5, connect/1, disconnect/1, ping/1, log/3]).

-type request() :: term().
-type failure() :: {error, not_running | timeout}.
-type deadline() :: integer() | infinity.
-export_type([request/0, failure/0, deadline/0]).

%% ---- calls ---------------------------------------------------------------------------------------------------

-spec call(request()) -> {ok, Answer :: term()} | failure().
call(Request) -> call(Request, remora_state:call_timeout()).

-spec call(request(), timeout()) -> {ok, Answer :: term()} | failure().
call(Request, Timeout) ->
    case remora_state:companion() of
        undefined -> {error, not_running};
        Node -> call_node(Node, Request, Timeout)
    end.

-spec write(request()) -> {ok, Answer :: term(), remora_intents:version()} | failure().
write(Request) -> write(Request, remora_state:call_timeout()).

-spec write(request(), timeout()) -> {ok, Answer :: term(), remora_intents:version()} | failure().
write(Request, Timeout) -> versioned({write, Request}, Timeout).

%% @doc Many of them; their answers in their order.
-spec batch_write([request()], timeout()) -> {ok, Answers :: [term()], remora_intents:version()} | failure().
batch_write(Requests, Timeout) -> versioned(batch(Requests), Timeout).

%% The creation is from before the call: when the companion was replaced meanwhile, the caller sees another one later.
versioned(Request, Timeout) ->
    Deadline = deadline(Timeout),
    Creation = remora_state:creation(),
    case call(Request, Timeout) of
        {ok, {Version, Answer}} when is_integer(Version) ->
            ok = remora_mirror:await({Creation, Version}, left(Deadline)),
            {ok, Answer, {Creation, Version}};
        {ok, {error, _} = Refused} -> {ok, Refused, {Creation, 0}};
        {error, _} = Error -> Error
    end.

%% @doc To a node that is known otherwise: before the companion is there for all.
-spec call_node(node(), request(), timeout()) -> {ok, Answer :: term()} | failure().
call_node(Node, Request, Timeout) ->
    try gen_server:call({remora, Node}, Request, Timeout) of
        Answer -> {ok, Answer}
    catch
        exit:{timeout, {gen_server, call, _}} -> {error, timeout};
        exit:{_, {gen_server, call, _}} -> {error, not_running}
    end.

%% @doc Asks, and does not wait; receive_answer/2 does. An error that is known at once is passed on to it.
-spec ask(request()) -> gen_server:request_id() | {error, not_running}.
ask(Request) ->
    case remora_state:companion() of
        undefined -> {error, not_running};
        Node -> gen_server:send_request({remora, Node}, Request)
    end.

-spec receive_answer(gen_server:request_id() | {error, term()}, deadline()) -> {ok, Answer :: term()} | {error, term()}.
receive_answer({error, _} = Error, _Deadline) -> Error;
receive_answer(Asked, Deadline) ->
    case gen_server:receive_response(Asked, left(Deadline)) of
        {reply, Answer} -> {ok, Answer};
        timeout -> {error, timeout};
        {error, _} -> {error, not_running}
    end.

%% @doc Asks, and wants no answer.
-spec tell(request()) -> ok.
tell(Request) ->
    case remora_state:companion() of
        undefined -> ok;
        Node -> _ = spawn(fun() -> call_node(Node, Request, 5_000) end), ok
    end.

-spec deadline(timeout()) -> deadline().
deadline(infinity) -> infinity;
deadline(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

-spec left(deadline()) -> timeout().
left(infinity) -> infinity;
left(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

%% ---- requests: cnode/services/*_door.cpp has what is answered ------------------------------------------------------

-spec hello() -> request().
hello() -> hello.

-spec mirror() -> request().
mirror() -> mirror.

-spec demirror(reference()) -> request().
demirror(Ref) -> {demirror, Ref}.

%% At most 65,536 requests.
-spec batch([request()]) -> request().
batch(Requests) -> {batch, Requests}.

-spec register_name(term(), pid(), remora_registry:policy()) -> request().
register_name(Name, Pid, Policy) -> {register_name, Name, Pid, Policy}.

-spec re_register_name(term(), pid(), remora_registry:policy()) -> request().
re_register_name(Name, Pid, Policy) -> {re_register_name, Name, Pid, Policy}.

-spec unregister_name(term()) -> request().
unregister_name(Name) -> {unregister_name, Name}.

-spec whereis_name(term()) -> request().
whereis_name(Name) -> {whereis_name, Name}.

-spec join(atom(), term(), pid() | [pid()]) -> request().
join(Scope, Group, PidOrPids) -> {join, Scope, Group, PidOrPids}.

-spec leave(atom(), term(), pid() | [pid()]) -> request().
leave(Scope, Group, PidOrPids) -> {leave, Scope, Group, PidOrPids}.

-spec get_members(atom(), term()) -> request().
get_members(Scope, Group) -> {get_members, Scope, Group}.

-spec get_local_members(atom(), term()) -> request().
get_local_members(Scope, Group) -> {get_local_members, Scope, Group}.

-spec start_scope(atom()) -> request().
start_scope(Scope) -> {start_scope, Scope}.

-spec stop_scope(atom()) -> request().
stop_scope(Scope) -> {stop_scope, Scope}.

-spec broadcast(atom(), term(), term()) -> request().
broadcast(Scope, Group, Message) -> {broadcast, Scope, Group, Message}.

-spec rpc(node(), module(), atom(), [term()], timeout(), map()) -> request().
rpc(Node, Module, Function, Args, Timeout, Meta) -> {rpc, Node, Module, Function, Args, Timeout, Meta}.

-spec rpc_cast(node(), module(), atom(), [term()], map()) -> request().
rpc_cast(Node, Module, Function, Args, Meta) -> {rpc_cast, Node, Module, Function, Args, Meta}.

-spec connect(node()) -> request().
connect(Node) -> {connect, Node}.

-spec disconnect(node()) -> request().
disconnect(Node) -> {disconnect, Node}.

-spec ping(node()) -> request().
ping(Node) -> {ping, Node}.

-spec log(atom(), unicode:chardata(), map()) -> request().
log(Level, Text, Meta) -> {log, Level, Text, Meta}.
