// Seeded random numbers for the cores (splitmix64): the same seed gives the same run. Not for secrets; what
// must not be guessed (the challenge) is handed in by the driver from the operating system's generator.
#pragma once

#include <cstdint>

namespace remora::base {

class random {
public:
  explicit random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  // Uniform in 0..bound-1; bound > 0. The bias of the modulo is below 2^-32 for every bound that we use.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

private:
  std::uint64_t state_;
};

} // namespace remora::base
