%% tests_log: a handler of logger that sends what remora logged to a process, as Gleam's tests read it.
-module(tests_log).
-export([log/2]).

log(#{level := Level, msg := Message, meta := #{domain := [remora | _]} = Meta}, #{config := Pid}) ->
    Text = case Message of
               {string, Chars} -> Chars;
               {Format, Args} when is_list(Format) -> io_lib:format(Format, Args);
               Other -> io_lib:format("~0tp", [Other])
           end,
    Fields = maps:to_list(maps:get(fields, Meta, #{})) ++ [{<<"correlation">>, Id} || #{correlation := Id} <- [Meta]],
    Pid ! {tests_log, {atom_to_binary(Level), unicode:characters_to_binary(Text), [{K, V} || {K, V} <- Fields, is_binary(V)]}};
log(_, _) -> ok.
