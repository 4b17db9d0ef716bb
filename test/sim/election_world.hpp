// The world of a simulated election: nodes with their clocks and disks, links between them, true time.
#pragma once

#include "base/random.hpp"
#include "raft/core.hpp"
#include "raft/messages.hpp"
#include "sim/run.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace remora::sim {

class election_world {
public:
  struct asked_request {
    std::string what;
    base::time_point until; // true time
    std::uint64_t token = 0;
    std::uint64_t surpassed_by = 0; // 0: no other, when it was asked about
  };
  struct candidate {
    std::string name;
    std::uint64_t token = 0;
  };
  struct host {
    std::size_t index = 0;
    std::string name;
    raft::options o;
    bool keeps_state = true;
    std::optional<raft::durable> disk;
    std::optional<raft::durable> disk_before; // the last write
    std::unique_ptr<raft::core> core;
    unsigned life = 0;
    bool paused = false;
    base::time_point paused_at{};
    std::vector<raft::event> backlog{};
    bool disk_fails = false;
    bool configured = false;
    base::duration disk_spread{};
    double rate = 1;
    base::time_point true_base{};
    base::time_point local_base{};
    std::optional<base::time_point> wake{}; // true time
    std::map<std::uint64_t, std::pair<base::time_point, raft::durable>> writing{};
    std::map<raft::request_id, asked_request> requests{};
    std::map<std::uint64_t, candidate> candidates{};
    std::uint64_t round = 0; // of its last heartbeats
    unsigned spins = 0;
    base::time_point spun{};
    bool up() const { return core != nullptr; }
  };
  struct pair_of_hosts {
    bool connected = false;
    bool cut = false;
    unsigned number = 0; // of the connection
    std::vector<std::function<void()>> kept{};
  };

  election_world(settings const& s, bool ordered);

  host& add(raft::options o, bool keeps_state, double rate);
  std::vector<std::unique_ptr<host>>& hosts() { return hosts_; }
  host* find(std::string const& name);

  void start(host& h);
  enum class fate : std::uint8_t { lost, kept, torn };
  void crash(host& h, fate of_writes, bool noticed);
  void pause(host& h);
  void resume(host& h);
  void cut(host& a, host& b, bool noticed);
  void heal(host& a, host& b);
  void deafen(host const& from, host const& to, bool deaf);
  void slow_down(host const& h, base::duration d) { slow_[h.index] = d; } // it hears everything late
  void calm();
  void links(base::duration latency, base::duration jitter) {
    latency_ = latency;
    jitter_ = jitter;
  }
  void reconnect(host& a, host& b);

  void feed(host& h, raft::event const& e);
  void pass(base::duration time);
  base::time_point now() const { return now_; }
  base::time_point local(host const& h) const { return local(h, now_); }
  base::time_point true_time(host const& h, base::time_point at) const; // when its clock says `at`

  raft::request_id ask(host& h, std::function<raft::event(raft::request_id)> const& what, std::string words,
                       base::duration bound, std::uint64_t token = 0);
  raft::durable fresh_state();

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool chance(std::uint64_t per_cent) { return below(100) < per_cent; }
  base::duration between(base::duration from, base::duration to);
  bool mutated(std::string_view name) const { return settings_.mutant == name; }

  void note(std::string const& line);
  void complain(std::string const& checker, std::string const& words);
  bool failed() const { return !complaints_.empty(); }
  outcome result() const { return {complaints_, trace_, steps_}; }

  std::function<void(host&)> after_step;
  std::function<void(host&, raft::effect const&)> on_effect;
  std::function<void(host&, raft::request_id, raft::result const&)> on_reply;

private:
  struct planned {
    base::time_point at;
    std::uint64_t order;
    std::function<void()> what;
    friend bool operator<(planned const& a, planned const& b) {
      return std::pair(a.at, a.order) > std::pair(b.at, b.order);
    }
  };
  base::time_point local(host const& h, base::time_point at) const;
  pair_of_hosts& between_hosts(std::size_t a, std::size_t b);
  void after(base::duration time, std::function<void()> what);
  void deliver(host& h, raft::event e);
  void carry_out(host& h, raft::effect& e);
  void send(host& h, raft::send& s);
  void transmit(std::size_t from, std::size_t to, std::string bytes);
  bool tamper(host& from, host& to, std::string& bytes);
  void save(host& h, raft::persist& p);
  void disconnect(host& a, host& b, base::duration a_hears, base::duration b_hears);

  settings settings_;
  base::random random_;
  bool ordered_;
  bool calm_ = false;
  base::duration latency_;
  base::duration jitter_;
  bool has_slow_links_;
  std::vector<std::unique_ptr<host>> hosts_;
  std::map<std::pair<std::size_t, std::size_t>, pair_of_hosts> pairs_;
  std::map<std::pair<std::size_t, std::size_t>, base::time_point> last_arrival_;
  std::set<std::pair<std::size_t, std::size_t>> deaf_;
  std::map<std::size_t, base::duration> slow_; // who hears everything late
  std::priority_queue<planned> queue_;
  std::uint64_t order_ = 0;
  std::uint64_t instances_ = 0;
  raft::request_id last_request_ = 0;
  base::time_point now_ = base::time_point{} + std::chrono::hours(1);
  std::vector<std::string> complaints_;
  test::lines trace_;
  std::uint64_t steps_ = 0;
};

} // namespace remora::sim
