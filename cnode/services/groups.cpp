#include "services/groups.hpp"

#include "base/check.hpp"
#include "node/server.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace remora::services {

// One scope: a server that hands what it gets to the core. Its methods are also called from outside of its
// coroutine, by the facade: what it sends carries its pid all the same.
class groups::process : public node::server {
public:
  using observer = std::function<void(change const&)>;
  process(std::string_view name, pg::limits const& limits, std::shared_ptr<observer> told)
      : name_(name), limits_(limits), told_(std::move(told)) {}

  void attach(node::self me) {
    me_.emplace(me);
    scope_ = std::make_unique<pg::scope>(name_, me.pid(), limits_);
    scope_->keep_changes();
  }
  void init(node::self me) override {
    attach(me); // again: before the node ran the pid had no creation
    me.monitor_nodes(true);
    pg::started event;
    for (auto const& name : me.node().peers(true, false)) event.nodes.emplace_back(name);
    handle(event);
  }
  // The gen calls of an OTP scope are for its own node; another node's are not answered (pg.erl crashes).
  answer handle_call(node::self, node::caller const&, etf::view) override { return std::nullopt; }
  void handle_cast(node::self me, etf::view) override { handle(pg::received{*me.raw().current}); }
  void handle_info(node::self me, etf::view message) override {
    if (auto const pair = message.tuple<2>()) {
      if ((*pair)[0].is_atom("nodedown")) return;
      if (auto const node = (*pair)[1].atom_text(); node && (*pair)[0].is_atom("nodeup"))
        return handle(pg::node_up{etf::atom(*node)});
    }
    if (auto const down = message.tuple<5>(); down && (*down)[0].is_atom("DOWN"))
      if (auto const ref = (*down)[1].as_reference()) return on_down(*ref);
    handle(pg::received{*me.raw().current});
  }
  etf::term state() const override {
    return etf::make(etf::tup(etf::am("state"), scope_->name(), scope_->group_count(), scope_->local_count(),
                              scope_->peer_count()));
  }

  void handle(pg::event const& event) {
    scope_->handle(event, me_->node().now(), out_);
    carry_out();
  }
  outcome join(etf::view group, std::span<etf::pid const> who, bool list,
               std::function<void()> const& accepted) {
    auto const done = scope_->join(group, who, list, out_);
    tell_changes();
    if (accepted && done == pg::joined::ok) accepted();
    carry_out();
    return done == pg::joined::ok ? outcome::ok : outcome::limit;
  }
  outcome leave(etf::view group, std::span<etf::pid const> who, bool list) {
    bool const done = scope_->leave(group, who, list, out_);
    carry_out();
    return done ? outcome::ok : outcome::not_joined;
  }
  std::optional<etf::reference> subscribe(etf::pid const& who, std::optional<etf::view> group) {
    auto const ref = me_->monitor(who);
    if (scope_->subscribe(ref, who, group)) return ref;
    me_->demonitor(ref);
    return std::nullopt;
  }
  bool unsubscribe(etf::reference const& ref) {
    bool const was = scope_->unsubscribe(ref);
    if (was) me_->demonitor(ref);
    return was;
  }
  pg::scope const& scope() const { return *scope_; }
  node::self& me() { return *me_; }

private:
  void on_down(etf::reference const& ref) {
    if (auto const watched = watched_.find(ref); watched != watched_.end()) {
      auto const who = watched->second;
      watched_.erase(watched);
      watches_.erase(who);
      return handle(pg::watched_ended{who});
    }
    scope_->unsubscribe(ref);
  }

  void tell_changes() {
    using what = change::what;
    for (auto const& c : scope_->take_changes())
      if (*told_)
        (*told_)(
            {.kind = c.joined ? what::joined : what::left, .scope = name_, .group = c.group, .pids = c.pids});
  }
  void carry_out() {
    tell_changes();
    for (auto& e : std::exchange(out_, {})) std::visit([this](auto& what) { perform(what); }, e);
  }
  void perform(pg::send& e) { me_->send(e.to, e.message, e.dial); }
  void perform(pg::notify& e) { me_->send(e.subscriber, e.event, false); }
  void perform(pg::watch& e) {
    auto const ref = me_->monitor(e.who);
    watches_.emplace(e.who, ref);
    watched_.emplace(ref, e.who);
  }
  void perform(pg::unwatch& e) {
    auto const found = watches_.find(e.who);
    base::check(found != watches_.end(), "groups: unwatch what is watched");
    me_->demonitor(found->second);
    watched_.erase(found->second);
    watches_.erase(found);
  }
  void perform(pg::refused& e) {
    me_->node().tell(node::notice{.level = "warning", .text = "scope " + name_ + ": " + e.why});
  }

  std::string name_;
  pg::limits limits_;
  std::shared_ptr<observer> told_;
  std::optional<node::self> me_;
  std::unique_ptr<pg::scope> scope_;
  std::vector<pg::effect> out_;
  boost::unordered_flat_map<etf::pid, etf::reference> watches_;
  boost::unordered_flat_map<etf::reference, etf::pid> watched_;
};

struct groups::shared {
  struct running {
    std::shared_ptr<groups::process> what;
    node::local_id id; // of its process; stays as it is when the node gets its creation
  };
  node::core& node;
  groups_limits limits;
  std::map<std::string, running, std::less<>> scopes;
  std::optional<node::self> supervisor; // once it runs
  bool supervised;                      // from the first scope on
  std::shared_ptr<groups::process::observer> observer;

  void tell(change::what kind, std::string_view scope) const {
    if (*observer) (*observer)({.kind = kind, .scope = scope});
  }

  groups::process* find(std::string_view name) const {
    auto const found = scopes.find(name);
    if (found == scopes.end()) return nullptr;
    auto const* const p = node.find_process(found->second.id);
    return p != nullptr && !p->dying ? found->second.what.get() : nullptr;
  }
  outcome start(std::string_view name);
  void watch(running const& r) {
    if (supervisor) supervisor->monitor(node.find_process(r.id)->pid);
  }
};

groups::outcome groups::shared::start(std::string_view name) {
  if (find(name) != nullptr) return outcome::ok;
  if (name.empty() || name == "undefined" || node.find_registered(name) != nullptr)
    return outcome::name_taken;
  if (!scopes.contains(name) && scopes.size() >= limits.scopes_max) return outcome::limit;
  // What it was before it was killed is gone with it.
  if (scopes.contains(name)) tell(change::what::stopped, name);
  auto what = std::make_shared<groups::process>(name, limits.scope, observer);
  auto const pid = node.spawn(node::serve(what), name, "pg:init/1");
  auto* const p = node.find_process(pid);
  what->attach(node::self(node, *p));
  auto& r = scopes[std::string(name)];
  r = {.what = std::move(what), .id = p->id};
  watch(r);
  tell(change::what::started, name);
  return outcome::ok;
}

// Starts again what was killed, and tells other remora nodes that a broadcast may come in one frame. A scope
// that was stopped is not in the table any more.
class groups::supervisor : public node::server {
public:
  explicit supervisor(std::weak_ptr<shared> all) : all_(std::move(all)) {}

  void init(node::self me) override {
    auto const all = all_.lock();
    if (!all) return;
    all->supervisor.emplace(me);
    me.monitor_nodes(true);
    for (auto const& name : me.node().peers(true, false)) announce(me, name);
    for (auto const& [name, r] : all->scopes)
      if (all->find(name) != nullptr) all->watch(r);
  }
  answer handle_call(node::self, node::caller const&, etf::view) override { return std::nullopt; }
  void handle_info(node::self me, etf::view message) override {
    if (auto const pair = message.tuple<2>(); pair && (*pair)[0].is_atom("nodeup"))
      if (auto const name = (*pair)[1].atom_text()) return announce(me, *name);
    auto const all = all_.lock();
    auto const down = message.tuple<5>();
    if (!all || !down || !(*down)[0].is_atom("DOWN")) return;
    for (auto const& [name, r] : all->scopes)
      if (all->find(name) == nullptr) all->start(name);
  }

private:
  static void announce(node::self me, std::string_view name) {
    me.send(node::destination(node::fan_out_name, name), etf::make(etf::am("here")), false);
  }

  std::weak_ptr<shared> all_;
};

groups::groups(node::core& node, groups_limits limits)
    : all_(std::make_shared<shared>(shared{.node = node,
                                           .limits = limits,
                                           .scopes = {},
                                           .supervisor = {},
                                           .supervised = false,
                                           .observer = std::make_shared<process::observer>()})) {}

groups::outcome groups::start_scope(std::string_view name) {
  if (!std::exchange(all_->supervised, true))
    all_->node.spawn(node::serve<supervisor>(all_), {}, "pg_sup:init/1");
  return all_->start(name);
}

groups::outcome groups::stop_scope(std::string_view name) {
  auto* const p = all_->find(name);
  if (p == nullptr) return outcome::no_scope;
  auto const pid = p->me().pid();
  auto me = p->me();
  all_->scopes.erase(all_->scopes.find(name));
  me.exit_other(pid, etf::make(etf::am("shutdown")));
  all_->tell(change::what::stopped, name);
  return outcome::ok;
}

std::vector<std::string> groups::scopes() const {
  std::vector<std::string> out;
  for (auto const& [name, r] : all_->scopes)
    if (all_->find(name) != nullptr) out.push_back(name);
  return out;
}

groups::outcome groups::join(std::string_view scope, etf::view group, etf::pid const& who) {
  return join(scope, group, {&who, 1}, {}, false);
}
groups::outcome groups::join(std::string_view scope, etf::view group, std::span<etf::pid const> who,
                             std::function<void()> const& accepted, bool list) {
  auto* const p = all_->find(scope);
  return p != nullptr ? p->join(group, who, list, accepted) : outcome::no_scope;
}
groups::outcome groups::leave(std::string_view scope, etf::view group, etf::pid const& who) {
  auto* const p = all_->find(scope);
  return p != nullptr ? p->leave(group, {&who, 1}, false) : outcome::no_scope;
}
groups::outcome groups::leave(std::string_view scope, etf::view group, std::span<etf::pid const> who) {
  auto* const p = all_->find(scope);
  return p != nullptr ? p->leave(group, who, true) : outcome::no_scope;
}

std::span<etf::pid const> groups::members(std::string_view scope, etf::view group) const {
  auto const* const s = find(scope);
  return s != nullptr ? s->members(group) : std::span<etf::pid const>();
}
std::span<etf::pid const> groups::local_members(std::string_view scope, etf::view group) const {
  auto const* const s = find(scope);
  return s != nullptr ? s->local_members(group) : std::span<etf::pid const>();
}
pg::scope const* groups::find(std::string_view scope) const {
  auto* const p = all_->find(scope);
  return p != nullptr ? &p->scope() : nullptr;
}

std::optional<std::size_t> groups::broadcast(node::self me, std::string_view scope, etf::view group,
                                             etf::term const& message, whom to) {
  auto const* const s = find(scope);
  if (s == nullptr) return std::nullopt;
  auto const members = to == whom::all ? s->members(group) : s->local_members(group);
  boost::unordered_flat_map<std::string_view, std::vector<etf::pid>> elsewhere;
  for (auto const& pid : members)
    if (pid.node == me.node().name())
      me.send(pid, message);
    else
      elsewhere[pid.node.text()].push_back(pid);
  for (auto const& [node, pids] : elsewhere) me.send_each(pids, message);
  return members.size();
}

base::result<groups::subscribed, groups::outcome> groups::monitor_scope(std::string_view scope,
                                                                        etf::pid const& who) {
  auto* const p = all_->find(scope);
  if (p == nullptr) return outcome::no_scope;
  auto const ref = p->subscribe(who, std::nullopt);
  if (!ref) return outcome::limit;
  return subscribed{.ref = *ref, .now = p->scope().snapshot()};
}

base::result<groups::subscribed, groups::outcome> groups::monitor(std::string_view scope, etf::view group,
                                                                  etf::pid const& who) {
  auto* const p = all_->find(scope);
  if (p == nullptr) return outcome::no_scope;
  auto const ref = p->subscribe(who, group);
  if (!ref) return outcome::limit;
  etf::builder now;
  pg::put_pids(now, p->scope().members(group));
  return subscribed{.ref = *ref, .now = now.take()};
}

bool groups::demonitor(std::string_view scope, etf::reference const& ref) {
  auto* const p = all_->find(scope);
  return p != nullptr && p->unsubscribe(ref);
}

bool groups::reply_from(std::string_view scope, ticket const& to, etf::term const& answer) {
  auto* const p = all_->find(scope);
  if (p == nullptr) return false;
  to.reply_as(p->me(), answer);
  return true;
}

void groups::observe(std::function<void(change const&)> told) { *all_->observer = std::move(told); }

} // namespace remora::services
