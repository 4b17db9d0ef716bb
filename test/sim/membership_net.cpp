#include "sim/membership_net.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {
constexpr std::int64_t noon = 1'700'000'000'000;
constexpr std::uint32_t million = 1'000'000;
} // namespace

base::duration membership_net::between(base::duration from, base::duration to) {
  return from + base::duration(static_cast<std::int64_t>(
                    random_.below(static_cast<std::uint64_t>((to - from).count()) + 1)));
}

swim::address membership_net::address_of(index n) {
  swim::address out;
  out.ip = {0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0xff,
            0xff,
            10,
            static_cast<std::uint8_t>(n >> 16U),
            static_cast<std::uint8_t>(n >> 8U),
            static_cast<std::uint8_t>(n)};
  out.port = 4000;
  return out;
}

std::optional<membership_net::index> membership_net::find(std::string_view name) const {
  for (index n = 0; n < hosts_.size(); ++n)
    if (hosts_[n].name == name) return n;
  return std::nullopt;
}

membership_net::index membership_net::add(std::string name, swim::options o, swim::limits l) {
  auto& h = hosts_.emplace_back();
  h.name = std::move(name);
  h.options = o;
  h.limits = l;
  h.creation = 1;
  return static_cast<index>(hosts_.size() - 1);
}

membership_net::index membership_net::add_vm(std::string name) {
  auto const n = add(std::move(name), {});
  hosts_[n].up = true;
  return n;
}

void membership_net::start(index n, bool again) {
  auto& h = hosts_[n];
  auto const peers = h.connected;
  for (auto const other : peers) disconnect(n, other); // of its earlier start
  ++h.generation;
  ++h.creation;
  h.up = true;
  h.hung = false;
  h.paused_until = {};
  h.tick_at = base::time_point::max();
  h.core = std::make_unique<swim::core>(
      swim::identity{.node = h.name, .creation = h.creation, .at = address_of(n)}, h.options, directory_,
      random_.next(), h.limits);
  handle(n, swim::start{{noon + now_.time_since_epoch() / 1ms}});
  if (!h.app.empty()) handle(n, swim::app_here{h.app});
  for (auto const other : peers)
    if (again) connect(n, other);
}

void membership_net::stop(index n, bool quietly) {
  auto& h = hosts_[n];
  h.up = false;
  ++h.generation;
  h.core.reset();
  if (quietly) return;
  auto const peers = h.connected;
  for (auto const other : peers) disconnect(n, other);
}

void membership_net::connect(index a, index b) {
  if (!hosts_[a].up || !hosts_[b].up) return;
  for (auto const& [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    hosts_[x].connected.insert(y);
    if (hosts_[x].core != nullptr)
      deliver(x, sky.delay_max * 2, swim::peer_up{hosts_[y].name, hosts_[y].creation});
  }
}

void membership_net::disconnect(index a, index b) {
  for (auto const& [x, y] : {std::pair(a, b), std::pair(b, a)})
    if (hosts_[x].connected.erase(y) == 1 && hosts_[x].core != nullptr)
      deliver(x, sky.delay_max * 2, swim::peer_down{hosts_[y].name, "connection lost"});
}

void membership_net::cut(index from, index to, bool is_cut) {
  if (is_cut)
    cuts_.insert(pair_of(from, to));
  else
    cuts_.erase(pair_of(from, to));
}

void membership_net::starve(index n, base::duration runs, base::duration pause_min,
                            base::duration pause_max) {
  auto& h = hosts_[n];
  h.runs = runs;
  h.pause_min = pause_min;
  h.pause_max = pause_max;
  h.slice_begins = now_;
  h.slice_ends = now_ + runs;
}

// ---- time

void membership_net::push(happening const& h) {
  queue_.push_back(h);
  std::push_heap(queue_.begin(), queue_.end(), later{});
}

void membership_net::at(base::time_point when, std::function<void()> what) {
  deeds_.push_back(std::move(what));
  push({when, ++order_, static_cast<index>(deeds_.size() - 1), 0, a_deed});
}

void membership_net::deliver(index to, base::duration after, swim::event e) {
  std::uint32_t slot = 0;
  if (events_free_.empty()) {
    slot = static_cast<std::uint32_t>(events_.size());
    events_.push_back(std::move(e));
  } else {
    slot = events_free_.back();
    events_free_.pop_back();
    events_[slot] = std::move(e);
  }
  push({now_ + after, ++order_, to, hosts_[to].generation, slot});
}

// When a host that does not run now will; none: it runs.
std::optional<base::time_point> membership_net::runs_not_before(host& h) {
  if (h.paused_until > now_) return h.paused_until;
  if (h.runs == 0ns) return std::nullopt;
  while (now_ >= h.slice_ends) {
    h.slice_begins = h.slice_ends + between(h.pause_min, h.pause_max);
    h.slice_ends = h.slice_begins + h.runs;
  }
  if (now_ < h.slice_begins) return h.slice_begins;
  return std::nullopt;
}

void membership_net::schedule(index n) {
  auto& h = hosts_[n];
  auto const due = h.core->next_deadline();
  if (!due || *due >= h.tick_at) return;
  h.tick_at = std::max(*due, now_);
  push({h.tick_at, ++order_, n, h.generation, a_tick});
}

void membership_net::pass(base::duration time) {
  auto const until = now_ + time;
  while (!queue_.empty() && queue_.front().at <= until) {
    std::pop_heap(queue_.begin(), queue_.end(), later{});
    auto next = queue_.back();
    queue_.pop_back();
    now_ = next.at;
    ++steps_;
    if (next.what == a_deed) {
      auto const deed = std::move(deeds_[next.to]);
      deed();
      continue;
    }
    auto& h = hosts_[next.to];
    bool const stale = h.generation != next.generation || !h.up || h.hung || h.core == nullptr;
    if (!stale)
      if (auto const later_on = runs_not_before(h)) { // with its order: a backlog keeps it
        next.at = *later_on;
        push(next);
        continue;
      }
    if (next.what == a_tick) {
      if (stale || h.tick_at > now_) continue;
      h.tick_at = base::time_point::max();
      auto const due = h.core->next_deadline();
      if (due && *due <= now_)
        handle(next.to, swim::tick{});
      else
        schedule(next.to);
      continue;
    }
    auto const e = std::move(events_[next.what]);
    events_free_.push_back(next.what);
    if (!stale) handle(next.to, e);
  }
  now_ = until;
}

void membership_net::handle(index n, swim::event const& e) {
  auto& h = hosts_[n];
  if (on_event) on_event(n, e);
  swim::effects out;
  h.core->handle(e, now_, out);
  for (auto& x : out) obey(n, x);
  if (h.core != nullptr) schedule(n);
}

// ---- effects

void membership_net::obey(index from, swim::effect& e) {
  if (on_effect) on_effect(from, e);
  if (auto* const s = std::get_if<swim::send_packet>(&e)) return send(from, *s);
  if (auto* const p = std::get_if<swim::send_peer>(&e)) {
    for (auto const to : hosts_[from].connected)
      if (hosts_[to].name == p->node) {
        if (hosts_[to].core == nullptr || is_cut(from, to) ||
            (peer_passes && !peer_passes(from, to, p->bytes)))
          return;
        return deliver(to, sky.delay_max, swim::peer_message{hosts_[from].name, std::move(p->bytes)});
      }
    return;
  }
  if (auto const* const b = std::get_if<swim::probe_beam>(&e)) {
    for (auto const to : hosts_[from].connected)
      if (hosts_[to].name == b->node && hosts_[to].up && !hosts_[to].hung && !is_cut(from, to) &&
          !is_cut(to, from))
        deliver(from, sky.delay_max * 2, swim::beam_answered{b->node, b->id});
    return;
  }
  if (auto const* const t = std::get_if<swim::tell>(&e))
    if (on_news) on_news(from, t->news);
}

void membership_net::send(index from, swim::send_packet& s) {
  ++packets;
  index const to = (index{s.to.ip[13]} << 16U) | (index{s.to.ip[14]} << 8U) | s.to.ip[15];
  if (to >= hosts_.size() || hosts_[to].core == nullptr) return;
  if (is_cut(from, to) || (passes && !passes(from, to, s.bytes))) return;
  if (sky.loss > 0 && below(million) < sky.loss) return;
  auto delay = between(sky.delay_min, sky.delay_max);
  if (sky.overtaken > 0 && below(million) < sky.overtaken) delay *= 10;
  if (sky.doubled > 0 && below(million) < sky.doubled)
    deliver(to, delay * 3, swim::packet{s.bytes, address_of(from)});
  deliver(to, delay, swim::packet{std::move(s.bytes), address_of(from)});
}

} // namespace remora::sim
