// How many lines somebody else may put into our log: `burst` at once, `per_second` for ever. What is too much
// is counted, and the next line that passes says how many were left out.
#pragma once

#include "base/time.hpp"

#include <cstdint>
#include <optional>

namespace remora::services {

class log_gate {
public:
  static constexpr std::uint64_t per_second = 1'000;
  static constexpr std::uint64_t burst = 2'000;

  // How many were left out since the last that passed; nullopt: this one is left out too.
  std::optional<std::uint64_t> pass(base::time_point now);

private:
  std::uint64_t left_ = burst;
  std::optional<base::time_point> filled_; // up to here `left_` counts
  std::uint64_t dropped_ = 0;
};

} // namespace remora::services
