// Printing, against what OTP 25 printed (test/wire/print_25.txt), and its limits.
#include "etf/print.hpp"

#include "etf/builder.hpp"
#include "etf/reader.hpp"
#include "unit/terms.hpp"

#include <doctest/doctest.h>

using namespace remora;
using etf::make, etf::print;

namespace {

etf::term read(std::vector<std::uint8_t> const& bytes) {
  base::buffer out;
  REQUIRE(etf::reader{}.read(bytes, {}, out).has_value());
  return etf::term(std::move(out));
}

etf::print_options as_control(std::string const& control, std::string const& depth) {
  return {.strings = control.back() == 'p',
          .unicode = control.front() == 't',
          .wide = false,
          .depth = std::stoi(depth)};
}

std::string nested(std::size_t depth) {
  etf::builder b;
  for (std::size_t i = 0; i < depth; ++i) b.tuple(1);
  return print(b.atom("x").take());
}

} // namespace

TEST_CASE("terms print as io_lib prints them, with and without depth") {
  for (auto const& line : test::recorded("wire/print_25.txt")) {
    REQUIRE(line.size() == 4);
    CAPTURE(line[0]);
    CAPTURE(line[1]);
    CHECK(print(read(test::unhex(line[2])), as_control(line[0], line[1])) == line[3]);
  }
}

TEST_CASE("identifiers say all that they are, with the node as an atom") {
  etf::atom const plain("a@h");
  etf::atom const dotted("a@127.0.0.1");
  CHECK(print(make(etf::pid{.node = plain, .id = 7, .serial = 0, .creation = 1234})) == "#Pid<a@h.7.0.1234>");
  CHECK(print(make(etf::pid{.node = dotted, .id = 7, .serial = 1, .creation = 2})) ==
        "#Pid<'a@127.0.0.1'.7.1.2>");
  CHECK(print(make(etf::port{.node = plain, .id = UINT64_MAX, .creation = 2})) ==
        "#Port<a@h.18446744073709551615.2>");
  CHECK(print(make(etf::reference{.node = plain, .creation = 9, .count = 3, .words = {1, 2, 3}})) ==
        "#Ref<a@h.9.1.2.3>");
}

TEST_CASE("the code points of Unicode are printable unless latin1 is asked for") {
  CHECK(print(make(etf::str("дом"))) == "\"дом\"");
  CHECK(print(make(etf::str("дом")), {.wide = false}) == "[1076,1086,1084]");
  CHECK(print(make("дом")) == "<<\"дом\"/utf8>>");
}

TEST_CASE("lists are printed as what they are, however they are encoded") {
  CHECK(print(read({108, 0, 0, 0, 1, 97, 'a', 107, 0, 1, 'b'})) == "\"ab\"");
  CHECK(print(read({108, 0, 0, 0, 1, 97, 'a', 108, 0, 0, 0, 1, 97, 'b', 106})) == "\"ab\"");
  CHECK(print(read({108, 0, 0, 0, 1, 97, 1, 108, 0, 0, 0, 1, 97, 2, 119, 1, 'c'})) == "[1,2|c]");
}

TEST_CASE("large integers are decimal up to a limit and hexadecimal above it") {
  std::vector<std::uint8_t> magnitude(etf::print_decimal_bytes_max, 0);
  magnitude.back() = 1;
  auto const decimal = print(etf::builder().big_integer(true, magnitude).take());
  CHECK(decimal.substr(0, 12) == "-42607349047"); // -256^1023
  CHECK(decimal.size() == 2465);
  magnitude.push_back(0xab);
  auto const hexadecimal = print(etf::builder().big_integer(true, magnitude).take());
  CHECK(hexadecimal.substr(0, 8) == "-16#AB01");
  CHECK(hexadecimal.size() == 4 + 2 * magnitude.size());
}

TEST_CASE("printing ends at its limit, between characters") {
  auto const text = make(etf::str("дддддддддд"));
  CHECK(print(text, {.bytes_max = 22}) == "\"дддддддддд\"");
  CHECK(print(text, {.bytes_max = 21}) == "\"дддддддд...");
  CHECK(print(text, {.bytes_max = 10}) == "\"ддд...");
  CHECK(print(text, {.bytes_max = 0}) == "...");
  base::random random(7);
  for (int i = 0; i < 2000; ++i) {
    auto const t = test::random_term(random);
    auto const whole = print(t, {.bytes_max = SIZE_MAX});
    std::size_t const limit = random.below(whole.size() + 10) + 3;
    auto const cut = print(t, {.bytes_max = limit});
    CHECK(cut.size() <= limit);
    if (whole.size() <= limit)
      CHECK(cut == whole);
    else
      CHECK((cut.ends_with("...") && whole.starts_with(cut.substr(0, cut.size() - 3))));
  }
}

TEST_CASE("printing goes as deep as the reader does, and no deeper") {
  CHECK(nested(etf::print_depth_max) == std::string(1024, '{') + "x" + std::string(1024, '}'));
  CHECK(nested(etf::print_depth_max + 1) == std::string(1025, '{') + "..." + std::string(1025, '}'));
  CHECK(nested(1'000'000).size() == 2 * 1025 + 3);
}

TEST_CASE("a list of a million tails is no depth") {
  etf::builder b;
  for (int i = 0; i < 1'000'000; ++i) b.list(1).integer(1);
  auto const text = print(b.nil().take(), {.bytes_max = SIZE_MAX});
  CHECK(text.size() == 2'000'001);
  CHECK(text.substr(0, 6) == "[1,1,1");
}
