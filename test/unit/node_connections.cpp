// Connections of whole nodes: simultaneous attempts, restarts, loss and what is told in which order, limits,
// leaving (protocol.md 2.1, 2.2, 3.10, 3.11).
#include "etf/print.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

struct pair {
  explicit pair(std::uint64_t seed = 1, node::core_options options = {})
      : w(seed), a(w.add("a@h", options)), b(w.add("b@h")) {
    p = w.probe(a, "p");
    q = w.probe(b, "q");
  }
  world w;
  node::core& a;
  node::core& b;
  etf::pid p, q;
};

std::size_t count(lines const& all, std::string_view what) {
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [&](auto const& l) { return l.find(what) != std::string::npos; }));
}

// A process that asks for a connection, and writes down what it got.
etf::pid connecting(world& w, node::core& n, std::string peer, std::shared_ptr<std::string> result) {
  return w.spawn(n, [peer, result](node::self me) -> node::task<> {
    *result = co_await me.connect(etf::atom(peer)) ? "up" : "no";
  });
}

} // namespace

TEST_CASE("connections: both dial at once: one connection, no message lost, nothing told of a loss") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    pair s(seed);
    s.w.chunk_bytes_max = 1 + seed % 60;
    base::random random(seed);
    lines sent_to_p;
    lines sent_to_q;
    for (int i = 0; i < 10; ++i) {
      bool const from_p = random.below(2) == 0;
      s.w.as(from_p ? s.p : s.q).send(from_p ? s.q : s.p, etf::make(i));
      (from_p ? sent_to_q : sent_to_p).push_back(std::to_string(i));
      for (auto steps = random.below(5); steps > 0; --steps) s.w.step();
    }
    s.w.run();
    CHECK(s.w.log(s.p) == sent_to_p);
    CHECK(s.w.log(s.q) == sent_to_q);
    CHECK(s.a.connected("b@h"));
    CHECK(s.b.connected("a@h"));
    auto const trace = s.w.take_trace();
    CHECK(count(trace, "down") == 0);
    CHECK_MESSAGE(count(trace, "failed") == 0, trace);
    CHECK(count(trace, "no connection") == 0);
    s.w.pass(100s);
    CHECK(s.w.take_trace() == lines{});
  }
}

TEST_CASE("connections: three nodes dial each other at once, many times") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    world w(seed);
    w.chunk_bytes_max = 50;
    lines const names = {"a@h", "b@h", "c@h"};
    for (auto const& n : names) w.add(n);
    for (int round = 0; round < 5; ++round) {
      for (auto const& n : names)
        for (auto const& m : names)
          if (n != m) w.at(n).connect(etf::atom(m));
      w.run();
      for (auto const& n : names) CHECK(w.at(n).peers(true, true).size() == 2);
      auto const trace = w.take_trace();
      CHECK(count(trace, " up") == 6);
      CHECK(count(trace, "down") == 0);
      for (auto const& n : names)
        for (auto const& m : names)
          if (n < m) w.cut(n, m);
      w.run();
      w.take_trace();
    }
  }
}

TEST_CASE("connections: nok means that the peer's own attempt comes") {
  pair s;
  s.w.hold_dials(true);
  s.w.as(s.p).send(s.q, t("one"));
  s.w.as(s.q).send(s.p, t("two"));
  s.w.run();
  s.w.tap(true);
  s.w.hold_dials(false);
  s.w.run();
  auto const trace = s.w.take_trace();
  CHECK(count(trace, "s nok") + count(trace, "s ok_simultaneous") == 1);
  CHECK(s.w.log(s.q) == lines{"one"});
  CHECK(s.w.log(s.p) == lines{"two"});
}

TEST_CASE("connections: nok, and then nobody comes: given up after setup_time") {
  world w;
  auto& a = w.add("a@h");
  auto& r = w.raw("r@h");
  r.answer = dist::status::nok;
  auto const p = w.probe(a, "p");
  w.as(p).monitor(node::destination("x", "r@h"));
  w.run();
  CHECK(w.log(p).empty());
  w.pass(6s);
  CHECK(w.log(p).empty());
  w.pass(1s);
  CHECK(w.log(p) == lines{"{'DOWN',R1,process,{x,r@h},noconnection}"});
  CHECK(w.take_trace() == lines{"a: no connection to r@h: timeout"});
}

TEST_CASE("connections: what waits for an incoming attempt that fails gets a connection of its own") {
  for (bool const dialled_first : {false, true}) {
    CAPTURE(dialled_first);
    world w;
    auto& a = w.add("a@h");
    auto& impostor = w.raw("b@h");
    impostor.cookie = "wrong";
    auto const p = w.probe(a, "p");
    if (dialled_first) {
      w.hold_dials(true);
      w.as(p).send({"q", "b@h"}, t("hello"));
      w.step();
      w.hold_dials(false);
    }
    impostor.mute = false;
    impostor.dial("a@h");
    while (w.step() && !(a.counts().handshakes_failed > 0)) {
      if (!dialled_first && a.connection(1) != nullptr && a.connection(1)->peer() == "b@h")
        w.as(p).send({"q", "b@h"}, t("hello"));
      if (a.counts().handshakes_failed > 0) break;
    }
    impostor.cookie = "cookie";
    w.run();
    CHECK(a.connected("b@h"));
    CHECK(count(impostor.log, "{6,p,'',q} | hello") >= 1);
  }
}

TEST_CASE("connections: a wrong cookie costs that connection, and is told in one line") {
  pair s;
  auto& r = s.w.raw("r@h");
  r.cookie = "wrong";
  r.dial("a@h");
  s.w.as(s.p).send(s.q, t("undisturbed"));
  s.w.run();
  CHECK(s.w.log(s.q) == lines{"undisturbed"});
  auto const trace = s.w.take_trace();
  CHECK(count(trace, "a: handshake with r@h failed: its cookie is not ours") == 1);
  CHECK(count(trace, "r@h") == 1);
  CHECK(count(r.log, "closed") == 1);
  CHECK(s.a.peers(true, true) == std::vector<std::string>{"b@h"});
}

TEST_CASE("connections: silence in a handshake ends it after setup_time, in both roles") {
  world w;
  auto& a = w.add("a@h");
  auto& r = w.raw("r@h");
  r.mute = true;
  auto const result = std::make_shared<std::string>();
  connecting(w, a, "r@h", result);
  w.pass(6999ms);
  CHECK(*result == "");
  w.pass(1ms);
  CHECK(*result == "no");
  CHECK(r.connections() == 0);
  r.dial("a@h");
  w.pass(6999ms);
  CHECK(r.connections() == 1);
  w.pass(1ms);
  CHECK(r.connections() == 0);
  auto const trace = w.take_trace();
  CHECK(count(trace, "silent for longer") == 2);
}

TEST_CASE("connections: a node of our own name, and one that is dialled under another name") {
  world w;
  auto& a = w.add("a@h");
  auto& twin = w.raw("twin@h");
  twin.dial("a@h");
  w.run();
  CHECK(a.connected("twin@h"));
  CHECK(w.probe(a).node == etf::atom("a@h"));
  auto const result = std::make_shared<std::string>();
  connecting(w, a, "a@h", result);
  w.run();
  CHECK(*result == "up"); // oneself
}

TEST_CASE("connections: who calls itself by our own name is refused") {
  world w;
  auto& a = w.add("a@h");
  auto& thief = w.raw("thief@h");
  thief.name = "a@h";
  thief.dial("a@h");
  w.run();
  CHECK(thief.connections() == 0);
  CHECK(a.peers(true, true).empty());
  CHECK(count(w.take_trace(), "own name") == 1);
}

TEST_CASE("connections: nobody there: monitors, links and spawns hear noconnection, messages vanish") {
  pair s;
  etf::pid const gone{.node = etf::atom("x@h"), .id = 1, .serial = 0, .creation = 9};
  s.w.label(gone, "gone");
  s.w.hold_dials(true);
  s.w.as(s.p).send(gone, t("hello"));
  s.w.as(s.p).monitor(gone);
  s.w.as(s.p).link(gone);
  s.w.as(s.p).spawn_request(etf::atom("x@h"), "m", "f", t("[]"), {});
  s.w.run();
  s.w.hold_dials(false);
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"{'EXIT',gone,noconnection}", "{'DOWN',R1,process,gone,noconnection}",
                              "{spawn_reply,R2,error,noconnection}"});
  CHECK(s.w.take_trace() == lines{"a: no connection to x@h: nobody is there"});
  auto const& p = s.w.as(s.p).raw();
  CHECK((p.links.empty() && p.monitors.empty() && p.spawns.empty()));
}

TEST_CASE("connections: a dial that never ends is given up after setup_time") {
  pair s;
  s.w.hold_dials(true);
  s.w.as(s.p).monitor(s.q);
  s.w.pass(6999ms);
  CHECK(s.w.log(s.p).empty());
  s.w.pass(1ms);
  CHECK(s.w.log(s.p) == lines{"{'DOWN',R1,process,q,noconnection}"});
  s.w.hold_dials(false); // and succeeds after all
  s.w.run();
  CHECK_FALSE(s.a.connected("b@h"));
}

TEST_CASE("connections: signals queued before the connection is up arrive in order") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    pair s(seed);
    s.w.hold_dials(true);
    lines expected;
    for (int i = 0; i < 50; ++i) {
      s.w.as(s.p).send(s.q, etf::make(i));
      expected.push_back(std::to_string(i));
      s.w.step();
    }
    s.w.as(s.p).exit_other(s.q, t("later"));
    expected.push_back("{'EXIT',p,later}");
    s.w.hold_dials(false);
    s.w.run();
    CHECK(s.w.log(s.q) == expected);
  }
}

TEST_CASE("connections: all that is lost is told in OTP's order (3.10)") {
  pair s;
  s.w.as(s.p).link(s.q);
  s.w.run();
  s.w.as(s.p).monitor_nodes(true);
  s.w.as(s.p).monitor(s.q);
  s.w.probe(s.b, "rex");
  s.w.as(s.p).monitor(node::destination("rex", "b@h"));
  s.w.run();
  CHECK(s.w.log(s.p).empty());
  s.w.cut("a@h", "b@h");
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"{'EXIT',q,noconnection}", "{'DOWN',R1,process,q,noconnection}",
                              "{'DOWN',R2,process,{rex,b@h},noconnection}", "{nodedown,b@h}"});
  CHECK(s.w.log(s.q) == lines{"{'EXIT',p,noconnection}"});
  CHECK(s.w.as(s.q).raw().watchers.empty());
}

TEST_CASE("connections: a node that is killed and back at once: all of the loss before anything new") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    pair s(seed);
    s.w.as(s.p).link(s.q);
    s.w.run();
    s.w.as(s.p).monitor_nodes(true);
    s.w.as(s.p).monitor(s.q);
    s.w.run();
    auto& b = s.w.restart("b@h");
    s.w.as(s.w.probe(b)).send({"p", "a@h"}, t("new"));
    s.w.run();
    CHECK(s.w.log(s.p) == lines{"{'EXIT',q,noconnection}", "{'DOWN',R1,process,q,noconnection}",
                                "{nodedown,b@h}", "{nodeup,b@h}", "new"});
    CHECK(s.a.connected("b@h"));
  }
}

TEST_CASE("connections: a node that is back under its name replaces the old connection") {
  pair s;
  s.w.as(s.p).link(s.q);
  s.w.run();
  s.w.as(s.p).monitor_nodes(true);
  s.w.take_trace();
  // The old one is gone without a word: a@h still takes it for alive.
  auto& r = s.w.raw("r@h");
  r.dial("a@h");
  s.w.run();
  s.w.log(s.p).clear();
  etf::pid const x{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
  s.w.label(x, "x");
  s.w.as(s.p).link(x);
  s.w.run();
  r.creation = 51;
  r.log.clear();
  s.w.tap(true);
  r.dial("a@h");
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"{'EXIT',x,noconnection}", "{nodedown,r@h}", "{nodeup,r@h}"});
  auto const trace = s.w.take_trace();
  CHECK(count(trace, "a->r s alive") == 1);
  CHECK(count(trace, "r->a s true") == 1);
  CHECK(count(trace, "a: r@h down: connection_closed: the peer opened a new connection") == 1);
  CHECK(s.a.connected("r@h"));
  CHECK(s.a.connected("b@h"));
  r.log.clear();
  s.w.as(s.p).exit_other(s.p, t("kill")); // nothing is sent to the old incarnation
  s.w.run();
  CHECK(r.log == lines{});
}

TEST_CASE("connections: an idle one is kept by ticks for as long as you like, a silent one is not") {
  pair s;
  auto& r = s.w.raw("r@h");
  r.dial("a@h");
  s.w.as(s.p).send(s.q, t("x"));
  s.w.run();
  s.w.pass(1h);
  CHECK(s.a.connected("b@h"));
  CHECK(s.b.connected("a@h"));
  CHECK_FALSE(s.a.connected("r@h")); // it never ticks
  CHECK(count(s.w.take_trace(), "net_tick_timeout") == 1);
}

TEST_CASE("connections: one-way traffic keeps it") {
  pair s;
  for (int i = 0; i < 100; ++i) {
    s.w.as(s.p).send(s.q, t("x"));
    s.w.pass(7s);
  }
  CHECK(s.w.log(s.q).size() == 100);
  CHECK(count(s.w.take_trace(), "down") == 0);
}

TEST_CASE("limits: a full mailbox stops reading, and starts it again") {
  node::core_options options;
  options.limits.mailbox_messages_max = 10;
  world w;
  auto& a = w.add("a@h", options);
  auto& b = w.add("b@h");
  auto const got = std::make_shared<std::vector<std::int64_t>>();
  auto const slow = w.spawn(
      a,
      [got](node::self me) -> node::task<> {
        while (true) {
          auto const go = co_await me.receive([](etf::view m) { return m.is_atom("go"); });
          for (int i = 0; i < 5; ++i)
            if (auto const m =
                    co_await me.receive_within(0s, [](etf::view v) { return v.integer().has_value(); }))
              got->push_back(*(*m)->integer());
        }
      },
      "slow");
  auto const q = w.probe(b);
  for (int i = 0; i < 100; ++i) w.as(q).send(slow, etf::make(i));
  w.run();
  auto* const p = a.find_registered("slow");
  CHECK(p->mailbox.size() == 81); // it waits: eight times the limit, and the one above it stops the reading
  CHECK_FALSE(a.reading_wanted(1));
  w.pass(30min); // no silence is counted meanwhile, and ticks are sent
  CHECK(a.connected("b@h"));
  for (int i = 0; i < 30; ++i) {
    a.send(slow, t("go"));
    w.run();
    w.pass(1s);
    CHECK(p->mailbox.size() <= 81);
  }
  REQUIRE(got->size() == 100);
  for (int i = 0; i < 100; ++i) CHECK((*got)[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("limits: who is busy is not read for above the limit, who waits for a message gets it") {
  node::core_options options;
  options.limits.mailbox_messages_max = 10;
  pair s(1, options);
  auto const got = std::make_shared<std::string>();
  auto const worker = s.w.spawn(s.a, [got](node::self me) -> node::task<> {
    co_await me.sleep(1s); // a timer is no receive
    auto const wanted = co_await me.receive([](etf::view m) { return m.is_atom("wanted"); });
    *got = etf::print(wanted);
    co_await me.sleep(1000h);
  });
  for (int i = 0; i < 60; ++i) s.w.as(s.q).send(worker, etf::make(i));
  s.w.as(s.q).send(worker, t("wanted")); // behind 60 that it does not want
  s.w.run();
  CHECK(s.a.find_process(worker)->mailbox.size() == 11);
  CHECK(got->empty());
  s.w.pass(2s);
  CHECK(*got == "wanted");
}

TEST_CASE("fairness: two processes that answer each other for ever starve nobody") {
  pair s;
  auto const forward = [](node::self me) -> node::task<> {
    while (true) {
      auto const m = co_await me.receive();
      me.send(*m->tuple<2>()->at(0).as_pid(), etf::make(etf::tup(me.pid(), 0)));
    }
  };
  auto const ping = s.w.spawn(s.a, forward);
  auto const pong = s.w.spawn(s.a, forward);
  s.w.label(s.q, "q");
  s.w.as(ping).send(pong, etf::make(etf::tup(ping, 0)));
  s.w.as(s.q).send(s.p, t("hello"));
  for (int i = 0; i < 1000 && s.w.log(s.p).empty(); ++i) s.w.step();
  CHECK(s.w.log(s.p) == lines{"hello"});
  s.w.as(s.p).exit_other(ping, t("kill"));
  s.w.run();
  CHECK_FALSE(s.w.alive(ping));
}

TEST_CASE("limits: a mailbox that is full when its process ends does not keep the connection") {
  node::core_options options;
  options.limits.mailbox_bytes_max = 1000;
  pair s(1, options);
  auto const deaf = s.w.spawn(s.a, [](node::self me) -> node::task<> { co_await me.sleep(1000h); });
  s.w.as(s.q).send(deaf, etf::make(std::string(2000, 'x')));
  s.w.run();
  s.w.as(s.q).send(s.p, t("behind"));
  s.w.run();
  CHECK(s.w.log(s.p).empty());
  s.w.as(s.p).exit_other(deaf, t("kill"));
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"behind"});
}

TEST_CASE("limits: busy above the high mark, writable() waits until below the low one") {
  node::core_options options;
  options.limits.connection.out = {.high_mark = 10'000, .low_mark = 1'000, .bytes_max = 1'000'000};
  world w;
  auto& a = w.add("a@h", options);
  auto& r = w.raw("r@h");
  r.dial("a@h");
  w.run();
  r.deaf = true;
  w.socket_bytes = 500;
  etf::pid const q{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
  auto const story = std::make_shared<lines>();
  auto const p = w.spawn(a, [story, q](node::self me) -> node::task<> {
    co_await me.writable(etf::atom("r@h"));
    story->push_back("writable");
    while (me.send(q, etf::make(std::string(1000, 'x'))) == node::send_status::sent) {
    }
    story->push_back("busy");
    co_await me.writable(etf::atom("r@h"));
    story->push_back("writable");
    co_await me.writable(etf::atom("nobody@h"));
    co_await me.writable(etf::atom("r@h"));
    while (me.send(q, etf::make(std::string(1000, 'x'))) == node::send_status::sent) {
    }
    co_await me.writable(etf::atom("r@h"));
    story->push_back(me.node().connected("r@h") ? "still there" : "gone");
  });
  w.run();
  CHECK(*story == lines{"writable", "busy"});
  r.deaf = false;
  w.run();
  CHECK(*story == lines{"writable", "busy", "writable", "still there"});
  CHECK(a.outbox_bytes() == 0);
  static_cast<void>(p);
}

TEST_CASE("limits: a peer that does not read costs at most the outbox limit, and only its own connection") {
  node::core_options options;
  options.limits.connection.out = {.high_mark = 10'000, .low_mark = 1'000, .bytes_max = 50'000};
  pair s(1, options);
  auto& r = s.w.raw("r@h");
  r.dial("a@h");
  s.w.as(s.p).send(s.q, t("hello"));
  s.w.run();
  r.deaf = true;
  s.w.socket_bytes = 500;
  etf::pid const x{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
  s.w.label(x, "x");
  s.w.as(s.p).monitor(x);
  s.w.take_trace();
  for (int i = 0; i < 60; ++i) {
    s.w.as(s.p).send(x, etf::make(std::string(1000, 'x')));
    s.w.run();
    CHECK(s.a.outbox_bytes() <= 50'000 + 1100);
  }
  auto const trace = s.w.take_trace();
  CHECK(count(trace, "a: r@h down: outbox_limit") == 1);
  CHECK(s.w.log(s.p) == lines{"{'DOWN',R1,process,x,noconnection}"});
  CHECK(s.a.connected("b@h"));
  s.w.as(s.p).send(s.q, t("again"));
  s.w.run();
  CHECK(s.w.log(s.q) == lines{"hello", "again"});
}

TEST_CASE(
    "limits: what waits for a connection: at the limit all of it arrives, above it the attempt is given up") {
  for (std::size_t const more : {0U, 1U}) {
    CAPTURE(more);
    node::core_options options;
    options.limits.peer_queue_bytes_max = 5000;
    pair s(1, options);
    s.w.hold_dials(true);
    s.w.as(s.p).monitor(s.q);
    s.w.as(s.p).send(s.q, t("first"));
    s.w.run();
    std::size_t const control = etf::make(etf::tup(22, s.p, s.q)).size();
    std::size_t const monitor =
        etf::make(etf::tup(19, s.p, s.q, s.w.as(s.p).raw().monitors.begin()->first)).size();
    std::size_t const used = monitor + control + t("first").size();
    s.w.as(s.p).send(s.q, etf::make(std::string(5000 - used - control - 5 + more, 'x')));
    if (more == 0) s.w.as(s.p).send(s.q, t("[]"));
    s.w.run();
    CHECK(s.w.log(s.p) == lines{"{'DOWN',R1,process,q,noconnection}"});
    s.w.hold_dials(false);
    s.w.run();
    CHECK(s.w.log(s.q).empty()); // no hole: nothing arrives
    CHECK(count(s.w.take_trace(), "a: no connection to b@h: queue_limit") == 1);
    s.w.as(s.p).send(s.q, t("anew"));
    s.w.run();
    CHECK(s.w.log(s.q) == lines{"anew"});
  }
  node::core_options options;
  options.limits.peer_queue_bytes_max = 5000;
  pair s(1, options);
  std::size_t const control = etf::make(etf::tup(22, s.p, s.q)).size();
  s.w.as(s.p).send(s.q, etf::make(std::string(5000 - control - 5, 'x')));
  s.w.run();
  CHECK(s.w.log(s.q).size() == 1);
}

TEST_CASE("limits: monitors and links of one peer: at the limit, and one above") {
  auto const story = [](std::string const& control, bool pids) {
    node::core_options options;
    options.limits.monitors_per_peer_max = 3;
    options.limits.links_per_peer_max = 3;
    world w;
    auto& a = w.add("a@h", options);
    auto& r = w.raw("r@h");
    auto const p = w.probe(a, "p");
    r.dial("a@h");
    w.run();
    auto const add = [&](int i) {
      r.send(fmt::format(fmt::runtime(control), pids ? i : 1, etf::print(etf::make(p)), i));
      w.run();
    };
    for (int i = 1; i <= 3; ++i) add(i);
    CHECK(a.connected("r@h"));
    CHECK(w.as(p).raw().watchers.size() + w.as(p).raw().links.size() == 3);
    add(4);
    CHECK_FALSE(a.connected("r@h"));
    CHECK(w.as(p).raw().watchers.empty());
    CHECK(w.as(p).raw().links.empty());
    CHECK(count(w.take_trace(), "per_peer_max") == 1);
  };
  story("{{19,#Pid<r@h.{0}.0.50>,{1},#Ref<r@h.50.{2}>}}", false);
  story("{{1,#Pid<r@h.{0}.0.50>,{1}}}", true);
}

TEST_CASE("limits: monitors and links that are gone do not count") {
  node::core_options options;
  options.limits.monitors_per_peer_max = 3;
  options.limits.links_per_peer_max = 3;
  world w;
  auto& a = w.add("a@h", options);
  auto& r = w.raw("r@h");
  auto const p = etf::print(etf::make(w.probe(a)));
  r.dial("a@h");
  w.run();
  for (int i = 1; i <= 20; ++i) {
    r.send(fmt::format("{{1,#Pid<r@h.{}.0.50>,{}}}", i, p));
    if (i % 2 == 0)
      r.send(fmt::format("{{24,#Pid<r@h.{}.0.50>,{}}}", i, p), "bye");
    else
      r.send(fmt::format("{{35,1,#Pid<r@h.{}.0.50>,{}}}", i, p));
    r.send(fmt::format("{{19,#Pid<r@h.1.0.50>,{},#Ref<r@h.50.{}>}}", p, i));
    if (i > 2) r.send(fmt::format("{{20,#Pid<r@h.1.0.50>,{},#Ref<r@h.50.{}>}}", p, i - 2));
    w.run();
  }
  for (int i = 0; i < 5; ++i) {
    auto const mortal = w.spawn(a, [](node::self me) -> node::task<> { co_await me.receive(); });
    r.send(fmt::format("{{1,#Pid<r@h.1.0.50>,{}}}", etf::print(etf::make(mortal))));
    r.send(fmt::format("{{19,#Pid<r@h.1.0.50>,{},#Ref<r@h.50.1{}>}}", etf::print(etf::make(mortal)), i));
    r.send(fmt::format("{{22,#Pid<r@h.1.0.50>,{}}}", etf::print(etf::make(mortal))), "end");
    w.run();
  }
  CHECK(a.connected("r@h"));
}

TEST_CASE("limits: handshakes at the same time") {
  node::core_options options;
  options.limits.handshakes_max = 3;
  world w;
  auto& a = w.add("a@h", options);
  std::vector<raw_peer*> silent;
  for (int i = 0; i < 3; ++i) {
    silent.push_back(&w.raw(fmt::format("s{}@h", i)));
    silent.back()->mute = true;
    silent.back()->dial("a@h");
  }
  w.run();
  auto& r = w.raw("r@h");
  r.dial("a@h");
  w.run();
  CHECK_FALSE(a.connected("r@h"));
  CHECK(count(r.log, "closed") == 1);
  w.pass(7s);
  r.dial("a@h");
  w.run();
  CHECK(a.connected("r@h")); // who is up no longer counts
  for (int i = 0; i < 5; ++i) {
    auto& next = w.raw(fmt::format("n{}@h", i));
    next.dial("a@h");
    w.run();
    CHECK(a.connected(fmt::format("n{}@h", i)));
  }
}

TEST_CASE("limits: peers, whoever dials") {
  node::core_options options;
  options.limits.peers_max = 2;
  world w;
  auto& a = w.add("a@h", options);
  for (int i = 0; i < 2; ++i) w.raw(fmt::format("r{}@h", i)).dial("a@h");
  w.run();
  CHECK(a.peers(true, true).size() == 2);
  auto& third = w.raw("r3@h");
  third.dial("a@h");
  w.run();
  CHECK(a.peers(true, true).size() == 2);
  CHECK(count(third.log, "it does not allow this node") == 1);
  CHECK(count(w.take_trace(), "peers_max") == 1);
  auto const p = w.probe(a, "p");
  w.as(p).monitor(node::destination("x", "r3@h"));
  w.run();
  CHECK(w.log(p) == lines{"{'DOWN',R1,process,{x,r3@h},noconnection}"});
  auto& again = w.raw("r0@h"); // known already: it may come back
  again.dial("a@h");
  w.run();
  CHECK(a.connected("r0@h"));
}

TEST_CASE("leaving: watchers and links are told before the connections close") {
  for (bool const within : {false, true}) {
    CAPTURE(within);
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      pair s(seed);
      s.w.as(s.q).monitor_nodes(true);
      s.w.as(s.q).monitor(s.p);
      s.w.run();
      s.w.as(s.q).link(s.p);
      s.w.run();
      s.w.log(s.q).clear();
      if (within) {
        s.w.spawn(s.a, [](node::self me) -> node::task<> {
          me.node().leave(me.node().now());
          co_return;
        });
      } else {
        s.a.leave(s.w.now());
      }
      s.w.run();
      CHECK(s.w.log(s.q) == lines{"{'DOWN',R1,process,p,shutdown}", "{'EXIT',p,shutdown}", "{nodedown,a@h}"});
      CHECK(s.a.process_count() == 0);
      CHECK(s.a.peers(true, true).empty());
      s.w.as(s.q).monitor(s.p); // nobody comes in any more
      s.w.run();
      CHECK(s.w.log(s.q).back() == "{'DOWN',R2,process,p,noconnection}");
    }
  }
}

TEST_CASE("leaving: while a dial is under way") {
  pair s;
  s.w.hold_dials(true);
  s.w.as(s.p).send(s.q, t("x"));
  s.w.run();
  s.a.leave(s.w.now());
  s.w.hold_dials(false);
  s.w.run();
  CHECK(s.w.log(s.q).empty());
  CHECK(s.a.process_count() == 0);
  s.w.pass(100s);
  CHECK(s.b.peers(true, true).empty());
}

TEST_CASE("hidden: on either side it is hidden for both") {
  world w;
  auto& a = w.add("a@h");
  auto& b = w.add("b@h", {.hidden = true});
  auto const p = w.probe(a, "p");
  w.as(p).monitor_nodes(true);
  a.connect(etf::atom("b@h"));
  w.run();
  CHECK(a.peers(true, false).empty());
  CHECK(a.peers(false, true) == std::vector<std::string>{"b@h"});
  CHECK(b.peers(false, true) == std::vector<std::string>{"a@h"});
  CHECK(w.log(p).empty());
}

TEST_CASE("dynamic names: given, hidden, and as good as others") {
  world w;
  auto& a = w.add("a@h");
  auto& r = w.raw("h", (dist::flag::ours | dist::flag::name_me) & ~dist::flag::published);
  r.dial("a@h");
  w.run();
  CHECK(count(r.log, "closed") <=
        1); // our own initiator does not speak it; the acceptor's part is in dist_handshake
  CHECK(a.peers(true, false).empty());
}
