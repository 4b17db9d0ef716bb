#include "dist/connection.hpp"

#include "base/check.hpp"
#include "base/overload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace remora::dist {

namespace {

constexpr std::size_t room_min = 4U << 10U;
constexpr std::size_t room_max = 256U << 10U;
constexpr std::size_t keep_capacity_max = 1U << 20U; // a larger input buffer is given back once it is empty
constexpr int ticks_per_tick_time = 4;               // OTP's net_tickintensity
constexpr std::array<std::uint8_t, 4> tick{};        // a frame of length 0
constexpr std::string_view bad_frame = "bad_frame";  // whatever was wrong with it

} // namespace

connection::connection(handshake machine, connection_limits limits, base::time_point now)
    : limits_(limits), handshake_(std::move(machine)), out_(limits.out), want_(room_min),
      last_received_(now) {
  flush_handshake();
}

std::span<std::uint8_t> connection::input_room() {
  if (read_ > 0) { // what is left of a frame moves to the front
    auto const rest = unread();
    if (!rest.empty()) std::memmove(input_.data(), rest.data(), rest.size());
    input_.truncate(rest.size());
    read_ = 0;
  }
  if (input_.empty() && input_.capacity() > keep_capacity_max) input_ = {};
  std::size_t room = want_;
  if (connected() && input_.size() >= 4) { // the rest of a large frame in one go
    std::size_t const frame = 4U + base::load_be<std::uint32_t>(input_.data());
    if (frame > input_.size() && frame <= limits_.in.frame_bytes_max + 4)
      room = std::max(room, std::min(frame - input_.size(), std::size_t{4} * room_max));
  }
  return {input_.room(room), room};
}

void connection::received(std::size_t count, base::time_point now) {
  input_.commit(count);
  last_received_ = now;
  if (count >= want_) want_ = std::min(want_ * 2, room_max);
}

void connection::consume(std::size_t count) { read_ += count; }

std::optional<connection::event> connection::next(base::time_point now) {
  if (closed_) return std::nullopt;
  return connected() ? next_frame(now) : next_handshake(now);
}

std::optional<connection::event> connection::next_handshake(base::time_point now) {
  while (true) {
    std::size_t used = 0;
    auto outcome = handshake_.read(unread(), used, now);
    consume(used);
    flush_handshake();
    if (!outcome && used == 0) return std::nullopt;
    if (!outcome) continue;
    return std::visit(base::overload{
                          [&](handshake::up& up) -> std::optional<event> {
                            opened(up.flags, now);
                            return std::move(up);
                          },
                          [&](handshake::failed& f) -> std::optional<event> {
                            return close(std::string(describe(f.why)), std::move(f.detail), name_of(f.why));
                          },
                          [&](auto& other) -> std::optional<event> { return std::move(other); },
                      },
                      *outcome);
  }
}

std::optional<connection::event> connection::next_frame(base::time_point now) {
  while (true) {
    auto const bytes = unread();
    if (bytes.size() < 4) return std::nullopt;
    std::size_t const size = base::load_be<std::uint32_t>(bytes.data());
    if (size > limits_.in.frame_bytes_max)
      return close(std::string(describe(frame_error::too_large)),
                   fmt::format("{} bytes, at most {} are allowed", size, limits_.in.frame_bytes_max),
                   bad_frame);
    if (bytes.size() - 4 < size) return std::nullopt;
    consume(4 + size);
    if (size == 0) continue; // a tick
    auto read = inbound_->read(bytes.subspan(4, size), now);
    if (!read)
      return close(std::string(describe(read.error().why)), std::string(read.error().detail), bad_frame);
    if (*read) return std::move(**read);
  }
}

connection::event connection::close(std::string reason, std::string detail, std::string_view word) {
  closed_ = true;
  return closed{.reason = std::move(reason), .detail = std::move(detail), .word = word};
}

void connection::flush_handshake() {
  auto& bytes = handshake_.output();
  if (bytes.empty()) return;
  out_.push_raw(bytes.view());
  bytes.clear();
}

void connection::decide(status answer, base::time_point now, std::string given_name,
                        std::uint32_t given_creation) {
  handshake_.decide(answer, now, std::move(given_name), given_creation);
  flush_handshake();
}

handshake::up connection::proceed(base::time_point now) {
  auto outcome = handshake_.proceed();
  flush_handshake();
  auto& up = std::get<handshake::up>(outcome);
  opened(up.flags, now);
  return std::move(up);
}

void connection::opened(std::uint64_t negotiated, base::time_point now) {
  flags_ = negotiated;
  inbound_.emplace(negotiated, limits_.in);
  out_.open(negotiated);
  last_received_ = now;
  next_tick_ = now + limits_.tick_time / ticks_per_tick_time;
  accepted_at_tick_ = out_.accepted();
}

void connection::resume(base::time_point now) {
  paused_ = false;
  last_received_ = now;
  if (connected()) inbound_->restart_timeouts(now);
}

std::optional<base::time_point> connection::next_deadline() const {
  if (closed_) return std::nullopt;
  if (!connected()) return handshake_.next_deadline();
  if (paused_) return next_tick_;
  return base::earliest(base::earliest(next_tick_, last_received_ + limits_.tick_time),
                        inbound_->next_deadline());
}

std::optional<connection::event> connection::wake(base::time_point now) {
  if (closed_) return std::nullopt;
  if (!connected()) {
    auto outcome = handshake_.wake(now);
    if (!outcome) return std::nullopt;
    auto& f = std::get<handshake::failed>(*outcome);
    return close(std::string(describe(f.why)), std::move(f.detail), name_of(f.why));
  }
  if (!paused_ && inbound_->timed_out(now))
    return close(std::string(describe(frame_error::fragment_timeout)), {}, bad_frame);
  if (!paused_ && now - last_received_ >= limits_.tick_time)
    return close("net_tick_timeout", fmt::format("nothing was received for {} s",
                                                 std::chrono::duration<double>(limits_.tick_time).count()));
  if (now >= next_tick_) {
    // As dist_util:send_tick: only when nothing was written since the last look and nothing waits to be.
    if (out_.accepted() == accepted_at_tick_ && out_.empty()) out_.push_raw(tick);
    accepted_at_tick_ = out_.accepted();
    next_tick_ = now + limits_.tick_time / ticks_per_tick_time;
  }
  return std::nullopt;
}

} // namespace remora::dist
