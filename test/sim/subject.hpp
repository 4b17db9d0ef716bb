// One thing that is watched in a simulated cluster: what processes do with it during the storm, and what must
// hold afterwards. A subject knows only what an application can know: the facades, peers() and its processes.
#pragma once

#include "sim/cluster.hpp"

#include <memory>

namespace remora::sim {

class subject {
public:
  explicit subject(cluster& c) : c_(c) {}
  subject(subject const&) = delete;
  subject& operator=(subject const&) = delete;
  virtual ~subject() = default;

  virtual void act() = 0;     // one thing, drawn
  virtual void during() {}    // what holds at any time
  virtual void at_rest() = 0; // what holds when all are connected and nothing moves
  virtual void finale() {}    // last acts, after which all is at rest again
  virtual void after_finale() { at_rest(); }

protected:
  cluster& c_;
};

std::unique_ptr<subject> make_links(cluster& c);
std::unique_ptr<subject> make_groups(cluster& c);
std::unique_ptr<subject> make_names(cluster& c);       // nullptr: this build has none
std::unique_ptr<subject> make_ideal_names(cluster& c); // only when it is asked for

} // namespace remora::sim
