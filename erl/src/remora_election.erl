%%% @doc Election of one leader among nodes, by Raft, with a fencing token that only grows.
%%%
%%% The companion of this version does not take part in it: each function answers `{error, unsupported}', so that what
%%% is written against it need not be changed.
-module(remora_election).

-export([start_service/1, stop_service/0, elect/0, current_leader/0, am_i_leader/0, current_term/0, fencing_token/0,
         transfer/1, resign/0, subscribe/0, unsubscribe/1]).

-type unsupported() :: {error, unsupported}.

-spec start_service(map()) -> unsupported().
start_service(_Options) -> {error, unsupported}.

-spec stop_service() -> unsupported().
stop_service() -> {error, unsupported}.

-spec elect() -> unsupported().
elect() -> {error, unsupported}.

-spec current_leader() -> unsupported().
current_leader() -> {error, unsupported}.

-spec am_i_leader() -> unsupported().
am_i_leader() -> {error, unsupported}.

-spec current_term() -> unsupported().
current_term() -> {error, unsupported}.

-spec fencing_token() -> unsupported().
fencing_token() -> {error, unsupported}.

-spec transfer(node()) -> unsupported().
transfer(_To) -> {error, unsupported}.

-spec resign() -> unsupported().
resign() -> {error, unsupported}.

-spec subscribe() -> unsupported().
subscribe() -> {error, unsupported}.

-spec unsubscribe(reference()) -> unsupported().
unsubscribe(_Ref) -> {error, unsupported}.
