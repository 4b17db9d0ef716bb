%% discovery_SUITE: nodes that find each other. In the group `parts' each source with the real thing behind it (dnsmasq,
%% epmd, TLS, files, multicast between hosts), the door `remora' as an application's front uses it, and the promises of
%% time; in the groups of OTP releases a cluster that has been cut up and finds itself again.
%%
%% Most nodes do without epmd: all listen on one port, each at its own loopback address, so that one basename serves for
%% many. A hidden OTP node, the driver, asks their doors. Rounds are asked for one by one where they are counted.
-module(discovery_SUITE).
-include_lib("stdlib/include/assert.hrl").
-compile([export_all, nowarn_export_all]).
-import(remora_ct, [rcall/4, rcall/5, run/2, wait_until/2, elapsed/1]).

-define(WAIT, 20_000).
-define(SECRET, "a secret of the test").

all() -> [{group, parts} | remora_ct:all()].
groups() -> [{parts, [], parts()} | remora_ct:groups([cut_cluster_heals])].
suite() -> [{timetrap, {minutes, 2}}].

parts() ->
    [dns_addresses, dns_addresses_of_ipv6, dns_services, dns_failures, dns_servers_in_order,
     kubernetes_endpoints, kubernetes_failures, kubernetes_trust,
     epmd_of_this_machine, epmd_of_other_hosts, hosts_file, file_is_watched,
     multicast_with_secret, multicast_of_ipv6,
     missing_nodes, missing_nodes_kept,
     front_of_the_app, front_replaced, front_ends, custom_source, once, requests, wrong_options, nonsense_at_the_door,
     command_line_mistakes, configuration_file, status_and_log,
     black_holes, attempts_leave_nothing, wrong_cookie_in_log, restarted_peer, partition_heals].

init_per_suite(Config) ->
    case remora_ct:nut_kind() of
        remora -> remora_ct:start_suite(?MODULE, Config);
        beam -> {skip, "only remora discovers"}
    end.
end_per_suite(Config) -> remora_ct:stop_suite(Config).

init_per_group(parts, Config) ->
    Port = remora_ct:free_port(),
    Driver = remora_ct:start_peer((remora_ct:opts(Config))#{name => driver, host => "127.0.0.99", no_epmd => true,
                                                           port => Port, hidden => true}),
    [{port, Port}, {driver, Driver} | Config];
init_per_group(Group, Config) -> remora_ct:start_group(Group, Config, [#{}, #{}]).

end_per_group(parts, Config) -> remora_ct:stop(proplists:get_value(driver, Config));
end_per_group(_, Config) -> remora_ct:stop_group(Config).

%% What a case starts is noted, and stopped after it, also when it fails.
init_per_testcase(Case, Config) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), Case),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    Things = ets:new(things, [public, ordered_set]),
    [{dir, Dir}, {things, Things} | Config].

end_per_testcase(_, Config) ->
    Things = ets:tab2list(proplists:get_value(things, Config)),
    Bad = [{S, remora_ct:log_lines(T)} || {_, T} <- lists:reverse(Things), S <- [stop(T)], S =/= ok, S =/= 0],
    case Bad of [] -> ok; _ -> {fail, {exit_status, Bad}} end.

stop(#{kind := dnsmasq} = T) -> remora_ct:stop(T), ok;
stop(#{killed := true} = T) -> remora_ct:stop(T), ok;
stop(#{switch := _} = T) -> discovery_parts:stop_hosts(T), ok;
stop(#{server := _, pid := _} = T) -> discovery_parts:stop_kubernetes(T), ok;
stop(#{holder := _} = T) -> remora_ct:stop(T);
stop({front, Driver, Pid}) -> true = rcall(Driver, erlang, exit, [Pid, kill]), ok;
stop(Pid) when is_pid(Pid) -> exit(Pid, kill), ok.

note(Config, Thing) ->
    true = ets:insert(proplists:get_value(things, Config), {erlang:unique_integer([monotonic]), Thing}),
    Thing.

%% It has ended, as the case wanted it.
forget(Config, #{os_pid := Pid} = Thing) ->
    Things = proplists:get_value(things, Config),
    [ets:delete(Things, Key) || {Key, #{os_pid := P}} <- ets:tab2list(Things), P =:= Pid],
    remora_ct:stop(Thing).

%% ---- DNS -----------------------------------------------------------------------------------------------------------

%% A name's addresses as they change: more, fewer, none, and the name itself gone.
dns_addresses(Config) ->
    [A, B, C] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3, 4]],
    Dns = dnsmasq(Config, [{address(A), "nodes.test"}, {address(B), "nodes.test"}],
                  ["--txt-record=nodes.test,still here"]),
    Us = seeker(Config, ["--discover", "dns:app@nodes.test" | dns(Dns)]),
    sees(Config, Us, [A, B]),
    ?assertEqual(found([A, B]), refresh(Config, Us)),
    set_hosts(Dns, [A, B, C]),
    ?assertEqual(found([A, B, C]), refresh(Config, Us)),
    set_hosts(Dns, [A, C]),
    ?assertEqual(found([A, B, C]), refresh(Config, Us)), % one answer without it is not enough
    sees(Config, Us, [A, B, C]),
    ?assertEqual(found([A, C]), refresh(Config, Us)),
    sees(Config, Us, [A, C]),
    set_hosts(Dns, []), % the name is there, without an address
    [refresh(Config, Us) || _ <- lists:seq(1, 5)],
    sees(Config, Us, [A, C]),
    set_hosts(Dns, [A]),
    [refresh(Config, Us) || _ <- lists:seq(1, 3)],
    sees(Config, Us, [A]).

%% The basename of the own node is the default, and an address is written as Erlang reads it.
dns_addresses_of_ipv6(Config) ->
    Six = live(Config, "::1"),
    Four = live(Config, "127.0.1.2"),
    Dns = dnsmasq(Config, [{"::1", "both.test"}, {address(Four), "both.test"}]),
    Us = seeker(Config, ["--discover", "dns:both.test" | dns(Dns)]),
    ?assertEqual('app@::1', maps:get(node, Six)),
    sees(Config, Us, [Six, Four]).

dns_services(Config) ->
    [A, B] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3]],
    Services = ["--srv-host=_app._tcp.test," ++ address(X) ++ ",4369,10,20" || X <- [A, B]],
    Dns = dnsmasq(Config, [], Services),
    Us = seeker(Config, ["--discover", "srv:app@_app._tcp.test" | dns(Dns)]),
    sees(Config, Us, [A, B]).

%% Each way in which a question fails is told apart, and keeps nobody from what another source lists.
dns_failures(Config) ->
    A = live(Config, "127.0.1.2"),
    Dns = dnsmasq(Config, [{address(A), "nodes.test"}],
                  ["--server=/servfail.example/" ++ discovery_parts:failing_dns(2),
                   "--server=/notimp.example/" ++ discovery_parts:failing_dns(4),
                   "--server=/silent.example/" ++ discovery_parts:silent_dns()]),
    Sources = [{dns, <<>>, <<"nodes.test">>} | [{dns, <<"app">>, N} || N <- names_that_fail()]],
    Us = seeker(Config, dns(Dns)),
    {error, {discovery_failed, Failed}} =
        discover(Config, Us, {once, #{sources => Sources, side => companion, ask_timeout => 1_500}}),
    ?assertEqual(lists:sort([{<<"silent.example">>, timeout}, {<<"servfail.example">>, server_failure},
                             {<<"notimp.example">>, not_implemented}, {<<"other.example">>, refused},
                             {<<"nobody.test">>, no_such_name}]),
                 lists:sort([{name_in(Source), Cause} || {Source, Cause, Text} <- Failed, is_binary(Text)])),
    sees(Config, Us, [A]).

names_that_fail() ->
    [<<"silent.example">>, <<"servfail.example">>, <<"notimp.example">>, <<"other.example">>, <<"nobody.test">>].
name_in(Source) -> hd([N || N <- names_that_fail(), string:find(Source, N) =/= nomatch]).

%% The first does not answer, the second refuses: the third is asked.
dns_servers_in_order(Config) ->
    A = live(Config, "127.0.1.2"),
    Dns = dnsmasq(Config, [{address(A), "nodes.test"}]),
    [Silent, Refuses] = [string:replace(S, "#", ":") || S <- [discovery_parts:silent_dns(), discovery_parts:failing_dns(5)]],
    Us = seeker(Config, ["--discover", "dns:app@nodes.test", "--dns-server", lists:flatten(Silent),
                         "--dns-server", lists:flatten(Refuses) | dns(Dns)]),
    sees(Config, Us, [A]).

%% ---- Kubernetes ----------------------------------------------------------------------------------------------------

kubernetes_endpoints(Config) ->
    [A, B, C] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3, 4]],
    #{api := Api} = K = kubernetes(Config),
    discovery_parts:serve(Api, {document, discovery_parts:endpoints([address(A), address(B)], [address(C)])}),
    Us = seeker(Config, ["--discover", "kubernetes:app@shop?app=shop" | api(K)]),
    sees(Config, Us, [A, B]),
    [{Target, right} | _] = discovery_parts:asked(Api),
    ?assertEqual(<<"/api/v1/namespaces/shop/endpoints?labelSelector=app%3Dshop">>, Target),
    %% It becomes ready; and the token is another from now on.
    token(K, "the-next-token"),
    discovery_parts:serve(Api, {document, discovery_parts:endpoints([address(A), address(B), address(C)], [])}),
    ?assertEqual(found([A, B, C]), refresh(Config, Us)),
    ?assertMatch({_, right}, lists:last(discovery_parts:asked(Api))),
    ?assertEqual([], [L || L <- remora_ct:log_lines(Us), string:find(L, "token-of-the-test") =/= nomatch]).

%% Whatever the server does, what is connected stays.
kubernetes_failures(Config) ->
    A = live(Config, "127.0.1.2"),
    #{api := Api} = K = kubernetes(Config),
    Document = discovery_parts:endpoints([address(A)], []),
    discovery_parts:serve(Api, {document, Document}),
    Us = seeker(Config, ["--discover", "kubernetes:app@shop/app", "--discover-ask-timeout", "1" | api(K)]),
    sees(Config, Us, [A]),
    [begin
         discovery_parts:serve(Api, What),
         ?assertMatch({What, {error, {discovery_failed, [{_, Cause, _}]}}}, {What, refresh(Config, Us)})
     end || {What, Cause} <- [{{status, 401}, unauthorized}, {{status, 403}, forbidden}, {{status, 500}, server_error},
                              {hang, timeout}, {truncated, bad_answer}, {{document, "no JSON"}, bad_answer},
                              {{document, "{\"kind\":\"Pod\"}"}, bad_answer},
                              {{document, lists:duplicate(5, binary:copy(<<" ">>, 1 bsl 20))}, too_large}]],
    token(K, "a-third-token"),
    discovery_parts:serve(Api, {document, Document}),
    ?assertEqual(found([A]), refresh(Config, Us)), % it reads the same file
    ok = file:delete(maps:get(token, K)),
    ?assertMatch({error, {discovery_failed, [{_, no_file, _}]}}, refresh(Config, Us)),
    sees(Config, Us, [A]).

%% The token goes to nobody whom the given authority does not vouch for.
kubernetes_trust(Config) ->
    #{api := Api, stranger := Stranger, token := Token} = K = kubernetes(Config),
    Us = seeker(Config, []),
    Ask = fun(Changes) ->
        Source = {kubernetes, maps:merge(#{basename => <<"app">>, namespace => <<"shop">>, server => server(K),
                                           token_file => Token, ca_file => maps:get(ca, K)}, Changes)},
        discover(Config, Us, {once, #{sources => [Source], side => companion}})
    end,
    "https://127.0.0.1:" ++ Port = maps:get(server, Api),
    ByName = list_to_binary("https://localhost:" ++ Port),
    [?assertMatch({_, {error, {discovery_failed, [{_, network, _}]}}}, {C, Ask(C)})
     || C <- [#{ca_file => Stranger}, #{server => ByName}]],
    ?assertEqual([], discovery_parts:asked(Api)),
    ?assertMatch({error, {discovery_failed, [{_, no_file, _}]}}, Ask(#{ca_file => <<"/nowhere/ca.pem">>})).

%% ---- epmd and files ------------------------------------------------------------------------------------------------

epmd_of_this_machine(Config) ->
    Nodes = [#{node := First} | _] = [with_epmd(Config, []) || _ <- [1, 2]],
    Us = with_epmd(Config, ["--discover", "local-epmd"]),
    Names = lists:sort([maps:get(node, N) || N <- Nodes]),
    connected_as(Config, Us, Names),
    ?assert(lists:member(First, Names)).

%% Two hosts with an epmd each; a third machine is off.
epmd_of_other_hosts(Config) ->
    with_hosts(Config, 3, fun(Hosts) ->
        [epmd_on(Config, Hosts, N) || N <- [1, 2, 3]],
        _ = [on(Config, Hosts, N, [], epmd) || N <- [2, 3]],
        on(Config, Hosts, 1, ["--discover", "epmd:10.77.0.2,10.77.0.3,10.77.0.99", "--discover-ask-timeout", "1"], epmd),
        wait_until(fun() -> connections(Config, Hosts, 1, epmd) =:= ["app@10.77.0.2", "app@10.77.0.3"] end, ?WAIT)
    end).

hosts_file(Config) ->
    Other = with_epmd(Config, []),
    File = filename:join(dir(Config), ".hosts.erlang"),
    ok = file:write_file(File, "% what net_adm reads\n'127.0.0.1'.\n"),
    Us = with_epmd(Config, ["--discover", "hosts-file:" ++ File]),
    connected_as(Config, Us, [maps:get(node, Other)]).

%% A change is taken at once, however the file is written; the next poll would be in an hour.
file_is_watched(Config) ->
    [A, B, C] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3, 4]],
    File = filename:join(dir(Config), "nodes"),
    Us = seeker(Config, ["--discover", "file:" ++ File]),
    ?assertMatch({error, {discovery_failed, [{_, no_file, _}]}}, refresh(Config, Us)),
    ok = file:write_file(File, ["# the first\n", text(A), "\n"]),
    sees(Config, Us, [A]),
    ok = file:write_file(File ++ ".new", [text(A), "\n\n  ", text(B), "  # and the second\n"]),
    ok = file:rename(File ++ ".new", File),
    sees(Config, Us, [A, B]),
    ok = file:write_file(File, [text(C), "\n"], [append]),
    sees(Config, Us, [A, B, C]),
    ok = file:delete(File),
    ok = file:write_file(File, "no node name\n"),
    ?assertMatch({error, {discovery_failed, [{_, bad_file, _}]}}, refresh(Config, Us)),
    sees(Config, Us, [A, B, C]).

%% ---- multicast -----------------------------------------------------------------------------------------------------

%% Who has the secret is found, whoever comes first; who has another is not.
multicast_with_secret(Config) ->
    with_hosts(Config, 3, fun(Hosts) ->
        Args = ["--discover", "multicast:239.77.0.1:45892", "--discover-interface", "eth0"],
        [on(Config, Hosts, N, Args, secret(N)) || N <- [1, 2, 3]],
        wait_until(fun() -> connections(Config, Hosts, 1) =:= ["app@10.77.0.2"] end, ?WAIT),
        wait_until(fun() -> connections(Config, Hosts, 2) =:= ["app@10.77.0.1"] end, ?WAIT),
        %% The third has sent for as long as the two needed, and more.
        on(Config, Hosts, 3, ["--discover", "multicast:239.77.0.1:45892", "--discover-interface", "10.77.0.3"],
           {name, "late", 4371, ?SECRET}),
        wait_until(fun() -> connections(Config, Hosts, 3) =:= [] end, ?WAIT)
    end).

secret(3) -> {secret, "another secret"};
secret(_) -> {secret, ?SECRET}.

multicast_of_ipv6(Config) ->
    with_hosts(Config, 2, fun(Hosts) ->
        Args = ["--discover", "multicast:[ff15::77]:45893", "--discover-interface", "eth0"],
        [on(Config, Hosts, N, Args, {six, ?SECRET}) || N <- [1, 2]],
        wait_until(fun() -> connections(Config, Hosts, 1, {six, ?SECRET}) =:= ["app@fd77::2"] end, ?WAIT)
    end).

%% ---- what is listed no longer --------------------------------------------------------------------------------------

%% Only what discovery connected itself is disconnected, and its other links stay up.
missing_nodes(Config) ->
    [A, B, C] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3, 4]],
    File = filename:join(dir(Config), "nodes"),
    ok = list_in(File, [A, B]),
    Us = seeker(Config, ["--discover", "file:" ++ File, "--discover-grace", "3"]),
    sees(Config, Us, [A, B]),
    ok = door(Config, Us, {connect, maps:get(node, C)}),
    ok = list_in(File, [A]),
    wait_until(fun() -> length(log_events(Us, "discovery_refreshed")) >= 2 end, ?WAIT),
    wait_until(fun() -> _ = refresh(Config, Us), log_events(Us, "discovery_dropped") =/= [] end, ?WAIT),
    sees(Config, Us, [A, C]),
    [Dropped] = log_events(Us, "discovery_dropped"),
    ?assertNotEqual(nomatch, string:find(Dropped, text(B))),
    ?assertEqual(0, length([L || L <- log_events(A, "peer_down")])).

missing_nodes_kept(Config) ->
    [A, B] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3]],
    File = filename:join(dir(Config), "nodes"),
    ok = list_in(File, [A, B]),
    Us = seeker(Config, ["--discover", "file:" ++ File, "--discover-grace", "1", "--discover-keep-missing"]),
    sees(Config, Us, [A, B]),
    ok = list_in(File, [A]),
    [refresh(Config, Us) || _ <- lists:seq(1, 5)],
    sees(Config, Us, [A, B]).

list_in(File, Nodes) -> file:write_file(File, [[text(N), "\n"] || N <- Nodes]).

%% ---- the application's front ---------------------------------------------------------------------------------------

%% Side app: the front is told whom to connect, and reports; nothing is dialled from here.
front_of_the_app(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, []),
    Node = maps:get(node, A),
    Front = front(Config, Us, #{sources => [{nodes, [text(A), <<"none@127.0.1.77">>]}], side => app, poll_interval => 200,
                                backoff_min => 50, backoff_max => 60}),
    ?assertMatch({connect_failed, app, 'none@127.0.1.77', unreachable, Ms} when Ms >= 0,
                 news(Config, Front, connect_failed)),
    ?assertMatch({refreshed, {error, {connect_failed, [{'none@127.0.1.77', unreachable}]}}},
                 news(Config, Front, refreshed)),
    ?assert(lists:member({connect, Node}, heard(Config, Front))),
    sees(Config, Us, []),
    %% It is lost, and to be connected again at once.
    tell(Config, Front, {report, {down, Node, connection_closed}}),
    ?assertEqual({connect, Node}, news(Config, Front, connect)),
    {ok, #{state := running, nodes := Nodes}} = discover(Config, Us, status),
    [#{app := #{up := true, ours := true}, companion := undefined}] = [N || #{node := X} = N <- Nodes, X =:= Node].

front_replaced(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, []),
    First = front(Config, Us, #{sources => [{nodes, [text(A)]}], side => companion}),
    {refreshed, {ok, [_]}} = news(Config, First, refreshed),
    Second = front(Config, Us, #{sources => [], side => companion}),
    {ok, #{sources := Sources}} = discover(Config, Us, status),
    ?assertEqual([], Sources),
    ?assertEqual({error, unknown_front}, tell(Config, First, {report, {up, maps:get(node, A)}})),
    ?assertEqual(ok, tell(Config, Second, {report, {up, maps:get(node, A)}})),
    Ref = tell(Config, Second, ref),
    ?assertEqual({ok, Ref}, tell(Config, Second, {configure, #{sources => [custom], side => companion}})).

front_ends(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, []),
    ?assertEqual({error, not_configured}, discover(Config, Us, refresh)),
    Front = front(Config, Us, #{sources => [{nodes, [text(A)]}], side => companion}),
    sees(Config, Us, [A]),
    true = rcall(driver(Config), erlang, exit, [Front, kill]),
    wait_until(fun() -> discover(Config, Us, refresh) =:= {error, not_configured} end, ?WAIT),
    {ok, #{state := not_configured, sources := [], nodes := []}} = discover(Config, Us, status),
    sees(Config, Us, [A]).

custom_source(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, []),
    Front = front(Config, Us, #{sources => [custom], side => companion, poll_interval => 0}),
    Lists = fun(What) -> tell(Config, Front, {lists, What}), Done = refresh(Config, Us), Done end,
    ?assertMatch({error, {discovery_failed, [{_, by_app, <<"not now">>}]}}, Lists({error, <<"not now">>})),
    ?assertEqual(found([A]), Lists({ok, [maps:get(node, A)]})),
    ?assertMatch({error, {discovery_failed, [{_, by_app, _}]}}, Lists({ok, [7]})),
    ?assertMatch({error, {discovery_failed, [{_, by_app, _}]}}, Lists(nonsense)),
    sees(Config, Us, [A]).

%% A round of its own, while nothing is configured and while something is.
once(Config) ->
    [A, B] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3]],
    Us = seeker(Config, []),
    Once = fun(Nodes) -> discover(Config, Us, {once, #{sources => [{nodes, Nodes}], side => companion}}) end,
    ?assertEqual(found([A]), Once([text(A)])),
    ?assertEqual({error, not_configured}, discover(Config, Us, refresh)),
    {error, {connect_failed, [{'none@127.0.1.77', unreachable}]}} = Once([<<"none@127.0.1.77">>, text(B)]),
    sees(Config, Us, [A, B]),
    front(Config, Us, #{sources => [], side => companion}),
    ?assertEqual(found([A, B]), Once([text(A), text(B)])).

requests(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, ["--discover", "nodes:" ++ text_list(A)]),
    sees(Config, Us, [A]),
    ok = discover(Config, Us, pause),
    ?assertEqual({error, paused}, refresh(Config, Us)),
    {ok, #{state := paused}} = discover(Config, Us, status),
    ok = discover(Config, Us, resume),
    ?assertEqual(found([A]), refresh(Config, Us)),
    ok = discover(Config, Us, shutdown),
    [?assertEqual({error, shut_down}, discover(Config, Us, R)) || R <- [refresh, pause, resume, shutdown]],
    {ok, #{state := stopped}} = discover(Config, Us, status),
    sees(Config, Us, [A]),
    front(Config, Us, #{sources => [{nodes, [text(A)]}], side => companion}), % begins anew
    ?assertEqual(found([A]), refresh(Config, Us)).

%% Each is refused with what would be right; none of them changes anything; none tells the secret.
wrong_options(Config) ->
    Us = seeker(Config, []),
    Group = #{group => <<"239.1.1.1">>, port => 4000, secret => <<?SECRET>>},
    [begin
         {error, {option, Key, Text}} = discover(Config, Us, {What, Options}),
         ?assertEqual({Options, ExpectedKey}, {Options, Key}),
         ?assertNotEqual({nomatch, Options, Text}, {string:find(Text, Part), Options, Text}),
         ?assertEqual(nomatch, string:find(Text, ?SECRET))
     end || What <- [configure, once], {Options, ExpectedKey, Part} <-
        [{#{poll => 1}, poll, "poll_interval"}, {#{sources => nodes}, sources, "list"},
         {#{sources => [{dns, <<"a">>}]}, sources, "{dns, Basename, Host}"},
         {#{sources => [{nodes, [<<"no name">>]}]}, sources, "no name"},
         {#{sources => [{kubernetes, #{namespaces => <<"x">>}}]}, sources, "namespace, "},
         {#{sources => [{kubernetes, #{namespace => <<"x">>}}]}, sources, "KUBERNETES_SERVICE_HOST"},
         {#{sources => [{multicast, Group#{group := <<"10.0.0.1">>}}]}, sources, "239.255.255.255"},
         {#{sources => [{multicast, Group#{secert => <<?SECRET>>}}]}, sources, "secret"},
         {#{sources => [{multicast, Group#{port := <<?SECRET>>}}]}, sources, "port"},
         {#{side => vm}, side, "app, companion or both"}, {#{grace => 0}, grace, "1"}, {#{grace => -1}, grace, "number"},
         {#{poll_interval => 1.5}, poll_interval, "milliseconds"}, {#{poll_jitter => 2}, poll_jitter, "0.9"},
         {#{keep_missing_nodes => 1}, keep_missing_nodes, "true or false"}, {#{dial_limit => 0}, dial_limit, "1"},
         {#{dns_servers => [<<"localhost">>]}, dns_servers, "IP:PORT"}, {[], options, "map"}]],
    {ok, #{state := not_configured}} = discover(Config, Us, status).

nonsense_at_the_door(Config) ->
    Us = seeker(Config, []),
    Ref = rcall(driver(Config), erlang, make_ref, []),
    [?assertEqual({R, {error, badarg}}, {R, discover(Config, Us, R)})
     || R <- [what, {configure}, {report, x, y}, {once, a, b}, 7, []]],
    ?assertEqual({error, unknown_front}, discover(Config, Us, {report, Ref, {up, a@b}})),
    Front = front(Config, Us, #{sources => [], side => both}),
    [?assertEqual({R, {error, badarg}}, {R, tell(Config, Front, {report, R})})
     || R <- [what, {up, <<"a@b">>}, {up}, {listed, x, {ok, []}}, {down, a@b}]],
    [?assertEqual(ok, tell(Config, Front, {report, R}))
     || R <- [{connect_failed, nobody@nowhere, {some, "reason"}}, {disconnected, nobody@nowhere},
              {down, nobody@nowhere, gone}, {listed, 4711, {ok, []}}]].

%% ---- options, status and log ---------------------------------------------------------------------------------------

command_line_mistakes(Config) ->
    Secret = filename:join(dir(Config), "secret"),
    ok = file:write_file(Secret, ?SECRET),
    ok = file:change_mode(Secret, 8#644),
    Toml = fun(Text) -> File = filename:join(dir(Config), integer_to_list(erlang:phash2(Text)) ++ ".toml"), ok = file:write_file(File, Text), ["--config", File] end,
    [begin
         Program = remora_ct:start_program(remora_ct:remora_program(), ["run", "--name", "x@127.0.0.1" | Args],
                                           [{"REMORA_COOKIE", "c"}], filename:join(dir(Config), "mistake.log")),
         ?assertEqual({Args, 2}, {Args, remora_ct:await_exit(Program, ?WAIT)}),
         Said = lists:last(remora_ct:log_lines(Program)),
         ?assertNotEqual({nomatch, Args, Said}, {string:find(Said, Part), Args, Said}),
         remora_ct:stop(Program)
     end || {Args, Part} <-
        [{["--discover", "dsn:x"], "srv:[BASE@]SERVICE"}, {["--discover", "dns"], "dns:[BASE@]HOSTNAME"},
         {["--discover", "nodes:a"], "no node name"},
         {["--discover", "multicast:239.1.1.1:4000"], "--discover-secret-file"},
         {["--discover", "multicast:239.1.1.1:4000", "--discover-secret-file", Secret], "chmod 400"},
         {["--discover", "kubernetes:a@shop"], "KUBERNETES_SERVICE_HOST"},
         {["--discover", "dns:x.test", "--dns-server", "localhost"], "IP:PORT"},
         {["--kubernetes-addressing", "name", "--discover", "kubernetes:a@shop"], "ip, pod, hostname"},
         {["--discover-grace", "0"], "1 to 1000"}, {["--discover-poll", "-1"], "86400"},
         {Toml("[discovery]\ninterval = 5\n"), "poll, poll-jitter"},
         {Toml("[[discovery.source]]\ntype = \"dsn\"\n"), "kubernetes-dns"},
         {Toml("[[discovery.source]]\ntype = \"dns\"\nhost = \"x\"\n"), "type, basename, hostname"},
         {Toml("[discovery]\nsource = \"dns:x\"\n"), "[[discovery.source]]"}]].

configuration_file(Config) ->
    [A, B] = [live(Config, "127.0.1." ++ integer_to_list(N)) || N <- [2, 3]],
    Dns = dnsmasq(Config, [{address(A), "nodes.test"}]),
    File = filename:join(dir(Config), "remora.toml"),
    ok = file:write_file(File, ["[discovery]\npoll = 3600\ngrace = 4\ndns-server = \"", maps:get(server, Dns), "\"\n",
                                "[[discovery.source]]\ntype = \"dns\"\nbasename = \"app\"\nhostname = \"nodes.test\"\n",
                                "[[discovery.source]]\ntype = \"nodes\"\nnodes = [\"", text(B), "\"]\n"]),
    Us = seeker(Config, ["--config", File]),
    sees(Config, Us, [A, B]).

status_and_log(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, ["--discover", "nodes:" ++ text_list(A) ++ ",none@127.0.1.77", "--discover", "dns:nobody.invalid",
                         "--dns-server", "127.0.0.1:1"]),
    sees(Config, Us, [A]),
    wait_until(fun() -> log_events(Us, "connect_failed") =/= [] andalso log_events(Us, "discovery_failed") =/= [] end, ?WAIT),
    [Failed | _] = log_events(Us, "connect_failed"),
    [?assertNotEqual({nomatch, Part}, {string:find(Failed, Part), Part})
     || Part <- ["none@127.0.1.77", "unreachable", "\"next_ms\":", "\"side\":\"companion\""]],
    [Source | _] = log_events(Us, "discovery_failed"),
    ?assertNotEqual(nomatch, string:find(Source, "\"cause\":\"network\"")),
    {ok, #{state := running, sources := Sources, nodes := Nodes}} = discover(Config, Us, status),
    ?assertMatch([#{nodes := 2, answered := true, trouble := undefined}], [S || #{source := <<"nodes", _/binary>>} = S <- Sources]),
    ?assertMatch([#{trouble := {network, _}}], [S || #{source := <<"dns", _/binary>>} = S <- Sources]),
    [#{companion := #{up := true, ours := true, failures := 0}}] = [N || #{node := X} = N <- Nodes, X =:= maps:get(node, A)],
    [#{companion := #{up := false, failures := F}}] = [N || #{node := 'none@127.0.1.77'} = N <- Nodes],
    ?assert(F > 0),
    Said = os:cmd(lists:flatten(["REMORA_COOKIE=", remora_ct:cookie(Config), " ", remora_ct:remora_program(), " status --port ",
                                 integer_to_list(port(Config)), " ", text_list(Us), " 2>&1"])),
    [?assertNotEqual({nomatch, Said}, {string:find(Said, Part), Said}) || Part <- ["discovery =>", "none@127.0.1.77", "running"]].

%% ---- time ----------------------------------------------------------------------------------------------------------

%% 100 seeds, of which 50 swallow every connection: the 50 that live are connected within a second of the start, though
%% an attempt at the others takes 7 s.
black_holes(Config) ->
    Live = [live(Config, "127.0.2." ++ integer_to_list(N), ["--hidden"]) || N <- lists:seq(1, 50)],
    Black = ["127.0.3." ++ integer_to_list(N) || N <- lists:seq(1, 50)],
    note(Config, discovery_parts:black_holes(Black, port(Config))),
    Seeds = lists:append([[text_list(L), "app@" ++ B] || {L, B} <- lists:zip(Live, Black)]),
    Started = erlang:monotonic_time(millisecond),
    Us = seeker(Config, ["--discover", "nodes:" ++ lists:flatten(lists:join(",", Seeds))]),
    wait_until(fun() -> length(door(Config, Us, {nodes, hidden})) >= 51 end, ?WAIT), % and the driver
    Ms = erlang:monotonic_time(millisecond) - Started,
    ct:pal("50 live peers of 100 seeds connected ~b ms after the start of the program", [Ms]),
    ?assert(Ms =< 1_000).

%% An attempt that is given up leaves no socket behind.
attempts_leave_nothing(Config) ->
    Black = ["127.0.3." ++ integer_to_list(N) || N <- lists:seq(1, 10)],
    note(Config, discovery_parts:black_holes(Black, port(Config))),
    Us = #{os_pid := Pid} = seeker(Config, ["--net-setuptime", "0.2", "--discover-backoff-max", "0.1", "--discover",
                            "nodes:" ++ lists:flatten(lists:join(",", ["app@" ++ B || B <- Black]))]),
    wait_until(fun() -> length(log_events(Us, "connect_failed")) >= 60 end, ?WAIT),
    {ok, Open} = file:list_dir("/proc/" ++ integer_to_list(Pid) ++ "/fd"),
    ct:pal("~b open descriptors after 60 attempts", [length(Open)]),
    ?assert(length(Open) =< 30).

%% It is tried again and again, and told once.
wrong_cookie_in_log(Config) ->
    Dir = filename:join(dir(Config), "stranger"),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    Opts = maps:remove(epmd_port, remora_ct:opts(Config)),
    Stranger = note(Config, remora_ct:start_remora(Opts#{name => app, host => "127.0.1.2", no_epmd => true, port => port(Config),
                                                         dir => Dir, cookie => "another"})),
    Us = seeker(Config, ["--discover", "nodes:" ++ text_list(Stranger)]),
    wait_until(fun() -> length(log_events(Us, "connect_failed")) >= 5 end, ?WAIT),
    Loud = fun(Event, Level) -> length([L || L <- log_events(Us, Event), string:find(L, "\"level\":\"" ++ Level) =/= nomatch]) end,
    ?assertEqual({1, 1}, {Loud("connect_failed", "info"), Loud("handshake_failed", "warning")}),
    sees(Config, Us, []).

%% However long it was away: half a second after it can be reached, it is connected. (Of a peer that goes again and again
%% soon after it came, the fourth time is a pause.)
restarted_peer(Config) ->
    A = live(Config, "127.0.1.2"),
    Us = seeker(Config, ["--discover", "nodes:" ++ text_list(A)]),
    sees(Config, Us, [A]),
    Times = restart(Config, Us, A, 3),
    ct:pal("reconnected ~w ms after the restarted peer could be reached", [Times]),
    ?assert(lists:max(Times) =< 500).

restart(_, _, _, 0) -> [];
restart(Config, Us, A, Rounds) ->
    Before = length(log_events(Us, "connect_failed")),
    remora_ct:kill(A),
    wait_until(fun() -> length(log_events(Us, "connect_failed")) >= Before + 5 end, ?WAIT),
    forget(Config, A),
    Again = live(Config, address(A)),
    {Ms, _} = elapsed(fun() -> wait_until(fun() -> peers_of(Config, Us) =:= [maps:get(node, A)] end, ?WAIT) end),
    [Ms | restart(Config, Us, Again, Rounds - 1)].

%% A host is cut off until both sides have lost the other; once the cable is in again, all see all.
partition_heals(Config) ->
    with_hosts(Config, 3, fun(Hosts) ->
        Args = ["--net-ticktime", "4", "--discover", "nodes:app@10.77.0.1,app@10.77.0.2,app@10.77.0.3"],
        [on(Config, Hosts, N, Args) || N <- [1, 2, 3]],
        Whole = fun() -> [connections(Config, Hosts, N) || N <- [1, 2, 3]] =:=
                             [["app@10.77.0." ++ integer_to_list(M) || M <- [1, 2, 3], M =/= N] || N <- [1, 2, 3]] end,
        wait_until(Whole, ?WAIT),
        discovery_parts:cut(Hosts, 3),
        wait_until(fun() -> connections(Config, Hosts, 3) =:= [] andalso
                            connections(Config, Hosts, 1) =:= ["app@10.77.0.2"] end, ?WAIT),
        discovery_parts:heal(Hosts, 3),
        {Ms, _} = elapsed(fun() -> wait_until(Whole, 2 * ?WAIT) end),
        ct:pal("whole again ~b ms after the heal", [Ms])
    end).

%% ---- with OTP nodes --------------------------------------------------------------------------------------------------

%% One connection of a whole cluster is closed by force: prevent_overlapping_partitions takes most of the others along,
%% as OTP does (README). Nobody helps, and all of it is one cluster again.
cut_cluster_heals(Config) ->
    Peers = remora_ct:peers(Config),
    Names = [remora_ct:unique("finder") || _ <- [1, 2, 3]],
    All = lists:sort([maps:get(node, P) || P <- Peers] ++ [list_to_atom(atom_to_list(N) ++ "@127.0.0.1") || N <- Names]),
    Sources = lists:flatten(["nodes:", lists:join(",", [atom_to_list(N) || N <- All])]),
    Ours = [First | _] = [note(Config, remora_ct:start_remora((remora_ct:opts(Config))#{
                name => N, dir => dir(Config), args => ["--discover", Sources]})) || N <- Names],
    Whole = fun() ->
        lists:all(fun(P) -> lists:sort([maps:get(node, P) | rcall(P, erlang, nodes, [])]) =:= All end, Peers) andalso
        lists:all(fun(N) -> lists:sort([maps:get(node, N) | seen_by(Config, N)]) =:= All end, Ours)
    end,
    wait_until(Whole, ?WAIT),
    [remora_ct:run(P, fun() -> spawn(fun() -> count_losses() end) end) || P <- Peers],
    [wait_until(fun() -> rcall(P, erlang, whereis, [losses]) =/= undefined end, ?WAIT) || P <- Peers],
    [Cutter, Other] = Peers,
    true = rcall(Cutter, erlang, disconnect_node, [maps:get(node, First)]),
    wait_until(fun() -> losses(Other) > 0 end, ?WAIT), % more than the one connection went
    {Ms, _} = elapsed(fun() -> wait_until(Whole, 2 * ?WAIT) end),
    ct:pal("~b and ~b connections of the OTP nodes were lost; whole again after ~b ms", [losses(Cutter), losses(Other), Ms]),
    [rcall(P, erlang, apply, [fun() -> losses ! stop end, []]) || P <- Peers].

count_losses() ->
    register(losses, self()),
    ok = net_kernel:monitor_nodes(true),
    count_losses(0).
count_losses(N) ->
    receive
        {nodedown, _} -> count_losses(N + 1);
        {ask, From} -> From ! {losses, N}, count_losses(N);
        stop -> ok;
        _ -> count_losses(N)
    end.
losses(Peer) -> run(Peer, fun() -> losses ! {ask, self()}, receive {losses, N} -> N end end).

seen_by(Config, #{node := Node}) ->
    Text = os:cmd(lists:flatten(["REMORA_COOKIE=", remora_ct:cookie(Config), " ", remora_ct:remora_program(),
                                 " nodes --epmd-port ", integer_to_list(remora_ct:epmd_port(Config)), " ",
                                 atom_to_list(Node)])),
    [list_to_atom(L) || L <- string:lexemes(Text, "\n")].

%% ---- nodes -----------------------------------------------------------------------------------------------------------

%% app@ADDRESS; it discovers nothing by itself.
live(Config, Address) -> live(Config, Address, []).
live(Config, Address, Args) -> start(Config, Address, app, Args).

%% The node that looks for others, a round only when it is asked for.
seeker(Config, Args) -> start(Config, "127.0.1.1", app, ["--discover-poll", "0" | Args]).

start(Config, Address, Name, Args) ->
    Dir = filename:join(dir(Config), Address ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    Opts = maps:remove(epmd_port, remora_ct:opts(Config)),
    note(Config, remora_ct:start_remora(Opts#{name => Name, host => Address, no_epmd => true, port => port(Config), dir => Dir,
                                              args => ["--log-level", "debug", "--log-format", "json" | Args]})).

with_epmd(Config, Args) ->
    note(Config, remora_ct:start_remora((remora_ct:opts(Config))#{name => remora_ct:unique("found"), dir => dir(Config),
                                                                  args => Args})).

connected_as(Config, Us, Names) ->
    wait_until(fun() -> lists:sort(seen_by(Config, Us)) =:= lists:sort(Names) end, ?WAIT).

port(Config) -> proplists:get_value(port, Config).
driver(Config) -> proplists:get_value(driver, Config).
dir(Config) -> proplists:get_value(dir, Config).
address(#{opts := #{host := Address}}) -> Address.
text(#{node := Node}) -> atom_to_binary(Node).
text_list(#{node := Node}) -> atom_to_list(Node).

door(Config, #{node := Node}, Request) -> rcall(driver(Config), gen_server, call, [{remora, Node}, Request, ?WAIT]).
discover(Config, Us, Request) -> door(Config, Us, {discovery, Request}).
refresh(Config, Us) -> discover(Config, Us, refresh).
found(Nodes) -> {ok, lists:sort([maps:get(node, N) || N <- Nodes])}.
peers_of(Config, Us) -> lists:sort(door(Config, Us, {nodes, visible})).
sees(Config, Us, Nodes) ->
    Expected = lists:sort([maps:get(node, N) || N <- Nodes]),
    try wait_until(fun() -> peers_of(Config, Us) =:= Expected end, ?WAIT)
    catch error:{still_false_after_ms, _} ->
        error({sees, peers_of(Config, Us), instead_of, Expected, lists:nthtail(max(0, length(remora_ct:log_lines(Us)) - 30),
                                                                                remora_ct:log_lines(Us))})
    end.

log_events(Us, Event) ->
    Part = "\"event\":\"" ++ Event ++ "\"",
    [L || L <- remora_ct:log_lines(Us), string:find(L, Part) =/= nomatch].

%% ---- parts -----------------------------------------------------------------------------------------------------------

dnsmasq(Config, Hosts) -> dnsmasq(Config, Hosts, []).
dnsmasq(Config, Hosts, More) -> note(Config, discovery_parts:start_dnsmasq(dir(Config), Hosts, More)).
dns(#{server := Server}) -> ["--dns-server", Server].

%% And waits until it answers so: it reads the file when it comes to it.
set_hosts(#{server := Server} = Dns, Nodes) ->
    Addresses = [address(N) || N <- Nodes],
    discovery_parts:set_hosts(Dns, [{A, "nodes.test"} || A <- Addresses]),
    ["127.0.0.1", Port] = string:lexemes(Server, ":"),
    Asked = fun() -> inet_res:lookup("nodes.test", in, a, [{nameservers, [{{127, 0, 0, 1}, list_to_integer(Port)}]}]) end,
    wait_until(fun() -> lists:sort([inet:ntoa(A) || A <- Asked()]) =:= lists:sort(Addresses) end, ?WAIT).

kubernetes(Config) ->
    Files = discovery_parts:certificates(dir(Config)),
    Token = filename:join(dir(Config), "token"),
    K = Files#{token => Token},
    token(K, "token-of-the-test"),
    K#{api => note(Config, discovery_parts:start_kubernetes(Files, Token))}.
token(#{token := File}, Text) -> ok = file:write_file(File, [Text, "\n"]), ok.
server(#{api := #{server := Server}}) -> list_to_binary(Server).
api(#{ca := Ca, token := Token} = K) ->
    ["--kubernetes-server", binary_to_list(server(K)), "--kubernetes-token-file", Token, "--kubernetes-ca-file", Ca].

with_hosts(Config, N, Fun) ->
    case discovery_parts:may_have_hosts() of
        true -> Fun(note(Config, discovery_parts:start_hosts(dir(Config), N)));
        Skip -> Skip
    end.

on(Config, Hosts, N, Args) -> on(Config, Hosts, N, Args, plain).
on(Config, Hosts, N, Args, How) ->
    Address = case How of {six, _} -> discovery_parts:address6(N); _ -> discovery_parts:address(N) end,
    Name = case How of {name, Other, _, _} -> Other; _ -> "app" end,
    Secret = case How of {secret, S} -> S; {six, S} -> S; {name, _, _, S} -> S; _ -> false end,
    {Program, All} = discovery_parts:start_on(Hosts, N, remora_ct:remora_program(),
        ["run", "--name", Name ++ "@" ++ Address, "--listen", Address, "--lifeline", "stdin", "--log-level", "debug",
         "--log-format", "json" | at(Config, How)] ++ Args),
    Env = [{"REMORA_COOKIE", remora_ct:cookie(Config)}, {"REMORA_DISCOVERY_SECRET", Secret}],
    note(Config, remora_ct:start_ready(Program, All, Env, filename:join(dir(Config), Name ++ integer_to_list(N) ++ ".log"))).

at(Config, epmd) -> ["--epmd-port", integer_to_list(port(Config))];
at(_, {name, _, Port, _}) -> ["--no-epmd", "--port", integer_to_list(Port)];
at(Config, _) -> ["--no-epmd", "--port", integer_to_list(port(Config))].

epmd_on(Config, Hosts, N) ->
    {Program, Args} = discovery_parts:start_on(Hosts, N, os:find_executable("epmd"),
                                               ["-port", integer_to_list(port(Config)), "-relaxed_command_check"]),
    Epmd = remora_ct:start_guarded(Program, Args, [], filename:join(dir(Config), "epmd.log")),
    note(Config, Epmd#{killed => true}),
    Listens = fun() -> discovery_parts:command_on(Hosts, N, ["ss -Hltn sport = :", integer_to_list(port(Config))]) =/= "" end,
    wait_until(Listens, ?WAIT).

%% Whom the node on a host is connected to, as a client there is told.
connections(Config, Hosts, N) -> connections(Config, Hosts, N, plain).
connections(Config, Hosts, N, How) ->
    Address = case How of {six, _} -> discovery_parts:address6(N); _ -> discovery_parts:address(N) end,
    Option = case How of epmd -> "--epmd-port "; _ -> "--port " end,
    Said = discovery_parts:command_on(Hosts, N, ["env REMORA_COOKIE=", remora_ct:cookie(Config), " ", remora_ct:remora_program(),
                                                 " nodes ", Option, integer_to_list(port(Config)), " app@", Address]),
    string:lexemes(Said, "\n").

%% ---- a front, as the package has one -----------------------------------------------------------------------------------

%% It does what it is told: connections to none@.. fail, all others are made; it keeps what it hears.
front(Config, #{node := Node}, Options) ->
    Pid = rcall(driver(Config), ?MODULE, start_front, [Node, Options]),
    note(Config, {front, driver(Config), Pid}),
    Pid.

start_front(Node, Options) ->
    Self = self(),
    Pid = spawn(fun() ->
        {ok, Ref} = gen_server:call({remora, Node}, {discovery, {configure, Options}}),
        Self ! {self(), ready},
        front_loop(#{node => Node, ref => Ref, heard => [], fresh => [], lists => {ok, []}})
    end),
    receive {Pid, ready} -> Pid after ?WAIT -> error(no_front) end.

front_loop(#{node := Node, ref := Ref, heard := Heard, fresh := Fresh, lists := Lists} = F) ->
    Report = fun(R) -> gen_server:call({remora, Node}, {discovery, {report, Ref, R}}) end,
    receive
        {remora_discovery, Ref, {list, Id}} ->
            ok = gen_server:cast({remora, Node}, {discovery, {report, Ref, {listed, Id, Lists}}}),
            front_loop(F);
        {remora_discovery, Ref, News} ->
            case News of
                {connect, 'none@127.0.1.77'} -> ok = Report({connect_failed, 'none@127.0.1.77', unreachable});
                {connect, Peer} -> ok = Report({up, Peer});
                {disconnect, Peer} -> ok = Report({disconnected, Peer});
                _ -> ok
            end,
            front_loop(F#{heard := Heard ++ [News], fresh := Fresh ++ [News]});
        {From, Tag, {report, R}} -> From ! {Tag, Report(R)}, front_loop(F#{fresh := []});
        {From, Tag, {configure, O}} ->
            From ! {Tag, gen_server:call({remora, Node}, {discovery, {configure, O}})},
            front_loop(F);
        {From, Tag, {lists, New}} -> From ! {Tag, ok}, front_loop(F#{lists := New});
        {From, Tag, ref} -> From ! {Tag, Ref}, front_loop(F);
        {From, Tag, heard} -> From ! {Tag, Heard}, front_loop(F);
        {From, Tag, fresh} -> From ! {Tag, Fresh}, front_loop(F)
    end.

tell(Config, Front, What) -> rcall(driver(Config), ?MODULE, ask_front, [Front, What]).
ask_front(Front, What) ->
    Tag = monitor(process, Front),
    Front ! {self(), Tag, What},
    receive {Tag, Answer} -> demonitor(Tag, [flush]), Answer; {'DOWN', Tag, _, _, Why} -> error({front_ended, Why}) end.

heard(Config, Front) -> tell(Config, Front, heard).

%% The first of that kind since the last report.
news(Config, Front, Kind) ->
    wait_until(fun() ->
        case [N || N <- tell(Config, Front, fresh), element(1, N) =:= Kind] of [] -> false; [First | _] -> First end
    end, ?WAIT).
