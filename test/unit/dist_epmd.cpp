// EPMD (erts/epmd/src/epmd_srv.c): requests byte by byte, answers whole, cut and wrong, and the registration
// that outlives epmd.
#include "dist/epmd.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace remora;
using namespace std::chrono_literals;
using namespace dist::epmd;
using namespace std::string_literals;

namespace {

base::time_point const start{50s};

std::string text(base::buffer const& b) { return std::string(base::as_text(b.view())); }

// What a registration asks for, as words: "connect", "write", "registered 5"..
std::string words(std::vector<registration::effect>& effects) {
  std::string out;
  for (auto const& e : effects) {
    if (!out.empty()) out += ", ";
    if (std::holds_alternative<registration::connect>(e)) out += "connect";
    if (std::holds_alternative<registration::write>(e)) out += "write";
    if (std::holds_alternative<registration::close>(e)) out += "close";
    if (auto const* r = std::get_if<registration::registered>(&e))
      out += "registered " + std::to_string(r->creation);
    if (std::holds_alternative<registration::registered_again>(e)) out += "registered again";
    if (auto const* r = std::get_if<registration::refused>(&e))
      out += r->why == error::name_taken ? "refused: taken" : "refused: malformed";
    if (std::holds_alternative<registration::silent>(e)) out += "silent";
    if (std::holds_alternative<registration::lost>(e)) out += "lost";
  }
  effects.clear();
  return out;
}

// A registration and its effects in words, step by step.
struct story {
  registration r{"x", 4711};
  std::vector<registration::effect> effects;
  base::time_point now = start;

  std::string begin() { return r.start(effects), words(effects); }
  std::string connected() { return r.connected(now, effects), words(effects); }
  std::string received(std::string const& bytes) {
    return r.received(base::as_bytes(bytes), now, effects), words(effects);
  }
  std::string closed() { return r.closed(now, effects), words(effects); }
  std::string after(base::duration time) { return r.wake(now += time, effects), words(effects); }
};

std::string const ok = "\x76\x00\x00\x00\x00\x05"s;
std::string const taken = "\x76\x01\x00\x00\x00\x63"s;

} // namespace

TEST_CASE("epmd: requests") {
  CHECK(text(alive_request(4711, "node")) ==
        "\x00\x11\x78\x12\x67\x4d\x00\x00\x06\x00\x05\x00\x04node\x00\x00"s);
  CHECK(text(port_request("node")) == "\x00\x05\x7anode"s);
  CHECK(text(port_request(std::string(300, 'a'))).size() == 2 + 1 + 255);
  CHECK(text(names_request()) == "\x00\x01\x6e"s);
}

TEST_CASE("epmd: the answer to ALIVE2, new and old form") {
  auto const read = [](std::string const& bytes) { return read_alive_answer(base::as_bytes(bytes)); };
  CHECK(**read("\x76\x00\xfe\x00\x00\x01"s) == 0xfe000001U);
  CHECK(**read("\x79\x00\x00\x03"s) == 3);
  for (std::size_t n = 0; n < 6; ++n) CHECK_FALSE(read(ok.substr(0, n)));
  CHECK_FALSE(read("\x79\x00\x00"s));
  CHECK(read(taken)->error() == error::name_taken);
  CHECK(read("\x79\x01\x00\x63"s)->error() == error::name_taken);
  CHECK(read("\x76\x00\x00\x00\x00\x00"s)->error() == error::malformed); // a creation of 0 is none
  CHECK(read("x")->error() == error::malformed);
}

TEST_CASE("epmd: the answer to PORT_PLEASE2") {
  auto const read = [](std::string const& bytes, bool at_end = false) {
    return read_port_answer(base::as_bytes(bytes), at_end);
  };
  auto const whole = "\x77\x00\x12\x67\x4d\x00\x00\x06\x00\x05\x00\x04node\x00\x00"s;
  CHECK(**read(whole) == 4711);
  CHECK(**read(whole.substr(0, 4)) == 4711); // all that OTP reads of it
  for (std::size_t n = 0; n < 4; ++n) {
    CHECK_FALSE(read(whole.substr(0, n)));
    CHECK(read(whole.substr(0, n), true)->error() == error::malformed);
  }
  CHECK(read("\x77\x01"s)->error() == error::unknown_name);
  CHECK(read("\x76\x00"s)->error() == error::malformed);
  CHECK(read("\x77\x00\x00\x00"s)->error() == error::malformed);
}

TEST_CASE("epmd: the answer to NAMES") {
  auto const read = [](std::string const& bytes) { return read_names_answer(base::as_bytes(bytes)); };
  using names = std::vector<registered_name>;
  CHECK(*read("\x00\x00\x11\x11"s) == names{});
  CHECK(*read("\x00\x00\x11\x11name a at port 1\nname b at port x at port 65535\n"s) ==
        names{{"a", 1}, {"b at port x", 65535}});
  CHECK(*read("\x00\x00\x11\x11name a at port 1"s) == names{{"a", 1}});
  for (std::string const wrong :
       {"", "abc", "1234name a at port 65536\n", "1234name a at port \n", "1234nome a at port 1\n",
        "1234name at port 1\n", "1234name  at port 1\n", "1234name a at port 1x\n", "1234\n"}) {
    CAPTURE(wrong);
    CHECK(read(wrong).error() == error::malformed);
  }
  CHECK(read(std::string(names_bytes_max + 1, 'x')).error() == error::malformed);
}

TEST_CASE("epmd: a registration, and an epmd that is restarted") {
  story s;
  CHECK(s.begin() == "connect");
  CHECK(s.connected() == "write");
  CHECK(s.received(ok.substr(0, 3)).empty());
  CHECK(s.received(ok.substr(3)) == "registered 5");
  CHECK(s.r.alive());
  CHECK_FALSE(s.r.next_deadline());
  CHECK(s.received("anything").empty());

  CHECK(s.closed() == "lost");
  CHECK_FALSE(s.r.alive());
  CHECK(s.r.next_deadline() == start + 2s);
  CHECK(s.after(2s - 1ns).empty());
  CHECK(s.after(1ns) == "connect");
  CHECK(s.closed().empty()); // there is none yet
  CHECK(s.r.next_deadline() == s.now + 2s);
  CHECK(s.after(2s) == "connect");
  CHECK(s.connected() == "write");
  CHECK(s.received("\x76\x00\x00\x00\x00\x09"s) == "registered again"); // and the creation stays what it was
  CHECK(s.r.alive());
}

TEST_CASE("epmd: one that accepts and says nothing is as good as none") {
  story first;
  first.begin();
  first.connected();
  CHECK(first.after(10s - 1ns).empty());
  CHECK(first.after(1ns) == "close, silent");
  CHECK(first.closed().empty());
  CHECK_FALSE(first.r.next_deadline());

  story later;
  later.begin();
  later.connected();
  later.received(ok);
  CHECK(later.after(1h).empty()); // silent from now on, as it should be
  later.closed();
  later.after(2s);
  later.connected();
  CHECK(later.after(10s) == "close");
  CHECK(later.closed().empty());
  CHECK(later.after(2s) == "connect");
  later.connected();
  CHECK(later.received(ok) == "registered again");
}

TEST_CASE("epmd: refused at the first attempt is an answer, later it is a reason to go on") {
  story first;
  first.begin();
  first.connected();
  CHECK(first.received(taken) == "close, refused: taken");
  CHECK(first.closed().empty());
  CHECK_FALSE(first.r.next_deadline());

  story later;
  later.begin();
  later.connected();
  later.received(ok);
  later.closed();
  later.after(2s);
  later.connected();
  CHECK(later.received(taken) == "close");
  CHECK(later.closed().empty());
  CHECK(later.r.next_deadline() == later.now + 2s);
  CHECK(later.after(2s) == "connect");
  later.connected();
  CHECK(later.received(ok) == "registered again");
}

TEST_CASE("epmd: what is no answer, and an epmd that hangs up before it answered") {
  story s;
  s.begin();
  s.connected();
  CHECK(s.received("x") == "close, refused: malformed");
  story cut;
  cut.begin();
  cut.connected();
  CHECK(cut.received(ok.substr(0, 5)).empty());
  CHECK(cut.closed().empty());
  CHECK(cut.after(2s) == "connect");
  CHECK(cut.connected() == "write");
  CHECK(cut.received(ok) == "registered 5"); // what had come before is forgotten
}
