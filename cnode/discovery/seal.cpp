#include "discovery/seal.hpp"

#include "base/check.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <string>

namespace remora::discovery {

namespace {

constexpr std::string_view salt = "remora discovery";
constexpr std::string_view purpose = "multicast packets, version 1";

signature hmac(base::bytes_view key, base::bytes_view bytes) {
  signature out{};
  unsigned size = 0;
  auto const* const done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes.data(),
                                bytes.size(), out.data(), &size);
  base::check(done != nullptr && size == out.size(), "OpenSSL computes HMAC-SHA256");
  return out;
}

} // namespace

signature derive_key(std::string_view secret, std::string_view with_salt, std::string_view info) {
  auto const extracted = hmac(base::as_bytes(with_salt), base::as_bytes(secret));
  std::string block(info);
  block += '\x01';
  return hmac(extracted, base::as_bytes(block));
}

signature sign(std::string_view secret, base::bytes_view bytes) {
  auto key = derive_key(secret, salt, purpose);
  auto const out = hmac(key, bytes);
  OPENSSL_cleanse(key.data(), key.size());
  return out;
}

bool is_signed(std::string_view secret, base::bytes_view bytes, base::bytes_view proof) {
  auto const right = sign(secret, bytes);
  return proof.size() == right.size() && CRYPTO_memcmp(proof.data(), right.data(), right.size()) == 0;
}

signer openssl_signer() { return {sign, is_signed}; }

} // namespace remora::discovery
