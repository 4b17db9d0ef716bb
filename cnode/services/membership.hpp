// Membership for native code and for the application beside us: one process that hosts the core (swim/core),
// named remora_membership so that those of other nodes reach it. It wraps what the core sends (swim/envelope)
// and carries out what it decides. It rests until it is started.
//
//   membership.start({.core = {.interval = 200ms}});
//   for (auto const& m : membership.members()) ..
//
// Datagrams leave and come through whoever has set_outside(); what is for one peer goes over its connection,
// as {remora_swim, Pid, Bytes} from process to process. Hidden peers take no part.
#pragma once

#include "base/result.hpp"
#include "node/core.hpp"
#include "services/names.hpp"
#include "swim/core.hpp"
#include "swim/envelope.hpp"
#include "swim/metadata.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::services {

struct membership_settings {
  swim::options core{};
  std::uint16_t port = 0; // of datagrams; 0: the number of the distribution's port
  std::string address{};  // IP as others reach it; empty: that of the node's host
  std::string key_file{}; // a key a line: the first seals, all open; empty: derived from the cookie
  swim::metadata metadata{};
  friend bool operator==(membership_settings const&, membership_settings const&) = default;
};

struct membership_outside {
  // Opens the socket; where others reach it, or a sentence. What it hears comes by packet().
  std::function<base::result<swim::address, std::string>(membership_settings const&)> open;
  std::function<void()> close;
  std::function<void(swim::address const& to, std::string_view datagram)> send;
  // The keys of a file, now and, by keys(), whenever it has changed.
  std::function<base::result<std::vector<std::string>, std::string>(std::string const& path)> read_keys;
  std::function<std::int64_t()> unix_ms;
  std::function<std::uint64_t()> boot_id; // drawn by the operating system
};

struct membership_health {
  swim::self_health self;
  std::vector<std::string> full_queues; // peers whose outbox is above its high mark
};

class membership {
public:
  using wrong = base::wrong_option; // the key `socket`: the datagram socket could not be opened

  explicit membership(node::core& node);
  void set_names(names n); // they hear before a link is ended on purpose
  void set_outside(membership_outside outside);
  void set_defaults(membership_settings s); // what the command line says, for whoever starts it
  membership_settings const& defaults() const;

  std::optional<wrong> start(membership_settings s); // or changes how it runs
  void stop();                                       // says to the others that it leaves
  bool started() const;

  std::vector<swim::member> members() const; // sorted by name; none while it is not started
  std::optional<swim::member> find(std::string_view node) const;
  std::size_t count(swim::status s) const;
  std::string leader() const;
  swim::metrics metrics() const;
  swim::refusals refusals() const;
  membership_health health() const;

  // False: not started, or beyond swim::limits.
  bool set_metadata(swim::metadata const& m);
  bool spread(std::string name, std::string payload); // a user event
  bool merge(std::vector<swim::hearsay> entries);
  bool tell(std::string const& node, std::vector<swim::hearsay> entries);

  // Every piece of news; several observers may.
  void observe(std::function<void(swim::news const&)> told);
  void observe_running(std::function<void(bool on)> told);

  // From outside.
  void app_here(std::string vm);
  void app_gone();
  void packet(std::string_view datagram, swim::address const& from);
  void keys(base::result<std::vector<std::string>, std::string> found);

private:
  struct shared;
  std::shared_ptr<shared> all_;
};

} // namespace remora::services
