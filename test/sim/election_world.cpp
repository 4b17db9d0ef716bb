#include "sim/election_world.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

election_world::election_world(settings const& s, bool ordered)
    : settings_(s), random_(s.seed * 2 + 1), ordered_(ordered), latency_(between(50us, 4ms)),
      jitter_(ordered || chance(50) ? between(0us, 4ms) : between(0us, 60ms)), has_slow_links_(chance(60)) {}

base::duration election_world::between(base::duration from, base::duration to) {
  return from + base::duration(static_cast<base::duration::rep>(
                    below(static_cast<std::uint64_t>((to - from).count()) + 1)));
}

election_world::host& election_world::add(raft::options o, bool keeps_state, double rate) {
  auto h = std::make_unique<host>();
  h->index = hosts_.size();
  h->name = fmt::format("{}@h", static_cast<char>('a' + static_cast<char>(h->index)));
  h->o = std::move(o);
  h->keeps_state = keeps_state;
  h->rate = rate;
  h->true_base = now_;
  h->local_base = base::time_point{} + between(1h, 100h);
  h->disk_spread = chance(20) ? 150ms : 5ms;
  hosts_.push_back(std::move(h));
  return *hosts_.back();
}

raft::durable election_world::fresh_state() {
  raft::durable d;
  d.instance = ++instances_ * 1'000 + below(1'000);
  return d;
}

election_world::host* election_world::find(std::string const& name) {
  for (auto& h : hosts_)
    if (h->name == name) return h.get();
  return nullptr;
}

// ---- time

base::time_point election_world::local(host const& h, base::time_point at) const {
  auto const ns = static_cast<double>((at - h.true_base).count()) * h.rate;
  return h.local_base + base::duration(static_cast<base::duration::rep>(ns));
}

base::time_point election_world::true_time(host const& h, base::time_point at) const {
  auto const ns = static_cast<double>((at - h.local_base).count()) / h.rate;
  auto out = h.true_base + base::duration(static_cast<base::duration::rep>(ns));
  while (local(h, out) < at) out += 1ns;
  return out;
}

void election_world::after(base::duration time, std::function<void()> what) {
  queue_.push({now_ + time, ++order_, std::move(what)});
}

void election_world::pass(base::duration time) {
  auto const until = now_ + time;
  while (!failed()) {
    auto next = until;
    host* who = nullptr;
    for (auto& h : hosts_)
      if (h->wake && !h->paused && *h->wake <= next) {
        next = *h->wake;
        who = h.get();
      }
    if (!queue_.empty() && queue_.top().at <= next) {
      auto const what = queue_.top().what;
      now_ = std::max(now_, queue_.top().at);
      queue_.pop();
      what();
      continue;
    }
    if (who == nullptr) break;
    now_ = std::max(now_, next);
    who->spins = who->spun == now_ ? who->spins + 1 : 0;
    who->spun = now_;
    if (who->spins > 100) return complain("spins", who->name + " is awake all the time");
    feed(*who, raft::tick{});
  }
  now_ = std::max(now_, until);
}

// ---- nodes

void election_world::start(host& h) {
  if (h.up()) return;
  ++h.life;
  h.disk_fails = false;
  if (h.keeps_state && !h.disk) h.disk = fresh_state();
  if (mutated("unsynced") && h.disk_before) h.disk = h.disk_before;
  if (mutated("forgets_terms") && h.disk && h.disk->config.cluster != 0) {
    h.disk->term = 0;
    h.disk->voted_for.clear();
    h.disk->config.term = 0;
  }
  if (mutated("lost_acceptor") && h.disk && h.disk->config.cluster == 0) {
    h.disk->promised = h.disk->accepted = {};
    h.disk->accepted_config = {};
  }
  h.core = std::make_unique<raft::core>(raft::identity{h.name}, h.o, random_.next());
  note(fmt::format("{} starts", h.name));
  feed(h, raft::start{h.keeps_state ? h.disk : std::nullopt});
  for (auto& other : hosts_)
    if (other.get() != &h && other->up()) reconnect(h, *other);
}

void election_world::crash(host& h, fate of_writes, bool noticed) {
  if (!h.up()) return;
  note(fmt::format("{} crashes", h.name));
  for (auto const& [id, w] : h.writing) // a later one takes the place of an earlier one
    if (of_writes == fate::kept) h.disk = w.second;
  if (of_writes == fate::torn) {
    h.disk.reset();
    h.disk_before.reset();
    note(fmt::format("{} has lost its state", h.name));
  }
  h.writing.clear();
  h.core.reset();
  h.wake.reset();
  h.backlog.clear();
  h.paused = false;
  h.requests.clear();
  h.candidates.clear();
  ++h.life;
  for (auto& other : hosts_)
    if (other.get() != &h) disconnect(h, *other, 0ms, noticed ? between(0ms, 3ms) : between(300ms, 1s));
}

void election_world::pause(host& h) {
  if (!h.up() || h.paused) return;
  note(h.name + " hangs");
  h.paused = true;
  h.paused_at = now_;
}

void election_world::resume(host& h) {
  if (!h.paused) return;
  note(h.name + " goes on");
  h.paused = false;
  for (auto& [id, r] : h.requests) r.until += now_ - h.paused_at;
  for (auto const& e : std::exchange(h.backlog, {})) {
    if (!h.up() || failed()) return;
    feed(h, e);
  }
}

void election_world::deliver(host& h, raft::event e) {
  if (!h.up()) return;
  if (h.paused)
    h.backlog.push_back(std::move(e));
  else
    feed(h, e);
}

void election_world::feed(host& h, raft::event const& e) {
  if (!h.up() || failed()) return;
  ++steps_;
  if (settings_.trace && !std::holds_alternative<raft::message>(e) && !std::holds_alternative<raft::tick>(e))
    note(fmt::format("{} <- {}", h.name, describe(e)));
  raft::effects out;
  auto at = local(h);
  if (mutated("no_wait") && std::holds_alternative<raft::start>(e)) at -= 2s;
  h.core->handle(e, at, out);
  for (auto& effect : out) carry_out(h, effect);
  auto const next = h.core->next_deadline();
  h.wake = next ? std::optional(std::max(now_, true_time(h, *next))) : std::nullopt;
  if (mutated("early_tick") && h.wake) *h.wake = std::max(now_, *h.wake - 1us);
  if (after_step) after_step(h);
}

raft::request_id election_world::ask(host& h, std::function<raft::event(raft::request_id)> const& what,
                                     std::string words, base::duration bound, std::uint64_t token) {
  auto const id = ++last_request_;
  h.requests[id] = {std::move(words), now_ + bound, token};
  feed(h, what(id));
  return id;
}

// ---- links

election_world::pair_of_hosts& election_world::between_hosts(std::size_t a, std::size_t b) {
  return pairs_[std::minmax(a, b)];
}

void election_world::reconnect(host& a, host& b) {
  after(between(0ms, calm_ ? 5ms : 60ms), [this, &a, &b, la = a.life, lb = b.life] {
    auto& p = between_hosts(a.index, b.index);
    if (a.life != la || b.life != lb || !a.up() || !b.up() || p.cut || p.connected) return;
    p.connected = true;
    ++p.number;
    deliver(a, raft::peer_up{b.name});
    deliver(b, raft::peer_up{a.name});
  });
}

void election_world::disconnect(host& a, host& b, base::duration a_hears, base::duration b_hears) {
  auto& p = between_hosts(a.index, b.index);
  if (!p.connected) return;
  p.connected = false;
  p.kept.clear();
  auto const tell = [&](host& to, host& of, base::duration in) {
    after(in, [this, &to, name = of.name, life = to.life, number = p.number, &p] {
      if (to.life == life && p.number == number && !p.connected) deliver(to, raft::peer_down{name});
    });
  };
  tell(a, b, a_hears);
  tell(b, a, b_hears);
  // Not before both have noticed is there another connection.
  after(std::max(a_hears, b_hears) + 1ms, [this, &a, &b, &p] {
    if (!p.cut && a.up() && b.up()) reconnect(a, b);
  });
}

void election_world::cut(host& a, host& b, bool noticed) {
  auto& p = between_hosts(a.index, b.index);
  if (p.cut) return;
  note(fmt::format("{} and {} are parted{}", a.name, b.name, noticed ? "" : ", in silence"));
  p.cut = true;
  if (noticed) disconnect(a, b, between(0ms, 10ms), between(0ms, 10ms));
}

void election_world::heal(host& a, host& b) {
  auto& p = between_hosts(a.index, b.index);
  deafen(a, b, false);
  deafen(b, a, false);
  if (!p.cut) return;
  p.cut = false;
  note(fmt::format("{} and {} reach each other", a.name, b.name));
  for (auto const& one : std::exchange(p.kept, {})) one();
  if (!p.connected && a.up() && b.up()) reconnect(a, b);
}

void election_world::deafen(host const& from, host const& to, bool deaf) {
  if (deaf)
    deaf_.insert({from.index, to.index});
  else
    deaf_.erase({from.index, to.index});
}

void election_world::calm() {
  calm_ = ordered_ = true;
  deaf_.clear();
  jitter_ = std::min<base::duration>(jitter_, 4ms);
  for (auto& [who, slow] : slow_) slow = 0ms;
}

// ---- what they do

void election_world::carry_out(host& h, raft::effect& e) {
  if (on_effect) on_effect(h, e);
  if (auto* const s = std::get_if<raft::send>(&e)) return send(h, *s);
  if (auto* const p = std::get_if<raft::persist>(&e)) return save(h, *p);
  note(fmt::format("{} -> {}", h.name, describe(e)));
  if (auto const* const r = std::get_if<raft::reply>(&e)) {
    auto result = r->result;
    if (mutated("good_for_all") && result == raft::result(raft::failure::stale_token)) result = raft::done{};
    if (mutated("lost_reply")) return;
    on_reply(h, r->id, result);
    h.requests.erase(r->id);
  }
}

void election_world::save(host& h, raft::persist& p) {
  auto const time = calm_ ? between(100us, 2ms) : between(100us, h.disk_spread);
  h.writing[p.id] = {now_ + time, p.state};
  auto const done = [this, &h, id = p.id, life = h.life] {
    if (h.life != life || !h.writing.contains(id)) return;
    if (h.disk_fails)
      deliver(h, raft::save_failed{id, "sim"});
    else
      deliver(h, raft::saved{id});
  };
  if (mutated("says_too_early")) return after(0ms, done);
  after(time, [&h, id = p.id, life = h.life, done] {
    if (h.life != life || !h.writing.contains(id)) return;
    if (!h.disk_fails) {
      if (h.disk && h.disk->config.cluster != 0) h.disk_before = h.disk;
      h.disk = h.writing.at(id).second;
    }
    done();
    h.writing.erase(id);
  });
}

void election_world::send(host& h, raft::send& s) {
  auto* const to = find(s.node);
  if (to == nullptr || to == &h) return complain("world", h.name + " sends to " + s.node);
  if (settings_.trace) {
    auto const e = raft::wire::read(s.bytes, {});
    if (e && e->body.index() != 3 && e->body.index() != 4)
      note(fmt::format("{} -> {}: {}", h.name, to->name, describe(e->body)));
    if (!e) complain("world", h.name + " sends what cannot be read");
  }
  if (s.bytes.size() > raft::limits{}.message_bytes_max)
    return complain("world", h.name + " sends too long a message");
  if (!settings_.mutant.empty() && !tamper(h, *to, s.bytes)) return;
  auto& p = between_hosts(h.index, to->index);
  if (deaf_.contains({h.index, to->index})) return;
  if (p.cut || !p.connected) {
    if (p.connected && ordered_)
      p.kept.push_back(
          [this, from = h.index, dest = to->index, bytes = s.bytes] { transmit(from, dest, bytes); });
    return;
  }
  if (!ordered_ && chance(5)) return;
  if (!ordered_ && chance(5)) transmit(h.index, to->index, s.bytes);
  transmit(h.index, to->index, std::move(s.bytes));
}

void election_world::transmit(std::size_t from, std::size_t to, std::string bytes) {
  auto& h = *hosts_.at(to);
  auto const [slow, drawn] = slow_.try_emplace(to, 0ms);
  if (drawn && !calm_ && has_slow_links_ && chance(25)) slow->second = between(20ms, 120ms);
  auto at = now_ + latency_ + between(0ms, jitter_) + slow->second;
  if (!ordered_ && chance(2)) at += between(0ms, 1s);
  if (ordered_) at = last_arrival_[{from, to}] = std::max(at, last_arrival_[{from, to}]);
  auto& p = between_hosts(from, to);
  queue_.push({at, ++order_,
               [this, &h, &p, number = p.number, life = h.life, ordered = ordered_,
                e = raft::message{hosts_.at(from)->name, std::move(bytes)}]() mutable {
                 if (h.life != life || (ordered && (!p.connected || p.number != number))) return;
                 deliver(h, std::move(e));
               }});
}

// Faults of our own making. False: the message is lost.
bool election_world::tamper(host& from, host& to, std::string& bytes) {
  auto e = raft::wire::read(bytes, {});
  if (!e) return true;
  if (auto* const b = std::get_if<raft::wire::heartbeat>(&e->body)) {
    from.round = b->round;
    if (mutated("eager_names") && to.candidates.empty()) b->name_lease = 1ms;
    if (mutated("shrunk") && chance(1)) {
      b->full = raft::configuration{e->cluster, b->config.term, b->config.version + 1, {}};
      b->full->voters.push_back({to.name, to.disk ? to.disk->instance : 1});
      b->config = raft::wire::stamp_of(*b->full);
    }
  }
  if (auto* const r = std::get_if<raft::wire::heartbeat_reply>(&e->body))
    if (mutated("late_lease") && r->round > 0)
      r->round += static_cast<std::uint64_t>(slow_[to.index] / to.o.heartbeat);
  if (auto* const v = std::get_if<raft::wire::vote>(&e->body))
    if (mutated("no_pre_vote") && v->pre && !v->granted) {
      v->granted = true;
      v->wait = {};
      v->config.reset();
      v->term = v->asked - 1;
    }
  if (std::holds_alternative<raft::wire::grants>(e->body) && mutated("lost_grant")) return false;
  if (auto* const g = std::get_if<raft::wire::grants>(&e->body); g != nullptr && mutated("old_names"))
    for (auto& one : g->all) one.token = raft::name_token_of(1, 1);
  bytes = raft::wire::write(*e);
  return true;
}

void election_world::note(std::string const& line) {
  if (settings_.trace)
    trace_.push_back(
        fmt::format("{:9.4f} {}", std::chrono::duration<double>(now_.time_since_epoch() - 1h).count(), line));
}

void election_world::complain(std::string const& checker, std::string const& words) {
  note(fmt::format("complaint: {}: {}", checker, words));
  complaints_.push_back(checker + ": " + words);
}

} // namespace remora::sim
