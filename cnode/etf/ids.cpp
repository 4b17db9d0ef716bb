#include "etf/ids.hpp"

#include <boost/container_hash/hash.hpp>

namespace remora::etf {

std::strong_ordering operator<=>(pid const& a, pid const& b) {
  if (auto const order = a.serial <=> b.serial; order != 0) return order;
  if (auto const order = a.id <=> b.id; order != 0) return order;
  if (auto const order = a.node <=> b.node; order != 0) return order;
  return a.creation <=> b.creation;
}

std::size_t hash_value(pid const& p) {
  std::size_t seed = hash_value(p.node);
  boost::hash_combine(seed, p.id);
  boost::hash_combine(seed, p.serial);
  boost::hash_combine(seed, p.creation);
  return seed;
}

std::size_t hash_value(reference const& r) {
  std::size_t seed = hash_value(r.node);
  boost::hash_combine(seed, r.creation);
  for (auto const word : r.used()) boost::hash_combine(seed, word);
  return seed;
}

} // namespace remora::etf
