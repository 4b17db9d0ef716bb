// The core of discovery on paper: each rule of its rounds, its dialling and its disconnecting in three beats.
#include "unit/discovery_paper.hpp"

#include <fmt/format.h>

#include <set>

using namespace remora;
using namespace remora::discovery;
using namespace std::chrono_literals;
using test::custom_only;
using test::lines;
using paper = test::discovery_paper;

namespace {

options with(options o, auto change) {
  change(o);
  return o;
}
options poll_free() { // only asked for
  return with(custom_only(), [](options& o) { o.poll_interval = 0s; });
}

} // namespace

TEST_CASE("discovery: the first round begins at once, and says what came of it") {
  paper p(custom_only());
  CHECK_FALSE(p.c.next_deadline());
  CHECK(p.start() == lines{"ask 1 list_by_app"});
  CHECK(paper::sorted(p.lists(1, {"b@h", "c@h"})) == lines{"connect companion b@h", "connect companion c@h"});
  CHECK(p.up("b@h").empty());
  CHECK(p.up("c@h") == lines{"tell refreshed ok [b@h c@h]"});
}

TEST_CASE("discovery: rounds come each poll interval, with jitter both ways") {
  paper p(custom_only());
  p.start();
  p.lists(1, {});
  CHECK(p.pass(4999ms).empty());
  CHECK(p.pass(1ms) == lines{"ask 2 list_by_app"});
  std::set<base::duration> seen;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    paper q(with(custom_only(), [](options& o) { o.poll_jitter = 0.1; }), seed);
    q.start();
    q.lists(1, {});
    auto const next = *q.c.next_deadline() - q.now;
    CHECK(next >= 4500ms);
    CHECK(next <= 5500ms);
    seen.insert(next);
  }
  CHECK(seen.size() == 50);
  CHECK(*seen.begin() < 4750ms);
  CHECK(*seen.rbegin() > 5250ms);
}

TEST_CASE("discovery: a poll interval of 0 polls never") {
  paper p(poll_free());
  p.start();
  CHECK(p.lists(1, {}) == lines{"tell refreshed ok []"});
  CHECK_FALSE(p.c.next_deadline());
}

TEST_CASE("discovery: this node is never dialled, nor the app's by itself") {
  paper p(with(custom_only(), [](options& o) { o.who = side::both; }));
  p.on(app_here{"app@h"});
  p.start();
  CHECK(p.lists(1, {"me@h", "app@h"}) == lines{"connect companion app@h"});
  CHECK(p.up("app@h") == lines{"tell refreshed ok []"});
}

TEST_CASE("discovery: of both sides the companion dials first, the app when that has ended") {
  paper p(with(custom_only(), [](options& o) { o.who = side::both; }));
  p.on(app_here{"app@h"});
  p.start();
  CHECK(p.lists(1, {"b@h", "c@h"}).size() == 2);
  CHECK(p.up("b@h") == lines{"connect app b@h"});
  CHECK(paper::count(p.fails("c@h"), "connect app c@h") == 1);
  CHECK(p.up("b@h", side::app).empty());
  CHECK(p.up("c@h", side::app) == lines{"tell refreshed connect_failed [b@h]; companion c@h: refused"});
}

TEST_CASE("discovery: without an app its side is not asked for; when it comes it catches up") {
  paper p(with(custom_only(), [](options& o) { o.who = side::both; }));
  p.start();
  p.lists(1, {"b@h"});
  CHECK(p.up("b@h") == lines{"tell refreshed ok [b@h]"});
  CHECK(p.up("x@h", side::app).empty()); // a late word of a VM that has gone
  CHECK(p.on(app_here{"app@h"}) == lines{"connect app b@h"});
  CHECK(p.up("b@h", side::app).empty());
  CHECK(p.on(app_gone{}).empty());
  CHECK(p.on(app_here{"app@h"}) == lines{"connect app b@h"});
}

TEST_CASE("discovery: the app alone can be asked for") {
  paper p(with(custom_only(), [](options& o) { o.who = side::app; }));
  p.on(app_here{"app@h"});
  p.start();
  CHECK(p.lists(1, {"b@h", "me@h"}) == lines{"connect app b@h"});
  CHECK(p.up("b@h", side::app) == lines{"tell refreshed ok [b@h]"});
}

TEST_CASE("discovery: nodes that are connected already are not dialled") {
  paper p(custom_only());
  p.up("b@h");
  p.start();
  CHECK(p.lists(1, {"b@h"}) == lines{"tell refreshed ok [b@h]"});
}

TEST_CASE("discovery: one node's failure stops no other") {
  paper p(custom_only());
  p.start();
  p.lists(1, {"a@h", "b@h", "c@h"});
  CHECK(paper::count(p.fails("b@h"), "tell connect_failed companion b@h: refused, next in ") == 1);
  p.up("a@h");
  CHECK(p.up("c@h") == lines{"tell refreshed connect_failed [a@h c@h]; companion b@h: refused"});
}

TEST_CASE("discovery: a round does not wait for a black hole longer than one attempt may take") {
  paper p(poll_free());
  p.start();
  p.lists(1, {"black@h", "b@h"});
  p.up("b@h");
  CHECK(p.pass(7249ms).empty());
  auto const at_last = p.pass(1ms);
  CHECK(paper::count(at_last, "tell connect_failed companion black@h: no outcome within 7250 ms") == 1);
  CHECK(paper::count(at_last, "tell refreshed connect_failed [b@h]; companion black@h: no outcome") == 1);
}

TEST_CASE("discovery: at most dial_limit attempts are under way, of both sides together") {
  paper p(with(custom_only(), [](options& o) {
    o.dial_limit = 3;
    o.who = side::both;
  }));
  p.on(app_here{"app@h"});
  p.start();
  std::vector<std::string> nodes;
  for (int i = 0; i < 20; ++i) nodes.push_back(fmt::format("n{:02}@h", i));
  auto out = p.lists(1, nodes);
  CHECK(paper::count(out, "connect ") == 3);
  std::size_t under_way = 3;
  std::size_t done = 0;
  while (under_way > 0) {
    auto const first = out.front();
    out.erase(out.begin());
    if (!first.starts_with("connect ")) continue;
    --under_way;
    ++done;
    bool const app = first.starts_with("connect app ");
    auto const more = p.up(first.substr(app ? 12 : 18), app ? side::app : side::companion);
    under_way += paper::count(more, "connect ");
    CHECK(under_way <= 3);
    out.insert(out.end(), more.begin(), more.end());
  }
  CHECK(done == 40);
}

TEST_CASE("discovery: half of a hundred swallow packets, and the others are connected all the same") {
  // dial_limit 64, both sides: black holes take 50 places while the other 50 get theirs one after the other.
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    paper p(with(custom_only(), [](options& o) { o.who = side::both; }), seed);
    p.on(app_here{"app@h"});
    p.start();
    std::vector<std::string> nodes;
    for (int i = 0; i < 50; ++i) {
      nodes.push_back(fmt::format("live{}@h", i));
      nodes.push_back(fmt::format("black{}@h", i));
    }
    auto out = p.lists(1, nodes);
    std::size_t connected = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      bool const app = out[i].starts_with("connect app live");
      if (!app && !out[i].starts_with("connect companion live")) continue;
      ++connected;
      auto const more = p.up(out[i].substr(app ? 12 : 18), app ? side::app : side::companion);
      out.insert(out.end(), more.begin(), more.end());
    }
    CHECK(connected == 100); // at the same moment: no clock has moved
  }
}

TEST_CASE("discovery: nodes are dialled in an order of each node's own") {
  auto const order = [](std::uint64_t seed) {
    paper p(custom_only(), seed);
    p.start();
    return p.lists(1, {"a@h", "b@h", "c@h", "d@h", "e@h", "f@h", "g@h"});
  };
  std::set<lines> orders;
  for (std::uint64_t seed = 0; seed < 20; ++seed) orders.insert(order(seed));
  CHECK(orders.size() > 15);
  CHECK(order(3) == order(3));
}

TEST_CASE("discovery: back-off doubles, with full jitter and a cap; a success ends it") {
  auto const o = with(custom_only(), [](options& x) { x.poll_interval = 0s; });
  base::duration longest{};
  std::array<base::duration, 12> most{};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    paper p(o, seed);
    p.start();
    p.lists(1, {"b@h"});
    for (std::size_t n = 0; n < most.size(); ++n) {
      p.fails("b@h");
      auto const wait = *p.c.next_deadline() - p.now;
      CHECK(wait <= std::min<base::duration>(30s, 100ms * (1 << n)));
      most.at(n) = std::max(most.at(n), wait);
      p.now = *p.c.next_deadline();
      CHECK(p.tick() == lines{"connect companion b@h"});
      longest = std::max(longest, wait);
    }
  }
  for (std::size_t n = 0; n < most.size(); ++n)
    CHECK(most.at(n) > std::min<base::duration>(30s, 100ms * (1 << n)) * 9 / 10); // and all of it is used
  CHECK(longest <= 30s);

  paper p(o);
  p.start();
  p.lists(1, {"b@h"});
  for (int i = 0; i < 8; ++i) {
    p.fails("b@h");
    p.now = *p.c.next_deadline();
    p.tick();
  }
  p.up("b@h");
  p.now += 1min;
  CHECK(p.down("b@h") == lines{"connect companion b@h"});
  p.fails("b@h");
  CHECK(*p.c.next_deadline() - p.now <= 100ms);
}

TEST_CASE("discovery: a poll leaves back-off alone, a request does not") {
  paper p(with(custom_only(),
               [](options& o) {
                 o.backoff_min = 30s;
                 o.poll_interval = 1s;
               }),
          5);
  p.start();
  p.lists(1, {"b@h"});
  p.fails("b@h");
  REQUIRE(p.c.status().nodes[0].companion->next > p.now + 5s);
  CHECK(p.pass(1s) == lines{"ask 2 list_by_app"});
  CHECK(p.lists(2, {"b@h"}) == lines{"tell refreshed connect_failed []; companion b@h: refused"});
  CHECK(p.on(refresh{77}) == lines{"ask 3 list_by_app", "connect companion b@h"});
  p.lists(3, {"b@h"});
  CHECK(p.up("b@h") == lines{"reply 77 ok [b@h]", "tell refreshed ok [b@h]"});
}

TEST_CASE("discovery: a lost peer is dialled at once, and again soon for a while") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    paper p(poll_free(), seed);
    p.start();
    p.lists(1, {"b@h"});
    p.up("b@h");
    p.pass(10s);
    CHECK(p.down("b@h") == lines{"connect companion b@h"});
    auto const lost = p.now;
    while (p.now < lost + 59s) {
      p.fails("b@h");
      CHECK(*p.c.next_deadline() - p.now <= 400ms);
      p.now = *p.c.next_deadline();
      CHECK(p.tick() == lines{"connect companion b@h"});
    }
    p.now = lost + 61s;
    base::duration longest{};
    for (int i = 0; i < 10; ++i) {
      p.fails("b@h");
      longest = std::max(longest, *p.c.next_deadline() - p.now);
      p.now = *p.c.next_deadline();
      p.tick();
    }
    CHECK(longest > 400ms);
  }
}

TEST_CASE("discovery: a link that breaks again and again does not become a storm") {
  paper p(poll_free());
  p.start();
  p.lists(1, {"b@h"});
  p.up("b@h");
  std::size_t attempts = 0;
  auto const began = p.now;
  while (p.now < began + 10min) { // a peer that takes the connection and closes it
    if (paper::count(p.down("b@h"), "connect ") == 0) {
      REQUIRE(p.c.next_deadline());
      p.now = *p.c.next_deadline();
      CHECK(p.tick() == lines{"connect companion b@h"});
    }
    ++attempts;
    p.up("b@h");
  }
  CHECK(attempts < 350); // one in two seconds
  p.pass(10s);           // now it holds
  CHECK(p.down("b@h") == lines{"connect companion b@h"});
}

TEST_CASE("discovery: a peer that nobody lists is not dialled when it is lost") {
  paper p(custom_only());
  p.start();
  p.up("x@h");
  CHECK(p.down("x@h").empty());
  CHECK(p.c.status().nodes.empty());
}

// ---- who is disconnected

TEST_CASE("discovery: who is missing in `grace` complete answers is disconnected, not before") {
  paper p(custom_only());
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  p.pass(5s);
  CHECK(p.lists(2, {"c@h"}) == lines{"tell refreshed ok [b@h c@h]"});
  p.pass(5s);
  CHECK(p.lists(3, {"c@h"}) == lines{"disconnect companion b@h"});
  CHECK(p.on(disconnected{side::companion, "b@h"}) ==
        lines{"tell dropped companion b@h", "tell refreshed ok [c@h]"});
  CHECK(p.down("b@h").empty());
}

TEST_CASE("discovery: an answer with the node begins the count anew") {
  paper p(custom_only());
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  for (question_id id = 2; id < 20; ++id) {
    p.pass(5s);
    auto const out = id % 2 == 0 ? p.lists(id, {"c@h"}) : p.lists(id, {"b@h", "c@h"});
    CHECK(paper::count(out, "disconnect") == 0);
  }
}

TEST_CASE("discovery: nobody is disconnected on an empty, failed or partial answer, however many") {
  paper p(custom_only());
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  std::vector<answer> const useless = {listed{}, failed{cause::by_app, "it crashed"},
                                       listed{{"c@h", "not a node"}}};
  for (question_id id = 2; id < 50; ++id) {
    p.pass(5s);
    auto const out = p.answer(id, useless.at(id % useless.size()));
    CHECK(paper::count(out, "disconnect") == 0);
    CHECK(paper::count(out, "tell refreshed") == 1);
  }
  CHECK(p.c.status().nodes.size() == 2);
}

TEST_CASE("discovery: a link that somebody else made is not ended") {
  paper p(custom_only());
  p.up("early@h");
  p.start();
  p.lists(1, {"early@h", "theirs@h", "ours@h", "c@h"});
  p.on(link_up{side::companion, "theirs@h", false}); // both dialled, theirs was taken
  p.up("ours@h");
  p.up("c@h");
  p.pass(5s);
  p.lists(2, {"c@h"});
  p.pass(5s);
  CHECK(p.lists(3, {"c@h"}) == lines{"disconnect companion ours@h"});
}

TEST_CASE("discovery: a link that comes back by the other side is no longer ours") {
  paper p(custom_only());
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  p.down("b@h");
  p.on(link_up{side::companion, "b@h", false});
  p.pass(5s);
  p.lists(2, {"c@h"});
  p.pass(5s);
  CHECK(paper::count(p.lists(3, {"c@h"}), "disconnect") == 0);
}

TEST_CASE("discovery: missing nodes can be kept") {
  paper p(with(custom_only(), [](options& o) { o.keep_missing_nodes = true; }));
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  for (question_id id = 2; id < 10; ++id) {
    p.pass(5s);
    CHECK(paper::count(p.lists(id, {"c@h"}), "disconnect") == 0);
  }
}

TEST_CASE("discovery: the companion never leaves its own app") {
  paper p(custom_only());
  p.on(app_here{"app@h"});
  p.start();
  p.lists(1, {"app@h", "c@h"});
  p.up("app@h");
  p.up("c@h");
  for (question_id id = 2; id < 10; ++id) {
    p.pass(5s);
    CHECK(paper::count(p.lists(id, {"c@h"}), "disconnect") == 0);
  }
}

TEST_CASE("discovery: an attempt that succeeds after its node has gone missing is ended") {
  paper p(with(custom_only(), [](options& o) { o.grace = 1; }));
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("c@h");
  CHECK(paper::count(p.pass(7250ms), "ask 2 list_by_app") == 1); // the round gave b up, the host has not
  CHECK(p.lists(2, {"c@h"}) == lines{"tell refreshed ok [c@h]"});
  CHECK(p.up("b@h") == lines{"disconnect companion b@h"});
}

TEST_CASE("discovery: a node that is listed again while it is disconnected is dialled again") {
  paper p(with(custom_only(), [](options& o) { o.grace = 1; }));
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  p.pass(5s);
  CHECK(p.lists(2, {"c@h"}) == lines{"disconnect companion b@h"});
  CHECK(p.on(refresh{1}).empty()); // gets the next round
  auto out = p.down("b@h");        // the loss may be told before the outcome
  CHECK(out == lines{"tell dropped companion b@h", "tell refreshed ok [c@h]", "ask 3 list_by_app"});
  CHECK(p.lists(3, {"b@h", "c@h"}) == lines{"connect companion b@h"});
  CHECK(p.on(disconnected{side::companion, "b@h"}).empty());
  CHECK(p.up("b@h") == lines{"reply 1 ok [b@h c@h]", "tell refreshed ok [b@h c@h]"});
}

TEST_CASE("discovery: a disconnect that fails is said, and tried again with the next round") {
  paper p(with(custom_only(), [](options& o) { o.grace = 1; }));
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  p.pass(5s);
  p.lists(2, {"c@h"});
  CHECK(p.on(disconnected{side::companion, "b@h", "it hangs"}) ==
        lines{"tell refreshed disconnect_failed [c@h]; companion b@h: it hangs"});
  p.pass(5s);
  CHECK(p.lists(3, {"c@h"}) == lines{"disconnect companion b@h"});
  CHECK(paper::count(p.pass(7250ms), "tell refreshed disconnect_failed [c@h]; companion b@h: no outcome") ==
        1);
}

TEST_CASE("discovery: a node is missing only when no source lists it") {
  auto o = custom_only();
  o.sources.emplace_back(dns_service{"a", "s"});
  o.grace = 1;
  paper p(o);
  CHECK(p.start() == lines{"ask 1 list_by_app", "ask 2 resolve srv s"});
  p.lists(1, {"a@x", "b@h"});
  p.answer(2, targets{{{"x", 0}, {"y", 0}}});
  for (auto const* const node : {"a@x", "a@y", "b@h"}) p.up(node);
  p.pass(5s);
  // One that fails still stands for what it listed.
  p.lists(3, {"b@h"});
  CHECK(paper::count(p.answer(4, failed{cause::timeout, "slow"}), "disconnect") == 0);
  p.pass(5s);
  CHECK(paper::count(p.lists(5, {"b@h"}), "disconnect") == 0);
  CHECK(p.answer(6, targets{{{"y", 0}}}) == lines{"disconnect companion a@x"});
}

// ---- sources that fail

TEST_CASE("discovery: what a partial answer lists is dialled, what it lacks is said") {
  options o = custom_only();
  o.sources = {dns_name{"a", "all"}};
  paper p(o);
  CHECK(p.start() == lines{"ask 1 resolve a all", "ask 2 resolve aaaa all"});
  CHECK(p.answer(1, addresses{{"10.0.0.1"}}).empty());
  CHECK(p.answer(2, failed{cause::server_failure, "SERVFAIL"}) ==
        lines{"tell source_failed dns a@all: server_failure: SERVFAIL", "connect companion a@10.0.0.1"});
  CHECK(p.up("a@10.0.0.1") ==
        lines{"tell refreshed discovery_failed [a@10.0.0.1]; dns a@all: server_failure: SERVFAIL"});
}

TEST_CASE("discovery: a source that goes on failing is news once, and a failure in each result") {
  paper p(custom_only());
  p.start();
  CHECK(p.answer(1, failed{cause::by_app, "no"}) ==
        lines{"tell source_failed custom: by_app: no",
              "tell refreshed discovery_failed []; custom: by_app: no"});
  p.pass(5s);
  CHECK(p.answer(2, failed{cause::by_app, "no"}) ==
        lines{"tell refreshed discovery_failed []; custom: by_app: no"});
  p.pass(5s);
  p.lists(3, {});
  p.pass(5s);
  CHECK(p.answer(4, failed{cause::by_app, "no"}).size() == 2);
}

TEST_CASE("discovery: a question that nobody answers times out by itself") {
  paper p(custom_only());
  p.start();
  CHECK(p.pass(5s) ==
        lines{"forget 1", "tell source_failed custom: timeout: list_by_app: no answer within 5000 ms",
              "tell refreshed discovery_failed []; custom: timeout: list_by_app: no answer within 5000 ms",
              "ask 2 list_by_app"});
  CHECK(p.lists(1, {"b@h"}).empty()); // too late
}

TEST_CASE("discovery: a slow source holds up nobody else's nodes") {
  auto o = custom_only();
  o.sources.emplace_back(epmd_hosts{{"h2"}});
  paper p(o);
  p.start();
  CHECK(p.answer(2, names{{"b"}}) == lines{"connect companion b@h2"});
  CHECK(p.up("b@h2").empty()); // the round still asks
  CHECK(p.lists(1, {}) == lines{"tell refreshed ok [b@h2]"});
}

TEST_CASE("discovery: .hosts.erlang is two steps: its hosts, then their epmds") {
  options o = custom_only();
  o.sources = {hosts_file{"/h"}};
  paper p(o);
  CHECK(p.start() == lines{"ask 1 read_file /h"});
  CHECK(p.answer(1, text{"'h1'. 'h2'. oops"}) == lines{"ask 2 epmd_names h1", "ask 3 epmd_names h2"});
  p.answer(2, names{{"a", "b"}});
  auto const out = p.answer(3, failed{cause::no_epmd, "h2: connection refused"});
  CHECK(paper::count(out, "connect companion ") == 2);
  CHECK(paper::count(out, "tell source_failed hosts-file /h: bad_file: line 1: expected") == 1);
}

TEST_CASE("discovery: a node file is watched; a change is taken at once") {
  options o = custom_only();
  o.sources = {node_file{"/n"}};
  paper p(o);
  CHECK(p.start() == lines{"ask 1 watch /n", "ask 2 read_file /n"});
  CHECK(p.answer(2, text{"b@h"}) == lines{"connect companion b@h"});
  // While the round still dials: read at once, and a round more that says what came of it.
  CHECK(p.on(changed{1}) == lines{"ask 3 read_file /n"});
  CHECK(p.on(changed{1}).empty()); // it may have been read before: once more, when it is
  CHECK(p.answer(3, text{"b@h\nc@h"}) == lines{"ask 4 read_file /n", "connect companion c@h"});
  p.answer(4, text{"b@h\nc@h"});
  p.up("c@h");
  CHECK(p.up("b@h") == lines{"tell refreshed ok [b@h c@h]", "ask 5 read_file /n"});
  CHECK(p.answer(5, text{"b@h\nc@h"}) == lines{"tell refreshed ok [b@h c@h]"});
  CHECK(p.on(changed{1}) == lines{"ask 6 read_file /n"}); // at rest: a round
  CHECK(p.answer(6, failed{cause::no_file, "/n: no such file"}).size() == 2);
}

TEST_CASE("discovery: a watch that cannot be set up is tried again each round") {
  options o = custom_only();
  o.sources = {node_file{"/n"}};
  paper p(o);
  p.start();
  CHECK(p.answer(1, failed{cause::no_file, "no folder"}).empty());
  p.answer(2, text{"b@h"});
  p.up("b@h");
  CHECK(p.pass(5s) == lines{"ask 3 watch /n", "ask 4 read_file /n"});
}

TEST_CASE("discovery: more nodes than may be listed are a failure, and those that fit count") {
  auto o = custom_only();
  o.limit.nodes_max = 3;
  o.grace = 1;
  paper p(o);
  p.start();
  auto const out = p.lists(1, {"a@h", "b@h", "c@h", "d@h"});
  CHECK(paper::count(out, "connect ") == 3);
  CHECK(paper::count(out, "tell source_failed custom: too_large: more than 3 nodes are listed") == 1);
  CHECK(p.c.status().nodes.size() == 3);
}

// ---- requests

TEST_CASE("discovery: a refresh shares the round that still asks, else it gets the next") {
  paper p(custom_only());
  p.start();
  CHECK(p.on(refresh{1}).empty());
  CHECK(p.on(refresh{2}).empty());
  p.lists(1, {"b@h"});
  CHECK(p.on(refresh{3}).empty()); // it dials
  CHECK(p.up("b@h") ==
        lines{"reply 1 ok [b@h]", "reply 2 ok [b@h]", "tell refreshed ok [b@h]", "ask 2 list_by_app"});
  CHECK(p.lists(2, {"b@h"}) == lines{"reply 3 ok [b@h]", "tell refreshed ok [b@h]"});
  CHECK(p.on(refresh{4}) == lines{"ask 3 list_by_app"}); // at rest: at once
}

TEST_CASE("discovery: a refresh before the start waits for the first round") {
  paper p(custom_only());
  CHECK(p.on(refresh{1}).empty());
  p.start();
  CHECK(p.lists(1, {}) == lines{"reply 1 ok []", "tell refreshed ok []"});
}

TEST_CASE("discovery: requests that wait are limited") {
  auto o = custom_only();
  o.limit.requests_max = 2;
  paper p(o);
  p.start();
  p.on(refresh{1});
  p.on(refresh{2});
  CHECK(p.on(refresh{3}) == lines{"reply 3 busy []"});
}

TEST_CASE("discovery: pause asks nothing and dials nobody; links stay; resume begins at once") {
  paper p(custom_only());
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.up("b@h");
  p.up("c@h");
  p.on(refresh{1});
  CHECK(p.on(discovery::pause{2}) == lines{"forget 2", "reply 1 paused []", "tell paused", "reply 2 ok []"});
  CHECK(p.on(discovery::pause{3}) == lines{"reply 3 ok []"});
  CHECK(p.lists(2, {"d@h"}).empty());
  CHECK(p.down("b@h").empty());
  CHECK(p.pass(10min).empty());
  CHECK(p.on(refresh{4}) == lines{"reply 4 paused []"});
  CHECK(p.on(resume{5}) ==
        lines{"reply 5 ok []", "tell resumed", "ask 3 list_by_app", "connect companion b@h"});
  CHECK(p.on(resume{6}) == lines{"reply 6 ok []"});
}

TEST_CASE("discovery: shutdown ends everything but the links, and says so to who asks later") {
  options o = custom_only();
  o.sources = {node_file{"/n"}};
  paper p(o);
  p.start();
  p.answer(2, text{"b@h"});
  p.up("b@h");
  p.on(refresh{1});
  CHECK(p.on(discovery::shutdown{2}) ==
        lines{"forget 3", "reply 1 shut_down []", "forget 1", "reply 2 ok []", "tell stopped"});
  CHECK_FALSE(p.c.next_deadline());
  CHECK(p.on(refresh{3}) == lines{"reply 3 shut_down []"});
  CHECK(p.on(discovery::pause{4}) == lines{"reply 4 shut_down []"});
  CHECK(p.on(resume{5}) == lines{"reply 5 shut_down []"});
  CHECK(p.on(discovery::shutdown{6}) == lines{"reply 6 shut_down []"});
  CHECK(p.down("b@h").empty());
  CHECK(p.on(changed{1}).empty());
  CHECK(p.start() == lines{"ask 4 watch /n", "ask 5 read_file /n", "connect companion b@h"});
}

// ---- other options

TEST_CASE("discovery: configure keeps what stays, and the links of what goes") {
  auto o = custom_only();
  o.sources.emplace_back(node_list{{"c@h"}});
  o.grace = 1;
  paper p(o);
  p.start();
  p.lists(1, {"b@h"});
  p.up("b@h");
  p.up("c@h");
  o.sources = {custom{}, epmd_hosts{{"h2"}}};
  auto const out = p.on(configure{o});
  CHECK(out == lines{"ask 2 epmd_names h2", "ask 3 list_by_app"}); // nobody is disconnected
  // b came by a link of ours, and what it is known for stays: it is missing now.
  CHECK(p.lists(3, {"d@h"}) == lines{"disconnect companion b@h", "connect companion d@h"});
  CHECK(p.up("d@h").empty());
  CHECK(p.answer(2, names{}).empty());
  CHECK(p.c.status().sources.size() == 2);
  CHECK(p.on(disconnected{side::companion, "b@h"}).size() == 2);
  CHECK(p.c.status().nodes.size() == 1);
}

TEST_CASE("discovery: configure forgets the questions of a source that goes") {
  paper p(custom_only());
  p.start();
  auto o = custom_only();
  o.sources = {node_list{{"b@h"}}};
  CHECK(p.on(configure{o}) ==
        lines{"forget 1", "connect companion b@h"}); // the round goes on with what is new
  CHECK(p.up("b@h") == lines{"tell refreshed ok [b@h]"});
  o.sources = {node_list{{"b@h", "c@h"}}};
  CHECK(p.on(configure{o}) == lines{"connect companion c@h"});
  o.sources = {node_list{{"b@h", "c@h", "d@h"}}}; // while it dials: a round more
  CHECK(p.on(configure{o}) == lines{"connect companion d@h"});
  p.up("d@h");
  CHECK(p.up("c@h") == lines{"tell refreshed ok [b@h c@h d@h]", "tell refreshed ok [b@h c@h d@h]"});
}

TEST_CASE("discovery: configure can ask for another side") {
  paper p(custom_only());
  p.on(app_here{"app@h"});
  p.start();
  p.lists(1, {"b@h"});
  p.up("b@h");
  auto o = custom_only();
  o.who = side::both;
  auto const out = p.on(configure{o});
  CHECK(paper::count(out, "connect app b@h") == 1);
}

TEST_CASE("discovery: the status says what is listed, connected and failing") {
  auto o = custom_only();
  o.sources.emplace_back(epmd_hosts{{""}});
  paper p(o);
  CHECK(p.c.status().now == status::state::idle);
  p.start();
  p.lists(1, {"b@h", "c@h"});
  p.answer(2, failed{cause::no_epmd, "refused"});
  p.up("b@h");
  p.fails("c@h");
  auto const s = p.c.status();
  CHECK(s.now == status::state::running);
  REQUIRE(s.sources.size() == 2);
  CHECK(s.sources[0].source == "custom");
  CHECK(s.sources[0].nodes == 2);
  CHECK(s.sources[0].answered);
  CHECK_FALSE(s.sources[0].trouble);
  CHECK(s.sources[1].source == "epmd this host");
  CHECK_FALSE(s.sources[1].answered);
  CHECK(s.sources[1].trouble == failure{"epmd this host", cause::no_epmd, "refused"});
  REQUIRE(s.nodes.size() == 2);
  CHECK(s.nodes[0].companion->up);
  CHECK(s.nodes[0].companion->ours);
  CHECK_FALSE(s.nodes[0].app);
  CHECK(s.nodes[1].companion->failures == 1);
  CHECK(s.nodes[1].companion->reason == "refused");
  CHECK(s.nodes[1].companion->next.has_value());
  CHECK(s.next_round == p.now + 5s);
}

TEST_CASE("discovery: nothing is kept of nodes that come and go") {
  auto o = custom_only();
  o.grace = 1;
  paper p(o);
  p.start();
  question_id id = 1;
  for (int i = 0; i < 500; ++i) {
    auto const node = fmt::format("n{}@h", i);
    p.lists(id++, {node});
    p.up(node);
    if (i > 0) p.on(disconnected{side::companion, fmt::format("n{}@h", i - 1)});
    p.up(fmt::format("guest{}@h", i)); // who comes by itself
    p.down(fmt::format("guest{}@h", i));
    p.fails("nobody@h"); // late words
    p.on(disconnected{side::companion, "nobody@h"});
    p.pass(5s);
    CHECK(p.c.known_count() == 1);
  }
}
