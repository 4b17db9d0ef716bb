%%% @doc What this VM wants of its companion, so that a new companion can be told again: names, memberships, scopes,
%%% membership and election with their options, campaigns. And who wants to hear of what: subscriptions, which outlive a companion for the same reason.
%%%
%%% Intents are written by the callers themselves, after the companion's yes and without asking this process, which
%%% watches the pids in them and takes out what belongs to one that ended.
%%%
%%% Two callers may carry out a request each and write what came of it in the other order. So:
%%%
%%%   names        A row has the version at which the companion said yes. An older yes never replaces a newer one. Who
%%%                registers looks, after it wrote its row, whether the mirror still has that process under the name,
%%%                and else takes its row out again. Who unregisters takes the row out after the companion's ok, and
%%%                after the mirror has it. Whichever order these come in, no row is left of a name that is gone.
%%%   memberships  A row has the number of joins less the number of leaves, in whatever order they are written: it may
%%%                be below zero for a moment. At zero it goes.
%%%
%%%   services     A row has the version of the companion's ok; the newest counts. What takes one out says which it has seen.
%%%   campaigns    The row of the last writer counts: who lets a process campaign, and at once resign, through two
%%%                callers, has not said what it wants.
%%%
%%% A companion may also be replaced between the yes and the row. remora_server makes the next epoch before it reads the
%%% intents to replay them, and a caller reads the epoch after it wrote its row: so the row is replayed, or the caller
%%% sees another epoch than before its request, and asks remora_server to set this one key right.
%%%
%%% Rows of the table remora_intents (ordered, so that the members of a group are one range; a hash stands before each
%%% term because an ordered table takes 1 and 1.0 for the same key):
%%%
%%%   {{name, Hash, Name}, Pid, Policy, {Epoch, Version}}
%%%   {{member, Scope, Hash, Group, Pid}, Count}
%%%   {{scope, Scope}}
%%%   {{service, membership | election}, Options, {Epoch, Version}}
%%%   {{campaign, Name, Pid}, {Epoch, Version}}
%%% @private
-module(remora_intents).
-behaviour(gen_server).

-export([start_link/0]).
%% names, memberships, scopes
-export([name_key/1, member_key/3, scope_key/1]).
-export([put_name/4, drop_name/2, find_name/1, joined/3, left/3, local_members/2, put_scope/1, drop_scope/1,
         all/0, find/1, forget/1]).
%% services, campaigns
-export([service_key/1, campaign_key/2, start_with/2, put_service/3, add_to_service/4, drop_service/2, service_options/1, put_campaign/3,
         drop_campaign/2, replayed/2]).

%% subscriptions
-export([subscribe/2, unsubscribe/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([key/0, row/0, topic/0, version/0]).

-type name_key() :: {name, non_neg_integer(), term()}.
-type member_key() :: {member, atom(), non_neg_integer(), term(), pid()}.
-type scope_key() :: {scope, atom()}.
-type service_key() :: {service, remora_service_options:service()}.
-type campaign_key() :: {campaign, binary(), pid()}.
-type key() :: name_key() | member_key() | scope_key() | service_key() | campaign_key().
-type version() :: {Epoch :: non_neg_integer(), Version :: non_neg_integer()}.
-type row() :: {name_key(), pid(), remora_registry:policy(), version()} | {member_key(), integer()} | {scope_key()}
             | {service_key(), Options :: map(), version()} | {campaign_key(), version()}.

%% What can be listened to. The first word of a message says the module.
-type topic() :: events | names | {name, term()} | {scope, atom()} | {group, atom(), term()} | nodes | {node, node()}
               | members | leader | {leader, binary()}.

-define(TABLE, remora_intents).
-define(SUBSCRIPTIONS, remora_subscriptions).

-record(state, {
    %% One monitor for each process, and what hangs on it: keys of intents, {Topic, Ref} of subscriptions.
    watched = #{} :: #{pid() => {Monitor :: reference(), #{key() | {topic(), reference()} => []}}},
    %% Whose subscription it is, and to what.
    topics = #{} :: #{reference() => {topic(), pid()}}
}).

-spec start_link() -> gen_server:start_ret().
start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% ---- intents, in the caller -------------------------------------------------------------------------------------

-spec name_key(term()) -> name_key().
name_key(Name) -> {name, erlang:phash2(Name), Name}.

-spec member_key(atom(), term(), pid()) -> member_key().
member_key(Scope, Group, Pid) -> {member, Scope, erlang:phash2(Group), Group, Pid}.

-spec scope_key(atom()) -> scope_key().
scope_key(Scope) -> {scope, Scope}.

%% @doc The companion said yes at Version; our mirror has that version.
-spec put_name(term(), pid(), remora_registry:policy(), version()) -> ok.
put_name(Name, Pid, Policy, Version) ->
    Row = {name_key(Name), Pid, Policy, Version},
    true = put_newer(Row),
    changed(Pid, element(1, Row)),
    case remora_mirror:is_at(Version) andalso remora_mirror:peek(Name) =/= {ok, Pid} of
        true -> forget(Row);
        false -> ok % still ours, or the companion was replaced: the replay decides
    end.

put_newer({Key, _, _, Version} = Row) ->
    case ets:insert_new(?TABLE, Row) orelse ets:lookup(?TABLE, Key) of
        true -> true;
        [] -> put_newer(Row);
        [{_, _, _, There}] ->
            There >= Version orelse replace(Row, There) orelse put_newer(Row)
    end.

%% Only what was looked at is replaced. The name is compared in a guard: in the pattern '_' would be any name. That the
%% key stays what it is must be seen in the expression.
replace({{name, Hash, Name}, Pid, Policy, Version}, There) ->
    Pattern = {{name, Hash, '$1'}, '$2', '$3', '$4'},
    Guards = [{'=:=', '$1', {const, Name}}, {'=:=', '$4', {const, There}}],
    New = {{{{name, Hash, '$1'}}, {const, Pid}, {const, Policy}, {const, Version}}},
    ets:select_replace(?TABLE, [{Pattern, Guards, [New]}]) =:= 1.

%% @doc The companion unregistered it at Version. What was registered later stays.
-spec drop_name(term(), version()) -> none | {ok, pid()}.
drop_name(Name, Version) ->
    Key = name_key(Name),
    case ets:lookup(?TABLE, Key) of
        [{_, Pid, _, There} = Row] ->
            case There > Version of
                true -> none;
                false -> forget(Row), {ok, Pid}
            end;
        [] -> none
    end.

-spec find_name(term()) -> {ok, pid(), remora_registry:policy()} | none.
find_name(Name) ->
    case ets:lookup(?TABLE, name_key(Name)) of
        [{_, Pid, Policy, _}] -> {ok, Pid, Policy};
        [] -> none
    end.

-spec joined(atom(), term(), [pid()]) -> ok.
joined(Scope, Group, Pids) -> lists:foreach(fun(Pid) -> count(member_key(Scope, Group, Pid), 1) end, Pids).

-spec left(atom(), term(), [pid()]) -> ok.
left(Scope, Group, Pids) -> lists:foreach(fun(Pid) -> count(member_key(Scope, Group, Pid), -1) end, Pids).

count(Key, By) ->
    case ets:update_counter(?TABLE, Key, {2, By}, {Key, 0}) of
        0 -> true = ets:delete_object(?TABLE, {Key, 0});
        _ -> true
    end,
    changed(element(5, Key), Key).

%% @doc One for each membership.
-spec local_members(atom(), term()) -> [pid()].
local_members(Scope, Group) ->
    Pattern = {{member, Scope, erlang:phash2(Group), '$1', '$2'}, '$3'},
    Found = ets:select(?TABLE, [{Pattern, [{'=:=', '$1', {const, Group}}, {'>', '$3', 0}], [{{'$2', '$3'}}]}]),
    lists:append([lists:duplicate(Count, Pid) || {Pid, Count} <- Found]).

-spec put_scope(atom()) -> ok.
put_scope(Scope) -> true = ets:insert(?TABLE, {scope_key(Scope)}), ok.

%% @doc With all memberships in it.
-spec drop_scope(atom()) -> ok.
drop_scope(Scope) ->
    true = ets:delete(?TABLE, scope_key(Scope)),
    Pattern = {{member, '$1', '_', '_', '_'}, '_'},
    _ = ets:select_delete(?TABLE, [{Pattern, [{'=:=', '$1', {const, Scope}}], [true]}]),
    ok.

-spec service_key(remora_service_options:service()) -> service_key().
service_key(Service) -> {service, Service}.

-spec campaign_key(binary(), pid()) -> campaign_key().
campaign_key(Name, Pid) -> {campaign, Name, Pid}.

%% @doc Of a start's options, if they say so: by who makes the tables.
-spec start_with(remora_service_options:service(), map()) -> ok.
start_with(Service, All) ->
    case All of
        #{Service := Options} -> true = ets:insert(?TABLE, {service_key(Service), Options, {0, 0}}), ok;
        #{} -> ok
    end.

%% @doc The companion took these options at Version.
-spec put_service(remora_service_options:service(), map(), version()) -> ok.
put_service(Service, Options, Version) -> changed_service({put, Service, Options, Version}).

%% @doc One of them, beside those that are there.
-spec add_to_service(remora_service_options:service(), Key :: atom(), Value :: term(), version()) -> ok.
add_to_service(Service, Key, Value, Version) -> changed_service({add, Service, Key, Value, Version}).

%% @doc It was stopped at Version; with an election all campaigns.
-spec drop_service(remora_service_options:service(), version()) -> ok.
drop_service(Service, Version) -> changed_service({drop, Service, Version}).

%% One after the other: these are rare.
changed_service(Change) ->
    _ = call(Change),
    ok.

-spec service_options(remora_service_options:service()) -> map().
service_options(Service) ->
    try ets:lookup_element(?TABLE, service_key(Service), 2)
    catch error:badarg -> #{}
    end.

-spec put_campaign(binary(), pid(), version()) -> ok.
put_campaign(Name, Pid, Version) ->
    Key = campaign_key(Name, Pid),
    true = ets:insert(?TABLE, {Key, Version}),
    changed(Pid, Key).

-spec drop_campaign(binary(), pid()) -> ok.
drop_campaign(Name, Pid) ->
    Key = campaign_key(Name, Pid),
    true = ets:delete(?TABLE, Key),
    changed(Pid, Key).

%% @doc After what was written of this key: if the companion was replaced meanwhile, that one is set right.
-spec replayed(version(), key()) -> ok.
replayed({Epoch, _}, Key) ->
    case remora_state:epoch() of
        Epoch -> ok;
        _ -> remora_server:reconcile(Key, none)
    end.

-spec all() -> [row()].
all() -> ets:tab2list(?TABLE).

-spec find(key()) -> [row()].
find(Key) -> ets:lookup(?TABLE, Key).

%% @doc This very row, unless it has changed.
-spec forget(row()) -> ok.
forget(Row) ->
    true = ets:delete_object(?TABLE, Row),
    case element(1, Row) of
        {name, _, _} = Key -> changed(element(2, Row), Key);
        {member, _, _, _, Pid} = Key -> changed(Pid, Key);
        {campaign, _, Pid} = Key -> changed(Pid, Key);
        {scope, _} -> ok;
        {service, _} -> ok
    end.

%% Not said whether it is new or gone: the table knows, and these may overtake each other.
changed(Pid, Key) -> gen_server:cast(?MODULE, {changed, Pid, Key}).

%% ---- subscriptions ------------------------------------------------------------------------------------------------

%% @doc Pid gets the messages of this topic, until it ends or unsubscribe/1.
-spec subscribe(topic(), pid()) -> {ok, reference()} | {error, not_running}.
subscribe(Topic, Pid) -> call({subscribe, Topic, Pid}).

-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) -> call({unsubscribe, Ref}).

%% This process ends only with the whole of it.
call(Request) ->
    try gen_server:call(?MODULE, Request)
    catch exit:{_, {gen_server, call, _}} -> {error, not_running}
    end.

%% ---- the process that watches -------------------------------------------------------------------------------------

-spec init([]) -> {ok, #state{}}.
init([]) ->
    Subscribed = lists:foldl(fun add_subscription/2, #state{}, ets:tab2list(?SUBSCRIPTIONS)),
    {ok, lists:foldl(fun watch_row/2, Subscribed, ets:tab2list(?TABLE))}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({subscribe, Topic, Pid}, _From, State) ->
    Row = {Topic, make_ref(), Pid},
    true = ets:insert(?SUBSCRIPTIONS, Row),
    {reply, {ok, element(2, Row)}, add_subscription(Row, State)};
handle_call({unsubscribe, Ref}, _From, State) ->
    {reply, ok, end_subscription(Ref, State)};
handle_call({put, Service, Options, Version}, _From, State) ->
    is_newer(Service, Version) andalso ets:insert(?TABLE, {service_key(Service), Options, Version}),
    {reply, ok, State};
handle_call({add, Service, Key, Value, Version}, _From, State) ->
    Options = service_options(Service),
    true = ets:insert(?TABLE, {service_key(Service), Options#{Key => Value}, Version}),
    {reply, ok, State};
handle_call({drop, Service, Version}, _From, State) ->
    case is_newer(Service, Version) of
        true ->
            true = ets:delete(?TABLE, service_key(Service)),
            {reply, ok, lists:foldl(fun end_campaign/2, State, [Key || Service =:= election, Key <- campaigns()])};
        false -> {reply, ok, State}
    end;
handle_call(_Other, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({changed, Pid, Key}, State) ->
    case is_about(ets:lookup(?TABLE, Key), Pid) of
        true -> {noreply, watch(Pid, Key, State)};
        false -> {noreply, unwatch(Pid, Key, State)}
    end;
handle_cast(_Other, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({'DOWN', Monitor, process, Pid, _}, #state{watched = Watched} = State) ->
    case Watched of
        #{Pid := {Monitor, Keys}} ->
            Left = State#state{watched = maps:remove(Pid, Watched)},
            {noreply, lists:foldl(fun(Key, S) -> ended(Pid, Key, S) end, Left, maps:keys(Keys))};
        #{} -> {noreply, State}
    end;
handle_info(_Other, State) ->
    {noreply, State}.

is_newer(Service, Version) ->
    case ets:lookup(?TABLE, service_key(Service)) of
        [{_, _, There}] -> Version >= There;
        [] -> true
    end.

campaigns() -> ets:select(?TABLE, [{{{campaign, '$1', '$2'}, '_'}, [], [{{campaign, '$1', '$2'}}]}]).

end_campaign({campaign, _, Pid} = Key, State) ->
    true = ets:delete(?TABLE, Key),
    unwatch(Pid, Key, State).

%% A name may belong to another process by now.
is_about([{{name, _, _}, Pid, _, _}], Pid) -> true;
is_about([{{member, _, _, _, _}, _}], _) -> true;
is_about([{{campaign, _, _}, _}], _) -> true;
is_about(_, _) -> false.

ended(Pid, {name, _, _} = Key, State) ->
    _ = [ets:delete_object(?TABLE, Row) || {_, P, _, _} = Row <- ets:lookup(?TABLE, Key), P =:= Pid],
    State;
ended(_Pid, {member, _, _, _, _} = Key, State) ->
    true = ets:delete(?TABLE, Key),
    State;
ended(_Pid, {campaign, _, _} = Key, State) ->
    true = ets:delete(?TABLE, Key),
    State;
ended(_Pid, {_Topic, Ref}, State) ->
    end_subscription(Ref, State).

watch_row({{name, _, _} = Key, Pid, _, _}, State) -> watch(Pid, Key, State);
watch_row({{member, _, _, _, Pid} = Key, _}, State) -> watch(Pid, Key, State);
watch_row({{campaign, _, Pid} = Key, _}, State) -> watch(Pid, Key, State);
watch_row({{service, _}, _, _}, State) -> State;
watch_row({{scope, _}}, State) -> State.

watch(Pid, Key, #state{watched = Watched} = State) ->
    {Monitor, Keys} = case Watched of
                          #{Pid := There} -> There;
                          #{} -> {monitor(process, Pid), #{}}
                      end,
    State#state{watched = Watched#{Pid => {Monitor, Keys#{Key => []}}}}.

unwatch(Pid, Key, #state{watched = Watched} = State) ->
    case Watched of
        #{Pid := {Monitor, #{Key := []} = Keys}} when map_size(Keys) =:= 1 ->
            true = demonitor(Monitor, [flush]),
            State#state{watched = maps:remove(Pid, Watched)};
        #{Pid := {Monitor, Keys}} ->
            State#state{watched = Watched#{Pid := {Monitor, maps:remove(Key, Keys)}}};
        #{} -> State
    end.

add_subscription({Topic, Ref, Pid}, #state{topics = Topics} = State) ->
    watch(Pid, {Topic, Ref}, State#state{topics = Topics#{Ref => {Topic, Pid}}}).

end_subscription(Ref, #state{topics = Topics} = State) ->
    case maps:take(Ref, Topics) of
        {{Topic, Pid}, Left} ->
            true = ets:delete_object(?SUBSCRIPTIONS, {Topic, Ref, Pid}),
            unwatch(Pid, {Topic, Ref}, State#state{topics = Left});
        error -> State
    end.
