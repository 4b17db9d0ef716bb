%%% @doc Functions of others in processes of their own, for a gen_server that must go on whatever they do: at most so many
%%% run at once, each for a time at most, and what comes of one is a value, also when it raises or is killed.
%%%
%%% Each has a key. Who starts one with the key of another that runs, or waits, gets the result of that one: nothing is
%%% done twice at once.
%%%
%%% The server traps exits: its jobs are linked to it, so that none is left behind when it ends.
%%% @private
-module(remora_jobs).

-export([new/1, start/4, message/2, stop/1]).
-export([work/1]).

-export_type([jobs/0, result/0]).

-record(job, {key :: term(), pid :: pid(), monitor :: reference(), timer :: reference(), ms :: pos_integer()}).
-record(jobs, {limit :: pos_integer(), running = [] :: [#job{}], waiting = queue:new() :: queue:queue()}).

-opaque jobs() :: #jobs{}.
-type result() :: {ok, term()} | {timeout, Ms :: pos_integer()} | {raised, error | exit | throw, term()}.

-define(RESULT, '$remora_job').

-spec new(Limit :: pos_integer()) -> jobs().
new(Limit) -> #jobs{limit = Limit}.

-spec start(Key :: term(), fun(() -> term()), Ms :: pos_integer(), jobs()) -> jobs().
start(Key, Fun, Ms, #jobs{running = Running, waiting = Waiting} = Jobs) ->
    case lists:keymember(Key, #job.key, Running) orelse queue:any(fun({K, _, _}) -> K =:= Key end, Waiting) of
        true -> Jobs;
        false -> next(Jobs#jobs{waiting = queue:in({Key, Fun, Ms}, Waiting)})
    end.

next(#jobs{limit = Limit, running = Running, waiting = Waiting} = Jobs) when length(Running) < Limit ->
    case queue:out(Waiting) of
        {{value, {Key, Fun, Ms}}, Left} -> next(Jobs#jobs{running = [run(Key, Fun, Ms) | Running], waiting = Left});
        {empty, _} -> Jobs
    end;
next(Jobs) -> Jobs.

run(Key, Fun, Ms) ->
    {Pid, Monitor} = spawn_opt(?MODULE, work, [Fun], [link, monitor]),
    #job{key = Key, pid = Pid, monitor = Monitor, timer = erlang:start_timer(Ms, self(), ?RESULT), ms = Ms}.

%% The result is the reason of its end.
-spec work(fun(() -> term())) -> no_return().
work(Fun) -> exit({?RESULT, result(Fun)}).

result(Fun) ->
    try {ok, Fun()}
    catch Class:Reason -> {raised, Class, Reason}
    end.

%% @doc Of the server's mailbox: what has ended by it. `no': it is not of a job that runs.
-spec message(term(), jobs()) -> {Key :: term(), result(), jobs()} | no.
message({'DOWN', Monitor, process, _, Reason}, #jobs{running = Running} = Jobs) ->
    case lists:keytake(Monitor, #job.monitor, Running) of
        {value, #job{key = Key, timer = Timer, pid = Pid}, Left} ->
            _ = erlang:cancel_timer(Timer),
            flush(Pid),
            {Key, of_reason(Reason), next(Jobs#jobs{running = Left})};
        false -> no
    end;
message({timeout, Timer, ?RESULT}, #jobs{running = Running} = Jobs) ->
    case lists:keytake(Timer, #job.timer, Running) of
        {value, #job{key = Key, ms = Ms} = Job, Left} ->
            kill(Job),
            {Key, {timeout, Ms}, next(Jobs#jobs{running = Left})};
        false -> no
    end;
message(_, _) -> no.

of_reason({?RESULT, Result}) -> Result;
of_reason(Reason) -> {raised, exit, Reason}.

%% @doc All of them, at once; nothing comes of them.
-spec stop(jobs()) -> jobs().
stop(#jobs{limit = Limit, running = Running}) ->
    lists:foreach(fun kill/1, Running),
    new(Limit).

kill(#job{pid = Pid, monitor = Monitor, timer = Timer}) ->
    _ = erlang:cancel_timer(Timer),
    true = unlink(Pid),
    true = exit(Pid, kill),
    true = demonitor(Monitor, [flush]),
    flush(Pid).

%% The exit signal of the link, which says nothing new.
flush(Pid) ->
    receive {'EXIT', Pid, _} -> ok
    after 0 -> ok
    end.
