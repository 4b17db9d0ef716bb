// What becomes of two processes that claim one name when two partitions join: OTP's three methods and our
// own.
//
// On the wire a method is a fun of (Name, Pid1, Pid2) that answers the pid that keeps the name, or `none`.
// OTP's travel as fun global:random_exit_name/3 and so on, its default as a local fun of the module global
// (protocol.md 4); ours as fun remora_policy:lowest_pid/3 and so on. Whoever decides, Pid1 is the joining
// node's and Pid2 is the one that the deciding node had (global.erl, exchange_names).
#pragma once

#include "etf/builder.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace remora::global {

struct policy {
  enum class kind : std::uint8_t {
    random_exit,   // OTP's: the pid of the smaller node stays, the other is killed
    random_notify, // OTP's: likewise, but the other is sent {global_name_conflict, Name}
    notify_all,    // OTP's: both are sent {global_name_conflict, Name, OtherPid}, nobody keeps the name
    lowest_pid,    // ours; the one that loses is sent {global_name_conflict, Name}
    highest_pid,   // likewise
    keep_local,    // likewise: the entry that the deciding node had stays
    kill_both,     // both are killed, nobody keeps the name
    node_priority, // the pid of the node that stands first in `nodes` stays; then lowest_pid
    callback,      // a native function says which, within callback_time; then lowest_pid
  };
  kind how = kind::random_exit;
  std::vector<etf::atom> nodes{}; // of node_priority
  std::uint64_t callback = 0;     // of callback: the host knows it by this number
  friend bool operator==(policy const&, policy const&) = default;
};

// An atom, or {node_priority, [Node]}; nullopt for any other term. `callback` has no term.
std::optional<policy> policy_of(etf::view term);
std::string_view name_of(policy::kind how);

etf::term method_of(policy::kind how);                 // as it travels
std::optional<policy::kind> kind_of(etf::view method); // nullopt: a fun that only others can run

// Who keeps the name, and what else happens to the two.
struct verdict {
  std::optional<etf::pid> keeps;
  std::vector<etf::pid> killed;
  struct told {
    etf::pid whom;
    etf::term what;
    friend bool operator==(told const&, told const&) = default;
  };
  std::vector<told> told;
  friend bool operator==(verdict const&, verdict const&) = default;
};
// Of every kind but callback, which is asked elsewhere and ends in `kept`.
verdict decide(policy const& p, etf::view name, etf::pid const& theirs, etf::pid const& ours);
// A pid that was chosen stays, the other is told.
verdict kept(etf::view name, etf::pid const& winner, etf::pid const& loser);

} // namespace remora::global
