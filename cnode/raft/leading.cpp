// What a leader does: rounds of heartbeats, and what their answers prove.
//
//   check-quorum   thesis, 6.2: without a majority that answers within the election timeout it steps down
//   lease          thesis, 6.4.1: a voter that answers a round votes for nobody else for what it promises, by
//                  its own clock, from when it heard it. The leader counts from when it sent the round, and
//                  less, as both clocks may be wrong by drift_max (surely()). The lease holds as long as a
//                  majority's promises do.
//   hand-over      thesis, 3.10. Whom it hands over to wins without anybody waiting for promises to run out,
//                  so the leader ends its leadership, and never takes it up again in this term, before it
//                  gives the word.
#include "raft/machine.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::raft {

namespace {
constexpr std::size_t rounds_max = 256; // that can still be answered
}

void core::machine::become_leader() {
  base::check(saved_generation_ >= vote_generation_ && s_.term == d_.term && s_.voted_for == self_.node,
              "election: a leader's term and vote are on disk");
  campaign_.reset();
  election_.reset();
  role_ = role::leader;
  token_ = token_of(d_.term, s_.config.version);
  followers_.clear();
  rounds_.clear();
  last_round_ = 0;
  led_since_ = quorum_sent_ = now_;
  lease_until_ = {};
  desk_.begin(d_.term, now_ + at_least(std::max(options_.name_lease, name_lease_heard_)));
  for (auto& [node, p] : peers_) p.table = p.told = 0;
  table_told_ = 0;
  handover_.reset();
  change_.reset();
  checks_.clear();
  // Before it changes anything the configuration is of its own term, and a majority has it so (Schultz,
  // Dardik and Tripakis, BecomeLeader): earlier leaders cannot change theirs any more.
  if (d_.config.term != d_.term) {
    d_.config.term = d_.term;
    changed();
  }
  led_by_now({self_.node, d_.term, token_, 0, now_});
  beat();
}

// Its own vote was a part of the majority that its lease rests on, and somebody may have been told how long
// that holds: until then it has no vote for others, but for whom it hands over to. The askers of what is
// under way ask the next leader again.
void core::machine::stop_leading() {
  if (!leads()) return;
  promise(lease_until_);
  role_ = role::follower;
  lease_until_ = {};
  next_beat_.reset();
  followers_.clear();
  rounds_.clear();
  desk_.end();
  handover_.reset();
  change_.reset();
  checks_.clear();
  set_election(now_ + random_timeout());
}

// Somebody who may vote has a later term, and does not hear this leader any more. It stands in a later one,
// and its followers, who hear it, vote for it again.
void core::machine::stand_again(raft::term above) {
  stop_leading();
  lose_leader();
  if (above > d_.term) see_term(above);
  if (may_stand()) start_vote(0);
}

// ---- rounds

void core::machine::beat() {
  if (desk_.exhausted() && limits_.term_max > d_.term) return stand_again(d_.term);
  next_beat_ = now_ + options_.heartbeat;
  ++last_round_;
  rounds_.push_back(now_);
  if (rounds_.size() > rounds_max) rounds_.pop_front();
  leader_.round = last_round_;
  leader_.heard = now_;
  recount();
  desk_.expire(now_);
  if (sure()) desk_.renew(self_.node, client_.renew(now_), options_.name_lease, now_);
  auto const own = desk_.standing_of(self_.node);
  std::vector<news> told;
  client_.confirmed(d_.term, own.confirmed, own.over, own.lease, now_, told);
  say_all(std::move(told));
  for (auto& [node, p] : peers_)
    if (p.speaks || find_voter(s_.config, node) != nullptr) beat_to(node, p);
  serve_names();
  for (auto& [node, p] : peers_)
    if (p.speaks && sure()) tell_table(node, &p); // again, if it was lost
  check_tokens();
}

void core::machine::beat_to(std::string const& node, peer& p) {
  wire::heartbeat h;
  h.term = d_.term;
  h.token = token_;
  h.round = last_round_;
  h.config = wire::stamp_of(s_.config);
  if (p.config != h.config) h.full = s_.config;
  auto const s = desk_.standing_of(node);
  h.confirmed = s.confirmed;
  h.session_over = s.over;
  h.name_lease = s.lease == base::duration{} ? options_.name_lease : s.lease;
  post(node, h);
}

void core::machine::on_message(std::string const& from, wire::heartbeat_reply const& m) {
  if (!leads()) return;
  bool const votes = is_voter(s_.config, from, m.instance);
  if (m.term > d_.term && votes) return stand_again(m.term);
  if (m.term != d_.term || m.round > last_round_) return;
  auto const p = peers_.find(from);
  if (p == peers_.end()) return;
  if (!p->second.speaks) post_now(from, own_hello(true)); // its own was lost
  p->second.config = m.config;
  p->second.instance = m.instance;
  p->second.priority = m.priority;
  p->second.table = std::max(p->second.table, std::min(m.table, desk_.table_version()));
  auto const first = last_round_ - rounds_.size() + 1;
  if (votes && m.round >= first) {
    auto const sent = rounds_.at(m.round - first);
    auto& f = followers_[from];
    if (f.instance != m.instance) f = follower{};
    if (now_ > f.heard + options_.election_max) f.since = now_;
    f.instance = m.instance;
    f.sent = std::max(f.sent, sent);
    f.promised_until = std::max(f.promised_until, sent + surely(m.promise));
    f.heard = now_;
    f.config = m.config;
    f.priority = m.priority;
    recount();
  }
  if (sure()) desk_.renew(from, m.renewal, options_.name_lease, now_);
  tell_table(from, &p->second);
  after_answer();
}

// What a majority has promised, and when it was last heard.
void core::machine::recount() {
  std::vector<base::time_point> promised;
  std::vector<base::time_point> sent;
  for (auto const& v : s_.config.voters) {
    if (v.node == self_.node && v.instance == s_.instance) { // it votes for nobody while it leads
      promised.push_back(now_ + surely(lease()));
      sent.push_back(now_);
      continue;
    }
    auto const f = followers_.find(v.node);
    if (f == followers_.end() || v.instance == 0 || f->second.instance != v.instance) continue;
    promised.push_back(f->second.promised_until);
    sent.push_back(f->second.sent);
  }
  lease_until_ = of_majority(promised, s_.config.voters.size()).value_or(base::time_point{});
  if (auto const s = of_majority(sent, s_.config.voters.size())) quorum_sent_ = std::max(quorum_sent_, *s);
}

void core::machine::after_answer() {
  serve_names();
  check_tokens();
  advance_changes();
  if (leads()) try_handover();
  if (leads()) perhaps_prefer();
}

// ---- named elections

void core::machine::on_message(std::string const& from, wire::claims const& m) {
  if (!leads() || m.term != d_.term || !sure()) return;
  auto const out = desk_.claimed(from, m, now_);
  if (!out) return;
  post(from, *out);
  serve_names();
}

void core::machine::serve_names() {
  if (!sure()) return;
  desk_.give(now_);
  for (auto& [node, g] : desk_.grants_due(now_, 2 * options_.heartbeat)) post(node, std::move(g));
  if (std::exchange(table_told_, desk_.table_version()) == desk_.table_version()) return;
  for (auto& [node, p] : peers_)
    if (p.speaks) tell_table(node, &p);
  tell_table(self_.node, nullptr);
}

// What the node has not heard yet; again, if it was told and has not said so.
void core::machine::tell_table(std::string const& node, peer* p) {
  auto const has = p != nullptr ? p->table : table_;
  auto const version = desk_.table_version();
  if (has >= version) return;
  if (p != nullptr) {
    if (p->told >= version && now_ < p->told_at + 2 * options_.heartbeat) return;
    p->told = version;
    p->told_at = now_;
  }
  if (auto t = desk_.table_since(has)) post(node, std::move(*t));
}

void core::machine::check_tokens() {
  if (!sure()) return;
  auto const open = std::exchange(checks_, {});
  for (auto const& c : open) {
    using what = name_desk::standing_of_token;
    auto const mine = token_ > c.token ? what::stale : what::unknown;
    auto const s = c.token == token_        ? what::current
                   : is_name_token(c.token) ? desk_.look_up(c.token, now_)
                                            : mine;
    if (s == what::current)
      answer(c.from, std::nullopt);
    else if (s == what::unsure)
      checks_.push_back(c);
    else
      answer(c.from, s == what::stale ? failure::stale_token : failure::unknown_token);
  }
}

// ---- handing over

bool core::machine::can_take_over(std::string const& node) const {
  auto const f = followers_.find(node);
  return f != followers_.end() && node != self_.node && peers_.contains(node) &&
         is_voter(s_.config, node, f->second.instance) && f->second.priority > 0 &&
         f->second.config == wire::stamp_of(s_.config) && now_ <= f->second.heard + options_.election_min;
}

std::string core::machine::best_successor() const {
  std::string out;
  std::pair<std::uint32_t, base::time_point> best{};
  for (auto const& [node, f] : followers_)
    if (can_take_over(node) && std::pair(f.priority, f.heard) > best) {
      best = {f.priority, f.heard};
      out = node;
    }
  return out;
}

void core::machine::ask_handover(std::string const& to, asker const& from, bool again) {
  bool const resigned = to.empty() && again && !from.node.empty(); // it led, and this node does now
  if (to == self_.node || resigned) return answer(from, std::nullopt);
  if (handover_) return answer(from, failure::busy);
  auto const* const v = to.empty() ? nullptr : find_voter(s_.config, to);
  if (!to.empty() && v == nullptr) return answer(from, failure::not_voter);
  if (!to.empty() && !peers_.contains(to)) return answer(from, failure::unknown_node);
  if (to.empty() && s_.config.voters.size() == 1) return answer(from, failure::unknown_node);
  handover_ = handover{to, from, true, now_ + options_.election_max};
  try_handover();
}

void core::machine::try_handover() {
  if (!handover_) return;
  // What it leads by is on its own disk, or it would refuse its vote to a candidate that has yet to hear of
  // it: the saved configuration, and the answers to it, try again.
  if (d_.config != s_.config) return;
  auto const to = handover_->to.empty() ? best_successor() : handover_->to;
  if (to.empty() || !can_take_over(to)) return;
  auto const of = d_.term;
  stop_leading(); // first: from here on it has no lease
  lose_leader();
  post_now(to, wire::timeout_now{of});
}

void core::machine::handover_failed(failure why) {
  auto const h = *std::exchange(handover_, std::nullopt);
  if (h.asked) answer(h.from, why);
}

// "A leader with a lower priority hands over": to who has answered without a gap for a while, and not again
// and again to one that does not last.
void core::machine::perhaps_prefer() {
  if (handover_ || change_ || !sure() || !is_committed() || now_ < led_since_ + 2 * options_.election_max)
    return;
  for (auto const& [node, f] : followers_) {
    if (f.priority <= options_.priority || !can_take_over(node) || now_ < f.since + 4 * options_.election_max)
      continue;
    auto& [not_before, pause] = not_to_[node];
    if (now_ < not_before) continue;
    pause = std::clamp(pause * 2, 8 * options_.election_max, 128 * options_.election_max);
    not_before = now_ + pause;
    handover_ = handover{node, {}, false, now_ + options_.election_max};
    return try_handover();
  }
}

} // namespace remora::raft
