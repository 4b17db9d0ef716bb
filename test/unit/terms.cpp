#include "unit/terms.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"

#include <bit>
#include <cmath>
#include <fstream>
#include <set>

namespace remora::test {

std::vector<std::uint8_t> unhex(std::string_view digits) {
  std::vector<std::uint8_t> out;
  for (; digits.size() >= 2; digits.remove_prefix(2))
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(digits.substr(0, 2)), nullptr, 16)));
  return out;
}

std::string hex(base::bytes_view bytes) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (unsigned const byte : bytes) {
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
  return out;
}

std::vector<std::vector<std::string>> recorded(std::string_view file) {
  std::ifstream in(std::string(REMORA_SOURCE_DIR "/test/") + std::string(file));
  base::check(in.good(), "test: a recorded file is there");
  std::vector<std::vector<std::string>> out;
  for (std::string line; std::getline(in, line);) {
    auto& fields = out.emplace_back();
    for (std::size_t from = 0; from != std::string::npos;) {
      auto const tab = line.find('\t', from);
      fields.push_back(line.substr(from, tab == std::string::npos ? tab : tab - from));
      from = tab == std::string::npos ? tab : tab + 1;
    }
  }
  return out;
}

namespace {

class generator {
public:
  explicit generator(base::random& random) : random_(random) {}

  etf::term any(unsigned depth) {
    etf::builder b;
    put(b, depth);
    return b.take();
  }

private:
  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  std::uint32_t word() { return static_cast<std::uint32_t>(random_.next() >> below(32)); }

  void put(etf::builder& b, unsigned depth) {
    switch (below(depth > 0 ? 16 : 9)) {
    case 0: b.integer(static_cast<std::int64_t>(random_.next()) >> below(64)); break;
    case 1: big(b); break;
    case 2: b.floating(floating()); break;
    case 3:
    case 4: b.atom(text(6)); break;
    case 5: b.binary(below(2) == 0 ? text(9) : bytes(9)); break;
    case 6: bits(b); break;
    case 7: identifier(b); break;
    case 8: string(b); break;
    case 9:
    case 10: list(b, depth); break;
    case 11: improper(b, depth); break;
    case 12: map(b, depth); break;
    case 13: b.export_fun(text(3), text(3), static_cast<std::uint8_t>(below(256))); break;
    default: tuple(b, depth); break;
    }
  }

  std::string bytes(std::size_t max) {
    std::string out(below(max + 1), '\0');
    for (auto& c : out) c = static_cast<char>(random_.next());
    return out;
  }

  std::uint32_t character() {
    constexpr std::uint32_t bounds[] = {0x20, 0x7f, 0x7f, 0x7f, 0x100, 0x800, 0x10000, 0x110000};
    for (;;) {
      auto const c = static_cast<std::uint32_t>(below(bounds[below(8)]));
      std::string ignored;
      if (base::append_utf8(ignored, c)) return c;
    }
  }
  std::string text(std::size_t max) {
    std::string out;
    for (auto left = below(max + 1); left > 0; --left) {
      if (below(3) == 0)
        base::append_utf8(out, character());
      else
        out += static_cast<char>('a' + below(26));
    }
    return out;
  }

  void big(etf::builder& b) {
    auto const magnitude = bytes(below(50) == 0 ? 400 : 20);
    b.big_integer(below(2) == 0, base::as_bytes(magnitude));
  }

  double floating() {
    for (;;) {
      auto const value = below(2) == 0 ? std::bit_cast<double>(random_.next())
                                       : static_cast<double>(random_.next() >> below(64)) / 1000;
      if (std::isfinite(value)) return value;
    }
  }

  void bits(etf::builder& b) {
    auto content = bytes(4);
    auto const used = static_cast<unsigned>(1 + below(7));
    content.push_back(static_cast<char>(random_.next() & (0xffU << (8 - used))));
    b.raw().put(std::uint8_t{77});
    b.raw().put(static_cast<std::uint32_t>(content.size()));
    b.raw().put(static_cast<std::uint8_t>(used));
    b.raw().append(content);
  }

  void identifier(etf::builder& b) {
    etf::atom const node(below(2) == 0 ? "a@h" : "Node-1@127.0.0.1");
    switch (below(3)) {
    case 0: b.pid({.node = node, .id = word(), .serial = word(), .creation = word()}); break;
    case 1: b.port({.node = node, .id = random_.next() >> below(64), .creation = word()}); break;
    default: {
      etf::reference r{.node = node, .creation = word(), .count = static_cast<std::uint32_t>(1 + below(5))};
      for (std::size_t i = 0; i < r.count; ++i) r.words[i] = word();
      b.reference(r);
    }
    }
  }

  void string(etf::builder& b) {
    std::u32string characters;
    for (auto left = below(9); left > 0; --left) characters.push_back(static_cast<char32_t>(character()));
    b.string(characters);
  }

  // With one element that is no byte, or the list would be a string.
  void list(etf::builder& b, unsigned depth) {
    auto const length = 1 + below(4);
    b.list(length);
    b.atom(text(2));
    for (auto left = length - 1; left > 0; --left) put(b, depth - 1);
    b.nil();
  }

  void improper(etf::builder& b, unsigned depth) {
    auto const length = 1 + below(3);
    b.list(length);
    for (auto left = length; left > 0; --left) put(b, depth - 1);
    b.atom(text(3));
  }

  void tuple(etf::builder& b, unsigned depth) {
    auto const arity = below(20) == 0 ? 250 + below(10) : below(5);
    b.tuple(arity);
    for (auto left = arity; left > 0; --left) put(b, arity > 4 ? 0 : depth - 1);
  }

  void map(etf::builder& b, unsigned depth) {
    std::set<std::string> keys;
    for (auto left = below(5); left > 0; --left) keys.emplace(base::as_text(any(depth - 1)->bytes()));
    b.map(keys.size());
    for (auto const& key : keys) {
      b.raw().append(key);
      put(b, depth - 1);
    }
  }

  base::random& random_;
};

} // namespace

etf::term random_term(base::random& random, unsigned depth) { return generator(random).any(depth); }

} // namespace remora::test
