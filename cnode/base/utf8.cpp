#include "base/utf8.hpp"

namespace remora::base {

std::size_t utf8_size(bytes_view text) {
  std::uint8_t const first = text[0];
  if (first < 0x80) return 1;
  auto const follows = [&](std::size_t i) { return i < text.size() && (text[i] & 0xc0U) == 0x80U; };
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if ((first & 0xf0U) == 0xe0U) {
    if (!follows(1) || !follows(2)) return 0;
    if (first == 0xe0 && text[1] < 0xa0) return 0;
    if (first == 0xed && text[1] > 0x9f) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!follows(1) || !follows(2) || !follows(3)) return 0;
    if (first == 0xf0 && text[1] < 0x90) return 0;
    if (first == 0xf4 && text[1] > 0x8f) return 0;
    return 4;
  }
  return 0;
}

code_point first_code_point(std::string_view text) {
  if (text.empty()) return {};
  auto const bytes = as_bytes(text);
  std::size_t const size = utf8_size(bytes);
  if (size <= 1) return {.value = bytes[0], .size = size};
  std::uint32_t value = bytes[0] & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) value = (value << 6U) | (bytes[i] & 0x3fU);
  return {.value = value, .size = size};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    std::size_t const size = utf8_size(as_bytes(text));
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::size_t const size = utf8_size(as_bytes(text));
    if (size == 0)
      out += "\ufffd";
    else
      out += text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

bool append_utf8(std::string& out, std::uint32_t c) {
  if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return false;
  auto const put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0U | (c >> 6U));
    put(0x80U | (c & 0x3fU));
  } else if (c < 0x10000) {
    put(0xe0U | (c >> 12U));
    put(0x80U | ((c >> 6U) & 0x3fU));
    put(0x80U | (c & 0x3fU));
  } else {
    put(0xf0U | (c >> 18U));
    put(0x80U | ((c >> 12U) & 0x3fU));
    put(0x80U | ((c >> 6U) & 0x3fU));
    put(0x80U | (c & 0x3fU));
  }
  return true;
}

std::string latin1_to_utf8(bytes_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::uint8_t const c : text) append_utf8(out, c);
  return out;
}

} // namespace remora::base
