// What the subject of names asks of a registry: the node's own, or an ideal one that shows what its checkers
// are worth - they must be content with it, and find each fault that it is given.
#pragma once

#include "sim/cluster.hpp"

#include <memory>

namespace remora::sim {

class registry {
public:
  enum class change : std::uint8_t { registers, re_registers, unregisters };

  registry() = default;
  registry(registry const&) = delete;
  registry& operator=(registry const&) = delete;
  virtual ~registry() = default;

  // Answers "yes", "no", or why there is neither.
  virtual node::task<std::string> ask(member& on, node::self me, change wanted, etf::term name,
                                      etf::pid pid) = 0;
  virtual std::optional<etf::pid> whereis(member& on, etf::view name) = 0;
  virtual std::vector<etf::term> names(member& on) = 0;
  // For `me`, who is the requester; waits until it has it.
  virtual node::task<bool> set_lock(member& on, node::self me, etf::term resource) = 0;
  virtual node::task<> del_lock(member& on, node::self me, etf::term resource) = 0;
  // Do they all share their names, as far as they know?
  virtual bool joined() = 0;
};

std::unique_ptr<registry> make_ideal(cluster& c);
std::unique_ptr<registry> make_global(cluster& c); // nullptr: this build has none

} // namespace remora::sim
