%%% @doc One leader among companions, by Raft's election: at most one in a term, none by a minority, and a token that only
%%% grows with each new one. Beside it named elections, as many as you like: which process of the cluster does this?
%%%
%%% ```
%%% Voters = [<<"a_remora@10.0.0.1">>, <<"b_remora@10.0.0.2">>, <<"c_remora@10.0.0.3">>],
%%% {ok, _} = remora:start_link(#{election => #{voters => Voters, state_dir => "/var/lib/app"}}),
%%% ok = remora_election:campaign(<<"billing">>),
%%% case remora_election:holds(<<"billing">>) of
%%%     {ok, _Token} -> do_the_work;
%%%     {error, _} -> somebody_else_does
%%% end.
%%% '''
%%%
%%% <ul>
%%% <li>Who votes: the companions of the first configuration, `voters' at all of them alike, or as many as
%%%     `bootstrap_expect' that membership shows; afterwards it is changed by {@link add_voter/1} and
%%%     {@link remove_voter/1}. Until there is one: `not_configured'.</li>
%%% <li>Who leads is a companion, by its node name. Reads of this VM's copy ({@link current_leader/0}, {@link leader/1},
%%%     {@link current_term/0}) say who it was when last heard. {@link am_i_leader/0}, {@link fencing_token/0} and
%%%     {@link holds/1} ask the companion, and are true only while the lease surely holds: the time that is left counts
%%%     from before the question.</li>
%%% <li>A process may still be late: it is stopped between the question and what it does. So what it writes has the token,
%%%     and who keeps it refuses a token below one that it has seen.</li>
%%% <li>A VM that hangs loses what it leads and holds, after `name_lease'. When the companion ends, all that it led and that
%%%     was held through it is over at once, and told so.</li>
%%% </ul>
%%%
%%% Options, of {@link start_service/1} and of `election' in {@link remora_options}: `voters', `bootstrap_expect',
%%% `state_dir' (term and vote are kept there; without one a node is an observer), `observer' (never votes), `priority' (1; 0
%%% never stands, and a leader hands over to a greater one); in ms `heartbeat' (100), `election_min' and `election_max' (500
%%% and 1,000), `lease' (three fifths of election_min), `name_lease' (2,000).
%%%
%%% Names of nodes and of elections are binaries: they come from the network, and no atom is made of them. Arguments may be
%%% atoms too. What was started, and who campaigns, is told again to a companion that is started again.
-module(remora_election).

-export([start_service/0, start_service/1, stop_service/0]).
-export([elect/0, elect/1, current_leader/0, current_term/0, am_i_leader/0, fencing_token/0, check_token/1, status/0]).
-export([transfer/1, resign/0, add_voter/1, remove_voter/1]).
-export([campaign/1, campaign/2, resign/1, resign/2, leader/1, holds/1, holds/2]).
-export([subscribe/0, subscribe/1, unsubscribe/1]).

-export_type([options/0, status/0, event/0, name_event/0, failure/0, error/0, token/0]).

-type text() :: unicode:chardata() | atom().
-type options() :: #{voters => [node() | unicode:chardata()],
                     bootstrap_expect => non_neg_integer(),
                     state_dir => file:name_all(),
                     observer => boolean(),
                     priority => non_neg_integer(),
                     heartbeat => pos_integer(),
                     election_min => pos_integer(),
                     election_max => pos_integer(),
                     lease => non_neg_integer(),
                     name_lease => pos_integer()}.
%% Below 2^59, and greater with each new leader.
-type token() :: non_neg_integer().
-type status() :: #{role := unconfigured | observer | abstaining | follower | candidate | leader,
                    term := non_neg_integer(),
                    leader := binary() | none,
                    token := token(),
                    lease_left := non_neg_integer(), % ms of the own leadership
                    voters := [binary()],
                    version := non_neg_integer(),    % of the configuration
                    abstains := binary() | none}.
-type failure() :: not_configured | no_leader | not_leader | unknown_node | is_voter | not_voter | busy | too_many
                 | stale_token | unknown_token | stopped | not_campaigning | not_held.
-type error() :: not_started | badarg | timeout | not_running.
-type event() :: {leader, Node :: binary(), Term :: non_neg_integer(), token()}
               | {no_leader, Term :: non_neg_integer()}
               | {abstains, Why :: binary() | none}
               | started | stopped.
-type name_event() :: {led, Name :: binary(), Node :: binary(), token()}
                    | {unled, Name :: binary()}
                    | {held, Name :: binary(), pid(), token()}
                    | {unheld, Name :: binary(), pid()}.

-define(NAME_MAX, 255).
-define(ELECTION_MAX_MS, 1_000). % as cnode/raft/types.hpp has it
-define(FORMING_PAUSE_MS, 20).

%% ---- starting -------------------------------------------------------------------------------------------------------

%% @equiv start_service(#{})
-spec start_service() -> ok | {error, remora_service_options:problem() | error()}.
start_service() -> start_service(#{}).

%% @doc Takes part from here on, also after a restart of the companion. When it runs, it runs with these options from here
%% on.
-spec start_service(options()) -> ok | {error, remora_service_options:problem() | error()}.
start_service(Given) ->
    case remora_service_options:check(election, Given) of
        {ok, Options} ->
            case remora_door:write(remora_door:start_service(election, Options)) of
                {ok, ok, Version} ->
                    remora_intents:put_service(election, Options, Version),
                    remora_intents:replayed(Version, remora_intents:service_key(election));
                {ok, {error, {option, Key, Text}}, _} when is_atom(Key), is_binary(Text) -> {error, {election_option, Key, Text}};
                {ok, Answer, _} -> failed(Answer);
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

%% @doc A leader hands over before; who campaigns at this node does not any more. It is not started after a restart either.
-spec stop_service() -> ok | {error, error()}.
stop_service() ->
    case remora_door:write(remora_door:stop_service(election)) of
        {ok, Answer, Version} when Answer =:= ok; Answer =:= {error, not_started} ->
            remora_intents:drop_service(election, Version),
            _ = remora_intents:replayed(Version, remora_intents:service_key(election)),
            Answer;
        {ok, Answer, _} -> failed(Answer);
        {error, _} = Error -> Error
    end.

%% ---- the leader -----------------------------------------------------------------------------------------------------

%% @equiv elect(CallTimeout)
-spec elect() -> {ok, Node :: binary(), token()} | {error, failure() | error()}.
elect() -> elect(remora_state:call_timeout()).

%% @doc Who leads, after an election if there has to be one. `no_leader': there is none, as in a minority. `not_configured':
%% there are no voters. Where this VM has said who they are, it is waited for until these have agreed, for three
%% `election_max'.
-spec elect(timeout()) -> {ok, Node :: binary(), token()} | {error, failure() | error()}.
elect(Timeout) ->
    Deadline = remora_door:deadline(Timeout),
    elect(Deadline, min(Deadline, remora_door:deadline(forming_ms(remora_intents:service_options(election))))).

forming_ms(#{voters := [_ | _]} = Options) -> 3 * maps:get(election_max, Options, ?ELECTION_MAX_MS);
forming_ms(#{bootstrap_expect := N} = Options) when N > 0 -> 3 * maps:get(election_max, Options, ?ELECTION_MAX_MS);
forming_ms(_) -> 0.

elect(Deadline, Formed) ->
    case {elect_once(remora_door:left(Deadline)), remora_door:left(Formed)} of
        {{error, not_configured}, Left} when Left > ?FORMING_PAUSE_MS ->
            receive after ?FORMING_PAUSE_MS -> ok end,
            case elect(Deadline, Formed) of
                {error, timeout} -> {error, not_configured}; % as it was a moment ago
                Result -> Result
            end;
        {Result, _} -> Result
    end.

elect_once(Timeout) ->
    case remora_door:write(remora_door:election(elect), Timeout) of
        {ok, {ok, Node, Token}, _} when is_binary(Node), is_integer(Token) -> {ok, Node, Token};
        {ok, {error, timeout}, _} -> {error, no_leader};
        {ok, Answer, _} -> failed(Answer);
        {error, _} = Error -> Error
    end.

%% @doc As far as this node knows. Where it knows of none, the companion is asked whether there can be one.
-spec current_leader() -> {ok, Node :: binary(), token()} | {error, no_leader | not_configured | error()}.
current_leader() ->
    read(fun() ->
             case ets:lookup(remora_services, leader) of
                 [{_, Node, _, Token}] when Node =/= none -> {ok, Node, Token};
                 _ -> known_leader(status())
             end
         end).

known_leader({ok, #{role := unconfigured}}) -> {error, not_configured};
known_leader({ok, #{leader := Node, token := Token}}) when is_binary(Node) -> {ok, Node, Token};
known_leader({ok, _}) -> {error, no_leader};
known_leader({error, _} = Error) -> Error.

%% @doc It grows with each election. 0 before the first.
-spec current_term() -> {ok, non_neg_integer()} | {error, error()}.
current_term() ->
    read(fun() ->
             case ets:lookup(remora_services, leader) of
                 [{_, _, Term, _}] -> {ok, Term};
                 [] ->
                     case status() of
                         {ok, #{term := Term}} -> {ok, Term};
                         {error, _} = Error -> Error
                     end
             end
         end).

%% @doc Does this VM's companion lead, and surely so at this moment? `false' for whatever reason.
-spec am_i_leader() -> boolean().
am_i_leader() ->
    case fencing_token() of
        {ok, _} -> true;
        {error, _} -> false
    end.

%% @doc Of the own leadership, while its lease surely holds.
-spec fencing_token() -> {ok, token()} | {error, not_leader | error()}.
fencing_token() ->
    Asked = now_us(),
    case status() of
        {ok, #{role := leader, token := Token, lease_left := Left}} ->
            case is_over(Asked, Left) of
                false -> {ok, Token};
                true -> {error, not_leader}
            end;
        {ok, _} -> {error, not_leader};
        {error, _} = Error -> Error
    end.

%% What is left was said after the question: so counted from before it, it is never too long.
is_over(AskedUs, LeftMs) -> now_us() - AskedUs >= LeftMs * 1_000.

now_us() -> erlang:monotonic_time(microsecond).

%% @doc Is it the token of who leads now? The leader is asked. `stale_token': of a former one. `unknown_token': of none yet.
-spec check_token(token()) -> ok | {error, failure() | error()}.
check_token(Token) when is_integer(Token), Token >= 0 -> done(remora_door:call(remora_door:check_token(Token)));
check_token(_) -> {error, badarg}.

%% @doc What the companion says of it: it is asked.
-spec status() -> {ok, status()} | {error, error()}.
status() ->
    case remora_door:call(remora_door:election(status)) of
        {ok, {ok, #{role := Role, term := Term, leader := Leader, token := Token, lease_left := Left, voters := Voters,
                    version := Version} = Status}}
          when is_atom(Role), is_integer(Term), is_binary(Leader) orelse Leader =:= none, is_integer(Token), is_integer(Left),
               is_list(Voters), is_integer(Version) ->
            {ok, Status#{abstains => maps:get(abstains, Status, none)}};
        {ok, Answer} -> failed(Answer);
        {error, _} = Error -> Error
    end.

%% ---- changing it ----------------------------------------------------------------------------------------------------

%% @doc The leader is asked to hand over to another voter, which leads when this returns.
-spec transfer(node() | binary()) -> ok | {error, failure() | error()}.
transfer(To) -> to_node(To, fun remora_door:transfer/1).

%% @doc Of the leader itself, `not_leader' elsewhere: to whom it thinks best.
-spec resign() -> ok | {error, failure() | error()}.
resign() -> written(remora_door:write(remora_door:election(resign))).

%% @doc The leader is asked to. One change at a time; `busy' while another is under way.
-spec add_voter(node() | binary()) -> ok | {error, failure() | error()}.
add_voter(Node) -> to_node(Node, fun remora_door:add_voter/1).

%% @doc The leader is asked to.
-spec remove_voter(node() | binary()) -> ok | {error, failure() | error()}.
remove_voter(Node) -> to_node(Node, fun remora_door:remove_voter/1).

to_node(Node, Request) ->
    case name(Node) of
        {ok, Name} -> written(remora_door:write(Request(Name)));
        error -> {error, badarg}
    end.

%% ---- named elections ------------------------------------------------------------------------------------------------

%% @equiv campaign(Name, self())
-spec campaign(text()) -> ok | {error, failure() | error()}.
campaign(Name) -> campaign(Name, self()).

%% @doc The process stands for the election of this name until it ends, {@link resign/1}, or the service is stopped; also
%% after a restart of the companion. It is no error when it does already. That it holds it is told to who has
%% subscribed; {@link holds/1} says so at any time. Of a name's candidates one holds it.
-spec campaign(text(), pid()) -> ok | {error, failure() | error()}.
campaign(Given, Pid) when is_pid(Pid), node(Pid) =:= node() ->
    case name(Given) of
        {ok, Name} ->
            case remora_door:write(remora_door:campaign(Name, Pid)) of
                {ok, ok, Version} ->
                    remora_intents:put_campaign(Name, Pid, Version),
                    remora_intents:replayed(Version, remora_intents:campaign_key(Name, Pid));
                {ok, Answer, _} -> failed(Answer);
                {error, _} = Error -> Error
            end;
        error -> {error, badarg}
    end;
campaign(_, _) -> {error, badarg}.

%% @equiv resign(Name, self())
-spec resign(text()) -> ok | {error, failure() | error()}.
resign(Name) -> resign(Name, self()).

%% @doc The process does not stand any more, and gives back what it holds.
-spec resign(text(), pid()) -> ok | {error, failure() | error()}.
resign(Given, Pid) when is_pid(Pid) ->
    case name(Given) of
        {ok, Name} ->
            case remora_door:write(remora_door:resign_name(Name, Pid)) of
                {ok, Answer, Version} when Answer =:= ok; Answer =:= {error, not_campaigning} ->
                    remora_intents:drop_campaign(Name, Pid),
                    _ = remora_intents:replayed(Version, remora_intents:campaign_key(Name, Pid)),
                    Answer;
                {ok, Answer, _} -> failed(Answer);
                {error, _} = Error -> Error
            end;
        error -> {error, badarg}
    end;
resign(_, _) -> {error, badarg}.

%% @doc The companion through which it is held, and the token; as the leader last told.
-spec leader(text()) -> {ok, Node :: binary(), token()} | {error, no_leader | not_started | badarg | not_running}.
leader(Given) ->
    case name(Given) of
        {ok, Name} ->
            read(fun() ->
                     case ets:lookup(remora_services, {led, Name}) of
                         [{_, Node, Token}] -> {ok, Node, Token};
                         [] -> {error, no_leader}
                     end
                 end);
        error -> {error, badarg}
    end.

%% @equiv holds(Name, self())
-spec holds(text()) -> {ok, token()} | {error, not_held | error()}.
holds(Name) -> holds(Name, self()).

%% @doc Does the process hold the name, and surely so at this moment? The token for what it writes.
-spec holds(text(), pid()) -> {ok, token()} | {error, not_held | error()}.
holds(Given, Pid) when is_pid(Pid) ->
    case name(Given) of
        {ok, Name} ->
            Asked = now_us(),
            case remora_door:call(remora_door:holds(Name, Pid)) of
                {ok, {ok, Token, Left}} when is_integer(Token), is_integer(Left) ->
                    case is_over(Asked, Left) of
                        false -> {ok, Token};
                        true -> {error, not_held}
                    end;
                {ok, Answer} -> failed(Answer);
                {error, _} = Error -> Error
            end;
        error -> {error, badarg}
    end;
holds(_, _) -> {error, badarg}.

name(Name) when is_atom(Name) -> name(atom_to_binary(Name));
name(Given) when is_binary(Given); is_list(Given) ->
    try unicode:characters_to_binary(Given) of
        Name when is_binary(Name), Name =/= <<>>, byte_size(Name) =< ?NAME_MAX -> {ok, Name};
        _ -> error
    catch error:badarg -> error
    end;
name(_) -> error.

%% ---- answers --------------------------------------------------------------------------------------------------------

read(Read) ->
    try remora_state:is_up() andalso ets:member(remora_services, election) of
        true -> Read();
        false ->
            case remora_state:is_up() of
                true -> {error, not_started};
                false -> {error, not_running}
            end
    catch error:badarg -> {error, not_running} % the tables are gone
    end.

written({ok, Answer, _}) -> done({ok, Answer});
written({error, _} = Error) -> Error.

done({ok, ok}) -> ok;
done({ok, Answer}) -> failed(Answer);
done({error, _} = Error) -> Error.

failed({error, Reason}) ->
    Known = [not_configured, no_leader, not_leader, unknown_node, is_voter, not_voter, busy, too_many, timeout, stale_token,
             unknown_token, stopped, not_campaigning, not_held, not_started],
    case lists:member(Reason, Known) of
        true -> {error, Reason};
        false -> {error, badarg}
    end;
failed(_) -> {error, badarg}.

%% ---- changes --------------------------------------------------------------------------------------------------------

%% @doc The calling process gets `{remora_election, Ref, Event}' from here on, see event(). It outlives companions.
-spec subscribe() -> {ok, reference()} | {error, not_running}.
subscribe() -> remora_intents:subscribe(leader, self()).

%% @doc Of a named election, see name_event(): who is told to hold it, and processes of this VM that hold it, or do not any
%% more.
-spec subscribe(text()) -> {ok, reference()} | {error, badarg | not_running}.
subscribe(Given) ->
    case name(Given) of
        {ok, Name} -> remora_intents:subscribe({leader, Name}, self());
        error -> {error, badarg}
    end.

%% @doc No more of them. Those that are in the caller's mailbox are taken out.
-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) ->
    Result = remora_intents:unsubscribe(Ref),
    flush(Ref),
    Result.

flush(Ref) ->
    receive {remora_election, Ref, _} -> flush(Ref)
    after 0 -> ok
    end.
