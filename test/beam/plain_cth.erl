%% plain_cth: a Common Test hook that says on standard error what Common Test says only in its HTML: one line
%% per case, the reason under a failed one, and `N passed, N failed' at the end. What could not be started
%% counts as failed; what a suite skips with a reason (no OTP 27 here) is told and counted apart.
-module(plain_cth).
-export([init/2, post_end_per_testcase/5, on_tc_fail/4, on_tc_skip/4, terminate/1]).

-record(count, {passed = 0, failed = 0, skipped = #{}, last, started = erlang:monotonic_time(millisecond)}).

init(_Id, _Opts) -> {ok, #count{}}.

%% Called before a failure is known: on_tc_fail/4 takes the pass back.
post_end_per_testcase(_Suite, _Case, _Config, Return, Count) ->
    {Return, Count#count{passed = Count#count.passed + 1}}.

on_tc_fail(Suite, Name, Reason, Count) ->
    failed(title(Suite, Name), Reason, Count#count{passed = Count#count.passed - counted(Name)}).

on_tc_skip(Suite, Name, {tc_user_skip, {skipped, Reason}}, Count) -> skip(Suite, Name, Reason, Count);
on_tc_skip(Suite, Name, {tc_user_skip, Reason}, Count) -> skip(Suite, Name, Reason, Count);
on_tc_skip(Suite, Name, {tc_auto_skip, {failed, {_, _, Reason}}}, Count) ->
    failed([title(Suite, Name), " (not started)"], Reason, Count);
on_tc_skip(Suite, Name, {tc_auto_skip, Reason}, Count) ->
    failed([title(Suite, Name), " (not started)"], Reason, Count).

%% A reason that many cases share in a row is told once.
failed(Title, Reason, Count = #count{failed = Failed, last = Last}) ->
    case Reason of
        Last -> say("FAILED  ~ts~n        as above~n", [Title]);
        _ -> say("FAILED  ~ts~n        ~ts~n", [Title, indent(io_lib:format("~tp", [Reason]))])
    end,
    Count#count{failed = Failed + 1, last = Reason}.

skip(_Suite, _Name, Reason, Count = #count{skipped = Skipped}) ->
    Count#count{skipped = maps:update_with(Reason, fun(N) -> N + 1 end, 1, Skipped)}.

terminate(Count) ->
    [say("~b skipped: ~ts~n", [N, text(Reason)]) || {Reason, N} <- maps:to_list(Count#count.skipped)],
    say("~b s~n", [(erlang:monotonic_time(millisecond) - Count#count.started) div 1000]),
    say("~b passed, ~b failed~n", [Count#count.passed, Count#count.failed]),
    ok = file:write_file(os:getenv("REMORA_CT_RESULT"),
                         io_lib:format("~b ~b~n", [Count#count.passed, Count#count.failed])).

%% Configuration functions were never counted as passed.
counted({Function, _}) when Function =:= init_per_group; Function =:= end_per_group -> 0;
counted(Function) when Function =:= init_per_suite; Function =:= end_per_suite -> 0;
counted(_) -> 1.

title(Suite, {Name, Group}) -> io_lib:format("~ts ~ts ~ts", [Suite, Group, Name]);
title(Suite, Name) -> io_lib:format("~ts ~ts", [Suite, Name]).

text(Reason) ->
    try io_lib:format("~ts", [Reason]) catch error:badarg -> io_lib:format("~tp", [Reason]) end.

indent(Text) -> string:replace(lists:sublist(lists:flatten(Text), 3000), "\n", "\n        ", all).

say(Format, Args) -> io:format(standard_error, Format, Args).
