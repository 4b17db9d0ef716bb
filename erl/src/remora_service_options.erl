%%% @doc What membership and election may be given, in the companion's form: text as binaries, nodes by their names.
%%% {@link remora_membership} and {@link remora_election} say what each option means; whether a value is right among the
%%% others is for the companion to judge, whose answer has the same form.
%%% @private
-module(remora_service_options).

-export([check/2, problem/2]).

-export_type([service/0, problem/0]).

-type service() :: membership | election.
-type problem() :: {membership_option | election_option, Key :: term(), Text :: binary()}.

-define(SHOWN_DEPTH, 12).
-define(NODE_MAX, 255).

-spec check(service(), term()) -> {ok, map()} | {error, problem()}.
check(Service, Given) when is_map(Given) ->
    try {ok, maps:map(fun(Key, Value) -> option(Service, Key, Value) end, Given)}
    catch throw:{?MODULE, Key, Text} -> {error, {tag(Service), Key, unicode:characters_to_binary(Text)}}
    end;
check(Service, _) -> {error, {tag(Service), Service, <<"it is no map">>}}.

%% @doc The companion's word for it.
-spec problem(service(), term()) -> term().
problem(Service, {option, Key, Text}) when is_atom(Key), is_binary(Text) -> {tag(Service), Key, Text};
problem(_, Reason) -> Reason.

tag(membership) -> membership_option;
tag(election) -> election_option.

option(membership, Key, Value) when Key =:= interval; Key =:= sync_interval -> positive(Key, Value);
option(membership, Key, Value) when Key =:= probe_timeout; Key =:= suspicion_min; Key =:= indirect_probes -> number(Key, Value);
option(membership, suspicion_max_factor, Value) -> positive(suspicion_max_factor, Value);
option(membership, expel, Value) when Value =:= never; Value =:= dead -> Value;
option(membership, expel, Value) -> not_right(expel, Value, "never or dead");
option(membership, port, Value) when is_integer(Value), Value >= 0, Value =< 65535 -> Value;
option(membership, port, Value) -> not_right(port, Value, "0 to 65535; 0 is the number of the distribution's port");
option(membership, Key, Value) when Key =:= address; Key =:= key_file -> text(Key, Value);
option(membership, metadata, Value) -> metadata(Value);
option(election, Key, Value) when Key =:= heartbeat; Key =:= election_min; Key =:= election_max; Key =:= name_lease ->
    positive(Key, Value);
option(election, Key, Value) when Key =:= lease; Key =:= priority; Key =:= bootstrap_expect -> number(Key, Value);
option(election, voters, Nodes) when is_list(Nodes) -> [node_name(Node) || Node <- Nodes];
option(election, voters, Value) -> not_right(voters, Value, "a list of companions, NAME@HOST each");
option(election, observer, Value) when is_boolean(Value) -> Value;
option(election, observer, Value) -> not_right(observer, Value, "true or false");
option(election, state_dir, Value) -> text(state_dir, Value);
option(membership, Key, _) ->
    wrong(Key, "there is no such option; there are interval, probe_timeout, indirect_probes, suspicion_min, "
          "suspicion_max_factor, sync_interval, expel, port, address, key_file and metadata");
option(election, Key, _) ->
    wrong(Key, "there is no such option; there are heartbeat, election_min, election_max, lease, name_lease, priority, "
          "voters, bootstrap_expect, observer and state_dir").

positive(_, Value) when is_integer(Value), Value > 0 -> Value;
positive(Key, Value) -> not_right(Key, Value, "a number, 1 or more").

number(_, Value) when is_integer(Value), Value >= 0 -> Value;
number(Key, Value) -> not_right(Key, Value, "a number, 0 or more").

text(Key, Value) ->
    case chars(Value) of
        {ok, <<_, _/binary>> = Text} -> Text;
        _ -> not_right(Key, Value, "text")
    end.

metadata(Given) ->
    case remora_membership:check_metadata(Given) of
        {ok, Metadata} -> Metadata;
        {error, badarg} -> not_right(metadata, Given, "a map of text to text");
        {error, {metadata_too_large, Bytes, Max}} ->
            wrong(metadata, io_lib:format("it takes ~b bytes, and at most ~b can be told to the others", [Bytes, Max]))
    end.

node_name(Node) when is_atom(Node) -> node_name(atom_to_binary(Node));
node_name(Node) ->
    case chars(Node) of
        {ok, Text} when byte_size(Text) =< ?NODE_MAX ->
            case binary:split(Text, <<"@">>, [global]) of
                [<<_, _/binary>>, <<_, _/binary>>] -> Text;
                _ -> not_right(voters, Node, "NAME@HOST")
            end;
        _ -> not_right(voters, Node, "NAME@HOST")
    end.

chars(Given) when is_binary(Given); is_list(Given) ->
    try unicode:characters_to_binary(Given) of
        Text when is_binary(Text) -> {ok, Text};
        _ -> error
    catch error:badarg -> error
    end;
chars(_) -> error.

-spec not_right(atom(), term(), unicode:chardata()) -> no_return().
not_right(Key, Value, Right) -> wrong(Key, io_lib:format("it is ~0tP, and should be ~ts", [Value, ?SHOWN_DEPTH, Right])).

-spec wrong(term(), unicode:chardata()) -> no_return().
wrong(Key, Text) -> throw({?MODULE, Key, Text}).
