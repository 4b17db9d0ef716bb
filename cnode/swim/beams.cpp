// Members that take no part: VMs, and remora nodes without membership. They are seen by their connections.
//
// A remora node that has a connection to a VM reports what it sees of it, and so do two or three others; each
// report names its reporter, is spread as gossip, and only a newer one of the same reporter replaces it:
//
//   reached   it is connected, and answers when it is probed over the connection
//   silent    it is connected, and has not answered twice
//   lost      the connection has ended: OTP has found it dead, or it has gone
//
//   alive     some member reports it reached
//   dead      nobody reports a connection any more
//   suspect   two report it silent, or all do when fewer report it. Everybody with a connection then probes
//   it
//             at once, and says so if it is reached; if nobody does until the suspicion ends, it is dead
//
// So one reporter kills nobody whom others reach, whatever it says, and a VM that hangs is found in seconds
// instead of net_ticktime. Who reports: its companion (the node that was started by it), and others as long
// as fewer than three do. A report counts while its reporter is there.
#include "swim/machine.hpp"

#include <algorithm>

namespace remora::swim {

namespace {
using namespace std::chrono_literals;
constexpr std::size_t reporters_wanted = 3;
constexpr std::size_t reports_max = 16; // of one VM
constexpr unsigned strikes_max = 2;
constexpr auto doubt_min = 1'500ms; // TCP sends again after 0.2, 0.6 and 1.4 s
} // namespace

core::machine::report* core::machine::report_of(beam& b, id reporter) {
  auto const found = std::find_if(b.reports.begin(), b.reports.end(),
                                  [&](report const& r) { return r.reporter == reporter; });
  return found == b.reports.end() ? nullptr : &*found;
}

bool core::machine::counts(report const& r) const {
  auto const* const e = entry_of(r.reporter);
  return e != nullptr && e->live() && !e->beam && r.epoch == facts_of(*e).epoch;
}

update core::machine::as_update(id n, report const& r) const {
  return {.what = update_kind::beam,
          .node = names_.name(n),
          .epoch = r.epoch,
          .creation = beams_.at(n).creation,
          .by = names_.name(r.reporter),
          .state = r.state,
          .companion = r.companion,
          .number = r.version};
}

core::machine::id core::machine::companion_id(id n) const {
  auto const b = beams_.find(n);
  if (b == beams_.end()) return none;
  for (auto const& r : b->second.reports)
    if (r.companion && counts(r)) return r.reporter;
  return none;
}

std::string core::machine::companion_of(id n) const {
  auto const companion = companion_id(n);
  return companion == none ? std::string() : names_.name(companion);
}

// ---- this node's own connections

void core::machine::beam_here(id n, peer& p) {
  auto const* const e = entry_of(n);
  if (e == nullptr && !make_room(names_.name(n))) return;
  if (!beams_.contains(n)) {
    names_.take_again(n);
    beams_[n] = {.creation = p.creation};
  }
  auto& b = beams_[n];
  if (p.creation != 0) b.creation = p.creation;
  b.say_from = now_ + 2 * o_.interval +
               base::duration(
                   static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(o_.interval.count()))));
  own_report(n, reach::reached);
}

void core::machine::beam_lost(id n) {
  auto const p = peers_.find(n);
  if (p == peers_.end() || p->second.as != talks::beam || !running_) return;
  p->second.as = talks::unknown;
  if (beams_.contains(n)) own_report(n, reach::lost);
}

// It is spread if it is of our own VM, if it was before, or if others need to know.
void core::machine::own_report(id n, reach state) {
  auto& b = beams_.at(n);
  auto* r = report_of(b, me_);
  if (r == nullptr) {
    names_.take_again(me_);
    r = &b.reports.emplace_back(report{.reporter = me_});
  }
  r->epoch = epoch_;
  r->version = ++last_version_;
  r->state = state;
  r->companion = names_.name(n) == app_;
  r->heard = now_;
  auto const* const e = entry_of(n);
  b.said = b.said || r->companion || state == reach::silent || (e != nullptr && e->at != status::alive);
  if (b.said) spread_report(n);
  judge(n);
}

// One VM is probed in each period, in turn; who has not answered until the next one, once more.
void core::machine::beam_period() {
  if (peers_.empty()) return;
  bool late = probe_ && probe_->excused; // our own fault, perhaps
  for (auto const n : beam_peers_) {
    auto& p = peers_.at(n);
    if (p.probe == 0 || now_ - p.probed < probe_timeout() * (1 + ill_)) continue;
    if (late) {
      p.probed = now_;
      continue;
    }
    ++p.strikes;
    auto const b = beams_.find(n);
    if (b == beams_.end()) continue;
    bool const others = std::any_of(b->second.reports.begin(), b->second.reports.end(), [&](report const& r) {
      return r.reporter != me_ && r.state == reach::silent && counts(r);
    });
    auto const* const own = report_of(b->second, me_);
    if (p.strikes >= (others ? 1 : strikes_max) && own != nullptr && own->state == reach::reached)
      own_report(n, reach::silent);
    probe_vm(n, p);
  }
  if (!beam_peers_.empty()) {
    auto next = beam_peers_.upper_bound(last_beam_probed_);
    if (next == beam_peers_.end()) next = beam_peers_.begin();
    last_beam_probed_ = *next;
    if (auto& p = peers_.at(*next); p.probe == 0) probe_vm(*next, p);
  }
  for (auto& [n, b] : beams_) {
    if (b.unheard_until && now_ >= *b.unheard_until) judge(n);
    if (b.said || now_ < b.say_from) continue;
    auto const* const own = report_of(b, me_);
    if (own == nullptr || own->state == reach::lost) continue;
    auto const reporters = std::count_if(b.reports.begin(), b.reports.end(), [&](report const& r) {
      return r.state != reach::lost && r.reporter != me_ && counts(r);
    });
    if (reporters >= static_cast<std::ptrdiff_t>(reporters_wanted)) continue;
    b.said = true;
    spread_report(n);
  }
}

void core::machine::probe_vm(id n, peer& p) {
  if (p.as != talks::beam) return;
  p.probe = ++last_beam_probe_;
  p.probed = now_;
  out_->emplace_back(probe_beam{names_.name(n), p.probe});
}

void core::machine::on(beam_answered const& e) {
  auto const n = names_.find(e.node);
  auto const found = n == none ? peers_.end() : peers_.find(n);
  if (!running_ || found == peers_.end() || found->second.as != talks::beam || e.id == 0 ||
      e.id > last_beam_probe_)
    return;
  auto& p = found->second;
  p.probe = 0;
  p.strikes = 0;
  auto const b = beams_.find(n);
  if (b == beams_.end()) return;
  auto const* const own = report_of(b->second, me_);
  auto const* const member = entry_of(n);
  // Whoever doubts it hears that it was reached after that.
  bool const doubted = member != nullptr && member->at != status::alive;
  if (own == nullptr || own->state != reach::reached || (doubted && own->heard <= member->since))
    own_report(n, reach::reached);
}

void core::machine::on(app_here const& e) {
  auto const before = app_;
  app_ = e.node;
  if (!running_) return;
  for (auto const& node : {before, app_}) {
    auto const n = names_.find(node);
    auto const b = n == none ? beams_.end() : beams_.find(n);
    if (b == beams_.end()) continue;
    if (auto const* const own = report_of(b->second, me_)) own_report(n, own->state);
  }
}

void core::machine::on(app_gone const&) { on(app_here{}); }

// ---- what others report

void core::machine::got_report(update const& u) {
  auto const by = names_.find(u.by);
  auto const* const reporter = by == none ? nullptr : entry_of(by);
  if (reporter == nullptr || reporter->beam || by == me_ || u.node == self_.node) return;
  if (u.epoch != facts_of(*reporter).epoch) return; // of an earlier start, or one that is not known yet
  auto n = names_.find(u.node);
  auto const* const e = n == none ? nullptr : entry_of(n);
  if (e != nullptr && !e->beam && e->live()) return; // it takes part itself
  bool const known = n != none && beams_.contains(n);
  if (!known) {
    if (u.state == reach::lost || (e == nullptr && !make_room(u.node))) return;
    n = names_.take(u.node);
    beams_[n] = {.creation = u.creation};
  }
  auto& b = beams_[n];
  auto* r = report_of(b, by);
  if (r == nullptr) {
    if (b.reports.size() >= reports_max) {
      auto const spent = std::find_if(b.reports.begin(), b.reports.end(), [&](report const& each) {
        return each.reporter != me_ && (!counts(each) || each.state == reach::lost);
      });
      if (spent == b.reports.end()) return;
      names_.drop(spent->reporter);
      b.reports.erase(spent);
    }
    names_.take_again(by);
    r = &b.reports.emplace_back(report{.reporter = by});
  } else if (std::pair(u.epoch, u.number) <= std::pair(r->epoch, r->version)) {
    return;
  }
  bool const changed = r->state != u.state || r->version == 0;
  *r = {.reporter = by,
        .epoch = u.epoch,
        .version = u.number,
        .state = u.state,
        .companion = u.companion,
        .heard = now_};
  if (u.state == reach::reached && u.creation != 0) b.creation = u.creation;
  spread_further((std::uint64_t{1} << 62U) | std::uint64_t{n} << 32U | by);
  if (changed && u.state == reach::silent)
    if (auto const p = peers_.find(n); p != peers_.end() && p->second.probe == 0) probe_vm(n, p->second);
  judge(n);
}

// Of all that is reported, what is true. Whose companion somebody is may be known later than that it is
// there.
void core::machine::judge(id n) {
  bool const said = judge_status(n);
  auto const found = beams_.find(n);
  if (found == beams_.end()) return;
  auto const companion = companion_id(n);
  if (std::exchange(found->second.companion, companion) == companion || said) return;
  if (auto const* const e = entry_of(n); e != nullptr && e->beam && e->live()) say(change::updated, n);
}

// Whether it says so.
bool core::machine::judge_status(id n) {
  auto& b = beams_.at(n);
  auto const* e = entry_of(n);
  if (e != nullptr && e->live() && !e->beam) return false; // it takes part, and is probed
  std::size_t reached = 0;
  std::size_t silent = 0;
  std::size_t lost = 0;
  bool reached_since = false; // its status is this
  std::string by;
  for (auto const& r : b.reports) {
    if (!counts(r)) continue;
    if (r.state == reach::reached) ++reached;
    if (r.state == reach::lost) ++lost;
    if (r.state == reach::silent) {
      ++silent;
      if (by.empty()) by = names_.name(r.reporter);
    }
    reached_since = reached_since || (r.state == reach::reached && e != nullptr && r.heard > e->since);
  }
  auto const connected = reached + silent;
  auto const as = [&](status s) {
    facts const f{.node = n, .creation = b.creation};
    auto const taken = names_.take(f);
    put(n, taken, s, true);
    names_.drop_facts(taken);
  };
  if (connected == 0) {
    if (e == nullptr || !e->live()) return false;
    // Its reporters may be gone without it: others have until then to say that they reach it.
    if (lost == 0 && !b.unheard_until) b.unheard_until = now_ + suspicion_min() + 3 * o_.interval;
    if (lost == 0 && now_ < *b.unheard_until) return false;
    b.unheard_until.reset();
    die(n, {});
    return true;
  }
  b.unheard_until.reset();
  if (e == nullptr || (e->at != status::alive && e->at != status::suspect)) {
    // Dead before its time, and still connected: only who reaches it after that says something new.
    bool const back = e == nullptr || !e->beam || reached_since;
    if (reached == 0 || !back) return false;
    as(status::alive);
    blame(n, {});
    say(change::joined, n);
    return true;
  }
  if (facts_of(*e).creation != b.creation) { // a new start, seen before the old one was lost
    end_suspicion(n);
    as(status::dead);
    say(change::died, n);
    as(status::alive);
    say(change::joined, n);
    return true;
  }
  if (e->at == status::suspect) {
    if (!reached_since) return false;
    end_suspicion(n);
    as(status::alive);
    blame(n, {});
    say(change::cleared, n);
    return true;
  }
  if (silent == 0 || silent < std::min<std::size_t>(2, connected)) return false;
  as(status::suspect);
  suspicion s{.since = now_, .min = suspicion_min()};
  s.max = s.min;
  // Time for the others to probe it, over connections that may have to send again what was lost.
  s.until = now_ + std::max<base::duration>(s.min + 2 * o_.interval, doubt_min);
  suspicions_[n] = s;
  suspicion_ends_.emplace(s.until, n);
  blame(n, by);
  say(change::suspected, n, by);
  if (auto const p = peers_.find(n); p != peers_.end() && p->second.probe == 0) probe_vm(n, p->second);
  return true;
}

// Its suspicion has ended, and nobody has reached it since it began.
void core::machine::beam_verdict(id n) { die(n, blamed(n)); }

// A member that reports has come or gone.
void core::machine::reporters_changed(id reporter) {
  std::vector<id> concerned;
  for (auto& [n, b] : beams_)
    if (n != reporter && report_of(b, reporter) != nullptr) concerned.push_back(n);
  for (auto const n : concerned)
    if (beams_.contains(n)) judge(n);
}

void core::machine::drop_beam(id n) {
  auto const b = beams_.find(n);
  if (b == beams_.end()) return;
  auto const gone = std::move(b->second);
  beams_.erase(b);
  for (auto const& r : gone.reports) names_.drop(r.reporter);
  names_.drop(n);
}

} // namespace remora::swim
