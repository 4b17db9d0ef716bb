// Global names for native code, and the processes that take part in OTP's `global` for this node: the name
// server, registered as global_name_server, its locker and its registrar. What they do is decided in global/;
// this forwards their mailboxes and carries out the effects.
//
//   auto const said = co_await names.register_name(me, etf::make(etf::am("printer")), me.pid());
//   if (said == names::registered::yes) ..
//   if (auto const* const pid = names.whereis(name)) me.send(*pid, message);
//
// All of it from a process of the node or a function that it runs, once the node runs. Names are terms; any
// node of the cluster finds them with global:whereis_name/1, and the other way round.
#pragma once

#include "global/core.hpp"
#include "node/core.hpp"
#include "services/door.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace remora::services {

class names {
public:
  // How a request ended. `timeout`: the member `node` did not answer within call_timeout, and the request was
  // taken back everywhere. `busy`: requests_max requests wait already.
  using outcome = global::outcome;

  names(node::core& node, global::options options);

  // global:register_name/3: yes when every member of the cluster has the name; no when it is taken, or when
  // the process has one already. `method` says who keeps the name when two clusters that both have it become
  // one.
  node::task<outcome> register_name(node::self me, etf::term name, etf::pid pid,
                                    global::policy method = {}) const;
  node::task<outcome> re_register_name(node::self me, etf::term name, etf::pid pid,
                                       global::policy method = {}) const;
  node::task<outcome> unregister_name(node::self me, etf::term name) const;

  // nullptr: nobody has it. Valid until the process waits.
  etf::pid const* whereis(etf::view name) const;
  bool send(node::self me, etf::view name, etf::term const& message) const; // false: nobody has it
  std::vector<etf::term> registered_names() const;
  std::vector<etf::atom> known() const; // the nodes that share our names, without this one; sorted

  // global:set_lock/3, del_lock/2, trans/4: `me` holds {Resource, Requester} on these nodes until it lets go,
  // or ends. Without nodes: on all that share our names, and here. Two requesters exclude each other; one may
  // be many processes.
  struct lock {
    etf::term resource;
    etf::term requester;
  };
  static constexpr int for_ever = -1;
  node::task<bool> set_lock(node::self me, lock id, std::vector<etf::atom> nodes = {},
                            int retries = for_ever) const;
  node::task<> del_lock(node::self me, lock id, std::vector<etf::atom> nodes = {}) const;
  // Runs `work` while it holds the lock; false when the lock was not to be had.
  node::task<bool> trans(node::self me, lock id, std::function<node::task<>()> work,
                         std::vector<etf::atom> nodes = {}, int retries = for_ever) const;

  // A policy of native code: asked with the name, the pid of the joining node and the pid that was here; says
  // which keeps it. Its answer counts for callback_time; without one the lower pid stays.
  using callback = std::function<node::task<std::optional<etf::pid>>(node::self, etf::term name,
                                                                     etf::pid theirs, etf::pid ours)>;
  global::policy policy_by(callback decide) const;

  // For the door, for rpc, and for the mirror.
  void register_for(ticket to, global::request::what wanted, etf::term name, etf::pid pid,
                    global::policy method) const;
  node::task<etf::term> resolve(node::self me, etf::term method, etf::term name, etf::pid theirs,
                                etf::pid ours) const;
  // The connection to that node will be closed on purpose: neither end is to report it as lost.
  void part(etf::atom const& node) const;
  // All that becomes of names, in the step in which it happens, before anybody is told of it. No pid: nobody
  // has the name any more. One observer.
  void observe(std::function<void(etf::view name, etf::pid const* pid)> told) const;
  void for_each(std::function<void(etf::view name, etf::pid const& pid)> const& look) const;

private:
  struct shared;
  node::task<outcome> request(node::self me, global::request::what wanted, etf::term name, etf::pid pid,
                              global::policy method) const;
  std::shared_ptr<shared> all_;
};

etf::term to_term(global::outcome const& o); // yes | no | {error, {timeout, Node}} | {error, busy}

void install_names(node::core& node, door& requests,
                   names const& n); // the door's, and the functions global:*

} // namespace remora::services
