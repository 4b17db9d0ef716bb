// The distribution handshake, version 6, in both roles as one machine (dist_util.erl; protocol.md 2).
//
//   initiator                                 acceptor
//   name 'N'            ->                                      named{} is asked of the node, decide()
//   answers
//                       <-  status 's'
//   's' true            ->                                      only after alive
//                       <-  challenge 'N'
//   reply 'r'           ->                                      authenticated{} is told to the node,
//   proceed() answers
//                       <-  ack 'a'
//   up                                        up
//
// Messages are u16 length + body. Each phase has setup_time; what ends it early is an outcome with its
// reason, which costs this one connection. The machine does not know sockets, other connections or the node's
// tables: whether a name may come in is the node's decision.
#pragma once

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "dist/digest.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace remora::dist {

struct handshake_config {
  std::string our_name;
  std::uint32_t creation = 0;
  std::uint64_t flags = 0;
  std::string cookie;
  std::uint32_t challenge = 0; // from the operating system's generator, new for each handshake
  base::duration setup_time = std::chrono::seconds(7);
};

enum class handshake_error : std::uint8_t {
  timeout,       // the peer was silent for setup_time
  malformed,     // not the message that belongs here
  bad_name,      // not name@host
  wrong_name,    // the peer that answered is not the one that was dialled
  missing_flags, // a mandatory capability is missing
  not_allowed,   // the peer does not allow us
  bad_cookie,    // its proof is wrong: the cookies differ
  declined,      // after alive the initiator kept its old connection
};
std::string_view describe(handshake_error e); // a sentence
std::string_view name_of(handshake_error e);  // one word

// What we answer to a name.
enum class status : std::uint8_t { ok, ok_simultaneous, nok, alive, not_allowed, named };

class handshake {
public:
  static handshake initiate(handshake_config config, std::string peer, base::time_point now);
  static handshake accept(handshake_config config, base::time_point now);

  struct named {      // acceptor: somebody wants in; decide() must follow
    std::string name; // with wants_name only the host
    std::uint64_t flags;
    std::uint32_t creation;
    bool wants_name;
  };
  struct lost_race {};     // initiator: nok; the peer's own attempt at us goes on instead
  struct authenticated {}; // acceptor: the proof is right; proceed() must follow
  struct up {
    std::string peer;
    std::uint64_t flags;    // of both
    std::uint32_t creation; // of the peer
  };
  struct failed {
    handshake_error why;
    std::string detail;
  };
  using outcome = std::variant<named, lost_race, authenticated, up, failed>;

  // Takes at most one message from the front of `input`; `used` says how many bytes. No outcome and used ==
  // 0: more bytes are needed.
  std::optional<outcome> read(base::bytes_view input, std::size_t& used, base::time_point now);
  std::optional<outcome> wake(base::time_point now);
  std::optional<base::time_point> next_deadline() const { return deadline_; }

  void decide(status answer, base::time_point now, std::string given_name = {},
              std::uint32_t given_creation = 0);
  outcome proceed();

  base::buffer& output() { return out_; } // to be written; the caller empties it

  bool initiator() const { return initiator_; }
  std::string const& peer() const { return peer_; } // empty until it is known
  bool waiting_for_decision() const { return phase_ == phase::deciding || phase_ == phase::proved; }

private:
  enum class phase : std::uint8_t {
    status,
    challenge,
    ack, // initiator waits for
    name,
    deciding,
    alive_answer,
    reply,
    proved, // acceptor waits for
    over
  };

  handshake(handshake_config config, bool initiator, base::time_point now);
  void send_name();
  void send_challenge(base::time_point now);
  void begin_message(std::size_t body);
  void rest(base::time_point now) { deadline_ = now + config_.setup_time; }
  outcome fail(handshake_error why, std::string detail = {});
  std::optional<outcome> message(base::bytes_view body, base::time_point now);
  std::optional<outcome> on_status(std::string_view text, base::time_point now);
  std::optional<outcome> on_challenge(base::bytes_view body, base::time_point now);
  outcome on_ack(base::bytes_view body);
  outcome on_name(base::bytes_view body);
  std::optional<outcome> on_alive_answer(std::string_view text, base::time_point now);
  outcome on_reply(base::bytes_view body);

  handshake_config config_;
  bool initiator_;
  phase phase_;
  std::string peer_;
  std::uint64_t peer_flags_ = 0;
  std::uint32_t peer_creation_ = 0;
  digest ack_digest_{}; // acceptor: what 'a' will carry
  std::optional<base::time_point> deadline_;
  base::buffer out_;
};

} // namespace remora::dist
