// One simulated run: a cluster, a storm, healing, rest, and the checkers.
#pragma once

#include "sim/cluster.hpp"

#include <set>
#include <string_view>

namespace remora::sim {

struct outcome {
  std::vector<std::string> complaints;
  test::lines trace;
  std::uint64_t steps = 0;
};
// Of settings::only; empty: all but those that are made on demand.
std::set<std::string_view> run_parts();
outcome run(settings const& s);

} // namespace remora::sim
