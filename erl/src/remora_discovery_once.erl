%%% @doc One round of discovery, in the process that wants it: the companion does it, but for functions of the user, which
%%% are called here.
%%%
%%% A custom source that only finds nodes: they are found here, and given to the companion as a list beside the other
%%% sources. One that connects too has nothing for the companion to do: the whole round is here.
%%% @private
-module(remora_discovery_once).

-export([run/2]).

-spec run(remora_discovery:options(), timeout() | default) -> remora_discovery:result() | {error, term()}.
run(Given, Within) ->
    case remora_discovery_options:check(remora_discovery_options:seal(Given)) of
        {ok, Checked} -> round(Checked, remora_door:deadline(within(Within, Checked)));
        {error, _} = Error -> Error
    end.

%% A round asks and dials; the companion keeps to both limits.
within(default, #{ask_timeout := Ask, dial_timeout := Dial}) -> Ask + Dial + remora_state:call_timeout();
within(Within, _) -> Within.

round(#{functions := Functions} = Checked, Deadline) when map_size(Functions) =:= 0 -> by_companion(Checked, Deadline);
round(#{functions := #{discover := Discover} = Functions, options := #{sources := Sources}} = Checked, Deadline) ->
    case {discover(Discover, Checked, Deadline), map_size(Functions), length(Sources)} of
        {{ok, Names}, 1, _} -> by_companion(with_nodes(Names, Checked), Deadline);
        {{ok, Names}, _, 1} -> here(Names, Checked, Deadline);
        {{error, Text}, 1, Count} when Count > 1 ->
            beside(failed(Text), by_companion(remora_discovery_options:without_functions(Checked), Deadline));
        {{error, Text}, _, _} -> {error, {discovery_failed, [failed(Text)]}};
        _ ->
            {error, {discovery_option, sources,
                     <<"one round with functions that connect takes no other source beside the custom one">>}}
    end.

failed(Text) -> {<<"custom">>, by_app, Text}.

beside(Failure, {error, {discovery_failed, Failures}}) -> {error, {discovery_failed, [Failure | Failures]}};
beside(_, {error, Reason}) when is_atom(Reason) -> {error, Reason}; % no round was made
beside(Failure, _) -> {error, {discovery_failed, [Failure]}}.

by_companion(Checked, Deadline) ->
    Request = remora_door:discover_once(remora_discovery_options:request(Checked)),
    Ask = fun() -> remora_door:call(Request, remora_door:left(Deadline)) end,
    case remora_discovery_front:stand_in(Checked, Ask) of
        {ok, {error, {option, Key, Text}}} -> {error, {discovery_option, Key, Text}};
        {ok, Answer} -> remora_discovery:tidy(Answer);
        {error, _} = Error -> Error
    end.

%% One list with those that stand there: the companion refuses the same source twice.
with_nodes(Names, Checked) ->
    #{options := #{sources := Sources} = Options} = Without = remora_discovery_options:without_functions(Checked),
    {Lists, Others} = lists:partition(fun is_list_of_nodes/1, Sources),
    All = lists:usort(Names ++ lists:append([Nodes || {nodes, Nodes} <- Lists])),
    Without#{options := Options#{sources := [{nodes, All} | Others]}}.

is_list_of_nodes({nodes, _}) -> true;
is_list_of_nodes(_) -> false.

%% ---- functions of the user ----------------------------------------------------------------------------------------------

discover(Discover, #{ask_timeout := Ms}, Deadline) ->
    Limit = min(Ms, remora_door:left(Deadline)),
    case remora_lookup:await(remora_lookup:async(fun() -> safely(fun() -> remora_discovery_options:listed(Discover()) end) end),
                             Limit) of
        {ok, {returned, Listed}} -> Listed;
        {ok, {raised, Reason}} -> {error, text("the function raised: ~0tP", [Reason, 12])};
        error -> {error, text("the function did not answer within ~b ms", [Limit])}
    end.

%% All at once: who has several hundred nodes and a function that minds has a limit of its own.
here(Names, #{functions := Functions, dial_timeout := Ms}, Deadline) ->
    case connected(Functions) of
        {ok, There} ->
            Connect = maps:get(connect, Functions, fun remora_link:connect/1),
            Limit = remora_door:deadline(min(Ms, remora_door:left(Deadline))),
            Asked = [{Name, remora_lookup:async(fun() -> safely(fun() -> connect(Connect, Name) end) end)}
                     || Name <- Names -- [atom_to_binary(node()) | There]],
            result(Names, There, [{Name, ended(remora_lookup:await(One, remora_door:left(Limit)))} || {Name, One} <- Asked]);
        {error, Text} -> {error, {discovery_failed, [failed(Text)]}}
    end.

connected(#{list := List}) ->
    case safely(List) of
        {returned, Listed} -> remora_discovery_options:listed(Listed);
        {raised, Reason} -> {error, text("the function that lists raised: ~0tP", [Reason, 12])}
    end;
connected(_) -> {ok, [atom_to_binary(Node) || Node <- nodes(connected)]}.

connect(Connect, Name) ->
    case remora_atoms:to_atom(Name) of
        {ok, Node} -> Connect(Node);
        {error, Reason} -> {error, element(1, Reason)}
    end.

ended({ok, {returned, ok}}) -> ok;
ended({ok, {returned, {error, Reason}}}) -> Reason;
ended({ok, {returned, _}}) -> failed;
ended({ok, {raised, _}}) -> raised;
ended(error) -> timeout.

result(Names, There, Ended) ->
    case [{name(Name), Reason} || {Name, Reason} <- Ended, Reason =/= ok] of
        [] ->
            Up = There ++ [Name || {Name, ok} <- Ended],
            {ok, [Node || Name <- Names, lists:member(Name, Up), {ok, Node} <- [remora_atoms:existing(Name)]]};
        Failed -> {error, {connect_failed, Failed}}
    end.

name(Text) ->
    case remora_atoms:existing(Text) of
        {ok, Node} -> Node;
        {error, _} -> Text
    end.

safely(Fun) ->
    try {returned, Fun()}
    catch _:Reason -> {raised, Reason}
    end.

text(Format, Args) -> unicode:characters_to_binary(io_lib:format(Format, Args)).
