#include "sim/sky.hpp"

#include <array>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {
base::duration below(base::random& r, base::duration bound) {
  return base::duration(static_cast<std::int64_t>(r.below(static_cast<std::uint64_t>(bound.count()) + 1)));
}
} // namespace

sky::sky(std::uint64_t seed) : random_(seed) {
  struct climate {
    base::duration slowest, spread, dialling;
  };
  static constexpr std::array<climate, 4> climates = {climate{200us, 100us, 2ms}, climate{2ms, 5ms, 20ms},
                                                      climate{80ms, 20ms, 300ms}, climate{20ms, 400ms, 3s}};
  auto const& c = climates.at(random_.below(climates.size()));
  slowest_ = c.slowest;
  spread_ = c.spread;
  dialling_ = c.dialling;
  failing_ = random_.below(3) == 0 ? random_.below(40) : 0;
}

sky::link& sky::between(std::string const& from, std::string const& to) {
  auto const [at, fresh] = links_.try_emplace({from, to});
  if (fresh) at->second = {.least = 1us + below(random_, slowest_), .spread = below(random_, spread_)};
  return at->second;
}

base::duration sky::latency(std::string const& from, std::string const& to) {
  auto const& l = between(from, to);
  return l.least + below(random_, l.spread);
}

test::weather::dial_fate sky::dial(std::string const& from, std::string const& to) {
  return {.after = latency(from, to) + below(random_, dialling_), .fails = random_.below(100) < failing_};
}

} // namespace remora::sim
