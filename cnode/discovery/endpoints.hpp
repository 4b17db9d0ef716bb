// The endpoints of a Kubernetes API server (core/v1, Endpoints and EndpointsList): which pods of which
// service are ready, and what their nodes are called.
//
//   ip         base@10.2.0.7
//   pod        base@10-2-0-7.NAMESPACE.pod.DOMAIN           the pod's own record, made of its address
//   hostname   base@HOSTNAME.SERVICE.NAMESPACE.svc.DOMAIN   of a StatefulSet with a headless service
//
// Only subsets[].addresses count: who stands in notReadyAddresses is not to be talked to yet, or no more.
// Everything in a document is foreign: what is not as it should be is said and left out, the rest counts.
#pragma once

#include "discovery/types.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::discovery {

// Path and query of the question, percent-encoded. A service by itself is got by its name, which a role that
// may only `get` allows; with a selector it is listed.
std::string endpoints_target(kubernetes const& of);

struct endpoints {
  std::vector<std::string> nodes; // in the document's order, with repetitions
  std::optional<failed> trouble;  // none: this is all that there is
};
endpoints read_endpoints(kubernetes const& of, std::string_view basename, document const& said,
                         std::size_t nodes_max);

} // namespace remora::discovery
