%% calc: the functions that a node under test lets others call, in every way that a call can end.
%% remora's testnode has the same table natively; this module plays it when the node under test is a beam.
-module(calc).
-export([add/2, crash/1, throw/1, exit/1, print/1, spawn_echo/0]).

add(A, B) -> A + B.
crash(Reason) -> erlang:error(Reason).
throw(Term) -> erlang:throw(Term).
exit(Reason) -> erlang:exit(Reason).
print(Term) -> io:format("~p~n", [Term]).
spawn_echo() -> testnode:spawn_echo().
