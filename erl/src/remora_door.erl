%%% @doc The companion's door, as this VM's processes call it: the only place that spells the shapes of its requests.
%%%
%%% The door is a gen_server, registered as `remora' on the companion. A caller calls it directly: no process of ours
%%% is in between, so callers do not queue behind each other here. What can go wrong is a value:
%%%
%%%   not_running   there is no companion, or it went away before it answered. At once, never after a wait
%%%   timeout       no answer within the time; whether the request was carried out is not known
%%%
%%% A call is one message there and one back, as remora_line says; the message is that of a gen_server:call.
%%%
%%% A write is answered together with the version that the companion's mirror had by then. write/2 returns when our own
%%% mirror has that version, so a process finds by a read what it has just written. The stream's message was sent before
%%% the answer and over the same connection, so it is at least in the mailbox of remora_mirror by then.
%%% @private
-module(remora_door).

-export([call/1, call/2, write/1, write/2, batch_write/2, call_node/3, ask/2, receive_answer/2, answered/2, tell/1, try_tell/1,
         deadline/1, left/1]).
-export([hello/0, mirror/0, demirror/1, batch/1]).
-export([register_name/3, re_register_name/3, unregister_name/1, whereis_name/1]).
-export([join/3, leave/3, get_members/2, get_local_members/2, start_scope/1, stop_scope/1, broadcast/3]).
-export([rpc/6, rpc_cast/5, connect/1, disconnect/1, ping/1, log/3]).
-export([configure_discovery/1, report_discovery/2, discovery/1, discover_once/1]).
-export([app/1, start_service/2, stop_service/1, membership/1, set_metadata/1, user_event/2, merge/1, tell_hearsay/2]).
-export([election/1, transfer/1, add_voter/1, remove_voter/1, check_token/1, campaign/2, resign_name/2, holds/2]).

-type request() :: term().
-type failure() :: {error, not_running | timeout}.
-type deadline() :: integer() | infinity.
-opaque asked() :: {asked, reference()}.
-export_type([request/0, failure/0, deadline/0, asked/0]).

-define(FULL_PAUSE_MS, 5).

%% ---- calls ---------------------------------------------------------------------------------------------------

-spec call(request()) -> {ok, Answer :: term()} | failure().
call(Request) -> call(Request, remora_state:call_timeout()).

-spec call(request(), timeout()) -> {ok, Answer :: term()} | failure().
call(Request, Timeout) ->
    case remora_state:line() of
        undefined -> {error, not_running};
        {Node, Line} -> call_line(Node, Line, Request, Timeout)
    end.

%% The monitor's reference is also the address of the answer, which takes the monitor away.
call_line(Node, Line, Request, Timeout) ->
    Ref = monitor(process, Line, [{alias, reply_demonitor}]),
    case send(Node, Ref, Request) of
        ok ->
            receive
                {[alias | Ref], Answer} -> {ok, Answer};
                {'DOWN', Ref, process, Line, _} -> {error, not_running}
            after Timeout -> too_late(Ref)
            end;
        noconnect ->
            true = demonitor(Ref, [flush]),
            {error, not_running};
        nosuspend ->
            true = demonitor(Ref, [flush]),
            Deadline = deadline(Timeout),
            again(Deadline, fun() -> call_line(Node, Line, Request, left(Deadline)) end)
    end.

%% The tag of a caller whose answer goes to an alias is an improper list (gen.erl).
-dialyzer({no_improper_lists, send/3}).
send(Node, Ref, Request) ->
    erlang:send({remora, Node}, {'$gen_call', {self(), [alias | Ref]}, Request}, [noconnect, nosuspend]).

%% The connection is full: others have more under way than it takes.
again(Deadline, Do) ->
    case left(Deadline) of
        0 -> {error, timeout};
        Left -> receive after min(?FULL_PAUSE_MS, Left) -> Do() end
    end.

%% Either the answer has come by now, or it never will.
too_late(Ref) ->
    true = demonitor(Ref, [flush]),
    receive {[alias | Ref], Answer} -> {ok, Answer}
    after 0 -> {error, timeout}
    end.

-spec write(request()) -> {ok, Answer :: term(), remora_intents:version()} | failure().
write(Request) -> write(Request, remora_state:call_timeout()).

-spec write(request(), timeout()) -> {ok, Answer :: term(), remora_intents:version()} | failure().
write(Request, Timeout) -> versioned({write, Request}, Timeout).

%% @doc Many of them; their answers in their order.
-spec batch_write([request()], timeout()) -> {ok, Answers :: [term()], remora_intents:version()} | failure().
batch_write(Requests, Timeout) -> versioned(batch(Requests), Timeout).

%% The epoch is from before the call: when the companion was replaced meanwhile, the caller sees another one later.
versioned(Request, Timeout) ->
    Deadline = deadline(Timeout),
    Epoch = remora_state:epoch(),
    case call(Request, Timeout) of
        {ok, {Version, Answer}} when is_integer(Version) ->
            ok = remora_mirror:await({Epoch, Version}, left(Deadline)),
            {ok, Answer, {Epoch, Version}};
        {ok, {error, _} = Refused} -> {ok, Refused, {Epoch, 0}};
        {error, _} = Error -> Error
    end.

%% @doc To a node that is known otherwise: before the companion is there for all. In the ordinary way, which tells apart
%% a node without a door.
-spec call_node(node(), request(), timeout()) -> {ok, Answer :: term()} | failure().
call_node(Node, Request, Timeout) ->
    try gen_server:call({remora, Node}, Request, Timeout) of
        Answer -> {ok, Answer}
    catch
        exit:{timeout, {gen_server, call, _}} -> {error, timeout};
        exit:{_, {gen_server, call, _}} -> {error, not_running}
    end.

%% @doc Asks, and does not wait; receive_answer/2 does. An error that is known at once is passed on to it.
-spec ask(request(), deadline()) -> asked() | {error, not_running | timeout}.
ask(Request, Deadline) ->
    case remora_state:line() of
        undefined -> {error, not_running};
        {Node, Line} ->
            Ref = monitor(process, Line, [{alias, reply_demonitor}]),
            case send(Node, Ref, Request) of
                nosuspend ->
                    true = demonitor(Ref, [flush]),
                    again(Deadline, fun() -> ask(Request, Deadline) end);
                _ -> {asked, Ref} % without a connection, the line's end says so
            end
    end.

-spec receive_answer(asked() | {error, term()}, deadline()) -> {ok, Answer :: term()} | {error, term()}.
receive_answer({error, _} = Error, _Deadline) -> Error;
receive_answer({asked, Ref}, Deadline) ->
    receive
        {[alias | Ref], Answer} -> {ok, Answer};
        {'DOWN', Ref, process, _, _} -> {error, not_running}
    after left(Deadline) -> too_late(Ref)
    end.

%% @doc The same for a server that has its answers in handle_info. `no': the message is another one.
-spec answered(Message :: term(), asked()) -> {ok, Answer :: term()} | {error, not_running} | no.
answered({[alias | Ref], Answer}, {asked, Ref}) -> {ok, Answer};
answered({'DOWN', Ref, process, _, _}, {asked, Ref}) -> {error, not_running};
answered(_, _) -> no.

%% @doc Asks, and wants no answer.
-spec tell(request()) -> ok.
tell(Request) ->
    _ = try_tell(Request),
    ok.

%% @doc `full': it was not sent, because the connection takes no more just now.
-spec try_tell(request()) -> ok | full | not_running.
try_tell(Request) ->
    case remora_state:companion() of
        undefined -> not_running;
        Node ->
            Nobody = erlang:alias(),
            true = erlang:unalias(Nobody),
            case send(Node, Nobody, Request) of
                ok -> ok;
                nosuspend -> full;
                noconnect -> not_running
            end
    end.

-spec deadline(timeout()) -> deadline().
deadline(infinity) -> infinity;
deadline(Timeout) when is_integer(Timeout) -> erlang:monotonic_time(millisecond) + Timeout.

-spec left(deadline()) -> timeout().
left(infinity) -> infinity;
left(Deadline) when is_integer(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

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

%% From the front of this VM's discovery; it gets what is new.
-spec configure_discovery(map()) -> request().
configure_discovery(Options) -> {discovery, {configure, Options}}.

-spec report_discovery(reference(), term()) -> request().
report_discovery(Ref, Report) -> {discovery, {report, Ref, Report}}.

-spec discovery(refresh | pause | resume | shutdown | status) -> request().
discovery(What) -> {discovery, What}.

-spec discover_once(map()) -> request().
discover_once(Options) -> {discovery, {once, Options}}.

%% From the process that stands for this VM.
-spec app(here | beat) -> request().
app(What) -> {app, What}.

-spec start_service(remora_service_options:service(), map()) -> request().
start_service(Service, Options) -> {Service, {start, Options}}.

-spec stop_service(remora_service_options:service()) -> request().
stop_service(Service) -> {Service, stop}.

-spec membership(members | metrics | health) -> request().
membership(What) -> {membership, What}.

-spec set_metadata(#{binary() => binary()}) -> request().
set_metadata(Metadata) -> {membership, {set_metadata, Metadata}}.

-spec user_event(Name :: binary(), Payload :: binary()) -> request().
user_event(Name, Payload) -> {membership, {event, Name, Payload}}.

-spec merge([remora_membership:hearsay()]) -> request().
merge(Entries) -> {membership, {merge, Entries}}.

-spec tell_hearsay(To :: binary(), [remora_membership:hearsay()]) -> request().
tell_hearsay(To, Entries) -> {membership, {tell, To, Entries}}.

-spec election(status | elect | resign) -> request().
election(What) -> {election, What}.

-spec transfer(binary()) -> request().
transfer(To) -> {election, {transfer, To}}.

-spec add_voter(binary()) -> request().
add_voter(Node) -> {election, {add, Node}}.

-spec remove_voter(binary()) -> request().
remove_voter(Node) -> {election, {remove, Node}}.

-spec check_token(non_neg_integer()) -> request().
check_token(Token) -> {election, {check_token, Token}}.

-spec campaign(Name :: binary(), pid()) -> request().
campaign(Name, Pid) -> {election, {campaign, Name, Pid}}.

-spec resign_name(Name :: binary(), pid()) -> request().
resign_name(Name, Pid) -> {election, {resign, Name, Pid}}.

-spec holds(Name :: binary(), pid()) -> request().
holds(Name, Pid) -> {election, {holds, Name, Pid}}.
