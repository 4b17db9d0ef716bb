%%% @doc What every process of this VM may read without asking anybody: whether a companion runs, which one, and the
%%% mirror's tables.
%%%
%%% The shape is that of pg's table: one process writes (`remora_mirror'; the row of the companion: `remora_server'),
%%% everybody reads. Three numbers sit in one atomics array, so the common question "is it there?" costs no lookup:
%%%
%%%   up        1 while a companion answers, the mirror has all that it has, and the intents are replayed; 0 when not;
%%%             2 when not, and it is not yet told why
%%%   version   how far the mirror is (remora_door:write/2 compares it with the version of an answer)
%%%   epoch     one more each time that a companion, or the connection to it, is a new one
%%%
%%% The order of a start, which the races of remora_intents lean on: open/3 makes the next epoch, then the intents are
%%% replayed, then live/0. Callers reach the companion only between live/0 and down/1.
%%%
%%% The tables belong to the supervisor: they outlive each of its children.
%%% @private
-module(remora_state).

-export([create/1, open/3, live/0, lost/0, down/1, was_live/0]).
-export([is_up/0, companion/0, line/0, call_timeout/0, epoch/0, version/0, set_version/1]).
-export([discovery/0, set_discovery/1, incarnation/0]).

-define(UP, 1).
-define(VERSION, 2).
-define(EPOCH, 3).

-define(DOWN, 0).
-define(LIVE, 1).
-define(LOST, 2).

-type table() :: remora_info | remora_names | remora_groups | remora_scopes | remora_nodes
               | remora_members | remora_services | remora_intents | remora_subscriptions.
-export_type([table/0]).

%% @doc Makes the tables; the caller owns them.
-spec create(CallTimeout :: timeout()) -> ok.
create(CallTimeout) ->
    Read = [public, named_table, {read_concurrency, true}],
    remora_info = ets:new(remora_info, [set | Read]),           % rows of what is said below
    remora_names = ets:new(remora_names, [set | Read]),         % {Name, Pid}
    remora_groups = ets:new(remora_groups, [set | Read]),       % {{Scope, Group}, [Pid]}
    remora_scopes = ets:new(remora_scopes, [set | Read]),       % {Scope}
    remora_nodes = ets:new(remora_nodes, [set | Read]),         % {Node, visible | hidden}
    remora_members = ets:new(remora_members, [set | Read]),     % {Node, Status, Incarnation, Map, LearntMs}
    remora_services = ets:new(remora_services, [set | Read]),   % membership and election, see remora_services
    remora_intents = ets:new(remora_intents, [ordered_set, {write_concurrency, true} | Read]), % see remora_intents
    remora_subscriptions = ets:new(remora_subscriptions, [bag | Read]),  % {Topic, Ref, Pid}
    true = ets:insert(remora_info, {call_timeout, CallTimeout}),
    case persistent_term:get(?MODULE, none) of
        none -> persistent_term:put(?MODULE, atomics:new(3, [{signed, false}]));
        Numbers -> atomics:put(Numbers, ?UP, ?DOWN)
    end.

%% @doc A companion answers; it is not yet for everybody. `same': it is the one that we had, and may still have what it
%% was told.
-spec open(node(), Creation :: non_neg_integer(), Line :: pid()) -> new | same.
open(Node, Creation, Line) ->
    Same = info(incarnation, none) =:= {Node, Creation},
    true = ets:insert(remora_info, [{companion, Node, Line}, {incarnation, {Node, Creation}}]),
    ok = atomics:add(numbers(), ?EPOCH, 1),
    case Same of
        true -> same;
        false -> new
    end.

%% @doc From here on callers reach it, and reads are answered.
-spec live() -> ok.
live() ->
    true = ets:insert(remora_info, {was_live, true}),
    case atomics:exchange(numbers(), ?UP, ?LIVE) of
        ?LIVE -> ok;
        _ ->
            remora_discovery_front:companion(up),
            remora_beat:companion_up(),
            remora_events:notify(companion_up)
    end.

%% @doc Has one ever been, since the supervisor was started?
-spec was_live() -> boolean().
was_live() -> info(was_live, false).

%% @doc It does not answer any more. Why is known soon: down/1 tells.
-spec lost() -> ok.
lost() ->
    _ = atomics:compare_exchange(numbers(), ?UP, ?LIVE, ?LOST),
    ok.

%% @doc The companion is gone, or on its way: whoever says so first is believed.
-spec down(term()) -> ok.
down(Reason) ->
    case persistent_term:get(?MODULE, none) of
        none -> ok;
        Numbers ->
            case atomics:exchange(Numbers, ?UP, ?DOWN) of
                ?DOWN -> ok;
                _ ->
                    remora_discovery_front:companion(down),
                    remora_events:notify({companion_down, Reason})
            end
    end.

-spec is_up() -> boolean().
is_up() ->
    case persistent_term:get(?MODULE, none) of
        none -> false;
        Numbers -> atomics:get(Numbers, ?UP) =:= ?LIVE
    end.

%% @doc The companion's node, when it runs.
-spec companion() -> node() | undefined.
companion() ->
    case is_up() of
        true -> info(companion, undefined);
        false -> undefined
    end.

%% @doc The same with its remora_line.
-spec line() -> {node(), Line :: pid()} | undefined.
line() ->
    try is_up() andalso ets:lookup(remora_info, companion) of
        [{_, Node, Line}] -> {Node, Line};
        _ -> undefined
    catch error:badarg -> undefined
    end.

-spec call_timeout() -> timeout().
call_timeout() -> info(call_timeout, 5_000).

-spec epoch() -> non_neg_integer().
epoch() -> number(?EPOCH).

-spec version() -> non_neg_integer().
version() -> number(?VERSION).

-spec set_version(non_neg_integer()) -> ok.
set_version(Version) -> atomics:put(numbers(), ?VERSION, Version).

%% @doc What this VM wants of discovery, beside its options: kept for a new companion, and a new remora_discovery. `new':
%% its options were not yet told to a companion.
-spec discovery() -> new | running | paused | shut_down.
discovery() -> info(discovery, new).

-spec set_discovery(running | paused | shut_down) -> ok.
set_discovery(Wanted) ->
    try ets:insert(remora_info, {discovery, Wanted}) of true -> ok
    catch error:badarg -> ok
    end.

%% @doc Which companion it is, or was last: another one knows nothing of what that one had learnt.
-spec incarnation() -> {node(), Creation :: non_neg_integer()} | none.
incarnation() -> info(incarnation, none).

%% The tables are gone when the supervisor is.
info(Key, Default) ->
    try ets:lookup_element(remora_info, Key, 2)
    catch error:badarg -> Default
    end.

numbers() -> persistent_term:get(?MODULE).

%% 0 before the first start of this VM.
number(Which) ->
    case persistent_term:get(?MODULE, none) of
        none -> 0;
        Numbers -> atomics:get(Numbers, Which)
    end.
