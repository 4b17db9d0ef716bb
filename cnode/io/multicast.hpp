// Membership of a multicast group, IPv4 or IPv6: datagrams in and out by one UDP socket, bound to the group's
// address so that it hears no other group. Several programs of one machine may join with the same port; each
// hears itself too.
//
//   auto joined = io::group_socket::join(context, {.group = "239.1.2.3", .port = 45892}, heard, lost);
//   (*joined)->send(bytes);
//
// What is larger than bytes_max is left out. Sending never waits: what the system does not take at once is
// lost, as datagrams may be.
#pragma once

#include "base/result.hpp"
#include "io/asio.hpp"

#include <boost/asio/ip/udp.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace remora::io {

struct group_options {
  std::string group;
  std::uint16_t port = 0;
  std::string interface {}; // its name, or an address of it; empty: the system's choice
  std::uint8_t ttl = 1;
};

class group_socket : public std::enable_shared_from_this<group_socket> {
public:
  static constexpr std::size_t bytes_max = 1'400; // of one datagram

  using heard = std::function<void(std::string_view bytes, std::string const& from)>;
  using lost = std::function<void(std::string const& why)>; // the socket is of no use any more; at most once

  // The error is a sentence.
  static base::result<std::shared_ptr<group_socket>, std::string>
  join(asio::io_context& context, group_options const& options, heard on_heard, lost on_lost);
  group_socket(group_socket const&) = delete;
  group_socket& operator=(group_socket const&) = delete;

  // Why the last send failed, or nothing: for whoever wants to tell.
  std::string send(std::string_view bytes);
  void leave(); // nothing is told any more

private:
  group_socket(asio::io_context& context, heard on_heard, lost on_lost);
  std::string open(group_options const& options);
  asio::awaitable<void> read(std::shared_ptr<group_socket> keep);

  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint group_;
  heard heard_;
  lost lost_;
  std::array<char, bytes_max + 1> room_; // one more than is taken: what fills it is too large
};

} // namespace remora::io
