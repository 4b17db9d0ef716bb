%%% @doc The companion of this VM, as a child of an application's supervisor:
%%%
%%% ```
%%% init([]) -> {ok, {#{}, [remora_sup:child_spec(#{}) | Others]}}.
%%% '''
%%%
%%% One companion belongs to one VM, as epmd and net_kernel do; a second start is `{error, {already_started, Pid}}'.
%%%
%%%   remora_intents     what this VM wants of its companion, and who listens
%%%   remora_port        the program; none when it is managed elsewhere
%%%   remora_mirror      the copy that reads are answered from
%%%   remora_server      the connection, replay
%%%   remora_discovery   finding and connecting other nodes (remora_discovery_front)
%%%   remora_beat        says to the companion that this VM does not hang
%%%
%%% rest_for_one: a new program has a new stream and is told everything again; a crash of the mirror or the connection
%%% leaves the program running. All tables belong to the supervisor.
-module(remora_sup).
-behaviour(supervisor).

-export([start_link/1, child_spec/1, stop/0]).
-export([init/1]).

-export_type([start_error/0]).

-type start_error() :: remora_options:problem()
                     | remora_binary:problem()
                     | {membership, {no_socket, Text :: binary()}}
                     | {companion, {usage | name_taken | no_epmd | address_in_use | bad_address, Text :: binary()}}
                     | {companion, {exit_status, non_neg_integer(), LastText :: binary()}}
                     | {companion, {not_started, term()}}
                     | {companion, {timeout, Ms :: pos_integer()}}
                     | {companion, {cookie_mismatch | unreachable | no_door, node()}}
                     | {companion, {protocol, Found :: term(), Wanted :: pos_integer()}}
                     | {companion, {lost, node(), term()}}
                     | {already_started, pid()}.

-define(STOP_MS, 20_000).

%% @doc Returns when the companion answers and reads are answered. The error is for {@link remora_error:format/1}; it
%% is no exit, also for a caller that does not trap exits.
-spec start_link(remora_options:given()) -> {ok, pid()} | {error, start_error()}.
start_link(Given) ->
    case remora_options:check(Given) of
        {ok, Options} -> start_checked(Options);
        {error, _} = Error -> Error
    end.

%% The children are added one by one: a supervisor whose start fails would end its caller.
start_checked(Options) ->
    case supervisor:start_link({local, ?MODULE}, ?MODULE, Options) of
        {ok, Sup} -> start_children(Sup, children(Options));
        {error, {already_started, _}} = Error -> Error
    end.

start_children(Sup, []) -> {ok, Sup};
start_children(Sup, [Child | Children]) ->
    case supervisor:start_child(Sup, Child) of
        {ok, _} -> start_children(Sup, Children);
        {error, Reason} ->
            case reason(Reason) of
                {already_started, Old} -> start_after(Old, Sup, [Child | Children]);
                Why -> end_sup(Sup), {error, Why}
            end
    end.

%% A supervisor that was killed leaves children behind that are still on their way out.
start_after(Old, Sup, Children) ->
    Monitor = monitor(process, Old),
    receive {'DOWN', Monitor, process, Old, _} -> start_children(Sup, Children)
    after ?STOP_MS ->
        demonitor(Monitor, [flush]),
        end_sup(Sup),
        {error, {already_started, Old}}
    end.

%% supervisor adds the child's specification to what is no error of ours.
reason({Reason, Child}) when is_tuple(Child), element(1, Child) =:= child -> reason(Reason);
reason({shutdown, Reason}) -> Reason;
reason(Reason) -> Reason.

%% As its parent would, whoever we are.
end_sup(Sup) ->
    true = unlink(Sup),
    try gen_server:stop(Sup, shutdown, ?STOP_MS)
    catch exit:_ -> true = exit(Sup, kill)
    end,
    receive {'EXIT', Sup, _} -> ok
    after 0 -> ok
    end.

-spec child_spec(remora_options:given()) -> supervisor:child_spec().
child_spec(Options) ->
    #{id => remora, start => {?MODULE, start_link, [remora_options:seal(Options)]}, type => supervisor, shutdown => infinity}.

%% @doc For one that was started by start_link/1 alone: the companion leaves in order, and then this returns. A child of
%% a supervisor is ended there.
-spec stop() -> ok | {error, not_running}.
stop() ->
    case whereis(?MODULE) of
        undefined -> {error, not_running};
        Sup -> remora_state:down(stopped), end_sup(Sup), ok
    end.

%% @private
-spec init(remora_options:options()) -> {ok, {supervisor:sup_flags(), []}}.
init(#{restart_intensity := {Restarts, Seconds}, call_timeout := CallTimeout, pg_scopes := Scopes} = Options) ->
    ok = remora_state:create(CallTimeout),
    lists:foreach(fun remora_intents:put_scope/1, Scopes),
    lists:foreach(fun(Service) -> remora_intents:start_with(Service, Options) end, [membership, election]),
    maps:get(max_new_atoms, Options) > 0 andalso remora_settings:set_atom_budget(maps:get(max_new_atoms, Options)),
    {ok, {#{strategy => rest_for_one, intensity => Restarts, period => Seconds}, []}}.

children(Options) ->
    [#{id => remora_intents, start => {remora_intents, start_link, []}},
     #{id => remora_port, start => {remora_port, start_link, [Options]}, shutdown => 10_000},
     #{id => remora_mirror, start => {remora_mirror, start_link, []}},
     #{id => remora_server, start => {remora_server, start_link, [Options]}},
     #{id => remora_discovery, start => {remora_discovery_front, start_link, [Options]}},
     #{id => remora_beat, start => {remora_beat, start_link, []}}].
