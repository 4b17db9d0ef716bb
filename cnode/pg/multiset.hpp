// A multiset of pids: who is in a group, as often as it joined. Lookups want the members in one piece, joins
// and leaves must not search through ten thousand: the pids lie in one vector, in no order, and once there
// are more than a few an index knows one place of each pid, and each place the one before it of the same pid.
#pragma once

#include "etf/ids.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace remora::pg {

class multiset {
public:
  std::span<etf::pid const> all() const { return list_; }
  std::size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  std::size_t count(etf::pid const& p) const;

  void add(etf::pid const& p);
  bool remove(etf::pid const& p); // one occurrence; false when there is none

private:
  static constexpr std::size_t unindexed_max = 16; // up to here searching is faster
  static constexpr std::uint32_t none = UINT32_MAX;

  void index(std::uint32_t place);
  void build_index();
  void take_out(std::uint32_t place);

  std::vector<etf::pid> list_;
  std::vector<std::uint32_t> previous_; // the same pid's other place; as long as list_, or empty: no index
  boost::unordered_flat_map<etf::pid, std::uint32_t> place_;
};

} // namespace remora::pg
