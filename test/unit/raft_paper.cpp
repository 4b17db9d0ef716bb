// Sentences of Ongaro's thesis (2014) and of Schultz, Dardik and Tripakis (2021) that election's safety rests
// on, one test each, in three beats: arrange, step, check. One core, and what it says on paper.
#include "raft/core.hpp"
#include "raft/messages.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;
namespace wire = raft::wire;

namespace {

raft::options quick() {
  raft::options o;
  o.heartbeat = 30ms;
  o.election_min = 150ms;
  o.election_max = 300ms;
  o.name_lease = 300ms;
  return o;
}

raft::configuration five(std::uint64_t version = 1, raft::term t = 3) {
  return {42, t, version, {{"a@h", 1}, {"b@h", 2}, {"c@h", 3}, {"d@h", 4}, {"me@h", 9}}};
}

// A core in a cluster of five, with what it has said since it was last asked.
class paper {
public:
  explicit paper(raft::durable d = {.instance = 9, .term = 3, .config = five()}, raft::options o = quick())
      : core_({"me@h"}, o, 5) {
    d.promise = 90ms;
    disk = d;
    on(raft::start{d});
    for (auto const* const n : {"a@h", "b@h", "c@h", "d@h"}) on(raft::peer_up{n});
    pass(100ms); // what was promised before the start is over
    said.clear();
  }

  void on(raft::event const& e) {
    raft::effects out;
    core_.handle(e, now, out);
    for (auto const& effect : out) {
      if (auto const* const p = std::get_if<raft::persist>(&effect)) {
        disk = p->state;
        if (saves)
          on(raft::saved{p->id});
        else
          unsaved = p->id;
      }
      if (auto const* const s = std::get_if<raft::send>(&effect))
        said.emplace_back(s->node, wire::read(s->bytes, {})->body);
      if (auto const* const t = std::get_if<raft::tell>(&effect)) news.push_back(t->news);
    }
  }
  void hear(std::string const& from, wire::body b, std::uint64_t cluster = 42) {
    said.clear();
    on(raft::message{from, wire::write({cluster, std::move(b)})});
  }
  void pass(base::duration time) {
    auto const until = now + time;
    while (core_.next_deadline() && *core_.next_deadline() <= until) {
      now = std::max(now, *core_.next_deadline());
      on(raft::tick{});
    }
    now = until;
  }
  template <class Body>
  std::vector<std::pair<std::string, Body>> all() const {
    std::vector<std::pair<std::string, Body>> out;
    for (auto const& [to, b] : said)
      if (auto const* const one = std::get_if<Body>(&b)) out.emplace_back(to, *one);
    return out;
  }
  template <class Body>
  std::optional<Body> last() const {
    auto const found = all<Body>();
    return found.empty() ? std::nullopt : std::optional(found.back().second);
  }
  bool votes_for(std::string const& whom, raft::term t, raft::configuration const& c = five(),
                 raft::term permit = 0) {
    hear(whom, wire::ask_vote{false, t, permit, c});
    auto const v = last<wire::vote>();
    return v && v->granted;
  }
  wire::heartbeat heartbeat(raft::term t, std::uint64_t round = 1) const {
    return {t, raft::token_of(t, 1), round, wire::stamp_of(five()), std::nullopt, {}, false, 300ms};
  }
  void stand() { // until it asks for votes
    for (int i = 0; i < 50 && !last<wire::ask_vote>(); ++i) pass(20ms);
  }
  void lead() {
    stand();
    auto const pre = *last<wire::ask_vote>();
    for (auto const& [n, i] : {std::pair("a@h", 1), std::pair("b@h", 2)})
      hear(n, wire::vote{true, pre.term, pre.term - 1, true, static_cast<std::uint64_t>(i)});
    for (auto const& [n, i] : {std::pair("a@h", 1), std::pair("b@h", 2)})
      hear(n, wire::vote{false, pre.term, pre.term, true, static_cast<std::uint64_t>(i)});
  }
  wire::heartbeat_reply reply(std::uint64_t instance, std::uint64_t round, std::uint64_t version = 1) {
    auto const t = status().term;
    return {t, round, instance, {t, version}, 1, 90ms};
  }
  raft::status status() const { return core_.status(now); }
  raft::core& core() { return core_; }

  base::time_point now{};
  bool saves = true;
  std::uint64_t unsaved = 0;
  raft::durable disk;
  std::vector<std::pair<std::string, wire::body>> said;
  std::vector<raft::news> news;

private:
  raft::core core_;
};

} // namespace

// ---- 3.3 and 3.4

TEST_CASE("election, paper: if one server's current term is smaller than the other's, it updates it (3.3)") {
  paper p;
  p.hear("a@h", p.heartbeat(7));
  CHECK(p.status().term == 7);
  CHECK(p.disk.term == 7);
}

TEST_CASE("election, paper: a leader that discovers that its term is out of date is follower at once (3.3)") {
  paper p;
  p.lead();
  REQUIRE(p.status().role == raft::role::leader);
  p.hear("c@h",
         wire::heartbeat{8, raft::token_of(8, 1), 1, wire::stamp_of(five()), std::nullopt, {}, false, 1s});
  CHECK(p.status().role == raft::role::follower);
  CHECK(p.status().leader == "c@h");
  CHECK(p.status().lease_left == 0ms);
}

TEST_CASE("election, paper: a request with a stale term is refused (3.3)") {
  paper p;
  CHECK_FALSE(p.votes_for("a@h", 2));
  CHECK(p.last<wire::vote>()->term == 3); // so that it learns
  p.hear("a@h", p.heartbeat(2));
  CHECK(p.status().leader.empty());
}

TEST_CASE("election, paper: to begin an election it increments its term and votes for itself (3.4)") {
  paper p;
  p.stand();
  auto const pre = *p.last<wire::ask_vote>();
  CHECK(pre.pre);
  CHECK(pre.term == 4);
  CHECK(p.disk.term == 3);
  p.hear("a@h", wire::vote{true, 4, 3, true, 1});
  CHECK(p.all<wire::ask_vote>().empty()); // two of five
  p.hear("b@h", wire::vote{true, 4, 3, true, 2});
  CHECK(p.disk.term == 4);
  CHECK(p.disk.voted_for == "me@h");
  CHECK(p.all<wire::ask_vote>().size() == 4); // in parallel
}

TEST_CASE(
    "election, paper: a candidate wins if it receives votes from a majority of the full cluster (3.4)") {
  paper p;
  p.stand();
  p.hear("a@h", wire::vote{true, 4, 3, true, 1});
  p.hear("b@h", wire::vote{true, 4, 3, true, 2});
  p.hear("a@h", wire::vote{false, 4, 4, true, 1});
  p.hear("a@h", wire::vote{false, 4, 4, true, 1}); // the same vote
  p.hear("c@h", wire::vote{true, 4, 3, true, 3});  // none for this
  p.hear("c@h", wire::vote{false, 3, 4, true, 3}); // .. for another term
  p.hear("x@h", wire::vote{false, 4, 4, true, 7}); // no voter
  p.hear("d@h", wire::vote{false, 4, 4, true, 5}); // one that has lost its state is another voter
  CHECK(p.status().role == raft::role::candidate);
  p.hear("b@h", wire::vote{false, 4, 4, true, 2});
  CHECK(p.status().role == raft::role::leader);
  // "It then sends heartbeat messages to all of the other servers", and again with the configuration of its
  // term.
  CHECK(p.all<wire::heartbeat>().size() == 8);
  CHECK(p.status().lease_left == 0ms); // nobody has answered
}

TEST_CASE(
    "election, paper: each server votes for at most one candidate in a term, first come first served (3.4)") {
  paper p;
  CHECK(p.votes_for("a@h", 4));
  CHECK_FALSE(p.votes_for("b@h", 4));
  CHECK(p.votes_for("a@h", 4)); // asked twice
  // .. whatever happens to it
  paper again(p.disk);
  CHECK_FALSE(again.votes_for("b@h", 4));
  CHECK(again.votes_for("a@h", 4));
  CHECK(again.votes_for("b@h", 5));
}

TEST_CASE(
    "election, paper: a candidate that hears a leader of its term or a later one is follower again (3.4)") {
  paper p;
  p.stand();
  p.hear("a@h", wire::vote{true, 4, 3, true, 1});
  p.hear("b@h", wire::vote{true, 4, 3, true, 2});
  p.hear("c@h", p.heartbeat(3));
  CHECK(p.status().role == raft::role::candidate);
  p.hear("c@h", p.heartbeat(4));
  CHECK(p.status().role == raft::role::follower);
  CHECK(p.status().leader == "c@h");
}

TEST_CASE("election, paper: votes and terms are on disk before anything is said that rests on them (3.8)") {
  paper p;
  p.saves = false;
  CHECK_FALSE(p.votes_for("a@h", 4));
  CHECK(p.said.empty());
  p.said.clear();
  p.on(raft::saved{p.unsaved});
  CHECK(p.last<wire::vote>()->granted);
  p.hear("a@h", p.heartbeat(5));
  CHECK(p.said.empty());
  p.on(raft::saved{p.unsaved});
  CHECK(p.last<wire::heartbeat_reply>());
}

TEST_CASE("election, paper: what could not be saved is never said") {
  paper p;
  p.saves = false;
  CHECK_FALSE(p.votes_for("a@h", 4));
  p.on(raft::save_failed{p.unsaved, "full"});
  CHECK(p.status().role == raft::role::abstaining);
  p.pass(400ms); // it tries again
  p.saves = true;
  p.said.clear();
  p.on(raft::saved{p.unsaved});
  CHECK(p.all<wire::vote>().empty());
  CHECK_FALSE(p.votes_for("b@h", 4)); // it had decided for a
  CHECK(p.votes_for("a@h", 4));
}

TEST_CASE("election, paper: votes that nobody can have given yet do not elect") {
  paper p;
  p.stand();
  p.saves = false;
  for (auto const& [n, i] : {std::pair("a@h", 1), std::pair("b@h", 2)})
    p.hear(n, wire::vote{true, 4, 3, true, static_cast<std::uint64_t>(i)});
  for (auto const& [n, i] : {std::pair("a@h", 1), std::pair("b@h", 2), std::pair("c@h", 3)})
    p.hear(n, wire::vote{false, 4, 4, true, static_cast<std::uint64_t>(i)});
  CHECK(p.status().role == raft::role::candidate);
  p.on(raft::saved{p.unsaved});
  CHECK(p.status().role == raft::role::leader);
}

// ---- 4.2.3 and 9.6

TEST_CASE("election, paper: within the minimum election timeout of hearing from a leader it grants nothing "
          "(4.2.3)") {
  paper p;
  p.hear("a@h", p.heartbeat(3));
  p.pass(149ms);
  CHECK_FALSE(p.votes_for("b@h", 9));
  CHECK(p.disk.term == 3); // "it does not update its term"
  CHECK(p.last<wire::vote>()->wait == 1ms);
  p.hear("b@h", wire::ask_vote{true, 9, 0, five()});
  CHECK_FALSE(p.last<wire::vote>()->granted);
}

TEST_CASE("election, paper: who is told that its leader is dead still keeps what it has promised") {
  paper p;
  p.hear("a@h", p.heartbeat(3));
  p.on(raft::suspected_dead{"a@h"});
  p.pass(89ms);
  CHECK_FALSE(p.votes_for("b@h", 9));
  p.pass(1ms);
  CHECK(p.votes_for("b@h", 9));
}

TEST_CASE("election, paper: a leader refuses all votes, as it hears itself") {
  paper p;
  p.lead();
  CHECK_FALSE(p.votes_for("c@h", 9));
  CHECK(p.status().role == raft::role::leader);
}

TEST_CASE("election, paper: pre-vote changes nothing of who is asked (9.6)") {
  paper p;
  auto const before = p.disk;
  p.hear("a@h", wire::ask_vote{true, 9, 0, five()});
  CHECK(p.last<wire::vote>()->granted);
  p.hear("b@h", wire::ask_vote{true, 9, 0, five()});
  CHECK(p.last<wire::vote>()->granted); // and binds to nobody
  p.hear("b@h", wire::ask_vote{true, 3, 0, five()});
  CHECK_FALSE(p.last<wire::vote>()->granted);
  CHECK(p.disk == before);
}

// ---- 3.10, 6.2, 6.4

TEST_CASE("election, paper: TimeoutNow is as the election timer firing, without pre-vote (3.10)") {
  paper p;
  p.hear("a@h", p.heartbeat(3));
  p.hear("b@h", wire::timeout_now{3}); // not its leader
  CHECK(p.said.empty());
  p.hear("a@h", wire::timeout_now{2}); // an old word
  CHECK(p.said.empty());
  p.hear("a@h", wire::timeout_now{3});
  REQUIRE(p.all<wire::ask_vote>().size() == 4);
  CHECK(p.last<wire::ask_vote>()->term == 4);
  CHECK(p.last<wire::ask_vote>()->permit == 3);
}

TEST_CASE(
    "election, paper: the leader's own word sets its followers free, and only from itself (3.10, 6.4)") {
  paper p;
  p.hear("a@h", p.heartbeat(3));
  CHECK_FALSE(p.votes_for("b@h", 4, five(), 2));
  CHECK(p.votes_for("b@h", 4, five(), 3));
}

TEST_CASE("election, paper: a leader steps down when no majority answers within the election timeout (6.2)") {
  paper p;
  p.lead();
  p.pass(200ms);
  p.hear("a@h", p.reply(1, 1)); // one of four
  p.pass(99ms);
  CHECK(p.status().role == raft::role::leader);
  p.pass(1ms);
  CHECK(p.status().role == raft::role::follower);
  CHECK(p.status().leader.empty());
}

TEST_CASE("election, paper: the lease is counted from when the round was sent, and is shorter than the "
          "promise (6.4.1)") {
  paper p;
  p.lead();
  p.pass(20ms); // round 1 was sent 20 ms ago
  p.hear("a@h", p.reply(1, 1));
  CHECK(p.status().lease_left == 0ms);
  p.hear("b@h", p.reply(2, 1));
  CHECK(p.status().lease_left > 67ms);
  CHECK(p.status().lease_left < 69ms); // 90 - 20, and twice the drift
  p.hear("b@h", p.reply(2, 99));       // a round that was never sent
  CHECK(p.status().lease_left < 69ms);
  p.pass(69ms);
  CHECK(p.status().lease_left == 0ms);
}

// Its own vote is one of the majority that the lease rests on; whoever asked may rely on what was left of it.
TEST_CASE("election, paper: a leader that stops leading votes for nobody else before its lease is over") {
  paper p;
  p.lead();
  p.hear("a@h", p.reply(1, 1));
  p.hear("b@h", p.reply(2, 1));
  auto const left = p.status().lease_left;
  REQUIRE(left > 80ms);
  auto const config = five(1, p.status().term);
  p.said.clear();
  SUBCASE("because an answer to its heartbeat has a later term") {
    p.hear("c@h", wire::heartbeat_reply{9, 0, 3, {p.status().term, 1}});
  }
  SUBCASE("because a late answer to its campaign has one") {
    p.hear("c@h", wire::vote{false, p.status().term, 9, false, 3});
  }
  REQUIRE(p.status().lease_left == 0ms);
  REQUIRE(p.last<wire::ask_vote>());
  CHECK(p.last<wire::ask_vote>()->term == 10); // itself at once, without pre-vote
  p.pass(left - 1ms);
  CHECK_FALSE(p.votes_for("c@h", 20, config));
  CHECK(p.last<wire::vote>()->wait == 1ms);
  CHECK(p.disk.term == 10);
  p.pass(1ms);
  CHECK(p.votes_for("c@h", 20, config));
}

TEST_CASE("election, paper: who hands over has no lease from then on, and never in this term again") {
  paper p;
  p.lead();
  p.hear("a@h", p.reply(1, 1));
  p.hear("b@h", p.reply(2, 1));
  REQUIRE(p.status().lease_left > 0ms);
  auto const t = p.status().term;
  p.said.clear();
  p.on(raft::transfer{1, "a@h"});
  CHECK(p.last<wire::timeout_now>());
  CHECK(p.status().lease_left == 0ms);
  p.hear("a@h", wire::heartbeat_reply{t, 1, 1, {t, 1}, 1, 90ms});
  p.hear("b@h", wire::heartbeat_reply{t, 1, 2, {t, 1}, 1, 90ms});
  CHECK(p.status().lease_left == 0ms);
  CHECK_FALSE(p.votes_for("c@h", t + 2, five(1, t))); // whom it has not given the word
  CHECK(p.votes_for("a@h", t + 1, five(1, t), t));
}

// ---- Schultz, Dardik and Tripakis

TEST_CASE("election, paper: a voter refuses a candidate whose configuration is older than its own") {
  paper p({.instance = 9, .term = 3, .config = five(5, 3)});
  CHECK_FALSE(p.votes_for("a@h", 4, five(4, 3)));
  CHECK(p.last<wire::vote>()->config == five(5, 3)); // so that it learns
  CHECK(p.disk.term == 3);
  CHECK_FALSE(p.votes_for("a@h", 4, five(9, 2))); // ordered by term first
  CHECK(p.votes_for("a@h", 4, five(1, 4)));
}

TEST_CASE("election, paper: a newer configuration is taken, from whoever has it, and an older one never") {
  paper p({.instance = 9, .term = 3, .config = five(5, 3)});
  p.hear("c@h", wire::hello{false, 3, 1, true, 0, 3, five(6, 3)});
  CHECK(p.status().config.version == 6);
  p.hear("c@h", wire::hello{false, 3, 1, true, 0, 3, five(5, 3)});
  p.hear("c@h", wire::hello{false, 3, 1, true, 0, 3, five(9, 2)});
  CHECK(p.status().config.version == 6);
}

TEST_CASE("election, paper: a new leader makes the configuration its own term's before it changes it") {
  paper p;
  p.lead();
  CHECK(p.status().config.term == 4);
  CHECK(p.disk.config.term == 4);
  p.on(raft::remove_voter{1, "d@h"});
  CHECK(p.status().config.voters.size() == 5);
  // A majority that has it only as it was is not enough: nor is one that has it in too few places.
  auto old = p.reply(1, 1);
  old.config.term = 3;
  p.hear("a@h", old);
  auto old_b = p.reply(2, 1);
  old_b.config.term = 3;
  p.hear("b@h", old_b);
  CHECK(p.status().config.voters.size() == 5);
  p.hear("a@h", p.reply(1, 1));
  CHECK(p.status().config.voters.size() == 5);
  p.hear("b@h", p.reply(2, 1));
  CHECK(p.status().config.voters.size() == 4);
  // And the next one waits for this one.
  p.on(raft::remove_voter{2, "c@h"});
  p.hear("a@h", p.reply(1, 1));
  CHECK(p.status().config.voters.size() == 4);
}

TEST_CASE("election, paper: others' clusters are not heard") {
  paper p;
  auto other = five();
  other.cluster = 43;
  p.hear("a@h", wire::ask_vote{false, 9, 0, other}, 43);
  p.hear("a@h", p.heartbeat(9), 43);
  p.hear("a@h", wire::hello{true, 1, 1, true, 0, 9, other}, 43);
  CHECK(p.said.empty());
  CHECK(p.status().term == 3);
  CHECK(std::count_if(p.news.begin(), p.news.end(),
                      [](auto const& n) { return std::holds_alternative<raft::foreign_cluster>(n); }) == 1);
}

TEST_CASE("election, paper: two leaders of one term are none of ours: the second is not heard") {
  paper p;
  p.hear("a@h", p.heartbeat(3));
  p.hear("b@h", p.heartbeat(3));
  CHECK(p.status().leader == "a@h");
  CHECK(p.core().malformed_count() == 1);
  p.on(raft::message{"a@h", "nothing"});
  CHECK(p.core().malformed_count() == 2);
}
