// Who waits for the answer of a request at the door, and how it gets there: alone, or as one of a batch, with
// or without the version of the mirror. A handler that cannot answer at once keeps its ticket and replies
// later; it does not see which of these it is.
//
//   requests.on("look", 2, [](node::self me, ticket const& to, etf::view request) -> door::answer {
//     later([to] { to.reply(found); });
//     return std::nullopt;
//   });
//
// A ticket whose last copy goes without a reply answers {error, aborted}: no caller waits for ever, and no
// batch for one of its parts. Whoever works for a caller hears by on_abandoned() that it waits no longer: it
// took back the monitor of its call (gen.erl: at its timeout, or as it ended), or its node was lost. A caller
// that has set no monitor may be watched instead.
#pragma once

#include "node/core.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace remora::services {

class ticket {
public:
  ticket() = default;                        // nobody's
  void reply(etf::term const& answer) const; // the first counts
  // The same from another process of this node: what that one sends later stays behind the answer. Within a
  // write or a batch the door answers all the same, because the answer must not overtake the mirror.
  void reply_as(node::self by, etf::term const& answer) const;

  std::optional<etf::pid> caller() const;
  bool waited_for() const; // not yet answered, and not abandoned
  // `told` runs at most once, in the middle of a step: it may end a process, and must not reply. At once when
  // nobody waits any more. A caller without a monitor is watched only where `at_any_price`: that is two
  // signals more, to spare where what is done for it soon ends anyway.
  void on_abandoned(std::function<void()> told, bool at_any_price = true) const;

private:
  friend class tickets;
  struct state;
  struct origin;
  struct slot;
  explicit ticket(std::shared_ptr<slot> s) : slot_(std::move(s)) {}
  std::shared_ptr<slot> slot_;
};

// The door's side: makes them.
class tickets {
public:
  static constexpr std::size_t batch_bytes_max = 64U << 20U; // of all answers; what is more is system_limit

  // `version` answers the version of the mirror once its streams have been told of it.
  explicit tickets(std::function<std::uint64_t()> version);

  // While the door's process runs; without it answers go nowhere.
  void open(node::self door);
  void close();
  std::optional<node::self> const& door() const;

  ticket plain(node::caller const& from) const;
  ticket write(node::caller const& from) const; // answered {Version, Answer}
  std::vector<ticket> batch(node::caller const& from,
                            std::size_t count) const; // {Version, [Answer]}; count > 0

  void unwatched(node::watch_key const& key) const; // the door's process is not monitored by this any more
  bool down(etf::reference const& ref) const;       // false: not one of these
  std::size_t tracked() const;                      // callers whose end is waited for

private:
  std::shared_ptr<ticket::state> state_;
};

} // namespace remora::services
