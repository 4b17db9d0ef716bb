%% global_SUITE: OTP's `global' with native members (protocol 7 and 11; checklist lines "global join", "register",
%% "clash" and "POP"). Each case starts its own cluster: three OTP nodes of the group's releases and two native
%% ones, under the names that the claim needs; what is random is drawn anew in each of its rounds.
-module(global_SUITE).
-define(NO_NUT, true).
-include("suite.hrl").

cases() ->
    [alone_with_one, as_third, as_entry, five_at_once, registered_from_every_node, concurrent_registrations,
     death_clears_names, node_death_clears_names, user_locks, clash_smaller, clash_greater, cut_between_two, we_alone_know,
     they_alone_know, halt,
     frozen_member, peer_dies_in_each_step, unreachable_for_otp, unreachable_for_us, unreachable_both_ways].

peers() -> [].

-define(WAIT, 30_000).

%% ---- joining ---------------------------------------------------------------------------------------

alone_with_one(Config) ->
    cluster(Config, [a], [n], fun(#{a := A, n := N}) ->
        yes = register_at(A, foo),
        connect(A, N),
        joined([A, N]),
        same_names([A, N], [foo])
    end).

as_third(Config) ->
    repeat(3, fun() -> cluster(Config, [a, b], [n], fun(#{a := A, b := B, n := N}) ->
        connect(A, B),
        joined([A, B]),
        yes = register_at(B, foo),
        connect(A, N),
        joined([A, B, N]),
        same_names([A, B, N], [foo])
    end) end).

as_entry(Config) ->
    repeat(3, fun() -> cluster(Config, [a, b], [n], fun(#{a := A, b := B, n := N}) ->
        connect(A, N),
        joined([A, N]),
        yes = register_at(N, native),
        connect(B, N),
        joined([A, B, N]),
        same_names([A, B, N], [native])
    end) end).

%% Three OTP nodes and two native ones, each pinging a random one at once.
five_at_once(Config) ->
    repeat(3, fun() -> cluster(Config, [a, b, c], [n, m], fun(#{a := A, b := B, c := C, n := N, m := M}) ->
        [yes = register_at(X, Name) || {X, Name} <- [{A, of_a}, {B, of_b}, {C, of_c}, {N, of_n}, {M, of_m}]],
        All = [A, B, C, N, M],
        Jobs = shuffle([{P, X} || {P, X} <- [{A, B}, {B, C}, {A, N}, {C, M}]]),
        pmap(fun({P, X}) -> connect(P, X) end, Jobs),
        joined(All),
        same_names(All, [of_a, of_b, of_c, of_m, of_n])
    end) end).

%% A newcomer that is gone in the middle of any step costs the others nothing: no lock stays, and names are registered
%% at once. Its name is smaller than all others, or greater: who leads a lock round (the boss) depends on that.
peer_dies_in_each_step(Config) ->
    calm_cluster(Config, [b], [n], fun(#{b := B, n := N}) ->
        connect(B, N),
        joined([B, N]),
        [begin
             Raw = remora_ct:unique(Prefix),
             ?assertEqual({died, Step}, raw_global:join(newcomer(Config, Raw, N), maps:get(node, N), Step)),
             joined([B, N]),
             Name = list_to_atom(atom_to_list(Raw) ++ "_died"),
             {Ms, yes} = elapsed(fun() -> register_at(N, Name) end),
             ?assert(Ms < 5_000, {Prefix, Step, Ms}),
             same_names([B, N], [Name]),
             ok = unregister_at(N, Name)
         end || Prefix <- ["a_raw", "z_raw"], Step <- raw_global:steps()]
    end).

%% ---- registering -----------------------------------------------------------------------------------

registered_from_every_node(Config) ->
    five(Config, fun(All) ->
        [begin
             Name = list_to_atom("of_" ++ atom_to_list(maps:get(node, X))),
             yes = register_at(X, Name),
             same_names(All, [Name]),
             [no = register_at(Y, Name) || Y <- All],
             ok = unregister_at(X, Name),
             same_names(All, [])
         end || X <- All]
    end).

%% Every node tries every name at once: each name is registered by exactly one.
concurrent_registrations(Config) ->
    five(Config, fun(All) ->
        Names = [list_to_atom("n" ++ integer_to_list(I)) || I <- lists:seq(1, 6)],
        Said = pmap(fun({X, Name}) -> {Name, register_at(X, Name)} end, shuffle([{X, N} || X <- All, N <- Names])),
        [?assertEqual(1, length([yes || {N, yes} <- Said, N =:= Name])) || Name <- Names],
        same_names(All, Names),
        no_locks(All)
    end).

death_clears_names(Config) ->
    five(Config, fun([A | _] = All) ->
        [begin
             yes = register_at(X, foo),
             same_names(All, [foo]),
             Pid = whereis_at(A, foo),
             rcall(A, erlang, exit, [Pid, kill]),
             same_names(All, [])
         end || X <- All]
    end).

node_death_clears_names(Config) ->
    five(Config, fun([A, B, C, N, M]) ->
        yes = register_at(M, of_m),
        yes = register_at(C, of_c),
        same_names([A, B, N], [of_c, of_m]),
        remora_ct:kill(M),
        same_names([A, B, C, N], [of_c]),
        remora_ct:kill(C),
        same_names([A, B, N], []),
        joined([A, B, N])
    end).

user_locks(Config) ->
    five(Config, fun([A, B | _] = All) ->
        Holder = rcall(A, erlang, spawn, [timer, sleep, [infinity]]),
        true = run(A, fun() -> global:set_lock({res, me}) end),
        no_locks(All), % its process has ended
        true = run(B, fun() -> global:trans({res, me}, fun() -> true end) end),
        rcall(A, erlang, exit, [Holder, kill]),
        no_locks(All)
    end).

%% ---- clashes ---------------------------------------------------------------------------------------

%% The native node's name is smaller than the OTP node's and decides, or greater, and hears.
clash_smaller(Config) -> clashes(Config, a_native, z_otp).
clash_greater(Config) -> clashes(Config, z_native, a_otp).

clashes(Config, Native, Otp) ->
    [cluster(Config, [Otp], [Native], fun(Cluster) ->
         #{Otp := O, Native := N} = Cluster,
         yes = door(N, {register_name, foo, spawn_echo(N), Method}),
         yes = run(O, fun() ->
             P = spawn(fun() -> receive {global_name_conflict, _} -> ok; {global_name_conflict, _, _} -> ok end,
                                receive stop -> ok end end),
             global:register_name(foo, P, method(Method))
         end),
         connect(O, N),
         joined([O, N]),
         Left = case Method of notify_all -> []; _ -> [foo] end,
         same_names([O, N], Left)
     end) || Method <- [random_exit, random_notify, notify_all]].

method(random_exit) -> fun global:random_exit_name/3;
method(random_notify) -> fun global:random_notify_name/3;
method(notify_all) -> fun global:notify_all_name/3.

%% ---- partitions ------------------------------------------------------------------------------------

cut_between_two(Config) ->
    cluster(Config, [a, b], [n, m], fun(#{a := A, b := B, n := N, m := M}) ->
        connect(A, B), connect(A, N), connect(A, M),
        All = [A, B, N, M],
        joined(All),
        true = rcall(A, erlang, disconnect_node, [maps:get(node, N)]),
        %% Everybody drops both; or one of them alone, when that one is parted before it has told of its own loss. Until
        %% then there may be nodes that know somebody who knows others than they do.
        wait_until(fun() ->
            Known = [{maps:get(node, X), known(X)} || X <- All],
            Knows = fun(X) -> proplists:get_value(X, Known) end,
            Part = fun(X) -> lists:sort([X | Knows(X)]) end,
            lists:all(fun({X, Xs}) -> lists:all(fun(Y) -> Part(Y) =:= Part(X) end, Xs) end, Known)
                andalso lists:any(fun(#{node := X}) -> Knows(X) =:= [] end, [A, N])
                andalso lists:member(maps:get(node, M), Knows(maps:get(node, B)))
        end, ?WAIT),
        %% What is said of the loss last may still end what is connected now: then it is connected again.
        wait_until(fun() ->
            [rcall(A, net_kernel, connect_node, [maps:get(node, X)]) || X <- [B, N]],
            knows_all(All)
        end, ?WAIT),
        joined(All)
    end).

%% What an introduction leaves that met a loss: two nodes are connected, and one alone counts the other in. It is made here by
%% the word of a third node that there is not. Ours connects anew; OTP nodes would stay so.
we_alone_know(Config) -> one_sided(Config, fun(#{b := B, n := N}) -> {N, B} end).
they_alone_know(Config) -> one_sided(Config, fun(#{b := B, n := N}) -> {B, N} end).

one_sided(Config, Who) ->
    calm_cluster(Config, [b], [n], fun(#{b := B, n := N} = Cluster) ->
        yes = register_at(B, of_b),
        yes = register_at(N, of_n),
        {Knows, Other} = Who(Cluster),
        rcall(asker(N), gen_server, cast, [{global_name_server, maps:get(node, Knows)},
                                           {new_nodes, 'q@127.0.0.1', [], [], [{maps:get(node, Other), 8}], []}]),
        wait_until(fun() -> known(Knows) =:= [maps:get(node, Other)] end, ?WAIT),
        ?assertEqual([], known(Other)),
        joined([B, N]),
        same_names([B, N], [of_b, of_n]),
        true = lists:any(fun(Line) -> string:find(Line, "connected anew") =/= nomatch end, remora_ct:log_lines(N))
    end).

halt(Config) ->
    five(Config, fun([A, B, C, N, M]) ->
        remora_ct:stop(C),
        joined([A, B, N, M]),
        0 = remora_ct:stop(M),
        joined([A, B, N])
    end).

%% A newcomer joins through us, and the OTP node cannot dial it (no epmd knows it): all drop the newcomer and nobody
%% else.
unreachable_for_otp(Config) -> unreachable(Config, fun(#{n := N}) -> N end).
%% The same through the OTP node; we cannot dial it.
unreachable_for_us(Config) -> unreachable(Config, fun(#{b := B}) -> B end).

unreachable(Config, Through) ->
    cluster(Config, [b], [n], fun(#{b := B, n := N} = Cluster) ->
        connect(B, N),
        joined([B, N]),
        yes = register_at(N, foo),
        Entry = Through(Cluster),
        [begin
             Conn = newcomer(Config, remora_ct:unique(Prefix), Entry),
             %% The word to part can come before the last one of the join.
             Parted = case raw_global:join(Conn, maps:get(node, Entry), never) of
                          {joined, Newcomer} -> raw_global:parted(Newcomer);
                          Other -> Other
                      end,
             ?assertEqual(parted, Parted),
             joined([B, N]),
             same_names([B, N], [foo])
         end || Prefix <- ["a_raw", "z_raw"]]
    end).

%% Two real nodes that a third one introduces and that refuse each other's cookie: as after a cut, nobody keeps a node that
%% has not kept it, and the two never meet. With the cookie right they join.
unreachable_both_ways(Config) ->
    calm_cluster(Config, [a, b], [n], fun(#{a := A, b := B, n := N}) ->
        Right = list_to_atom(remora_ct:cookie(Config)),
        true = rcall(B, erlang, set_cookie, [maps:get(node, N), wrong_cookie]),
        connect(A, N),
        joined([A, N]),
        connect(A, B),
        Apart = fun() ->
                    Known = [{maps:get(node, X), known(X)} || X <- [A, B, N]],
                    [] =:= [{X, Y} || {X, Xs} <- Known, {Y, Ys} <- Known, lists:member(X, Ys) =/= lists:member(Y, Xs)]
                        andalso length(lists:append([K || {_, K} <- Known])) =< 2
                end,
        wait_until(fun() -> failed_to_reach(N, B) end, ?WAIT),
        wait_until(Apart, ?WAIT),
        ?assertNot(lists:member(maps:get(node, B), known(N))),
        no_locks([A, B, N]),
        true = rcall(B, erlang, set_cookie, [maps:get(node, N), Right]),
        connect(A, N), connect(A, B),
        joined([A, B, N]),
        yes = register_at(B, foo),
        same_names([A, B, N], [foo])
    end).

%% Our log has the refusal.
failed_to_reach(N, B) ->
    Node = atom_to_binary(maps:get(node, B)),
    lists:any(fun(Line) -> binary:match(Line, Node) =/= nomatch andalso binary:match(Line, <<"handshake">>) =/= nomatch end,
              [iolist_to_binary(L) || L <- remora_ct:log_lines(N)]).

newcomer(Config, Raw, #{node := Peer, port := Port}) ->
    Name = list_to_atom(atom_to_list(Raw) ++ "@127.0.0.1"),
    {ok, Conn} = raw_dist:handshake(Port, #{name => Name, peer => Peer, cookie => remora_ct:cookie(Config)}),
    Conn.

frozen_member(Config) ->
    calm_cluster(Config, [a, b], [n], fun(#{a := A, b := B, n := N}) ->
        connect(A, B), connect(A, N),
        joined([A, B, N]),
        Echo = spawn_echo(N),
        Frozen = maps:get(node, B),
        remora_ct:freeze(B),
        {Ms, Said} = elapsed(fun() -> door(N, {register_name, foo, Echo, random_exit}) end),
        ?assertEqual({error, {timeout, Frozen}}, Said),
        ?assert(Ms < 10_000),
        remora_ct:thaw(B),
        same_names([A, B, N], []),
        no_locks([A, B, N]),
        yes = door(N, {register_name, foo, Echo, random_exit}),
        same_names([A, B, N], [foo])
    end).

%% ---- clusters --------------------------------------------------------------------------------------

five(Config, Fun) ->
    cluster(Config, [a, b, c], [n, m], fun(#{a := A, b := B, c := C, n := N, m := M}) ->
        [connect(A, X) || X <- [B, C, N, M]],
        joined([A, B, C, N, M]),
        Fun([A, B, C, N, M])
    end).

%% Twice: as it comes, and while its nodes stop for moments, one or another, so that the order of things is random.
cluster(Config, Otp, Native, Fun) ->
    calm_cluster(Config, Otp, Native, Fun),
    calm_cluster(Config, Otp, Native, fun(Cluster) -> jittered(maps:values(Cluster), fun() -> Fun(Cluster) end) end).

calm_cluster(Config, Otp, Native, Fun) ->
    Releases = proplists:get_value(releases, Config),
    Opts = remora_ct:opts(Config),
    Otps = [{Name, remora_ct:start_peer(Opts#{name => remora_ct:unique(atom_to_list(Name)),
                                              release => lists:nth((I - 1) rem length(Releases) + 1, Releases)})}
            || {I, Name} <- lists:enumerate(Otp)],
    Natives = [{Name, remora_ct:start_node_like_nut(Config, #{name => remora_ct:unique(atom_to_list(Name))})} || Name <- Native],
    Cluster = maps:from_list(Otps ++ Natives),
    try Fun(Cluster)
    after [catch remora_ct:stop(X) || X <- maps:values(Cluster)]
    end.

%% Pauses of up to 20 ms, and as long between two of them.
jittered(Nodes, Fun) ->
    Jitter = spawn_link(fun() -> jitter(list_to_tuple(Nodes)) end),
    try Fun()
    after
        Ref = monitor(process, Jitter),
        Jitter ! stop,
        receive {'DOWN', Ref, process, _, _} -> ok end
    end.

jitter(Nodes) ->
    receive stop -> ok
    after rand:uniform(20) ->
        Node = element(rand:uniform(tuple_size(Nodes)), Nodes),
        remora_ct:freeze(Node),
        receive after rand:uniform(20) -> ok end,
        remora_ct:thaw(Node),
        jitter(Nodes)
    end.

repeat(N, Fun) -> [Fun() || _ <- lists:seq(1, N)], ok.
shuffle(L) -> [X || {_, X} <- lists:sort([{rand:uniform(), X} || X <- L])].
pmap(Fun, L) ->
    Me = self(),
    Refs = [begin Ref = make_ref(), spawn_link(fun() -> Me ! {Ref, Fun(X)} end), Ref end || X <- L],
    [receive {Ref, R} -> R end || Ref <- Refs].

%% A native node is asked by an OTP node that is none of the cluster's: one that starts hidden for each question
%% would take too long, so a hidden one is started once.
native(#{kind := peer}) -> false;
native(_) -> true.

asker(#{opts := Opts}) ->
    Key = {asker, maps:get(epmd_port, Opts)},
    case persistent_term:get(Key, none) of
        none ->
            Asker = remora_ct:start_peer(Opts#{name => remora_ct:unique("asker"), hidden => true, release => 25,
                                               modules => [?MODULE]}),
            persistent_term:put(Key, Asker),
            Asker;
        Asker -> Asker
    end.

ask(Native, M, F, A) -> rcall(asker(Native), erpc, call, [maps:get(node, Native), M, F, A]).
door(Native, Request) -> rcall(asker(Native), gen_server, call, [{remora, maps:get(node, Native)}, Request, 60_000]).
spawn_echo(Native) -> ask(Native, calc, spawn_echo, []).

register_at(X, Name) ->
    case native(X) of
        true -> door(X, {register_name, Name, spawn_echo(X), random_exit});
        false -> run(X, fun() -> global:register_name(Name, spawn(timer, sleep, [infinity])) end)
    end.
unregister_at(X, Name) ->
    case native(X) of
        true -> door(X, {unregister_name, Name});
        false -> rcall(X, global, unregister_name, [Name])
    end.
whereis_at(X, Name) ->
    case native(X) of
        true -> ask(X, global, whereis_name, [Name]);
        false -> rcall(X, global, whereis_name, [Name])
    end.
names_at(X) ->
    lists:sort(case native(X) of
                   true -> ask(X, global, registered_names, []);
                   false -> rcall(X, global, registered_names, [])
               end).
known(X) ->
    lists:sort(case native(X) of
                   true -> rcall(asker(X), gen_server, call, [{global_name_server, maps:get(node, X)}, get_known]);
                   false -> rcall(X, gen_server, call, [global_name_server, get_known])
               end).

joined(All) ->
    try wait_until(fun() -> knows_all(All) end, ?WAIT)
    catch error:_ -> error({not_joined, [{maps:get(node, X), known(X)} || X <- All]})
    end,
    no_locks(All).

knows_all(All) ->
    Nodes = lists:sort([maps:get(node, X) || X <- All]),
    lists:all(fun(X) -> known(X) =:= Nodes -- [maps:get(node, X)] end, All).

same_names(All, Names0) ->
    Names = lists:sort(Names0),
    try wait_until(fun() ->
            lists:all(fun(X) -> names_at(X) =:= Names end, All) andalso
            lists:all(fun(N) -> length(lists:usort([whereis_at(X, N) || X <- All])) =:= 1 end, Names)
        end, ?WAIT)
    catch error:_ -> error({names, Names, [{maps:get(node, X), names_at(X)} || X <- All]})
    end.

%% Locks are free soon after all is quiet.
no_locks(All) ->
    wait_until(fun() -> lists:all(fun(X) -> native(X) orelse rcall(X, ets, tab2list, [global_locks]) =:= [] end, All) end,
               ?WAIT).
