%%% @doc What discovery may be given, checked, and as the companion's door wants it. {@link remora_discovery} says what
%%% each option means.
%%%
%%% What has the wrong shape is refused here, before anything runs, with the list of what is right; what only the
%%% companion can judge (is this an address of a group? a name that can be asked for?) it refuses in the same form.
%%%
%%% Secrets are sealed as soon as they are given: kept in a fun, which prints as one, so that no crash report, no
%%% supervisor's report and no error has them. They are opened where the request to the companion is made.
%%% @private
-module(remora_discovery_options).

-export([seal/1, check/1, request/1, without_functions/1, listed/1]).

-export_type([given/0, source/0, functions/0, checked/0, problem/0, secret/0]).

-type text() :: unicode:chardata().
-type secret() :: text() | fun(() -> text()) | {file, file:name_all()} | {env, string()}.
-type source() :: local_epmd
                | {nodes, [node() | text()]}
                | {epmd, Hosts :: [text()]}
                | {dns, Basename :: text(), Hostname :: text()}
                | {dns_srv, Basename :: text(), Service :: text()}
                | {kubernetes, #{namespace := text(), basename => text(), selector => text(), service => text(),
                                 addressing => ip | pod | hostname, domain => text(), server => text(),
                                 token_file => file:name_all(), ca_file => file:name_all()}}
                | {kubernetes_dns, #{namespace := text(), service := text(), basename => text(), domain => text()}}
                | {multicast, #{group := text(), port := inet:port_number(), secret := secret(), interface => text()}}
                | {hosts_file, file:name_all()}
                | {file, file:name_all()}
                | {custom, fun(() -> term()) | functions()}.
-type functions() :: #{discover := fun(() -> {ok, [node() | text()]} | {error, Why :: term()}),
                       connect => fun((node()) -> ok | {error, Why :: term()}),
                       disconnect => fun((node()) -> ok | {error, Why :: term()}),
                       list => fun(() -> {ok, [node() | text()]} | {error, Why :: term()})}.
-type given() :: #{sources => [source()],
                   side => app | companion | both,
                   poll_interval => non_neg_integer(),
                   poll_jitter => number(),
                   grace => pos_integer(),
                   keep_missing_nodes => boolean(),
                   dial_limit => pos_integer(),
                   dial_timeout => pos_integer(),
                   backoff_min => pos_integer(),
                   backoff_max => pos_integer(),
                   ask_timeout => pos_integer(),
                   dns_servers => [text()]}.
%% Options as the door takes them, but for secrets; the user's functions; and what the front itself goes by.
-type checked() :: #{options := map(),
                     functions := functions() | #{},
                     dial_limit := pos_integer(),
                     dial_timeout := pos_integer(),
                     ask_timeout := pos_integer()}.
-type problem() :: {discovery_option, Key :: term(), Text :: binary()}.

%% What the companion takes where nothing is said (cnode/discovery/types.hpp); the front keeps to the same.
-define(DIAL_LIMIT, 64).
-define(DIAL_TIMEOUT_MS, 7_000).
-define(ASK_TIMEOUT_MS, 5_000).

-define(SOURCES_MAX, 16).
-define(NODE_MAX, 255). % characters of an atom
-define(SHOWN_DEPTH, 12).

%% ---- secrets --------------------------------------------------------------------------------------------------------

%% @doc Takes secrets out of sight; for what is kept between a child_spec and its start. Anything else stays as it is.
-spec seal(term()) -> term().
seal(#{sources := Sources} = Given) when is_list(Sources) ->
    try Given#{sources := [seal_source(Source) || Source <- Sources]}
    catch error:_ -> Given % an improper list
    end;
seal(Given) -> Given.

seal_source({multicast, #{secret := Secret} = Map}) when is_binary(Secret); is_list(Secret) ->
    {multicast, Map#{secret := fun() -> Secret end}};
seal_source(Source) -> Source.

%% Read once, when discovery starts.
open_secret(Secret) when is_function(Secret, 0) -> open_text(fun() -> {ok, Secret()} end);
open_secret({file, Path}) -> open_text(fun() -> first_line(file:read_file(Path)) end);
open_secret({env, Name}) ->
    open_text(fun() ->
                  case os:getenv(Name) of
                      false -> {error, unset};
                      Value -> {ok, Value}
                  end
              end);
open_secret(_) -> error.

first_line({ok, Text}) -> {ok, hd(binary:split(Text, [<<"\r">>, <<"\n">>]))};
first_line({error, _} = Error) -> Error.

open_text(Read) ->
    try
        {ok, Text} = Read(),
        <<_, _/binary>> = Secret = unicode:characters_to_binary(Text),
        {ok, fun() -> Secret end}
    catch _:_ -> error % not why: it may have the secret
    end.

%% ---- check ----------------------------------------------------------------------------------------------------------

-spec check(term()) -> {ok, checked()} | {error, problem()}.
check(Given) when is_map(Given) ->
    try
        Options = maps:map(fun option/2, Given),
        {ok, checked(Options, functions(Options))}
    catch throw:{?MODULE, Key, Text} -> {error, {discovery_option, Key, unicode:characters_to_binary(Text)}}
    end;
check(_) -> {error, {discovery_option, discovery, <<"it is no map">>}}.

checked(Options, Functions) ->
    #{options => with_side(Options, Functions),
      functions => Functions,
      dial_limit => maps:get(dial_limit, Options, ?DIAL_LIMIT),
      dial_timeout => maps:get(dial_timeout, Options, ?DIAL_TIMEOUT_MS),
      ask_timeout => maps:get(ask_timeout, Options, ?ASK_TIMEOUT_MS)}.

%% The companion cannot connect by functions of this VM, and shall not beside them.
with_side(Options, Functions) ->
    case {map_size(maps:without([discover], Functions)), Options} of
        {0, _} -> Options;
        {_, #{side := Side}} when Side =/= app ->
            wrong(side, ["it is ", shown(Side), ", but a custom source has functions of its own to connect with, which are "
                         "for the side app"]);
        _ -> Options#{side => app}
    end.

functions(#{sources := Sources}) ->
    case [Functions || {custom, Functions} <- Sources] of
        [] -> #{};
        [Functions] -> Functions;
        _ -> wrong(sources, "there is more than one custom source; one function may find the nodes of several")
    end;
functions(_) -> #{}.

option(sources, Sources) when is_list(Sources), length(Sources) =< ?SOURCES_MAX ->
    [source(Source) || Source <- Sources];
option(sources, Sources) when is_list(Sources) ->
    wrong(sources, ["there are ", integer_to_list(length(Sources)), ", and at most ", integer_to_list(?SOURCES_MAX),
                    " can be combined"]);
option(sources, _) -> wrong(sources, "it is no list of sources");
option(side, Side) when Side =:= app; Side =:= companion; Side =:= both -> Side;
option(side, Other) -> not_right(side, Other, "app, companion or both");
option(keep_missing_nodes, Keep) when is_boolean(Keep) -> Keep;
option(keep_missing_nodes, Other) -> not_right(keep_missing_nodes, Other, "true or false");
option(poll_jitter, Part) when is_number(Part), Part >= 0, Part =< 0.9 -> float(Part);
option(poll_jitter, Other) -> not_right(poll_jitter, Other, "a part of the poll interval, from 0.0 to 0.9");
option(dns_servers, Servers) when is_list(Servers) ->
    [text(dns_servers, Server, "a list of IP addresses, each with :PORT behind it or not") || Server <- Servers];
option(poll_interval, Ms) when is_integer(Ms), Ms >= 0 -> Ms;
option(poll_interval, Other) -> not_right(poll_interval, Other, "milliseconds, or 0 for no rounds but those asked for");
option(Key, Value) when Key =:= dial_timeout; Key =:= backoff_min; Key =:= backoff_max; Key =:= ask_timeout ->
    positive(Key, Value, "milliseconds, 1 or more");
option(Key, Value) when Key =:= grace; Key =:= dial_limit -> positive(Key, Value, "a number, 1 or more");
option(Key, _) ->
    wrong(Key, "there is no such option; there are sources, side, poll_interval, poll_jitter, grace, keep_missing_nodes, "
          "dial_limit, dial_timeout, backoff_min, backoff_max, ask_timeout and dns_servers").

positive(_, Value, _) when is_integer(Value), Value > 0 -> Value;
positive(Key, Value, Right) -> not_right(Key, Value, Right).

%% ---- sources --------------------------------------------------------------------------------------------------------

source(local_epmd) -> local_epmd;
source({nodes, Nodes}) when is_list(Nodes) -> {nodes, [node_name(nodes, Node) || Node <- Nodes]};
source({epmd, Hosts}) when is_list(Hosts) -> {epmd, [text(epmd, Host, "a list of hosts") || Host <- Hosts]};
source({dns, Basename, Hostname}) -> {dns, basename(dns, Basename), text(dns, Hostname, "{dns, Basename, Hostname}")};
source({dns_srv, Basename, Service}) ->
    {dns_srv, basename(dns_srv, Basename), text(dns_srv, Service, "{dns_srv, Basename, Service}")};
source({hosts_file, Path}) -> {hosts_file, path(hosts_file, Path)};
source({file, Path}) -> {file, path(file, Path)};
source({kubernetes, Map}) when is_map(Map) -> {kubernetes, fields(kubernetes, [namespace], Map)};
source({kubernetes_dns, Map}) when is_map(Map) -> {kubernetes_dns, fields(kubernetes_dns, [namespace, service], Map)};
source({multicast, Map}) when is_map(Map) -> {multicast, fields(multicast, [group, port, secret], Map)};
source({custom, Discover}) when is_function(Discover, 0) -> {custom, #{discover => Discover}};
source({custom, #{discover := _} = Functions}) ->
    _ = maps:map(fun(Key, Function) -> is_custom(Key, Function) orelse wrong_function(Key) end, Functions),
    {custom, Functions};
source(Source) ->
    wrong(sources, ["found ", kind(Source), " that is no source; there are local_epmd, {nodes, [Node]}, {epmd, [Host]}, "
                    "{dns, Basename, Hostname}, {dns_srv, Basename, Service}, {kubernetes, #{namespace := ..}}, "
                    "{kubernetes_dns, #{namespace := .., service := ..}}, {multicast, #{group := .., port := .., "
                    "secret := ..}}, {hosts_file, Path}, {file, Path} and {custom, Function}"]).

%% Not all of it: it may have a secret.
kind(Source) when is_tuple(Source), is_atom(element(1, Source)) -> ["{", shown(element(1, Source)), ", ..}"];
kind(Source) when is_atom(Source) -> shown(Source);
kind(_) -> "something".

is_custom(discover, Function) -> is_function(Function, 0);
is_custom(list, Function) -> is_function(Function, 0);
is_custom(connect, Function) -> is_function(Function, 1);
is_custom(disconnect, Function) -> is_function(Function, 1);
is_custom(_, _) -> false.

-spec wrong_function(term()) -> no_return().
wrong_function(Key) ->
    wrong(custom, [shown(Key), " is none of its functions; they are discover/0, connect/1, disconnect/1 and list/0"]).

fields(Kind, Needed, Map) ->
    case [Key || Key <- Needed, not is_map_key(Key, Map)] of
        [] -> with_basename(Kind, maps:map(fun(Key, Value) -> field(Kind, Key, Value) end, Map));
        [Missing | _] -> wrong(Kind, [shown(Missing), " is missing"])
    end.

with_basename(multicast, Map) -> Map;
with_basename(_, Map) -> Map#{basename => maps:get(basename, Map, own_basename())}.

field(multicast, port, Port) when is_integer(Port), Port > 0, Port < 65536 -> Port;
field(multicast, port, Other) -> not_right(multicast, Other, "port => 1 to 65535");
field(multicast, secret, Secret) when is_binary(Secret); is_list(Secret) ->
    field(multicast, secret, fun() -> Secret end);
field(multicast, secret, Secret) ->
    case open_secret(Secret) of
        {ok, Sealed} -> Sealed;
        error ->
            wrong(multicast, ["there is no secret in what was given", where(Secret), "; a secret is text, a function that "
                              "gives it, {file, Path} or {env, Name}"])
    end;
field(kubernetes, addressing, How) when How =:= ip; How =:= pod; How =:= hostname -> How;
field(kubernetes, addressing, Other) -> not_right(kubernetes, Other, "addressing => ip, pod or hostname");
field(kubernetes, Key, Path) when Key =:= token_file; Key =:= ca_file -> path(kubernetes, Path);
field(Kind, basename, Text) when Kind =/= multicast -> basename(Kind, Text);
field(Kind, Key, Text) ->
    case lists:member(Key, text_fields(Kind)) of
        true -> text(Kind, Text, [shown(Key), " => Text"]);
        false -> wrong(Kind, ["it has no ", shown(Key), "; see the type source() of remora_discovery"])
    end.

where({file, Path}) -> [", the file ", shown(Path)];
where({env, Name}) -> [", the environment variable ", shown(Name)];
where(_) -> "".

text_fields(kubernetes) -> [namespace, selector, service, domain, server];
text_fields(kubernetes_dns) -> [namespace, service, domain];
text_fields(multicast) -> [group, interface].

%% Empty: that of this VM.
basename(Kind, Given) ->
    case chars(Given) of
        {ok, <<>>} -> own_basename();
        {ok, Text} -> Text;
        error -> wrong(Kind, "its basename is no text")
    end.

own_basename() -> hd(binary:split(atom_to_binary(node()), <<"@">>)).

path(Kind, Given) -> text(Kind, Given, "a path").

text(Kind, Given, Right) ->
    case chars(Given) of
        {ok, <<_, _/binary>> = Text} -> Text;
        _ -> wrong(Kind, ["it is ", Right])
    end.

chars(Given) when is_binary(Given); is_list(Given) ->
    try unicode:characters_to_binary(Given) of
        Text when is_binary(Text) -> {ok, Text};
        _ -> error
    catch error:badarg -> error
    end;
chars(_) -> error.

node_name(Kind, Node) ->
    case as_node(Node) of
        {ok, Text} -> Text;
        error -> wrong(Kind, ["found ", shown(Node), ", which is no NAME@HOST of at most ", integer_to_list(?NODE_MAX),
                              " characters"])
    end.

as_node(Node) when is_atom(Node) -> as_node(atom_to_binary(Node));
as_node(Node) ->
    case chars(Node) of
        {ok, Text} ->
            case binary:split(Text, <<"@">>, [global]) of
                [<<_, _/binary>>, <<_, _/binary>>] when byte_size(Text) =< 4 * ?NODE_MAX ->
                    case string:length(Text) =< ?NODE_MAX of
                        true -> {ok, Text};
                        false -> error
                    end;
                _ -> error
            end;
        error -> error
    end.

-spec not_right(atom(), term(), unicode:chardata()) -> no_return().
not_right(Key, Value, Right) -> wrong(Key, ["it is ", shown(Value), ", and should be ", Right]).

-spec wrong(atom(), unicode:chardata()) -> no_return().
wrong(Key, Text) -> throw({?MODULE, Key, Text}).

shown(Term) -> io_lib:format("~0tP", [Term, ?SHOWN_DEPTH]).

%% ---- for the door ---------------------------------------------------------------------------------------------------

%% @doc Everything that the companion is told; secrets are open in it.
-spec request(checked()) -> map().
request(#{options := #{sources := Sources} = Options}) ->
    Options#{sources := [request_source(Source) || Source <- Sources]};
request(#{options := Options}) -> Options.

request_source({custom, _}) -> custom;
request_source({multicast, #{secret := Secret} = Map}) -> {multicast, Map#{secret := Secret()}};
request_source(Source) -> Source.

%% @doc Without the custom source: what the companion can do alone.
-spec without_functions(checked()) -> checked().
without_functions(#{options := #{sources := Sources} = Options} = Checked) ->
    Checked#{options := Options#{sources := [S || S <- Sources, element(1, tuple(S)) =/= custom]}, functions := #{}};
without_functions(Checked) -> Checked.

tuple(Source) when is_tuple(Source) -> Source;
tuple(Source) -> {Source}.

%% @doc What a function of the user says that there is, as text; the sentence why it is of no use.
-spec listed(term()) -> {ok, [binary()]} | {error, binary()}.
listed({ok, Nodes}) when is_list(Nodes) ->
    try
        {ok, lists:usort([node_name(custom, Node) || Node <- Nodes])}
    catch
        throw:{?MODULE, _, Text} -> {error, unicode:characters_to_binary(["the function ", Text])};
        error:_ -> {error, <<"the function gave no proper list">>}
    end;
listed({error, Why}) -> {error, why(Why)};
listed(_) -> {error, <<"the function gave neither {ok, [Node]} nor {error, Why}">>}.

why(Why) ->
    case chars(Why) of
        {ok, <<_, _/binary>> = Text} -> Text;
        _ -> unicode:characters_to_binary(shown(Why))
    end.
