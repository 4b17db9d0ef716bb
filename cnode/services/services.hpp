// What OTP expects to find on a node, installed in one call: net_kernel, rex, the erpc entry points, user and
// logger_proxy, and the functions that may be called here (erlang:*, net_adm:*, remora:*).
#pragma once

#include "services/application.hpp"
#include "services/discovery.hpp"
#include "services/door.hpp"
#include "services/election.hpp"
#include "services/groups.hpp"
#include "services/membership.hpp"
#include "services/names.hpp"

#include "node/core.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace remora::services {

struct about {
  std::string version;
  std::int64_t net_tick_time = 60; // s, as net_kernel tells it
  std::function<std::uint64_t()> resident_bytes = [] {
    return std::uint64_t{0};
  };                                         // as the system counts them
  std::int64_t os_pid = 0;                   // of the program
  std::vector<std::string> pg_scopes{};      // to be there from the start
  std::optional<global::options> registry{}; // none: it takes no part in `global`
};

// What native code uses of it. Shared: it lives as long as somebody holds it, and its processes.
struct installed {
  services::door door;
  services::groups groups;
  std::optional<services::names> names; // as `registry`
  services::discoverer discoverer;      // rests until it is told where nodes are listed
  services::application application;    // the VM beside us
  services::membership membership;      // rests until it is started
  services::election election;          // likewise
};
installed install(node::core& node, about const& program);

} // namespace remora::services
