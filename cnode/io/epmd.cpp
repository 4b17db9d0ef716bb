#include "io/epmd.hpp"

#include "io/clock.hpp"
#include "io/resolve.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace remora::io {

namespace {

constexpr std::size_t answer_bytes_max = dist::epmd::names_bytes_max;

// Writes a request and reads until the peer closes, or `whole` says that it is enough.
struct answered {
  base::buffer bytes;
  std::string error;
};
asio::awaitable<answered> ask(tcp::socket& socket, base::buffer request,
                              std::function<bool(base::bytes_view)> whole) {
  answered out;
  auto [write_error, written] =
      co_await asio::async_write(socket, asio::buffer(request.data(), request.size()), as_result);
  if (write_error) {
    out.error = write_error.message();
    co_return out;
  }
  while (!whole(out.bytes.view()) && out.bytes.size() < answer_bytes_max) {
    std::array<std::uint8_t, 4096> chunk;
    auto [ec, count] = co_await socket.async_read_some(asio::buffer(chunk), as_result);
    out.bytes.append(base::bytes_view(chunk.data(), count));
    if (ec == asio::error::eof) co_return out;
    if (ec) {
      out.error = ec.message();
      co_return out;
    }
  }
  co_return out;
}

// epmd's port on each of a host's addresses, the first that accepts.
struct at_epmd {
  explicit at_epmd(asio::any_io_executor const& executor) : socket(executor) {}
  tcp::socket socket;
  std::vector<asio::ip::address> addresses;
  std::string error;
  std::string_view word;
};
asio::awaitable<at_epmd> connect_epmd(std::string host, std::uint16_t epmd_port) {
  auto const executor = co_await asio::this_coro::executor;
  at_epmd out(executor);
  auto found = co_await resolve(host);
  out.addresses = found.addresses;
  out.error = found.error;
  out.word = "host_unknown";
  if (found.addresses.empty()) co_return out;
  auto c = co_await connect_any(found.addresses, epmd_port);
  out.socket = std::move(c.socket);
  out.word = "no_epmd";
  if (!c.error.empty()) out.error = fmt::format("no epmd on {} ({})", host, c.error);
  co_return out;
}

} // namespace

std::uint16_t epmd_port_of(std::uint16_t given) {
  if (given != 0) return given;
  char const* const text = std::getenv("ERL_EPMD_PORT");
  std::string_view const asked = text != nullptr ? text : "";
  std::uint16_t found = 0;
  auto const [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), found);
  bool const whole = error == std::errc() && end == asked.data() + asked.size();
  return whole && found != 0 ? found : dist::epmd::default_port;
}

asio::awaitable<lookup_result> lookup(std::string node, std::uint16_t epmd_port) {
  lookup_result out;
  auto const at = node.find('@');
  auto const name = node.substr(0, at);
  auto const host = node.substr(at + 1);
  auto epmd = co_await connect_epmd(host, epmd_port);
  out.addresses = epmd.addresses;
  if (!epmd.socket.is_open()) {
    out.error = epmd.error;
    out.word = epmd.word;
    co_return out;
  }
  error_code ignored;
  auto const spoke = epmd.socket.remote_endpoint(ignored).address();
  auto const first = std::find(out.addresses.begin(), out.addresses.end(), spoke);
  if (first != out.addresses.end()) std::rotate(out.addresses.begin(), first, first + 1);
  auto answer = co_await ask(epmd.socket, dist::epmd::port_request(name), [](base::bytes_view b) {
    return dist::epmd::read_port_answer(b, false).has_value();
  });
  auto const port = dist::epmd::read_port_answer(answer.bytes.view(), true);
  out.word = "epmd_failed";
  if (!answer.error.empty())
    out.error = fmt::format("epmd on {} did not answer: {}", host, answer.error);
  else if (!*port && port->error() == dist::epmd::error::unknown_name) {
    out.error =
        fmt::format("epmd on {} knows no node {}: it is not running, or under another name", host, name);
    out.word = "not_registered";
  } else if (!*port)
    out.error = fmt::format("epmd on {}: {}", host, dist::epmd::describe(port->error()));
  else
    out.port = **port;
  co_return out;
}

asio::awaitable<names_result> names(std::string host, std::uint16_t epmd_port) {
  names_result out;
  auto epmd = co_await connect_epmd(host, epmd_port);
  if (!epmd.socket.is_open()) {
    out.error = epmd.error;
    co_return out;
  }
  auto answer =
      co_await ask(epmd.socket, dist::epmd::names_request(), [](base::bytes_view) { return false; });
  auto list = dist::epmd::read_names_answer(answer.bytes.view());
  if (!answer.error.empty())
    out.error = fmt::format("epmd on {} did not answer: {}", host, answer.error);
  else if (!list)
    out.error = fmt::format("epmd on {}: {}", host, dist::epmd::describe(list.error()));
  else
    out.names = std::move(*list);
  co_return out;
}

asio::awaitable<names_answer> names_at(std::string host, std::vector<asio::ip::address> addresses,
                                       std::uint16_t epmd_port) {
  using discovery::cause;
  auto const failed = [&](cause why, std::string text) {
    return names_answer(boost::system::in_place_error,
                        discovery::failed{.why = why, .text = std::move(text)});
  };
  auto c = co_await connect_any(std::move(addresses), epmd_port);
  if (!c.socket.is_open()) co_return failed(cause::no_epmd, fmt::format("no epmd on {} ({})", host, c.error));
  auto answer = co_await ask(c.socket, dist::epmd::names_request(), [](base::bytes_view) { return false; });
  if (!answer.error.empty())
    co_return failed(cause::network, fmt::format("epmd on {} did not answer: {}", host, answer.error));
  auto const list = dist::epmd::read_names_answer(answer.bytes.view());
  if (!list)
    co_return failed(cause::not_epmd,
                     fmt::format("epmd on {}: {}", host, dist::epmd::describe(list.error())));
  std::vector<std::string> out;
  out.reserve(list->size());
  for (auto const& n : *list) out.push_back(n.name);
  co_return names_answer(boost::system::in_place_value, std::move(out));
}

std::vector<asio::ip::address> local_addresses() {
  return {asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()};
}

registration::registration(asio::io_context& context, std::string name, std::uint16_t port,
                           std::uint16_t epmd_port, listener told)
    : machine_(std::move(name), port), epmd_port_(epmd_port), told_(std::move(told)), socket_(context),
      timer_(context) {}

void registration::start() {
  std::vector<dist::epmd::registration::effect> effects;
  machine_.start(effects);
  carry_out(effects);
}

void registration::stop() {
  stopped_ = true;
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
}

void registration::carry_out(std::vector<dist::epmd::registration::effect>& effects) {
  using machine = dist::epmd::registration;
  for (auto& e : effects) {
    if (std::holds_alternative<machine::connect>(e)) {
      asio::co_spawn(socket_.get_executor(), session(shared_from_this()), rethrow);
    } else if (auto const* const w = std::get_if<machine::write>(&e)) {
      error_code ignored; // a few bytes into an empty socket buffer; a failure shows in the read
      asio::write(socket_, asio::buffer(w->bytes.data(), w->bytes.size()), ignored);
    } else if (std::holds_alternative<machine::close>(e)) {
      error_code ignored;
      socket_.close(ignored);
    } else if (auto const* const r = std::get_if<machine::registered>(&e)) {
      ever_registered_ = true;
      told_(news::registered, r->creation, {});
    } else if (std::holds_alternative<machine::registered_again>(e)) {
      told_(news::registered_again, 0, {});
    } else if (auto const* const refused = std::get_if<machine::refused>(&e)) {
      told_(news::refused, 0, std::string(dist::epmd::describe(refused->why)));
    } else if (std::holds_alternative<machine::silent>(e)) {
      told_(news::unreachable, 0,
            fmt::format("what listens on port {} does not answer a registration", epmd_port_));
    } else if (std::holds_alternative<machine::lost>(e)) {
      told_(news::lost, 0, {});
    }
  }
  arm();
}

asio::awaitable<void> registration::session(std::shared_ptr<registration> /*keeps this alive*/) {
  std::vector<dist::epmd::registration::effect> effects;
  auto c = co_await connect_any(local_addresses(), epmd_port_);
  if (stopped_) co_return;
  if (!c.socket.is_open() && !ever_registered_) told_(news::unreachable, 0, c.error);
  if (c.socket.is_open()) {
    socket_ = std::move(c.socket);
    machine_.connected(now(), effects);
    carry_out(effects);
    std::array<std::uint8_t, 64> chunk;
    while (socket_.is_open()) {
      auto [ec, count] = co_await socket_.async_read_some(asio::buffer(chunk), as_result);
      if (stopped_) co_return;
      if (ec) break;
      effects.clear();
      machine_.received(base::bytes_view(chunk.data(), count), now(), effects);
      carry_out(effects);
    }
    error_code ignored;
    socket_.close(ignored);
  }
  effects.clear();
  machine_.closed(now(), effects);
  carry_out(effects);
}

void registration::arm() {
  auto const deadline = machine_.next_deadline();
  if (!deadline || stopped_) return;
  timer_.expires_at(to_steady(*deadline));
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec || self->stopped_) return;
    std::vector<dist::epmd::registration::effect> effects;
    self->machine_.wake(now(), effects);
    self->carry_out(effects);
  });
}

} // namespace remora::io
