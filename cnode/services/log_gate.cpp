#include "services/log_gate.hpp"

#include <algorithm>
#include <utility>

namespace remora::services {

std::optional<std::uint64_t> log_gate::pass(base::time_point now) {
  constexpr base::duration each =
      std::chrono::duration_cast<base::duration>(std::chrono::seconds(1)) / per_second;
  if (!filled_) filled_ = now;
  auto const earned = static_cast<std::uint64_t>(std::max<std::int64_t>((now - *filled_) / each, 0));
  left_ = std::min(burst, left_ + earned);
  // What is not a whole line's worth yet stays to be earned, unless the gate is full.
  filled_ = left_ == burst ? now : *filled_ + each * static_cast<std::int64_t>(earned);
  if (left_ == 0) {
    ++dropped_;
    return std::nullopt;
  }
  --left_;
  return std::exchange(dropped_, 0);
}

} // namespace remora::services
