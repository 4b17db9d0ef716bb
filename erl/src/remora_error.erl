%%% @doc The errors of this package as sentences: what was tried, what was found, what to do.
-module(remora_error).

-export([format/1]).

%% @doc Of the `Reason' in an `{error, Reason}' of any of the modules; of other terms, what they are. Nothing in it is
%% secret: no error has the cookie.
-spec format(term()) -> binary().
format({error, Reason}) -> format(Reason);
format(Reason) ->
    case unicode:characters_to_binary(text(Reason)) of
        Text when is_binary(Text) -> Text;
        _ -> unicode:characters_to_binary(io_lib:format("Unexpected: ~0tp.", [Reason])) % a path that is no text
    end.

%% ---- starting ---------------------------------------------------------------------------------------------------------

text(not_distributed) ->
    "This VM is not distributed, so a companion could not connect to it. Start it with -name or -sname, or call "
    "remora_cluster:start_node/2 before.";
text({option, Key, Value}) ->
    ["The start option ", term(Key), " was given as ", term(Value), ", which is not one of its values, or there is no "
     "such option. remora_options lists them."];
text({discovery_option, Key, Text}) when is_binary(Text) ->
    ["The option ", term(Key), " of discovery is not right: ", Text, ". remora_discovery describes them."];
text({membership_option, Key, Text}) when is_binary(Text) ->
    ["The option ", term(Key), " of membership is not right: ", Text, ". remora_membership describes them."];
text({election_option, Key, Text}) when is_binary(Text) ->
    ["The option ", term(Key), " of the election is not right: ", Text, ". remora_election describes them."];
text({membership, {no_socket, _} = Reason}) -> text(Reason);
text({already_started, Pid}) ->
    ["A companion of this VM is already supervised by ", term(Pid), "; there is one for each VM. Use that one, or stop it "
     "before."];
text({binary, {not_found, Searched}}) ->
    ["The program remora was searched at ", lists:join(", ", Searched), " and is not there. Build it with make, set "
     "REMORA_BIN, or give the option binary => {at, Path}."];
text({binary, {not_executable, Path}}) ->
    ["The file ", Path, " is there, but cannot be executed. Is it built for this machine, and are its permissions right "
     "(chmod +x)?"];
text({binary, {wrong_version, Found, Wanted}}) ->
    ["The program was asked for its version and said ", quoted(Found), "; this package works with remora ", Wanted,
     ". Build or install the program of the same release."];
text({companion, {name_taken, Text}}) ->
    ["The companion's name is taken: ", Text, ". Give it another one with the option companion => Name, or end the node "
     "that has it."];
text({companion, {no_epmd, Text}}) ->
    ["The companion found no epmd: ", Text, ". Start one with epmd -daemon, or set ERL_EPMD_PORT to its port."];
text({companion, {address_in_use, Text}}) ->
    ["The companion cannot listen: ", Text, ". Give it another port, args => [\"--port\", \"0\"] for any."];
text({companion, {bad_address, Text}}) ->
    ["The companion cannot listen there: ", Text, ". Give an address of this machine."];
text({companion, {usage, Text}}) ->
    ["The companion refused its options: ", Text, ". See the options args, config and cookie_file."];
text({companion, {exit_status, Status, Text}}) ->
    ["The companion ended with exit status ", term(Status), by_signal(Status), said(Text)];
text({companion, {not_started, Reason}}) ->
    ["The companion's program could not be started by open_port/2: ", term(Reason), ". Is a limit of the system reached?"];
text({companion, {timeout, Ms}}) ->
    ["The companion was started, but was not ready within ", term(Ms), " ms. Its log lines say how far it came; the time "
     "is the option start_timeout."];
text({companion, {cookie_mismatch, Node}}) ->
    ["The node ", text_of(Node), " listens, but refused the handshake: most likely its cookie is another one. Give both "
     "the same, with -setcookie, erlang:set_cookie/2 or ~/.erlang.cookie."];
text({companion, {unreachable, Node}}) ->
    ["There is no node ", text_of(Node), ": epmd does not know it, or nothing listens on its port. Start it, or correct "
     "the name and host."];
text({companion, {no_door, Node}}) ->
    ["The node ", text_of(Node), " answers, but is no companion: no process remora there says hello. Give the name of a "
     "node that runs `remora run'."];
text({companion, {protocol, Found, Wanted}}) ->
    ["The companion speaks version ", term(Found), " of the protocol; this package speaks ", term(Wanted), ". Use both "
     "of the same release."];
text({companion, {lost, Node, Reason}}) ->
    ["The companion ", text_of(Node), " went away while it was told what this VM has: ", term(Reason), ". It is tried "
     "again; the log says why it went."];

%% ---- calls ------------------------------------------------------------------------------------------------------------

text(not_running) ->
    "There is no companion now. It was not started, or it is being started again; remora_events tells when it is up.";
text(timeout) ->
    "The companion, or the node behind it, did not answer in time. Whether the request was carried out is not known; ask, "
    "or repeat it.";
text({taken, Pid}) -> ["The name belongs to the process ", term(Pid), " on ", text_of(node(Pid)), "."];
text(already_named) ->
    "The process has a name already, and as with global it has one only. Take that one back before, or name another "
    "process.";
text({member_timeout, Node}) ->
    ["The node ", text_of(Node), " did not answer while all nodes of the cluster were asked, so nothing was registered. "
     "Repeat it; a node that stays silent is lost after its tick time."];
text(busy) ->
    "Others held the lock of the names, or the name itself, for too long; or another change of the voters is under way. "
    "Repeat it.";
text(not_found) -> "No process has this name.";
text(not_joined) -> "The process is no member of the group through this companion.";
text({no_scope, Scope}) ->
    ["The companion does not run the scope ", term(Scope), ". Start it with remora_groups:start_scope/1 or the option "
     "pg_scopes."];
text(name_taken) -> "Another process of the companion has this name, so a scope cannot have it.";
text(system_limit) -> "A limit of the companion is reached; README.md lists them.";
text(badarg) -> "An argument is of the wrong type.";
text({nodedown, Node}) -> ["The node ", text_of(Node), " is not connected, and could not be reached."];
text({undef, {Module, Function, Arity}}) ->
    ["There is no function ", text_of(Module), ":", text_of(Function), "/", term(Arity), " on that node."];
text({raised, Class, Reason}) -> ["The function raised ", text_of(Class), ": ", term(Reason), "."];
text({badrpc, Reason}) -> ["The node refused the call: ", term(Reason), "."];
text({too_large, Bytes, Max}) ->
    ["The message takes ", term(Bytes), " bytes, more than ", term(Max), ". Send less at a time, or raise "
     "remora_settings:set_max_message_size/1."];
text(noproc) -> "There is no such process.";
text({exit, Reason}) -> ["The process ended before it answered: ", term(Reason), "."];
text(not_connected) -> "The node is not connected.";

%% ---- discovery --------------------------------------------------------------------------------------------------------

text(not_configured) ->
    "It was not said what is needed for this: for discovery the option discovery, with sources; for an election voters, or "
    "bootstrap_expect.";
text(paused) -> "Discovery is paused; remora_discovery:resume/1 lets it go on.";
text(shut_down) -> "Discovery was shut down. It begins again when remora is started again.";
text({discovery_failed, Failures}) when is_list(Failures) ->
    ["Not all sources said which nodes there are, so nobody is disconnected. ",
     lists:join(" ", [[text_of(Source), ": ", Text, "."] || {Source, _Cause, Text} <- Failures])];
text({connect_failed, Nodes}) when is_list(Nodes) -> ["Not connected: ", each(Nodes), "."];
text({disconnect_failed, Nodes}) when is_list(Nodes) -> ["Not disconnected: ", each(Nodes), "."];

%% ---- membership and election ------------------------------------------------------------------------------------------

text(not_started) -> "The service is not started. Call its start_service/1, or start remora with its options.";
text({no_socket, Text}) when is_binary(Text) ->
    ["The companion cannot open the port for membership's datagrams: ", Text, ". Give it another one with the option port."];
text({metadata_too_large, Bytes, Max}) ->
    ["The metadata take ", term(Bytes), " bytes, more than ", term(Max), ". They are told to every node; say less."];
text({event_too_large, Bytes, Max}) ->
    ["The event takes ", term(Bytes), " bytes, more than ", term(Max), ". It goes to every node; send a reference to more."];
text(unknown_node) -> "The node is not known, not connected, or takes no part.";
text(no_leader) -> "Nobody leads now. More than half of the voters must be there for that.";
text(not_leader) -> "This node does not lead, or not surely.";
text(is_voter) -> "The node is a voter already.";
text(not_voter) -> "The node is no voter.";
text(too_many) -> "There are too many of them; README.md lists the limits.";
text(stale_token) -> "The token is of a former leader.";
text(unknown_token) -> "The token is of no leader that there was.";
text(stopped) -> "The election was stopped meanwhile.";
text(not_campaigning) -> "The process does not campaign for this name.";
text(not_held) -> "The process does not hold the name, or not surely.";

%% ---- the rest ---------------------------------------------------------------------------------------------------------

text({no_such_atom, Text}) ->
    ["There is no atom ", quoted(Text), ", and none may be made of a string. If it should exist, load the module that has "
     "it; else see remora_settings:set_allow_atom_creation/1."];
text({atom_budget, Max}) ->
    ["The budget of ", term(Max), " new atoms is spent. Atoms are never freed: see remora_settings:set_max_new_atoms/1."];
text({too_long, Text}) -> ["An atom has at most 255 characters; this text has more: ", quoted(head(Text)), "..."];
text(no_crypto) -> "The application crypto is not installed.";
text(host_unknown) -> "The host in the node's name is not known.";
text(no_epmd) -> "No epmd answers there. Start one with epmd -daemon.";
text(not_registered) -> "epmd answers, but does not know such a node.";
text(unreachable) -> "Nothing listens at the node's port.";
text(handshake_closed) -> "The node closed the handshake; most likely the cookies differ.";
text(bad_cookie) -> "The cookies differ.";
text(already_started) -> "This VM is a node already.";
text(bad_name) -> "A node name is NAME@HOST, of at most 255 characters.";
text({name_taken, Node}) -> ["epmd knows a node ", text_of(Node), " already."];
text({failed, Reason}) -> ["net_kernel did not start: ", term(Reason), "."];
text({shutdown, Reason}) -> text(Reason);
text({Reason, {child, _, _, _, _, _, _, _, _, _}}) -> text(Reason);
text(Other) -> ["Unexpected: ", term(Other), "."].

by_signal(Status) when Status > 128 -> [" (signal ", term(Status - 128), ")"];
by_signal(_) -> "".

said(<<>>) -> ", without a word.";
said(Text) -> [". It said last: ", Text].

term(Term) -> io_lib:format("~0tP", [Term, 20]).

each(Nodes) -> lists:join("; ", [[text_of(Node), because(Reason)] || {Node, Reason} <- Nodes]).

%% A sentence within one, where there is one for it; else the word itself.
because(Reason) ->
    case {format(Reason), Reason} of
        {<<"Unexpected: ", _/binary>>, Word} when is_atom(Word) ->
            [": ", string:replace(atom_to_binary(Word), "_", " ", all)];
        {<<"Unexpected: ", _/binary>>, Words} when is_binary(Words) -> [": ", Words];
        {<<First, Rest/binary>>, _} -> [", because ", string:lowercase(<<First>>), string:trim(Rest, trailing, ".")]
    end.

text_of(Text) when is_binary(Text) -> Text;
text_of(Atom) -> atom_to_binary(Atom).

quoted(Text) ->
    case unicode:characters_to_binary(Text) of
        Valid when is_binary(Valid) -> ["\"", Valid, "\""];
        _ -> term(Text)
    end.

head(Text) -> string:slice(Text, 0, 40).
