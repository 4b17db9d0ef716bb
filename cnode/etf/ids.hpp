// Identifiers of a cluster. A foreign identifier is kept exactly as it came: references echo all of their
// words (protocol.md 4: a three-word type would break every call from OTP 27).
#pragma once

#include "etf/atom.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <span>

namespace remora::etf {

inline constexpr std::size_t reference_words_max = 5;

struct pid {
  atom node;
  std::uint32_t id = 0;
  std::uint32_t serial = 0;
  std::uint32_t creation = 0;

  friend bool operator==(pid const&, pid const&) = default;
  // OTP's order (utils.c, pid_common): serial, id, node name bytewise, creation.
  friend std::strong_ordering operator<=>(pid const& a, pid const& b);
};

struct port {
  atom node;
  std::uint64_t id = 0;
  std::uint32_t creation = 0;
  friend bool operator==(port const&, port const&) = default;
};

struct reference {
  atom node;
  std::uint32_t creation = 0;
  std::uint32_t count = 0; // words in use, 1..5
  std::array<std::uint32_t, reference_words_max> words{};

  std::span<std::uint32_t const> used() const { return {words.data(), count}; }
  friend bool operator==(reference const&, reference const&) = default;
};

std::size_t hash_value(pid const& p);
std::size_t hash_value(reference const& r);

} // namespace remora::etf

template <>
struct std::hash<remora::etf::pid> {
  std::size_t operator()(remora::etf::pid const& p) const noexcept { return hash_value(p); }
};
template <>
struct std::hash<remora::etf::reference> {
  std::size_t operator()(remora::etf::reference const& r) const noexcept { return hash_value(r); }
};
