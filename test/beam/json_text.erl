%% json_text: reads JSON, because OTP 25 cannot. decode/1 answers {ok, Value} with maps, lists, binaries, numbers and
%% the atoms true, false, null; anything else, also text behind the value, is an error.
-module(json_text).
-export([decode/1]).

decode(Text) ->
    try value(skip(iolist_to_binary(Text))) of
        {Value, Rest} -> case skip(Rest) of <<>> -> {ok, Value}; Left -> {error, {left, Left}} end
    catch
        error:Reason -> {error, Reason}
    end.

skip(<<C, Rest/binary>>) when C =:= $\s; C =:= $\t; C =:= $\n; C =:= $\r -> skip(Rest);
skip(Text) -> Text.

value(<<"null", Rest/binary>>) -> {null, Rest};
value(<<"true", Rest/binary>>) -> {true, Rest};
value(<<"false", Rest/binary>>) -> {false, Rest};
value(<<$", Rest/binary>>) -> string(Rest, <<>>);
value(<<$[, Rest/binary>>) -> array(skip(Rest), []);
value(<<${, Rest/binary>>) -> object(skip(Rest), #{});
value(Text) -> number(Text).

array(<<$], Rest/binary>>, []) -> {[], Rest};
array(Text, Items) ->
    {Item, Rest} = value(Text),
    case skip(Rest) of
        <<$,, More/binary>> -> array(skip(More), [Item | Items]);
        <<$], End/binary>> -> {lists:reverse([Item | Items]), End}
    end.

object(<<$}, Rest/binary>>, Map) when Map =:= #{} -> {Map, Rest};
object(<<$", Text/binary>>, Map) ->
    {Key, Rest} = string(Text, <<>>),
    <<$:, AfterColon/binary>> = skip(Rest),
    {Value, AfterValue} = value(skip(AfterColon)),
    case skip(AfterValue) of
        <<$,, More/binary>> -> object(skip(More), Map#{Key => Value});
        <<$}, End/binary>> -> {Map#{Key => Value}, End}
    end.

string(<<$", Rest/binary>>, Text) -> {Text, Rest};
string(<<$\\, $u, Hex:4/binary, Rest/binary>>, Text) -> % a pair of surrogates is two of these
    case {binary_to_integer(Hex, 16), Rest} of
        {High, <<$\\, $u, Hex2:4/binary, More/binary>>} when High >= 16#D800, High < 16#DC00 ->
            Low = binary_to_integer(Hex2, 16),
            string(More, <<Text/binary, (16#10000 + ((High - 16#D800) bsl 10) + Low - 16#DC00)/utf8>>);
        {Char, _} -> string(Rest, <<Text/binary, Char/utf8>>)
    end;
string(<<$\\, C, Rest/binary>>, Text) ->
    string(Rest, <<Text/binary, (maps:get(C, #{$" => $", $\\ => $\\, $/ => $/, $b => 8, $f => 12, $n => 10, $r => 13, $t => 9}))>>);
string(<<C/utf8, Rest/binary>>, Text) when C >= 32 -> string(Rest, <<Text/binary, C/utf8>>).

number(Text) ->
    {match, [Number | Parts]} = re:run(Text, "^-?(?:0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?", [{capture, all, binary}]),
    Rest = binary:part(Text, byte_size(Number), byte_size(Text) - byte_size(Number)),
    case Parts of
        [] -> {binary_to_integer(Number), Rest};
        [<<>>, Exponent] -> [Whole, _] = binary:split(Number, Exponent), {binary_to_float(<<Whole/binary, ".0", Exponent/binary>>), Rest};
        _ -> {binary_to_float(Number), Rest}
    end.
