%%% @doc Intents as requests to a new companion, and what its answers mean. Pure.
%%%
%%% A plan is in an order: scopes, then memberships, one request for each group, then names. Scopes and memberships are
%%% answered at once; names need lock rounds with the whole cluster, which those of one batch share.
%%% @private
-module(remora_replay).

-export([plan/1, outcome/3]).
-export_type([step/0, outcome/0]).

-type step() :: {remora_door:request(), [remora_intents:row()]}.
-type outcome() :: ok               % it is so
                 | again            % not now; ask again
                 | {lost, Holder :: pid()}
                 | {refused, term()}.

%% @doc What is answered at once, and the names.
-spec plan([remora_intents:row()]) -> {[step()], Names :: [step()]}.
plan(Rows) ->
    Scopes = [{remora_door:start_scope(Scope), [Row]} || {{scope, Scope}} = Row <- Rows],
    {Scopes ++ joins(Rows), [register(Row) || {{name, _, _}, _, _, _} = Row <- Rows]}.

register({{name, _, Name}, Pid, Policy, _} = Row) -> {remora_door:register_name(Name, Pid, Policy), [Row]}.

joins(Rows) ->
    Groups = lists:foldl(fun({{member, Scope, _, Group, _}, Count} = Row, Acc) when Count > 0 ->
                                 maps:update_with({Scope, Group}, fun(More) -> [Row | More] end, [Row], Acc);
                            (_, Acc) -> Acc
                         end, #{}, Rows),
    [{remora_door:join(Scope, Group, pids(Members)), Members} || {{Scope, Group}, Members} <- maps:to_list(Groups)].

pids(Members) -> lists:append([lists:duplicate(Count, Pid) || {{member, _, _, _, Pid}, Count} <- Members]).

%% @doc Of one row of a step, when Holder has its name now.
-spec outcome(remora_intents:row(), Answer :: term(), Holder :: fun((term()) -> {ok, pid()} | none | not_running)) ->
    outcome().
outcome(_Row, Answer, _Holder) when Answer =:= ok; Answer =:= yes -> ok;
outcome({{name, _, Name}, Pid, _, _}, no, Holder) ->
    case Holder(Name) of
        {ok, Pid} -> ok; % other nodes had kept it
        {ok, Other} -> {lost, Other};
        _ -> again % its holder has just gone
    end;
outcome({{scope, _}}, {error, Reason}, _Holder) -> {refused, Reason};
outcome(_Row, {error, badarg}, _Holder) -> {refused, badarg};
outcome(_Row, {error, {no_scope, _} = Reason}, _Holder) -> {refused, Reason};
outcome(_Row, _Timeout, _Holder) -> again.
