%% address_SUITE: the node where it is not on 127.0.0.1 behind an epmd: on IPv6, and without epmd, where every node is
%% expected on the same port of its own address (protocol 1.4). Both directions, whoever dials.
-module(address_SUITE).
-define(NO_NUT, true).
-include("suite.hrl").

cases() -> [ipv6_peer_dials, ipv6_we_dial, no_epmd_peer_dials, no_epmd_we_dial].

peers() -> [].

ipv6_peer_dials(Config) -> peer_dials(Config, #{host => "::1"}, #{host => "::1"}).
ipv6_we_dial(Config) -> we_dial(Config, #{host => "::1"}, #{host => "::1"}).

no_epmd_peer_dials(Config) -> peer_dials(Config, without_epmd("127.0.0.1"), without_epmd("127.0.0.2")).
no_epmd_we_dial(Config) -> we_dial(Config, without_epmd("127.0.0.1"), without_epmd("127.0.0.2")).

%% One port for both, as the scheme wants it: chosen once for the pair.
without_epmd(Host) ->
    Port = case get(port) of
        undefined ->
            Free = remora_ct:free_port(),
            put(port, Free),
            Free;
        Chosen -> Chosen
    end,
    #{host => Host, no_epmd => true, port => Port}.

peer_dials(Config, Ours, Theirs) ->
    pair(Config, Ours, Theirs, fun(#{node := Node}, Peer) ->
        ?assertEqual(pong, rcall(Peer, net_adm, ping, [Node])),
        ?assert(lists:member(Node, rcall(Peer, erlang, nodes, []))),
        ?assertEqual(Node, rcall(Peer, rpc, call, [Node, erlang, node, []]))
    end).

%% A third node, hidden and of the peer's kind, asks ours to ping the peer: ours dials.
we_dial(Config, Ours, Theirs) ->
    pair(Config, Ours, Theirs, fun(#{node := Node}, #{node := PeerNode} = Peer) ->
        Asking = remora_ct:start_peer(maps:merge(maps:merge(remora_ct:opts(Config), asking(Theirs)),
                                                 #{name => remora_ct:unique("asking"), hidden => true})),
        ?assertEqual(pong, rcall(Asking, erpc, call, [Node, net_adm, ping, [PeerNode]])),
        ?assert(lists:member(Node, rcall(Peer, erlang, nodes, []))),
        remora_ct:stop(Asking)
    end).

%% The port of the peer's address is taken by the peer.
asking(#{no_epmd := true} = Theirs) -> Theirs#{host => "127.0.0.3"};
asking(Theirs) -> Theirs.

pair(Config, Ours, Theirs, Fun) ->
    Opts = remora_ct:opts(Config),
    Peer = remora_ct:start_peer(maps:merge(Opts, Theirs#{name => remora_ct:unique("peer"), release => release(Config)})),
    Node = remora_ct:start_node_like_nut(Config, Ours#{name => remora_ct:unique("nut")}),
    try Fun(Node, Peer) after
        remora_ct:stop(Node),
        remora_ct:stop(Peer)
    end.

release(Config) ->
    case proplists:get_value(name, proplists:get_value(tc_group_properties, Config, [])) of
        otp27 -> 27;
        _ -> 25
    end.
