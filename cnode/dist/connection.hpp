// One connection to a peer, from the first handshake byte to the last tick: bytes in, events out, and an
// outbox that the driver empties. Pure: it reads no socket and no clock.
//
//   conn.input_room() / conn.received(n, now)      what was read from the socket
//   while (auto e = conn.next(now)) ...            events, one at a time
//   conn.out().gather() / conn.written(n, now)     what to write
//   conn.wake(now) at conn.next_deadline()
//
// After a closed event nothing else comes. An event's views live until the next call of next().
#pragma once

#include "base/time.hpp"
#include "dist/handshake.hpp"
#include "dist/inbound.hpp"
#include "dist/outbox.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

namespace remora::dist {

struct connection_limits {
  inbound_limits in;
  outbox_limits out;
  base::duration tick_time =
      std::chrono::seconds(60); // silence for so long ends it; a tick leaves each quarter
};

class connection {
public:
  connection(handshake machine, connection_limits limits, base::time_point now);

  struct closed { // the peer's or the world's fault; reason is OTP's word where it has one, else a sentence
    std::string reason;
    std::string detail;
    std::string_view word{}; // where the reason is a sentence: the same in one word
  };
  using event = std::variant<handshake::named, handshake::lost_race, handshake::authenticated, handshake::up,
                             signal, closed>;

  std::span<std::uint8_t> input_room();
  void received(std::size_t count, base::time_point now);
  std::optional<event> next(base::time_point now);
  std::optional<event> wake(base::time_point now);
  std::optional<base::time_point> next_deadline() const;

  // Answers to handshake::named and handshake::authenticated.
  void decide(status answer, base::time_point now, std::string given_name = {},
              std::uint32_t given_creation = 0);
  handshake::up proceed(base::time_point now);

  outbox& out() { return out_; }
  outbox const& out() const { return out_; }
  void written(std::size_t count) { out_.written(count); }

  // Reading stops while a local consumer is full; silence does not count then.
  void pause() { paused_ = true; }
  void resume(base::time_point now);
  bool paused() const { return paused_; }

  bool connected() const { return inbound_.has_value(); }
  bool initiator() const { return handshake_.initiator(); }
  std::string const& peer() const { return handshake_.peer(); }
  std::uint64_t flags() const { return flags_; }

private:
  std::optional<event> next_handshake(base::time_point now);
  std::optional<event> next_frame(base::time_point now);
  event close(std::string reason, std::string detail = {}, std::string_view word = {});
  void flush_handshake();
  void opened(std::uint64_t negotiated, base::time_point now);
  base::bytes_view unread() const { return input_.view().subspan(read_); }
  void consume(std::size_t count);

  connection_limits limits_;
  handshake handshake_;
  std::optional<inbound> inbound_; // once connected
  outbox out_;
  base::buffer input_;
  std::size_t read_ = 0; // of input_
  std::size_t want_;     // how much room to offer
  std::uint64_t flags_ = 0;
  bool closed_ = false;
  bool paused_ = false;
  base::time_point last_received_;
  base::time_point next_tick_;
  std::uint64_t accepted_at_tick_ = 0; // what the outbox had accepted at the last look
};

} // namespace remora::dist
