%%% @doc Stands for this VM at its companion: says who it is to each new one, and each half second that it is not hanging.
%%%
%%% A VM that is stopped, or swapped out, or whose schedulers are all held by something, keeps its connections: OTP notices
%%% after a minute. The companion beside it goes on, and would lead for an application that does nothing. So it waits for
%%% these beats, and hands over what it leads, and what processes of this VM hold, when they stay away for the name_lease
%%% of the election. The time to wait is the companion's; here is only the half second.
%%%
%%% This process has a high priority: a VM that is merely busy is not hanging.
%%% @private
-module(remora_beat).
-behaviour(gen_server).

-export([start_link/0, companion_up/0]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-define(BEAT_MS, 500).

-record(state, {
    %% The epoch in which the companion was told; it is told again in another one.
    told = none :: non_neg_integer() | none
}).

-spec start_link() -> gen_server:start_ret().
start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc There is a new one, perhaps: it is told at once.
-spec companion_up() -> ok.
companion_up() -> gen_server:cast(?MODULE, companion_up).

-spec init([]) -> {ok, #state{}, {continue, first}}.
init([]) ->
    _ = process_flag(priority, high),
    {ok, #state{}, {continue, first}}.

-spec handle_continue(first, #state{}) -> {noreply, #state{}}.
handle_continue(first, State) -> handle_info(beat, State).

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(_Other, _From, State) -> {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(companion_up, State) -> {noreply, say(State)};
handle_cast(_Other, State) -> {noreply, State}.

%% The next one is as long after this one as it is, however long that took: it is a sign of life, no clock.
-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(beat, State) ->
    Next = say(State),
    _ = erlang:send_after(?BEAT_MS, self(), beat),
    {noreply, Next};
handle_info(_Other, State) -> {noreply, State}.

%% Nobody waits for the answers. A connection that is full just now takes the next one.
say(#state{told = Epoch} = State) ->
    case remora_state:epoch() of
        Epoch ->
            _ = remora_door:try_tell(remora_door:app(beat)),
            State;
        New ->
            case remora_door:try_tell(remora_door:app(here)) of
                ok ->
                    _ = remora_door:try_tell(remora_door:app(beat)),
                    State#state{told = New};
                _ -> State
            end
    end.
