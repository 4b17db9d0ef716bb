#include "dist/digest.hpp"

#include "base/check.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <memory>
#include <string>

namespace remora::dist {

digest make_digest(std::string_view cookie, std::uint32_t challenge) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  auto const number = std::to_string(challenge);
  digest out{};
  bool const done = context && EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), cookie.data(), cookie.size()) == 1 &&
                    EVP_DigestUpdate(context.get(), number.data(), number.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1;
  base::check(done, "OpenSSL computes MD5");
  return out;
}

bool digests_equal(base::bytes_view a, base::bytes_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace remora::dist
