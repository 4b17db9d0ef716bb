// Terms for tests: bytes from hex, lines of recorded files, and random terms from a seed.
#pragma once

#include "base/random.hpp"
#include "etf/builder.hpp"
#include "etf/term.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace remora::test {

std::vector<std::uint8_t> unhex(std::string_view digits);
std::string hex(base::bytes_view bytes);

// Lines of a file below test/, split at tabs. Aborts when there is no such file.
std::vector<std::vector<std::string>> recorded(std::string_view file);

// A term as the emulator would encode it: lists of bytes as 107, tuples and integers in their shortest form,
// no tails that are lists, no key twice. Local funs have no text and are left out.
etf::term random_term(base::random& random, unsigned depth = 4);

} // namespace remora::test
