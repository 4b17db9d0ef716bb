// Process groups for native code, and the processes that carry them: one for each scope, registered under the
// scope's name, as OTP's pg has them. What a scope decides is decided in pg/; this forwards its mailbox and
// carries out its effects.
//
//   groups.join("pg", etf::make(etf::am("workers")), me.pid());
//   for (auto const& pid : groups.members("pg", group)) ..
//   groups.broadcast(me, "pg", group, message);
//
// All of it from a process of the node or a function that it runs, once the node runs. A scope whose process
// is killed is started again with nothing in it, as OTP's supervisor does; who joined joins again.
#pragma once

#include "node/core.hpp"
#include "pg/scope.hpp"
#include "services/door.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace remora::services {

struct groups_limits {
  pg::limits scope;
  std::size_t scopes_max = 1024;
};

class groups {
public:
  enum class outcome : std::uint8_t {
    ok,
    no_scope,   // no scope of that name runs here
    not_joined, // as pg:leave
    limit,      // pg::limits, or scopes_max
    name_taken, // another process has the scope's name
  };
  enum class whom : std::uint8_t { all, local };

  explicit groups(node::core& node, groups_limits limits = {});

  outcome start_scope(std::string_view name); // ok too when it runs already
  outcome stop_scope(std::string_view name);
  std::vector<std::string> scopes() const; // sorted

  // pg:join/3 and leave/3. A pid may be of any node: it is watched, and left for at its end.
  outcome join(std::string_view scope, etf::view group, etf::pid const& who);
  // `accepted` runs when it is done here, before other nodes are told: so that an answer need not wait for
  // them.
  outcome join(std::string_view scope, etf::view group, std::span<etf::pid const> who,
               std::function<void()> const& accepted = {}, bool list = true);
  outcome leave(std::string_view scope, etf::view group, etf::pid const& who);
  outcome leave(std::string_view scope, etf::view group, std::span<etf::pid const> who);

  // Valid until the process waits; in no order, with repetitions. Empty where there is no such scope or
  // group.
  std::span<etf::pid const> members(std::string_view scope, etf::view group) const;
  std::span<etf::pid const> local_members(std::string_view scope, etf::view group) const;
  // The scope itself, for many lookups in a row; nullptr when it does not run.
  pg::scope const* find(std::string_view scope) const;

  // `me` sends to every member, or to those joined here: how many sends that were; nullopt without the scope.
  // The message is encoded once; to other remora nodes goes one frame for all of their members. What one
  // process broadcasts and sends reaches each member in that order.
  std::optional<std::size_t> broadcast(node::self me, std::string_view scope, etf::view group,
                                       etf::term const& message, whom to = whom::all);

  // pg:monitor_scope/1 and monitor/2 for `who`: the reference of its events, and what there is now.
  // {Ref, join | leave, Group, Pids} arrive until demonitor(), or the end of `who`.
  struct subscribed {
    etf::reference ref;
    etf::term now; // #{Group => [Pid]}, or [Pid]
  };
  base::result<subscribed, outcome> monitor_scope(std::string_view scope, etf::pid const& who);
  base::result<subscribed, outcome> monitor(std::string_view scope, etf::view group, etf::pid const& who);
  bool demonitor(std::string_view scope, etf::reference const& ref);

  // Answers a call from the scope's own process: behind it come the events that the call asked for.
  bool reply_from(std::string_view scope, ticket const& to, etf::term const& answer);

  // All that becomes of scopes and memberships, in the step in which it happens, before anybody is told of
  // it.
  struct change {
    enum class what : std::uint8_t { joined, left, started, stopped };
    what kind;
    std::string_view scope;
    etf::view group{};
    std::span<etf::pid const> pids{};
  };
  void observe(std::function<void(change const&)> told); // one observer

private:
  struct shared;
  class process;
  class supervisor;
  std::shared_ptr<shared> all_;
};

void install_groups(node::core& node, door& requests, groups const& g); // the door's, and the functions pg:*

} // namespace remora::services
