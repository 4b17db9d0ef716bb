// Takes one lock on several nodes at once, as set_lock_on_nodes/2 and check_replies/3 of global.erl
// (protocol.md 7.4): a conflict in our own table fails without traffic; nodes that die meanwhile are skipped;
// when one refuses, those that agreed are freed again.
#pragma once

#include "global/calls.hpp"

#include <vector>

namespace remora::global {

class locking {
public:
  enum class result : std::uint8_t { waiting, held, refused };

  locking(state& s, calls& c, role as) : s_(s), calls_(c), as_(as) {}

  result begin(lock_id const& id, std::vector<etf::atom> const& nodes);
  result look(); // after an answer, or after a member was lost
  // The answers will not come: frees what was asked for, on the silent too, who read it when they wake.
  void give_up();
  void release(lock_id const& id, std::vector<etf::atom> const& nodes); // in this order; nobody waits

private:
  void free(etf::atom const& node, etf::view request);

  state& s_;
  calls& calls_;
  role as_;
  lock_id id_;
  std::vector<etf::atom> asked_;
};

} // namespace remora::global
