%%% @doc Membership, gossip and health as Gleam's modules see them: what remora_ffi is for the rest.
%%% @private
-module(remora_membership_ffi).

-export([options/1]).
%% membership
-export([start/1, stop/0, alive/0, suspect/0, members/0, members_with_status/0, leader/0, metrics/0, set_metadata/1, event/2,
         subscribe/2]).
%% gossip
-export([local_view/0, send_to/2, merge/1]).
%% health
-export([node_health/1, cluster_health/0, alive_count/0, suspect_count/0, dead_count/0, greatest/0]).
%% remora_election_ffi
-export([text/1, shown/1]).

-type text() :: binary().
-type option(T) :: {some, T} | none.
-type forward() :: fun((term()) -> term()).
-type member() :: {member, text(), remora_membership:status(), non_neg_integer(), remora | beam, option(text()), option(text()),
                   [{text(), text()}]}.
-type error() :: not_started | timeout | not_running | {refused, text()}.

-define(SHOWN_DEPTH, 12).

%% ---- options --------------------------------------------------------------------------------------------------------

%% The latest setting comes first, and counts.
-spec options([term()]) -> remora_membership:options().
options(Settings) -> maps:from_list([setting(Setting) || Setting <- lists:reverse(Settings)]).

setting({expel, expel_never}) -> {expel, never};
setting({expel, expel_dead}) -> {expel, dead};
setting({metadata, Pairs}) -> {metadata, maps:from_list(Pairs)};
setting(Setting) -> Setting.

%% ---- membership -----------------------------------------------------------------------------------------------------

-spec start([term()]) -> {ok, nil} | {error, term()}.
start(Settings) ->
    case remora_membership:start_service(options(Settings)) of
        ok -> {ok, nil};
        {error, {membership_option, Key, Text}} -> {error, {invalid_option, text(Key), Text}};
        {error, {no_socket, Text}} -> {error, {no_socket, text(Text)}};
        {error, Reason} -> {error, {start_failed, failure(Reason)}}
    end.

-spec stop() -> {ok, nil} | {error, error()}.
stop() -> done(remora_membership:stop_service()).

-spec alive() -> {ok, [text()]} | {error, error()}.
alive() -> names(remora_membership:alive()).

-spec suspect() -> {ok, [text()]} | {error, error()}.
suspect() -> names(remora_membership:suspect()).

names({ok, Names}) -> {ok, [text(Name) || Name <- Names]};
names({error, Reason}) -> {error, failure(Reason)}.

-spec members() -> {ok, [member()]} | {error, error()}.
members() -> mapped(fun member/1, remora_membership:members()).

-spec members_with_status() -> {ok, [{text(), remora_membership:status(), non_neg_integer()}]} | {error, error()}.
members_with_status() ->
    mapped(fun({Node, Status, Incarnation}) -> {text(Node), Status, Incarnation} end, remora_membership:members_with_status()).

member(#{node := Node, status := Status, incarnation := Incarnation, kind := Kind, companion := Companion, address := Address,
         metadata := Metadata}) ->
    {member, text(Node), Status, Incarnation, Kind, optional(Companion), optional(Address),
     [{text(Key), text(Value)} || {Key, Value} <- lists:sort(maps:to_list(Metadata))]}.

optional(none) -> none;
optional(Text) -> {some, text(Text)}.

mapped(Fun, {ok, List}) -> {ok, lists:map(Fun, List)};
mapped(_, {error, Reason}) -> {error, failure(Reason)}.

-spec leader() -> {ok, text()} | {error, error()}.
leader() ->
    case remora_membership:current_leader() of
        {ok, Node} -> {ok, text(Node)};
        {error, Reason} -> {error, failure(Reason)}
    end.

-spec metrics() -> {ok, tuple()} | {error, error()}.
metrics() ->
    case remora_membership:metrics() of
        {ok, Metrics} ->
            Of = fun(Key) -> maps:get(Key, Metrics, 0) end,
            Counts = [Of(Key) || Key <- [probes, probes_failed, indirect_probes, fallback_probes, suspicions, refutations,
                                         deaths, packets_out, packets_in, bytes_out, bytes_in, syncs]],
            Refused = lists:sum([Of(Key) || Key <- [malformed, refused_malformed, refused_unknown_key, refused_not_authentic,
                                                    refused_replayed]]),
            {ok, list_to_tuple([metrics | Counts ++ [Refused]])};
        {error, Reason} -> {error, failure(Reason)}
    end.

-spec set_metadata([{text(), text()}]) -> {ok, nil} | {error, term()}.
set_metadata(Pairs) -> told(remora_membership:set_metadata(maps:from_list(Pairs))).

-spec event(text(), bitstring()) -> {ok, nil} | {error, term()}.
event(Name, Payload) -> told(remora_membership:event(Name, whole(Payload))).

%% Bits that are no bytes are filled up.
whole(Bits) when is_binary(Bits) -> Bits;
whole(Bits) -> <<Bits/bitstring, 0:(8 - bit_size(Bits) rem 8)>>.

told(ok) -> {ok, nil};
told({error, {metadata_too_large, Bytes, Max}}) -> {error, {too_large, Bytes, Max}};
told({error, {event_too_large, Bytes, Max}}) -> {error, {too_large, Bytes, Max}};
told({error, Reason}) -> {error, {not_told, failure(Reason)}}.

done(ok) -> {ok, nil};
done({error, Reason}) -> {error, failure(Reason)}.

-spec subscribe(pid(), forward()) -> {ok, pid()} | {error, not_running}.
subscribe(Owner, Forward) ->
    Handle = fun(Event) -> Forward(news(Event)) end,
    case remora_relay:listen(Owner, fun remora_membership:subscribe/0, Handle, fun() -> Forward(service_stopped) end) of
        {ok, Pid, _} -> {ok, Pid};
        {error, _} -> {error, not_running}
    end.

news({joined, Member}) -> {member_joined, member(Member)};
news({suspected, Member}) -> {member_suspected, member(Member)};
news({cleared, Member}) -> {member_cleared, member(Member)};
news({died, Member}) -> {member_died, member(Member)};
news({left, Member}) -> {member_left, member(Member)};
news({updated, Member}) -> {member_updated, member(Member)};
news({forgotten, Node}) -> {member_forgotten, text(Node)};
news({leader, Node}) -> {leader_changed, text(Node)};
news({event, From, Name, Payload}) -> {event_heard, text(From), text(Name), Payload};
news(started) -> service_started;
news(stopped) -> service_stopped.

failure(Reason) when Reason =:= not_started; Reason =:= timeout; Reason =:= not_running -> Reason;
failure(Reason) -> {refused, shown(Reason)}.

%% ---- gossip ---------------------------------------------------------------------------------------------------------

-spec local_view() -> {ok, [{gossip_entry, text(), remora_membership:status(), non_neg_integer(), integer()}]} | {error, error()}.
local_view() ->
    mapped(fun({Node, Status, Incarnation, Ms}) -> {gossip_entry, text(Node), Status, Incarnation, Ms} end,
           remora_membership:local_view()).

-spec send_to(text(), [tuple()]) -> {ok, nil} | {error, term()}.
send_to(Node, Entries) ->
    case remora_membership:tell(Node, hearsay(Entries)) of
        ok -> {ok, nil};
        {error, unknown_node} -> {error, {unknown_node, Node}};
        {error, Reason} -> {error, {not_told, failure(Reason)}}
    end.

-spec merge([tuple()]) -> {ok, nil} | {error, error()}.
merge(Entries) -> done(remora_membership:merge(hearsay(Entries))).

hearsay(Entries) -> [{Node, Status, Incarnation} || {gossip_entry, Node, Status, Incarnation, _} <- Entries].

%% ---- health ---------------------------------------------------------------------------------------------------------

-spec node_health(text()) -> {ok, term()} | {error, not_running | timeout}.
node_health(Node) ->
    case remora_health:node(Node) of
        {ok, healthy} -> {ok, node_healthy};
        {ok, {strained, Reasons}} -> {ok, {node_strained, [reason(Reason) || Reason <- Reasons]}};
        {ok, suspect} -> {ok, node_suspect};
        {ok, down} -> {ok, node_down};
        {error, _} = Error -> Error
    end.

reason({slow, Multiplier}) -> {slow_to_answer, Multiplier};
reason({lagging, Ms}) -> {lagging, Ms};
reason({full_queues, Nodes}) -> {full_queues, [text(Node) || Node <- Nodes]}.

-spec cluster_health() -> {ok, healthy | isolated | {degraded, non_neg_integer(), non_neg_integer()}} | {error, not_running}.
cluster_health() -> remora_health:cluster().

-spec alive_count() -> {ok, non_neg_integer()} | {error, not_running}.
alive_count() -> remora_health:alive_count().

-spec suspect_count() -> {ok, non_neg_integer()} | {error, not_running}.
suspect_count() -> remora_health:suspect_count().

-spec dead_count() -> {ok, non_neg_integer()} | {error, not_running}.
dead_count() -> remora_health:dead_count().

-spec greatest() -> {ok, text()} | {error, not_running}.
greatest() ->
    case remora_health:greatest() of
        {ok, Node} -> {ok, text(Node)};
        {error, _} = Error -> Error
    end.

%% ---- text -----------------------------------------------------------------------------------------------------------

%% What comes from the network is text for Gleam, whatever bytes it has.
-spec text(atom() | binary()) -> text().
text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Bytes) ->
    case unicode:characters_to_binary(Bytes) of
        Text when is_binary(Text) -> Text;
        _ -> unicode:characters_to_binary(Bytes, latin1)
    end.

-spec shown(term()) -> text().
shown(Term) -> unicode:characters_to_binary(io_lib:format("~0tP", [Term, ?SHOWN_DEPTH])).
