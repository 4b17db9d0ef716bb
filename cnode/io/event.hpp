// What there is to tell about a running node, as a line for people and as fields for machines.
#pragma once

#include "node/effects.hpp"

#include <string>
#include <utility>
#include <vector>

namespace remora::io {

enum class level : std::uint8_t { debug, info, notice, warning, error };

struct event {
  io::level level = io::level::info;
  std::string name; // peer_up, handshake_failed, ..
  std::string text;
  std::vector<std::pair<std::string, std::string>> fields;
};

event to_event(node::effect const& e);

} // namespace remora::io
