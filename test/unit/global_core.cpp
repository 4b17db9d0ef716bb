// The registry's core (cnode/global): whole clusters of cores in one thread, their name servers joined by
// queues that keep the order of each connection and nothing else, and single cores whose peers a test plays
// by hand.
#include "global/core.hpp"

#include "etf/parse.hpp"
#include "etf/print.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;
using etf::am;
using etf::make;
using etf::tup;
using global::role;

namespace {

constexpr std::size_t pids_per_node = 3;

etf::term name(std::string_view text) { return make(am(text)); }

// One cluster. Links are per pair of nodes and keep their order; what moves next is drawn from a seed.
class cluster {
public:
  explicit cluster(std::uint64_t seed = 1) : random_(seed) {}

  struct member {
    etf::atom node;
    std::unique_ptr<global::core> core;
    std::uint32_t last_pid = 10;
    std::set<etf::pid> alive;
    std::set<std::pair<role, std::string>> watched; // destinations as text
    std::map<std::uint64_t, global::outcome> answers;
    std::vector<std::string> told; // messages to ordinary pids here
    std::vector<std::string> log;
    bool frozen = false;
  };

  member& add(std::string const& n, global::options o = {}) {
    auto& m = members_[n];
    m.node = etf::atom(n);
    std::array<etf::pid, global::roles> pids;
    for (std::uint32_t i = 0; i < pids_per_node; ++i)
      pids[i] = {.node = m.node, .id = i + 1, .serial = 0, .creation = 7};
    m.core = std::make_unique<global::core>(pids, 7, o, random_.next());
    return m;
  }
  member& operator[](std::string const& n) { return members_.at(n); }

  etf::pid process(std::string const& n) {
    auto& m = members_.at(n);
    etf::pid const p{.node = m.node, .id = ++m.last_pid, .serial = 0, .creation = 7};
    m.alive.insert(p);
    return p;
  }
  void kill(etf::pid const& p) {
    members_.at(std::string(p.node.text())).alive.erase(p);
    for (auto& [n, m] : members_) {
      if (!m.watched.erase({role::name_server, etf::print(make(p))})) continue;
      queue(std::string(p.node.text()), n, [p] {
        return global::event(global::watched_ended{role::name_server, p});
      });
    }
  }

  bool connected(std::string const& a, std::string const& b) const {
    return links_.contains(std::minmax(a, b));
  }
  void connect(std::string const& a, std::string const& b) {
    if (a == b || connected(a, b)) return;
    links_.insert(std::minmax(a, b));
    auto const up = [](std::string const& n) {
      return [n] { return global::event(global::node_up{etf::atom(n)}); };
    };
    wires_[{a, b}].push_back(up(a));
    wires_[{b, a}].push_back(up(b));
  }
  // What was under way is lost; the watchers hear, then nodedown.
  void cut(std::string const& a, std::string const& b) {
    if (!connected(a, b)) return;
    links_.erase(std::minmax(a, b));
    wires_[{a, b}].clear();
    wires_[{b, a}].clear();
    lose(a, b);
    lose(b, a);
  }
  void crash(std::string const& n) {
    auto const peers = links_;
    for (auto const& [a, b] : peers)
      if (a == n || b == n) cut(a, b);
    members_.erase(n);
    std::erase_if(wires_, [&](auto const& w) { return w.first.second == n; });
  }
  void freeze(std::string const& n, bool on = true) { members_.at(n).frozen = on; }

  std::uint64_t ask(std::string const& n, global::request::what what, std::string_view global_name,
                    etf::pid pid = {}, global::policy p = {}) {
    auto const id = ++last_request_;
    feed(members_.at(n), global::request{id, what, name(global_name), pid, p});
    return id;
  }
  std::uint64_t register_name(std::string const& n, std::string_view global_name, etf::pid pid,
                              global::policy p = {}) {
    return ask(n, global::request::what::register_name, global_name, pid, p);
  }
  // As if it came from somewhere.
  void forge(std::string const& n, std::string const& message, role at = role::name_server) {
    feed(members_.at(n), global::message{at, *etf::parse(message)});
  }
  std::string said(std::string const& n, std::uint64_t id) {
    auto const& all = members_.at(n).answers;
    auto const found = all.find(id);
    if (found == all.end()) return "nothing";
    constexpr std::string_view words[] = {"yes", "no", "timeout", "busy"};
    return std::string(words[static_cast<std::size_t>(found->second.said)]) +
           (found->second.node.empty() ? "" : " " + std::string(found->second.node.text()));
  }

  bool step() {
    std::vector<std::pair<std::string, std::string>> ready;
    for (auto const& [pair, wire] : wires_)
      if (!wire.empty() && members_.contains(pair.second) && !members_.at(pair.second).frozen)
        ready.push_back(pair);
    if (ready.empty()) return false;
    auto const pair = ready[random_.below(ready.size())];
    auto const next = std::move(wires_[pair].front());
    wires_[pair].pop_front();
    feed(members_.at(pair.second), next());
    ++steps;
    return true;
  }
  void run() {
    for (std::size_t n = 0; step(); ++n) REQUIRE(n < 2'000'000);
  }
  void pass(base::duration time) {
    auto const end = now_ + time;
    while (true) {
      run();
      std::optional<base::time_point> next;
      for (auto const& [n, m] : members_)
        if (!m.frozen) next = base::earliest(next, m.core->next_deadline());
      if (!next || *next > end) break;
      now_ = std::max(now_, *next);
      for (auto& [n, m] : members_)
        if (!m.frozen && m.core->next_deadline() && *m.core->next_deadline() <= now_) feed(m, global::tick{});
    }
    now_ = end;
    run();
  }
  // Until all of them know each other; false if that takes more than a minute.
  bool settle() {
    for (int i = 0; i < 600; ++i) {
      pass(100ms);
      if (joined()) return true;
    }
    return false;
  }
  bool joined() {
    for (auto const& [n, m] : members_) {
      auto const& t = m.core->tables();
      if (t.known.size() + 1 != members_.size() || !t.pending.empty() || t.locks.size() > 0 ||
          m.core->sessions() > 0)
        return false;
    }
    return true;
  }
  std::string names(std::string const& n) {
    std::vector<std::string> all;
    for (auto const& [key, e] : members_.at(n).core->tables().names)
      all.push_back(etf::print(key) + "=" + std::string(e.pid.node.text()) + "." + std::to_string(e.pid.id));
    std::sort(all.begin(), all.end());
    return fmt::format("{}", fmt::join(all, " "));
  }
  bool same_names() {
    for (auto const& [n, m] : members_)
      if (names(n) != names(members_.begin()->first)) return false;
    return true;
  }
  std::string known(std::string const& n) {
    std::string out;
    for (auto const& [k, v] : members_.at(n).core->tables().known) out += std::string(k.text()) + " ";
    return out;
  }

  std::size_t steps = 0;
  std::map<std::string, std::size_t> sent; // messages between nodes, by what they are

private:
  using pending = std::function<global::event()>;
  void queue(std::string const& from, std::string const& to, pending p) {
    wires_[{from, to}].push_back(std::move(p));
  }

  void lose(std::string const& who, std::string const& other) {
    auto& m = members_.at(who);
    auto const watched = m.watched;
    for (auto const& [as, text] : watched) {
      auto const to = *etf::as_destination(*etf::parse(text));
      if (to.where().text() != other) continue;
      m.watched.erase({as, text});
      queue(other, who, [what = as, to] { return global::event(global::watched_ended{what, to}); });
    }
    queue(other, who, [other] { return global::event(global::node_down{etf::atom(other)}); });
  }

  void feed(member& m, global::event const& e) {
    global::effects out;
    m.core->handle(e, now_, out);
    for (auto const& each : out) carry_out(m, each);
  }
  void deliver(member& from, std::string const& to, etf::term const& what, role at) {
    if (auto const tag = what->element(0); tag && tag->is_atom("$gen_call")) {
      auto const request = *what->element(2);
      auto const name = request.is_atom() ? request : *request.element(0);
      ++sent[std::string(name.atom_text().value_or(""))];
    }
    queue(std::string(from.node.text()), to, [what, at] { return global::event(global::message{at, what}); });
  }
  void send(member& from, etf::destination const& to, etf::term const& what, bool dial) {
    auto const self = std::string(from.node.text());
    auto const node = to.where().empty() ? self : std::string(to.where().text());
    if (!members_.contains(node)) return;
    if (node != self && !connected(self, node)) {
      if (!dial) return;
      connect(self, node);
    }
    if (!to.pid)
      return deliver(from, node, what,
                     to.name == global::comparing_name ? role::registrar : role::name_server);
    if (to.pid->id <= pids_per_node) return deliver(from, node, what, static_cast<role>(to.pid->id - 1));
    members_.at(node).told.push_back(fmt::format("{} got {}", to.pid->id, etf::print(what)));
  }
  void carry_out(member& m, global::effect const& effect) {
    auto const self = std::string(m.node.text());
    if (auto const* const e = std::get_if<global::send>(&effect)) return send(m, e->to, e->message, e->dial);
    if (auto const* const e = std::get_if<global::reply>(&effect)) {
      auto const from = *e->from->tuple<2>();
      return send(m, *from[0].as_pid(), make(tup(from[1], e->answer)), false);
    }
    if (auto const* const e = std::get_if<global::watch>(&effect)) return watch(m, *e);
    if (auto const* const e = std::get_if<global::unwatch>(&effect)) {
      auto const key = std::pair(e->as, etf::print(make(e->whom)));
      m.watched.erase(key);
      return;
    }
    if (auto const* const e = std::get_if<global::connect>(&effect)) {
      bool const there = members_.contains(std::string(e->node.text())) &&
                         !unreachable.contains({self, std::string(e->node.text())});
      if (there) connect(self, std::string(e->node.text()));
      queue(self, self, [node = e->node, there] {
        return global::event(global::connect_result{node, there});
      });
      return;
    }
    if (auto const* const e = std::get_if<global::disconnect>(&effect))
      return cut(self, std::string(e->node.text()));
    if (auto const* const e = std::get_if<global::kill>(&effect)) return kill(e->whom);
    if (auto const* const e = std::get_if<global::answer>(&effect)) {
      CHECK(m.answers.emplace(e->id, e->result).second); // one for each
      return;
    }
    if (auto const* const e = std::get_if<global::resolve_there>(&effect)) return resolve(m, *e);
    if (auto const* const e = std::get_if<global::resolution>(&effect)) {
      auto const asked = resolving_.at(e->id);
      queue(self, asked.first, [id = asked.second, said = e->answer] {
        return global::event(global::resolved_there{id, said});
      });
      return;
    }
    if (auto const* const e = std::get_if<global::notice>(&effect)) m.log.push_back(e->text);
  }
  void watch(member& m, global::watch const& e) {
    auto const self = std::string(m.node.text());
    auto const node = e.whom.where().empty() ? self : std::string(e.whom.where().text());
    CHECK(m.watched.emplace(e.as, etf::print(make(e.whom))).second); // at most once at a time
    if (node != self && members_.contains(node)) connect(self, node);
    bool const there = members_.contains(node) && (!e.whom.pid || e.whom.pid->id <= pids_per_node ||
                                                   members_.at(node).alive.contains(*e.whom.pid));
    if (there) return;
    m.watched.erase({e.as, etf::print(make(e.whom))});
    queue(node, self, [e] { return global::event(global::watched_ended{e.as, e.whom}); });
  }
  void resolve(member& m, global::resolve_there const& e) {
    auto const self = std::string(m.node.text());
    auto const node = std::string(e.node.text());
    auto const id = ++last_request_;
    resolving_[id] = {self, e.id};
    auto list = *e.arguments->list();
    auto const method = etf::term(*list.next());
    auto const what = etf::term(*list.next());
    auto const theirs = *list.next()->as_pid();
    auto const ours = *list.next()->as_pid();
    queue(self, node, [=] { return global::event(global::resolve_request{id, method, what, theirs, ours}); });
  }

public:
  std::set<std::pair<std::string, std::string>> unreachable; // cannot dial

private:
  base::random random_;
  base::time_point now_{1000s};
  std::map<std::string, member> members_;
  std::set<std::pair<std::string, std::string>> links_;
  std::map<std::pair<std::string, std::string>, std::deque<pending>> wires_;
  std::map<std::uint64_t, std::pair<std::string, std::uint64_t>> resolving_;
  std::uint64_t last_request_ = 0;
};

cluster& join(cluster& c, std::vector<std::string> const& nodes, global::options o = {}) {
  for (auto const& n : nodes) c.add(n, o);
  for (std::size_t i = 1; i < nodes.size(); ++i) c.connect(nodes[0], nodes[i]);
  REQUIRE(c.settle());
  return c;
}

} // namespace

TEST_CASE("global: two nodes that connect know each other and each other's names, and no lock is left") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    c.add("a@h");
    c.add("b@h");
    auto const p = c.process("a@h");
    auto const id = c.register_name("a@h", "foo", p);
    c.run();
    CHECK(c.said("a@h", id) == "yes");
    c.connect("a@h", "b@h");
    CHECK(c.settle());
    CHECK(c.names("b@h") == "foo=a@h.11");
    CHECK(c["a@h"].log.empty());
    CHECK(c["b@h"].log.empty());
  }
}

TEST_CASE("global: a third node that joins one is introduced to the other; five at once in any order") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    join(c, {"c@h", "a@h", "b@h", "e@h", "d@h"});
    for (auto const* const n : {"a@h", "b@h", "c@h", "d@h", "e@h"})
      c.register_name(n, std::string("of_") + n[0], c.process(n));
    c.pass(30s);
    CHECK(c.same_names());
    CHECK(c.names("a@h") == "of_a=a@h.11 of_b=b@h.11 of_c=c@h.11 of_d=d@h.11 of_e=e@h.11");
  }
}

TEST_CASE("global: a name is registered once; a process has one name; both can be undone") {
  cluster c;
  join(c, {"a@h", "b@h", "c@h"});
  auto const p = c.process("a@h");
  auto const q = c.process("b@h");
  auto const one = c.register_name("a@h", "foo", p);
  c.pass(1s);
  CHECK(c.said("a@h", one) == "yes");
  auto const taken = c.register_name("b@h", "foo", q);
  auto const again = c.register_name("c@h", "bar", p);
  c.pass(10s);
  CHECK(c.said("b@h", taken) == "no");
  CHECK(c.said("c@h", again) == "no");
  auto const moved = c.ask("b@h", global::request::what::re_register_name, "foo", q);
  c.pass(10s);
  CHECK(c.said("b@h", moved) == "yes");
  CHECK(c.names("c@h") == "foo=b@h.11");
  auto const gone = c.ask("c@h", global::request::what::unregister_name, "foo");
  c.pass(10s);
  CHECK(c.said("c@h", gone) == "yes");
  CHECK(c.names("a@h").empty());
  CHECK(c.same_names());
}

TEST_CASE("global: the end of a process clears its name everywhere, and a dead one has none for long") {
  cluster c;
  join(c, {"a@h", "b@h", "c@h"});
  auto const p = c.process("b@h");
  c.register_name("a@h", "foo", p);
  c.pass(1s);
  CHECK(c.names("c@h") == "foo=b@h.11");
  c.kill(p);
  c.run();
  auto const dead = c.register_name("a@h", "bar", p); // as on OTP: yes, and gone
  c.pass(1s);
  CHECK(c.said("a@h", dead) == "yes");
  for (auto const* const n : {"a@h", "b@h", "c@h"}) CHECK(c.names(n).empty());
}

TEST_CASE("global: requests that come while a round is under way share the next one") {
  cluster c;
  join(c, {"a@h", "b@h", "c@h"});
  c.sent.clear();
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(c.register_name("a@h", "n" + std::to_string(i), c.process("a@h")));
  auto const twice = c.register_name("a@h", "n7", c.process("a@h")); // taken earlier in the batch
  c.pass(1s);
  for (auto const id : ids) CHECK(c.said("a@h", id) == "yes");
  CHECK(c.said("a@h", twice) == "no");
  CHECK(c.same_names());
  CHECK(c.sent["register"] == 200);
  CHECK(c.sent["set_lock"] <= 3); // the boss, then both: one round
}

TEST_CASE("global: registrations of all nodes at once are all done, and leave no lock") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    join(c, {"a@h", "b@h", "c@h"});
    std::vector<std::pair<std::string, std::uint64_t>> all;
    for (int i = 0; i < 10; ++i)
      for (auto const* const n : {"a@h", "b@h", "c@h"})
        all.emplace_back(n, c.register_name(n, "n" + std::to_string(i), c.process(n)));
    c.pass(120s);
    int yes = 0;
    for (auto const& [n, id] : all) {
      CHECK(c.said(n, id) != "nothing");
      if (c.said(n, id) == "yes") ++yes;
    }
    CHECK(yes == 10); // each name once
    CHECK(c.same_names());
    CHECK(c.joined());
  }
}

TEST_CASE("global: a member's end in the middle of a round hurts nobody else") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    join(c, {"a@h", "b@h", "c@h"});
    auto const id = c.register_name("a@h", "foo", c.process("a@h"));
    for (std::uint64_t i = 0; i < seed % 14; ++i) c.step();
    c.crash("c@h");
    c.pass(30s);
    CHECK(c.said("a@h", id) == "yes");
    CHECK(c.names("b@h") == "foo=a@h.11");
    CHECK(c.known("a@h") == "b@h ");
    CHECK(c.joined());
  }
}

TEST_CASE("global: a frozen member ends the round; what was inserted is taken back, also when it thaws") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    join(c, {"a@h", "b@h", "c@h"});
    auto const id = c.register_name("b@h", "foo", c.process("b@h"));
    for (std::uint64_t i = 0; i < seed % 10; ++i) c.step();
    c.freeze("c@h");
    c.pass(6s);
    auto const said = c.said("b@h", id);
    CHECK((said == "timeout c@h" || said == "yes"));
    CHECK(c["b@h"].core->tables().locks.size() == 0);
    if (said != "yes") {
      CHECK(c.names("a@h").empty());
      CHECK(c.names("b@h").empty());
      CHECK(c["b@h"].log.size() == 1);
    }
    c.freeze("c@h", false);
    c.pass(10s);
    CHECK(c.same_names());
    CHECK(c.joined());
    auto const next = c.register_name("a@h", "bar", c.process("a@h"));
    c.pass(20s);
    CHECK(c.said("a@h", next) == "yes");
    CHECK(c.same_names());
  }
}

TEST_CASE("global: with drop_frozen the silent member is disconnected") {
  cluster c;
  join(c, {"a@h", "b@h"}, {.drop_frozen = true});
  c.freeze("b@h");
  auto const id = c.register_name("a@h", "foo", c.process("a@h"));
  c.pass(6s);
  CHECK(c.said("a@h", id) == "timeout b@h");
  CHECK(c.known("a@h").empty());
}

TEST_CASE("global: clashes on joining are decided once, by the method of the smaller node") {
  using kind = global::policy::kind;
  struct row {
    kind how;
    std::string_view left; // names of b@h, which is the greater
  };
  row const rows[] = {{kind::random_exit, "foo=a@h.11"},
                      {kind::random_notify, "foo=a@h.11"},
                      {kind::notify_all, ""},
                      {kind::lowest_pid, "foo=a@h.11"},
                      {kind::highest_pid, "foo=b@h.11"},
                      {kind::keep_local, "foo=a@h.11"},
                      {kind::kill_both, ""},
                      {kind::node_priority, "foo=b@h.11"}};
  for (auto const& r : rows) {
    CAPTURE(global::name_of(r.how));
    cluster c;
    c.add("a@h");
    c.add("b@h");
    auto const p = c.process("a@h");
    auto const q = c.process("b@h");
    c.register_name("a@h", "foo", p, {.how = r.how, .nodes = {etf::atom("b@h"), etf::atom("a@h")}});
    c.register_name("b@h", "foo", q, {.how = kind::kill_both}); // is not asked
    c.connect("a@h", "b@h");
    CHECK(c.settle());
    CHECK(c.names("b@h") == r.left);
    CHECK(c.same_names());
    CHECK(c["b@h"].alive.contains(q) == (r.how != kind::random_exit && r.how != kind::kill_both));
    auto const told = c["a@h"].told.size() + c["b@h"].told.size();
    CHECK(told == (r.how == kind::notify_all                                ? 2
                   : r.how == kind::random_exit || r.how == kind::kill_both ? 0
                                                                            : 1));
  }
}

TEST_CASE("global: a cut between two of three leaves three single nodes; without POP only the two forget "
          "each other") {
  cluster c;
  join(c, {"a@h", "b@h", "c@h"});
  c.register_name("a@h", "foo", c.process("a@h"));
  c.pass(1s);
  c.cut("a@h", "b@h");
  c.pass(5s);
  for (auto const* const n : {"a@h", "b@h", "c@h"}) CHECK(c.known(n).empty());
  CHECK(c.names("c@h").empty());
  c.connect("a@h", "b@h");
  c.connect("a@h", "c@h");
  CHECK(c.settle());
  CHECK(c.names("c@h") == "foo=a@h.11");

  cluster off;
  join(off, {"a@h", "b@h", "c@h"}, {.prevent_overlapping_partitions = false});
  off.cut("a@h", "b@h");
  off.pass(5s);
  CHECK(off.known("a@h") == "c@h ");
  CHECK(off.known("c@h") == "a@h b@h ");
}

TEST_CASE("global: a node that ends is lost by all, and nothing more happens") {
  cluster c;
  join(c, {"a@h", "b@h", "c@h", "d@h"});
  c.crash("d@h");
  c.pass(5s);
  CHECK(c.known("a@h") == "b@h c@h ");
  CHECK(c.known("b@h") == "a@h c@h ");
  CHECK(c.joined());
}

TEST_CASE("global: nodes that differ when the trouble is over join anew, and have all names of both") {
  cluster c;
  join(c, {"a@h", "b@h", "c@h"});
  c.register_name("a@h", "x", c.process("a@h"));
  c.register_name("b@h", "y", c.process("b@h"));
  c.pass(10s);
  // c loses one, a the other: as after cuts beside registrations. Nobody notices by itself.
  c.forge("c@h", "{'$gen_call',{#Pid<b@h.3.0.7>,t},{unregister,x}}");
  c.forge("a@h", "{'$gen_call',{#Pid<b@h.3.0.7>,t},{unregister,y}}");
  c.pass(10s);
  CHECK(c.names("a@h") == "x=a@h.11");
  CHECK(c.names("c@h") == "y=b@h.11");
  // Until something happens: a node comes.
  c.add("d@h");
  c.connect("b@h", "d@h");
  REQUIRE(c.settle());
  c.pass(20s);
  CHECK(c.names("a@h") == "x=a@h.11 y=b@h.11");
  CHECK(c.same_names());
  CHECK(c.joined());
}

TEST_CASE("global: cuts and heals at any moment settle in agreement") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    base::random random(seed);
    std::vector<std::string> const nodes{"a@h", "b@h", "c@h", "d@h"};
    for (auto const& n : nodes) c.add(n);
    for (int i = 0; i < 30; ++i) {
      auto const& a = nodes[random.below(4)];
      auto const& b = nodes[random.below(4)];
      auto const what = random.below(4);
      if (what == 0) c.cut(a, b);
      if (what == 1) c.connect(a, b);
      if (what == 2) c.register_name(a, "n" + std::to_string(random.below(3)), c.process(a));
      if (what == 3) c.pass(std::chrono::milliseconds(random.below(700)));
      for (std::uint64_t n = random.below(20); n > 0; --n) c.step();
    }
    c.pass(60s);
    for (int i = 0; i < 6 && !c.joined(); ++i) { // as a person who pings until all are there
      for (auto const& a : nodes)
        for (auto const& b : nodes) c.connect(a, b);
      c.pass(60s);
    }
    CHECK(c.joined());
    CHECK(c.same_names());
  }
}
