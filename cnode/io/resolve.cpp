#include "io/resolve.hpp"

#include <fmt/format.h>

namespace remora::io {

asio::awaitable<resolved> resolve(std::string host) {
  error_code ec;
  auto const literal = asio::ip::make_address(host, ec);
  resolved out;
  if (!ec) {
    out.addresses.push_back(literal);
    co_return out;
  }
  tcp::resolver resolver(co_await asio::this_coro::executor);
  auto [problem, found] = co_await resolver.async_resolve(host, "", as_result);
  if (problem) {
    out.error = fmt::format("the host {} cannot be resolved: {}", host, problem.message());
    co_return out;
  }
  for (auto const& entry : found) {
    auto const address = entry.endpoint().address();
    if (std::find(out.addresses.begin(), out.addresses.end(), address) == out.addresses.end())
      out.addresses.push_back(address);
  }
  co_return out;
}

asio::awaitable<connected> connect_any(std::vector<asio::ip::address> addresses, std::uint16_t port) {
  auto const executor = co_await asio::this_coro::executor;
  connected out(executor);
  for (auto const& address : addresses) {
    tcp::socket socket(executor);
    auto [ec] = co_await socket.async_connect({address, port}, as_result);
    if (!ec) {
      out.socket = std::move(socket);
      out.error.clear();
      co_return out;
    }
    out.error += fmt::format("{}{} port {}: {}", out.error.empty() ? "" : "; ", address.to_string(), port,
                             ec.message());
  }
  co_return out;
}

} // namespace remora::io
