%% doorstand: what stands in for a companion on an OTP node, where a test wants answers that a real one gives rarely: late,
%% never, another one than before, or news before the answer. It is the gen_server `remora' there, answers what the package
%% needs to take it for a companion (the option binary => {managed_elsewhere, Node}), and for discovery what it was told to.
-module(doorstand).
-behaviour(gen_server).

-export([start/0, stop/0, will/1, say/1, said/0, front/0]).
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

%% ---- the door -------------------------------------------------------------------------------------------------------

init([]) -> {ok, #{will => ok, front => none, ref => make_ref(), said => []}}.

handle_call({stand, will, Answer}, _From, State) -> {reply, ok, State#{will := Answer}};
handle_call({stand, say, News}, _From, #{front := Front, ref := Ref} = State) ->
    Front ! {remora_discovery, Ref, News},
    {reply, ok, State};
handle_call({stand, said}, _From, #{said := Said} = State) -> {reply, lists:reverse(Said), State};
handle_call({stand, front}, _From, #{front := Front} = State) -> {reply, Front, State};
handle_call(hello, _From, State) ->
    {reply, {ok, #{protocol => 1, version => <<"0.1.0">>, node => node(), creation => erlang:system_info(creation),
                   scopes => [pg], os_pid => list_to_integer(os:getpid())}}, State};
handle_call(mirror, {Pid, _}, State) ->
    Ref = make_ref(),
    Pid ! {remora_mirror, Ref, 0, 1, [{scope, pg}, synced]},
    {reply, {ok, Ref}, State};
handle_call({batch, Requests}, _From, State) -> {reply, {1, [ok || _ <- Requests]}, State};
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
handle_call(_Other, _From, State) -> {reply, ok, State}.

handle_cast(_, State) -> {noreply, State}.
handle_info(_, State) -> {noreply, State}.
