// Packets, and what rides on them (SWIM, section 4.1): every packet takes along as many updates as fit. While
// there is news, a packet of nothing else goes to a few members five times an interval; when there is none,
// nothing is sent but probes.
#include "swim/machine.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"

#include <cmath>

namespace remora::swim {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t fan_out = 3;
constexpr std::size_t further_max = 256;
constexpr std::size_t a_packet_full = 20; // updates, about
constexpr base::duration crowd_pause = 40ms;
constexpr double lambda = 4; // and the natural logarithm: with memberlist's, of ten, small clusters miss some

// Keys of the queue: a member's id; an event's number; a VM and its reporter.
constexpr std::uint64_t event_bit = std::uint64_t{1} << 63U;
constexpr std::uint64_t beam_bit = std::uint64_t{1} << 62U;
std::uint64_t report_key(std::uint64_t beam, std::uint64_t reporter) {
  return beam_bit | (beam & 0x3fffffffU) << 32U | reporter;
}

} // namespace

message core::machine::head(message_kind kind, std::uint32_t sequence) const {
  return {.kind = kind,
          .sequence = sequence,
          .node = self_.node,
          .epoch = epoch_,
          .incarnation = incarnation_,
          .view = view_};
}

std::size_t core::machine::transmissions() {
  return static_cast<std::size_t>(lambda * (1 + std::log(static_cast<double>(live_remora()) + 1)));
}

void core::machine::send(address const& to, message const& m, id about) {
  if (to.port == 0) return;
  std::string bytes;
  write(bytes, m);
  ride(bytes, about);
  ++metrics_.packets_out;
  metrics_.bytes_out += bytes.size() + envelope::overhead;
  out_->emplace_back(send_packet{to, std::move(bytes)});
}

// `about`: of whom it speaks first, in any case. The limits keep that within a packet.
void core::machine::ride(std::string& packet, id about) {
  auto const room = l_.packet_bytes_max - envelope::overhead;
  if (about != none) {
    auto const size = packet.size();
    if (write_update(packet, about) && packet.size() > room) packet.resize(size);
  }
  if (queue_.empty()) return;
  queue_.offer(transmissions(), [&](spread_queue::key k) {
    if (k == about) return spread_queue::fate::sent;
    auto const size = packet.size();
    if (!write_update(packet, k)) return spread_queue::fate::nothing;
    if (packet.size() <= room) return spread_queue::fate::sent;
    packet.resize(size);
    return spread_queue::fate::no_room;
  });
}

// False: there is nothing to say any more.
bool core::machine::write_update(std::string& out, spread_queue::key k) {
  if ((k & event_bit) != 0) {
    auto const found = events_.find(k & ~event_bit);
    if (found == events_.end()) return false;
    auto const& e = found->second;
    write(out, update{.what = update_kind::happening,
                      .node = names_.name(e.from),
                      .epoch = e.epoch,
                      .number = e.number,
                      .name = e.name,
                      .payload = e.payload});
    return true;
  }
  if ((k & beam_bit) != 0) {
    auto const n = static_cast<id>((k & ~beam_bit) >> 32U);
    auto const b = beams_.find(n);
    auto const* const r =
        b == beams_.end() ? nullptr : report_of(b->second, static_cast<id>(k & 0xffffffffU));
    if (r == nullptr) return false;
    write(out, as_update(n, *r));
    return true;
  }
  auto const n = static_cast<id>(k);
  auto const* const e = entry_of(n);
  if (e == nullptr || e->beam) return false;
  auto const& f = facts_of(*e);
  update u{
      .what = update_kind::alive, .node = names_.name(n), .epoch = f.epoch, .incarnation = f.incarnation};
  std::string by;
  if (e->at == status::alive) {
    if (f.assumed) return false; // the rest of it is not known
    u.creation = f.creation;
    u.at = f.at;
    u.metadata = f.metadata;
  } else if (e->at == status::left) {
    u.what = update_kind::left;
  } else {
    u.what = e->at == status::suspect ? update_kind::suspect : update_kind::dead;
    by = blamed(n);
    u.by = by;
  }
  write(out, u);
  return true;
}

// A fifth of an interval; less when more is to be said than packets hold, as after a cut of many or a restart
// of all: how long that takes is not a matter of how often one probes.
base::duration core::machine::gossip_pause() const {
  base::duration const pause = o_.interval / 5;
  bool const crowd =
      queue_.size() > a_packet_full || (now_ < reviving_until_ && gone_.size() > a_packet_full);
  return crowd ? std::min(pause, crowd_pause) : pause;
}

void core::machine::gossip() {
  gossip_at_.reset();
  last_gossip_ = now_;
  revive_more();
  auto const others = live_remora() - 1;
  if (others == 0) {
    // Who comes later hears all by push-pull; and what was believed alone, that all others are dead, is not
    // for anybody's ears.
    queue_.clear();
    return;
  }
  std::array<id, fan_out> told{};
  std::size_t count = 0;
  for (std::size_t tries = 0; tries < 8 * fan_out && count < std::min(fan_out, others); ++tries) {
    auto const n = random_live();
    auto const end = told.begin() + static_cast<std::ptrdiff_t>(count);
    if (n == none || std::find(told.begin(), end, n) != end) continue;
    told.at(count++) = n;
    if (queue_.empty()) break;
    // Who is suspected hears it from everybody that has news of it.
    send(facts_of(entries_[n]).at, head(message_kind::gossip),
         entries_[n].at == status::suspect && o_.lifeguard ? n : none);
  }
}

// ---- user events

void core::machine::on(user_event const& e) {
  if (!running_ || !base::is_utf8(e.name)) return; // nobody would take it
  base::check(e.name.size() <= 0xff && e.name.size() + e.payload.size() <= l_.event_bytes_max,
              "swim: an event is measured before it is spread");
  got_event({.what = update_kind::happening,
             .node = self_.node,
             .epoch = epoch_,
             .number = ++last_event_number_,
             .name = e.name,
             .payload = e.payload});
}

void core::machine::got_event(update const& u) {
  auto const n = names_.find(u.node);
  if (n == none || entry_of(n) == nullptr) return; // of no member: there is no place to remember that it came
  if (n == me_ && (u.epoch > epoch_ || u.number > last_event_number_)) return; // we have not said that
  if (!is_new_event(n, u.epoch, u.number)) return;
  if (events_.size() >= l_.events_max) { // the oldest gives way
    queue_.remove(event_bit | events_.begin()->first);
    names_.drop(events_.begin()->second.from);
    events_.erase(events_.begin());
  }
  names_.take_again(n);
  events_.emplace(++last_event_, spread_event{.from = n,
                                              .epoch = u.epoch,
                                              .number = u.number,
                                              .name = std::string(u.name),
                                              .payload = std::string(u.payload)});
  queue_.put(event_bit | last_event_);
  say(event_heard{std::string(u.node), std::string(u.name), std::string(u.payload)});
}

// The last 64 numbers of a member's start are told apart, older ones have come.
bool core::machine::is_new_event(id from, std::uint64_t epoch, std::uint32_t number) {
  if (!origins_.contains(from)) {
    names_.take_again(from);
    origins_[from] = {.epoch = epoch};
  }
  auto& o = origins_[from];
  if (epoch < o.epoch || number == 0) return false;
  if (epoch > o.epoch) o = {.epoch = epoch};
  if (number > o.greatest) {
    auto const steps = number - o.greatest;
    o.window = steps >= 64 ? 0 : o.window << steps;
    o.window |= 1U;
    o.greatest = number;
    return true;
  }
  auto const behind = o.greatest - number;
  if (behind >= 64 || (o.window >> behind & 1U) != 0) return false;
  o.window |= std::uint64_t{1} << behind;
  return true;
}

// What came by a push-pull is known to others; of a crowd that does so the queue would not be empty for long.
void core::machine::spread_further(spread_queue::key k) {
  if (!by_sync_ || queue_.size() < further_max) queue_.put(k);
}

void core::machine::spread_report(id n) { queue_.put(report_key(n, me_)); }

} // namespace remora::swim
