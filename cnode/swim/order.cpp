#include "swim/order.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <numeric>

namespace remora::swim {

bool probe_order::before(id a, id b) const {
  auto const x = names_.hash(a);
  auto const y = names_.hash(b);
  return x != y ? x < y : names_.name(a) < names_.name(b);
}

// Changes wait until somebody looks: a crowd that joins at once is sorted once. Who was removed and added in
// between is there.
std::vector<probe_order::id> const& probe_order::settle() {
  auto const less = [this](id a, id b) { return before(a, b); };
  if (!removed_.empty()) {
    std::sort(removed_.begin(), removed_.end());
    std::erase_if(ring_, [&](id n) { return std::binary_search(removed_.begin(), removed_.end(), n); });
    removed_.clear();
  }
  if (!added_.empty()) {
    auto const middle = static_cast<std::ptrdiff_t>(ring_.size());
    std::sort(added_.begin(), added_.end(), less);
    added_.erase(std::unique(added_.begin(), added_.end()), added_.end());
    ring_.insert(ring_.end(), added_.begin(), added_.end());
    added_.clear();
    std::inplace_merge(ring_.begin(), ring_.begin() + middle, ring_.end(), less);
  }
  return ring_;
}

probe_order::id probe_order::target(id self, std::uint64_t period) {
  auto const& ring = settle();
  if (ring.size() < 2) return directory::none;
  auto const place =
      std::lower_bound(ring.begin(), ring.end(), self, [this](id a, id b) { return before(a, b); });
  base::check(place != ring.end() && *place == self, "swim: this node stands in the ring");
  // s = 1 + (a * step + b) mod m walks through 1..m when a and m have no common divisor.
  std::uint64_t const m = ring.size() - 1;
  std::uint64_t const round = period / m;
  std::uint64_t const step = period % m;
  std::uint64_t const b = mixed(round, m) % m;
  std::uint64_t a = 1 + mixed(round + 1, m) % m;
  while (std::gcd(a, m) != 1) a = a % m + 1;
  std::uint64_t const ahead = 1 + (a * step + b) % m;
  auto const from = static_cast<std::uint64_t>(place - ring.begin());
  return ring[(from + ahead) % ring.size()];
}

} // namespace remora::swim
