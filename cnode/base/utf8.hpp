// UTF-8 as Erlang and RFC 3629 have it: no overlong sequences, no surrogates, nothing above U+10FFFF.
#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace remora::base {

// Length of the sequence at the front of non-empty text; 0 when there is none.
std::size_t utf8_size(bytes_view text);

struct code_point {
  std::uint32_t value = 0;
  std::size_t size = 0; // bytes it took; 0 when the text is empty or does not begin with a sequence
};
code_point first_code_point(std::string_view text);

bool is_utf8(std::string_view text);

// Appends the sequence of `c`; false, and nothing appended, when `c` is a surrogate or too large.
bool append_utf8(std::string& out, std::uint32_t c);

// The same text with U+FFFD for every byte that belongs to no sequence.
std::string to_valid_utf8(std::string_view text);

std::string latin1_to_utf8(bytes_view text);

} // namespace remora::base
