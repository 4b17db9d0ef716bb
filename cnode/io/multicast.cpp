#include "io/multicast.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/socket_base.hpp>

#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <utility>

namespace remora::io {

namespace {

namespace ip = asio::ip;

// The index of an interface of this name, or with this address; 0 leaves the choice to the system.
std::optional<unsigned> interface_index(std::string const& wanted) {
  if (wanted.empty()) return 0;
  if (unsigned const index = ::if_nametoindex(wanted.c_str()); index != 0) return index;
  error_code ec;
  auto const address = ip::make_address(wanted, ec);
  ifaddrs* all = nullptr;
  if (ec || ::getifaddrs(&all) != 0) return std::nullopt;
  std::optional<unsigned> found;
  for (auto const* i = all; i != nullptr && !found; i = i->ifa_next) {
    if (i->ifa_addr == nullptr) continue;
    bool const same = (address.is_v4() && i->ifa_addr->sa_family == AF_INET &&
                       std::memcmp(&reinterpret_cast<sockaddr_in const*>(i->ifa_addr)->sin_addr,
                                   address.to_v4().to_bytes().data(), 4) == 0) ||
                      (address.is_v6() && i->ifa_addr->sa_family == AF_INET6 &&
                       std::memcmp(&reinterpret_cast<sockaddr_in6 const*>(i->ifa_addr)->sin6_addr,
                                   address.to_v6().to_bytes().data(), 16) == 0);
    if (same) found = ::if_nametoindex(i->ifa_name);
  }
  ::freeifaddrs(all);
  return found;
}

// Asio has no option that takes the index for IPv4.
template <class Value>
error_code set(int fd, int level, int name, Value const& value) {
  if (::setsockopt(fd, level, name, &value, sizeof value) == 0) return {};
  return {errno, boost::system::system_category()};
}

error_code join_v4(int fd, ip::address_v4 group, unsigned index, int ttl) {
  ip_mreqn where{};
  std::memcpy(&where.imr_multiaddr, group.to_bytes().data(), 4);
  where.imr_ifindex = static_cast<int>(index);
  error_code ec = set(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, where);
  if (!ec && index != 0) ec = set(fd, IPPROTO_IP, IP_MULTICAST_IF, where);
  if (!ec) ec = set(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
  if (!ec) ec = set(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
  return ec;
}

error_code join_v6(int fd, ip::address_v6 const& group, unsigned index, int ttl) {
  ipv6_mreq where{};
  std::memcpy(&where.ipv6mr_multiaddr, group.to_bytes().data(), 16);
  where.ipv6mr_interface = index;
  error_code ec = set(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, where);
  if (!ec && index != 0) ec = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
  if (!ec) ec = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
  if (!ec) ec = set(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1);
  return ec;
}

} // namespace

base::result<std::shared_ptr<group_socket>, std::string>
group_socket::join(asio::io_context& context, group_options const& options, heard on_heard, lost on_lost) {
  std::shared_ptr<group_socket> out(new group_socket(context, std::move(on_heard), std::move(on_lost)));
  if (auto problem = out->open(options); !problem.empty())
    return {boost::system::in_place_error, std::move(problem)};
  asio::co_spawn(context, out->read(out), rethrow);
  return {boost::system::in_place_value, std::move(out)};
}

group_socket::group_socket(asio::io_context& context, heard on_heard, lost on_lost)
    : socket_(context), heard_(std::move(on_heard)), lost_(std::move(on_lost)), room_() {}

std::string group_socket::open(group_options const& o) {
  error_code ec;
  auto address = ip::make_address(o.group, ec);
  if (ec || !address.is_multicast() || o.port == 0)
    return fmt::format(
        "{} port {} is no multicast group; a group is 224.0.0.0 to 239.255.255.255, or ff00::/8, "
        "with a port",
        o.group, o.port);
  auto const index = interface_index(o.interface);
  if (!index) return fmt::format("there is no interface {}; give its name or an address of it", o.interface);
  if (address.is_v6() && address.to_v6().scope_id() == 0) { // a link-local group is one of a link
    auto scoped = address.to_v6();
    scoped.scope_id(*index);
    address = scoped;
  }
  group_ = ip::udp::endpoint(address, o.port);
  socket_.open(group_.protocol(), ec);
  if (!ec) socket_.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) socket_.bind(group_, ec);
  if (!ec) socket_.non_blocking(true, ec);
  if (!ec)
    ec = address.is_v4() ? join_v4(socket_.native_handle(), address.to_v4(), *index, o.ttl)
                         : join_v6(socket_.native_handle(), address.to_v6(), *index, o.ttl);
  if (!ec) return {};
  return fmt::format("cannot join the multicast group {} port {}{}{}: {}", o.group, o.port,
                     o.interface.empty() ? "" : " on ", o.interface, ec.message());
}

std::string group_socket::send(std::string_view bytes) {
  error_code ec;
  socket_.send_to(asio::buffer(bytes.data(), bytes.size()), group_, 0, ec);
  if (!ec || ec == asio::error::would_block) return {};
  return fmt::format("cannot send to {} port {}: {}", group_.address().to_string(), group_.port(),
                     ec.message());
}

void group_socket::leave() {
  heard_ = {};
  lost_ = {};
  error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<void> group_socket::read(std::shared_ptr<group_socket> /*keeps this alive*/) {
  while (heard_) {
    ip::udp::endpoint from;
    auto [ec, count] = co_await socket_.async_receive_from(asio::buffer(room_), from, as_result);
    if (!heard_) co_return;
    // What a datagram of ours met on its way may be reported here: it concerns nobody who waits.
    if (ec == asio::error::connection_refused || ec == asio::error::host_unreachable ||
        ec == asio::error::network_unreachable)
      continue;
    if (ec) {
      auto const told = std::exchange(lost_, {});
      auto const why = fmt::format("cannot hear {} port {} any more: {}", group_.address().to_string(),
                                   group_.port(), ec.message());
      leave();
      if (told) told(why);
      co_return;
    }
    if (count > bytes_max) continue;
    auto const told = heard_; // it may leave
    told(std::string_view(room_.data(), count),
         fmt::format("{} port {}", from.address().to_string(), from.port()));
  }
}

} // namespace remora::io
