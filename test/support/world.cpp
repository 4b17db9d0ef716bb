#include "support/world.hpp"

#include "base/check.hpp"
#include "etf/parse.hpp"
#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace remora::test {

using namespace std::chrono_literals;

namespace {

class core_host : public host {
public:
  explicit core_host(node::core_options options) : core(std::move(options)) {}
  node::core core;

  node::connection_id accepted(std::uint32_t challenge, base::time_point now) override {
    return core.accepted(challenge, now);
  }
  void dialled(node::connection_id id, std::uint32_t challenge, base::time_point now) override {
    core.dialled(id, challenge, now);
  }
  void dial_failed(node::connection_id id, std::string why, base::time_point now) override {
    core.dial_failed(id, std::move(why), now);
  }
  bool reading_wanted(node::connection_id id) const override { return core.reading_wanted(id); }
  std::span<std::uint8_t> input_room(node::connection_id id) override { return core.input_room(id); }
  void received(node::connection_id id, std::size_t count, base::time_point now) override {
    core.received(id, count, now);
  }
  void read_buffered(node::connection_id id, base::time_point now) override { core.read_buffered(id, now); }
  void closed(node::connection_id id, std::string why, base::time_point now) override {
    core.closed(id, std::move(why), now);
  }
  dist::connection* connection(node::connection_id id) override { return core.connection(id); }
  void written(node::connection_id id, std::size_t count, base::time_point now) override {
    core.written(id, count, now);
  }
  void wake(base::time_point now) override { core.wake(now); }
  std::optional<base::time_point> next_deadline() const override { return core.next_deadline(); }
  std::vector<node::effect> take_effects() override { return core.take_effects(); }
  std::vector<node::connection_id> take_writable() override { return core.take_writable(); }
};

etf::term parsed(std::string_view text) {
  auto t = etf::parse(text);
  base::check(t.has_value(), "test: a term's text");
  return *t;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

} // namespace

// ---- the raw peer

raw_peer::raw_peer(std::string its_name, std::uint64_t its_flags, std::string its_cookie)
    : name(std::move(its_name)), flags(its_flags), cookie(std::move(its_cookie)) {}

dist::handshake_config raw_peer::config(std::uint32_t challenge) const {
  return {.our_name = name,
          .creation = creation,
          .flags = flags,
          .cookie = cookie,
          .challenge = challenge,
          .setup_time = 1000s};
}

void raw_peer::dial(std::string const& to) {
  dialling_[++last_] = to;
  effects_.emplace_back(node::dial{.connection = last_, .node = to});
}

dist::connection* raw_peer::up() {
  for (auto it = wires_.rbegin(); it != wires_.rend(); ++it)
    if (it->second.connected()) return &it->second;
  return nullptr;
}

void raw_peer::send_term(etf::term const& control, etf::term const& payload) {
  auto* const wire = up();
  base::check(wire != nullptr, "test: the raw peer is connected");
  wire->out().push(0, control->bytes(), payload);
}

void raw_peer::send(std::string_view control, std::string_view payload) {
  send_term(parsed(control), payload.empty() ? etf::term() : parsed(payload));
}

void raw_peer::send_bytes(std::string_view bytes) {
  base::buffer frame;
  frame.put(static_cast<std::uint32_t>(bytes.size()));
  frame.append(bytes);
  up()->out().push_raw(frame.view());
}

void raw_peer::tick() { send_bytes({}); }

void raw_peer::hang_up() {
  for (auto const& [id, wire] : wires_) effects_.emplace_back(node::hang_up{id});
}

node::connection_id raw_peer::accepted(std::uint32_t challenge, base::time_point now) {
  wires_.emplace(++last_, dist::connection(dist::handshake::accept(config(challenge), now), {}, now));
  return last_;
}

void raw_peer::dialled(node::connection_id id, std::uint32_t challenge, base::time_point now) {
  wires_.emplace(
      id, dist::connection(dist::handshake::initiate(config(challenge), dialling_.at(id), now), {}, now));
}

void raw_peer::dial_failed(node::connection_id, std::string why, base::time_point) {
  log.push_back("dial failed: " + why);
}
bool raw_peer::reading_wanted(node::connection_id id) const { return !deaf && wires_.contains(id); }
std::span<std::uint8_t> raw_peer::input_room(node::connection_id id) { return wires_.at(id).input_room(); }

void raw_peer::received(node::connection_id id, std::size_t count, base::time_point now) {
  wires_.at(id).received(count, now);
  if (!mute) pump(id, now);
}
void raw_peer::read_buffered(node::connection_id id, base::time_point now) { pump(id, now); }

void raw_peer::pump(node::connection_id id, base::time_point now) {
  while (wires_.contains(id)) {
    auto& wire = wires_.at(id);
    auto e = wire.next(now);
    if (!e) return;
    if (std::holds_alternative<dist::handshake::named>(*e)) {
      wire.decide(answer, now);
      if (answer == dist::status::nok || answer == dist::status::not_allowed)
        effects_.emplace_back(node::hang_up{id});
    } else if (std::holds_alternative<dist::handshake::authenticated>(*e)) {
      wire.proceed(now);
      log.emplace_back("up");
    } else if (std::holds_alternative<dist::handshake::up>(*e)) {
      log.emplace_back("up");
    } else if (std::holds_alternative<dist::handshake::lost_race>(*e)) {
      log.emplace_back("nok");
      effects_.emplace_back(node::hang_up{id});
    } else if (auto const* const c = std::get_if<dist::connection::closed>(&*e)) {
      log.push_back("closed: " + c->reason);
      effects_.emplace_back(node::hang_up{id});
    } // signals are put into the log by the world, which sees the bytes
  }
}

void raw_peer::closed(node::connection_id id, std::string why, base::time_point) {
  if (wires_.erase(id) > 0 && !why.empty()) log.push_back("closed: " + why);
}
dist::connection* raw_peer::connection(node::connection_id id) {
  auto const found = wires_.find(id);
  return found != wires_.end() ? &found->second : nullptr;
}
void raw_peer::written(node::connection_id id, std::size_t count, base::time_point) {
  wires_.at(id).written(count);
}

std::vector<node::connection_id> raw_peer::take_writable() {
  std::vector<node::connection_id> out;
  for (auto const& [id, wire] : wires_)
    if (!wire.out().empty()) out.push_back(id);
  return out;
}

// ---- the world

// One end of a pipe, as io/driver has a session.
struct world::session {
  member* owner;
  node::connection_id id;
  session* other = nullptr;                                      // nullptr once it is gone
  std::string far = {};                                          // the name of the node at the other end
  std::string inbox = {};                                        // on its way here
  std::deque<std::pair<base::time_point, std::size_t>> due = {}; // when which part of it arrives
  base::time_point end_due = {};                                 // when the end behind it does
  bool dark = false;                                             // the end never comes
  bool open = true;
  bool blocked = false; // the pipe takes nothing more: written again when there is room
  bool hung_up = false;
  std::optional<base::time_point> last_words; // until then what waits may be written

  std::string watched = {}; // what it wrote, for the tap
  bool frames = false;      // beyond the handshake

  // Of what is on its way, how much is here.
  std::size_t here(base::time_point now) const {
    std::size_t bytes = 0;
    for (auto const& [at, size] : due) {
      if (at > now) break;
      bytes += size;
    }
    return bytes;
  }
  bool readable(base::time_point now) const {
    if (!due.empty()) return due.front().first <= now;
    return other == nullptr && !dark && end_due <= now;
  }
};

world::world(std::uint64_t seed) : random_(seed), now_(1000s) {}
world::~world() = default;

node::core& world::add(std::string const& name, node::core_options options, std::uint32_t creation) {
  auto m = std::make_unique<member>();
  m->name = options.name = name;
  if (options.cookie.empty()) options.cookie = "cookie";
  m->options = options;
  m->creation = creation != 0 ? creation : 1000 + static_cast<std::uint32_t>(members_.size());
  auto& out = *m;
  members_[name] = std::move(m);
  start(out);
  return *out.core;
}

void world::start(member& m) {
  m.options.seed = random_.next();
  auto h = std::make_unique<core_host>(m.options);
  m.core = &h->core;
  m.who = std::move(h);
  m.core->start(m.creation, now_);
}

raw_peer& world::raw(std::string const& name, std::uint64_t flags) {
  if (members_.contains(name)) kill(name);
  auto m = std::make_unique<member>();
  m->name = name;
  auto h = std::make_unique<raw_peer>(name, flags, "cookie");
  auto& out = *h;
  m->raw = h.get();
  m->who = std::move(h);
  members_[name] = std::move(m);
  return out;
}

void world::kill(std::string const& name, bool dark) {
  auto& m = *members_.at(name);
  for (auto const& s : std::vector(sessions_)) { // the system closes its sockets
    if (s->owner != &m) continue;
    if (s->other != nullptr) s->other->dark = dark;
    finish(*s, false);
  }
  std::erase_if(dials_, [&](auto const& d) { return d.from == &m; });
  buried_.push_back(std::move(members_.at(name))); // processes of others may still be asked about
  members_.erase(name);
}

node::core& world::restart(std::string const& name) {
  auto const options = members_.at(name)->options;
  auto const creation = members_.at(name)->creation + 100;
  kill(name);
  auto m = std::make_unique<member>();
  m->name = name;
  m->options = options;
  m->creation = creation;
  auto& out = *m;
  members_[name] = std::move(m);
  start(out);
  return *out.core;
}

node::core& world::at(std::string const& name) { return *members_.at(name)->core; }

etf::pid world::spawn(node::core& n, node::body body, std::string_view name) {
  auto const p = n.spawn(std::move(body), name, "test:process/0");
  n.wake(now_); // runs it
  return p;
}

etf::pid world::probe(node::core& n, std::string_view name, bool trap_exit) {
  auto const key = std::make_shared<std::string>();
  auto const p = spawn(
      n,
      [this, key, trap_exit](node::self me) -> node::task<> {
        me.trap_exit(trap_exit);
        *key = etf::print(etf::make(me.pid()));
        while (true) {
          auto const message = co_await me.receive();
          logs_[*key].push_back(text(message));
        }
      },
      name);
  if (!name.empty()) label(p, std::string(name));
  return p;
}

lines& world::log(etf::pid const& p) { return logs_[etf::print(etf::make(p))]; }

node::self world::as(etf::pid const& p) {
  auto& n = at(std::string(p.node.text()));
  n.wake(now_);
  auto* const found = n.find_process(p);
  base::check(found != nullptr, "test: the process is alive");
  return {n, *found};
}

bool world::alive(etf::pid const& p) {
  auto const found = members_.find(std::string(p.node.text()));
  return found != members_.end() && found->second->core->find_process(p) != nullptr;
}

// ---- one thing after the other

bool world::can_connect(pending_dial const& d) const {
  if (hold_dials_ || d.due > now_ || d.from->frozen) return false;
  auto const to = members_.find(d.to);
  if (to != members_.end() && to->second->frozen) return false;
  return !stalled(d.from->name, d.to) && !stalled(d.to, d.from->name);
}

bool world::step() {
  for (auto const& [name, m] : members_) {
    if (m->frozen) continue;
    if (m->core != nullptr) m->core->wake(now_);
    settle(*m);
  }
  using what = choice::what;
  choices_.clear();
  for (std::size_t i = 0; i < dials_.size(); ++i)
    if (can_connect(dials_[i])) choices_.push_back({what::connect, i});
  for (std::size_t i = 0; i < sessions_.size(); ++i) {
    auto const& s = *sessions_[i];
    if (!s.open || s.owner->frozen) continue;
    if (s.last_words && *s.last_words <= now_) choices_.push_back({what::last_words, i});
    if (s.blocked && s.other != nullptr && s.other->inbox.size() < socket_bytes)
      choices_.push_back({what::unblock, i});
    if (!s.hung_up && s.readable(now_) && s.owner->who->reading_wanted(s.id) &&
        !stalled(s.far, s.owner->name))
      choices_.push_back({what::deliver, i});
  }
  if (choices_.empty()) // a node may have more to do than it does at once
    return std::any_of(members_.begin(), members_.end(), [&](auto const& m) {
      if (m.second->core == nullptr || m.second->frozen) return false;
      auto const next = m.second->core->next_deadline();
      return next && *next <= now_;
    });
  ++steps_;
  auto const next = choices_[random_.below(choices_.size())];
  if (next.kind == what::connect) {
    auto d = std::move(dials_[next.index]);
    dials_.erase(dials_.begin() + static_cast<std::ptrdiff_t>(next.index));
    connect(std::move(d));
  } else {
    auto const s = sessions_[next.index];
    if (next.kind == what::last_words) {
      finish(*s);
    } else if (next.kind == what::unblock) {
      s->blocked = false;
      flush(*s);
    } else {
      deliver(*s);
    }
  }
  std::erase_if(sessions_, [](auto const& s) { return !s->open; });
  return true;
}

void world::run() {
  while (step()) {
  }
}

void world::pass(base::duration time) {
  auto const end = now_ + time;
  while (true) {
    run();
    std::optional<base::time_point> next;
    auto const later = [&](std::optional<base::time_point> at) {
      if (at && *at > now_) next = base::earliest(next, at);
    };
    for (auto const& [name, m] : members_)
      if (!m->frozen) next = base::earliest(next, m->who->next_deadline());
    for (auto const& d : dials_) later(d.due);
    for (auto const& s : sessions_) {
      if (!s->open || s->owner->frozen) continue;
      next = base::earliest(next, s->last_words);
      if (!s->due.empty())
        later(s->due.front().first);
      else if (s->other == nullptr && !s->dark)
        later(s->end_due);
    }
    if (!next || *next > end) break;
    now_ = std::max(now_, *next);
    for (auto const& [name, m] : members_) {
      if (m->frozen) continue;
      m->who->wake(now_);
      settle(*m);
    }
  }
  now_ = end;
  run();
}

world::session_ptr world::find(member const& m, node::connection_id id) {
  auto const found = std::find_if(sessions_.begin(), sessions_.end(),
                                  [&](auto const& s) { return s->open && s->owner == &m && s->id == id; });
  return found != sessions_.end() ? *found : nullptr;
}

void world::settle(member& m) {
  while (true) {
    auto effects = m.who->take_effects();
    auto const writable = m.who->take_writable();
    bool moved = !effects.empty();
    for (auto const id : writable)
      if (auto const s = find(m, id); s != nullptr && !s->blocked) {
        moved = moved || s->other != nullptr; // a broken pipe takes nothing
        flush(*s);
      }
    for (auto& e : effects) carry_out(m, e);
    if (!moved) return;
  }
}

void world::carry_out(member& m, node::effect& e) {
  if (std::holds_alternative<node::peer_down>(e)) losses_.push_back(now_);
  if (auto const* const d = std::get_if<node::dial>(&e)) {
    auto const fate = weather_ != nullptr ? weather_->dial(m.name, d->node) : weather::dial_fate();
    dials_.push_back(
        {.from = &m, .id = d->connection, .to = d->node, .due = now_ + fate.after, .fails = fate.fails});
  } else if (auto const* const h = std::get_if<node::hang_up>(&e)) {
    auto const s = find(m, h->connection);
    if (s == nullptr) return;
    s->hung_up = true;
    auto* const wire = m.who->connection(s->id);
    if (wire == nullptr || wire->out().empty()) return finish(*s);
    s->last_words = now_ + 1s;
    flush(*s);
  } else if (auto const* const r = std::get_if<node::resume_reading>(&e)) {
    m.who->read_buffered(r->connection, now_);
  } else {
    note(fmt::format("{}: {}", short_name(m.name), tell(node::describe(e))));
  }
}

void world::flush(session& s) {
  while (s.open && !s.blocked) {
    auto* const wire = s.owner->who->connection(s.id);
    if (wire == nullptr) break;
    auto const parts = wire->out().gather();
    if (parts.empty()) break;
    if (s.other == nullptr) { // a broken pipe: the reader hears of it
      if (s.hung_up) finish(s);
      return;
    }
    std::size_t const room = socket_bytes - std::min(socket_bytes, s.other->inbox.size());
    std::size_t budget = std::min<std::size_t>(room, 1 + random_.below(chunk_bytes_max));
    std::string bytes;
    for (auto const part : parts) {
      auto const taken = part.first(std::min(part.size(), budget));
      bytes += base::as_text(taken);
      budget -= taken.size();
    }
    if (bytes.empty()) {
      s.blocked = true;
      return;
    }
    if (!filter) arrive(*s.other, bytes);
    watch(s, bytes);
    s.owner->who->written(s.id, bytes.size(), now_);
  }
  if (s.open && s.hung_up && !s.blocked) finish(s);
}

// Into a pipe: behind all that is in it.
void world::arrive(session& at, std::string_view bytes) {
  auto when = now_;
  if (weather_ != nullptr) when += weather_->latency(at.far, at.owner->name);
  if (!at.due.empty()) when = std::max(when, at.due.back().first);
  at.inbox += bytes;
  at.due.emplace_back(when, bytes.size());
}

void world::finish(session& s, bool tell_owner) {
  if (!s.open) return;
  s.open = false;
  if (s.other != nullptr) { // it reads what is on its way, and then the end
    if (weather_ != nullptr) s.other->end_due = now_ + weather_->latency(s.owner->name, s.far);
    s.other->other = nullptr;
  }
  s.other = nullptr;
  if (tell_owner) s.owner->who->closed(s.id, {}, now_);
}

void world::deliver(session& s) {
  if (s.inbox.empty()) {
    s.owner->who->closed(s.id, "the peer closed the connection", now_);
    finish(s);
  } else {
    auto const room = s.owner->who->input_room(s.id);
    std::size_t const count =
        std::min({room.size(), s.here(now_), static_cast<std::size_t>(1 + random_.below(chunk_bytes_max))});
    std::memcpy(room.data(), s.inbox.data(), count);
    s.inbox.erase(0, count);
    for (std::size_t left = count; left > 0;) {
      auto& front = s.due.front();
      auto const taken = std::min(left, front.second);
      left -= taken;
      front.second -= taken;
      if (front.second == 0) s.due.pop_front();
    }
    s.owner->who->received(s.id, count, now_);
  }
  settle(*s.owner);
}

void world::connect(pending_dial d) {
  auto const challenge = [&] { return static_cast<std::uint32_t>(random_.next()); };
  auto const target = members_.find(d.to);
  if (target == members_.end() || unreachable_.contains(d.to) || d.fails) {
    d.from->who->dial_failed(d.id, "nobody is there", now_);
    return settle(*d.from);
  }
  auto& to = *target->second;
  auto const theirs = to.who->accepted(challenge(), now_);
  auto const ours = std::make_shared<session>(session{.owner = d.from, .id = d.id, .far = d.to});
  d.from->who->dialled(d.id, challenge(), now_);
  if (d.from->who->connection(d.id) != nullptr) sessions_.push_back(ours);
  if (theirs != 0) {
    auto const there = std::make_shared<session>(session{.owner = &to, .id = theirs, .far = d.from->name});
    sessions_.push_back(there);
    if (d.from->who->connection(d.id) != nullptr) {
      ours->other = there.get();
      there->other = ours.get();
    }
  }
  settle(*d.from);
  settle(to);
}

void world::cut(std::string const& a, std::string const& b) {
  for (auto const& s : std::vector(sessions_)) {
    if (!s->open || s->other == nullptr || s->owner->name != a || s->other->owner->name != b) continue;
    for (auto* const end : {s.get(), s->other}) {
      end->inbox.clear();
      end->due.clear();
      end->end_due = now_;
    }
    s->other->other = nullptr;
    s->other = nullptr;
  }
}

void world::stall(std::string const& from, std::string const& to, bool on) {
  if (on)
    stalled_.emplace(from, to);
  else
    stalled_.erase({from, to});
}

bool world::stalled(std::string const& from, std::string const& to) const {
  return !stalled_.empty() && stalled_.contains({from, to});
}

void world::freeze(std::string const& name, bool on) { members_.at(name)->frozen = on; }

std::size_t world::connections_between(std::string const& a, std::string const& b) const {
  return static_cast<std::size_t>(std::count_if(sessions_.begin(), sessions_.end(), [&](auto const& s) {
    return s->open && ((s->owner->name == a && s->far == b) || (s->owner->name == b && s->far == a));
  }));
}

void world::unreachable(std::string const& name, bool on) {
  if (on)
    unreachable_.insert(name);
  else
    unreachable_.erase(name);
}

// ---- words

void world::label(etf::pid const& p, std::string name) {
  labels_.emplace_back(etf::print(etf::make(p)), std::move(name));
}

std::string world::tell(std::string line) const {
  for (auto const& [pid, name] : labels_) replace_all(line, pid, name);
  for (auto at = line.find("#Ref<"); at != std::string::npos; at = line.find("#Ref<")) {
    auto const ref = line.substr(at, line.find('>', at) + 1 - at);
    auto const known = references_.emplace(ref, references_.size() + 1).first;
    line.replace(at, ref.size(), fmt::format("R{}", known->second));
  }
  return line;
}

std::string world::text(etf::view v) const { return tell(etf::print(v, {.bytes_max = 200})); }

// Cuts what was written into handshake messages and frames.
void world::watch(session& from, std::string_view bytes) {
  from.watched += bytes;
  while (true) {
    std::size_t const head = from.frames ? 4 : 2;
    if (from.watched.size() < head) return;
    auto const* const data = base::as_bytes(from.watched).data();
    std::size_t const size =
        from.frames ? base::load_be<std::uint32_t>(data) : base::load_be<std::uint16_t>(data);
    if (from.watched.size() < head + size) return;
    auto const whole = from.watched.substr(0, head + size);
    from.watched.erase(0, head + size);
    auto const body = std::string_view(whole).substr(head);
    auto const copies = filter && from.frames ? copies_of(from, body) : 1;
    trace_frame(from, body);
    if (filter)
      for (std::size_t i = 0; i < copies; ++i) arrive(*from.other, whole);
  }
}

std::size_t world::copies_of(session const& from, std::string_view body) const {
  if (body.size() <= 3 || body.substr(0, 2) != "\x83\x44" || body[2] != 0) return 1;
  auto const terms = base::as_bytes(body).subspan(3);
  auto const control = terms.first(etf::term_size(terms.data()));
  return filter(from.owner->name, from.far, etf::view(control), etf::view(terms.subspan(control.size())));
}

void world::note(std::string line) {
  if (stamp_) {
    auto const t =
        std::chrono::duration_cast<std::chrono::microseconds>(now_ - base::time_point(1000s)).count();
    line = fmt::format("{}.{:06} {}", t / 1'000'000, t % 1'000'000, line);
  }
  trace_.push_back(std::move(line));
}

void world::trace_frame(session& from, std::string_view body) {
  auto const to = from.other->owner;
  if (from.frames && quiet_ && !tap_ && to->raw == nullptr) return;
  std::string line;
  if (!from.frames) {
    char const tag = body[0];
    if (tag == 'a' || tag == 'r') from.frames = true; // the last that this side says
    if (tag == 's')
      line = fmt::format("s {}", body.substr(1));
    else
      line = std::string(1, tag);
  } else if (body.empty()) {
    line = "tick";
  } else if (body.size() > 3 && body.substr(0, 2) == "\x83\x44" && body[2] == 0) {
    auto const terms = base::as_bytes(body).subspan(3);
    auto const control = terms.first(etf::term_size(terms.data()));
    line = text(etf::view(control));
    if (control.size() < terms.size()) line += " | " + text(etf::view(terms.subspan(control.size())));
  } else if (body.size() > 18 && body[0] == '\x83' && (body[1] == 69 || body[1] == 70)) {
    line = fmt::format("fragment {} of {}", base::load_be<std::uint64_t>(base::as_bytes(body).data() + 10),
                       base::load_be<std::uint64_t>(base::as_bytes(body).data() + 2));
  } else {
    line = fmt::format("{} bytes", body.size());
  }
  if (to->raw != nullptr && from.frames && !(line == "r" || line == "a")) to->raw->log.push_back(line);
  if (tap_) note(fmt::format("{}->{} {}", short_name(from.owner->name), short_name(to->name), line));
}

} // namespace remora::test
