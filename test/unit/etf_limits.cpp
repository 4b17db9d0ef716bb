// The reader and the builder at their limits, and the reader against one that is obviously right.
#include "etf/builder.hpp"
#include "etf/chardata.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"
#include "unit/terms.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

using namespace remora;
using bytes = std::vector<std::uint8_t>;
using e = etf::term_error;

namespace {

std::optional<e> error_of(bytes const& in, etf::term_limits const& limits = {},
                          std::vector<etf::atom> const& cached = {}) {
  auto const size = etf::reader(limits).validate(in, cached);
  if (!size) return size.error();
  CHECK(*size <= in.size());
  return std::nullopt;
}

etf::term read(bytes const& in, std::vector<etf::atom> const& cached = {}) {
  base::buffer out;
  auto const used = etf::reader().read(in, cached, out);
  REQUIRE(used.has_value());
  CHECK(*used == in.size());
  return etf::term(std::move(out));
}

bytes unhex(std::string_view text) {
  bytes out;
  std::string digits;
  for (char const c : text)
    if (c != ' ') digits += c;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  return out;
}

template <class Range>
void append(bytes& out, Range const& more) {
  for (auto const byte : more) out.push_back(static_cast<std::uint8_t>(byte));
}

bytes repeated(bytes const& what, std::size_t count, bytes const& end = {}) {
  bytes out;
  for (; count > 0; --count) append(out, what);
  append(out, end);
  return out;
}

bytes small_atom(std::string_view text) {
  bytes out{119, static_cast<std::uint8_t>(text.size())};
  append(out, text);
  return out;
}

bytes joined(std::initializer_list<bytes> parts) {
  bytes out;
  for (auto const& part : parts) append(out, part);
  return out;
}

// erl_ext_dist word by word, with the C++ stack as its stack: slow, and simple enough to be seen right.
class dumb_validator {
public:
  dumb_validator(bytes const& in, std::vector<etf::atom> const& cached) : in_(in), cached_(cached) {}
  std::optional<std::size_t> run() {
    if (!value(0, false)) return std::nullopt;
    return at_;
  }
  bool met_float_text() const { return met_float_text_; } // tag 99 is left to etf_reader.cpp

private:
  static constexpr int depth_max = 64;

  std::size_t left() const { return in_.size() - at_; }
  bool skip(std::uint64_t count) {
    if (count > left()) return false;
    at_ += count;
    return true;
  }
  std::optional<std::uint64_t> number(std::size_t size) {
    if (size > left()) return std::nullopt;
    std::uint64_t value = 0;
    for (; size > 0; --size) value = value << 8U | in_[at_++];
    return value;
  }
  bool counted(std::size_t size, std::size_t more = 0) {
    auto const count = number(size);
    return count && skip(*count + more);
  }
  bool values(std::uint64_t count, int depth) {
    for (; count > 0; --count)
      if (!value(depth, false)) return false;
    return true;
  }
  std::optional<std::string> atom() {
    auto const tag = number(1);
    if (!tag) return std::nullopt;
    if (*tag == 82) {
      auto const index = number(1);
      if (!index || *index >= cached_.size()) return std::nullopt;
      return std::string(cached_[*index].text());
    }
    if (*tag != 100 && *tag != 115 && *tag != 118 && *tag != 119) return std::nullopt;
    auto const size = number(*tag == 115 || *tag == 119 ? 1 : 2);
    if (!size || *size > left()) return std::nullopt;
    std::string text(reinterpret_cast<char const*>(in_.data()) + at_, *size);
    at_ += *size;
    bool const latin1 = *tag == 100 || *tag == 115;
    std::size_t characters = 0;
    for (char const c : text)
      characters += latin1 || (static_cast<unsigned char>(c) & 0xc0U) != 0x80U ? 1 : 0;
    if (characters > 255 || (!latin1 && !utf8(text))) return std::nullopt;
    return text;
  }
  // By decoding and encoding again.
  static bool utf8(std::string const& text) {
    for (std::size_t i = 0; i < text.size();) {
      auto const byte = [&](std::size_t n) {
        return n < text.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(text[n])) : 0U;
      };
      std::uint32_t const b = byte(i);
      std::size_t const size = b < 0x80 ? 1 : b < 0xc0 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf8 ? 4 : 0;
      if (size == 0 || i + size > text.size()) return false;
      std::uint32_t c = size == 1 ? b : b & (0x3fU >> (size - 1));
      for (std::size_t n = 1; n < size; ++n) {
        if ((byte(i + n) & 0xc0U) != 0x80U) return false;
        c = c << 6U | (byte(i + n) & 0x3fU);
      }
      std::uint32_t const shortest[] = {0, 0, 0x80, 0x800, 0x10000};
      if (c < shortest[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return false;
      i += size;
    }
    return true;
  }
  bool node() {
    auto const name = atom();
    if (!name) return false;
    auto const at = name->find('@');
    return at != 0 && at != std::string::npos && at + 1 < name->size() && name->rfind('@') == at;
  }
  bool fun(int depth) {
    if (!skip(25)) return false;
    auto const free = number(4);
    if (!free || !atom() || !small() || !small()) return false;
    auto const tag = number(1);
    if (!tag || (*tag != 88 && *tag != 103) || !node() || !skip(*tag == 88 ? 12 : 9)) return false;
    return values(*free, depth + 1);
  }
  bool small() {
    auto const tag = number(1);
    return tag && ((*tag == 97 && skip(1)) || (*tag == 98 && skip(4)));
  }
  bool reference(bool old) {
    auto const words = number(2);
    return words && *words >= 1 && *words <= 5 && node() && skip((old ? 1 : 4) + 4 * *words);
  }
  bool finite() {
    auto const value = number(8);
    return value && std::isfinite(std::bit_cast<double>(*value));
  }
  bool bits() {
    auto const size = number(4);
    auto const used = number(1);
    return size && used && *size > 0 && *used >= 1 && *used <= 8 && skip(*size);
  }
  bool list(int depth, bool is_tail) {
    auto const count = number(4);
    if (!count) return false;
    if (*count == 0) return value(depth, is_tail);
    int const inner = is_tail ? depth : depth + 1;
    return inner <= depth_max && *count < left() && values(*count, inner) && value(inner, true);
  }
  bool value(int depth, bool is_tail) {
    if (depth > depth_max) return false;
    std::size_t const start = at_;
    auto const tag = number(1);
    if (!tag) return false;
    switch (*tag) {
    case 97: return skip(1);
    case 98: return skip(4);
    case 99: met_float_text_ = true; return false;
    case 70: return finite();
    case 82:
    case 100:
    case 115:
    case 118:
    case 119: at_ = start; return atom().has_value();
    case 106: return true;
    case 107: return counted(2);
    case 109: return counted(4);
    case 110: return counted(1, 1);
    case 111: return counted(4, 1);
    case 77: return bits();
    case 104:
    case 105:
    case 116: {
      auto const count = number(*tag == 104 ? 1 : 4);
      return count && depth < depth_max && values(*tag == 116 ? 2 * *count : *count, depth + 1);
    }
    case 108: return list(depth, is_tail);
    case 88: return node() && skip(12);
    case 89: return node() && skip(8);
    case 120: return node() && skip(12);
    case 103: return node() && skip(9);
    case 101:
    case 102: return node() && skip(5);
    case 90: return reference(false);
    case 114: return reference(true);
    case 113: {
      if (!atom() || !atom()) return false;
      auto const tag_of_arity = number(1);
      return tag_of_arity == 97 && skip(1);
    }
    case 112: return depth < depth_max && fun(depth);
    default: return false;
    }
  }

  bytes const& in_;
  std::vector<etf::atom> const& cached_;
  std::size_t at_ = 0;
  bool met_float_text_ = false;
};

// A walk through every accessor, by recursion: what the rest of the program does with a term.
std::size_t visit(etf::view v) {
  std::size_t seen = 1;
  static_cast<void>(v.what());
  static_cast<void>(v.integer());
  static_cast<void>(v.unsigned_integer());
  static_cast<void>(v.floating());
  static_cast<void>(v.as_pid());
  static_cast<void>(v.as_port());
  static_cast<void>(v.as_reference());
  static_cast<void>(v.text());
  if (auto const arity = v.arity())
    for (std::uint32_t i = 0; i < *arity; ++i) seen += visit(*v.element(i));
  for (auto list = v.list(); list; list = list->tail().list()) {
    while (auto const item = list->next()) seen += visit(*item);
    if (list->tail().what() == etf::kind::nil) break;
  }
  if (auto map = v.map())
    while (auto const pair = map->next()) seen += visit(pair->key) + visit(pair->value);
  return seen;
}

// Valid terms with a few bytes changed, cut or doubled, so that most of the walk is reached.
bytes mutated(base::random& random) {
  auto const t = test::random_term(random, 3);
  auto const view = t->bytes();
  bytes out(view.begin(), view.end());
  constexpr std::uint8_t tags[] = {70,  77,  82,  88,  89,  90,  97,  98,  100, 101, 102, 103, 104, 105,
                                   106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 118, 119, 120};
  for (auto left = random.below(4); left > 0 && !out.empty(); --left) {
    auto const at = static_cast<std::ptrdiff_t>(random.below(out.size()));
    switch (random.below(4)) {
    case 0: out[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random.below(256)); break;
    case 1: out[static_cast<std::size_t>(at)] = tags[random.below(std::size(tags))]; break;
    case 2: out.erase(out.begin() + at); break;
    default: out.insert(out.begin() + at, static_cast<std::uint8_t>(random.below(8))); break;
    }
  }
  return out;
}

} // namespace

TEST_CASE("the reader accepts what a dumb validator accepts, and as much of it") {
  std::vector<etf::atom> const cached{etf::atom("ok"), etf::atom("c@h"), etf::atom(""), etf::atom("дом")};
  base::random random(17);
  etf::reader reader({.depth_max = 64});
  std::size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    auto const in = mutated(random);
    dumb_validator dumb(in, cached);
    auto const expected = dumb.run();
    if (dumb.met_float_text()) continue;
    auto const size = reader.validate(in, cached);
    REQUIRE_MESSAGE(size.has_value() == expected.has_value(), test::hex(in));
    if (!size) continue;
    ++accepted;
    CHECK_MESSAGE(*size == *expected, test::hex(in));
    base::buffer once;
    REQUIRE(reader.read(in, cached, once).has_value());
    base::buffer twice;
    auto const again = reader.read(once.view(), {}, twice);
    REQUIRE_MESSAGE((again && *again == once.size()), test::hex(in));
    CHECK(reader.canonical());
    CHECK(etf::view(once.view()) == etf::view(twice.view()));
    CHECK(visit(etf::view(once.view())) > 0);
  }
  CHECK(accepted > 60'000);
}

TEST_CASE("depth: everything counts but lists as tails of lists") {
  for (bytes const& level : {bytes{104, 1}, bytes{105, 0, 0, 0, 1}, bytes{116, 0, 0, 0, 1, 106}}) {
    CHECK_FALSE(error_of(repeated(level, 1024, {106})));
    CHECK(error_of(repeated(level, 1025, {106})) == e::too_deep);
  }
  auto const heads = [](std::size_t n) {
    return joined({repeated({108, 0, 0, 0, 1}, n, {106}), repeated({106}, n)});
  };
  CHECK_FALSE(error_of(heads(1024)));
  CHECK(error_of(heads(1025)) == e::too_deep);
  CHECK_FALSE(error_of(repeated({108, 0, 0, 0, 1, 97, 1}, 1'000'000, {106})));
  // an improper tail that is a tuple counts, and so does the list in it
  CHECK_FALSE(error_of(repeated({108, 0, 0, 0, 1, 106, 104, 1}, 512, {106})));
  CHECK(error_of(repeated({108, 0, 0, 0, 1, 106, 104, 1}, 513, {106})) == e::too_deep);
  auto const fun = joined({{112, 0, 0, 0, 0, 0},
                           bytes(20, 1),
                           {0, 0, 0, 1},
                           small_atom("m"),
                           {97, 0, 97, 0, 88},
                           small_atom("a@h"),
                           bytes(12, 0)});
  CHECK_FALSE(error_of(repeated(fun, 1024, {106})));
  CHECK(error_of(repeated(fun, 1025, {106})) == e::too_deep);
}

TEST_CASE("what passed the depth limit is walked by recursion") {
  CHECK(visit(read(repeated({104, 1}, 1024, {106}))) == 1025);
  CHECK(visit(read(repeated({108, 0, 0, 0, 1, 97, 1}, 1'000, {106}))) == 1001);
  CHECK(read(repeated({108, 0, 0, 0, 1, 97, 'x'}, 1'000'000, {106}))->text() == std::string(1'000'000, 'x'));
}

TEST_CASE("items: of each container, and before they are counted out in memory") {
  etf::term_limits const limits{.items_max = 3};
  for (std::uint8_t const tag : {std::uint8_t{105}, std::uint8_t{108}, std::uint8_t{116}}) {
    CHECK_FALSE(error_of(joined({{tag, 0, 0, 0, 3}, bytes(7, 106)}), limits));
    CHECK(error_of(joined({{tag, 0, 0, 0, 4}, bytes(9, 106)}), limits) == e::too_many_items);
    CHECK(error_of({tag, 0, 0, 255, 255, 106}) == e::truncated);
    CHECK(error_of({tag, 255, 255, 255, 255, 106}) == e::too_many_items);
  }
}

TEST_CASE("atoms: 255 characters, however many bytes they are") {
  auto const utf8 = [](std::string_view character, std::size_t count) {
    bytes out{118, 0, 0};
    for (; count > 0; --count) append(out, character);
    base::store_be(out.data() + 1, static_cast<std::uint16_t>(out.size() - 3));
    return out;
  };
  for (std::string_view const character : {"x", "é", "日", "🚀"}) {
    CHECK_FALSE(error_of(utf8(character, 255)));
    CHECK(error_of(utf8(character, 256)) == e::atom_too_long);
  }
  CHECK_FALSE(error_of(joined({{100, 0, 255}, bytes(255, 0xe9)})));
  CHECK(error_of(joined({{100, 1, 0}, bytes(256, 0xe9)})) == e::atom_too_long);
  auto const longest = read(joined({{100, 0, 255}, bytes(255, 0xe9)}));
  CHECK(longest->bytes()[0] == 118);
  CHECK(longest->atom_text()->size() == 510);
  CHECK(etf::is_atom_text(base::as_bytes(*longest->atom_text())));
}

TEST_CASE("atoms: UTF-8 by the letter") {
  for (bytes const& text :
       {bytes{0x80}, bytes{0xc0, 0x80}, bytes{0xc1, 0xbf}, bytes{0xc3}, bytes{0xe0, 0x9f, 0xbf},
        bytes{0xed, 0xa0, 0x80}, bytes{0xf0, 0x8f, 0xbf, 0xbf}, bytes{0xf4, 0x90, 0x80, 0x80},
        bytes{0xf5, 0x80, 0x80, 0x80}, bytes{0xff}, bytes{0xe2, 0x82}})
    CHECK(error_of(joined({{119, static_cast<std::uint8_t>(text.size())}, text})) == e::atom_not_utf8);
  CHECK_FALSE(error_of({119, 4, 0xf4, 0x8f, 0xbf, 0xbf}));
  CHECK_FALSE(error_of({119, 3, 0xed, 0x9f, 0xbf}));
}

TEST_CASE("references have one to five words, nodes are name@host") {
  for (std::uint8_t words = 0; words <= 6; ++words) {
    auto const in = joined({{90, 0, words}, small_atom("a@h"), bytes(4 + 4 * std::size_t{words}, 1)});
    if (words >= 1 && words <= 5)
      CHECK(read(in)->as_reference()->count == words);
    else
      CHECK(error_of(in) == e::reference_words);
  }
  CHECK(error_of({90, 255, 255}) == e::reference_words);
  for (std::string_view const name : {"", "a", "@", "a@", "@h", "a@h@h", "a@@h"})
    CHECK(error_of(joined({{88}, small_atom(name), bytes(12, 0)})) == e::node_name);
  CHECK(error_of(joined({{88, 97, 1}, bytes(12, 0)})) == e::node_name);
  CHECK_FALSE(error_of(joined({{88}, small_atom("nonode@nohost"), bytes(12, 0)})));
}

TEST_CASE("floats are finite, in both encodings") {
  auto const of = [](double value) {
    bytes out(9, 70);
    base::store_be(out.data() + 1, std::bit_cast<std::uint64_t>(value));
    return out;
  };
  CHECK_FALSE(error_of(of(std::numeric_limits<double>::max())));
  CHECK(error_of(of(std::numeric_limits<double>::infinity())) == e::not_finite);
  CHECK(error_of(of(std::numeric_limits<double>::quiet_NaN())) == e::not_finite);
  for (std::string_view const text : {"inf", "nan", "1e999", "", "1.5x", "0x1p3"}) {
    bytes in{99};
    append(in, text);
    in.resize(32);
    CHECK(error_of(in) == e::not_finite);
  }
}

TEST_CASE("a value has one encoding, whichever it came in") {
  CHECK(read({98, 0, 0, 0, 7}) == etf::make(7));
  CHECK(read({110, 0, 0}) == etf::make(0));
  CHECK(read({110, 1, 1, 0}) == etf::make(0));
  CHECK(read({110, 4, 0, 0, 0, 0, 8}) == etf::make(1 << 27)); // as ei and its like write it
  CHECK(read({110, 4, 1, 0, 0, 0, 0x80}) == etf::make(INT32_MIN));
  CHECK(read({111, 0, 0, 0, 9, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0}) == etf::make(-1));
  CHECK(read({110, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}) == etf::make(std::int64_t{1} << 32));
  CHECK(read({105, 0, 0, 0, 1, 106}) == etf::make(etf::tup(std::vector<int>{})));
  CHECK(read({118, 0, 2, 'o', 'k'}) == etf::make(etf::am("ok")));
  CHECK(read({107, 0, 0})->what() == etf::kind::nil);
  CHECK(read({108, 0, 0, 0, 0, 106})->what() == etf::kind::nil);
  CHECK(read({108, 0, 0, 0, 0, 97, 5}) == etf::make(5));
  CHECK(read({108, 0, 0, 0, 1, 97, 5, 108, 0, 0, 0, 0, 107, 0, 0}) ==
        etf::make(etf::imp(5, std::vector<int>{})));
  CHECK(read({77, 0, 0, 0, 2, 8, 1, 2}) == etf::make(std::string("\x01\x02")));
  CHECK(read({77, 0, 0, 0, 1, 3, 0xff}) == read({77, 0, 0, 0, 1, 3, 0xe0}));
  etf::port const p{.node = etf::atom("a@h"), .id = 5, .creation = 9};
  CHECK(read({89, 119, 3, 'a', '@', 'h', 0, 0, 0, 5, 0, 0, 0, 9}) == etf::make(p));
  CHECK(read({120, 119, 3, 'a', '@', 'h', 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9}) == etf::make(p));
  CHECK_FALSE(error_of(repeated({108, 0, 0, 0, 0}, 100'000, {106})));
}

TEST_CASE("the canonical term has a limit of its own, because cached atoms grow") {
  std::vector<etf::atom> const cached{etf::atom(std::string(255, 'x'))};
  bytes const in = joined({{105, 0, 0, 4, 0}, repeated({82, 0}, 1024)});
  std::size_t const grown = 5 + 1024 * 257;
  base::buffer out;
  REQUIRE(etf::reader().read(in, cached, out).has_value());
  CHECK(out.size() == grown);
  CHECK_FALSE(error_of(in, {.bytes_max = grown + 1024}, cached)); // growth is estimated, one byte more each
  CHECK(error_of(in, {.bytes_max = grown - 1}, cached) == e::too_large);
  CHECK(error_of({109, 0, 0, 0, 2, 1, 2}, {.bytes_max = 6}) == e::too_large);
  CHECK_FALSE(error_of({109, 0, 0, 0, 2, 1, 2}, {.bytes_max = 7}));
}

TEST_CASE("a fun stays as it is when its size is right, and is rewritten when not") {
  auto fun = joined({{112, 0, 0, 0, 0, 1},
                     bytes(20, 1),
                     {0, 0, 0, 1},
                     small_atom("m"),
                     {97, 0, 97, 0, 88},
                     small_atom("a@h"),
                     bytes(12, 0),
                     {97, 1}});
  auto const wrong = read(fun);
  base::store_be(fun.data() + 1, static_cast<std::uint32_t>(fun.size() - 1));
  etf::reader reader;
  REQUIRE(reader.validate(fun, {}).has_value());
  CHECK(reader.canonical());
  CHECK(read(fun) == wrong);
}

TEST_CASE("chardata: depth, tails, characters, and only whole UTF-8") {
  CHECK(read({108, 0, 0, 0, 1, 107, 0, 1, 'a', 109, 0, 0, 0, 1, 'b'})->text() == "ab");
  CHECK_FALSE(read({97, 65})->text());                          // a character is no string
  CHECK_FALSE(read({108, 0, 0, 0, 1, 97, 65, 97, 65})->text()); // nor a tail
  CHECK_FALSE(read({108, 0, 0, 0, 1, 119, 1, 'a', 106})->text());
  CHECK_FALSE(read({109, 0, 0, 0, 1, 0xe9})->text());
  CHECK(read({108, 0, 0, 0, 2, 109, 0, 0, 0, 1, 0xc3, 109, 0, 0, 0, 1, 0xa9, 106})->text() == "é");
  CHECK_FALSE(read({108, 0, 0, 0, 1, 98, 0, 0, 0xd8, 0, 106})->text());
  CHECK(read({107, 0, 3, 'a', 'b', 'c'})->text(3) == "abc");
  CHECK_FALSE(read({107, 0, 3, 'a', 'b', 'c'})->text(2));
  std::string out;
  CHECK(etf::append_chardata(out, *read({109, 0, 0, 0, 1, 0xe9}), etf::binaries::utf8_or_latin1, 10));
  CHECK(out == "é");
  CHECK_FALSE(
      etf::append_chardata(out, *read({108, 0, 0, 0, 1, 98, 0, 0, 1, 0, 106}), etf::binaries::latin1, 10));
}

TEST_CASE("the builder writes text that peers accept") {
  CHECK(etf::make(etf::str("a\xff\xc3")) == etf::make(etf::str("a\xef\xbf\xbd\xef\xbf\xbd")));
  CHECK(etf::is_one_term(bytes{97, 1}));
  CHECK_FALSE(etf::is_one_term(bytes{}));
  CHECK_FALSE(etf::is_one_term(bytes{97}));
  CHECK_FALSE(etf::is_one_term(bytes{97, 1, 97}));
  CHECK_FALSE(etf::is_one_term(bytes{104, 2, 97, 1}));
  CHECK_FALSE(etf::is_one_term(bytes{109, 255, 255, 255, 255}));
  CHECK_FALSE(etf::is_one_term(bytes{90, 0, 5, 119, 3}));
  CHECK_FALSE(etf::is_one_term(bytes{108, 255, 255, 255, 255, 106}));
}

TEST_CASE("reader: a map with one key twice, which OTP refuses") {
  auto const keys_of = [](std::string_view text) {
    base::buffer out;
    auto const used = etf::reader().read(unhex(text), {}, out);
    return used ? std::optional<e>() : used.error();
  };
  CHECK(keys_of("74 00000002 7701 61 6101 7701 62 6101") == std::nullopt);     // #{a => 1, b => 1}
  CHECK(keys_of("74 00000002 7701 61 6101 7701 61 6102") == e::equal_keys);    // #{a => 1, a => 2}
  CHECK(keys_of("74 00000002 7701 61 6101 6400 01 61 6102") == e::equal_keys); // the same, one atom old
  CHECK(keys_of("74 00000002 6b0001 61 6101 6c00000001 6161 6a 6102") == e::equal_keys); // "a" and [97]
  CHECK(keys_of("74 00000002 6801 6101 6101 6801 6101 6102") == e::equal_keys);          // {1} twice
  CHECK(keys_of("74 00000002 6801 6101 6101 6801 6102 6101") == std::nullopt);
  CHECK(keys_of("6c 00000001 74 00000001 6101 74 00000002 6101 6101 6101 6101 6a") ==
        e::equal_keys); // deep inside
  CHECK(keys_of("74 00000002 74 00000001 6101 6101 6101 74 00000001 6101 6101 6102") ==
        e::equal_keys);                                                                // maps as keys
  CHECK(keys_of("74 00000001 74 00000002 6101 6101 6101 6101 6101") == e::equal_keys); // in a key
  CHECK(keys_of("74 00000002 6101 74 00000001 6101 6101 6102 74 00000001 6101 6101") ==
        std::nullopt); // equal values
}

TEST_CASE("atom: recent ones are shared, and more than are kept are right all the same") {
  auto const name = [](int i) { return "node" + std::to_string(i) + "@10.0.0." + std::to_string(i % 200); };
  auto const first = etf::atom::recent(name(0));
  CHECK(etf::atom::recent(name(0)).text().data() == first.text().data());
  CHECK(etf::atom::recent("") == etf::atom());
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 20 * static_cast<int>(etf::atoms_recent); ++i) {
      auto const a = etf::atom::recent(name(i));
      REQUIRE(a == name(i));
      REQUIRE(a.hash() == etf::atom(name(i)).hash());
    }
  CHECK(first == name(0));
}
