// The global registry: one pid for a name, the same on all nodes.
//
//   agreement     at rest all nodes have the same names, each for the same pid
//   ghosts        at rest every name's pid is alive
//   lost          at rest a name is there that was registered with yes by a node for a process of its own
//   which
//                 lives, unless somebody unregistered it, registered it anew, or it met another in a conflict
//                 (one that was taken from a node of another partition is such another: that node still has
//                 it)
//   exclusive     without faults, never two that live have the same name or the same lock at once, and nobody
//                 hears no for a name that nobody has
//   locks         at rest every lock can be taken and given back, on every node
//   fresh         at rest a new name can be registered on every node, is seen on all, and is gone afterwards
#include "sim/registry.hpp"
#include "sim/subject.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t names_count = 4;
constexpr std::size_t resources_count = 2;
constexpr std::size_t workers_max = 4; // of one node
constexpr auto storm_bound = 180s;     // of one request: silent members, and back-off without luck
constexpr auto calm_bound = 60s;       // when nobody else asks

std::string text(etf::pid const& p) { return etf::print(etf::make(p)); }
etf::term name_term(std::size_t i) {
  return i == 0 ? etf::make(etf::tup(etf::am("shard"), 1)) : etf::make(etf::am(fmt::format("name{}", i)));
}

struct worker {
  etf::pid pid;
  member* on = nullptr;
  unsigned incarnation = 0;
  bool ended = false;
};
using worker_ptr = std::shared_ptr<worker>;

struct claim { // of a name, or its release
  registry::change wanted;
  std::size_t name = 0;
  worker_ptr who;   // none: unregisters
  bool own = false; // by its own node
  std::shared_ptr<request> asked;
  base::time_point answered{};
};
using claim_ptr = std::shared_ptr<claim>;

class name_subject : public subject {
public:
  name_subject(cluster& c, std::unique_ptr<registry> r) : subject(c), registry_(std::move(r)) {
    c.on_start.push_back([this](member& m) { add(m); });
    for (auto& w : weights_) w = c.chance(30) ? 0 : 1 + c.below(8);
    weights_[0] += 2;
  }

  void act() override;
  void during() override;
  void at_rest() override;
  void finale() override;

private:
  void add(member& m);
  bool lives(worker const& w) const { return !w.ended && w.on->up && w.on->incarnation == w.incarnation; }
  worker_ptr any(member const* on);
  claim_ptr ask(member& m, registry::change wanted, std::size_t name, worker_ptr const& who);
  void lock(member& m);
  void end(worker_ptr const& w);
  bool contested(claim const& mine) const;
  bool later_change(claim const& c) const;
  void check_calm();
  std::string seen(member& m);

  std::unique_ptr<registry> registry_;
  std::vector<worker_ptr> workers_;
  std::vector<claim_ptr> claims_;
  std::array<std::uint64_t, 7> weights_{};
  std::map<std::size_t, std::string> holders_; // of locks, as they believe
};

void name_subject::add(member& m) {
  auto w = std::make_shared<worker>();
  w->on = &m;
  w->incarnation = m.incarnation;
  ++m.processes_at_start;
  w->pid = c_.spawn(m, [](node::self me) -> node::task<> {
    while (true) {
      auto const message = co_await me.receive();
      if (message->is_atom("stop")) co_return;
    }
  });
  workers_.push_back(w);
}

worker_ptr name_subject::any(member const* on) {
  std::vector<worker_ptr> can;
  for (auto const& w : workers_)
    if (lives(*w) && (on == nullptr || w->on == on)) can.push_back(w);
  return can.empty() ? nullptr : can[c_.below(can.size())];
}

claim_ptr name_subject::ask(member& m, registry::change wanted, std::size_t name, worker_ptr const& who) {
  auto c = std::make_shared<claim>();
  c->wanted = wanted;
  c->name = name;
  c->who = who;
  c->own = who != nullptr && who->on == &m;
  auto const bound = base::duration(storm_bound);
  static constexpr std::array<std::string_view, 3> words = {"registers", "re-registers", "unregisters"};
  c->asked = c_.ask(m,
                    fmt::format("{} {} {}", words.at(static_cast<std::size_t>(wanted)),
                                etf::print(name_term(name)), who != nullptr ? text(who->pid) : ""),
                    bound, [this, c, &m](node::self me, request& r) -> node::task<> {
                      auto const pid = c->who != nullptr ? c->who->pid : etf::pid();
                      auto const term = name_term(c->name);
                      r.answer = co_await registry_->ask(m, me, c->wanted, term, pid);
                      c->answered = me.node().now();
                    });
  claims_.push_back(c);
  return c;
}

void name_subject::lock(member& m) {
  auto const resource = c_.below(resources_count);
  auto const hold = c_.up_to(5s);
  auto const dies = c_.chance(20);
  c_.ask(m, fmt::format("locks resource{}", resource), 2 * storm_bound + hold,
         [this, &m, resource, hold, dies](node::self me, request& r) -> node::task<> {
           auto const term = etf::make(etf::am(fmt::format("resource{}", resource)));
           if (!co_await registry_->set_lock(m, me, term)) {
             r.answer = "false";
             co_return;
           }
           auto const us = text(me.pid());
           auto& holder = holders_[resource];
           if (c_.calm() && !holder.empty())
             c_.complain("exclusive",
                         fmt::format("resource{} is held by {} and by {}", resource, holder, us));
           holder = us;
           co_await me.sleep(hold);
           if (holders_[resource] == us) holders_[resource].clear();
           r.answer = "held";
           if (!dies) co_await registry_->del_lock(m, me, term);
         });
}

void name_subject::end(worker_ptr const& w) {
  w->ended = true;
  --w->on->processes_at_start;
  c_.end(w->pid);
}

void name_subject::act() {
  auto* const m = c_.any();
  if (m == nullptr) return;
  std::uint64_t sum = 0;
  for (auto const w : weights_) sum += w;
  auto drawn = c_.below(sum);
  std::size_t what = 0;
  while (drawn >= weights_.at(what)) drawn -= weights_.at(what++);
  auto const name = c_.below(names_count);
  switch (what) {
  case 0:
  case 1:
    if (auto const w = any(c_.chance(80) ? m : nullptr)) ask(*m, registry::change::registers, name, w);
    return;
  case 2:
    if (auto const w = any(c_.chance(80) ? m : nullptr)) ask(*m, registry::change::re_registers, name, w);
    return;
  case 3: ask(*m, registry::change::unregisters, name, nullptr); return;
  case 4:
    if (std::count_if(workers_.begin(), workers_.end(), [&](auto const& w) {
          return w->on == m && lives(*w);
        }) < static_cast<std::ptrdiff_t>(workers_max))
      add(*m);
    return;
  case 5:
    if (auto const w = any(m)) end(w);
    return;
  case 6: return lock(*m);
  default: return;
  }
}

void name_subject::during() {
  for (auto const& w : workers_) // those that a conflict killed
    if (!w->ended && w->on->up && w->on->incarnation == w->incarnation && !c_.alive(w->pid)) {
      w->ended = true;
      --w->on->processes_at_start;
    }
  if (c_.calm()) check_calm();
}

// Without faults: the register is one register.
void name_subject::check_calm() {
  using what = registry::change;
  auto const overlaps = [](claim const& a, claim const& b) { // b may have come before a's end
    return !a.asked->done || b.asked->asked <= a.answered;
  };
  for (auto const& a : claims_) {
    if (a->wanted != what::registers || !a->asked->done) continue;
    if (a->asked->answer == "no") {
      bool const reason = std::any_of(claims_.begin(), claims_.end(), [&](auto const& b) {
        return b != a && b->wanted != what::unregisters && overlaps(*a, *b) && b->asked->answer != "no" &&
               (b->name == a->name || b->who == a->who);
      });
      if (!reason && lives(*a->who)) c_.complain("exclusive", a->asked->what + " heard no, for no reason");
    }
    if (a->asked->answer == "timeout") c_.complain("exclusive", a->asked->what + " timed out in a calm");
    if (a->asked->answer != "yes" || !lives(*a->who)) continue;
    for (auto const& b : claims_) {
      if (b == a || b->wanted != what::registers || b->asked->answer != "yes" || b->name != a->name) continue;
      if (b->asked->asked < a->asked->asked || !lives(*b->who) || b->who == a->who) continue;
      bool const given_up = std::any_of(claims_.begin(), claims_.end(), [&](auto const& u) {
        return u->wanted != what::registers && u->name == a->name && overlaps(*b, *u);
      });
      if (!given_up)
        c_.complain("exclusive", fmt::format("{} and {} both heard yes", a->asked->what, b->asked->what));
    }
  }
}

// A connection was lost somewhere while this name was being changed, and another that lives had it before.
bool name_subject::contested(claim const& mine) const {
  auto const& losses = c_.world().losses();
  bool torn = false, another = false;
  for (auto const& c : claims_) {
    if (c->name != mine.name) continue;
    auto const first = std::lower_bound(losses.begin(), losses.end(), c->asked->asked);
    torn = torn || (first != losses.end() && (!c->asked->done || *first <= c->answered));
    bool const before = c->asked->asked <= mine.asked->asked && c->asked->answer != "no";
    another = another || (before && c->who != nullptr && c->who != mine.who && lives(*c->who));
  }
  return torn && another;
}

// Somebody else changed the name, or may have, after this claim was made.
bool name_subject::later_change(claim const& c) const {
  return std::any_of(claims_.begin(), claims_.end(), [&](auto const& o) {
    if (o.get() == &c || o->name != c.name) return false;
    if (o->asked->done && o->answered < c.asked->asked) return false;
    if (o->wanted == registry::change::registers) return o->asked->answer != "no"; // two of them: a conflict
    return true;
  });
}

std::string name_subject::seen(member& m) {
  std::vector<std::string> out;
  for (auto const& name : registry_->names(m)) {
    auto const pid = registry_->whereis(m, name);
    out.push_back(etf::print(name) + "=" + (pid ? text(*pid) : "undefined"));
  }
  std::sort(out.begin(), out.end());
  return fmt::format("{{{}}}", fmt::join(out, " "));
}

void name_subject::at_rest() {
  auto const running = c_.running();
  if (running.empty()) return;
  if (!registry_->joined()) c_.complain("agreement", "not all share their names with all others");
  auto const first = seen(*running[0]);
  for (auto* const m : running) {
    if (auto const here = seen(*m); here != first)
      c_.complain("agreement", fmt::format("{} has {}, {} has {}", m->name, here, running[0]->name, first));
    for (auto const& name : registry_->names(*m))
      if (auto const pid = registry_->whereis(*m, name); !pid || !c_.alive(*pid))
        c_.complain("ghosts", fmt::format("{} has {} for {}, which is dead", m->name, etf::print(name),
                                          pid ? text(*pid) : "nobody"));
  }
  for (auto const& c : claims_) {
    if (c->wanted == registry::change::unregisters || c->asked->answer != "yes" || !c->own) continue;
    if (!lives(*c->who) || later_change(*c) || contested(*c)) continue;
    for (auto* const m : running)
      if (registry_->whereis(*m, name_term(c->name)) != c->who->pid)
        c_.complain("lost", fmt::format("{} heard yes, but {} does not have it", c->asked->what, m->name));
  }
}

void name_subject::finale() {
  // Locks, one node after the other.
  for (auto* const m : c_.acting())
    for (std::size_t i = 0; i < resources_count; ++i) {
      auto const r = c_.ask(*m, fmt::format("probes resource{}", i), calm_bound,
                            [this, m, i](node::self me, request& asked) -> node::task<> {
                              auto const term = etf::make(etf::am(fmt::format("resource{}", i)));
                              bool const got = co_await registry_->set_lock(*m, me, term);
                              if (got) co_await registry_->del_lock(*m, me, term);
                              asked.answer = got ? "true" : "false";
                            });
      for (int s = 0; s < 60 && !r->done; ++s) c_.pass(1s);
      if (r->answer != "true") c_.complain("locks", r->what + " heard '" + r->answer + "'");
    }
  // Names, on all nodes at once.
  std::size_t number = names_count;
  std::vector<claim_ptr> fresh;
  for (auto* const m : c_.acting()) {
    add(*m);
    fresh.push_back(ask(*m, registry::change::registers, number++, workers_.back()));
  }
  c_.pass(30s);
  for (auto const& f : fresh) {
    if (f->asked->answer != "yes") c_.complain("fresh", f->asked->what + " heard '" + f->asked->answer + "'");
    for (auto* const m : c_.running())
      if (registry_->whereis(*m, name_term(f->name)) != f->who->pid)
        c_.complain("fresh", fmt::format("{}: {} does not see it", f->asked->what, m->name));
  }
  for (auto const& f : fresh) {
    if (c_.chance(50))
      end(f->who);
    else
      ask(*f->who->on, registry::change::unregisters, f->name, nullptr);
  }
  c_.pass(30s);
  for (auto const& f : fresh)
    for (auto* const m : c_.running())
      if (registry_->whereis(*m, name_term(f->name)))
        c_.complain("fresh", fmt::format("{}: {} still sees it", f->asked->what, m->name));
}

} // namespace

std::unique_ptr<subject> make_names(cluster& c) {
  auto r = make_global(c);
  return r != nullptr ? std::make_unique<name_subject>(c, std::move(r)) : nullptr;
}
std::unique_ptr<subject> make_ideal_names(cluster& c) {
  return std::make_unique<name_subject>(c, make_ideal(c));
}

} // namespace remora::sim
