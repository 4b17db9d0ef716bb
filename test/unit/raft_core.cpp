// Election's core among others of its kind: what each rule of it does, and what must not happen.
#include "unit/raft_cluster.hpp"

#include "base/utf8.hpp"

#include <doctest/doctest.h>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {
raft::result const done = raft::done{};
std::optional<raft::result> failed(raft::failure f) { return raft::result(f); }
} // namespace

TEST_CASE("election: three nodes with a list of voters form a cluster and elect one of them") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const leader = c.leader();
  REQUIRE(leader.size() == 3);
  for (auto const* const l : {"a", "b", "c"}) {
    auto const s = c.status(l);
    CHECK(s.leader == leader);
    CHECK(s.term == 1);
    CHECK(s.token == raft::token_of(1, 1));
    CHECK(s.config.voters.size() == 3);
    CHECK(s.config.term == 1);
    CHECK(c.told<raft::leader_elected>(l).size() == 1);
    CHECK(c.told<raft::leader_lost>(l).empty());
  }
}

TEST_CASE("election: one voter elects itself") {
  raft_cluster c;
  c.form({"a"});
  CHECK(c.leader() == "a@h");
}

TEST_CASE("election: without a configuration the answer is that there is none") {
  raft_cluster c;
  c.add("a");
  c.start("a");
  c.pass(5s);
  c.on("a", raft::elect{1});
  c.on("a", raft::check_token{2, 5});
  c.on("a", raft::add_voter{3, "b@h"});
  for (raft::request_id id = 1; id <= 3; ++id)
    CHECK(c.reply("a", id) == failed(raft::failure::not_configured));
  CHECK(c.status("a").role == raft::role::unconfigured);
}

TEST_CASE("election: a killed leader is followed by another, with a greater token") {
  raft_cluster c;
  c.form({"a", "b", "c", "d", "e"});
  auto const first = c.leader();
  auto const token = c.status(first).token;
  c.pass(17ms);
  c.kill(first);
  auto const killed = c.now;
  while (c.leader().empty() && c.now < killed + 1s) c.pass(1ms);
  auto const took = c.now - killed;
  CHECK(took < 130ms);
  auto const second = c.leader();
  REQUIRE(second.size() == 3);
  CHECK(second != first);
  CHECK(c.status(second).token > token);
  CHECK(c.status(second).term == 2);
}

TEST_CASE(
    "election: a frozen leader loses its lease before another one leads, and its leadership when it wakes") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const first = c.leader();
  c.at(first).paused = true;
  auto const frozen = c.now;
  while (c.now < frozen + 1s && (c.leader().empty() || c.leader() == first)) c.pass(1ms);
  CHECK(c.now - frozen < 450ms);
  CHECK(c.leader().size() == 3);
  CHECK(c.leader() != first);
  c.at(first).paused = false;
  c.pass(100ms);
  CHECK(c.leader().size() == 3);
  CHECK(c.status(first).role == raft::role::follower);
  CHECK(c.told<raft::leader_lost>(first).size() == 1);
}

TEST_CASE("election: a minority has no leader, and says so within the election timeout") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const first = c.leader();
  for (auto const* const other : {"a", "b", "c"})
    if (raft_cluster::full(other) != first) c.cut(first, other);
  c.pass(301ms);
  CHECK(c.status(first).leader.empty());
  CHECK(c.told<raft::leader_lost>(first).size() == 1);
  c.on(first, raft::elect{9});
  c.pass(1s);
  CHECK(c.reply(first, 9) == failed(raft::failure::no_leader));
  CHECK(c.leader() != first);
  CHECK(c.leader().size() == 3);
}

TEST_CASE("election: transfer goes to whom it is asked for, at once") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const first = c.leader();
  std::string const to = first == "b@h" ? "c@h" : "b@h";
  c.on(first, raft::transfer{1, to});
  CHECK(c.leader().empty());
  c.pass(10ms);
  CHECK(c.leader() == to);
  CHECK(c.reply(first, 1) == done);
  c.on(first, raft::transfer{2, first}); // asked for at another node
  c.pass(12ms);
  CHECK(c.leader() == first);
  CHECK(c.reply(first, 2) == done);
  c.on(first, raft::transfer{3, {}});
  c.pass(10ms);
  CHECK(c.reply(first, 3) == done);
  CHECK(c.leader() != first);
  c.on(first, raft::transfer{4, {}});
  CHECK(c.reply(first, 4) == failed(raft::failure::not_leader));
  c.on(first, raft::transfer{5, "x@h"});
  c.pass(10ms);
  CHECK(c.reply(first, 5) == failed(raft::failure::not_voter));
}

TEST_CASE("election: who resigns is followed at once, however slow the disks are") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  for (auto const* const l : {"a", "b", "c"}) c.at(l).disk_time = 40ms;
  for (raft::request_id id = 1; id <= 20; ++id) {
    auto const first = c.leader();
    REQUIRE(first.size() == 3);
    auto const before = c.status(first).term;
    // From the first moment on, when what it leads by is not on all disks.
    c.on(first, raft::transfer{id, {}});
    auto const asked = c.now;
    while ((c.leader().empty() || c.leader() == first) && c.now < asked + 1s) c.pass(1ms);
    CAPTURE(id);
    CHECK(c.now - asked < 5 * 40ms);
    CHECK(c.reply(first, id) == done);
    CHECK(c.status(c.leader()).term == before + 1);
  }
}

TEST_CASE("election: a leader that stops hands over, and the others need not wait") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const first = c.leader();
  c.on(first, raft::stop{});
  CHECK(c.at(first).core->next_deadline() == std::nullopt);
  c.pass(10ms);
  CHECK(c.leader().size() == 3);
  CHECK(c.leader() != first);
  c.on(first, raft::elect{1});
  CHECK(c.reply(first, 1) == failed(raft::failure::stopped));
}

TEST_CASE("election: nothing that rests on term or vote leaves before it is saved") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  // A node whose disk never answers: it is asked for its vote in a later term.
  raft::core node({"x@h"}, raft_cluster::quick(), 1);
  raft::effects out;
  auto now = c.now;
  raft::durable d{.instance = 7, .term = 3, .config = c.status("a").config};
  node.handle(raft::start{d}, now, out);
  node.handle(raft::peer_up{"a@h"}, now, out);
  node.handle(raft::saved{1}, now, out); // the promise of its lease
  now += 140ms;
  out.clear();
  raft::wire::ask_vote const ask{false, 4, 0, d.config};
  node.handle(raft::message{"a@h", raft::wire::write({d.config.cluster, ask})}, now, out);
  REQUIRE(out.size() == 1);
  auto const* const p = std::get_if<raft::persist>(&out.front());
  REQUIRE(p != nullptr);
  CHECK(p->state.term == 4);
  CHECK(p->state.voted_for == "a@h");
  auto const id = p->id;
  out.clear();
  node.handle(raft::saved{id + 1}, now, out); // another's
  CHECK(out.empty());
  node.handle(raft::saved{id}, now, out);
  REQUIRE(out.size() == 1);
  auto const* const s = std::get_if<raft::send>(&out.front());
  REQUIRE(s != nullptr);
  auto const got = raft::wire::read(s->bytes, {});
  REQUIRE(got);
  CHECK(std::get<raft::wire::vote>(got->body).granted);
}

TEST_CASE("election: a restarted voter does not vote before its promise has surely run out") {
  raft::core node({"x@h"}, raft_cluster::quick(), 1);
  raft::effects out;
  base::time_point now{};
  raft::durable d{.instance = 7, .term = 3, .config = {5, 3, 1, {{"a@h", 1}, {"b@h", 2}, {"x@h", 7}}}};
  d.promise = 100ms;
  node.handle(raft::start{d}, now, out);
  node.handle(raft::peer_up{"a@h"}, now, out);
  auto const granted = [&](raft::term t) {
    out.clear();
    raft::wire::ask_vote const ask{false, t, 0, d.config};
    node.handle(raft::message{"a@h", raft::wire::write({5, ask})}, now, out);
    for (auto const& e : out)
      if (auto const* const p = std::get_if<raft::persist>(&e)) return p->state.voted_for == "a@h";
    return false;
  };
  now += 100ms;
  CHECK_FALSE(granted(4));
  now += 1ms + 1us;
  CHECK(granted(5));
}

TEST_CASE("election: without a disk a node observes, and says so") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  c.add("d", false);
  c.start("d");
  c.pass(200ms);
  CHECK(c.told<raft::abstains>("d").size() == 1);
  CHECK(c.status("d").role == raft::role::observer);
  CHECK(c.status("d").leader == c.leader());
  CHECK(c.at("d").persists.empty());
  c.on("d", raft::elect{1});
  CHECK(c.reply("d", 1) == raft::result(raft::led_by{c.leader(), raft::token_of(1, 1)}));
  c.on("d", raft::add_voter{2, "d@h"});
  c.pass(20ms);
  CHECK(c.reply("d", 2) == failed(raft::failure::unknown_node));
}

TEST_CASE("election: voters are added and removed, at any node") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  for (auto const* const l : {"d", "e"}) {
    c.add(l);
    c.start(l);
  }
  c.pass(200ms);
  CHECK(c.status("d").role == raft::role::observer);
  c.on("a", raft::add_voter{1, "d@h"});
  c.pass(50ms);
  CHECK(c.reply("a", 1) == done);
  c.on("b", raft::add_voter{2, "e@h"});
  c.pass(50ms);
  CHECK(c.reply("b", 2) == done);
  c.on("b", raft::add_voter{3, "e@h"});
  c.on("b", raft::add_voter{4, "x@h"});
  c.on("b", raft::remove_voter{5, "x@h"});
  c.pass(50ms);
  CHECK(c.reply("b", 3) == failed(raft::failure::is_voter));
  CHECK(c.reply("b", 4) == failed(raft::failure::unknown_node));
  CHECK(c.reply("b", 5) == failed(raft::failure::not_voter));
  for (auto const* const l : {"a", "b", "c", "d", "e"}) CHECK(c.status(l).config.voters.size() == 5);
  auto const first = c.leader();
  c.on("c", raft::remove_voter{6, first}); // the leader itself: another one does it
  c.pass(200ms);
  CHECK(c.reply("c", 6) == done);
  CHECK(c.leader().size() == 3);
  CHECK(c.leader() != first);
  CHECK(c.status(first).role == raft::role::observer);
  CHECK(c.status(first).leader == c.leader());
  CHECK(c.status(first).config.voters.size() == 4);
}

TEST_CASE("election: who has lost its state abstains until the leader has taken it in again") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  std::string const lost = c.leader() == "c@h" ? "b@h" : "c@h";
  auto const leader = c.leader();
  c.kill(lost);
  c.pass(1s);
  c.at(lost).disk = c.fresh();
  c.at(lost).o.voters = {"a@h", "b@h", "c@h"};
  c.start(lost);
  c.pass(500ms);
  CHECK(c.leader() == leader);
  CHECK(c.told<raft::abstains>(lost).size() == 1);
  CHECK(c.status(lost).role == raft::role::follower);
  auto const config = c.status(leader).config;
  CHECK(config.version == 3); // unbound, and bound again
  c.kill(leader);
  c.pass(500ms);
  CHECK(c.leader().size() == 3); // with its vote
}

TEST_CASE("election: a disk that fails makes it abstain, and it recovers") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const leader = c.leader();
  std::string const other = leader == "c@h" ? "b@h" : "c@h";
  c.at(other).broken = true;
  c.kill(leader);
  c.pass(3s);
  CHECK(c.leader().empty()); // two of three are needed, and one cannot save its vote
  CHECK(c.told<raft::abstains>(other).size() == 1);
  CHECK(c.status(other).role == raft::role::abstaining);
  c.at(other).broken = false;
  c.pass(6s);
  CHECK(c.leader().size() == 3);
}

TEST_CASE("election: a greater priority leads in the end, and none never") {
  raft_cluster c;
  c.o.priority = 1;
  for (auto const* const l : {"a", "b", "c"}) c.o.voters.push_back(raft_cluster::full(l));
  for (auto const* const l : {"a", "b", "c"}) c.add(l);
  c.at("a").o.priority = 0;
  c.at("c").o.priority = 5;
  for (auto const* const l : {"a", "b"}) c.start(l);
  c.pass(3s);
  CHECK(c.leader() == "b@h");
  c.start("c");
  c.pass(3s);
  CHECK(c.leader() == "c@h");
  auto const term = c.status("c").term;
  c.pass(30s);
  CHECK(c.status("c").term == term); // no ping-pong
  c.kill("b");
  c.kill("c");
  c.pass(3s);
  CHECK(c.leader().empty());
}

TEST_CASE("election: tokens are checked by the leader, for all nodes") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const leader = c.leader();
  std::string const other = leader == "c@h" ? "b@h" : "c@h";
  auto const token = c.status(leader).token;
  c.on(leader, raft::check_token{1, token});
  c.on(other, raft::check_token{2, token});
  c.on(other, raft::check_token{3, token - 1});
  c.on(other, raft::check_token{4, raft::token_of(2, 0)});
  c.pass(5ms);
  CHECK(c.reply(leader, 1) == done);
  CHECK(c.reply(other, 2) == done);
  CHECK(c.reply(other, 3) == failed(raft::failure::stale_token));
  CHECK(c.reply(other, 4) == failed(raft::failure::unknown_token));
}

TEST_CASE("election: names go to who asked first, and are handed on") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  c.pass(1s); // the first leader too waits until an earlier one's leases are over
  c.on("a", raft::campaign{1, "scheduler"});
  c.pass(60ms);
  c.on("b", raft::campaign{1, "scheduler"});
  c.on("b", raft::campaign{2, "billing"});
  c.pass(100ms);
  REQUIRE(c.told<raft::name_won>("a").size() == 1);
  auto const first = c.told<raft::name_won>("a").front();
  CHECK(c.at("a").core->name_lease_left(1, c.now) > 200ms);
  CHECK(c.at("b").core->name_lease_left(1, c.now) == 0ms);
  CHECK(c.at("b").core->name_lease_left(2, c.now) > 200ms);
  for (auto const* const l : {"a", "b", "c"}) {
    REQUIRE(c.at(l).core->leader_of("scheduler"));
    CHECK(c.at(l).core->leader_of("scheduler")->node == "a@h");
    CHECK(c.at(l).core->leader_of("scheduler")->token == first.token);
    CHECK(c.at(l).core->leader_of("billing")->node == "b@h");
  }
  c.on("c", raft::check_token{1, first.token});
  c.pass(10ms);
  CHECK(c.reply("c", 1) == done);
  c.on("a", raft::withdraw{1});
  CHECK(c.told<raft::name_lost>("a").size() == 1);
  c.pass(100ms);
  REQUIRE(c.told<raft::name_won>("b").size() == 2);
  CHECK(c.told<raft::name_won>("b").back().token > first.token);
  CHECK(c.at("c").core->leader_of("scheduler")->node == "b@h");
  c.on("c", raft::check_token{2, first.token});
  c.pass(10ms);
  CHECK(c.reply("c", 2) == failed(raft::failure::stale_token));
}

TEST_CASE("election: a holder that is cut off loses the name by its own clock before another has it") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  c.pass(1s);
  auto const leader = c.leader();
  std::string holder;
  std::string next;
  for (auto const* const l : {"a@h", "b@h", "c@h"})
    if (l != leader) (holder.empty() ? holder : next) = l;
  c.on(holder, raft::campaign{1, "n"});
  c.pass(100ms);
  c.on(next, raft::campaign{1, "n"});
  c.pass(100ms);
  REQUIRE(c.told<raft::name_won>(holder).size() == 1);
  c.cut(holder, leader, false);
  c.cut(holder, next, false);
  base::time_point lost{};
  base::time_point won{};
  for (int i = 0; i < 1'000; ++i) {
    c.pass(1ms);
    if (lost == base::time_point{} && !c.told<raft::name_lost>(holder).empty()) lost = c.now;
    if (won == base::time_point{} && !c.told<raft::name_won>(next).empty()) won = c.now;
  }
  CHECK(lost != base::time_point{});
  CHECK(won > lost);
}

TEST_CASE("election: what is held outlives the leader") {
  raft_cluster c;
  c.o.name_lease = 1s;
  c.form({"a", "b", "c"});
  c.pass(1s);
  auto const leader = c.leader();
  std::string const holder = leader == "c@h" ? "b@h" : "c@h";
  c.on(holder, raft::campaign{1, "n"});
  c.pass(100ms);
  auto const token = c.told<raft::name_won>(holder).front().token;
  c.kill(leader);
  c.pass(200ms);
  CHECK(c.leader().size() == 3);
  std::string const third =
      holder == "b@h" ? (leader == "a@h" ? "c@h" : "a@h") : (leader == "a@h" ? "b@h" : "a@h");
  c.on(third, raft::campaign{1, "n"});
  c.pass(5s);
  CHECK(c.told<raft::name_lost>(holder).empty());
  CHECK(c.told<raft::name_won>(third).empty());
  CHECK(c.at(third).core->leader_of("n")->token == token);
  c.kill(holder); // the third is alone now
  c.pass(5s);
  CHECK(c.told<raft::name_won>(third).empty());
}

TEST_CASE("election: bootstrap_expect waits for as many, and forms with them once") {
  raft_cluster c;
  c.o.bootstrap_expect = 3;
  for (auto const* const l : {"a", "b", "c", "d"}) c.add(l);
  for (auto const* const l : {"b", "c"}) c.start(l);
  for (auto const* const l : {"b", "c"}) c.on(l, raft::seen{{"b@h", "c@h"}});
  c.pass(2s);
  CHECK(c.status("b").role == raft::role::unconfigured);
  c.start("a");
  for (auto const* const l : {"a", "b", "c"}) c.on(l, raft::seen{{"a@h", "b@h", "c@h"}});
  c.pass(1s);
  CHECK(c.leader().size() == 3);
  c.start("d");
  c.on("d", raft::seen{{"a@h", "b@h", "c@h", "d@h"}});
  c.pass(1s);
  CHECK(c.status("d").role == raft::role::observer);
  CHECK(c.status("d").config.voters.size() == 3);
}
