%%% @doc The companion of this VM, for Erlang. The few functions that nearly all need; each module has the rest:
%%% {@link remora_registry}, {@link remora_groups}, {@link remora_rpc}, {@link remora_messaging},
%%% {@link remora_monitor}, {@link remora_cluster}, {@link remora_events}, {@link remora_settings}, {@link remora_log},
%%% {@link remora_discovery}, {@link remora_membership}, {@link remora_election}, {@link remora_health}, {@link remora_error}. Options: {@link remora_options}.
%%%
%%% ```
%%% {ok, _} = remora:start_link(),
%%% ok = remora_registry:register(<<"printer">>, self()),
%%% ok = remora_groups:join(workers, self()).
%%% '''
%%%
%%% This module is for Erlang's builds alone: the Gleam package has a module of the same name.
-module(remora).

-export([start_link/0, start_link/1, child_spec/0, child_spec/1, stop/0, status/0, nodes/0, subscribe/0, unsubscribe/1]).
-export([refresh/1, pause/1, resume/1, run_once/1]).

-export_type([status/0]).

-type status() :: #{companion := node(), os_pid => non_neg_integer(), version := binary(), creation := non_neg_integer(),
                    scopes := [atom()], nodes := [node()], hidden_nodes := [node()]}.

%% @equiv start_link(#{})
-spec start_link() -> {ok, pid()} | {error, remora_sup:start_error()}.
start_link() -> start_link(#{}).

%% @doc See {@link remora_sup:start_link/1}.
-spec start_link(remora_options:given()) -> {ok, pid()} | {error, remora_sup:start_error()}.
start_link(Options) -> remora_sup:start_link(Options).

-spec child_spec() -> supervisor:child_spec().
child_spec() -> child_spec(#{}).

%% @doc For an application's supervisor.
-spec child_spec(remora_options:given()) -> supervisor:child_spec().
child_spec(Options) -> remora_sup:child_spec(Options).

-spec stop() -> ok | {error, not_running}.
stop() -> remora_sup:stop().

%% @doc What the companion says of itself, and whom it sees.
-spec status() -> {ok, status()} | {error, not_running | timeout}.
status() ->
    case remora_door:call(remora_door:hello()) of
        {ok, {ok, #{node := Node, version := Version, creation := Creation, scopes := Scopes, os_pid := OsPid}}} ->
            {ok, #{companion => Node, os_pid => OsPid, version => Version, creation => Creation, scopes => Scopes,
                   nodes => or_none(remora_cluster:nodes()), hidden_nodes => or_none(remora_cluster:hidden_nodes())}};
        {ok, _} -> {error, not_running};
        {error, _} = Error -> Error
    end.

or_none({ok, Nodes}) -> Nodes;
or_none({error, not_running}) -> [].

-spec nodes() -> {ok, [node()]} | {error, not_running}.
nodes() -> remora_cluster:nodes().

%% @doc See {@link remora_events}.
-spec subscribe() -> {ok, reference()} | {error, not_running}.
subscribe() -> remora_events:subscribe().

-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) -> remora_events:unsubscribe(Ref).

%% @equiv remora_discovery:refresh(Within)
-spec refresh(Within :: timeout()) -> remora_discovery:result() | {error, atom()}.
refresh(Within) -> remora_discovery:refresh(Within).

%% @equiv remora_discovery:pause(Within)
-spec pause(Within :: timeout()) -> ok | {error, atom()}.
pause(Within) -> remora_discovery:pause(Within).

%% @equiv remora_discovery:resume(Within)
-spec resume(Within :: timeout()) -> ok | {error, atom()}.
resume(Within) -> remora_discovery:resume(Within).

%% @equiv remora_discovery:run_once(Options)
-spec run_once(remora_discovery:options()) ->
    remora_discovery:result() | {error, remora_discovery:problem() | atom()}.
run_once(Options) -> remora_discovery:run_once(Options).
