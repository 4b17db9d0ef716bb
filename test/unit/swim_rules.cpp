// Membership, rule by rule: what the papers say of one member, each in three beats.
#include "swim/directory.hpp"
#include "swim/order.hpp"
#include "swim/queue.hpp"
#include "swim/suspicion.hpp"
#include "unit/swim_paper.hpp"

#include <set>

using namespace remora;
using namespace std::chrono_literals;
using swim::message_kind;
using swim::status;
using test::lines;
using paper = test::swim_paper;

namespace {

lines sends(lines const& all) {
  lines out;
  for (auto const& l : all)
    if (l.starts_with("send ")) out.push_back(l);
  return out;
}
// Wakes until something is sent that contains these words.
lines until_sent(paper& p, std::string_view words, int wakes_max = 100) {
  for (int i = 0; i < wakes_max; ++i) {
    auto const out = p.wake();
    if (paper::count(out, words) > 0) return out;
  }
  return {};
}
std::string target_of(lines const& sent) { // of the first probe among them
  for (auto const& l : sent)
    if (auto const at = l.find(" ping "); at != std::string::npos) return l.substr(l.find(" of ") + 4, 3);
  return {};
}

} // namespace

// SWIM, 3.1: at the period's end the member is declared failed if no ack has come, directly or indirectly.
TEST_CASE("swim rule: a probe is direct, then indirect by k members, then a suspicion") {
  paper p;
  p.with({"b@h", "c@h", "d@h", "e@h", "f@h"});
  auto const sent = until_sent(p, " ping ");
  auto const target = target_of(sent);
  auto const began = p.now;
  auto const asked = p.wake();
  CHECK(p.now - began == 400ms); // two fifths of the interval
  CHECK(paper::count(asked, "ping_req") == 3);
  CHECK(paper::count(asked, "ping_req " + std::to_string(0)) == 0);
  CHECK(paper::count(asked, " of " + target) == 3);
  auto const over = p.wake();
  CHECK(p.now - began == 1s);
  CHECK(paper::count(over, "news: suspected " + target + " by me@h") == 1);
  CHECK(p.find(target).status == status::suspect);
}

TEST_CASE("swim rule: an ack of anybody who was asked ends the probe, and nobody is suspected") {
  for (bool const direct : {true, false}) {
    paper p;
    p.with({"b@h", "c@h", "d@h", "e@h", "f@h"});
    auto const target = target_of(until_sent(p, " ping "));
    swim::message m;
    std::vector<swim::update> updates;
    std::uint32_t sequence = 0;
    for (auto const& e : p.last)
      if (auto const* const s = std::get_if<swim::send_packet>(&e))
        if (swim::read(s->bytes, {}, m, updates)) sequence = m.sequence;
    if (!direct) p.wake();
    p.hears(paper::from(direct ? target : target == "b@h" ? "c@h" : "b@h", message_kind::ack, sequence));
    if (direct) CHECK(paper::count(p.wake(), "ping_req") == 0);
    p.pass(1s);
    CHECK(p.find(target).status == status::alive);
  }
}

// SWIM, 4.3: each member is probed once in each round through the list.
TEST_CASE("swim rule: round-robin goes through all others") {
  swim::directory d;
  swim::probe_order o(d);
  std::vector<swim::directory::id> all;
  for (int i = 0; i < 37; ++i) {
    all.push_back(d.take(fmt::format("n{}@h", i)));
    o.add(all.back());
  }
  for (std::uint64_t round = 0; round < 5; ++round) {
    std::set<swim::directory::id> seen;
    for (std::uint64_t i = 0; i < 36; ++i) seen.insert(o.target(all[3], round * 36 + i));
    CHECK(seen.size() == 36);
    CHECK_FALSE(seen.contains(all[3]));
  }
}

// Ours: and in each period each is probed by exactly one other.
TEST_CASE("swim rule: members with the same view probe each of them once in a period") {
  for (std::size_t n : {2U, 3U, 4U, 7U, 100U}) {
    swim::directory d;
    swim::probe_order o(d);
    std::vector<swim::directory::id> all;
    for (std::size_t i = 0; i < n; ++i) {
      all.push_back(d.take(fmt::format("n{}@h", i)));
      o.add(all.back());
    }
    for (std::uint64_t period = 1'000'000; period < 1'000'050; ++period) {
      std::set<swim::directory::id> targets;
      for (auto const self : all) targets.insert(o.target(self, period));
      CHECK(targets.size() == n);
    }
  }
  swim::directory d;
  swim::probe_order o(d);
  auto const alone = d.take("a@h");
  o.add(alone);
  CHECK(o.target(alone, 1) == swim::directory::none);
}

TEST_CASE("swim rule: the order is the same wherever it is made, and follows who comes and goes") {
  swim::directory one, two;
  swim::probe_order a(one), b(two);
  for (auto const* const n : {"a@h", "b@h", "c@h", "d@h"}) a.add(one.take(n));
  for (auto const* const n : {"d@h", "x@h", "c@h", "b@h", "a@h"}) b.add(two.take(n));
  CHECK(b.size() == 5);
  b.remove(two.find("x@h"));
  b.add(two.find("x@h"));
  b.remove(two.find("x@h"));
  CHECK(a.size() == 4);
  CHECK(b.size() == 4);
  for (std::uint64_t k = 0; k < 20; ++k)
    CHECK(one.name(a.target(one.find("b@h"), k)) == two.name(b.target(two.find("b@h"), k)));
}

// SWIM, 4.2: alive(i) overrides suspect(j) and alive(j) of i > j; suspect(i) overrides suspect(j) of i > j
// and alive(j) of i >= j; a failure overrides both of any such incarnation.
TEST_CASE("swim rule: which saying overrides which") {
  struct row {
    swim::update had, comes;
    status becomes;
    std::uint32_t incarnation;
  };
  for (auto const& r : std::vector<row>{
           {paper::alive("c@h", 1), paper::alive("c@h", 1), status::alive, 1},
           {paper::alive("c@h", 1), paper::alive("c@h", 2), status::alive, 2},
           {paper::alive("c@h", 1), paper::suspect("c@h", 0), status::alive, 1},
           {paper::alive("c@h", 1), paper::suspect("c@h", 1), status::suspect, 1},
           {paper::alive("c@h", 1), paper::suspect("c@h", 2), status::suspect, 2},
           {paper::alive("c@h", 1), paper::dead("c@h", 0), status::alive, 1},
           {paper::alive("c@h", 1), paper::dead("c@h", 1), status::dead, 1},
           {paper::alive("c@h", 1), paper::left("c@h", 2), status::left, 2},
           {paper::suspect("c@h", 1), paper::alive("c@h", 1), status::suspect, 1},
           {paper::suspect("c@h", 1), paper::alive("c@h", 2), status::alive, 2},
           {paper::suspect("c@h", 1), paper::dead("c@h", 1), status::dead, 1},
           {paper::dead("c@h", 1), paper::alive("c@h", 1), status::dead, 1},
           {paper::dead("c@h", 1), paper::suspect("c@h", 1), status::dead, 1},
           {paper::dead("c@h", 1), paper::alive("c@h", 2), status::alive, 2},
           {paper::dead("c@h", 1), paper::suspect("c@h", 2), status::suspect, 2},
           {paper::left("c@h", 1), paper::dead("c@h", 1), status::left, 1},
           {paper::left("c@h", 1), paper::alive("c@h", 1), status::left, 1},
           {paper::left("c@h", 1), paper::alive("c@h", 0, test::paper_noon + 1), status::alive, 0},
           {paper::dead("c@h", 9), paper::alive("c@h", 0, test::paper_noon + 1), status::alive, 0},
           {paper::alive("c@h", 1), paper::alive("c@h", 9, test::paper_noon - 1), status::alive, 1},
       }) {
    paper p;
    p.start();
    p.gossip({paper::alive("b@h")});
    p.gossip({paper::alive("c@h", r.had.what == swim::update_kind::alive ? r.had.incarnation : 0)});
    p.gossip({r.had});
    p.gossip({r.comes});
    CAPTURE(static_cast<int>(r.had.what));
    CAPTURE(static_cast<int>(r.comes.what));
    CHECK(p.find("c@h").status == r.becomes);
    CHECK(p.find("c@h").incarnation == r.incarnation);
  }
}

TEST_CASE("swim rule: of who is not known nobody says anything but itself") {
  paper p;
  p.start();
  p.gossip({paper::suspect("c@h"), paper::dead("c@h"), paper::left("c@h")});
  CHECK_FALSE(p.c.find("c@h"));
}

// SWIM, 4.2: a suspected member objects with a greater incarnation, and only it.
TEST_CASE("swim rule: who is accused objects, to the accuser first") {
  paper p;
  p.with({"b@h", "c@h"});
  auto const out = p.gossip({paper::suspect("me@h", 0)});
  CHECK(p.find("me@h").incarnation == 1);
  CHECK(paper::count(out, "send 10.0.0.2:4000 gossip, alive me@h 1") == 1);
  CHECK(p.c.metrics().refutations == 1);
  CHECK(paper::count(p.gossip({paper::suspect("me@h", 0)}), "alive me@h 2") == 0); // it has objected to that
  CHECK(p.find("me@h").incarnation == 1);
  auto const ping = p.hears(
      [] {
        auto m = paper::from("c@h", message_kind::ping, 7);
        m.target = "me@h";
        return m;
      }(),
      {paper::dead("me@h", 5)});
  CHECK(paper::count(ping, "send 10.0.0.3:4000 ack 7, alive me@h 6") == 1);
}

TEST_CASE("swim rule: nobody objects for another") {
  paper p;
  p.with({"b@h", "c@h"});
  p.gossip({paper::suspect("c@h", 0)});
  auto const out = p.pass(1500ms);
  CHECK(paper::count(out, "alive c@h 1") == 0);
  CHECK(p.find("c@h").status == status::suspect);
}

// Lifeguard, IV.B.
TEST_CASE("swim rule: the suspicion timeout falls with the logarithm of the confirmations") {
  CHECK(swim::suspicion_time(2s, 12s, 0, 2) == 12s);
  auto const one = swim::suspicion_time(2s, 12s, 1, 2); // 12 - 10 * log 2 / log 3
  CHECK(one > 5690ms);
  CHECK(one < 5692ms);
  CHECK(swim::suspicion_time(2s, 12s, 2, 2) == 2s);
  CHECK(swim::suspicion_time(2s, 12s, 9, 2) == 2s);
  CHECK(swim::suspicion_time(2s, 12s, 0, 0) == 2s); // nobody is there to confirm
}

TEST_CASE(
    "swim rule: without confirmations a suspicion lasts six times as long, with two of others the least") {
  for (int const others : {0, 1, 2}) {
    paper p;
    p.with({"b@h", "c@h", "d@h", "e@h", "f@h"});
    p.gossip({paper::suspect("c@h", 0, "b@h")});
    p.gossip({paper::suspect("c@h", 0, "b@h")}); // again the same: no confirmation
    if (others > 0) p.gossip({paper::suspect("c@h", 0, "d@h")});
    if (others > 1) p.gossip({paper::suspect("c@h", 0, "e@h")});
    auto const began = p.now;
    while (p.find("c@h").status == status::suspect && p.now - began < 60s) {
      p.wake();
      p.answer_all();
      if (p.find("c@h").status == status::suspect && p.c.metrics().suspicions > 0) break;
    }
    auto const took = p.now - began;
    CHECK(p.find("c@h").status == status::dead);
    if (others == 0) CHECK(took == 12s);
    if (others == 1) CHECK((took > 5600ms && took < 5800ms));
    if (others == 2) CHECK(took == 2s);
  }
}

// Lifeguard, IV.A: a missed nack makes this node think worse of itself, a probe that succeeds better.
TEST_CASE("swim rule: the health multiplier stretches periods and timeouts") {
  paper p;
  p.with({"b@h", "c@h", "d@h", "e@h", "f@h"});
  CHECK(p.c.health().multiplier == 1);
  until_sent(p, " ping ");
  p.pass(1s); // three helpers, no nack
  CHECK(p.c.health().multiplier == 4);
  auto const began = p.now;
  until_sent(p, "ping_req");
  CHECK(p.now - began == 1600ms);
  p.pass(20s);
  CHECK(p.c.health().multiplier == 9); // and not more
  for (int i = 0; i < 200; ++i) {
    p.wake();
    p.answer_all();
  }
  CHECK(p.c.health().multiplier == 1);
}

TEST_CASE("swim rule: nacks keep this node well, and confirm what it suspects") {
  paper p;
  p.with({"b@h", "c@h", "d@h", "e@h", "f@h"});
  auto const target = target_of(until_sent(p, " ping "));
  p.wake(); // helpers are asked
  auto const asked = p.last;
  std::uint32_t sequence = 0;
  swim::message m;
  std::vector<swim::update> updates;
  for (auto const& e : asked)
    if (auto const* const s = std::get_if<swim::send_packet>(&e))
      if (swim::read(s->bytes, {}, m, updates) && m.kind == message_kind::ping_req) sequence = m.sequence;
  for (std::string const by : {"b@h", "c@h", "d@h", "e@h"})
    for (int twice = 0; twice < 2; ++twice)
      if (by != target) p.hears(paper::from(by, message_kind::nack, sequence));
  p.hears(paper::from("f@h", message_kind::nack, sequence));
  p.pass(600ms);
  CHECK(p.c.health().multiplier == 1);
  CHECK(p.find(target).status == status::suspect);
  auto const began = p.now;
  while (p.find(target).status == status::suspect) {
    p.wake();
    p.answer_all();
  }
  CHECK(p.now - began == 2s);
}

TEST_CASE("swim rule: a helper pings, and hands on the ack, or a nack when 80 % of the timeout have passed") {
  for (bool const answers : {true, false}) {
    paper p;
    p.with({"b@h", "c@h"});
    auto ask = paper::from("b@h", message_kind::ping_req, 77);
    ask.target = "c@h";
    ask.at = test::paper_address("c@h");
    auto const out = p.hears(ask);
    REQUIRE(sends(out).size() == 1);
    CHECK(sends(out).front().starts_with("send 10.0.0.3:4000 ping "));
    swim::message m;
    std::vector<swim::update> updates;
    REQUIRE(swim::read(std::get<swim::send_packet>(p.last.front()).bytes, {}, m, updates));
    if (answers) {
      CHECK(paper::count(p.hears(paper::from("c@h", message_kind::ack, m.sequence)),
                         "send 10.0.0.2:4000 ack 77") == 1);
    }
    CHECK(paper::count(p.pass(319ms), "nack") == 0);
    CHECK(paper::count(p.pass(1ms), "send 10.0.0.2:4000 nack 77") == (answers ? 0 : 1));
    if (!answers) // and who answers late is still heard
      CHECK(paper::count(p.hears(paper::from("c@h", message_kind::ack, m.sequence)),
                         "send 10.0.0.2:4000 ack 77") == 1);
    CHECK(paper::count(p.pass(2s), "nack") == 0);
  }
}

// Lifeguard, IV.C, the buddy system.
TEST_CASE("swim rule: a ping to who is suspected tells it so, first of all") {
  paper p;
  p.with({"b@h", "c@h"});
  p.gossip({paper::suspect("c@h", 0)});
  auto const out = until_sent(p, " of c@h");
  bool told = false;
  for (auto const& l : out)
    if (l.find(" of c@h") != std::string::npos) told = l.find(" of c@h, suspect c@h 0") != std::string::npos;
  CHECK(told);
}

TEST_CASE("swim rule: plain SWIM has none of Lifeguard") {
  auto o = test::paper_options();
  o.lifeguard = false;
  paper p(o);
  p.with({"b@h", "c@h", "d@h", "e@h", "f@h"});
  auto const target = target_of(until_sent(p, " ping "));
  p.pass(1s);
  CHECK(p.c.health().multiplier == 1);
  auto const began = p.now;
  CHECK(p.find(target).status == status::suspect);
  while (p.find(target).status == status::suspect) p.wake();
  CHECK(p.now - began == 2s); // always the least
}

// Ours: who is woken late cannot trust its own timers.
TEST_CASE("swim rule: who was late itself gives its probe and its suspicions their time again") {
  paper p;
  p.with({"b@h", "c@h", "d@h"});
  p.gossip({paper::suspect("c@h", 0, "b@h"), paper::suspect("c@h", 0, "d@h")});
  p.gossip({paper::suspect("c@h", 0, "e@h")});
  p.now += 30s; // starved
  p.on(swim::tick{});
  CHECK(p.find("c@h").status == status::suspect);
  CHECK(p.c.health().lag > 20s);
  p.gossip({paper::alive("c@h", 1)}); // the objection had lain unread
  CHECK(p.find("c@h").status == status::alive);
}

TEST_CASE(
    "swim rule: the queue sends what was sent least first, so many times each, and what is new replaces") {
  swim::spread_queue q;
  using fate = swim::spread_queue::fate;
  q.put(1);
  q.put(2);
  std::vector<swim::spread_queue::key> sent;
  auto const one = [&] { // room for one
    bool full = false;
    q.offer(3, [&](auto k) {
      if (full) return fate::no_room;
      full = true;
      sent.push_back(k);
      return fate::sent;
    });
  };
  one();
  one();
  q.put(3);
  one();
  CHECK(sent == std::vector<swim::spread_queue::key>{2, 1, 3});
  q.put(1); // anew
  one();
  CHECK(sent.back() == 1);
  for (int i = 0; i < 20; ++i) one();
  CHECK(q.empty());
  CHECK(std::count(sent.begin(), sent.end(), 1U) == 1 + 3);
  CHECK(std::count(sent.begin(), sent.end(), 2U) == 3);
  CHECK(std::count(sent.begin(), sent.end(), 3U) == 3);
}

// ---- what it has to do beside the papers

TEST_CASE("swim: a new start that others remember with a later clock outbids itself") {
  paper p;
  p.start();
  p.gossip({paper::alive("b@h")});
  auto old = paper::alive("me@h", 3, test::paper_noon + 5000);
  p.gossip({old});
  CHECK(p.find("me@h").epoch == test::paper_noon + 5000);
  CHECK(p.find("me@h").incarnation == 4);
}

TEST_CASE("swim: hearsay kills nobody") {
  paper p;
  p.with({"b@h", "c@h", "d@h"});
  p.on(swim::hearsay{"c@h", status::dead, 99});
  CHECK(p.find("c@h").status == status::alive);
  CHECK(paper::count(until_sent(p, " ping "), " of c@h") == 1); // but it is probed at once
  p.answer_all();
  p.pass(300ms);
  CHECK(p.find("c@h").status == status::alive);
  p.on(swim::hearsay{"nobody@h", status::alive, 1});
  CHECK_FALSE(p.c.find("nobody@h"));
  p.gossip({paper::dead("d@h", 2)});
  auto const out = p.on(swim::hearsay{"d@h", status::alive, 3});
  CHECK(paper::count(out, "ping of d@h, dead d@h 2") == 1); // only d can say so
  CHECK(p.find("d@h").status == status::dead);
  CHECK(p.on(swim::hearsay{"d@h", status::alive, 1}).empty()); // older than what is known
}

TEST_CASE("swim: hearsay is told to another, and of this node it objects") {
  paper p;
  p.with({"b@h"});
  auto const out = p.on(swim::tell_hearsay{"b@h", {{"c@h", status::suspect, 4}, {"", status::dead, 1}}});
  CHECK(out == lines{"tell b@h rumours, hearsay c@h suspect 4"});
  p.told(paper::from("b@h", message_kind::rumours),
         {{.what = swim::update_kind::hearsay, .node = "me@h", .incarnation = 5, .held = status::dead}});
  CHECK(p.find("me@h").incarnation == 6);
}

TEST_CASE("swim: the dead are expelled only when that is wanted, and only who is connected") {
  for (auto const e : {swim::expelling::never, swim::expelling::dead}) {
    auto o = test::paper_options();
    o.expel = e;
    paper p(o);
    p.with({"b@h", "c@h", "d@h"});
    p.on(swim::peer_up{"c@h", 1});
    auto const connected = p.gossip({paper::dead("c@h", 0)});
    CHECK(paper::count(connected, "expel c@h") == (e == swim::expelling::dead ? 1 : 0));
    CHECK(paper::count(p.gossip({paper::dead("d@h", 0)}), "expel") == 0);
    p.on(swim::peer_up{"b@h", 1});
    CHECK(paper::count(p.gossip({paper::left("b@h", 1)}), "expel") == 0); // leaving is no death
  }
}

TEST_CASE("swim: the leader is the greatest name that is there") {
  paper p;
  CHECK(p.c.leader().empty());
  CHECK(paper::count(p.start(), "news: leader me@h") == 1);
  CHECK(paper::count(p.gossip({paper::alive("b@h")}), "leader") == 0);
  CHECK(paper::count(p.gossip({paper::alive("z@h")}), "news: leader z@h") == 1);
  CHECK(paper::count(p.gossip({paper::suspect("z@h")}), "leader") == 0);
  CHECK(paper::count(p.gossip({paper::dead("z@h")}), "news: leader me@h") == 1);
}

TEST_CASE("swim: after it has left nothing is sent, and nothing is due") {
  paper p;
  p.with({"b@h", "c@h"});
  auto const out = p.on(swim::leave{});
  CHECK(paper::count(out, "gossip, left me@h 1") == 2);
  CHECK(paper::count(out, "news: left me@h") == 1);
  CHECK_FALSE(p.c.next_deadline());
  CHECK(p.on(swim::tick{}).empty());
  CHECK(p.gossip({paper::alive("d@h")}).empty());
  CHECK(p.on(swim::peer_up{"d@h", 1}).empty());
  CHECK(p.on(swim::user_event{"x", "y"}).empty());
  CHECK(p.on(swim::leave{}).empty());
}

TEST_CASE("swim: before it has started nothing is sent, and nothing is due") {
  paper p;
  CHECK_FALSE(p.c.next_deadline());
  CHECK(p.on(swim::peer_up{"b@h", 1}).empty());
  CHECK(p.gossip({paper::alive("c@h")}).empty());
  CHECK(p.on(swim::tick{}).empty());
  CHECK(p.on(swim::set_metadata{{}}).empty());
  CHECK(paper::count(p.start(), "tell b@h hello, alive me@h 0") == 1);
  CHECK(p.start().empty()); // once
}

TEST_CASE("swim: other options while it runs") {
  paper p;
  p.with({"b@h", "c@h"});
  auto o = test::paper_options();
  o.interval = 200ms;
  p.on(swim::configure{o});
  CHECK(*p.c.next_deadline() - p.now <= 200ms);
  std::size_t probes = p.c.metrics().probes;
  for (auto const until = p.now + 2s; p.now < until;) {
    p.wake();
    p.answer_all();
  }
  CHECK(p.c.metrics().probes - probes >= 9);
  CHECK(p.c.metrics().probes - probes <= 11);
}

TEST_CASE("swim: bytes that are no message change nothing but a counter") {
  paper p;
  p.with({"b@h"});
  base::random r(7);
  auto const before = p.c.members();
  for (int i = 0; i < 1000; ++i) {
    std::string bytes;
    for (auto n = r.below(60); n > 0; --n) bytes += static_cast<char>(r.below(256));
    CHECK(p.on(swim::packet{bytes, test::paper_address(9)}).empty());
    CHECK(p.on(swim::peer_message{"b@h", bytes}).empty());
  }
  CHECK(p.c.metrics().malformed == 2000);
  CHECK(p.c.members().size() == before.size());
  // Each in its own place: no push-pull in a datagram, no ping over the distribution, nobody in another's
  // name.
  p.hears(paper::from("b@h", message_kind::sync));
  p.told(paper::from("b@h", message_kind::ping));
  p.on(swim::peer_message{"c@h", paper::bytes_of(paper::from("b@h", message_kind::hello))});
  CHECK(p.c.metrics().malformed == 2002 + 1);
}

TEST_CASE("swim: what packets cannot hold at once is told more often") {
  for (auto const& given : {std::pair{5, 200ms}, {40, 40ms}}) {
    auto const count = given.first;
    auto const pause = given.second;
    CAPTURE(count);
    paper p;
    p.with({"b@h", "c@h", "d@h"});
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back(fmt::format("n{}@h", i));
    std::vector<swim::update> news;
    for (auto const& n : names) news.push_back(paper::alive(n));
    p.told(paper::from("b@h", message_kind::rumours), news);
    p.gossip(news);
    std::vector<base::time_point> times;
    while (times.size() < 4)
      if (paper::count(p.wake(), " gossip") > 0) times.push_back(p.now);
    CHECK(times[2] - times[1] == pause);
    CHECK(times[3] - times[2] == pause);
  }
}

// Who was cut off could not tell those whom it suspects.
TEST_CASE("swim: who hears one of the dead again tells the suspected so, too") {
  paper p;
  p.with({"b@h", "c@h", "d@h"});
  p.gossip({paper::dead("c@h")});
  p.gossip({paper::suspect("d@h")});
  CHECK(paper::count(p.pass(150ms), "ping of d@h") == 0);
  p.gossip({paper::alive("c@h", 1)}, "c@h");
  CHECK(paper::count(p.pass(250ms), "ping of d@h, suspect d@h 0") > 0);
}

TEST_CASE("swim: a ping for another is not answered") {
  paper p;
  p.with({"b@h"});
  auto m = paper::from("b@h", message_kind::ping, 5);
  m.target = "you@h";
  CHECK(sends(p.hears(m)).empty());
  m.target = "me@h";
  CHECK(sends(p.hears(m)).size() == 1);
}

TEST_CASE("swim: who is not known and pings is asked who it is") {
  paper p;
  p.with({"b@h"});
  auto m = paper::from("q@h", message_kind::ping, 5);
  m.target = "me@h";
  CHECK(paper::count(p.hears(m), "ack 5, who are you?") == 1);
  auto ack = paper::from("b@h", message_kind::ack, 1);
  ack.flags = swim::message::introduce;
  CHECK(paper::count(p.hears(ack), "send 10.0.0.2:4000 gossip, alive me@h 0") == 1);
}
