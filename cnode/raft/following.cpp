// The leader as it is heard: heartbeats, names that it gives, and its word to take over (thesis, 3.10).
#include "raft/machine.hpp"

#include <algorithm>

namespace remora::raft {

void core::machine::on_message(std::string const& from, wire::heartbeat const& m) {
  if (!configured_here()) {
    if (m.full && !adopt(*m.full) && !may_adopt_cluster(*m.full)) is_foreign(from);
    return; // it answers when it has that on disk
  }
  if (m.full) adopt(*m.full);
  if (m.term < d_.term && is_bound())
    return post(from, wire::heartbeat_reply{d_.term, 0, s_.instance, wire::stamp_of(s_.config)});
  if (m.term < leader_.term) return; // of an earlier leader
  bool const another = leader_.term == m.term && !leader_.node.empty() && leader_.node != from;
  if (another || (leads() && m.term == d_.term)) { // there is one for each term: that is none of ours
    ++malformed_;
    return;
  }
  if (leader_.term == m.term && m.round < leader_.round) return; // late
  if (m.term > d_.term) see_term(m.term);
  if (campaign_) follow();
  led_by_now({from, m.term, m.token, m.round, now_});
  if (is_bound()) promise(now_ + std::min(lease(), s_.promise));
  suspects_ = false;
  hints_ = 0;
  set_election(now_ + random_timeout());
  name_lease_heard_ = std::max(name_lease_heard_, m.name_lease);
  std::vector<news> told;
  client_.confirmed(m.term, m.confirmed, m.session_over, m.name_lease, now_, told);
  say_all(std::move(told));
  acknowledge();
}

void core::machine::acknowledge() {
  if (leads() || leader_.node.empty() || suspects_) return;
  wire::heartbeat_reply r;
  r.term = leader_.term;
  r.round = leader_.round;
  r.instance = has_disk_ ? s_.instance : 0;
  r.config = wire::stamp_of(s_.config);
  r.priority = votes_at_all() ? options_.priority : 0;
  if (is_bound()) r.promise = std::min(lease(), s_.promise);
  r.renewal = client_.renew(now_);
  r.table = table_term_ == leader_.term ? table_ : 0;
  post(leader_.node, r);
}

void core::machine::led_by_now(known_leader l) {
  bool const fresh = leader_.node != l.node || leader_.term != l.term;
  if (leader_.term != l.term) client_.led(l.term, now_);
  leader_ = std::move(l);
  if (!fresh) return;
  if (table_term_ != leader_.term) {
    table_term_ = leader_.term;
    table_ = 0;
  }
  say(leader_elected{leader_.node, leader_.term, leader_.token});
  forward_all();
}

// To whom leads now: no vote for others until then.
void core::machine::promise(base::time_point until) {
  promised_ = leader_;
  promised_until_ = std::max(promised_until_, until);
}

void core::machine::lose_leader() {
  suspects_ = false;
  if (leader_.node.empty()) return;
  leader_.node.clear();
  say(leader_lost{leader_.term});
}

// "The prior leader sends a TimeoutNow request to the target server. This request has the same effect as the
// target server's election timer firing: the target server starts a new election" (3.10), without pre-vote.
void core::machine::on_message(std::string const& from, wire::timeout_now const& m) {
  bool const own_leader = promised_.node == from && promised_.term == m.term;
  if (leads() || !own_leader || m.term != d_.term || !may_stand()) return;
  promised_until_ = now_;
  start_vote(m.term);
}

// ---- named elections

void core::machine::send_claims() {
  if (leader_.node.empty() || client_.idle()) return;
  auto const c = client_.next_batch(now_, 2 * options_.heartbeat);
  if (c && c->term == leader_.term) post(leader_.node, *c);
}

void core::machine::on_message(std::string const& from, wire::claims_reply const& m) {
  if (from != leader_.node) return;
  std::vector<news> told;
  client_.answered(m, now_, told);
  say_all(std::move(told));
  send_claims();
}

void core::machine::on_message(std::string const& from, wire::grants const& m) {
  if (from != leader_.node) return;
  std::vector<news> told;
  client_.granted(m, now_, told);
  say_all(std::move(told));
  send_claims();
}

void core::machine::on_message(std::string const& from, wire::table const& m) {
  if (from != leader_.node || m.term != leader_.term || m.from > table_ || m.to < table_) return;
  for (auto const& e : m.all) {
    auto const at = rows_.find(e.name);
    if (e.node.empty()) {
      if (at == rows_.end()) continue;
      rows_.erase(at);
      say(name_led{e.name, {}, 0});
      continue;
    }
    if (at == rows_.end() && rows_.size() >= limits_.names_max) continue;
    auto& r = rows_[e.name];
    bool const fresh = r.node != e.node || r.token != e.token;
    r = {e.node, e.token, m.term};
    if (fresh) say(name_led{e.name, e.node, e.token});
  }
  table_ = m.to;
  if (m.complete) forget_rows(m.term);
}

// What an earlier leader had said, and this one does not say again, is over.
void core::machine::forget_rows(raft::term before) {
  for (auto at = rows_.begin(); at != rows_.end();) {
    if (at->second.term >= before) {
      ++at;
      continue;
    }
    say(name_led{at->first, {}, 0});
    at = rows_.erase(at);
  }
}

} // namespace remora::raft
