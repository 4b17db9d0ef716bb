// Links between nodes (protocol.md 3.6): whatever crosses on the wire, both ends agree when it is quiet
// again.
#include "etf/print.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

std::size_t links_of(world& w, etf::pid const& p) { return w.as(p).raw().links.size(); }
bool linked(world& w, etf::pid const& p, etf::pid const& other) {
  auto const& links = w.as(p).raw().links;
  auto const found = links.find(other);
  return found != links.end() && found->second.active;
}

struct pair {
  explicit pair(std::uint64_t seed = 1) : w(seed) {
    w.add("a@h");
    w.add("b@h");
    p = w.probe(w.at("a@h"), "p");
    q = w.probe(w.at("b@h"), "q");
  }
  world w;
  etf::pid p, q;
};

} // namespace

TEST_CASE("links: an end reaches the other node with its reason, trapped as a message") {
  for (auto const* const reason : {"bye", "kill", "normal", "{shutdown,[1,2]}"}) {
    pair s;
    s.w.as(s.p).link(s.q);
    s.w.run();
    CHECK(linked(s.w, s.p, s.q));
    CHECK(linked(s.w, s.q, s.p));
    auto const end = s.w.spawn(s.w.at("a@h"), [&](node::self me) -> node::task<> {
      me.link(s.q);
      co_await me.receive();
      me.exit(t(reason));
    });
    s.w.label(end, "end");
    s.w.run();
    s.w.as(s.p).send(end, t("go"));
    s.w.run();
    CHECK(s.w.log(s.q) == lines{fmt::format("{{'EXIT',end,{}}}", reason)});
    CHECK(links_of(s.w, s.q) == 1); // p's
  }
}

TEST_CASE("links: who does not trap dies of any reason but normal, and takes its own links along") {
  pair s;
  auto const mortal = s.w.probe(s.w.at("b@h"), "mortal", false);
  s.w.as(s.p).link(mortal);
  auto const one = s.w.probe(s.w.at("a@h"), "one", false);
  s.w.as(one).link(mortal);
  s.w.run();
  s.w.as(s.p).exit_other(mortal, t("normal")); // from another process: ignored
  s.w.run();
  CHECK(s.w.alive(mortal));
  auto const gentle = s.w.spawn(s.w.at("a@h"), [mortal](node::self me) -> node::task<> {
    me.link(mortal);
    co_return;
  });
  s.w.run();
  CHECK_FALSE(s.w.alive(gentle));
  CHECK(s.w.alive(mortal)); // a link's `normal` does not kill
  CHECK(links_of(s.w, mortal) == 2);
  s.w.as(s.p).exit_other(one, t("enough"));
  s.w.run();
  CHECK_FALSE(s.w.alive(one));
  CHECK_FALSE(s.w.alive(mortal));
  CHECK(s.w.log(s.p) == lines{"{'EXIT',mortal,enough}"});
  CHECK(links_of(s.w, s.p) == 0);
}

TEST_CASE("links: exit/2 with kill cannot be trapped, and is told as killed") {
  pair s;
  s.w.as(s.p).link(s.q);
  s.w.run();
  s.w.as(s.p).exit_other(s.q, t("foo"));
  s.w.run();
  CHECK(s.w.log(s.q) == lines{"{'EXIT',p,foo}"});
  s.w.as(s.p).exit_other(s.q, t("kill"));
  s.w.run();
  CHECK_FALSE(s.w.alive(s.q));
  CHECK(s.w.log(s.p) == lines{"{'EXIT',q,killed}"});
}

TEST_CASE("links: to the dead, to what never was, and to an earlier incarnation: noproc") {
  pair s;
  s.w.as(s.p).exit_other(s.q, t("kill"));
  s.w.run();
  s.w.as(s.p).link(s.q);
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"{'EXIT',q,noproc}"});
  s.w.as(s.p).link({.node = etf::atom("b@h"), .id = 99, .serial = 9, .creation = s.q.creation});
  s.w.run();
  CHECK(s.w.log(s.p).back() == "{'EXIT',#Pid<b@h.99.9.1001>,noproc}");
  s.w.as(s.p).link({.node = etf::atom("b@h"), .id = 1, .serial = 0, .creation = 5});
  s.w.run();
  CHECK(s.w.log(s.p).back() == "{'EXIT',#Pid<b@h.1.0.5>,noproc}");
  CHECK(links_of(s.w, s.p) == 0);
  auto const lonely = s.w.spawn(s.w.at("a@h"), [&](node::self me) -> node::task<> {
    me.link(s.q);
    co_await me.receive();
  });
  s.w.run();
  CHECK_FALSE(s.w.alive(lonely)); // not trapped
}

// OTP hangs up on an UNLINK_ID, its acknowledgement and an EXIT for a pid of an earlier incarnation (3.8).
TEST_CASE("links: what would be for an earlier incarnation is not sent, queued or not") {
  for (bool const queued : {false, true}) {
    CAPTURE(queued);
    world w;
    auto& a = w.add("a@h");
    auto& r = w.raw("r@h");
    auto const p = w.probe(a, "p");
    etf::pid const old{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 49};
    etf::pid const now{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
    if (!queued) {
      r.dial("a@h");
      w.run();
      r.log.clear();
    }
    auto const linked = w.spawn(a, [&](node::self me) -> node::task<> {
      me.link(old);
      me.link(now);
      me.unlink(old);
      me.unlink(now);
      me.link({.node = etf::atom("r@h"), .id = 2, .serial = 0, .creation = 49});
      co_return; // its end is an EXIT for what it is linked to
    });
    w.label(linked, "l");
    w.as(p).send(now, t("end"));
    w.run();
    std::erase(r.log, "up");
    auto const id = queued ? 2 : 1; // of the UNLINK_ID: the one that was not sent counts where it was queued
    std::sort(r.log.begin(), r.log.end());
    CHECK(r.log == lines{"{1,l,#Pid<r@h.1.0.49>}", "{1,l,#Pid<r@h.1.0.50>}", "{1,l,#Pid<r@h.2.0.49>}",
                         "{22,p,#Pid<r@h.1.0.50>} | 'end'", fmt::format("{{35,{},l,#Pid<r@h.1.0.50>}}", id)});
    r.send("{36,2,#Pid<r@h.1.0.50>,#Pid<a@h.2.0.1000>}");
    w.run();
    CHECK(a.connected("r@h"));
  }
}

TEST_CASE("links: unlink is acknowledged always, and leaves no entry behind") {
  world w;
  auto& a = w.add("a@h");
  auto& r = w.raw("r@h");
  r.dial("a@h");
  auto const p = w.probe(a, "p");
  w.run();
  r.log.clear();
  auto const pid = etf::print(etf::make(p));
  r.send(fmt::format("{{35,7,#Pid<r@h.1.0.50>,{}}}", pid)); // alive, never linked
  w.run();
  CHECK(r.log == lines{"{36,7,p,#Pid<r@h.1.0.50>}"});
  r.send("{35,8,#Pid<r@h.1.0.50>,#Pid<a@h.77.0.1000>}"); // dead
  w.run();
  CHECK(r.log.back() == "{36,8,#Pid<a@h.77.0.1000>,#Pid<r@h.1.0.50>}");
  r.send(fmt::format("{{1,#Pid<r@h.1.0.50>,{}}}", pid));
  r.send(fmt::format("{{35,18446744073709551615,#Pid<r@h.1.0.50>,{}}}", pid));
  w.run();
  CHECK(r.log.back() == "{36,18446744073709551615,p,#Pid<r@h.1.0.50>}");
  CHECK(links_of(w, p) == 0);
  CHECK(w.log(p).empty());
}

TEST_CASE("links: our own unlink waits for its acknowledgement, and an exit in between is not seen") {
  world w;
  auto& a = w.add("a@h");
  auto& r = w.raw("r@h");
  r.dial("a@h");
  auto const p = w.probe(a, "p");
  w.run();
  r.log.clear();
  etf::pid const q{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
  w.label(q, "q");
  auto const pid = etf::print(etf::make(p));
  w.as(p).link(q);
  w.as(p).unlink(q);
  w.run();
  CHECK(r.log == lines{"{1,p,q}", "{35,1,p,q}"});
  CHECK(links_of(w, p) == 1);
  CHECK_FALSE(linked(w, p, q));
  SUBCASE("acknowledged") { r.send(fmt::format("{{36,1,#Pid<r@h.1.0.50>,{}}}", pid)); }
  SUBCASE("the other one ended before it came there") {
    r.send(fmt::format("{{24,#Pid<r@h.1.0.50>,{}}}", pid), "bye");
  }
  w.run();
  CHECK(links_of(w, p) == 0);
  CHECK(w.log(p).empty());

  w.as(p).link(q);
  w.as(p).unlink(q);
  w.as(p).link(q); // again, before the acknowledgement: active, and the old acknowledgement means nothing
  w.as(p).link(q); // a second time is none
  w.run();
  CHECK(r.log.back() == "{1,p,q}");
  CHECK(linked(w, p, q));
  r.send(fmt::format("{{36,2,#Pid<r@h.1.0.50>,{}}}", pid));
  r.send(fmt::format("{{36,77,#Pid<r@h.1.0.50>,{}}}", pid));
  w.run();
  CHECK(linked(w, p, q));
  r.send(fmt::format("{{1,#Pid<r@h.1.0.50>,{}}}", pid)); // linked already
  r.send(fmt::format("{{24,#Pid<r@h.1.0.50>,{}}}", pid), "bye");
  r.send(fmt::format("{{24,#Pid<r@h.1.0.50>,{}}}", pid), "again");
  w.run();
  CHECK(w.log(p) == lines{"{'EXIT',q,bye}"});
  w.as(p).unlink(q); // there is none: nothing is sent
  auto const said = r.log.size();
  w.run();
  CHECK(r.log.size() == said);
}

TEST_CASE("links: a link while our unlink is under way is ignored until it is acknowledged") {
  world w;
  auto& a = w.add("a@h");
  auto& r = w.raw("r@h");
  r.dial("a@h");
  auto const p = w.probe(a, "p");
  w.run();
  etf::pid const q{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
  auto const pid = etf::print(etf::make(p));
  w.as(p).link(q);
  w.as(p).unlink(q);
  w.run();
  r.send(fmt::format("{{1,#Pid<r@h.1.0.50>,{}}}", pid));
  w.run();
  CHECK_FALSE(linked(w, p, q));
  r.send(fmt::format("{{36,1,#Pid<r@h.1.0.50>,{}}}", pid));
  w.run();
  CHECK(links_of(w, p) == 0);
}

// Both ends link and unlink as they like. Quiet again, either both have an active link or neither has any
// entry.
TEST_CASE("links: any interleaving of link, unlink and relink leaves both ends agreed") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    pair s(seed);
    s.w.chunk_bytes_max = 40;
    base::random random(seed);
    bool last_p = false;
    bool last_q = false;
    for (int i = 0; i < 25; ++i) {
      bool const mine = random.below(2) == 0;
      bool const link = random.below(2) == 0;
      auto me = s.w.as(mine ? s.p : s.q);
      auto const other = mine ? s.q : s.p;
      if (link)
        me.link(other);
      else
        me.unlink(other);
      (mine ? last_p : last_q) = link;
      for (auto steps = random.below(4); steps > 0; --steps) s.w.step();
    }
    s.w.run();
    CHECK(linked(s.w, s.p, s.q) == linked(s.w, s.q, s.p));
    CHECK(links_of(s.w, s.p) == links_of(s.w, s.q));
    CHECK(links_of(s.w, s.p) == (linked(s.w, s.p, s.q) ? 1 : 0));
    CHECK(s.w.log(s.p) == lines{});
    CHECK(s.w.log(s.q) == lines{});
    s.w.as(s.p).unlink(s.q); // unlink holds for both
    s.w.run();
    CHECK(links_of(s.w, s.p) == 0);
    CHECK(links_of(s.w, s.q) == 0);
    s.w.as(s.q).link(s.p);
    s.w.run();
    s.w.as(s.p).exit_other(s.q, t("kill"));
    s.w.run();
    CHECK(s.w.log(s.p) == lines{"{'EXIT',q,killed}"});
    static_cast<void>(last_p != last_q);
  }
}

TEST_CASE("links: one end dies while the other unlinks: an exit, or nothing, and never an entry left") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    pair s(seed);
    s.w.as(s.p).link(s.q);
    s.w.run();
    s.w.as(s.q).exit_other(s.q, t("kill"));
    for (auto steps = seed % 5; steps > 0; --steps) s.w.step();
    s.w.as(s.p).unlink(s.q);
    auto const seen = s.w.log(s.p).size();
    s.w.run();
    CHECK(s.w.log(s.p).size() == seen); // nothing comes after unlink returned
    CHECK(links_of(s.w, s.p) == 0);
  }
}
