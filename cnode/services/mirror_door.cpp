// Where the stream of changes (services/mirror.hpp) comes from: names, groups and peers.
#include "services/parts.hpp"

#include "etf/reader.hpp"

namespace remora::services {

namespace {

// Reasons are words; whatever else one may be is still told, as what it is.
std::string_view as_word(node::peer_down const& e) {
  std::string_view const word = e.word.empty() ? e.reason : e.word;
  return !word.empty() && etf::is_atom_text(base::as_bytes(word)) ? word : "connection_closed";
}

void watch_nodes(node::core& node, door const& requests) {
  auto& to = requests.mirror();
  node.observe_peers([&to](node::effect const& e) {
    if (auto const* const up = std::get_if<node::peer_up>(&e)) to.node_up(up->node, up->hidden);
    if (auto const* const down = std::get_if<node::peer_down>(&e)) to.node_down(down->node, as_word(*down));
  });
}

void watch_groups(door const& requests, groups& g) {
  auto& to = requests.mirror();
  g.observe([&to](groups::change const& c) {
    switch (c.kind) {
    case groups::change::what::joined: return to.joined(c.scope, c.group, c.pids);
    case groups::change::what::left: return to.left(c.scope, c.group, c.pids);
    case groups::change::what::started: return to.scope_started(c.scope);
    case groups::change::what::stopped: return to.scope_stopped(c.scope);
    }
  });
}

void watch_names(door const& requests, names const& n) {
  auto& to = requests.mirror();
  n.observe([&to](etf::view name, etf::pid const* pid) {
    if (pid != nullptr)
      to.named(name, *pid);
    else
      to.unnamed(name);
  });
}

} // namespace

void install_mirror(node::core& node, door& requests, groups g, std::optional<names> const& n) {
  watch_nodes(node, requests);
  watch_groups(requests, g);
  if (n) watch_names(requests, *n);
  requests.on_snapshot([&node, g, n](mirror_changes& now) {
    for (auto const& peer : node.peers(true, false)) now.node_up(peer, false);
    for (auto const& peer : node.peers(false, true)) now.node_up(peer, true);
    for (auto const& name : g.scopes()) {
      now.scope_started(name);
      auto const& scope = *g.find(name);
      for (auto const group : scope.groups()) now.joined(name, group, scope.members(group));
    }
    if (n) n->for_each([&now](etf::view name, etf::pid const& pid) { now.named(name, pid); });
  });
}

} // namespace remora::services
