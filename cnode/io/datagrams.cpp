#include "io/datagrams.hpp"

#include "io/files.hpp"
#include "swim/envelope.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/v6_only.hpp>

#include <algorithm>

namespace remora::io {

namespace ip = asio::ip;

namespace {

constexpr std::size_t key_file_bytes_max = 64U << 10U;
constexpr int buffer_bytes = 1 << 20; // of the system: a burst of a whole cluster

ip::address from_swim(swim::address const& a, bool v6_socket) {
  ip::address_v6::bytes_type bytes{};
  std::copy(a.ip.begin(), a.ip.end(), bytes.begin());
  ip::address_v6 const v6(bytes);
  if (v6_socket || !v6.is_v4_mapped()) return v6;
  return ip::make_address_v4(ip::v4_mapped, v6);
}

} // namespace

swim::address to_swim(ip::address const& a, std::uint16_t port) {
  auto const v6 = a.is_v4() ? ip::make_address_v6(ip::v4_mapped, a.to_v4()) : a.to_v6();
  swim::address out;
  auto const bytes = v6.to_bytes();
  std::copy(bytes.begin(), bytes.end(), out.ip.begin());
  out.port = port;
  return out;
}

base::result<std::shared_ptr<datagram_socket>, std::string>
datagram_socket::open(asio::io_context& context, datagram_options const& options, heard on_heard) {
  std::shared_ptr<datagram_socket> out(new datagram_socket(context, std::move(on_heard)));
  if (auto problem = out->bind(options); !problem.empty())
    return {boost::system::in_place_error, std::move(problem)};
  asio::co_spawn(context, out->read(out), rethrow);
  return {boost::system::in_place_value, std::move(out)};
}

std::string datagram_socket::bind(datagram_options const& options) {
  error_code ec;
  ip::udp::endpoint const at(options.listen, options.port);
  socket_.open(at.protocol(), ec);
  v6_ = options.listen.is_v6();
  if (!ec && v6_) {
    error_code only_v6; // a system without IPv4 in IPv6 sockets still has the latter
    socket_.set_option(ip::v6_only(false), only_v6);
  }
  if (!ec) socket_.bind(at, ec);
  if (!ec) socket_.non_blocking(true, ec);
  if (ec)
    return fmt::format("cannot hear datagrams on {} port {}: {}; choose another --membership-port",
                       options.listen.to_string(), options.port, ec.message());
  error_code as_it_is;
  socket_.set_option(asio::socket_base::receive_buffer_size(buffer_bytes), as_it_is);
  port_ = socket_.local_endpoint().port();
  return {};
}

void datagram_socket::send(swim::address const& to, std::string_view bytes) {
  error_code dropped;
  socket_.send_to(asio::buffer(bytes.data(), bytes.size()), {from_swim(to, v6_), to.port}, 0, dropped);
}

void datagram_socket::close() {
  heard_ = {};
  error_code ignored;
  socket_.close(ignored);
}

asio::awaitable<void> datagram_socket::read(std::shared_ptr<datagram_socket> /*keeps this alive*/) {
  while (heard_) {
    auto [waited] = co_await socket_.async_wait(asio::socket_base::wait_read, as_result);
    if (waited) co_return; // closed
    for (int i = 0; i < reads_max && heard_; ++i) {
      error_code ec;
      ip::udp::endpoint from;
      auto const count = socket_.receive_from(asio::buffer(room_), from, 0, ec);
      if (ec == asio::error::would_block || ec == asio::error::bad_descriptor) break;
      if (ec)
        continue; // what a datagram of ours met on its way is reported here: it concerns nobody who waits
      auto const told = heard_; // it may close this
      told(std::string_view(room_.data(), count), to_swim(from.address(), from.port()));
    }
  }
}

base::result<ip::address, std::string> own_address(std::string const& given, ip::address const& listen,
                                                   std::string const& host) {
  using result = base::result<ip::address, std::string>;
  error_code ec;
  if (!given.empty()) {
    auto const address = ip::make_address(given, ec);
    if (ec || address.is_unspecified())
      return result(
          boost::system::in_place_error,
          fmt::format("{} is no address at which others reach this node; give an IP address", given));
    return result(boost::system::in_place_value, address);
  }
  if (!listen.is_unspecified()) return result(boost::system::in_place_value, listen);
  auto const literal = ip::make_address(host, ec);
  if (!ec) return result(boost::system::in_place_value, literal);
  asio::io_context own;
  ip::udp::resolver resolver(own);
  auto const found = resolver.resolve(host, "", ec);
  for (bool const v4 : {true, false})
    for (auto const& entry : found)
      if (!ec && entry.endpoint().address().is_v4() == v4)
        return result(boost::system::in_place_value, entry.endpoint().address());
  return result(
      boost::system::in_place_error,
      fmt::format("the host {} of this node's name cannot be resolved ({}); give the address at which others "
                  "reach it with --membership-address",
                  host, ec ? ec.message() : "no address"));
}

base::result<std::vector<std::string>, std::string> read_keys(std::string const& path) {
  using result = base::result<std::vector<std::string>, std::string>;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  auto const text = read_text_file(path, key_file_bytes_max);
  if (!text) return refuse(text.error().why);
  std::vector<std::string> keys;
  for (std::size_t from = 0; from < text->size();) {
    auto const to = std::min(text->find('\n', from), text->size());
    auto line = std::string_view(*text).substr(from, to - from);
    from = to + 1;
    while (line.ends_with('\r') || line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    if (line.size() < swim::envelope::key_bytes_min)
      return refuse(fmt::format("a key in {} is too short; it has at least {} characters", path,
                                swim::envelope::key_bytes_min));
    keys.emplace_back(line);
  }
  if (keys.empty()) return refuse(fmt::format("there is no key in {}; write one a line", path));
  if (keys.size() > swim::envelope::keys_max)
    return refuse(fmt::format("there are {} keys in {}; at most {} can be used", keys.size(), path,
                              swim::envelope::keys_max));
  return result(boost::system::in_place_value, std::move(keys));
}

} // namespace remora::io
