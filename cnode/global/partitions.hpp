// prevent_overlapping_partitions (global.erl; protocol.md 7.9): whoever loses a connection tells all others,
// and they drop the node that was lost, so that what remains connected is connected completely.
#pragma once

#include "global/state.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>

namespace remora::global {

class partitions {
public:
  explicit partitions(state& s);
  std::function<void(etf::atom const&)> forget; // session, known, pending, synced

  bool on() const { return s_.opts.prevent_overlapping_partitions; }
  void lost(etf::atom const& node);  // nodedown, or an introduced node that cannot be reached
  void part(etf::atom const& node);  // before its connection is closed because somebody wants so
  void leave(etf::atom const& node); // the same, whether it is known or not
  void on_lost_connection(etf::view message);
  void on_remove_connection(etf::atom const& node);
  void wake();
  std::optional<base::time_point> next_deadline() const;
  std::size_t remembered() const { return seen_.size(); }

private:
  struct report {
    etf::term incarnation;
    std::int64_t operation;
    base::time_point until;
  };
  using key = std::pair<etf::atom, etf::atom>;
  void multicast(etf::atom const& except, etf::term const& message);

  state& s_;
  std::uint64_t incarnation_;
  std::int64_t operation_ = 0;
  std::map<key, report> seen_;
  std::deque<std::pair<base::time_point, key>> ends_; // of what is remembered, in order
};

} // namespace remora::global
