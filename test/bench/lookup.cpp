// How many global names native code looks up in a second, on one core, among 10,000: prints that number. For
// `make bench`.
#include "etf/builder.hpp"
#include "global/names.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

using namespace remora;

int main() {
  constexpr std::size_t names_count = 10'000;
  constexpr int rounds = 7;
  constexpr std::size_t lookups = 2'000'000;
  global::names_table table;
  std::vector<etf::term> names;
  for (std::size_t i = 0; i < names_count; ++i) {
    names.push_back(etf::make(etf::tup(etf::am("bench"), i)));
    etf::pid const pid{
        .node = etf::atom("a@h"), .id = static_cast<std::uint32_t>(i), .serial = 0, .creation = 4};
    global::entry e;
    e.name = names.back();
    e.pid = pid;
    e.method = etf::make(etf::am("none"));
    table.put(std::move(e));
  }
  std::vector<double> per_second;
  for (int round = 0; round < rounds; ++round) {
    std::uint64_t sum = 0;
    auto const start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < lookups; ++i) sum += table.find(*names[i * 7919 % names_count])->pid.id;
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
    if (sum == 0) return 1;
    per_second.push_back(static_cast<double>(lookups) / took.count());
  }
  std::sort(per_second.begin(), per_second.end());
  std::printf("%.0f\n", per_second[rounds / 2]);
}
