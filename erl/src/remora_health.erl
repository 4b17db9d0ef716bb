%%% @doc How the cluster does, from this VM's copy: by the verdicts of membership when that runs, else by the connections of
%%% the companion. This VM counts, its companion does not; those of other VMs are nodes as any.
-module(remora_health).

-export([cluster/0, node/1, alive_count/0, suspect_count/0, dead_count/0, has_quorum/1, greatest/0]).

-export_type([cluster/0, node_health/0, reason/0]).

-type cluster() :: healthy                                     % there are others, and no doubts about any of them
                 | {degraded, Suspect :: non_neg_integer(), Dead :: non_neg_integer()}
                 | isolated.                                   % no other node is alive
%% Slow to answer: Lifeguard's multiplier. Lagging: ms that its companion is late. Full queues: of these nodes.
-type reason() :: {slow, Multiplier :: pos_integer()} | {lagging, Ms :: pos_integer()} | {full_queues, [binary()]}.
-type node_health() :: healthy | {strained, [reason()]} | suspect | down.

-define(LAG_MS, 100).

-spec cluster() -> {ok, cluster()} | {error, not_running}.
cluster() ->
    case counts() of
        {ok, #{alive := Alive}} when Alive =< 1 -> {ok, isolated};
        {ok, #{suspect := 0, dead := 0}} -> {ok, healthy};
        {ok, #{suspect := Suspect, dead := Dead}} -> {ok, {degraded, Suspect, Dead}};
        {error, _} = Error -> Error
    end.

%% @doc One that is not known is `down'. Of this VM and its companion it is also told why they are slow, by asking the
%% companion: `strained'.
-spec node(erlang:node() | binary()) -> {ok, node_health()} | {error, not_running | timeout}.
node(Node) when is_atom(Node) -> ?MODULE:node(atom_to_binary(Node));
node(Node) ->
    case {is_own(Node), remora_membership:member(Node)} of
        {_, {error, not_running}} -> {error, not_running};
        {true, _} -> own();
        {false, {ok, #{status := alive}}} -> {ok, healthy};
        {false, {ok, #{status := suspect}}} -> {ok, suspect};
        {false, {error, not_started}} ->
            case lists:member(Node, connected()) of
                true -> {ok, healthy};
                false -> {ok, down}
            end;
        {false, _} -> {ok, down}
    end.

is_own(Node) -> Node =:= atom_to_binary(erlang:node()) orelse Node =:= own_companion().

own_companion() ->
    case remora_state:companion() of
        undefined -> none;
        Companion -> atom_to_binary(Companion)
    end.

own() ->
    case remora_membership:health() of
        {ok, #{multiplier := Multiplier, lag := Lag, full_queues := Full}} ->
            case [{slow, Multiplier} || Multiplier > 1] ++ [{lagging, Lag} || Lag > ?LAG_MS] ++ [{full_queues, Full} || Full =/= []] of
                [] -> {ok, healthy};
                Reasons -> {ok, {strained, Reasons}}
            end;
        {error, Reason} when Reason =:= not_running; Reason =:= timeout -> {error, Reason};
        {error, _} -> {ok, healthy} % membership is not started
    end.

-spec alive_count() -> {ok, non_neg_integer()} | {error, not_running}.
alive_count() -> count(alive).

-spec suspect_count() -> {ok, non_neg_integer()} | {error, not_running}.
suspect_count() -> count(suspect).

%% @doc That are not yet forgotten.
-spec dead_count() -> {ok, non_neg_integer()} | {error, not_running}.
dead_count() -> count(dead).

%% @doc Are more than half of so many alive? A suspected node is not. `false' without a companion.
-spec has_quorum(Expected :: integer()) -> boolean().
has_quorum(Expected) ->
    case alive_count() of
        {ok, Alive} -> Alive * 2 > Expected;
        {error, _} -> false
    end.

%% @doc The greatest name, as {@link remora_membership:current_leader/0}; of those that are connected when membership does not
%% run.
-spec greatest() -> {ok, binary()} | {error, not_running}.
greatest() ->
    case remora_membership:current_leader() of
        {ok, Node} -> {ok, Node};
        {error, not_running} = Error -> Error;
        {error, not_started} -> {ok, lists:max([atom_to_binary(erlang:node()) | connected()])}
    end.

count(Status) ->
    case counts() of
        {ok, #{Status := Count}} -> {ok, Count};
        {error, _} = Error -> Error
    end.

%% This VM is alive, whatever others believe at the moment.
counts() ->
    Own = atom_to_binary(erlang:node()),
    case remora_membership:members_with_status() of
        {ok, Members} ->
            Others = [Status || {Node, Status, _} <- Members, Node =/= Own, Node =/= own_companion()],
            Count = fun(Status) -> length([S || S <- Others, S =:= Status]) end,
            {ok, #{alive => 1 + Count(alive), suspect => Count(suspect), dead => Count(dead)}};
        {error, not_started} -> {ok, #{alive => 1 + length(connected()), suspect => 0, dead => 0}};
        {error, not_running} = Error -> Error
    end.

connected() ->
    case remora_cluster:nodes() of
        {ok, Nodes} -> [atom_to_binary(Node) || Node <- Nodes, Node =/= erlang:node()];
        {error, not_running} -> []
    end.
