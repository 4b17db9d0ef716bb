// Connections of the distribution: who is at the other end, and push-pull anti-entropy over them.
//
// A peer that is new is greeted. A remora node with membership answers; who does not within two seconds is a
// VM, or a remora node without membership, and a member of the other kind (beams.cpp). Who joins asks its
// first few peers for all they know. After that views are compared with a peer at random each sync_interval,
// stretched as memberlist does (pushPullScale: once more for each doubling above 32 members), and sooner when
// the digests that ride on probes differ from this node's for long: views that agree cost sixty bytes.
#include "swim/machine.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <cmath>

namespace remora::swim {

namespace {
using namespace std::chrono_literals;
constexpr base::duration greeting_time = 2s;
constexpr unsigned joins_max = 3;
constexpr base::duration young = 10s;
constexpr std::size_t part_bytes = 256U << 10U; // of what is known: no message holds up the link for long
} // namespace

void core::machine::tell_peer(std::string_view node, std::string bytes) {
  base::check(bytes.size() <= l_.message_bytes_max, "swim: messages keep to their limit");
  out_->emplace_back(send_peer{std::string(node), std::move(bytes)});
}

void core::machine::on(peer_up const& e) {
  if (!is_name(e.node, l_) || e.node == self_.node) return;
  auto const n = names_.take(e.node);
  if (peers_.contains(n)) forget_peer(n);
  auto& p = peers_[n] = {.creation = e.creation};
  if (running_) greet(n, p);
}

void core::machine::on(peer_down const& e) {
  auto const n = names_.find(e.node);
  if (n != none && peers_.contains(n)) forget_peer(n);
}

void core::machine::forget_peer(id n) {
  beam_lost(n);
  beam_peers_.erase(n);
  peers_.erase(n);
  names_.drop(n);
}

void core::machine::greet(id n, peer& p) {
  p.greeted = now_;
  greeting_ends_ = base::earliest(greeting_ends_, now_ + greeting_time);
  std::string bytes;
  write(bytes, head(message_kind::hello));
  write_update(bytes, me_);
  tell_peer(names_.name(n), std::move(bytes));
}

void core::machine::greeting_timers() {
  if (!greeting_ends_ || now_ < *greeting_ends_) return;
  greeting_ends_.reset();
  for (auto& [n, p] : peers_) {
    if (p.as != talks::unknown) continue;
    if (now_ < p.greeted + greeting_time) {
      greeting_ends_ = base::earliest(greeting_ends_, p.greeted + greeting_time);
      continue;
    }
    auto const* const e = entry_of(n);
    bool const is_member =
        e != nullptr && !e->beam && e->live() &&
        (p.creation == 0 || facts_of(*e).creation == 0 || facts_of(*e).creation == p.creation);
    if (is_member) { // its greeting is on the way, or it hangs: probes will tell
      p.as = talks::remora;
      continue;
    }
    p.as = talks::beam;
    beam_peers_.insert(n);
    beam_here(n, p);
  }
}

void core::machine::is_remora(id n) {
  auto const p = peers_.find(n);
  if (p == peers_.end()) return;
  p->second.as = talks::remora;
  beam_peers_.erase(n);
}

void core::machine::on(peer_message const& e) {
  if (!running_) return;
  message m;
  if (e.bytes.size() > l_.message_bytes_max || !read(e.bytes, l_, m, updates_) ||
      m.kind <= message_kind::gossip || m.node != e.node || m.node == self_.node) {
    ++metrics_.malformed;
    return;
  }
  if (auto const n = names_.find(e.node); n != none) is_remora(n);
  by_sync_ = m.kind == message_kind::sync || m.kind == message_kind::sync_answer;
  for (auto const& u : updates_) believe(u, m.node);
  by_sync_ = false;
  auto const n = names_.find(e.node);
  if (n == none || entry_of(n) == nullptr) return; // it has not said who it is, or there is no room for it
  auto const answer = [&](message_kind kind, std::uint32_t sequence, id about) {
    std::string bytes;
    write(bytes, head(kind, sequence));
    write_update(bytes, about);
    tell_peer(e.node, std::move(bytes));
  };
  switch (m.kind) {
  case message_kind::hello: answer(message_kind::hello_answer, 0, me_); [[fallthrough]];
  case message_kind::hello_answer:
    // Who accuses it, so that it objects.
    if (entries_[n].at != status::alive) answer(message_kind::rumours, 0, n);
    if (m.view != view_ && joins_ < joins_max && now_ < started_ + young &&
        (joins_ == 0 || now_ - last_sync_ > patience() / 2)) { // else the first has time to answer
      ++joins_;
      sync_with(n, message_kind::sync, true);
    }
    return;
  case message_kind::sync:
    if ((m.flags & message::compares) != 0)
      sync_with(n, m.view != view_ ? message_kind::sync : message_kind::sync_answer, m.view != view_);
    else if ((m.flags & message::asks) != 0)
      sync_with(n, message_kind::sync_answer, m.view != view_);
    return note_view(m.view);
  case message_kind::fallback_ping: return answer(message_kind::fallback_ack, m.sequence, me_);
  case message_kind::fallback_ack:
    if (probe_ && probe_->sequence == m.sequence && probe_->target == n) probe_->answered = true;
    return;
  default: return;
  }
}

// ---- push-pull

void core::machine::sync_with(id with, message_kind kind, bool whole) {
  ++metrics_.syncs;
  last_sync_ = now_;
  auto const to = names_.name(with);
  auto const part = std::min(part_bytes, l_.message_bytes_max);
  auto m = head(kind);
  if (kind == message_kind::sync) m.flags = whole ? message::asks : message::compares;
  std::string bytes;
  auto const begin = [&] {
    bytes.clear();
    write(bytes, m);
    m.flags = 0;
  };
  begin();
  auto const add = [&](update const& u) {
    auto const size = bytes.size();
    write(bytes, u);
    if (bytes.size() <= part) return;
    bytes.resize(size);
    tell_peer(to, std::move(bytes));
    begin();
    write(bytes, u);
  };
  for (id n = 0; n < entries_.size() && whole; ++n) {
    auto const& e = entries_[n];
    if (!e.present || e.beam) continue;
    auto const& f = facts_of(e);
    if (f.assumed && e.live()) continue; // the rest of it is not known
    add({.what = update_kind::held,
         .node = names_.name(n),
         .epoch = f.epoch,
         .incarnation = f.incarnation,
         .creation = f.creation,
         .at = f.at,
         .metadata = f.metadata,
         .held = e.at});
  }
  for (auto const& [n, b] : beams_)
    for (auto const& r : b.reports)
      if (r.reporter != me_ || b.said) add(as_update(n, r));
  tell_peer(to, std::move(bytes));
}

std::size_t core::machine::sync_scale() {
  auto const n = live_remora();
  if (n <= 32) return 1;
  return static_cast<std::size_t>(std::ceil(std::log2(static_cast<double>(n)) - 5.0)) + 1;
}

std::optional<core::machine::id> core::machine::random_remora_peer() {
  std::vector<id> all;
  for (auto const& [n, p] : peers_)
    if (p.as == talks::remora) all.push_back(n);
  if (all.empty()) return std::nullopt;
  return all[random_.below(all.size())];
}

void core::machine::sync_timers() {
  if (now_ < next_sync_) return;
  auto const every = o_.sync_interval * static_cast<std::int64_t>(sync_scale());
  next_sync_ =
      now_ + every / 2 +
      base::duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(every.count()))));
  if (auto const with = random_remora_peer()) sync_with(*with, message_kind::sync, false);
}

// While news is on its way views differ; if they do for longer, something was missed. The pause between two
// such syncs is drawn, so that a crowd does not ask at once.
void core::machine::note_view(std::uint64_t theirs) {
  if (theirs == view_) {
    differs_since_.reset();
    return;
  }
  if (!differs_since_) differs_since_ = now_;
  auto const pause = patience();
  if (now_ - *differs_since_ < pause || now_ - last_sync_ < pause) return;
  if (next_sync_ > now_ + pause)
    next_sync_ =
        now_ +
        base::duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(pause.count()))));
}

// ---- hearsay

void core::machine::on(hearsay const& e) {
  if (running_) take_hearsay(e.node, e.status, e.incarnation);
}

// A hint only: nobody dies of it. Who is said to be gone is probed at once, and who is said to be there and
// is not is asked, by the same ping that accuses it.
void core::machine::take_hearsay(std::string_view node, status held, std::uint32_t incarnation) {
  if (node == self_.node) {
    if (held != status::alive && incarnation >= incarnation_ && incarnation != 0xffffffff)
      refute(epoch_, incarnation, true);
    return;
  }
  auto const n = names_.find(node);
  auto const* const e = n == none ? nullptr : entry_of(n);
  if (e == nullptr || incarnation < facts_of(*e).incarnation) return;
  if (e->beam) {
    if (auto const p = peers_.find(n); p != peers_.end() && held != status::alive) probe_vm(n, p->second);
    return;
  }
  if (held != status::alive && e->live()) return probe_soon(n);
  if (held == status::alive && e->at != status::alive && e->at != status::left) ping(n, 0);
}

void core::machine::on(tell_hearsay const& e) {
  if (!running_) return;
  std::string bytes;
  write(bytes, head(message_kind::rumours));
  for (auto const& each : e.entries) {
    if (!is_name(each.node, l_)) continue;
    auto const size = bytes.size();
    write(bytes, update{.what = update_kind::hearsay,
                        .node = each.node,
                        .incarnation = each.incarnation,
                        .held = each.status});
    if (bytes.size() <= l_.message_bytes_max) continue;
    bytes.resize(size);
    break;
  }
  tell_peer(e.to, std::move(bytes));
}

} // namespace remora::swim
