// Time as the cores see it: a point that the driver hands in. No core reads a clock.
#pragma once

#include <chrono>
#include <optional>

namespace remora::base {

using duration = std::chrono::nanoseconds;

// A clock without now(): only io/ (from std::chrono::steady_clock) and tests make its points.
struct driver_clock {
  using duration = base::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<driver_clock>;
  static constexpr bool is_steady = true;
};
using time_point = driver_clock::time_point;

// The earlier of two deadlines, where none means never.
inline std::optional<time_point> earliest(std::optional<time_point> a, std::optional<time_point> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

} // namespace remora::base
