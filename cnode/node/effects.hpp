// What the node asks of its driver, and what it tells it. Values: the trace in production, in a failing test
// and in the simulator is the same text.
#pragma once

#include "etf/term.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace remora::node {

using connection_id = std::uint64_t;

// Do:
struct dial { // look the node up, connect, answer with dialled() or dial_failed()
  connection_id connection;
  std::string node;
};
struct hang_up { // write what waits, close; no word about this connection is heard any more
  connection_id connection;
};
struct resume_reading {
  connection_id connection;
};

// Tell:
struct peer_up {
  std::string node;
  bool hidden;
  bool incoming;
};
struct peer_down {
  std::string node;
  std::string reason;
  std::string detail;
  std::string word{}; // the reason in one word, where it is a sentence
};
struct handshake_failed {
  std::string node; // empty when it never said its name
  bool incoming;
  std::string reason;
  std::string detail;
};
struct dial_failed_notice {
  std::string node;
  std::string reason;
};
struct process_crashed {
  std::string process; // its name, or its pid
  etf::term reason;
};
struct output { // what a process with our group leader printed
  std::string text;
};
struct remote_log { // a log event of a process with our group leader
  std::string level;
  std::string text;
  std::string node;
};

struct notice {      // by a service of this node
  std::string level; // as OTP names it
  std::string text;
  std::string event = "notice";                                 // what kind of line it is, for machines
  std::vector<std::pair<std::string, std::string>> fields = {}; // and what else is in it
};

using effect = std::variant<dial, hang_up, resume_reading, peer_up, peer_down, handshake_failed,
                            dial_failed_notice, process_crashed, output, remote_log, notice>;

std::string describe(effect const& e); // one line

} // namespace remora::node
