// The nodes of one simulated run, in a world with weather: who is up, in which incarnation, what was asked of
// whom and until when it must be answered; and what a checker says when something is wrong.
#pragma once

#include "base/random.hpp"
#include "services/services.hpp"
#include "sim/sky.hpp"
#include "support/world.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace remora::sim {

struct settings {
  std::uint64_t seed = 1;
  std::optional<std::size_t> nodes; // else drawn
  std::set<std::string> only;       // subjects; empty is all
  bool trace = false;               // of every frame
  std::string mutant;               // a fault of our own making that a checker must find
};

struct member {
  std::string name;
  unsigned incarnation = 0; // 0: was never up
  bool up = false;
  bool frozen = false;
  bool leaving = false;
  base::time_point up_since{};
  base::duration frozen_for{}; // in this incarnation
  base::time_point frozen_at{};
  node::core* core = nullptr;
  std::optional<services::installed> services;
  std::size_t processes_at_start = 0;

  bool acts() const { return up && !frozen && !leaving; }
};

// Something that a process asked for, and that must end.
struct request {
  std::string what;
  member* on = nullptr;
  unsigned incarnation = 0;
  base::time_point asked;
  base::duration frozen_before{};
  base::duration bound{};
  bool done = false;
  std::string answer;
};

class cluster {
public:
  explicit cluster(settings const& s);
  cluster(cluster const&) = delete;
  cluster& operator=(cluster const&) = delete;
  ~cluster();

  settings const& asked() const { return settings_; }
  test::world& world() { return world_; }
  sky& weather() { return sky_; }
  base::random& random() { return random_; }
  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool chance(std::uint64_t per_cent) { return random_.below(100) < per_cent; }
  base::duration up_to(base::duration bound);
  base::time_point now() const { return world_.now(); }
  bool calm() const { return calm_; } // no faults in this run, and all nodes there from the start
  bool mutated(std::string_view name) const { return settings_.mutant == name; }
  bool pop() const { return pop_; } // prevent_overlapping_partitions, of all nodes alike
  base::duration tick_time() const { return tick_time_; }

  // Nodes.
  std::vector<member>& members() { return members_; }
  std::vector<member*> running(); // up, whatever else they are
  std::vector<member*> acting();
  member* any(); // one that acts, or nullptr
  member* find(std::string_view name);
  void start(member& m);
  void crash(member& m, bool dark);
  void leave(member& m); // orderly; it is gone a little later
  void freeze(member& m);
  void thaw(member& m);
  void connect_all(); // what discovery will do: everybody dials whom it is not connected to
  bool all_connected();
  std::vector<std::string> others(member const& m); // names of those that run, sorted
  std::vector<std::function<void(member&)>> on_start;

  // Processes.
  etf::pid spawn(member& m, node::body body, std::string_view name = {});
  bool alive(etf::pid const& p) { return world_.alive(p); }
  void end(etf::pid const& p, std::string_view reason = "kill"); // exit/2 from nowhere

  // Requests, each of a process of its own.
  using asking = std::function<node::task<>(node::self, request&)>;
  std::shared_ptr<request> ask(member& m, std::string what, base::duration bound, asking body);
  std::vector<std::shared_ptr<request>> const& requests() const { return requests_; }
  bool counts(request const& r) const; // its node has lived on
  bool overdue(request const& r) const;

  // Time. What was put off happens when it is due.
  void later(base::duration after, std::function<void()> what);
  void pass(base::duration time);
  void do_all_later();           // now
  std::uint64_t signals() const; // sent so far, by all incarnations

  // Words.
  void note(std::string const& line) { world_.note("sim: " + line); }
  void complain(std::string_view checker, std::string const& words);
  std::vector<std::string> const& complaints() const { return complaints_; }

private:
  void install_mutant();
  settings settings_;
  base::random random_;
  sky sky_;
  test::world world_;
  bool pop_;
  bool calm_;
  base::duration tick_time_;
  std::vector<member> members_;
  std::uint64_t buried_signals_ = 0;
  std::multimap<base::time_point, std::function<void()>> later_;
  std::vector<std::shared_ptr<request>> requests_;
  std::vector<std::string> complaints_;
};

} // namespace remora::sim
