#include "discovery/gossip.hpp"

#include "discovery/node_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace remora::discovery {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view magic = "RMG\x01";

struct message {
  std::uint64_t boot_id = 0;
  std::uint64_t sequence = 0;
  std::int64_t sent_at = 0;
  std::uint32_t interval_ms = 0;
  std::string_view node;
  base::bytes_view covered; // by the signature
  base::bytes_view signature;
};

std::optional<message> read(std::string_view bytes) {
  auto const all = base::as_bytes(bytes);
  base::cursor in(all);
  if (base::as_text(in.take(magic.size())) != magic) return std::nullopt;
  message out;
  out.boot_id = in.u64();
  out.sequence = in.u64();
  out.sent_at = static_cast<std::int64_t>(in.u64());
  out.interval_ms = in.u32();
  out.node = base::as_text(in.take(in.u16()));
  out.covered = all.first(all.size() - in.rest().size());
  out.signature = in.take(signature{}.size());
  if (!in.ok() || !in.rest().empty()) return std::nullopt;
  return out;
}

// Without overflow, whatever somebody says about the time.
std::uint64_t distance(std::int64_t a, std::int64_t b) {
  auto const ua = static_cast<std::uint64_t>(a);
  auto const ub = static_cast<std::uint64_t>(b);
  return a > b ? ua - ub : ub - ua;
}

} // namespace

gossip::gossip(settings s, signer crypto, std::uint64_t seed)
    : settings_(std::move(s)), crypto_(std::move(crypto)), random_(seed) {}

std::string gossip::packet(std::int64_t unix_ms) {
  base::buffer out;
  out.append(magic);
  out.put(settings_.boot_id);
  out.put(++sequence_);
  out.put(static_cast<std::uint64_t>(unix_ms));
  out.put(static_cast<std::uint32_t>(settings_.interval / 1ms));
  out.put(static_cast<std::uint16_t>(settings_.node.size()));
  out.append(settings_.node);
  auto const proof = crypto_.sign(settings_.secret, out.view());
  out.append(base::bytes_view(proof));
  return std::string(base::as_text(out.view()));
}

gossip::heard gossip::receive(std::string_view bytes, base::time_point now, std::int64_t unix_ms) {
  if (bytes.size() > settings_.packet_bytes_max)
    return {outcome::malformed,
            {},
            fmt::format("{} bytes, more than {}", bytes.size(), settings_.packet_bytes_max)};
  auto const m = read(bytes);
  if (!m) return {outcome::malformed, {}, fmt::format("{} bytes that are no packet of ours", bytes.size())};
  if (!crypto_.is_signed(settings_.secret, m->covered, m->signature))
    return {outcome::unproven, {}, "its signature is wrong: is the secret the same everywhere?"};
  if (!is_node_name(m->node) || m->interval_ms == 0)
    return {outcome::malformed, {}, "it is signed, but its name or interval is none"};
  if (m->boot_id == settings_.boot_id || m->node == settings_.node) return {outcome::own};
  auto const off = distance(m->sent_at, unix_ms);
  if (off > static_cast<std::uint64_t>(window / 1ms))
    return {outcome::clock,
            {},
            fmt::format("{} says a time {} ms from ours: are the clocks right?", m->node, off)};

  auto found = boots_.find(m->boot_id);
  if (found != boots_.end() && m->sequence <= found->second.sequence)
    return {outcome::repeated, {}, fmt::format("{} has said that already", m->node)};
  if (found != boots_.end() && found->second.node != m->node)
    return {outcome::malformed, {}, fmt::format("{} and {} have one boot id", m->node, found->second.node)};
  if (found == boots_.end() && boots_.size() >= settings_.members_max)
    return {outcome::full, {}, fmt::format("more than {} members", settings_.members_max)};

  bool const was = has_member(m->node);
  if (found == boots_.end()) found = boots_.emplace(m->boot_id, boot{}).first;
  auto& b = found->second;
  b.node = m->node;
  b.sequence = m->sequence;
  b.member = true;
  b.member_until = now + silent_intervals * std::min<base::duration>(m->interval_ms * 1ms, interval_max);
  b.kept_until = std::max(b.member_until, now + 2 * window + 1s); // longer: the edges belong to it
  // Somebody new hears of us at once, but a crowd of them does not make a storm.
  if (!was && last_) next_ = std::min(next_.value_or(now), std::max(now, *last_ + greeting_pause));
  return {was ? outcome::known : outcome::joined, b.node};
}

std::optional<std::string> gossip::tick(base::time_point now, std::int64_t unix_ms) {
  if (next_ && now < *next_) return std::nullopt;
  auto const spread = static_cast<std::uint64_t>(settings_.interval.count()) / 5; // 0.9 to 1.1 of it
  next_ = now + settings_.interval - settings_.interval / 10 +
          base::duration(static_cast<std::int64_t>(random_.below(spread + 1)));
  last_ = now;
  return packet(unix_ms);
}

bool gossip::has_member(std::string_view node) const {
  return std::any_of(boots_.begin(), boots_.end(),
                     [&](auto const& b) { return b.second.member && b.second.node == node; });
}

std::vector<std::string> gossip::expired(base::time_point now) {
  std::vector<std::string> out;
  for (auto& [id, b] : boots_)
    if (b.member && b.member_until <= now) {
      b.member = false;
      if (std::find(out.begin(), out.end(), b.node) == out.end()) out.push_back(b.node);
    }
  std::erase_if(out, [&](auto const& node) { return has_member(node); });
  std::erase_if(boots_, [&](auto const& b) { return b.second.kept_until <= now; });
  return out;
}

std::optional<base::time_point> gossip::next_deadline() const {
  auto out = next_;
  for (auto const& [id, b] : boots_) out = base::earliest(out, b.member ? b.member_until : b.kept_until);
  return out;
}

} // namespace remora::discovery
