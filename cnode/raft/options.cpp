// Which options can be used, and what a wrong one is told.
#include "raft/types.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::raft {

namespace {
using namespace std::chrono_literals;
constexpr base::duration time_max = 1h;

bool is_node(std::string const& name) {
  auto const at = name.find('@');
  return at != std::string::npos && at > 0 && at + 1 < name.size() && name.size() <= 255;
}
} // namespace

std::optional<wrong_option> find_wrong(options const& o) {
  auto const lease = o.lease == base::duration{} ? o.election_min * 3 / 5 : o.lease;
  if (o.heartbeat < 1ms) return wrong_option{"heartbeat", "the heartbeat is at least a millisecond"};
  if (o.election_min < 2 * o.heartbeat)
    return wrong_option{"election_min", "the election timeout is at least two heartbeats"};
  if (o.election_max < o.election_min)
    return wrong_option{"election_max", "the longest election timeout is not below the shortest"};
  if (o.election_max > time_max)
    return wrong_option{"election_max", "an election timeout is at most an hour"};
  if (o.lease < base::duration{}) return wrong_option{"lease", "a lease is not below zero"};
  if (lease > o.election_min)
    return wrong_option{"lease", "the lease is not longer than the shortest election timeout"};
  if (lease < o.heartbeat) return wrong_option{"lease", "the lease is at least a heartbeat"};
  if (o.name_lease < 4 * o.heartbeat)
    return wrong_option{"name_lease", "the lease of a name is at least four heartbeats"};
  if (o.name_lease > time_max) return wrong_option{"name_lease", "the lease of a name is at most an hour"};
  limits const l;
  if (o.voters.size() > l.voters_max)
    return wrong_option{"voters", fmt::format("there are at most {} voters", l.voters_max)};
  if (o.bootstrap_expect > l.voters_max)
    return wrong_option{"bootstrap_expect", fmt::format("there are at most {} voters", l.voters_max)};
  if (!o.voters.empty() && o.bootstrap_expect > 0)
    return wrong_option{"bootstrap_expect", "the voters are listed, or so many are expected, not both"};
  auto sorted = o.voters;
  std::sort(sorted.begin(), sorted.end());
  for (auto const& name : sorted)
    if (!is_node(name)) return wrong_option{"voters", fmt::format("`{}` is not the name of a node", name)};
  auto const twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) return wrong_option{"voters", fmt::format("`{}` is listed twice", *twice)};
  return {};
}

} // namespace remora::raft
