%%% @doc The front of discovery: what the companion, which decides, cannot do itself is done here.
%%%
%%% ```
%%%   companion                                        this process
%%%   {connect, Node}, {disconnect, Node}       ->     this VM's own connections (remora_link), or the user's functions
%%%   {list, Id}                                ->     the user's function that finds nodes
%%%   refreshed, paused, connect_failed, ..     ->     remora_events
%%%                                             <-     {up, Node}, {down, Node, Reason}: of this VM's connections
%%%                                             <-     how each of the above ended
%%% '''
%%%
%%% The configuration is an intent: each new companion is told, and that discovery is paused or shut down if it is. Its
%%% answer is a reference that all later messages have; what has another one is of a former companion. The first time, at
%%% the start of remora, is waited for, so that an option which the companion refuses is an error of the start.
%%%
%%% A round of its own (remora_discovery:run_once/1) needs somebody who connects this VM too. Where remora was started
%%% without discovery, a second one of these is the front for the time of the round.
%%%
%%% Nothing here waits for others: connections and functions of users have processes of their own with a time limit
%%% (remora_jobs), and what the connection to the companion does not take now is kept until it does.
%%% @private
-module(remora_discovery_front).
-behaviour(gen_server).

-export([start_link/1, configure/0, companion/1, stand_in/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, format_status/2]).

-define(NAME, remora_discovery).
-define(AGAIN_MS, 1_000).     % a companion that did not take the configuration is asked again
-define(FULL_PAUSE_MS, 5).
-define(LISTS_MAX, 4).        % of the user's function at once; a round has one
-define(STATUS_DEPTH, 12).
-define(REASON_MAX, 200).

-record(state, {
    checked :: remora_discovery_options:checked() | none,
    %% Of a stand-in: who it is for.
    user :: pid() | undefined,
    %% Of the configuration that the companion has; without one, the answer that is to come and the news before it.
    ref :: reference() | undefined,
    asked :: remora_door:asked() | undefined,
    early = [] :: [{reference(), term()}],
    %% Requests that are still to be told, in their order.
    outbox = queue:new() :: queue:queue(remora_door:request()),
    pausing = false :: boolean(),
    links :: remora_jobs:jobs(),
    lists :: remora_jobs:jobs(),
    %% What the user's own list of connected nodes had last.
    listed = [] :: [node()]
}).

%% @doc Also without a configuration: then there is only a pause of what the program itself was given to tell again.
-spec start_link(remora_options:options()) -> gen_server:start_ret().
start_link(Options) -> gen_server:start_link({local, ?NAME}, ?MODULE, maps:get(discovery, Options, none), []).

%% @doc The companion is told again.
-spec configure() -> ok.
configure() -> gen_server:cast(?NAME, configure).

%% @doc It has come, or gone. Not by a subscription: who has none shall not pay for one.
-spec companion(up | down) -> ok.
companion(What) -> gen_server:cast(?NAME, {companion, What}).

%% @doc Runs Fun, with a front that has this configuration's functions and limits if there is none else.
-spec stand_in(remora_discovery_options:checked(), fun(() -> Result)) -> Result.
stand_in(Checked, Fun) ->
    try gen_server:call(?NAME, has_configuration) of
        true -> Fun();
        false ->
            {ok, Pid} = gen_server:start(?MODULE, {stand_in, self(), Checked#{options := #{}}}, []),
            try Fun()
            after
                gen_server:cast(Pid, round_is_over)
            end
    catch exit:{_, {gen_server, call, _}} -> Fun() % remora does not run, which Fun will hear too
    end.

%% ---- the process ----------------------------------------------------------------------------------------------------

-spec init(Configuration | {stand_in, pid(), Configuration}) -> {ok, #state{}} | {stop, {shutdown, term()}}
    when Configuration :: remora_discovery_options:checked() | none.
init({stand_in, User, Checked}) ->
    _ = monitor(process, User),
    case init(Checked) of
        {ok, State} -> {ok, State#state{user = User}};
        Stop -> Stop
    end;
init(none) ->
    {ok, ask(#state{checked = none, links = remora_jobs:new(1), lists = remora_jobs:new(1)})};
init(#{dial_limit := DialLimit} = Checked) ->
    process_flag(trap_exit, true), % for remora_jobs
    ok = net_kernel:monitor_nodes(true, [nodedown_reason, {node_type, all}]),
    State = #state{checked = Checked, links = remora_jobs:new(DialLimit), lists = remora_jobs:new(?LISTS_MAX)},
    case ask(State) of
        #state{asked = undefined} = Later -> {ok, Later};
        #state{asked = Asked} = Waiting -> first(remora_door:receive_answer(Asked, first_deadline()), Waiting)
    end.

first_deadline() -> remora_door:deadline(remora_state:call_timeout()).

%% A stand-in has given nothing that could be refused.
first({ok, {error, {option, Key, Text}}} = Refused, #state{checked = #{options := Options}} = State) ->
    case remora_state:discovery() of
        new when map_size(Options) > 0 -> {stop, {shutdown, {discovery_option, Key, Text}}};
        _ -> {ok, configured(Refused, State#state{asked = undefined})}
    end;
first(Answer, State) -> {ok, configured(Answer, State#state{asked = undefined})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(has_configuration, _From, #state{checked = Checked} = State) -> {reply, Checked =/= none, State};
handle_call(_Request, _From, State) -> {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_cast(configure, State) -> {noreply, ask(State)};
handle_cast({companion, up}, State) -> {noreply, ask(State)};
handle_cast({companion, down}, State) -> {noreply, forget(State)};
handle_cast(round_is_over, #state{user = User} = State) when is_pid(User) -> {stop, normal, State};
handle_cast(_Message, State) -> {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({remora_discovery, Ref, News}, #state{ref = Ref} = State) when is_reference(Ref) ->
    {noreply, news(News, State)};
handle_info({remora_discovery, Ref, News}, #state{asked = Asked, early = Early} = State) when Asked =/= undefined ->
    {noreply, State#state{early = [{Ref, News} | Early]}};
handle_info({nodeup, Node, _}, State) ->
    {noreply, node_event(Node, {up, Node}, State)};
handle_info({nodedown, Node, Info}, State) ->
    {noreply, node_event(Node, {down, Node, down_reason(Info)}, State)};
handle_info(again, #state{ref = undefined, asked = undefined} = State) ->
    {noreply, ask(State)};
handle_info(flush, State) ->
    {noreply, flush(State#state{pausing = false})};
handle_info({'DOWN', _, process, User, _}, #state{user = User} = State) when is_pid(User) ->
    {stop, normal, State};
handle_info(Message, State) ->
    {noreply, answer_or_job(Message, State)}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{links = Links, lists = Lists}) ->
    _ = remora_jobs:stop(Links),
    _ = remora_jobs:stop(Lists),
    ok.

%% What is asked has secrets in it only between two lines of ask/1; the state never.
-spec format_status(normal | terminate, list()) -> term().
format_status(_, [_Dictionary, #state{ref = Ref, listed = Listed} = State]) ->
    [{data, [{"State", #{configured => is_reference(Ref), waiting => queue:len(State#state.outbox), listed => Listed}}]}].

answer_or_job(Message, #state{asked = undefined} = State) -> job(Message, State);
answer_or_job(Message, #state{asked = Asked} = State) ->
    case remora_door:answered(Message, Asked) of
        no -> job(Message, State);
        Answer -> configured(Answer, State#state{asked = undefined})
    end.

job(Message, #state{links = Links, lists = Lists} = State) ->
    case remora_jobs:message(Message, Links) of
        {Key, Result, Left} -> ended(Key, Result, State#state{links = Left});
        no ->
            case remora_jobs:message(Message, Lists) of
                {Key, Result, Left} -> ended(Key, Result, State#state{lists = Left});
                no -> State % the end of a job that was stopped, or a late answer
            end
    end.

%% ---- the configuration ------------------------------------------------------------------------------------------------

%% Not one that is shut down: it would begin again.
ask(#state{checked = Checked} = State) ->
    Fresh = forget(State),
    case {remora_state:discovery(), Checked} of
        {shut_down, _} -> tell([remora_door:discovery(shutdown)], Fresh);
        {_, none} -> tell(pause_too(), Fresh);
        _ ->
            Request = remora_door:configure_discovery(remora_discovery_options:request(Checked)),
            case remora_door:ask(Request, remora_door:deadline(0)) of
                {error, not_running} -> Fresh; % companion(up) comes
                {error, timeout} -> later(Fresh);
                Asked -> Fresh#state{asked = Asked}
            end
    end.

%% Connections that are under way may end: what they connect is told to the next companion.
forget(#state{lists = Lists} = State) ->
    State#state{ref = undefined, asked = undefined, early = [], outbox = queue:new(), listed = [],
                lists = remora_jobs:stop(Lists)}.

later(State) ->
    _ = erlang:send_after(?AGAIN_MS, self(), again),
    State.

configured({ok, {ok, Ref}}, #state{early = Early} = State) when is_reference(Ref) ->
    remora_state:discovery() =:= new andalso whereis(?NAME) =:= self() andalso remora_state:set_discovery(running),
    Told = tell(pause_too() ++ [remora_door:report_discovery(Ref, {up, Node}) || Node <- connected(State)],
                State#state{ref = Ref, early = []}),
    lists:foldr(fun({R, News}, S) when R =:= Ref -> news(News, S);
                   (_, S) -> S
                end, Told, Early);
configured({ok, Refused}, State) ->
    remora_log:own(warning, "the companion does not take the configuration of discovery: ~ts",
                   [remora_error:format(Refused)]),
    State;
configured({error, not_running}, State) -> State;
configured({error, timeout}, State) -> later(State).

pause_too() -> [remora_door:discovery(pause) || remora_state:discovery() =:= paused].

%% Those of the user's own list are asked for in each round.
connected(#state{checked = #{functions := #{list := _}}}) -> [];
connected(_) -> [Node || Node <- nodes(connected), is_other(Node)].

is_other(Node) -> Node =/= remora_state:companion().

node_event(_Node, _Report, #state{checked = #{functions := #{list := _}}} = State) -> State;
node_event(Node, Report, State) ->
    case is_other(Node) of
        true -> report(Report, State);
        false -> State
    end.

%% One word, as everywhere.
down_reason(Info) ->
    case lists:keyfind(nodedown_reason, 1, Info) of
        {_, Reason} when is_atom(Reason) -> Reason;
        _ -> connection_closed
    end.

%% ---- what the companion says ------------------------------------------------------------------------------------------

news({connect, Node}, #state{checked = #{functions := Functions, dial_timeout := Ms}, links = Links} = State) ->
    Connect = maps:get(connect, Functions, fun remora_link:connect/1),
    State#state{links = remora_jobs:start({connect, Node}, fun() -> Connect(Node) end, Ms, Links)};
news({disconnect, Node}, #state{checked = #{functions := Functions, dial_timeout := Ms}, links = Links} = State) ->
    Disconnect = maps:get(disconnect, Functions, fun remora_link:disconnect/1),
    State#state{links = remora_jobs:start({disconnect, Node}, fun() -> Disconnect(Node) end, Ms, Links)};
news({list, Id}, #state{checked = #{functions := #{discover := _} = Functions, ask_timeout := Ms}, lists = Lists} = State) ->
    State#state{lists = remora_jobs:start({list, Id}, fun() -> look(Functions) end, sooner(Ms), Lists)};
news({list, Id}, State) -> % a custom source that we do not have
    report({listed, Id, {error, <<"this VM has no function that finds nodes">>}}, State);
news(_OfNoConcern, #state{user = User} = State) when is_pid(User) -> State;
news({refreshed, Result}, State) ->
    remora_events:notify({refreshed, remora_discovery:tidy(Result)}),
    State;
news(News, State) ->
    case is_news(News) of
        true -> remora_events:notify(News);
        false -> remora_log:own(notice, "news of discovery that this version does not know: ~0tP", [News, ?STATUS_DEPTH])
    end,
    State.

is_news({connect_failed, Side, _Node, _Reason, Ms}) -> is_atom(Side) andalso is_integer(Ms);
is_news({dropped, Side, _Node}) -> is_atom(Side);
is_news({source_failed, Source, Cause, Text}) -> is_binary(Source) andalso is_atom(Cause) andalso is_binary(Text);
is_news(News) -> lists:member(News, [paused, resumed, stopped]).

%% The companion waits as long, and shall hear what it was before its own time is over.
sooner(Ms) -> max(1, Ms * 9 div 10).

%% What is connected first, so that the companion knows it when it compares.
look(#{discover := Discover, list := List}) -> {remora_discovery_options:listed(List()), found(Discover)};
look(#{discover := Discover}) -> {none, found(Discover)}.

found(Discover) -> remora_discovery_options:listed(Discover()).

%% ---- what came of it --------------------------------------------------------------------------------------------------

ended({connect, Node}, {ok, ok}, #state{checked = #{functions := #{connect := _}}} = State) -> report({up, Node}, State);
ended({connect, Node}, {ok, ok}, State) ->
    %% It may be lost again by now, and that be told: what is said last must be so.
    case lists:member(Node, nodes(connected)) of
        true -> report({up, Node}, State);
        false -> State
    end;
ended({connect, Node}, Result, State) -> report({connect_failed, Node, reason(Node, Result)}, State);
ended({disconnect, Node}, {ok, ok}, State) -> report({disconnected, Node}, State);
ended({disconnect, Node}, Result, State) -> report({disconnect_failed, Node, reason(Node, Result)}, State);
ended({list, Id}, {ok, {Connected, Found}}, State) ->
    case compare(Connected, State) of
        {ok, Next} -> report({listed, Id, Found}, Next);
        {error, Text} -> report({listed, Id, {error, Text}}, State)
    end;
ended({list, Id}, {timeout, _}, #state{checked = #{ask_timeout := Ms}} = State) ->
    report({listed, Id, {error, text("the function did not answer within the ~b ms of ask_timeout", [Ms])}}, State);
ended({list, Id}, {raised, Class, Reason}, State) ->
    report({listed, Id, {error, text("the function raised ~s: ~0tP", [Class, Reason, ?STATUS_DEPTH])}}, State).

%% A user's function may give, or raise, anything: that goes to the log, and a word to the companion.
reason(_, {ok, {error, Reason}}) when is_atom(Reason) -> Reason;
reason(_, {ok, {error, Reason}}) when is_binary(Reason), byte_size(Reason) =< ?REASON_MAX -> Reason;
reason(_, {timeout, _}) -> timeout;
reason(Node, {ok, Other}) -> logged(Node, "gave", Other, failed);
reason(Node, {raised, _, Reason}) -> logged(Node, "raised", Reason, raised).

logged(Node, Verb, Term, Word) ->
    remora_log:own(notice, "the function for the connection to ~ts ~ts ~0tP", [Node, Verb, Term, ?STATUS_DEPTH]),
    Word.

%% The user's own list against what it had last.
compare(none, State) -> {ok, State};
compare({error, _} = Error, _State) -> Error;
compare({ok, Names}, #state{listed = Before} = State) ->
    Now = [Node || Name <- Names, {ok, Node} <- [remora_atoms:to_atom(Name)]],
    Up = lists:foldl(fun(Node, S) -> report({up, Node}, S) end, State#state{listed = Now}, Now -- Before),
    {ok, lists:foldl(fun(Node, S) -> report({down, Node, not_listed}, S) end, Up, Before -- Now)}.

text(Format, Args) -> unicode:characters_to_binary(io_lib:format(Format, Args)).

%% ---- to the companion -------------------------------------------------------------------------------------------------

report(_Report, #state{ref = undefined} = State) -> State; % a new one is told what is, when it is there
report(Report, #state{ref = Ref} = State) -> tell([remora_door:report_discovery(Ref, Report)], State).

tell(Requests, #state{outbox = Outbox} = State) ->
    flush(State#state{outbox = lists:foldl(fun queue:in/2, Outbox, Requests)}).

flush(#state{pausing = true} = State) -> State;
flush(#state{outbox = Outbox} = State) ->
    case queue:peek(Outbox) of
        empty -> State;
        {value, Request} ->
            case remora_door:try_tell(Request) of
                ok -> flush(State#state{outbox = queue:drop(Outbox)});
                full ->
                    _ = erlang:send_after(?FULL_PAUSE_MS, self(), flush),
                    State#state{pausing = true};
                not_running -> State#state{outbox = queue:new()}
            end
    end.
