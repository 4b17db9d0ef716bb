%% shim: what the Erlang package costs the application that uses it, against what it would use of OTP itself, on the same
%% VM, in the same minutes, for the same names, groups and nodes. bench takes these values like its own.
%%
%%   mirror_whereis   remora_registry:whereis/1 and global:whereis_name/1, ns each, over 1,000 names of local processes
%%   mirror_members   remora_groups:members/2 and pg:get_members/2, ns each, over 100 groups of ten
%%   shim_rpc         median of remora_rpc:call/4 and erpc:call/4 to the same node, in microseconds
%%   shim_rpc_many    the same two from 64 processes at once, calls per second
%%   replay           the companion of a VM with 10,000 names and 10,000 memberships (1,000 groups of ten) is killed:
%%                    ms until the VM's mirror and another node's `global' and `pg' have all of them
-module(shim).
-export([start/1, stop/1, mirror_whereis/2, mirror_members/2, shim_rpc/2, shim_rpc_many/2, replay/2]).
%% run on the nodes
-export([have/4, whereis_ns/2, members_ns/2, rpc_us/2, rpc_many/2, has_names/2, has_members/3, is_up/1]).

-define(NAMES, 1_000).
-define(GROUPS, 100).
-define(PER_GROUP, 10).
-define(READS, 300_000).
-define(CALLS, 2_000).
-define(CALLERS, 64).
-define(CALLS_EACH, 200).
-define(REPLAY_NAMES, 10_000).
-define(REPLAY_GROUPS, 1_000).
-define(PG, ["-kernel", "start_pg", "true"]).

start(Opts) ->
    Modules = [shim, shim_ct, shimnode | maps:get(modules, shim_ct:peer_opts(shim))],
    New = fun(Name) -> remora_ct:start_peer(Opts#{name => remora_ct:unique(Name), otp_args => ?PG, modules => Modules}) end,
    [App, Heavy, There] = [New(Name) || Name <- ["app", "heavy", "there"]],
    [remora_ct:connect(There, Vm) || Vm <- [App, Heavy]],
    [{ok, _} = shim_ct:start(Vm, #{restart_intensity => {1_000, 1}}) || Vm <- [App, Heavy]],
    ok = remora_ct:rcall(App, shim, have, [light, ?NAMES, ?GROUPS, ?PER_GROUP]),
    ok = remora_ct:rcall(Heavy, shim, have, [heavy, ?REPLAY_NAMES, ?REPLAY_GROUPS, ?PER_GROUP]),
    [await_all(Vm, light, ?NAMES, ?GROUPS) || Vm <- [App, There]],
    await_all(There, heavy, ?REPLAY_NAMES, ?REPLAY_GROUPS),
    #{app => App, heavy => Heavy, there => There}.

stop(#{app := App, heavy := Heavy, there := There}) -> [remora_ct:stop(N) || N <- [App, Heavy, There]], ok.

%% Registered and joined in one call each; a process has one name.
have(Kind, Names, Groups, PerGroup) ->
    Pids = shimnode:spawn_idle(Names),
    [] = [R || R <- remora_registry:register_many(lists:zip(names(Kind, Names), Pids), 60_000), R =/= ok],
    [ok = remora_groups:join(G, lists:sublist(Pids, PerGroup)) || G <- groups(Kind, Groups)],
    ok.

names(Kind, Count) -> [{Kind, N} || N <- lists:seq(1, Count)].
groups(Kind, Count) -> [{Kind, group, N} || N <- lists:seq(1, Count)].

await_all(Node, Kind, Names, Groups) ->
    remora_ct:wait_until(fun() -> there_has(Node, Kind, Names, Groups) end, 60_000).

there_has(Node, Kind, Names, Groups) ->
    remora_ct:rcall(Node, shim, has_members, [Kind, Groups, pg]) andalso remora_ct:rcall(Node, shim, has_names, [Kind, Names]).

%% ---- reads ------------------------------------------------------------------------------------------------------

mirror_whereis(Through, #{app := App}) -> remora_ct:rcall(App, shim, whereis_ns, [Through, ?READS]).
mirror_members(Through, #{app := App}) -> remora_ct:rcall(App, shim, members_ns, [Through, ?READS]).

whereis_ns(Through, Count) ->
    Names = names(light, ?NAMES),
    case Through of
        remora -> timed(fun(Name) -> {ok, _} = remora_registry:whereis(Name) end, Names, Count);
        beam -> timed(fun(Name) -> true = is_pid(global:whereis_name(Name)) end, Names, Count)
    end.

members_ns(Through, Count) ->
    Groups = groups(light, ?GROUPS),
    case Through of
        remora -> timed(fun(Group) -> {ok, [_ | _]} = remora_groups:members(pg, Group) end, Groups, Count);
        beam -> timed(fun(Group) -> [_ | _] = pg:get_members(pg, Group) end, Groups, Count)
    end.

timed(Read, Keys, Count) ->
    lists:foreach(Read, Keys),
    Start = erlang:monotonic_time(nanosecond),
    many(Read, Keys, Keys, Count),
    (erlang:monotonic_time(nanosecond) - Start) / Count.

many(_, _, _, 0) -> ok;
many(Read, [], All, Count) -> many(Read, All, All, Count);
many(Read, [Key | Keys], All, Count) -> Read(Key), many(Read, Keys, All, Count - 1).

%% ---- calls --------------------------------------------------------------------------------------------------------

shim_rpc(Through, #{app := App, there := #{node := There}}) -> remora_ct:rcall(App, shim, rpc_us, [Through, There]).
shim_rpc_many(Through, #{app := App, there := #{node := There}}) -> remora_ct:rcall(App, shim, rpc_many, [Through, There]).

caller(remora, There) -> fun() -> {ok, There} = remora_rpc:call(There, erlang, node, []) end;
caller(beam, There) -> fun() -> There = erpc:call(There, erlang, node, []) end.

rpc_us(Through, There) ->
    Call = caller(Through, There),
    [Call() || _ <- lists:seq(1, 100)],
    Times = [begin
                 Start = erlang:monotonic_time(nanosecond),
                 Call(),
                 erlang:monotonic_time(nanosecond) - Start
             end || _ <- lists:seq(1, ?CALLS)],
    lists:nth(?CALLS div 2, lists:sort(Times)) / 1000.

rpc_many(Through, There) ->
    Call = caller(Through, There),
    Call(),
    Start = erlang:monotonic_time(nanosecond),
    Refs = [element(2, spawn_monitor(fun() -> [Call() || _ <- lists:seq(1, ?CALLS_EACH)] end)) || _ <- lists:seq(1, ?CALLERS)],
    [receive {'DOWN', R, process, _, Why} -> normal = Why end || R <- Refs],
    ?CALLERS * ?CALLS_EACH * 1_000_000_000 / (erlang:monotonic_time(nanosecond) - Start).

%% ---- replay -------------------------------------------------------------------------------------------------------

replay(remora, #{heavy := Heavy, there := There}) ->
    Epoch = remora_ct:rcall(Heavy, remora_state, epoch, []),
    OsPid = shim_ct:os_pid(Heavy),
    Start = erlang:monotonic_time(microsecond),
    [] = os:cmd("kill -9 " ++ integer_to_list(OsPid)),
    remora_ct:wait_until(fun() -> remora_ct:rcall(Heavy, shim, is_up, [Epoch]) end, 60_000),
    true = remora_ct:rcall(Heavy, shim, has_members, [heavy, ?REPLAY_GROUPS, remora]),
    await_all(There, heavy, ?REPLAY_NAMES, ?REPLAY_GROUPS),
    (erlang:monotonic_time(microsecond) - Start) / 1000.

is_up(After) -> remora_state:is_up() andalso remora_state:epoch() > After.

has_names(Kind, Count) -> lists:all(fun(Name) -> is_pid(global:whereis_name(Name)) end, names(Kind, Count)).

has_members(Kind, Count, Through) ->
    lists:all(fun(Group) ->
                  case Through of
                      remora -> length(element(2, remora_groups:members(Group))) =:= ?PER_GROUP;
                      pg -> length(pg:get_members(Group)) =:= ?PER_GROUP
                  end
              end, groups(Kind, Count)).
