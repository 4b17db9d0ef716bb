// Whom to probe when: round-robin in a shuffled order (SWIM, section 4.3), where the shuffle is one that all
// members make alike.
//
// In SWIM each member shuffles its own list, so in one period a member is probed by one other on average, by
// nobody with a chance of 1/e, and a hang is first met after 4.6 periods in one of a hundred cases. Here the
// members stand in a ring, in the order of a hash of their names, and in period k each probes the one s(k)
// places ahead; s walks through 1..n-1 in an order drawn anew for each round. Who has the same view and
// roughly the same wall clock then probes each member exactly once in each period, and a hang is met within
// two. Each still goes round-robin through all others, and a member that is new stands at a random place. If
// clocks or views differ, what remains is SWIM's random choice.
#pragma once

#include "swim/directory.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace remora::swim {

class probe_order {
public:
  using id = directory::id;

  explicit probe_order(directory const& names) : names_(names) {}

  void add(id n) { added_.push_back(n); }
  void remove(id n) {
    std::erase(added_, n);
    removed_.push_back(n);
  }
  void copy(probe_order const& other) { ring_ = other.ring_; }

  std::size_t size() { return settle().size(); }
  id at(std::size_t place) { return settle()[place]; }
  id target(id self, std::uint64_t period); // none: there is nobody else

private:
  std::vector<id> const& settle();
  bool before(id a, id b) const;

  directory const& names_;
  std::vector<id> ring_;
  std::vector<id> added_, removed_;
};

} // namespace remora::swim
