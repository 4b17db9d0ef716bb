// What arrives on a connected peer's link: frame bodies in, signals out (erl_dist_protocol, "Distribution
// Header"; external.c, erts_prepare_dist_ext; protocol.md 3.1, 3.3, 3.4).
//
//   112 131 Ctl [131 Payload]               pass-through: neither atom cache nor fragments negotiated
//   131  68 AtomHeader Ctl [Payload]        otherwise
//   131  69 SeqId FragId AtomHeader Ctl FirstPart
//   131  70 SeqId FragId NextPart
//
// The atom cache is only read: 2048 slots, filled by the peer. An entry applies even if its message is
// dropped later. A fragmented message is delivered with its last part, which keeps the order of each sender,
// because a sender finishes one message before the next.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "dist/control.hpp"
#include "etf/reader.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace remora::dist {

struct inbound_limits {
  etf::term_limits term;
  std::size_t frame_bytes_max = 192U << 20U; // one frame; a message of a peer without fragments is one frame
  std::size_t message_bytes_max = 192U << 20U;                // one message put together from fragments
  std::size_t fragmented_bytes_max = 256U << 20U;             // all half-received messages of one peer
  std::size_t fragmented_max = 4096;                          // how many of them
  base::duration fragment_timeout = std::chrono::seconds(60); // between two parts of one message
};

enum class frame_error : std::uint8_t {
  too_large,        // more than frame_bytes_max
  unknown_frame,    // neither 112 nor 131 68, 69, 70; or 112 where a header was negotiated
  bad_header,       // the atom header is cut off or wrong
  empty_cache_slot, // a reference to an atom that was never sent
  bad_term,         // etf::term_error
  bad_control,      // control_error
  trailing_bytes,   // more than control and payload
  missing_payload,
  bad_fragment,    // unknown sequence, wrong order, or a second first part
  fragments_limit, // message_bytes_max, fragmented_bytes_max or fragmented_max
  fragment_timeout,
};
std::string_view describe(frame_error e);

struct frame_failure {
  frame_error why;
  std::string_view detail; // of the term or control error
};

// A signal: its control message (views into the inbound's scratch, valid until the next frame) and its
// payload.
struct signal {
  control_message control;
  etf::term payload; // empty without one
};

class inbound {
public:
  inbound(std::uint64_t negotiated_flags, inbound_limits limits);

  // One frame body without its length. No signal: a part of a fragmented message, or a dropped one.
  base::result<std::optional<signal>, frame_failure> read(base::bytes_view body, base::time_point now);

  // Half-received messages that waited too long for their next part.
  bool timed_out(base::time_point now) const;
  std::optional<base::time_point> next_deadline() const;
  void restart_timeouts(base::time_point now); // nothing was read for a while, by our own choice

  std::size_t fragmented_bytes() const { return fragmented_bytes_; }
  std::size_t fragmented() const { return partials_.size(); }

private:
  struct partial {
    std::uint64_t next = 0; // the fragment id that must come
    base::buffer control;   // canonical
    base::buffer payload;   // as received, behind fragment_headroom bytes
    std::vector<etf::atom> atoms;
    std::size_t kept = 0; // bytes of control and atoms
    base::time_point deadline;
  };
  using outcome = base::result<std::optional<signal>, frame_failure>;

  outcome pass_through(base::bytes_view body);
  outcome with_header(base::bytes_view rest);
  outcome first_fragment(base::bytes_view rest, base::time_point now);
  outcome next_fragment(base::bytes_view rest, base::time_point now);
  std::optional<frame_failure> read_atom_header(base::cursor& in);
  bool same_header(base::cursor& in) const;
  base::result<parsed_control, frame_failure> read_control(base::bytes_view& rest);
  std::optional<frame_failure> new_cache_entry(base::cursor& in, bool long_atoms, std::size_t slot);
  outcome deliver(base::bytes_view control_and_payload, bool version_bytes);
  outcome finish(partial done);
  etf::term canonical(partial& done);
  bool within_fragment_limits(base::bytes_view part, partial const& p, std::size_t kept = 0) const;

  static constexpr std::size_t cache_slots = 2048;

  bool header_negotiated_;
  inbound_limits limits_;
  etf::reader reader_;
  std::vector<std::optional<etf::atom>> cache_; // cache_slots of them from the first cached atom on
  std::vector<etf::atom> atoms_;                // of the current header
  base::buffer header_;                         // the last header, when it may come again as it is
  std::uint64_t header_number_ =
      0;                       // counts the headers that were read, so that equal numbers are equal atoms
  base::buffer control_bytes_; // the last control message as it came, of header control_header_
  std::uint64_t control_header_ = 0;
  parsed_control last_control_{};
  base::buffer control_; // canonical control term of the current signal
  boost::unordered_flat_map<std::uint64_t, partial> partials_;
  std::size_t fragmented_bytes_ = 0;
};

} // namespace remora::dist
