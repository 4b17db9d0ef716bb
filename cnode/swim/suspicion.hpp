// How long a member is suspected before it is declared dead (Lifeguard, section IV.B): long at first, and
// shorter with each other member that independently says the same, down to the least when `enough` do:
//
//   max - (max - min) * log(confirmations + 1) / log(enough + 1)
#pragma once

#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace remora::swim {

inline base::duration suspicion_time(base::duration min, base::duration max, std::uint32_t confirmations,
                                     std::uint32_t enough) {
  if (enough == 0 || confirmations >= enough) return min;
  double const share = std::log(confirmations + 1.0) / std::log(enough + 1.0);
  auto const off = static_cast<double>((max - min).count()) * share;
  return std::max(min, max - base::duration(static_cast<std::int64_t>(off)));
}

struct suspicion {
  base::time_point since{};
  base::time_point until{};
  base::duration min{}, max{};
  std::uint32_t enough = 0;
  std::uint32_t confirmations = 0;
  std::size_t known = 0;             // of those below
  std::array<std::uint64_t, 8> by{}; // hashes of who says so, the first one first

  // False: it has said so already, or too many have.
  bool add(std::uint64_t who, std::size_t suspectors_max) {
    auto const end = by.begin() + static_cast<std::ptrdiff_t>(known);
    if (known >= std::min(suspectors_max, by.size()) || std::find(by.begin(), end, who) != end) return false;
    by.at(known++) = who;
    return true;
  }
};

} // namespace remora::swim
