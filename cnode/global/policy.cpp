#include "global/policy.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

namespace {

struct spelling {
  policy::kind how;
  std::string_view word;     // in requests
  std::string_view module;   // of the fun
  std::string_view function; // of the fun
};
constexpr std::array<spelling, 9> spellings = {{
    {policy::kind::random_exit, "random_exit", "global", "random_exit_name"},
    {policy::kind::random_notify, "random_notify", "global", "random_notify_name"},
    {policy::kind::notify_all, "notify_all", "global", "notify_all_name"},
    {policy::kind::lowest_pid, "lowest_pid", "remora_policy", "lowest_pid"},
    {policy::kind::highest_pid, "highest_pid", "remora_policy", "highest_pid"},
    {policy::kind::keep_local, "keep_local", "remora_policy", "keep_local"},
    {policy::kind::kill_both, "kill_both", "remora_policy", "kill_both"},
    {policy::kind::node_priority, "node_priority", "remora_policy", "node_priority"},
    {policy::kind::callback, "callback", "remora_policy", "callback"},
}};

spelling const& spelling_of(policy::kind how) {
  return *std::find_if(spellings.begin(), spellings.end(), [&](auto const& s) { return s.how == how; });
}

// NEW_FUN_EXT, 112: u32 size, u8 arity, 16 bytes of uniq, u32 index, u32 of free variables, module, ..
constexpr std::uint8_t new_fun_tag = 112;
constexpr std::size_t arity_at = 5;
constexpr std::size_t module_at = 30;

// The default of global:register_name/2: a local fun of global.erl, the same in every release.
bool is_default_method(etf::view method) {
  auto const bytes = method.bytes();
  if (bytes.size() <= module_at || bytes[0] != new_fun_tag || bytes[arity_at] != 3) return false;
  auto const global = etf::atom("global");
  return base::as_text(bytes.subspan(module_at)).starts_with(global.encoded());
}

std::size_t rank(std::vector<etf::atom> const& nodes, etf::atom const& node) {
  return static_cast<std::size_t>(std::find(nodes.begin(), nodes.end(), node) - nodes.begin());
}

verdict notify_all(etf::view name, etf::pid const& theirs, etf::pid const& ours) {
  verdict v;
  v.told.push_back({theirs, make(tup(am("global_name_conflict"), name, ours))});
  v.told.push_back({ours, make(tup(am("global_name_conflict"), name, theirs))});
  return v;
}

} // namespace

std::optional<policy> policy_of(etf::view term) {
  policy p;
  if (auto const word = term.atom_text()) {
    auto const found =
        std::find_if(spellings.begin(), spellings.end(), [&](auto const& s) { return s.word == *word; });
    if (found == spellings.end()) return std::nullopt;
    p.how = found->how;
    if (p.how == policy::kind::node_priority || p.how == policy::kind::callback) return std::nullopt;
    return p;
  }
  auto const pair = term.tuple<2>();
  if (!pair || !(*pair)[0].is_atom("node_priority")) return std::nullopt;
  auto list = (*pair)[1].list();
  if (!list) return std::nullopt;
  p.how = policy::kind::node_priority;
  while (auto const node = list->next()) {
    if (!node->is_atom()) return std::nullopt;
    p.nodes.emplace_back(*node->atom_text());
  }
  return p;
}

std::string_view name_of(policy::kind how) { return spelling_of(how).word; }

etf::term method_of(policy::kind how) {
  auto const& s = spelling_of(how);
  etf::builder b;
  b.export_fun(s.module, s.function, 3);
  return b.take();
}

std::optional<policy::kind> kind_of(etf::view method) {
  static auto const known = [] {
    std::vector<std::pair<policy::kind, etf::term>> out;
    out.reserve(spellings.size());
    for (auto const& s : spellings) out.emplace_back(s.how, method_of(s.how));
    return out;
  }();
  for (auto const& [how, term] : known)
    if (*term == method) return how;
  if (is_default_method(method)) return policy::kind::random_exit;
  return std::nullopt;
}

verdict kept(etf::view name, etf::pid const& winner, etf::pid const& loser) {
  verdict v;
  v.keeps = winner;
  v.told.push_back({loser, make(tup(am("global_name_conflict"), name))});
  return v;
}

verdict decide(policy const& p, etf::view name, etf::pid const& theirs, etf::pid const& ours) {
  // global.erl, minmax/2: of two pids of one node the second is the smaller.
  bool const theirs_smaller = theirs.node < ours.node;
  auto const& low_node = theirs_smaller ? theirs : ours;
  auto const& high_node = theirs_smaller ? ours : theirs;
  auto const& low = theirs < ours ? theirs : ours;
  auto const& high = theirs < ours ? ours : theirs;
  switch (p.how) {
  case policy::kind::random_exit: {
    verdict v;
    v.keeps = low_node;
    v.killed.push_back(high_node);
    return v;
  }
  case policy::kind::random_notify: return kept(name, low_node, high_node);
  case policy::kind::notify_all: return notify_all(name, theirs, ours);
  case policy::kind::highest_pid: return kept(name, high, low);
  case policy::kind::keep_local: return kept(name, ours, theirs);
  case policy::kind::kill_both: {
    verdict v;
    v.killed = {theirs, ours};
    return v;
  }
  case policy::kind::node_priority: {
    auto const a = rank(p.nodes, theirs.node);
    auto const b = rank(p.nodes, ours.node);
    if (a != b) return a < b ? kept(name, theirs, ours) : kept(name, ours, theirs);
    return kept(name, low, high);
  }
  case policy::kind::lowest_pid:
  case policy::kind::callback: return kept(name, low, high);
  }
  base::check(false, "global: every kind of policy decides");
  return {};
}

} // namespace remora::global
