%% io_SUITE: who prints where (protocol 5.5; checklist line "io:format from a process with our group leader").
%% What the node under test runs for a caller prints to the caller's group leader; here that is a process that
%% keeps the requests. It must not hang when that group leader is gone.
-module(io_SUITE).
-include("suite.hrl").

cases() ->
    [prints_to_the_caller, prints_in_order, prints_unicode_and_much, rpc_prints_too, printing_waits_for_the_answer,
     group_leader_is_gone, refused_by_the_group_leader, its_user_takes_output, logger_proxy_takes_events].

peers() -> [#{}].

nut_opts(_) -> #{}.

prints_to_the_caller(Config) ->
    on_peer(Config, fun(Node) ->
        {Result, Output} = captured(fun() -> erpc:call(Node, calc, print, [hello]) end),
        ?assertEqual({ok, "hello\n"}, {Result, Output})
    end).

prints_in_order(Config) ->
    on_peer(Config, fun(Node) ->
        {_, Output} = captured(fun() -> [ok = erpc:call(Node, calc, print, [I]) || I <- lists:seq(1, 50)] end),
        ?assertEqual(lists:flatten([integer_to_list(I) ++ "\n" || I <- lists:seq(1, 50)]), Output)
    end).

prints_unicode_and_much(Config) ->
    on_peer(Config, fun(Node) ->
        {ok, Output} = captured(fun() -> erpc:call(Node, calc, print, [lists:duplicate(20_000, 42_000)]) end),
        ?assert(length(Output) > 100_000)
    end).

rpc_prints_too(Config) ->
    on_peer(Config, fun(Node) ->
        ?assertEqual({ok, "{a,1}\n"}, captured(fun() -> rpc:call(Node, calc, print, [{a, 1}]) end)),
        ?assertEqual({ok, "blocked\n"}, captured(fun() -> rpc:block_call(Node, calc, print, [blocked]) end))
    end).

%% Output is a request like any other: the call is not over before it was answered.
printing_waits_for_the_answer(Config) ->
    on_peer(Config, fun(Node) ->
        group_leader(self(), self()),
        Request = erpc:send_request(Node, calc, print, [slowly]),
        {From, ReplyAs} = receive {io_request, F, R, _} -> {F, R} after 10_000 -> error(no_request) end,
        ?assertEqual(no_response, erpc:wait_response(Request, 100)),
        From ! {io_reply, ReplyAs, ok},
        ?assertEqual(ok, erpc:receive_response(Request, 5_000))
    end).

%% The result may be an error, but there is one.
group_leader_is_gone(Config) ->
    on_peer(Config, fun(Node) ->
        {Dead, Ref} = spawn_monitor(fun() -> ok end),
        receive {'DOWN', Ref, _, _, _} -> ok end,
        group_leader(Dead, self()),
        Request = erpc:send_request(Node, calc, print, [unheard]),
        ?assertNotEqual(hangs, try erpc:receive_response(Request, 5_000)
                               catch error:{erpc, timeout} -> hangs; _:_ -> error end),
        ?assertEqual(Node, erpc:call(Node, erlang, node, []))
    end).

refused_by_the_group_leader(Config) ->
    on_peer(Config, fun(Node) ->
        group_leader(self(), self()),
        Request = erpc:send_request(Node, calc, print, [refused]),
        receive {io_request, From, ReplyAs, _} -> From ! {io_reply, ReplyAs, {error, enospc}} end,
        ?assertNotEqual(hangs, try erpc:receive_response(Request, 5_000)
                               catch error:{erpc, timeout} -> hangs; _:_ -> error end)
    end).

%% A group leader on the node under test: its `user', if it has one, takes output and answers the rest.
its_user_takes_output(Config) ->
    case rcall(peer(1, Config), rpc, call, [maps:get(node, nut(Config)), erlang, whereis, [user]]) of
        undefined -> {skip, "the node under test has no process named user"};
        User ->
            run(peer(1, Config), fun() ->
                group_leader(User, self()),
                ?assertEqual(ok, io:format("hello ~p~n", [node()])),
                ?assertEqual(ok, io:put_chars("characters\n")),
                ?assertEqual(ok, io:requests([{put_chars, unicode, "one\n"}, {put_chars, unicode, <<"two\n">>}])),
                ?assertMatch({error, _}, request(User, {nothing, it, knows})),
                ?assertMatch({error, _}, io:rows())
            end)
    end.

%% Log events of processes whose group leader is there; they are not answered.
logger_proxy_takes_events(Config) ->
    on_peer(Config, fun(Node) ->
        Meta = #{gl => group_leader(), pid => self(), time => erlang:system_time(microsecond)},
        {logger_proxy, Node} ! {log, error, "from ~p~n", [node()], Meta},
        {logger_proxy, Node} ! {log, notice, {string, "a string"}, Meta},
        {logger_proxy, Node} ! {log, notice, {report, #{a => 1}}, Meta},
        {logger_proxy, Node} ! nothing_it_knows,
        ?assertEqual(Node, rpc:call(Node, erlang, node, [])),
        ?assertEqual(nothing, receive Msg -> Msg after 0 -> nothing end)
    end).

%% ---- helpers ---------------------------------------------------------------------------------------

on_peer(Config, Fun) ->
    #{node := Node} = nut(Config),
    run(peer(1, Config), fun() ->
        pong = net_adm:ping(Node),
        Fun(Node)
    end).

%% {Result, Output} of Fun, run under a group leader that keeps the output.
captured(Fun) ->
    Old = group_leader(),
    Keeper = spawn_link(?MODULE, keep, [[]]),
    group_leader(Keeper, self()),
    Result = Fun(),
    group_leader(Old, self()),
    Keeper ! {self(), output},
    receive {output, Output} -> {Result, Output} end.

keep(Kept) ->
    receive
        {io_request, From, ReplyAs, Request} ->
            From ! {io_reply, ReplyAs, ok},
            keep([text(Request) | Kept]);
        {From, output} ->
            From ! {output, lists:flatten(lists:reverse(Kept))}
    end.

text({put_chars, Encoding, M, F, A}) -> text({put_chars, Encoding, apply(M, F, A)});
text({put_chars, Encoding, Chars}) -> unicode:characters_to_list(Chars, Encoding);
text({put_chars, Chars}) -> unicode:characters_to_list(Chars);
text({requests, Requests}) -> [text(R) || R <- Requests].

request(Device, Request) ->
    Ref = make_ref(),
    Device ! {io_request, self(), Ref, Request},
    receive {io_reply, Ref, Reply} -> Reply after 5_000 -> no_reply end.
