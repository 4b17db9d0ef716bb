#include "etf/builder.hpp"

#include "base/check.hpp"
#include "etf/reader.hpp"
#include "etf/tags.hpp"

#include <ei.h>

#include <climits>

namespace remora::etf {

namespace {

// What one of ei's number encoders writes at the most.
constexpr std::size_t number_bytes_max = 12;

template <class Encode>
void encode(base::buffer& out, Encode encode_at) {
  auto* const room = reinterpret_cast<char*>(out.room(number_bytes_max));
  int index = 0;
  base::check(encode_at(room, &index) == 0, "ei encodes a number");
  out.commit(static_cast<std::size_t>(index));
}

} // namespace

builder& builder::atom(std::string_view utf8) {
  base::check(utf8.size() <= atom_bytes_max, "builder: an atom has at most 255 characters");
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

builder& builder::integer(std::int64_t value) {
  encode(bytes_, [&](char* at, int* index) { return ei_encode_longlong(at, index, value); });
  return *this;
}

builder& builder::unsigned_integer(std::uint64_t value) {
  encode(bytes_, [&](char* at, int* index) { return ei_encode_ulonglong(at, index, value); });
  return *this;
}

builder& builder::floating(double value) {
  encode(bytes_, [&](char* at, int* index) { return ei_encode_double(at, index, value); });
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
  std::vector<std::uint32_t> characters;
  bool latin1 = true;
  for (std::size_t i = 0; i < utf8.size();) {
    auto const byte = [&](std::size_t n) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(utf8[n]));
    };
    std::uint32_t const first = byte(i);
    std::size_t const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    std::uint32_t c = size == 1 ? first : first & (0x7fU >> size);
    if (i + size > utf8.size()) break; // a cut sequence at the end is left out
    for (std::size_t n = 1; n < size; ++n) c = (c << 6U) | (byte(i + n) & 0x3fU);
    latin1 = latin1 && c < 256;
    characters.push_back(c);
    i += size;
  }
  if (characters.empty()) return nil();
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
  bool const v4 = p.id > UINT32_MAX;
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
  bytes_.put(tag::list);
  bytes_.put(static_cast<std::uint32_t>(length));
  return *this;
}

builder& builder::nil() {
  bytes_.put(tag::nil);
  return *this;
}

builder& builder::map(std::size_t pairs) {
  bytes_.put(tag::map);
  bytes_.put(static_cast<std::uint32_t>(pairs));
  return *this;
}

term builder::take() {
  base::check(!bytes_.empty() && term_size(bytes_.data()) == bytes_.size(), "builder: exactly one term");
  return term(std::move(bytes_));
}

} // namespace remora::etf
