%%% @doc One line of JSON as a term: what the companion's log lines are. OTP 25 and 26 have no decoder of their own.
%%%
%%% RFC 8259, for input of a few KB that is here already: objects become maps with binaries as keys (a key that comes
%%% twice counts last, as in OTP's json), true, false and null the atoms; no other atom is ever made. A depth limit
%%% ends what would nest without end; whatever is no JSON is `error'.
%%% @private
-module(remora_json).

-export([decode/1]).
-export_type([value/0]).

-type value() :: null | boolean() | number() | binary() | [value()] | #{binary() => value()}.

-define(DEPTH_MAX, 16).

-spec decode(binary()) -> {ok, value()} | error.
decode(Text) ->
    try value(skip(Text), ?DEPTH_MAX) of
        {Value, Rest} ->
            case skip(Rest) of
                <<>> -> {ok, Value};
                _ -> error
            end
    catch
        throw:no_json -> error
    end.

skip(<<C, Rest/binary>>) when C =:= $\s; C =:= $\t; C =:= $\n; C =:= $\r -> skip(Rest);
skip(Text) -> Text.

value(_, 0) -> throw(no_json);
value(<<${, Rest/binary>>, Depth) -> first_member(skip(Rest), Depth - 1);
value(<<$[, Rest/binary>>, Depth) -> first_item(skip(Rest), Depth - 1);
value(<<$", Rest/binary>>, _) -> string(Rest, []);
value(<<"true", Rest/binary>>, _) -> {true, Rest};
value(<<"false", Rest/binary>>, _) -> {false, Rest};
value(<<"null", Rest/binary>>, _) -> {null, Rest};
value(Text, _) -> number(Text).

first_member(<<$}, Rest/binary>>, _) -> {#{}, Rest};
first_member(Text, Depth) -> member(Text, Depth, #{}).

member(<<$", Text/binary>>, Depth, Map) ->
    {Key, Rest} = string(Text, []),
    case skip(Rest) of
        <<$:, After/binary>> ->
            {Value, Next} = value(skip(After), Depth),
            next_member(skip(Next), Depth, Map#{Key => Value});
        _ -> throw(no_json)
    end;
member(_, _, _) -> throw(no_json).

next_member(<<$,, Rest/binary>>, Depth, Map) -> member(skip(Rest), Depth, Map);
next_member(<<$}, Rest/binary>>, _, Map) -> {Map, Rest};
next_member(_, _, _) -> throw(no_json).

first_item(<<$], Rest/binary>>, _) -> {[], Rest};
first_item(Text, Depth) -> item(Text, Depth, []).

item(Text, Depth, Items) ->
    {Value, Rest} = value(Text, Depth),
    case skip(Rest) of
        <<$,, Next/binary>> -> item(skip(Next), Depth, [Value | Items]);
        <<$], Next/binary>> -> {lists:reverse(Items, [Value]), Next};
        _ -> throw(no_json)
    end.

string(<<$", Rest/binary>>, Parts) -> {iolist_to_binary(lists:reverse(Parts)), Rest};
string(<<$\\, Rest/binary>>, Parts) -> escape(Rest, Parts);
string(<<C/utf8, Rest/binary>>, Parts) when C >= 32 -> string(Rest, [<<C/utf8>> | Parts]);
string(_, _) -> throw(no_json).

escape(<<C, Rest/binary>>, Parts) when C =:= $"; C =:= $\\; C =:= $/ -> string(Rest, [C | Parts]);
escape(<<$b, Rest/binary>>, Parts) -> string(Rest, [$\b | Parts]);
escape(<<$f, Rest/binary>>, Parts) -> string(Rest, [$\f | Parts]);
escape(<<$n, Rest/binary>>, Parts) -> string(Rest, [$\n | Parts]);
escape(<<$r, Rest/binary>>, Parts) -> string(Rest, [$\r | Parts]);
escape(<<$t, Rest/binary>>, Parts) -> string(Rest, [$\t | Parts]);
escape(<<$u, High:4/binary, "\\u", Low:4/binary, Rest/binary>>, Parts) ->
    case {hex(High), hex(Low)} of
        {H, L} when H >= 16#D800, H < 16#DC00, L >= 16#DC00, L < 16#E000 ->
            string(Rest, [utf8(16#10000 + ((H - 16#D800) bsl 10) + (L - 16#DC00)) | Parts]);
        {H, _} -> string(<<"\\u", Low/binary, Rest/binary>>, [utf8(H) | Parts])
    end;
escape(<<$u, Code:4/binary, Rest/binary>>, Parts) -> string(Rest, [utf8(hex(Code)) | Parts]);
escape(_, _) -> throw(no_json).

%% Half of a pair is no character.
utf8(Code) when Code >= 16#D800, Code < 16#E000 -> throw(no_json);
utf8(Code) -> <<Code/utf8>>.

hex(Digits) ->
    try binary_to_integer(Digits, 16) of
        Code when Code >= 0 -> Code;
        _ -> throw(no_json)
    catch error:badarg -> throw(no_json)
    end.

number(Text) ->
    case re:run(Text, "^-?(0|[1-9][0-9]{0,99})(\\.[0-9]{1,99})?([eE][+-]?[0-9]{1,3})?",
                [{capture, all, binary}]) of
        {match, [Digits, _]} -> {binary_to_integer(Digits), rest(Text, Digits)};
        {match, [Digits, _, _]} -> {float_of(Digits), rest(Text, Digits)};
        {match, [Digits, Whole, <<>>, Exponent]} ->
            Sign = case Digits of <<$-, _/binary>> -> <<$->>; _ -> <<>> end,
            {float_of(<<Sign/binary, Whole/binary, ".0", Exponent/binary>>), rest(Text, Digits)};
        {match, [Digits, _, _, _]} -> {float_of(Digits), rest(Text, Digits)};
        nomatch -> throw(no_json)
    end.

rest(Text, Digits) -> binary:part(Text, byte_size(Digits), byte_size(Text) - byte_size(Digits)).

float_of(Text) ->
    try binary_to_float(Text)
    catch error:badarg -> throw(no_json) % too large for a float
    end.
