// Multicast gossip: each member says its node's name to the group, every interval and at once when it hears
// somebody new; who is silent for five of his own intervals is no member any more. Nothing is answered, so a
// lost datagram costs an interval and no more.
//
//   | 'R' 'M' 'G' 1 | boot id 8 | sequence 8 | sent at 8 | interval 4 | length 2 | name | HMAC-SHA256 32 |
//
// Big-endian; sent at is the wall clock and interval the sender's, in milliseconds; the signature is over all
// that stands before it (seal.hpp). A datagram is for everybody who can send to the group, therefore:
//
//  - nothing is believed before its signature is right, and nothing that is not signed makes a table grow;
//  - the sequence of a boot id only grows: a packet counts once;
//  - `sent at` is within window of our clock. A boot id is remembered for two windows after its last packet:
//    whatever was recorded of it before is too old by then. (A wall clock that is set back opens that again.)
//
// A member is no more than a name to dial: who it really is, the cookie decides.
#pragma once

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/time.hpp"
#include "discovery/seal.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::discovery {

class gossip {
public:
  static constexpr base::duration window = std::chrono::seconds(30); // how far clocks may differ
  static constexpr unsigned silent_intervals = 5;
  static constexpr base::duration interval_max = std::chrono::seconds(60);
  static constexpr base::duration greeting_pause = std::chrono::milliseconds(100); // between two `at once`

  struct settings {
    std::string node; // whose name is told
    std::uint64_t boot_id = 0;
    std::string secret;
    base::duration interval = std::chrono::seconds(1);
    std::size_t members_max = 1'024;
    std::size_t packet_bytes_max = 1'400;
  };
  gossip(settings s, signer crypto, std::uint64_t seed);

  enum class outcome : std::uint8_t {
    joined,   // a member that was none before
    known,    // still there
    own,      // said by this node
    repeated, // an old sequence: a copy, or somebody who plays it again
    malformed,
    unproven, // the secrets differ, or it is none of ours
    clock,    // sent at another time
    full,     // members_max
  };
  struct heard {
    outcome what;
    std::string node{}; // of joined and known
    std::string why{};  // of the others, for people
  };
  heard receive(std::string_view bytes, base::time_point now, std::int64_t unix_ms);

  // Its deadline has come, or it begins: what is to be sent, if anything.
  std::optional<std::string> tick(base::time_point now, std::int64_t unix_ms);
  // Names whose last boot fell silent since the last call.
  std::vector<std::string> expired(base::time_point now);
  std::optional<base::time_point> next_deadline() const;

  std::size_t size() const { return boots_.size(); } // boot ids that are remembered

private:
  struct boot {
    std::string node;
    std::uint64_t sequence = 0;
    base::time_point member_until;
    base::time_point kept_until;
    bool member = true;
  };

  std::string packet(std::int64_t unix_ms);
  bool has_member(std::string_view node) const;

  settings settings_;
  signer crypto_;
  base::random random_;
  std::uint64_t sequence_ = 0;
  std::optional<base::time_point> next_; // announcement
  std::optional<base::time_point> last_; //
  std::map<std::uint64_t, boot> boots_;
};

} // namespace remora::discovery
