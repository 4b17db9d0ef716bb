#include "etf/chardata.hpp"

#include "base/utf8.hpp"
#include "etf/tags.hpp"

#include <algorithm>
#include <vector>

namespace remora::etf {

namespace {

bool append_bytes(std::string& out, base::bytes_view bytes, binaries how, std::size_t bytes_max) {
  if (bytes.size() > bytes_max - std::min(bytes_max, out.size())) return false;
  bool const raw = how == binaries::as_they_are ||
                   (how == binaries::utf8_or_latin1 && base::is_utf8(base::as_text(bytes)));
  if (raw)
    out += base::as_text(bytes);
  else
    out += base::latin1_to_utf8(bytes);
  return true;
}

bool append_character(std::string& out, view v, binaries how) {
  auto const c = v.integer();
  if (!c || *c < 0 || *c > (how == binaries::latin1 ? 0xff : 0x10ffff)) return false;
  return base::append_utf8(out, static_cast<std::uint32_t>(*c));
}

// A term that is not a list of terms. A character may stand in a list only, not as its tail or alone.
bool append_piece(std::string& out, view v, bool in_list, binaries how, std::size_t bytes_max) {
  switch (v.what()) {
  case kind::nil: return true;
  case kind::integer: return in_list && append_character(out, v, how);
  case kind::binary: return append_bytes(out, v.bytes().subspan(5), how, bytes_max);
  case kind::list: return append_bytes(out, v.bytes().subspan(3), binaries::latin1, bytes_max); // 107
  default: return false;
  }
}

} // namespace

bool append_chardata(std::string& out, view data, binaries how, std::size_t bytes_max) {
  std::vector<std::uint64_t> open; // of each list around: terms still to come, the last one its tail
  std::uint8_t const* at = data.bytes().data();
  for (;;) {
    bool in_list = false;
    if (!open.empty()) {
      in_list = --open.back() > 0;
      if (!in_list) open.pop_back(); // its tail is next: a chain of tails keeps the stack as it is
    }
    auto const head = head_of(at);
    if (at[0] == tag::list)
      open.push_back(head.parts);
    else if (!append_piece(out, view({at, head.size}), in_list, how, bytes_max) || out.size() > bytes_max)
      return false;
    at += head.size;
    if (open.empty()) return true;
  }
}

} // namespace remora::etf
