// Whole nodes with process groups: what one node joins all see, through deaths, cuts, restarts and two
// scopes.
#include "etf/parse.hpp"
#include "etf/print.hpp"
#include "services/services.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;
using outcome = services::groups::outcome;

namespace {

struct cluster {
  explicit cluster(std::uint64_t seed = 1, std::vector<std::string> scopes = {"pg"})
      : w(seed), scopes_(scopes) {
    for (auto const* const name : {"a@h", "b@h", "c@h"}) add(name);
    meet();
  }
  void add(std::string const& name) { install(w.add(name)); }
  void restart(std::string const& name) { install(w.restart(name)); }
  void install(node::core& n) {
    auto const name = std::string(n.name().text());
    auto const installed = services::install(n, {.version = "test", .pg_scopes = scopes_});
    all.insert_or_assign(name, installed.groups);
  }
  void meet() {
    for (auto const& [x, gx] : all)
      for (auto const& [y, gy] : all)
        if (x < y) w.at(x).connect(etf::atom(y));
    w.run();
  }
  services::groups& at(std::string const& name) { return all.at(name); }
  etf::pid process(std::string const& node) { return w.probe(w.at(node)); }
  // As the same pids in any order, on every node.
  bool agree(std::string const& scope, std::string const& group, std::vector<etf::pid> expected) {
    std::sort(expected.begin(), expected.end());
    for (auto& [name, g] : all) {
      auto const seen = g.members(scope, t(group));
      std::vector<etf::pid> sorted(seen.begin(), seen.end());
      std::sort(sorted.begin(), sorted.end());
      if (sorted != expected) return false;
    }
    return true;
  }
  void kill(etf::pid const& p) {
    w.as(p).exit_other(p, t("kill"));
    w.run();
  }

  world w;
  std::vector<std::string> scopes_;
  std::map<std::string, services::groups> all;
};

} // namespace

TEST_CASE("groups: joins and leaves are seen everywhere") {
  cluster s;
  auto const p = s.process("a@h");
  auto const q = s.process("b@h");
  CHECK(s.at("a@h").join("pg", t("g"), p) == outcome::ok);
  CHECK(s.at("b@h").join("pg", t("g"), std::vector{q, q, p}) == outcome::ok); // p through another node
  s.w.run();
  CHECK(s.agree("pg", "g", {p, p, q, q}));
  CHECK(s.at("a@h").leave("pg", t("g"), q) == outcome::not_joined);
  CHECK(s.at("b@h").leave("pg", t("g"), q) == outcome::ok);
  CHECK(s.at("c@h").join("nosuch", t("g"), q) == outcome::no_scope);
  s.w.run();
  CHECK(s.agree("pg", "g", {p, p, q}));
  CHECK(s.at("a@h").local_members("pg", t("g")).size() == 1);
}

TEST_CASE("groups: members that end, here and on another node, leave no ghost") {
  cluster s;
  auto const p = s.process("a@h");
  auto const q = s.process("b@h");
  s.at("a@h").join("pg", t("g"), std::vector{p, p, q, q});
  s.w.run();
  s.kill(q);
  CHECK(s.agree("pg", "g", {p, p}));
  s.kill(p);
  CHECK(s.agree("pg", "g", {}));
  s.at("a@h").join("pg", t("g"), p); // dead already
  s.w.run();
  CHECK(s.agree("pg", "g", {}));
}

TEST_CASE("groups: after a cut and its healing all agree again, in any order of events") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    cluster s(seed);
    auto const p = s.process("a@h");
    auto const p2 = s.process("a@h");
    auto const q = s.process("b@h");
    s.at("a@h").join("pg", t("g"), std::vector{p, p});
    s.at("b@h").join("pg", t("g"), q);
    for (auto steps = seed % 7; steps > 0; --steps) s.w.step();
    s.w.cut("a@h", "b@h");
    for (auto steps = seed % 5; steps > 0; --steps) s.w.step();
    s.at("a@h").leave("pg", t("g"), p);
    s.at("a@h").join("pg", t("g"), p2);
    for (auto steps = seed % 3; steps > 0; --steps) s.w.step();
    s.meet();
    s.meet(); // again: where the loss was not noticed yet the first did nothing
    CHECK(s.agree("pg", "g", {p, p2, q}));
    s.w.cut("a@h", "c@h");
    s.w.cut("a@h", "b@h");
    s.w.run();
    CHECK(s.at("b@h").members("pg", t("g")).size() == 1);
    CHECK(s.at("a@h").members("pg", t("g")).size() == 2);
    s.meet();
    CHECK(s.agree("pg", "g", {p, p2, q}));
  }
}

TEST_CASE("groups: a node that is killed and comes back has left, and learns what there is") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    cluster s(seed);
    auto const p = s.process("a@h");
    auto const q = s.process("b@h");
    s.at("a@h").join("pg", t("g"), p);
    s.at("b@h").join("pg", t("g"), q);
    s.w.run();
    s.restart("a@h");
    s.w.run();
    s.meet();
    CHECK(s.agree("pg", "g", {q}));
    auto const again = s.process("a@h");
    s.at("a@h").join("pg", t("g"), again);
    s.w.run();
    CHECK(s.agree("pg", "g", {again, q}));
  }
}

TEST_CASE("groups: scopes are apart, start and stop while the node runs, and come back when killed") {
  cluster s(1, {"pg", "other"});
  auto const p = s.process("a@h");
  s.at("a@h").join("pg", t("g"), p);
  s.at("a@h").join("other", t("g"), std::vector{p, p});
  s.w.run();
  CHECK(s.agree("pg", "g", {p}));
  CHECK(s.agree("other", "g", {p, p}));
  CHECK(s.at("a@h").stop_scope("other") == outcome::ok);
  CHECK(s.at("a@h").stop_scope("other") == outcome::no_scope);
  CHECK(s.at("a@h").join("other", t("g"), p) == outcome::no_scope);
  s.w.run();
  CHECK(s.agree("other", "g", {}));
  CHECK(s.agree("pg", "g", {p}));
  CHECK(s.at("a@h").start_scope("other") == outcome::ok);
  CHECK(s.at("a@h").start_scope("other") == outcome::ok);
  CHECK(s.at("a@h").start_scope("rex") == outcome::name_taken);
  auto const q = s.process("b@h");
  s.at("b@h").join("other", t("g"), q);
  s.w.run();
  CHECK(s.agree("other", "g", {q}));

  auto const before = s.w.at("b@h").find_registered("other")->pid;
  s.w.as(q).exit_other(before, t("kill"));
  s.w.run();
  CHECK(s.w.at("b@h").find_registered("other")->pid != before);
  CHECK(s.agree("other", "g", {})); // as on OTP, who was in it joins again
  s.at("b@h").join("other", t("g"), q);
  s.w.run();
  CHECK(s.agree("other", "g", {q}));
}

TEST_CASE("groups: a limit on scopes") {
  world w;
  auto& a = w.add("a@h");
  services::groups g(a, {.scope = {}, .scopes_max = 2});
  CHECK(g.start_scope("one") == outcome::ok);
  CHECK(g.start_scope("two") == outcome::ok);
  CHECK(g.start_scope("three") == outcome::limit);
  CHECK(g.start_scope("undefined") == outcome::name_taken);
  CHECK(g.scopes() == std::vector<std::string>{"one", "two"});
}

TEST_CASE("groups: subscribers of other nodes hear events until they end") {
  cluster s;
  auto const p = s.process("a@h");
  auto const q = s.process("b@h");
  auto const sub = s.at("a@h").monitor_scope("pg", q);
  REQUIRE(sub.has_value());
  CHECK(etf::print(sub->now) == "#{}");
  auto const one = s.at("a@h").monitor("pg", t("g"), q);
  REQUIRE(one.has_value());
  s.at("a@h").join("pg", t("g"), p);
  s.w.run();
  CHECK(s.w.log(q).size() == 2);
  CHECK(s.at("a@h").demonitor("pg", sub->ref));
  CHECK_FALSE(s.at("a@h").demonitor("pg", sub->ref));
  s.at("a@h").join("pg", t("h"), p);
  s.w.run();
  CHECK(s.w.log(q).size() == 2);
  CHECK(s.at("a@h").find("pg")->subscription_count() == 1);
  s.kill(q);
  CHECK(s.at("a@h").find("pg")->subscription_count() == 0);
}

TEST_CASE("groups: a broadcast reaches each membership, in order with what else its sender sends") {
  cluster s;
  auto const p = s.process("a@h");
  auto const q = s.process("b@h");
  auto const sender = s.process("c@h");
  s.at("a@h").join("pg", t("g"), p);
  s.at("b@h").join("pg", t("g"), std::vector{q, q});
  s.w.run();
  auto me = s.w.as(sender);
  CHECK(s.at("c@h").broadcast(me, "pg", t("g"), t("one")) == 3U);
  me.send(q, t("two"));
  CHECK(s.at("c@h").broadcast(me, "pg", t("g"), t("three"), services::groups::whom::local) == 0U);
  CHECK_FALSE(s.at("c@h").broadcast(me, "nosuch", t("g"), t("x")));
  s.w.run();
  CHECK(s.w.log(p) == lines{"one"});
  CHECK(s.w.log(q) == lines{"one", "one", "two"});
}

// One frame for all members of another remora node; to an OTP node (r) one for each, and nothing that it
// cannot know.
TEST_CASE("groups: a broadcast is one frame for each remora node, and its order holds against plain sends") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    cluster s(seed);
    auto& r = s.w.raw("r@h");
    r.dial("c@h");
    s.w.run();
    auto const q1 = s.process("b@h");
    auto const q2 = s.process("b@h");
    auto const sender = s.process("c@h");
    etf::pid const otp{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
    etf::pid const otp2{.node = etf::atom("r@h"), .id = 2, .serial = 0, .creation = 50};
    s.at("b@h").join("pg", t("g"), std::vector{q1, q2, q2});
    s.at("c@h").join("pg", t("g"), std::vector{otp, otp2});
    s.w.run();
    r.log.clear();
    auto const before = s.w.at("b@h").counts().signals_in;
    auto me = s.w.as(sender);
    lines wanted;
    for (int i = 0; i < 6; ++i) {
      CHECK(s.at("c@h").broadcast(me, "pg", t("g"), etf::make(3 * i)) == 5U);
      me.send(q1, etf::make(3 * i + 1));
      wanted.push_back(std::to_string(3 * i));
      wanted.push_back(std::to_string(3 * i + 1));
    }
    s.w.run();
    CHECK(s.w.log(q1) == wanted);
    CHECK(s.w.log(q2).size() == 12);
    CHECK(s.w.at("b@h").counts().signals_in - before == 12); // six broadcasts and six sends
    CHECK(r.log.size() == 12);
    for (auto const& line : r.log) CHECK(line.starts_with("{22,"));
  }
}
