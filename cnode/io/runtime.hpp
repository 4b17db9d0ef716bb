// A whole node in one object: what a program needs to take part in a cluster.
//
//   remora::runtime us({.name = "calc@127.0.0.1"});
//   us.functions().add("calc", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
//   us.spawn(remora::node::serve<counter>(), "counter");
//   auto const ended = us.run();
//   if (ended.status != remora::run_status::left) std::fprintf(stderr, "%s\n", ended.detail.c_str());
//
// run() registers with epmd, listens, and serves until SIGTERM, SIGINT, stop(), or the end of its lifeline;
// then the node leaves the cluster in order: its processes end with `shutdown`, whoever watched them is told,
// and the connections are closed. It handles SIGTERM and SIGINT from run() on, and ignores SIGPIPE. One
// thread; none of this may be touched from another. test/examples/calc.cpp is a whole program.
#pragma once

#include "global/options.hpp"
#include "io/event.hpp"
#include "node/core.hpp"
#include "node/server.hpp"
#include "services/discovery.hpp"
#include "services/election.hpp"
#include "services/groups.hpp"
#include "services/membership.hpp"
#include "services/names.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace remora {

// What is not given is as on OTP.
struct runtime_options {
  std::string name;       // name@host; the host as others reach this machine
  std::string cookie{};   // empty: as io::find_cookie finds it (REMORA_COOKIE, ~/.erlang.cookie, ..)
  bool hidden = false;    // not in nodes() of others
  std::string listen{};   // IP address; empty: loopback for a loopback host, else any
  std::uint16_t port = 0; // 0: the system chooses
  bool accept = true;     // false: nobody can dial this node, and epmd does not know it (clients)
  bool epmd = true;       // false: every node is assumed on `port`, as with OTP's -erl_epmd_port
  std::uint16_t epmd_port =
      0; // of the epmd here and on every host that is dialled; 0: ERL_EPMD_PORT, else 4369
  std::int64_t net_tick_time = 60; // s of silence after which a peer is lost; the same on all nodes
  base::duration net_setup_time = std::chrono::seconds(7); // for a dial, and for each phase of a handshake
  base::duration busy_wait =
      std::chrono::microseconds(8);         // look so long for the request behind a monitor before sleeping
  bool lifeline_stdin = false;              // leave when standard input ends
  std::vector<std::string> pg_scopes{"pg"}; // scopes of process groups that it is a member of from the start
  std::optional<global::options> registry{global::options{}}; // none: it takes no part in `global`
  // Where other nodes are listed; none: it is told by its application, or not at all.
  std::optional<services::discovery_settings> discovery{};
  // Membership and election: how they run, and whether they do from the start; else when an application says
  // so.
  services::membership_settings membership{};
  bool start_membership = false;
  services::election_settings election{};
  bool start_election = false;
  node::node_limits limits{};
};

enum class run_status : std::uint8_t {
  left,           // it was asked to stop, and left in order: the only success
  bad_name,       // options.name is no name@host
  no_cookie,      // none was given, and none found that may be used
  name_taken,     // epmd knows another node of this name
  no_epmd,        // nothing answers on epmd's port
  address_in_use, // somebody listens on options.port already
  bad_address,    // options.listen is no address of this machine
  bad_lifeline,   // standard input is a file, or closed
  bad_discovery,  // options.discovery: a value is out of range, or a source none
  bad_membership, // options.membership: a value is out of range, or a key file cannot be used
  bad_election,   // options.election: a value is out of range, or the state cannot be read
  failed,         // one of its own services was killed: it left, as an OTP node would
};

// Why run() came back. `detail` is a sentence for people: what was tried, what was found, what to do. Empty
// for `left`.
struct run_result {
  run_status status = run_status::left;
  std::string detail;
};

class runtime {
public:
  // Opens nothing yet: whatever can fail is told by run().
  explicit runtime(runtime_options options);
  runtime(runtime const&) = delete;
  runtime& operator=(runtime const&) = delete;
  ~runtime(); // processes that still live are destroyed where they wait; nobody is told

  // The node behind it, for what is not offered here; valid as long as this object.
  node::core& node();
  // What others may call here. More can be added at any time, also while it runs.
  node::functions& functions() { return node().functions(); }
  // Process groups: joins, members, broadcasts, subscriptions, scopes.
  services::groups& groups();
  // Global names: registering, whereis, locks. Only with options.registry.
  services::names& names();
  // Who else is there: sources, rounds, links that are made and made again.
  services::discoverer& discovery();
  // Who is alive, by SWIM.
  services::membership& membership();
  // Who leads, by Raft's election; named elections.
  services::election& election();
  // Starts a process, before run() or from a process or function while it runs. It first runs in run(). The
  // name is registered locally: {name, 'calc@host'} for others. A name that is taken aborts: names are the
  // program's own choice (a process that may lose such a race asks self::register_name). `initial_call` is
  // what process_info and crash reports show.
  etf::pid spawn(node::body run, std::string_view name = {}, std::string_view initial_call = "native") {
    return node().spawn(std::move(run), name, initial_call);
  }

  struct ready_info {
    std::uint16_t port;     // listens here; 0 without `accept`
    std::uint32_t creation; // of this incarnation, in every pid it makes
  };
  // Set before run(). `told` runs once, when the node is registered and others can reach it.
  void on_ready(std::function<void(ready_info const&)> told);
  // Set before run(). `told` hears what a log would say: peers coming and going, refused handshakes, crashed
  // processes. The event is valid during the call.
  void on_event(std::function<void(io::event const&)> told);

  // Blocks until the node has left, or could not start. Once per object.
  run_result run();
  // From within run(), in a process, function or handler: leave, then run() returns.
  void stop();

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

std::string_view version(); // of this library, "0.1.0"

} // namespace remora
