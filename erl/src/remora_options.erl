%%% @doc The options of a start, checked, with what is left out filled in; and the command line that comes of them.
%%%
%%% <ul>
%%% <li>`companion': the node name of the companion, `<<"name@host">>' or an atom. Left out: that of this VM with
%%%     `_remora' after the name, so `app@h' has `app_remora@h'. One atom is made of it.</li>
%%% <li>`binary': `search', `{at, Path}' (see {@link remora_binary}) or `{managed_elsewhere, Node}': a companion that
%%%     somebody else runs. Options of the program have no effect then.</li>
%%% <li>`cookie_file': the program reads the cookie from there. Left out: it gets the one that this VM has for it.</li>
%%% <li>`visibility': `visible' (in `nodes()' of other nodes) or `hidden'.</li>
%%% <li>`pg_scopes': scopes of process groups beside `pg'.</li>
%%% <li>`log_level': what the companion says; `info'. What of it is shown is up to `logger'.</li>
%%% <li>`config': a TOML file for the program; `args': more of its command line, `remora run --help'.</li>
%%% <li>`start_timeout': ms until it must be there, 10,000. `call_timeout': ms for a call without its own, 5,000.</li>
%%% <li>`max_new_atoms': so many atoms may be made of strings, see {@link remora_atoms}. 0 leaves the setting.</li>
%%% <li>`restart_intensity': `{Restarts, Seconds}' of the supervisor, `{5, 10}'.</li>
%%% <li>`discovery': how other nodes are found and connected, see {@link remora_discovery}. Left out: they are not.</li>
%%% <li>`membership', `election': both are on from the first moment, with these options; see {@link remora_membership} and
%%%     {@link remora_election}. Left out: they are started by start_service/1, or by the program's own options.</li>
%%% </ul>
%%%
%%% What both nodes must have alike is taken from this VM, unless `args' say it: net_ticktime,
%%% prevent_overlapping_partitions, and the address that the distribution listens on.
-module(remora_options).

-export([seal/1, check/1, arguments/1, wants_cookie/1]).

-export_type([given/0, options/0, problem/0]).

-type level() :: debug | info | notice | warning | error.
-type given() :: #{companion => binary() | node(),
                   binary => remora_binary:where() | {managed_elsewhere, binary() | node()},
                   cookie_file => file:name_all(),
                   visibility => visible | hidden,
                   pg_scopes => [atom()],
                   log_level => level(),
                   config => file:name_all(),
                   args => [unicode:chardata()],
                   start_timeout => pos_integer(),
                   call_timeout => pos_integer(),
                   max_new_atoms => non_neg_integer(),
                   restart_intensity => {non_neg_integer(), pos_integer()},
                   discovery => remora_discovery:options(),
                   membership => remora_membership:options(),
                   election => remora_election:options()}.
%% All of them but cookie_file, config, discovery, membership and election are there.
-type options() :: #{companion := node(),
                     binary := remora_binary:where() | {managed_elsewhere, node()},
                     cookie_file => file:name_all(),
                     visibility := visible | hidden,
                     pg_scopes := [atom()],
                     log_level := level(),
                     config => file:name_all(),
                     args := [unicode:chardata()],
                     start_timeout := pos_integer(),
                     call_timeout := pos_integer(),
                     max_new_atoms := non_neg_integer(),
                     restart_intensity := {non_neg_integer(), pos_integer()},
                     discovery => remora_discovery_options:checked(),
                     membership => map(),
                     election => map()}.
-type problem() :: not_distributed | {option, Key :: term(), Value :: term()} | remora_discovery_options:problem()
                 | remora_service_options:problem().

%% @doc Without a secret that a report could show.
-spec seal(given()) -> given().
seal(#{discovery := Discovery} = Given) -> Given#{discovery := remora_discovery_options:seal(Discovery)};
seal(Given) -> Given.

-spec check(given()) -> {ok, options()} | {error, problem()}.
check(Given) when is_map(Given) ->
    case {is_alive(), maps:fold(fun check/3, [], maps:without([discovery, membership, election], Given))} of
        {false, _} -> {error, not_distributed};
        {true, []} -> with_services([membership, election], maps:merge(defaults(), Given));
        {true, [{Key, Value} | _]} -> {error, {option, Key, Value}}
    end;
check(Other) -> {error, {option, options, Other}}.

with_services([], Given) -> with_discovery(Given);
with_services([Service | Others], Given) ->
    case Given of
        #{Service := Options} ->
            case remora_service_options:check(Service, Options) of
                {ok, Checked} -> with_services(Others, Given#{Service := Checked});
                {error, _} = Error -> Error
            end;
        #{} -> with_services(Others, Given)
    end.

with_discovery(#{discovery := Discovery} = Given) ->
    case remora_discovery_options:check(remora_discovery_options:seal(Discovery)) of
        {ok, Checked} -> complete(Given#{discovery := Checked});
        {error, _} = Error -> Error
    end;
with_discovery(Given) -> complete(Given).

defaults() ->
    #{binary => search, visibility => visible, pg_scopes => [], log_level => info, args => [],
      start_timeout => 10_000, call_timeout => 5_000, max_new_atoms => 0, restart_intensity => {5, 10}}.

check(Key, Value, Wrong) ->
    case is_right(Key, Value) of
        true -> Wrong;
        false -> [{Key, Value} | Wrong]
    end.

is_right(companion, Name) -> is_node_name(Name);
is_right(binary, search) -> true;
is_right(binary, {at, Path}) -> is_path(Path);
is_right(binary, {managed_elsewhere, Node}) -> is_node_name(Node);
is_right(cookie_file, Path) -> is_path(Path);
is_right(config, Path) -> is_path(Path);
is_right(visibility, V) -> V =:= visible orelse V =:= hidden;
is_right(pg_scopes, Scopes) -> is_list(Scopes) andalso lists:all(fun erlang:is_atom/1, Scopes);
is_right(log_level, Level) -> lists:member(Level, [debug, info, notice, warning, error]);
is_right(args, Args) -> is_list(Args) andalso lists:all(fun is_path/1, Args);
is_right(start_timeout, Ms) -> is_integer(Ms) andalso Ms > 0;
is_right(call_timeout, Ms) -> is_integer(Ms) andalso Ms > 0;
is_right(max_new_atoms, Max) -> is_integer(Max) andalso Max >= 0;
is_right(restart_intensity, {N, Seconds}) -> is_integer(N) andalso N >= 0 andalso is_integer(Seconds) andalso Seconds > 0;
is_right(_, _) -> false.

is_path(Path) ->
    try unicode:characters_to_binary(Path) of
        Text -> is_binary(Text) andalso Text =/= <<>>
    catch error:badarg -> false
    end.

%% NAME@HOST; without a host it is the VM's.
is_node_name(Node) when is_atom(Node) -> is_node_name(atom_to_binary(Node));
is_node_name(Name) when is_binary(Name) ->
    case string:split(Name, "@", all) of
        [Short] -> Short =/= <<>> andalso string:length(Name) =< 255;
        [Short, Host] -> Short =/= <<>> andalso Host =/= <<>> andalso string:length(Name) =< 255;
        _ -> false
    end;
is_node_name(_) -> false.

complete(#{binary := {managed_elsewhere, Name}} = Options) ->
    case full(Name) of
        {ok, Node} -> {ok, Options#{companion => Node, binary := {managed_elsewhere, Node}}};
        error -> {error, {option, binary, {managed_elsewhere, Name}}}
    end;
complete(Options) ->
    [Own, _Host] = string:split(atom_to_binary(node()), "@"),
    Name = maps:get(companion, Options, <<Own/binary, "_remora">>),
    case full(Name) of
        {ok, Node} -> {ok, Options#{companion => Node}};
        error -> {error, {option, companion, Name}}
    end.

%% With a host, and as an atom.
full(Node) when is_atom(Node) -> full(atom_to_binary(Node));
full(Name) ->
    [_, Host] = string:split(atom_to_binary(node()), "@"),
    Full = case binary:match(Name, <<"@">>) of
               nomatch -> <<Name/binary, "@", Host/binary>>;
               _ -> Name
           end,
    case is_node_name(Full) of
        true -> {ok, binary_to_atom(Full)};
        false -> error
    end.

%% @doc Of `remora run'. Nothing of it is secret.
-spec arguments(options()) -> [string() | binary()].
arguments(#{companion := Node, visibility := Visibility, pg_scopes := Scopes, log_level := Level} = Options) ->
    Args = [unicode:characters_to_binary(Arg) || Arg <- maps:get(args, Options)],
    ["run", "--name", atom_to_binary(Node), "--lifeline", "stdin", "--log-format", "json",
     "--log-level", atom_to_list(Level)]
        ++ ["--hidden" || Visibility =:= hidden]
        ++ lists:append([["--pg-scope", atom_to_binary(Scope)] || Scope <- Scopes])
        ++ ["--cookie-file", maps:get(cookie_file, Options, "-")]
        ++ lists:append([["--config", Path] || {ok, Path} <- [maps:find(config, Options)]])
        ++ lists:append([Pair || [Flag, _] = Pair <- like_this_vm(), not lists:member(list_to_binary(Flag), Args)])
        ++ Args.

%% @doc Does the program read the cookie from its standard input?
-spec wants_cookie(options()) -> boolean().
wants_cookie(Options) -> not maps:is_key(cookie_file, Options).

%% Unless args say otherwise.
like_this_vm() -> tick_time() ++ partitions() ++ interface().

tick_time() ->
    case net_kernel:get_net_ticktime() of
        60 -> []; % the default of both
        Seconds when is_integer(Seconds) -> [["--net-ticktime", integer_to_list(Seconds)]];
        {ongoing_change_to, Seconds} -> [["--net-ticktime", integer_to_list(Seconds)]];
        ignored -> []
    end.

partitions() ->
    case application:get_env(kernel, prevent_overlapping_partitions) of
        {ok, false} -> [["--prevent-overlapping-partitions", "false"]];
        _ -> []
    end.

interface() ->
    case application:get_env(kernel, inet_dist_use_interface) of
        {ok, Address} when is_tuple(Address) ->
            case inet:ntoa(Address) of
                {error, einval} -> [];
                Text -> [["--listen", Text]]
            end;
        _ -> []
    end.
