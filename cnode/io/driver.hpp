// Carries the node: sockets, timers and lookups on one side, node::core on the other. It decides nothing: it
// reads, hands in, carries out what the core asks for, and sleeps until the core's next deadline.
#pragma once

#include "io/asio.hpp"
#include "node/core.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace remora::io {

struct driver_options {
  std::uint16_t epmd_port = 4369;
  std::optional<std::uint16_t> peer_port; // without epmd: every node listens on this port
  base::duration busy_wait{};             // how long to look for what is known to follow before sleeping
  base::duration setup_time = std::chrono::seconds(7);
};

class driver {
public:
  // `told` hears the effects that only tell.
  driver(asio::io_context& context, node::core& core, driver_options options,
         std::function<void(node::effect const&)> told);
  driver(driver const&) = delete;
  driver& operator=(driver const&) = delete;

  void serve(tcp::acceptor acceptor); // accepts from now on
  void settle(); // after the core was touched from outside: carries out, flushes, arms the timer
  void stop();   // accepts nothing more; open sessions are for the core to hang up
  bool idle() const { return sessions_.empty(); }

private:
  struct session;
  using session_ptr = std::shared_ptr<session>;

  asio::awaitable<void> accept_loop();
  asio::awaitable<void> dial(node::connection_id id, std::string node);
  asio::awaitable<void> reach(node::connection_id id, std::string node);
  asio::awaitable<void> read_loop(session_ptr s);
  asio::awaitable<void> write_when_ready(session_ptr s);
  session_ptr open(node::connection_id id, tcp::socket socket);
  bool read_soon(session& s);
  void flush(session& s);
  void flush_id(node::connection_id id);
  void hang_up(node::connection_id id);
  void finish(session& s);
  void carry_out(node::effect& e);
  void arm();

  asio::io_context& context_;
  node::core& core_;
  driver_options options_;
  std::function<void(node::effect const&)> told_;
  std::optional<tcp::acceptor> acceptor_;
  boost::unordered_flat_map<node::connection_id, session_ptr> sessions_;
  asio::steady_timer timer_;
  std::optional<base::time_point> armed_;
  bool settling_ = false;
  std::uint64_t writes_ = 0;
};

} // namespace remora::io
