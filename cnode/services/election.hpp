// Election for native code and for the application beside us: one process that hosts the core (raft/core),
// named remora_election so that those of other nodes reach it. It rests until it is started.
//
//   election.start({.core = {.voters = {..}}, .state_dir = "/var/lib/remora"});
//   if (election.lease_left() > 0s) ..                      this node leads, and surely so
//   election.campaign("billing", pid);                      a process stands for a named election
//
// What must survive a crash is in one small file, which whoever has set_outside() reads and writes; without a
// folder for it the node is an observer. Messages go over the connections, as {remora_raft, Pid, Bytes} from
// process to process.
//
// The application's VM may hang while this node is well: its candidates are withdrawn then, and this node
// leads no more, until the VM is heard again (services/application).
#pragma once

#include "base/result.hpp"
#include "node/core.hpp"
#include "raft/core.hpp"
#include "raft/file.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::services {

struct election_settings {
  raft::options core{};
  std::string state_dir{}; // a folder; the file in it has the node's name. Empty: nothing is kept
  friend bool operator==(election_settings const&, election_settings const&) = default;
};

struct election_outside {
  // The file's bytes; none: there is no file. The error is a sentence.
  std::function<base::result<std::optional<std::string>, std::string>(std::string const& dir)> read;
  // Out of the way, so that it can be looked at: it was not whole.
  std::function<void(std::string const& dir)> set_aside;
  // Writes and syncs in the order of the calls, and says so later: nothing, or a sentence.
  std::function<void(std::string const& dir, std::string bytes,
                     std::function<void(std::optional<std::string>)> done)>
      write;
  std::function<std::uint64_t()> entropy; // the operating system's
};

class election {
public:
  using wrong = base::wrong_option;
  using done = std::function<void(raft::result const&)>;
  struct holding { // what a process of this node holds
    std::string name;
    etf::pid pid;
    std::uint64_t token = 0; // 0: it holds it no more
  };

  explicit election(node::core& node);
  void set_outside(election_outside outside);
  void set_defaults(election_settings s); // what the command line says, for whoever starts it
  election_settings const& defaults() const;

  std::optional<wrong> start(election_settings s); // or changes how it runs
  void stop();                                     // a leader hands over, holders give back
  bool started() const;

  raft::status status() const;
  std::string why_abstaining() const; // a sentence, or nothing
  base::duration lease_left() const;  // of this node's leadership: 0 if it does not lead, or not surely
  base::duration name_lease() const;  // as it was set

  // Each is answered once; stopped, when it is not started.
  void elect(done told);
  void transfer(std::string to, done told); // empty: to whom it thinks best
  void add_voter(std::string node, done told);
  void remove_voter(std::string node, done told);
  void check_token(std::uint64_t token, done told);

  // Named elections. A candidate is a process, of this node or another; it is withdrawn when it ends.
  enum class campaigning : std::uint8_t { ok, not_started, too_many, bad_name };
  campaigning campaign(std::string const& name, etf::pid const& who);
  bool withdraw(std::string const& name, etf::pid const& who); // false: it did not stand
  struct hold {
    std::uint64_t token = 0;
    base::duration lease_left{};
  };
  std::optional<hold> holds(std::string const& name, etf::pid const& who) const; // only while it surely does
  std::optional<raft::core::holder> leader_of(std::string const& name) const;
  std::vector<holding> held() const;
  std::vector<std::pair<std::string, raft::core::holder>>
  led() const; // named elections, as they were last told

  // Every piece of news; several observers may.
  void observe(std::function<void(raft::news const&)> told);
  void observe_held(std::function<void(holding const&)> told);
  void observe_running(std::function<void(bool on)> told);

  // From the application and from membership.
  void app_silent(std::string const& vm);
  void app_heard(std::string const& vm);
  void suspected_dead(std::string const& node);
  void seen(std::vector<std::string> nodes);

private:
  struct shared;
  std::shared_ptr<shared> all_;
};

} // namespace remora::services
