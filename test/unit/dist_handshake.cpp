// The handshake, version 6 (erl_dist_protocol, "Distribution Handshake"): both roles against each other, and
// each role against what a peer should not send.
#include "dist/flags.hpp"
#include "dist/handshake.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace remora;
using namespace std::chrono_literals;
using dist::handshake;
using dist::handshake_error;

namespace {

base::time_point const start{1000s};

dist::handshake_config config(std::string name, std::string cookie = "secret",
                              std::uint32_t challenge = 3456789012) {
  return {.our_name = std::move(name),
          .creation = 77,
          .flags = dist::flag::ours,
          .cookie = std::move(cookie),
          .challenge = challenge,
          .setup_time = 7s};
}

std::string output(handshake& h) {
  std::string out(base::as_text(h.output().view()));
  h.output().clear();
  return out;
}

// One message, whole.
std::optional<handshake::outcome> say(handshake& to, std::string const& bytes, base::time_point now = start) {
  std::size_t used = 0;
  auto out = to.read(base::as_bytes(bytes), used, now);
  if (!out || !std::holds_alternative<handshake::failed>(*out)) CHECK(used == bytes.size());
  return out;
}

std::string message(std::string_view body) {
  std::string out{static_cast<char>(body.size() >> 8U), static_cast<char>(body.size())};
  return out.append(body);
}

std::string number(std::uint64_t value, unsigned bytes) {
  std::string out;
  while (bytes-- > 0) out.push_back(static_cast<char>(value >> (8 * bytes)));
  return out;
}

std::string name_message(std::string_view name, std::uint64_t flags = dist::flag::ours,
                         std::string_view trailing = {}) {
  return message("N" + number(flags, 8) + number(5, 4) + number(name.size(), 2) + std::string(name) +
                 std::string(trailing));
}
std::string challenge_message(std::string_view name, std::uint64_t flags = dist::flag::ours,
                              std::string_view trailing = {}) {
  return message("N" + number(flags, 8) + number(99, 4) + number(5, 4) + number(name.size(), 2) +
                 std::string(name) + std::string(trailing));
}
std::string digest_text(std::string_view cookie, std::uint32_t challenge) {
  auto const d = dist::make_digest(cookie, challenge);
  return std::string(base::as_text(d));
}

handshake initiator() { return handshake::initiate(config("a@h"), "b@h", start); }
handshake acceptor() { return handshake::accept(config("b@h"), start); }

template <class T>
T const& expect(std::optional<handshake::outcome> const& o) {
  REQUIRE(o.has_value());
  REQUIRE(std::holds_alternative<T>(*o));
  static std::optional<handshake::outcome> kept;
  kept = o;
  return std::get<T>(*kept);
}
void expect_failure(std::optional<handshake::outcome> const& o, handshake_error why) {
  CHECK(expect<handshake::failed>(o).why == why);
}

// The initiator, brought to where it waits for the challenge, or for the acknowledgement.
handshake at_challenge() {
  auto a = initiator();
  CHECK(!say(a, message("sok")));
  output(a);
  return a;
}
handshake at_ack() {
  auto a = at_challenge();
  CHECK(!say(a, challenge_message("b@h")));
  output(a);
  return a;
}
handshake at_reply(dist::status answer = dist::status::ok) {
  auto b = acceptor();
  expect<handshake::named>(say(b, name_message("a@h")));
  b.decide(answer, start);
  output(b);
  return b;
}

// Carries every byte from one to the other, `piece` at a time, until nothing moves; answers the last
// outcomes.
struct both {
  std::optional<handshake::outcome> a, b;
};
both run(handshake& a, handshake& b, std::size_t piece, dist::status answer = dist::status::ok) {
  both last;
  std::string to_a;
  std::string to_b;
  auto const feed = [&](handshake& h, std::string& pending, std::string const& sent,
                        std::optional<handshake::outcome>& out) {
    for (std::size_t i = 0; i < sent.size(); i += piece) {
      pending += sent.substr(i, piece);
      while (true) {
        std::size_t used = 0;
        auto o = h.read(base::as_bytes(pending), used, start);
        pending.erase(0, used);
        if (o) out = o;
        if (o && std::holds_alternative<handshake::named>(*o)) h.decide(answer, start);
        if (o && std::holds_alternative<handshake::authenticated>(*o)) out = h.proceed();
        if (!o && used == 0) break;
      }
    }
  };
  while (true) {
    auto const from_a = output(a);
    auto const from_b = output(b);
    if (from_a.empty() && from_b.empty()) return last;
    feed(b, to_b, from_a, last.b);
    feed(a, to_a, from_b, last.a);
  }
}

} // namespace

TEST_CASE("the digest is MD5 of the cookie and the decimal challenge") {
  CHECK(digest_text("secret", 3456789012) ==
        "\xd5\x65\x9d\xb5\x41\x0b\x50\xf3\x74\x38\xea\xf4\xc9\xc5\x61\x56");
  CHECK(digest_text("secret1", 1) == digest_text("secret", 11));
  CHECK(digest_text("", 0xffffffff).size() == 16);
  CHECK(dist::digests_equal(base::as_bytes("same"), base::as_bytes("same")));
  CHECK_FALSE(dist::digests_equal(base::as_bytes("same"), base::as_bytes("sam")));
  CHECK_FALSE(dist::digests_equal(base::as_bytes("same"), base::as_bytes("samf")));
}

TEST_CASE("both roles meet, however the bytes are cut") {
  for (auto const answer : {dist::status::ok, dist::status::ok_simultaneous, dist::status::alive})
    for (std::size_t const piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
      auto a = initiator();
      auto b = acceptor();
      auto const last = run(a, b, piece, answer);
      auto const& up_a = expect<handshake::up>(last.a);
      CHECK(up_a.peer == "b@h");
      CHECK(up_a.flags == dist::flag::ours);
      CHECK(up_a.creation == 77);
      auto const& up_b = expect<handshake::up>(last.b);
      CHECK(up_b.peer == "a@h");
      CHECK(up_b.flags == dist::flag::ours);
      CHECK_FALSE(a.next_deadline());
      CHECK_FALSE(b.next_deadline());
    }
}

TEST_CASE("the flags of the connection are those of both") {
  auto hidden = config("a@h");
  hidden.flags &= ~dist::flag::published;
  auto a = handshake::initiate(hidden, "b@h", start);
  auto b = acceptor();
  auto const last = run(a, b, 1000);
  CHECK(expect<handshake::up>(last.a).flags == (dist::flag::ours & ~dist::flag::published));
  CHECK(expect<handshake::up>(last.b).flags == (dist::flag::ours & ~dist::flag::published));
}

TEST_CASE("MANDATORY_25_DIGEST stands for the mandatory flags") {
  CHECK(dist::flag::expand(dist::flag::mandatory_25_digest) ==
        (dist::flag::mandatory_25_digest | dist::flag::mandatory));
  CHECK(dist::flag::expand(dist::flag::published) == dist::flag::published);
  auto b = acceptor();
  auto const o = say(b, name_message("a@h", dist::flag::mandatory_25_digest | dist::flag::v4_nc));
  CHECK(expect<handshake::named>(o).flags ==
        (dist::flag::mandatory_25_digest | dist::flag::mandatory | dist::flag::v4_nc));
}

TEST_CASE("what trails the name in a later version's messages is ignored") {
  auto b = acceptor();
  CHECK(expect<handshake::named>(say(b, name_message("a@h", dist::flag::ours, "later"))).name == "a@h");
  auto a = at_challenge();
  CHECK_FALSE(say(a, challenge_message("b@h", dist::flag::ours, "later")));
  CHECK(output(a) == message("r" + number(3456789012, 4) + digest_text("secret", 99)));
}

TEST_CASE("a wrong cookie: the acceptor sees it first, and says nothing") {
  auto a = handshake::initiate(config("a@h", "one"), "b@h", start);
  auto b = handshake::accept(config("b@h", "two"), start);
  auto const last = run(a, b, 1000);
  expect_failure(last.b, handshake_error::bad_cookie);
  CHECK_FALSE(last.a);
}

TEST_CASE("a wrong cookie: the initiator checks the acknowledgement") {
  auto a = at_ack();
  expect_failure(say(a, message("a" + digest_text("other", 3456789012))), handshake_error::bad_cookie);
  auto cut = at_ack();
  expect_failure(say(cut, message("a" + digest_text("secret", 3456789012).substr(1))),
                 handshake_error::bad_cookie);
  auto b = at_ack();
  expect<handshake::up>(say(b, message("a" + digest_text("secret", 3456789012))));
}

TEST_CASE("the node that answers must be the one that was dialled") {
  for (auto const* const other : {"c@h", "b@host", "b@", "", "b@h2"}) {
    auto a = at_challenge();
    expect_failure(say(a, challenge_message(other)), handshake_error::wrong_name);
  }
  auto a = at_challenge();
  auto const o = say(a, challenge_message("\xff@h"));
  CHECK(expect<handshake::failed>(o).detail == "(not UTF-8) answered");
}

TEST_CASE("names are name@host") {
  for (std::string const name : {"a", "@h", "a@", "a@h@x", "", "\xc3\x28@h"}) {
    CAPTURE(name);
    auto b = acceptor();
    expect_failure(say(b, name_message(name)), handshake_error::bad_name);
    CHECK(output(b).empty()); // closed without a status
  }
  auto b = acceptor();
  CHECK(expect<handshake::named>(say(b, name_message("\xc3\xa9@h"))).name == "\xc3\xa9@h");
  auto c = acceptor();
  expect<handshake::named>(say(c, name_message(std::string(253, 'a') + "@h")));
  auto d = acceptor();
  expect_failure(say(d, name_message(std::string(254, 'a') + "@h")), handshake_error::bad_name);
}

TEST_CASE("a missing mandatory flag is answered not_allowed by the acceptor, the initiator just leaves") {
  std::uint64_t const without = dist::flag::ours & ~dist::flag::mandatory_25_digest & ~dist::flag::utf8_atoms;
  auto b = acceptor();
  auto const refused = say(b, name_message("a@h", without));
  expect_failure(refused, handshake_error::missing_flags);
  CHECK(std::get<handshake::failed>(*refused).detail == "UTF8_ATOMS");
  CHECK(output(b) == message("snot_allowed"));
  auto a = at_challenge();
  expect_failure(say(a, challenge_message("b@h", without)), handshake_error::missing_flags);
  CHECK(output(a).empty());
  CHECK(dist::flag::names(dist::flag::mandatory) ==
        "EXTENDED_REFERENCES, FUN_TAGS, NEW_FUN_TAGS, EXTENDED_PIDS_PORTS, EXPORT_PTR_TAG, BIT_BINARIES, "
        "NEW_FLOATS, "
        "UTF8_ATOMS, MAP_TAG, BIG_CREATION, HANDSHAKE_23");
  CHECK(dist::flag::names(0).empty());
}

TEST_CASE("status: what the initiator makes of each") {
  auto refused = initiator();
  expect_failure(say(refused, message("snot_allowed")), handshake_error::not_allowed);
  auto lost = initiator();
  expect<handshake::lost_race>(say(lost, message("snok")));
  CHECK_FALSE(lost.next_deadline());
  auto alive = initiator();
  output(alive);
  CHECK_FALSE(say(alive, message("salive")));
  CHECK(output(alive) == message("strue"));
  for (auto const* const unknown : {"s", "sno", "sok ", "snamed:x"}) {
    auto a = initiator();
    expect_failure(say(a, message(unknown)), handshake_error::malformed);
  }
}

TEST_CASE("alive: true goes on, false and anything else ends it") {
  auto b = at_reply(dist::status::alive);
  CHECK_FALSE(say(b, message("strue")));
  CHECK(output(b) == message("N" + number(dist::flag::ours, 8) + number(3456789012, 4) + number(77, 4) +
                             number(3, 2) + "b@h"));
  auto declined = at_reply(dist::status::alive);
  expect_failure(say(declined, message("sfalse")), handshake_error::declined);
  auto odd = at_reply(dist::status::alive);
  expect_failure(say(odd, message("sperhaps")), handshake_error::malformed);
}

TEST_CASE("nok and not_allowed are the acceptor's last words") {
  for (auto const& [answer, text] :
       {std::pair(dist::status::nok, "snok"), {dist::status::not_allowed, "snot_allowed"}}) {
    auto b = acceptor();
    expect<handshake::named>(say(b, name_message("a@h")));
    b.decide(answer, start);
    CHECK(output(b) == message(text));
    CHECK_FALSE(b.next_deadline());
    std::size_t used = 0;
    CHECK_FALSE(b.read(base::as_bytes(name_message("a@h")), used, start));
    CHECK(used == 0);
  }
}

TEST_CASE("a dynamic name is given by the acceptor") {
  std::uint64_t const flags = (dist::flag::ours | dist::flag::name_me) & ~dist::flag::published;
  auto b = acceptor();
  auto const& n = expect<handshake::named>(say(b, name_message("h", flags)));
  CHECK(n.wants_name);
  CHECK(n.name == "h");
  b.decide(dist::status::named, start, "1x2y@h", 4711);
  auto const said = output(b);
  auto const status = message("snamed:" + number(6, 2) + "1x2y@h" + number(4711, 4));
  CHECK(said.substr(0, status.size()) == status);
  // dist_util:publish_flag: OTP takes the name only when the challenge has NAME_ME for PUBLISHED.
  CHECK(said.substr(status.size() + 3, 8) ==
        number((dist::flag::ours & ~dist::flag::published) | dist::flag::name_me, 8));
  CHECK(b.peer() == "1x2y@h");
  expect<handshake::authenticated>(say(b, message("r" + number(5, 4) + digest_text("secret", 3456789012))));
  auto const o = b.proceed();
  CHECK(std::get<handshake::up>(o).peer == "1x2y@h");
  CHECK(std::get<handshake::up>(o).creation == 4711);
  for (auto const* const host : {"", "a@h"}) {
    auto c = acceptor();
    expect_failure(say(c, name_message(host, flags)), handshake_error::bad_name);
  }
}

TEST_CASE("each phase has setup_time, and no longer") {
  auto const silent = [](handshake h) {
    REQUIRE(h.next_deadline() == start + 7s);
    CHECK_FALSE(h.wake(start + 7s - 1ns));
    expect_failure(h.wake(start + 7s), handshake_error::timeout);
    CHECK_FALSE(h.wake(start + 100s));
    std::size_t used = 0;
    CHECK_FALSE(h.read(base::as_bytes(message("sok")), used, start + 100s));
  };
  silent(initiator());
  silent(at_challenge());
  silent(at_ack());
  silent(acceptor());
  silent(at_reply());
  silent(at_reply(dist::status::alive));
  auto a = initiator(); // each message starts the time again
  CHECK_FALSE(say(a, message("sok"), start + 6s));
  CHECK(a.next_deadline() == start + 13s);
  CHECK_FALSE(say(a, challenge_message("b@h"), start + 12s));
  CHECK(a.next_deadline() == start + 19s);
}

TEST_CASE("what does not belong into a phase, or is cut off, is malformed") {
  auto const wrong = [](auto make, std::string const& bytes) {
    auto h = make();
    CAPTURE(bytes);
    expect_failure(say(h, bytes), handshake_error::malformed);
  };
  wrong(initiator, message("Nok"));
  wrong(at_challenge, message("sok"));
  wrong(at_challenge, message("N" + number(dist::flag::ours, 8)));
  wrong(at_challenge,
        message("N" + number(dist::flag::ours, 8) + number(1, 4) + number(1, 4) + number(4, 2) + "b@h"));
  wrong(at_ack, message("r"));
  wrong(acceptor, message("n" + number(5, 2) + number(dist::flag::ours, 4) + "a@h"));
  wrong(acceptor, message("N"));
  wrong(acceptor, message("N" + number(dist::flag::ours, 8) + number(1, 4) + number(9, 2) + "a@h"));
  wrong([] { return at_reply(); }, message("a" + digest_text("secret", 1)));
  wrong([] { return at_reply(); }, message("r" + number(1, 4) + digest_text("secret", 3456789012) + "x"));
  wrong([] { return at_reply(); }, message("r"));
  for (auto const make : {+[] { return initiator(); }, +[] { return acceptor(); }}) {
    wrong(make, number(0, 2));    // no message is empty
    wrong(make, number(2049, 2)); // nor as large as that: refused before it has come
    wrong(make, number(0xffff, 2));
  }
  auto a = initiator();
  std::size_t used = 0;
  CHECK_FALSE(a.read(base::as_bytes(number(2048, 2)), used, start));
  CHECK(used == 0);
}

TEST_CASE("while the node decides nothing more is read") {
  auto b = acceptor();
  expect<handshake::named>(say(b, name_message("a@h")));
  CHECK(b.waiting_for_decision());
  std::size_t used = 0;
  CHECK_FALSE(b.read(base::as_bytes(message("r")), used, start));
  CHECK(used == 0);
}
