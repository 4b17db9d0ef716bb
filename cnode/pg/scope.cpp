// The scope: pg.erl's state machine, handler by handler (lib/kernel/src/pg.erl; protocol.md 6).
#include "pg/scope.hpp"

#include "base/check.hpp"
#include "etf/builder.hpp"
#include "etf/normal.hpp"
#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace remora::pg {

struct scope::group {
  etf::term name; // in normal form; the key of groups_ lies in its bytes
  multiset all;
  multiset local;
  std::vector<etf::reference> subscribers;
};

struct scope::peer {
  // It has had our sync: from then on it follows our joins and leaves.
  bool synced = false;
  boost::unordered_flat_map<group*, multiset> groups;
  std::size_t count = 0; // memberships in them
};

scope::scope(std::string_view name, etf::pid self, pg::limits limits)
    : name_(name), self_(std::move(self)), limits_(limits) {}

scope::~scope() = default;

void scope::handle(event const& e, base::time_point now, output& out) {
  now_ = now;
  std::visit([&](auto const& what) { on(what, out); }, e);
}

// init/1
void scope::on(started const& e, output& out) {
  auto const message = write_discover(self_);
  for (auto const& node : e.nodes)
    out.emplace_back(send{.to = etf::destination(name_.text(), node.text()), .message = message});
}

// OTP 25 dials here, 27 does not: a node that is gone again comes back by itself.
void scope::on(node_up const& e, output& out) {
  out.emplace_back(
      send{.to = etf::destination(name_.text(), e.node.text()), .message = write_discover(self_)});
}

void scope::on(received const& e, output& out) {
  auto const message = read(e.message);
  if (!message)
    return refuse(fmt::format("no message of pg: {}", etf::print(e.message, {.depth = 8, .bytes_max = 200})),
                  out);
  bool const own = std::visit([&](auto const& m) { return m.scope.node == self_.node; }, *message);
  if (own) return refuse("a message in the name of this node", out);
  std::visit([&](auto const& m) { on_message(m, out); }, *message);
}

void scope::on(watched_ended const& e, output& out) {
  watches_.erase(e.who);
  forget_peer(e.who, out);
  member_ended(e.who, out);
}

// Messages of other scopes.

void scope::on_message(discover const& m, output& out) {
  auto* p = find_peer(m.scope);
  bool const fresh = p == nullptr;
  if (fresh && peers_.size() >= limits_.peers_max) // it would wait for a sync, and for what follows it
    return refuse(fmt::format("more than {} scopes", limits_.peers_max), out);
  out.emplace_back(send{.to = m.scope, .message = sync_message()});
  if (fresh) {
    p = add_peer(m.scope, out);
    out.emplace_back(send{.to = m.scope, .message = write_discover(self_)});
  }
  p->synced = true;
}

void scope::on_message(sync const& m, output& out) {
  auto* p = find_peer(m.scope);
  if (p == nullptr) p = add_peer(m.scope, out);
  if (p != nullptr) replace(*p, m, out);
}

// A join or leave of a scope that is not known is ignored: it crossed the loss of its node, or precedes its
// discover, and the sync that follows says the same.
void scope::on_message(pg::join const& m, output& out) {
  auto* const p = find_peer(m.scope);
  if (p == nullptr || m.pids.empty()) return;
  auto* const g = find_or_add(m.group);
  if (g == nullptr) return refuse("a join beyond the limits of groups", out);
  take(*p, *g, m.pids, out);
  drop_if_empty(*g);
}

void scope::on_message(pg::leave const& m, output& out) {
  auto* const p = find_peer(m.scope);
  if (p == nullptr) return;
  for (auto const name : m.groups) {
    auto* const g = find(name);
    if (g == nullptr) continue;
    auto const of = p->groups.find(g);
    if (of == p->groups.end()) continue;
    std::vector<etf::pid> left;
    for (auto const& pid : m.pids) {
      if (!of->second.remove(pid)) continue;
      g->all.remove(pid);
      left.push_back(pid);
    }
    p->count -= left.size();
    if (of->second.empty()) p->groups.erase(of);
    tell(*g, "leave", left, out);
    drop_if_empty(*g);
  }
}

void scope::take(peer& from, group& g, std::span<etf::pid const> pids, output& out) {
  auto const room = limits_.memberships_per_peer_max - from.count;
  if (pids.size() > room) refuse(fmt::format("more than {} memberships", from.count + room), out);
  pids = pids.first(std::min(pids.size(), room));
  if (pids.empty()) return;
  auto& mine = from.groups[&g];
  for (auto const& pid : pids) {
    mine.add(pid);
    g.all.add(pid);
  }
  from.count += pids.size();
  tell(g, "join", pids, out);
}

namespace {
// What is in `a` and not in `b`.
std::vector<etf::pid> without(multiset const& a, multiset b) {
  std::vector<etf::pid> out;
  for (auto const& pid : a.all())
    if (!b.remove(pid)) out.push_back(pid);
  return out;
}
} // namespace

// handle_sync/6: what it says now is all that it has; subscribers hear of the difference.
void scope::replace(peer& from, sync const& m, output& out) {
  auto old = std::exchange(from.groups, {});
  from.count = 0;
  for (auto const& [name, pids] : m.groups) {
    if (pids.empty()) continue;
    auto* const g = find_or_add(name);
    if (g == nullptr) {
      refuse("a sync beyond the limits of groups", out);
      continue;
    }
    auto& now = from.groups[g];
    for (auto const& pid : pids) {
      if (from.count >= limits_.memberships_per_peer_max) {
        refuse(fmt::format("more than {} memberships", from.count), out);
        break;
      }
      now.add(pid);
      ++from.count;
    }
  }
  for (auto& [g, now] : from.groups) {
    auto const before = old.find(g);
    auto const added =
        before == old.end() ? std::vector(now.all().begin(), now.all().end()) : without(now, before->second);
    for (auto const& pid : added) g->all.add(pid);
    tell(*g, "join", added, out);
  }
  for (auto& [g, before] : old) {
    auto const now = from.groups.find(g);
    auto const removed = now == from.groups.end() ? std::vector(before.all().begin(), before.all().end())
                                                  : without(before, now->second);
    for (auto const& pid : removed) g->all.remove(pid);
    tell(*g, "leave", removed, out);
    if (now == from.groups.end()) drop_if_empty(*g);
  }
  // Groups for whose members there was no room.
  std::vector<group*> empty;
  for (auto const& [g, now] : from.groups)
    if (now.empty()) empty.push_back(g);
  for (auto* const g : empty) {
    from.groups.erase(g);
    drop_if_empty(*g);
  }
}

// Peers.

scope::peer* scope::find_peer(etf::pid const& who) {
  auto const found = peers_.find(who);
  return found != peers_.end() ? found->second.get() : nullptr;
}

scope::peer* scope::add_peer(etf::pid const& who, output& out) {
  if (peers_.size() >= limits_.peers_max) {
    refuse(fmt::format("more than {} scopes", limits_.peers_max), out);
    return nullptr;
  }
  hold(who, out);
  return peers_.emplace(who, std::make_unique<peer>()).first->second.get();
}

void scope::forget_peer(etf::pid const& who, output& out) {
  auto const found = peers_.find(who);
  if (found == peers_.end()) return;
  auto const gone = std::move(found->second);
  peers_.erase(found);
  for (auto const& [g, pids] : gone->groups) {
    for (auto const& pid : pids.all()) g->all.remove(pid);
    tell(*g, "leave", pids.all(), out);
    drop_if_empty(*g);
  }
}

void scope::broadcast(etf::term const& message, output& out) {
  for (auto const& [who, p] : peers_)
    if (p->synced) out.emplace_back(send{.to = who, .message = message});
}

etf::term scope::sync_message() const {
  auto const ours = local_groups();
  etf::builder b;
  b.tuple(2).atom("$gen_cast").tuple(3).atom("sync").pid(self_).list(ours.size());
  for (auto const name : ours) {
    b.tuple(2).copy(name);
    put_pids(b, local_members(name));
  }
  b.nil();
  return b.take();
}

// Requests of this node.

joined scope::join(etf::view name, std::span<etf::pid const> pids, bool list, output& out) {
  if (pids.empty()) return joined::ok; // OTP would show an empty group on all nodes
  if (pids.size() > limits_.memberships_local_max - local_count_) return joined::limit;
  auto* const g = find_or_add(name);
  if (g == nullptr) return joined::limit;
  for (auto const& pid : pids) {
    auto& mine = local_[pid];
    if (mine.empty()) hold(pid, out);
    mine.push_back(g);
    g->local.add(pid);
    g->all.add(pid);
  }
  local_count_ += pids.size();
  tell(*g, "join", pids, out);
  broadcast(write_join(self_, g->name, pids, list), out);
  return joined::ok;
}

bool scope::leave(etf::view name, std::span<etf::pid const> pids, bool list, output& out) {
  auto* const g = find(name);
  if (g == nullptr) return false;
  std::vector<etf::pid> left;
  for (auto const& pid : pids) {
    if (!g->local.remove(pid)) continue;
    g->all.remove(pid);
    auto const mine = local_.find(pid);
    mine->second.erase(std::find(mine->second.begin(), mine->second.end(), g));
    if (mine->second.empty()) {
      local_.erase(mine);
      release(pid, out);
    }
    left.push_back(pid);
  }
  if (left.empty()) return false;
  local_count_ -= left.size();
  tell(*g, "leave", left, out);
  etf::view const group_name = g->name;
  broadcast(write_leave(self_, left, list, {&group_name, 1}), out);
  drop_if_empty(*g);
  return true;
}

// handle_info 'DOWN' of a local pid: one entry for each of its memberships.
void scope::member_ended(etf::pid const& who, output& out) {
  auto const found = local_.find(who);
  if (found == local_.end()) return;
  auto const mine = std::move(found->second);
  local_.erase(found);
  std::vector<etf::view> names;
  for (auto* const g : mine) {
    g->local.remove(who);
    g->all.remove(who);
    tell(*g, "leave", {&who, 1}, out);
    names.push_back(g->name);
  }
  local_count_ -= mine.size();
  broadcast(write_leave(self_, {&who, 1}, false, names), out);
  auto distinct = mine;
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (auto* const g : distinct) drop_if_empty(*g);
}

std::span<etf::pid const> scope::members(etf::view name) const {
  auto const* const g = find(name);
  return g != nullptr ? g->all.all() : std::span<etf::pid const>();
}

std::span<etf::pid const> scope::local_members(etf::view name) const {
  auto const* const g = find(name);
  return g != nullptr ? g->local.all() : std::span<etf::pid const>();
}

std::vector<etf::view> scope::groups() const {
  std::vector<etf::view> out;
  for (auto const& [key, g] : groups_)
    if (!g->all.empty()) out.emplace_back(g->name);
  return out;
}

std::vector<etf::view> scope::local_groups() const {
  std::vector<etf::view> out;
  for (auto const& [key, g] : groups_)
    if (!g->local.empty()) out.emplace_back(g->name);
  return out;
}

etf::term scope::snapshot() const {
  auto const names = groups();
  etf::builder b;
  b.map(names.size());
  for (auto const name : names) {
    b.copy(name);
    put_pids(b, members(name));
  }
  return b.take();
}

// Subscriptions.

bool scope::subscribe(etf::reference const& ref, etf::pid const& who, std::optional<etf::view> name) {
  if (subscriptions_.size() >= limits_.subscriptions_max) return false;
  group* of = nullptr;
  if (name) {
    of = find_or_add(*name);
    if (of == nullptr) return false;
    of->subscribers.push_back(ref);
  } else {
    scope_subscribers_.push_back(ref);
  }
  subscriptions_.emplace(ref, subscription{.who = who, .of = of});
  return true;
}

bool scope::unsubscribe(etf::reference const& ref) {
  auto const found = subscriptions_.find(ref);
  if (found == subscriptions_.end()) return false;
  auto* const of = found->second.of;
  subscriptions_.erase(found);
  std::erase(of != nullptr ? of->subscribers : scope_subscribers_, ref);
  if (of != nullptr) drop_if_empty(*of);
  return true;
}

void scope::tell(group const& g, std::string_view what, std::span<etf::pid const> pids, output& out) {
  if (pids.empty()) return;
  if (keeps_changes_)
    changes_.push_back(
        {.joined = what == "join", .group = g.name, .pids = std::vector(pids.begin(), pids.end())});
  auto const one = [&](etf::reference const& ref) {
    etf::builder b;
    b.tuple(4).reference(ref).atom(what).copy(g.name);
    put_pids(b, pids);
    out.emplace_back(notify{.subscriber = subscriptions_.find(ref)->second.who, .event = b.take()});
  };
  for (auto const& ref : g.subscribers) one(ref);
  for (auto const& ref : scope_subscribers_) one(ref);
}

// Groups.

scope::group* scope::find(etf::view name) const {
  etf::term normal;
  if (!etf::is_normal(name)) {
    normal = etf::normalised(name);
    name = normal;
  }
  auto const found = groups_.find(base::as_text(name.bytes()));
  return found != groups_.end() ? found->second.get() : nullptr;
}

scope::group* scope::find_or_add(etf::view name) {
  if (name.bytes().size() > limits_.group_bytes_max) return nullptr;
  if (auto* const found = find(name)) return found;
  auto normal = etf::normalised(name);
  if (groups_.size() >= limits_.groups_max || normal.size() > limits_.names_bytes_max - names_bytes_)
    return nullptr;
  names_bytes_ += normal.size();
  auto fresh = std::make_unique<group>();
  fresh->name = std::move(normal);
  auto const key = base::as_text(fresh->name->bytes());
  return groups_.emplace(key, std::move(fresh)).first->second.get();
}

void scope::drop_if_empty(group& g) {
  if (!g.all.empty() || !g.subscribers.empty()) return;
  names_bytes_ -= g.name.size();
  auto const found = groups_.find(base::as_text(g.name->bytes()));
  auto const last = std::move(found->second); // the key lies in it
  groups_.erase(found);
}

// Watches: a process is watched once, however many reasons there are.

void scope::hold(etf::pid const& who, output& out) {
  if (++watches_[who] == 1) out.emplace_back(watch{who});
}

void scope::release(etf::pid const& who, output& out) {
  auto const found = watches_.find(who);
  base::check(found != watches_.end(), "pg: released what was held");
  if (--found->second > 0) return;
  watches_.erase(found);
  out.emplace_back(unwatch{who});
}

// A peer that says much that is wrong must not fill the log.
void scope::refuse(std::string why, output& out) {
  if (told_ && now_ - *told_ < limits_.log_pause) {
    ++untold_;
    return;
  }
  if (untold_ > 0) why += fmt::format(" ({} more like it before)", untold_);
  told_ = now_;
  untold_ = 0;
  out.emplace_back(refused{std::move(why)});
}

} // namespace remora::pg
