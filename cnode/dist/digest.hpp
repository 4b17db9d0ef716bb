// The cookie proof of the handshake: MD5(cookie ++ decimal challenge). OpenSSL computes and compares it.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace remora::dist {

using digest = std::array<std::uint8_t, 16>;

digest make_digest(std::string_view cookie, std::uint32_t challenge);
bool digests_equal(base::bytes_view a, base::bytes_view b); // in constant time

} // namespace remora::dist
