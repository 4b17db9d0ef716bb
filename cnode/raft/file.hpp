// The bytes of the state file: what must survive a crash. A magic word, a version, a length, the fields, and
// a SHA-256 of all of it, so that a torn or foreign file is recognised. Pure; io/state_file writes and syncs.
#pragma once

#include "base/result.hpp"
#include "raft/types.hpp"

#include <string>
#include <string_view>

namespace remora::raft {

std::string write_state(durable const& d);
base::result<durable, std::string> read_state(std::string_view bytes); // the error is a sentence

} // namespace remora::raft
