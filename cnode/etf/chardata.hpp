// Chardata, Erlang's way to hold text: a binary, or a list of characters, binaries and such lists.
#pragma once

#include "etf/term.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace remora::etf {

enum class binaries : std::uint8_t {
  as_they_are,    // not looked at; the caller checks the whole
  utf8_or_latin1, // a binary that is not UTF-8 is latin1, as in ~ts
  latin1          // each byte a character, and no character above 255: iodata, as in ~s
};

// Appends the text as UTF-8; false when the term is no chardata or `out` would get longer than `bytes_max`.
// One pass, however deep the lists are.
bool append_chardata(std::string& out, view data, binaries how, std::size_t bytes_max);

} // namespace remora::etf
