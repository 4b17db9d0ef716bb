#!/usr/bin/env escript
%% -*- erlang; coding: utf-8 -*-
%% Records what a real emulator encodes and prints, for the unit tests that compare (test/unit/wire.cpp,
%% etf_print.cpp, io_format.cpp). Run with the release to record:
%%
%%   escript record.escript terms  > terms_25.txt      text, tab, bytes in hex (after 131)
%%   escript record.escript print  > print_25.txt      control, tab, depth, tab, bytes, tab, what it printed
%%   escript record.escript format > format_25.txt     {Format, Args, Printed}. or {Format, Args, error}.
%%
%% Identifiers are decoded from bytes and encoded again, and their text is written here in remora's form
%% (etf/print.hpp): the emulator's own says only where they stand in one emulator's tables.
-mode(compile).

main([What]) ->
    ok = io:setopts([{encoding, unicode}]),
    case What of
        "terms" -> [terms(T) || T <- plain()], [identifier(T, B) || {T, B} <- identifiers()];
        "print" -> [print(C, D, T) || T <- printed(), C <- "wp", D <- [-1, 1, 2, 3, 5]];
        "format" -> [format(F, A) || {F, A} <- formats()]
    end.

%% A large map is encoded in the reverse of the order in which it is printed.
terms(T) when is_map(T), map_size(T) > 32 ->
    Pairs = maps:fold(fun(K, V, Reversed) -> [io_lib:format("~tw => ~tw", [K, V]) | Reversed] end, [], T),
    line([["#{", lists:join($,, Pairs), "}"], hex(T)]);
terms(T) -> line([io_lib:format("~tw", [T]), hex(T)]).

identifier(Text, Bytes) -> line([Text, hex(binary_to_term(Bytes))]).

%% A field of a million columns, so that ~p does not break the line.
print(C, D, T) -> [print(C, Mode, D, T) || Mode <- ["", "t"]].

print(C, Mode, D, T) ->
    Columns = case C of $p -> "1000000"; $w -> "" end,
    Text = case D of
               -1 -> io_lib:format("~" ++ Columns ++ Mode ++ [C], [T]);
               _ -> io_lib:format("~" ++ Columns ++ Mode ++ string:uppercase([C]), [T, D])
           end,
    line([Mode ++ [C], integer_to_list(D), hex(T), Text]).

format(F, A) ->
    Printed = try io_lib:write_string(lists:flatten(io_lib:format(F, A))) catch error:_ -> "error" end,
    io:put_chars(["{", format_text(F), io_lib:format(", ~0tp, ", [A]), Printed, "}.\n"]).

format_text(F) ->
    case io_lib:printable_unicode_list(F) of
        true -> io_lib:write_string(F);
        false -> io_lib:format("~0tp", [F])
    end.

line(Fields) -> io:put_chars([lists:join($\t, Fields), $\n]).

hex(T) ->
    <<131, Bytes/binary>> = term_to_binary(T, [{minor_version, 2}]),
    binary:encode_hex(Bytes).

plain() ->
    [0, 1, 255, 256, -1, -128, 65536, (1 bsl 27) - 1, 1 bsl 27, (1 bsl 31) - 1, 1 bsl 31, -(1 bsl 31),
     -(1 bsl 31) - 1, 1 bsl 32, (1 bsl 63) - 1, 1 bsl 63, -(1 bsl 63), -(1 bsl 63) - 1, (1 bsl 64) - 1,
     1 bsl 64, 1 bsl 200, -(1 bsl 200), (1 bsl 2040) - 1, 1 bsl 2040, -(1 bsl 2040),
     0.0, -0.0, 1.0, -1.5, 0.1, 1.0e-5, 1.2e-4, 1.0e5, 123456789.0, 9007199254740991.0, 9007199254740992.0,
     1.0e22, 5.0e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 3.141592653589793,
     ok, '', 'a b', 'if', 'maybe', a@b, 'A', 'é', 'дом', '日本', '🚀', '÷', 'ßx', 'a\n\t\e\d\0b', '\'', '\\', '"',
     list_to_atom(lists:duplicate(255, $a)), list_to_atom(lists:duplicate(255, $é)),
     list_to_atom(lists:duplicate(255, $日)), list_to_atom(lists:duplicate(128, $ж)),
     [], "abc", [0], [255], [256], [1, 2, 3 | 4], [a | b], ["ab" | c], [[]], [[], [[]]], [1, a, 2.0, "x", <<"y">>],
     [1076, 1086, 1084], lists:seq(0, 255), lists:seq(1, 256),
     {}, {a}, {ok, 1, "x"}, {{{}}}, list_to_tuple(lists:seq(1, 255)), list_to_tuple(lists:seq(1, 256)),
     <<>>, <<"abc">>, <<0, 255>>, <<"дом"/utf8>>, <<1:1>>, <<1, 2:3>>, <<255:7>>, <<"abc", 5:4>>,
     #{}, #{a => 1}, #{1 => 2, a => #{}, "k" => <<"v">>}, #{{a, 1} => [x], [] => {}, 1.5 => b},
     maps:from_list([{I, -I} || I <- lists:seq(1, 32)]), maps:from_list([{I, a} || I <- lists:seq(1, 33)]),
     maps:from_list([{list_to_atom([$k | integer_to_list(I)]), I} || I <- lists:seq(1, 80)]),
     fun lists:map/2, fun 'A b':'C'/0, fun m:f/255, maps:get(next, element(1, rand:seed_s(exsss, 1))),
     {'$gen_call', [alias | tag], {set_lock, {global, self_is_no_text}}}, [{K, V} || K <- [a, b], V <- [1, <<>>]]].

identifiers() ->
    Node = <<119, 3, "a@h">>,
    Long = <<119, 14, "a@host.example">>,
    Ip = <<119, 11, "a@127.0.0.1">>,
    [{"#Pid<a@h.1.2.3>", <<131, 88, Node/binary, 1:32, 2:32, 3:32>>},
     {"#Pid<'a@host.example'.4294967295.4294967295.4294967295>", <<131, 88, Long/binary, -1:32, -1:32, -1:32>>},
     {"#Pid<'a@127.0.0.1'.7.0.4>", <<131, 88, Ip/binary, 7:32, 0:32, 4:32>>},
     {"#Pid<é@h.7.0.4>", <<131, 88, 119, 4, "é@h"/utf8, 7:32, 0:32, 4:32>>},
     {"#Port<a@h.5.9>", <<131, 89, Node/binary, 5:32, 9:32>>},
     {"#Port<a@h.268435455.9>", <<131, 120, Node/binary, 16#fffffff:64, 9:32>>},
     {"#Port<a@h.268435456.9>", <<131, 120, Node/binary, 16#10000000:64, 9:32>>},
     {"#Port<a@h.18446744073709551615.9>", <<131, 120, Node/binary, -1:64, 9:32>>},
     {"#Ref<a@h.9.1>", <<131, 90, 1:16, Node/binary, 9:32, 1:32>>},
     {"#Ref<a@h.9.1.2.3>", <<131, 90, 3:16, Node/binary, 9:32, 1:32, 2:32, 3:32>>},
     {"#Ref<'a@127.0.0.1'.9.1.2.3.4.5>", <<131, 90, 5:16, Ip/binary, 9:32, 1:32, 2:32, 3:32, 4:32, 5:32>>},
     {"[alias|#Ref<a@h.9.1.2.3>]",
      <<131, 108, 1:32, 119, 5, "alias", 90, 3:16, Node/binary, 9:32, 1:32, 2:32, 3:32>>},
     {"#{#Pid<a@h.1.2.3> => {#Port<a@h.5.9>}}",
      <<131, 116, 1:32, 88, Node/binary, 1:32, 2:32, 3:32, 104, 1, 89, Node/binary, 5:32, 9:32>>}].

printed() ->
    ["abc", "é", [1076], [200, 300], [7, 8, 9, 10, 11, 12, 13, 27], [31], [127], [128], [159], [160], "\"q\\'",
     'дом', 'é', 'a\x{7f}\x{80}b', 'a\'b"c', <<"abc">>, <<"é">>, <<"é"/utf8>>, <<"дом"/utf8>>, <<"a\n">>,
     <<"a longer text", 0, 1, 2>>, <<"ab", 5:3>>, <<255>>, <<0>>, <<>>, [], {}, #{}, [a | b], "ab" ++ c, [[], "x"],
     {a, {b, {c, {d}}}}, [1, [2, [3, [4]]]], #{a => #{b => #{c => d}}}, #{1 => "x", 2 => <<"y">>, 3 => z},
     [a, b, c, d, e, f | g], list_to_tuple("abcdef"), fun lists:map/2, 1.0e-5, -7].

formats() ->
    [{"plain", []}, {"~w ~p ~tw ~tp", ["abc", "abc", "дом", 'дом']}, {"~s|~ts|~s", ["abc", "дом", atom]},
     {"~s", [<<"é"/utf8>>]}, {"~ts", [<<"é"/utf8>>]}, {"~ts", [<<233>>]}, {"~s", ["дом"]}, {"~s", [['дом']]},
     {"~s", [["a", [<<"b">>, $c], [], [[["d"]]]]]}, {"~ts", [["a", [<<"ж"/utf8>>, 1076], "x" | <<"t">>]]},
     {"~s", [["a" | <<"b">>]]}, {"~s", [{a}]}, {"~s", [1]}, {"~s", [[a]]}, {"~ts", ['дом']}, {"~s", ['дом']},
     {"~10s|", ["abc"]}, {"~-10s|", ["abc"]}, {"~.2s|", ["abc"]}, {"~10.2s|", ["abc"]}, {"~-10.2s|", ["abc"]},
     {"~2s|", ["abc"]}, {"~10.5s|", ["abc"]}, {"~10.5.*s|", [$-, "abc"]}, {"~*s|", [6, "abc"]},
     {"~*s|", [-6, "abc"]}, {"~-*s|", [6, "abc"]}, {"~.*s|", [2, "abc"]}, {"~*.*.0s|", [8, 2, "abc"]},
     {"~2.5s|", ["abc"]}, {"~.5s|", ["abc"]}, {"~0s|", ["abc"]}, {"~5ts|", ["дом"]}, {"~3.3s|", ["abcd"]},
     {"~c~c", [$a, 98]}, {"~tc", [1076]}, {"~c", [1076]}, {"~5c|", [$x]}, {"~.3c|", [$x]}, {"~5.3c|", [$x]},
     {"~-5.3c|", [$x]}, {"~3.5c|", [$x]}, {"~c", [a]}, {"~c~c", [(1 bsl 70) + $x, -(1 bsl 70) - 139]}, {"~5.3.*c|", [$-, $x]},
     {"~n~~~n", []}, {"~3n|", []}, {"~-3n|", []}, {"~3~|", []}, {"~i~w", [a, b]},
     {"~b ~B", [255, -255]}, {"~.16b ~.16B", [255, -255]}, {"~.2b", [10]}, {"~.36B", [1295]}, {"~8.16.0b|", [255]},
     {"~8.16.0B|", [-255]}, {"~-8b|", [42]}, {"~2b|", [12345]}, {"~b", [a]}, {"~.1b", [3]}, {"~.37b", [3]},
     {"~b", [1 bsl 100]}, {"~.16b", [1 bsl 100]}, {"~b", [0]}, {"~b", [1.0]},
     {"~x", [31, "10#"]}, {"~.16x", [-31, "0x"]}, {"~.16X|~10.16X|", [-31, '0X', 31, "0x"]}, {"~x", [1, 2]},
     {"~+ ~.16+ ~.16# ~.2#", [5, -255, 255, 5]}, {"~10.16#|", [255]},
     {"~e ~f ~g", [1.5, 1.5, 1.5]}, {"~.3e ~.3f ~.3g", [123.456, 123.456, 123.456]}, {"~.2e", [9.99]},
     {"~.1f", [0.25]}, {"~.1f", [0.35]}, {"~.1f", [9.96]}, {"~.2f", [1.005]}, {"~f", [1.0e22]}, {"~f", [1.0e-10]},
     {"~.1e", [1.5]}, {"~.0f", [1.5]}, {"~12.3f|", [3.14159]}, {"~-12.3f|", [3.14159]}, {"~3.3f|", [3.14159]},
     {"~12.3.0f|", [-3.14159]}, {"~g ~g ~g ~g", [0.01, 0.5, 9999.0, 10000.0]}, {"~g", [0.0]}, {"~f", [-0.0]},
     {"~e", [0.0]}, {"~.1g", [0.5]}, {"~.1g", [5.0]}, {"~.10g", [123.456]}, {"~e", [1]}, {"~.30e", [0.1]},
     {"~.25f", [0.1]}, {"~e", [1.0e300]}, {"~.2f", [99.999]}, {"~.2f", [0.999]}, {"~.3f", [1.0e-5]},
     {"~f", [123456789012345678.0]}, {"~.5e", [5.0e-324]}, {"~.3g", [0.1]}, {"~.3g", [0.09999]},
     {"~10w|", [abc]}, {"~-10w|", [abc]}, {"~2w|", [abc]}, {"~10.2w|", [abc]}, {"~.2w|", [abc]}, {"~10..-w|", [abc]},
     {"~20p|", [abc]}, {"~-20p|", [abc]}, {"~lp ~p", ["abc", "abc"]}, {"~ltp", ["abc"]}, {"~tlp", ["abc"]},
     {"~W ~P", [[1, 2, 3, 4, 5], 3, [1, 2, 3, 4, 5], 3]}, {"~tW", [['дом', b, c], 2]}, {"~W", [abc, 0]},
     {"~P", [{a, {b, {c}}}, 2]}, {"~W", [a, b]}, {"~P", ["abcdefghijkl", 2]}, {"~P", [<<"abcdefghijkl">>, 2]},
     {"~", []}, {"~z", [a]}, {"~w", []}, {"x", [a]}, {"~w ~w", [a]}, {"~5", [a]}, {"~*w", [a, b]}, {"~w", a},
     {<<"bin ~w">>, [1]}, {'atom ~w', [1]}, {"жук ~w", [1]}, {["deep", $a], []}, {"~p", [[]]}, {"~s", [[]]}, {"", []},
     {"~ts", [[1076 | <<"д"/utf8>>]]}, {"~s", [[255, 0]]}, {"~s", [[256]]}, {"~ts", [[16#10ffff]]}, {"~~~w~n", [a]}].
