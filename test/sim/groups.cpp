// Process groups: what is joined through one node is seen on all.
//
//   members       at rest every node that runs a scope sees exactly the living joined memberships of all
//   nodes,
//                 as many times as they were joined, and which_groups names no other group
//   local         at any time a node's own memberships are those that were joined there
//   ghosts        at any time nobody is a member whose node is not connected, nor, at rest, who is dead
//   subscribers   what a subscriber was told adds up to what there is
//   broadcast     reaches every member once for each membership
#include "sim/subject.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

using pids = std::vector<etf::pid>; // a multiset, sorted
using outcome = services::groups::outcome;

constexpr std::array<char const*, 2> scopes = {"pg", "other"}; // the first runs everywhere
constexpr std::size_t workers_max = 4;                         // of one node

std::string text(pids const& all) {
  std::vector<std::string> out;
  for (auto const& p : all) out.push_back(etf::print(etf::make(p)));
  return fmt::format("[{}]", fmt::join(out, ","));
}
pids sorted(std::span<etf::pid const> all) {
  pids out(all.begin(), all.end());
  std::sort(out.begin(), out.end());
  return out;
}
etf::term group_term(std::size_t i) {
  switch (i) {
  case 0: return etf::make(etf::am("workers"));
  case 1: return etf::make(etf::tup(etf::am("shard"), 1));
  default: return etf::make(etf::str("a string"));
  }
}
constexpr std::size_t groups_count = 3;
using group_key = std::pair<std::string, std::size_t>; // scope, group

struct worker {
  etf::pid pid;
  member* on = nullptr;
  unsigned incarnation = 0;
  bool ended = false;
  std::map<std::int64_t, std::size_t> broadcasts;
};
using worker_ptr = std::shared_ptr<worker>;

// Follows a scope from a process of its own.
struct listener {
  member* on = nullptr;
  unsigned incarnation = 0;
  std::string scope;
  std::string ref;
  bool stale = false; // its scope was stopped
  std::map<std::string, pids> told;
};
using listener_ptr = std::shared_ptr<listener>;

class group_subject : public subject {
public:
  explicit group_subject(cluster& c) : subject(c) {
    c.on_start.push_back([this](member& m) { started(m); });
    for (auto& w : weights_) w = c.chance(30) ? 0 : 1 + c.below(8);
    weights_[0] += 2;
  }

  void act() override;
  void during() override;
  void at_rest() override;
  void finale() override;

private:
  struct joined {
    std::map<group_key, pids> own;     // of this node's processes
    std::map<group_key, pids> foreign; // of others: left for when their node is lost
  };
  using joined_ptr = std::unique_ptr<joined>;

  void started(member& m);
  void add(member& m);
  void listen(member& m, char const* scope);
  void on_event(listener& l, etf::view message);
  void forget(member& m, std::string const& scope);
  bool lives(worker const& w) const { return !w.ended && w.on->up && w.on->incarnation == w.incarnation; }
  bool lives(etf::pid const& p) { return c_.alive(p); }
  worker_ptr any(member const* on);
  services::groups& at(member& m) { return m.services->groups; }
  void join(member& m);
  void leave(member& m);
  void end(worker_ptr const& w);
  void say(member& m, std::string_view what, group_key const& g, pids const& who, outcome o);

  std::vector<worker_ptr> workers_;
  std::vector<listener_ptr> listeners_;
  std::map<member*, joined> joined_; // of the present incarnation
  std::set<etf::pid> elsewhere_;     // joined through a node that is not theirs
  std::array<std::uint64_t, 7> weights_{};
  std::int64_t last_broadcast_ = 0;
};

void group_subject::started(member& m) {
  joined_[&m] = {};
  std::erase_if(listeners_, [&](auto const& l) { return l->on == &m; });
  at(m).start_scope(scopes[0]);
  if (c_.chance(50)) at(m).start_scope(scopes[1]);
  m.core->wake(c_.now());
  m.processes_at_start = m.core->process_count();
  add(m);
  listen(m, scopes[0]);
}

void group_subject::add(member& m) {
  auto w = std::make_shared<worker>();
  w->on = &m;
  w->incarnation = m.incarnation;
  ++m.processes_at_start;
  w->pid = c_.spawn(m, [w](node::self me) -> node::task<> {
    while (true) {
      auto const message = co_await me.receive();
      if (message->is_atom("stop")) co_return;
      if (auto const n = message->integer()) ++w->broadcasts[*n];
    }
  });
  workers_.push_back(w);
}

void group_subject::listen(member& m, char const* scope) {
  auto l = std::make_shared<listener>();
  l->on = &m;
  l->incarnation = m.incarnation;
  l->scope = scope;
  ++m.processes_at_start;
  listeners_.push_back(l);
  c_.spawn(m, [this, l](node::self me) -> node::task<> {
    auto const got = at(*l->on).monitor_scope(l->scope, me.pid());
    if (!got) co_return c_.complain("subscribers", "no subscription to " + l->scope);
    l->ref = etf::print(etf::make(got->ref));
    auto now = got->now->map();
    while (auto const pair = now->next()) {
      auto list = pair->value.list();
      while (auto const p = list->next()) l->told[etf::print(pair->key)].push_back(*p->as_pid());
    }
    while (true) {
      auto const message = co_await me.receive();
      on_event(*l, message);
    }
  });
}

void group_subject::on_event(listener& l, etf::view message) {
  auto const event = message.tuple<4>();
  if (c_.mutated("deaf_subscriber")) return;
  if (!event || etf::print((*event)[0]) != l.ref)
    return c_.complain("subscribers", "a stray: " + etf::print(message));
  auto& told = l.told[etf::print((*event)[2])];
  auto list = (*event)[3].list();
  while (auto const p = list->next()) {
    auto const pid = *p->as_pid();
    if ((*event)[1].is_atom("join")) {
      told.push_back(pid);
      continue;
    }
    auto const found = std::find(told.begin(), told.end(), pid);
    if (found == told.end())
      return c_.complain("subscribers", "left, but never joined: " + etf::print(message));
    told.erase(found);
  }
}

// A scope that ends takes with it what was joined there.
void group_subject::forget(member& m, std::string const& scope) {
  std::erase_if(joined_[&m].own, [&](auto const& e) { return e.first.first == scope; });
  std::erase_if(joined_[&m].foreign, [&](auto const& e) { return e.first.first == scope; });
  for (auto const& l : listeners_)
    if (l->on == &m && l->scope == scope) l->stale = true;
}

worker_ptr group_subject::any(member const* on) {
  std::vector<worker_ptr> can;
  for (auto const& w : workers_)
    if (lives(*w) && (on == nullptr || w->on == on)) can.push_back(w);
  return can.empty() ? nullptr : can[c_.below(can.size())];
}

void group_subject::say(member& m, std::string_view what, group_key const& g, pids const& who, outcome o) {
  c_.note(fmt::format("{} {} {} {} {}: {}", m.name, what, g.first, etf::print(group_term(g.second)),
                      text(who), static_cast<int>(o)));
}

void group_subject::join(member& m) {
  group_key const g{scopes.at(c_.chance(70) ? 0 : 1), c_.below(groups_count)};
  bool const foreign = c_.chance(10);
  pids who;
  for (auto n = 1 + c_.below(c_.chance(70) ? 1 : 4); n > 0; --n)
    if (auto const w = any(foreign ? nullptr : &m)) who.push_back(w->pid);
  if (who.empty()) return;
  auto const group = group_term(g.second);
  auto const done =
      who.size() == 1 && c_.chance(50) ? at(m).join(g.first, group, who[0]) : at(m).join(g.first, group, who);
  say(m, "joins", g, who, done);
  bool const runs = at(m).find(g.first) != nullptr;
  if (done != (runs ? outcome::ok : outcome::no_scope))
    c_.complain("members", "an unexpected answer to a join");
  if (done != outcome::ok) return;
  for (auto const& p : who)
    if (p.node != m.core->name()) elsewhere_.insert(p);
  for (auto const& p : who)
    (p.node == m.core->name() && !c_.mutated("forgotten_join") ? joined_[&m].own : joined_[&m].foreign)[g]
        .push_back(p);
}

void group_subject::leave(member& m) {
  group_key const g{scopes.at(c_.chance(70) ? 0 : 1), c_.below(groups_count)};
  auto& own = joined_[&m].own[g];
  auto& foreign = joined_[&m].foreign[g];
  pids who;
  for (auto n = 1 + c_.below(c_.chance(70) ? 1 : 4); n > 0; --n) {
    auto const& from = !foreign.empty() && c_.chance(20) ? foreign : own;
    if (!from.empty() && c_.chance(90))
      who.push_back(from[c_.below(from.size())]);
    else if (auto const w = any(&m))
      who.push_back(w->pid);
  }
  if (who.empty()) return;
  bool expected = false;
  bool unsure = false;
  auto const before = own;
  for (auto const& p : who) {
    if (p.node != m.core->name()) {
      unsure = true;
      auto const f = std::find(foreign.begin(), foreign.end(), p);
      if (f != foreign.end()) foreign.erase(f);
      continue;
    }
    auto const found = std::find(own.begin(), own.end(), p);
    if (found == own.end()) continue;
    own.erase(found);
    expected = true;
  }
  auto const done = at(m).leave(g.first, group_term(g.second), who);
  say(m, "leaves", g, who, done);
  if (at(m).find(g.first) == nullptr) {
    if (done != outcome::no_scope) c_.complain("members", "left in a scope that does not run");
  } else if (!unsure && done != (expected ? outcome::ok : outcome::not_joined)) {
    c_.complain("members", fmt::format("{}: a leave of {} from {} was answered wrongly", m.name, text(who),
                                       text(before)));
  }
}

void group_subject::end(worker_ptr const& w) {
  w->ended = true;
  --w->on->processes_at_start;
  for (auto& [m, j] : joined_)
    for (auto* const part : {&j.own, &j.foreign})
      for (auto& [g, all] : *part) std::erase(all, w->pid);
  if (c_.chance(50)) return c_.end(w->pid);
  c_.note("stop " + etf::print(etf::make(w->pid)));
  w->on->core->wake(c_.now());
  w->on->core->send(w->pid, etf::make(etf::am("stop")));
  w->on->core->wake(c_.now());
}

void group_subject::act() {
  auto* const m = c_.any();
  if (m == nullptr) return;
  m->core->wake(c_.now());
  std::uint64_t sum = 0;
  for (auto const w : weights_) sum += w;
  auto drawn = c_.below(sum);
  std::size_t what = 0;
  while (drawn >= weights_.at(what)) drawn -= weights_.at(what++);
  switch (what) {
  case 0:
  case 1: return join(*m);
  case 2: return leave(*m);
  case 3:
    if (std::count_if(workers_.begin(), workers_.end(), [&](auto const& w) {
          return w->on == m && lives(*w);
        }) < static_cast<std::ptrdiff_t>(workers_max))
      add(*m);
    return;
  case 4:
    if (auto const w = any(m)) end(w);
    return;
  case 5: {
    auto const scope = scopes.at(c_.below(2));
    auto const* const p = m->core->find_registered(scope);
    if (p == nullptr || !c_.chance(30)) return;
    forget(*m, scope);
    return c_.end(p->pid);
  }
  case 6:
    if (!c_.chance(50)) return;
    if (at(*m).find(scopes[1]) == nullptr) {
      c_.note(m->name + " starts a scope");
      at(*m).start_scope(scopes[1]);
      ++m->processes_at_start;
    } else if (c_.chance(50)) {
      c_.note(m->name + " stops a scope");
      at(*m).stop_scope(scopes[1]);
      forget(*m, scopes[1]);
      --m->processes_at_start;
    }
    return m->core->wake(c_.now());
  default: return;
  }
}

void group_subject::during() {
  for (auto* const m : c_.acting())
    for (auto const* const scope : scopes)
      for (std::size_t i = 0; i < groups_count; ++i) {
        auto const group = group_term(i);
        auto const local = sorted(at(*m).local_members(scope, group));
        pids own;
        for (auto const& p : local)
          if (p.node == m->core->name()) own.push_back(p);
        auto expected = joined_[m].own[{scope, i}];
        std::sort(expected.begin(), expected.end());
        if (own != expected)
          c_.complain("local", fmt::format("{} {} {}: {}, not {}", m->name, scope, etf::print(group),
                                           text(own), text(expected)));
        for (auto const& p : at(*m).members(scope, group))
          if (!elsewhere_.contains(p) && p.node != m->core->name() && !m->core->connected(p.node.text()))
            c_.complain("ghosts", fmt::format("{} {} {}: {} is a member, but its node is not connected",
                                              m->name, scope, etf::print(group), etf::print(etf::make(p))));
      }
}

void group_subject::at_rest() {
  during();
  for (auto const* const scope : scopes)
    for (std::size_t i = 0; i < groups_count; ++i) {
      auto const group = group_term(i);
      pids sure;
      pids foreign;
      for (auto* const m : c_.running()) {
        if (at(*m).find(scope) == nullptr) continue;
        auto const& s = joined_[m].own[{scope, i}];
        sure.insert(sure.end(), s.begin(), s.end());
        auto const& f = joined_[m].foreign[{scope, i}];
        foreign.insert(foreign.end(), f.begin(), f.end());
      }
      std::sort(sure.begin(), sure.end());
      std::sort(foreign.begin(), foreign.end());
      std::optional<pids> first;
      for (auto* const m : c_.running()) {
        if (at(*m).find(scope) == nullptr) continue;
        auto const words = fmt::format("{} {} {}", m->name, scope, etf::print(group));
        auto const seen = sorted(at(*m).members(scope, group));
        pids missing;
        pids more;
        std::set_difference(sure.begin(), sure.end(), seen.begin(), seen.end(), std::back_inserter(missing));
        std::set_difference(seen.begin(), seen.end(), sure.begin(), sure.end(), std::back_inserter(more));
        pids wrong;
        std::set_difference(more.begin(), more.end(), foreign.begin(), foreign.end(),
                            std::back_inserter(wrong));
        if (!missing.empty()) c_.complain("members", words + " lacks " + text(missing));
        if (!wrong.empty()) c_.complain("members", words + " has " + text(wrong) + " too much");
        for (auto const& p : seen)
          if (!lives(p))
            c_.complain("ghosts", words + " has " + etf::print(etf::make(p)) + ", which is dead");
        if (!first) first = seen;
        if (seen != *first)
          c_.complain("members", words + ": " + text(seen) + ", another node " + text(*first));
        auto const groups = at(*m).find(scope)->groups();
        bool const named =
            std::any_of(groups.begin(), groups.end(), [&](auto const& g) { return g == *group; });
        if (named == seen.empty()) c_.complain("members", words + ": the list of groups is wrong");
      }
    }
  for (auto const& l : listeners_) {
    if (l->stale || !l->on->up || l->on->incarnation != l->incarnation) continue;
    for (std::size_t i = 0; i < groups_count; ++i) {
      auto const group = group_term(i);
      auto const seen = sorted(at(*l->on).members(l->scope, group));
      auto const told = sorted(l->told[etf::print(group)]);
      if (seen != told)
        c_.complain("subscribers", fmt::format("{} {} {}: told {}, there is {}", l->on->name, l->scope,
                                               etf::print(group), text(told), text(seen)));
    }
  }
}

void group_subject::finale() {
  for (auto* const m : c_.acting())
    if (std::none_of(listeners_.begin(), listeners_.end(),
                     [&](auto const& l) { return l->on == m && !l->stale; }))
      listen(*m, scopes[0]);
  for (auto* const m : c_.acting()) join(*m);
  c_.pass(5s);
  struct sent {
    std::int64_t number;
    pids to;
  };
  std::vector<sent> all;
  for (auto* const m : c_.acting()) {
    auto const number = ++last_broadcast_;
    auto const group = group_term(0);
    all.push_back({number, sorted(at(*m).members(scopes[0], group))});
    c_.spawn(*m, [this, m, group, number](node::self me) -> node::task<> {
      at(*m).broadcast(me, scopes[0], group, etf::make(number));
      co_return;
    });
  }
  c_.pass(5s);
  for (auto const& w : workers_) {
    if (!lives(*w)) continue;
    for (auto const& s : all) {
      auto const times = static_cast<std::size_t>(std::count(s.to.begin(), s.to.end(), w->pid));
      if (w->broadcasts[s.number] != times)
        c_.complain("broadcast", fmt::format("{} got {} copies, not {}", etf::print(etf::make(w->pid)),
                                             w->broadcasts[s.number], times));
    }
  }
  for (auto const& w : workers_)
    if (lives(*w) && c_.chance(30)) end(w);
}

} // namespace

std::unique_ptr<subject> make_groups(cluster& c) { return std::make_unique<group_subject>(c); }

} // namespace remora::sim
