// Probes (SWIM, section 3.1; Lifeguard, section IV.A).
//
//   period begins   ping the member whose turn it is
//   + timeout       no ack: ask k others to ping it, and ping it over the distribution connection
//   period ends     still no ack, from nobody: it is suspected
//
// A helper that gets no ack in time says so (nack). Nacks that are missing mean that this node is the one
// that does not hear: its health multiplier stretches its periods and timeouts. Nacks that came are members
// who reach this node and do not reach the target: each confirms the suspicion.
#include "swim/machine.hpp"

#include <algorithm>

namespace remora::swim {

namespace {
using namespace std::chrono_literals;
constexpr int ill_max = 8; // Lifeguard, section IV.A: S
constexpr std::size_t soon_max = 64;
constexpr base::duration lately = 10min;
} // namespace

void core::machine::worsen(int by) {
  if (o_.lifeguard) ill_ = std::clamp(ill_ + by, 0, ill_max);
}

void core::machine::period() {
  end_probe();
  beam_period();
  begin_probe();
  auto const length = o_.interval * (1 + ill_);
  next_period_ = next_on_grid(now_ + length - o_.interval / 4);
}

void core::machine::begin_probe() {
  id target = none;
  while (!soon_.empty() && target == none) {
    auto const* const e = entry_of(soon_.front());
    if (e != nullptr && e->live() && !e->beam && soon_.front() != me_) target = soon_.front();
    soon_.pop_front();
  }
  if (target == none) target = order_.target(me_, period_number());
  if (target == none) return;
  ++metrics_.probes;
  probe_ = probe{.target = target, .sequence = ++last_sequence_};
  probe_->direct_until = now_ + probe_timeout() * (1 + ill_);
  ping(target, probe_->sequence);
  if (facts_of(entries_[target]).at.port == 0) ask_helpers(); // no datagram reaches it
}

// The buddy system (Lifeguard, section IV.C): who is suspected hears it with the ping, first of all. The dead
// hear it too: only they can object.
void core::machine::ping(id n, std::uint32_t sequence) {
  auto const& e = entries_[n];
  auto m = head(message_kind::ping, sequence);
  m.target = names_.name(n);
  bool const accused = e.at == status::dead || (e.at == status::suspect && o_.lifeguard);
  send(facts_of(e).at, m, accused ? n : none);
}

void core::machine::ask_helpers() {
  auto& p = *probe_;
  p.direct = false;
  ++metrics_.probes_failed;
  auto const* const e = entry_of(p.target);
  if (e == nullptr || e->beam) return;
  auto const at = facts_of(*e).at;
  auto const others = live_remora();
  for (std::size_t tries = 0; tries < 8 * std::size_t{o_.indirect_probes} && p.helpers < o_.indirect_probes &&
                              p.helpers + 2 < others && at.port != 0;
       ++tries) {
    auto const n = random_live();
    auto const end = p.asked.begin() + p.helpers;
    if (n == none || n == p.target || entries_[n].at != status::alive ||
        std::find(p.asked.begin(), end, n) != end)
      continue;
    p.asked.at(p.helpers++) = n;
    auto m = head(message_kind::ping_req, p.sequence);
    m.target = names_.name(p.target);
    m.at = at;
    ++metrics_.indirect_probes;
    send(facts_of(entries_[n]).at, m);
  }
  auto const connected = peers_.find(p.target);
  if (connected == peers_.end() || connected->second.as == talks::beam) return;
  ++metrics_.fallback_probes;
  std::string bytes;
  write(bytes, head(message_kind::fallback_ping, p.sequence));
  write_update(bytes, p.target);
  tell_peer(names_.name(p.target), std::move(bytes));
}

void core::machine::end_probe() {
  if (!probe_) return;
  auto const p = *std::exchange(probe_, std::nullopt);
  auto const* const e = entry_of(p.target);
  if (p.answered) {
    worsen(-1);
    return;
  }
  // memberlist's awareness: each nack that is missing, or one if nobody could be asked.
  worsen(p.helpers > 0 ? static_cast<int>(p.helpers - std::min(p.nacks, p.helpers)) : 1);
  if (e == nullptr || !e->live() || e->beam || p.excused) return;
  suspect(p.target, self_.node, o_.lifeguard ? p.nacks : 0);
}

// Gossip to the recently dead, so that what was parted finds itself again: each of them is pinged about once
// an interval, by somebody. Who is alone asks somebody each time, and so does who sees others see it
// otherwise. This keeps its pace when the health multiplier slows probes: who was cut off is ill until it is
// back.
void core::machine::revive_timer() {
  if (!revive_at_ || now_ < *revive_at_) return;
  revive_at_.reset();
  if (gone_.empty()) return;
  revive_at_ = now_ + o_.interval;
  bool const doubts = differs_since_ && now_ - *differs_since_ > patience();
  if (doubts || random_.below(std::max(live_remora(), gone_.size())) < gone_.size()) revive();
}

// The next of the dead, in turn.
void core::machine::revive() {
  while (!gone_.empty()) {
    auto const place = ++revived_last_ % gone_.size();
    auto const n = gone_[place];
    auto& e = entries_[n];
    if (e.live()) { // it is back; the list is cleaned when somebody looks
      e.among_gone = false;
      gone_[place] = gone_.back();
      gone_.pop_back();
      continue;
    }
    if (e.at != status::dead || e.beam || facts_of(e).at.port == 0) return;
    if (now_ - e.since > lately && now_ >= reviving_until_ && random_.below(10) != 0) return;
    return ping(n, 0);
  }
}

// One of the dead has answered this node: a cut has healed, and the others are asked in short order. Who was
// alone has all to ask, and nobody to help; whom it suspected before it heard them again has not heard of it.
void core::machine::revive_more() {
  if (now_ >= reviving_until_) return;
  auto const count = std::clamp<std::size_t>(3 * gone_.size() / live_remora(), 3, 32);
  for (std::size_t i = 0; i < std::min(count, gone_.size()); ++i) revive();
  std::size_t told = 0;
  for (auto const& [n, s] : suspicions_) {
    if (told++ == count) break;
    if (!entries_[n].beam) ping(n, 0);
  }
}

void core::machine::probe_soon(id n) {
  if (soon_.size() < soon_max && std::find(soon_.begin(), soon_.end(), n) == soon_.end()) soon_.push_back(n);
}

core::machine::id core::machine::random_live() {
  auto const count = live_remora();
  if (count < 2) return none;
  auto const n = order_.at(random_.below(count));
  return n == me_ ? none : n;
}

// ---- what comes

void core::machine::got_ping(message const& m, address const& from) {
  if (m.target != self_.node) return; // for who had our address before
  auto answer = head(message_kind::ack, m.sequence);
  auto const n = names_.find(m.node);
  auto const* const e = n == none ? nullptr : entry_of(n);
  bool const stale = e == nullptr || e->beam || compare(*e, m.epoch, m.incarnation) < 0;
  if (stale) answer.flags |= message::introduce;
  bool const accused = e != nullptr && !stale && e->at != status::alive && !e->beam;
  send(from, answer, accused ? n : refuted_ ? me_ : none);
}

void core::machine::got_ping_req(message const& m, address const& from) {
  if (m.target == self_.node) return;
  if (relays_.size() >= l_.relays_max || m.at.port == 0) return;
  // Lifeguard: the nack is sent when 80 % of the timeout have passed, so that it is there before the end.
  relays_.push_back({.sequence = ++last_sequence_,
                     .theirs = m.sequence,
                     .asker = from,
                     .nack_at = now_ + probe_timeout() * 4 / 5,
                     .until = now_ + o_.interval});
  auto question = head(message_kind::ping, last_sequence_);
  question.target = m.target;
  auto const n = names_.find(m.target);
  auto const* const e = n == none ? nullptr : entry_of(n);
  bool const accused = e != nullptr && e->at != status::alive && !e->beam && o_.lifeguard;
  send(m.at, question, accused ? n : none);
}

void core::machine::relay_timers() {
  std::erase_if(relays_, [&](relay const& r) { return now_ >= r.until; });
  if (!o_.lifeguard) return;
  for (auto& r : relays_)
    if (!r.nacked && now_ >= r.nack_at) {
      r.nacked = true; // a late ack still goes on
      send(r.asker, head(message_kind::nack, r.theirs));
    }
}

void core::machine::got_ack(message const& m, address const& from) {
  auto const n = names_.find(m.node);
  if (auto const* const e = n == none ? nullptr : entry_of(n);
      e != nullptr && !e->beam && compare(*e, m.epoch, m.incarnation) < 0) {
    auto question = head(message_kind::gossip); // it has objected, and we have not heard to what
    question.flags |= message::introduce;
    send(from, question);
  }
  if (probe_ && probe_->sequence == m.sequence && m.sequence != 0) {
    probe_->answered = true;
    return;
  }
  auto const r = std::find_if(relays_.begin(), relays_.end(),
                              [&](relay const& each) { return each.sequence == m.sequence; });
  if (r == relays_.end()) return;
  auto const go_on = *r;
  relays_.erase(r);
  send(go_on.asker, head(message_kind::ack, go_on.theirs));
}

void core::machine::got_nack(message const& m) {
  if (!probe_ || probe_->sequence != m.sequence || probe_->direct) return;
  auto const end = probe_->asked.begin() + probe_->helpers;
  auto const by = std::find(probe_->asked.begin(), end, names_.find(m.node));
  if (by == end || *by == none) return; // it was not asked, or has said so already
  *by = none;
  ++probe_->nacks;
}

} // namespace remora::swim
