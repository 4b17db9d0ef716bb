// What the application beside us asks about this node and its peers:
//
//   hello                    {ok, #{protocol, version, node, creation, scopes, os_pid}}
//   {connect, Node}          ok | {error, Reason}: one word, what the dial or the handshake ended with
//                            host_unknown, no_epmd, epmd_failed, not_registered, unreachable; timeout;
//                            handshake_closed (most likely the cookies differ), bad_cookie, wrong_name,
//                            not_allowed, missing_flags, malformed; bad_name, system_limit, leaving,
//                            connection_closed
//   {disconnect, Node}       ok | {error, not_connected}
//   {ping, Node}             pong | pang, as net_adm:ping/1
//   {nodes, visible | hidden | connected}      [Node]
//
// A disconnect is told to the peer's name server first, as `global` does where it parts two nodes: neither of
// them reports a lost connection then, for which all others would drop both (global.erl, remove_connection).
#include "services/answers.hpp"
#include "services/parts.hpp"

namespace remora::services {

using etf::am;
using etf::make;

namespace {

constexpr int protocol = 1; // of the door's requests; more with every change that a shim must know of

etf::term atoms(std::vector<std::string> const& names) {
  etf::builder b;
  b.list(names.size());
  for (auto const& n : names) b.atom(n);
  b.nil();
  return b.take();
}

etf::term hello(node::core const& node, about const& program, groups const& g) {
  etf::builder b;
  b.tuple(2).atom("ok").map(6);
  b.atom("protocol").integer(protocol);
  b.atom("version").binary(program.version);
  b.atom("node").atom(node.name());
  b.atom("creation").unsigned_integer(node.creation());
  b.atom("scopes").copy(atoms(g.scopes()));
  b.atom("os_pid").integer(program.os_pid);
  return b.take();
}

std::optional<etf::atom> node_of(etf::view request) {
  auto const name = request.element(1)->atom_text();
  return name ? std::optional(etf::atom(*name)) : std::nullopt;
}

door::answer connect(node::self me, ticket const& to, etf::view request) {
  auto const peer = node_of(request);
  if (!peer) return error("badarg");
  if (*peer == me.node().name() || me.node().connected(peer->text())) return make(am("ok"));
  bool const room = spawn_for(me, to, [to, peer = *peer](node::self worker) -> node::task<> {
    auto const reached = co_await worker.reach(peer);
    to.reply(reached ? make(am("ok")) : error(reached.error()));
  });
  return room ? std::nullopt : door::answer(error("system_limit"));
}

door::answer ping(node::self me, ticket const& to, etf::view request) {
  auto const peer = node_of(request);
  if (!peer) return error("badarg");
  bool const room = spawn_for(me, to, [to, peer = *peer](node::self worker) -> node::task<> {
    bool const there = co_await ping_node(worker, peer);
    to.reply(make(am(there ? "pong" : "pang")));
  });
  return room ? std::nullopt : door::answer(error("system_limit"));
}

door::answer disconnect(node::self me, std::optional<names> const& n, etf::view request) {
  auto const peer = node_of(request);
  if (!peer) return error("badarg");
  if (!me.node().connected(peer->text())) return error("not_connected");
  if (n) n->part(*peer);
  me.node().disconnect(peer->text(), "disconnect");
  return make(am("ok"));
}

door::answer nodes(node::core const& node, etf::view request) {
  auto const kind = *request.element(1);
  bool const all = kind.is_atom("connected");
  if (!all && !kind.is_atom("visible") && !kind.is_atom("hidden")) return error("badarg");
  return atoms(node.peers(all || kind.is_atom("visible"), all || kind.is_atom("hidden")));
}

} // namespace

void install_cluster(node::core& node, door& requests, about const& program, groups const& g,
                     std::optional<names> const& n) {
  auto& us = node;
  requests.on("hello", 0, [&us, program, g](node::self, ticket const&, etf::view) -> door::answer {
    return hello(us, program, g);
  });
  requests.on("connect", 2, connect);
  requests.on("ping", 2, ping);
  requests.on("disconnect", 2,
              [n](node::self me, ticket const&, etf::view request) { return disconnect(me, n, request); });
  requests.on("nodes", 2, [&us](node::self, ticket const&, etf::view request) { return nodes(us, request); });
}

} // namespace remora::services
