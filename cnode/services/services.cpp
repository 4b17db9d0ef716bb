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
  installed out{.door = services::door(node), .groups = services::groups(node)};
  for (auto const& scope : program.pg_scopes) out.groups.start_scope(scope);
  install_groups(node, out.door, out.groups);
  return out;
}

} // namespace remora::services
