%%% @doc Who keeps a global name when two clusters meet that both have it, where an OTP node decides.
%%%
%%% A name that was registered through a companion with one of remora's policies carries `fun remora_policy:Policy/3'. The
%%% node that joins two clusters calls it on the node of the process that has the name (global:resolve_it/4), which is
%%% this VM when the process is ours. First is the process of the joining node, Second the one that was here; what comes
%%% back keeps the name, `none' means nobody does. cnode/global/policy.cpp decides the same where a companion does.
-module(remora_policy).

-export([lowest_pid/3, highest_pid/3, keep_local/3, kill_both/3, node_priority/3, callback/3]).

%% @doc The loser of this and of the next three is sent `{global_name_conflict, Name}'.
-spec lowest_pid(term(), pid(), pid()) -> pid().
lowest_pid(Name, First, Second) -> kept(Name, min(First, Second), max(First, Second)).

-spec highest_pid(term(), pid(), pid()) -> pid().
highest_pid(Name, First, Second) -> kept(Name, max(First, Second), min(First, Second)).

-spec keep_local(term(), pid(), pid()) -> pid().
keep_local(Name, First, Second) -> kept(Name, Second, First).

-spec kill_both(term(), pid(), pid()) -> none.
kill_both(_Name, First, Second) ->
    exit(First, kill),
    exit(Second, kill),
    none.

%% @doc The list is known where the name was registered: to the intents of this VM. Without it, and among nodes that are
%% not in it, the lower pid stays.
-spec node_priority(term(), pid(), pid()) -> pid().
node_priority(Name, First, Second) ->
    Nodes = try remora_intents:find_name(Name) of
                {ok, _Pid, {node_priority, List}} -> List;
                _ -> []
            catch error:badarg -> [] % the application does not run (any more)
            end,
    case {rank(node(First), Nodes), rank(node(Second), Nodes)} of
        {A, B} when A < B -> kept(Name, First, Second);
        {A, B} when A > B -> kept(Name, Second, First);
        _ -> lowest_pid(Name, First, Second)
    end.

%% @doc Of a native function, which cannot run here.
-spec callback(term(), pid(), pid()) -> pid().
callback(Name, First, Second) -> lowest_pid(Name, First, Second).

rank(Node, [Node | _]) -> 0;
rank(Node, [_ | Nodes]) -> 1 + rank(Node, Nodes);
rank(_Node, []) -> 0.

kept(Name, Winner, Loser) ->
    Loser ! {global_name_conflict, Name},
    Winner.
