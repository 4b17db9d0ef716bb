// The figures of membership, up to ten thousand members, printed as a table: `sim --membership --table`, and
// --short for what the test run has time for. What is promised is compared with what came out; the exit code
// says whether all of it holds.
#pragma once

#include <cstdint>

namespace remora::sim {

bool print_membership_table(bool is_short, std::uint64_t seed);

} // namespace remora::sim
