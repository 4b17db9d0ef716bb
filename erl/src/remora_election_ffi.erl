%%% @doc The election as Gleam's module sees it: what remora_ffi is for the rest.
%%% @private
-module(remora_election_ffi).

-export([options/1, start/1, stop/0]).
-export([elect/0, current_leader/0, current_term/0, fencing_token/0, check_token/1, status/0]).
-export([transfer/1, resign/0, add_voter/1, remove_voter/1]).
-export([campaign/1, resign_name/1, leader/1, holds/1]).
-export([subscribe/2, subscribe_name/3]).

-import(remora_membership_ffi, [text/1, shown/1]).

-type forward() :: fun((term()) -> term()).
-type error() :: not_configured | not_started | timeout | not_running | {refused, binary()}.
-type leader() :: {leader, binary(), remora_election:token()} | no_leader.

%% ---- starting -------------------------------------------------------------------------------------------------------

%% The latest setting comes first, and counts.
-spec options([term()]) -> remora_election:options().
options(Settings) -> maps:from_list(lists:reverse(Settings)).

-spec start([term()]) -> {ok, nil} | {error, term()}.
start(Settings) ->
    case remora_election:start_service(options(Settings)) of
        ok -> {ok, nil};
        {error, {election_option, Key, Text}} -> {error, {invalid_option, text(Key), Text}};
        {error, Reason} -> {error, {start_failed, failure(Reason)}}
    end.

-spec stop() -> {ok, nil} | {error, error()}.
stop() ->
    case remora_election:stop_service() of
        ok -> {ok, nil};
        {error, Reason} -> {error, failure(Reason)}
    end.

%% ---- the leader -----------------------------------------------------------------------------------------------------

-spec elect() -> {ok, leader()} | {error, error()}.
elect() -> leads(remora_election:elect()).

-spec current_leader() -> {ok, leader()} | {error, error()}.
current_leader() -> leads(remora_election:current_leader()).

leads({ok, Node, Token}) -> {ok, {leader, text(Node), Token}};
leads({error, no_leader}) -> {ok, no_leader};
leads({error, Reason}) -> {error, failure(Reason)}.

-spec current_term() -> {ok, non_neg_integer()} | {error, error()}.
current_term() ->
    case remora_election:current_term() of
        {ok, Term} -> {ok, Term};
        {error, Reason} -> {error, failure(Reason)}
    end.

-spec fencing_token() -> {ok, remora_election:token()} | {error, not_held | {hold_unknown, error()}}.
fencing_token() -> held(remora_election:fencing_token()).

held({ok, Token}) -> {ok, Token};
held({error, Reason}) when Reason =:= not_leader; Reason =:= not_held -> {error, not_held};
held({error, Reason}) -> {error, {hold_unknown, failure(Reason)}}.

-spec check_token(integer()) -> {ok, nil} | {error, term()}.
check_token(Token) when Token < 0 -> {error, unknown_token};
check_token(Token) ->
    case remora_election:check_token(Token) of
        ok -> {ok, nil};
        {error, Reason} when Reason =:= stale_token; Reason =:= unknown_token -> {error, Reason};
        {error, Reason} when Reason =:= no_leader; Reason =:= not_leader -> {error, nobody_to_ask};
        {error, Reason} -> {error, {not_checked, failure(Reason)}}
    end.

-spec status() -> {ok, tuple()} | {error, error()}.
status() ->
    case remora_election:status() of
        {ok, #{role := Role, term := Term, leader := Leader, token := Token, lease_left := Left, voters := Voters,
               version := Version, abstains := Abstains}} ->
            {ok, {status, role(Role), Term, leading(Leader, Token), Left, [text(Node) || Node <- Voters], Version,
                  optional(Abstains)}};
        {error, Reason} -> {error, failure(Reason)}
    end.

role(leader) -> leading;
role(observer) -> observing;
role(Role) when Role =:= unconfigured; Role =:= abstaining; Role =:= follower; Role =:= candidate -> Role;
role(_) -> abstaining. % a word that this version does not know

leading(none, _) -> no_leader;
leading(Node, Token) -> {leader, text(Node), Token}.

optional(none) -> none;
optional(Text) -> {some, text(Text)}.

%% ---- changing it ----------------------------------------------------------------------------------------------------

-spec transfer(binary()) -> {ok, nil} | {error, term()}.
transfer(To) -> changed(To, remora_election:transfer(To)).

-spec resign() -> {ok, nil} | {error, term()}.
resign() -> changed(<<>>, remora_election:resign()).

-spec add_voter(binary()) -> {ok, nil} | {error, term()}.
add_voter(Node) -> changed(Node, remora_election:add_voter(Node)).

-spec remove_voter(binary()) -> {ok, nil} | {error, term()}.
remove_voter(Node) -> changed(Node, remora_election:remove_voter(Node)).

changed(_, ok) -> {ok, nil};
changed(_, {error, Reason}) when Reason =:= not_leader; Reason =:= no_leader -> {error, not_leader};
changed(Node, {error, unknown_node}) -> {error, {unknown_node, Node}};
changed(Node, {error, is_voter}) -> {error, {already_voter, Node}};
changed(Node, {error, not_voter}) -> {error, {not_voter, Node}};
changed(_, {error, too_many}) -> {error, too_many_voters};
changed(_, {error, busy}) -> {error, busy};
changed(Node, {error, badarg}) -> {error, {unknown_node, Node}}; % no name at all
changed(_, {error, Reason}) -> {error, {not_changed, failure(Reason)}}.

%% ---- named elections ------------------------------------------------------------------------------------------------

-spec campaign(binary()) -> {ok, nil} | {error, term()}.
campaign(Name) -> campaigned(Name, remora_election:campaign(Name)).

-spec resign_name(binary()) -> {ok, nil} | {error, term()}.
resign_name(Name) -> campaigned(Name, remora_election:resign(Name)).

campaigned(_, ok) -> {ok, nil};
campaigned(_, {error, too_many}) -> {error, too_many_campaigns};
campaigned(_, {error, not_campaigning}) -> {error, not_campaigning};
campaigned(Name, {error, badarg}) -> {error, {invalid_name, Name}};
campaigned(_, {error, Reason}) -> {error, {campaign_failed, failure(Reason)}}.

-spec leader(binary()) -> {ok, leader()} | {error, error()}.
leader(Name) ->
    case remora_election:leader(Name) of
        {error, badarg} -> {ok, no_leader}; % nobody holds what is no name
        Result -> leads(Result)
    end.

-spec holds(binary()) -> {ok, remora_election:token()} | {error, not_held | {hold_unknown, error()}}.
holds(Name) ->
    case remora_election:holds(Name) of
        {error, badarg} -> {error, not_held};
        Result -> held(Result)
    end.

%% ---- what happens ---------------------------------------------------------------------------------------------------

-spec subscribe(pid(), forward()) -> {ok, pid()} | {error, not_running}.
subscribe(Owner, Forward) ->
    Handle = fun(Event) -> Forward(news(Event)) end,
    case remora_relay:listen(Owner, fun remora_election:subscribe/0, Handle, fun() -> Forward(service_stopped) end) of
        {ok, Pid, _} -> {ok, Pid};
        {error, _} -> {error, not_running}
    end.

news({leader, Node, Term, Token}) -> {leader_elected, text(Node), Term, Token};
news({no_leader, Term}) -> {leader_lost, Term};
news({abstains, none}) -> votes_again;
news({abstains, Why}) -> {abstained, text(Why)};
news(started) -> service_started;
news(stopped) -> service_stopped.

%% Of what is no name nothing is ever told.
-spec subscribe_name(pid(), binary(), forward()) -> {ok, pid()} | {error, not_running | {refused, binary()}}.
subscribe_name(Owner, Name, Forward) ->
    Handle = fun(Event) -> Forward(name_news(Event)) end,
    case remora_relay:listen(Owner, fun() -> remora_election:subscribe(Name) end, Handle, fun() -> nil end) of
        {ok, Pid, _} -> {ok, Pid};
        {error, badarg} -> {error, {refused, <<"badarg">>}};
        {error, _} -> {error, not_running}
    end.

name_news({led, Name, Node, Token}) -> {name_led, text(Name), text(Node), Token};
name_news({unled, Name}) -> {name_free, text(Name)};
name_news({held, Name, Pid, Token}) -> {name_held, text(Name), Pid, Token};
name_news({unheld, Name, Pid}) -> {name_lost, text(Name), Pid}.

failure(stopped) -> not_started;
failure(Reason) when Reason =:= not_configured; Reason =:= not_started; Reason =:= timeout; Reason =:= not_running -> Reason;
failure(Reason) -> {refused, shown(Reason)}.
