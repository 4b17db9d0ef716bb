#include "etf/print.hpp"

#include "base/utf8.hpp"
#include "etf/bignum.hpp"
#include "etf/float_text.hpp"
#include "etf/syntax.hpp"
#include "etf/tags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <vector>

namespace remora::etf {

using base::load_be;

namespace {

// erl_scan:reserved_word/1 of OTP 25, sorted.
constexpr std::array<std::string_view, 27> reserved = {
    "after", "and",  "andalso", "band",   "begin",   "bnot", "bor", "bsl",  "bsr",
    "bxor",  "case", "catch",   "cond",   "div",     "end",  "fun", "if",   "let",
    "not",   "of",   "or",      "orelse", "receive", "rem",  "try", "when", "xor"};

// io_lib:quote_atom/2.
bool needs_quotes(std::string_view text) {
  if (std::binary_search(reserved.begin(), reserved.end(), text)) return true;
  if (text.empty() || !is_lower(base::first_code_point(text).value)) return true;
  while (!text.empty()) {
    auto const c = base::first_code_point(text);
    if (c.size == 0 || !is_name_character(c.value)) return true;
    text.remove_prefix(c.size);
  }
  return false;
}

// io_lib:string_char/4: between quotes. `wide` code points stay as they are.
void append_quoted(std::string& out, std::uint32_t c, char quote, bool wide) {
  constexpr std::string_view escaped = "\n\r\t\v\b\f\x1b\x7f";
  constexpr std::string_view names = "nrtvbfed";
  if (c == static_cast<std::uint32_t>(quote) || c == '\\') {
    out += '\\';
    out += static_cast<char>(c);
  } else if (between(c, ' ', '~') || between(c, 0xa0, 0xff) || (c > 0xff && wide)) {
    base::append_utf8(out, c);
  } else if (c > 0xff) {
    fmt::format_to(std::back_inserter(out), "\\x{{{:X}}}", c);
  } else if (auto const at = escaped.find(static_cast<char>(c)); c < 0x80 && at != std::string_view::npos) {
    out += '\\';
    out += names[at];
  } else {
    fmt::format_to(std::back_inserter(out), "\\{:03o}", c);
  }
}

void append_atom(std::string& out, std::string_view text, bool wide) {
  if (!needs_quotes(text)) {
    out += text;
    return;
  }
  out += '\'';
  while (!text.empty()) {
    auto const c = base::first_code_point(text);
    append_quoted(out, c.value, '\'', wide);
    text.remove_prefix(std::max<std::size_t>(c.size, 1));
  }
  out += '\'';
}

struct character_run {
  std::vector<std::uint32_t> characters;
  std::size_t bytes = 0;
};

// The printable characters at the front, at most `count`.
character_run printable_utf8(std::string_view text, std::size_t count, bool wide) {
  character_run run;
  while (run.bytes < text.size() && run.characters.size() < count) {
    auto const c = base::first_code_point(text.substr(run.bytes));
    if (c.size == 0 || !is_printable(c.value, wide)) break;
    run.characters.push_back(c.value);
    run.bytes += c.size;
  }
  return run;
}

character_run printable_latin1(base::bytes_view bytes, std::size_t count) {
  character_run run;
  while (run.bytes < std::min(count, bytes.size()) && is_printable(bytes[run.bytes], false))
    run.characters.push_back(bytes[run.bytes++]);
  return run;
}

class printer {
public:
  printer(view v, print_options const& options) : options_(options), at_(v.bytes().data()) {}

  std::string run() && {
    value(options_.depth, 0);
    if (out_.size() > options_.bytes_max) cut();
    return std::move(out_);
  }

private:
  bool full() const { return out_.size() > options_.bytes_max; }

  void cut() {
    std::size_t size = options_.bytes_max > 3 ? options_.bytes_max - 3 : 0;
    while (size > 0 && (static_cast<unsigned char>(out_[size]) & 0xc0U) == 0x80U) --size;
    out_.resize(size);
    out_ += "...";
  }

  view take() {
    auto const* const start = at_;
    at_ += term_size(start);
    return view({start, static_cast<std::size_t>(at_ - start)});
  }

  // `depth` counts as io_lib:write1 does: 0 is an ellipsis, 1 an ellipsis within brackets.
  void value(std::int64_t depth, std::size_t nesting) {
    if (full()) return;
    if (depth == 0 || nesting > print_depth_max) {
      return end_early("...", 1);
    }
    switch (at_[0]) {
    case tag::small_integer:
    case tag::integer:
    case tag::small_big:
    case tag::large_big: integer(take()); break;
    case tag::new_float: out_ += float_text(take().floating().value_or(0)); break;
    case tag::small_atom_utf8:
    case tag::atom_utf8: append_atom(out_, take().atom_text().value_or(""), options_.unicode); break;
    case tag::nil: out_ += "[]", ++at_; break;
    case tag::string:
    case tag::list: list(depth, nesting); break;
    case tag::small_tuple:
    case tag::large_tuple: tuple(depth, nesting); break;
    case tag::map: map(depth, nesting); break;
    case tag::binary: binary(take(), depth); break;
    case tag::bit_binary: bits(take(), depth); break;
    case tag::export_fun: export_fun(); break;
    case tag::new_fun: local_fun(); break;
    default: identifier(take()); break;
    }
  }

  void integer(view v) {
    if (auto const small = v.integer()) {
      fmt::format_to(std::back_inserter(out_), "{}", *small);
      return;
    }
    auto const big = as_big_integer(v).value_or(big_integer{});
    bool const decimal = big.magnitude.size() <= print_decimal_bytes_max;
    auto const digits = digits_of(big.magnitude, decimal ? 10 : 16);
    if (big.negative) out_ += '-';
    if (!decimal) out_ += "16#";
    out_ += digits;
  }

  void list(std::int64_t depth, std::size_t nesting) {
    if (options_.strings && depth != 1 && is_printable_list(at_, options_.unicode && options_.wide))
      return characters();
    if (depth == 1) return end_early("[...]", 1);
    out_ += '[';
    bool first = true;
    while (at_[0] == tag::list) { // a list as tail only continues this one
      auto left = load_be<std::uint32_t>(at_ + 1);
      for (at_ += 5; left > 0; --left, --depth) {
        if (!next(first, depth, '|')) return end_early("]", std::size_t{left} + 1);
        value(depth - 1, nesting + 1);
      }
    }
    if (at_[0] == tag::string) {
      auto left = load_be<std::uint16_t>(at_ + 1);
      for (at_ += 3; left > 0; --left, --depth) {
        if (!next(first, depth, '|')) {
          at_ += left;
          return end_early("]", 0);
        }
        append_number(*at_++);
      }
    } else if (at_[0] == tag::nil) {
      ++at_;
    } else {
      out_ += '|';
      if (depth == 1) return end_early("...]", 1);
      value(depth - 1, nesting + 1);
    }
    out_ += ']';
  }

  void characters() {
    out_ += '"';
    for (; at_[0] == tag::list && !full();) {
      auto left = load_be<std::uint32_t>(at_ + 1);
      for (at_ += 5; left > 0 && !full(); --left) {
        bool const small = at_[0] == tag::small_integer;
        append_quoted(out_, small ? at_[1] : load_be<std::uint32_t>(at_ + 1), '"', true);
        at_ += small ? 2 : 5;
      }
    }
    if (full()) return;
    if (at_[0] == tag::string) {
      for (auto const c : base::bytes_view(at_ + 3, load_be<std::uint16_t>(at_ + 1)))
        append_quoted(out_, c, '"', true);
    }
    take();
    out_ += '"';
  }

  void tuple(std::int64_t depth, std::size_t nesting) {
    auto const head = head_of(at_);
    if (depth == 1 && head.parts > 0) return end_early("{...}", 1);
    out_ += '{';
    at_ += head.size;
    bool first = true;
    for (std::size_t left = head.parts; left > 0; --left, --depth) {
      if (!next(first, depth, ',')) return end_early("}", left);
      value(depth - 1, nesting + 1);
    }
    out_ += '}';
  }

  // io_lib's two map printers differ where depth ends them; ours follow them.
  void map(std::int64_t depth, std::size_t nesting) {
    std::size_t left = load_be<std::uint32_t>(at_ + 1);
    if (depth == 1 && left > 0) return end_early(options_.strings ? "#{...}" : "#{}", 1);
    out_ += "#{";
    bool first = true;
    auto pairs_depth = depth;
    for (at_ += 5; left > 0; --left, --pairs_depth) {
      if (!next(first, pairs_depth, ',')) return end_early("}", 2 * left);
      value(depth - 1, nesting + 1);
      out_ += " => ";
      value(depth - 1, nesting + 1);
    }
    if (!first && pairs_depth == 1 && !options_.strings) out_ += ",...";
    out_ += '}';
  }

  // Before an element; false when the output is full, or when the depth says ... instead of it.
  bool next(bool& first, std::int64_t depth, char before_dots) {
    if (full()) return false;
    if (!first && depth == 1) {
      out_ += before_dots;
      out_ += "...";
      return false;
    }
    if (!first) out_ += ',';
    first = false;
    return true;
  }

  // The end of a container before its end: `parts` terms of it are passed over.
  void end_early(std::string_view text, std::size_t parts) {
    out_ += text;
    for (; parts > 0 && !full(); --parts) take();
  }

  void append_number(std::uint64_t number) { fmt::format_to(std::back_inserter(out_), "{}", number); }

  void binary(view v, std::int64_t depth) {
    auto const bytes = v.binary().value_or(base::bytes_view{});
    if (depth == 1 && !bytes.empty()) {
      out_ += "<<...>>";
    } else if (bytes.empty() || !options_.strings || !quoted_binary(bytes, depth - 1)) {
      numbers(bytes, {}, depth);
    }
  }

  // io_lib_pretty:printable_bin: with a depth, four characters for each level, and a text that is not
  // printable to its end is still shown by its beginning.
  bool quoted_binary(base::bytes_view bytes, std::int64_t depth) {
    std::size_t const limit =
        depth < 0 ? bytes.size() : std::min(bytes.size(), 4 * static_cast<std::size_t>(depth));
    auto const text = base::as_text(bytes);
    bool const utf8 = options_.unicode && starts_with_utf8(text, limit);
    auto const run = utf8 ? printable_utf8(text, limit, options_.wide) : printable_latin1(bytes, limit);
    bool const whole = run.bytes == bytes.size();
    if (!whole && (depth <= 0 || run.characters.size() < static_cast<std::size_t>(depth))) return false;
    out_ += "<<\"";
    for (auto const c : run.characters) {
      if (full()) return true;
      append_quoted(out_, c, '"', true);
    }
    out_ += utf8 && run.characters.size() != run.bytes ? "\"/utf8" : "\"";
    out_ += whole ? ">>" : "...>>";
    return true;
  }

  static bool starts_with_utf8(std::string_view text, std::size_t characters) {
    for (; characters > 0 && !text.empty(); --characters) {
      auto const size = base::utf8_size(base::as_bytes(text));
      if (size == 0) return false;
      text.remove_prefix(size);
    }
    return true;
  }

  // `last` is the segment that is no whole byte, when there is one.
  void numbers(base::bytes_view bytes, std::string const& last, std::int64_t depth) {
    out_ += "<<";
    bool first = true;
    for (auto const byte : bytes) {
      if (full()) return;
      if (!next(first, depth, ',')) return static_cast<void>(out_ += ">>");
      append_number(byte);
      --depth;
    }
    if (!last.empty() && next(first, depth, ',')) out_ += last;
    out_ += ">>";
  }

  void bits(view v, std::int64_t depth) {
    auto const all = v.bytes().subspan(6);
    unsigned const used = v.bytes()[5];
    if (depth == 1) {
      out_ += "<<...>>";
    } else if (used == 8) {
      numbers(all, {}, depth);
    } else {
      unsigned const last = all.back();
      numbers(all.first(all.size() - 1), fmt::format("{}:{}", last >> (8 - used), used), depth);
    }
  }

  void export_fun() {
    ++at_;
    out_ += "fun ";
    append_atom(out_, take().atom_text().value_or(""), options_.unicode);
    out_ += ':';
    append_atom(out_, take().atom_text().value_or(""), options_.unicode);
    out_ += '/';
    append_number(take().unsigned_integer().value_or(0));
  }

  // 112, u32 size, u8 arity, 16 uniq, u32 index, u32 free, module, old index, old uniq: as fun_to_list shows
  // it.
  void local_fun() {
    auto const fun = take();
    at_ = fun.bytes().data() + 30;
    auto const module = take();
    take();
    auto const uniq = take();
    out_ += "#Fun<";
    append_atom(out_, module.atom_text().value_or(""), options_.unicode);
    fmt::format_to(std::back_inserter(out_), ".{}.{}>", load_be<std::uint32_t>(fun.bytes().data() + 22),
                   uniq.integer().value_or(0));
    at_ = fun.bytes().data() + fun.bytes().size();
  }

  void identifier(view v) {
    out_ += v.what() == kind::pid ? "#Pid<" : v.what() == kind::port ? "#Port<" : "#Ref<";
    append_atom(out_, v.node_text().value_or(""), options_.unicode);
    if (auto const p = v.as_pid())
      fmt::format_to(std::back_inserter(out_), ".{}.{}.{}>", p->id, p->serial, p->creation);
    if (auto const p = v.as_port()) fmt::format_to(std::back_inserter(out_), ".{}.{}>", p->id, p->creation);
    if (auto const r = v.as_reference()) {
      fmt::format_to(std::back_inserter(out_), ".{}", r->creation);
      for (auto const word : r->used()) fmt::format_to(std::back_inserter(out_), ".{}", word);
      out_ += '>';
    }
  }

  print_options const& options_;
  std::uint8_t const* at_; // what is printed next
  std::string out_;
};

} // namespace

std::string print(view v, print_options const& options) { return printer(v, options).run(); }

std::string print_atom(std::string_view text) {
  std::string out;
  append_atom(out, text, true);
  return out;
}

bool is_printable_list(std::uint8_t const* at, bool wide) {
  for (;;) {
    if (at[0] == tag::nil) return true;
    if (at[0] == tag::string) {
      auto const bytes = base::bytes_view(at + 3, load_be<std::uint16_t>(at + 1));
      return std::all_of(bytes.begin(), bytes.end(), [](auto c) { return is_printable(c, false); });
    }
    if (at[0] != tag::list) return false;
    auto left = load_be<std::uint32_t>(at + 1);
    for (at += 5; left > 0; --left) {
      if (at[0] != tag::small_integer && at[0] != tag::integer) return false;
      bool const small = at[0] == tag::small_integer;
      if (!is_printable(small ? at[1] : load_be<std::uint32_t>(at + 1), wide)) return false;
      at += small ? 2 : 5;
    }
  }
}

bool is_printable(std::uint32_t c, bool wide) {
  if (between(c, ' ', '~') || between(c, 0xa0, 0xff) || between(c, '\b', '\r') || c == 0x1b) return true;
  return wide && c > 0xff && c <= 0x10ffff && !between(c, 0xd800, 0xdfff) && c != 0xfffe && c != 0xffff;
}

} // namespace remora::etf
