// A small cluster of election's cores in virtual time, for units and scripts: messages take a millisecond and
// keep their order, a disk takes one too unless it is slow. What the nodes say is written down, as lines.
#pragma once

#include "raft/core.hpp"
#include "raft/file.hpp"
#include "raft/messages.hpp"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace remora::test {

using namespace std::chrono_literals;

class raft_cluster {
public:
  struct member {
    std::string name;
    raft::options o;
    std::unique_ptr<raft::core> core;
    std::optional<raft::durable> disk;
    bool broken = false; // its disk
    base::duration disk_time = 1ms;
    bool paused = false;
    std::vector<std::pair<raft::request_id, raft::result>> replies;
    std::vector<raft::news> news;
    std::vector<raft::persist> persists;
    std::size_t sent = 0;
    unsigned life = 0;
  };

  static raft::options quick() {
    raft::options o;
    o.heartbeat = 30ms;
    o.election_min = 150ms;
    o.election_max = 300ms;
    o.name_lease = 300ms;
    return o;
  }
  static std::string full(std::string const& letter) {
    return letter.find('@') == std::string::npos ? letter + "@h" : letter;
  }

  raft::options o = quick();
  raft::limits limits{};
  bool show_messages = false;
  std::vector<std::string> lines;

  member& add(std::string const& letter, bool with_disk = true) {
    auto& m = members_[full(letter)];
    m.name = full(letter);
    m.o = o;
    if (with_disk) m.disk = fresh();
    return m;
  }
  raft::durable fresh() {
    raft::durable d;
    d.instance = ++instances_;
    return d;
  }
  void start(std::string const& letter) {
    auto& m = at(letter);
    ++m.life;
    m.core = std::make_unique<raft::core>(raft::identity{m.name}, m.o, 100 + members_.size() * 7 + ++seeds_,
                                          limits);
    for (auto& [name, other] : members_)
      if (name != m.name && other.core && connected(m.name, name)) {
        feed(m, raft::peer_up{name});
        feed(other, raft::peer_up{m.name});
      }
    feed(m, raft::start{m.disk});
  }
  void kill(std::string const& letter) {
    auto& m = at(letter);
    m.core.reset();
    ++m.life;
    for (auto& [name, other] : members_)
      if (other.core && connected(m.name, name))
        later(0ms, name, [&o2 = other, n = m.name, this] { feed(o2, raft::peer_down{n}); });
  }
  // Three nodes, say, that form a cluster and have a leader.
  void form(std::vector<std::string> const& letters) {
    for (auto const& l : letters) o.voters.push_back(full(l));
    for (auto const& l : letters) add(l);
    for (auto const& l : letters) start(l);
    pass(2s);
    o.voters.clear();
  }
  member& at(std::string const& letter) { return members_.at(full(letter)); }
  raft::status status(std::string const& letter) { return at(letter).core->status(now); }
  std::string leader() { // who leads and surely so
    std::string out;
    for (auto& [name, m] : members_)
      if (m.core && m.core->lease_left(now) > base::duration{}) out += (out.empty() ? "" : " ") + name;
    return out;
  }

  void feed(member& m, raft::event const& e) {
    if (!m.core) return;
    raft::effects out;
    m.core->handle(e, now, out);
    for (auto& effect : out) carry_out(m, effect);
  }
  void on(std::string const& letter, raft::event const& e) { feed(at(letter), e); }

  bool connected(std::string const& a, std::string const& b) const {
    return !cut_.contains({a, b}) && !cut_.contains({b, a});
  }
  void cut(std::string const& a, std::string const& b, bool noticed = true) { // letters
    cut_.insert({full(a), full(b)});
    if (!noticed) return;
    feed(at(a), raft::peer_down{full(b)});
    feed(at(b), raft::peer_down{full(a)});
  }
  void cut_one_way(std::string const& from, std::string const& to) { deaf_.insert({full(from), full(to)}); }
  void heal(std::string const& a, std::string const& b) {
    deaf_.erase({full(a), full(b)});
    deaf_.erase({full(b), full(a)});
    if (cut_.erase({full(a), full(b)}) + cut_.erase({full(b), full(a)}) == 0) return;
    if (!at(a).core || !at(b).core) return;
    feed(at(a), raft::peer_up{full(b)});
    feed(at(b), raft::peer_up{full(a)});
  }

  void pass(base::duration time) {
    auto const until = now + time;
    while (true) {
      auto next = until;
      member* who = nullptr;
      for (auto& [name, m] : members_)
        if (auto const d = m.core && !m.paused ? m.core->next_deadline() : std::nullopt; d && *d < next) {
          next = *d;
          who = &m;
        }
      if (!queue_.empty() && queue_.begin()->first.first <= next) {
        auto const first = queue_.begin();
        now = std::max(now, first->first.first);
        auto const run = std::move(first->second);
        queue_.erase(first);
        run();
      } else if (who != nullptr) {
        now = std::max(now, next);
        feed(*who, raft::tick{});
      } else {
        break;
      }
    }
    now = until;
  }

  std::optional<raft::result> reply(std::string const& letter, raft::request_id id) {
    for (auto const& [of, r] : at(letter).replies)
      if (of == id) return r;
    return std::nullopt;
  }
  template <class News>
  std::vector<News> told(std::string const& letter) {
    std::vector<News> out;
    for (auto const& n : at(letter).news)
      if (auto const* const one = std::get_if<News>(&n)) out.push_back(*one);
    return out;
  }
  void deliver(std::string const& from, std::string const& to, raft::wire::body const& b,
               std::uint64_t cluster) {
    on(to, raft::message{full(from), raft::wire::write({cluster, b})});
  }

  base::time_point now = base::time_point{} + 1h;

private:
  void later(base::duration in, std::string const&, std::function<void()> run) {
    queue_.emplace(std::pair(now + in, ++order_), std::move(run));
  }
  void carry_out(member& m, raft::effect& effect) {
    auto const letter = m.name.substr(0, m.name.find('@'));
    auto const life = m.life;
    if (auto* const s = std::get_if<raft::send>(&effect)) {
      ++m.sent;
      auto const known = raft::wire::read(s->bytes, limits);
      if (show_messages)
        lines.push_back(fmt::format("{}: {} to {}", letter, known ? describe(known->body) : "?",
                                    s->node.substr(0, s->node.find('@'))));
      auto const to = members_.find(s->node);
      if (to == members_.end() || !to->second.core || !connected(m.name, s->node) ||
          deaf_.contains({m.name, s->node}))
        return;
      later(1ms, s->node, [this, &t = to->second, from = m.name, bytes = s->bytes, of = to->second.life] {
        if (t.life == of) feed_unless_paused(t, raft::message{from, bytes});
      });
      return;
    }
    if (auto* const p = std::get_if<raft::persist>(&effect)) {
      m.persists.push_back(*p);
      later(m.disk_time, m.name, [this, &m, p = *p, life] {
        if (m.life != life) return;
        if (!m.broken) m.disk = p.state;
        m.broken ? feed(m, raft::save_failed{p.id, "no space left on device"}) : feed(m, raft::saved{p.id});
      });
      return;
    }
    if (auto* const r = std::get_if<raft::reply>(&effect)) m.replies.emplace_back(r->id, r->result);
    if (auto* const t = std::get_if<raft::tell>(&effect)) m.news.push_back(t->news);
    lines.push_back(letter + ": " + describe(effect));
  }
  void feed_unless_paused(member& m, raft::event const& e) {
    if (m.paused)
      later(10ms, m.name, [this, &m, e] { feed_unless_paused(m, e); });
    else
      feed(m, e);
  }

  std::map<std::string, member> members_;
  std::map<std::pair<base::time_point, std::uint64_t>, std::function<void()>> queue_;
  std::uint64_t order_ = 0;
  std::uint64_t instances_ = 40;
  std::uint64_t seeds_ = 0;
  std::set<std::pair<std::string, std::string>> cut_;
  std::set<std::pair<std::string, std::string>> deaf_;
};

} // namespace remora::test
