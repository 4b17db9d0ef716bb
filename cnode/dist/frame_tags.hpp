// What a frame begins with (erl_dist_protocol, "Distribution Header"): 112, or 131 and one of the others.
#pragma once

#include <cstdint>

namespace remora::dist {

inline constexpr std::uint8_t pass_through_tag = 112;
inline constexpr std::uint8_t header_tag = 68;
inline constexpr std::uint8_t first_fragment_tag = 69;
inline constexpr std::uint8_t next_fragment_tag = 70;

} // namespace remora::dist
