#include "etf/encode.hpp"

#include "etf/tags.hpp"

#include <array>

namespace remora::etf {

namespace {

void put_big(base::buffer& out, bool negative, base::bytes_view magnitude) {
  base::check(magnitude.size() <= UINT32_MAX, "an integer has at most 4 GiB");
  bool const small = magnitude.size() <= 255;
  out.put(small ? tag::small_big : tag::large_big);
  if (small)
    out.put(static_cast<std::uint8_t>(magnitude.size()));
  else
    out.put(static_cast<std::uint32_t>(magnitude.size()));
  out.put(static_cast<std::uint8_t>(negative ? 1 : 0));
  out.append(magnitude);
}

base::bytes_view trimmed(base::bytes_view magnitude) {
  while (!magnitude.empty() && magnitude.back() == 0) magnitude = magnitude.first(magnitude.size() - 1);
  return magnitude;
}

} // namespace

void put_atom(base::buffer& out, std::string_view utf8) {
  if (utf8.size() <= 255) {
    std::uint8_t* const room = out.room(2 + utf8.size());
    room[0] = tag::small_atom_utf8;
    room[1] = static_cast<std::uint8_t>(utf8.size());
    if (!utf8.empty()) std::memcpy(room + 2, utf8.data(), utf8.size());
    out.commit(2 + utf8.size());
  } else {
    out.put(tag::atom_utf8);
    out.put(static_cast<std::uint16_t>(utf8.size()));
    out.append(utf8);
  }
}

// Not ei's encoders: they write 2^27..2^31-1 as 110, the emulator as 98, and equal terms must be equal bytes.
void put_integer(base::buffer& out, bool negative, std::uint64_t magnitude) {
  if (!negative && magnitude <= 255) {
    out.put(tag::small_integer);
    out.put(static_cast<std::uint8_t>(magnitude));
  } else if (magnitude <= INT32_MAX || (negative && magnitude <= std::uint64_t{1} << 31U)) {
    if (magnitude == 0) return put_integer(out, false, 0);
    out.put(tag::integer);
    out.put(static_cast<std::uint32_t>(negative ? 0 - magnitude : magnitude));
  } else {
    std::array<std::uint8_t, 8> bytes{};
    for (unsigned i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(magnitude >> (8 * i));
    put_big(out, negative, trimmed(bytes));
  }
}

void put_integer(base::buffer& out, bool negative, base::bytes_view magnitude) {
  magnitude = trimmed(magnitude);
  if (magnitude.size() > 8) return put_big(out, negative, magnitude);
  std::uint64_t value = 0;
  for (std::size_t i = magnitude.size(); i-- > 0;) value = (value << 8U) | magnitude[i];
  put_integer(out, negative, value);
}

} // namespace remora::etf
