// What arrives on a connected link: frames in, signals out, and every way in which a frame can be wrong.
#include "dist/flags.hpp"
#include "dist/inbound.hpp"
#include "etf/print.hpp"
#include "support/frames.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;
using dist::frame_error;

namespace {

base::time_point const start{10s};
std::uint64_t const cached_flags = dist::flag::ours;
std::uint64_t const plain_flags =
    dist::flag::ours & ~dist::flag::dist_hdr_atom_cache & ~dist::flag::fragments;

// {6,From,'',rex}: a message with a payload; {1,From,To}: one without.
etf::term const reg_send = t("{6,#Pid<a@h.1.2.3>,'',rex}");
etf::term const a_link = t("{1,#Pid<a@h.1.2.3>,#Pid<b@h.4.5.6>}");

struct reader {
  explicit reader(std::uint64_t flags = cached_flags, dist::inbound_limits limits = {}) : in(flags, limits) {}
  dist::inbound in;
  base::time_point now = start;

  // The payload's text for a message, "link", "nothing yet", or the error's number in words.
  std::string operator()(std::string const& body) {
    auto const out = in.read(base::as_bytes(body), now);
    if (!out) {
      why = out.error().why;
      return fmt::format("error: {}", dist::describe(out.error().why));
    }
    if (!*out) return "nothing yet";
    if (std::holds_alternative<dist::link>((*out)->control)) return "link";
    if (auto const* const m = std::get_if<dist::reg_send>(&(*out)->control))
      return fmt::format("{} ! {}", *m->name.atom_text(), etf::print((*out)->payload));
    return "something else";
  }
  frame_error why{};
};

std::string error(frame_error e) { return fmt::format("error: {}", dist::describe(e)); }

// A fragmented message's payload that prints as itself.
std::string binary(std::size_t bytes, char fill = 'x') {
  return "m" + be(bytes, 4) + std::string(bytes, fill);
}
std::string printed(std::size_t bytes, char fill = 'x') { return "<<\"" + std::string(bytes, fill) + "\">>"; }

} // namespace

TEST_CASE("inbound: pass-through frames, when neither cache nor fragments were negotiated") {
  reader read(plain_flags);
  CHECK(read(pass_through(a_link)) == "link");
  CHECK(read(pass_through(reg_send, t("{hello,1}"))) == "rex ! {hello,1}");
  CHECK(read(pass_through(reg_send)) == error(frame_error::missing_payload));
  CHECK(read(pass_through(a_link, t("x"))) == error(frame_error::trailing_bytes));
  CHECK(read("\x70" + raw(a_link)) == error(frame_error::bad_term)); // without 131
  CHECK(read(std::string("\x70\x83") + raw(reg_send) + raw(t("x"))) == error(frame_error::bad_term));
  CHECK(read("\x70") == error(frame_error::bad_term));
  CHECK(read("") == error(frame_error::unknown_frame));
  CHECK(read(header_frame(raw(a_link))) == error(frame_error::unknown_frame));
}

TEST_CASE("inbound: header frames, when at least one of them was") {
  for (auto const flags :
       {cached_flags, plain_flags | dist::flag::fragments, plain_flags | dist::flag::dist_hdr_atom_cache}) {
    reader read(flags);
    CHECK(read(header_frame(raw(a_link))) == "link");
    CHECK(read(header_frame(raw(reg_send) + raw(t("[1,2]")))) == "rex ! [1,2]");
    CHECK(read(header_frame(raw(reg_send))) == error(frame_error::missing_payload));
    CHECK(read(header_frame(raw(a_link) + raw(t("x")))) == error(frame_error::trailing_bytes));
    CHECK(read(header_frame(raw(reg_send) + raw(t("x")) + "j")) == error(frame_error::trailing_bytes));
    CHECK(read(header_frame("")) == error(frame_error::bad_term));
    CHECK(read(header_frame("\x83" + raw(a_link))) == error(frame_error::bad_term)); // no 131 after a header
    CHECK(read(pass_through(a_link)) == error(frame_error::unknown_frame));
    CHECK(read("\x83") == error(frame_error::unknown_frame));
    CHECK(read("\x83\x47") == error(frame_error::unknown_frame));
    CHECK(read("\x83\x44") == error(frame_error::bad_header));
    CHECK(read(header_frame(raw(t("{37,a,b}")))) == error(frame_error::bad_control));
    CHECK(read(header_frame(raw(t("link")))) == error(frame_error::bad_control));
  }
}

TEST_CASE("inbound: the atom cache is filled, used again and overwritten") {
  reader read;
  // {6,Pid,'',R}: the pid's node is entry 0, '' is entry 1, rex is entry 2 of the header.
  auto const message = [](char node, char empty, char name, char payload) {
    return std::string("\x68\x04\x61\x06\x58\x52") + node + be(1, 4) + be(2, 4) + be(3, 4) + "\x52" + empty +
           "\x52" + name + "\x52" + payload;
  };
  auto const m = message(0, 1, 2, 2);
  CHECK(read(header_frame(m, atom_header({{0, "a@h"}, {255, ""}, {2047, "rex"}}))) == "rex ! rex");
  CHECK(read(header_frame(m, atom_header({{0}, {255}, {2047}}))) == "rex ! rex");
  CHECK(read(header_frame(message(2, 1, 0, 2), atom_header({{2047}, {255}, {0}}))) == "rex ! a@h");
  CHECK(read(header_frame(m, atom_header({{0}, {255}, {2047, "new"}}))) == "new ! new");
  CHECK(read(header_frame(m, atom_header({{0}, {255}, {2047}}))) == "new ! new");
  CHECK(read(header_frame(m, atom_header({{0}, {255}, {2047, "one"}, {2047, "two"}}))) ==
        "one ! one"); // in order
  CHECK(read(header_frame(m, atom_header({{0}, {255}, {2047}}))) == "two ! two");
  CHECK(read(header_frame(m, atom_header({{0}, {255}, {1}}))) == error(frame_error::empty_cache_slot));
  CHECK(read(header_frame(message(0, 1, 3, 2), atom_header({{0}, {255}, {2047}}))) ==
        error(frame_error::bad_term));
}

TEST_CASE("inbound: an entry applies even if its message is refused or dropped") {
  reader read;
  CHECK(read(header_frame("?", atom_header({{7, "kept"}}))) == error(frame_error::bad_term));
  CHECK(read(header_frame(raw(reg_send) + "R" + std::string(1, '\0'), atom_header({{7}}))) == "rex ! kept");
}

TEST_CASE("inbound: a header has up to 255 atoms, and longer ones with two bytes of length") {
  reader read;
  for (unsigned const count : {1U, 2U, 254U, 255U}) {
    std::vector<cached> atoms;
    for (unsigned i = 0; i < count; ++i) atoms.push_back({i * 8 % 2048, fmt::format("atom{}", i)});
    for (bool const long_atoms : {false, true}) {
      auto const last = std::string("R") + static_cast<char>(count - 1);
      CHECK(read(header_frame(raw(reg_send) + last, atom_header(atoms, long_atoms))) ==
            fmt::format("rex ! atom{}", count - 1));
    }
  }
  std::string const longest = [] {
    std::string out;
    for (int i = 0; i < 255; ++i) out += "\xf0\x9f\x9a\x80";
    return out;
  }();
  auto const first = std::string("R\0", 2);
  CHECK(read(header_frame(raw(reg_send) + first, atom_header({{3, longest}}, true))) ==
        "rex ! '" + longest + "'");
  CHECK(read(header_frame(raw(reg_send) + first, atom_header({{3, longest + "x"}}, true))) ==
        error(frame_error::bad_header));
  CHECK(read(header_frame(raw(reg_send) + first, atom_header({{3, std::string(256, 'a')}}, true))) ==
        error(frame_error::bad_header));
  CHECK(read(header_frame(raw(reg_send) + first, atom_header({{3, "\xc3\x28"}}))) ==
        error(frame_error::bad_header));
}

TEST_CASE("inbound: an atom header that is cut off anywhere") {
  auto const header = atom_header({{0, "a@h"}, {300, "bc"}, {2047, "rex"}});
  for (std::size_t n = 0; n < header.size(); ++n) {
    reader read;
    CHECK(read("\x83\x44" + header.substr(0, n)) == error(frame_error::bad_header));
    CHECK(read("\x83\x45" + be(1, 8) + be(2, 8) + header.substr(0, n)) == error(frame_error::bad_header));
  }
}

TEST_CASE("inbound: fragments of several senders come mixed, each message with its last part") {
  reader read;
  auto const one = fragments(1, reg_send, binary(10, 'a'), 4);
  auto const two = fragments(2, reg_send, binary(9, 'b'), 5);
  REQUIRE(one.size() == 4);
  REQUIRE(two.size() == 3);
  CHECK(read(one[0]) == "nothing yet");
  CHECK(read(two[0]) == "nothing yet");
  CHECK(read(one[1]) == "nothing yet");
  CHECK(read(header_frame(raw(a_link))) == "link");
  CHECK(read.in.fragmented() == 2);
  CHECK(read(two[1]) == "nothing yet");
  CHECK(read(two[2]) == "rex ! " + printed(9, 'b'));
  CHECK(read(one[2]) == "nothing yet");
  CHECK(read(one[3]) == "rex ! " + printed(10, 'a'));
  CHECK(read.in.fragmented() == 0);
  CHECK(read.in.fragmented_bytes() == 0);
  CHECK_FALSE(read.in.next_deadline());
  CHECK(read(one[0]) == "nothing yet"); // a sequence may be used again
  CHECK(read(first_fragment(3, 1, raw(reg_send) + raw(t("whole")))) == "rex ! whole");
  CHECK(read(first_fragment(3, 1, raw(a_link))) == "link");
}

TEST_CASE("inbound: a fragmented message keeps the atoms of its own header") {
  reader read;
  auto const payload = std::string("h\2R\0m", 5) + be(2, 4) + "xy";
  CHECK(read(first_fragment(1, 2, raw(reg_send) + payload.substr(0, 5), atom_header({{9, "old"}}))) ==
        "nothing yet");
  CHECK(read(header_frame(raw(a_link), atom_header({{9, "new"}}))) == "link");
  CHECK(read(next_fragment(1, 1, payload.substr(5))) == "rex ! {old,<<\"xy\">>}");
}

TEST_CASE("inbound: fragments out of order, unknown, or of nothing") {
  auto const parts = fragments(1, reg_send, binary(10), 4);
  auto const refused = [&](std::vector<std::string> const& bodies) {
    reader read;
    for (std::size_t i = 0; i + 1 < bodies.size(); ++i) REQUIRE(read(bodies[i]) == "nothing yet");
    CHECK(read(bodies.back()) == error(frame_error::bad_fragment));
  };
  refused({parts[1]});
  refused({parts[0], parts[2]});
  refused({parts[0], parts[1], parts[1]});
  refused({parts[0], next_fragment(2, 3, "x")});
  refused({parts[0], parts[0]});
  refused({first_fragment(1, 0, raw(reg_send))});
  refused({parts[0], next_fragment(1, 0, "x")});
  refused({first_fragment(1, 2, raw(a_link))}); // only payloads can be split
  refused({std::string("\x83\x45") + be(1, 8) + be(1, 7)});
  refused({std::string("\x83\x46") + be(1, 8) + be(1, 7)});
  reader read;
  CHECK(read(first_fragment(1, 2, "?")) == error(frame_error::bad_term));
  CHECK(read(first_fragment(1, 2, raw(t("{99}")))) == error(frame_error::bad_control));
}

TEST_CASE("inbound: a reassembled payload is validated as any other") {
  auto const last = [](std::string const& payload) {
    reader read;
    auto const parts = fragments(1, reg_send, payload, 4);
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) REQUIRE(read(parts[i]) == "nothing yet");
    return read(parts.back());
  };
  CHECK(last(binary(8)) == "rex ! " + printed(8));
  CHECK(last(binary(8) + "j") == error(frame_error::trailing_bytes));
  CHECK(last("m" + be(9, 4) + "12345678") == error(frame_error::bad_term));
  CHECK(last("???????") == error(frame_error::bad_term));
}

TEST_CASE("inbound: limits on half-received messages, at each of them and one above") {
  auto const held = raw(reg_send).size(); // the control message is kept, too
  SUBCASE("bytes of one message") {
    for (std::size_t const more : {0U, 1U}) {
      reader read(cached_flags, {.message_bytes_max = 12});
      auto const parts = fragments(1, reg_send, binary(7 + more), 6);
      CHECK(read(parts[0]) == "nothing yet");
      CHECK(read(parts[1]) == (more == 0          ? "rex ! " + printed(7)
                               : parts.size() > 2 ? "nothing yet"
                                                  : error(frame_error::fragments_limit)));
      if (parts.size() > 2) CHECK(read(parts[2]) == error(frame_error::fragments_limit));
    }
    reader read(cached_flags, {.message_bytes_max = 12});
    CHECK(read(first_fragment(1, 2, raw(reg_send) + std::string(13, 'm'))) ==
          error(frame_error::fragments_limit));
  }
  SUBCASE("bytes of all messages") {
    reader read(cached_flags, {.fragmented_bytes_max = 2 * held + 9});
    CHECK(read(first_fragment(1, 3, raw(reg_send) + binary(0))) == "nothing yet");
    CHECK(read(first_fragment(2, 3, raw(reg_send) + "m")) == "nothing yet");
    CHECK(read(next_fragment(2, 2, "\0\0\0")) == "nothing yet");
    CHECK(read.in.fragmented_bytes() == 2 * held + 6);
    CHECK(read(next_fragment(2, 1, "1234")) == error(frame_error::fragments_limit));
    reader at(cached_flags, {.fragmented_bytes_max = held + 9});
    CHECK(at(first_fragment(1, 2, raw(reg_send) + "m" + be(4, 4))) == "nothing yet");
    CHECK(at(next_fragment(1, 1, "1234")) == "rex ! <<\"1234\">>");
    CHECK(at.in.fragmented_bytes() == 0);
  }
  SUBCASE("bytes of a control message that never gets its payload") {
    reader read(cached_flags, {.fragmented_bytes_max = 1000});
    auto const large =
        t("{30,#Ref<a@h.3.1>,#Pid<a@h.1.2.3>,#Pid<a@h.1.2.3>,{m,f,1},[],\"" + std::string(300, 'a') + "\"}");
    CHECK(read(first_fragment(1, 2, raw(large) + "m")) == "nothing yet");
    CHECK(read(first_fragment(2, 2, raw(large) + "m")) == "nothing yet");
    CHECK(read(first_fragment(3, 2, raw(large) + "m")) == error(frame_error::fragments_limit));
  }
  SUBCASE("messages") {
    reader read(cached_flags, {.fragmented_max = 3});
    for (std::uint64_t s = 1; s <= 3; ++s)
      CHECK(read(first_fragment(s, 2, raw(reg_send) + "j")) == "nothing yet");
    CHECK(read(first_fragment(9, 1, raw(reg_send) + "j")) == "rex ! []"); // is never half-received
    CHECK(read(first_fragment(4, 2, raw(reg_send) + "j")) == error(frame_error::fragments_limit));
  }
  SUBCASE("a first part may promise as many more as it likes") {
    reader read;
    CHECK(read(first_fragment(1, UINT64_MAX, raw(reg_send) + std::string(100, 'm'))) == "nothing yet");
    CHECK(read(next_fragment(1, UINT64_MAX - 1, "m")) == "nothing yet");
    CHECK(read.in.fragmented_bytes() == held + 101);
  }
}

TEST_CASE("inbound: the next part must come in time, and each part starts the time again") {
  reader read(cached_flags, {.fragment_timeout = 60s});
  auto const parts = fragments(1, reg_send, binary(10), 4);
  CHECK_FALSE(read.in.next_deadline());
  read(parts[0]);
  CHECK(read.in.next_deadline() == start + 60s);
  read.now = start + 30s;
  read(fragments(2, reg_send, binary(10), 4)[0]);
  CHECK(read.in.next_deadline() == start + 60s);
  read(parts[1]);
  CHECK(read.in.next_deadline() == start + 90s);
  CHECK_FALSE(read.in.timed_out(start + 90s - 1ns));
  CHECK(read.in.timed_out(start + 90s));
  read.in.restart_timeouts(start + 80s); // it was not read meanwhile
  CHECK(read.in.next_deadline() == start + 140s);
}
