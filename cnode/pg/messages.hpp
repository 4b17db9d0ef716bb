// What pg scopes say to each other (pg.erl, handle_cast and handle_info; protocol.md 6):
//
//   {discover, Scope}                                    who are you?  Scope is the sender's pid
//   {'$gen_cast', {sync, Scope, [{Group, [Pid]}]}}       all that I have, the answer to discover
//   {join, Scope, Group, Pid | [Pid]}
//   {leave, Scope, Pid | [Pid], [Group]}                 each pid leaves each group once
//
// read() takes a message apart and refuses what is none: what it answers cannot be wrong. The views in it
// live as long as the message.
#pragma once

#include "etf/builder.hpp"
#include "etf/ids.hpp"
#include "etf/term.hpp"

#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

namespace remora::pg {

struct discover {
  etf::pid scope;
};
struct listing {
  etf::view group;
  std::vector<etf::pid> pids;
};
struct sync {
  etf::pid scope;
  std::vector<listing> groups;
};
struct join {
  etf::pid scope;
  etf::view group;
  std::vector<etf::pid> pids;
};
struct leave {
  etf::pid scope;
  std::vector<etf::pid> pids;
  std::vector<etf::view> groups;
};
using said = std::variant<discover, sync, join, leave>;

std::optional<said> read(etf::view term);

// A pid, or a proper list of them.
std::optional<std::vector<etf::pid>> read_pids(etf::view pid_or_pids);

// One pid goes alone where `list` allows it, several always as a list.
etf::term write_discover(etf::pid const& scope);
etf::term write_join(etf::pid const& scope, etf::view group, std::span<etf::pid const> pids, bool list);
etf::term write_leave(etf::pid const& scope, std::span<etf::pid const> pids, bool list,
                      std::span<etf::view const> groups);
void put_pids(etf::builder& b, std::span<etf::pid const> pids);

} // namespace remora::pg
