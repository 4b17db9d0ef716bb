#include "io/https.hpp"

#include "io/files.hpp"
#include "io/resolve.hpp"

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace remora::io {

namespace {

namespace http = boost::beast::http;
namespace ssl = asio::ssl;
using discovery::cause;
using stream = ssl::stream<tcp::socket>;

constexpr std::size_t token_bytes_max = 64U << 10U;

discovery::failed failed(cause why, std::string text) { return {.why = why, .text = std::move(text)}; }

// A token is one word of visible characters (RFC 6750, 2.1): anything else would be a header of its own.
base::result<std::string, discovery::failed> read_token(std::string const& path) {
  using result = base::result<std::string, discovery::failed>;
  auto text = read_text_file(path, token_bytes_max);
  if (!text)
    return result(boost::system::in_place_error,
                  failed(cause::no_file, fmt::format("the token: {}", text.error().why)));
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' '))
    text->pop_back();
  bool const word =
      !text->empty() && std::all_of(text->begin(), text->end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!word)
    return result(
        boost::system::in_place_error,
        failed(cause::no_file, fmt::format("the token file {} holds no token: one word is expected", path)));
  return result(boost::system::in_place_value, std::move(*text));
}

// What the verification said is in OpenSSL's error, or in the result of the chain's walk.
std::string tls_problem(stream& s, error_code const& ec) {
  long const verdict = SSL_get_verify_result(s.native_handle());
  if (verdict != X509_V_OK)
    return fmt::format("its certificate was refused: {}", X509_verify_cert_error_string(verdict));
  return ec.message();
}

// The connection of one request, and what it needs as long as it lives.
struct connection {
  explicit connection(tcp::socket socket, ssl::context& context) : tls(std::move(socket), context) {}
  stream tls;
  boost::beast::flat_buffer bytes;
};

discovery::failed read_problem(https_request const& r, error_code const& ec) {
  if (ec == http::error::body_limit || ec == http::error::header_limit)
    return failed(cause::too_large,
                  fmt::format("{}: the answer is larger than {} bytes", r.server, r.body_bytes_max));
  bool const cut = ec == http::error::partial_message || ec == http::error::end_of_stream ||
                   ec == ssl::error::stream_truncated || ec == asio::error::eof;
  if (cut) return failed(cause::bad_answer, fmt::format("{}: the answer was cut off", r.server));
  if (ec.category() == http::make_error_code(http::error::bad_status).category())
    return failed(cause::bad_answer, fmt::format("{}: the answer is no HTTP: {}", r.server, ec.message()));
  return failed(cause::network,
                fmt::format("{}: the connection was lost before the answer: {}", r.server, ec.message()));
}

asio::awaitable<https_answer> exchange(connection& c, https_request const& r, https_server const& at,
                                       std::string token) {
  bool const v6 = at.host.find(':') != std::string::npos;
  auto const host = v6 ? fmt::format("[{}]", at.host) : at.host;
  http::request<http::empty_body> request(http::verb::get, r.target, 11);
  request.set(http::field::host, at.port == 443 ? host : fmt::format("{}:{}", host, at.port));
  request.set(http::field::accept, "application/json");
  request.set(http::field::user_agent, "remora");
  request.set(http::field::connection, "close");
  if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
  auto [write_error, written] = co_await http::async_write(c.tls, request, as_result);
  if (write_error) co_return read_problem(r, write_error);
  http::response_parser<http::string_body> parser;
  parser.body_limit(r.body_bytes_max);
  auto [read_error, count] = co_await http::async_read(c.tls, c.bytes, parser, as_result);
  if (read_error) co_return read_problem(r, read_error);
  co_return discovery::document{.status = parser.get().result_int(), .body = std::move(parser.get().body())};
}

// What would end a line of the request, or be another one.
bool is_target(std::string const& target) {
  return target.starts_with('/') &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

} // namespace

base::result<https_server, std::string> read_https_server(std::string const& text) {
  using result = base::result<https_server, std::string>;
  auto const bad = [&] {
    return result(boost::system::in_place_error, fmt::format("{} is no server; write https://HOST[:PORT]",
                                                             text.empty() ? "the empty text" : text));
  };
  static constexpr std::string_view scheme = "https://";
  if (!text.starts_with(scheme)) return bad();
  auto const rest = text.substr(scheme.size());
  https_server out;
  std::string port;
  if (rest.starts_with('[')) {
    auto const end = rest.find(']');
    error_code ec;
    if (end == std::string::npos) return bad();
    out.host = rest.substr(1, end - 1);
    (void)asio::ip::make_address_v6(out.host, ec);
    if (ec) return bad();
    port = rest.substr(end + 1);
  } else {
    auto const colon = rest.find(':');
    out.host = rest.substr(0, colon);
    if (colon != std::string::npos) port = rest.substr(colon);
  }
  bool const host_fits = !out.host.empty() && std::all_of(out.host.begin(), out.host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '%';
  });
  if (!host_fits) return bad();
  if (port.empty()) return result(boost::system::in_place_value, std::move(out));
  auto const digits = port.substr(1);
  bool const number = port.front() == ':' && !digits.empty() && digits.size() <= 5 &&
                      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || std::stoi(digits) < 1 || std::stoi(digits) > 65'535) return bad();
  out.port = static_cast<std::uint16_t>(std::stoi(digits));
  return result(boost::system::in_place_value, std::move(out));
}

asio::awaitable<https_answer> get_https(https_request request) {
  auto const at = read_https_server(request.server);
  if (!at) co_return failed(cause::query_error, at.error());
  if (!is_target(request.target))
    co_return failed(cause::query_error, fmt::format("{} is no target of a request", request.target));
  std::string token;
  if (!request.token_file.empty()) {
    auto found = read_token(request.token_file);
    if (!found) co_return found.error();
    token = std::move(*found);
  }
  error_code ec;
  ssl::context context(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(ssl::verify_peer, ec);
  if (request.ca_file.empty())
    context.set_default_verify_paths(ec);
  else
    context.load_verify_file(request.ca_file, ec);
  if (ec)
    co_return failed(cause::no_file, fmt::format("the authority's certificate {} cannot be used: {}",
                                                 request.ca_file, ec.message()));
  auto const found = co_await look_up(at->host, request.dns);
  if (found.addresses.empty())
    co_return failed(cause::unknown_host,
                     fmt::format("the host {} cannot be resolved: {}", at->host,
                                 found.problem ? found.problem->text : "it has no address"));
  auto reached = co_await connect_any(found.addresses, at->port);
  if (!reached.socket.is_open())
    co_return failed(cause::network, fmt::format("{} does not accept: {}", request.server, reached.error));

  connection c(std::move(reached.socket), context);
  (void)asio::ip::make_address(at->host, ec);
  // SSL_set_tlsext_host_name is a macro with an old cast. Literals are not sent (RFC 6066, 3).
  if (ec && SSL_ctrl(c.tls.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     const_cast<char*>(at->host.c_str())) != 1)
    co_return failed(cause::query_error, fmt::format("{} is no host name", at->host));
  c.tls.set_verify_callback(ssl::host_name_verification(at->host), ec);
  auto [shake_error] = co_await c.tls.async_handshake(ssl::stream_base::client, as_result);
  if (shake_error)
    co_return failed(cause::network,
                     fmt::format("no TLS with {}: {}", request.server, tls_problem(c.tls, shake_error)));
  co_return co_await exchange(c, request, *at, std::move(token));
}

} // namespace remora::io
