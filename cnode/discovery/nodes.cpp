#include "discovery/nodes.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::discovery {

known_node* known_nodes::find(std::string_view name) {
  auto const found = all_.find(name);
  return found == all_.end() ? nullptr : &found->second;
}

known_node& known_nodes::find_or_add(std::string_view name) {
  if (auto* const found = find(name)) return *found;
  std::string key(name);
  known_node fresh{.name = key, .serial = ++last_serial_};
  return all_.emplace(std::move(key), std::move(fresh)).first->second;
}

known_nodes::outcome known_nodes::mention_by(std::size_t slot, std::string_view name, std::uint64_t number,
                                             std::size_t nodes_max) {
  auto* n = find(name);
  if ((n == nullptr || !n->listed()) && listed_count_ >= nodes_max) return {};
  if (n == nullptr) n = &find_or_add(name);
  if (n->by.size() <= slot) n->by.resize(slot + 1);
  auto& m = n->by[slot];
  bool const fresh = !n->listed();
  n->gone = false;
  if (!m.listed) {
    m.listed = true;
    if (++n->listed_by == 1) ++listed_count_;
  }
  m.missed = 0;
  m.answer = number;
  return {n, fresh};
}

void known_nodes::unlist(mention& m, known_node& n) {
  base::check(n.listed_by > 0 && listed_count_ > 0, "discovery: who is unlisted was listed");
  m = {};
  if (--n.listed_by == 0) --listed_count_;
}

std::vector<known_node*> known_nodes::miss(std::size_t slot, std::uint64_t number, unsigned grace) {
  std::vector<known_node*> out;
  for (auto& [name, n] : all_) {
    if (n.by.size() <= slot) continue;
    auto& m = n.by[slot];
    if (!m.listed || m.answer == number || ++m.missed < grace) continue;
    unlist(m, n);
    n.gone = true;
    if (!n.listed()) out.push_back(&n);
  }
  return out;
}

bool known_nodes::withdraw(std::size_t slot, known_node& n) {
  if (n.by.size() <= slot || !n.by[slot].listed) return false;
  unlist(n.by[slot], n);
  return !n.listed();
}

std::size_t known_nodes::count_of(std::size_t slot) const {
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [&](auto const& entry) {
    auto const& by = entry.second.by;
    return by.size() > slot && by[slot].listed;
  }));
}

void known_nodes::drop_if_idle(known_node& n, base::time_point now) {
  bool const idle = std::all_of(n.links.begin(), n.links.end(), [&](link const& l) {
    return l.at == phase::down && (l.asked == 0 || now >= l.owed_until);
  });
  if (!n.listed() && idle) all_.erase(std::string(n.name));
}

} // namespace remora::discovery
