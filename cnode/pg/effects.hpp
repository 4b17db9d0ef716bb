// What a scope asks of its host. Values: they compare, and print the same in a log, a test and the simulator.
#pragma once

#include "etf/destination.hpp"
#include "etf/ids.hpp"
#include "etf/term.hpp"

#include <string>
#include <variant>

namespace remora::pg {

struct send { // from the scope's own process; `dial` false is OTP's noconnect
  etf::destination to;
  etf::term message;
  bool dial = false;
  friend bool operator==(send const&, send const&) = default;
};
struct watch { // a monitor; its end comes back as watched_ended
  etf::pid who;
  friend bool operator==(watch const&, watch const&) = default;
};
struct unwatch {
  etf::pid who;
  friend bool operator==(unwatch const&, unwatch const&) = default;
};
struct notify { // a subscriber hears {Ref, join | leave, Group, Pids}
  etf::pid subscriber;
  etf::term event;
  friend bool operator==(notify const&, notify const&) = default;
};
struct refused { // what a peer said that was not taken, for the log
  std::string why;
  friend bool operator==(refused const&, refused const&) = default;
};

using effect = std::variant<send, watch, unwatch, notify, refused>;

std::string describe(effect const& e); // one line

} // namespace remora::pg
