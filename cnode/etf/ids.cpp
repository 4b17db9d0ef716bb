#include "etf/ids.hpp"

namespace remora::etf {

std::strong_ordering operator<=>(pid const& a, pid const& b) {
  if (auto const order = a.serial <=> b.serial; order != 0) return order;
  if (auto const order = a.id <=> b.id; order != 0) return order;
  if (auto const order = a.node <=> b.node; order != 0) return order;
  return a.creation <=> b.creation;
}

namespace {

// Two words at a time: identifiers are hashed several times for each message.
void mix(std::size_t& seed, std::uint64_t high, std::uint64_t low) {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15U;
  seed = (seed ^ (high << 32U | low)) * odd;
  seed ^= seed >> 32U;
}

} // namespace

std::size_t hash_value(pid const& p) {
  std::size_t seed = hash_value(p.node) ^ p.creation;
  mix(seed, p.serial, p.id);
  return seed;
}

std::size_t hash_value(reference const& r) {
  std::size_t seed = hash_value(r.node) ^ r.creation;
  mix(seed, r.words[0], r.words[1]);
  mix(seed, r.words[2], r.words[3]);
  mix(seed, r.words[4], r.count);
  return seed;
}

} // namespace remora::etf
