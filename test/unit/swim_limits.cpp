// Whatever can grow, at its limit.
#include "swim/directory.hpp"
#include "swim/envelope.hpp"
#include "swim/metadata.hpp"
#include "unit/swim_paper.hpp"

using namespace remora;
using namespace std::chrono_literals;
using swim::message_kind;
using swim::status;
using test::lines;
using paper = test::swim_paper;

namespace {

std::vector<swim::send_packet> packets(paper const& p) {
  std::vector<swim::send_packet> out;
  for (auto const& e : p.last)
    if (auto const* const s = std::get_if<swim::send_packet>(&e)) out.push_back(*s);
  return out;
}

} // namespace

TEST_CASE("swim limit: members_max are known, further ones not, and that is said once") {
  swim::limits l;
  l.members_max = 4;
  paper p(test::paper_options(), l);
  p.start();
  p.gossip({paper::alive("b@h"), paper::alive("c@h")});
  CHECK(paper::count(p.gossip({paper::alive("d@h")}), "limit") == 0);
  CHECK(p.c.members().size() == 4);
  auto const out = p.gossip({paper::alive("e@h")});
  CHECK(out == lines{"news: limit: 4 members are known, as many as may be: e@h and others are not taken in"});
  CHECK(p.gossip({paper::alive("f@h")}).empty());
  CHECK_FALSE(p.c.find("e@h"));
  // Who is gone for longest gives way.
  p.now += 1s;
  p.gossip({paper::dead("c@h")});
  p.now += 1s;
  p.gossip({paper::dead("b@h", 0, "d@h")}, "d@h");
  auto const joined = p.gossip({paper::alive("e@h")}, "d@h");
  CHECK(paper::news(joined) == lines{"forgotten c@h", "joined e@h"});
  CHECK(p.c.members().size() == 4);
  CHECK(p.c.find("b@h"));
}

TEST_CASE("swim limit: VMs are members too") {
  swim::limits l;
  l.members_max = 2;
  paper p(test::paper_options(), l);
  p.start();
  p.on(swim::peer_up{"v@h", 1});
  p.on(swim::peer_up{"w@h", 1});
  auto const out = p.pass(3s);
  CHECK(p.c.members().size() == 2);
  CHECK(paper::count(out, "joined") == 1);
  CHECK(paper::count(out, "limit") == 1);
}

TEST_CASE("swim limit: a packet keeps to packet_bytes_max, seal included, and takes as many updates as fit") {
  for (std::size_t const most : {700U, 900U, 1400U}) {
    swim::limits l;
    l.packet_bytes_max = most;
    paper p(test::paper_options(), l);
    p.start();
    std::string const data = swim::write_metadata({{"k", std::string(90, 'v')}});
    for (int i = 0; i < 100; ++i) {
      auto const name = fmt::format("{}{:02}@h", static_cast<char>('b' + i % 20), i);
      auto u = paper::alive(name);
      u.metadata = data;
      p.gossip({u}, "b@h");
    }
    std::size_t largest = 0;
    for (int i = 0; i < 50; ++i) {
      p.wake();
      for (auto const& s : packets(p)) {
        CHECK(s.bytes.size() + swim::envelope::overhead <= most);
        largest = std::max(largest, s.bytes.size());
      }
    }
    CHECK(largest + swim::envelope::overhead > most - 150); // the room is used
  }
}

TEST_CASE("swim limit: a packet that is larger than may be is not read") {
  paper p;
  p.with({"b@h"});
  auto const head = paper::from("b@h", message_kind::gossip);
  std::vector<swim::update> updates(40, paper::alive("b@h"));
  std::string const data = swim::write_metadata({{"k", std::string(40, 'v')}});
  for (auto& u : updates) u.metadata = data;
  auto bytes = paper::bytes_of(head, updates);
  while (bytes.size() > 1400 - swim::envelope::overhead) {
    updates.pop_back();
    bytes = paper::bytes_of(head, updates);
  }
  p.on(swim::packet{bytes, {}});
  CHECK(p.c.metrics().malformed == 0);
  updates.push_back(updates.back());
  p.on(swim::packet{paper::bytes_of(head, updates), {}});
  CHECK(p.c.metrics().malformed == 1);
}

TEST_CASE("swim limit: the longest names and metadata still fit a packet") {
  paper p(test::paper_options(), {}, 1, std::string(250, 'm') + "me@h");
  p.start();
  std::string const long_b = "b" + std::string(252, 'b') + "@h";
  std::string const data = swim::write_metadata({{"k", std::string(508, 'v')}});
  CHECK(data.size() == 512);
  p.on(swim::set_metadata{data});
  auto u = paper::alive(long_b);
  u.metadata = data;
  p.gossip({u, paper::suspect(long_b, 0, long_b)}, "b@h");
  std::size_t seen = 0;
  for (int i = 0; i < 30; ++i) {
    p.wake();
    for (auto const& s : packets(p)) {
      ++seen;
      CHECK(s.bytes.size() + swim::envelope::overhead <= 1400);
    }
  }
  CHECK(seen > 0);
}

TEST_CASE("swim limit: events that are spread at once, the oldest gives way") {
  swim::limits l;
  l.events_max = 3;
  paper p(test::paper_options(), l);
  p.with({"b@h"});
  for (int i = 1; i <= 5; ++i) CHECK(paper::count(p.on(swim::user_event{"e", "x"}), "event e of me@h") == 1);
  p.wake();
  std::set<std::string> sent;
  for (int i = 0; i < 10; ++i) {
    for (auto const& s : packets(p)) {
      auto const words = swim::describe_message(s.bytes);
      for (int n = 1; n <= 5; ++n)
        if (words.find(fmt::format("#{}", n)) != std::string::npos) sent.insert(fmt::format("{}", n));
    }
    p.wake();
    p.answer_all();
  }
  CHECK(sent == std::set<std::string>{"3", "4", "5"});
}

TEST_CASE("swim limit: of an origin the last 64 numbers are told apart") {
  paper p;
  p.with({"b@h"});
  auto const says = [&](std::uint32_t number, std::uint64_t epoch = test::paper_noon) {
    return paper::count(p.gossip({{.what = swim::update_kind::happening,
                                   .node = "b@h",
                                   .epoch = epoch,
                                   .number = number,
                                   .name = "e",
                                   .payload = "x"}}),
                        "news: event");
  };
  CHECK(says(100) == 1);
  CHECK(says(100) == 0);
  CHECK(says(37) == 1); // 63 behind
  CHECK(says(37) == 0);
  CHECK(says(36) == 0); // 64 behind: it has come, as far as is known
  CHECK(says(99) == 1);
  CHECK(says(0) == 0);
  CHECK(says(0xffffffff) == 1);
  CHECK(says(100) == 0);
  CHECK(says(1, test::paper_noon + 1) == 1); // a new start
  CHECK(says(2) == 0);                       // of the old one
}

TEST_CASE("swim limit: an event of nobody that is known is not heard") {
  paper p;
  p.with({"b@h"});
  swim::update u{.what = swim::update_kind::happening, .node = "x@h", .epoch = 1, .number = 1, .name = "e"};
  CHECK(paper::count(p.gossip({u}), "event") == 0);
  u.node = "me@h"; // nor one of ours that we have not said
  CHECK(paper::count(p.gossip({u}), "event") == 0);
}

TEST_CASE("swim limit: relays_max probes for others at once") {
  swim::limits l;
  l.relays_max = 3;
  paper p(test::paper_options(), l);
  p.with({"b@h", "c@h"});
  auto ask = paper::from("b@h", message_kind::ping_req, 1);
  ask.target = "c@h";
  ask.at = test::paper_address("c@h");
  for (int i = 0; i < 5; ++i) CHECK(packets((p.hears(ask), p)).size() == (i < 3 ? 1 : 0));
  p.pass(1s); // they end with the interval
  p.hears(ask);
  CHECK(packets(p).size() == 1);
}

TEST_CASE("swim limit: suspectors_max of a member are remembered") {
  swim::limits l;
  l.suspectors_max = 2;
  auto const suspected_for = [&](std::vector<std::string> const& by) {
    paper p(test::paper_options(), l);
    p.with({"b@h", "c@h", "d@h", "e@h", "f@h", "g@h"});
    auto const began = p.now;
    for (auto const& each : by) p.gossip({paper::suspect("c@h", 0, each)});
    while (p.find("c@h").status == status::suspect) {
      p.wake();
      p.answer_all();
    }
    return p.now - began;
  };
  CHECK(suspected_for({"b@h", "d@h"}) < 6s);
  CHECK(suspected_for({"b@h", "d@h", "e@h", "f@h"}) == suspected_for({"b@h", "d@h"}));
}

TEST_CASE("swim limit: what is known is told in parts, none larger than message_bytes_max") {
  swim::limits l;
  l.message_bytes_max = 1'000;
  paper p(test::paper_options(), l);
  p.start();
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back(fmt::format("b{:03}@h", i));
  for (auto const& n : names) p.gossip({paper::alive(n)}, "b000@h");
  auto ask = paper::from("b000@h", message_kind::sync);
  ask.flags = swim::message::asks;
  ask.view = 1;
  p.told(ask);
  std::size_t parts = 0;
  std::set<std::string> told;
  for (auto const& e : p.last)
    if (auto const* const s = std::get_if<swim::send_peer>(&e)) {
      ++parts;
      CHECK(s->bytes.size() <= 1'000);
      swim::message m;
      std::vector<swim::update> updates;
      REQUIRE(swim::read(s->bytes, l, m, updates));
      CHECK(m.kind == message_kind::sync_answer);
      for (auto const& u : updates) told.insert(std::string(u.node));
    }
  CHECK(parts > 2);
  CHECK(told.size() == 101);
  p.on(swim::peer_message{"b000@h", std::string(1'001, 'x')});
  CHECK(p.c.metrics().malformed == 1);
}

TEST_CASE("swim limit: views that agree are compared in a few bytes") {
  paper p;
  p.with({"b@h", "c@h"});
  p.on(swim::peer_up{"b@h", 1});
  p.told(paper::from("b@h", message_kind::hello_answer), {paper::alive("b@h")});
  auto ask = paper::from("b@h", message_kind::sync);
  ask.flags = swim::message::compares;
  ask.view = p.c.view();
  CHECK(p.told(ask) == lines{"tell b@h sync_answer"});
  ask.view = 1;
  CHECK(p.told(ask) == lines{"tell b@h sync, held me@h alive 0, held b@h alive 0, held c@h alive 0"});
}

TEST_CASE("swim limit: who is gone for long is forgotten") {
  paper p;
  p.with({"b@h", "c@h"});
  p.gossip({paper::left("c@h", 1)});
  p.gossip({paper::dead("b@h", 0)});
  auto const until = [&](base::duration time) {
    lines out;
    auto const end = p.now + time;
    while (p.now < end) {
      for (auto const& l : p.wake()) out.push_back(l);
    }
    return out;
  };
  CHECK(paper::count(until(9min), "forgotten") == 0);
  auto const out = until(2min);
  CHECK(paper::count(out, "forgotten c@h") == 1);
  CHECK(paper::count(out, "forgotten b@h") == 0);
  CHECK_FALSE(p.c.find("c@h"));
  CHECK(paper::count(until(24h), "forgotten b@h") == 1);
  CHECK(p.c.members().size() == 1);
}

TEST_CASE("swim limit: nothing is left in the directory when a core ends") {
  auto const shared = swim::make_directory();
  base::time_point now{};
  {
    swim::core a({.node = "a@h", .creation = 1, .at = test::paper_address(1)}, {}, shared, 1);
    swim::core b({.node = "b@h", .creation = 1, .at = test::paper_address(2)}, {}, shared, 2);
    swim::effects out;
    a.handle(swim::start{{1}}, now, out);
    b.handle(swim::start{{1}}, now, out);
    b.know_the_same_as(a);
    a.handle(swim::peer_up{"v@h", 1}, now, out);
    a.handle(swim::packet{paper::bytes_of(paper::from("c@h", message_kind::gossip),
                                          {paper::alive("c@h"), paper::suspect("c@h", 0, "q@h"),
                                           paper::alive("c@h", 1), paper::dead("c@h", 1, "r@h")}),
                          {}},
             now, out);
    a.handle(swim::user_event{"e", "x"}, now, out);
    now += 10s;
    a.handle(swim::tick{}, now, out);
    CHECK(shared->nodes_used() >= 4);
  }
  CHECK(shared->nodes_used() == 0);
  CHECK(shared->facts_used() == 0);
}

TEST_CASE("swim limit: what nobody would take is not said") {
  paper p;
  p.with({"b@h"});
  CHECK(swim::write_metadata({{std::string(256, 'k'), "v"}}).size() > p.limits.metadata_bytes_max);
  CHECK(swim::write_metadata({{"k", std::string(65'536, 'v')}}).size() > p.limits.metadata_bytes_max);
  p.on(swim::set_metadata{"x"});
  CHECK(p.find("me@h").metadata.empty());
  CHECK(p.find("me@h").incarnation == 0);
  CHECK(p.on(swim::user_event{"\xff", "x"}).empty());
}
