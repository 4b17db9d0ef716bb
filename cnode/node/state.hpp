// The node's tables: what it holds for each of its processes and for each of its peers. Plain data;
// node/core.hpp works on it. Link entries follow protocol.md 3.6, monitors 3.5 and 3.9.
#pragma once

#include "base/time.hpp"
#include "dist/connection.hpp"
#include "dist/flags.hpp"
#include "node/effects.hpp"
#include "node/process.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <boost/unordered/unordered_map.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace remora::node {

// A process of ours within this incarnation: serial * 2^32 + id of its pid, never used twice.
using local_id = std::uint64_t;
local_id local_id_of(auto const& pid) { return local_id{pid.serial} << 32U | pid.id; } // of any kind of pid

// Hash and equality that take an atom or its text.
struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return etf::atom::hash_of(text); }
  std::size_t operator()(etf::atom const& a) const { return a.hash(); }
};
struct text_equal {
  using is_transparent = void;
  static std::string_view text(std::string_view t) { return t; }
  static std::string_view text(etf::atom const& a) { return a.text(); }
  bool operator()(auto const& a, auto const& b) const { return text(a) == text(b); }
};

struct link_entry {
  bool active = true;
  std::uint64_t unlink_id = 0; // of the UNLINK_ID that waits for its acknowledgement
};

// Somebody watches a process of ours. A reference is its maker's word alone: two peers may use the same one.
struct watch_key {
  etf::reference ref;
  etf::atom by; // the watcher's node
  friend bool operator==(watch_key const&, watch_key const&) = default;
  friend std::size_t hash_value(watch_key const& k) { return hash_value(k.ref); }
};
struct watcher {
  etf::pid by;
  etf::atom name; // when monitored by name: answered with the same atom
};

// A process of ours watches somebody.
struct watched {
  destination target;
  local_id local = 0; // the watched process when it is ours: a name may have moved on since
};

struct pending_spawn {
  etf::atom peer;
  spawn_options options;
};

class process {
public:
  local_id id = 0;
  etf::pid pid;
  etf::pid leader;
  etf::atom name;
  std::string initial_call; // for process_info
  bool vital = false;       // core::set_vital
  bool trap_exit = false;
  bool suspended = false; // a server held by sys:suspend: what it waits for is no reason to read more
  etf::term const* current = nullptr; // the message that its server handles
  bool node_monitor = false;

  std::deque<etf::term> mailbox;
  std::size_t mailbox_bytes = 0;
  std::vector<connection_id> held; // connections that are not read while this mailbox is full

  boost::unordered_flat_map<etf::pid, link_entry> links;
  boost::unordered_flat_map<watch_key, watcher> watchers;
  // Hears of each watcher that watches no longer: it took its monitor back, ended, or was lost. It runs in
  // the middle of a step and must not touch this process's watchers.
  std::function<void(watch_key const&)> unwatched;
  // Not flat: the least that a flat map takes is 15 places, kilobytes for a process that lives for one call.
  boost::unordered_map<etf::reference, watched> monitors;
  boost::unordered_map<etf::reference, pending_spawn> spawns;
  boost::unordered_flat_set<etf::reference> aliases;

  node::body run; // kept: the coroutine of a lambda refers to its captures
  task<> coroutine;
  node::waiting waiting;
  std::optional<base::time_point> deadline; // of what it waits for
  bool scheduled = false;
  std::string connect_failure; // in one word: why there is no connection to the peer that it waited for
  std::optional<etf::term> end_reason; // of a body that returns, unless normal
  std::optional<etf::term> dying;      // killed while it ran, or before it ran
};

// A signal that waits for its peer's connection.
struct queued {
  std::uint64_t sender;
  etf::term control;
  dist::payload payload;
};

// One connection, and whose it is.
struct carrier {
  connection_id id = 0;
  struct peer* owner = nullptr; // once it is up

  std::optional<dist::connection> wire; // none while a dial is under way
  etf::atom peer;                       // empty until an incoming one said its name
  bool incoming = false;
  std::size_t holds = 0;      // full mailboxes that keep it from being read
  bool setting_up = false;    // an incoming handshake that counts against handshakes_max
  bool closing = false;       // nothing is read any more; what waits is still written
  bool more_expected = false; // see core::more_expected()
  bool marked = false;        // in the list of those with something to write
};

struct peer {
  enum class state : std::uint8_t {
    dialling, // our attempt is under way
    awaited,  // its attempt is under way, or announced by nok: ours is over, or never began
    up,
  };

  etf::atom name;
  state where = state::dialling;
  connection_id connection = 0;             // 0 while its attempt has not come yet
  carrier* wire = nullptr;                  // the same, while up
  std::optional<base::time_point> deadline; // unless up
  bool hidden = false;
  bool fans_out = false; // it has said that it takes messages by fan_out_name
  std::uint32_t creation = 0;
  std::uint64_t flags = 0;
  std::deque<queued> queue; // unless up
  std::size_t queued_bytes = 0;
  bool overflown = false; // more than peer_queue_bytes_max: given up at the end of this step
  boost::unordered_flat_map<etf::reference, local_id> monitors; // its monitors on our processes
  std::size_t links = 0;                                        // our link entries with its processes
  // Requests for linked children that were not answered before the requester ended, and why it did: the
  // children hear.
  boost::unordered_flat_map<etf::reference, etf::term> orphans; // at most links_per_peer_max
  // A pid of an earlier incarnation: OTP hangs up on some signals to such (protocol.md 3.8).
  bool knows_as_gone(etf::pid const& p) const { return where == state::up && p.creation != creation; }
  // Reasons go as payloads; while it is not up, as to every supported release.
  bool takes_exit_payload() const { return where != state::up || (flags & dist::flag::exit_payload) != 0; }
  std::vector<local_id> waiting_connected;
  std::vector<local_id> waiting_writable;
};

struct node_limits {
  dist::connection_limits connection;
  std::size_t processes_max = 262'144;        // as OTP's +P; a spawn request beyond is answered system_limit
  std::size_t mailbox_bytes_max = 8U << 20U;  // above it the connections that fill it are not read
  std::size_t mailbox_messages_max = 100'000; // likewise
  std::size_t mailbox_wait_factor =
      8; // times these two, while it waits for a message that may be among the unread
  std::size_t runs_per_step_max = 4096; // of processes, before connections and timers have their turn again
  std::size_t peer_queue_bytes_max = 64U
                                     << 20U; // signals that wait for a connection; more, and it is given up
  std::size_t monitors_per_peer_max = 1'000'000; // a peer that sets more loses its connection
  std::size_t links_per_peer_max = 1'000'000;    // likewise
  std::size_t peers_max = 16'384;
  std::size_t handshakes_max = 1024; // incoming ones at the same time
};

} // namespace remora::node
