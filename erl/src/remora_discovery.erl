%%% @doc The front of discovery: finding and connecting the nodes of a cluster.
%%%
%%% The companion of this version does not discover; `connect' of {@link remora_cluster} does it by hand. Each function
%%% here answers `{error, unsupported}' until it does, so that what is written against it need not be changed.
-module(remora_discovery).
-behaviour(gen_server).

-export([start_link/1, run_once/0, refresh/1, pause/1, resume/1, shutdown/1, status/0]).
-export([init/1, handle_call/3, handle_cast/2]).

%% @private
-spec start_link(remora_options:options()) -> gen_server:start_ret().
start_link(_Options) -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc One round of discovery.
-spec run_once() -> {error, unsupported}.
run_once() -> {error, unsupported}.

%% @doc A round now, waited for within so many ms.
-spec refresh(Within :: timeout()) -> {error, unsupported}.
refresh(_Within) -> {error, unsupported}.

%% @doc No more rounds until resume/1.
-spec pause(Within :: timeout()) -> {error, unsupported}.
pause(_Within) -> {error, unsupported}.

-spec resume(Within :: timeout()) -> {error, unsupported}.
resume(_Within) -> {error, unsupported}.

%% @doc Ends discovery; what it connected stays.
-spec shutdown(Within :: timeout()) -> {error, unsupported}.
shutdown(_Within) -> {error, unsupported}.

-spec status() -> {error, unsupported}.
status() -> {error, unsupported}.

%% @private
-spec init([]) -> {ok, []}.
init([]) -> {ok, []}.

%% @private
-spec handle_call(term(), gen_server:from(), []) -> {reply, {error, unsupported}, []}.
handle_call(_Request, _From, State) -> {reply, {error, unsupported}, State}.

%% @private
-spec handle_cast(term(), []) -> {noreply, []}.
handle_cast(_Message, State) -> {noreply, State}.
