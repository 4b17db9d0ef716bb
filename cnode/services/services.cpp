#include "services/services.hpp"

#include "services/parts.hpp"

#include <memory>
#include <utility>

namespace remora::services {

namespace {

// Remora nodes that are alive, as far as this one can see.
std::vector<std::string> alive_nodes(node::core const& node, membership const& m) {
  if (!m.started()) {
    auto out = node.peers(true, false);
    out.emplace_back(node.name().text());
    return out;
  }
  std::vector<std::string> out;
  for (auto const& one : m.members())
    if (one.kind == swim::kind::remora && one.status == swim::status::alive) out.push_back(one.node);
  return out;
}

// Who hears of whom: the VM is a member and may hang, a member's death starts an election, and the first
// members are the first voters. The node holds it; those who tell it hold it weakly, or each would hold
// itself.
struct neighbours {
  node::core& node;
  services::application application;
  services::membership membership;
  services::election election;

  void look() {
    if (election.started() && election.status().role == raft::role::unconfigured)
      election.seen(alive_nodes(node, membership));
  }
  void hear(application::change what, std::string const& vm) {
    switch (what) {
    case application::change::here: return membership.app_here(vm);
    case application::change::gone: membership.app_gone(); return election.app_heard(vm);
    case application::change::silent: return election.app_silent(vm);
    case application::change::heard_again: return election.app_heard(vm);
    }
  }
  void hear(swim::news const& n) {
    auto const* const c = std::get_if<swim::member_changed>(&n);
    if (c == nullptr || c->member.kind != swim::kind::remora) return;
    if (c->what == swim::change::died) election.suspected_dead(c->member.node);
    look();
  }
  void election_runs(bool on) {
    if (!on) return;
    application.set_silence_max(election.name_lease());
    look();
  }
};

void connect(node::core& node, installed& all) {
  auto const us = std::make_shared<neighbours>(neighbours{
      .node = node, .application = all.application, .membership = all.membership, .election = all.election});
  node.observe_peers([us](node::effect const&) { us->look(); });
  std::weak_ptr const weak(us);
  all.application.observe([weak](application::change what, std::string const& vm) {
    if (auto const now = weak.lock()) now->hear(what, vm);
  });
  all.membership.observe([weak](swim::news const& n) {
    if (auto const now = weak.lock()) now->hear(n);
  });
  all.election.observe_running([weak](bool on) {
    if (auto const now = weak.lock()) now->election_runs(on);
  });
}

} // namespace

installed install(node::core& node, about const& program) {
  node.set_default_leader(install_user(node));
  install_logger_proxy(node);
  install_net_kernel(node, program);
  install_rex(node);
  install_erpc(node);
  installed out{.door = services::door(node),
                .groups = services::groups(node),
                .names = {},
                .discoverer = services::discoverer(node),
                .application = services::application(node),
                .membership = services::membership(node),
                .election = services::election(node)};
  for (auto const& scope : program.pg_scopes) out.groups.start_scope(scope);
  install_groups(node, out.door, out.groups);
  if (program.registry) {
    out.names.emplace(node, *program.registry);
    install_names(node, out.door, *out.names);
    out.discoverer.set_names(*out.names);
    out.membership.set_names(*out.names);
  }
  install_functions(node, program, out);
  install_mirror(node, out.door, out.groups, out.names);
  install_rpc(out.door);
  install_log(out.door);
  install_discovery(node, out.door, out.discoverer);
  install_application(out.door, out.application);
  install_membership(out.door, out.membership);
  install_election(out.door, out.election);
  connect(node, out);
  install_cluster(node, out.door, program, out.groups, out.names);
  // A scope of groups is started again by itself (services/groups.hpp).
  for (auto const& pid : node.processes()) node.set_vital(pid);
  for (auto const& scope : program.pg_scopes)
    if (auto* const p = node.find_registered(scope)) p->vital = false;
  return out;
}

} // namespace remora::services
