// The two encodings that builder and reader share: atoms and integers as the emulator writes them.
#pragma once

#include "base/bytes.hpp"

#include <cstdint>
#include <string_view>

namespace remora::etf {

void put_atom(base::buffer& out, std::string_view utf8); // at most atom_bytes_max, not checked

// |value| in little-endian bytes: 97, 98, 110 or 111, whichever is the shortest.
void put_integer(base::buffer& out, bool negative, base::bytes_view magnitude);
void put_integer(base::buffer& out, bool negative, std::uint64_t magnitude);

} // namespace remora::etf
