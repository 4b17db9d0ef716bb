%%% @doc The companion's program: finds it, starts it as a port, keeps it company until one of both ends.
%%%
%%%   start     its version is asked first. `remora run --cookie-file - --lifeline stdin --log-format json ..': the
%%%             cookie goes over its standard input, never into its arguments or environment, and not into the state
%%%             of this process. init/1 returns when it said that it is ready; until then its exit is a start error
%%%   log       every further line is a JSON object, and becomes an event of OTP's logger
%%%   its end   is logged, and ends this process with a reason that says why: the supervisor starts both again. The
%%%             reason is a {shutdown, _}: it is no bug of this process, and needs no crash report
%%%   our end   closes its standard input, at which it leaves in order; it is waited for, so that its name is free for
%%%             the next one. The VM's death closes it too
%%%
%%% The port reads lines of bounded length. Lines that come faster than logger takes them are left out below the level
%%% warning, and counted: this mailbox does not grow without end.
%%% @private
-module(remora_port).
-behaviour(gen_server).

-export([start_link/1, os_pid/0, replace/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(LINE_BYTES, 16_384).
-define(WAITING_MAX, 1_000).  % messages in our mailbox
-define(LEAVE_MS, 5_000).
-define(KILLED_MS, 1_000). % until a killed one is gone
-define(ENDS_MS, 1_000).   % for a program that ended without its cookie to end so again

-record(state, {
    port :: port(),
    os_pid :: non_neg_integer(),
    node :: node(),
    %% The rest of a line that is too long is not kept.
    cut = false :: boolean(),
    %% What it said last, for the reason of its end.
    last = <<>> :: binary(),
    left_out = 0 :: non_neg_integer(),
    exited = false :: boolean()
}).

-spec start_link(remora_options:options()) -> gen_server:start_ret().
start_link(#{binary := {managed_elsewhere, _}}) -> ignore;
start_link(Options) -> gen_server:start_link({local, ?MODULE}, ?MODULE, Options, []).

%% @doc Of the program; undefined when there is none of ours.
-spec os_pid() -> {ok, non_neg_integer()} | undefined.
os_pid() ->
    try gen_server:call(?MODULE, os_pid)
    catch exit:{_, {gen_server, call, _}} -> undefined
    end.

%% @doc It runs, and cannot be reached any more.
-spec replace(Why :: term()) -> ok.
replace(Why) -> gen_server:cast(?MODULE, {replace, Why}).

-spec init(remora_options:options()) -> {ok, #state{}} | {stop, term()}.
init(#{binary := Where, companion := Node, start_timeout := Timeout} = Options) ->
    process_flag(trap_exit, true), % for terminate/2
    case right_program(Where) of
        {ok, Path} ->
            case start(Path, Node, Options, Timeout) of
                {ok, Ready} -> {ok, Ready};
                {error, Reason} -> {stop, {shutdown, Reason}}
            end;
        {error, Reason} -> {stop, {shutdown, Reason}}
    end.

right_program(Where) ->
    case remora_binary:locate(Where) of
        {ok, Path} ->
            case remora_binary:version(Path) of
                {ok, Version} ->
                    case remora_binary:is_wanted(Version) of
                        true -> {ok, Path};
                        false -> {error, {binary, {wrong_version, Version, remora_binary:wanted()}}}
                    end;
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

start(Path, Node, Options, Timeout) ->
    try start_until(Path, Node, Options, remora_door:deadline(Timeout)) of
        {waits, State} ->
            leave(State),
            {error, {companion, {timeout, Timeout}}};
        Result -> Result
    catch
        error:Reason -> {error, {companion, {not_started, Reason}}} % emfile, system_limit, ..: see open_port/2
    end.

%% It may end before the cookie is written. When the emulator has not seen that yet, writing ends the port, and what the
%% program said is lost with its exit status. It is asked once more then, and hears nothing before it had time to end so.
start_until(Path, Node, Options, Deadline) ->
    First = open(Path, Node, Options),
    give_cookie(First, Options),
    case await_ready(First, Deadline) of
        {error, {companion, {not_started, epipe}}} ->
            Again = open(Path, Node, Options),
            case await_ready(Again, remora_door:deadline(min(?ENDS_MS, remora_door:left(Deadline)))) of
                {waits, Waiting} ->
                    give_cookie(Waiting, Options),
                    await_ready(Waiting, Deadline);
                Ended -> Ended
            end;
        Result -> Result
    end.

open(Path, Node, Options) ->
    Port = open_port({spawn_executable, Path},
                     [{args, remora_options:arguments(Options)}, {env, [{"REMORA_COOKIE", false}]},
                      {line, ?LINE_BYTES}, binary, exit_status, stderr_to_stdout, use_stdio, hide]),
    OsPid = case erlang:port_info(Port, os_pid) of
                {os_pid, Pid} -> Pid;
                undefined -> 0 % it has ended; its status is on the way
            end,
    #state{port = Port, os_pid = OsPid, node = Node}.

give_cookie(#state{port = Port, node = Node}, Options) ->
    _ = remora_options:wants_cookie(Options) andalso
        (catch port_command(Port, [atom_to_binary(erlang:get_cookie(Node), latin1), $\n])),
    ok.

await_ready(#state{port = Port} = State, Deadline) ->
    receive
        {Port, {data, {eol, Line}}} ->
            case remora_json:decode(Line) of
                {ok, #{<<"event">> := <<"ready">>, <<"creation">> := _}} -> {ok, State};
                _ -> await_ready(line(Line, State), Deadline)
            end;
        {Port, {data, {noeol, _}}} -> await_ready(State, Deadline);
        {Port, {exit_status, Status}} -> {error, {companion, start_error(Status, State#state.last)}};
        {'EXIT', Port, Reason} -> {error, {companion, {not_started, Reason}}}
    after remora_door:left(Deadline) ->
        {waits, State}
    end.

%% The exit codes of the program, README.md.
start_error(2, Text) -> {usage, Text};
start_error(3, Text) -> {name_taken, Text};
start_error(4, Text) -> {no_epmd, Text};
start_error(5, Text) -> {address_in_use, Text};
start_error(6, Text) -> {bad_address, Text};
start_error(Status, Text) -> {exit_status, Status, Text}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(os_pid, _From, #state{os_pid = OsPid} = State) -> {reply, {ok, OsPid}, State};
handle_call(_Other, _From, State) -> {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_cast({replace, Why}, #state{node = Node} = State) ->
    remora_log:own(error, "the companion ~ts runs, and cannot be reached any more: it is replaced. ~ts",
                   [Node, remora_error:format(Why)]),
    {stop, {shutdown, {companion, unreachable}}, State};
handle_cast(_Other, State) -> {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({Port, {data, {eol, _}}}, #state{port = Port, cut = true} = State) ->
    {noreply, State#state{cut = false}};
handle_info({Port, {data, {eol, Line}}}, #state{port = Port} = State) ->
    {noreply, line(Line, State)};
handle_info({Port, {data, {noeol, _}}}, #state{port = Port, cut = true} = State) ->
    {noreply, State};
handle_info({Port, {data, {noeol, Line}}}, #state{port = Port} = State) ->
    {noreply, (line(Line, State))#state{cut = true}};
handle_info({Port, {exit_status, Status}}, #state{port = Port, node = Node, last = Last} = State) ->
    remora_log:own(error, "the companion ~ts ended ~ts; it said last: ~ts", [Node, status(Status), Last]),
    {stop, {shutdown, {companion, {exit_status, Status, Last}}}, State#state{exited = true}};
handle_info({'EXIT', Port, Reason}, #state{port = Port} = State) ->
    {stop, {shutdown, {companion, {port, Reason}}}, State};
handle_info(_Other, State) ->
    {noreply, State}.

%% The emulator adds 128 to the number of a signal.
status(Status) when Status > 128 -> io_lib:format("by signal ~b", [Status - 128]);
status(Status) -> io_lib:format("with exit status ~b", [Status]).

-spec terminate(term(), #state{}) -> ok.
terminate({shutdown, {companion, Reason}}, #state{exited = true}) ->
    remora_state:down(Reason);
terminate(_Reason, State) ->
    remora_state:down(stopped),
    leave(State).

%% Closing the port closes its standard input. There is no exit status after that; the helper of the emulator that is its
%% parent takes it. What tells that it is gone, and its name free again, is that there is no such process.
leave(#state{port = Port, node = Node, os_pid = OsPid}) ->
    (catch port_close(Port)),
    case is_gone(OsPid, remora_door:deadline(?LEAVE_MS), 5) of
        true -> ok;
        false ->
            remora_log:own(error, "the companion ~ts (process ~b) does not leave within ~b ms; it is killed",
                           [Node, OsPid, ?LEAVE_MS]),
            _ = os:cmd("kill -9 " ++ integer_to_list(OsPid)),
            _ = is_gone(OsPid, remora_door:deadline(?KILLED_MS), 5),
            ok
    end.

is_gone(0, _Deadline, _Pause) -> true;
is_gone(OsPid, Deadline, Pause) ->
    case os:cmd("kill -0 " ++ integer_to_list(OsPid) ++ " 2>/dev/null && echo there") of
        "there" ++ _ ->
            case remora_door:left(Deadline) of
                0 -> false;
                Left ->
                    receive after min(Pause, Left) -> is_gone(OsPid, Deadline, min(2 * Pause, 100)) end
            end;
        _ -> true
    end.

%% ---- its log ----------------------------------------------------------------------------------------------------------

line(Line, #state{left_out = LeftOut} = State) ->
    {Level, Meta, Text} = remora_log:of_companion(Line),
    Next = State#state{last = Text},
    {message_queue_len, Waiting} = process_info(self(), message_queue_len),
    case Waiting > ?WAITING_MAX andalso logger:compare_levels(Level, warning) =:= lt of
        true -> Next#state{left_out = LeftOut + 1};
        false ->
            LeftOut > 0 andalso remora_log:own(notice, "~b lines of the companion's log were left out", [LeftOut]),
            logger:log(Level, "~ts", [Text], Meta#{companion => State#state.node}),
            Next#state{left_out = 0}
    end.
