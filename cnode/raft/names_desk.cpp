#include "raft/names_desk.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::raft {

void name_desk::begin(raft::term t, base::time_point settles) {
  *this = name_desk(limits_);
  term_ = t;
  settles_ = settles;
}

void name_desk::end() { begin(0, {}); }

// ---- sessions

void name_desk::renew(std::string const& node, wire::session const& renewal, base::duration lease,
                      base::time_point now) {
  if (renewal.id == 0 || !has_room(node)) return;
  auto& s = sessions_[node];
  expire(node, s, now);
  if (renewal.id < s.id || (renewal.id == s.id && (s.over || renewal.sequence <= s.sequence))) return;
  if (renewal.id > s.id) { // it has found the one before to be over
    close(node, s);
    s = node_session{};
    s.id = renewal.id;
  }
  s.sequence = renewal.sequence;
  s.lease = lease;
  s.until = now + lease;
}

name_desk::standing name_desk::standing_of(std::string const& node) const {
  auto const at = sessions_.find(node);
  if (at == sessions_.end()) return {};
  auto const& s = at->second;
  return {{s.id, s.sequence}, s.over, s.lease};
}

void name_desk::leave(std::string const& node) {
  auto const at = sessions_.find(node);
  if (at == sessions_.end()) return;
  close(node, at->second);
  at->second.over = true;
}

void name_desk::expire(base::time_point now) {
  for (auto& [node, s] : sessions_) expire(node, s, now);
}

void name_desk::expire(std::string const& node, node_session& s, base::time_point now) {
  if (s.over || s.id == 0 || s.until > now) return;
  close(node, s);
  s.over = true;
}

// Sessions that are over make room for others: their nodes begin anew when they come back.
bool name_desk::has_room(std::string const& node) {
  if (sessions_.size() < limits_.observers_max || sessions_.contains(node)) return true;
  return std::erase_if(sessions_, [](auto const& s) { return s.second.over; }) > 0;
}

void name_desk::close(std::string const& node, node_session& s) {
  auto const owners = std::exchange(s.owners, {});
  for (auto const& [owner, name] : owners) {
    node_session gone;
    gone.owners.emplace(owner, name);
    forget_owner(node, gone, owner);
  }
}

// ---- claims

std::optional<wire::claims_reply> name_desk::claimed(std::string const& node, wire::claims const& c,
                                                     base::time_point now) {
  auto const at = sessions_.find(node);
  if (at == sessions_.end()) return std::nullopt;
  auto& s = at->second;
  expire(node, s, now);
  if (s.over || s.id != c.session) return std::nullopt;
  if (c.batch == s.batch) return s.answered; // its answer was lost
  if (c.batch < s.batch) return std::nullopt;
  s.batch = c.batch;
  wire::claims_reply out{term_, c.session, c.batch, {}};
  for (auto const& one : c.all) out.all.push_back(take(node, s, one, now));
  s.answered = out;
  return out;
}

wire::verdict name_desk::take(std::string const& node, node_session& s, wire::claim const& c,
                              base::time_point now) {
  if (c.what == wire::claim::kind::hold) return keep(node, s, c, now);
  forget_owner(node, s, c.owner); // what it had it has no more
  if (c.what == wire::claim::kind::gone) return wire::verdict::taken;
  auto name = names_.find(c.name);
  bool const room = name != names_.end() ? name->second.waiting.size() < limits_.candidates_max
                                         : names_.size() < limits_.names_max;
  if (!room || s.owners.size() >= limits_.campaigns_max) return wire::verdict::full;
  if (name == names_.end()) name = names_.emplace(c.name, held_name{}).first;
  name->second.waiting.push_back({node, c.owner});
  s.owners.emplace(c.owner, c.name);
  if (!name->second.holder) free_.insert(c.name);
  return wire::verdict::taken;
}

// It holds the name: by us, or by an earlier leader, whose word stands as long as nobody else can have it.
wire::verdict name_desk::keep(std::string const& node, node_session& s, wire::claim const& c,
                              base::time_point now) {
  auto const at = names_.find(c.name);
  bool const held = at != names_.end() && at->second.holder.has_value();
  if (held && at->second.holder == candidate{node, c.owner} && at->second.token == c.token) {
    at->second.confirmed = true;
    unconfirmed_.erase(c.name);
    return wire::verdict::taken;
  }
  bool const room = at != names_.end() || names_.size() < limits_.names_max;
  if (held || settled(now) || term_of(c.token) >= term_ || !room || tokens_.contains(c.token) ||
      s.owners.size() >= limits_.campaigns_max)
    return wire::verdict::refused;
  forget_owner(node, s, c.owner);
  auto& n = names_[c.name];
  n.holder = candidate{node, c.owner};
  n.token = c.token;
  n.confirmed = true;
  free_.erase(c.name);
  s.owners.emplace(c.owner, c.name);
  tokens_.emplace(c.token, c.name);
  write_row(c.name, node, c.token);
  return wire::verdict::taken;
}

void name_desk::forget_owner(std::string const& node, node_session& s, std::uint64_t owner) {
  auto const had = s.owners.find(owner);
  if (had == s.owners.end()) return;
  auto const name = had->second;
  s.owners.erase(had);
  auto const at = names_.find(name);
  base::check(at != names_.end(), "named elections: a candidate's name is there");
  candidate const who{node, owner};
  auto& n = at->second;
  if (n.holder == who)
    release(name);
  else
    std::erase(n.waiting, who);
  drop_if_idle(name);
}

void name_desk::release(std::string const& name) {
  auto& n = names_.at(name);
  tokens_.erase(n.token);
  unconfirmed_.erase(name);
  n.holder.reset();
  n.token = 0;
  n.confirmed = false;
  n.told.reset();
  if (!n.waiting.empty()) free_.insert(name);
  write_row(name, {}, 0);
}

void name_desk::drop_if_idle(std::string const& name) {
  auto const at = names_.find(name);
  if (at->second.holder || !at->second.waiting.empty()) return;
  free_.erase(name);
  names_.erase(at);
}

// ---- what is given

void name_desk::give(base::time_point now) {
  if (!settled(now)) return;
  if (!std::exchange(told_settled_, true)) ++version_; // the table is complete: that is news
  while (!free_.empty() && !exhausted()) {
    auto const name = *free_.begin();
    free_.erase(free_.begin());
    auto& n = names_.at(name);
    n.holder = n.waiting.front();
    n.waiting.pop_front();
    n.token = name_token_of(term_, ++given_);
    n.confirmed = false;
    n.told.reset();
    unconfirmed_.insert(name);
    tokens_.emplace(n.token, name);
    write_row(name, n.holder->node, n.token);
  }
}

std::vector<std::pair<std::string, wire::grants>> name_desk::grants_due(base::time_point now,
                                                                        base::duration pause) {
  std::map<std::string, wire::grants> by_node;
  std::map<std::string, std::size_t> bytes;
  for (auto const& name : unconfirmed_) {
    auto& n = names_.at(name);
    if (n.told && now < *n.told + pause) continue;
    auto const& node = n.holder->node;
    auto& size = bytes[node];
    size += name.size() + wire::item_bytes;
    if (size > limits_.message_bytes_max / 2) continue; // the others next time
    n.told = now;
    auto& g = by_node[node];
    g.term = term_;
    g.session = sessions_.at(node).id;
    g.all.push_back({n.holder->owner, n.token, name});
  }
  return {by_node.begin(), by_node.end()};
}

// ---- the table

void name_desk::write_row(std::string const& name, std::string const& node, std::uint64_t token) {
  auto const [at, fresh] = rows_.try_emplace(name);
  if (!fresh) {
    changes_.erase(at->second.version);
    empty_rows_.erase(at->second.version);
  }
  at->second = {node, token, ++version_};
  changes_.emplace(version_, name);
  if (!node.empty()) return;
  empty_rows_.insert(version_);
  if (empty_rows_.size() <= limits_.names_max) return;
  auto const oldest = *empty_rows_.begin();
  rows_.erase(changes_.at(oldest));
  changes_.erase(oldest);
  empty_rows_.erase(empty_rows_.begin());
  forgotten_ = oldest;
}

std::optional<wire::table> name_desk::table_since(std::uint64_t from) const {
  // Who lacks a row that is not kept any more is told everything anew.
  wire::table out{term_, from < forgotten_ ? 0 : from, version_, told_settled_, {}};
  std::size_t bytes = 0;
  for (auto at = changes_.upper_bound(out.from); at != changes_.end(); ++at) {
    auto const& row = rows_.at(at->second);
    bytes += at->second.size() + row.node.size() + wire::item_bytes;
    if (bytes > limits_.message_bytes_max / 2 && !out.all.empty()) {
      out.to = std::prev(at)->first;
      out.complete = false;
      break;
    }
    out.all.push_back({at->second, row.node, row.token});
  }
  return out;
}

name_desk::standing_of_token name_desk::look_up(std::uint64_t token, base::time_point now) const {
  using what = standing_of_token;
  if (tokens_.contains(token)) return what::current;
  if (term_of(token) > term_ || token > name_token_of(term_, given_)) return what::unknown;
  if (term_of(token) < term_ && !settled(now)) return what::unsure; // its holder may not have said so yet
  return what::stale;
}

} // namespace remora::raft
