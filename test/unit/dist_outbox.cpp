// What waits to be written: order of each sender, fragments of several large messages taking turns, and
// marks. Read back by dist::inbound, which is what a peer would do.
#include "base/random.hpp"
#include "dist/flags.hpp"
#include "dist/inbound.hpp"
#include "dist/outbox.hpp"
#include "support/frames.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>
#include <map>
#include <string>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;
using dist::outbox;

namespace {

std::uint64_t const plain_flags =
    dist::flag::ours & ~dist::flag::dist_hdr_atom_cache & ~dist::flag::fragments;
std::uint64_t const header_only = plain_flags | dist::flag::dist_hdr_atom_cache;

etf::term control(std::uint64_t sender) { return t(fmt::format("{{6,#Pid<a@h.{}.0.3>,'',rex}}", sender)); }
etf::term payload(std::size_t number, std::size_t bytes) {
  return etf::make(etf::tup(number, std::string(bytes, static_cast<char>('a' + number % 26))));
}

outbox opened(std::uint64_t flags, dist::outbox_limits limits = {}) {
  outbox box(limits);
  box.open(flags);
  return box;
}

// Takes at most `bytes` of what waits.
std::string take(outbox& box, std::size_t bytes = SIZE_MAX) {
  std::string out;
  for (auto const part : box.gather()) {
    if (out.size() == bytes) break;
    out += base::as_text(part).substr(0, bytes - out.size());
  }
  box.written(out.size());
  return out;
}
std::string all(outbox& box) {
  std::string out;
  while (!box.gather().empty()) out += take(box);
  return out;
}

std::vector<std::string> frames(std::string_view bytes) {
  std::vector<std::string> out;
  while (!bytes.empty()) {
    REQUIRE(bytes.size() >= 4);
    std::size_t const size = base::load_be<std::uint32_t>(base::as_bytes(bytes).data());
    REQUIRE(bytes.size() >= 4 + size);
    out.emplace_back(bytes.substr(4, size));
    bytes.remove_prefix(4 + size);
  }
  return out;
}

struct seen {
  std::uint64_t sender;
  etf::term payload;
};
std::vector<seen> received(dist::inbound& in, std::vector<std::string> const& bodies) {
  std::vector<seen> out;
  for (auto const& body : bodies) {
    if (body.empty()) continue; // a tick
    auto const s = in.read(base::as_bytes(body), {});
    REQUIRE_MESSAGE(s.has_value(), describe(s.error().why));
    if (!*s) continue;
    auto const& m = std::get<dist::reg_send>((*s)->control);
    out.push_back({m.from.as_pid()->id, (*s)->payload});
  }
  return out;
}

// The kinds of frames in order: "s1" small of sender 1, "f2" and "n2" first and next fragment of sequence 2.
std::string kinds(std::vector<std::string> const& bodies) {
  std::string out;
  for (auto const& body : bodies) {
    if (!out.empty()) out += ' ';
    auto const tag = static_cast<unsigned char>(body[1]);
    if (tag == 68) {
      auto const c = etf::view(base::as_bytes(std::string_view(body).substr(3))
                                   .first(etf::term_size(base::as_bytes(body).data() + 3)));
      out += fmt::format("s{}", c.element(1)->as_pid()->id);
    } else {
      out += fmt::format("{}{}", tag == 69 ? 'f' : 'n',
                         base::load_be<std::uint64_t>(base::as_bytes(body).data() + 2));
    }
  }
  return out;
}

} // namespace

TEST_CASE("outbox: small messages leave as one piece, in order") {
  auto box = opened(dist::flag::ours);
  for (std::uint64_t i = 0; i < 100; ++i) box.push(i % 3, control(i % 3)->bytes(), payload(i, 10));
  CHECK(box.gather().size() == 1);
  auto const bytes = box.bytes();
  auto const written = all(box);
  CHECK(written.size() == bytes);
  CHECK(box.empty());
  dist::inbound in(dist::flag::ours, {});
  auto const out = received(in, frames(written));
  REQUIRE(out.size() == 100);
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(out[i].sender == i % 3);
    CHECK(out[i].payload == payload(i, 10));
  }
}

TEST_CASE("outbox: frames as each peer wants them") {
  auto plain = opened(plain_flags);
  plain.push(1, control(1)->bytes(), t("hello"));
  CHECK(all(plain) == framed(pass_through(control(1), t("hello"))));
  plain.push(1, t("{1,#Pid<a@h.1.2.3>,#Pid<b@h.4.5.6>}")->bytes());
  CHECK(all(plain) == framed(pass_through(t("{1,#Pid<a@h.1.2.3>,#Pid<b@h.4.5.6>}"))));
  auto header = opened(dist::flag::ours);
  header.push(1, control(1)->bytes(), t("hello"));
  CHECK(all(header) == framed(header_frame(raw(control(1)) + raw(t("hello")))));
}

TEST_CASE("outbox: a peer without fragments gets a large message as one frame") {
  for (auto const flags : {plain_flags, header_only}) {
    auto box = opened(flags, {.fragment_bytes = 100});
    auto const large = payload(1, 1000);
    box.push(1, control(1)->bytes(), large);
    box.push(1, control(1)->bytes(), payload(2, 10));
    CHECK(box.gather().size() == 3); // its head, the payload itself, what follows
    auto const bodies = frames(all(box));
    REQUIRE(bodies.size() == 2);
    dist::inbound in(flags, {});
    auto const out = received(in, bodies);
    REQUIRE(out.size() == 2);
    CHECK(out[0].payload == large);
    CHECK(out[1].payload == payload(2, 10));
  }
}

TEST_CASE("outbox: a payload is cut above fragment_bytes, and counted down to 1") {
  auto const at = [](std::size_t bytes) {
    auto box = opened(dist::flag::ours, {.fragment_bytes = 100});
    auto const p = etf::make(std::string(bytes - 5, 'x')); // a binary has five bytes before it
    box.push(1, control(1)->bytes(), p);
    return frames(all(box));
  };
  CHECK(kinds(at(100)) == "s1");
  CHECK(kinds(at(101)) == "f1 n1");
  CHECK(kinds(at(200)) == "f1 n1");
  CHECK(kinds(at(201)) == "f1 n1 n1");
  auto const bodies = at(201);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(base::load_be<std::uint64_t>(base::as_bytes(bodies[i]).data() + 10) == 3 - i);
  CHECK(bodies[2].size() == 18 + 1);
}

TEST_CASE(
    "outbox: large messages of several senders take turns, others pass between, the same sender waits") {
  auto box = opened(dist::flag::ours, {.fragment_bytes = 100'000});
  box.push(1, control(1)->bytes(), payload(0, 700'000));
  box.push(2, control(2)->bytes(), payload(1, 350'000));
  auto const first = take(box); // what one write gets: the rest is not cut yet
  box.push(1, control(1)->bytes(), payload(2, 10));
  box.push(1, control(1)->bytes(), payload(3, 150'000));
  box.push(1, control(1)->bytes(), payload(4, 10));
  box.push(3, control(3)->bytes(), payload(5, 10));
  auto const written = first + all(box);
  CHECK(kinds(frames(written)) == "f1 f2 n1 n2 n1 n2 s3 n1 n2 n1 n1 n1 n1 s1 f3 n3 s1");
  CHECK(box.empty());
  dist::inbound in(dist::flag::ours, {});
  std::map<std::uint64_t, std::vector<etf::term>> by_sender;
  for (auto const& s : received(in, frames(written))) by_sender[s.sender].push_back(s.payload);
  CHECK(by_sender[1] ==
        std::vector{payload(0, 700'000), payload(2, 10), payload(3, 150'000), payload(4, 10)});
  CHECK(by_sender[2] == std::vector{payload(1, 350'000)});
  CHECK(by_sender[3] == std::vector{payload(5, 10)});
}

TEST_CASE("outbox: the marks: busy above the high one until below the low one") {
  auto box = opened(dist::flag::ours, {.high_mark = 1000, .low_mark = 300, .bytes_max = 2000});
  std::string const bytes(1000, 'x');
  box.push_raw(base::as_bytes(bytes));
  CHECK_FALSE(box.busy());
  box.push_raw(base::as_bytes("y"));
  CHECK(box.busy());
  take(box, 701);
  CHECK(box.bytes() == 300);
  CHECK(box.busy());
  take(box, 1);
  CHECK_FALSE(box.busy());
  box.push_raw(base::as_bytes(std::string(1701, 'z')));
  CHECK(box.bytes() == 2000);
  CHECK_FALSE(box.overflown());
  box.push_raw(base::as_bytes("z"));
  CHECK(box.overflown());
  CHECK(box.accepted() == 1000 + 1 + 1701 + 1);
}

TEST_CASE("outbox: what waits behind a large message counts, once") {
  auto box = opened(dist::flag::ours, {.fragment_bytes = 100});
  box.push(1, control(1)->bytes(), payload(0, 1000));
  auto const before = box.bytes();
  box.push(1, control(1)->bytes(), payload(1, 10));
  CHECK(box.bytes() == before + control(1).size() + payload(1, 10).size());
  auto const accepted = box.accepted();
  auto const written = all(box).size();
  CHECK(box.empty());
  CHECK(box.accepted() == written);
  CHECK(accepted < written); // the heads of fragments and of the one behind
}

// Any messages of any senders, written in any pieces: what arrives is what was pushed, in each sender's
// order.
TEST_CASE("outbox: whatever is pushed arrives, in the order of each sender") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    base::random random(seed);
    auto const flags = std::array{dist::flag::ours, plain_flags, header_only}[seed % 3];
    auto box = opened(flags, {.high_mark = 3000, .low_mark = 1000, .fragment_bytes = 64});
    dist::inbound in(flags, {});
    std::map<std::uint64_t, std::deque<etf::term>> expected;
    std::string wire;
    std::size_t pushed = 0;
    auto const arrive = [&] {
      std::vector<std::string> whole;
      while (wire.size() >= 4) {
        std::size_t const size = base::load_be<std::uint32_t>(base::as_bytes(wire).data());
        if (wire.size() < 4 + size) break;
        whole.push_back(wire.substr(4, size));
        wire.erase(0, 4 + size);
      }
      for (auto const& s : received(in, whole)) {
        auto& waiting = expected[s.sender];
        REQUIRE_FALSE(waiting.empty());
        CHECK(waiting.front() == s.payload);
        waiting.pop_front();
      }
    };
    for (int step = 0; step < 300; ++step) {
      auto const sender = random.below(5);
      switch (random.below(4)) {
      case 0: {
        auto const p = payload(pushed++, random.below(60));
        box.push(sender, control(sender)->bytes(), p);
        expected[sender].push_back(p);
        break;
      }
      case 1: {
        auto const p = payload(pushed++, random.below(400));
        box.push(sender, control(sender)->bytes(), p);
        expected[sender].push_back(p);
        break;
      }
      case 2:
        if (random.below(8) == 0) box.push_raw(base::as_bytes(std::string(4, '\0')));
        break;
      default:
        wire += take(box, random.below(500));
        arrive();
        break;
      }
      CHECK(box.empty() == (box.bytes() == 0));
    }
    wire += all(box);
    arrive();
    CHECK(wire.empty());
    CHECK(box.empty());
    CHECK_FALSE(box.busy());
    for (auto const& [sender, waiting] : expected) CHECK(waiting.empty());
    CHECK(in.fragmented() == 0);
  }
}
