// Checks of our own invariants: kept in release builds, because a wrong node harms a cluster more than a
// missing one. A peer's bytes never reach a check: they are parsed into a type that cannot be wrong first.
#pragma once

namespace remora::base {

// Prints what failed and where on stderr and aborts; whoever supervises the program starts it again.
[[noreturn]] void check_failed(char const* what, char const* file, unsigned line);

// The builtins are what std::source_location is made of; clang 14, which builds the fuzz targets, has only
// them.
inline void check(bool holds, char const* what, char const* file = __builtin_FILE(),
                  unsigned line = __builtin_LINE()) {
  if (!holds) [[unlikely]]
    check_failed(what, file, line);
}

} // namespace remora::base
