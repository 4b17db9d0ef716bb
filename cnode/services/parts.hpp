// The parts of services.hpp, each in its own file.
#pragma once

#include "services/services.hpp"

namespace remora::services {

void install_net_kernel(node::core& node, about const& program);
void install_rex(node::core& node);
void install_erpc(node::core& node);
etf::pid install_user(node::core& node); // the group leader of what we spawn elsewhere
void install_logger_proxy(node::core& node);
void install_functions(node::core& node, about const& program);

} // namespace remora::services
