// Membership on paper: one core, an event in, the text of its effects out; and a pond, a few cores whose
// packets take a millisecond and are lost when a test says so. Time moves only when told.
#pragma once

#include "support/world.hpp"
#include "swim/core.hpp"
#include "swim/messages.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace remora::test {

using namespace std::chrono_literals;

inline swim::address paper_address(std::uint8_t last) {
  swim::address out;
  out.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last};
  out.port = 4000;
  return out;
}
// a@h is at 10.0.0.1, b@h at 10.0.0.2, ...
inline swim::address paper_address(std::string_view node) {
  return paper_address(static_cast<std::uint8_t>(node.front() - 'a' + 1));
}
constexpr std::int64_t paper_noon = 1'700'000'000'000;

inline swim::options paper_options() {
  swim::options o;
  o.interval = 1s;
  return o;
}

struct swim_paper {
  explicit swim_paper(swim::options o = paper_options(), swim::limits l = {}, std::uint64_t seed = 1,
                      std::string node = "me@h")
      : limits(l), c({.node = std::move(node), .creation = 7, .at = paper_address(100)}, o,
                     swim::make_directory(), seed, l) {}

  lines take() {
    lines out;
    for (auto const& e : effects) out.push_back(swim::describe(e));
    last = std::move(effects);
    effects.clear();
    return out;
  }
  lines on(swim::event const& e) {
    c.handle(e, now, effects);
    return take();
  }
  lines start() { return on(swim::start{{paper_noon}}); }
  lines pass(base::duration time) {
    lines out;
    auto const until = now + time;
    for (int rounds = 0; c.next_deadline() && *c.next_deadline() <= until; ++rounds) {
      REQUIRE_MESSAGE(rounds < 100'000, "a deadline that does not move");
      now = std::max(now, *c.next_deadline());
      auto const more = on(swim::tick{});
      out.insert(out.end(), more.begin(), more.end());
    }
    now = until;
    return out;
  }
  // To the next deadline.
  lines wake() {
    REQUIRE(c.next_deadline());
    now = std::max(now, *c.next_deadline());
    return on(swim::tick{});
  }

  static swim::message from(std::string_view node, swim::message_kind kind, std::uint32_t sequence = 0) {
    return {.kind = kind, .sequence = sequence, .node = node, .epoch = paper_noon};
  }
  static std::string bytes_of(swim::message const& m, std::vector<swim::update> const& updates = {}) {
    std::string out;
    swim::write(out, m);
    for (auto const& u : updates) swim::write(out, u);
    return out;
  }
  lines hears(swim::message const& m, std::vector<swim::update> const& updates = {}) {
    return on(swim::packet{bytes_of(m, updates), paper_address(m.node)});
  }
  lines gossip(std::vector<swim::update> const& updates, std::string_view by = "b@h") {
    return hears(from(by, swim::message_kind::gossip), updates);
  }
  lines told(swim::message const& m, std::vector<swim::update> const& updates = {}) {
    return on(swim::peer_message{std::string(m.node), bytes_of(m, updates)});
  }
  static swim::update alive(std::string_view node, std::uint32_t incarnation = 0,
                            std::uint64_t epoch = paper_noon) {
    return {.what = swim::update_kind::alive,
            .node = node,
            .epoch = epoch,
            .incarnation = incarnation,
            .creation = 1,
            .at = paper_address(node)};
  }
  static swim::update suspect(std::string_view node, std::uint32_t incarnation = 0,
                              std::string_view by = "b@h") {
    return {.what = swim::update_kind::suspect,
            .node = node,
            .epoch = paper_noon,
            .incarnation = incarnation,
            .by = by};
  }
  static swim::update dead(std::string_view node, std::uint32_t incarnation = 0,
                           std::string_view by = "b@h") {
    auto u = suspect(node, incarnation, by);
    u.what = swim::update_kind::dead;
    return u;
  }
  static swim::update left(std::string_view node, std::uint32_t incarnation = 0) {
    return {.what = swim::update_kind::left, .node = node, .epoch = paper_noon, .incarnation = incarnation};
  }
  // With these members, and nothing to say of them any more.
  void with(std::vector<std::string_view> const& nodes) {
    start();
    for (auto const n : nodes) gossip({alive(n)}, nodes.front());
    for (int i = 0; i < 200; ++i) { // answered, until the news is spread
      wake();
      answer_all();
    }
  }
  // Acks to the pings of the last effects.
  void answer_all() {
    auto const sent = last;
    swim::effects kept;
    for (auto const& e : sent) {
      auto const* const p = std::get_if<swim::send_packet>(&e);
      if (p == nullptr) continue;
      swim::message m;
      std::vector<swim::update> updates;
      REQUIRE(swim::read(p->bytes, limits, m, updates));
      if (m.kind == swim::message_kind::ping && m.sequence != 0)
        hears(from(std::string(m.target), swim::message_kind::ack, m.sequence));
    }
    effects.clear();
  }
  swim::member find(std::string_view node) const {
    auto const m = c.find(node);
    REQUIRE(m);
    return *m;
  }
  static std::size_t count(lines const& all, std::string_view part) {
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](auto const& l) { return l.find(part) != std::string::npos; }));
  }
  // What is news, without its word.
  static lines news(lines const& all) {
    lines out;
    for (auto const& l : all)
      if (l.starts_with("news: ")) out.push_back(l.substr(6));
    return out;
  }

  swim::limits limits;
  swim::core c;
  base::time_point now{};
  swim::effects effects, last;
};

// Cores that hear each other.
struct swim_pond {
  explicit swim_pond(std::vector<std::string> nodes, swim::options o = fast(), bool mesh = true)
      : options(o), has_mesh(mesh) {
    for (auto const& n : nodes) add(n);
    if (mesh) connect_all();
  }
  static swim::options fast() {
    swim::options o;
    o.interval = 200ms;
    o.probe_timeout = 80ms;
    return o;
  }
  struct inhabitant {
    std::unique_ptr<swim::core> core;
    bool up = true;
    bool hangs = false;
    lines news;
    std::set<std::string> connected;
    std::uint32_t creation = 1;
  };
  struct on_its_way {
    base::time_point at;
    std::uint64_t order;
    std::string to;
    swim::event what;
    bool operator<(on_its_way const& o) const { return std::tie(at, order) < std::tie(o.at, o.order); }
  };

  void add(std::string const& node, std::uint32_t creation = 1) {
    auto& i = all[node];
    i = {};
    i.creation = creation;
    i.core = std::make_unique<swim::core>(
        swim::identity{.node = node, .creation = creation, .at = paper_address(node)}, options, directory,
        ++seed, limits);
    handle(node, swim::start{{paper_noon + now.time_since_epoch() / 1ms}});
  }
  void connect(std::string const& a, std::string const& b) {
    for (auto const& [x, y] : {std::pair(a, b), std::pair(b, a)}) {
      auto const other = all.find(y);
      if (!all.contains(x)) continue;
      all[x].connected.insert(y);
      push(x, swim::peer_up{y, other == all.end() ? 9 : other->second.creation});
    }
  }
  void disconnect(std::string const& a, std::string const& b) {
    for (auto const& [x, y] : {std::pair(a, b), std::pair(b, a)})
      if (all.contains(x) && all[x].connected.erase(y) == 1) push(x, swim::peer_down{y, "lost"});
  }
  void connect_all() {
    for (auto const& [a, i] : all)
      for (auto const& [b, j] : all)
        if (a < b) connect(a, b);
  }
  // One seed knows the others by gossip.
  void handle(std::string const& node, swim::event const& e) {
    auto& i = all.at(node);
    swim::effects out;
    i.core->handle(e, now, out);
    for (auto const& x : out) obey(node, x);
  }
  void obey(std::string const& node, swim::effect const& x) {
    auto& i = all.at(node);
    if (auto const* const s = std::get_if<swim::send_packet>(&x)) {
      ++packets;
      CHECK(s->bytes.size() + 34 <= limits.packet_bytes_max);
      for (auto const& [name, other] : all)
        if (paper_address(name) == s->to && (!lost || !lost(node, name)))
          push(name, swim::packet{s->bytes, paper_address(node)});
    } else if (auto const* const p = std::get_if<swim::send_peer>(&x)) {
      if (i.connected.contains(p->node) && all.contains(p->node))
        push(p->node, swim::peer_message{node, p->bytes});
    } else if (auto const* const b = std::get_if<swim::probe_beam>(&x)) {
      if (!vm_answers || vm_answers(node, b->node)) push(node, swim::beam_answered{b->node, b->id});
    } else if (auto const* const t = std::get_if<swim::tell>(&x)) {
      i.news.push_back(swim::describe(t->news));
    } else if (auto const* const k = std::get_if<swim::expel>(&x)) {
      i.news.push_back("EXPEL " + k->node);
    }
  }
  void push(std::string const& to, swim::event what) {
    way.insert({now + 1ms, ++order, to, std::move(what)});
  }
  void pass(base::duration time) {
    auto const until = now + time;
    while (true) {
      auto next = until;
      if (!way.empty()) next = std::min(next, way.begin()->at);
      for (auto const& [name, i] : all)
        if (i.up && !i.hangs && i.core->next_deadline()) next = std::min(next, *i.core->next_deadline());
      now = std::max(now, next);
      if (now >= until && (way.empty() || way.begin()->at > now)) break;
      while (!way.empty() && way.begin()->at <= now) {
        auto const e = *way.begin();
        way.erase(way.begin());
        if (all.contains(e.to) && all[e.to].up && !all[e.to].hangs) handle(e.to, e.what);
      }
      for (auto& [name, i] : all)
        if (i.up && !i.hangs && i.core->next_deadline() && *i.core->next_deadline() <= now)
          handle(name, swim::tick{});
    }
  }
  swim::member view(std::string const& of, std::string const& node) const {
    auto const m = all.at(of).core->find(node);
    REQUIRE_MESSAGE(m, of, " does not know ", node);
    return *m;
  }
  bool all_see(std::string const& node, swim::status s) const {
    return std::all_of(all.begin(), all.end(), [&](auto const& i) {
      if (i.first == node || !i.second.up || i.second.hangs) return true;
      auto const m = i.second.core->find(node);
      return m && m->status == s;
    });
  }
  std::size_t heard(std::string const& by, std::string_view words) const {
    return swim_paper::count(all.at(by).news, words);
  }

  swim::options options;
  swim::limits limits;
  bool has_mesh;
  std::shared_ptr<swim::directory> directory = swim::make_directory();
  std::map<std::string, inhabitant> all;
  std::multiset<on_its_way> way;
  base::time_point now{};
  std::uint64_t order = 0, seed = 0, packets = 0;
  std::function<bool(std::string const& from, std::string const& to)> lost;
  std::function<bool(std::string const& by, std::string const& vm)> vm_answers;
};

} // namespace remora::test
