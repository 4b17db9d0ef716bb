// The only clock and the only entropy: what the cores are handed from outside.
#pragma once

#include "base/time.hpp"

#include <chrono>
#include <cstdint>

namespace remora::io {

inline base::time_point now() {
  return base::time_point(
      std::chrono::duration_cast<base::duration>(std::chrono::steady_clock::now().time_since_epoch()));
}
inline std::chrono::steady_clock::time_point to_steady(base::time_point t) {
  return std::chrono::steady_clock::time_point(t.time_since_epoch());
}

std::uint64_t entropy(); // from the operating system's generator

} // namespace remora::io
