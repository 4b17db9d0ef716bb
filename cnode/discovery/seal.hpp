// The signature of multicast packets: HMAC-SHA256 with a key that HKDF (RFC 5869) makes of the shared secret.
// OpenSSL computes and compares it, and only here: the core is given this function, a test another.
#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

namespace remora::discovery {

using signature = std::array<std::uint8_t, 32>;

// The comparison takes the same time whatever differs.
signature sign(std::string_view secret, base::bytes_view bytes);
bool is_signed(std::string_view secret, base::bytes_view bytes, base::bytes_view proof);

// HKDF, extract and one block of expand: the first 32 bytes of the key.
signature derive_key(std::string_view secret, std::string_view salt, std::string_view info);

// What the core is given.
struct signer {
  std::function<signature(std::string_view secret, base::bytes_view bytes)> sign;
  std::function<bool(std::string_view secret, base::bytes_view bytes, base::bytes_view proof)> is_signed;
};
signer openssl_signer();

} // namespace remora::discovery
