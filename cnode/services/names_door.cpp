// Names from outside: what an application's shim asks the door, and the functions global:* that tools and
// other nodes call by rpc, this node being one of the cluster.
//
//   {register_name, Name, Pid, Policy}      yes | no | {error, {timeout, Node}} | {error, busy}
//   {re_register_name, Name, Pid, Policy}   the same
//   {unregister_name, Name}                 ok | {error, ..}
//   {whereis_name, Name}                    Pid | undefined
//   registered_names                        [Name]
//   {send_name, Name, Message}              Pid | {error, {badarg, {Name, Message}}}: as global:send/2 exits
//
// Policy is random_exit, random_notify, notify_all, lowest_pid, highest_pid, keep_local, kill_both or
// {node_priority, [Node]}.
#include "services/names.hpp"

namespace remora::services {

namespace {

using etf::am;
using etf::make;
using etf::tup;
using answer = node::server::answer;
using what = global::request::what;

etf::term badarg() { return make(tup(am("error"), am("badarg"))); }
etf::term undefined() { return make(am("undefined")); }

etf::term pid_or_undefined(etf::pid const* p) { return p != nullptr ? make(*p) : undefined(); }

etf::term list_of(std::vector<etf::term> const& all) { return make(all); }

void add_registering(door& requests, names const& n, std::string_view tag, what wanted) {
  requests.on(tag, 4, [n, wanted](node::self, ticket const& to, etf::view request) mutable -> answer {
    auto const all = *request.tuple<4>();
    auto const pid = all[2].as_pid();
    auto const method = global::policy_of(all[3]);
    if (!pid || !method) return badarg();
    n.register_for(to, wanted, etf::term(all[1]), *pid, *method);
    return std::nullopt;
  });
}

void add_to_door(door& requests, names const& n) {
  add_registering(requests, n, "register_name", what::register_name);
  add_registering(requests, n, "re_register_name", what::re_register_name);
  requests.on("unregister_name", 2, [n](node::self, ticket const& to, etf::view request) mutable -> answer {
    n.register_for(to, what::unregister_name, etf::term((*request.tuple<2>())[1]), {}, {});
    return std::nullopt;
  });
  requests.on("whereis_name", 2, [n](node::self, ticket const&, etf::view request) -> answer {
    return pid_or_undefined(n.whereis((*request.tuple<2>())[1]));
  });
  requests.on("registered_names", 0,
              [n](node::self, ticket const&, etf::view) -> answer { return list_of(n.registered_names()); });
  requests.on("send_name", 3, [n](node::self me, ticket const&, etf::view request) -> answer {
    auto const all = *request.tuple<3>();
    if (n.send(me, all[1], etf::term(all[2]))) return make(*n.whereis(all[1]));
    return make(tup(am("error"), tup(am("badarg"), tup(all[1], all[2]))));
  });
}

void add_functions(node::functions& f, names const& n) {
  f.add("global", "whereis_name", 1, [n](node::self, etf::term arguments) -> node::task<etf::term> {
    co_return pid_or_undefined(n.whereis(*arguments->list()->next()));
  });
  f.add("global", "registered_names", 0,
        [n](node::self, etf::term) -> node::task<etf::term> { co_return list_of(n.registered_names()); });
  // Called by the node that decides about two processes, on the node of one of them (global.erl,
  // resolve_it/4).
  f.add("global", "resolve_it", 4, [n](node::self me, etf::term arguments) mutable -> node::task<etf::term> {
    auto walk = *arguments->list();
    auto const method = etf::term(*walk.next());
    auto const name = etf::term(*walk.next());
    auto const theirs = walk.next()->as_pid();
    auto const ours = walk.next()->as_pid();
    if (!theirs || !ours) node::raise_error("badarg");
    co_return co_await n.resolve(me, method, name, *theirs, *ours);
  });
}

} // namespace

void install_names(node::core& node, door& requests, names const& n) {
  add_to_door(requests, n);
  add_functions(node.functions(), n);
}

} // namespace remora::services
