%%% @doc Discovery: the companion finds the nodes of the cluster, connects to them, and does it again when one is lost.
%%%
%%% ```
%%% {ok, _} = remora:start_link(#{discovery => #{sources => [local_epmd, {file, "/etc/app/nodes"}]}}),
%%% {error, {discovery_failed, [{<<"file /etc/app/nodes">>, no_file, _Sentence}]}} = remora_discovery:refresh(10_000),
%%% {ok, _Nodes} = remora_discovery:run_once(#{sources => [local_epmd], side => companion}).
%%% '''
%%%
%%% The companion asks all sources at once, when it starts and every `poll_interval', and connects itself and this VM to
%%% what they list: to all nodes in parallel, each with its own time limit and its own pauses between attempts. A node
%%% that is lost is dialled again at once, without waiting for the next poll. It disconnects only what it connected
%%% itself, when all sources that listed a node have `grace' times given a complete answer without it; an answer that is
%%% empty, partial or an error disconnects nobody.
%%%
%%% Sources, of which several can be combined (at most 16):
%%% <ul>
%%% <li>`local_epmd': what the epmd of this host has. `{epmd, [Host]}': what the epmds of these hosts have.</li>
%%% <li>`{nodes, [Node]}': these.</li>
%%% <li>`{dns, Basename, Hostname}': Basename@Address for each A and AAAA record. `{dns_srv, Basename, Service}':
%%%     Basename@Target for each SRV record.</li>
%%% <li>`{kubernetes, #{namespace := .., ..}}': the endpoints of the service `service', or of all that the `selector'
%%%     chooses, asked of the API server; `addressing' makes Basename@IP (`ip'), the pod's DNS name (`pod') or its host name
%%%     in the service (`hostname') of each ready address. `server', `token_file' and `ca_file' are the service account's
%%%     unless they are said. `{kubernetes_dns, #{namespace := .., service := ..}}': the addresses of a headless service.</li>
%%% <li>`{multicast, #{group := IP, port := .., secret := ..}}': nodes that say so to a multicast group, signed with a
%%%     secret that all have: text, a function that gives it, `{file, Path}' or `{env, Name}'.</li>
%%% <li>`{hosts_file, Path}': the hosts of a file like OTP's `.hosts.erlang'; their epmds are asked. `{file, Path}': a
%%%     file with a node in each line, which is watched.</li>
%%% <li>`{custom, Fun}': Fun/0 gives `{ok, [Node]}', all there are, or `{error, Why}'. `{custom, #{discover := Fun}}' is the
%%%     same; with `connect' or `disconnect' (Fun/1 of one node, `ok' or `{error, Why}') or `list' (Fun/0, which nodes are
%%%     connected) these are called instead of what is built in, in processes of their own, and the companion connects to
%%%     nobody by itself. One for each VM.</li>
%%% </ul>
%%% An empty Basename is that of this VM.
%%%
%%% Other options: `side' (`app', `companion' or `both': who is connected; `both'), `poll_interval' (ms, 5,000;
%%% 100 or more, or 0: only when asked), `poll_jitter' (a part of it, 0.1; 0.9 at most), `grace' (2), `keep_missing_nodes' (`false'; `true' never disconnects), `dial_limit'
%%% (attempts at once, 64), `dial_timeout' (ms, 7,000), `backoff_min' and `backoff_max' (ms, 100 and 30,000), `ask_timeout'
%%% (ms for one question, 5,000), `dns_servers' (IP addresses; the system's).
%%%
%%% What happens is told by {@link remora_events}. Without the option `discovery' nothing is discovered, unless the
%%% program's own options say so; `discovery => #{}' has this VM take part in what they say.
%%%
%%% A companion that is started again is told again. Functions here ask it directly.
-module(remora_discovery).

-export([refresh/1, pause/1, resume/1, shutdown/1, status/0, run_once/1, run_once/2]).
-export([tidy/1]).

-export_type([options/0, source/0, result/0, failure/0, side/0, problem/0, status/0, link/0]).

-type options() :: remora_discovery_options:given().
-type source() :: remora_discovery_options:source().
-type problem() :: remora_discovery_options:problem().
-type side() :: app | companion.
%% Which source, why in one word, and in a sentence.
-type failure() :: {Source :: binary(), Cause :: atom(), Text :: binary()}.
%% The nodes are those listed that are connected.
-type result() :: {ok, [node()]}
                | {error, {discovery_failed, [failure()]}}
                | {error, {connect_failed, [{node() | binary(), Reason :: atom() | binary()}]}}
                | {error, {disconnect_failed, [{node() | binary(), Reason :: atom() | binary()}]}}.
-type status() :: #{state := not_configured | idle | running | paused | stopped,
                    next_round_ms := non_neg_integer() | undefined,
                    sources := [#{source := binary(), nodes := non_neg_integer(), answered := boolean(),
                                  trouble := {Cause :: atom(), Text :: binary()} | undefined}],
                    nodes := [#{node := node() | binary(), companion := link(), app := link()}]}.
-type link() :: #{up := boolean(), ours := boolean(), dialling := boolean(), failures := non_neg_integer(),
                  reason := atom() | binary(), next_ms := non_neg_integer() | undefined}
              | undefined.
-type refusal() :: paused | shut_down | busy | not_configured | not_running | timeout.

%% @doc A round now, waited for within so many ms. It dials at once whom it finds, however long they were away. A round
%% that is under way and still asks is shared.
-spec refresh(Within :: timeout()) -> result() | {error, refusal()}.
refresh(Within) -> ask(refresh, Within).

%% @doc No questions and no attempts until resume/1. Connections stay, and are not made again when they are lost.
-spec pause(Within :: timeout()) -> ok | {error, refusal()}.
pause(Within) -> want(paused, pause, Within).

-spec resume(Within :: timeout()) -> ok | {error, refusal()}.
resume(Within) -> want(running, resume, Within).

%% @doc Ends discovery for as long as this remora runs; what it connected stays.
-spec shutdown(Within :: timeout()) -> ok | {error, refusal()}.
shutdown(Within) -> want(shut_down, shutdown, Within).

%% @doc What the companion says of it: whether it runs, when the sources are asked next (in ms), how each of them
%% answered, and the nodes that are listed, with the link of either side. `undefined' stands for what there is not.
-spec status() -> {ok, status()} | {error, not_running | timeout}.
status() -> ask(status, remora_state:call_timeout()).

%% @equiv run_once(Options, AsLongAsItTakes)
-spec run_once(options()) -> result() | {error, problem() | refusal()}.
run_once(Options) -> remora_discovery_once:run(Options, default).

%% @doc One round with these options, whatever remora was started with: asks their sources, connects, and leaves it at
%% that. Nobody is disconnected.
-spec run_once(options(), Within :: timeout()) -> result() | {error, problem() | refusal()}.
run_once(Options, Within) -> remora_discovery_once:run(Options, Within).

%% ---- the companion is asked -------------------------------------------------------------------------------------------

ask(What, Within) ->
    case remora_door:call(remora_door:discovery(What), Within) of
        {ok, Answer} -> tidy(Answer);
        {error, _} = Error -> Error
    end.

%% @doc A node that neither side could connect for the same reason is one failure.
%% @private
-spec tidy(term()) -> term().
tidy({error, {connect_failed, Nodes}}) -> {error, {connect_failed, lists:usort(Nodes)}};
tidy({error, {disconnect_failed, Nodes}}) -> {error, {disconnect_failed, lists:usort(Nodes)}};
tidy(Answer) -> Answer.

%% The next companion shall know it too. One that came while we asked does not yet: the epoch tells.
want(Wanted, What, Within) ->
    Epoch = remora_state:epoch(),
    case ask(What, Within) of
        ok ->
            remora_state:set_discovery(Wanted),
            remora_state:epoch() =:= Epoch orelse remora_discovery_front:configure(),
            ok;
        {error, _} = Error -> Error
    end.
