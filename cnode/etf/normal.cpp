#include "etf/normal.hpp"

#include "etf/builder.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

namespace remora::etf {

namespace {

constexpr std::size_t string_max = 65'535; // 107 has two bytes of length

bool is_byte(view v) {
  auto const value = v.integer();
  return value && *value >= 0 && *value <= 255;
}

bool before(base::bytes_view a, base::bytes_view b) { return base::as_text(a) < base::as_text(b); }

bool is_normal_list(view v) {
  if (v.bytes()[0] == 107) return true; // never empty when canonical
  auto list = *v.list();
  auto const length = list.left();
  bool bytes = true;
  while (auto const item = list.next()) {
    bytes = bytes && is_byte(*item);
    if (!is_normal(*item)) return false;
  }
  auto const tail = list.tail();
  if (tail.what() == kind::list) return false;
  if (tail.what() != kind::nil) return is_normal(tail);
  return !bytes || length > string_max;
}

bool is_normal_map(view v) {
  auto map = *v.map();
  base::bytes_view last;
  while (auto const pair = map.next()) {
    if (!last.empty() && !before(last, pair->key.bytes())) return false;
    if (!is_normal(pair->key) || !is_normal(pair->value)) return false;
    last = pair->key.bytes();
  }
  return true;
}

void write(builder& out, view v);

void write_list(builder& out, view v) {
  std::vector<view> items;
  bool bytes = true;
  auto tail = v;
  while (tail.what() == kind::list) {
    auto list = *tail.list();
    while (auto const item = list.next()) {
      bytes = bytes && is_byte(*item);
      items.push_back(*item);
    }
    tail = list.tail();
  }
  if (tail.what() == kind::nil && bytes && items.size() <= string_max) {
    auto& raw = out.raw();
    raw.put(std::uint8_t{107});
    raw.put(static_cast<std::uint16_t>(items.size()));
    for (auto const item : items) raw.put(static_cast<std::uint8_t>(*item.integer()));
    return;
  }
  out.list(items.size());
  for (auto const item : items) write(out, item);
  write(out, tail);
}

void write_map(builder& out, view v) {
  std::vector<std::pair<term, term>> pairs;
  auto map = *v.map();
  while (auto const pair = map.next()) pairs.emplace_back(normalised(pair->key), normalised(pair->value));
  std::sort(pairs.begin(), pairs.end(),
            [](auto const& a, auto const& b) { return before(a.first->bytes(), b.first->bytes()); });
  out.map(pairs.size());
  for (auto const& [key, value] : pairs) out.copy(key).copy(value);
}

void write(builder& out, view v) {
  switch (v.what()) {
  case kind::list: return write_list(out, v);
  case kind::map: return write_map(out, v);
  case kind::tuple: {
    auto const arity = *v.arity();
    std::vector<view> elements(arity);
    v.tuple_elements(elements);
    out.tuple(arity);
    for (auto const e : elements) write(out, e);
    return;
  }
  default: out.copy(v);
  }
}

} // namespace

bool is_normal(view v) {
  switch (v.what()) {
  case kind::list: return is_normal_list(v);
  case kind::map: return is_normal_map(v);
  case kind::tuple: {
    auto const arity = *v.arity();
    if (arity > 16) {
      std::vector<view> elements(arity);
      v.tuple_elements(elements);
      return std::all_of(elements.begin(), elements.end(), is_normal);
    }
    std::array<view, 16> elements;
    std::span<view> const used(elements.data(), arity);
    v.tuple_elements(used);
    return std::all_of(used.begin(), used.end(), is_normal);
  }
  default: return true;
  }
}

term normalised(view v) {
  if (is_normal(v)) return term(v);
  builder out;
  write(out, v);
  return out.take();
}

} // namespace remora::etf
