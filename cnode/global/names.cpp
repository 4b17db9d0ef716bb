#include "global/names.hpp"

#include <algorithm>

namespace remora::global {

namespace {

// FNV-1a over all of it, then splitmix64's finalizer: sums of these are hardly ever equal by chance.
std::uint64_t digest_of(etf::view name, etf::pid const& p) {
  std::uint64_t h = 14695981039346656037U;
  auto const mix = [&h](auto const& bytes) {
    for (auto const b : bytes) h = (h ^ static_cast<std::uint8_t>(b)) * 1099511628211U;
  };
  mix(base::as_text(name.bytes()));
  mix(p.node.text());
  for (auto const part : {p.id, p.serial, p.creation}) h = (h ^ part) * 1099511628211U;
  h = (h ^ (h >> 30U)) * 0xbf58476d1ce4e5b9U;
  h = (h ^ (h >> 27U)) * 0x94d049bb133111ebU;
  return h ^ (h >> 31U);
}

} // namespace

void names_table::put(entry e) {
  digest_ += digest_of(*e.name, e.pid);
  if (auto const found = entries_.find(e.name); found != entries_.end()) {
    digest_ -= digest_of(*found->first, found->second.pid);
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
  digest_ -= digest_of(name, found->second.pid);
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
