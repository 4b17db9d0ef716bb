%% remora_ffi: Erlang as Gleam's modules under remora/ see it. Each function gives what its @external line promises,
%% results already as {ok, _} | {error, _}, nothing as nil. No process and no state of its own: remora_* do the work.
-module(remora_ffi).
-export([set_allow_atom_creation/1, is_allow_atom_creation/0, put_max_new_atoms/1, get_max_new_atoms/0,
         set_use_crypto_ids/1, is_use_crypto_ids/0, put_max_message_size/1, get_max_message_size/0]).

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
