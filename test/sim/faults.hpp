// What goes wrong in a storm: connections reset, pairs and groups of nodes that cannot hear each other, in
// one direction or both, nodes that freeze, crash, leave and come back. Each fault undoes itself later.
#pragma once

#include "sim/cluster.hpp"

#include <array>

namespace remora::sim {

class faults {
public:
  explicit faults(cluster& c);
  void act(); // one fault, drawn with this seed's weights

private:
  enum class kind : std::uint8_t {
    reset,
    disconnect,
    dial_both,
    dial_all,
    one_way,
    pair,
    split,
    freeze,
    crash,
    dark_crash,
    leave,
    count
  };
  void act(kind k);
  void stall(std::string const& from, std::string const& to, base::duration time);
  void back_later(member& m);

  cluster& c_;
  std::array<std::uint64_t, static_cast<std::size_t>(kind::count)> weights_{};
  std::map<std::pair<std::string, std::string>, int> stalls_; // that overlap
  base::duration longest_;                                    // of a fault
  std::size_t gone_ = 0;                                      // nodes that do not come back
};

} // namespace remora::sim
