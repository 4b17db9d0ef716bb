// One connection of the node: its wire machine once there is a socket, and whose it is.
#pragma once

#include "dist/connection.hpp"
#include "node/core.hpp"

#include <optional>

namespace remora::node {

struct core::link_state {
  std::optional<dist::connection> wire; // none while a dial is under way
  etf::atom peer;                       // empty until an incoming one said its name
  bool incoming = false;
  std::size_t holds = 0;   // full mailboxes that keep it from being read
  bool setting_up = false; // an incoming handshake that counts against handshakes_max
  bool closing = false;    // nothing is read any more; what waits is still written
  bool marked = false;     // in the list of those with something to write
};

} // namespace remora::node
