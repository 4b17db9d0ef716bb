#include "global/locks.hpp"

#include "etf/builder.hpp"

#include <algorithm>

namespace remora::global {

locks_table::locks_table() : global_(etf::make(etf::am("global"))) {}

held_lock const* locks_table::find(etf::view resource) const {
  auto const found = locks_.find(resource);
  return found != locks_.end() ? &found->second : nullptr;
}

bool locks_table::free_for(etf::view resource, etf::view requester) const {
  auto const* const lock = find(resource);
  return lock == nullptr || *lock->requester == requester;
}

bool locks_table::holds(etf::view resource, etf::pid const& p) const {
  auto const* const lock = find(resource);
  return lock != nullptr && std::find(lock->holders.begin(), lock->holders.end(), p) != lock->holders.end();
}

void locks_table::add(etf::view resource, etf::view requester, etf::pid const& holder) {
  auto found = locks_.find(resource);
  if (found == locks_.end())
    found = locks_.emplace(etf::term(resource), held_lock{etf::term(requester), {}}).first;
  found->second.holders.push_back(holder);
  by_pid_[holder].push_back(found->first);
}

bool locks_table::remove(etf::view resource, etf::view requester, etf::pid const& holder, bool by_death) {
  auto const found = locks_.find(resource);
  if (found == locks_.end() || *found->second.requester != requester) return false;
  auto& holders = found->second.holders;
  auto const at = std::find(holders.begin(), holders.end(), holder);
  if (at == holders.end()) return false;
  holders.erase(at);
  auto const mine = by_pid_.find(holder);
  auto& resources = mine->second;
  resources.erase(
      std::find_if(resources.begin(), resources.end(), [&](auto const& r) { return *r == resource; }));
  if (resources.empty()) by_pid_.erase(mine);
  if (!holders.empty()) return true;
  if (resource == *global_) global_lock_down_ = by_death;
  locks_.erase(found);
  return true;
}

std::vector<etf::term> locks_table::of(etf::pid const& p) const {
  auto const found = by_pid_.find(p);
  return found != by_pid_.end() ? found->second : std::vector<etf::term>{};
}

} // namespace remora::global
