// Known should be mutual, and OTP's `global` does not see to it. An introduction (protocol.md 7.7) that meets
// a loss (7.9) can leave two connected nodes of which one alone counts the other in: he was told to drop us
// before there was a connection, which then comes up; we know him, and our in_sync ends the session that he
// begins. On OTP that stays until the connection is lost once more: names of the one are missing at the
// other, and its locks do not hold there. Native nodes look, once the trouble is over, where there is a sign
// of it: a session that was begun with a node that is known, or none with one that is not.
//
//   us -> him   get_known (7.2)         him -> us   the nodes that he knows
//
// Twice the same answer that does not fit what we hold: the connection is closed, which he is told is meant
// (remove_connection), and opened again, so that both begin anew. What comparing.hpp does among native nodes
// needs no such thing; an OTP node begins a session with a connection and not otherwise.
#pragma once

#include "global/joining.hpp"
#include "global/partitions.hpp"

#include <map>
#include <optional>
#include <set>

namespace remora::global {

inline constexpr unsigned redials_max = 8; // of one node that never fits: then it is let be

class mutual {
public:
  mutual(state& s, joining& j, partitions& p) : s_(s), joining_(j), partitions_(p) {}

  void unsettled();              // something happened after which nodes may differ
  bool heard(etf::view message); // an answer
  void lost(etf::atom const& node);
  void connected(etf::atom const& node, bool up); // the result of a connect
  void wake();
  std::optional<base::time_point> next_deadline() const { return deadline_; }

private:
  void on_answer(etf::atom const& node, bool knows_us);
  void redial(etf::atom const& node);

  state& s_;
  joining& joining_;
  partitions& partitions_;
  std::optional<base::time_point> deadline_;
  std::map<std::uint64_t, etf::atom> asked_; // this time
  std::map<etf::atom, bool> differences_;    // seen once: whether he knows us
  std::map<etf::atom, unsigned> redials_;    // since he fitted
  std::set<etf::atom> redialling_;
};

} // namespace remora::global
