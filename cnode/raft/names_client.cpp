#include "raft/names_client.hpp"

#include "raft/quorum.hpp"

#include <algorithm>

namespace remora::raft {

namespace {
constexpr std::size_t renewals_max = 256; // that are not confirmed
constexpr std::chrono::seconds full_pause{1};
} // namespace

bool name_client::campaign(std::uint64_t owner, std::string const& name) {
  if (owners_.size() >= limits_.campaigns_max || name.empty() || name.size() > limits_.name_bytes_max ||
      owners_.contains(owner))
    return false;
  owners_.emplace(owner, owner_state{name});
  dirty_.insert(owner);
  return true;
}

void name_client::withdraw(std::uint64_t owner, std::vector<news>& out) {
  auto const at = owners_.find(owner);
  if (at == owners_.end()) return;
  if (at->second.token != 0) lose(owner, at->second, out);
  if (term_ != 0) gone_.emplace(owner, at->second.name);
  dirty_.insert(owner);
  owners_.erase(at);
  if (gone_.size() > limits_.campaigns_max) end_session(out); // a leader that does not answer: all anew
  find_next_lapse();
}

// ---- the session

void name_client::led(raft::term t, base::time_point now) {
  if (t == term_) return;
  for (auto const owner : holding_) {
    auto& o = owners_.at(owner);
    if (o.term == term_) o.until = until_.value_or(now);
  }
  term_ = t;
  until_.reset();
  renewals_.clear();
  batch_.reset();
  gone_.clear(); // the new one has never known of them
  dirty_.clear();
  for (auto& [owner, o] : owners_) {
    dirty_.insert(owner);
    o.again_from = {};
  }
  find_next_lapse();
}

void name_client::forget_leader() { led(0, {}); }

wire::session name_client::renew(base::time_point now) {
  renewals_.emplace_back(++sequence_, now);
  if (renewals_.size() > renewals_max) renewals_.pop_front();
  return {session_, sequence_};
}

void name_client::confirmed(raft::term t, wire::session const& s, bool over, base::duration lease,
                            base::time_point now, std::vector<news>& out) {
  if (t != term_) return;
  if (s.id > session_) { // of an earlier life: the leader takes none that is not greater
    session_ = s.id;
    return end_session(out);
  }
  if (s.id != session_) return;
  if (over) return end_session(out);
  auto const sent =
      std::find_if(renewals_.begin(), renewals_.end(), [&](auto const& r) { return r.first == s.sequence; });
  if (sent == renewals_.end()) return;
  auto const until = sent->second + surely(lease);
  renewals_.erase(renewals_.begin(), std::next(sent));
  if (until > now && (!until_ || until > *until_)) until_ = until;
  find_next_lapse();
}

// The leader forgets what it knew of the session before: everybody is claimed anew.
void name_client::end_session(std::vector<news>& out) {
  ++session_;
  until_.reset();
  renewals_.clear();
  batch_.reset();
  gone_.clear();
  for (auto const owner : std::set(holding_))
    if (auto& o = owners_.at(owner); o.term == term_) lose(owner, o, out);
  dirty_.clear();
  for (auto const& [owner, o] : owners_) dirty_.insert(owner);
  find_next_lapse();
}

void name_client::lapse(base::time_point now, std::vector<news>& out) {
  if (!next_lapse_ || now < *next_lapse_) return;
  if (until_ && *until_ <= now) end_session(out);
  for (auto const owner : std::set(holding_))
    if (auto& o = owners_.at(owner); o.term != term_ && o.until <= now) lose(owner, o, out);
  find_next_lapse();
}

void name_client::lose(std::uint64_t owner, owner_state& o, std::vector<news>& out) {
  o.lost = o.token;
  o.token = 0;
  holding_.erase(owner);
  dirty_.insert(owner);
  out.emplace_back(name_lost{owner, o.name});
}

void name_client::find_next_lapse() {
  next_lapse_ = until_;
  for (auto const owner : holding_)
    if (auto const& o = owners_.at(owner); o.term != term_)
      next_lapse_ = base::earliest(next_lapse_, o.until);
}

base::duration name_client::left(std::uint64_t owner, base::time_point now) const {
  auto const at = owners_.find(owner);
  if (at == owners_.end() || at->second.token == 0) return {};
  auto const& o = at->second;
  auto const until = o.term == term_ ? until_.value_or(now) : o.until;
  return until > now ? until - now : base::duration{};
}

// ---- claims

std::optional<wire::claims> name_client::next_batch(base::time_point now, base::duration pause) {
  if (term_ == 0) return std::nullopt;
  if (batch_) {
    if (now < batch_->at + pause) return std::nullopt;
    batch_->at = now;
    return batch_->what;
  }
  wire::claims out{term_, session_, last_batch_ + 1, {}};
  std::size_t bytes = 0;
  for (auto at = dirty_.begin(); at != dirty_.end() && bytes < limits_.message_bytes_max / 2;) {
    auto const owner = *at;
    if (auto const o = owners_.find(owner); o != owners_.end()) {
      if (o->second.again_from > now) {
        ++at;
        continue;
      }
      auto const what = o->second.token != 0 ? wire::claim::kind::hold : wire::claim::kind::want;
      out.all.push_back({what, owner, o->second.token, o->second.name});
    } else if (auto const g = gone_.find(owner); g != gone_.end()) {
      out.all.push_back({wire::claim::kind::gone, owner, 0, g->second});
    }
    if (!out.all.empty()) bytes += out.all.back().name.size() + wire::item_bytes;
    at = dirty_.erase(at);
  }
  if (out.all.empty()) return std::nullopt;
  ++last_batch_;
  batch_ = sent_batch{out, now};
  return out;
}

void name_client::answered(wire::claims_reply const& r, base::time_point now, std::vector<news>& out) {
  if (!batch_ || r.term != term_ || r.session != session_ || r.batch != batch_->what.batch) return;
  auto const sent = std::move(batch_->what.all);
  batch_.reset();
  for (std::size_t i = 0; i < std::min(sent.size(), r.all.size()); ++i) {
    auto const& c = sent[i];
    if (c.what == wire::claim::kind::gone) {
      gone_.erase(c.owner);
      continue;
    }
    auto const at = owners_.find(c.owner);
    if (at == owners_.end()) continue;
    auto& o = at->second;
    if (r.all[i] == wire::verdict::full) {
      o.again_from = now + full_pause;
      dirty_.insert(c.owner);
    }
    bool const still = c.what == wire::claim::kind::hold && o.token == c.token;
    if (still && r.all[i] == wire::verdict::taken) o.term = term_;
    if (still && r.all[i] == wire::verdict::refused) lose(c.owner, o, out);
  }
  find_next_lapse();
}

// Only what belongs to this session, which goes on: a grant of an earlier one may have been given on.
void name_client::granted(wire::grants const& g, base::time_point now, std::vector<news>& out) {
  if (g.term != term_ || g.session != session_ || !until_ || *until_ <= now) return;
  for (auto const& one : g.all) {
    auto const at = owners_.find(one.owner);
    if (at == owners_.end() || at->second.name != one.name) continue;
    auto& o = at->second;
    if (o.token == one.token) dirty_.insert(one.owner); // what it said was lost
    if (o.token != 0 || one.token <= o.lost) continue;
    o.token = one.token;
    o.term = term_;
    holding_.insert(one.owner);
    dirty_.insert(one.owner);
    out.emplace_back(name_won{one.owner, o.name, one.token});
  }
}

void name_client::give_up(std::vector<news>& out) {
  for (auto const owner : std::set(holding_)) lose(owner, owners_.at(owner), out);
  owners_.clear();
  gone_.clear();
  dirty_.clear();
  forget_leader();
  ++session_;
}

std::optional<base::time_point> name_client::next_deadline() const { return next_lapse_; }

} // namespace remora::raft
