#include "etf/atom.hpp"

#include "base/check.hpp"
#include "etf/tags.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace remora::etf {

atom::rep::rep(std::string_view text)
    : head(text.size() <= 255 ? 2 : 3), hash(hash_of(text)), node(is_node_name(text)) {
  base::check(text.size() <= atom_bytes_max, "atom: at most 255 characters");
  encoded.reserve(head + text.size());
  encoded.push_back(static_cast<char>(head == 2 ? tag::small_atom_utf8 : tag::atom_utf8));
  if (head == 3) encoded.push_back(static_cast<char>(text.size() >> 8U));
  encoded.push_back(static_cast<char>(text.size() & 0xffU));
  encoded.append(text);
}

// A slot by length and last characters, where node names differ; whatever was there goes.
atom atom::recent(std::string_view text) {
  if (text.empty()) return {};
  thread_local std::array<atom, atoms_recent> slots;
  std::uint64_t ends = 0;
  std::size_t const known = std::min(text.size(), sizeof ends);
  std::memcpy(&ends, text.data() + text.size() - known, known);
  std::uint64_t begins = 0;
  std::memcpy(&begins, text.data(), known);
  constexpr std::uint64_t mix = 0x9e3779b97f4a7c15U;
  auto& slot = slots[(((ends ^ text.size()) * mix ^ begins) * mix >> 32U) % atoms_recent];
  if (slot.text() != text) slot = atom(text);
  return slot;
}

bool is_node_name(std::string_view text) {
  auto const at = text.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         text.find('@', at + 1) == std::string_view::npos;
}

} // namespace remora::etf
