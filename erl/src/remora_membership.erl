%%% @doc Which nodes are alive, by SWIM: the companions probe each other by datagrams, so that a node that hangs is known
%%% to all of them in about a second, whatever its connections say.
%%%
%%% ```
%%% {ok, _} = remora:start_link(#{membership => #{interval => 200}}),
%%% {ok, _Nodes} = remora_membership:alive(),
%%% ok = remora_membership:set_metadata(#{<<"zone">> => <<"a">>}),
%%% {ok, _Members} = remora_membership:members().
%%% '''
%%%
%%% A member is `alive'; `suspect', when it did not answer somebody and has some time to object; `dead', when it did not
%%% object; or has `left'. Companions with membership are of the kind `remora'. Other nodes that are connected are members
%%% too, of the kind `beam': seen by their connections, dead when those are lost, or when several companions cannot reach
%%% them.
%%%
%%% Options, of {@link start_service/1} and of `membership' in {@link remora_options}: `interval' (ms between two probes,
%%% 1,000), `probe_timeout' (ms; two fifths of the interval), `indirect_probes' (how many others are asked to probe who did
%%% not answer, 3), `suspicion_min' (ms that a suspected node has at least; by the number of members), `suspicion_max_factor'
%%% (so many times as long without confirmations, 6), `sync_interval' (ms between two exchanges of all, 30,000), `expel'
%%% (`never' or `dead': whether a dead node is disconnected as well), `port' (of the datagrams; that of the distribution),
%%% `address' (as others reach it), `key_file' (a key in each line; else one is made of the cookie), `metadata'.
%%%
%%% Names of nodes are binaries: they come from the network, and no atom is made of them. Arguments may be atoms too.
%%% Reads are of this VM's copy and ask nobody, but {@link members_fresh/0}, {@link metrics/0} and {@link health/0}. What was
%%% started, and said of itself, is told again to a companion that is started again.
-module(remora_membership).

-export([start_service/0, start_service/1, stop_service/0, is_started/0]).
-export([alive/0, suspect/0, members/0, members_fresh/0, members_with_status/0, current_leader/0, member/1]).
-export([set_metadata/1, check_metadata/1, event/2, merge/1, tell/2, metrics/0, health/0]).
-export([subscribe/0, unsubscribe/1]).
-export([local_view/0]).

-export_type([options/0, member/0, status/0, event/0, hearsay/0, error/0, metrics/0, health/0]).

-type text() :: unicode:chardata().
-type options() :: #{interval => pos_integer(),
                     probe_timeout => non_neg_integer(),
                     indirect_probes => non_neg_integer(),
                     suspicion_min => non_neg_integer(),
                     suspicion_max_factor => pos_integer(),
                     sync_interval => pos_integer(),
                     expel => never | dead,
                     port => inet:port_number(),
                     address => text(),
                     key_file => file:name_all(),
                     metadata => #{text() | atom() => text() | atom()}}.
-type status() :: alive | suspect | dead | left.
-type member() :: #{node := binary(),
                    status := status(),
                    incarnation := non_neg_integer(), % how often it has objected
                    kind := remora | beam,
                    creation := non_neg_integer(),
                    companion := binary() | none,     % of a VM
                    address := binary() | none,
                    metadata := #{binary() => binary()}}.
%% cleared: suspected no more. Died: by the verdict of the others, or with its connection.
-type event() :: {joined | suspected | cleared | died | left | updated, member()}
               | {forgotten, Node :: binary()}
               | {leader, Node :: binary()}
               | {event, From :: binary(), Name :: binary(), Payload :: binary()}
               | started | stopped.
-type hearsay() :: {Node :: binary() | node(), status(), Incarnation :: non_neg_integer()}.
-type error() :: not_started | badarg | timeout | not_running.
-type metrics() :: #{atom() => non_neg_integer()}.
%% Lifeguard's multiplier (1 is well, 9 at most), the worst lag of late, peers that do not read what is sent.
-type health() :: #{multiplier := pos_integer(), lag := non_neg_integer(), full_queues := [binary()]}.

%% As cnode/swim/types.hpp has them.
-define(METADATA_MAX, 512).
-define(EVENT_MAX, 512).
-define(KEY_MAX, 255).

%% ---- starting -------------------------------------------------------------------------------------------------------

%% @equiv start_service(#{})
-spec start_service() ->
    ok | {error, remora_service_options:problem() | {no_socket, Text :: binary()} | badarg | timeout | not_running}.
start_service() -> start_service(#{}).

%% @doc Takes part from here on, also after a restart of the companion. When it runs, it runs with these options from here
%% on; its metadata stay, unless they are among them. `no_socket': the port for datagrams cannot be had.
-spec start_service(options()) ->
    ok | {error, remora_service_options:problem() | {no_socket, Text :: binary()} | badarg | timeout | not_running}.
start_service(Given) ->
    case remora_service_options:check(membership, Given) of
        {ok, Options} ->
            Said = maps:with([metadata], remora_intents:service_options(membership)),
            start_checked(maps:merge(Said, Options));
        {error, _} = Error -> Error
    end.

start_checked(Options) ->
    case remora_door:write(remora_door:start_service(membership, Options)) of
        {ok, ok, Version} ->
            remora_intents:put_service(membership, Options, Version),
            remora_intents:replayed(Version, remora_intents:service_key(membership));
        {ok, {error, {no_socket, Text} = Reason}, _} when is_binary(Text) -> {error, Reason};
        {ok, {error, Reason}, _} -> {error, known(remora_service_options:problem(membership, Reason))};
        {ok, _, _} -> {error, badarg};
        {error, _} = Error -> Error
    end.

known({membership_option, _, _} = Problem) -> Problem;
known(Reason) when Reason =:= not_started; Reason =:= timeout; Reason =:= unknown_node; Reason =:= too_large -> Reason;
known(_) -> badarg.

%% @doc Others see this node as one that has left. It is not started any more after a restart either.
-spec stop_service() -> ok | {error, error()}.
stop_service() ->
    case remora_door:write(remora_door:stop_service(membership)) of
        {ok, Answer, Version} when Answer =:= ok; Answer =:= {error, not_started} ->
            remora_intents:drop_service(membership, Version),
            _ = remora_intents:replayed(Version, remora_intents:service_key(membership)),
            Answer;
        {ok, {error, Reason}, _} -> {error, known(Reason)};
        {ok, _, _} -> {error, badarg};
        {error, _} = Error -> Error
    end.

-spec is_started() -> boolean().
is_started() -> read(fun() -> ok end) =:= ok.

%% ---- reads ----------------------------------------------------------------------------------------------------------

%% @doc This node's companion is one of them.
-spec alive() -> {ok, [binary()]} | {error, not_started | not_running}.
alive() -> with_status(alive).

-spec suspect() -> {ok, [binary()]} | {error, not_started | not_running}.
suspect() -> with_status(suspect).

with_status(Status) ->
    read(fun() -> {ok, lists:sort(ets:select(remora_members, [{{'$1', Status, '_', '_', '_'}, [], ['$1']}]))} end).

%% @doc All that are known, also the dead and those that have left, until they are forgotten.
-spec members() -> {ok, [member()]} | {error, not_started | not_running}.
members() -> read(fun() -> {ok, [remora_services:member_map(Row) || Row <- rows()]} end).

%% @doc One of them.
-spec member(binary() | node()) -> {ok, member()} | {error, unknown_node | not_started | not_running}.
member(Node) ->
    read(fun() ->
             case ets:lookup(remora_members, name(Node)) of
                 [Row] -> {ok, remora_services:member_map(Row)};
                 [] -> {error, unknown_node}
             end
         end).

%% @doc Asks the companion.
-spec members_fresh() -> {ok, [member()]} | {error, error()}.
members_fresh() ->
    case ask(remora_door:membership(members)) of
        {ok, Members} when is_list(Members) ->
            {ok, [remora_services:member_map({Node, Status, Incarnation, Map, 0})
                  || {Node, Status, Incarnation, Map} <- Members, is_binary(Node), is_map(Map)]};
        Other -> failed(Other)
    end.

%% @doc The incarnation is the one with which the member was last told: one that objects before this node has heard a
%% suspicion is none of news. {@link members_fresh/0} has those of now.
-spec members_with_status() ->
    {ok, [{Node :: binary(), status(), Incarnation :: non_neg_integer()}]} | {error, not_started | not_running}.
members_with_status() -> read(fun() -> {ok, [{Node, Status, N} || {Node, Status, N, _, _} <- rows()]} end).

%% @private For Gleam's gossip: asks the companion, and has the time of each, in ms since 1970, at which this VM heard of
%% its status.
-spec local_view() ->
    {ok, [{Node :: binary(), status(), Incarnation :: non_neg_integer(), LearntMs :: integer()}]} | {error, error()}.
local_view() ->
    case members_fresh() of
        {ok, Members} ->
            {ok, [{Node, Status, N, learnt(Node)} || #{node := Node, status := Status, incarnation := N} <- Members]};
        {error, _} = Error -> Error
    end.

learnt(Node) ->
    try ets:lookup_element(remora_members, Node, 5)
    catch error:badarg -> erlang:system_time(millisecond) % it was told just now
    end.

%% @doc The greatest name of those that are alive or suspected. Two nodes may see different ones, in a cut cluster for
%% long: what must be done by one alone is for {@link remora_election}.
-spec current_leader() -> {ok, binary()} | {error, not_started | not_running}.
current_leader() ->
    read(fun() ->
             case ets:lookup(remora_services, member_leader) of
                 [{_, Node}] -> {ok, Node};
                 [] -> {error, not_started}
             end
         end).

rows() -> lists:sort(ets:tab2list(remora_members)).

read(Read) ->
    try remora_state:is_up() andalso ets:member(remora_services, membership) of
        true -> Read();
        false ->
            case remora_state:is_up() of
                true -> {error, not_started};
                false -> {error, not_running}
            end
    catch error:badarg -> {error, not_running} % the tables are gone
    end.

%% ---- what is told to others -----------------------------------------------------------------------------------------

%% @doc What this node says of itself to all others, all of it anew; also after a restart of the companion. At most 512
%% bytes, with 3 for each pair.
-spec set_metadata(#{text() | atom() => text() | atom()}) ->
    ok | {error, {metadata_too_large, Bytes :: non_neg_integer(), Max :: pos_integer()} | error()}.
set_metadata(Given) ->
    case check_metadata(Given) of
        {ok, Metadata} ->
            case remora_door:write(remora_door:set_metadata(Metadata)) of
                {ok, ok, Version} ->
                    remora_intents:add_to_service(membership, metadata, Metadata, Version),
                    remora_intents:replayed(Version, remora_intents:service_key(membership));
                {ok, {error, too_large}, _} -> {error, {metadata_too_large, metadata_bytes(Metadata), ?METADATA_MAX}};
                {ok, Answer, _} -> failed(Answer);
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

%% @private As the companion wants it, and not more than there may be.
-spec check_metadata(term()) ->
    {ok, #{binary() => binary()}} | {error, badarg | {metadata_too_large, non_neg_integer(), pos_integer()}}.
check_metadata(Given) when is_map(Given) ->
    Pairs = [{chars(Key), chars(Value)} || {Key, Value} <- maps:to_list(Given)],
    case lists:all(fun({Key, Value}) -> is_binary(Key) andalso is_binary(Value) end, Pairs) of
        true ->
            Metadata = maps:from_list(Pairs),
            Longest = lists:max([0 | [byte_size(Key) || {Key, _} <- Pairs]]),
            case metadata_bytes(Metadata) of
                Bytes when Bytes > ?METADATA_MAX -> {error, {metadata_too_large, Bytes, ?METADATA_MAX}};
                _ when Longest > ?KEY_MAX -> {error, {metadata_too_large, Longest, ?KEY_MAX}};
                _ when map_size(Metadata) < map_size(Given) -> {error, badarg}; % one key as text and as an atom
                _ -> {ok, Metadata}
            end;
        false -> {error, badarg}
    end;
check_metadata(_) -> {error, badarg}.

%% cnode/swim/metadata.hpp: u8 length, key, u16 length, value.
metadata_bytes(Metadata) -> lists:sum([3 + byte_size(Key) + byte_size(Value) || {Key, Value} <- maps:to_list(Metadata)]).

chars(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
chars(Given) when is_binary(Given); is_list(Given) ->
    try unicode:characters_to_binary(Given) of
        Text when is_binary(Text) -> Text;
        _ -> error
    catch error:badarg -> error
    end;
chars(_) -> error.

%% @doc To all members, this one included: `{event, From, Name, Payload}' for who subscribes. Name and payload have at most
%% 512 bytes together. It reaches whoever is there, and is not repeated.
-spec event(Name :: text() | atom(), Payload :: binary()) ->
    ok | {error, {event_too_large, Bytes :: non_neg_integer(), Max :: pos_integer()} | error()}.
event(Given, Payload) when is_binary(Payload) ->
    case chars(Given) of
        Name when is_binary(Name), byte_size(Name) + byte_size(Payload) =< ?EVENT_MAX ->
            case ask(remora_door:user_event(Name, Payload)) of
                {error, too_large} -> {error, {event_too_large, byte_size(Name) + byte_size(Payload), ?EVENT_MAX}};
                Answer -> done(Answer)
            end;
        Name when is_binary(Name) -> {error, {event_too_large, byte_size(Name) + byte_size(Payload), ?EVENT_MAX}};
        error -> {error, badarg}
    end;
event(_, _) -> {error, badarg}.

%% @doc Hearsay of the application: what it believes of nodes. It is a hint, of which nobody dies: who is said to be gone is
%% probed at once, who is said to be there is asked whether it is, and this node itself objects. Of an incarnation below that
%% which is known, and of nodes that are not, nothing is learnt.
-spec merge([hearsay()]) -> ok | {error, error()}.
merge(Entries) ->
    case hearsay(Entries) of
        {ok, Right} -> written(remora_door:write(remora_door:merge(Right)));
        error -> {error, badarg}
    end.

%% @doc The same, to be merged by another member.
-spec tell(binary() | node(), [hearsay()]) -> ok | {error, unknown_node | error()}.
tell(To, Entries) ->
    case hearsay(Entries) of
        {ok, Right} -> done(ask(remora_door:tell_hearsay(name(To), Right)));
        error -> {error, badarg}
    end.

hearsay(Entries) when is_list(Entries) ->
    try {ok, [{name(Node), Status, N} || {Node, Status, N} <- Entries, is_right(Status, N)]} of
        {ok, Right} when length(Right) =:= length(Entries) -> {ok, Right};
        _ -> error
    catch error:_ -> error
    end;
hearsay(_) -> error.

is_right(Status, Incarnation) ->
    lists:member(Status, [alive, suspect, dead, left]) andalso is_integer(Incarnation) andalso Incarnation >= 0.

name(Node) when is_atom(Node) -> atom_to_binary(Node);
name(Node) when is_binary(Node) -> Node.

%% ---- what it says of itself -----------------------------------------------------------------------------------------

%% @doc Counts since the service was started: `probes', `probes_failed', `indirect_probes', `fallback_probes', `suspicions',
%% `refutations', `deaths', `packets_out', `packets_in', `bytes_out', `bytes_in', `malformed', `syncs', and packets that were
%% refused: `refused_malformed', `refused_unknown_key', `refused_not_authentic', `refused_replayed'.
-spec metrics() -> {ok, metrics()} | {error, error()}.
metrics() ->
    case ask(remora_door:membership(metrics)) of
        {ok, Metrics} when is_map(Metrics) -> {ok, Metrics};
        Other -> failed(Other)
    end.

%% @doc How the companion itself does: a node that is slow finds others suspect, so it waits the longer the slower it is.
-spec health() -> {ok, health()} | {error, error()}.
health() ->
    case ask(remora_door:membership(health)) of
        {ok, #{multiplier := Multiplier, lag := Lag, full_queues := Full} = Health}
          when is_integer(Multiplier), is_integer(Lag), is_list(Full) -> {ok, maps:with([multiplier, lag, full_queues], Health)};
        Other -> failed(Other)
    end.

ask(Request) ->
    case remora_door:call(Request) of
        {ok, Answer} -> Answer;
        {error, _} = Error -> Error
    end.

written({ok, Answer, _}) -> done(Answer);
written({error, _} = Error) -> Error.

done(ok) -> ok;
done(Other) -> failed(Other).

failed({error, not_running}) -> {error, not_running};
failed({error, Reason}) -> {error, known(Reason)};
failed(_) -> {error, badarg}.

%% ---- changes --------------------------------------------------------------------------------------------------------

%% @doc The calling process gets `{remora_membership, Ref, Event}' from here on, see event(). It outlives companions: when
%% one is back, what is different is told, after a few seconds in which it hears of the others.
-spec subscribe() -> {ok, reference()} | {error, not_running}.
subscribe() -> remora_intents:subscribe(members, self()).

%% @doc No more of them. Those that are in the caller's mailbox are taken out.
-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) ->
    Result = remora_intents:unsubscribe(Ref),
    flush(Ref),
    Result.

flush(Ref) ->
    receive {remora_membership, Ref, _} -> flush(Ref)
    after 0 -> ok
    end.
