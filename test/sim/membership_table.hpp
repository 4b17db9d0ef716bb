// The figures of membership, up to ten thousand members, printed as a table: `sim --membership --table`, and
// --short for what the test run has time for. What is promised is compared with what came out; the exit code
// says whether all of it holds.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace remora::sim {

std::set<std::string_view> membership_table_parts();

// `only`: of its parts; empty: all.
bool print_membership_table(bool is_short, std::uint64_t seed, std::set<std::string> const& only);

// So many node-hours of clusters of 64 at 1 % loss, another cluster each thousand; none may be declared dead.
// A million takes two cores an hour: `sim --membership --node-hours 500000 --seed 1`, and beside it the same
// with `--seed 1000`.
bool run_node_hours(std::uint64_t wanted, std::uint64_t seed);

} // namespace remora::sim
