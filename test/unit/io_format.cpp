// io_lib:format, against what OTP 25 gave back or raised (test/wire/format_25.txt).
#include "services/io_format.hpp"

#include "base/utf8.hpp"
#include "etf/builder.hpp"
#include "etf/parse.hpp"
#include "unit/terms.hpp"

#include <doctest/doctest.h>

using namespace remora;
using services::io_format;

namespace {

std::string format(std::string_view format_term, std::string_view args) {
  return io_format(*etf::parse(format_term), *etf::parse(args));
}

} // namespace

TEST_CASE("formats come out as OTP's") {
  for (auto const& line : test::recorded("wire/format_25.txt")) {
    CAPTURE(line[0]);
    auto const call = etf::parse(line[0]);
    REQUIRE(call.has_value());
    auto const [format, args, expected] = *(*call)->tuple<3>();
    auto const text = io_format(format, args);
    if (expected.is_atom("error"))
      CHECK(text.starts_with("FORMAT ERROR: "));
    else
      CHECK(text == expected.text());
  }
}

TEST_CASE("a format that does not fit its arguments is shown with them") {
  CHECK(format("\"~w ~w~n\"", "[a]") == "FORMAT ERROR: \"~w ~w~n\" - [a]");
  CHECK(format("\"~s\"", "[{a, <<1>>}]") == "FORMAT ERROR: \"~s\" - [{a,<<1>>}]");
  CHECK(format("{no, format}", "nothing") == "FORMAT ERROR: {no,format} - nothing");
  CHECK(format("[a]", "[]") == "FORMAT ERROR: [a] - []");
}

TEST_CASE("where OTP reads a binary format as latin1, ours is UTF-8") {
  CHECK(format("<<\"жук ~ts\"/utf8>>", "[\"жук\"]") == "жук жук");
  CHECK(format("<<\"\\xe9 ~w\">>", "[1]") == "é 1");
}

TEST_CASE("fields have a limit, and the output") {
  CHECK(format("\"~65536c|\"", "[$x]").size() == 65537);
  CHECK(format("\"~65537c|\"", "[$x]").starts_with("FORMAT ERROR"));
  CHECK(format("\"~99999999999999999999999w\"", "[1]").starts_with("FORMAT ERROR"));
  CHECK(format("\"~*w\"", "[-65537, 1]").starts_with("FORMAT ERROR"));
  CHECK(format("\"~.65537f\"", "[1.0]").starts_with("FORMAT ERROR"));
  auto const run = [](std::string_view f, std::string_view a, std::size_t bytes_max) {
    return io_format(*etf::parse(f), *etf::parse(a), {.bytes_max = bytes_max});
  };
  CHECK(run("\"~ts\"", "[\"дддд\"]", 8) == "дддд");
  CHECK(run("\"~ts\"", "[\"дддд\"]", 7) == "дд...");
  CHECK(run("\"~w~w~w\"", "[[1,2,3,4,5,6],b,c]", 10) == "[1,2,3,...");
  CHECK(run("\"~w ~w\"", "[a]", 12) == "FORMAT ER...");
}

TEST_CASE("what is longer than the limit is not formatted: a short request cannot ask for hours of work") {
  std::string many = "\"";
  std::string args = "[";
  for (int i = 0; i < 100'000; ++i) {
    many += "~65536c";
    args += "$x,";
  }
  args.back() = ']';
  CHECK(io_format(*etf::parse(many + '"'), *etf::parse(args)).size() == 1U << 20U);
}

TEST_CASE("characters of an io request") {
  using services::encoding, services::io_characters;
  auto const chars = [](std::string_view text, encoding e) { return io_characters(*etf::parse(text), e); };
  CHECK(chars("[\"a\", [<<\"é\"/utf8>>, 1076] | <<\"z\">>]", encoding::unicode) == "aéдz");
  CHECK(chars("<<\"é\">>", encoding::unicode) == "é");
  CHECK(chars("<<\"é\">>", encoding::latin1) == "é");
  CHECK_FALSE(chars("[1076]", encoding::latin1));
  CHECK_FALSE(chars("atom", encoding::unicode));
  CHECK(chars("[]", encoding::unicode) == "");
}

TEST_CASE("whatever the format and the arguments, the outcome is text") {
  base::random random(23);
  constexpr std::string_view alphabet = "~~~~~~wpWPscbBxX+#efgin*.-0123456789tl дa";
  for (int i = 0; i < 20'000; ++i) {
    std::string f;
    for (auto left = random.below(12); left > 0; --left) f += alphabet[random.below(alphabet.size())];
    etf::builder args;
    auto const count = random.below(4);
    args.list(count);
    for (auto left = count; left > 0; --left) args.copy(test::random_term(random, 1));
    auto const text = io_format(etf::make(etf::str(f)), args.nil().take(), {.bytes_max = random.below(200)});
    CHECK(base::is_utf8(text));
    CHECK(text.size() <= 200);
  }
}
