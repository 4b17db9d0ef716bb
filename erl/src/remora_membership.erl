%%% @doc Membership by SWIM: who is alive, suspect, dead or has left.
%%%
%%% The companion of this version does not take part in it: each function answers `{error, unsupported}', so that what
%%% is written against it need not be changed. Nodes that are connected: {@link remora_cluster}.
-module(remora_membership).

-export([start_service/1, stop_service/0, alive/0, suspect/0, members/0, members_with_status/0, current_leader/0,
         set_metadata/1, metrics/0, subscribe/0, unsubscribe/1]).

-type unsupported() :: {error, unsupported}.

-spec start_service(map()) -> unsupported().
start_service(_Options) -> {error, unsupported}.

-spec stop_service() -> unsupported().
stop_service() -> {error, unsupported}.

-spec alive() -> unsupported().
alive() -> {error, unsupported}.

-spec suspect() -> unsupported().
suspect() -> {error, unsupported}.

-spec members() -> unsupported().
members() -> {error, unsupported}.

-spec members_with_status() -> unsupported().
members_with_status() -> {error, unsupported}.

-spec current_leader() -> unsupported().
current_leader() -> {error, unsupported}.

-spec set_metadata(map()) -> unsupported().
set_metadata(_Metadata) -> {error, unsupported}.

-spec metrics() -> unsupported().
metrics() -> {error, unsupported}.

-spec subscribe() -> unsupported().
subscribe() -> {error, unsupported}.

-spec unsubscribe(reference()) -> unsupported().
unsubscribe(_Ref) -> {error, unsupported}.
