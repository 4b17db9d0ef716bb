%% member_watch: hears a companion's stream and keeps each change with the time at which it came, by the clock that all nodes
%% of one machine share. What hosts_SUITEs measure is measured with it.
-module(member_watch).
-export([start/1, events/1, clear/1, stop/1, now_us/0]).

now_us() -> erlang:system_time(microsecond).

start(Companion) ->
    Self = self(),
    Pid = spawn(fun() ->
        {ok, Ref} = gen_server:call({remora, Companion}, mirror),
        Self ! {self(), ready},
        loop(Ref, [])
    end),
    receive {Pid, ready} -> Pid after 10_000 -> error(no_stream) end.

%% [{Us, Change}] in their order.
events(Pid) -> ask(Pid, events).
clear(Pid) -> ask(Pid, clear).
stop(Pid) -> exit(Pid, kill).

ask(Pid, What) ->
    Ref = monitor(process, Pid),
    Pid ! {What, self(), Ref},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, _, _, Why} -> error({watch_ended, Why})
    end.

loop(Ref, Kept) ->
    receive
        {remora_mirror, Ref, _, _, Changes} ->
            Now = now_us(),
            loop(Ref, lists:foldl(fun(C, Acc) -> [{Now, C} | Acc] end, Kept, Changes));
        {events, From, Tag} -> From ! {Tag, lists:reverse(Kept)}, loop(Ref, Kept);
        {clear, From, Tag} -> From ! {Tag, ok}, loop(Ref, [])
    end.
