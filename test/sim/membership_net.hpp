// A network of membership cores in one thread and one virtual time: a flat queue of what will happen,
// datagrams that are late, lost, doubled and overtaken, links that are cut one way or both, hosts that are
// paused or starved of CPU, and a distribution that is reliable as long as no cut is in the way. Both
// simulators of membership (membership.cpp, membership_table.cpp) run on it.
//
// A starved host runs in short slices with long pauses between; what comes meanwhile, its own wake-ups too,
// is handled in order when the slice begins, and then the clock shows the time of the slice.
#pragma once

#include "base/random.hpp"
#include "swim/core.hpp"
#include "swim/messages.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace remora::sim {

class membership_net {
public:
  using index = std::uint32_t;

  struct weather {
    base::duration delay_min = std::chrono::microseconds(200);
    base::duration delay_max = std::chrono::milliseconds(2);
    std::uint32_t loss = 0;      // of a million
    std::uint32_t doubled = 0;   // of a million
    std::uint32_t overtaken = 0; // of a million: ten times as late
  };
  struct host {
    std::string name;
    std::unique_ptr<swim::core> core; // none: a VM
    bool up = false;
    bool hung = false;
    std::uint32_t generation = 0; // of this start; what was on its way to an earlier one is lost
    std::uint32_t creation = 0;
    swim::options options{};
    swim::limits limits{};
    std::set<index> connected{};
    base::time_point tick_at = base::time_point::max();
    base::time_point paused_until{};
    // starved: slices of `runs`, pauses between pause_min and pause_max
    base::duration runs{}, pause_min{}, pause_max{};
    base::time_point slice_begins{}, slice_ends{};
    std::string app{};
  };

  explicit membership_net(std::uint64_t seed) : random_(seed) {}

  // What the simulators watch, and may change: a false of `passes` loses it.
  std::function<void(index, swim::news const&)> on_news;
  std::function<bool(index from, index to, std::string& bytes)> passes;
  std::function<bool(index from, index to, std::string const& bytes)> peer_passes;
  std::function<void(index, swim::event const&)> on_event;
  std::function<void(index, swim::effect const&)> on_effect;

  index add(std::string name, swim::options o, swim::limits l = {});
  index add_vm(std::string name);
  void start(index n, bool again = true); // with the connections that it had
  void stop(index n, bool quietly);       // quietly: its connections stay until somebody notices
  void connect(index a, index b);
  void disconnect(index a, index b);
  void cut(index from, index to, bool is_cut);
  bool is_cut(index from, index to) const { return cuts_.contains(pair_of(from, to)); }
  void pause(index n, base::duration time) { hosts_[n].paused_until = now_ + time; }
  void starve(index n, base::duration runs, base::duration pause_min, base::duration pause_max);
  void handle(index n, swim::event const& e); // now
  void at(base::time_point when, std::function<void()> what);
  void pass(base::duration time);

  host& of(index n) { return hosts_[n]; }
  host const& of(index n) const { return hosts_[n]; }
  std::size_t size() const { return hosts_.size(); }
  std::optional<index> find(std::string_view name) const;
  static swim::address address_of(index n);
  base::time_point now() const { return now_; }
  std::uint64_t steps() const { return steps_; }
  base::random& random() { return random_; }
  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  base::duration between(base::duration from, base::duration to);
  std::shared_ptr<swim::directory> const& directory() const { return directory_; }

  weather sky;
  std::uint64_t packets = 0;

private:
  static constexpr std::uint32_t a_tick = 0xffffffff;
  static constexpr std::uint32_t a_deed = 0xfffffffe;
  struct happening {
    base::time_point at;
    std::uint64_t order;
    index to;
    std::uint32_t generation;
    std::uint32_t what; // a_tick, a_deed (`to` is its slot), or a slot of events_
  };
  struct later {
    bool operator()(happening const& a, happening const& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  static std::uint64_t pair_of(index a, index b) { return std::uint64_t{a} << 32U | b; }

  void push(happening const& h);
  void deliver(index to, base::duration after, swim::event e);
  void schedule(index n);
  void obey(index from, swim::effect& e);
  std::optional<base::time_point> runs_not_before(host& h);
  void send(index from, swim::send_packet& s);

  base::random random_;
  base::time_point now_{};
  std::shared_ptr<swim::directory> directory_ = swim::make_directory();
  std::vector<host> hosts_;
  boost::unordered_flat_set<std::uint64_t> cuts_;
  std::vector<happening> queue_; // a heap
  std::vector<swim::event> events_;
  std::vector<std::uint32_t> events_free_;
  std::vector<std::function<void()>> deeds_;
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
};

} // namespace remora::sim
