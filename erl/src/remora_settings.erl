%%% @doc Settings of this VM. They hold before a companion is started, and outlive it.
%%%
%%% They are numbers in one atomics array, made when this module is loaded: reading one costs no copy and no process.
-module(remora_settings).
-on_load(init/0).

-export([set_allow_atom_creation/1, is_allow_atom_creation/0, set_max_new_atoms/1, max_new_atoms/0,
         set_atom_budget/1, take_atom/0, new_atoms/0,
         set_use_crypto_ids/1, is_use_crypto_ids/0, set_max_message_size/1, max_message_size/0]).

-define(ALLOW_ATOMS, 1).
-define(MAX_ATOMS, 2).
-define(ATOMS, 3).
-define(CRYPTO_IDS, 4).
-define(MESSAGE_SIZE, 5).
-define(COUNT, 5).

-define(DEFAULT_MESSAGE_SIZE, 10 * 1024 * 1024).

%% @doc May {@link remora_atoms} make atoms of strings? No, unless this is said, and not more than set_max_new_atoms/1.
-spec set_allow_atom_creation(boolean()) -> ok.
set_allow_atom_creation(Allow) -> store(?ALLOW_ATOMS, number(Allow)).

-spec is_allow_atom_creation() -> boolean().
is_allow_atom_creation() -> load(?ALLOW_ATOMS) =:= 1.

%% @doc How many atoms may be made in the life of this VM; 0 at first. An atom is never freed.
-spec set_max_new_atoms(non_neg_integer()) -> ok.
set_max_new_atoms(Max) when is_integer(Max), Max >= 0 -> store(?MAX_ATOMS, Max).

-spec max_new_atoms() -> non_neg_integer().
max_new_atoms() -> load(?MAX_ATOMS).

%% @doc Allows creation of so many.
-spec set_atom_budget(pos_integer()) -> ok.
set_atom_budget(Max) ->
    set_max_new_atoms(Max),
    set_allow_atom_creation(true).

%% @doc How many have been made.
-spec new_atoms() -> non_neg_integer().
new_atoms() -> load(?ATOMS).

%% @private One of the budget; false when there is none left.
-spec take_atom() -> boolean().
take_atom() ->
    case atomics:add_get(all(), ?ATOMS, 1) =< max_new_atoms() of
        true -> true;
        false -> atomics:sub(all(), ?ATOMS, 1), false
    end.

%% @doc Correlation ids from the operating system's generator, which needs the application crypto, instead of `rand'.
-spec set_use_crypto_ids(boolean()) -> ok | {error, no_crypto}.
set_use_crypto_ids(false) -> store(?CRYPTO_IDS, 0);
set_use_crypto_ids(true) ->
    case code:ensure_loaded(crypto) of
        {module, crypto} -> store(?CRYPTO_IDS, 1);
        {error, _} -> {error, no_crypto}
    end.

-spec is_use_crypto_ids() -> boolean().
is_use_crypto_ids() -> load(?CRYPTO_IDS) =:= 1.

%% @doc In bytes, 10 MiB at first: a larger message, broadcast or argument list is an error before any of it is sent.
-spec set_max_message_size(pos_integer()) -> ok.
set_max_message_size(Bytes) when is_integer(Bytes), Bytes > 0 -> store(?MESSAGE_SIZE, Bytes).

-spec max_message_size() -> pos_integer().
max_message_size() -> load(?MESSAGE_SIZE).

number(true) -> 1;
number(false) -> 0.

store(Which, Value) -> atomics:put(all(), Which, Value).
load(Which) -> atomics:get(all(), Which).
all() -> persistent_term:get(?MODULE).

%% Also when the code is loaded again: what was set stays.
init() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            All = atomics:new(?COUNT, [{signed, false}]),
            atomics:put(All, ?MESSAGE_SIZE, ?DEFAULT_MESSAGE_SIZE),
            persistent_term:put(?MODULE, All);
        _ -> ok
    end.
