%% gleam_standin_ffi: the run-time of the hand-written stand-ins of the Gleam packages, enough to run the package's own
%% tests where the real ones cannot be fetched. Their signatures agree with stdlib 1.0, erlang 1.3 and otp 1.2; never shipped.
-module(gleam_standin_ffi).
-behaviour(supervisor).
-compile({no_auto_import, [monitor/1, demonitor/1, unlink/1]}).
-compile(export_all).
-compile(nowarn_export_all).

identity(X) -> X.
println(S) -> io:put_chars([S, $\n]), nil.
println_error(S) -> io:put_chars(standard_error, [S, $\n]), nil.
string_split(S, On) -> string:split(S, On, all).
string_replace(S, Each, With) -> unicode:characters_to_binary(string:replace(S, Each, With, all)).
string_contains(S, Part) -> string:find(S, Part) =/= nomatch.
string_starts_with(S, P) -> string:prefix(S, P) =/= nomatch.
%% As Gleam's own inspect writes values: constructors, #(tuples), "text", //erl(the rest).
string_inspect(T) -> unicode:characters_to_binary(inspect(T)).
inspect(true) -> "True";
inspect(false) -> "False";
inspect(A) when is_atom(A) -> constructor(A);
inspect(N) when is_integer(N) -> integer_to_list(N);
inspect(F) when is_float(F) -> io_lib:format("~p", [F]);
inspect(B) when is_binary(B) -> case unicode:characters_to_list(B) of L when is_list(L) -> io_lib:format("~tp", [L]); _ -> bytes(B) end;
inspect([]) -> "[]";
inspect(L) when is_list(L) -> try [$[, commas(L), $]] catch error:_ -> erl(L) end;
inspect(T) when is_tuple(T), tuple_size(T) > 0, is_atom(element(1, T)), element(1, T) =/= true, element(1, T) =/= false ->
    case tuple_to_list(T) of [A] -> constructor(A); [A | Fields] -> [constructor(A), $(, commas(Fields), $)] end;
inspect(T) when is_tuple(T) -> ["#(", commas(tuple_to_list(T)), $)];
inspect(T) -> erl(T).
bytes(B) -> ["<<", lists:join(", ", [integer_to_list(Byte) || <<Byte>> <= B]), ">>"].
commas(Terms) -> lists:join(", ", [inspect(T) || T <- Terms]).
constructor(A) -> [string:titlecase(Word) || Word <- string:lexemes(atom_to_list(A), "_")].
erl(T) -> io_lib:format("//erl(~0tp)", [T]).
string_join(L, Sep) -> unicode:characters_to_binary(lists:join(Sep, L)).
string_split_once(S, On) ->
    case string:split(S, On) of [A, B] -> {ok, {A, B}}; _ -> {error, nil} end.
priv_directory(Name) ->
    try code:priv_dir(binary_to_existing_atom(Name)) of
        {error, _} -> {error, nil};
        Dir -> {ok, unicode:characters_to_binary(Dir)}
    catch error:badarg -> {error, nil} end.
atom_get(S) -> try {ok, binary_to_existing_atom(S)} catch error:badarg -> {error, nil} end.

%% a decoder gives what it read, or a placeholder, and the errors
decode_string(B) -> valid(is_binary(B) andalso is_list(unicode:characters_to_list(B)), <<"String">>, B, <<>>).
decode_int(I) -> valid(is_integer(I), <<"Int">>, I, 0).
decode_float(F) -> valid(is_float(F), <<"Float">>, F, 0.0).
decode_bool(B) -> valid(is_boolean(B), <<"Bool">>, B, false).
decode_bit_array(B) -> valid(is_bitstring(B), <<"BitArray">>, B, <<>>).
decode_dynamic(T) -> {T, []}.
valid(true, _, T, _) -> {T, []};
valid(false, Want, T, Placeholder) -> {Placeholder, [{decode_error, Want, classify(T), []}]}.
decode_index(M, K) when is_map_key(K, M) -> {ok, map_get(K, M)};
decode_index(T, I) when is_tuple(T), is_integer(I), I >= 0, I < tuple_size(T) -> {ok, element(I + 1, T)};
decode_index([H | _], 0) -> {ok, H};
decode_index([_ | T], I) when is_integer(I), I > 0, I < 8 -> decode_index(T, I - 1);
decode_index(_, _) -> {error, nil}.
path_text(K) when is_binary(K) -> K;
path_text(K) -> string_inspect(K).
proper_list(L) -> try length(L) of _ -> {ok, L} catch error:badarg -> {error, nil} end.
map_pairs(M) when is_map(M) -> {ok, maps:to_list(M)};
map_pairs(_) -> {error, nil}.
null() -> nil.
is_null(T) -> lists:member(T, [nil, null, undefined]).
classify(nil) -> <<"Nil">>;
classify(B) when is_boolean(B) -> <<"Bool">>;
classify(A) when is_atom(A) -> <<"Atom">>;
classify(B) when is_binary(B) -> case is_list(unicode:characters_to_list(B)) of true -> <<"String">>; false -> <<"BitArray">> end;
classify(I) when is_integer(I) -> <<"Int">>;
classify(F) when is_float(F) -> <<"Float">>;
classify(L) when is_list(L) -> <<"List">>;
classify(M) when is_map(M) -> <<"Dict">>;
classify(T) when is_tuple(T) -> <<"Array">>;
classify(F) when is_function(F) -> <<"Function">>;
classify(_) -> <<"Unknown">>.

compare(A, B) when A < B -> lt;
compare(A, B) when A == B -> eq;
compare(_, _) -> gt.
int_parse(S) -> try {ok, binary_to_integer(S)} catch error:badarg -> {error, nil} end.
bit_array_to_string(B) -> case unicode:characters_to_binary(B) of B -> {ok, B}; _ -> {error, nil} end.
dict_get(M, K) -> case M of #{K := V} -> {ok, V}; _ -> {error, nil} end.
dict_insert(M, K, V) -> M#{K => V}.
dict_delete(M, K) -> maps:remove(K, M).
list_sort(L, F) -> lists:sort(fun(A, B) -> F(A, B) =/= gt end, L).
list_unique(L) -> lists:reverse(lists:foldl(fun(X, Acc) -> case lists:member(X, Acc) of true -> Acc; false -> [X | Acc] end end, [], L)).

%% names, subjects: {subject, Pid, Ref} | {named_subject, Atom}; a message is {Ref | Atom, Payload}
new_name(Prefix) ->
    binary_to_atom(<<Prefix/binary, "$", (integer_to_binary(erlang:unique_integer([positive])))/binary>>).
named(Name) -> case whereis(Name) of Pid when is_pid(Pid) -> {ok, Pid}; _ -> {error, nil} end.
register_name(Pid, Name) -> try true = register(Name, Pid), {ok, nil} catch error:_ -> {error, nil} end.
unregister_name(Name) -> try true = unregister(Name), {ok, nil} catch error:_ -> {error, nil} end.
send({subject, Pid, Ref}, M) -> Pid ! {Ref, M}, nil;
send({named_subject, Name}, M) -> {ok, Pid} = named(Name), Pid ! {Name, M}, nil.
tag({subject, _, Ref}) -> Ref;
tag({named_subject, Name}) -> Name.
receive_(S, Timeout) ->
    Tag = tag(S),
    receive {Tag, M} -> {ok, M} after Timeout -> {error, nil} end.

receive_forever(S) ->
    Tag = tag(S),
    receive {Tag, M} -> M end.
send_after({subject, Pid, Ref}, Ms, M) -> erlang:send_after(Ms, Pid, {Ref, M});
send_after({named_subject, Name}, Ms, M) -> erlang:send_after(Ms, Name, {Name, M}).
owner({subject, Pid, _}) -> Pid;
owner({named_subject, Name}) -> {ok, Pid} = named(Name), Pid.
call(S, Timeout, Make) ->
    Mon = erlang:monitor(process, owner(S)),
    Ref = make_ref(),
    send(S, Make({subject, self(), Ref})),
    receive
        {Ref, Reply} -> erlang:demonitor(Mon, [flush]), Reply;
        {'DOWN', Mon, _, _, Why} -> error({callee_exited, Why})
    after Timeout -> error(callee_did_not_reply) end.

%% a selector is #{ {Tag, Size} => fun(Msg) -> Payload }, other => fun }
new_selector() -> #{}.
select_map(Sel, S, F) -> Sel#{{tag(S), 2} => fun({_, M}) -> F(M) end}.
select_record(Sel, Tag, Fields, F) -> Sel#{{Tag, Fields + 1} => F}.
select_other(Sel, F) -> Sel#{other => F}.
select_specific_monitor(Sel, Ref, F) -> Sel#{{down, Ref} => fun(D) -> F(down(D)) end}.
down({'DOWN', Ref, process, Pid, R}) -> {process_down, Ref, Pid, reason(R)};
down({'DOWN', Ref, port, Port, R}) -> {port_down, Ref, Port, reason(R)}.
reason(normal) -> normal;
reason(killed) -> killed;
reason(R) -> {abnormal, R}.
selector_receive(Sel, Timeout) ->
    receive
        {'DOWN', Ref, _, _, _} = M when is_map_key({down, Ref}, Sel) -> {ok, (map_get({down, Ref}, Sel))(M)};
        M when is_map_key({element(1, M), tuple_size(M)}, Sel) ->
            {ok, (map_get({element(1, M), tuple_size(M)}, Sel))(M)};
        M when is_map_key(other, Sel) -> {ok, (map_get(other, Sel))(M)}
    after Timeout -> {error, nil} end.
selector_receive_forever(Sel) -> {ok, P} = selector_receive(Sel, infinity), P.
map_selector(Sel, F) -> maps:map(fun(_, G) -> fun(M) -> F(G(M)) end end, Sel).
monitor(Pid) -> erlang:monitor(process, Pid).
demonitor(Ref) -> erlang:demonitor(Ref, [flush]), nil.
sleep(Ms) -> timer:sleep(Ms), nil.
sleep_forever() -> receive never -> sleep_forever() end.
kill(Pid) -> exit(Pid, kill), nil.
unlink(Pid) -> erlang:unlink(Pid), nil.
trap_exits(B) -> process_flag(trap_exit, B), nil.
send_exit(Pid) -> exit(Pid, normal), nil.
send_abnormal_exit(Pid, Why) -> exit(Pid, Why), nil.

%% static_supervisor: {Flags, [child_specification]}
sup_new(Strategy) -> {#{strategy => Strategy, intensity => 2, period => 5}, []}.
sup_tolerance({F, Cs}, I, P) -> {F#{intensity := I, period := P}, Cs}.
sup_add({F, Cs}, C) -> {F, [C | Cs]}.
sup_start(B) ->
    case supervisor:start_link(?MODULE, B) of
        {ok, Pid} -> {ok, {started, Pid, Pid}};
        {error, R} -> {error, {init_failed, string_inspect(R)}}
    end.
init({Flags, Cs}) -> {ok, {Flags, [spec(I, C) || {I, C} <- lists:zip(lists:seq(1, length(Cs)), lists:reverse(Cs))]}}.
spec(I, {child_specification, Start, Restart, _, Type}) ->
    {Kind, Stop} = case Type of {worker, Ms} -> {worker, Ms}; supervisor -> {supervisor, infinity} end,
    #{id => I, start => {?MODULE, start_child, [Start]}, restart => Restart, type => Kind, shutdown => Stop}.
start_child(Start) ->
    case Start() of {ok, {started, Pid, Data}} -> {ok, Pid, Data}; {error, E} -> {error, E} end.
