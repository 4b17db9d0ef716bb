%% discovery_parts: what discovery_SUITE puts around its nodes: dnsmasq and servers behind it that fail, an API server of
%% Kubernetes, addresses that swallow every connection, and hosts of their own (network namespaces). All of it is real
%% but the API server, which speaks real TLS and serves recorded documents.
%%
%% A namespace belongs to a process that watches its standard input, as every program of remora_ct does: when the test
%% run ends, on whatever way, it goes.
-module(discovery_parts).

-export([start_dnsmasq/2, start_dnsmasq/3, set_hosts/2, failing_dns/1, silent_dns/0]).
-export([certificates/1, start_kubernetes/2, serve/2, asked/1, stop_kubernetes/1, endpoints/2]).
-export([black_holes/2, fill/1]).
-export([start_hosts/2, stop_hosts/1, cut/2, heal/2, filter/3, filter_off/2, command_on/3, start_on/4, enter/2, address/1, address6/1,
         may_have_hosts/0]).

-define(READY_MS, 10_000).

%% ---- DNS ---------------------------------------------------------------------------------------------------------

%% Hosts: [{Address, Name}]; they can be set anew. What ends in .test and is not there does not exist.
start_dnsmasq(Dir, Hosts) -> start_dnsmasq(Dir, Hosts, []).
start_dnsmasq(Dir, Hosts, More) -> start_dnsmasq(Dir, Hosts, More, 5).

%% Its port is free when it is chosen: if somebody else has it by then, for UDP or TCP, it ends, and another is tried.
start_dnsmasq(Dir, Hosts, More, Tries) ->
    Port = free_udp_port(),
    File = filename:join(Dir, "hosts-" ++ integer_to_list(Port)),
    write_hosts(File, [{"127.0.0.1", "ready.test"} | Hosts]),
    Args = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--user=root",
            "--listen-address=127.0.0.1", "--bind-interfaces", "--port=" ++ integer_to_list(Port), "--addn-hosts=" ++ File,
            "--local=/test/", "--cache-size=0" | More],
    Server = remora_ct:start_guarded(dnsmasq(), Args, [], filename:join(Dir, "dnsmasq.log")),
    Asked = fun() -> inet_res:lookup("ready.test", in, a, [{nameservers, [{{127, 0, 0, 1}, Port}]}, {timeout, 200}]) end,
    Answers = fun() -> Asked() =:= [{127, 0, 0, 1}] andalso answers end,
    case remora_ct:wait_until(fun() -> case remora_ct:alive(Server) of true -> Answers(); false -> ended end end, ?READY_MS) of
        answers -> Server#{kind => dnsmasq, server => "127.0.0.1:" ++ integer_to_list(Port), hosts => File};
        ended when Tries > 1 -> start_dnsmasq(Dir, Hosts, More, Tries - 1);
        ended -> error({dnsmasq, remora_ct:log_lines(Server)})
    end.

dnsmasq() ->
    case os:find_executable("dnsmasq", "/usr/sbin:/usr/bin:/sbin") of
        false -> error({missing, "dnsmasq: apt-get install dnsmasq-base"});
        Path -> Path
    end.

set_hosts(#{hosts := File, os_pid := Pid}, Hosts) ->
    write_hosts(File, [{"127.0.0.1", "ready.test"} | Hosts]),
    [] = os:cmd("kill -HUP " ++ integer_to_list(Pid)),
    ok.

write_hosts(File, Hosts) -> ok = file:write_file(File, [[Address, " ", Name, "\n"] || {Address, Name} <- Hosts]).

free_udp_port() ->
    {ok, Socket} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_udp:close(Socket),
    Port.

%% A server for dnsmasq to ask: it answers every question with this rcode, or with nothing. Lives as long as the caller.
failing_dns(Rcode) -> dns_server(Rcode).
silent_dns() -> dns_server(silent).

dns_server(What) ->
    Self = self(),
    spawn_link(fun() ->
        {ok, Socket} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}, binary, {active, true}]),
        {ok, Port} = inet:port(Socket),
        Self ! {dns_server, Port},
        dns_loop(Socket, What)
    end),
    receive {dns_server, Port} -> "127.0.0.1#" ++ integer_to_list(Port) end.

dns_loop(Socket, What) ->
    receive
        {udp, Socket, Address, Port, <<Id:16, _:16, _Counts:64, Rest/binary>>} when is_integer(What) ->
            Answer = <<Id:16, 16#81, (16#80 bor What), 1:16, 0:48, (question(Rest))/binary>>,
            ok = gen_udp:send(Socket, Address, Port, Answer);
        {udp, Socket, _, _, _} -> ok
    end,
    dns_loop(Socket, What).

%% The first question: a name, type and class.
question(Bytes) ->
    Size = name_size(Bytes, 0) + 4,
    <<Question:Size/binary, _/binary>> = Bytes,
    Question.
name_size(<<0, _/binary>>, Size) -> Size + 1;
name_size(<<N, _:N/binary, Rest/binary>>, Size) -> name_size(Rest, Size + 1 + N).

%% ---- Kubernetes --------------------------------------------------------------------------------------------------

%% An authority, a certificate of 127.0.0.1 that it signed, and another authority that signed nothing.
certificates(Dir) ->
    File = fun(Name) -> filename:join(Dir, Name) end,
    Run = fun(Arguments) ->
        Program = remora_ct:start_program(os:find_executable("openssl"), Arguments, [], File("openssl.log")),
        0 = remora_ct:await_exit(Program, ?READY_MS)
    end,
    Key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
    [Run(["req", "-x509"] ++ Key ++ ["-keyout", File(Name ++ ".key"), "-out", File(Name ++ ".pem"), "-days", "2",
                                     "-subj", "/CN=" ++ Name]) || Name <- ["authority", "stranger"]],
    Run(["req"] ++ Key ++ ["-keyout", File("server.key"), "-out", File("server.csr"), "-subj", "/CN=kubernetes",
                           "-addext", "subjectAltName=IP:127.0.0.1"]),
    Run(["x509", "-req", "-in", File("server.csr"), "-CA", File("authority.pem"), "-CAkey", File("authority.key"),
         "-CAcreateserial", "-out", File("server.pem"), "-days", "2", "-copy_extensions", "copy"]),
    #{ca => File("authority.pem"), stranger => File("stranger.pem"), cert => File("server.pem"), key => File("server.key")}.

%% Serves what serve/2 says to whoever brings the token that is in the file now.
start_kubernetes(#{cert := Cert, key := Key}, TokenFile) ->
    {ok, _} = application:ensure_all_started(ssl),
    Self = self(),
    Pid = spawn(fun() ->
        {ok, Listen} = ssl:listen(0, [{ip, {127, 0, 0, 1}}, {certfile, Cert}, {keyfile, Key}, {reuseaddr, true},
                                      {active, false}, {packet, http_bin}, binary, {log_level, none}]),
        {ok, {_, Port}} = ssl:sockname(Listen),
        Server = self(),
        spawn_link(fun() -> accept(Listen, Server) end),
        Self ! {Server, Port},
        kubernetes(TokenFile, {status, 500}, [])
    end),
    receive {Pid, Port} -> #{pid => Pid, server => "https://127.0.0.1:" ++ integer_to_list(Port)} end.

stop_kubernetes(#{pid := Pid}) -> exit(Pid, kill).

%% {document, Text} | {status, Code} | hang | truncated
serve(#{pid := Pid}, What) ->
    Pid ! {serve, What},
    ok.

%% What was asked so far: [{Target, right | wrong | none}].
asked(#{pid := Pid}) ->
    Pid ! {asked, self()},
    receive {asked, Pid, Asked} -> lists:reverse(Asked) end.

kubernetes(TokenFile, What, Asked) ->
    receive
        {serve, New} -> kubernetes(TokenFile, New, Asked);
        {asked, From} -> From ! {asked, self(), Asked}, kubernetes(TokenFile, What, Asked);
        {request, From, Target, Given} ->
            {ok, Token} = file:read_file(TokenFile),
            Right = <<"Bearer ", (string:trim(Token))/binary>>,
            Verdict = case Given of Right -> right; none -> none; _ -> wrong end,
            From ! {answer, case Verdict of right -> What; _ -> {status, 401} end},
            kubernetes(TokenFile, What, [{Target, Verdict} | Asked])
    end.

accept(Listen, Server) ->
    {ok, Socket} = ssl:transport_accept(Listen),
    Pid = spawn(fun() ->
        receive go -> ok end,
        case ssl:handshake(Socket, 5_000) of
            {ok, Tls} -> request(Tls, Server);
            {error, _} -> ok
        end
    end),
    ok = ssl:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listen, Server).

request(Tls, Server) ->
    case ssl:recv(Tls, 0, 5_000) of
        {ok, {http_request, 'GET', {abs_path, Target}, _}} ->
            Server ! {request, self(), Target, authorization(Tls, none)},
            receive {answer, What} -> answer(Tls, What) end;
        _ -> ok
    end,
    ssl:close(Tls).

authorization(Tls, Found) ->
    case ssl:recv(Tls, 0, 5_000) of
        {ok, {http_header, _, 'Authorization', _, Value}} -> authorization(Tls, Value);
        {ok, http_eoh} -> Found;
        {ok, _} -> authorization(Tls, Found)
    end.

answer(_Tls, hang) -> receive never -> ok end;
answer(Tls, {status, Code}) ->
    Text = io_lib:format("{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":~b}", [Code]),
    respond(Tls, Code, Text, iolist_size(Text));
answer(Tls, truncated) -> respond(Tls, 200, "{\"kind\":\"EndpointsList\",\"items\":[", 10_000);
answer(Tls, {document, Text}) -> respond(Tls, 200, Text, iolist_size(Text)).

respond(Tls, Code, Text, Size) ->
    ssl:send(Tls, [io_lib:format("HTTP/1.1 ~b X\r\nContent-Type: application/json\r\nContent-Length: ~b\r\n\r\n",
                                 [Code, Size]), Text]).

%% A document as the API server writes it: one service with these ready and not ready addresses.
endpoints(Ready, NotReady) ->
    Each = fun(Addresses) -> lists:join(",", [["{\"ip\":\"", A, "\",\"nodeName\":\"worker-1\",\"targetRef\":{\"kind\":\"Pod\","
                                               "\"namespace\":\"shop\",\"name\":\"app-", A, "\"}}"] || A <- Addresses]) end,
    ["{\"kind\":\"EndpointsList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"4711\"},\"items\":[{\"metadata\":"
     "{\"name\":\"app\",\"namespace\":\"shop\",\"labels\":{\"app\":\"shop\"}},\"subsets\":[{\"addresses\":[", Each(Ready),
     "],\"notReadyAddresses\":[", Each(NotReady), "],\"ports\":[{\"name\":\"epmd\",\"port\":4369,\"protocol\":\"TCP\"}]}]}]}"].

%% ---- black holes -------------------------------------------------------------------------------------------------

%% On each address a listener whose queue is full: who connects is not answered at all, as by a host that is off. They
%% last as long as the process that is returned.
black_holes(Addresses, Port) ->
    Self = self(),
    Pid = spawn(fun() ->
        Held = [fill({A, Port}) || A <- Addresses],
        Self ! {self(), filled},
        receive stop -> Held end
    end),
    receive {Pid, filled} -> Pid after 60_000 -> error(no_black_holes) end.

fill({Address, Port}) ->
    {ok, Ip} = inet:parse_address(Address),
    {ok, Listen} = gen_tcp:listen(Port, [{ip, Ip}, {backlog, 0}, {reuseaddr, true}]),
    {Listen, fill(Ip, Port, [])}.

fill(Ip, Port, Held) ->
    case gen_tcp:connect(Ip, Port, [], 100) of
        {ok, Socket} -> fill(Ip, Port, [Socket | Held]);
        {error, timeout} -> Held
    end.

%% ---- hosts -------------------------------------------------------------------------------------------------------

may_have_hosts() ->
    case os:cmd("unshare -n true 2>&1; echo $?") of
        "0\n" -> true;
        Why -> {skip, "no network namespaces here (root is needed): " ++ string:trim(Why)}
    end.

%% N hosts on one switch: 10.77.0.1.. and fd77::1..
start_hosts(Dir, N) ->
    Switch = namespace(Dir),
    ok = ip(Switch, "link add br0 type bridge"),
    ok = ip(Switch, "link set br0 up"),
    #{switch => Switch, hosts => maps:from_list([{I, host(Dir, Switch, I)} || I <- lists:seq(1, N)])}.

stop_hosts(#{switch := Switch, hosts := Hosts}) -> [remora_ct:stop(H) || H <- [Switch | maps:values(Hosts)]], ok.

namespace(Dir) ->
    Program = remora_ct:start_guarded(os:find_executable("unshare"), ["-n", "sleep", "3600"], [],
                                      filename:join(Dir, "namespace.log")),
    %% Before it is another program it is still here.
    Ours = file:read_link("/proc/self/ns/net"),
    Theirs = "/proc/" ++ integer_to_list(maps:get(os_pid, Program)) ++ "/ns/net",
    remora_ct:wait_until(fun() -> file:read_link(Theirs) =/= Ours end, ?READY_MS),
    Program.

host(Dir, #{os_pid := SwitchPid} = Switch, I) ->
    Host = namespace(Dir),
    Port = port_name(I),
    ok = ip(Host, ["link add eth0 type veth peer name ", Port, " netns ", integer_to_list(SwitchPid)]),
    ok = ip(Switch, ["link set ", Port, " master br0"]),
    ok = ip(Switch, ["link set ", Port, " up"]),
    ok = ip(Host, ["addr add ", address(I), "/24 dev eth0"]),
    ok = ip(Host, ["addr add ", address6(I), "/64 dev eth0 nodad"]),
    ok = ip(Host, "link set lo up"),
    ok = ip(Host, "link set eth0 up"),
    Host.

address(I) -> "10.77.0." ++ integer_to_list(I).
address6(I) -> "fd77::" ++ integer_to_list(I).
port_name(I) -> "port" ++ integer_to_list(I).

%% The cable of a host is pulled out at the switch: nobody is told, what is sent is lost.
cut(#{switch := Switch}, I) -> ok = ip(Switch, ["link set ", port_name(I), " down"]).
heal(#{switch := Switch}, I) -> ok = ip(Switch, ["link set ", port_name(I), " up"]).

%% What comes in from the cable is judged by a rule of nft: "drop" cuts one way only, "numgen random mod 100 < 20 drop" loses
%% a fifth.
filter(Hosts, I, Rule) ->
    "" = command_on(Hosts, I, ["nft 'add table inet f; flush table inet f; add chain inet f i { type filter hook input priority 0; }; "
                               "add rule inet f i iifname eth0 ", Rule, "'"]),
    ok.
filter_off(Hosts, I) ->
    "" = command_on(Hosts, I, "nft 'add table inet f; delete table inet f'"),
    ok.

ip(Host, Command) ->
    case command(Host, ["ip ", Command]) of
        "" -> ok;
        Said -> {error, Said}
    end.

command_on(#{hosts := Hosts}, I, Command) -> command(maps:get(I, Hosts), Command).
command(#{os_pid := Pid}, Command) ->
    os:cmd(lists:flatten(["nsenter -t ", integer_to_list(Pid), " -n ", Command, " 2>&1"])).

%% A program there; nsenter becomes it.
start_on(Hosts, I, Program, Arguments) ->
    [Enter | More] = enter(Hosts, I),
    {Enter, More ++ [Program | Arguments]}.

%% The command line that a program there begins with.
enter(#{hosts := Hosts}, I) ->
    #{os_pid := Pid} = maps:get(I, Hosts),
    [os:find_executable("nsenter"), "-t", integer_to_list(Pid), "-n"].
