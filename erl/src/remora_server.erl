%%% @doc The connection to the companion: notices when it comes and goes, and tells a new one what this VM wants of it.
%%%
%%%   reach    the node answers to the distribution
%%%   hello    what it is; another protocol than ours is refused
%%%   sync     remora_mirror asks for its stream
%%%   known    this VM's `global' has exchanged names with the companion's, and at the first start with all nodes that are
%%%            connected: who registers a name as soon as we are up is told `no' when the cluster has it, instead of
%%%            meeting it later. Waited for, a while
%%%   open     the next epoch: who wrote an intent before this is replayed, who writes after it sees it
%%%   replay   scopes and memberships, then names; those that need a lock round of the cluster are waited for, a while
%%%   live     the mirror has what the replay did: callers reach the companion, reads are answered
%%%
%%% A program of our own that ends takes this process along (rest_for_one): it begins anew beside a new one. A companion
%%% that is managed elsewhere, or one whose connection broke, is asked again and again, with longer pauses; a program of
%%% our own that stays out of reach for its start_timeout is replaced.
%%%
%%% reconcile/2 makes one key of the companion what the intents say. Callers ask for it when the companion was replaced
%%% while they wrote (remora_intents), and a replay for what was not possible then.
%%% @private
-module(remora_server).
-behaviour(gen_server).

-export([start_link/1, reconcile/2]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(PROTOCOL, 1).
-define(BATCH, 16_384).              % requests of one message; the door takes 65,536
-define(REPLAY_MS, 60_000).          % for an answer to one of them
-define(NAMES_MS, 2_000).            % so long the start waits for lock rounds
-define(KNOWN_MS, 2_000).            % and for global, unless it is the first start: half of its time
-define(KNOWN_PAUSE_MS, 5).          % global tells nobody when it is done: it is asked
-define(AGAIN_MS, 1_000).            % what was not possible is tried again
-define(PAUSE_MS, 100).              % before the first reconnection; doubles
-define(PAUSE_MAX_MS, 5_000).

-type hint() :: pid() | none.
-type batch() :: {gen_server:request_id(), [remora_replay:step()]}.

-record(state, {
    options :: remora_options:options(),
    node :: node() | undefined,
    line :: pid() | undefined,
    up = false :: boolean(),
    pause = ?PAUSE_MS :: pos_integer(),
    %% So long a program of ours may be out of reach while it runs.
    give_up = infinity :: remora_door:deadline(),
    %% Batches whose answers are still to come.
    open = [] :: [batch()],
    %% Keys to set right when the companion is there again.
    later = [] :: [{remora_intents:key(), hint()}]
}).

-spec start_link(remora_options:options()) -> gen_server:start_ret().
start_link(Options) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Options, []).

%% @doc Hint: the process that had the name, when there is no intent any more.
-spec reconcile(remora_intents:key(), hint()) -> ok.
reconcile(Key, Hint) -> gen_server:cast(?MODULE, {reconcile, Key, Hint}).

%% ---- the process ----------------------------------------------------------------------------------------------------

-spec init(remora_options:options()) -> {ok, #state{}} | {ok, #state{}, {continue, pause}} | {stop, {shutdown, term()}}.
init(Options) ->
    process_flag(trap_exit, true), % for terminate/2
    remora_state:down(shim_restarted),
    State = #state{options = Options},
    case connect(State) of
        {ok, Next} -> {ok, Next};
        {error, Reason} ->
            case maps:get(binary, Options) of
                {managed_elsewhere, _} ->
                    case remora_state:was_live() of
                        true -> {ok, State, {continue, pause}};
                        false -> {stop, {shutdown, Reason}}
                    end;
                _ -> {stop, {shutdown, Reason}}
            end
    end.

-spec handle_continue(pause, #state{}) -> {noreply, #state{}}.
handle_continue(pause, State) -> {noreply, pause(State)}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(_Other, _From, State) -> {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({reconcile, Key, Hint}, #state{up = true} = State) ->
    set_right(Key, Hint),
    {noreply, State};
handle_cast({reconcile, Key, Hint}, #state{later = Later} = State) ->
    {noreply, State#state{later = [{Key, Hint} | Later]}};
handle_cast(_Other, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({'EXIT', Line, _}, #state{line = Line, up = true} = State) ->
    remora_state:lost(), % the line said so itself, but perhaps before live/0
    _ = remora_mirror:reset(),
    GiveUp = remora_door:deadline(maps:get(start_timeout, State#state.options)),
    {noreply, pause(State#state{line = undefined, up = false, open = [], give_up = GiveUp})};
handle_info(connect, #state{up = false} = State) ->
    remora_state:down(connection_lost),
    case connect(State) of
        {ok, Next} -> {noreply, Next};
        {error, Reason} ->
            remora_log:own(info, "~ts", [remora_error:format(Reason)]),
            remora_door:left(State#state.give_up) =:= 0 andalso remora_port:replace(Reason),
            {noreply, pause(State)}
    end;
handle_info({reconcile, Key, Hint}, State) ->
    handle_cast({reconcile, Key, Hint}, State);
handle_info({again, Rows}, #state{up = true, node = Node, open = Open} = State) ->
    [set_right(Key, none) || {{member, _, _, _, _} = Key, _} <- Rows],
    Still = [Row || Row <- Rows, element(1, element(1, Row)) =/= member, remora_intents:find(element(1, Row)) =:= [Row]],
    {Scopes, Names} = remora_replay:plan(Still),
    {noreply, State#state{open = Open ++ send(Node, Scopes ++ Names)}};
handle_info(Message, #state{open = Open} = State) ->
    {noreply, State#state{open = answered(Message, Open)}}.

-spec terminate(term(), #state{}) -> ok.
terminate(shutdown, _State) -> remora_state:lost(); % remora_port or remora_sup tell why
terminate(_Reason, _State) -> remora_state:down(shim_restarted).

pause(#state{pause = Pause} = State) ->
    _ = erlang:send_after(Pause, self(), connect),
    State#state{pause = min(2 * Pause, ?PAUSE_MAX_MS)}.

%% ---- a companion appears ----------------------------------------------------------------------------------------------

connect(#state{options = #{start_timeout := Timeout} = Options} = State) ->
    Node = node_of(Options),
    Deadline = remora_door:deadline(Timeout),
    case reach(Node, Deadline, Timeout) of
        {ok, Line} ->
            case hello(Node, Deadline, Timeout) of
                {ok, Creation} -> open(Node, Creation, Deadline, State#state{node = Node, line = Line});
                {error, _} = Error -> remora_line:stop(Line), Error
            end;
        {error, _} = Error -> Error
    end.

node_of(#{binary := {managed_elsewhere, Node}}) -> Node;
node_of(#{companion := Node}) -> Node.

%% net_kernel's own time limits are longer than ours may be.
reach(Node, Deadline, Timeout) ->
    {Self, Ref} = {self(), make_ref()},
    {Pid, Monitor} = spawn_monitor(fun() -> Self ! {Ref, net_kernel:connect_node(Node)} end),
    receive
        {Ref, true} ->
            true = demonitor(Monitor, [flush]),
            remora_line:start_link(Node);
        {Ref, _} ->
            true = demonitor(Monitor, [flush]),
            {error, {companion, why_unreachable(Node)}};
        {'DOWN', Monitor, process, Pid, Reason} ->
            {error, {companion, {lost, Node, Reason}}}
    after remora_door:left(Deadline) ->
        true = demonitor(Monitor, [flush]),
        true = exit(Pid, kill),
        {error, {companion, {timeout, Timeout}}}
    end.

why_unreachable(Node) ->
    case remora_link:why_not(Node) of
        handshake_closed -> {cookie_mismatch, Node};
        _ -> {unreachable, Node}
    end.

hello(Node, Deadline, Timeout) ->
    case remora_door:call_node(Node, remora_door:hello(), remora_door:left(Deadline)) of
        {ok, {ok, #{protocol := ?PROTOCOL, creation := Creation}}} when is_integer(Creation) -> {ok, Creation};
        {ok, {ok, #{protocol := Other}}} -> {error, {companion, {protocol, Other, ?PROTOCOL}}};
        {ok, _} -> {error, {companion, {no_door, Node}}};
        {error, timeout} -> {error, {companion, {timeout, Timeout}}};
        {error, not_running} -> {error, {companion, {no_door, Node}}}
    end.

open(Node, Creation, Deadline, #state{line = Line} = State) ->
    case remora_mirror:sync(Node, remora_door:left(Deadline)) of
        ok ->
            await_known(Node, Deadline, State),
            replay(remora_state:open(Node, Creation, Line), Node, State);
        {error, Reason} -> lost(Reason, State)
    end.

%% Not hidden ones, which take no part in it; and a VM with connect_all false takes none itself.
await_known(Node, Deadline, #state{options = #{start_timeout := Timeout}}) ->
    Nodes = case application:get_env(kernel, connect_all) of
                {ok, false} -> [];
                _ -> nodes()
            end,
    case remora_state:was_live() of
        true -> await_known([N || N <- Nodes, N =:= Node], min(Deadline, remora_door:deadline(?KNOWN_MS)));
        false -> await_known(Nodes, min(Deadline, remora_door:deadline(Timeout div 2)))
    end.

await_known([], _Deadline) -> ok;
await_known(Nodes, Deadline) ->
    case Nodes -- gen_server:call(global_name_server, get_known, infinity) of
        [] -> ok;
        Unknown ->
            case remora_door:left(Deadline) of
                0 -> remora_log:own(notice, "global has not exchanged names with ~0tp yet", [Unknown]);
                _ -> receive after ?KNOWN_PAUSE_MS -> await_known(Unknown, Deadline) end
            end
    end.

%% It answered, and then not any more.
lost(Reason, #state{node = Node, line = Line}) ->
    remora_line:stop(Line),
    _ = remora_mirror:reset(),
    {error, {companion, {lost, Node, Reason}}}.

%% ---- replay -------------------------------------------------------------------------------------------------------------

%% The one that we had, after a crash of our own or a broken connection, may still have memberships: a second join would
%% be a second membership.
replay(new, Node, State) -> replay_rows(remora_intents:all(), Node, State);
replay(same, Node, State) ->
    Rows = remora_intents:all(),
    Questions = remora_replay:questions(Rows),
    case ask_all(Node, batches(Questions), 0, []) of
        {ok, _, Answered} -> replay_rows(remora_replay:missing(Rows, Answered), Node, State);
        {error, Reason} -> lost(Reason, State)
    end.

replay_rows(Rows, Node, State) ->
    {AtOnce, Names} = remora_replay:plan(Rows),
    Deadline = remora_door:deadline(?NAMES_MS),
    case ask_all(Node, batches(AtOnce), 0, []) of
        {ok, Version, Answered} ->
            case wrong_option(Answered) of
                {ok, Problem} -> refused(Problem, State);
                no ->
                    Sent = send(Node, Names),
                    {Reached, AnsweredNames, Open} = await_names(Sent, Deadline, Version),
                    go_live(Reached, Answered ++ AnsweredNames, Open, length(AtOnce) + length(Names), State)
            end;
        {error, Reason} -> lost(Reason, State)
    end.

%% Of a start with options for membership or election that cannot be: the start fails. Later it is only logged.
wrong_option(Answered) ->
    Found = [Why || not remora_state:was_live(), {{_Request, [{{service, Service}, _, _}]}, {error, Reason}} <- Answered,
                    Why <- [why_refused(Service, Reason)], Why =/= none],
    case Found of
        [Why | _] -> {ok, Why};
        [] -> no
    end.

why_refused(Service, {option, _, _} = Reason) -> remora_service_options:problem(Service, Reason);
why_refused(Service, {no_socket, Text}) when is_binary(Text) -> {Service, {no_socket, Text}};
why_refused(_, _) -> none.

refused(Problem, #state{line = Line}) ->
    remora_line:stop(Line),
    _ = remora_mirror:reset(),
    {error, Problem}.

send(Node, Steps) -> [{gen_server:send_request({remora, Node}, request(Batch)), Batch} || Batch <- cut(Steps)].

%% A batch without a request still says at which version the companion is.
batches([]) -> [[]];
batches(Steps) -> cut(Steps).

cut([]) -> [];
cut(Steps) when length(Steps) =< ?BATCH -> [Steps];
cut(Steps) ->
    {Batch, Rest} = lists:split(?BATCH, Steps),
    [Batch | cut(Rest)].

request(Batch) -> remora_door:batch([Request || {Request, _} <- Batch]).

ask_all(_Node, [], Version, Answered) -> {ok, Version, lists:append(Answered)};
ask_all(Node, [Batch | Rest], _Before, Answered) ->
    case remora_door:call_node(Node, request(Batch), ?REPLAY_MS) of
        {ok, {Version, Answers}} when is_integer(Version), length(Answers) =:= length(Batch) ->
            ask_all(Node, Rest, Version, [lists:zip(Batch, Answers) | Answered]);
        {ok, Other} -> {error, {unexpected, Other}};
        {error, _} = Error -> Error
    end.

await_names([], _Deadline, Version) -> {Version, [], []};
await_names([{Request, Batch} = Sent | Rest], Deadline, Version) ->
    case gen_server:wait_response(Request, remora_door:left(Deadline)) of
        {reply, {Reached, Answers}} when is_integer(Reached), length(Answers) =:= length(Batch) ->
            {Last, Answered, Open} = await_names(Rest, Deadline, max(Version, Reached)),
            {Last, lists:zip(Batch, Answers) ++ Answered, Open};
        timeout -> {Version, [], [Sent | Rest]};
        _ -> await_names(Rest, Deadline, Version) % it is gone, and the line with it
    end.

go_live(Version, Answered, Open, Count, #state{later = Later} = State) ->
    case remora_mirror:live(Version, ?REPLAY_MS) of
        ok ->
            Count > 0 andalso remora_log:own(info, "the companion ~ts was told again: ~b requests",
                                             [State#state.node, Count]),
            settle(Answered),
            [reconcile(Key, Hint) || {Key, Hint} <- Later],
            {ok, State#state{up = true, pause = ?PAUSE_MS, open = Open, later = []}};
        {error, Reason} -> lost(Reason, State)
    end.

%% Names that took longer than the start would wait.
answered(Message, Open) ->
    lists:filter(fun({Request, Batch}) ->
                     case gen_server:check_response(Message, Request) of
                         no_reply -> true;
                         {reply, {Version, Answers}} when length(Answers) =:= length(Batch) ->
                             ok = remora_mirror:await({remora_state:epoch(), Version}, remora_state:call_timeout()),
                             settle(lists:zip(Batch, Answers)),
                             false;
                         _ -> false
                     end
                 end, Open).

settle(Answered) ->
    Rows = [{Row, remora_replay:outcome(Row, Answer)}
            || {{_Request, Rows}, Answer} <- Answered, Row <- Rows],
    lists:foreach(fun settle_row/1, Rows),
    case [Row || {Row, again} <- Rows] of
        [] -> ok;
        Again ->
            remora_log:own(notice, "~b requests of a replay were not possible yet; they are tried again in ~b ms",
                           [length(Again), ?AGAIN_MS]),
            _ = erlang:send_after(?AGAIN_MS, self(), {again, Again}),
            ok
    end.

settle_row({_Row, ok}) -> ok;
settle_row({_Row, again}) -> ok;
settle_row({{{name, _, Name}, Pid, _, _} = Row, {lost, Holder}}) ->
    remora_log:own(warning, "the name ~tp of ~p belongs to ~p, which registered it while the companion was away",
                   [Name, Pid, Holder]),
    remora_intents:forget(Row),
    remora_events:notify({name_lost, Name, Holder});
settle_row({{{member, Scope, _, Group, Pid} = Key, _}, {refused, Reason}}) ->
    remora_log:own(warning, "the companion refuses ~p as member of ~tp in the scope ~ts: ~tp",
                   [Pid, Group, Scope, Reason]),
    lists:foreach(fun remora_intents:forget/1, remora_intents:find(Key)), % its count may be another one
    remora_events:notify({membership_lost, Scope, Group, Pid});
settle_row({{{name, _, Name}, Pid, _, _} = Row, {refused, Reason}}) ->
    remora_log:own(warning, "the companion refuses the name ~tp of ~p: ~tp", [Name, Pid, Reason]),
    remora_intents:forget(Row),
    remora_events:notify({name_lost, Name, none});
settle_row({{{service, Service}, _, _}, {refused, Reason}}) ->
    remora_log:own(warning, "the companion does not start ~ts: ~ts", [Service, remora_error:format(Reason)]);
settle_row({{{campaign, Name, Pid}, _} = Row, {refused, Reason}}) ->
    remora_log:own(warning, "the companion does not let ~p campaign for ~ts any more: ~ts",
                   [Pid, Name, remora_error:format(Reason)]),
    remora_intents:forget(Row);
settle_row({{{scope, Scope}}, {refused, Reason}}) ->
    remora_log:own(warning, "the companion does not start the scope ~ts: ~tp", [Scope, Reason]).

%% ---- one key --------------------------------------------------------------------------------------------------------------

set_right({name, _, Name} = Key, Hint) ->
    case {remora_intents:find_name(Name), remora_door:call(remora_door:whereis_name(Name))} of
        {{ok, Pid, _}, {ok, Pid}} -> ok;
        {{ok, Pid, Policy}, {ok, _}} -> step(remora_door:register_name(Name, Pid, Policy), Key, Hint);
        {none, {ok, Hint}} -> step(remora_door:unregister_name(Name), Key, Hint);
        {none, {ok, _}} -> ok;
        {_, {error, _}} -> try_later(Key, Hint)
    end;
set_right({member, Scope, _, Group, Pid} = Key, Hint) ->
    Wanted = length([P || P <- remora_intents:local_members(Scope, Group), P =:= Pid]),
    case remora_door:call(remora_door:get_local_members(Scope, Group)) of
        {ok, Members} when is_list(Members) ->
            case Wanted - length([P || P <- Members, P =:= Pid]) of
                0 -> ok;
                More when More > 0 -> step(remora_door:join(Scope, Group, lists:duplicate(More, Pid)), Key, Hint);
                Less -> step(remora_door:leave(Scope, Group, lists:duplicate(-Less, Pid)), Key, Hint)
            end;
        {ok, Answer} -> settle_now(Key, Answer);
        {error, _} -> try_later(Key, Hint)
    end;
set_right({scope, Scope} = Key, Hint) ->
    Request = case remora_intents:find(Key) of
                  [_] -> remora_door:start_scope(Scope);
                  [] -> remora_door:stop_scope(Scope)
              end,
    step(Request, Key, Hint);
set_right({service, Service} = Key, Hint) ->
    Request = case remora_intents:find(Key) of
                  [{_, Options, _}] -> remora_door:start_service(Service, Options);
                  [] -> remora_door:stop_service(Service)
              end,
    step(Request, Key, Hint);
set_right({campaign, Name, Pid} = Key, Hint) ->
    Request = case remora_intents:find(Key) of
                  [_] -> remora_door:campaign(Name, Pid);
                  [] -> remora_door:resign_name(Name, Pid)
              end,
    step(Request, Key, Hint).

step(Request, Key, Hint) ->
    case remora_door:write(Request) of
        {ok, Answer, _} -> settle_now(Key, Answer);
        {error, _} -> try_later(Key, Hint)
    end.

settle_now(_Key, not_joined) -> ok;
settle_now(Key, Answer) -> settle([{{none, [Row]}, Answer} || Row <- remora_intents:find(Key)]).

try_later(Key, Hint) ->
    _ = erlang:send_after(?AGAIN_MS, self(), {reconcile, Key, Hint}),
    ok.
