// Frame bodies as a peer writes them, the wrong ones included: for tests of what reads them.
#pragma once

#include "etf/parse.hpp"
#include "etf/term.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::test {

// A term from its text; a mistake in a test ends it.
inline etf::term t(std::string_view text) {
  auto parsed = etf::parse(text);
  base::check(parsed.has_value(), "test: a term's text");
  return *parsed;
}

inline std::string be(std::uint64_t value, unsigned bytes) {
  std::string out;
  while (bytes-- > 0) out.push_back(static_cast<char>(value >> (8 * bytes)));
  return out;
}

inline std::string raw(etf::view v) { return std::string(base::as_text(v.bytes())); }

// One entry of an atom header: a slot of the cache (segment * 256 + index), and the text when it is new.
struct cached {
  unsigned slot;
  std::optional<std::string> text = {};
};

// u8 N, the nibbles, the entries (external.c, erts_encode_ext_dist_header_finalize).
inline std::string atom_header(std::vector<cached> const& atoms, bool long_atoms = false) {
  std::string out = be(atoms.size(), 1);
  if (atoms.empty()) return out;
  std::vector<unsigned> nibbles;
  for (auto const& a : atoms) nibbles.push_back((a.text ? 8U : 0U) | a.slot / 256);
  nibbles.push_back(long_atoms ? 1U : 0U);
  nibbles.resize((atoms.size() / 2 + 1) * 2);
  for (std::size_t i = 0; i < nibbles.size(); i += 2)
    out.push_back(static_cast<char>(nibbles[i] | nibbles[i + 1] << 4U));
  for (auto const& a : atoms) {
    out += be(a.slot % 256, 1);
    if (a.text) out += be(a.text->size(), long_atoms ? 2 : 1) + *a.text;
  }
  return out;
}

inline std::string pass_through(etf::view control, etf::view payload = {}) {
  auto out = std::string("\x70\x83") + raw(control);
  if (!payload.empty()) out += "\x83" + raw(payload);
  return out;
}
inline std::string header_frame(std::string const& terms, std::string const& header = std::string(1, '\0')) {
  return "\x83\x44" + header + terms;
}
inline std::string first_fragment(std::uint64_t sequence, std::uint64_t fragment, std::string const& terms,
                                  std::string const& header = std::string(1, '\0')) {
  return "\x83\x45" + be(sequence, 8) + be(fragment, 8) + header + terms;
}
inline std::string next_fragment(std::uint64_t sequence, std::uint64_t fragment, std::string const& part) {
  return "\x83\x46" + be(sequence, 8) + be(fragment, 8) + part;
}

// A message cut into parts of at most `bytes` of payload, in order.
inline std::vector<std::string> fragments(std::uint64_t sequence, etf::view control,
                                          std::string const& payload, std::size_t bytes) {
  std::vector<std::string> out;
  std::size_t const count = std::max<std::size_t>(1, (payload.size() + bytes - 1) / bytes);
  for (std::size_t i = 0; i < count; ++i) {
    auto const part = payload.substr(i * bytes, bytes);
    out.push_back(i == 0 ? first_fragment(sequence, count, raw(control) + part)
                         : next_fragment(sequence, count - i, part));
  }
  return out;
}

// As on the wire: with its length.
inline std::string framed(std::string const& body) { return be(body.size(), 4) + body; }

} // namespace remora::test
