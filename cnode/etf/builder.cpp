#include "etf/builder.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "etf/encode.hpp"
#include "etf/reader.hpp"
#include "etf/tags.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace remora::etf {

builder& builder::atom(std::string_view utf8) {
  base::check(utf8.size() <= 255 || is_atom_text(base::as_bytes(utf8)),
              "builder: an atom has at most 255 characters");
  put_atom(bytes_, utf8);
  return *this;
}

builder& builder::integer(std::int64_t value) {
  auto const bits = static_cast<std::uint64_t>(value);
  put_integer(bytes_, value < 0, value < 0 ? 0 - bits : bits);
  return *this;
}

builder& builder::unsigned_integer(std::uint64_t value) {
  put_integer(bytes_, false, value);
  return *this;
}

builder& builder::big_integer(bool negative, base::bytes_view magnitude) {
  put_integer(bytes_, negative, magnitude);
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
  bytes_.put(tag::v4_port);
  atom(p.node);
  bytes_.put(p.id);
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
