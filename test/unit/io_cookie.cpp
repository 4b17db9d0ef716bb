// The cookie as the first line of a descriptor: what is taken, what is left for the next reader, and every
// way in which there is none.
#include "io/cookie.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

using namespace remora;
using namespace std::chrono_literals;

namespace {

struct pipe_ends {
  pipe_ends() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0); }
  ~pipe_ends() {
    close_writer();
    ::close(ends[0]);
  }
  void write(std::string_view text) {
    REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void close_writer() {
    if (ends[1] != -1) ::close(ends[1]);
    ends[1] = -1;
  }
  std::string rest() {
    close_writer();
    std::string out(64, '\0');
    auto const count = ::read(ends[0], out.data(), out.size());
    out.resize(static_cast<std::size_t>(count));
    return out;
  }
  int ends[2] = {-1, -1};
};

// What comes of this input, with its end behind it.
std::string outcome(std::string_view input) {
  pipe_ends p;
  p.write(input);
  p.close_writer();
  auto const found = io::read_cookie_line(p.ends[0], 1s);
  return found ? "cookie " + *found : found.error();
}

} // namespace

TEST_CASE("cookie: the first line, and not a byte behind it") {
  pipe_ends p;
  p.write("secret\nwhat follows");
  auto const found = io::read_cookie_line(p.ends[0], 1s);
  REQUIRE(found.has_value());
  CHECK(*found == "secret");
  CHECK(p.rest() == "what follows");
  CHECK(outcome("with a return\r\n") == "cookie with a return");
  CHECK(outcome(std::string(255, 'x') + "\n") == "cookie " + std::string(255, 'x'));
  CHECK(outcome(std::string(255, 'x') + "\r\n") == "cookie " + std::string(255, 'x'));
}

TEST_CASE("cookie: a line that is none says what to do, and never what it was") {
  CHECK(outcome("\n") == "the cookie in the first line of standard input is empty; write one into it");
  auto const ended =
      "the cookie is to be the first line of standard input, but it ended before the end of that "
      "line; write the cookie and a newline";
  CHECK(outcome("half") == ended);
  CHECK(outcome("") ==
        "the cookie is to be the first line of standard input, but it ended without one; write "
        "the cookie and a newline");
  auto const long_one = outcome(std::string(256, 'x') + "\n");
  CHECK(long_one ==
        "the cookie in the first line of standard input has 256 characters; at most 255 are allowed");
  auto const endless = outcome(std::string(20'000, 'x'));
  CHECK(endless ==
        "the cookie in the first line of standard input has more than 255 characters; at most 255 are "
        "allowed");
  CHECK(outcome("secretsecret").find("secret") == std::string::npos);
}

TEST_CASE("cookie: silence ends at the limit, also in the middle of the line") {
  pipe_ends p;
  auto const silent = io::read_cookie_line(p.ends[0], 20ms);
  REQUIRE(silent.has_error());
  CHECK(silent.error() ==
        "the cookie is to be the first line of standard input, but no whole line came within "
        "0.02 s; write the cookie and a newline");
  p.write("half");
  CHECK(io::read_cookie_line(p.ends[0], 20ms).has_error());
}

TEST_CASE("cookie: a descriptor that cannot be read is an error, not a hang") {
  auto const closed = io::read_cookie_line(-1, 50ms);
  REQUIRE(closed.has_error());
}
