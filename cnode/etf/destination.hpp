// Where a message goes: a pid, or a registered name on a node. What the cores of pg and global send to, and
// what node/ routes by.
#pragma once

#include "etf/builder.hpp"
#include "etf/ids.hpp"
#include "etf/term.hpp"

#include <optional>
#include <string_view>

namespace remora::etf {

struct destination {
  std::optional<etf::pid> pid;
  atom name;
  atom node; // with a name; empty is this node

  destination(etf::pid p) : pid(std::move(p)) {}                 // NOLINT: so meant
  destination(std::string_view local_name) : name(local_name) {} // NOLINT
  destination(char const* local_name) : name(local_name) {}      // NOLINT
  destination(std::string_view a_name, std::string_view a_node) : name(a_name), node(a_node) {}

  atom const& where() const { return pid ? pid->node : node; } // the node; empty is this one
  friend bool operator==(destination const&, destination const&) = default;
};

// A pid, an atom, or {Name, Node}; nullopt for any other term.
std::optional<destination> as_destination(view term);
// The same as terms: a pid, or {Name, Node}, or an atom where there is no node.
void put(builder& b, destination const& to);

} // namespace remora::etf
