// Events, time, and what membership says when asked.
#include "swim/core.hpp"

#include "base/check.hpp"
#include "swim/machine.hpp"
#include "swim/metadata.hpp"

#include <algorithm>
#include <cmath>

namespace remora::swim {

namespace {

using namespace std::chrono_literals;

constexpr base::duration forget_pause = 10s;
constexpr base::duration left_kept = 10min; // longer than any saying of it is on its way
constexpr base::duration dead_kept = 24h;   // so that a partition of a night merges by itself

} // namespace

std::shared_ptr<directory> make_directory() { return std::make_shared<directory>(); }

core::machine::machine(identity self, options o, std::shared_ptr<directory> shared, std::uint64_t seed,
                       limits l)
    : self_(std::move(self)), o_(o), l_(l), shared_(shared != nullptr ? std::move(shared) : make_directory()),
      names_(*shared_), random_(seed), order_(names_) {
  base::check(!find_wrong(o_), "swim: options are looked at before they are used");
  base::check(is_name(self_.node, l_), "swim: this node has a name");
  me_ = names_.take(self_.node); // its entry takes another
}

core::machine::~machine() {
  for (auto const& [n, by] : blame_) names_.drop(by);
  for (auto const& [n, e] : events_) names_.drop(e.from);
  for (auto const& [n, o] : origins_) names_.drop(n);
  for (auto const& [n, p] : peers_) names_.drop(n);
  for (auto const& [n, b] : beams_) {
    for (auto const& r : b.reports) names_.drop(r.reporter);
    names_.drop(n);
  }
  for (id n = 0; n < entries_.size(); ++n)
    if (entries_[n].present) {
      names_.drop_facts(entries_[n].facts);
      names_.drop(n);
    }
  names_.drop(me_);
}

void core::machine::handle(event const& e, base::time_point now, effects& out) {
  now_ = std::max(now_, now);
  out_ = &out;
  refuted_ = false;
  std::visit([&](auto const& what) { on(what); }, e);
  tell_leader();
  bool const spreads = !queue_.empty() || (now_ < reviving_until_ && !gone_.empty());
  if (running_ && spreads && !gossip_at_) gossip_at_ = std::max(now_, last_gossip_ + gossip_pause());
  due_ = earliest_timer();
  out_ = nullptr;
}

std::optional<base::time_point> core::machine::earliest_timer() const {
  if (!running_) return std::nullopt;
  auto out = std::optional(std::min(next_period_, next_sync_));
  if (probe_ && probe_->direct && !probe_->answered) out = base::earliest(out, probe_->direct_until);
  for (auto const& r : relays_) out = base::earliest(out, r.nacked || !o_.lifeguard ? r.until : r.nack_at);
  if (!suspicion_ends_.empty()) out = base::earliest(out, suspicion_ends_.begin()->first);
  out = base::earliest(out, gossip_at_);
  out = base::earliest(out, greeting_ends_);
  out = base::earliest(out, revive_at_);
  return base::earliest(out, forget_at_);
}

// ---- events

void core::machine::on(start const& e) {
  if (running_ || epoch_ != 0) return; // once
  running_ = true;
  started_ = now_;
  auto const ms = std::clamp<std::int64_t>(e.wall.unix_ms, 1, static_cast<std::int64_t>(epoch_max));
  wall_at_start_ns_ = std::min<std::int64_t>(ms, 9'000'000'000'000) * 1'000'000;
  epoch_ = static_cast<std::uint64_t>(ms);
  phase_ = base::duration(
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(o_.interval.count()))));
  set_self(epoch_, 0);
  say(change::joined, me_);
  next_period_ = next_on_grid(now_ + 1ns);
  next_sync_ = now_ + o_.sync_interval;
  for (auto& [n, p] : peers_) greet(n, p);
}

void core::machine::on(tick const&) {
  if (!running_) return;
  note_lateness();
  if (probe_ && probe_->direct && !probe_->answered && now_ >= probe_->direct_until) ask_helpers();
  if (now_ >= next_period_) period();
  revive_timer();
  relay_timers();
  suspicion_timers();
  greeting_timers();
  sync_timers();
  if (forget_at_ && now_ >= *forget_at_) forget_old();
  if (gossip_at_ && now_ >= *gossip_at_) gossip();
}

// Who is woken late cannot trust its own timers: answers may lie unread (the cause of most false positives in
// Lifeguard's experiments). The probe under way gets its time once more, suspicions that have run out get the
// least time once more, and the health multiplier knows. Ours: Lifeguard itself sees only missing answers.
void core::machine::note_lateness() {
  auto const late = due_ && now_ > *due_ ? now_ - *due_ : base::duration{};
  lags_.at(lags_seen_++ % lags_.size()) = late;
  if (!o_.lifeguard || late < probe_timeout()) return;
  worsen(1);
  if (probe_ && !probe_->answered && !probe_->excused) {
    probe_->excused = true;
    auto const rest = o_.interval - probe_timeout();
    if (probe_->direct) probe_->direct_until = now_ + probe_timeout();
    next_period_ = std::max(next_period_, now_ + rest + (probe_->direct ? probe_timeout() : 0ns));
  }
  while (!suspicion_ends_.empty() && suspicion_ends_.begin()->first <= now_) {
    auto const n = suspicion_ends_.begin()->second;
    auto& s = suspicions_.at(n);
    set_until(n, s, now_ + s.min);
  }
}

void core::machine::on(packet const& e) {
  if (!running_) return;
  ++metrics_.packets_in;
  metrics_.bytes_in += e.bytes.size() + envelope::overhead;
  message m;
  if (e.bytes.size() > l_.packet_bytes_max - envelope::overhead || !read(e.bytes, l_, m, updates_) ||
      m.kind > message_kind::gossip) {
    ++metrics_.malformed;
    return;
  }
  if (m.node == self_.node) return; // our own, come back
  for (auto const& u : updates_) believe(u, m.node);
  note_view(m.view);
  // Who accuses this node hears its objection, and who does not know it hears its name; a ping has an answer
  // that says both.
  bool const asked = (m.flags & message::introduce) != 0;
  if ((asked || refuted_) && m.kind != message_kind::ping) send(e.from, head(message_kind::gossip), me_);
  switch (m.kind) {
  case message_kind::ping: return got_ping(m, e.from);
  case message_kind::ping_req: return got_ping_req(m, e.from);
  case message_kind::ack: return got_ack(m, e.from);
  case message_kind::nack: return got_nack(m);
  default: return;
  }
}

void core::machine::on(configure const& e) {
  base::check(!find_wrong(e.options), "swim: options are looked at before they are used");
  bool const paced = o_.interval != e.options.interval;
  bool const synced = o_.sync_interval != e.options.sync_interval;
  o_ = e.options;
  if (!running_) return;
  if (paced) {
    phase_ = base::duration(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(o_.interval.count()))));
    probe_.reset();
    next_period_ = next_on_grid(now_ + 1ns);
    if (gossip_at_) gossip_at_ = std::min(*gossip_at_, now_ + gossip_pause());
  }
  if (synced) next_sync_ = now_ + o_.sync_interval;
}

void core::machine::on(set_metadata const& e) {
  base::check(e.bytes.size() <= l_.metadata_bytes_max, "swim: metadata is measured before it is set");
  if (metadata_ == e.bytes || !read_metadata(e.bytes)) return; // nobody would take what is none
  metadata_ = e.bytes;
  if (!running_) return;
  refute(epoch_, incarnation_, false);
  say(change::updated, me_);
}

void core::machine::on(leave const&) {
  if (!running_) return;
  refute(epoch_, incarnation_, false); // more than all that was said
  put(me_, entries_[me_].facts, status::left, false);
  queue_.put(me_);
  // To as many as would have spread it: this node sends nothing any more.
  auto const others = live_remora();
  std::set<id> told;
  for (std::size_t tries = 0; tries < 4 * transmissions() && told.size() < transmissions(); ++tries) {
    if (others == 0) break;
    auto const n = order_.at(random_.below(others));
    if (n == me_ || !told.insert(n).second) continue;
    send(facts_of(entries_[n]).at, head(message_kind::gossip), me_);
  }
  say(change::left, me_);
  running_ = false;
}

// ---- time

base::time_point core::machine::next_on_grid(base::time_point from) const {
  auto const wall = wall_at_start_ns_ + (from - started_).count() - phase_.count();
  auto const every = o_.interval.count();
  auto const past = ((wall % every) + every) % every;
  return past == 0 ? from : from + base::duration(every - past);
}

std::uint64_t core::machine::period_number() const {
  auto const wall = wall_at_start_ns_ + (now_ - started_).count() - phase_.count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(wall, 0) / o_.interval.count());
}

base::duration core::machine::probe_timeout() const {
  return o_.probe_timeout > 0ns ? o_.probe_timeout : o_.interval * 2 / 5;
}

// Lifeguard and memberlist have alpha * log10(n) intervals, with alpha 4 or 5: gossip there goes by probes
// and a slow tick. Here a suspicion is carried to its subject at once, and to all others within an interval,
// so two intervals are enough for it to object, and one more for each ten times as many members above 100.
base::duration core::machine::suspicion_min() {
  if (o_.suspicion_min > 0ns) return o_.suspicion_min;
  double const factor = std::max(2.0, std::log10(static_cast<double>(live_remora())));
  return base::duration(static_cast<std::int64_t>(static_cast<double>(o_.interval.count()) * factor));
}

base::duration core::machine::patience() const { return std::max<base::duration>(2 * o_.interval, 1s); }

void core::machine::forget_old() {
  std::vector<id> old;
  std::erase_if(gone_, [&](id n) {
    auto& e = entries_[n];
    if (e.live()) {
      e.among_gone = false;
      return true;
    }
    bool const out = now_ - e.since > (e.at == status::left ? left_kept : dead_kept);
    if (out) old.push_back(n);
    return out;
  });
  for (auto const n : old) forget(n);
  forget_at_.reset();
  if (!gone_.empty()) forget_at_ = now_ + forget_pause;
}

// ---- what it says

void core::machine::say(change what, id n, std::string by) {
  say(member_changed{what, member_of(n), std::move(by)});
}

void core::machine::tell_leader() {
  if (leader_unsure_) {
    leader_unsure_ = false;
    leader_ = none;
    for (id n = 0; n < entries_.size(); ++n)
      if (entries_[n].live() && (leader_ == none || names_.name(n) > names_.name(leader_))) leader_ = n;
  }
  if (!running_) return;
  if (leader_ != none && names_.name(leader_) == leader_told_) return;
  if (leader_ == none && leader_told_.empty()) return;
  leader_told_ = leader();
  say(leader_changed{leader_told_});
}

member core::machine::member_of(id n) const {
  auto const& e = entries_[n];
  auto const& f = facts_of(e);
  member out{.node = names_.name(n),
             .kind = e.beam ? kind::beam : kind::remora,
             .status = e.at,
             .epoch = f.epoch,
             .incarnation = f.incarnation,
             .creation = f.creation,
             .at = f.at,
             .companion = {},
             .metadata = f.metadata,
             .for_so_long = now_ - e.since};
  if (e.beam) out.companion = companion_of(n);
  return out;
}

std::optional<member> core::machine::find(std::string_view node) const {
  auto const n = names_.find(node);
  if (n == none || entry_of(n) == nullptr) return std::nullopt;
  return member_of(n);
}

self_health core::machine::health() const {
  return {.multiplier = static_cast<std::uint32_t>(1 + ill_),
          .lag = *std::max_element(lags_.begin(), lags_.end())};
}

void core::machine::know_the_same_as(machine const& other) {
  base::check(running_ && shared_ == other.shared_, "swim: who knows the same shares a directory");
  for (id n = 0; n < other.entries_.size(); ++n) {
    auto const& e = other.entries_[n];
    if (!e.live() || e.beam || n == me_ || n == other.me_) continue;
    if (entries_.size() <= n) entries_.resize(std::max<std::size_t>(other.entries_.size(), n + 1));
    if (entries_[n].present) continue;
    names_.take_again(n);
    names_.take_facts_again(e.facts);
    entries_[n] = e;
    entries_[n].since = now_;
    ++present_;
    ++counts_.at(static_cast<std::size_t>(e.at));
    view_ ^= view_of(e);
    order_.add(n);
    ++walked_;
  }
  leader_unsure_ = true;
}

// ---- the door

core::core(identity self, options o, std::shared_ptr<directory> shared, std::uint64_t seed, limits l)
    : machine_(std::make_unique<machine>(std::move(self), o, std::move(shared), seed, l)) {}
core::~core() = default;

void core::handle(event const& e, base::time_point now, effects& out) { machine_->handle(e, now, out); }
std::optional<base::time_point> core::next_deadline() const { return machine_->next_deadline(); }

std::vector<member> core::members() const {
  std::vector<member> out;
  machine_->each([&](member const& m) { out.push_back(m); });
  std::sort(out.begin(), out.end(), [](auto const& a, auto const& b) { return a.node < b.node; });
  return out;
}
std::optional<member> core::find(std::string_view node) const { return machine_->find(node); }
void core::each(std::function<void(member const&)> const& visit) const { machine_->each(visit); }
std::size_t core::count(status s) const { return machine_->count(s); }
std::string core::leader() const { return machine_->leader(); }
swim::metrics const& core::metrics() const { return machine_->metrics(); }
self_health core::health() const { return machine_->health(); }
std::uint64_t core::view() const { return machine_->view(); }
void core::know_the_same_as(core const& other) { machine_->know_the_same_as(*other.machine_); }

} // namespace remora::swim
