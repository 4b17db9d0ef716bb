#include "discovery/dialler.hpp"

#include "base/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace remora::discovery {

void dialler::app_here(std::string node) {
  app_gone();
  app_ = std::move(node);
  reconsider_all();
}

// Its links end with it, and nothing that was learnt of them counts for the next one.
void dialler::app_gone() {
  app_.reset();
  for (auto& [name, n] : nodes_.all()) {
    auto& l = n.of(side::app);
    settle(l);
    move(n, side::app, phase::down);
    l = {};
  }
}

bool dialler::wanted(known_node const& n, side s) const {
  bool const asked_for = o_->who == side::both || o_->who == s;
  bool const possible = s == side::companion || (app_ && n.name != *app_);
  return n.listed() && asked_for && possible && n.name != own_;
}

bool dialler::waits_for_companion(known_node const& n) const {
  auto const& first = n.of(side::companion);
  return !n.of(side::app).tried && wanted(n, side::companion) && !first.tried && first.at != phase::up;
}

void dialler::reconsider(known_node& n) {
  for (auto const s : each_side) {
    auto& l = n.of(s);
    if (!wanted(n, s)) {
      if (l.at != phase::dropping) settle(l);
      if (l.at == phase::waiting || l.at == phase::ready) move(n, s, phase::down);
      continue;
    }
    if (l.at == phase::down && !(s == side::app && waits_for_companion(n))) move(n, s, phase::ready);
  }
}

void dialler::reconsider_all() {
  for (auto& [name, n] : nodes_.all()) reconsider(n);
}

void dialler::hurry() {
  for (auto& [name, n] : nodes_.all()) {
    for (auto const s : each_side)
      if (n.of(s).at == phase::waiting) move(n, s, phase::ready);
    reconsider(n);
  }
}

void dialler::up(known_node& n, side s, bool dialled_here, base::time_point now, effects& out) {
  auto& l = n.of(s);
  if (l.at == phase::up || l.at == phase::dropping) return;
  l.ours = l.asked > 0 && dialled_here;
  l.asked = 0;
  l.tried = true;
  l.up_since = now;
  l.reason.clear();
  if (l.flaps <= flaps_max) l.failures = 0;
  settle(l);
  move(n, s, phase::up);
  if (s == side::companion) reconsider(n);
  drop_if_missing(n, now, out);
}

void dialler::down(known_node& n, side s, std::string const& reason, base::time_point now, effects& out) {
  auto& l = n.of(s);
  if (l.at == phase::dropping) return end_drop(n, s, out);
  if (l.at != phase::up) return;
  l.ours = false;
  l.reason = reason;
  if (!wanted(n, s)) return move(n, s, phase::down);
  l.flaps = now - l.up_since >= settled_after ? 0 : l.flaps + 1;
  l.fast_until = now + o_->fast_time;
  if (l.flaps <= flaps_max) {
    l.failures = 0;
    return move(n, s, phase::ready);
  }
  ++l.failures;
  move(n, s, phase::waiting, now + delay(l, now));
}

void dialler::failed(known_node& n, side s, std::string const& reason, base::time_point now, effects& out) {
  if (n.of(s).asked > 0) --n.of(s).asked;
  if (n.of(s).at == phase::dialling) fail(n, s, reason, now, out); // else its time was over before
}

void dialler::fail(known_node& n, side s, std::string const& reason, base::time_point now, effects& out) {
  auto& l = n.of(s);
  ++l.failures;
  l.tried = true;
  l.reason = reason;
  settle(l);
  if (wanted(n, s)) {
    auto const next = delay(l, now);
    move(n, s, phase::waiting, now + next);
    out.emplace_back(tell{connect_failed{s, n.name, reason, next}});
  } else {
    move(n, s, phase::down);
  }
  if (s == side::companion) reconsider(n);
}

base::duration dialler::delay(link const& l, base::time_point now) {
  auto cap = o_->backoff_max;
  if (l.fast_until && now < *l.fast_until)
    cap = std::min(cap, l.flaps <= flaps_max ? o_->fast_max : settled_after);
  auto longest = std::min(cap, o_->backoff_min);
  for (unsigned n = 1; n < l.failures && longest < cap; ++n) longest = std::min(cap, 2 * longest);
  return base::duration(
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(longest.count()) + 1)));
}

void dialler::drop_if_missing(known_node& n, base::time_point now, effects& out) {
  if (!n.missing() || o_->keep_missing_nodes || n.name == app_ || n.name == own_) return;
  for (auto const s : each_side) {
    if (n.of(s).at != phase::up || !n.of(s).ours) continue;
    move(n, s, phase::dropping, now + o_->dial_timeout + outcome_slack);
    out.emplace_back(disconnect{s, n.name});
  }
}

void dialler::dropped(known_node& n, side s, std::optional<std::string> const& failure, effects& out) {
  if (n.of(s).at != phase::dropping) return; // it went down before
  failure ? drop_failed(n, s, *failure) : end_drop(n, s, out);
}

void dialler::end_drop(known_node& n, side s, effects& out) {
  auto& l = n.of(s);
  settle(l);
  l = {.at = l.at, .awaited = l.awaited, .timer = l.timer};
  move(n, s, phase::down);
  out.emplace_back(tell{discovery::dropped{s, n.name}});
  reconsider(n); // it may be listed again
}

void dialler::drop_failed(known_node& n, side s, std::string const& reason) {
  auto& l = n.of(s);
  l.reason = reason;
  settle(l);
  move(n, s, phase::up);
  drop_failures_.push_back({s, n.name, reason});
}

void dialler::tick(base::time_point now, effects& out) {
  while (!timers_.empty() && std::get<0>(timers_.begin()->first) <= now) {
    auto const s = std::get<2>(timers_.begin()->first);
    auto& n = *timers_.begin()->second;
    auto const late = fmt::format(
        "no outcome within {} ms",
        std::chrono::duration_cast<std::chrono::milliseconds>(o_->dial_timeout + outcome_slack).count());
    switch (n.of(s).at) {
    case phase::waiting: move(n, s, phase::ready); break;
    case phase::dialling: fail(n, s, late, now, out); break;
    case phase::dropping: drop_failed(n, s, late); break;
    default: base::check(false, "discovery: who has a timer waits for it");
    }
  }
}

void dialler::fill(base::time_point now, effects& out) {
  while (allowed_ && dialling_ < o_->dial_limit && !ready_.empty()) {
    auto const s = std::get<4>(ready_.begin()->first);
    auto& n = *ready_.begin()->second;
    ++n.of(s).asked;
    move(n, s, phase::dialling, now + o_->dial_timeout + outcome_slack);
    out.emplace_back(connect{s, n.name});
  }
}

std::optional<base::time_point> dialler::next_deadline() const {
  if (timers_.empty()) return std::nullopt;
  return std::get<0>(timers_.begin()->first);
}

void dialler::move(known_node& n, side s, phase to, std::optional<base::time_point> timer) {
  auto& l = n.of(s);
  if (l.timer) timers_.erase(alarm{*l.timer, n.serial, s});
  if (l.at == phase::ready) ready_.erase(l.in_line);
  if (l.at == phase::dialling) --dialling_;
  l.at = to;
  l.timer = timer;
  if (timer) timers_.emplace(alarm{*timer, n.serial, s}, &n);
  if (to == phase::dialling) ++dialling_;
  if (to != phase::ready) return;
  auto const& other = n.of(s == side::app ? side::companion : side::app);
  l.in_line = {other.at != phase::up, l.failures, random_.next(), n.serial, s};
  ready_.emplace(l.in_line, &n);
}

void dialler::begin_waiting() {
  awaited_ = 0;
  for (auto& [name, n] : nodes_.all())
    for (auto const s : each_side) {
      auto& l = n.of(s);
      bool const under_way = l.at == phase::ready || l.at == phase::dialling ||
                             (l.at == phase::down && s == side::app && waits_for_companion(n));
      l.awaited = (wanted(n, s) && under_way) || l.at == phase::dropping;
      if (l.awaited) ++awaited_;
    }
}

void dialler::end_waiting() {
  awaited_ = 0;
  for (auto& [name, n] : nodes_.all())
    for (auto& l : n.links) l.awaited = false;
}

void dialler::settle(link& l) {
  if (std::exchange(l.awaited, false)) --awaited_;
}

} // namespace remora::discovery
