%% remora_ffi: Erlang as Gleam's modules under remora/ see it. Each function gives what its @external line promises,
%% results already as {ok, _} | {error, _}, nothing as nil. No process and no state of its own: remora_* do the work.
-module(remora_ffi).
-export([set_allow_atom_creation/1, is_allow_atom_creation/0, put_max_new_atoms/1, get_max_new_atoms/0,
         set_use_crypto_ids/1, is_use_crypto_ids/0, put_max_message_size/1, get_max_message_size/0]).
-export([identity/1, read_nil/1, read_pid/1, read_option/1, is_tuple_of/2, encode_term/2, decode_term/2]).

%% ---- settings -------------------------------------------------------------------------------------------

-spec set_allow_atom_creation(boolean()) -> nil.
set_allow_atom_creation(Allow) -> setting(allow_atom_creation, Allow).

-spec is_allow_atom_creation() -> boolean().
is_allow_atom_creation() -> remora_settings:get(allow_atom_creation).

-spec put_max_new_atoms(non_neg_integer()) -> nil.
put_max_new_atoms(Count) -> setting(max_new_atoms, Count).

-spec get_max_new_atoms() -> non_neg_integer().
get_max_new_atoms() -> remora_settings:get(max_new_atoms).

-spec set_use_crypto_ids(boolean()) -> nil.
set_use_crypto_ids(Use) -> setting(use_crypto_ids, Use).

-spec is_use_crypto_ids() -> boolean().
is_use_crypto_ids() -> remora_settings:get(use_crypto_ids).

-spec put_max_message_size(pos_integer()) -> nil.
put_max_message_size(Bytes) -> setting(max_message_size, Bytes).

-spec get_max_message_size() -> pos_integer().
get_max_message_size() -> remora_settings:get(max_message_size).

setting(Key, Value) ->
    ok = remora_settings:set(Key, Value),
    nil.

%% ---- codec ----------------------------------------------------------------------------------------------

-spec identity(Term) -> Term.
identity(Term) -> Term.

-spec read_nil(term()) -> {ok, nil} | {error, nil}.
read_nil(nil) -> {ok, nil};
read_nil(_) -> {error, nil}.

%% The error has a placeholder: decoders go on after one, to find all errors.
-spec read_pid(term()) -> {ok, pid()} | {error, pid()}.
read_pid(Pid) when is_pid(Pid) -> {ok, Pid};
read_pid(_) -> {error, self()}.

-spec read_option(term()) -> {ok, none | {some, term()}} | {error, nil}.
read_option(none) -> {ok, none};
read_option({some, _} = Some) -> {ok, Some};
read_option(_) -> {error, nil}.

-spec is_tuple_of(term(), non_neg_integer()) -> boolean().
is_tuple_of(Term, Size) -> is_tuple(Term) andalso tuple_size(Term) =:= Size.

-spec encode_term(term(), pos_integer()) -> {ok, binary()} | {error, {too_large, pos_integer(), pos_integer()}}.
encode_term(Term, Limit) ->
    case term_to_binary(Term) of
        Bits when byte_size(Bits) =< Limit -> {ok, Bits};
        Bits -> {error, {too_large, byte_size(Bits), Limit}}
    end.

%% A compressed term says how large it becomes before anything is unpacked (erl_ext_dist, 1: tag 80).
-spec decode_term(bitstring(), pos_integer()) ->
    {ok, term()} | {error, not_a_term | {too_large_to_decode, pos_integer(), pos_integer()}}.
decode_term(<<131, 80, Size:32, _/binary>>, Limit) when Size > Limit -> {error, {too_large_to_decode, Size, Limit}};
decode_term(Bits, Limit) when byte_size(Bits) > Limit -> {error, {too_large_to_decode, byte_size(Bits), Limit}};
decode_term(Bits, _) when is_binary(Bits) ->
    try binary_to_term(Bits, [safe, used]) of
        {Term, Used} when Used =:= byte_size(Bits) -> {ok, Term};
        _ -> {error, not_a_term}
    catch
        error:badarg -> {error, not_a_term}
    end;
decode_term(_, _) -> {error, not_a_term}.
