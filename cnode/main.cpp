// The program: which command, and its options. Everything else is in cli/ and the rooms below it.
#include "cli/client.hpp"
#include "cli/run.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <unistd.h>

namespace {

using namespace remora;

void add_client_options(CLI::App& app, cli::client_options& o) {
  app.add_option("--epmd-port", o.epmd_port, "Port of epmd; else ERL_EPMD_PORT, else 4369")
      ->check(CLI::Range(1, 65'535));
  app.add_option("--timeout", o.timeout, "Time for the connection and for each answer, in s")
      ->check(CLI::Range(0.001, 86'400.0));
  app.add_flag("--json", o.json, "Print JSON");
}

void add_visit_options(CLI::App& app, cli::client_options& o) {
  app.add_option("--cookie-file", o.cookie_file,
                 "File with the cookie, - for standard input; else REMORA_COOKIE, else ~/.erlang.cookie");
  app.add_option("--port", o.port, "Port that the node listens on, where it runs without epmd")
      ->check(CLI::Range(1, 65'535));
}

// Where a command is about the cluster: any node of it can be asked.
void add_ask_option(CLI::App& app, cli::client_options& o, std::string& node) {
  add_visit_options(app, o);
  app.add_option("--node", node, "NAME@HOST of the node to ask; else REMORA_NODE")
      ->envname("REMORA_NODE")
      ->required();
}

// A standard stream that is closed would be the number of the next socket, and what is printed would go
// there.
void open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (::fcntl(fd, F_GETFD) == -1)
      (void)::open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY); // the lowest: fd
}

} // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  CLI::App app("remora: a native companion for BEAM clusters");
  app.set_version_flag("--version", std::string(version()));
  app.require_subcommand(1);

  cli::settings settings;
  std::string config;
  cli::client_options client;
  std::string node;
  std::string host = "127.0.0.1";
  std::string global_name;
  std::string ask;
  std::string scope = "pg";
  std::string group;
  std::string voter;
  bool watching = false;
  std::string module;
  std::string function;

  auto* const run = app.add_subcommand("run", "Join a cluster and serve until told to stop");
  cli::add_run_options(*run, settings, config);

  auto const command = [&](char const* name, char const* what, bool wants_node) {
    auto* const sub = app.add_subcommand(name, what);
    add_client_options(*sub, client);
    if (!wants_node) return sub;
    add_visit_options(*sub, client);
    sub->add_option("NODE", node, "NAME@HOST")->required();
    return sub;
  };
  auto* const ping = command("ping", "Ask a node whether it is there", true);
  auto* const names = command("names", "List the names that epmd knows on a host", false);
  names->add_option("HOST", host, "Host or address; this machine without it");
  auto* const nodes = command("nodes", "List the nodes that a node is connected to", true);
  auto* const status = command("status", "Show what a node says of itself", true);
  auto* const whereis = command("whereis", "Find the process that has a global name", false);
  whereis->add_option("NAME", global_name, "The name, an Erlang term")->required();
  add_ask_option(*whereis, client, ask);
  auto* const groups = command("groups", "List the process groups that a node knows, or who is in one", true);
  groups->add_option("GROUP", group, "The group, an Erlang term: its members are listed");
  groups->add_option("--scope", scope, "The scope; else pg");
  auto* const members = command("members", "List the members of the cluster, as a node sees them", true);
  members->add_flag("--watch", watching, "Then print each change, until interrupted");
  auto* const leader = command("leader", "Show who leads, as a node knows it", true);
  auto* const election = app.add_subcommand("election", "Change who votes in elections");
  election->require_subcommand(1);
  auto const voters = [&](char const* name, char const* what) {
    auto* const sub = election->add_subcommand(name, what);
    add_client_options(*sub, client);
    sub->add_option("VOTER", voter, "NAME@HOST")->required();
    add_ask_option(*sub, client, ask);
    return sub;
  };
  auto* const add_voter = voters("add", "Let a node vote");
  auto* const remove_voter = voters("remove", "Let a node vote no more");
  auto* const registered = command("registered", "List the global names that a node knows", true);
  auto* const call = command("call", "Call a function on a node", true);
  call->add_option("MODULE", module)->required();
  call->add_option("FUNCTION", function)->required();
  // The arguments are what is left over: as an option's values, CLI11 would take [1,2] for two of them, and
  // -1 for an option. What is left over and no term, as a misspelt option, is refused as such.
  call->allow_extras();
  call->footer("What follows FUNCTION are its arguments, as Erlang terms.");

  if (auto const code = cli::parse_command_line(app, argc, argv, settings, config)) return *code;
  try {
    if (run->parsed()) return cli::run(settings);
    if (ping->parsed()) return cli::ping(client, node);
    if (names->parsed()) return cli::names(client, host);
    if (nodes->parsed()) return cli::nodes(client, node);
    if (status->parsed()) return cli::status(client, node);
    if (whereis->parsed()) return cli::whereis(client, ask, global_name);
    if (groups->parsed()) return cli::groups(client, node, scope, group);
    if (members->parsed()) return cli::members(client, node, watching);
    if (leader->parsed()) return cli::leader(client, node);
    if (add_voter->parsed()) return cli::change_voters(client, ask, true, voter);
    if (remove_voter->parsed()) return cli::change_voters(client, ask, false, voter);
    if (registered->parsed()) return cli::registered(client, node);
    if (call->parsed()) return cli::call(client, node, module, function, call->remaining());
  } catch (std::exception const& e) { // out of start-up only: nothing in the loops throws
    cli::complain(e.what());
  }
  return EXIT_FAILURE;
}
