#include "pg/multiset.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <utility>

namespace remora::pg {

std::size_t multiset::count(etf::pid const& p) const {
  if (previous_.empty()) return static_cast<std::size_t>(std::count(list_.begin(), list_.end(), p));
  std::size_t n = 0;
  auto const found = place_.find(p);
  for (auto at = found != place_.end() ? found->second : none; at != none; at = previous_[at]) ++n;
  return n;
}

void multiset::add(etf::pid const& p) {
  base::check(list_.size() < none, "multiset: places have 32 bits");
  list_.push_back(p);
  if (!previous_.empty())
    index(static_cast<std::uint32_t>(list_.size() - 1));
  else if (list_.size() > unindexed_max)
    build_index();
}

bool multiset::remove(etf::pid const& p) {
  if (previous_.empty()) {
    auto const found = std::find(list_.begin(), list_.end(), p);
    if (found == list_.end()) return false;
    if (found != list_.end() - 1) *found = std::move(list_.back());
    list_.pop_back();
    return true;
  }
  auto const found = place_.find(p);
  if (found == place_.end()) return false;
  auto const place = found->second;
  if (previous_[place] == none)
    place_.erase(found);
  else
    found->second = previous_[place];
  take_out(place);
  return true;
}

void multiset::index(std::uint32_t place) {
  auto const [at, fresh] = place_.try_emplace(list_[place], place);
  previous_.push_back(fresh ? none : std::exchange(at->second, place));
}

void multiset::build_index() {
  previous_.reserve(list_.size());
  for (std::uint32_t place = 0; place < list_.size(); ++place) index(place);
}

// Nothing refers to `place` any more: the last one moves there, and who referred to that one is told.
void multiset::take_out(std::uint32_t place) {
  auto const last = static_cast<std::uint32_t>(list_.size() - 1);
  if (place != last) {
    auto* refers = &place_.find(list_[last])->second;
    while (*refers != last) refers = &previous_[*refers];
    *refers = place;
    list_[place] = std::move(list_[last]);
    previous_[place] = previous_[last];
  }
  list_.pop_back();
  previous_.pop_back();
  if (list_.empty()) place_.clear();
}

} // namespace remora::pg
