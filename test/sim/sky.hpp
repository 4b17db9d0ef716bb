// The network over a simulated cluster: how long bytes and dials take, drawn per link from the seed.
#pragma once

#include "base/random.hpp"
#include "support/world.hpp"

#include <map>
#include <string>
#include <utility>

namespace remora::sim {

class sky : public test::weather {
public:
  explicit sky(std::uint64_t seed);

  base::duration latency(std::string const& from, std::string const& to) override;
  dial_fate dial(std::string const& from, std::string const& to) override;
  void clear() { failing_ = 0; } // after the storm dials succeed

private:
  struct link {
    base::duration least;
    base::duration spread;
  };
  link& between(std::string const& from, std::string const& to);

  base::random random_;
  base::duration slowest_; // of a link's least latency
  base::duration spread_;
  base::duration dialling_;
  std::uint64_t failing_; // per cent of the dials
  std::map<std::pair<std::string, std::string>, link> links_;
};

} // namespace remora::sim
