// What is to be spread, piggybacked on packets: each update so many times, what was sent least first, and
// what is newest among the equal (SWIM, section 4.1; memberlist's TransmitLimitedQueue). An update is named
// by a key; what it says is looked up when it is sent, so something newer of the same member replaces it.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace remora::swim {

class spread_queue {
public:
  using key = std::uint64_t;
  enum class fate : std::uint8_t { sent, no_room, nothing };

  void put(key k) {
    auto const stamp = ++last_stamp_;
    stamps_[k] = stamp;
    level(0).push_back({k, stamp});
  }
  void remove(key k) { stamps_.erase(k); }
  void clear() {
    stamps_.clear();
    levels_.clear();
  }
  bool empty() const { return stamps_.empty(); }
  std::size_t size() const { return stamps_.size(); }
  bool contains(key k) const { return stamps_.contains(k); }

  // Offers updates until a few in a row had no room. What was sent `times` times is done.
  template <class Offer>
  void offer(std::size_t times, Offer&& to) {
    std::size_t refused = 0;
    moved_.clear();
    for (std::size_t n = 0; n < levels_.size() && refused < refused_max; ++n) {
      kept_.clear();
      while (!levels_[n].empty() && refused < refused_max) {
        auto const next = levels_[n].back();
        levels_[n].pop_back();
        auto const found = stamps_.find(next.what);
        if (found == stamps_.end() || found->second != next.stamp) continue;
        switch (to(next.what)) {
        case fate::sent:
          if (n + 1 >= times)
            stamps_.erase(next.what);
          else
            moved_.push_back({n + 1, next});
          break;
        case fate::no_room:
          ++refused;
          kept_.push_back(next);
          break;
        case fate::nothing: stamps_.erase(next.what); break;
        }
      }
      levels_[n].insert(levels_[n].end(), kept_.rbegin(), kept_.rend());
    }
    for (auto const& [n, what] : moved_) level(n).push_back(what);
    if (stamps_.empty()) levels_.clear();
  }

private:
  static constexpr std::size_t refused_max = 4;
  struct item {
    key what = 0;
    std::uint64_t stamp = 0; // of the put that it is of
  };
  std::vector<item>& level(std::size_t n) {
    if (levels_.size() <= n) levels_.resize(n + 1);
    return levels_[n];
  }

  boost::unordered_flat_map<key, std::uint64_t> stamps_;
  std::vector<std::vector<item>> levels_; // by how often they were sent
  std::vector<item> kept_;
  std::vector<std::pair<std::size_t, item>> moved_;
  std::uint64_t last_stamp_ = 0;
};

} // namespace remora::swim
