// The client commands: each joins as a short-lived hidden node, asks, prints, and leaves.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace remora::cli {

struct client_options {
  std::string cookie_file;
  std::uint16_t epmd_port = 0; // 0: ERL_EPMD_PORT, else 4369
  std::uint16_t port = 0;      // not 0: without epmd, the peer listens here
  double timeout = 7;          // s
  bool json = false;
};

// Each answers the exit code.
int ping(client_options const& o, std::string const& node);
int names(client_options const& o, std::string const& host);
int nodes(client_options const& o, std::string const& node);
int status(client_options const& o, std::string const& node);
int call(client_options const& o, std::string const& node, std::string const& module,
         std::string const& function, std::vector<std::string> const& arguments);

// The cluster's names and groups, as one node sees them: `ask` is that node. Names and groups are Erlang
// terms.
int groups(client_options const& o, std::string const& node, std::string const& scope,
           std::string const& group); // empty: all groups, else the members of this one
int whereis(client_options const& o, std::string const& ask, std::string const& name);
int registered(client_options const& o, std::string const& node);

// What a remora node says of its cluster: membership, and then each change; who leads; who votes.
int members(client_options const& o, std::string const& node, bool watching);
int leader(client_options const& o, std::string const& node);
int change_voters(client_options const& o, std::string const& ask, bool add, std::string const& voter);

} // namespace remora::cli
