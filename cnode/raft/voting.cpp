// Campaigns and votes: the thesis's 3.4 (elections), 4.2.3 (disruptive servers) and 9.6 (pre-vote), and from
// Schultz, Dardik and Tripakis that a voter refuses a candidate whose configuration is older than its own.
#include "raft/machine.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::raft {

using namespace std::chrono_literals;

namespace {
constexpr unsigned hints_max = 3;
} // namespace

bool core::machine::may_stand() const {
  return may_vote() && is_bound() && options_.priority > 0 && d_.term < limits_.term_max &&
         d_.config == s_.config;
}

void core::machine::set_election(base::time_point at) { election_ = at; }

// The leader was not heard for the election timeout, or a campaign has come to nothing.
void core::machine::election_due() {
  election_.reset();
  if (leads()) return;
  if (campaign_) follow();
  lose_leader();
  if (!has_disk_) return; // there is nothing to wait for but a heartbeat
  if (d_.term >= limits_.term_max) abstain("there are no terms left");
  if (!may_stand()) return set_election(std::max(now_ + random_timeout(), vote_from_));
  if (now_ < promised_until_) return set_election(promised_until_ + turn());
  start_pre_vote();
}

// Who is told that the leader is dead need not wait for the timeout, but for the end of its promise: the
// leader may be alive, and rely on it.
void core::machine::hurry_election() {
  if (leads() || campaign_) return;
  suspects_ = true;
  if (!may_vote() || !is_bound() || options_.priority == 0) lose_leader();
  auto const at = std::max({now_, promised_until_, vote_from_}) + turn();
  if (has_disk_ && (!election_ || at < *election_)) set_election(at);
}

// Not all at once, or the votes are split: first the greatest priority, then by name, beginning after the
// leader. Each has had its election before the next one's turn, if it can have one.
base::duration core::machine::turn() const {
  auto const& all = s_.config.voters;
  auto const place = [&](std::string const& node) {
    auto const at = [&](std::string const& name) {
      return static_cast<std::size_t>(
          std::lower_bound(all.begin(), all.end(), name,
                           [](voter const& v, std::string const& n) { return v.node < n; }) -
          all.begin());
    };
    auto const size = std::max<std::size_t>(all.size(), 1);
    return (at(node) + size - at(promised_.node) % size) % size;
  };
  base::duration::rep before = 0;
  for (auto const& v : all) {
    auto const p = peers_.find(v.node);
    if (p == peers_.end() || v.node == promised_.node || v.instance == 0 || p->second.priority == 0) continue;
    auto const theirs = p->second.priority;
    if (theirs > options_.priority || (theirs == options_.priority && place(v.node) < place(self_.node)))
      ++before;
  }
  auto drawn = random_; // the same answer until something else is drawn
  return step() * before +
         base::duration(static_cast<base::duration::rep>(
             drawn.below(static_cast<std::uint64_t>(std::max<base::duration>(step() / 2, 1us).count()))));
}

// "A candidate would only increment its term if it first learned from a majority of the cluster that they
// would be willing to grant the candidate their votes" (9.6).
void core::machine::start_pre_vote() {
  random_.next();
  role_ = role::candidate;
  lose_leader();
  campaign_ = campaigning{true, d_.term + 1, 0};
  set_election(now_ + random_timeout());
  campaign_->granted.insert(self_.node);
  ask_all();
  count_votes();
}

// "To begin an election, a follower increments its current term and transitions to candidate state. It then
// votes for itself and issues RequestVote RPCs in parallel" (3.4): when term and vote are on disk.
void core::machine::start_vote(raft::term permit) {
  base::check(may_stand(), "election: who stands may");
  role_ = role::candidate;
  lose_leader();
  ++d_.term;
  d_.voted_for = self_.node;
  changed_vote();
  campaign_ = campaigning{false, d_.term, permit};
  set_election(now_ + random_timeout());
  ask_all();
  post(self_.node, wire::vote{false, d_.term, d_.term, true, s_.instance});
}

void core::machine::ask_all() {
  for (auto const& v : s_.config.voters)
    if (v.node != self_.node)
      post(v.node, wire::ask_vote{campaign_->pre, campaign_->term, campaign_->permit, s_.config});
}

// For how long this node still refuses the candidate because it hears its leader. "If a server receives a
// RequestVote request within the minimum election timeout of hearing from a current leader, it does not
// update its term or grant its vote" (4.2.3). What it has promised for the lease it keeps even if it is told
// that the leader is dead. The leader itself may stand again, and whom it has handed over to: it has given up
// its lease before it said so.
base::duration core::machine::hears_leader(std::string const& candidate, raft::term permit) const {
  if (leads()) return options_.election_min;
  base::duration wait{};
  if (now_ < promised_until_ && promised_.node != candidate && permit < promised_.term)
    wait = promised_until_ - now_;
  bool const hears = !leader_.node.empty() && !suspects_ && now_ < leader_.heard + options_.election_min;
  if (hears && leader_.node != candidate && permit < leader_.term)
    wait = std::max(wait, leader_.heard + options_.election_min - now_);
  return wait;
}

void core::machine::on_message(std::string const& from, wire::ask_vote const& m) {
  wire::vote out{m.pre, m.term, d_.term, false, s_.instance};
  if (!votes_at_all()) return;
  out.wait = hears_leader(from, m.permit);
  if (now_ < vote_from_) out.wait = std::max(out.wait, vote_from_ - now_);
  if (out.wait > base::duration{}) return post(from, out);
  if (d_.config.newer_than(m.config) || s_.config.newer_than(m.config)) {
    out.config = s_.config;
    return post(from, out);
  }
  if (m.pre) {
    out.granted = m.term > d_.term;
    return post(from, out);
  }
  if (leads()) return; // not reached: it hears itself
  if (m.term > d_.term) see_term(m.term);
  adopt(m.config);
  if (m.term == d_.term && (d_.voted_for.empty() || d_.voted_for == from)) {
    // "Each server will vote for at most one candidate in a given term, on a first-come-first-served basis."
    if (d_.voted_for.empty()) {
      d_.voted_for = from;
      changed_vote();
    }
    out.granted = true;
    if (campaign_) follow();
    set_election(now_ + random_timeout());
  }
  out.term = d_.term;
  post(from, out);
}

void core::machine::on_message(std::string const& from, wire::vote const& m) {
  if (!is_voter(s_.config, from, m.instance)) return;
  if (m.config && adopt(*m.config)) return;
  if (m.term > d_.term) {
    if (leads()) return stand_again(m.term); // a late answer
    see_term(m.term);
    if (hints_ < hints_max && election_) {
      ++hints_;
      set_election(std::min(*election_, now_ + turn() + step()));
    }
    return;
  }
  if (!campaign_ || campaign_->pre != m.pre || campaign_->term != m.asked) return;
  if (m.granted) {
    campaign_->granted.insert(from);
    return count_votes();
  }
  if (!m.pre || m.wait == base::duration{}) return;
  // They hear their leader, and say how much longer they would wait: then it may ask again.
  campaign_->waits[from] = m.wait;
  auto const needed = majority(s_.config.voters.size());
  if (campaign_->granted.size() + campaign_->waits.size() < needed || hints_ >= hints_max) return;
  std::vector<base::duration> waits;
  for (auto const& [node, wait] : campaign_->waits) waits.push_back(wait);
  std::sort(waits.begin(), waits.end());
  auto const last = waits.at(needed - campaign_->granted.size() - 1);
  auto const at = now_ + last + step() / 4;
  if (election_ && at < *election_) {
    ++hints_;
    set_election(at);
  }
}

void core::machine::count_votes() {
  if (!campaign_ ||
      !is_quorum(s_.config, [&](voter const& v) { return campaign_->granted.contains(v.node); }))
    return;
  if (!campaign_->pre) {
    // Its own vote comes when that is on disk; nobody can have voted before, whatever he says.
    if (campaign_->granted.contains(self_.node)) become_leader();
    return;
  }
  if (!may_stand() || now_ < promised_until_) return follow();
  start_vote(0);
}

// "If one server's current term is smaller than the other's, then it updates its current term to the larger
// value. If a candidate or leader discovers that its term is out of date, it immediately reverts to follower
// state" (3.3).
void core::machine::see_term(raft::term t) {
  base::check(t > d_.term && t <= limits_.term_max, "election: a term only grows");
  if (leads()) {
    stop_leading();
    lose_leader();
  }
  if (campaign_) follow();
  d_.term = t;
  d_.voted_for.clear();
  changed_vote();
}

void core::machine::follow() {
  campaign_.reset();
  if (role_ == role::candidate) role_ = role::follower;
  if (!election_) set_election(now_ + random_timeout());
}

} // namespace remora::raft
