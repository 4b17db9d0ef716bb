%%% @doc Log lines with correlation ids.
%%%
%%% A correlation id says which lines, of which processes and nodes, belong to one piece of work. It is a binary in the
%%% dictionary of a process (set_correlation/1), goes along with {@link remora_rpc:call/5}, appears in the companion's
%%% log lines about that call, and is in the metadata of each line that the process logs here.
%%%
%%% Two backends: `logger', OTP's (metadata `domain => [remora]', and what is given), and `console', one line on standard
%%% error.
-module(remora_log).

-export([log/2, log/3, debug/1, info/1, notice/1, warning/1, error/1]).
-export([set_level/1, level/0, set_backend/1, backend/0]).
-export([generate_correlation_id/0, correlation/0, set_correlation/1, with_correlation/2, correlation_meta/0]).
%% the shim's own
-export([own/3, of_companion/1]).

-export_type([level/0, meta/0]).

-type level() :: debug | info | notice | warning | error.
%% Keys are atoms or binaries; `correlation' takes the place of the process's own.
-type meta() :: #{atom() | binary() => term()}.

-define(CORRELATION, '$remora_correlation').
-define(CORRELATION_MAX, 256). % bytes; the companion takes no more

%% @doc One line. Text is chardata.
-spec log(level(), unicode:chardata()) -> ok.
log(Level, Text) -> log(Level, Text, #{}).

-spec log(level(), unicode:chardata(), meta()) -> ok.
log(Level, Text, Meta) ->
    case logger:compare_levels(Level, level()) of
        lt -> ok;
        _ -> write(backend(), Level, Text, maps:merge(correlation_meta(), Meta))
    end.

-spec debug(unicode:chardata()) -> ok.
debug(Text) -> log(debug, Text).
-spec info(unicode:chardata()) -> ok.
info(Text) -> log(info, Text).
-spec notice(unicode:chardata()) -> ok.
notice(Text) -> log(notice, Text).
-spec warning(unicode:chardata()) -> ok.
warning(Text) -> log(warning, Text).
-spec error(unicode:chardata()) -> ok.
error(Text) -> log(error, Text).

write(logger, Level, Text, Meta) ->
    {Atoms, Fields} = fields(Meta),
    logger:log(Level, "~ts", [Text], Atoms#{domain => [remora], fields => Fields});
write(console, Level, Text, Meta) ->
    Values = [io_lib:format(" ~ts=~ts", [Key, printed(Value)]) || {Key, Value} <- lists:sort(maps:to_list(Meta))],
    Time = calendar:system_time_to_rfc3339(erlang:system_time(millisecond), [{unit, millisecond}, {offset, "Z"}]),
    io:format(standard_error, "~ts ~ts ~ts~ts~n", [Time, Level, Text, Values]).

%% logger's metadata has atoms as keys; nothing becomes one here.
fields(Meta) ->
    {maps:filter(fun(Key, _) -> is_atom(Key) end, Meta), maps:filter(fun(Key, _) -> is_binary(Key) end, Meta)}.

printed(Text) when is_binary(Text) ->
    case unicode:characters_to_binary(Text) of
        Text -> Text;
        _ -> io_lib:format("~0tp", [Text])
    end;
printed(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
printed(Value) -> io_lib:format("~0tp", [Value]).

%% @doc Lines below it are left out, here; `debug' at first: what of it is shown is up to logger.
-spec set_level(level()) -> ok.
set_level(Level) -> persistent_term:put({?MODULE, level}, Level).

-spec level() -> level().
level() -> persistent_term:get({?MODULE, level}, debug).

-spec set_backend(console | logger) -> ok.
set_backend(Backend) when Backend =:= console; Backend =:= logger -> persistent_term:put({?MODULE, backend}, Backend).

-spec backend() -> console | logger.
backend() -> persistent_term:get({?MODULE, backend}, logger).

%% ---- correlation ------------------------------------------------------------------------------------------------------

%% @doc 128 bits in hexadecimal digits, from `rand', or as {@link remora_settings:set_use_crypto_ids/1} says.
-spec generate_correlation_id() -> binary().
generate_correlation_id() ->
    Bytes = case remora_settings:is_use_crypto_ids() of
                true -> crypto:strong_rand_bytes(16);
                false -> rand:bytes(16)
            end,
    << <<(hex(N))>> || <<N:4>> <= Bytes >>.

hex(N) when N < 10 -> $0 + N;
hex(N) -> $a + N - 10.

%% @doc Of the calling process.
-spec correlation() -> binary() | undefined.
correlation() -> get(?CORRELATION).

%% @doc At most 256 bytes of it are kept.
-spec set_correlation(binary() | undefined) -> ok.
set_correlation(undefined) -> _ = erase(?CORRELATION), ok;
set_correlation(Id) when is_binary(Id) ->
    _ = put(?CORRELATION, binary:part(Id, 0, min(byte_size(Id), ?CORRELATION_MAX))),
    ok.

%% @doc While Fun runs; then what it was before.
-spec with_correlation(binary(), fun(() -> Result)) -> Result.
with_correlation(Id, Fun) ->
    Before = correlation(),
    set_correlation(Id),
    try Fun()
    after set_correlation(Before)
    end.

%% @private `#{correlation => Id}', or nothing.
-spec correlation_meta() -> #{correlation => binary()}.
correlation_meta() ->
    case correlation() of
        undefined -> #{};
        Id -> #{correlation => Id}
    end.

%% ---- the shim's own ---------------------------------------------------------------------------------------------------

%% @private
-spec own(level(), io:format(), [term()]) -> ok.
own(Level, Format, Args) -> logger:log(Level, Format, Args, #{domain => [remora]}).

%% @private A line of the program: level, metadata and text. What is no JSON object is a text of itself: the program
%% writes none, but the system's loader may.
-spec of_companion(binary()) -> {level(), logger:metadata(), binary()}.
of_companion(Line) ->
    case remora_json:decode(Line) of
        {ok, #{<<"text">> := Text, <<"event">> := Event} = Object} when is_binary(Text) ->
            Fields = maps:without([<<"time">>, <<"level">>, <<"event">>, <<"text">>], Object),
            Meta = maps:merge(time(Object), of_fields(Fields)),
            {level_of(Object), Meta#{domain => [remora], event => Event, fields => Fields}, Text};
        _ ->
            {notice, #{domain => [remora], event => <<"output">>, fields => #{}}, valid(Line)}
    end.

of_fields(#{<<"correlation">> := Id}) -> #{correlation => Id};
of_fields(_) -> #{}.

%% Seconds as text; logger has microseconds.
time(#{<<"time">> := Text}) when is_binary(Text) ->
    try #{time => round(binary_to_float(Text) * 1_000_000)}
    catch error:badarg -> #{}
    end;
time(_) -> #{}.

level_of(#{<<"level">> := <<"debug">>}) -> debug;
level_of(#{<<"level">> := <<"info">>}) -> info;
level_of(#{<<"level">> := <<"warning">>}) -> warning;
level_of(#{<<"level">> := <<"error">>}) -> error;
level_of(_) -> notice.

valid(Line) ->
    case unicode:characters_to_binary(Line) of
        Valid when is_binary(Valid) -> Valid;
        _ -> unicode:characters_to_binary(Line, latin1)
    end.
