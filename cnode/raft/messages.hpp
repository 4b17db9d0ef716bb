// What election says to the other nodes: one type for each message, and its bytes.
//
//   | 'R' 'E' 1 | kind 1 | cluster 8 | fields |
//
// Big-endian. A text is its length (2) and its bytes; a list its count (2) and its items; a duration is
// nanoseconds (8). A message that is read has every length, name, term and configuration within its limits,
// and no byte left over: what cannot be so is none (nullopt), and is dropped.
//
//   hello                       both ways when a connection opens; answers it; tells a newer configuration
//   ask_vote, vote              an election; pre: only whether there could be one (thesis, 9.6)
//   heartbeat, heartbeat_reply  the leader to all nodes that take part, and back (lease, check-quorum, names)
//   timeout_now                 the leader to whom it hands over (thesis, 3.10)
//   leave                       the last word of a node that stops
//   request, request_reply      of a node to the leader, for one of its callers
//   claims, claims_reply, grants, table     named elections (names_desk.hpp, names_client.hpp)
//   prepare, promise, refused, accept, accepted     the first configuration (bootstrap.hpp)
#pragma once

#include "raft/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace remora::raft::wire {

struct stamp { // which configuration
  raft::term term = 0;
  std::uint64_t version = 0;
  friend auto operator<=>(stamp const&, stamp const&) = default;
};
inline stamp stamp_of(configuration const& c) { return {c.term, c.version}; }

struct hello {
  bool answer = false; // wanted
  std::uint64_t instance = 0;
  std::uint32_t priority = 0;
  bool votes = false; // it would, if it were a voter
  std::uint32_t expect = 0;
  raft::term term = 0;
  configuration config{};
  friend bool operator==(hello const&, hello const&) = default;
};

struct ask_vote {
  bool pre = false;
  raft::term term = 0; // that it would lead
  // The leader of this term has handed over to it: its lease is given up, so nobody needs to wait. 0: no.
  raft::term permit = 0;
  configuration config{};
  friend bool operator==(ask_vote const&, ask_vote const&) = default;
};
struct vote {
  bool pre = false;
  raft::term asked = 0; // of the question
  raft::term term = 0;  // of who answers
  bool granted = false;
  std::uint64_t instance = 0;
  base::duration wait{};                 // refused, because it hears its leader: for so long
  std::optional<configuration> config{}; // refused, because this one is newer
  friend bool operator==(vote const&, vote const&) = default;
};

// A node's session with the leader: while it lasts, the node holds the names that the leader gave to it.
struct session {
  std::uint64_t id = 0;       // grows when the node has found it over; 0: none
  std::uint64_t sequence = 0; // of the renewal
  friend bool operator==(session const&, session const&) = default;
};

struct heartbeat {
  raft::term term = 0;
  std::uint64_t token = 0; // of the leadership
  std::uint64_t round = 0;
  stamp config{};
  std::optional<configuration> full{}; // if the peer does not have it
  session confirmed{};                 // the last renewal that holds
  bool session_over = false;           // the session `confirmed.id` is
  base::duration name_lease{};         // from that renewal on
  friend bool operator==(heartbeat const&, heartbeat const&) = default;
};
struct heartbeat_reply {
  raft::term term = 0;
  std::uint64_t round = 0;
  std::uint64_t instance = 0;
  stamp config{}; // that is on its disk
  std::uint32_t priority = 0;
  base::duration promise{}; // for so long, since it heard this round, it votes for nobody else
  session renewal{};
  std::uint64_t table = 0; // up to where it has the table of names of this term
  friend bool operator==(heartbeat_reply const&, heartbeat_reply const&) = default;
};
struct timeout_now {
  raft::term term = 0;
  friend bool operator==(timeout_now const&, timeout_now const&) = default;
};
struct leave {
  raft::term term = 0; // if it led it: its lease is given up
  friend bool operator==(leave const&, leave const&) = default;
};

enum class asked : std::uint8_t { transfer, add_voter, remove_voter, check_token };
struct request {
  std::uint64_t id = 0;
  asked what{};
  bool again = false; // an earlier leader may have done it
  std::string node{};
  std::uint64_t token = 0;
  friend bool operator==(request const&, request const&) = default;
};
struct request_reply {
  std::uint64_t id = 0;
  std::optional<failure> failed{}; // none: done
  friend bool operator==(request_reply const&, request_reply const&) = default;
};

struct claim {
  enum class kind : std::uint8_t { want, hold, gone };
  kind what{};
  std::uint64_t owner = 0;
  std::uint64_t token = 0; // that it holds
  std::string name{};
  friend bool operator==(claim const&, claim const&) = default;
};
struct claims {
  raft::term term = 0;
  std::uint64_t session = 0;
  std::uint64_t batch = 0; // one after the other; the next when this one is answered
  std::vector<claim> all{};
  friend bool operator==(claims const&, claims const&) = default;
};
enum class verdict : std::uint8_t { taken, refused, full }; // refused: it does not hold; full: later, perhaps
struct claims_reply {
  raft::term term = 0;
  std::uint64_t session = 0;
  std::uint64_t batch = 0;
  std::vector<verdict> all{}; // in the order of the claims
  friend bool operator==(claims_reply const&, claims_reply const&) = default;
};
struct grant {
  std::uint64_t owner = 0;
  std::uint64_t token = 0;
  std::string name{};
  friend bool operator==(grant const&, grant const&) = default;
};
struct grants {
  raft::term term = 0;
  std::uint64_t session = 0;
  std::vector<grant> all{};
  friend bool operator==(grants const&, grants const&) = default;
};
// Who leads which name: what has changed after `from`, up to `to`.
struct table {
  struct entry {
    std::string name{};
    std::string node{}; // empty: nobody
    std::uint64_t token = 0;
    friend bool operator==(entry const&, entry const&) = default;
  };
  raft::term term = 0;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  bool complete = false; // what an earlier leader said, and this one has not, is over
  std::vector<entry> all{};
  friend bool operator==(table const&, table const&) = default;
};

struct prepare {
  raft::ballot ballot{};
  friend bool operator==(prepare const&, prepare const&) = default;
};
struct promise {
  raft::ballot ballot{};
  std::uint64_t instance = 0;
  raft::ballot accepted{};
  configuration config{}; // that it has accepted
  friend bool operator==(promise const&, promise const&) = default;
};
struct refused {
  raft::ballot promised{};
  friend bool operator==(refused const&, refused const&) = default;
};
struct accept {
  raft::ballot ballot{};
  configuration config{};
  friend bool operator==(accept const&, accept const&) = default;
};
struct accepted {
  raft::ballot ballot{};
  friend bool operator==(accepted const&, accepted const&) = default;
};

using body = std::variant<hello, ask_vote, vote, heartbeat, heartbeat_reply, timeout_now, leave, request,
                          request_reply, claims, claims_reply, grants, table, prepare, promise, refused,
                          accept, accepted>;
struct envelope {
  std::uint64_t cluster = 0; // of who says it; 0: it has none
  wire::body body;
  friend bool operator==(envelope const&, envelope const&) = default;
};

std::string write(envelope const& e);
std::optional<envelope> read(std::string_view bytes, limits const& l);
std::string describe(body const& b); // for a test and a trace

// What an item of a list takes at most beside its texts: a list is cut before a message is too long.
inline constexpr std::size_t item_bytes = 32;

// The fields that the state file has too.
class writer {
public:
  void u8(std::uint8_t v) { bytes_ += static_cast<char>(v); }
  void u16(std::size_t v);
  void u32(std::uint32_t v);
  void u64(std::uint64_t v);
  void flag(bool v) { u8(v ? 1 : 0); }
  void time(base::duration d);
  void text(std::string_view t);
  void put(configuration const& c);
  void put(ballot const& b);
  std::string& bytes() { return bytes_; }

private:
  std::string bytes_;
};
class reader {
public:
  reader(std::string_view bytes, limits const& l) : left_(bytes), limits_(l) {}
  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  bool flag();
  base::duration time(); // none below zero, none above an hour
  std::string text(std::size_t max, bool may_be_empty = false);
  std::string node(bool may_be_empty = false);
  raft::term term();
  configuration config(bool may_be_none);
  raft::ballot ballot();
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && left_.empty(); }
  limits const& limit() const { return limits_; }

private:
  std::string_view take(std::size_t count);
  std::string_view left_;
  limits const& limits_;
  bool ok_ = true;
};

} // namespace remora::raft::wire
