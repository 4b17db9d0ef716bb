// One simulated run: a cluster, a storm, healing, rest, and the checkers.
#pragma once

#include "sim/cluster.hpp"

namespace remora::sim {

struct outcome {
  std::vector<std::string> complaints;
  test::lines trace;
  std::uint64_t steps = 0;
};
outcome run(settings const& s);

} // namespace remora::sim
