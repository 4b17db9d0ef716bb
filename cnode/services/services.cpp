#include "services/services.hpp"

#include "services/parts.hpp"

namespace remora::services {

installed install(node::core& node, about const& program) {
  node.set_default_leader(install_user(node));
  install_logger_proxy(node);
  install_net_kernel(node, program);
  install_rex(node);
  install_erpc(node);
  installed out{.door = services::door(node),
                .groups = services::groups(node),
                .names = {},
                .discoverer = services::discoverer(node)};
  for (auto const& scope : program.pg_scopes) out.groups.start_scope(scope);
  install_groups(node, out.door, out.groups);
  if (program.registry) {
    out.names.emplace(node, *program.registry);
    install_names(node, out.door, *out.names);
    out.discoverer.set_names(*out.names);
  }
  install_functions(node, program, out.discoverer);
  install_mirror(node, out.door, out.groups, out.names);
  install_rpc(out.door);
  install_log(out.door);
  install_discovery(node, out.door, out.discoverer);
  install_cluster(node, out.door, program, out.groups, out.names);
  // A scope of groups is started again by itself (services/groups.hpp).
  for (auto const& pid : node.processes()) node.set_vital(pid);
  for (auto const& scope : program.pg_scopes)
    if (auto* const p = node.find_registered(scope)) p->vital = false;
  return out;
}

} // namespace remora::services
