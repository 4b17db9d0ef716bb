#include "raft/core.hpp"

#include "base/check.hpp"
#include "raft/machine.hpp"

#include <algorithm>

namespace remora::raft {

using namespace std::chrono_literals;

core::core(identity self, options o, std::uint64_t seed, limits l)
    : machine_(std::make_unique<machine>(std::move(self), std::move(o), seed, l)) {}
core::~core() = default;
void core::handle(event const& e, base::time_point now, effects& out) { machine_->handle(e, now, out); }
std::optional<base::time_point> core::next_deadline() const { return machine_->next_deadline(); }
raft::status core::status(base::time_point now) const { return machine_->status(now); }
base::duration core::lease_left(base::time_point now) const { return machine_->lease_left(now); }
std::optional<core::holder> core::leader_of(std::string const& name) const {
  return machine_->leader_of(name);
}
base::duration core::name_lease_left(std::uint64_t owner, base::time_point now) const {
  return machine_->name_lease_left(owner, now);
}
std::uint64_t core::malformed_count() const { return machine_->malformed_count(); }

core::machine::machine(identity self, options o, std::uint64_t seed, limits l)
    : self_(std::move(self)), options_(std::move(o)), limits_(l), random_(seed), desk_(l),
      client_(l, (random_.next() >> 16U) + 1) {
  base::check(!find_wrong(options_), "election: options are looked at before they are used");
  std::sort(options_.voters.begin(), options_.voters.end());
}

void core::machine::handle(event const& e, base::time_point now, effects& out) {
  now_ = now;
  out_ = &out;
  std::vector<news> over;
  client_.lapse(now_, over); // first of all: nobody may believe any longer that it holds a name
  say_all(std::move(over));
  std::visit([&](auto const& what) { on(what); }, e);
  if (started_) run_deadlines();
  while (!own_.empty()) {
    auto const b = std::move(own_.front());
    own_.pop_front();
    dispatch(self_.node, {s_.config.cluster, b});
  }
  if (started_) save();
  out_ = nullptr;
}

// ---- start and stop

void core::machine::on(start const& e) {
  if (started_) return;
  started_ = true;
  has_disk_ = e.state.has_value();
  d_ = e.state.value_or(durable{});
  base::check(!has_disk_ || d_.instance != 0, "election: a state has an instance");
  s_ = d_;
  saved_generation_ = vote_generation_ = generation_;
  // What it promised before a crash began before this moment, and on a clock of the same bounds.
  vote_from_ = now_ + at_least(std::max(d_.promise, lease()));
  role_ = role::follower;
  leader_ = {}; // of another state, perhaps
  if (!has_disk_ && !options_.observer)
    abstain("there is no directory for its state, so this node only observes");
  if (has_disk_ && lease() > d_.promise) {
    d_.promise = lease();
    changed();
  }
  if (configured_here()) say(configured{s_.config});
  for (auto const& [node, p] : peers_) post_now(node, own_hello(true));
  greet_pause_ = options_.election_max;
  greet_ = now_ + greet_pause_;
  set_election(now_ + random_timeout());
  form();
}

void core::machine::on(stop const&) {
  if (!started_) return;
  bool const led = leads();
  auto const of = leader_.term;
  auto const next = led ? best_successor() : std::string{};
  if (led) stop_leading();
  if (!next.empty()) post_now(next, wire::timeout_now{of});
  for (auto const& [node, p] : peers_)
    if (p.speaks && node != next) post_now(node, wire::leave{led ? of : 0});
  std::vector<news> over;
  client_.give_up(over);
  say_all(std::move(over));
  for (auto const& [id, r] : std::map(requests_)) finish(id, failure::stopped);
  lose_leader();
  handover_.reset();
  campaign_.reset();
  held_.clear();
  own_.clear();
  writing_.reset();
  save_again_.reset();
  proposal_.reset();
  form_at_.reset();
  abstained_.clear();
  rows_.clear();
  table_term_ = table_ = 0;
  failing_ = false;
  suspects_ = false;
  role_ = role::follower;
  started_ = false;
}

void core::machine::on(configure const& e) {
  base::check(!find_wrong(e.options), "election: options are looked at before they are used");
  options_ = e.options;
  std::sort(options_.voters.begin(), options_.voters.end());
  if (!started_) return;
  if (has_disk_ && lease() > d_.promise) {
    d_.promise = lease();
    changed();
  }
  if (options_.observer && leads()) stop_leading();
  if (options_.observer && campaign_) follow();
  for (auto const& [node, p] : peers_) post_now(node, own_hello(true));
}

base::duration core::machine::lease() const {
  return options_.lease == base::duration{} ? options_.election_min * 3 / 5 : options_.lease;
}

base::duration core::machine::random_timeout() {
  auto const spread = static_cast<std::uint64_t>((options_.election_max - options_.election_min).count());
  return options_.election_min + base::duration(static_cast<base::duration::rep>(random_.below(spread + 1)));
}

// ---- peers

void core::machine::on(peer_up const& e) {
  if (e.node == self_.node) return;
  auto& p = peers_[e.node];
  p = peer{};
  p.since = now_;
  if (!started_) return;
  post_now(e.node, own_hello(true));
}

void core::machine::on(peer_down const& e) {
  if (peers_.erase(e.node) == 0 || !started_) return;
  for (auto& [id, r] : requests_)
    if (r.sent_to == e.node) r.sent_in = 0; // again, when it is there again
  if (e.node == leader_.node) hurry_election();
}

void core::machine::on(suspected_dead const& e) {
  if (started_ && e.node == leader_.node && !leads()) hurry_election();
}

void core::machine::on(seen const& e) {
  seen_ = e.nodes;
  std::sort(seen_.begin(), seen_.end());
  if (started_) form();
}

wire::hello core::machine::own_hello(bool answer) const {
  return {answer,
          has_disk_ ? s_.instance : 0,
          options_.priority,
          has_disk_ && !options_.observer,
          options_.bootstrap_expect,
          s_.term,
          s_.config};
}

void core::machine::on_message(std::string const& from, wire::hello const& m) {
  auto const at = peers_.find(from);
  if (at == peers_.end()) return;
  auto& p = at->second;
  if (!p.speaks) {
    auto const speaking = static_cast<std::size_t>(
        std::count_if(peers_.begin(), peers_.end(), [](auto const& o) { return o.second.speaks; }));
    if (speaking >= limits_.observers_max + limits_.voters_max) return;
  }
  bool const fresh = !p.speaks;
  p.speaks = true;
  p.configured = m.config.cluster != 0;
  p.instance = m.instance;
  p.priority = m.priority;
  p.votes = m.votes && m.instance != 0;
  p.expect = m.expect;
  p.config = wire::stamp_of(m.config);
  if (!p.configured) p.config = {};
  bool const news_here = adopt(m.config);
  if (m.answer || (!news_here && p.configured && s_.config.newer_than(m.config)))
    post_now(from, own_hello(false));
  if (leads() && fresh) beat_to(from, p);
  if (!configured_here()) form();
}

// A node that stops. If it led, its lease is given up; and the names that it had are free.
void core::machine::on_message(std::string const& from, wire::leave const& m) {
  if (auto const p = peers_.find(from); p != peers_.end()) p->second.speaks = false;
  if (leads()) {
    desk_.leave(from);
    serve_names();
  }
  if (m.term != 0 && promised_.node == from && promised_.term == m.term) promised_until_ = now_;
  if (leader_.node == from && (m.term == 0 || leader_.term == m.term)) hurry_election();
}

// Who knows no leader asks around: an answer brings a newer configuration, and a leader hears of who is new.
void core::machine::greet_again() {
  if (!leader_.node.empty()) {
    greet_pause_ = options_.election_max;
    greet_ = now_ + greet_pause_;
    return;
  }
  for (auto const& [node, p] : peers_)
    if (p.speaks || find_voter(s_.config, node) != nullptr || !configured_here())
      post_now(node, own_hello(true));
  greet_pause_ = std::min(greet_pause_ * 2, std::max<base::duration>(options_.election_max * 8, 1s));
  greet_ = now_ + greet_pause_;
}

// ---- messages

void core::machine::on(message const& e) {
  if (!started_ || !peers_.contains(e.node)) return;
  auto const got = wire::read(e.bytes, limits_);
  if (!got) {
    ++malformed_;
    return;
  }
  dispatch(e.node, *got);
}

void core::machine::dispatch(std::string const& from, wire::envelope const& e) {
  if (!started_ || !may_speak(from, e)) return;
  std::visit([&](auto const& m) { on_message(from, m); }, e.body);
}

// Others' clusters are not heard. A node without a configuration hears who brings it one.
bool core::machine::may_speak(std::string const& from, wire::envelope const& e) {
  auto const own = s_.config.cluster;
  bool const forming =
      std::holds_alternative<wire::prepare>(e.body) || std::holds_alternative<wire::promise>(e.body) ||
      std::holds_alternative<wire::refused>(e.body) || std::holds_alternative<wire::accept>(e.body) ||
      std::holds_alternative<wire::accepted>(e.body);
  if (from == self_.node) return !forming || own == 0;
  if (e.cluster != 0 && own != 0 && e.cluster != own) {
    is_foreign(from);
    if (auto const p = peers_.find(from); p != peers_.end()) p->second.speaks = false;
    return false;
  }
  if (forming && own != 0) post_now(from, own_hello(false)); // it is too late for that
  if (forming) return own == 0 && e.cluster == 0;
  if (std::holds_alternative<wire::hello>(e.body) || std::holds_alternative<wire::leave>(e.body)) return true;
  if (own == 0) return std::holds_alternative<wire::heartbeat>(e.body) && e.cluster != 0;
  return e.cluster != 0;
}

void core::machine::is_foreign(std::string const& node) {
  if (foreign_.size() < limits_.observers_max && foreign_.insert(node).second) say(foreign_cluster{node});
}

void core::machine::post(std::string const& to, wire::body b) {
  if (has_disk_ && vote_generation_ > saved_generation_) {
    held_.push_back({vote_generation_, to, std::move(b)});
    if (held_.size() > limits_.held_max) held_.pop_front();
    return;
  }
  post_now(to, std::move(b));
}

void core::machine::post_now(std::string const& to, wire::body b) {
  if (to == self_.node) {
    own_.push_back(std::move(b));
    return;
  }
  if (!peers_.contains(to)) return;
  out_->emplace_back(send{to, wire::write({s_.config.cluster, std::move(b)})});
}

// ---- the disk

void core::machine::changed() { ++generation_; }
void core::machine::changed_vote() { vote_generation_ = ++generation_; }

void core::machine::save() {
  if (generation_ == saved_generation_ || writing_) return;
  if (!has_disk_) { // it has nothing to keep, and says nothing that would rest on it
    auto const before = s_.config;
    s_ = d_;
    saved_generation_ = generation_;
    took_effect(before);
    return;
  }
  if (save_again_ && now_ < *save_again_) return;
  save_again_.reset();
  writing_ = writing{++last_persist_, generation_, d_};
  out_->emplace_back(persist{last_persist_, d_});
}

void core::machine::on(saved const& e) {
  if (!started_ || !writing_ || writing_->id != e.id) return;
  auto const before = s_.config;
  s_ = std::move(writing_->state);
  saved_generation_ = writing_->generation;
  writing_.reset();
  save_pause_ = {};
  if (std::exchange(failing_, false) && !election_) set_election(now_ + random_timeout());
  flush_held();
  took_effect(before);
}

void core::machine::flush_held() {
  while (!held_.empty() && held_.front().needs <= saved_generation_) {
    auto const m = std::move(held_.front());
    held_.pop_front();
    post_now(m.node, m.body);
  }
}

// What it wanted to say is never said: it may be on disk or not. It stays decided, so that the same term is
// not used twice, and is written again.
void core::machine::on(save_failed const& e) {
  if (!started_ || !writing_ || writing_->id != e.id) return;
  writing_.reset();
  held_.clear();
  failing_ = true;
  save_pause_ = save_pause_ == base::duration{} ? options_.election_max
                                                : std::min(save_pause_ * 2, options_.election_max * 16);
  save_again_ = now_ + save_pause_;
  abstain("its state cannot be saved: " + e.text);
  if (leads()) {
    auto const next = best_successor();
    auto const of = leader_.term;
    stop_leading();
    lose_leader();
    if (!next.empty()) post_now(next, wire::timeout_now{of});
  }
  if (campaign_) follow();
}

void core::machine::abstain(std::string text) {
  if (abstained_.size() < 64 && abstained_.insert(text).second) say(abstains{std::move(text)});
}

// Another configuration is saved, and so in force.
void core::machine::took_effect(configuration const& before) {
  if (s_.config == before) return;
  say(configured{s_.config});
  proposal_.reset();
  form_at_.reset();
  auto const* const own = find_voter(s_.config, self_.node);
  if (has_disk_ && own != nullptr && own->instance != 0 && own->instance != s_.instance)
    abstain("its state was lost: it votes again when the leader has taken it in");
  if (!is_bound() && campaign_) follow();
  if (leads()) {
    recount();
    beat();
    after_answer();
  } else if (!leader_.node.empty()) {
    acknowledge();
  }
  if (before.cluster == 0) {
    for (auto const& [node, p] : peers_) post_now(node, own_hello(true));
    if (leader_.node.empty()) set_election(now_ + turn()); // the first election need not wait
  }
}

bool core::machine::may_adopt_cluster(configuration const& c) const {
  if (d_.config.cluster != 0) return d_.config.cluster == c.cluster;
  if (options_.voters.empty()) return true;
  // With a list of its own it forms, or joins, that cluster, and none that happens to be connected.
  if (find_voter(c, self_.node) != nullptr) return true;
  return std::any_of(options_.voters.begin(), options_.voters.end(),
                     [&](auto const& v) { return find_voter(c, v) != nullptr; });
}

bool core::machine::adopt(configuration const& c) {
  if (c.cluster == 0 || leads() || !may_adopt_cluster(c)) return false;
  if (d_.config.cluster != 0 && !c.newer_than(d_.config)) return false;
  if (campaign_) follow(); // it asked with the one before
  d_.config = c;
  changed();
  if (c.term > d_.term) see_term(c.term); // a leader had it
  return true;
}

// ---- deadlines

void core::machine::run_deadlines() {
  auto const due = [&](deadline const& at) { return at && now_ >= *at; };
  if (leads() && due(next_beat_)) beat();
  if (leads() && now_ >= quorum_sent_ + options_.election_max) { // thesis, 6.2: no majority answers
    stop_leading();
    lose_leader();
  }
  if (handover_ && now_ >= handover_->until) handover_failed(failure::timeout);
  if (change_ && now_ >= change_->until) change_ended(failure::timeout);
  if (due(election_)) election_due();
  if (due(form_at_)) form();
  if (due(greet_)) greet_again();
  requests_due();
  send_claims();
}

std::optional<base::time_point> core::machine::next_deadline() const {
  if (!started_) return std::nullopt;
  auto out = base::earliest(election_, base::earliest(form_at_, greet_));
  out = base::earliest(out, client_.next_deadline());
  if (save_again_ && !writing_) out = base::earliest(out, save_again_);
  if (leads()) {
    out = base::earliest(out, next_beat_);
    out = base::earliest(out, quorum_sent_ + options_.election_max);
  }
  if (handover_) out = base::earliest(out, handover_->until);
  if (change_) out = base::earliest(out, change_->until);
  for (auto const& c : checks_) out = base::earliest(out, c.until);
  if (!due_.empty()) out = base::earliest(out, due_.begin()->first);
  return out;
}

void core::machine::say(news n) { out_->emplace_back(tell{std::move(n)}); }

void core::machine::say_all(std::vector<news>&& all) {
  for (auto& n : all) say(std::move(n));
}

// ---- what it says when asked

raft::status core::machine::status(base::time_point now) const {
  raft::status out;
  out.term = s_.term;
  out.leader = leader_.node;
  out.token = leader_.node.empty() ? 0 : leader_.token;
  out.lease_left = lease_left(now);
  out.config = s_.config;
  auto const* const own = find_voter(s_.config, self_.node);
  if (!configured_here())
    out.role = role::unconfigured;
  else if (failing_ || (has_disk_ && !options_.observer && own != nullptr && own->instance != s_.instance))
    out.role = role::abstaining;
  else if (!leads() && (!votes_at_all() || own == nullptr))
    out.role = role::observer;
  else
    out.role = role_;
  return out;
}

base::duration core::machine::lease_left(base::time_point now) const {
  return started_ && leads() && lease_until_ > now ? lease_until_ - now : base::duration{};
}

std::optional<core::holder> core::machine::leader_of(std::string const& name) const {
  auto const at = rows_.find(name);
  if (at == rows_.end() || at->second.node.empty()) return std::nullopt;
  return holder{at->second.node, at->second.token};
}

base::duration core::machine::name_lease_left(std::uint64_t owner, base::time_point now) const {
  return client_.left(owner, now);
}

} // namespace remora::raft
