%%% @doc What the mirror has of membership and election: rows of two tables, what a change of the companion's stream does to
%%% them, and what of it is news. Functions of tables: remora_mirror is the process that calls them, for the live tables
%%% and for those of a stage.
%%%
%%%   remora_members    {Node, Status, Incarnation, Map, LearntMs}: LearntMs is when this VM heard it, since 1970
%%%   remora_services   {membership}, {election}              it runs
%%%                     {member_leader, Node}
%%%                     {leader, Node | none, Term, Token}
%%%                     {abstains, Text}
%%%                     {{led, Name}, Node, Token}            a named election, as its leader tells everybody
%%%                     {{held, Name, Pid}, Token}            by a process of an application at this node
%%%
%%% Names of nodes are text here: they come from the network, and no atom is made of them.
%%%
%%% A companion that is started again knows nobody at first, and hears of the others within a moment. What the one before
%%% had learnt from others is kept for so long (unseen), so that nobody is told of a loss that is none, nor of what is
%%% only repeated. What was the former companion's own - its leadership, names that it held - is gone with it, at once.
%%% @private
-module(remora_services).

-export([change/2, difference/4, gone/2, seen/1, unseen_is_over/2]).
-export([is_dead/2, member_map/1, greatest/1]).

-export_type([tables/0, key/0]).

-type tables() :: {Members :: ets:table(), Services :: ets:table(), Nodes :: ets:table()}.
%% What is kept although a new companion has not said it.
-type key() :: {member, binary()} | leader | {led, binary()}.

-define(IS_STATUS(S), (S =:= alive orelse S =:= suspect orelse S =:= dead orelse S =:= left)).

%% ---- a change -------------------------------------------------------------------------------------------------------

%% @doc Carries it out; the news that it is, in their order. `no': it is none of these.
-spec change(term(), tables()) -> [term()] | no.
change({membership, started}, {_, Services, _}) -> started(membership, Services);
change({membership, stopped}, {Members, Services, _} = Tables) ->
    case ets:member(Services, membership) of
        true ->
            Dead = [Node || {Node, dead, _, _, _} <- ets:tab2list(Members)],
            Before = reachable_all(Dead, Tables),
            true = ets:delete_all_objects(Members),
            [true = ets:delete(Services, Key) || Key <- [membership, member_leader]],
            [{membership, stopped} | lists:append([came_or_went(N, B, died, Tables) || {N, B} <- Before])];
        false -> []
    end;
change({member, Node, Status, Incarnation, Map}, {Members, _, _} = Tables)
  when is_binary(Node), ?IS_STATUS(Status), is_integer(Incarnation), is_map(Map) ->
    Row = {Node, Status, Incarnation, Map, erlang:system_time(millisecond)},
    case ets:lookup(Members, Node) of
        [{_, Status, Incarnation, Map, _}] -> [];
        Before ->
            Reachable = reachable_all([Node || Status =:= dead orelse was(Before) =:= dead], Tables),
            true = ets:insert(Members, Row),
            [{membership, {verdict(was(Before), Status), member_map(Row)}}
             | lists:append([came_or_went(N, B, died, Tables) || {N, B} <- Reachable])]
    end;
change({unmember, Node}, {Members, _, _} = Tables) when is_binary(Node) ->
    case ets:lookup(Members, Node) of
        [] -> [];
        Before ->
            Reachable = reachable_all([Node || was(Before) =:= dead], Tables),
            true = ets:delete(Members, Node),
            [{membership, {forgotten, Node}} | lists:append([came_or_went(N, B, died, Tables) || {N, B} <- Reachable])]
    end;
change({member_leader, Node}, {_, Services, _}) when is_binary(Node) ->
    [{membership, {leader, Node}} || is_other({member_leader, Node}, Services)];
change({member_event, From, Name, Payload}, _) when is_binary(From), is_binary(Name), is_binary(Payload) ->
    [{membership, {event, From, Name, Payload}}];
change({election, started}, {_, Services, _}) -> started(election, Services);
change({election, stopped}, {_, Services, _} = Tables) ->
    case ets:member(Services, election) of
        true ->
            Names = lists:append([change(Change, Tables) || Change <- names_end(Services)]),
            Leader = change({no_leader, term(Services)}, Tables),
            [true = ets:delete(Services, Key) || Key <- [election, leader, abstains]],
            Names ++ Leader ++ [{election, stopped}];
        false -> []
    end;
change({leader, Node, Term, Token}, {_, Services, _}) when is_binary(Node), is_integer(Term), is_integer(Token) ->
    [{election, {leader, Node, Term, Token}} || is_other({leader, Node, Term, Token}, Services)];
change({no_leader, Term}, {_, Services, _}) when is_integer(Term) ->
    Before = ets:lookup(Services, leader),
    true = ets:insert(Services, {leader, none, Term, 0}),
    [{election, {no_leader, Term}} || [{_, Node, _, _}] <- [Before], Node =/= none]; % terms without a leader are no news
change({led, Name, Node, Token}, {_, Services, _}) when is_binary(Name), is_binary(Node), is_integer(Token) ->
    [{named, Name, {led, Name, Node, Token}} || is_other({{led, Name}, Node, Token}, Services)];
change({unled, Name}, {_, Services, _}) when is_binary(Name) ->
    [{named, Name, {unled, Name}} || was_there({led, Name}, Services)];
change({held, Name, Pid, Token}, {_, Services, _}) when is_binary(Name), is_pid(Pid), is_integer(Token) ->
    [{named, Name, {held, Name, Pid, Token}} || is_other({{held, Name, Pid}, Token}, Services)];
change({unheld, Name, Pid}, {_, Services, _}) when is_binary(Name), is_pid(Pid) ->
    [{named, Name, {unheld, Name, Pid}} || was_there({held, Name, Pid}, Services)];
change({abstains, none}, {_, Services, _}) ->
    [{election, {abstains, none}} || was_there(abstains, Services)];
change({abstains, Text}, {_, Services, _}) when is_binary(Text) ->
    [{election, {abstains, Text}} || is_other({abstains, Text}, Services)];
change(_Other, _Tables) -> no.

started(Service, Services) -> [{Service, started} || ets:insert_new(Services, {Service})].

is_other(Row, Services) -> ets:lookup(Services, element(1, Row)) =/= [Row] andalso ets:insert(Services, Row).

was_there(Key, Services) -> ets:take(Services, Key) =/= [].

was([{_, Status, _, _, _}]) -> Status;
was([]) -> unknown.

verdict(Status, Status) -> updated;
verdict(suspect, alive) -> cleared;
verdict(_, alive) -> joined;
verdict(_, suspect) -> suspected;
verdict(_, dead) -> died;
verdict(_, left) -> left.

names_end(Services) ->
    [{unheld, Name, Pid} || [Name, Pid] <- ets:match(Services, {{held, '$1', '$2'}, '_'})]
        ++ [{unled, Name} || [Name] <- ets:match(Services, {{led, '$1'}, '_', '_'})].

term(Services) ->
    case ets:lookup(Services, leader) of
        [{_, _, Term, _}] -> Term;
        [] -> 0
    end.

%% ---- can a node be reached? -----------------------------------------------------------------------------------------

%% @doc By the verdict of the others, be it connected or not.
-spec is_dead(node() | binary(), ets:table()) -> boolean().
is_dead(Node, Members) when is_atom(Node) -> is_dead(atom_to_binary(Node), Members);
is_dead(Node, Members) -> was(ets:lookup(Members, Node)) =:= dead.

%% Of those that are connected: a name that no atom has is not.
reachable_all(Names, {Members, _, Nodes}) ->
    [{Node, not is_dead(Name, Members)} || Name <- Names, {ok, Node} <- [remora_atoms:existing(Name)], ets:member(Nodes, Node)].

came_or_went(Node, Before, Why, {Members, _, _}) ->
    case {Before, not is_dead(Node, Members)} of
        {false, true} -> [{reachable, Node}];
        {true, false} -> [{unreachable, Node, Why}];
        _ -> []
    end.

%% ---- two views ------------------------------------------------------------------------------------------------------

%% @doc The changes that make Old what New is, and what is kept of Old although New has it not: all that is in Unseen
%% already, and for a new companion (Own: it, else `same') what the one before had heard of others.
-spec difference(New :: tables(), Old :: tables(), Own :: binary() | same, Unseen :: [key()]) -> {[term()], [key()]}.
difference(New, Old, Own, Unseen) ->
    {Members, KeptMembers} = other_members(New, Old, Own, Unseen),
    {Election, KeptNames} = other_election(New, Old, Own, Unseen),
    {Members ++ Election, KeptMembers ++ KeptNames}.

other_members({NewMembers, NewServices, _}, {OldMembers, OldServices, _}, Own, Unseen) ->
    case ets:member(NewServices, membership) of
        false -> {[{membership, stopped} || ets:member(OldServices, membership)], []};
        true ->
            Missing = [Node || {Node, _, _, _, _} <- ets:tab2list(OldMembers), not ets:member(NewMembers, Node)],
            {Kept, Gone} = lists:partition(fun(Node) -> Own =/= same orelse lists:member({member, Node}, Unseen) end, Missing),
            {[{membership, started}]
             ++ [{member, Node, Status, Incarnation, Map} || {Node, Status, Incarnation, Map, _} <- ets:tab2list(NewMembers)]
             ++ [{unmember, Node} || Node <- Gone]
             ++ [Row || Kept =:= [], {member_leader, _} = Row <- ets:lookup(NewServices, member_leader)],
             [{member, Node} || Node <- Kept]}
    end.

other_election({_, New, _}, {_, Old, _}, Own, Unseen) ->
    case ets:member(New, election) of
        false -> {[{election, stopped} || ets:member(Old, election)], []};
        true ->
            {Leader, KeptLeader} = other_leader(ets:lookup(New, leader), ets:lookup(Old, leader), Own, Unseen),
            {Unled, KeptNames} = names_not_led(New, Old, Own, Unseen),
            {[{election, started}] ++ Leader ++ Unled
             ++ [{led, Name, Node, Token} || {{led, Name}, Node, Token} <- ets:tab2list(New)]
             ++ [{unheld, Name, Pid} || {{held, Name, Pid}, _} <- ets:tab2list(Old), not ets:member(New, {held, Name, Pid})]
             ++ [{held, Name, Pid, Token} || {{held, Name, Pid}, Token} <- ets:tab2list(New)]
             ++ [{abstains, abstains(New)}],
             KeptLeader ++ KeptNames}
    end.

other_leader([{_, Node, _, _} = Row], _, _, _) when Node =/= none -> {[Row], []};
other_leader(New, [{_, Node, Term, _}], Own, Unseen) when Node =/= none ->
    case keeps(leader, Node, Own, Unseen) of
        true -> {[], [leader]};
        false -> {[{no_leader, lists:max([T || {_, _, T, _} <- New] ++ [Term || New =:= []])}], []}
    end;
other_leader([{_, none, Term, _}], _, _, _) -> {[{no_leader, Term}], []};
other_leader([], _, _, _) -> {[], []}.

names_not_led(New, Old, Own, Unseen) ->
    Missing = [{Name, Node} || {{led, Name}, Node, _} <- ets:tab2list(Old), not ets:member(New, {led, Name})],
    {Kept, Gone} = lists:partition(fun({Name, Node}) -> keeps({led, Name}, Node, Own, Unseen) end, Missing),
    {[{unled, Name} || {Name, _} <- Gone], [{led, Name} || {Name, _} <- Kept]}.

%% What the companion itself was goes with it.
keeps(Key, _Node, same, Unseen) -> lists:member(Key, Unseen);
keeps(_Key, Node, Own, _Unseen) -> Node =/= Own.

abstains(Services) ->
    case ets:lookup(Services, abstains) of
        [{_, Text}] -> Text;
        [] -> none
    end.

%% @doc The companion does not answer any more: what it led and what was held through it is not surely so from here on.
-spec gone(Own :: binary(), tables()) -> Changes :: [term()].
gone(Own, {_, Services, _}) ->
    [{unheld, Name, Pid} || [Name, Pid] <- ets:match(Services, {{held, '$1', '$2'}, '_'})]
        ++ [{no_leader, Term} || {_, Node, Term, _} <- ets:lookup(Services, leader), Node =:= Own].

%% @doc What a change says something of.
-spec seen(term()) -> [key()].
seen({member, Node, _, _, _}) -> [{member, Node}];
seen({unmember, Node}) -> [{member, Node}];
seen({leader, _, _, _}) -> [leader];
seen({no_leader, _}) -> [leader];
seen({led, Name, _, _}) -> [{led, Name}];
seen({unled, Name}) -> [{led, Name}];
seen(_) -> [].

%% @doc A new companion has had its time: what it has not said by now is not so.
-spec unseen_is_over([key()], tables()) -> Changes :: [term()].
unseen_is_over(Keys, {_, Services, _}) ->
    lists:map(fun({member, Node}) -> {unmember, Node};
                 (leader) -> {no_leader, term(Services)};
                 ({led, Name}) -> {unled, Name}
              end, Keys).

%% ---- rows -----------------------------------------------------------------------------------------------------------

%% @doc Of the stream's map only what this version knows, and what is as it says.
-spec member_map(tuple()) -> remora_membership:member().
member_map({Node, Status, Incarnation, Map, _}) ->
    #{node => Node, status => Status, incarnation => Incarnation,
      kind => of_kind(kind, fun(Kind) -> Kind =:= remora orelse Kind =:= beam end, Map, beam),
      creation => of_kind(creation, fun erlang:is_integer/1, Map, 0),
      companion => of_kind(companion, fun erlang:is_binary/1, Map, none),
      address => of_kind(address, fun erlang:is_binary/1, Map, none),
      metadata => of_kind(metadata, fun is_metadata/1, Map, #{})}.

of_kind(Key, Is, Map, Else) ->
    case Map of
        #{Key := Value} ->
            case Is(Value) of
                true -> Value;
                false -> Else
            end;
        #{} -> Else
    end.

is_metadata(Map) -> is_map(Map) andalso lists:all(fun({K, V}) -> is_binary(K) andalso is_binary(V) end, maps:to_list(Map)).

%% @doc The greatest name that is alive or suspected.
-spec greatest(ets:table()) -> binary() | none.
greatest(Members) ->
    lists:foldl(fun({Node, Status, _, _, _}, Best) when Status =:= alive; Status =:= suspect ->
                        case Best =:= none orelse Node > Best of
                            true -> Node;
                            false -> Best
                        end;
                   (_, Best) -> Best
                end, none, ets:tab2list(Members)).
