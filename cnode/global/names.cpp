#include "global/names.hpp"

#include <algorithm>

namespace remora::global {

void names_table::put(entry e) {
  if (auto const found = entries_.find(e.name); found != entries_.end()) {
    if (found->second.pid != e.pid) {
      forget(found->second.pid, *e.name);
      by_pid_[e.pid].push_back(found->first);
      changed(found->first, e.pid);
    }
    e.name = found->first;
    found->second = std::move(e);
    return;
  }
  by_pid_[e.pid].push_back(e.name);
  changed(e.name, e.pid);
  auto name = e.name;
  entries_.emplace(std::move(name), std::move(e));
}

bool names_table::erase(etf::view name) {
  auto const found = entries_.find(name);
  if (found == entries_.end()) return false;
  forget(found->second.pid, name);
  changed(found->first, std::nullopt);
  entries_.erase(found);
  return true;
}

std::span<etf::term const> names_table::of(etf::pid const& p) const {
  auto const found = by_pid_.find(p);
  if (found == by_pid_.end()) return {};
  return found->second;
}

void names_table::forget(etf::pid const& p, etf::view name) {
  auto const found = by_pid_.find(p);
  if (found == by_pid_.end()) return;
  auto& names = found->second;
  names.erase(std::find_if(names.begin(), names.end(), [&](auto const& n) { return *n == name; }));
  if (names.empty()) by_pid_.erase(found);
}

} // namespace remora::global
