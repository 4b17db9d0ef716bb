#include "etf/builder.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "etf/reader.hpp"
#include "etf/tags.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace remora::etf {

namespace {

// The emulator writes ports of up to 28 bits as 89 (ERTS_MAX_V3_PORT_NUMBER), larger ones as 120.
constexpr std::uint64_t v3_port_max = (std::uint64_t{1} << 28U) - 1;

// Of |value| of 2^31 and more: 110, as few bytes as it takes.
void put_small_big(base::buffer& out, bool negative, std::uint64_t magnitude) {
  std::array<std::uint8_t, 8> bytes{};
  std::uint8_t count = 0;
  for (; magnitude != 0; magnitude >>= 8U) bytes[count++] = static_cast<std::uint8_t>(magnitude);
  out.put(tag::small_big);
  out.put(count);
  out.put(static_cast<std::uint8_t>(negative ? 1 : 0));
  out.append(base::bytes_view(bytes).first(count));
}

} // namespace

builder& builder::atom(std::string_view utf8) {
  base::check(utf8.size() <= 255 || is_atom_text(base::as_bytes(utf8)),
              "builder: an atom has at most 255 characters");
  if (utf8.size() <= 255) {
    std::uint8_t* const room = bytes_.room(2 + utf8.size());
    room[0] = tag::small_atom_utf8;
    room[1] = static_cast<std::uint8_t>(utf8.size());
    if (!utf8.empty()) std::memcpy(room + 2, utf8.data(), utf8.size());
    bytes_.commit(2 + utf8.size());
  } else {
    bytes_.put(tag::atom_utf8);
    bytes_.put(static_cast<std::uint16_t>(utf8.size()));
    bytes_.append(utf8);
  }
  return *this;
}

// Not ei's encoders: they write 2^27..2^31-1 as 110, the emulator as 98, and equal terms must be equal bytes.
builder& builder::integer(std::int64_t value) {
  if (value >= 0 && value <= 255) {
    bytes_.put(tag::small_integer);
    bytes_.put(static_cast<std::uint8_t>(value));
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    bytes_.put(tag::integer);
    bytes_.put(static_cast<std::uint32_t>(value));
  } else {
    auto const magnitude = static_cast<std::uint64_t>(value);
    put_small_big(bytes_, value < 0, value < 0 ? 0 - magnitude : magnitude);
  }
  return *this;
}

builder& builder::unsigned_integer(std::uint64_t value) {
  if (value <= INT32_MAX) return integer(static_cast<std::int64_t>(value));
  put_small_big(bytes_, false, value);
  return *this;
}

builder& builder::big_integer(bool negative, base::bytes_view magnitude) {
  while (!magnitude.empty() && magnitude.back() == 0) magnitude = magnitude.first(magnitude.size() - 1);
  if (magnitude.size() <= 8) {
    std::uint64_t value = 0;
    for (std::size_t i = magnitude.size(); i-- > 0;) value = (value << 8U) | magnitude[i];
    if (!negative) return unsigned_integer(value);
    if (value <= std::uint64_t{1} << 63U) return integer(static_cast<std::int64_t>(0 - value));
  }
  base::check(magnitude.size() <= UINT32_MAX, "builder: an integer has at most 4 GiB");
  if (magnitude.size() <= 255) {
    bytes_.put(tag::small_big);
    bytes_.put(static_cast<std::uint8_t>(magnitude.size()));
  } else {
    bytes_.put(tag::large_big);
    bytes_.put(static_cast<std::uint32_t>(magnitude.size()));
  }
  bytes_.put(static_cast<std::uint8_t>(negative ? 1 : 0));
  bytes_.append(magnitude);
  return *this;
}

builder& builder::floating(double value) {
  base::check(std::isfinite(value), "builder: Erlang has finite floats only");
  bytes_.put(tag::new_float);
  bytes_.put(std::bit_cast<std::uint64_t>(value));
  return *this;
}

builder& builder::binary(base::bytes_view bytes) {
  base::check(bytes.size() <= UINT32_MAX, "builder: a binary has at most 4 GiB");
  bytes_.put(tag::binary);
  bytes_.put(static_cast<std::uint32_t>(bytes.size()));
  bytes_.append(bytes);
  return *this;
}

builder& builder::string(std::string_view utf8) {
  std::u32string characters;
  while (!utf8.empty()) {
    auto const c = base::first_code_point(utf8);
    characters.push_back(c.size == 0 ? U'\ufffd' : static_cast<char32_t>(c.value));
    utf8.remove_prefix(std::max<std::size_t>(c.size, 1));
  }
  return string(std::u32string_view(characters));
}

builder& builder::string(std::u32string_view characters) {
  if (characters.empty()) return nil();
  bool const latin1 = std::all_of(characters.begin(), characters.end(), [](auto c) { return c < 256; });
  if (latin1 && characters.size() <= UINT16_MAX) {
    bytes_.put(tag::string);
    bytes_.put(static_cast<std::uint16_t>(characters.size()));
    for (auto const c : characters) bytes_.put(static_cast<std::uint8_t>(c));
    return *this;
  }
  list(characters.size());
  for (auto const c : characters) integer(c);
  return nil();
}

builder& builder::pid(etf::pid const& p) {
  bytes_.put(tag::new_pid);
  atom(p.node);
  bytes_.put(p.id);
  bytes_.put(p.serial);
  bytes_.put(p.creation);
  return *this;
}

builder& builder::port(etf::port const& p) {
  bool const v4 = p.id > v3_port_max;
  bytes_.put(v4 ? tag::v4_port : tag::new_port);
  atom(p.node);
  if (v4)
    bytes_.put(p.id);
  else
    bytes_.put(static_cast<std::uint32_t>(p.id));
  bytes_.put(p.creation);
  return *this;
}

builder& builder::reference(etf::reference const& r) {
  base::check(r.count >= 1 && r.count <= reference_words_max, "builder: a reference has 1 to 5 words");
  bytes_.put(tag::newer_reference);
  bytes_.put(static_cast<std::uint16_t>(r.count));
  atom(r.node);
  bytes_.put(r.creation);
  for (auto const word : r.used()) bytes_.put(word);
  return *this;
}

builder& builder::export_fun(std::string_view module, std::string_view function, std::uint8_t arity) {
  bytes_.put(tag::export_fun);
  atom(module).atom(function);
  bytes_.put(tag::small_integer);
  bytes_.put(arity);
  return *this;
}

builder& builder::copy(view v) {
  base::check(!v.empty(), "builder: copy of a term");
  bytes_.append(v.bytes());
  return *this;
}

builder& builder::tuple(std::size_t arity) {
  base::check(arity <= UINT32_MAX, "builder: a tuple has at most 2^32-1 elements");
  if (arity <= 255) {
    bytes_.put(tag::small_tuple);
    bytes_.put(static_cast<std::uint8_t>(arity));
  } else {
    bytes_.put(tag::large_tuple);
    bytes_.put(static_cast<std::uint32_t>(arity));
  }
  return *this;
}

builder& builder::list(std::size_t length) {
  if (length == 0) return *this;
  base::check(length <= UINT32_MAX, "builder: a list is announced with at most 2^32-1 elements");
  bytes_.put(tag::list);
  bytes_.put(static_cast<std::uint32_t>(length));
  return *this;
}

builder& builder::nil() {
  bytes_.put(tag::nil);
  return *this;
}

builder& builder::map(std::size_t pairs) {
  base::check(pairs <= UINT32_MAX, "builder: a map has at most 2^32-1 pairs");
  bytes_.put(tag::map);
  bytes_.put(static_cast<std::uint32_t>(pairs));
  return *this;
}

term builder::take() {
  base::check(is_one_term(bytes_.view()), "builder: exactly one term");
  return term(std::move(bytes_));
}

} // namespace remora::etf
