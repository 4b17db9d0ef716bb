// The node's connections: who may come in, who is dialled, and what happens when one is lost (dist_util.erl,
// net_kernel.erl; protocol.md 2.2, 3.10).
#include "node/core.hpp"

#include "base/check.hpp"
#include "base/overload.hpp"
#include "dist/flags.hpp"
#include "etf/reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::node {

namespace {
constexpr std::uint32_t creation_min = 4; // smaller ones are of nodes before OTP 23

std::string base36(std::uint64_t value) {
  static constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string out;
  for (; value > 0; value /= 36) out.insert(out.begin(), digits[value % 36]);
  return out.empty() ? "0" : out;
}
} // namespace

carrier* core::find_connection(connection_id id) {
  auto const found = connections_.find(id);
  return found != connections_.end() ? found->second.get() : nullptr;
}

dist::connection* core::connection(connection_id id) {
  auto* const c = find_connection(id);
  return c != nullptr && c->wire ? &*c->wire : nullptr;
}

peer* core::find_peer(std::string_view name) {
  auto const found = peers_.find(name);
  return found != peers_.end() ? found->second.get() : nullptr;
}

dist::handshake_config core::handshake_config(std::uint32_t challenge) const {
  return {.our_name = options_.name,
          .creation = creation_,
          .flags = options_.hidden ? dist::flag::ours & ~dist::flag::published : dist::flag::ours,
          .cookie = options_.cookie,
          .challenge = challenge,
          .setup_time = options_.setup_time};
}

connection_id core::accepted(std::uint32_t challenge, base::time_point now) {
  now_ = now;
  if (leaving_ || handshakes_ >= options_.limits.handshakes_max) return 0;
  auto const id = ++last_connection_;
  auto state = std::make_unique<carrier>();
  state->id = id;
  state->wire.emplace(dist::handshake::accept(handshake_config(challenge), now), options_.limits.connection,
                      now);
  state->incoming = true;
  state->setting_up = true;
  ++handshakes_;
  watch_deadline(state->wire->next_deadline());
  ++connections_changed_;
  connections_.emplace(id, std::move(state));
  return id;
}

peer* core::want_peer(etf::atom const& name) {
  if (auto* const p = find_peer(name.text())) return p;
  if (leaving_ || name == name_ || !etf::is_node_name(name.text()) ||
      peers_.size() >= options_.limits.peers_max)
    return nullptr;
  auto& p = new_peer(name);
  dial(p);
  return &p;
}

peer& core::new_peer(etf::atom const& name) {
  auto p = std::make_unique<peer>();
  p->name = name;
  return *peers_.emplace(name, std::move(p)).first->second;
}

void core::dial(peer& p) {
  auto const id = ++last_connection_;
  auto state = std::make_unique<carrier>();
  state->id = id;
  state->peer = p.name;
  ++connections_changed_;
  connections_.emplace(id, std::move(state));
  p.where = peer::state::dialling;
  p.connection = id;
  p.deadline = now_ + options_.setup_time;
  watch_deadline(p.deadline);
  effects_.emplace_back(node::dial{.connection = id, .node = std::string(p.name.text())});
}

void core::connect(etf::atom const& peer) { want_peer(peer); }

void core::dialled(connection_id id, std::uint32_t challenge, base::time_point now) {
  now_ = now;
  auto* const c = find_connection(id);
  if (c == nullptr) return; // given up meanwhile: the driver was told to hang up
  c->wire.emplace(dist::handshake::initiate(handshake_config(challenge), std::string(c->peer.text()), now),
                  options_.limits.connection, now);
  if (auto* const p = find_peer(c->peer.text())) p->deadline.reset(); // the handshake has its own
  watch_deadline(c->wire->next_deadline());
  mark_writable(*c);
}

void core::dial_failed(connection_id id, std::string why, base::time_point now, std::string_view word) {
  now_ = now;
  auto* const c = find_connection(id);
  if (c == nullptr) return;
  auto const name = c->peer;
  ++connections_changed_;
  connections_.erase(id);
  peer_failed(name, std::move(why), word);
  run_ready();
}

std::span<std::uint8_t> core::input_room(connection_id id) {
  auto* const wire = connection(id);
  base::check(wire != nullptr, "driver: room for a known connection");
  return wire->input_room();
}

void core::received(connection_id id, std::size_t count, base::time_point now) {
  now_ = now;
  auto* const wire = connection(id);
  if (wire == nullptr) return;
  counts_.bytes_in += count;
  wire->received(count, now);
  pump(id);
  run_ready();
}

void core::read_buffered(connection_id id, base::time_point now) {
  now_ = now;
  pump(id);
  run_ready();
}

bool core::reading_wanted(connection_id id) const {
  auto const found = connections_.find(id);
  return found != connections_.end() && found->second->wire && !found->second->closing &&
         !found->second->wire->paused();
}

// Every event may end the connection, and with it anything that points at it: what the table says is asked
// again whenever the table has changed. Whoever got a message runs before the next one is read, while it is
// in the cache.
void core::pump(connection_id id) {
  auto* c = find_connection(id);
  auto seen = connections_changed_;
  while (c != nullptr && !c->closing && c->wire && !c->wire->paused()) {
    auto e = c->wire->next(now_);
    if (!c->wire->out().empty()) mark_writable(*c);
    if (!e) return;
    auto* const s = std::get_if<dist::signal>(&*e);
    c->more_expected = s != nullptr && std::holds_alternative<dist::monitor_p>(s->control);
    if (s != nullptr)
      on_signal(*c->owner, *s, id);
    else
      handle(id, *e);
    run_all();
    if (std::exchange(seen, connections_changed_) != connections_changed_) c = find_connection(id);
  }
}

void core::handle(connection_id id, dist::connection::event& e) {
  std::visit(base::overload{
                 [&](dist::handshake::named const& n) { on_named(id, n); },
                 [&](dist::handshake::lost_race const&) { on_lost_race(id); },
                 [&](dist::handshake::authenticated const&) { on_authenticated(id); },
                 [&](dist::handshake::up const& up) { on_up(id, up); },
                 [&](dist::signal& s) { on_signal(*find_connection(id)->owner, s, id); },
                 [&](dist::connection::closed& c) {
                   on_closed(id, std::move(c.reason), std::move(c.detail), true, c.word);
                 },
             },
             e);
}

void core::on_named(connection_id id, dist::handshake::named const& n) {
  auto& c = *find_connection(id);
  auto& wire = *c.wire;
  if (peers_.size() >= options_.limits.peers_max && find_peer(n.name) == nullptr) {
    c.peer = etf::atom(n.name);
    wire.decide(dist::status::not_allowed, now_);
    mark_writable(c);
    return refuse(id, "peers_max", fmt::format("there are {} peers already", peers_.size()));
  }
  if (n.wants_name) { // a dynamic name: hidden, and it does not listen
    auto given = fmt::format("{}@{}", base36(random_.next()), n.name);
    c.peer = etf::atom(given);
    auto const creation = static_cast<std::uint32_t>(creation_min + random_.below(UINT32_MAX - creation_min));
    wire.decide(dist::status::named, now_, std::move(given), creation);
    return mark_writable(c);
  }
  c.peer = etf::atom(n.name);
  mark_writable(c);
  if (c.peer == name_) {
    wire.decide(dist::status::not_allowed, now_);
    return refuse(id, "not_allowed", "it has this node's own name");
  }
  auto* p = find_peer(n.name);
  if (p != nullptr && p->where == peer::state::up) return wire.decide(dist::status::alive, now_);
  // Both dial at once: the attempt of the greater name survives.
  bool const both = p != nullptr && p->where == peer::state::dialling;
  if (both && name_.text() > c.peer.text()) {
    wire.decide(dist::status::nok, now_);
    return drop_connection(id, true); // not a failure: the peer waits for ours
  }
  auto const ours = both ? p->connection : 0;
  await(p != nullptr ? *p : new_peer(c.peer), id);
  if (ours != 0) drop_connection(ours, false);
  wire.decide(both ? dist::status::ok_simultaneous : dist::status::ok, now_);
}

// What we have for the peer waits for its attempt from now on: a second connection, dialled while this one is
// being set up, would make both ends lose one of them.
void core::await(peer& p, connection_id incoming) {
  p.where = peer::state::awaited;
  p.connection = incoming;
  p.deadline = now_ + 4 * options_.setup_time; // the handshake has its own for each phase
  watch_deadline(p.deadline);
}

// The attempt that was awaited came to nothing, and whoever made it may not even have been that peer: what
// waits for the connection gets one of our own.
void core::awaited_in_vain(peer& p) {
  if (p.queue.empty() && p.waiting_connected.empty())
    take_peer(p.name);
  else
    dial(p);
}

void core::on_lost_race(connection_id id) {
  auto& c = *find_connection(id);
  if (auto* const p = find_peer(c.peer.text()); p != nullptr && p->connection == id) {
    p->where = peer::state::awaited;
    p->connection = 0;
    p->deadline = now_ + options_.setup_time;
    watch_deadline(p->deadline);
  }
  drop_connection(id, false);
}

// The proof is right. An older connection of that name is torn down completely before the peer hears of
// success.
void core::on_authenticated(connection_id id) {
  auto const name = find_connection(id)->peer;
  if (auto* const p = find_peer(name.text())) {
    auto const old = p->connection;
    if (p->where == peer::state::up)
      peer_lost(name, "connection_closed", "the peer opened a new connection");
    else
      p->connection = 0;
    if (old != 0 && old != id) drop_connection(old, false);
  }
  auto* const c = find_connection(id);
  if (c == nullptr) return;
  auto const up = c->wire->proceed(now_);
  mark_writable(*c);
  on_up(id, up);
}

void core::on_up(connection_id id, dist::handshake::up const& up) {
  auto& c = *find_connection(id);
  if (c.incoming && c.setting_up) --handshakes_;
  c.setting_up = false;
  c.peer = etf::atom(up.peer);
  auto* p = find_peer(up.peer);
  if (p != nullptr && p->overflown) {
    peer_failed(c.peer, "queue_limit");
    p = nullptr;
  }
  if (p == nullptr) p = &new_peer(c.peer);
  p->where = peer::state::up;
  p->connection = id;
  p->wire = &c;
  c.owner = p;
  p->deadline.reset();
  p->flags = up.flags;
  p->hidden = (up.flags & dist::flag::published) == 0;
  p->creation = up.creation;
  ++counts_.connections;
  tell_peer(peer_up{.node = up.peer, .hidden = p->hidden, .incoming = c.incoming});
  if (!p->hidden) node_event("nodeup", p->name);
  for (auto& q : std::exchange(p->queue, {})) {
    if (drop_stale(*p, etf::view(q.control))) continue;
    c.wire->out().push(q.sender, q.control->bytes(), q.payload);
    ++counts_.signals_out;
  }
  p->queued_bytes = 0;
  for (auto const waiter : std::exchange(p->waiting_connected, {}))
    if (auto* const process = find_process(waiter)) schedule(*process);
  watch_deadline(c.wire->next_deadline());
  mark_writable(c);
}

// Queued before it was known which incarnation comes: OTP hangs up on these when they are for the one before
// (protocol.md 3.8). True: not to be sent.
bool core::drop_stale(peer& p, etf::view control) {
  auto const parsed = dist::parse_control(control);
  if (!parsed) return false;
  auto const* const message = &parsed->message;
  auto const stale = [&](etf::view to) {
    auto const pid = to.as_pid();
    return pid && p.knows_as_gone(*pid);
  };
  if (auto const* const m = std::get_if<dist::exit>(message)) return stale(m->to);
  if (auto const* const m = std::get_if<dist::unlink_id_ack>(message)) return stale(m->to);
  auto const* const m = std::get_if<dist::unlink_id>(message);
  if (m == nullptr || !stale(m->to)) return false;
  if (auto* const ours = local(m->from);
      ours != nullptr && ours->links.erase(*m->to.as_pid()) > 0 && p.links > 0)
    --p.links;
  return true;
}

bool core::more_expected(connection_id id) const {
  auto const found = connections_.find(id);
  return found != connections_.end() && found->second->more_expected;
}

void core::closed(connection_id id, std::string why, base::time_point now) {
  now_ = now;
  auto* const c = find_connection(id);
  if (c == nullptr) return;
  if (c->closing) {
    connections_.erase(id);
    return;
  }
  on_closed(id, "connection_closed", std::move(why), false);
  run_ready();
}

// A failed handshake's last words (not_allowed) are still written if the socket lives.
void core::on_closed(connection_id id, std::string reason, std::string detail, bool socket_lives,
                     std::string_view word) {
  auto& c = *find_connection(id);
  auto const name = c.peer;
  auto* const p = name.empty() ? nullptr : find_peer(name.text());
  bool const owns = p != nullptr && p->connection == id;
  if (owns && p->where == peer::state::up) {
    if (reason != "connection_closed" && reason != "net_tick_timeout") ++counts_.frames_refused;
    peer_lost(name, std::move(reason), std::move(detail), word);
    return drop_connection(id, false);
  }
  ++counts_.handshakes_failed;
  if (word.empty()) word = "handshake_closed"; // by the peer, without a word: most likely the cookies differ
  // Who closes before it has said its name tells nothing: so ends an attempt that lost a race before it
  // began.
  if (!name.empty() || socket_lives)
    effects_.emplace_back(handshake_failed{.node = std::string(name.text()),
                                           .incoming = c.incoming,
                                           .reason = std::move(reason),
                                           .detail = std::move(detail)});
  drop_connection(id, socket_lives);
  if (!owns) return;
  if (p->where == peer::state::awaited)
    awaited_in_vain(*p);
  else
    dial_over(name, word);
}

// The peer broke a rule on an incoming handshake: what was answered is still written, then it ends.
void core::refuse(connection_id id, std::string reason, std::string detail) {
  auto const& c = *find_connection(id);
  ++counts_.handshakes_failed;
  effects_.emplace_back(handshake_failed{.node = std::string(c.peer.text()),
                                         .incoming = c.incoming,
                                         .reason = std::move(reason),
                                         .detail = std::move(detail)});
  drop_connection(id, true);
}

// With `flush` what waits is still written: the connection stays for the driver's writes until it says
// closed().
void core::drop_connection(connection_id id, bool flush) {
  auto* const c = find_connection(id);
  if (c == nullptr || c->closing) return;
  if (c->incoming && c->setting_up) --handshakes_;
  c->setting_up = false;
  effects_.emplace_back(hang_up{id});
  ++connections_changed_;
  c->owner = nullptr;
  if (flush && c->wire && !c->wire->out().empty()) {
    c->closing = true;
    mark_writable(*c);
  } else {
    connections_.erase(id);
  }
}

void core::disconnect(std::string_view name, std::string reason) {
  auto* const p = find_peer(name);
  if (p == nullptr) return;
  auto const id = p->connection;
  auto const atom = p->name;
  if (p->where == peer::state::up)
    peer_lost(atom, std::move(reason), {});
  else
    peer_failed(atom, std::move(reason));
  if (id != 0) drop_connection(id, true);
}

void core::peer_lost(etf::atom name, std::string reason, std::string detail, std::string_view word) {
  auto const gone = take_peer(name);
  tell_noconnection(*gone, word.empty() ? std::string_view(reason) : word);
  tell_peer(peer_down{.node = std::string(name.text()),
                      .reason = std::move(reason),
                      .detail = std::move(detail),
                      .word = std::string(word)});
  if (!gone->hidden) node_event("nodedown", name);
}

// It never came up. Those who would hear noconnection from a lost peer hear it now; what was queued is lost.
void core::peer_failed(etf::atom name, std::string reason, std::string_view word) {
  auto const* const p = find_peer(name.text());
  if (p == nullptr || p->where == peer::state::up) return;
  std::string const told(word.empty() ? std::string_view(reason) : word);
  effects_.emplace_back(dial_failed_notice{.node = std::string(name.text()), .reason = std::move(reason)});
  dial_over(name, told);
}

void core::dial_over(etf::atom const& name, std::string_view word) {
  ++counts_.dials_failed;
  tell_noconnection(*take_peer(name), word);
}

void core::tell_peer(effect e) {
  effects_.push_back(e);
  for (auto const& told : peers_observers_) told(e);
}

std::unique_ptr<peer> core::take_peer(etf::atom const& name) {
  auto const found = peers_.find(name);
  base::check(found != peers_.end(), "take_peer: it is there");
  auto gone = std::move(found->second);
  peers_.erase(found);
  return gone;
}

// OTP's order (protocol.md 3.10): links, then monitors and pending spawns; node events follow. The peer is
// out of the tables already, so nothing of a new connection can come in between.
void core::tell_noconnection(peer const& gone, std::string_view word) {
  for (auto const& [ref, id] : gone.monitors)
    if (auto* const p = find_process(id)) drop_watcher(*p, {ref, gone.name});
  std::vector<local_id> everybody;
  for (auto const& [id, p] : processes_)
    if (!p->links.empty() || !p->monitors.empty() || !p->spawns.empty()) everybody.push_back(id);
  std::sort(everybody.begin(), everybody.end());
  auto const noconnection = etf::make(etf::am("noconnection"));
  for (auto const id : everybody)
    if (auto* const p = find_process(id)) break_links(*p, gone.name, noconnection);
  for (auto const id : everybody)
    if (auto* const p = find_process(id)) fire_monitors(*p, gone.name, noconnection);
  for (auto const id : gone.waiting_connected)
    if (auto* const p = find_process(id)) p->connect_failure = word;
  for (auto const* const waiting : {&gone.waiting_connected, &gone.waiting_writable})
    for (auto const id : *waiting)
      if (auto* const p = find_process(id)) schedule(*p);
}

void core::break_links(process& p, etf::atom const& node, etf::term const& reason) {
  std::vector<etf::pid> linked;
  for (auto const& [other, entry] : p.links)
    if (other.node == node && entry.active) linked.push_back(other);
  boost::unordered::erase_if(p.links, [&](auto const& l) { return l.first.node == node; });
  std::sort(linked.begin(), linked.end());
  for (auto const& other : linked) kill_or_deliver_exit(p, other, reason, true);
}

void core::fire_monitors(process& p, etf::atom const& node, etf::term const& reason) {
  auto const older = [](etf::reference const& a, etf::reference const& b) { return a.words < b.words; };
  std::vector<etf::reference> fired;
  for (auto const& [ref, w] : p.monitors)
    if ((w.target.pid ? w.target.pid->node : w.target.node) == node) fired.push_back(ref);
  std::sort(fired.begin(), fired.end(), older);
  for (auto const& ref : fired) {
    auto const target = p.monitors.at(ref).target;
    p.monitors.erase(ref);
    fire_down(p, ref, target, reason);
  }
  std::vector<etf::reference> spawns;
  for (auto const& [ref, s] : p.spawns)
    if (s.peer == node) spawns.push_back(ref);
  std::sort(spawns.begin(), spawns.end(), older);
  for (auto const& ref : spawns) {
    p.spawns.erase(ref);
    deliver(p, etf::make(etf::tup(etf::am("spawn_reply"), ref, etf::am("error"), reason)));
  }
}

void core::written(connection_id id, std::size_t count, base::time_point now) {
  now_ = now;
  auto* const wire = connection(id);
  if (wire == nullptr) return;
  bool const was_busy = wire->out().busy();
  wire->written(count);
  counts_.bytes_out += count;
  if (!was_busy || wire->out().busy()) return;
  if (auto* const p = find_peer(find_connection(id)->peer.text()))
    for (auto const waiter : std::exchange(p->waiting_writable, {}))
      if (auto* const process = find_process(waiter)) schedule(*process);
  run_ready();
}

void core::mark_writable(carrier& c) {
  if (c.marked) return;
  c.marked = true;
  writable_.push_back(c.id);
}

std::vector<connection_id> core::take_writable() {
  for (auto const id : writable_)
    if (auto* const c = find_connection(id)) c->marked = false;
  return std::exchange(writable_, {});
}

void core::close_overflown() {
  for (auto const& name : std::exchange(overflown_peers_, {})) {
    auto* const p = find_peer(name.text());
    if (p == nullptr || !p->overflown) continue;
    auto const id = p->connection;
    peer_failed(name, "queue_limit");
    if (id != 0) drop_connection(id, false);
  }
  if (overflown_.empty()) return;
  for (auto const id : std::exchange(overflown_, {}))
    if (auto* const wire = connection(id); wire != nullptr && wire->out().overflown())
      on_closed(id, "outbox_limit",
                fmt::format("{} bytes wait for a peer that does not read them", wire->out().bytes()), true);
}

// Deadlines move with every byte; only the earliest one known is kept, waking too early is harmless, and each
// wake finds the true one again.
void core::watch_deadline(std::optional<base::time_point> when) {
  connections_deadline_ = base::earliest(connections_deadline_, when);
}

void core::wake_connections() {
  if (!connections_deadline_ || now_ < *connections_deadline_) return;
  std::vector<connection_id> due;
  for (auto const& [id, c] : connections_)
    if (c->wire && !c->closing) due.push_back(id);
  std::sort(due.begin(), due.end());
  for (auto const id : due) {
    auto* const c = find_connection(id);
    if (c == nullptr || c->closing || !c->wire) continue;
    auto e = c->wire->wake(now_);
    if (!c->wire->out().empty()) mark_writable(*c);
    if (e) handle(id, *e);
  }
  std::vector<etf::atom> late;
  for (auto const& [name, p] : peers_)
    if (p->deadline && *p->deadline <= now_) late.push_back(name);
  std::sort(late.begin(), late.end());
  for (auto const& name : late) {
    auto const id = find_peer(name.text())->connection;
    peer_failed(name, "timeout");
    if (id != 0) drop_connection(id, false);
  }
  connections_deadline_.reset();
  for (auto const& [id, c] : connections_)
    if (c->wire && !c->closing) watch_deadline(c->wire->next_deadline());
  for (auto const& [name, p] : peers_) watch_deadline(p->deadline);
}

void core::leave(base::time_point now) {
  now_ = now;
  leaving_ = true;
  auto const shutdown = etf::make(etf::am("shutdown"));
  std::vector<local_id> all;
  for (auto const& [id, p] : processes_) all.push_back(id);
  std::sort(all.begin(), all.end(), std::greater<>()); // youngest first, as a supervisor stops its children
  for (auto const id : all)
    if (auto* const p = find_process(id)) terminate(*p, shutdown);
  run_ready(); // and then hang_up_all(); within a process both wait until it does
}

void core::hang_up_all() {
  std::vector<connection_id> open;
  for (auto const& [id, c] : connections_) open.push_back(id);
  std::sort(open.begin(), open.end());
  for (auto const id : open) drop_connection(id, true);
  peers_.clear();
}

std::vector<std::string> core::peers(bool visible, bool hidden) const {
  std::vector<std::string> out;
  for (auto const& [name, p] : peers_)
    if (p->where == peer::state::up && (p->hidden ? hidden : visible)) out.emplace_back(name.text());
  std::sort(out.begin(), out.end());
  return out;
}

bool core::connected(std::string_view name) const {
  auto const found = peers_.find(name);
  return found != peers_.end() && found->second->where == peer::state::up;
}

std::uint32_t core::creation_of(std::string_view name) const {
  return connected(name) ? peers_.find(name)->second->creation : 0;
}

std::vector<std::string> core::busy_peers() const {
  std::vector<std::string> out;
  for (auto const& [name, p] : peers_)
    if (p->where == peer::state::up && p->wire->wire->out().busy()) out.emplace_back(name.text());
  std::sort(out.begin(), out.end());
  return out;
}

std::size_t core::outbox_bytes() const {
  std::size_t bytes = 0;
  for (auto const& [id, c] : connections_)
    if (c->wire) bytes += c->wire->out().bytes();
  return bytes;
}

} // namespace remora::node
