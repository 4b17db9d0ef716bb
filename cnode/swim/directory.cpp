#include "swim/directory.hpp"

#include "base/check.hpp"

namespace remora::swim {

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) { // splitmix64's finish
  std::uint64_t z = a * 0x9e3779b97f4a7c15U + b;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

std::uint64_t hash_of(std::string_view text) { // FNV-1a, its high bits made as good as its low ones
  std::uint64_t sum = 1469598103934665603U;
  for (char const c : text) sum = (sum ^ static_cast<std::uint8_t>(c)) * 1099511628211U;
  return mixed(sum, text.size());
}

directory::id directory::find(std::string_view name) const {
  auto const found = index_.find(name);
  return found == index_.end() ? none : found->second;
}

directory::id directory::take(std::string_view name) {
  if (auto const known = find(name); known != none) {
    ++nodes_[known].uses;
    return known;
  }
  id n = none;
  if (nodes_free_.empty()) {
    n = static_cast<id>(nodes_.size());
    nodes_.emplace_back();
  } else {
    n = nodes_free_.back();
    nodes_free_.pop_back();
  }
  auto& fresh = nodes_[n];
  fresh = {.name = std::string(name), .hash = hash_of(name), .uses = 1};
  index_.emplace(fresh.name, n);
  return n;
}

void directory::drop(id n) {
  auto& of = nodes_[n];
  base::check(of.uses > 0, "swim: who is dropped was taken");
  if (--of.uses > 0) return;
  base::check(of.newest == none, "swim: nobody knows facts of a node without the node");
  index_.erase(of.name);
  of.name.clear();
  nodes_free_.push_back(n);
}

std::uint32_t directory::take(facts const& f) {
  auto& of = nodes_[f.node];
  for (auto i = of.newest; i != none; i = facts_[i].before)
    if (facts_[i].what == f) {
      ++facts_[i].uses;
      return i;
    }
  std::uint32_t fresh = 0;
  if (facts_free_.empty()) {
    fresh = static_cast<std::uint32_t>(facts_.size());
    facts_.emplace_back();
  } else {
    fresh = facts_free_.back();
    facts_free_.pop_back();
  }
  facts_[fresh] = {.what = f, .uses = 1, .before = of.newest};
  of.newest = fresh;
  return fresh;
}

void directory::drop_facts(std::uint32_t f) {
  auto& gone = facts_[f];
  base::check(gone.uses > 0, "swim: facts that are dropped were taken");
  if (--gone.uses > 0) return;
  auto* link = &nodes_[gone.what.node].newest;
  while (*link != f) link = &facts_[*link].before;
  *link = gone.before;
  gone.what.metadata.clear();
  facts_free_.push_back(f);
}

} // namespace remora::swim
