// The socket of membership: datagrams to and from addresses as swim/ has them. It binds to the address and
// port that it is told, and reads until it is closed. What cannot be sent is dropped: that is what datagrams
// are, and the protocol above expects it.
#pragma once

#include "base/result.hpp"
#include "io/asio.hpp"
#include "swim/types.hpp"

#include <boost/asio/ip/udp.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace remora::io {

struct datagram_options {
  asio::ip::address listen; // any address: of both families where the system has both
  std::uint16_t port = 0;
};

class datagram_socket {
public:
  using heard = std::function<void(std::string_view bytes, swim::address const& from)>;

  static base::result<std::shared_ptr<datagram_socket>, std::string>
  open(asio::io_context& context, datagram_options const& options, heard on_heard);
  datagram_socket(datagram_socket const&) = delete;
  datagram_socket& operator=(datagram_socket const&) = delete;

  void send(swim::address const& to, std::string_view bytes);
  void close();
  std::uint16_t port() const { return port_; }

private:
  static constexpr std::size_t bytes_max = 2'048; // more than any of ours: what is larger is seen to be
  static constexpr int reads_max = 64;            // before others have their turn

  datagram_socket(asio::io_context& context, heard on_heard)
      : socket_(context), heard_(std::move(on_heard)) {}
  std::string bind(datagram_options const& options);
  asio::awaitable<void> read(std::shared_ptr<datagram_socket> keeps_this_alive);

  asio::ip::udp::socket socket_;
  heard heard_;
  std::uint16_t port_ = 0;
  bool v6_ = false;
  std::array<char, bytes_max> room_{};
};

swim::address to_swim(asio::ip::address const& ip, std::uint16_t port);

// Where others reach this node: `given`, or the address that is listened on, or what the host of its name
// resolves to here. Waits for the resolver, once, at the start.
base::result<asio::ip::address, std::string>
own_address(std::string const& given, asio::ip::address const& listen, std::string const& host);

// A key a line, of at least swim::envelope::key_bytes_min bytes; blank lines and those with a # are none.
base::result<std::vector<std::string>, std::string> read_keys(std::string const& path);

} // namespace remora::io
