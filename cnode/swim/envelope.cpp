#include "swim/envelope.hpp"

#include "base/bytes.hpp"
#include "base/check.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <list>
#include <optional>
#include <utility>

namespace remora::swim {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t head_bytes = 18;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t datagram_bytes_max = 65'507; // of UDP; the members' own limit is lower
constexpr std::size_t window_bits = 1024;          // packets overtake each other by less
static_assert(envelope::overhead == head_bytes + tag_bytes);

using key_bytes = std::array<std::uint8_t, 32>;

// HKDF-SHA256 (RFC 5869) as OpenSSL has it.
key_bytes hkdf(base::bytes_view secret, std::string_view salt, std::string_view info) {
  key_bytes out{};
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  std::string digest = "SHA256";
  std::string salted(salt);
  std::string purpose(info);
  std::string key(base::as_text(secret));
  std::array<OSSL_PARAM, 5> const parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salted.data(), salted.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, purpose.data(), purpose.size()),
      OSSL_PARAM_construct_end()};
  int const done = EVP_KDF_derive(context, out.data(), out.size(), parameters.data());
  OPENSSL_cleanse(key.data(), key.size());
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  base::check(done == 1, "OpenSSL computes HKDF-SHA256");
  return out;
}

// One direction of one boot id: a cipher that has its key already, which is most of the work.
class cipher {
public:
  cipher(key_bytes const& shared, std::uint64_t boot_id, bool seals)
      : context_(EVP_CIPHER_CTX_new()), seals_(seals) {
    std::array<std::uint8_t, 8> id{};
    base::store_be(id.data(), boot_id);
    auto key = hkdf(shared, base::as_text(id), "remora membership, sender's key");
    auto const done =
        EVP_CipherInit_ex(context_, EVP_aes_256_gcm(), nullptr, key.data(), nullptr, seals ? 1 : 0);
    OPENSSL_cleanse(key.data(), key.size());
    base::check(done == 1, "OpenSSL has AES-256-GCM");
  }
  cipher(cipher&& other) noexcept : context_(std::exchange(other.context_, nullptr)), seals_(other.seals_) {}
  cipher& operator=(cipher&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(seals_, other.seals_);
    return *this;
  }
  ~cipher() { EVP_CIPHER_CTX_free(context_); } // wipes the key

  // `out` has room for what `in` has; the tag is read when it opens, written when it seals.
  bool run(base::bytes_view head, std::uint64_t sequence, base::bytes_view in, std::uint8_t* out,
           std::uint8_t* tag) {
    std::array<std::uint8_t, 12> nonce{};
    base::store_be(nonce.data() + 4, sequence);
    int size = 0;
    bool good = EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce.data(), -1) == 1;
    good =
        good && EVP_CipherUpdate(context_, nullptr, &size, head.data(), static_cast<int>(head.size())) == 1;
    good = good && EVP_CipherUpdate(context_, out, &size, in.data(), static_cast<int>(in.size())) == 1;
    if (!seals_) good = good && EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_GCM_SET_TAG, tag_bytes, tag) == 1;
    std::array<std::uint8_t, 16> rest{};
    good = good && EVP_CipherFinal_ex(context_, rest.data(), &size) == 1;
    if (seals_) good = good && EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_GCM_GET_TAG, tag_bytes, tag) == 1;
    return good;
  }

private:
  EVP_CIPHER_CTX* context_;
  bool seals_;
};

// Which sequences have come: the greatest, and those just below it (RFC 4303, 3.4.3).
class window {
public:
  bool is_fresh(std::uint64_t n) const {
    if (n > greatest_) return true;
    auto const behind = greatest_ - n;
    return n != 0 && behind < window_bits && !bit(n);
  }
  void take(std::uint64_t n) {
    if (n > greatest_) {
      auto const steps = std::min<std::uint64_t>(n - greatest_, window_bits);
      for (std::uint64_t i = 0; i < steps; ++i) set(n - i, false);
      greatest_ = n;
    }
    set(n, true);
  }

private:
  bool bit(std::uint64_t n) const { return (words_.at(n % window_bits / 64) >> (n % 64) & 1U) != 0; }
  void set(std::uint64_t n, bool on) {
    auto& word = words_.at(n % window_bits / 64);
    auto const mask = std::uint64_t{1} << (n % 64);
    word = on ? word | mask : word & ~mask;
  }
  std::uint64_t greatest_ = 0;
  std::array<std::uint64_t, window_bits / 64> words_{};
};

struct sender {
  std::uint64_t boot_id = 0;
  swim::window window{};
  std::uint8_t key_id = 0; // of the cipher
  std::optional<swim::cipher> cipher{};
};

} // namespace

struct envelope::parts {
  struct ring_key {
    std::uint8_t id = 0;
    key_bytes shared{};
  };
  std::vector<ring_key> keys;
  std::uint64_t boot_id = 0;
  std::uint64_t sequence = 0;
  std::optional<cipher> sealing;
  std::list<sender> senders; // the one that was heard last is first
  boost::unordered_flat_map<std::uint64_t, std::list<sender>::iterator> index;
  refusals refused;

  void wipe() {
    for (auto& k : keys) OPENSSL_cleanse(k.shared.data(), k.shared.size());
    keys.clear();
  }
};

std::string_view name_of(refused r) {
  switch (r) {
  case refused::too_short: return "too_short";
  case refused::too_long: return "too_long";
  case refused::wrong_version: return "wrong_version";
  case refused::unknown_key: return "unknown_key";
  case refused::not_authentic: return "not_authentic";
  case refused::replayed: return "replayed";
  }
  return "?";
}

envelope::envelope(std::vector<std::string> keys, std::uint64_t boot_id) : parts_(std::make_unique<parts>()) {
  parts_->boot_id = boot_id;
  set_keys(std::move(keys));
}

envelope::~envelope() { parts_->wipe(); }

void envelope::set_keys(std::vector<std::string> keys) {
  base::check(!keys.empty() && keys.size() <= keys_max, "swim: a key ring has from one to eight keys");
  auto& p = *parts_;
  p.wipe();
  for (auto& secret : keys) {
    parts::ring_key k;
    k.shared = hkdf(base::as_bytes(secret), "remora membership", "datagrams, version 1");
    // Its id says which one it is, and nothing else: it is derived apart.
    k.id = hkdf(k.shared, "remora membership", "key id").front();
    p.keys.push_back(k);
    OPENSSL_cleanse(secret.data(), secret.size());
  }
  p.sealing.emplace(p.keys.front().shared, p.boot_id, true);
  for (auto& s : p.senders) s.cipher.reset(); // their windows stay
}

void envelope::seal(std::string_view plain, std::string& out) {
  auto& p = *parts_;
  base::check(plain.size() <= datagram_bytes_max - overhead, "swim: what is sealed fits a datagram");
  out.resize(overhead + plain.size());
  auto* const bytes = reinterpret_cast<std::uint8_t*>(out.data());
  bytes[0] = version;
  bytes[1] = p.keys.front().id;
  base::store_be(bytes + 2, p.boot_id);
  base::store_be(bytes + 10, ++p.sequence);
  bool const done = p.sealing->run({bytes, head_bytes}, p.sequence, base::as_bytes(plain), bytes + head_bytes,
                                   bytes + head_bytes + plain.size());
  base::check(done, "OpenSSL seals");
}

base::result<std::string, refused> envelope::open(std::string_view datagram, base::time_point /*now*/) {
  auto& p = *parts_;
  auto const refuse = [&](refused why, std::uint64_t& count) {
    ++count;
    return why;
  };
  if (datagram.size() < overhead) return refuse(refused::too_short, p.refused.malformed);
  if (datagram.size() > datagram_bytes_max) return refuse(refused::too_long, p.refused.malformed);
  auto const all = base::as_bytes(datagram);
  if (all[0] != version) return refuse(refused::wrong_version, p.refused.malformed);
  auto const key_id = all[1];
  auto const boot_id = base::load_be<std::uint64_t>(all.data() + 2);
  auto const sequence = base::load_be<std::uint64_t>(all.data() + 10);
  if (std::none_of(p.keys.begin(), p.keys.end(), [&](auto const& k) { return k.id == key_id; }))
    return refuse(refused::unknown_key, p.refused.unknown_key);

  auto const known = p.index.find(boot_id);
  if (known != p.index.end() && !known->second->window.is_fresh(sequence))
    return refuse(refused::replayed, p.refused.replayed);

  auto const body = all.subspan(head_bytes, all.size() - overhead);
  std::array<std::uint8_t, tag_bytes> tag{};
  std::copy(all.end() - static_cast<std::ptrdiff_t>(tag_bytes), all.end(), tag.begin());
  std::string plain(body.size(), '\0');
  auto* const into = reinterpret_cast<std::uint8_t*>(plain.data());
  auto const opens = [&](cipher& c) {
    return c.run(all.first(head_bytes), sequence, body, into, tag.data());
  };

  auto const accept = [&](sender& s) {
    s.window.take(sequence);
    return std::move(plain);
  };
  if (known != p.index.end()) {
    auto& s = *known->second;
    if (s.cipher && s.key_id == key_id && opens(*s.cipher)) {
      p.senders.splice(p.senders.begin(), p.senders, known->second);
      return accept(s);
    }
  }
  // Two keys may share an id: each that has it is tried.
  for (auto const& k : p.keys) {
    if (k.id != key_id) continue;
    cipher c(k.shared, boot_id, false);
    if (!opens(c)) continue;
    if (known == p.index.end()) { // only who has the key gets a place here
      if (p.senders.size() >= senders_max) {
        p.index.erase(p.senders.back().boot_id);
        p.senders.pop_back();
      }
      p.senders.push_front({.boot_id = boot_id});
      p.index[boot_id] = p.senders.begin();
    } else {
      p.senders.splice(p.senders.begin(), p.senders, known->second);
    }
    auto& s = p.senders.front();
    s.key_id = key_id;
    s.cipher.emplace(std::move(c));
    return accept(s);
  }
  return refuse(refused::not_authentic, p.refused.not_authentic);
}

refusals const& envelope::refused_so_far() const { return parts_->refused; }

std::string key_of_cookie(std::string_view cookie) {
  auto key = hkdf(base::as_bytes(cookie), "remora membership", "key of a cookie");
  std::string out(base::as_text(key));
  OPENSSL_cleanse(key.data(), key.size());
  return out;
}

} // namespace remora::swim
