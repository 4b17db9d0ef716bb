// The locks that this node has granted: resource -> {requester, holders} (global.erl, global_locks). A
// resource is held for one requester by any number of processes; the last of them frees it. The resource
// `global` guards registration and joining, all others belong to users.
#pragma once

#include "etf/term.hpp"
#include "global/names.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <vector>

namespace remora::global {

struct held_lock {
  etf::term requester;
  std::vector<etf::pid> holders;
};

class locks_table {
public:
  locks_table();

  held_lock const* find(etf::view resource) const;
  held_lock const* global() const { return find(*global_); }
  // Free, or held for the same requester.
  bool free_for(etf::view resource, etf::view requester) const;
  bool holds(etf::view resource, etf::pid const& p) const;

  void add(etf::view resource, etf::view requester, etf::pid const& holder); // free_for it
  // True when the process was a holder. `by_death` is remembered of the last holder of `global`: what arrives
  // for a lock that was lost so is not done (global_lock_down).
  bool remove(etf::view resource, etf::view requester, etf::pid const& holder, bool by_death);
  // Resources that a process holds, to be released when it ends.
  std::vector<etf::term> of(etf::pid const& p) const;
  bool global_lock_down() const { return global_lock_down_; }
  std::size_t size() const { return locks_.size(); }
  auto begin() const { return locks_.begin(); }
  auto end() const { return locks_.end(); }

private:
  etf::term global_; // the atom
  boost::unordered_flat_map<etf::term, held_lock, term_hash, term_equal> locks_;
  boost::unordered_flat_map<etf::pid, std::vector<etf::term>> by_pid_;
  bool global_lock_down_ = false;
};

} // namespace remora::global
