#include "discovery/address.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::discovery {

namespace {

using group_array = std::array<std::uint16_t, 8>;

std::optional<std::array<std::uint8_t, 4>> read_v4(std::string_view text) {
  std::array<std::uint8_t, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) {
    auto const dot = text.find('.');
    if ((dot == std::string_view::npos) != (i == 3)) return std::nullopt;
    auto const part = text.substr(0, dot);
    if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
    unsigned value = 0;
    for (char const c : part) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 255) return std::nullopt;
    out.at(i) = static_cast<std::uint8_t>(value);
    text.remove_prefix(i == 3 ? text.size() : dot + 1);
  }
  return out;
}

std::optional<std::uint16_t> read_group(std::string_view part) {
  if (part.empty() || part.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (char const c : part) {
    auto const digit = c >= '0' && c <= '9'   ? c - '0'
                       : c >= 'a' && c <= 'f' ? c - 'a' + 10
                       : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                              : -1;
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return static_cast<std::uint16_t>(value);
}

// Groups between colons, from one end of the text or from the gap; `last`: IPv4 may stand at the end.
struct groups {
  group_array list{};
  std::size_t count = 0;
};
std::optional<groups> read_groups(std::string_view text, bool last) {
  groups out;
  while (!text.empty()) {
    auto const colon = text.find(':');
    auto const part = text.substr(0, colon);
    if (colon == std::string_view::npos && last && part.find('.') != std::string_view::npos) {
      auto const v4 = read_v4(part);
      if (!v4 || out.count > 6) return std::nullopt;
      out.list.at(out.count++) = static_cast<std::uint16_t>((*v4)[0] << 8U | (*v4)[1]);
      out.list.at(out.count++) = static_cast<std::uint16_t>((*v4)[2] << 8U | (*v4)[3]);
      return out;
    }
    auto const group = read_group(part);
    if (!group || out.count == 8) return std::nullopt;
    out.list.at(out.count++) = *group;
    if (colon == std::string_view::npos) return out;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt; // ends with a colon
  }
  return out;
}

std::optional<group_array> read_v6(std::string_view text) {
  auto const gap = text.find("::");
  if (gap == std::string_view::npos) {
    auto const all = read_groups(text, true);
    if (!all || all->count != 8) return std::nullopt;
    return all->list;
  }
  auto const front = read_groups(text.substr(0, gap), false);
  auto const back = read_groups(text.substr(gap + 2), true);
  if (!front || !back || front->count + back->count > 7) return std::nullopt;
  group_array out = front->list;
  std::copy_n(back->list.begin(), back->count, out.end() - static_cast<std::ptrdiff_t>(back->count));
  return out;
}

group_array groups_of(ip_address const& a) {
  group_array out{};
  for (std::size_t i = 0; i < 8; ++i)
    out.at(i) = static_cast<std::uint16_t>(a.bytes.at(2 * i) << 8U | a.bytes.at(2 * i + 1));
  return out;
}

std::string write_v4(std::uint8_t const* b) { return fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]); }

// RFC 5952, 4.2: the longest run of zeros is left out, of equal ones the first, and never a single one.
std::string write_v6(ip_address const& a) {
  auto const g = groups_of(a);
  if (std::all_of(g.begin(), g.begin() + 5, [](auto n) { return n == 0; }) && g[5] == 0xffff)
    return "::ffff:" + write_v4(&a.bytes[12]); // section 5: IPv4 inside
  std::size_t gap = 8;
  std::size_t longest = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t n = 0;
    while (i + n < 8 && g.at(i + n) == 0) ++n;
    if (n > longest) {
      gap = i;
      longest = n;
    }
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == gap) {
      out += "::";
      i += longest - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    out += fmt::format("{:x}", g.at(i));
  }
  return out;
}

} // namespace

std::optional<ip_address> read_address(std::string_view text) {
  ip_address out;
  if (text.find(':') == std::string_view::npos) {
    auto const v4 = read_v4(text);
    if (!v4) return std::nullopt;
    std::copy(v4->begin(), v4->end(), out.bytes.begin());
    return out;
  }
  auto const v6 = read_v6(text);
  if (!v6) return std::nullopt;
  out.v6 = true;
  for (std::size_t i = 0; i < 8; ++i) {
    out.bytes.at(2 * i) = static_cast<std::uint8_t>(v6->at(i) >> 8U);
    out.bytes.at(2 * i + 1) = static_cast<std::uint8_t>(v6->at(i) & 0xffU);
  }
  return out;
}

std::string write(ip_address const& a) { return a.v6 ? write_v6(a) : write_v4(a.bytes.data()); }

} // namespace remora::discovery
