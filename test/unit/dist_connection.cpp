// One connection: ticks, silence, reading that stops for a while, and frames that are too large.
#include "dist/connection.hpp"
#include "dist/flags.hpp"
#include "support/frames.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;
using dist::connection;
using dist::handshake;

namespace {

base::time_point const start{100s};
etf::term const reg_send = t("{6,#Pid<a@h.1.2.3>,'',rex}");
etf::term const a_link = t("{1,#Pid<a@h.1.2.3>,#Pid<b@h.4.5.6>}");

dist::handshake_config config(std::string name) {
  return {.our_name = std::move(name),
          .creation = 7,
          .flags = dist::flag::ours,
          .cookie = "c",
          .challenge = 1,
          .setup_time = 7s};
}

void give(connection& to, std::string_view bytes, base::time_point now) {
  while (!bytes.empty()) {
    auto const room = to.input_room();
    auto const count = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), count);
    bytes.remove_prefix(count);
    to.received(count, now);
  }
}

std::string taken(connection& from) {
  std::string out;
  while (true) {
    auto const parts = from.out().gather();
    if (parts.empty()) return out;
    std::size_t count = 0;
    for (auto const part : parts) {
      out += base::as_text(part);
      count += part.size();
    }
    from.written(count);
  }
}

// A connection that is up, by a handshake with another.
struct up {
  explicit up(dist::connection_limits limits = {})
      : c(handshake::accept(config("b@h"), start), limits, start),
        peer(handshake::initiate(config("a@h"), "b@h", start), {}, start) {
    while (!c.connected() || !peer.connected()) {
      give(c, taken(peer), start);
      while (auto e = c.next(start)) {
        if (std::holds_alternative<handshake::named>(*e)) c.decide(dist::status::ok, start);
        if (std::holds_alternative<handshake::authenticated>(*e)) c.proceed(start);
      }
      give(peer, taken(c), start);
      while (peer.next(start)) {
      }
    }
  }
  std::string next(base::time_point now) {
    auto const e = c.next(now);
    if (!e) return "";
    if (auto const* const closed = std::get_if<connection::closed>(&*e)) return closed->reason;
    return std::holds_alternative<dist::signal>(*e) ? "signal" : "other";
  }
  std::string wake(base::time_point now) {
    auto const e = c.wake(now);
    return e ? std::get<connection::closed>(*e).reason : taken(c);
  }
  connection c;
  connection peer;
};

std::string const tick(4, '\0');

} // namespace

TEST_CASE("connection: a tick leaves each quarter of the tick time, when nothing else did") {
  up u;
  CHECK(u.c.next_deadline() == start + 15s);
  CHECK(u.wake(start + 14s).empty());
  CHECK(u.wake(start + 15s) == tick);
  CHECK(u.wake(start + 29s).empty());
  CHECK(u.wake(start + 30s) == tick);
  u.c.out().push(1, a_link->bytes()); // traffic within the quarter: no tick at its end
  CHECK_FALSE(taken(u.c).empty());
  CHECK(u.wake(start + 45s).empty());
  give(u.c, tick, start + 45s);
  CHECK(u.next(start + 45s).empty());
  CHECK(u.wake(start + 60s) == tick);
}

TEST_CASE("connection: no tick waits behind data that is not taken") {
  up u;
  u.c.out().push(1, a_link->bytes());
  auto const waiting = u.c.out().bytes();
  CHECK_FALSE(u.c.wake(start + 15s));
  CHECK_FALSE(u.c.wake(start + 30s));
  CHECK(u.c.out().bytes() == waiting);
}

TEST_CASE("connection: silence for the whole tick time ends it, a byte of anything does not") {
  up u;
  CHECK(u.wake(start + 60s - 1ns) == tick);
  CHECK(u.wake(start + 60s) == "net_tick_timeout");
  CHECK_FALSE(u.c.next_deadline());
  CHECK_FALSE(u.c.next(start + 60s)); // nothing after closed
  CHECK_FALSE(u.c.wake(start + 70s));
  up v;
  give(v.c, framed(header_frame(raw(a_link))).substr(0, 5), start + 50s);
  CHECK(v.wake(start + 100s) == tick);
  CHECK(v.wake(start + 110s) == "net_tick_timeout");
}

TEST_CASE("connection: while it is not read, silence does not count, nor does a half-received message") {
  up u;
  auto const parts = fragments(1, reg_send, raw(t("<<1,2,3,4>>")), 4);
  give(u.c, framed(parts[0]), start);
  CHECK(u.next(start).empty());
  u.c.pause();
  CHECK(u.c.paused());
  CHECK(u.c.next_deadline() == start + 15s);
  CHECK(u.wake(start + 1000s) == tick); // it still ticks
  CHECK(u.c.next_deadline() == start + 1015s);
  u.c.resume(start + 2000s);
  CHECK(u.wake(start + 2059s) == tick);
  for (std::size_t i = 1; i < parts.size(); ++i) give(u.c, framed(parts[i]), start + 2059s);
  CHECK(u.next(start + 2059s) == "signal");
}

TEST_CASE("connection: a half-received message has its time, and then the connection ends") {
  up u({.in = {.fragment_timeout = 20s}});
  give(u.c, framed(first_fragment(1, 2, raw(reg_send) + "m")), start);
  CHECK(u.next(start).empty());
  CHECK(u.c.next_deadline() == start + 15s);
  CHECK(u.wake(start + 20s) == dist::describe(dist::frame_error::fragment_timeout));
}

TEST_CASE("connection: a frame of the largest size, and one byte more") {
  std::size_t const size = header_frame(raw(a_link)).size();
  up at({.in = {.frame_bytes_max = size}});
  give(at.c, framed(header_frame(raw(a_link))), start);
  CHECK(at.next(start) == "signal");
  up above({.in = {.frame_bytes_max = size - 1}});
  give(above.c, be(size, 4), start); // known from its length, before any of it has come
  CHECK(above.next(start) == dist::describe(dist::frame_error::too_large));
}

TEST_CASE("connection: a bad frame ends it, what came before is delivered") {
  up u;
  give(u.c, tick + framed(header_frame(raw(a_link))) + framed("?") + framed(header_frame(raw(a_link))),
       start);
  CHECK(u.next(start) == "signal");
  CHECK(u.next(start) == dist::describe(dist::frame_error::unknown_frame));
  CHECK(u.next(start).empty());
}

TEST_CASE("connection: frames in one piece with the last handshake message") {
  connection b(handshake::accept(config("b@h"), start), {}, start);
  connection a(handshake::initiate(config("a@h"), "b@h", start), {}, start);
  give(b, taken(a), start);
  REQUIRE(std::holds_alternative<handshake::named>(*b.next(start)));
  b.decide(dist::status::ok, start);
  give(a, taken(b), start);
  CHECK_FALSE(a.next(start));
  give(b, taken(a), start);
  REQUIRE(std::holds_alternative<handshake::authenticated>(*b.next(start)));
  b.proceed(start);
  b.out().push(1, a_link->bytes());
  give(a, taken(b), start);
  CHECK(std::holds_alternative<handshake::up>(*a.next(start)));
  auto const e = a.next(start);
  REQUIRE(e.has_value());
  CHECK(std::holds_alternative<dist::signal>(*e));
}

TEST_CASE("connection: a silent handshake is closed after setup_time") {
  connection a(handshake::initiate(config("a@h"), "b@h", start), {}, start);
  CHECK(a.next_deadline() == start + 7s);
  CHECK_FALSE(a.wake(start + 6s));
  auto const e = a.wake(start + 7s);
  REQUIRE(e.has_value());
  CHECK(std::get<connection::closed>(*e).reason == dist::describe(dist::handshake_error::timeout));
}
