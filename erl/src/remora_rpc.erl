%%% @doc Function calls on other nodes, through the companion, with each cause of failure told apart.
%%%
%%% A call is carried out as `erpc' does it, and with its guarantees. The caller's correlation id
%%% ({@link remora_log:set_correlation/1}) goes along, and stands in the companion's log line about the call.
-module(remora_rpc).

-export([call/4, call/5, cast/4, multicall/4, multicall/5]).
-export_type([error/0]).

%% undef: the function of the call itself is not there; one that it calls is raised. raised: what it did not catch.
%% badrpc: the node refused for another reason.
-type error() :: timeout | {nodedown, node()} | {undef, {module(), atom(), arity()}}
               | {raised, error | exit | throw, Reason :: term()} | {badrpc, term()}
               | not_running | badarg | remora_messaging:too_large().

%% @equiv call(Node, Module, Function, Args, 5_000)
-spec call(node(), module(), atom(), [term()]) -> {ok, Result :: term()} | {error, error()}.
call(Node, Module, Function, Args) -> call(Node, Module, Function, Args, remora_state:call_timeout()).

%% @doc Timeout in ms. After a timeout the function may still run.
-spec call(node(), module(), atom(), [term()], timeout()) -> {ok, Result :: term()} | {error, error()}.
call(Node, Module, Function, Args, Timeout) ->
    case check(Node, Module, Function, Args) of
        ok -> answer(remora_door:call(request(Node, Module, Function, Args, Timeout), Timeout));
        {error, _} = Error -> Error
    end.

request(Node, Module, Function, Args, Timeout) ->
    remora_door:rpc(Node, Module, Function, Args, Timeout, remora_log:correlation_meta()).

check(Node, Module, Function, Args) ->
    case is_atom(Node) andalso is_atom(Module) andalso is_atom(Function) andalso is_list(Args) of
        true -> remora_messaging:check_size(Args);
        false -> {error, badarg}
    end.

answer({ok, {ok, _} = Result}) -> Result;
answer({ok, {error, _} = Error}) -> Error;
answer({ok, Other}) -> {error, {badrpc, Other}};
answer({error, _} = Error) -> Error.

%% @doc Without an answer. `ok' says that the companion has it.
-spec cast(node(), module(), atom(), [term()]) ->
    ok | {error, badarg | not_running | timeout | remora_messaging:too_large()}.
cast(Node, Module, Function, Args) ->
    case check(Node, Module, Function, Args) of
        ok ->
            case remora_door:call(remora_door:rpc_cast(Node, Module, Function, Args, remora_log:correlation_meta())) of
                {ok, ok} -> ok;
                {ok, _} -> {error, badarg};
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

%% @equiv multicall(Nodes, Module, Function, Args, 5_000)
-spec multicall([node()], module(), atom(), [term()]) -> [{ok, Result :: term()} | {error, error()}].
multicall(Nodes, Module, Function, Args) -> multicall(Nodes, Module, Function, Args, remora_state:call_timeout()).

%% @doc All at once; the results in the order of the nodes.
-spec multicall([node()], module(), atom(), [term()], timeout()) -> [{ok, Result :: term()} | {error, error()}].
multicall(Nodes, Module, Function, Args, Timeout) ->
    Deadline = remora_door:deadline(Timeout),
    Asked = [ask(Node, Module, Function, Args, Timeout, Deadline) || Node <- Nodes],
    [answer(remora_door:receive_answer(Request, Deadline)) || Request <- Asked].

ask(Node, Module, Function, Args, Timeout, Deadline) ->
    case check(Node, Module, Function, Args) of
        ok -> remora_door:ask(request(Node, Module, Function, Args, Timeout), Deadline);
        {error, _} = Error -> Error
    end.
