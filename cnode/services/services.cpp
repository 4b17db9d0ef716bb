#include "services/services.hpp"

#include "services/parts.hpp"

namespace remora::services {

installed install(node::core& node, about const& program) {
  node.set_default_leader(install_user(node));
  install_logger_proxy(node);
  install_net_kernel(node, program);
  install_rex(node);
  install_erpc(node);
  install_functions(node, program);
  installed out{.door = services::door(node), .groups = services::groups(node), .names = {}};
  for (auto const& scope : program.pg_scopes) out.groups.start_scope(scope);
  install_groups(node, out.door, out.groups);
  if (program.registry) {
    out.names.emplace(node, *program.registry);
    install_names(node, out.door, *out.names);
  }
  install_mirror(node, out.door, out.groups, out.names);
  install_rpc(out.door);
  install_log(out.door);
  install_cluster(node, out.door, program, out.groups, out.names);
  return out;
}

} // namespace remora::services
