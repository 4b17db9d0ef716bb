// What each kind of source asks, and what its answers say: the strategies. They keep no state. An answer may
// lead to more questions (.hosts.erlang names hosts, and each one's epmd is asked); a source is done when
// none is open.
//
//   node_list        nothing
//   epmd_hosts       epmd_names of each host              name@host
//   dns_name         resolve a, resolve aaaa              basename@address
//   dns_service      resolve srv                          basename@target
//   kubernetes       http_get                             endpoints.hpp
//   kubernetes_dns   resolve a, aaaa of SERVICE.NS.svc.DOMAIN
//   multicast        nothing; join_group stands           gossip.hpp
//   hosts_file       read_file, then epmd_names
//   node_file        read_file; watch stands              files.hpp
//   custom           list_by_app
#pragma once

#include "discovery/types.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::discovery {

std::vector<question> questions_of(source const& s, std::string_view own_node);
std::optional<question> standing_question_of(source const& s);

// What one answer says.
struct piece {
  std::vector<std::string> nodes{}; // each is_node_name
  std::vector<question> more{};
  std::optional<failed> trouble{}; // what is missing, and why; the nodes count all the same
};
piece read(source const& s, question const& asked, answer const& said, std::string_view own_node,
           limits const& limit);

// When all pieces are there. A name that has A records or AAAA records exists: that the other question found
// no such name is no trouble. Several troubles of one source become one.
std::optional<failed> trouble_of(source const& s, std::vector<failed> troubles);

} // namespace remora::discovery
