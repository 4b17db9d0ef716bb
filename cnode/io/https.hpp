// One HTTPS request by Boost.Beast: a GET with a bearer token, as the API server of Kubernetes takes it.
//
//   auto const said = co_await io::get_https({.server = "https://10.0.0.1:443", .target = "/api/v1/..", ..});
//
// The server's certificate has to be signed by the authority in `ca_file` (the system's authorities without
// it) and to name the host that was asked; there is no way to switch that off, and no plain HTTP, because the
// token would go to whoever answers. The token is read from its file each time: Kubernetes renews it. It is
// never part of an answer or an error.
//
// The cancellation of the awaiting coroutine ends the request, wherever it is.
#pragma once

#include "io/dns.hpp"

#include <cstddef>
#include <string>

namespace remora::io {

struct https_request {
  std::string server;       // https://HOST[:PORT]
  std::string target;       // /path?query
  std::string token_file{}; // empty: without a token
  std::string ca_file{};    // PEM; empty: the system's authorities
  std::size_t body_bytes_max = std::size_t{4} << 20U;
  dns_options dns{};
};

// The document, whatever its status; or why there is none:
//   query_error   `server` is no address of that form, or `target` cannot be sent
//   no_file       token or authority cannot be read, or are none
//   unknown_host  no address for the host
//   network       none of its addresses accepts; no TLS, or with a certificate that is not to be trusted; or
//   the
//                 connection was lost before an answer
//   bad_answer    no HTTP, or cut off
//   too_large     body_bytes_max
using https_answer = base::result<discovery::document, discovery::failed>;
asio::awaitable<https_answer> get_https(https_request request);

struct https_server {
  std::string host; // IPv6 without its brackets
  std::uint16_t port = 443;
};
base::result<https_server, std::string> read_https_server(std::string const& text);

} // namespace remora::io
