%% gleam_tests: runs the tests of the Gleam package. They are, in this order
%%
%%   externals   every @external line names a function that is there
%%   calls       every call of the package's modules does (xref)
%%   the functions *_test of the modules *_alone_test, while no companion runs
%%   those of the other modules *_test, beside a companion of this node and a second node, other@127.0.0.1
%%   the examples of the documentation: beside the same, or in a fresh node of their own where they say `alone`
%%
%% A test is run in a process of its own and passes when that ends in order. Arguments narrow it to some modules.
-module(gleam_tests).
-export([main/1, main/0, settle/1]).

-define(TEST_MS, 60_000).

main() -> main([]).

main(Only) ->
    Code =
        try
            {ok, Other} = start_other(),
            Results = lists:flatten([phase(P, Only) || P <- [fun checks/1, fun alone/1, fun beside/1, fun examples/1]]),
            peer:stop(Other),
            Bad = length([bad || bad <- Results]),
            io:format("~b passed, ~b failed~n", [length(Results) - Bad, Bad]),
            min(Bad, 1)
        catch
            Class:Reason:Stack ->
                io:format("the test run broke off: ~tp~n~tp~n0 passed, 1 failed~n", [{Class, Reason}, Stack]),
                1
        end,
    halt(Code).

phase(Phase, Only) -> Phase(Only).

%% ---- what Erlang says of the modules -------------------------------------------------------------------

checks([]) ->
    [one("every @external is there", fun() -> [] = missing() end),
     one("every call is there", fun() -> [] = undefined_calls() end)];
checks(_) -> [].

missing() ->
    [{Where, M, F, A} || {M, F, A, Where} <- out("externals.term"), not exported(M, F, A)].

exported(M, F, A) ->
    _ = code:ensure_loaded(M),
    erlang:function_exported(M, F, A) orelse erlang:is_builtin(M, F, A).

undefined_calls() ->
    {ok, _} = xref:start(gleam_calls, [{xref_mode, functions}]),
    ok = xref:set_default(gleam_calls, [{warnings, false}, {verbose, false}]),
    ok = xref:set_library_path(gleam_calls, code:get_path() -- [dir(), "."]),
    Ours = [M || M <- beams("remora*.beam")],
    [{ok, _} = xref:add_module(gleam_calls, filename:join(dir(), atom_to_list(M))) || M <- beams("*.beam")],
    {ok, Calls} = xref:analyze(gleam_calls, undefined_function_calls),
    xref:stop(gleam_calls),
    [Call || {{M, _, _}, _} = Call <- Calls, lists:member(M, Ours)].

%% ---- tests ----------------------------------------------------------------------------------------------

%% A remora that a failed test has left is no other's business.
alone(Only) -> tests([M || M <- test_modules(Only), is_alone(M)], fun remora_sup:stop/0).
beside(Only) ->
    case [M || M <- test_modules(Only), not is_alone(M)] of
        [] -> [];
        Modules -> with_companion(fun() -> tests(Modules) end)
    end.

test_modules([]) -> beams("*_test.beam");
test_modules(Only) -> [M || M <- test_modules([]), lists:member(M, Only)].

is_alone(M) -> lists:suffix("_alone_test", atom_to_list(M)).

tests(Modules) -> tests(Modules, fun() -> ok end).
tests(Modules, After) ->
    [begin
         Result = one(io_lib:format("~s:~s", [M, F]), fun() -> M:F() end),
         _ = After(),
         Result
     end || M <- Modules, {F, 0} <- M:module_info(exports), lists:suffix("_test", atom_to_list(F))].

%% ---- examples of the documentation ----------------------------------------------------------------------

examples(Only) ->
    Blocks = [B || {M, _, _} = B <- out("blocks.term"), Only =:= [] orelse lists:member(M, Only)],
    Shared = [{Where, M} || {M, shared, Where} <- Blocks],
    Alone = [{Where, M} || {M, alone, Where} <- Blocks],
    [case Shared of
         [] -> [];
         _ -> with_companion(fun() -> [one("the example at " ++ W, fun() -> M:main() end) || {W, M} <- Shared] end)
     end,
     [one("the example at " ++ W, fun() -> in_fresh_node(M) end) || {W, M} <- Alone]].

in_fresh_node(Module) ->
    {ok, Peer, Node} = start_node(fresh),
    try
        ok = erpc:call(Node, ?MODULE, settle, [fun() -> Module:main() end], ?TEST_MS)
    after
        peer:stop(Peer)
    end.

%% A main has done what it does when it has returned, or sleeps forever.
settle(Main) ->
    {Pid, Ref} = spawn_monitor(Main),
    settle(Pid, Ref, erlang:monotonic_time(millisecond) + ?TEST_MS div 2).

settle(Pid, Ref, Deadline) ->
    receive
        {'DOWN', Ref, process, Pid, normal} -> ok;
        {'DOWN', Ref, process, Pid, Why} -> error(Why)
    after 20 ->
        case process_info(Pid, current_function) of
            {current_function, {gleam_standin_ffi, sleep_forever, 0}} -> ok;
            Other -> erlang:monotonic_time(millisecond) < Deadline orelse error({still_in, Other}), settle(Pid, Ref, Deadline)
        end
    end.

%% ---- nodes ----------------------------------------------------------------------------------------------

start_other() -> {ok, Peer, 'other@127.0.0.1'} = start_node(other), {ok, Peer}.

start_node(Name) ->
    peer:start(#{name => Name, host => "127.0.0.1", longnames => true, connection => standard_io, wait_boot => 30_000, shutdown => 20_000,
                 args => ["+Bd", "-kernel", "logger", log_file(Name), "-pa", dir(), "-setcookie", atom_to_list(erlang:get_cookie())]}).

log_file(Name) ->
    File = filename:join(filename:dirname(os:getenv("REMORA_GLEAM_OUT")), lists:concat([Name, ".log"])),
    lists:flatten(io_lib:format("[{handler, default, logger_std_h, #{config => #{file => ~p}}}]", [File])).

%% One companion for all of Fun. It belongs to this process, so that no test ends it by its end.
with_companion(Fun) ->
    case remora_sup:start_link(#{}) of
        {ok, _} ->
            Results = Fun(),
            ok = remora_sup:stop(),
            Results;
        {error, Reason} ->
            io:format("FAILED  a companion for the tests~n        ~ts~n", [remora_error:format(Reason)]),
            [bad]
    end.

%% ---- one test ---------------------------------------------------------------------------------------------

one(Name, Fun) ->
    default_settings(),
    {Pid, Ref} = spawn_monitor(Fun),
    receive
        {'DOWN', Ref, process, Pid, normal} -> io:format("~ts ok~n", [Name]), good;
        {'DOWN', Ref, process, Pid, Why} -> io:format("FAILED  ~ts~n        ~tp~n", [Name, brief(Why)]), bad
    after ?TEST_MS ->
        io:format("FAILED  ~ts~n        still runs after ~b s: ~tp~n",
                  [Name, ?TEST_MS div 1000, process_info(Pid, [current_stacktrace, messages])]),
        exit(Pid, kill),
        bad
    end.

brief({Why, [{_, _, _, _} | _] = Stack}) -> {Why, [{M, F, length_of(A)} || {M, F, A, _} <- lists:sublist(Stack, 6)]};
brief(Why) -> Why.

length_of(A) when is_list(A) -> length(A);
length_of(A) -> A.

default_settings() ->
    ok = remora_settings:set_allow_atom_creation(false),
    ok = remora_settings:set_max_new_atoms(0),
    ok = remora_settings:set_use_crypto_ids(false),
    ok = remora_settings:set_max_message_size(10_485_760).

out(Name) ->
    {ok, Terms} = file:consult(filename:join(os:getenv("REMORA_GLEAM_OUT"), Name)),
    Terms.

dir() -> filename:dirname(code:which(?MODULE)).
beams(Pattern) -> [list_to_atom(filename:basename(F, ".beam")) || F <- lists:sort(filelib:wildcard(Pattern, dir()))].
