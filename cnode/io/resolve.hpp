// From a node's host to sockets: literal addresses as they are, names by the system's resolver.
#pragma once

#include "io/asio.hpp"

#include <string>
#include <vector>

namespace remora::io {

struct resolved {
  std::vector<asio::ip::address> addresses;
  std::string error; // when there are none
};
asio::awaitable<resolved> resolve(std::string host);

// Connects to the first address that answers. `error` says what each of them said.
struct connected {
  explicit connected(asio::any_io_executor const& executor) : socket(executor) {}
  tcp::socket socket;
  std::string error;
};
asio::awaitable<connected> connect_any(std::vector<asio::ip::address> addresses, std::uint16_t port);

} // namespace remora::io
