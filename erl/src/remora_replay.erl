%%% @doc Intents as requests to a new companion, and what its answers mean.
%%%
%%% A plan is in an order: scopes, membership and election, then memberships of groups, one request for each group, then
%%% campaigns, then names. All but names are answered at once; names need lock rounds with the whole cluster, which those
%%% of one batch share.
%%% @private
-module(remora_replay).

-export([plan/1, questions/1, missing/2, outcome/2]).
-export_type([step/0, outcome/0]).

-type step() :: {remora_door:request(), [remora_intents:row() | {member, atom(), term()}]}.
-type outcome() :: ok               % it is so
                 | again            % not now; ask again
                 | {lost, Holder :: pid()}
                 | {refused, term()}.

%% @doc What is answered at once, and the names.
-spec plan([remora_intents:row()]) -> {[step()], Names :: [step()]}.
plan(Rows) ->
    Scopes = [{remora_door:start_scope(Scope), [Row]} || {{scope, Scope}} = Row <- Rows],
    Services = [{remora_door:start_service(Service, Options), [Row]} || {{service, Service}, Options, _} = Row <- Rows],
    Campaigns = [{remora_door:campaign(Name, Pid), [Row]} || {{campaign, Name, Pid}, _} = Row <- Rows],
    {Scopes ++ Services ++ joins(Rows) ++ Campaigns, [register(Row) || {{name, _, _}, _, _, _} = Row <- Rows]}.

register({{name, _, Name}, Pid, Policy, _} = Row) -> {remora_door:register_name(Name, Pid, Policy), [Row]}.

joins(Rows) ->
    Groups = lists:foldl(fun({{member, Scope, _, Group, _}, Count} = Row, Acc) when Count > 0 ->
                                 maps:update_with({Scope, Group}, fun(More) -> [Row | More] end, [Row], Acc);
                            (_, Acc) -> Acc
                         end, #{}, Rows),
    [{remora_door:join(Scope, Group, pids(Members)), Members} || {{Scope, Group}, Members} <- maps:to_list(Groups)].

pids(Members) -> lists:append([lists:duplicate(Count, Pid) || {{member, _, _, _, Pid}, Count} <- Members]).

%% @doc What does a companion still have of these memberships?
-spec questions([remora_intents:row()]) -> [step()].
questions(Rows) ->
    Groups = lists:usort([{Scope, Group} || {{member, Scope, _, Group, _}, _} <- Rows]),
    [{remora_door:get_local_members(Scope, Group), [{member, Scope, Group}]} || {Scope, Group} <- Groups].

%% @doc The rows, less what it has.
-spec missing([remora_intents:row()], [{step(), Answer :: term()}]) -> [remora_intents:row()].
missing(Rows, Answered) ->
    Have = maps:from_list([{{Scope, Group}, counts(Members)}
                           || {{_, [{member, Scope, Group}]}, Members} <- Answered, is_list(Members)]),
    [less(Row, Have) || Row <- Rows].

counts(Pids) -> lists:foldl(fun(Pid, Acc) -> maps:update_with(Pid, fun(N) -> N + 1 end, 1, Acc) end, #{}, Pids).

less({{member, Scope, _, Group, Pid} = Key, Count}, Have) ->
    case Have of
        #{{Scope, Group} := #{Pid := There}} -> {Key, Count - There};
        #{} -> {Key, Count}
    end;
less(Row, _Have) -> Row.

%% @doc Of one row of a step, by the mirror that has seen what was done.
-spec outcome(remora_intents:row(), Answer :: term()) -> outcome().
outcome(_Row, Answer) when Answer =:= ok; Answer =:= yes -> ok;
outcome({{name, _, Name}, Pid, _, _}, no) ->
    case remora_mirror:peek(Name) of
        {ok, Pid} -> ok; % other nodes had kept it
        {ok, Other} -> {lost, Other};
        _ ->
            case remora_mirror:has_name(Pid) of
                true -> {refused, already_named}; % another one, from elsewhere
                false -> again % its holder has just gone
            end
    end;
outcome({{scope, _}}, {error, Reason}) -> {refused, Reason};
outcome({{service, Service}, _, _}, {error, {option, _, _} = Reason}) ->
    {refused, remora_service_options:problem(Service, Reason)};
outcome({{service, _}, _, _}, {error, {unknown_request, _}}) -> {refused, system_limit}; % a companion without it
outcome({{campaign, _, _}, _}, {error, Reason}) when Reason =/= timeout -> {refused, Reason};
outcome(_Row, {error, badarg}) -> {refused, badarg};
outcome(_Row, {error, {no_scope, _} = Reason}) -> {refused, Reason};
outcome(_Row, _Timeout) -> again.
