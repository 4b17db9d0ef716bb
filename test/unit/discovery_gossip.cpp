// Multicast gossip on paper: what a packet is, which one is believed, and when somebody is a member. Signed
// with OpenSSL, as in the program.
#include "unit/discovery_paper.hpp"

#include "discovery/gossip.hpp"

#include <fmt/format.h>

using namespace remora;
using namespace remora::discovery;
using namespace std::chrono_literals;
using outcome = gossip::outcome;
using test::lines;

namespace {

constexpr std::int64_t noon = 1'700'000'000'000;

gossip member(std::string node, std::uint64_t boot, std::string secret = "s3cret",
              base::duration interval = 1s) {
  return {{.node = std::move(node), .boot_id = boot, .secret = std::move(secret), .interval = interval},
          openssl_signer(),
          boot};
}

base::time_point at(base::duration since) { return base::time_point(since); }
std::int64_t unix_at(base::duration since) { return noon + since / 1ms; }

std::string hex(base::bytes_view bytes) {
  std::string out;
  for (auto const b : bytes) out += fmt::format("{:02x}", b);
  return out;
}
std::string bytes_of(std::string_view text_hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text_hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(text_hex.substr(i, 2)), nullptr, 16));
  return out;
}

} // namespace

TEST_CASE("discovery: the key is HKDF's (RFC 5869, test cases 1 and 3)") {
  auto const one = derive_key(bytes_of("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                              bytes_of("000102030405060708090a0b0c"), bytes_of("f0f1f2f3f4f5f6f7f8f9"));
  CHECK(hex(one) == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  auto const three = derive_key(bytes_of("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"), "", "");
  CHECK(hex(three) == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST_CASE("discovery: a signature is of these bytes and this secret") {
  auto const bytes = base::as_bytes("hello");
  auto const proof = sign("secret", bytes);
  CHECK(is_signed("secret", bytes, proof));
  CHECK_FALSE(is_signed("Secret", bytes, proof));
  CHECK_FALSE(is_signed("secret", base::as_bytes("hellp"), proof));
  CHECK_FALSE(is_signed("secret", bytes, base::bytes_view(proof).first(31)));
  CHECK_FALSE(is_signed("secret", bytes, {}));
}

TEST_CASE("discovery: the layout of a packet, byte by byte") {
  auto a = member("a@h", 0x0102030405060708);
  auto const packet = a.tick(at(0s), 0x1122);
  REQUIRE(packet);
  auto const bytes = base::as_bytes(*packet);
  CHECK(hex(bytes.first(bytes.size() - 32)) == "524d4701"         // RMG, version 1
                                               "0102030405060708" // boot id
                                               "0000000000000001" // sequence
                                               "0000000000001122" // sent at
                                               "000003e8"         // each 1000 ms
                                               "0003"
                                               "614068"); // a@h
  CHECK(is_signed("s3cret", bytes.first(bytes.size() - 32), bytes.last(32)));
}

TEST_CASE("discovery: members hear each other, and themselves they ignore") {
  auto a = member("a@h", 1);
  auto b = member("b@h", 2);
  auto const packet = *a.tick(at(0s), noon);
  auto const heard = b.receive(packet, at(0s), noon);
  CHECK(heard.what == outcome::joined);
  CHECK(heard.node == "a@h");
  CHECK(b.receive(*a.tick(at(2s), unix_at(2s)), at(2s), unix_at(2s)).what == outcome::known);
  CHECK(a.receive(packet, at(0s), noon).what == outcome::own);
  auto former = member("a@h", 3); // an earlier start of this program, whose words still fly
  CHECK(a.receive(*former.tick(at(0s), noon), at(0s), noon).what == outcome::own);
}

TEST_CASE("discovery: announcements come each interval, with jitter, and no sooner") {
  auto a = member("a@h", 1);
  CHECK(a.tick(at(0s), noon));
  for (int i = 0; i < 100; ++i) {
    auto const before = *a.next_deadline();
    CHECK_FALSE(a.tick(before - 1ns, noon));
    CHECK(a.tick(before, noon));
    auto const gap = *a.next_deadline() - before;
    CHECK(gap >= 900ms);
    CHECK(gap <= 1100ms);
  }
}

TEST_CASE("discovery: somebody new is greeted at once, a crowd not each") {
  auto a = member("a@h", 1);
  a.tick(at(0s), noon);
  int greetings = 0;
  for (unsigned i = 0; i < 500; ++i) { // in half a second
    auto const now = at(200ms + i * 1ms);
    auto other = member(fmt::format("n{}@h", i), 100 + i);
    CHECK(a.receive(*other.tick(now, noon), now, noon).what == outcome::joined);
    if (a.tick(now, noon)) ++greetings;
    if (i == 0) CHECK(greetings == 1);
  }
  CHECK(greetings >= 4);
  CHECK(greetings <= 6);
}

TEST_CASE("discovery: five silent intervals of its own end a membership") {
  auto a = member("a@h", 1);
  auto slow = member("slow@h", 2, "s3cret", 10s);
  auto quick = member("quick@h", 3);
  a.receive(*slow.tick(at(0s), noon), at(0s), noon);
  a.receive(*quick.tick(at(0s), noon), at(0s), noon);
  CHECK(a.expired(at(4999ms)).empty());
  CHECK(a.next_deadline() == at(5s));
  CHECK(a.expired(at(5s)) == lines{"quick@h"});
  CHECK(a.expired(at(6s)).empty()); // told once
  CHECK(a.expired(at(50s)) == lines{"slow@h"});
  CHECK(a.receive(*quick.tick(at(51s), unix_at(51s)), at(51s), unix_at(51s)).what == outcome::joined);
}

TEST_CASE("discovery: a member that restarts stays one") {
  auto a = member("a@h", 1);
  auto before = member("b@h", 2);
  auto after = member("b@h", 3);
  CHECK(a.receive(*before.tick(at(0s), noon), at(0s), noon).what == outcome::joined);
  CHECK(a.receive(*after.tick(at(2s), unix_at(2s)), at(2s), unix_at(2s)).what == outcome::known);
  CHECK(a.expired(at(5s)).empty()); // the old start is silent, the new one is not
  CHECK(a.expired(at(7s)) == lines{"b@h"});
  auto c = member("c@h", 4);
  auto again = member("c@h", 5);
  a.receive(*c.tick(at(8s), unix_at(8s)), at(8s), unix_at(8s));
  a.receive(*again.tick(at(8s), unix_at(8s)), at(8s), unix_at(8s));
  CHECK(a.expired(at(20s)) == lines{"c@h"}); // both at one moment: it is said once
}

TEST_CASE("discovery: a packet counts once, whoever sends it again") {
  auto a = member("a@h", 1);
  auto b = member("b@h", 2);
  auto const first = *b.tick(at(0s), noon);
  auto const second = *b.tick(at(2s), unix_at(2s));
  CHECK(a.receive(second, at(2s), unix_at(2s)).what == outcome::joined);
  CHECK(a.receive(second, at(2s), unix_at(2s)).what == outcome::repeated);
  CHECK(a.receive(first, at(2s), unix_at(2s)).what == outcome::repeated); // overtaken
  CHECK(a.expired(at(7s)) == lines{"b@h"}); // what was repeated has kept nobody alive
}

TEST_CASE("discovery: what was recorded can never be played again") {
  // Within the window the sequence refuses it, after it the time, at each moment one of the two.
  for (auto const skew : {-30s, -10s, 0s, 10s, 30s}) {
    auto a = member("a@h", 1);
    auto b = member("b@h", 2);
    auto const packet = *b.tick(at(0s), noon + skew / 1ms);
    CHECK(a.receive(packet, at(0s), noon).what == outcome::joined);
    for (base::duration t = 1s; t < 200s; t += 1s) {
      a.expired(at(t));
      auto const said = a.receive(packet, at(t), unix_at(t)).what;
      CHECK_MESSAGE((said == outcome::repeated || said == outcome::clock), (t / 1s), " s, skew ",
                    skew.count());
    }
    CHECK(a.size() == 0);
  }
}

TEST_CASE("discovery: a clock that is too far off is told from a wrong secret") {
  auto a = member("a@h", 1);
  auto b = member("b@h", 2);
  CHECK(a.receive(*b.tick(at(0s), noon - 30'000), at(0s), noon).what == outcome::joined);
  auto const late = a.receive(*b.tick(at(2s), noon - 30'001), at(2s), noon);
  CHECK(late.what == outcome::clock);
  CHECK(late.why == "b@h says a time 30001 ms from ours: are the clocks right?");
  CHECK(a.receive(*b.tick(at(4s), noon + 30'001), at(4s), noon).what == outcome::clock);
  CHECK(a.receive(*b.tick(at(6s), INT64_MIN), at(6s), INT64_MAX).what == outcome::clock);
  auto c = member("c@h", 3, "another");
  auto const stranger = a.receive(*c.tick(at(8s), noon), at(8s), noon);
  CHECK(stranger.what == outcome::unproven);
  CHECK(stranger.why.find("another") == std::string::npos); // no secret in any text
  CHECK(stranger.why.find("s3cret") == std::string::npos);
}

TEST_CASE("discovery: no byte of a packet can be changed") {
  auto a = member("a@h", 1);
  auto b = member("b@h", 2);
  auto const packet = *b.tick(at(0s), noon);
  for (std::size_t i = 0; i < packet.size(); ++i)
    for (char const flip : {'\x01', '\x80'}) {
      auto changed = packet;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      auto const said = a.receive(changed, at(0s), noon).what;
      CHECK_MESSAGE((said == outcome::malformed || said == outcome::unproven), i);
    }
  for (std::size_t size = 0; size < packet.size(); ++size)
    CHECK(a.receive(packet.substr(0, size), at(0s), noon).what != outcome::joined);
  CHECK(a.receive(packet + "x", at(0s), noon).what == outcome::malformed);
  CHECK(a.size() == 0); // nothing of it was kept
}

TEST_CASE("discovery: a signed packet can still be nonsense") {
  auto a = member("a@h", 1);
  auto nameless = member("no name", 2);
  CHECK(a.receive(*nameless.tick(at(0s), noon), at(0s), noon).what == outcome::malformed);
  auto never = member("b@h", 3, "s3cret", 0ms);
  CHECK(a.receive(*never.tick(at(0s), noon), at(0s), noon).what == outcome::malformed);
  auto b = member("b@h", 4);
  auto thief = member("c@h", 4); // two with one boot id
  CHECK(a.receive(*b.tick(at(0s), noon), at(0s), noon).what == outcome::joined);
  thief.tick(at(0s), noon);
  CHECK(a.receive(*thief.tick(at(2s), unix_at(2s)), at(2s), unix_at(2s)).what == outcome::malformed);
}

TEST_CASE("discovery: an interval that nobody would wait for is cut") {
  auto a = member("a@h", 1);
  auto b = member("b@h", 2, "s3cret", 4'000'000s); // 32 bits of milliseconds, nearly
  a.receive(*b.tick(at(0s), noon), at(0s), noon);
  CHECK(a.expired(at(300s)) == lines{"b@h"});
}

TEST_CASE("discovery: the limits of a group") {
  gossip a({.node = "a@h", .boot_id = 1, .secret = "s", .members_max = 3, .packet_bytes_max = 200},
           openssl_signer(), 1);
  for (std::uint64_t i = 0; i < 3; ++i) {
    auto other = member(fmt::format("n{}@h", i), 10 + i, "s");
    CHECK(a.receive(*other.tick(at(0s), noon), at(0s), noon).what == outcome::joined);
  }
  auto fourth = member("n4@h", 14, "s");
  CHECK(a.receive(*fourth.tick(at(0s), noon), at(0s), noon).what == outcome::full);
  CHECK(a.size() == 3);
  CHECK(a.receive(std::string(201, 'x'), at(0s), noon).why == "201 bytes, more than 200");
  a.expired(at(70s)); // they are forgotten, and there is room
  CHECK(a.receive(*fourth.tick(at(70s), unix_at(70s)), at(70s), unix_at(70s)).what == outcome::joined);
  // The longest name that an atom can hold fits.
  std::string name;
  for (int i = 0; i < 253; ++i) name += "\xf0\x9f\x90\x9f";
  auto longest = member(name + "@h", 20);
  auto b = member("b@h", 21);
  auto const packet = *longest.tick(at(0s), noon);
  CHECK(packet.size() <= 1'400);
  CHECK(b.receive(packet, at(0s), noon).what == outcome::joined);
}

// ---- in the core

namespace {
options group_only() {
  options o;
  o.sources = {multicast{.group = "239.1.2.3", .port = 4711, .secret = "s3cret"}};
  o.who = side::companion;
  o.poll_jitter = 0;
  return o;
}
gossip paper_member(std::string node, std::uint64_t boot, std::string secret = "s3cret") {
  return {
      {.node = std::move(node), .boot_id = boot, .secret = std::move(secret)}, test::paper_signer(), boot};
}
} // namespace

TEST_CASE("discovery: a group is joined and spoken to at once; who is heard is dialled at once") {
  test::discovery_paper p(group_only());
  CHECK(p.start() ==
        lines{"ask 1 join_group 239.1.2.3:4711", "send_packet 1 of 70 bytes", "tell refreshed ok []"});
  auto b = paper_member("b@h", 2);
  p.now += 500ms;
  auto const hear = [&](gossip& from, question_id group = 1) {
    return p.on(packet{group, *from.tick(p.now, p.wall().unix_ms), "192.0.2.7", p.wall()});
  };
  CHECK(hear(b) == lines{"send_packet 1 of 70 bytes", "connect companion b@h"});
  CHECK(p.up("b@h").empty());
  auto stray = paper_member("c@h", 3);
  CHECK(hear(stray, 99).empty()); // a group that is none of ours
}

TEST_CASE("discovery: who falls silent is dialled no more, and not disconnected") {
  test::discovery_paper p(group_only());
  p.start();
  auto b = paper_member("b@h", 2);
  p.on(packet{1, *b.tick(p.now, p.wall().unix_ms), "192.0.2.7", p.wall()});
  p.up("b@h");
  auto const out = p.pass(20s);
  CHECK(test::discovery_paper::count(out, "disconnect") == 0);
  CHECK(test::discovery_paper::count(out, "send_packet 1") >= 18);
  CHECK(p.c.status().nodes.empty());
  CHECK(p.down("b@h").empty());
}

TEST_CASE("discovery: refused packets are news once a minute and fail no round") {
  test::discovery_paper p(group_only());
  p.start();
  auto b = paper_member("b@h", 2, "wrong");
  for (int i = 0; i < 5; ++i) {
    auto const out = p.on(packet{1, *b.tick(p.now + i * 2s, p.wall().unix_ms), "192.0.2.7", p.wall()});
    if (i == 0)
      CHECK(out ==
            lines{"tell source_failed multicast 239.1.2.3:4711: unauthorized: a packet from 192.0.2.7: its "
                  "signature is wrong: is the secret the same everywhere?"});
    else
      CHECK(out.empty());
  }
  auto const out = p.pass(61s);
  CHECK(test::discovery_paper::count(out, "tell refreshed ok []") == 12);
  auto const again = p.on(packet{1, "noise", "192.0.2.8", p.wall()});
  REQUIRE(again.size() == 1);
  CHECK(again[0].ends_with("5 bytes that are no packet of ours (4 more before)"));
}

TEST_CASE("discovery: a group that cannot be joined is tried again each round, and fails it") {
  test::discovery_paper p(group_only());
  p.start();
  CHECK(p.answer(1, failed{cause::network, "no such interface"}) ==
        lines{"tell source_failed multicast 239.1.2.3:4711: network: no such interface"});
  auto const second = p.pass(5s);
  CHECK(second ==
        lines{"ask 2 join_group 239.1.2.3:4711", "send_packet 2 of 70 bytes",
              "tell refreshed discovery_failed []; multicast 239.1.2.3:4711: network: no such interface"});
  auto const third = p.pass(5s); // it has lasted
  CHECK(third.back() == "tell refreshed ok []");
}

TEST_CASE("discovery: others still hear of a node that is paused, not of one that is shut down") {
  test::discovery_paper p(group_only());
  p.start();
  p.on(discovery::pause{1});
  CHECK(test::discovery_paper::count(p.pass(10s), "send_packet 1") >= 9);
  CHECK(p.on(discovery::shutdown{2}) == lines{"forget 1", "reply 2 ok []", "tell stopped"});
  CHECK(p.pass(10s).empty());
}
