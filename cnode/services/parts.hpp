// The parts of services.hpp, each in its own file.
#pragma once

#include "services/services.hpp"

namespace remora::services {

void install_net_kernel(node::core& node, about const& program);
void install_rex(node::core& node);
void install_erpc(node::core& node);
etf::pid install_user(node::core& node); // the group leader of what we spawn elsewhere
void install_logger_proxy(node::core& node);
void install_functions(node::core& node, about const& program, installed const& all);

// The door's.
void install_mirror(node::core& node, door& requests, groups g, std::optional<names> const& n);
void install_rpc(door& requests);
void install_log(door& requests);
void install_discovery(node::core& node, door& requests, discoverer const& d);
void install_application(door& requests, application const& a);
void install_membership(door& requests, membership const& m);
void install_election(door& requests, election const& e);
void install_cluster(node::core& node, door& requests, about const& program, groups const& g,
                     std::optional<names> const& n);

// A process that works for a caller of the door and replies to it; it is ended when that one waits no longer.
// False: processes_max.
bool spawn_for(node::self me, ticket const& to, node::body work, bool at_any_price = true);

node::task<bool> ping_node(node::self me, etf::atom peer); // net_adm:ping/1

} // namespace remora::services
