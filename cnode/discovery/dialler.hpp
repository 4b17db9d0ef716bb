// Which links are made, when, and how many at once; and which are ended.
//
//   down -> waiting -> ready -> dialling -> up      an attempt: its time comes, it gets a place, succeeds, or
//              ^         ^          |        |      fails and waits; who was up and is lost is ready at once
//              +---------|----------+        |
//                        +-------------------+
//                                   up -> dropping -> down
//
// Back-off has full jitter: the delay is drawn from [0, min(cap, min * 2^n)], so that nodes that lost each
// other at one moment do not dial at one moment. After a loss the cap is fast_max for fast_time: a peer that
// restarts is found again soon after it is reachable. A link that is lost soon after it came up, more than
// flaps_max times one after the other, is not dialled at once any more, and its delays grow to settled_after
// in that time: a peer that takes connections and closes them must not be joined, with all that this costs a
// cluster, five times a second.
//
// Of both sides the companion dials first, when a node is new: who swallows packets then takes one place
// among the attempts and not two, and a cluster half of which is unreachable still leaves places for the
// other half. Among those that are ready, those whose other side is up come first, then those that failed
// least.
#pragma once

#include "base/random.hpp"
#include "base/time.hpp"
#include "discovery/nodes.hpp"
#include "discovery/types.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace remora::discovery {

class dialler {
public:
  // The host has dial_timeout too and says why; this much later the core goes on without an answer.
  static constexpr base::duration outcome_slack = std::chrono::milliseconds(250);
  static constexpr base::duration settled_after = std::chrono::seconds(5); // up so long, it does not flap
  static constexpr unsigned flaps_max = 3;

  dialler(known_nodes& nodes, std::string own_node, std::uint64_t seed)
      : nodes_(nodes), own_(std::move(own_node)), random_(seed) {}

  void use(options const& o) { o_ = &o; }
  void allow(bool dialling) { allowed_ = dialling; }

  std::optional<std::string> const& app() const { return app_; }
  void app_here(std::string node);
  void app_gone();

  bool wanted(known_node const& n, side s) const;
  // After something changed of what is wanted of it.
  void reconsider(known_node& n);
  void reconsider_all();
  void hurry(); // no back-off: all that are wanted and not up are ready

  void up(known_node& n, side s, bool dialled_here, base::time_point now, effects& out);
  void down(known_node& n, side s, std::string const& reason, base::time_point now, effects& out);
  void failed(known_node& n, side s, std::string const& reason, base::time_point now, effects& out);
  void dropped(known_node& n, side s, std::optional<std::string> const& failure, effects& out);
  // Ends the links of ours to a node that is missing.
  void drop_if_missing(known_node& n, base::time_point now, effects& out);

  void tick(base::time_point now, effects& out); // what is due
  void fill(base::time_point now, effects& out); // places that are free
  std::optional<base::time_point> next_deadline() const;

  // The round waits for what is under way and for what is ready.
  void begin_waiting();
  void end_waiting();
  std::size_t awaited() const { return awaited_; }
  std::vector<unreached> take_drop_failures() { return std::exchange(drop_failures_, {}); }

private:
  using alarm = std::tuple<base::time_point, std::uint64_t, side>;

  void move(known_node& n, side s, phase to, std::optional<base::time_point> timer = {});
  void settle(link& l);
  bool waits_for_companion(known_node const& n) const;
  base::duration delay(link const& l, base::time_point now);
  void fail(known_node& n, side s, std::string const& reason, base::time_point now, effects& out);
  void end_drop(known_node& n, side s, effects& out);
  void drop_failed(known_node& n, side s, std::string const& reason);

  known_nodes& nodes_;
  std::string own_;
  base::random random_;
  options const* o_ = nullptr;
  std::optional<std::string> app_;
  bool allowed_ = false;

  std::map<alarm, known_node*> timers_;
  std::map<link::place, known_node*> ready_;
  std::size_t dialling_ = 0;
  std::size_t awaited_ = 0;
  std::vector<unreached> drop_failures_;
};

} // namespace remora::discovery
