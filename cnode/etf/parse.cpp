#include "etf/parse.hpp"

#include "base/utf8.hpp"
#include "etf/bignum.hpp"
#include "etf/builder.hpp"
#include "etf/reader.hpp"
#include "etf/scan.hpp"
#include "etf/syntax.hpp"
#include "etf/tags.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::etf {

namespace {

// The bytes of <<...>> while they are put together from segments of any number of bits.
class bit_string {
public:
  void put(std::uint64_t value, unsigned bits) {
    while (bits > 0) {
      unsigned const room = 8 - last_;
      unsigned const count = std::min(room, bits);
      auto const part = static_cast<unsigned>(value >> (bits - count)) & ((1U << count) - 1);
      if (last_ == 0) bytes_.push_back('\0');
      bytes_.back() = static_cast<char>(static_cast<unsigned char>(bytes_.back()) | (part << (room - count)));
      last_ = (last_ + count) % 8;
      bits -= count;
    }
  }

  void write(builder& b) const {
    if (last_ == 0) {
      b.binary(bytes_);
      return;
    }
    b.raw().put(tag::bit_binary);
    b.raw().put(static_cast<std::uint32_t>(bytes_.size()));
    b.raw().put(static_cast<std::uint8_t>(last_));
    b.raw().append(bytes_);
  }

private:
  std::string bytes_;
  unsigned last_ = 0; // bits used of the last byte, 0 when all
};

// Recursive descent over the characters. Every step answers false after it has left an error.
class parser : private scanner {
public:
  using scanner::scanner;

  parsed<term> whole() {
    if (!fits() || !value(0) || !end()) return error();
    return b_.take();
  }

  parsed<std::vector<term>> arguments() {
    std::vector<term> out;
    if (!fits()) return error();
    skip_space();
    if (next_is('.') || at_end()) return end() ? parsed<std::vector<term>>(out) : error();
    do {
      if (!value(0)) return error();
      out.push_back(b_.take());
      b_ = {};
    } while (accept(","));
    if (!end()) return error();
    return out;
  }

private:
  bool end() {
    accept(".");
    skip_space();
    return at_end() || fail("end of text");
  }

  // Terms.

  bool value(std::size_t depth) {
    skip_space();
    if (at_end()) return fail("a term");
    switch (rest().front()) {
    case '[': return deeper(depth) && list(depth + 1);
    case '{': return deeper(depth) && tuple(depth + 1);
    case '#': return rest().starts_with("#{") ? deeper(depth) && map(depth + 1) : identifier();
    case '<': return binary();
    case '"': return string();
    case '$': return character();
    case '\'': return atom();
    case '-':
    case '+': return numeral();
    default: break;
    }
    if (next_is_digit()) return numeral();
    if (is_fun()) return export_fun();
    return is_lower(peek()) ? atom() : fail("a term");
  }

  bool deeper(std::size_t depth) { return depth < limits().depth_max || complain(at(), "nested too deeply"); }

  // Numbers.

  bool numeral() {
    if (is_float()) {
      double value = 0;
      if (!floating(value)) return false;
      b_.floating(value);
      return true;
    }
    big_integer value;
    if (!integer(value)) return false;
    b_.big_integer(value.negative, value.magnitude);
    return true;
  }

  bool character() {
    skip(1);
    char32_t c = 0;
    if (!scanner::character(c)) return false;
    b_.integer(c);
    return true;
  }

  bool string() {
    std::u32string characters;
    if (!strings(characters)) return false;
    b_.string(characters);
    return true;
  }

  // Atoms, and what is made of them.

  bool atom() {
    std::string text;
    if (!atom_text(text)) return false;
    b_.atom(text);
    return true;
  }

  bool is_fun() const { return rest().starts_with("fun") && name_size() == 3; }

  bool export_fun() {
    skip(3);
    std::string module;
    std::string function;
    std::uint64_t arity = 0;
    if (!atom_text(module) || !expect(":", "':'") || !atom_text(function) || !expect("/", "'/'"))
      return false;
    skip_space();
    if (!small_number(arity, 255, "an arity of 0 to 255")) return false;
    b_.export_fun(module, function, static_cast<std::uint8_t>(arity));
    return true;
  }

  // Identifiers.

  bool identifier() {
    if (rest().starts_with("#Fun<")) return complain(at(), "a local fun has no text form");
    if (accept("#Pid<")) return pid();
    if (accept("#Port<")) return port();
    if (accept("#Ref<")) return reference();
    return fail("a term");
  }

  bool node(std::string& out) {
    std::size_t const start = at();
    return atom_text(out) && (is_node_name(out) || complain(start, "a node is name@host"));
  }
  bool word(std::uint32_t& out) {
    std::uint64_t value = 0;
    if (!expect(".", "'.'") || !small_number(value, UINT32_MAX, "a number of 32 bits")) return false;
    out = static_cast<std::uint32_t>(value);
    return true;
  }

  bool pid() {
    std::string name;
    etf::pid p;
    if (!node(name) || !word(p.id) || !word(p.serial) || !word(p.creation) || !expect(">", "'>'"))
      return false;
    p.node = etf::atom(name);
    b_.pid(p);
    return true;
  }

  bool port() {
    std::string name;
    etf::port p;
    if (!node(name) || !expect(".", "'.'") || !small_number(p.id, UINT64_MAX, "a number of 64 bits") ||
        !word(p.creation) || !expect(">", "'>'"))
      return false;
    p.node = etf::atom(name);
    b_.port(p);
    return true;
  }

  bool reference() {
    std::string name;
    etf::reference r;
    if (!node(name) || !word(r.creation)) return false;
    do {
      if (!word(r.words[r.count++])) return false;
    } while (r.count < reference_words_max && next_is('.'));
    if (!expect(">", "'>'")) return false;
    r.node = etf::atom(name);
    b_.reference(r);
    return true;
  }

  // Binaries.

  bool binary() {
    bit_string bits;
    if (!expect("<<", "a term")) return false;
    if (!accept(">>")) {
      do {
        if (!segment(bits)) return false;
      } while (accept(","));
      if (!expect(">>", "',' or '>>'")) return false;
    }
    bits.write(b_);
    return true;
  }

  bool segment(bit_string& bits) {
    skip_space();
    if (next_is('"')) return text_segment(bits);
    std::size_t const start = at();
    big_integer n;
    if (next_is('$')) {
      char32_t c = 0;
      skip(1);
      if (!scanner::character(c)) return false;
      for (auto value = static_cast<std::uint32_t>(c); value != 0; value >>= 8U)
        n.magnitude.push_back(static_cast<std::uint8_t>(value));
    } else if (!next_is_digit() && !next_is_sign()) {
      return fail("a string, a character or an integer");
    } else if (!integer(n)) {
      return false;
    }
    std::uint64_t size = 8;
    if (accept(":")) {
      skip_space();
      if (!small_number(size, 64, "a size of 1 to 64 bits")) return false;
    }
    return put_integer(bits, n, static_cast<unsigned>(size), start);
  }

  // Erlang would cut what does not fit; a person who writes it has made a mistake.
  bool put_integer(bit_string& bits, big_integer const& n, unsigned size, std::size_t start) {
    std::uint64_t value = 0;
    for (std::size_t i = n.magnitude.size(); i-- > 0;) value = (value << 8U) | n.magnitude[i];
    std::uint64_t const max = size >= 64 ? UINT64_MAX : (std::uint64_t{1} << size) - 1;
    std::uint64_t const limit = n.negative ? max / 2 + 1 : max;
    if (size == 0 || n.magnitude.size() > 8 || value > limit)
      return complain(start, "an integer does not fit its segment");
    bits.put(n.negative ? 0 - value : value, size);
    return true;
  }

  bool text_segment(bit_string& bits) {
    std::size_t const start = at();
    std::u32string characters;
    if (!strings(characters)) return false;
    bool const utf8 = accept("/utf8");
    std::string text;
    for (auto const c : characters) {
      if (!utf8 && c > 0xff) return complain(start, "characters above 255 need /utf8");
      utf8 ? static_cast<void>(base::append_utf8(text, c)) : text.push_back(static_cast<char>(c));
    }
    for (char const c : text) bits.put(static_cast<unsigned char>(c), 8);
    return true;
  }

  // Containers. Their size is known at their end: the head is written first and filled in then.

  bool list(std::size_t depth) {
    std::size_t const start = b_.size();
    std::size_t count = 0;
    std::size_t closers = 0; // [a|[b|[c]]] is read as the one list that it is
    bool proper = true;
    b_.list(1);
    for (bool again = true; again;) {
      skip(1);
      ++closers;
      if (accept("]")) {
        --closers;
        break;
      }
      if (!elements(depth, count)) return false;
      if (!accept("|")) {
        if (!expect("]", "',', '|' or ']'")) return false;
        --closers;
        break;
      }
      skip_space();
      again = next_is('[');
      if (!again && !tail(depth, count, proper)) return false;
    }
    for (; closers > 0; --closers)
      if (!expect("]", "']'")) return false;
    finish_list(start, count, proper);
    return true;
  }

  bool elements(std::size_t depth, std::size_t& count) {
    do {
      if (!value(depth)) return false;
      ++count;
    } while (accept(","));
    return true;
  }

  bool tail(std::size_t depth, std::size_t& count, bool& proper) {
    if (!next_is('"')) {
      proper = false;
      return value(depth);
    }
    std::u32string characters;
    if (!strings(characters)) return false;
    for (auto const c : characters) b_.integer(c);
    count += characters.size();
    return true;
  }

  void finish_list(std::size_t start, std::size_t count, bool proper) {
    auto& bytes = b_.raw();
    if (count == 0) {
      bytes.truncate(start);
      b_.nil();
      return;
    }
    if (proper && pack_string(start, count)) return;
    base::store_be(bytes.data() + start + 1, static_cast<std::uint32_t>(count));
    if (proper) b_.nil();
  }

  // A list of bytes is encoded as 107, as the emulator does.
  bool pack_string(std::size_t start, std::size_t count) {
    auto& bytes = b_.raw();
    if (count > UINT16_MAX || bytes.size() - start - 5 != 2 * count) return false;
    std::uint8_t* const items = bytes.data() + start + 5;
    for (std::size_t i = 0; i < count; ++i)
      if (items[2 * i] != tag::small_integer) return false;
    std::uint8_t* const string = bytes.data() + start;
    for (std::size_t i = 0; i < count; ++i) string[3 + i] = items[2 * i + 1];
    string[0] = tag::string;
    base::store_be(string + 1, static_cast<std::uint16_t>(count));
    bytes.truncate(start + 3 + count);
    return true;
  }

  bool tuple(std::size_t depth) {
    std::size_t const start = b_.size();
    std::size_t count = 0;
    skip(1);
    b_.tuple(0);
    if (!accept("}")) {
      if (!elements(depth, count)) return false;
      if (!expect("}", "',' or '}'")) return false;
    }
    finish_tuple(start, count);
    return true;
  }

  void finish_tuple(std::size_t start, std::size_t count) {
    auto& bytes = b_.raw();
    if (count <= 255) {
      bytes.data()[start + 1] = static_cast<std::uint8_t>(count);
      return;
    }
    bytes.room(3);
    bytes.commit(3);
    std::uint8_t* const head = bytes.data() + start;
    std::memmove(head + 5, head + 2, bytes.size() - start - 5);
    head[0] = tag::large_tuple;
    base::store_be(head + 1, static_cast<std::uint32_t>(count));
  }

  struct map_key {
    std::size_t begin; // in what is built
    std::size_t end;
    std::size_t at; // in the text
  };

  bool map(std::size_t depth) {
    std::size_t const start = b_.size();
    std::vector<map_key> keys;
    skip(2);
    b_.map(0);
    if (!accept("}")) {
      do {
        if (!pair(depth, keys)) return false;
      } while (accept(","));
      if (!expect("}", "',' or '}'")) return false;
    }
    base::store_be(b_.raw().data() + start + 1, static_cast<std::uint32_t>(keys.size()));
    return distinct(keys);
  }

  bool pair(std::size_t depth, std::vector<map_key>& keys) {
    skip_space();
    std::size_t const key_at = at();
    std::size_t const begin = b_.size();
    if (!value(depth)) return false;
    keys.push_back({.begin = begin, .end = b_.size(), .at = key_at});
    return expect("=>", "'=>'") && value(depth);
  }

  // The emulator refuses a map with a key twice, and with it the connection that it came on.
  bool distinct(std::vector<map_key>& keys) {
    auto const bytes = [&](map_key const& k) {
      return base::as_text(b_.bytes().subspan(k.begin, k.end - k.begin));
    };
    std::stable_sort(keys.begin(), keys.end(), [&](auto& a, auto& b) { return bytes(a) < bytes(b); });
    auto const twice =
        std::adjacent_find(keys.begin(), keys.end(), [&](auto& a, auto& b) { return bytes(a) == bytes(b); });
    return twice == keys.end() || complain((twice + 1)->at, "the map has this key already");
  }

  builder b_;
};

} // namespace

parsed<term> parse(std::string_view text, parse_limits const& limits) { return parser(text, limits).whole(); }

parsed<std::vector<term>> parse_arguments(std::string_view text, parse_limits const& limits) {
  return parser(text, limits).arguments();
}

} // namespace remora::etf
