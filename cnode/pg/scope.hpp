// One scope of process groups: membership in OTP's pg as pg.erl has it, one object for each scope name. Pure:
// messages, nodes that come and processes that end go in; effects come out. It has no deadlines: everything
// that heals, heals because nodes meet again and say what they have.
//
//   scope s("pg", self);
//   s.handle(started{visible_nodes}, now, out);         and then message, node_up, watched_ended as they come
//   s.join(group, pids, .., out), s.leave(..)           requests of this node's own
//   s.members(group), s.local_members(group)
//
// What is advertised as ours ("local") is whatever was joined here: native processes, and processes of the
// application's own node, which are watched all the same. A message from another scope changes only what that
// scope said before; all of it goes when its process ends, for whatever reason.
//
// An OTP scope crashes, and with it goes every membership of its node, when it hears of a leave from a group
// that it does not know from us, or of anything that it does not know at all. Therefore:
//  - joins and leaves go only to scopes that have had our sync. (pg.erl sends them to every scope that it has
//    heard of; a leave between a scope's sync and its discover crashes that scope.)
//  - a leave lists exactly what was joined before, one entry for each membership.
//  - a group without members is never named: [] in a sync or a join would show on OTP as an empty group, for
//    ever.
#pragma once

#include "base/time.hpp"
#include "etf/destination.hpp"
#include "etf/ids.hpp"
#include "etf/term.hpp"
#include "pg/effects.hpp"
#include "pg/messages.hpp"
#include "pg/multiset.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace remora::pg {

struct limits {
  std::size_t groups_max = 1'000'000;                    // of a scope, with those that are only subscribed to
  std::size_t group_bytes_max = 64U << 10U;              // of one group's term
  std::size_t names_bytes_max = std::size_t{256} << 20U; // of all groups' terms together
  std::size_t peers_max = 16'384;                        // scopes on other nodes
  std::size_t memberships_per_peer_max = 1'000'000;      // what one of them may advertise
  std::size_t memberships_local_max = 1'000'000;         // joined here
  std::size_t subscriptions_max = 100'000;
  base::duration log_pause = std::chrono::seconds(1); // between two refusals that are told
};

// What happens to a scope:
struct started { // its process runs; these nodes are connected and visible
  std::vector<etf::atom> nodes;
};
struct node_up {
  etf::atom node;
};
struct received {
  etf::term message;
};
struct watched_ended {
  etf::pid who;
};
using event = std::variant<started, node_up, received, watched_ended>;

enum class joined : std::uint8_t { ok, limit };

// What became of a group, here or elsewhere: one entry for each membership.
struct change {
  bool joined;
  etf::term group;
  std::vector<etf::pid> pids;
  friend bool operator==(change const&, change const&) = default;
};

class scope {
public:
  scope(std::string_view name, etf::pid self, pg::limits limits = {});
  scope(scope const&) = delete;
  scope& operator=(scope const&) = delete;
  ~scope();

  void handle(event const& e, base::time_point now, std::vector<effect>& out);
  std::optional<base::time_point> next_deadline() const { return std::nullopt; }

  // pg:join/3, pg:leave/3. `list` says whether they were given as a list: peers and subscribers see the same.
  // A pid that is listed twice joins, or leaves, twice. `limit`: nobody joined.
  joined join(etf::view group, std::span<etf::pid const> pids, bool list, std::vector<effect>& out);
  // False, OTP's not_joined: none of them is a member by us.
  bool leave(etf::view group, std::span<etf::pid const> pids, bool list, std::vector<effect>& out);

  // Valid until something changes; in no order, with repetitions. Empty for a group that is none.
  std::span<etf::pid const> members(etf::view group) const;
  std::span<etf::pid const> local_members(etf::view group) const;
  std::vector<etf::view> groups() const;
  std::vector<etf::view> local_groups() const;
  etf::term snapshot() const; // #{Group => [Pid]}

  // pg:monitor_scope/1, pg:monitor/2: from now on `who` hears {Ref, join | leave, Group, Pids}, of one group
  // or of all. False: subscriptions_max. Whoever calls this watches `who`, and unsubscribes at its end.
  bool subscribe(etf::reference const& ref, etf::pid const& who, std::optional<etf::view> group = {});
  bool unsubscribe(etf::reference const& ref); // false: there is no such subscription

  // From now on all changes are kept, for whoever takes them after each call.
  void keep_changes() { keeps_changes_ = true; }
  std::vector<change> take_changes() { return std::exchange(changes_, {}); }

  etf::atom const& name() const { return name_; }
  std::size_t peer_count() const { return peers_.size(); }
  std::size_t local_count() const { return local_count_; }
  std::size_t subscription_count() const { return subscriptions_.size(); }
  std::size_t group_count() const { return groups_.size(); }

private:
  struct group;
  struct peer;
  struct local;
  struct subscription {
    etf::pid who;
    group* of = nullptr; // nullptr: the whole scope
  };
  using output = std::vector<effect>;

  void on(started const& e, output& out);
  void on(node_up const& e, output& out);
  void on(received const& e, output& out);
  void on(watched_ended const& e, output& out);
  void on_message(discover const& m, output& out);
  void on_message(sync const& m, output& out);
  void on_message(pg::join const& m, output& out);
  void on_message(pg::leave const& m, output& out);

  group* find(etf::view group_term) const;
  group* find_or_add(etf::view group_term); // nullptr: a limit
  void drop_if_empty(group& g);
  peer* find_peer(etf::pid const& who);
  peer* add_peer(etf::pid const& who, output& out);
  void forget_peer(etf::pid const& who, output& out);
  void member_ended(etf::pid const& who, output& out);
  void take(peer& from, group& g, std::span<etf::pid const> pids, output& out);
  void replace(peer& from, sync const& m, output& out);
  void hold(etf::pid const& who, output& out);    // counts watches
  void release(etf::pid const& who, output& out); //
  void broadcast(etf::term const& message, output& out);
  etf::term sync_message() const;
  void tell(group const& g, std::string_view what, std::span<etf::pid const> pids, output& out);
  void refuse(std::string why, output& out);

  etf::atom name_;
  etf::pid self_;
  pg::limits limits_;
  base::time_point now_;
  std::optional<base::time_point> told_; // when a refusal was last told
  std::uint64_t untold_ = 0;

  boost::unordered_flat_map<std::string_view, std::unique_ptr<group>> groups_; // by the bytes of their terms
  std::size_t names_bytes_ = 0;
  boost::unordered_flat_map<etf::pid, std::unique_ptr<peer>> peers_;
  boost::unordered_flat_map<etf::pid, std::vector<group*>> local_; // one entry for each membership
  std::size_t local_count_ = 0;
  boost::unordered_flat_map<etf::pid, std::uint32_t> watches_;
  boost::unordered_flat_map<etf::reference, subscription> subscriptions_;
  std::vector<etf::reference> scope_subscribers_;
  bool keeps_changes_ = false;
  std::vector<change> changes_;
};

} // namespace remora::pg
