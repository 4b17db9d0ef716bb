// The stream that keeps a copy of this node's view of the cluster: global names, groups of every scope, and
// connected nodes. Who asks for it gets what there is now and then every change, in messages
//
//   {remora_mirror, Ref, From, To, [Change]}
//
//   {name, Name, Pid}  new, or another process than before       {unname, Name}
//   {join, Scope, Group, [Pid]}  {leave, Scope, Group, [Pid]}     one entry for each membership
//   {scope, Scope}  {unscope, Scope}                              with an unscope goes all that was in it
//   {up, Node, visible | hidden}  {down, Node, Reason}            Reason is one word, an atom
//   and what membership_door.cpp and election_door.cpp say of members and leaders
//   synced                                                        the end of what there was at the beginning
//
// One counter of versions for the whole node: each change makes it one more. From is the version at which the
// receiver must be, To the one at which it then is; a receiver that is elsewhere has lost something, and
// begins anew. A receiver begins at 0. What there was at the beginning comes in parts from 0 to 0, the last
// of them, which ends with `synced`, from 0 to the version of then. So a receiver that is at a version has
// all of it.
//
// Changes are gathered until the node has done what it was at (or until they fill a message), and told to all
// streams at once. Nothing waits here beyond that: a receiver that does not read fills its connection's
// outbox, which closes the connection at its limit, as for every sender.
//
// Pure: `send` carries out, `wake` is asked for a flush() soon.
#pragma once

#include "etf/builder.hpp"
#include "etf/ids.hpp"
#include "etf/term.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace remora::services {

struct mirror_limits {
  std::size_t changes_max = 1'000;              // of one message
  std::size_t pids_max = 1'000;                 // of one change: more are several changes
  std::size_t message_bytes_full = 256U << 10U; // a message of so many takes no further change
  std::size_t streams_max = 1'024;
};

// Takes changes and writes them down.
class mirror_changes {
public:
  mirror_changes(mirror_changes const&) = delete;
  mirror_changes& operator=(mirror_changes const&) = delete;
  virtual ~mirror_changes() = default;

  void named(etf::view name, etf::pid const& pid);
  void unnamed(etf::view name);
  void joined(std::string_view scope, etf::view group, std::span<etf::pid const> pids);
  void left(std::string_view scope, etf::view group, std::span<etf::pid const> pids);
  void scope_started(std::string_view scope);
  void scope_stopped(std::string_view scope);
  void node_up(std::string_view node, bool hidden);
  void node_down(std::string_view node, std::string_view reason);
  void changed(etf::view change); // of a service that has shapes of its own (membership_door, election_door)

protected:
  explicit mirror_changes(mirror_limits const& limits) : limits_(limits) {}
  virtual bool wanted() const = 0; // is anybody there to hear?
  virtual void added() = 0;        // one change
  bool full() const { return count_ >= limits_.changes_max || bytes_.size() >= limits_.message_bytes_full; }
  void add_synced();
  etf::term message(etf::reference const& ref, std::uint64_t from, std::uint64_t to) const;
  void clear();
  std::size_t count() const { return count_; }
  mirror_limits const& limits() const { return limits_; }

private:
  template <class Write>
  void add(Write write);
  void members(std::string_view what, std::string_view scope, etf::view group,
               std::span<etf::pid const> pids);

  mirror_limits limits_;
  etf::builder bytes_;
  std::size_t count_ = 0;
};

class mirror final : public mirror_changes {
public:
  using sender = std::function<void(etf::pid const& to, etf::term const& message)>;

  mirror(sender send, std::function<void()> wake, mirror_limits limits = {});
  std::uint64_t version() const { return version_; }
  void flush(); // tells the streams what is gathered

  // A stream to `to` begins; `tell_all` says what there is now. False: streams_max.
  bool begin(etf::reference const& ref, etf::pid const& to,
             std::function<void(mirror_changes& now)> const& tell_all);
  bool end(etf::reference const& ref); // false: there is none
  std::size_t streams() const { return streams_.size(); }
  bool has_room() const { return streams_.size() < limits().streams_max; }

private:
  struct stream {
    etf::reference ref;
    etf::pid to;
  };
  class snapshot;

  bool wanted() const override { return !streams_.empty(); }
  void added() override;

  sender send_;
  std::function<void()> wake_;
  std::vector<stream> streams_; // few
  std::uint64_t version_ = 1;   // 0 is a receiver's that has nothing yet
  std::uint64_t told_ = 1;      // the streams are here
};

} // namespace remora::services
