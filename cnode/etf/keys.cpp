#include "etf/keys.hpp"

#include "etf/normal.hpp"
#include "etf/tags.hpp"
#include "etf/term.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace remora::etf {

namespace {

// What is open at a place of the walk. A map notes where each of its keys begins and ends.
struct frame {
  std::size_t left = 0; // terms that are still to come
  bool map = false;
  std::vector<base::bytes_view> keys; // of a map of two or more
};

bool any_equal(std::vector<base::bytes_view>& keys) {
  std::vector<term> normal; // owns what a key is compared by, where that is not the key itself
  for (auto& key : keys)
    if (!is_normal(view(key))) {
      normal.push_back(normalised(view(key)));
      key = normal.back()->bytes();
    }
  auto const text = [](base::bytes_view b) { return base::as_text(b); };
  std::sort(keys.begin(), keys.end(),
            [&](auto a, auto b) { return a.size() != b.size() ? a.size() < b.size() : text(a) < text(b); });
  return std::adjacent_find(keys.begin(), keys.end(), [&](auto a, auto b) { return text(a) == text(b); }) !=
         keys.end();
}

} // namespace

bool has_equal_keys(base::bytes_view canonical) {
  std::vector<frame> open;
  open.push_back({.left = 1, .map = false, .keys = {}});
  std::size_t at = 0;
  while (!open.empty()) {
    auto& top = open.back();
    if (top.left == 0) {
      if (top.map && any_equal(top.keys)) return true;
      open.pop_back();
      // The key that ended here, if it was one: its begin was noted, its end was not known.
      if (!open.empty() && open.back().map && open.back().left % 2 == 1 && !open.back().keys.empty()) {
        auto& key = open.back().keys.back();
        key = canonical.subspan(static_cast<std::size_t>(key.data() - canonical.data()));
        key = key.first(static_cast<std::size_t>(canonical.data() + at - key.data()));
      }
      continue;
    }
    --top.left;
    auto const head = head_of(canonical.data() + at);
    bool const key = top.map && top.left % 2 == 1;
    if (key) top.keys.push_back(canonical.subspan(at, head.size));
    bool const map = canonical[at] == tag::map;
    at += head.size;
    if (head.parts > 0) open.push_back({.left = head.parts, .map = map && head.parts > 2, .keys = {}});
  }
  return false;
}

} // namespace remora::etf
