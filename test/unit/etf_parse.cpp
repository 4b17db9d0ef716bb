// Parsing of Erlang's syntax: what is accepted, what is refused and where, the limits, and that printing and
// parsing undo each other.
#include "etf/parse.hpp"

#include "etf/builder.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"
#include "unit/terms.hpp"

#include <doctest/doctest.h>

using namespace remora;
using etf::am, etf::tup, etf::lst, etf::imp, etf::make, etf::str;

namespace {

etf::term parse(std::string_view text) {
  auto const t = etf::parse(text);
  CHECK_MESSAGE(t.has_value(), text << ": " << (t ? "" : describe(t.error())));
  return t ? *t : make(am("error"));
}

std::string wrong(std::string_view text, etf::parse_limits const& limits = {}) {
  auto const t = etf::parse(text, limits);
  return t ? "accepted as " + etf::print(*t) : describe(t.error());
}

std::string join(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (auto const part : parts) out += part;
  return out;
}

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  for (; count > 0; --count) out += text;
  return out;
}

} // namespace

TEST_CASE("atoms") {
  CHECK(parse("ok") == make(am("ok")));
  CHECK(parse("a@b_C1.") == make(am("a@b_C1")));
  CHECK(parse("''") == make(am("")));
  CHECK(parse("'a b\\x{434}\\'\\n'") == make(am("a bд'\n")));
  CHECK(parse("éa") == make(am("éa")));
  CHECK(parse("'дом'") == make(am("дом")));
  CHECK(parse("function") == make(am("function")));
}

TEST_CASE("numbers") {
  CHECK(parse("42") == make(42));
  CHECK(parse("-42") == make(-42));
  CHECK(parse("+1_000_000") == make(1'000'000));
  CHECK(parse("16#fF") == make(255));
  CHECK(parse("-2#1_01") == make(-5));
  CHECK(parse("36#Zz") == make(1295));
  CHECK(parse("007") == make(7));
  CHECK(parse("-0") == make(0));
  CHECK(parse("18446744073709551616") ==
        etf::builder().big_integer(false, std::vector<std::uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 1}).take());
  CHECK(parse("1.5") == make(1.5));
  CHECK(parse("-1_0.25e-1") == make(-1.025));
  CHECK(parse("1.0E+3.") == make(1000.0));
  CHECK(parse("5.0e-324") == make(5e-324));
  CHECK(parse("$a") == make(97));
  CHECK(parse("[$ , $\\s, $\\n, $\\\\, $', $д, $\\x{434}, $\\101, $\\^A, $\\x41]") ==
        make(std::vector<int>{32, 32, 10, 92, 39, 1076, 1076, 65, 1, 65}));
}

TEST_CASE("strings and lists of bytes are one thing") {
  CHECK(parse("\"abc\"") == make(str("abc")));
  CHECK(parse("[97, $b, 16#63]") == make(str("abc")));
  CHECK(parse("[97 | \"bc\"]") == make(str("abc")));
  CHECK(parse("\"a\" \"b\"\n\"c\"") == make(str("abc")));
  CHECK(parse("\"дом\"") == make(str("дом")));
  CHECK(parse("\"\"") == parse("[]"));
  CHECK(parse("\"\\x{1F680}\\r\\t\\v\\b\\f\\e\\d\\0\\777\"") == parse("[128640,13,9,11,8,12,27,127,0,511]"));
  auto const longest = join({"\"", repeated("x", 65535), "\""});
  CHECK(parse(longest)->bytes()[0] == 107);
  CHECK(parse(join({"[", repeated("1,", 65534), "1]"}))->bytes()[0] == 107);
  CHECK(parse(join({"[", repeated("1,", 65535), "1]"}))->bytes()[0] == 108);
}

TEST_CASE("binaries") {
  CHECK(parse("<<>>") == make(""));
  CHECK(parse("<<\"abc\">>") == make("abc"));
  CHECK(parse("<<1, 2, 255>>") == make(std::string("\x01\x02\xff")));
  CHECK(parse("<<-1, $a, \"b\" \"c\">>") == make(std::string("\xff\x61\x62\x63")));
  CHECK(parse("<<\"é\">>") == make(std::string("\xe9")));
  CHECK(parse("<<\"é\"/utf8>>") == make("é"));
  CHECK(parse("<<1:16, 16#ffffffffffffffff:64>>") ==
        make(std::string("\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff", 10)));
  CHECK(parse("<<5:3, 1:5>>") == make(std::string("\xa1")));
  CHECK(etf::print(parse("<<5:3, \"a\">>")) == "<<172,1:3>>");
}

TEST_CASE("containers") {
  CHECK(parse(" { ok , [ a | b ] , { } } ") == make(tup(am("ok"), imp(am("a"), am("b")), tup())));
  CHECK(parse("[a|[b|[c]]]") == make(lst(am("a"), am("b"), am("c"))));
  CHECK(parse("[a|[b|c]]") == parse("[a, b | c]"));
  CHECK(parse("[a|[]]") == make(lst(am("a"))));
  CHECK(parse("[[]|[[]]]") == parse("[[], []]"));
  CHECK(parse("#{}")->map()->left() == 0);
  CHECK(parse("#{a => 1, \"b\" => #{c => d}}")->map()->find("a")->integer() == 1);
  CHECK(parse(join({"{", repeated("a,", 254), "a}"}))->bytes()[0] == 104);
  auto const large = parse(join({"{", repeated("a,", 255), "b}"}));
  CHECK(large->bytes()[0] == 105);
  CHECK(large->element(255)->is_atom("b"));
}

TEST_CASE("funs and identifiers") {
  CHECK(parse("fun lists:map/2") == etf::builder().export_fun("lists", "map", 2).take());
  CHECK(parse("fun 'A b' : c / 255") == etf::builder().export_fun("A b", "c", 255).take());
  CHECK(parse("#Pid<a@h.1.2.3>") ==
        make(etf::pid{.node = etf::atom("a@h"), .id = 1, .serial = 2, .creation = 3}));
  CHECK(parse("#Pid<'a@127.0.0.1'.1.2.4294967295>")->as_pid()->creation == UINT32_MAX);
  CHECK(parse("#Port<a@h.18446744073709551615.3>")->as_port()->id == UINT64_MAX);
  CHECK(parse("#Ref<a@h.9.1>")->as_reference()->count == 1);
  CHECK(parse("#Ref<a@h.9.1.2.3.4.5>")->as_reference()->count == 5);
}

TEST_CASE("space and comments go between tokens, a full stop at the end") {
  CHECK(parse("%c\n{ % one\n a,\r\n\tb} % two\n . % three") == make(tup(am("a"), am("b"))));
}

TEST_CASE("arguments are terms and commas") {
  CHECK(etf::parse_arguments("")->empty());
  CHECK(etf::parse_arguments(" % none\n")->empty());
  auto const two = etf::parse_arguments("a, [1, 2].");
  REQUIRE(two.has_value());
  REQUIRE(two->size() == 2);
  CHECK((*two)[0] == make(am("a")));
  CHECK(describe(etf::parse_arguments("a b").error()) == "at 2: expected end of text, found 'b'");
  CHECK(describe(etf::parse_arguments("a,").error()) == "at 2: expected a term, found end of text");
}

TEST_CASE("what is wrong is said, and where") {
  CHECK(wrong("") == "at 0: expected a term, found end of text");
  CHECK(wrong("[1, 2}") == "at 5: expected ',', '|' or ']', found '}'");
  CHECK(wrong("[1 | 2, 3]") == "at 6: expected ']', found ','");
  CHECK(wrong("[1|[2],3]") == "at 6: expected ']', found ','");
  CHECK(wrong("[|a]") == "at 1: expected a term, found '|'");
  CHECK(wrong("{a, b") == "at 5: expected ',' or '}', found end of text");
  CHECK(wrong("{a,}") == "at 3: expected a term, found '}'");
  CHECK(wrong("#{a, b}") == "at 3: expected '=>', found ','");
  CHECK(wrong("#{a => 1, b => 2, a => 3}") == "at 18: the map has this key already");
  CHECK(wrong("Variable") == "at 0: expected a term, found 'V'");
  CHECK(wrong("a b") == "at 2: expected end of text, found 'b'");
  CHECK(wrong("'it''s'") == "at 4: expected end of text, found '''");
  CHECK(wrong("\"abc") == "at 4: expected '\"', found end of text");
  CHECK(wrong("'abc") == "at 4: expected \"'\", found end of text");
  CHECK(wrong("\"\\x{110000}\"") == "at 1: an escape that is no character");
  CHECK(wrong("\"\\x{d800}\"") == "at 1: an escape that is no character");
  CHECK(wrong("\"\\xg0\"") == "at 1: \\x needs two hexadecimal digits, or any number in braces");
  CHECK(wrong("\"\xff\"") == "at 1: expected a character of UTF-8, found byte 255");
  CHECK(wrong("$") == "at 1: expected a character of UTF-8, found end of text");
  CHECK(wrong("-a") == "at 1: expected a digit, found 'a'");
  CHECK(wrong("2#12") == "at 3: expected end of text, found '2'");
  CHECK(wrong("37#1") == "at 0: the base of a number is 2 to 36");
  CHECK(wrong("1.0e400") == "at 0: a float out of range");
  CHECK(wrong("1__0") == "at 1: expected end of text, found '_'");
  CHECK(wrong("<<256>>") == "at 2: an integer does not fit its segment");
  CHECK(wrong("<<-129>>") == "at 2: an integer does not fit its segment");
  CHECK(wrong("<<1:65>>") == "at 4: expected a size of 1 to 64 bits, found '6'");
  CHECK(wrong("<<1:0>>") == "at 2: an integer does not fit its segment");
  CHECK(wrong("<<\"д\">>") == "at 2: characters above 255 need /utf8");
  CHECK(wrong("<<a>>") == "at 2: expected a string, a character or an integer, found 'a'");
  CHECK(wrong("<a>") == "at 0: expected a term, found '<'");
  CHECK(wrong("fun m:f/256") == "at 8: expected an arity of 0 to 255, found '2'");
  CHECK(wrong("fun m f") == "at 6: expected ':', found 'f'");
  CHECK(wrong("#Fun<global.0.1>") == "at 0: a local fun has no text form");
  CHECK(wrong("#Pid<nonode.1.2.3>") == "at 5: a node is name@host");
  CHECK(wrong("#Pid<a@h.1.2.4294967296>") == "at 13: expected a number of 32 bits, found '4'");
  CHECK(wrong("#Ref<a@h.9>") == "at 10: expected '.', found '>'");
  CHECK(wrong("#Ref<a@h.9.1.2.3.4.5.6>") == "at 20: expected '>', found '.'");
  CHECK(wrong("#Thing<1>") == "at 0: expected a term, found '#'");
}

TEST_CASE("the limits: text, depth, digits, atoms") {
  CHECK(wrong("abcd", {.text_bytes_max = 3}) == "at 3: the text is too long");
  CHECK(etf::parse("abc", {.text_bytes_max = 3}).has_value());
  CHECK(etf::parse(join({repeated("[", 1024), repeated("]", 1024)})).has_value());
  CHECK(wrong(join({repeated("[", 1025), repeated("]", 1025)})) == "at 1024: nested too deeply");
  CHECK(wrong(repeated("{", 500'000)) == "at 1024: nested too deeply");
  CHECK(wrong(repeated("#{a=>", 100'000)) == "at 5120: nested too deeply");
  CHECK(etf::parse(join({repeated("[a|", 100'000), "[]", repeated("]", 100'000)})).has_value());
  CHECK(etf::parse(repeated("9", 4096)).has_value());
  CHECK(wrong(repeated("9", 4097)) == "at 0: the number has too many digits");
  CHECK(etf::parse(join({"16#", repeated("f", 100'000)})).has_value());
  CHECK(wrong(join({"3#", repeated("1", 4097)})) == "at 0: the number has too many digits");
  CHECK(etf::parse(join({"'", repeated("д", 255), "'"})).has_value());
  CHECK(wrong(join({"'", repeated("д", 256), "'"})) == "at 0: an atom has at most 255 characters");
}

TEST_CASE("printing and parsing undo each other") {
  base::random random(3);
  for (int i = 0; i < 20'000; ++i) {
    auto const t = test::random_term(random);
    for (bool const strings : {true, false}) {
      auto const text = etf::print(t, {.strings = strings});
      auto const back = etf::parse(text);
      REQUIRE_MESSAGE(back.has_value(), text << ": " << describe(back.error()));
      CHECK_MESSAGE(*back == t, text << " " << test::hex(t->bytes()) << " " << test::hex((*back)->bytes()));
    }
  }
}

TEST_CASE("cut and changed texts are refused or accepted, and nothing worse") {
  base::random random(5);
  for (int i = 0; i < 20'000; ++i) {
    auto text = etf::print(test::random_term(random));
    text.resize(random.below(text.size() + 1));
    if (!text.empty()) text[random.below(text.size())] = static_cast<char>(random.below(256));
    auto const t = etf::parse(text);
    if (!t)
      CHECK(t.error().at <= text.size());
    else
      CHECK(etf::parse(etf::print(*t)).has_value());
  }
}
