%%% @doc Discovery as Gleam's `remora' sees it: what remora_ffi is for the rest. Its builder's sources and settings are
%%% constructors that are nearly remora_discovery's options already; errors and events are told in Gleam's.
%%% @private
-module(remora_discovery_ffi).

-export([options/2, run_once/2, refresh/1, pause/1, resume/1, status/0, event/1]).

-type text() :: binary().
-type option(T) :: {some, T} | none.

%% ---- options ----------------------------------------------------------------------------------------------------------

%% The first setting of a kind counts.
-spec options([term()], [term()]) -> remora_discovery:options().
options(Sources, Settings) ->
    Of = fun(Kind) -> lists:reverse([Setting || {K, Setting} <- Settings, K =:= Kind]) end,
    Kubernetes = maps:from_list(Of(of_kubernetes)),
    Interface = [{interface, Name} || Name <- Of(multicast_interface)],
    Plain = [Pair || {Kind, _} = Pair <- lists:reverse(Settings), Kind =/= of_kubernetes, Kind =/= multicast_interface],
    (maps:from_list(Plain))#{sources => [source(Source, Kubernetes, maps:from_list(Interface)) || Source <- Sources]}.

source({kubernetes, Namespace, Given}, Settings, _) ->
    Map = maps:merge(maps:from_list(Given), Settings),
    {kubernetes, without_empty(selector, Map#{namespace => Namespace})};
source({kubernetes_dns, Basename, Namespace, Service}, Settings, _) ->
    Map = #{basename => Basename, namespace => Namespace, service => Service},
    {kubernetes_dns, maps:merge(Map, maps:with([domain], Settings))};
source({multicast, Group, Port, Secret}, _, Interface) ->
    {multicast, Interface#{group => Group, port => Port, secret => Secret}};
source({custom, Discover, Connect, Disconnect, List}, _, _) ->
    Given = [{connect, of_node(Run)} || {some, Run} <- [Connect]] ++ [{disconnect, of_node(Run)} || {some, Run} <- [Disconnect]]
        ++ [{list, Run} || {some, Run} <- [List]],
    {custom, maps:from_list([{discover, Discover} | Given])};
source(Source, _, _) -> Source.

without_empty(Key, Map) ->
    case Map of
        #{Key := <<>>} -> maps:remove(Key, Map);
        #{} -> Map
    end.

%% The reason is a word, and an atom only if it is one already.
of_node(Run) ->
    fun(Node) ->
        case Run(atom_to_binary(Node)) of
            {ok, _} -> ok;
            {error, Word} ->
                case remora_atoms:existing(Word) of
                    {ok, Reason} -> {error, Reason};
                    {error, _} -> {error, Word}
                end
        end
    end.

%% ---- requests ---------------------------------------------------------------------------------------------------------

-spec run_once([term()], [term()]) -> {ok, [text()]} | {error, term()}.
run_once(Sources, Settings) -> result(remora_discovery:run_once(options(Sources, Settings))).

%% `none': remora was started without sources.
-spec refresh(integer()) -> {ok, option([text()])} | {error, term()}.
refresh(Ms) ->
    case remora_discovery:refresh(max(0, Ms)) of
        {error, not_configured} -> {ok, none};
        Result ->
            case result(Result) of
                {ok, Nodes} -> {ok, {some, Nodes}};
                Error -> Error
            end
    end.

-spec pause(integer()) -> {ok, nil} | {error, term()}.
pause(Ms) -> done(remora_discovery:pause(max(0, Ms))).

-spec resume(integer()) -> {ok, nil} | {error, term()}.
resume(Ms) -> done(remora_discovery:resume(max(0, Ms))).

done(ok) -> {ok, nil};
done({error, not_configured}) -> {ok, nil};
done({error, _} = Error) -> result(Error).

result({ok, Nodes}) -> {ok, [text(Node) || Node <- Nodes]};
result({error, Reason}) -> {error, refresh_error(Reason)}.

refresh_error({discovery_failed, Failures}) ->
    {discovery_failed, [{Source, discovery_error(Source, Cause, Text)} || {Source, Cause, Text} <- Failures]};
refresh_error({connect_failed, Nodes}) ->
    {connect_failed, [{text(Node), connect_error(text(Node), Reason)} || {Node, Reason} <- Nodes]};
refresh_error({disconnect_failed, Nodes}) ->
    {disconnect_failed, [{text(Node), disconnect_error(text(Node), Reason)} || {Node, Reason} <- Nodes]};
refresh_error({discovery_option, Key, Text}) -> {invalid_source, text(Key), Text};
refresh_error(paused) -> discovery_paused;
refresh_error(timeout) -> refresh_timeout;
refresh_error(not_running) -> not_running;
refresh_error(Reason) -> {refresh_refused, text(Reason)}.

connect_error(Node, timeout) -> {connect_timeout, Node};
connect_error(Node, bad_name) -> {invalid_node, Node};
connect_error(Node, no_such_atom) -> {no_such_atom, Node};
connect_error(Node, Reason) -> {not_reached, Node, text(Reason)}.

disconnect_error(Node, not_connected) -> {not_connected, Node};
disconnect_error(Node, timeout) -> {disconnect_timeout, Node};
disconnect_error(Node, Reason) -> {not_disconnected, Node, text(Reason)}.

-spec status() -> {ok, tuple()} | {error, status_not_running | status_timeout}.
status() ->
    case remora_discovery:status() of
        {ok, #{state := State, next_round_ms := Next, sources := Sources, nodes := Nodes}} ->
            {ok, {discovery_status, state(State, Sources), ms(Next), [source_status(Source) || Source <- Sources],
                  [{node_status, text(Node), side_link(Companion), side_link(App)}
                   || #{node := Node, companion := Companion, app := App} <- Nodes]}};
        {error, timeout} -> {error, status_timeout};
        {error, _} -> {error, status_not_running}
    end.

state(paused, _) -> resting;
state(stopped, _) -> ended;
state(running, [_ | _]) -> discovering;
state(_, _) -> not_discovering.

ms(undefined) -> none;
ms(Ms) -> {some, Ms}.

source_status(#{source := Source, nodes := Count, answered := Answered, trouble := undefined}) ->
    {source_status, Source, Count, Answered, none};
source_status(#{source := Source, nodes := Count, answered := Answered, trouble := {Cause, Text}}) ->
    {source_status, Source, Count, Answered, {some, discovery_error(Source, Cause, Text)}}.

side_link(undefined) -> not_wanted;
side_link(#{up := true}) -> connected;
side_link(#{dialling := true, failures := Failures}) -> {connecting, Failures};
side_link(#{failures := Failures, reason := Reason, next_ms := Next}) -> {waiting, Failures, text(Reason), ms(Next)}.

%% ---- what goes wrong with a source ------------------------------------------------------------------------------------

%% The source is described as cnode/discovery does it: its kind, then what is asked.
discovery_error(Source, Cause, Text) ->
    [Kind | Rest] = binary:split(Source, <<" ">>),
    What = iolist_to_binary(Rest),
    case family(Kind) of
        dns -> {dns_failed, lookup_error(Cause, Text)};
        epmd -> {epmd_failed, epmd_error(Cause, What, Text)};
        file -> {file_failed, What, without_path(What, Text)};
        kubernetes -> {kubernetes_failed, {kubernetes_error(Cause), Text}};
        multicast -> {multicast_failed, Text};
        other -> {other_failure, Text}
    end.

%% The path stands beside it here.
without_path(Path, Text) ->
    case string:prefix(Text, <<"cannot read ", Path/binary, ": ">>) of
        nomatch -> Text;
        Rest -> Rest
    end.

family(<<"dns">>) -> dns;
family(<<"srv">>) -> dns;
family(<<"kubernetes-dns">>) -> dns;
family(<<"epmd">>) -> epmd;
family(<<"file">>) -> file;
family(<<"hosts-file">>) -> file;
family(<<"kubernetes">>) -> kubernetes;
family(<<"multicast">>) -> multicast;
family(_) -> other.

lookup_error(format_error, _) -> format_error;
lookup_error(query_error, _) -> query_format_error;
lookup_error(server_failure, _) -> server_failure;
lookup_error(no_such_name, _) -> no_such_domain;
lookup_error(timeout, _) -> timeout;
lookup_error(not_implemented, _) -> not_implemented;
lookup_error(refused, _) -> refused;
lookup_error(bad_version, _) -> bad_version;
lookup_error(network, Text) -> {posix_error, Text};
lookup_error(_, _) -> unknown.

epmd_error(unknown_host, Host, _) -> {unknown_host, Host};
epmd_error(no_epmd, Host, _) -> {no_epmd, Host, remora_lookup:epmd_port()};
epmd_error(not_epmd, Host, _) -> {not_epmd, Host, remora_lookup:epmd_port()};
epmd_error(_, Host, Text) -> {epmd_unreachable, Host, Text}.

kubernetes_error(unauthorized) -> unauthorized;
kubernetes_error(forbidden) -> forbidden;
kubernetes_error(server_error) -> server_error;
kubernetes_error(bad_answer) -> bad_answer;
kubernetes_error(too_large) -> answer_too_large;
kubernetes_error(timeout) -> api_timeout;
kubernetes_error(_) -> api_unreachable.

%% ---- events -----------------------------------------------------------------------------------------------------------

%% [] for what is not of discovery. `stopped' is of Erlang's remora_discovery:shutdown/1 alone: Gleam's Stopped is of all.
-spec event(term()) -> [term()].
event({refreshed, Result}) -> [{refreshed, result(Result)}];
event({connect_failed, Side, Node, Reason, Ms}) ->
    [{attempt_failed, text(Node), Side, connect_error(text(Node), Reason), Ms}];
event({dropped, Side, Node}) -> [{dropped, text(Node), Side}];
event({source_failed, Source, Cause, Text}) -> [{source_failed, Source, discovery_error(Source, Cause, Text)}];
event(paused) -> [paused];
event(resumed) -> [resumed];
event(_) -> [].

text(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
text(Text) when is_binary(Text) -> Text;
text(Term) -> unicode:characters_to_binary(io_lib:format("~0tP", [Term, 12])).
