#include "cli/run.hpp"

#include "cli/exit_code.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace remora::cli {

namespace {

void print_ready(runtime_options const& options, runtime::ready_info const& info) {
  boost::json::object line{{"event", "ready"},
                           {"node", options.name},
                           {"port", info.port},
                           {"creation", info.creation},
                           {"version", std::string(version())}};
  std::printf("%s\n", boost::json::serialize(line).c_str());
  if (std::fflush(stdout) != 0) // a full disk, say: whoever waits for the line should find this instead
    complain(std::string("the ready line cannot be written to standard output: ") + std::strerror(errno));
}

int exit_code_of(run_status status) {
  switch (status) {
  case run_status::left: return exit_ok;
  case run_status::bad_name:
  case run_status::no_cookie: return exit_usage;
  case run_status::name_taken: return exit_name_taken;
  case run_status::no_epmd: return exit_no_epmd;
  case run_status::address_in_use: return exit_address_in_use;
  case run_status::bad_address: return exit_address;
  case run_status::bad_membership:
  case run_status::bad_election:
  case run_status::bad_lifeline:
  case run_status::bad_discovery: return exit_usage;
  case run_status::failed: return exit_failed;
  }
  return exit_failed;
}

// A mistake in the command line is told as the command line asks for: whoever reads the log reads this too.
void refuse(int argc, char const* const* argv, std::string const& what) {
  for (int i = 1; i < argc; ++i) {
    std::string_view const argument = argv[i];
    bool const next = argument == "--log-format" && i + 1 < argc && std::string_view(argv[i + 1]) == "json";
    if (next || argument == "--log-format=json") return open_log({.format = "json"}), complain(what);
  }
  complain(what);
}

void add_discovery_options(CLI::App& app, discovery_options& o) {
  auto const repeatable = [&](char const* name, std::vector<std::string>& into, char const* what) {
    app.add_option(name, into, what)->expected(1)->take_all();
  };
  repeatable("--discover", o.sources,
             "Where other nodes are listed; may be repeated: local-epmd, nodes:A@H,.., epmd:HOST,.., "
             "dns:B@HOSTNAME, "
             "srv:B@SERVICE, hosts-file:PATH, file:PATH, kubernetes:B@NAMESPACE[/SERVICE][?SELECTOR], "
             "kubernetes-dns:B@SERVICE.NAMESPACE, multicast:GROUP:PORT");
  app.add_option("--discover-poll", o.poll, "Time between two rounds of discovery, in s; 0: only when asked");
  app.add_option("--discover-poll-jitter", o.poll_jitter,
                 "How much of that time a round may be early or late, 0 to 1");
  app.add_option("--discover-grace", o.grace, "Complete answers without a node before it is disconnected");
  app.add_flag("--discover-keep-missing", o.keep_missing, "Never disconnect a node that is listed no longer");
  app.add_option("--discover-dial-limit", o.dial_limit, "Connections that are attempted at once");
  app.add_option("--discover-backoff-min", o.backoff_min, "Delay after the first failed attempt, in s");
  app.add_option("--discover-backoff-max", o.backoff_max, "Longest delay between two attempts, in s");
  app.add_option("--discover-ask-timeout", o.ask_timeout, "Time for each answer of a source, in s");
  app.add_option("--discover-secret-file", o.secret_file,
                 "File with the secret of a multicast group; else REMORA_DISCOVERY_SECRET");
  app.add_option("--discover-interface", o.interface, "Network interface of a multicast group");
  repeatable("--dns-server", o.dns_servers, "IP[:PORT] of a DNS server for discovery; may be repeated");
  app.add_option("--kubernetes-server", o.kubernetes_server,
                 "https://HOST[:PORT] of the API server; else that of the pod's service account");
  app.add_option("--kubernetes-token-file", o.kubernetes_token_file, "File with the token for it");
  app.add_option("--kubernetes-ca-file", o.kubernetes_ca_file, "File with the authority of its certificate");
  app.add_option("--kubernetes-addressing", o.kubernetes_addressing, "ip, pod or hostname; ip by default");
  app.add_option("--kubernetes-domain", o.kubernetes_domain,
                 "Domain of the cluster; cluster.local by default");
}

void add_membership_options(CLI::App& app, membership_options& o) {
  app.add_flag("--membership", o.start, "Take part in membership by SWIM from the start; else when asked to");
  app.add_option("--membership-interval", o.interval, "Time between two probes, in s");
  app.add_option("--membership-probe-timeout", o.probe_timeout,
                 "Time for the answer to a probe, in s; 0: two fifths of the interval");
  app.add_option("--membership-indirect-probes", o.indirect_probes,
                 "How many others are asked to probe a member that does not answer");
  app.add_option(
      "--membership-suspicion-min", o.suspicion_min,
      "Least time that a suspected member has to object, in s; 0: by the interval and the members");
  app.add_option("--membership-suspicion-max-factor", o.suspicion_max_factor,
                 "How many times that it has while nobody else suspects it");
  app.add_option("--membership-sync-interval", o.sync_interval, "Time between two full exchanges, in s");
  app.add_option("--membership-expel", o.expel,
                 "never or dead: whether a member that is found dead is disconnected too");
  app.add_option("--membership-port", o.port, "UDP port; 0: the number of the distribution's");
  app.add_option("--membership-address", o.address,
                 "IP address at which others reach it; else that of the host of its name");
  app.add_option("--membership-key-file", o.key_file,
                 "File with keys, one a line, the first for sending; else derived from the cookie");
}

void add_election_options(CLI::App& app, election_options& o) {
  app.add_flag("--election", o.start, "Take part in elections from the start; else when asked to");
  app.add_option("--state-dir", o.state_dir,
                 "Folder for the election's state; without one it is an observer");
  app.add_option("--voters", o.voters, "Nodes that vote at first, NAME@HOST,..; the same for each of them")
      ->expected(1)
      ->take_all();
  app.add_option("--bootstrap-expect", o.bootstrap_expect,
                 "Or: so many nodes agree to be the first voters as soon as they see each other");
  app.add_option("--election-heartbeat", o.heartbeat, "Time between two heartbeats of a leader, in s");
  app.add_option("--election-timeout-min", o.timeout_min,
                 "Least time without a leader before an election, in s");
  app.add_option("--election-timeout-max", o.timeout_max, "Longest time without a leader before one, in s");
  app.add_option("--election-lease", o.lease,
                 "Time for which a leader is sure to lead after a heartbeat, in s; 0: three fifths of the "
                 "least timeout");
  app.add_option("--election-name-lease", o.name_lease, "The same of who holds a named election, in s");
  app.add_option("--election-priority", o.priority, "Greater leads rather; 0: never");
  app.add_flag("--election-observer", o.observer, "Never vote");
}

} // namespace

void add_run_options(CLI::App& app, settings& s, std::string& config) {
  app.add_option("--name", s.name, "Long node name NAME@HOST");
  app.add_option("--sname", s.sname, "Short node name NAME; the host is this machine's");
  app.add_flag("--hidden", s.hidden, "Do not appear in nodes() of peers");
  app.add_option("--pg-scope", s.pg_scopes, "A scope of process groups beside `pg`; may be repeated")
      ->expected(1)
      ->take_all();
  app.add_option("--prevent-overlapping-partitions", s.prevent_overlapping_partitions,
                 "true or false, as the kernel parameter of OTP; the same on all nodes");
  app.add_option("--global-call-timeout", s.global_call_timeout,
                 "Time for a node to answer while a global name is registered, in s");
  app.add_flag("--global-drop-frozen", s.global_drop_frozen,
               "Disconnect a node that does not answer in that time");
  app.add_option("--cookie-file", s.cookie_file,
                 "File with the cookie, - for the first line of standard input; else REMORA_COOKIE, else "
                 "~/.erlang.cookie");
  app.add_option("--listen", s.listen, "IP address to listen on");
  app.add_option("--port", s.port, "Port to listen on; 0 lets the system choose");
  app.add_option("--epmd-port", s.epmd_port, "Port of epmd; else ERL_EPMD_PORT, else 4369");
  app.add_flag("--no-epmd", s.no_epmd, "No epmd: every node listens on --port");
  app.add_option("--net-ticktime", s.net_tick_time,
                 "Silence after which a peer is lost, in s; the same on all nodes");
  app.add_option("--net-setuptime", s.net_setup_time, "Time for each phase of a handshake, in s");
  app.add_option("--lifeline", s.lifeline, "`stdin`: leave when standard input ends");
  add_discovery_options(app, s.discovery);
  add_membership_options(app, s.membership);
  add_election_options(app, s.election);
  app.add_option("--config", config, "TOML file with these settings; the command line wins");
  app.add_option("--log-level", s.log_level, "debug, info, notice, warning, error or none");
  app.add_option("--log-format", s.log_format, "text or json");
}

std::optional<int> parse_command_line(CLI::App& app, int argc, char const* const* argv, settings& s,
                                      std::string& config) {
  try {
    app.parse(argc, argv);
    if (config.empty()) return std::nullopt;
    s = {};
    if (auto const read = read_config(config, s); !read) {
      refuse(argc, argv, read.error());
      return exit_usage;
    }
    app.parse(argc, argv); // again, over the file
    return std::nullopt;
  } catch (CLI::Success const& e) {
    return app.exit(e);
  } catch (CLI::ParseError const& e) {
    refuse(argc, argv, std::string(e.what()) + "; see --help");
    return exit_usage;
  }
}

int run(settings const& s, std::function<void(runtime&)> const& prepare) {
  open_log({.level = s.log_level, .format = s.log_format}); // first: what is wrong is told in the same form
  auto options = to_runtime_options(s);
  if (!options) {
    complain(options.error());
    return exit_usage;
  }
  runtime node(*options);
  node.on_event(log);
  node.on_ready([&](runtime::ready_info const& info) { print_ready(*options, info); });
  if (prepare) prepare(node);
  auto const result = node.run();
  if (result.status != run_status::left) complain(result.detail);
  return exit_code_of(result.status);
}

} // namespace remora::cli
