// ei reads the numbers. Identifiers and atoms are read here: ei's structs carry a kilobyte of node name each
// and its decoders do not know how long the input is, which only validated input makes harmless.
#include "etf/term.hpp"

#include "base/check.hpp"
#include "base/utf8.hpp"
#include "etf/chardata.hpp"
#include "etf/tags.hpp"

#include <ei.h>

#include <algorithm>

namespace remora::etf {

using base::load_be;

namespace {

// Characters 0..255 as small integer terms, for the elements of strings (107).
struct byte_terms {
  std::array<std::uint8_t, 512> bytes{};
  constexpr byte_terms() {
    for (std::size_t i = 0; i < 256; ++i) {
      bytes[2 * i] = tag::small_integer;
      bytes[2 * i + 1] = static_cast<std::uint8_t>(i);
    }
  }
};
constexpr byte_terms small_integers;
constexpr std::uint8_t nil_term[] = {tag::nil};

std::size_t atom_size(std::uint8_t const* at) {
  return at[0] == tag::small_atom_utf8 ? 2U + at[1] : 3U + load_be<std::uint16_t>(at + 1);
}

std::string_view atom_at(std::uint8_t const* at) {
  bool const small = at[0] == tag::small_atom_utf8;
  std::size_t const head = small ? 2 : 3;
  return base::as_text({at + head, atom_size(at) - head});
}

char const* ei_bytes(base::bytes_view bytes) { return reinterpret_cast<char const*>(bytes.data()); }

} // namespace

term_head head_of(std::uint8_t const* at) {
  auto const u32 = [&] { return std::size_t{load_be<std::uint32_t>(at + 1)}; };
  switch (at[0]) {
  case tag::small_integer: return {.size = 2};
  case tag::integer: return {.size = 5};
  case tag::new_float: return {.size = 9};
  case tag::small_atom_utf8:
  case tag::atom_utf8: return {.size = atom_size(at)};
  case tag::nil: return {.size = 1};
  case tag::string: return {.size = 3U + load_be<std::uint16_t>(at + 1)};
  case tag::binary: return {.size = 5 + u32()};
  case tag::bit_binary: return {.size = 6 + u32()};
  case tag::small_big: return {.size = 3U + at[1]};
  case tag::large_big: return {.size = 6 + u32()};
  case tag::small_tuple: return {.size = 2, .parts = at[1]};
  case tag::large_tuple: return {.size = 5, .parts = u32()};
  case tag::list: return {.size = 5, .parts = u32() + 1};
  case tag::map: return {.size = 5, .parts = 2 * u32()};
  case tag::new_pid: return {.size = 1 + atom_size(at + 1) + 12};
  case tag::new_port: return {.size = 1 + atom_size(at + 1) + 8};
  case tag::v4_port: return {.size = 1 + atom_size(at + 1) + 12};
  case tag::newer_reference:
    return {.size = 3 + atom_size(at + 3) + 4 + std::size_t{4} * load_be<std::uint16_t>(at + 1)};
  case tag::export_fun: return {.size = 1, .parts = 3};
  case tag::new_fun: return {.size = 1 + u32()};
  default: base::check(false, "canonical term: known tag"); return {};
  }
}

std::size_t term_size(std::uint8_t const* canonical) {
  std::uint8_t const* at = canonical;
  for (std::size_t pending = 1; pending > 0; --pending) {
    auto const head = head_of(at);
    at += head.size;
    pending += head.parts;
  }
  return static_cast<std::size_t>(at - canonical);
}

bool is_one_term(base::bytes_view built) {
  // No head looks further than its first bytes for its size (a reference: tag, count, and its node's tag and
  // length), so a copy of them with room behind keeps the look inside.
  std::array<std::uint8_t, 8> front{};
  std::size_t pending = 1;
  for (; pending > 0 && !built.empty(); --pending) {
    std::copy_n(built.begin(), std::min(front.size(), built.size()), front.begin());
    auto const head = head_of(front.data());
    if (head.size > built.size()) return false;
    built = built.subspan(head.size);
    pending += head.parts;
  }
  return pending == 0 && built.empty();
}

kind view::what() const {
  base::check(!bytes_.empty(), "view: there is a term");
  switch (bytes_[0]) {
  case tag::small_integer:
  case tag::integer:
  case tag::small_big:
  case tag::large_big: return kind::integer;
  case tag::new_float: return kind::floating;
  case tag::small_atom_utf8:
  case tag::atom_utf8: return kind::atom;
  case tag::newer_reference: return kind::reference;
  case tag::export_fun:
  case tag::new_fun: return kind::fun;
  case tag::new_port:
  case tag::v4_port: return kind::port;
  case tag::new_pid: return kind::pid;
  case tag::small_tuple:
  case tag::large_tuple: return kind::tuple;
  case tag::map: return kind::map;
  case tag::nil: return kind::nil;
  case tag::string:
  case tag::list: return kind::list;
  case tag::binary: return kind::binary;
  case tag::bit_binary: return kind::bitstring;
  default: base::check(false, "canonical term: known tag"); return kind::nil;
  }
}

std::optional<std::string_view> view::atom_text() const {
  if (bytes_.empty() || (bytes_[0] != tag::small_atom_utf8 && bytes_[0] != tag::atom_utf8))
    return std::nullopt;
  return atom_at(bytes_.data());
}

std::optional<std::int64_t> view::integer() const {
  if (bytes_.empty()) return std::nullopt;
  if (bytes_[0] == tag::small_integer) return bytes_[1];
  if (bytes_[0] == tag::integer) return static_cast<std::int32_t>(load_be<std::uint32_t>(bytes_.data() + 1));
  if (bytes_[0] != tag::small_big) return std::nullopt;
  int index = 0;
  EI_LONGLONG value = 0;
  if (ei_decode_longlong(ei_bytes(bytes_), &index, &value) != 0) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> view::unsigned_integer() const {
  if (bytes_.empty()) return std::nullopt;
  if (bytes_[0] != tag::small_big) {
    auto const value = integer();
    if (!value || *value < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
  }
  int index = 0;
  EI_ULONGLONG value = 0;
  if (ei_decode_ulonglong(ei_bytes(bytes_), &index, &value) != 0) return std::nullopt;
  return value;
}

std::optional<double> view::floating() const {
  if (bytes_.empty() || bytes_[0] != tag::new_float) return std::nullopt;
  int index = 0;
  double value = 0;
  if (ei_decode_double(ei_bytes(bytes_), &index, &value) != 0) return std::nullopt;
  return value;
}

std::optional<base::bytes_view> view::binary() const {
  if (bytes_.empty() || bytes_[0] != tag::binary) return std::nullopt;
  return bytes_.subspan(5);
}

std::optional<bool> view::boolean() const {
  if (is_atom("true")) return true;
  if (is_atom("false")) return false;
  return std::nullopt;
}

std::optional<borrowed_pid> view::borrow_pid() const {
  if (bytes_.empty() || bytes_[0] != tag::new_pid) return std::nullopt;
  std::uint8_t const* const at = bytes_.data() + 1 + atom_size(bytes_.data() + 1);
  return borrowed_pid{.node = atom_at(bytes_.data() + 1),
                      .id = load_be<std::uint32_t>(at),
                      .serial = load_be<std::uint32_t>(at + 4),
                      .creation = load_be<std::uint32_t>(at + 8)};
}

std::optional<pid> view::as_pid() const {
  auto const p = borrow_pid();
  if (!p) return std::nullopt;
  return pid{.node = atom::recent(p->node), .id = p->id, .serial = p->serial, .creation = p->creation};
}

std::optional<port> view::as_port() const {
  if (bytes_.empty() || (bytes_[0] != tag::v4_port && bytes_[0] != tag::new_port)) return std::nullopt;
  std::uint8_t const* const at = bytes_.data() + 1 + atom_size(bytes_.data() + 1);
  bool const v4 = bytes_[0] == tag::v4_port;
  return port{.node = atom::recent(atom_at(bytes_.data() + 1)),
              .id = v4 ? load_be<std::uint64_t>(at) : load_be<std::uint32_t>(at),
              .creation = load_be<std::uint32_t>(at + (v4 ? 8 : 4))};
}

std::optional<reference> view::as_reference() const {
  if (bytes_.empty() || bytes_[0] != tag::newer_reference) return std::nullopt;
  reference ref;
  ref.count = load_be<std::uint16_t>(bytes_.data() + 1);
  base::check(ref.count <= reference_words_max, "canonical reference: at most five words");
  ref.node = atom::recent(atom_at(bytes_.data() + 3));
  std::uint8_t const* at = bytes_.data() + 3 + atom_size(bytes_.data() + 3);
  ref.creation = load_be<std::uint32_t>(at);
  for (std::size_t i = 0; i < ref.count; ++i) ref.words[i] = load_be<std::uint32_t>(at += 4);
  return ref;
}

std::optional<std::string_view> view::node_text() const {
  if (bytes_.empty()) return std::nullopt;
  switch (bytes_[0]) {
  case tag::new_pid:
  case tag::new_port:
  case tag::v4_port: return atom_at(bytes_.data() + 1);
  case tag::newer_reference: return atom_at(bytes_.data() + 3);
  default: return std::nullopt;
  }
}

std::optional<std::uint32_t> view::arity() const {
  if (bytes_.empty()) return std::nullopt;
  if (bytes_[0] == tag::small_tuple) return bytes_[1];
  if (bytes_[0] == tag::large_tuple) return load_be<std::uint32_t>(bytes_.data() + 1);
  return std::nullopt;
}

bool view::tuple_elements(std::span<view> elements) const {
  std::size_t const count = elements.size();
  if (arity() != count) return false;
  auto rest = bytes_.subspan(bytes_[0] == tag::small_tuple ? 2 : 5);
  for (std::size_t i = 0; i + 1 < count; ++i) { // the last one ends where the tuple ends
    std::size_t const size = term_size(rest.data());
    elements[i] = view(rest.first(size));
    rest = rest.subspan(size);
  }
  if (count > 0) elements[count - 1] = view(rest);
  return true;
}

std::optional<view> view::element(std::uint32_t index) const {
  auto const count = arity();
  if (!count || index >= *count) return std::nullopt;
  auto rest = bytes_.subspan(bytes_[0] == tag::small_tuple ? 2 : 5);
  bool const last = index + 1 == *count; // ends where the tuple ends
  for (; index > 0; --index) rest = rest.subspan(term_size(rest.data()));
  return view(last ? rest : rest.first(term_size(rest.data())));
}

std::optional<list_view> view::list() const {
  if (bytes_.empty()) return std::nullopt;
  list_view list;
  switch (bytes_[0]) {
  case tag::nil: list.rest_ = bytes_; return list;
  case tag::string:
    list.string_ = true;
    list.left_ = load_be<std::uint16_t>(bytes_.data() + 1);
    list.rest_ = bytes_.subspan(3);
    return list;
  case tag::list:
    list.left_ = load_be<std::uint32_t>(bytes_.data() + 1);
    list.rest_ = bytes_.subspan(5);
    return list;
  default: return std::nullopt;
  }
}

std::optional<view> list_view::next() {
  if (left_ == 0) return std::nullopt;
  --left_;
  if (string_) {
    view const character(base::bytes_view(small_integers.bytes).subspan(std::size_t{2} * rest_[0], 2));
    rest_ = rest_.subspan(1);
    return character;
  }
  std::size_t const size = term_size(rest_.data());
  view const item(rest_.first(size));
  rest_ = rest_.subspan(size);
  return item;
}

view list_view::tail() const {
  base::check(left_ == 0, "list: tail after the last element");
  return string_ ? view(nil_term) : view(rest_);
}

std::optional<map_view> view::map() const {
  if (bytes_.empty() || bytes_[0] != tag::map) return std::nullopt;
  map_view map;
  map.left_ = load_be<std::uint32_t>(bytes_.data() + 1);
  map.rest_ = bytes_.subspan(5);
  return map;
}

std::optional<map_view::pair> map_view::next() {
  if (left_ == 0) return std::nullopt;
  --left_;
  std::size_t const key = term_size(rest_.data());
  std::size_t const value = term_size(rest_.data() + key);
  pair const found{.key = view(rest_.first(key)), .value = view(rest_.subspan(key, value))};
  rest_ = rest_.subspan(key + value);
  return found;
}

std::optional<view> map_view::find(std::string_view atom_key) const {
  auto walk = *this;
  while (auto const entry = walk.next())
    if (entry->key.is_atom(atom_key)) return entry->value;
  return std::nullopt;
}

// The whole must be UTF-8: a sequence may be spread over several binaries, and one that is none must not get
// into an atom or a log.
std::optional<std::string> view::text(std::size_t bytes_max) const {
  std::string out;
  if (bytes_.empty() || !append_chardata(out, *this, binaries::as_they_are, bytes_max) || !base::is_utf8(out))
    return std::nullopt;
  return out;
}

term::term(view copied) {
  base::buffer bytes;
  bytes.append(copied.bytes());
  bytes_ = base::blob(std::move(bytes));
}

} // namespace remora::etf
