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
  return {.door = services::door(node)};
}

} // namespace remora::services
