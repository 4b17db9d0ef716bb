// The voters, changed one at a time without a log (Schultz, Dardik and Tripakis 2021, MongoRaftReconfig). The
// leader installs another configuration when
//
//   ConfigQuorumCheck   a majority of the current one has it, in the leader's term
//   TermQuorumCheck     and has no later term (both are in the answers to heartbeats)
//   QuorumsOverlap      every majority of the one meets every majority of the other
//   i in newConfig      and the leader stays in it: to be removed it hands over first
//
// A voter whose state was lost comes back as another instance. It is exchanged in two steps, each of which
// has to be on a majority before the next: its name is unbound (it still counts among all, and its old votes
// for nothing), then bound to the new instance. In one step a majority that was won with its old vote, and
// one with its new vote, need not meet.
#include "raft/machine.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::raft {

bool core::machine::is_committed() const {
  if (!leads() || d_.config != s_.config || s_.config.term != d_.term) return false;
  auto const stamp = wire::stamp_of(s_.config);
  return is_quorum(s_.config, [&](voter const& v) {
    if (v.node == self_.node) return v.instance == s_.instance;
    auto const f = followers_.find(v.node);
    return f != followers_.end() && f->second.instance == v.instance && f->second.config == stamp;
  });
}

void core::machine::ask_change(bool add, std::string const& node, asker const& from, bool again) {
  auto const* const v = find_voter(s_.config, node);
  if (again && add == (v != nullptr) && (!add || v->instance != 0)) return answer(from, std::nullopt);
  if (change_) return answer(from, failure::busy);
  configuration next;
  if (auto const wrong = find_wrong_change(add, node, next)) return answer(from, *wrong);
  if (!add && node == self_.node) { // the asker asks the next leader again
    if (best_successor().empty()) return answer(from, failure::no_leader);
    if (!handover_) handover_ = handover{{}, {}, false, now_ + options_.election_max};
    return try_handover();
  }
  change_ = voter_change{add, node, from, false, now_ + patience()};
  advance_changes();
}

std::optional<failure> core::machine::find_wrong_change(bool add, std::string const& node,
                                                        configuration& next) const {
  next = s_.config;
  ++next.version;
  next.term = d_.term;
  auto const at = std::lower_bound(next.voters.begin(), next.voters.end(), node,
                                   [](voter const& v, std::string const& n) { return v.node < n; });
  bool const there = at != next.voters.end() && at->node == node;
  if (next.version > limits_.version_max) return failure::too_many;
  if (add) {
    if (there) return failure::is_voter;
    auto const p = peers_.find(node);
    if (p == peers_.end() || !p->second.speaks || !p->second.votes || p->second.instance == 0)
      return failure::unknown_node;
    if (next.voters.size() >= limits_.voters_max) return failure::too_many;
    next.voters.insert(at, {node, p->second.instance});
  } else {
    if (!there) return failure::not_voter;
    if (next.voters.size() == 1) return failure::no_leader;
    next.voters.erase(at);
  }
  return std::nullopt;
}

bool core::machine::is_alive(voter const& v) const {
  if (v.node == self_.node) return v.instance == s_.instance;
  if (auto const f = followers_.find(v.node); f != followers_.end() && f->second.instance == v.instance)
    return now_ <= f->second.heard + options_.election_max;
  auto const p = peers_.find(v.node);
  if (p == peers_.end()) return false;
  if (find_voter(s_.config, v.node) != nullptr) // not heard so far
    return now_ <= led_since_ + options_.election_max &&
           (!p->second.speaks || p->second.instance == v.instance);
  return p->second.speaks && p->second.instance == v.instance;
}

// The quorums meet, and there is one that lives: a change that takes the cluster its leader is none.
bool core::machine::can_install(configuration const& next) const {
  return quorums_overlap(s_.config, next) && is_voter(next, self_.node, s_.instance) &&
         is_quorum(next, [&](voter const& v) { return is_alive(v); });
}

void core::machine::advance_changes() {
  if (!leads() || !is_committed()) return;
  if (change_ && change_->installed) change_ended(std::nullopt);
  if (!change_) return mend_voters();
  configuration next;
  if (auto const wrong = find_wrong_change(change_->add, change_->node, next)) return change_ended(wrong);
  if (!can_install(next)) return change_ended(failure::no_leader);
  change_->installed = true;
  install(std::move(next));
}

// Voters that are not bound yet, and those that have lost their state.
void core::machine::mend_voters() {
  if (s_.config.version >= limits_.version_max) return;
  for (std::size_t i = 0; i < s_.config.voters.size(); ++i) {
    auto const& v = s_.config.voters[i];
    auto const p = peers_.find(v.node);
    if (p == peers_.end() || !p->second.speaks || !p->second.votes || p->second.instance == 0 ||
        p->second.instance == v.instance)
      continue;
    auto next = s_.config;
    next.voters[i].instance = v.instance == 0 ? p->second.instance : 0;
    next.term = d_.term;
    ++next.version;
    if (can_install(next)) return install(std::move(next));
  }
}

void core::machine::install(configuration next) {
  base::check(next.newer_than(s_.config) && quorums_overlap(s_.config, next),
              "election: the next configuration's quorums meet those of this one");
  d_.config = std::move(next);
  changed();
}

void core::machine::change_ended(std::optional<failure> failed) {
  auto const c = *std::exchange(change_, std::nullopt);
  answer(c.from, failed);
}

} // namespace remora::raft
