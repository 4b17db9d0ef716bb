// A whole node in one object: what a program needs to take part in a cluster.
//
//   remora::runtime node({.name = "calc@127.0.0.1", .cookie = "secret"});
//   node.functions().add("calc", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
//   node.spawn(serve(std::make_shared<counter>()), "counter");
//   return node.run();
//
// run() registers with epmd, listens, and serves until SIGTERM, SIGINT, stop(), or the end of its lifeline; then the
// node leaves the cluster in order: its processes end with `shutdown`, whoever watched them is told, and the
// connections are closed. One thread; none of this may be touched from another.
#pragma once

#include "io/event.hpp"
#include "node/core.hpp"
#include "node/server.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace remora {

struct runtime_options {
  std::string name;                          // name@host
  std::string cookie;                        //
  bool hidden = false;                       // not in nodes() of others
  std::string listen;                        // address; empty: loopback for a loopback host, else any
  std::uint16_t port = 0;                    // 0: the system chooses
  bool accept = true;                        // false: nobody can dial this node, and epmd does not know it (clients)
  bool epmd = true;                          // false: every node is assumed on `port`, as with OTP's -erl_epmd_port
  std::uint16_t epmd_port = 4369;            //
  std::int64_t net_tick_time = 60;           // s; the same on all nodes of a cluster
  base::duration net_setup_time = std::chrono::seconds(7);
  bool lifeline_stdin = false;               // leave when standard input ends
  node::node_limits limits;
};

enum class run_status : std::uint8_t { left, name_taken, no_epmd, address_in_use, bad_address, bad_lifeline };

// Why run() came back. `detail` says what was tried and what was found.
struct run_result {
  run_status status = run_status::left;
  std::string detail;
};

class runtime {
public:
  explicit runtime(runtime_options options);
  runtime(runtime const&) = delete;
  runtime& operator=(runtime const&) = delete;
  ~runtime();

  node::core& node();
  node::functions& functions() { return node().functions(); }
  etf::pid spawn(node::body run, std::string_view name = {}, std::string_view initial_call = "native") {
    return node().spawn(std::move(run), name, initial_call);
  }

  struct ready_info {
    std::uint16_t port;
    std::uint32_t creation;
  };
  void on_ready(std::function<void(ready_info const&)> told);
  void on_event(std::function<void(io::event const&)> told);

  run_result run(); // once
  void stop();      // from within: run() leaves and returns

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

std::string_view version();

} // namespace remora
