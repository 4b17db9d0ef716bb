// Terms as real emulators encode them (test/wire): read, printed as they printed them, parsed from that text,
// and always the same bytes. Ports of OTP 25 are the exception: 89 becomes 120, as OTP 27 writes it.
#include "etf/parse.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"
#include "unit/terms.hpp"

#include <doctest/doctest.h>

using namespace remora;

namespace {

void check_term(std::string const& text, std::string const& digits) {
  CAPTURE(text);
  auto const bytes = test::unhex(digits);
  bool const old_port = text.find("#Port<") != std::string::npos;
  bool const local_fun = text.find("#Fun<") != std::string::npos;
  etf::reader reader;
  base::buffer out;
  auto const used = reader.read(bytes, {}, out);
  REQUIRE(used.has_value());
  CHECK(*used == bytes.size());
  if (!old_port) {
    CHECK(reader.canonical());
    CHECK(test::hex(out.view()) == digits);
  }
  etf::term const t(std::move(out));
  CHECK(etf::print(t, {.strings = false}) == text);
  if (local_fun) return;
  auto const parsed = etf::parse(text);
  REQUIRE_MESSAGE(parsed.has_value(), describe(parsed.error()));
  CHECK(test::hex((*parsed)->bytes()) == test::hex(t->bytes()));
}

} // namespace

TEST_CASE("terms of OTP 25 are read, printed and encoded as OTP 25 does") {
  for (auto const& line : test::recorded("wire/terms_25.txt")) check_term(line[0], line[1]);
}

TEST_CASE("terms of OTP 27 too, which quotes the atom maybe") {
  for (auto const& line : test::recorded("wire/terms_27.txt"))
    check_term(line[0] == "'maybe'" ? "maybe" : line[0], line[1]);
}
