%% tests_ffi: what the Gleam tests ask of Erlang that the package does not give.
-module(tests_ffi).
-export([unique/1, atom_count/0, identity/1, eventually/2]).

%% Text that is no atom of this VM and was never used before.
unique(Prefix) ->
    Bytes = binary:encode_hex(crypto:strong_rand_bytes(8)),
    <<Prefix/binary, "_", Bytes/binary>>.

atom_count() -> erlang:system_info(atom_count).

identity(Term) -> Term.

%% Asks until the answer is true, for Ms at most: {ok, nil}, else {error, nil}.
eventually(Ms, Ask) -> eventually_until(erlang:monotonic_time(millisecond) + Ms, Ask).

eventually_until(Deadline, Ask) ->
    case Ask() of
        true -> {ok, nil};
        false ->
            case erlang:monotonic_time(millisecond) >= Deadline of
                true -> {error, nil};
                false -> receive after 10 -> eventually_until(Deadline, Ask) end
            end
    end.
