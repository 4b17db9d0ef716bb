%%% @doc This VM's copy of what its companion knows of the cluster: global names, members of groups, scopes, connected
%%% nodes, members and their states, leaders (the last two: remora_services). Reads go to the tables (remora_state) and ask nobody; this process keeps them, from the stream that
%%% cnode/services/mirror.hpp describes:
%%%
%%%   {remora_mirror, Ref, From, To, [Change]}
%%%
%%% From is the version that we must be at. Where it is another one, something was lost, and the stream is asked for
%%% anew. A message with another Ref is of a stream that we no longer have: a former companion's, or one from before a
%%% gap.
%%%
%%% A stream begins with all that there is. That is gathered in tables of its own, the stage, while readers go on with
%%% what they have, and then compared with the live tables: what differs is written and told to who listens, and nothing
%%% else. So a listener hears of no change twice, and of none that a restart merely repeated:
%%%
%%%   first stream of a companion    stage; remora_server replays the intents meanwhile; live/2; swap
%%%   after a gap                    stage; swap when it is complete
%%%
%%% What a new companion cannot know at once of members and leaders is kept for a while as it was (remora_services).
%%%
%%% A crash of this process: remora_server is started again after it, and begins with sync/1.
%%% @private
-module(remora_mirror).
-behaviour(gen_server).

-export([start_link/0]).
%% remora_server
-export([sync/2, live/2, reset/0]).
%% readers, in the caller
-export([await/2, is_at/1, peek/1, has_name/1, subscribe_group/3, subscribe_scope/2, subscribe_node/2, node_state/1]).
-export([init/1, handle_call/3, handle_info/2, handle_cast/2, terminate/2]).

-record(store, {names = remora_names :: ets:table(), groups = remora_groups :: ets:table(),
                scopes = remora_scopes :: ets:table(), nodes = remora_nodes :: ets:table(),
                members = remora_members :: ets:table(), services = remora_services :: ets:table()}).

-record(stage, {
    store :: #store{},
    synced = false :: boolean(),
    %% When it becomes what readers see: as soon as it is complete, or when remora_server asks, and has that version.
    swap :: at_once | asked | {at, non_neg_integer(), gen_server:from()}
}).

-record(state, {
    node :: node() | undefined,
    %% The stream, and how far we are in it.
    ref :: reference() | undefined,
    version = 0 :: non_neg_integer(),
    stage :: #stage{} | undefined,
    %% Whose view the live tables are, and what of it that one has not said yet.
    incarnation = none :: {node(), non_neg_integer()} | none,
    unseen = #{} :: #{remora_services:key() => []},
    unseen_until :: reference() | undefined,
    %% Who waits until the live tables are at a version.
    waiting = [] :: [{remora_intents:version(), gen_server:from()}]
}).

-define(LIVE, #store{}).
-define(AGAIN_MS, 1_000).
-define(UNSEEN_MS, 5_000). % members are told to a new companion within a second or two

-spec start_link() -> gen_server:start_ret().
start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% ---- remora_server ----------------------------------------------------------------------------------------------

%% @doc Asks the companion for its stream.
-spec sync(node(), timeout()) -> ok | {error, term()}.
sync(Node, Timeout) -> local_call({sync, Node, Timeout}, infinity).

%% @doc Returns when readers see what the companion had at that version, and lets callers reach it.
-spec live(non_neg_integer(), timeout()) -> ok | {error, term()}.
live(Version, Timeout) -> local_call({live, Version}, Timeout).

%% @doc The companion is gone.
-spec reset() -> ok | {error, term()}.
reset() -> local_call(reset, infinity).

local_call(Request, Timeout) ->
    try gen_server:call(?MODULE, Request, Timeout)
    catch
        exit:{timeout, {gen_server, call, _}} -> {error, timeout};
        exit:{_, {gen_server, call, _}} -> {error, not_running}
    end.

%% ---- readers ------------------------------------------------------------------------------------------------------

%% @doc Until the tables are at a version, or its companion is gone, or the time is over.
-spec await(remora_intents:version(), timeout()) -> ok.
await(Version, Timeout) ->
    case is_at(Version) of
        true -> ok;
        false ->
            _ = local_call({await, Version}, Timeout),
            ok
    end.

%% @doc False as well for a version of a former companion.
-spec is_at(remora_intents:version()) -> boolean().
is_at({Epoch, Version}) -> Epoch =:= remora_state:epoch() andalso remora_state:version() >= Version.

%% @doc What the tables have under a name, be it alive or not.
-spec peek(term()) -> {ok, pid()} | none | not_running.
peek(Name) ->
    try ets:lookup(remora_names, Name) of
        [{_, Pid}] -> {ok, Pid};
        [] -> none
    catch error:badarg -> not_running
    end.

%% @doc Looks at all of them: for the error that tells it.
-spec has_name(pid()) -> boolean().
has_name(Pid) ->
    try ets:select_count(remora_names, [{{'_', Pid}, [], [true]}]) > 0
    catch error:badarg -> false
    end.

%% @doc Members, and from there on each change.
-spec subscribe_group(atom(), term(), pid()) ->
    {ok, reference(), [pid()]} | {error, not_running | timeout | {no_scope, atom()}}.
subscribe_group(Scope, Group, Pid) -> subscribe({group, Scope, Group}, Pid).

-spec subscribe_scope(atom(), pid()) ->
    {ok, reference(), #{term() => [pid()]}} | {error, not_running | timeout | {no_scope, atom()}}.
subscribe_scope(Scope, Pid) -> subscribe({scope, Scope}, Pid).

%% @doc A node that is not connected, or dead as membership says, is told as down at once.
-spec subscribe_node(node(), pid()) -> {ok, reference(), connected | not_connected | died} | {error, not_running | timeout}.
subscribe_node(Node, Pid) -> subscribe({node, Node}, Pid).

%% @doc By its text: no atom is made.
-spec node_state(binary()) -> connected | not_connected | died.
node_state(Name) ->
    try
        case remora_atoms:existing(Name) of
            {ok, Node} -> state_of(Node);
            {error, _} -> not_connected
        end
    catch error:badarg -> not_connected % the tables are gone
    end.

subscribe(Topic, Pid) -> local_call({subscribe, Topic, Pid}, remora_state:call_timeout()).

%% ---- the process ----------------------------------------------------------------------------------------------------

-spec init([]) -> {ok, #state{}}.
init([]) ->
    process_flag(trap_exit, true), % for terminate/2
    remora_state:down(mirror_restarted),
    {ok, #state{}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({sync, Node, Timeout}, _From, State) ->
    {Reply, Next} = begin_stream(asked, Timeout, (clear(State))#state{node = Node}),
    {reply, Reply, Next};
handle_call({live, Version}, From, #state{stage = #stage{} = Stage} = State) ->
    {noreply, swap_if_ready(State#state{stage = Stage#stage{swap = {at, Version, From}}})};
handle_call({live, _Version}, _From, State) ->
    {reply, {error, not_running}, State};
handle_call(reset, _From, State) ->
    {reply, ok, clear(State)};
handle_call({await, {Epoch, _} = Version}, From, #state{waiting = Waiting} = State) ->
    case is_at(Version) orelse Epoch =/= remora_state:epoch() of
        true -> {reply, ok, State};
        false -> {noreply, State#state{waiting = [{Version, From} | Waiting]}}
    end;
handle_call({subscribe, Topic, Pid}, _From, State) ->
    {reply, subscribed(remora_state:is_up() andalso now_of(Topic), Topic, Pid), State};
handle_call(_Other, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({remora_mirror, Ref, From, To, Changes}, #state{ref = Ref, version = From} = State)
  when is_reference(Ref), is_integer(To), is_list(Changes) ->
    {noreply, received(Changes, State#state{version = To})};
handle_info({remora_mirror, Ref, From, To, _}, #state{ref = Ref, version = At} = State) when is_reference(Ref) ->
    remora_log:own(notice, "the mirror is at version ~p, and the companion's next change is from ~p to ~p: "
                   "it is asked for all of it again", [At, From, To]),
    {noreply, again(State)};
handle_info({again, Ref}, #state{ref = Ref} = State) ->
    {noreply, again(State)};
handle_info({unseen, Ref}, #state{unseen_until = Ref, unseen = Unseen} = State) ->
    tell(write(remora_services:unseen_is_over(maps:keys(Unseen), tables(?LIVE)), ?LIVE) ++ greatest()),
    {noreply, State#state{unseen = #{}, unseen_until = undefined}};
handle_info(_Other, State) -> % a former stream's message, or a late answer
    {noreply, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Other, State) -> {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, State) ->
    remora_state:lost(), % who ends us, or the next of us, knows why
    _ = try clear(State)
        catch error:badarg -> ok % the supervisor was killed, and the tables are gone with it
        end,
    ok.

%% ---- the stream -----------------------------------------------------------------------------------------------------

begin_stream(Swap, Timeout, #state{node = Node} = State) ->
    case remora_door:call_node(Node, remora_door:mirror(), Timeout) of
        {ok, {ok, Ref}} when is_reference(Ref) ->
            {ok, State#state{ref = Ref, version = 0, stage = #stage{store = new_store(), swap = Swap}}};
        {ok, Other} -> {{error, {unexpected, Other}}, State};
        {error, _} = Error -> {Error, State}
    end.

%% After a gap. A companion that does not answer is asked again later; when it is gone, remora_server says so.
again(#state{ref = Ref, node = Node, stage = Stage} = State) ->
    Timeout = remora_state:call_timeout(),
    _ = remora_door:call_node(Node, remora_door:demirror(Ref), Timeout),
    Swap = case Stage of
               #stage{swap = Before} -> Before;
               undefined -> at_once
           end,
    case begin_stream(Swap, Timeout, drop_stage(State)) of
        {ok, Next} -> Next;
        {{error, _}, Next} ->
            Waiting = make_ref(),
            _ = erlang:send_after(?AGAIN_MS, self(), {again, Waiting}),
            Next#state{ref = Waiting, version = 0, stage = #stage{store = new_store(), swap = Swap}}
    end.

%% No stream, and nobody waits for its versions. What the companion itself led or held is over.
clear(#state{node = Node, stage = Stage, waiting = Waiting} = State) ->
    Node =/= undefined andalso tell(write(remora_services:gone(atom_to_binary(Node), tables(?LIVE)), ?LIVE)),
    [gen_server:reply(From, ok) || {_, From} <- Waiting],
    case Stage of
        #stage{swap = {at, _, From}} -> gen_server:reply(From, {error, not_running});
        _ -> ok
    end,
    (drop_stage(State))#state{ref = undefined, version = 0, waiting = []}.

drop_stage(#state{stage = #stage{store = Store}} = State) ->
    delete_store(Store),
    State#state{stage = undefined};
drop_stage(State) ->
    State.

received(Changes, #state{stage = undefined, version = Version, unseen = Unseen} = State) when map_size(Unseen) =:= 0 ->
    Told = write(Changes, ?LIVE),
    remora_state:set_version(Version),
    tell(Told),
    answer_waiting(State);
received(Changes, #state{stage = undefined, version = Version, unseen = Unseen} = State) ->
    Left = maps:without(lists:flatmap(fun remora_services:seen/1, Changes), Unseen),
    %% Its greatest name is not yet that of all.
    Told = write([Change || Change <- Changes, element(1, tuple(Change)) =/= member_leader], ?LIVE),
    remora_state:set_version(Version),
    tell(Told ++ lists:append([greatest() || map_size(Left) =:= 0])),
    answer_waiting(State#state{unseen = Left});
received(Changes, #state{stage = #stage{store = Store, synced = Synced} = Stage} = State) ->
    Told = write(Changes, Store),
    tell([Event || {membership, {event, _, _, _}} = Event <- Told]), % these are in no table that is compared
    swap_if_ready(State#state{stage = Stage#stage{synced = Synced orelse lists:member(synced, Changes)}}).

swap_if_ready(#state{stage = #stage{synced = true, swap = at_once}} = State) ->
    swap(State);
swap_if_ready(#state{stage = #stage{synced = true, swap = {at, Wanted, From}}, version = Version} = State)
  when Version >= Wanted ->
    Next = swap(State),
    remora_state:live(),
    gen_server:reply(From, ok),
    Next;
swap_if_ready(State) ->
    State.

swap(#state{stage = #stage{store = Store}, version = Version, incarnation = Before, unseen = Unseen} = State) ->
    Now = remora_state:incarnation(),
    Own = case Now of
              Before -> same;
              {Node, _} -> atom_to_binary(Node)
          end,
    {Services, Kept} = remora_services:difference(tables(Store), tables(?LIVE), Own, maps:keys(Unseen)),
    Told = write(difference(Store, ?LIVE) ++ Services, ?LIVE),
    remora_state:set_version(Version),
    tell(Told),
    answer_waiting(drop_stage(keep_unseen(Kept, Own, State#state{incarnation = Now}))).

keep_unseen(Kept, same, State) -> State#state{unseen = maps:from_list([{Key, []} || Key <- Kept])};
keep_unseen(Kept, _New, State) ->
    Until = make_ref(),
    _ = erlang:send_after(?UNSEEN_MS, self(), {unseen, Until}),
    (keep_unseen(Kept, same, State))#state{unseen_until = Until}.

%% When it is known whose all of them are.
greatest() ->
    case remora_services:greatest(remora_members) of
        none -> [];
        Node -> write([{member_leader, Node}], ?LIVE)
    end.

tuple(Change) when is_tuple(Change), tuple_size(Change) > 0 -> Change;
tuple(Change) -> {Change}.

answer_waiting(#state{waiting = []} = State) -> State;
answer_waiting(#state{waiting = Waiting} = State) ->
    {Here, Later} = lists:partition(fun({Version, _}) -> is_at(Version) end, Waiting),
    [gen_server:reply(From, ok) || {_, From} <- Here],
    State#state{waiting = Later}.

%% ---- stores -----------------------------------------------------------------------------------------------------------

new_store() ->
    New = fun(Name) -> ets:new(Name, [set, private]) end,
    #store{names = New(staged_names), groups = New(staged_groups), scopes = New(staged_scopes),
           nodes = New(staged_nodes), members = New(staged_members), services = New(staged_services)}.

delete_store(#store{names = N, groups = G, scopes = S, nodes = O, members = M, services = E}) ->
    lists:foreach(fun ets:delete/1, [N, G, S, O, M, E]).

tables(#store{members = Members, services = Services, nodes = Nodes}) -> {Members, Services, Nodes}.

%% Carries changes out; what came of them, for listeners, in their order. Members are gathered for each group, so that
%% a list of many is written once for a message.
write(Changes, Store) ->
    {Told, Members} = lists:foldl(fun(Change, Acc) -> change(Change, Store, Acc) end, {[], #{}}, Changes),
    write_members(Members, Store) ++ lists:reverse(Told).

change({name, Name, Pid}, #store{names = T}, {Told, Members}) when is_pid(Pid) ->
    true = ets:insert(T, {Name, Pid}),
    {[{registered, Name, Pid} | Told], Members};
change({unname, Name}, #store{names = T}, {Told, Members}) ->
    true = ets:delete(T, Name),
    {[{unregistered, Name} | Told], Members};
change({join, Scope, Group, Pids}, _, {Told, Members}) -> {Told, gather(join, {Scope, Group}, Pids, Members)};
change({leave, Scope, Group, Pids}, _, {Told, Members}) -> {Told, gather(leave, {Scope, Group}, Pids, Members)};
change({scope, Scope}, #store{scopes = T}, Acc) ->
    true = ets:insert(T, {Scope}),
    Acc;
change({unscope, Scope}, #store{scopes = T} = Store, {Told, Members}) ->
    Before = write_members(Members, Store),
    true = ets:delete(T, Scope),
    Gone = [{leave, Scope, Group, Pids} || {Group, Pids} <- groups_of(Scope, Store)],
    {lists:reverse(Before ++ write(Gone, Store), Told), #{}};
%% Who watches nodes is told when one can be reached or not, by whatever it is known: once.
change({up, Node, Type}, #store{nodes = T, members = M}, {Told, Members}) ->
    New = not ets:member(T, Node) andalso not remora_services:is_dead(Node, M),
    true = ets:insert(T, {Node, Type}),
    {[{reachable, Node} || New] ++ [{node_up, Node} | Told], Members};
change({down, Node, Reason}, #store{nodes = T, members = M}, {Told, Members}) ->
    Known = ets:member(T, Node) andalso not remora_services:is_dead(Node, M),
    true = ets:delete(T, Node),
    {[{unreachable, Node, Reason} || Known] ++ [{node_down, Node, Reason} | Told], Members};
change(Other, Store, {Told, Members} = Acc) ->
    case remora_services:change(Other, tables(Store)) of
        no -> Acc; % synced, or what a newer companion says
        News -> {lists:reverse(News, Told), Members}
    end.

gather(What, Key, Pids, Members) ->
    case Members of
        #{Key := [{What, There} | Rest]} -> Members#{Key := [{What, Pids ++ There} | Rest]};
        #{Key := Before} -> Members#{Key := [{What, Pids} | Before]};
        #{} -> Members#{Key => [{What, Pids}]}
    end.

write_members(Members, #store{groups = T}) ->
    maps:fold(fun({Scope, Group} = Key, Reversed, Told) ->
                  Changes = lists:reverse(Reversed),
                  case lists:foldl(fun members/2, members_of(Key, T), Changes) of
                      [] -> true = ets:delete(T, Key);
                      Now -> true = ets:insert(T, {Key, Now})
                  end,
                  [{What, Scope, Group, Pids} || {What, Pids} <- Changes] ++ Told
              end, [], Members).

members({join, Pids}, All) -> Pids ++ All;
members({leave, [Pid]}, All) -> lists:delete(Pid, All);
members({leave, Pids}, All) -> All -- Pids.

members_of(Key, Table) ->
    case ets:lookup(Table, Key) of
        [{_, Pids}] -> Pids;
        [] -> []
    end.

groups_of(Scope, #store{groups = T}) ->
    ets:select(T, [{{{'$1', '$2'}, '$3'}, [{'=:=', '$1', {const, Scope}}], [{{'$2', '$3'}}]}]).

%% The changes that make Old what New is.
difference(#store{} = New, #store{} = Old) ->
    other_scopes(New, Old) ++ other_names(New, Old) ++ other_members(New, Old) ++ other_nodes(New, Old).

other_scopes(#store{scopes = New}, #store{scopes = Old}) ->
    [{unscope, S} || {S} <- ets:tab2list(Old), not ets:member(New, S)]
        ++ [{scope, S} || {S} <- ets:tab2list(New), not ets:member(Old, S)].

other_names(#store{names = New}, #store{names = Old}) ->
    [{unname, Name} || {Name, _} <- ets:tab2list(Old), not ets:member(New, Name)]
        ++ [{name, Name, Pid} || {Name, Pid} = Row <- ets:tab2list(New), ets:lookup(Old, Name) =/= [Row]].

other_members(#store{scopes = Scopes, groups = New}, #store{groups = Old}) ->
    Gone = [{leave, Scope, Group, Pids -- members_of(Key, New)}
            || {{Scope, Group} = Key, Pids} <- ets:tab2list(Old), ets:member(Scopes, Scope)],
    Come = [{join, Scope, Group, Pids -- members_of(Key, Old)} || {{Scope, Group} = Key, Pids} <- ets:tab2list(New)],
    [Change || {_, _, _, [_ | _]} = Change <- Gone ++ Come].

other_nodes(#store{nodes = New}, #store{nodes = Old}) ->
    [{down, Node, resynchronised} || {Node, _} <- ets:tab2list(Old), not ets:member(New, Node)]
        ++ [{up, Node, Type} || {Node, Type} <- ets:tab2list(New), not ets:member(Old, Node)].

%% ---- listeners --------------------------------------------------------------------------------------------------------

subscribed(false, _Topic, _Pid) -> {error, not_running};
subscribed({error, _} = Error, _Topic, _Pid) -> Error;
subscribed({ok, Now}, Topic, Pid) ->
    case remora_intents:subscribe(Topic, Pid) of
        {ok, Ref} -> {ok, Ref, Now};
        {error, _} = Error -> Error
    end.

now_of({group, Scope, Group}) -> in_scope(Scope, fun() -> members_of({Scope, Group}, remora_groups) end);
now_of({scope, Scope}) -> in_scope(Scope, fun() -> maps:from_list(groups_of(Scope, ?LIVE)) end);
now_of({node, Node}) -> {ok, state_of(Node)}.

state_of(Node) ->
    case {ets:member(remora_nodes, Node), remora_services:is_dead(Node, remora_members)} of
        {true, false} -> connected;
        {true, true} -> died;
        {false, _} -> not_connected
    end.

in_scope(Scope, Now) ->
    case ets:member(remora_scopes, Scope) of
        true -> {ok, Now()};
        false -> {error, {no_scope, Scope}}
    end.

tell(Told) ->
    case ets:info(remora_subscriptions, size) of
        0 -> ok;
        _ -> lists:foreach(fun tell_one/1, Told)
    end.

tell_one({registered, Name, _} = Event) -> to([names, {name, Name}], remora_registry, Event);
tell_one({unregistered, Name} = Event) -> to([names, {name, Name}], remora_registry, Event);
tell_one({join, Scope, Group, Pids}) -> to([{scope, Scope}, {group, Scope, Group}], remora_groups, {join, Group, Pids});
tell_one({leave, Scope, Group, Pids}) -> to([{scope, Scope}, {group, Scope, Group}], remora_groups, {leave, Group, Pids});
tell_one({node_up, _} = Event) -> remora_events:notify(Event);
tell_one({node_down, _, _} = Event) -> remora_events:notify(Event);
tell_one({reachable, Node}) -> to([nodes, {node, Node}], remora_node, {up, Node});
tell_one({unreachable, Node, Reason}) -> to([nodes, {node, Node}], remora_node, {down, Node, Reason});
tell_one({membership, Event}) -> to([members], remora_membership, Event);
tell_one({election, Event}) -> to([leader], remora_election, Event);
tell_one({named, Name, Event}) -> to([{leader, Name}], remora_election, Event).

to(Topics, Tag, Event) ->
    Rows = lists:append([ets:lookup(remora_subscriptions, Topic) || Topic <- Topics]),
    lists:foreach(fun({_, Ref, Pid}) -> Pid ! {Tag, Ref, Event} end, Rows).
