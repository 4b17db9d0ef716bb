// What is said of members, and which of two sayings wins (SWIM, section 4.2).
//
// Sayings of one member are ordered by epoch (a new start of the node supersedes all that was said of the
// old), then by incarnation, then by how bad they are: alive, suspect, dead, left. Only the member itself
// makes a new epoch or incarnation, so only it can object; and whoever hears the worst of itself does.
//
// What came with a push-pull is weaker: a death there makes a suspect at most, as memberlist has it, because
// after a partition each half holds the other for dead, and each member has to be heard.
#include "swim/machine.hpp"

#include "base/check.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::swim {

namespace {
using namespace std::chrono_literals;
constexpr std::uint32_t enough_max = 2; // confirmations; memberlist: suspicion_mult - 2

int rank(status s) { return static_cast<int>(s); }
} // namespace

int core::machine::compare(entry const& e, std::uint64_t epoch, std::uint32_t incarnation) const {
  auto const& f = facts_of(e);
  auto const ours = std::pair(f.epoch, f.incarnation);
  auto const theirs = std::pair(epoch, incarnation);
  return ours < theirs ? -1 : ours == theirs ? 0 : 1;
}

void core::machine::believe(update const& u, std::string_view told_by) {
  switch (u.what) {
  case update_kind::alive: return believe_alive(u, told_by);
  case update_kind::suspect: return believe_suspect(u.node, u.epoch, u.incarnation, u.by);
  case update_kind::dead: return believe_dead(u);
  case update_kind::left: return believe_left(u);
  case update_kind::held: return believe_held(u, told_by);
  case update_kind::beam: return got_report(u);
  case update_kind::happening: return got_event(u);
  case update_kind::hearsay: return take_hearsay(u.node, u.held, u.incarnation);
  }
}

void core::machine::believe_alive(update const& u, std::string_view told_by) {
  if (u.node == self_.node) { // an earlier start of ours whose clock was ahead, or a lie
    if (std::pair(u.epoch, u.incarnation) > std::pair(epoch_, incarnation_))
      refute(u.epoch, u.incarnation, true);
    return;
  }
  auto n = names_.find(u.node);
  auto* e = n == none ? nullptr : entry_of(n);
  if (e == nullptr && !make_room(u.node)) return;
  if (e != nullptr && !e->beam) {
    auto const order = compare(*e, u.epoch, u.incarnation);
    bool const fills = order == 0 && facts_of(*e).assumed;
    if (order > 0 || (order == 0 && !fills)) return;
  }
  bool const is_new = e == nullptr;
  n = names_.take(u.node); // for as long as this takes
  facts const fresh{.node = n,
                    .epoch = u.epoch,
                    .incarnation = u.incarnation,
                    .creation = u.creation,
                    .at = u.at,
                    .metadata = std::string(u.metadata)};
  auto const f = names_.take(fresh);
  if (is_new) {
    put(n, f, status::alive, false);
    say(change::joined, n);
    spread_further(n);
  } else {
    auto const before = facts_of(*e);
    auto const was = e->at;
    bool const was_beam = e->beam;
    bool const only_fills = !was_beam && compare(*e, u.epoch, u.incarnation) == 0;
    bool const restarted = !was_beam && before.epoch != u.epoch && e->live();
    bool const differs = before.metadata != fresh.metadata || before.at != fresh.at;
    if (restarted) {
      end_suspicion(n);
      put(n, e->facts, status::dead, false);
      say(change::died, n);
    }
    drop_beam(n); // it takes part: what is reported of it does not matter any more
    end_suspicion(n);
    put(n, f, only_fills ? was : status::alive, false);
    if (!only_fills) {
      blame(n, {});
      spread_further(n);
      if (restarted || was == status::dead || was == status::left) {
        say(change::joined, n);
        if (was == status::dead && told_by == u.node) reviving_until_ = now_ + 2 * o_.interval;
      } else if (was == status::suspect) {
        say(change::cleared, n);
      }
    }
    if (was_beam || (!restarted && differs && (was == status::alive || was == status::suspect)))
      say(change::updated, n);
  }
  names_.drop_facts(f);
  names_.drop(n);
}

void core::machine::believe_suspect(std::string_view node, std::uint64_t epoch, std::uint32_t incarnation,
                                    std::string_view by) {
  if (node == self_.node) return refute(epoch, incarnation, true);
  auto const n = names_.find(node);
  auto* const e = n == none ? nullptr : entry_of(n);
  if (e == nullptr || e->beam) return;
  auto const order = compare(*e, epoch, incarnation);
  if (order > 0 || (order == 0 && rank(e->at) > rank(status::suspect))) return;
  if (order == 0 && e->at == status::suspect) return confirm(n, by);
  if (order < 0) { // somebody knows more of it than we: the rest comes with its objection, or the next sync
    auto known = facts_of(*e);
    auto const was = e->at;
    known.epoch = epoch;
    known.incarnation = incarnation;
    known.assumed = true;
    auto const f = names_.take(known);
    end_suspicion(n);
    put(n, f, status::alive, false);
    names_.drop_facts(f);
    if (was == status::suspect)
      say(change::cleared, n);
    else if (was != status::alive)
      say(change::joined, n);
  }
  suspect(n, by, 0);
}

void core::machine::believe_dead(update const& u) {
  if (u.node == self_.node) return refute(u.epoch, u.incarnation, true);
  auto const n = names_.find(u.node);
  auto* const e = n == none ? nullptr : entry_of(n);
  if (e == nullptr || e->beam) return;
  auto const order = compare(*e, u.epoch, u.incarnation);
  if (order > 0 || (order == 0 && rank(e->at) >= rank(status::dead))) return;
  if (order < 0) {
    auto known = facts_of(*e);
    known.epoch = u.epoch;
    known.incarnation = u.incarnation;
    known.assumed = true;
    auto const f = names_.take(known);
    put(n, f, e->at, false);
    names_.drop_facts(f);
    if (!e->live()) return;
  }
  die(n, u.by);
}

void core::machine::believe_left(update const& u) {
  if (u.node == self_.node) return refute(u.epoch, u.incarnation, true);
  auto const n = names_.find(u.node);
  auto* const e = n == none ? nullptr : entry_of(n);
  if (e == nullptr || e->beam) return;
  auto const order = compare(*e, u.epoch, u.incarnation);
  if (order > 0 || (order == 0 && e->at == status::left)) return;
  auto known = facts_of(*e);
  known.epoch = u.epoch;
  known.incarnation = u.incarnation;
  known.assumed = known.assumed || order < 0;
  auto const f = names_.take(known);
  end_suspicion(n);
  put(n, f, status::left, false);
  names_.drop_facts(f);
  blame(n, {});
  spread(n);
  say(change::left, n);
}

void core::machine::believe_held(update const& u, std::string_view told_by) {
  auto const n = names_.find(u.node);
  auto const* const e = n == none ? nullptr : entry_of(n);
  if (u.node == self_.node) {
    if (u.held == status::alive) return believe_alive(u, told_by);
    return refute(u.epoch, u.incarnation, true);
  }
  // Who is gone and not known stays unknown: otherwise two that compare views would keep it for ever.
  if (u.held == status::alive) return believe_alive(u, told_by);
  if (u.held == status::left) return believe_left(u);
  if (e == nullptr || e->beam) {
    if (u.held == status::dead) return;
    believe_alive(u, told_by);
  } else if (compare(*e, u.epoch, u.incarnation) < 0) {
    if (u.held == status::dead && !e->live()) return believe_dead(u);
    believe_alive(u, told_by);
  }
  believe_suspect(u.node, u.epoch, u.incarnation, told_by);
}

// ---- suspicion

void core::machine::suspect(id n, std::string_view by, std::uint32_t confirmations) {
  auto* const e = entry_of(n);
  base::check(e != nullptr && e->live() && !e->beam, "swim: who is suspected was there");
  bool const mine = by == self_.node;
  if (e->at == status::suspect) {
    confirm(n, by);
    auto const s = suspicions_.find(n);
    if (mine && s != suspicions_.end() && confirmations > 0) {
      s->second.confirmations += confirmations;
      set_until(n, s->second,
                s->second.since +
                    suspicion_time(s->second.min, s->second.max, s->second.confirmations, s->second.enough));
    }
    return;
  }
  if (mine) ++metrics_.suspicions;
  put(n, e->facts, status::suspect, false);
  suspicion s{.since = now_, .min = suspicion_min()};
  s.max = o_.lifeguard ? s.min * o_.suspicion_max_factor : s.min;
  auto const others = live_remora(); // the suspector and the suspected do not confirm
  s.enough = others > 2 ? std::min<std::uint32_t>(enough_max, static_cast<std::uint32_t>(others - 2)) : 0;
  s.confirmations = confirmations;
  s.add(hash_of(by), l_.suspectors_max);
  s.until = now_ + suspicion_time(s.min, s.max, s.confirmations, s.enough);
  suspicion_ends_.emplace(s.until, n);
  suspicions_[n] = s;
  blame(n, by);
  spread(n);
  say(change::suspected, n, std::string(by));
  if (mine && o_.lifeguard) ping(n, 0); // it hears at once
}

void core::machine::confirm(id n, std::string_view by) {
  auto const found = suspicions_.find(n);
  if (found == suspicions_.end() || !o_.lifeguard) return;
  auto& s = found->second;
  if (!s.add(hash_of(by), l_.suspectors_max)) return;
  ++s.confirmations;
  if (s.confirmations <= s.enough) { // others need it too, and with its own name
    blame(n, by);
    spread(n);
  }
  set_until(n, s, s.since + suspicion_time(s.min, s.max, s.confirmations, s.enough));
}

void core::machine::set_until(id n, suspicion& s, base::time_point until) {
  suspicion_ends_.erase({s.until, n});
  s.until = std::max(until, now_);
  suspicion_ends_.emplace(s.until, n);
}

void core::machine::end_suspicion(id n) {
  auto const found = suspicions_.find(n);
  if (found == suspicions_.end()) return;
  suspicion_ends_.erase({found->second.until, n});
  suspicions_.erase(found);
}

void core::machine::suspicion_timers() {
  while (!suspicion_ends_.empty() && suspicion_ends_.begin()->first <= now_) {
    auto const n = suspicion_ends_.begin()->second;
    auto const* const e = entry_of(n);
    base::check(e != nullptr && e->at == status::suspect, "swim: a suspicion is of who is suspected");
    if (e->beam) {
      end_suspicion(n);
      beam_verdict(n);
    } else {
      die(n, blamed(n));
    }
  }
}

void core::machine::die(id n, std::string_view by) {
  auto& e = entries_[n];
  base::check(e.live(), "swim: who dies was there");
  std::string const first(by); // may be of what is forgotten now
  end_suspicion(n);
  put(n, e.facts, status::dead, e.beam);
  ++metrics_.deaths;
  blame(n, first);
  if (!e.beam) spread(n);
  say(change::died, n, first);
  if (o_.expel == expelling::dead && peers_.contains(n)) out_->emplace_back(expel{names_.name(n)});
}

// ---- this node

// More than what is said, whatever that was. An incarnation at its end begins a new epoch; who claims the
// last epoch of all cannot be outbid, and is not worth more than that.
void core::machine::refute(std::uint64_t epoch, std::uint32_t incarnation, bool accused) {
  if (!running_ || std::pair(epoch, incarnation) < std::pair(epoch_, incarnation_)) return;
  if (incarnation != 0xffffffff)
    set_self(epoch, incarnation + 1);
  else if (epoch < epoch_max)
    set_self(epoch + 1, 0);
  if (!accused) return;
  refuted_ = true;
  ++metrics_.refutations;
  worsen(1);
}

void core::machine::set_self(std::uint64_t epoch, std::uint32_t incarnation) {
  epoch_ = epoch;
  incarnation_ = incarnation;
  auto const f = names_.take(facts{.node = me_,
                                   .epoch = epoch,
                                   .incarnation = incarnation,
                                   .creation = self_.creation,
                                   .at = self_.at,
                                   .metadata = metadata_});
  put(me_, f, status::alive, false);
  names_.drop_facts(f);
  spread(me_);
}

// ---- the entries

std::uint64_t core::machine::view_of(entry const& e) const {
  if (!e.live()) return 0;
  auto const& f = facts_of(e);
  if (e.beam) return mixed(names_.hash(f.node), 1); // judged by each, from reports
  return mixed(mixed(names_.hash(f.node), f.epoch), f.incarnation);
}

// The only place where an entry changes: what is derived from entries changes with it.
void core::machine::put(id n, std::uint32_t f, status s, bool is_beam) {
  if (entries_.size() <= n) entries_.resize(n + n / 8 + 1);
  auto& e = entries_[n];
  bool const was_live = e.live();
  bool const was_walked = was_live && !e.beam;
  if (!e.present) {
    names_.take_again(n);
    e.present = true;
    ++present_;
    e.since = now_;
  } else {
    view_ ^= view_of(e);
    --counts_.at(static_cast<std::size_t>(e.at));
    if (e.at != s) e.since = now_;
  }
  names_.take_facts_again(f);
  if (e.facts != none) names_.drop_facts(e.facts);
  e.facts = f;
  e.at = s;
  e.beam = is_beam;
  ++counts_.at(static_cast<std::size_t>(s));
  view_ ^= view_of(e);
  bool const walked = e.live() && !e.beam;
  if (walked && !was_walked) {
    order_.add(n);
    ++walked_;
  }
  if (!walked && was_walked) {
    order_.remove(n);
    --walked_;
  }
  if (e.live() && !was_live && (leader_ == none || names_.name(n) > names_.name(leader_))) leader_ = n;
  if (!e.live() && n == leader_) leader_unsure_ = true;
  if (!e.live() && !e.among_gone) {
    e.among_gone = true;
    gone_.push_back(n);
    if (!forget_at_) forget_at_ = now_ + 10s;
    if (!revive_at_) revive_at_ = now_ + o_.interval;
  }
  if (was_live != e.live() && !beams_.empty()) reporters_changed(n);
}

// The caller takes it out of gone_.
void core::machine::forget(id n) {
  auto& e = entries_[n];
  base::check(e.present && !e.live(), "swim: who is forgotten was gone");
  say(change::forgotten, n);
  queue_.remove(n);
  blame(n, {});
  if (e.beam) drop_beam(n);
  --counts_.at(static_cast<std::size_t>(e.at));
  --present_;
  names_.drop_facts(e.facts);
  e = {};
  if (auto const o = origins_.find(n); o != origins_.end()) {
    origins_.erase(o);
    names_.drop(n);
  }
  names_.drop(n);
}

// For one more member. Who is gone for longest gives way.
bool core::machine::make_room(std::string_view node) {
  if (present_ < l_.members_max) return true;
  std::erase_if(gone_, [&](id n) {
    auto& e = entries_[n];
    if (!e.live()) return false;
    e.among_gone = false;
    return true;
  });
  auto const oldest = std::min_element(gone_.begin(), gone_.end(),
                                       [&](id a, id b) { return entries_[a].since < entries_[b].since; });
  if (oldest != gone_.end() && *oldest != me_) {
    auto const n = *oldest;
    gone_.erase(oldest);
    forget(n);
    return true;
  }
  if (!said_full_) {
    said_full_ = true;
    say(limit_reached{fmt::format("{} members are known, as many as may be: {} and others are not taken in",
                                  present_, node)});
  }
  return false;
}

void core::machine::blame(id n, std::string_view by) {
  if (auto const known = blame_.find(n); known != blame_.end()) {
    names_.drop(known->second);
    blame_.erase(known);
  }
  if (!by.empty()) blame_[n] = names_.take(by);
}

std::string core::machine::blamed(id n) const {
  auto const known = blame_.find(n);
  return known == blame_.end() ? self_.node : names_.name(known->second);
}

} // namespace remora::swim
