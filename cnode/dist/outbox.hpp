// What waits to be written to one connected peer: frames in order, large payloads cut into fragments on the
// way out (protocol.md 3.1, 3.4), with marks that tell senders when to wait.
//
// Small messages are written whole into one growing buffer, so a burst leaves in one write. A payload of more
// than a fragment is never copied: its parts are written straight from the shared term, between two parts
// other senders' messages may pass, and messages of the same sender wait behind it, which keeps each sender's
// order.
//
//   box.push(sender, control, payload);              // any number of them
//   while (!(parts = box.gather()).empty()) box.written(write(parts));
#pragma once

#include "base/bytes.hpp"
#include "etf/term.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace remora::dist {

// What follows a control message: one canonical term, in one piece or in two. A reply {Tag, Answer} whose
// answer is large is two, so that the answer need not be copied behind its tag.
struct payload {
  base::blob head;
  base::blob tail;

  payload() = default;
  payload(etf::term const& whole) : head(whole.bytes()) {} // NOLINT(google-explicit-constructor): so meant
  payload(base::blob first, base::blob rest) : head(std::move(first)), tail(std::move(rest)) {}
  std::size_t size() const { return head.size() + tail.size(); }
  bool empty() const { return size() == 0; }
};

struct outbox_limits {
  std::size_t high_mark = 1U << 20U;       // above it the peer is busy: senders that can wait do
  std::size_t low_mark = 256U << 10U;      // below it they go on
  std::size_t bytes_max = 192U << 20U;     // above it the connection is given up
  std::size_t fragment_bytes = 64U << 10U; // OTP's
};

class outbox {
public:
  explicit outbox(outbox_limits limits) : limits_(limits) {}

  // After the handshake: how this peer wants its frames.
  void open(std::uint64_t negotiated_flags);

  void push_raw(base::bytes_view bytes); // handshake messages and ticks
  // `sender` tells messages of one process from those of others; control and payload are canonical terms.
  void push(std::uint64_t sender, base::bytes_view control, dist::payload const& payload = {});

  std::size_t bytes() const { return bytes_; }
  std::uint64_t accepted() const { return accepted_; } // bytes since the start
  bool empty() const { return bytes_ == 0; }
  bool busy() const { return busy_; }
  bool overflown() const { return bytes_ > limits_.bytes_max; }

  // What to write next, at most `parts_max` pieces; valid until written() or the next gather().
  std::span<base::bytes_view const> gather();
  void written(std::size_t count);

  static constexpr std::size_t parts_max = 64;

private:
  struct chunk {
    base::blob bytes;
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  struct message {
    base::blob control;
    dist::payload payload;
  };
  struct fragmented {
    std::uint64_t sender;
    std::uint64_t sequence;
    base::blob control;
    dist::payload payload;
    std::size_t sent = 0;
    std::deque<message> behind; // of the same sender
  };

  void frame(base::bytes_view control, dist::payload const& payload);
  void frame_shared(base::bytes_view control, dist::payload const& payload);
  void push_large(std::uint64_t sender, base::bytes_view control, dist::payload const& payload);
  void ready(base::blob const& bytes, std::size_t begin, std::size_t size);
  fragmented* open_message(std::uint64_t sender);
  void begin_frame(std::size_t body);
  void close_tail();
  void next_fragment();
  void finish_fragmented(std::size_t index);
  void grown(std::size_t count);
  std::size_t head_size() const { return header_ ? 3 : 2; }

  outbox_limits limits_;
  bool header_ = false; // 131 68 frames
  bool fragments_ = false;
  bool busy_ = false;
  std::uint64_t accepted_ = 0;
  std::size_t bytes_ = 0;       // everything accepted and not yet written
  base::buffer tail_;           // small frames, still growing
  std::size_t tail_room_ = 256; // what the last one came to: the next one begins so large
  std::deque<chunk> ready_;
  std::size_t ready_bytes_ = 0;
  std::vector<fragmented> large_;
  std::size_t turn_ = 0; // whose fragment is next
  std::uint64_t sequence_ = 0;
  std::vector<base::bytes_view> parts_;
};

} // namespace remora::dist
