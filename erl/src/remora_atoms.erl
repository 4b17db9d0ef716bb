%%% @doc Strings to atoms, without a way to fill the atom table: its entries are never freed, and at its end (1,048,576)
%%% the VM dies.
%%%
%%% An atom that exists is found. One that does not is made only where {@link remora_settings:set_allow_atom_creation/1}
%%% allows it, and within the budget of {@link remora_settings:set_max_new_atoms/1}.
-module(remora_atoms).

-export([to_atom/1, existing/1]).
-export_type([problem/0]).

-type problem() :: {no_such_atom, binary()} | {atom_budget, Max :: non_neg_integer()} | {too_long, binary()} | badarg.

-define(CHARACTERS_MAX, 255).

%% @doc `too_long': more than 255 characters; no atom can have them. `badarg': no text in UTF-8.
-spec to_atom(binary()) -> {ok, atom()} | {error, problem()}.
to_atom(Text) ->
    case existing(Text) of
        {error, {no_such_atom, _}} = Error ->
            case remora_settings:is_allow_atom_creation() of
                true -> make(Text);
                false -> Error
            end;
        Result -> Result
    end.

%% @doc The same, and never makes one.
-spec existing(binary()) -> {ok, atom()} | {error, {no_such_atom, binary()} | {too_long, binary()} | badarg}.
existing(Text) when is_binary(Text) ->
    try {ok, binary_to_existing_atom(Text)}
    catch error:_ -> {error, why_not(Text)}
    end;
existing(_) -> {error, badarg}.

why_not(Text) ->
    case unicode:characters_to_list(Text) of
        Characters when is_list(Characters), length(Characters) > ?CHARACTERS_MAX -> {too_long, Text};
        Characters when is_list(Characters) -> {no_such_atom, Text};
        _ -> badarg
    end.

%% Somebody may make the same one now: then the budget pays for it twice, never too little.
make(Text) ->
    case remora_settings:take_atom() of
        true -> {ok, binary_to_atom(Text)};
        false -> {error, {atom_budget, remora_settings:max_new_atoms()}}
    end.
