%%% @doc The processes that stand between the cluster and the subjects of Gleam processes. There are two kinds.
%%%
%%% A door has a global name, or is a member of a group, for a subject. What arrives is data of some node: it is given to
%%% a function that decodes it and sends it on, and what that does not understand is logged and dropped, so the process
%%% behind never meets it. Owner and door are linked: a name that is lost by a rule that kills takes the owner along,
%%% as global does. A door ends with its owner, and when it is told that its name is no longer its own.
%%%
%%% A listener is subscribed for a subject: it gives each event to a function that sends it on. It ends with the
%%% subject's owner, when it is stopped, and when remora is.
%%% @private
-module(remora_relay).

-export([door/3, is_door/2, listen/4, stop/1]).
-export([open_door/3, start_listening/5]).

-define(DOOR, '$remora_door').
-define(STOP, '$remora_stop').
-define(LOG_EVERY_MS, 1_000). % for one door; what is dropped in between is counted
-define(SHOWN_DEPTH, 10).

-type forward() :: fun((term()) -> {ok, nil} | {error, Why :: binary()}).
-type subscribe() :: fun(() -> {ok, reference()} | {ok, reference(), Now :: term()} | {error, term()}).

%% ---- doors --------------------------------------------------------------------------------------------------------------

%% @doc Key says what it is the door of.
-spec door(Owner :: pid(), Key :: term(), forward()) -> {ok, pid()} | {error, no_owner}.
door(Owner, Key, Forward) ->
    case proc_lib:start(?MODULE, open_door, [Owner, Key, Forward]) of
        {ok, Pid} -> {ok, Pid};
        {error, _} -> {error, no_owner}
    end.

-spec is_door(pid(), Key :: term()) -> boolean().
is_door(Pid, Key) when node(Pid) =:= node() ->
    case process_info(Pid, dictionary) of
        {dictionary, Dictionary} -> lists:member({?DOOR, Key}, Dictionary);
        undefined -> false
    end;
is_door(_, _) -> false.

%% @private
-spec open_door(pid(), term(), forward()) -> ok.
open_door(Owner, Key, Forward) ->
    put(?DOOR, Key),
    link(Owner),
    proc_lib:init_ack({ok, self()}),
    door_loop(#{owner => monitor(process, Owner), pid => Owner, key => Key, forward => Forward,
                logged => erlang:monotonic_time(millisecond) - ?LOG_EVERY_MS, dropped => 0}).

door_loop(#{owner := Owner, pid := Pid, key := Key} = Door) ->
    receive
        {'DOWN', Owner, process, Pid, _} -> ok;
        ?STOP -> leave(Pid), ok;
        {global_name_conflict, Name} -> conflict(Door, Name);
        {global_name_conflict, Name, _Other} -> conflict(Door, Name);
        Term -> door_loop(pass_on(Term, Key, Door))
    end.

%% Our own end is not the owner's.
leave(Pid) -> unlink(Pid).

conflict(#{pid := Pid, key := Key}, Name) ->
    remora_log:own(warning, "~0tp lost the name ~0tp to another process of the cluster", [Key, Name]),
    leave(Pid),
    ok.

pass_on(Term, Key, #{forward := Forward} = Door) ->
    try Forward(Term) of
        {ok, nil} -> Door;
        {error, Why} -> dropped(Why, Key, Door)
    catch
        _:Reason -> dropped(io_lib:format("~0tP", [Reason, ?SHOWN_DEPTH]), Key, Door)
    end.

%% Not the term itself: it may be large, or secret.
dropped(Why, Key, #{logged := Logged, dropped := Before} = Door) ->
    case erlang:monotonic_time(millisecond) of
        Now when Now - Logged >= ?LOG_EVERY_MS ->
            remora_log:own(warning, "a message for ~0tp was dropped: ~ts~ts", [Key, Why, more(Before)]),
            Door#{logged := Now, dropped := 0};
        _ -> Door#{dropped := Before + 1}
    end.

more(0) -> "";
more(N) -> io_lib:format(" (and ~b before it)", [N]).

%% ---- listeners ------------------------------------------------------------------------------------------------------------

%% @doc Subscribe is called by the listener, which gives what it said about Now; then Handle is called with each event,
%% and Ended when remora stops.
-spec listen(Owner :: pid(), subscribe(), Handle :: fun((term()) -> term()), Ended :: fun(() -> term())) ->
    {ok, pid(), Now :: term()} | {error, term()}.
listen(Owner, Subscribe, Handle, Ended) ->
    {Pid, Monitor} = proc_lib:spawn_opt(?MODULE, start_listening, [self(), Owner, Subscribe, Handle, Ended], [monitor]),
    receive
        {Pid, Answer} -> demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
    end.

%% @private
-spec start_listening(pid(), pid(), subscribe(), fun((term()) -> term()), fun(() -> term())) -> ok.
start_listening(Starter, Owner, Subscribe, Handle, Ended) ->
    Monitors = {monitor(process, Owner), monitor(process, remora_sup)},
    case Subscribe() of
        {ok, Ref} -> listening(Starter, none, Ref, Monitors, Handle, Ended);
        {ok, Ref, Now} -> listening(Starter, Now, Ref, Monitors, Handle, Ended);
        {error, _} = Error -> Starter ! {self(), Error}, ok
    end.

listening(Starter, Now, Ref, Monitors, Handle, Ended) ->
    Starter ! {self(), {ok, self(), Now}},
    listener_loop(Ref, Monitors, Handle, Ended).

listener_loop(Ref, {Owner, Remora} = Monitors, Handle, Ended) ->
    receive
        {_, Ref, Event} -> tell(Handle, [Event]), listener_loop(Ref, Monitors, Handle, Ended);
        {'DOWN', Owner, process, _, _} -> ok;
        {'DOWN', Remora, process, _, _} -> tell(Ended, []), ok;
        ?STOP -> ok;
        _ -> listener_loop(Ref, Monitors, Handle, Ended)
    end.

%% A subject whose name nobody has now cannot be sent to: its events are lost, the subscription is not.
tell(Handle, Args) ->
    try apply(Handle, Args) of _ -> ok
    catch _:_ -> ok
    end.

%% @doc Of either kind. When it returns, nothing comes from the process any more.
-spec stop(pid()) -> nil.
stop(Pid) ->
    Monitor = monitor(process, Pid),
    Pid ! ?STOP,
    receive {'DOWN', Monitor, process, Pid, _} -> nil end.
