// The arithmetic of majorities: how many voters are one, until when one has promised, and whether two
// configurations can have quorums that do not meet. A voter that is not bound counts among all, and for
// nothing.
#pragma once

#include "raft/types.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace remora::raft {

constexpr std::size_t majority(std::size_t voters) { return voters / 2 + 1; }

voter const* find_voter(configuration const& c, std::string_view node);
bool is_voter(configuration const& c, std::string_view node, std::uint64_t instance); // and bound

// Do those for whom `yes` holds include a majority?
template <class Yes>
bool is_quorum(configuration const& c, Yes&& yes) {
  std::size_t count = 0;
  for (auto const& v : c.voters)
    if (v.instance != 0 && yes(v)) ++count;
  return !c.voters.empty() && count >= majority(c.voters.size());
}

// Each voter's value; what a majority has at least. None: there are too few.
template <class Value>
std::optional<Value> of_majority(std::vector<Value>& each, std::size_t voters) {
  auto const needed = majority(voters);
  if (voters == 0 || each.size() < needed) return std::nullopt;
  auto const at = each.begin() + static_cast<std::ptrdiff_t>(needed - 1);
  std::nth_element(each.begin(), at, each.end(), std::greater<>());
  return *at;
}

// Every quorum of the one has a voter in common with every quorum of the other (Schultz, Dardik and Tripakis,
// QuorumsOverlap). The same name with another instance is another voter.
bool quorums_overlap(configuration const& a, configuration const& b);

// What is surely over after `promised` on the clock of who promised it, counted on another clock that began
// no later: clocks run between 1 - drift_max and 1 + drift_max of true time.
base::duration surely(base::duration promised);
// .. and what is surely not over before: for who waits on the same clock, and starts no earlier.
base::duration at_least(base::duration promised);

} // namespace remora::raft
