#include "etf/json.hpp"

#include "base/utf8.hpp"
#include "etf/float_text.hpp"
#include "etf/print.hpp"
#include "etf/tags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <vector>

namespace remora::etf {

using base::load_be;

namespace {

constexpr std::int64_t exact_integer_max = std::int64_t{1} << 53; // what a double holds without loss

void append_escaped(std::string& out, std::uint32_t c) {
  if (c == '"' || c == '\\') {
    out += '\\';
    out += static_cast<char>(c);
  } else if (c < 0x20) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
  } else {
    base::append_utf8(out, c);
  }
}

// Three bytes become four characters, the last group is filled with =.
void append_base64(std::string& out, base::bytes_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()))) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = (group << 8U) | (i < bytes.size() ? bytes[i] : 0U);
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= bytes.size() ? digits[(group >> (18U - 6U * i)) & 63U] : '=';
  }
}

enum class key_kind : std::uint8_t { none, atom, binary, characters, other };

key_kind kind_of_key(std::uint8_t const* at) {
  switch (at[0]) {
  case tag::small_atom_utf8:
  case tag::atom_utf8: return key_kind::atom;
  case tag::binary: {
    base::bytes_view const text(at + 5, load_be<std::uint32_t>(at + 1));
    return base::is_utf8(base::as_text(text)) ? key_kind::binary : key_kind::other;
  }
  case tag::string:
  case tag::list: return is_printable_list(at) ? key_kind::characters : key_kind::other;
  default: return key_kind::other;
  }
}

// What the keys of each map allow must be known before its first member is written. Looked at map by map the
// values would be walked once for every map that they are in; so it is found out for all maps in one walk.
struct map_keys {
  std::uint8_t const* at;
  key_kind kind = key_kind::none;
  bool simple = true;
};

// In the order of the bytes.
std::vector<map_keys> all_maps(std::uint8_t const* at) {
  struct level {
    std::size_t left;
    std::optional<std::size_t> map; // index of its keys
  };
  std::vector<map_keys> maps;
  std::vector<level> levels{{.left = 1, .map = {}}};
  while (!levels.empty()) {
    auto& top = levels.back();
    if (top.left == 0) {
      levels.pop_back();
      continue;
    }
    if (top.map && top.left % 2 == 0) {
      auto& keys = maps[*top.map];
      auto const kind = kind_of_key(at);
      keys.simple =
          keys.simple && kind != key_kind::other && (keys.kind == key_kind::none || keys.kind == kind);
      keys.kind = kind;
    }
    if (--top.left == 0) levels.pop_back();
    auto const head = head_of(at);
    bool const is_map = at[0] == tag::map;
    if (is_map) maps.push_back({.at = at});
    if (head.parts > 0)
      levels.push_back({.left = head.parts, .map = is_map ? std::optional(maps.size() - 1) : std::nullopt});
    at += head.size;
  }
  return maps;
}

class json_writer {
public:
  json_writer(view v, std::size_t bytes_max)
      : at_(v.bytes().data()), bytes_max_(bytes_max), maps_(all_maps(v.bytes().data())) {}

  std::string run() && {
    value(0);
    return std::move(out_);
  }

private:
  bool full() const { return out_.size() > bytes_max_; }

  view take() {
    auto const* const start = at_;
    at_ += term_size(start);
    return view({start, static_cast<std::size_t>(at_ - start)});
  }

  // Once the output is full nothing is read any more: values are "...", and containers end.
  void value(std::size_t nesting) {
    if (full()) return static_cast<void>(out_ += "\"...\"");
    if (nesting > print_depth_max) {
      take();
      return static_cast<void>(out_ += "\"...\"");
    }
    switch (at_[0]) {
    case tag::small_integer:
    case tag::integer:
    case tag::small_big:
    case tag::large_big: integer(take()); break;
    case tag::new_float: out_ += float_text(take().floating().value_or(0)); break;
    case tag::small_atom_utf8:
    case tag::atom_utf8: atom(take().atom_text().value_or("")); break;
    case tag::nil: out_ += "[]", ++at_; break;
    case tag::string:
    case tag::list: list(nesting); break;
    case tag::small_tuple:
    case tag::large_tuple: tuple(nesting); break;
    case tag::map: map(nesting); break;
    case tag::binary: binary(take().binary().value_or(base::bytes_view{})); break;
    case tag::bit_binary: bits(take()); break;
    default: text(print(take())); break;
    }
  }

  void text(std::string_view utf8) {
    out_ += '"';
    while (!utf8.empty() && !full()) {
      auto const c = base::first_code_point(utf8);
      append_escaped(out_, c.value);
      utf8.remove_prefix(std::max<std::size_t>(c.size, 1));
    }
    out_ += full() ? "...\"" : "\"";
  }

  void integer(view v) {
    auto const small = v.integer();
    if (small && *small >= -exact_integer_max && *small <= exact_integer_max)
      fmt::format_to(std::back_inserter(out_), "{}", *small);
    else
      text(print(v, {.bytes_max = bytes_max_}));
  }

  void atom(std::string_view name) {
    if (name == "true" || name == "false" || name == "null")
      out_ += name;
    else
      text(name);
  }

  void binary(base::bytes_view bytes) {
    if (base::is_utf8(base::as_text(bytes))) return text(base::as_text(bytes));
    out_ += "{\"b64\":\"";
    append_base64(out_, bounded(bytes));
    out_ += "\"}";
  }

  void bits(view v) {
    auto const bytes = v.bytes().subspan(6);
    out_ += "{\"b64\":\"";
    append_base64(out_, bounded(bytes));
    fmt::format_to(std::back_inserter(out_), "\",\"bits\":{}}}", 8 * (bytes.size() - 1) + v.bytes()[5]);
  }

  // Base64 cannot hold an ellipsis: cut bytes are simply missing.
  base::bytes_view bounded(base::bytes_view bytes) const {
    return bytes.first(std::min(bytes.size(), bytes_max_ - std::min(out_.size(), bytes_max_)));
  }

  void list(std::size_t nesting) {
    if (is_printable_list(at_)) return characters(take());
    std::size_t const begin = out_.size();
    out_ += '[';
    bool first = true;
    while (at_[0] == tag::list) { // a list as tail only continues this one
      auto left = load_be<std::uint32_t>(at_ + 1);
      at_ += 5;
      if (!values(left, nesting, first)) return static_cast<void>(out_ += ']');
    }
    if (at_[0] == tag::string) {
      for (auto const c : take().bytes().subspan(3)) {
        if (full()) break;
        fmt::format_to(std::back_inserter(out_), "{}{}", first ? "" : ",", c);
        first = false;
      }
      out_ += ']';
    } else if (at_[0] == tag::nil) {
      ++at_;
      out_ += ']';
    } else {
      out_.insert(begin, "{\"l\":");
      out_ += "],\"tail\":";
      value(nesting + 1);
      out_ += '}';
    }
  }

  // `count` elements with commas; false when the output is full before the last.
  bool values(std::size_t count, std::size_t nesting, bool& first) {
    for (; count > 0; --count, first = false) {
      if (!first) out_ += ',';
      value(nesting + 1);
      if (full()) return false;
    }
    return true;
  }

  void characters(view list) {
    out_ += '"';
    for (auto rest = list.list(); rest && !full(); rest = rest->tail().list()) {
      while (auto const c = rest->next()) {
        if (full()) return static_cast<void>(out_ += "...\"");
        append_escaped(out_, static_cast<std::uint32_t>(c->integer().value_or(0)));
      }
      if (rest->tail().what() == kind::nil) break;
    }
    out_ += full() ? "...\"" : "\"";
  }

  void tuple(std::size_t nesting) {
    auto const head = head_of(at_);
    at_ += head.size;
    out_ += "{\"t\":[";
    bool first = true;
    values(head.parts, nesting, first);
    out_ += "]}";
  }

  void map(std::size_t nesting) {
    bool const object = has_simple_keys(at_);
    auto left = load_be<std::uint32_t>(at_ + 1);
    at_ += 5;
    out_ += object ? "{" : "{\"m\":[";
    for (bool first = true; left > 0 && !full(); --left, first = false) {
      if (!first) out_ += ',';
      if (!object) out_ += '[';
      object ? key() : value(nesting + 1);
      out_ += object ? ':' : ',';
      value(nesting + 1);
      if (!object) out_ += ']';
    }
    out_ += object ? "}" : "]}";
  }

  void key() {
    auto const v = take();
    if (auto const name = v.atom_text()) return text(*name);
    if (auto const bytes = v.binary()) return text(base::as_text(*bytes));
    characters(v);
  }

  bool has_simple_keys(std::uint8_t const* map) const {
    auto const found = std::lower_bound(maps_.begin(), maps_.end(), map,
                                        [](map_keys const& m, std::uint8_t const* at) { return m.at < at; });
    return found != maps_.end() && found->at == map && found->simple;
  }

  std::uint8_t const* at_; // what is printed next
  std::size_t bytes_max_;
  std::vector<map_keys> maps_;
  std::string out_;
};

} // namespace

std::string to_json(view v, std::size_t bytes_max) { return json_writer(v, bytes_max).run(); }

} // namespace remora::etf
