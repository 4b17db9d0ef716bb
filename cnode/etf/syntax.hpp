// The characters of Erlang's syntax, as io_lib and erl_scan class them (latin1 letters count, others do not).
#pragma once

#include <cstdint>

namespace remora::etf {

inline bool between(std::uint32_t c, std::uint32_t low, std::uint32_t high) { return c >= low && c <= high; }

inline bool is_digit(std::uint32_t c) { return between(c, '0', '9'); }

// What an atom without quotes begins with, and what it goes on with.
inline bool is_lower(std::uint32_t c) {
  return between(c, 'a', 'z') || (between(c, 0xdf, 0xff) && c != 0xf7);
}
inline bool is_name_character(std::uint32_t c) {
  return is_lower(c) || between(c, 'A', 'Z') || (between(c, 0xc0, 0xde) && c != 0xd7) || is_digit(c) ||
         c == '_' || c == '@';
}

} // namespace remora::etf
