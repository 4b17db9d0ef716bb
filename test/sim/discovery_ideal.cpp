#include "sim/discovery_ideal.hpp"

#include "base/check.hpp"
#include "discovery/lookup.hpp"

#include <algorithm>
#include <utility>

namespace remora::sim {

using namespace discovery;

void ideal_listing::reset(std::string own_node, options o) {
  *this = {};
  own_ = std::move(own_node);
  o_ = std::move(o);
}

// The simulator gives no two sources of one core the same questions.
std::size_t ideal_listing::source_of(question const& q) const {
  for (std::size_t i = 0; i < o_.sources.size(); ++i) {
    auto const all = questions_of(o_.sources[i], own_);
    if (std::find(all.begin(), all.end(), q) != all.end()) return i;
  }
  for (std::size_t i = 0; i < o_.sources.size(); ++i)
    if (std::holds_alternative<hosts_file>(o_.sources[i])) return i; // the epmds of its hosts
  base::check(false, "sim: a question of a source that is configured");
  return 0;
}

void ideal_listing::asked(question_id id, question const& q) {
  if (std::holds_alternative<watch>(q) || std::holds_alternative<join_group>(q)) return;
  auto const name = describe(o_.sources[source_of(q)]);
  auto& s = sessions_[name];
  s.open.insert(id);
  if (s.more > 0) --s.more;
  open_.emplace(id, std::pair(name, q));
}

void ideal_listing::answered(question_id id, answer const& a) {
  auto const found = open_.find(id);
  if (found == open_.end()) return;
  auto const [name, q] = found->second;
  open_.erase(found);
  auto const& what = o_.sources[source_of(q)];
  auto const p = read(what, q, a, own_, o_.limit);
  auto& s = sessions_[name];
  s.open.erase(id);
  s.more += p.more.size();
  s.nodes.insert(p.nodes.begin(), p.nodes.end());
  if (p.trouble) s.troubles.push_back(*p.trouble);
  end(name);
}

void ideal_listing::timed_out(question_id id) { answered(id, failed{cause::timeout, "sim"}); }

void ideal_listing::abandoned(question_id id) {
  auto const found = open_.find(id);
  if (found == open_.end()) return;
  sessions_.erase(found->second.first);
  open_.erase(found);
}

void ideal_listing::end(std::string const& name) {
  auto& s = sessions_[name];
  if (!s.open.empty() || s.more > 0) return;
  auto const what = std::find_if(o_.sources.begin(), o_.sources.end(),
                                 [&](auto const& source) { return describe(source) == name; });
  bool const complete = !trouble_of(*what, s.troubles);
  auto& listed = listed_[name];
  for (auto const& node : s.nodes) {
    listed[node] = 0;
    gone_.erase(node);
  }
  if (complete && !s.nodes.empty())
    for (auto at = listed.begin(); at != listed.end();) {
      bool const out = !s.nodes.contains(at->first) && ++at->second >= o_.grace;
      if (out) gone_.insert(at->first);
      at = out ? listed.erase(at) : std::next(at);
    }
  sessions_.erase(name);
}

void ideal_listing::configure(options o) {
  auto const before = std::exchange(o_, std::move(o));
  for (auto const& s : before.sources)
    if (auto const* const list = std::get_if<node_list>(&s))
      for (auto const& node : list->nodes)
        if (!lists(node)) gone_.erase(node);
  std::set<std::string> stays;
  for (auto const& s : o_.sources) stays.insert(describe(s));
  for (auto at = listed_.begin(); at != listed_.end();) {
    if (stays.contains(at->first)) {
      ++at;
      continue;
    }
    auto const nodes = std::move(at->second);
    at = listed_.erase(at);
    for (auto const& [node, missed] : nodes)
      if (!lists(node)) gone_.erase(node);
  }
}

bool ideal_listing::lists(std::string const& node) const {
  for (auto const& s : o_.sources) // it is not asked
    if (auto const* const list = std::get_if<node_list>(&s))
      if (std::find(list->nodes.begin(), list->nodes.end(), node) != list->nodes.end()) return true;
  return std::any_of(listed_.begin(), listed_.end(), [&](auto const& s) { return s.second.contains(node); });
}

bool ideal_listing::may_drop(std::string const& node) const { return gone_.contains(node) && !lists(node); }

} // namespace remora::sim
