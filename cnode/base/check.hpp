// Checks of our own invariants: kept in release builds, because a wrong node harms a cluster more than a
// missing one. A peer's bytes never reach a check: they are parsed into a type that cannot be wrong first.
#pragma once

#include <source_location>

namespace remora::base {

// Prints what failed and where on stderr and aborts; whoever supervises the program starts it again.
[[noreturn]] void check_failed(char const* what, std::source_location where);

inline void check(bool holds, char const* what,
                  std::source_location where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

} // namespace remora::base
