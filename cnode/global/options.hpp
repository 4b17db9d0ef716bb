// What can be set about this node's part in `global`, and how much others can make it hold.
#pragma once

#include "base/time.hpp"

#include <chrono>
#include <cstddef>

namespace remora::global {

struct limits {
  std::size_t names_max = 4'000'000;
  std::size_t locks_max = 65'536;
  std::size_t holders_max = 4'096;        // of one lock
  std::size_t lost_max = 65'536;          // remembered lost_connection messages
  std::size_t nodes_max = 16'384;         // known, pending, sessions, early init_connects: each
  std::size_t requests_max = 262'144;     // of ours that wait: four of the door's largest batches
  std::size_t round_requests_max = 1'024; // that share one lock round
  std::size_t complaints_max = 64;        // kinds of bad messages that are logged
};

struct options {
  bool prevent_overlapping_partitions = true;            // as OTP's kernel parameter; alike on all nodes
  base::duration call_timeout = std::chrono::seconds(5); // for a member to answer
  bool drop_frozen = false; // a member that does not answer in time is disconnected
  base::duration callback_time = std::chrono::milliseconds(1000);
  limits limit{};
};

} // namespace remora::global
