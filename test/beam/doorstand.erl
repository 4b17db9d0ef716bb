%% doorstand: what stands in for a companion on an OTP node, where a test wants answers that a real one gives rarely: late,
%% never, another one than before, or news before the answer. It is the gen_server `remora' there, answers what the package
%% needs to take it for a companion (the option binary => {managed_elsewhere, Node}), and for discovery, membership and
%% election what it was told to.
-module(doorstand).
-behaviour(gen_server).

-export([start/0, stop/0, will/1, say/1, said/0, front/0]).
-export([answer/2, change/1, snapshot/1, another/0, asked/0, beats/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% ---- for tests ------------------------------------------------------------------------------------------------------

start() -> {ok, _} = gen_server:start({local, remora}, ?MODULE, [], []), ok.
stop() -> gen_server:stop(remora).

%% How the next configure is answered: `ok', `silent', {news, [News]} (before the answer), or an answer.
will(Answer) -> gen_server:call(remora, {stand, will, Answer}).

%% To the front, with its reference.
say(News) -> gen_server:call(remora, {stand, say, News}).

%% All requests of discovery so far, in their order; reports without the reference.
said() -> gen_server:call(remora, {stand, said}).
front() -> gen_server:call(remora, {stand, front}).

%% How this request of membership or election is answered from here on, by itself, as a write and in a batch: an answer,
%% `silent', or {late, Ms, Answer}. What is not said is ok.
answer(Request, Answer) -> gen_server:call(remora, {stand, answer, Request, Answer}).

%% Changes for the mirror, now; and those with which its stream begins.
change(Changes) -> gen_server:call(remora, {stand, change, Changes}).
snapshot(Changes) -> gen_server:call(remora, {stand, snapshot, Changes}).

%% It is another companion from here on: who connects anew finds one that knows nothing.
another() -> gen_server:call(remora, {stand, another}).

%% Requests of membership, election and app so far, in their order, without the beats; and how many of those.
asked() -> gen_server:call(remora, {stand, asked}).
beats() -> gen_server:call(remora, {stand, beats}).

%% ---- the door -------------------------------------------------------------------------------------------------------

init([]) ->
    {ok, #{will => ok, front => none, ref => make_ref(), said => [], mirror => none, version => 1, snapshot => [],
           answers => #{}, asked => [], beats => 0, creation => erlang:system_info(creation)}}.

handle_call({stand, will, Answer}, _From, State) -> {reply, ok, State#{will := Answer}};
handle_call({stand, say, News}, _From, #{front := Front, ref := Ref} = State) ->
    Front ! {remora_discovery, Ref, News},
    {reply, ok, State};
handle_call({stand, said}, _From, #{said := Said} = State) -> {reply, lists:reverse(Said), State};
handle_call({stand, front}, _From, #{front := Front} = State) -> {reply, Front, State};
handle_call({stand, answer, Request, Answer}, _From, #{answers := Answers} = State) ->
    {reply, ok, State#{answers := Answers#{Request => Answer}}};
handle_call({stand, change, Changes}, _From, #{mirror := {Pid, Ref}, version := Version} = State) ->
    Pid ! {remora_mirror, Ref, Version, Version + 1, Changes},
    {reply, ok, State#{version := Version + 1}};
handle_call({stand, snapshot, Changes}, _From, State) -> {reply, ok, State#{snapshot := Changes}};
handle_call({stand, another}, _From, #{creation := Creation} = State) -> {reply, ok, State#{creation := Creation + 1}};
handle_call({stand, asked}, _From, #{asked := Asked} = State) -> {reply, lists:reverse(Asked), State};
handle_call({stand, beats}, _From, #{beats := Beats} = State) -> {reply, Beats, State};
handle_call(hello, _From, #{creation := Creation} = State) ->
    {reply, {ok, #{protocol => 1, version => <<"0.1.0">>, node => node(), creation => Creation,
                   scopes => [pg], os_pid => list_to_integer(os:getpid())}}, State};
handle_call(mirror, {Pid, _}, #{version := Version, snapshot := Snapshot} = State) ->
    Ref = make_ref(),
    Pid ! {remora_mirror, Ref, 0, Version, [{scope, pg} | Snapshot] ++ [synced]},
    {reply, {ok, Ref}, State#{mirror := {Pid, Ref}}};
handle_call({batch, Requests}, _From, #{version := Version, answers := Answers} = State) ->
    {reply, {Version, [maps:get(Request, Answers, ok) || Request <- Requests]}, lists:foldl(fun note/2, State, Requests)};
handle_call({discovery, {configure, Options}}, {Pid, _}, #{will := Will, ref := Ref, said := Said} = State) ->
    Next = State#{front := Pid, will := ok, said := [{configure, Options} | Said]},
    case Will of
        ok -> {reply, {ok, Ref}, Next};
        silent -> {noreply, Next};
        {news, News} ->
            [Pid ! {remora_discovery, Ref, One} || One <- News],
            {reply, {ok, Ref}, Next};
        Answer -> {reply, Answer, Next}
    end;
handle_call({discovery, {report, Ref, Report}}, _From, #{ref := Ref, said := Said} = State) ->
    {reply, ok, State#{said := [Report | Said]}};
handle_call({discovery, Request}, _From, #{said := Said} = State) ->
    {reply, ok, State#{said := [Request | Said]}};
handle_call({write, Request}, From, #{version := Version} = State) ->
    answered(Request, fun(Answer) -> {Version, Answer} end, From, note(Request, State));
handle_call({app, beat}, _From, #{beats := Beats} = State) -> {reply, ok, State#{beats := Beats + 1}};
handle_call(Request, From, State) -> answered(Request, fun(Answer) -> Answer end, From, note(Request, State)).

note(Request, #{asked := Asked} = State) when element(1, Request) =:= membership; element(1, Request) =:= election;
                                              element(1, Request) =:= app ->
    State#{asked := [Request | Asked]};
note(_Other, State) -> State.

answered(Request, Wrap, From, #{answers := Answers} = State) ->
    case maps:get(Request, Answers, ok) of
        silent -> {noreply, State};
        {late, Ms, Answer} ->
            _ = erlang:send_after(Ms, self(), {late, From, Wrap(Answer)}),
            {noreply, State};
        Answer -> {reply, Wrap(Answer), State}
    end.

handle_cast(_, State) -> {noreply, State}.
handle_info({late, From, Answer}, State) ->
    gen_server:reply(From, Answer),
    {noreply, State};
handle_info(_, State) -> {noreply, State}.
