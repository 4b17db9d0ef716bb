// One scope on paper: each rule of pg.erl and of protocol.md 6 in three beats, with the text of its effects.
#include "base/random.hpp"
#include "etf/normal.hpp"
#include "etf/parse.hpp"
#include "etf/print.hpp"
#include "pg/scope.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

using namespace remora;
using namespace std::chrono_literals;
using test::lines;

namespace {

etf::pid pid(std::string_view node, std::uint32_t id) {
  return {.node = etf::atom(node), .id = id, .serial = 0, .creation = 1};
}
std::string short_text(std::string text) {
  for (auto at = text.find("#Pid<"); at != std::string::npos; at = text.find("#Pid<")) {
    auto const end = text.find('>', at);
    auto const inside = text.substr(at + 5, end - at - 5); // a@h.7.0.1
    auto const host = inside.find("@h.");
    text.replace(at, end - at + 1,
                 inside.substr(0, host) + inside.substr(host + 3, inside.find('.', host + 3) - host - 3));
  }
  return text;
}

// A scope of us@h whose process is us1; pids are written b2 for #Pid<b@h.2.0.1>.
struct paper {
  explicit paper(pg::limits limits = {}) : s("pg", pid("us@h", 1), limits) {}

  static etf::term t(std::string text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      auto const digits = text.find_first_not_of("0123456789", i + 2);
      bool const us = text.compare(i, 3, "us1") == 0;
      bool const one = std::string("abcpqr").find(text[i]) != std::string::npos && i + 1 < text.size() &&
                       std::isdigit(static_cast<unsigned char>(text[i + 1])) != 0 &&
                       (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0);
      if (us) {
        out += "#Pid<us@h.1.0.1>";
        i += 2;
      } else if (one) {
        auto const end = digits == std::string::npos ? text.size() : digits;
        out += fmt::format("#Pid<{}@h.{}.0.1>", text[i], text.substr(i + 1, end - i - 1));
        i = end - 1;
      } else {
        out += text[i];
      }
    }
    auto parsed = etf::parse(out);
    REQUIRE_MESSAGE(parsed.has_value(), out);
    return *parsed;
  }
  static std::vector<etf::pid> pids(std::string const& list) { return *pg::read_pids(t(list)); }

  lines take() {
    lines out;
    for (auto const& e : effects) out.push_back(short_text(pg::describe(e)));
    effects.clear();
    return out;
  }
  lines on(pg::event const& e) {
    s.handle(e, now, effects);
    return take();
  }
  lines hear(std::string const& text) { return on(pg::received{t(text)}); }
  lines end(std::string const& who) { return on(pg::watched_ended{pids(who).front()}); }
  lines join(std::string const& group, std::string const& who) {
    CHECK(s.join(t(group), pids(who), who.starts_with('['), effects) == pg::joined::ok);
    return take();
  }
  lines leave(std::string const& group, std::string const& who, bool left = true) {
    CHECK(s.leave(t(group), pids(who), who.starts_with('['), effects) == left);
    return take();
  }
  static std::string text(std::span<etf::pid const> all) {
    auto sorted = std::vector(all.begin(), all.end());
    std::sort(sorted.begin(), sorted.end(),
              [](auto const& a, auto const& b) { return std::tie(a.node, a.id) < std::tie(b.node, b.id); });
    std::string out;
    for (auto const& p : sorted) out += (out.empty() ? "" : " ") + short_text(etf::print(etf::make(p)));
    return out;
  }
  std::string members(std::string const& group) { return text(s.members(t(group))); }
  std::string local(std::string const& group) { return text(s.local_members(t(group))); }
  // b1 is a scope that knows us and is known.
  void meet(std::string const& scope) { hear("{discover," + scope + "}"); }

  pg::scope s;
  base::time_point now{};
  std::vector<pg::effect> effects;
};

etf::reference ref(std::uint32_t n) {
  return {.node = etf::atom("us@h"), .creation = 1, .count = 1, .words = {n}};
}

} // namespace

TEST_CASE("pg: discovery at the start, and of a node that comes up, without dialling") {
  paper p;
  CHECK(p.on(pg::started{{etf::atom("b@h"), etf::atom("c@h")}}) ==
        lines{"send {pg,b@h} {discover,us1}", "send {pg,c@h} {discover,us1}"});
  CHECK(p.on(pg::node_up{etf::atom("d@h")}) == lines{"send {pg,d@h} {discover,us1}"});
  CHECK_FALSE(p.s.next_deadline());
}

TEST_CASE("pg: a discover is answered by all that is local, and by a discover if it is of a stranger") {
  paper p;
  CHECK(p.hear("{discover,b1}") ==
        lines{"send b1 {'$gen_cast',{sync,us1,[]}}", "watch b1", "send b1 {discover,us1}"});
  p.join("g", "[p1,p1]");
  p.hear("{'$gen_cast',{sync,b1,[{g,[b7]}]}}");
  CHECK(p.hear("{discover,b1}") == lines{"send b1 {'$gen_cast',{sync,us1,[{g,[p1,p1]}]}}"});
  p.leave("g", "[p1,p1]");
  CHECK(p.hear("{discover,b1}") == lines{"send b1 {'$gen_cast',{sync,us1,[]}}"}); // no group without members
}

TEST_CASE("pg: the discover with a version is taken like the one without") {
  paper p;
  CHECK(p.hear("{discover,b1,\"1.0\"}").size() == 3);
  CHECK(p.s.peer_count() == 1);
}

TEST_CASE("pg: a sync replaces what is known of its scope, and of no other") {
  paper p;
  CHECK(p.hear("{'$gen_cast',{sync,b1,[{g,[b7,b7,b8]},{h,[b7]}]}}") == lines{"watch b1"});
  p.hear("{'$gen_cast',{sync,c1,[{g,[c7]}]}}");
  CHECK(p.members("g") == "b7 b7 b8 c7");
  p.hear("{'$gen_cast',{sync,b1,[{g,[b7,b9]},{empty,[]}]}}");
  CHECK(p.members("g") == "b7 b9 c7");
  CHECK(p.members("h").empty());
  CHECK(p.s.groups().size() == 1);
  p.hear("{'$gen_cast',{sync,b1,[]}}");
  CHECK(p.members("g") == "c7");
  CHECK(p.s.group_count() == 1);
}

TEST_CASE("pg: joins and leaves of known scopes are applied, of others ignored") {
  paper p;
  p.hear("{join,b1,g,b7}");
  p.hear("{leave,b1,b7,[g]}");
  CHECK(p.s.group_count() == 0);
  p.meet("b1");
  p.hear("{join,b1,g,b7}");
  p.hear("{join,b1,g,[b8,b7]}");
  CHECK(p.members("g") == "b7 b7 b8");
  CHECK(p.local("g").empty());
  CHECK(p.hear("{leave,b1,b7,[g]}").empty());
  CHECK(p.members("g") == "b7 b8");
  p.hear("{leave,b1,[b7,b8],[g]}");
  CHECK(p.s.group_count() == 0);
  CHECK(p.hear("{join,b1,g,[]}").empty()); // OTP shows an empty group: a group is its members
  CHECK(p.s.group_count() == 0);
}

TEST_CASE("pg: a leave beyond what its scope has joined takes nothing from others") {
  paper p;
  p.meet("b1");
  p.meet("c1");
  p.hear("{join,b1,g,[b7,b7]}");
  p.hear("{join,c1,g,b7}");
  p.join("g", "b7"); // through us
  CHECK(p.hear("{leave,b1,b7,[g,g,g,nosuch]}").empty());
  CHECK(p.members("g") == "b7 b7");
  p.hear("{leave,c1,[b7,b7],[g]}");
  CHECK(p.members("g") == "b7");
  CHECK(p.local("g") == "b7");
}

TEST_CASE("pg: a local join is watched once and told to every scope that has had our sync") {
  paper p;
  p.meet("b1");
  CHECK(p.join("g", "p1") == lines{"watch p1", "send b1 {join,us1,g,p1}"});
  CHECK(p.join("g", "[p1,p2]") == lines{"watch p2", "send b1 {join,us1,g,[p1,p2]}"});
  CHECK(p.join("g", "[p2]") == lines{"send b1 {join,us1,g,[p2]}"});
  CHECK(p.members("g") == "p1 p1 p2 p2");
  CHECK(p.local("g") == "p1 p1 p2 p2");
  CHECK(p.join("g", "[]").empty());
}

// pg.erl sends to everybody that it has heard of; a leave between a scope's sync and its discover is then one
// that this scope cannot know, and crashes it.
TEST_CASE("pg: between a scope's sync and its discover nothing is told") {
  paper p;
  p.join("g", "[p1,p2]");
  CHECK(p.hear("{'$gen_cast',{sync,b1,[]}}") == lines{"watch b1"});
  CHECK(p.leave("g", "p1") == lines{"unwatch p1"});
  CHECK(p.join("h", "p2").empty());
  CHECK(p.hear("{discover,b1}") == lines{"send b1 {'$gen_cast',{sync,us1,[{g,[p2]},{h,[p2]}]}}"});
  CHECK(p.leave("g", "p2") == lines{"send b1 {leave,us1,p2,[g]}"});
}

TEST_CASE("pg: a leave removes one occurrence, and is told for exactly those that were there") {
  paper p;
  p.meet("b1");
  p.join("g", "[p1,p1,p2]");
  CHECK(p.leave("g", "p1") == lines{"send b1 {leave,us1,p1,[g]}"});
  CHECK(p.leave("g", "[p1,p1,p3,p2]") ==
        lines{"unwatch p1", "unwatch p2", "send b1 {leave,us1,[p1,p2],[g]}"});
  CHECK(p.leave("g", "p1", false).empty());
  CHECK(p.leave("g", "[]", false).empty());
  p.hear("{join,b1,g,b7}");
  CHECK(p.leave("g", "b7", false).empty()); // a member, but not by us
  CHECK(p.s.local_count() == 0);
}

TEST_CASE("pg: a dead member leaves every group as often as it had joined") {
  paper p;
  p.meet("b1");
  p.join("g", "[p1,p1]");
  p.join("h", "p1");
  p.join("g", "p2");
  CHECK(p.end("p1") == lines{"send b1 {leave,us1,p1,[g,g,h]}"});
  CHECK(p.members("g") == "p2");
  CHECK(p.members("h").empty());
  CHECK(p.s.local_count() == 1);
  CHECK(p.end("p1").empty());
}

TEST_CASE("pg: when a scope ends all of its members go, whatever the reason") {
  paper p;
  p.meet("b1");
  p.hear("{join,b1,g,[b7,b7]}");
  p.join("g", "p1");
  CHECK(p.end("b1").empty());
  CHECK(p.members("g") == "p1");
  CHECK(p.s.peer_count() == 0);
  CHECK(p.join("g", "p2") == lines{"watch p2"}); // it hears no more
  p.hear("{join,b1,g,b7}");                      // raced with its end
  CHECK(p.members("g") == "p1 p2");
  p.meet("b2"); // the next one is another
  CHECK(p.s.peer_count() == 1);
}

TEST_CASE("pg: one pid may be a scope and a member: it is watched once") {
  paper p;
  p.meet("b1");
  CHECK(p.join("g", "b1") == lines{"send b1 {join,us1,g,b1}"});
  CHECK(p.leave("g", "b1") == lines{"send b1 {leave,us1,b1,[g]}"});
  p.join("g", "b1");
  p.end("b1");
  CHECK(p.s.group_count() == 0);
  CHECK(p.s.peer_count() == 0);
}

TEST_CASE("pg: subscribers hear what pg:monitor tells") {
  paper p;
  p.meet("b1");
  p.join("g", "p1");
  auto const q = pid("q@h", 1);
  CHECK(p.s.subscribe(ref(1), q));
  CHECK(p.s.subscribe(ref(2), q, etf::view(p.t("g"))));
  CHECK(p.s.subscribe(ref(3), q, etf::view(p.t("later"))));
  CHECK(p.s.groups().size() == 1); // what is only waited for is no group
  auto const event = [](int n, std::string const& text) {
    return fmt::format("notify q1 {{#Ref<us@h.1.{}>,{}}}", n, text);
  };
  CHECK(p.hear("{join,b1,g,[b7,b8,b8]}") ==
        lines{event(2, "join,g,[b7,b8,b8]"), event(1, "join,g,[b7,b8,b8]")});
  CHECK(p.hear("{'$gen_cast',{sync,b1,[{g,[b8,b9]}]}}") ==
        lines{event(2, "join,g,[b9]"), event(1, "join,g,[b9]"), event(2, "leave,g,[b7,b8]"),
              event(1, "leave,g,[b7,b8]")});
  CHECK(p.join("later", "p1") ==
        lines{event(3, "join,later,[p1]"), event(1, "join,later,[p1]"), "send b1 {join,us1,later,p1}"});
  CHECK(p.leave("h", "p1", false).empty());
  CHECK(p.s.unsubscribe(ref(1)));
  CHECK_FALSE(p.s.unsubscribe(ref(1)));
  CHECK(p.end("b1") == lines{event(2, "leave,g,[b8,b9]")});
  CHECK(p.end("p1") == lines{event(2, "leave,g,[p1]"), event(3, "leave,later,[p1]")});
  CHECK(p.s.unsubscribe(ref(2)));
  CHECK(p.s.unsubscribe(ref(3)));
  CHECK(p.s.group_count() == 0);
}

TEST_CASE("pg: equal groups are one group, however they are encoded") {
  paper p;
  p.meet("b1");
  p.hear("{join,b1,#{a => 1, b => \"xy\"},b7}");
  p.join("#{b => \"xy\", a => 1}", "p1");
  CHECK(p.members("#{a => 1, b => [120|\"y\"]}") == "b7 p1");
  p.hear("{join,b1,{1},b7}");
  CHECK(p.members("{1.0}").empty());
}

TEST_CASE("pg: what is no message is refused, told once in a while, and changes nothing") {
  paper p;
  p.meet("b1");
  p.join("g", "p1");
  p.hear("{join,b1,g,b7}");
  char const* const wrong[] = {"hello",
                               "{}",
                               "{discover}",
                               "{discover,x}",
                               "{discover,b1,1,2}",
                               "{join,b1,g}",
                               "{join,b1,g,x}",
                               "{join,b1,g,[b7|b8]}",
                               "{join,b1,g,[b7,x]}",
                               "{leave,b1,b7,g}",
                               "{leave,b1,b7,[g|h]}",
                               "{leave,b1,x,[g]}",
                               "{leave,x,b7,[g]}",
                               "{sync,b1,[]}",
                               "{'$gen_cast',{sync,b1,g}}",
                               "{'$gen_cast',{sync,b1,[g]}}",
                               "{'$gen_cast',{sync,b1,[{g,b7}]}}",
                               "{'$gen_cast',{sync,b1,[{g,[b7]}|x]}}",
                               "{'$gen_cast',{sync,x,[]}}",
                               "{'$gen_cast',{join,b1,g,b7}}",
                               "{discover,us1}",
                               "{join,us1,g,b7}",
                               "{leave,us1,p1,[g]}",
                               "{'DOWN',1,2,3}"};
  for (auto const* const text : wrong) {
    CAPTURE(text);
    p.now += 2s;
    auto const told = p.hear(text);
    REQUIRE(told.size() == 1);
    CHECK(told[0].starts_with("refused: "));
    CHECK(p.members("g") == "b7 p1");
  }
  CHECK(p.hear("hello").empty());
  CHECK(p.hear("hello").empty());
  p.now += 2s;
  CHECK(p.hear("hello") == lines{"refused: no message of pg: hello (2 more like it before)"});
}

// Limits: each is reached, holds, and costs nobody else anything.

TEST_CASE("pg limits: groups, their size, and all names together") {
  paper p({.groups_max = 2, .group_bytes_max = 40, .names_bytes_max = 60});
  p.meet("b1");
  p.hear("{join,b1,g,b7}");
  p.hear("{join,b1,h,b7}");
  CHECK(p.hear("{join,b1,i,b7}") == lines{"refused: a join beyond the limits of groups"});
  CHECK(p.s.group_count() == 2);
  p.hear("{leave,b1,b7,[h]}");
  p.hear("{'$gen_cast',{sync,b1,[{g,[b7]},{i,[b7]},{j,[b8]}]}}");
  CHECK(p.s.group_count() == 2);
  CHECK(p.s.join(p.t("k"), p.pids("p1"), false, p.effects) == pg::joined::limit);
  p.effects.clear();
  p.hear("{'$gen_cast',{sync,b1,[]}}");
  CHECK(p.s.join(etf::make(std::string(100, 'x')), p.pids("p1"), false, p.effects) == pg::joined::limit);
  CHECK(p.s.join(etf::make(std::string(30, 'x')), p.pids("p1"), false, p.effects) == pg::joined::ok);
  CHECK(p.s.join(etf::make(std::string(30, 'y')), p.pids("p1"), false, p.effects) == pg::joined::limit);
  CHECK_FALSE(p.s.subscribe(ref(1), pid("q@h", 1), etf::view(etf::make(std::string(30, 'z')))));
  CHECK(p.s.group_count() == 1);
}

TEST_CASE("pg limits: memberships of a peer, and of our own") {
  paper p({.memberships_per_peer_max = 3, .memberships_local_max = 2});
  p.meet("b1");
  p.hear("{join,b1,g,[b1,b2]}");
  CHECK(p.hear("{join,b1,g,[b3,b4]}") == lines{"refused: more than 3 memberships"});
  CHECK(p.members("g") == "b1 b2 b3");
  p.hear("{'$gen_cast',{sync,b1,[{g,[b1,b2]},{h,[b1,b2]},{i,[b1]}]}}");
  CHECK(p.s.members(p.t("g")).size() + p.s.members(p.t("h")).size() == 3);
  CHECK(p.members("i").empty());
  CHECK(p.s.groups().size() == 2);
  p.hear("{leave,b1,[b1,b2,b3,b4],[g,h,i]}"); // what was not taken is not missed
  CHECK(p.s.groups().empty());
  p.meet("c1");
  p.hear("{join,c1,g,c7}"); // another's are its own
  CHECK(p.members("g") == "c7");
  CHECK(p.join("g", "[p1,p2]").size() == 4);
  CHECK(p.s.join(p.t("g"), p.pids("p3"), false, p.effects) == pg::joined::limit);
  CHECK(p.effects.empty());
}

TEST_CASE("pg limits: peers and subscriptions") {
  paper p({.peers_max = 1, .subscriptions_max = 1});
  p.meet("b1");
  CHECK(p.hear("{discover,c1}") == lines{"refused: more than 1 scopes"});
  p.now += 2s;
  CHECK(p.hear("{'$gen_cast',{sync,c1,[{g,[c7]}]}}") == lines{"refused: more than 1 scopes"});
  CHECK(p.s.group_count() == 0);
  CHECK(p.s.subscribe(ref(1), pid("q@h", 1)));
  CHECK_FALSE(p.s.subscribe(ref(2), pid("q@h", 1)));
  CHECK(p.s.unsubscribe(ref(1)));
  CHECK(p.s.subscribe(ref(2), pid("q@h", 1)));
}

// The clever multiset against the obvious one.
TEST_CASE("pg: multisets with and without their index") {
  base::random random(7);
  for (std::uint32_t const kinds : {2U, 10U, 200U}) {
    pg::multiset clever;
    std::map<std::uint32_t, std::size_t> obvious;
    std::size_t total = 0;
    for (int i = 0; i < 4000; ++i) {
      auto const id = static_cast<std::uint32_t>(random.below(kinds));
      if (random.below(100) < (i < 2000 ? 60U : 40U)) {
        clever.add(pid("a@h", id));
        ++obvious[id];
        ++total;
      } else {
        bool const had = obvious[id] > 0;
        REQUIRE(clever.remove(pid("a@h", id)) == had);
        if (had) --obvious[id], --total;
      }
      REQUIRE(clever.size() == total);
      REQUIRE(clever.count(pid("a@h", id)) == obvious[id]);
    }
    for (auto const& [id, n] : obvious) REQUIRE(clever.count(pid("a@h", id)) == n);
    std::map<std::uint32_t, std::size_t> listed;
    for (auto const& p : clever.all()) ++listed[p.id];
    std::erase_if(obvious, [](auto const& e) { return e.second == 0; });
    CHECK(listed == obvious);
  }
}

TEST_CASE("etf: one encoding for one value") {
  auto const normal = [](std::string_view text) {
    auto const t = *etf::parse(text);
    auto const n = etf::normalised(t);
    CHECK(etf::is_normal(n));
    CHECK(etf::is_normal(t) == (*t == *n));
    return etf::print(n);
  };
  CHECK(normal("#{b => 1, a => #{d => 2, c => 3}}") == "#{a => #{c => 3,d => 2},b => 1}");
  CHECK(normal("{[#{b => 1, a => 2}|x]}") == "{[#{a => 2,b => 1}|x]}");
  CHECK(normal("[1,2,3]") == "[1,2,3]");
  // 108 with small integers, [1|[2,3]], and the same in pieces: all are the string.
  etf::builder b;
  b.list(2).integer(104).integer(105).nil();
  CHECK(*etf::normalised(b.take()) == *etf::make(etf::str("hi")));
  b.list(1).integer(104).copy(etf::make(etf::str("i")));
  auto const pieces = b.take();
  CHECK_FALSE(etf::is_normal(pieces));
  CHECK(*etf::normalised(pieces) == *etf::make(etf::str("hi")));
  b.list(1).atom("x").copy(etf::make(etf::str("i")));
  CHECK(etf::print(etf::normalised(b.take())) == "[x,105]");
}
