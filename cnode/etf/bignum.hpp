// Integers of any size between digits and the magnitude of a 110 or 111 (little-endian bytes). Schoolbook
// arithmetic: quadratic for bases that are no power of two, so callers bound what they hand in.
#pragma once

#include "base/bytes.hpp"
#include "etf/term.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::etf {

// Sign and magnitude of an integer of any size; nullopt for other terms.
struct big_integer {
  bool negative = false;
  std::vector<std::uint8_t> magnitude; // little-endian
};
std::optional<big_integer> as_big_integer(view v);

// Digits 0-9A-Z without a sign, "0" for no magnitude; radix 2..36.
std::string digits_of(base::bytes_view magnitude, unsigned radix);

// The value of a digit; nullopt when it does not belong to the radix.
std::optional<unsigned> digit_value(char c, unsigned radix);

// Magnitude without leading (that is, last) zero bytes; nullopt when a digit does not belong to the radix.
std::optional<std::vector<std::uint8_t>> magnitude_of(std::string_view digits, unsigned radix);

} // namespace remora::etf
