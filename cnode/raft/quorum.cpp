#include "raft/quorum.hpp"

namespace remora::raft {

voter const* find_voter(configuration const& c, std::string_view node) {
  auto const at = std::lower_bound(c.voters.begin(), c.voters.end(), node,
                                   [](voter const& v, std::string_view n) { return v.node < n; });
  return at != c.voters.end() && at->node == node ? &*at : nullptr;
}

bool is_voter(configuration const& c, std::string_view node, std::uint64_t instance) {
  auto const* const v = find_voter(c, node);
  return v != nullptr && v->instance != 0 && v->instance == instance;
}

// Two quorums that do not meet take first those voters that the other configuration lacks, and share out
// what they have in common.
bool quorums_overlap(configuration const& a, configuration const& b) {
  auto const bound = [](configuration const& c) {
    return static_cast<std::size_t>(
        std::count_if(c.voters.begin(), c.voters.end(), [](voter const& v) { return v.instance != 0; }));
  };
  std::size_t common = 0;
  for (auto const& v : a.voters)
    if (v.instance != 0 && is_voter(b, v.node, v.instance)) ++common;
  auto const of = [&](configuration const& c) -> std::optional<std::size_t> { // needed of the common ones
    auto const all = bound(c);
    auto const needed = majority(c.voters.size());
    if (needed > all) return std::nullopt; // it has no quorum at all
    auto const own = all - common;
    return needed > own ? needed - own : 0;
  };
  auto const from_a = of(a);
  auto const from_b = of(b);
  return !from_a || !from_b || *from_a + *from_b > common;
}

base::duration surely(base::duration promised) {
  auto const ns = static_cast<double>(promised.count()) * (1 - drift_max) / (1 + drift_max);
  return base::duration(static_cast<base::duration::rep>(ns));
}

base::duration at_least(base::duration promised) {
  auto const ns = static_cast<double>(promised.count()) * (1 + drift_max);
  return base::duration(static_cast<base::duration::rep>(ns) + 1);
}

} // namespace remora::raft
