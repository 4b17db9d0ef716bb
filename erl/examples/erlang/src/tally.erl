%% One counter for the whole cluster. A process of each node wants its global name; the one that has it counts, and tells
%% the others in the group how far it is. When it ends, or its node does, another one goes on from there.
-module(tally).
-behaviour(gen_server).

-export([start_link/0, add/1, holder/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(NAME, <<"tally">>).

start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% From any node. The sum, or what remora_messaging:call/3 says.
add(N) -> remora_messaging:call({name, ?NAME}, {add, N}).

%% The node that counts.
holder() ->
    case remora_registry:whereis(?NAME) of
        {ok, Pid} -> {ok, node(Pid)};
        {error, _} = Error -> Error
    end.

init([]) ->
    {ok, _} = remora_registry:subscribe(),
    ok = remora_groups:join(tallies, self()),
    self() ! run,
    {ok, 0}.

handle_call({add, N}, _From, Sum) ->
    {ok, _} = remora_groups:broadcast(tallies, {sum, Sum + N}),
    {reply, Sum + N, Sum + N}.

handle_cast(_, Sum) -> {noreply, Sum}.

handle_info(run, Sum) ->
    _ = remora_registry:register(?NAME, self()), % {error, {taken, Pid}}: then that one counts
    {noreply, Sum};
handle_info({remora_registry, _Ref, {unregistered, ?NAME}}, Sum) ->
    self() ! run,
    {noreply, Sum};
handle_info({remora_registry, _Ref, _Other}, Sum) ->
    {noreply, Sum};
handle_info({sum, Sum}, _Before) ->
    {noreply, Sum}.
