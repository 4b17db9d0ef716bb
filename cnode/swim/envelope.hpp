// What a datagram is wrapped in: authenticated and encrypted with a key that all members share, and taken
// only once. Pure but for OpenSSL's arithmetic: what is random is handed in.
//
//   version u8 | key id u8 | boot id u64 | sequence u64 | ciphertext | tag 16
//
// Each start of a node has a boot id of its own, drawn by the operating system, and with it a key of its own
// (HKDF of the shared key and the boot id), so that the sequence can be the nonce and no two nodes ever share
// one. AES-256-GCM; the head is authenticated too. A receiver keeps a window of sequences for each boot id.
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "swim/types.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace remora::swim {

enum class refused : std::uint8_t {
  too_short,
  too_long,
  wrong_version,
  unknown_key, // no key of ours has its id
  not_authentic,
  replayed, // or older than the window
};
std::string_view name_of(refused r);

struct refusals {              // counts
  std::uint64_t malformed = 0; // too short, too long, or of another version
  std::uint64_t unknown_key = 0;
  std::uint64_t not_authentic = 0;
  std::uint64_t replayed = 0;
  friend bool operator==(refusals const&, refusals const&) = default;
};

class envelope {
public:
  static constexpr std::size_t overhead = 1 + 1 + 8 + 8 + 16;
  static constexpr std::size_t keys_max = 8;
  static constexpr std::size_t senders_max = 32'768; // boot ids with a window; the longest silent gives way
  static constexpr std::size_t key_bytes_min = 16;   // of one that is given

  // The first key seals, each opens. Keys are secrets of any length: what is used is derived from them.
  envelope(std::vector<std::string> keys, std::uint64_t boot_id);
  envelope(envelope const&) = delete;
  envelope& operator=(envelope const&) = delete;
  ~envelope(); // wipes them

  void set_keys(std::vector<std::string> keys); // rotation: windows and sequences stay
  void seal(std::string_view plain, std::string& out);
  base::result<std::string, refused> open(std::string_view datagram, base::time_point now);
  refusals const& refused_so_far() const;

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

// The key of a cluster that was given none: derived from its cookie.
std::string key_of_cookie(std::string_view cookie);

} // namespace remora::swim
