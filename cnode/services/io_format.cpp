#include "services/io_format.hpp"

#include "base/utf8.hpp"
#include "etf/bignum.hpp"
#include "etf/chardata.hpp"
#include "etf/print.hpp"
#include "services/io_float.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace remora::services {

namespace {

using etf::view;

std::size_t length(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string_view first_characters(std::string_view utf8, std::size_t count) {
  std::size_t size = 0;
  for (; count > 0 && size < utf8.size(); --count) size += base::first_code_point(utf8.substr(size)).size;
  return utf8.substr(0, size);
}

using field = std::optional<std::int64_t>;

// One ~ with all that belongs to it.
struct control {
  field width;
  bool left = false;
  field precision;
  std::uint32_t pad = ' ';
  bool unicode = false;
  bool strings = true;
  char what = 0;
};

// The characters of the format and the arguments, both taken from the front.
class formatter {
public:
  formatter(std::string_view format, etf::list_view args, format_limits const& limits)
      : format_(format), args_(args), limits_(limits) {}

  std::optional<std::string> run() {
    while (!format_.empty()) {
      auto const tilde = format_.find('~');
      out_ += format_.substr(0, tilde);
      if (tilde == std::string_view::npos) break;
      format_.remove_prefix(tilde + 1);
      control c;
      if (!read(c) || !write(c)) return std::nullopt;
      if (out_.size() > limits_.bytes_max) return std::move(out_); // a hundred bytes can ask for megabytes
    }
    if (args_.left() > 0 || args_.tail().what() != etf::kind::nil) return std::nullopt;
    return std::move(out_);
  }

private:
  // Reading a control: collect_cseq.

  bool accept(char c) {
    if (format_.empty() || format_.front() != c) return false;
    format_.remove_prefix(1);
    return true;
  }
  std::optional<std::uint32_t> character() {
    auto const c = base::first_code_point(format_);
    if (c.size == 0) return std::nullopt;
    format_.remove_prefix(c.size);
    return c.value;
  }
  std::optional<std::int64_t> integer_argument() {
    auto const arg = args_.next();
    return arg ? arg->integer() : std::nullopt;
  }

  bool read(control& c) {
    bool const minus = accept('-');
    if (!read_field(c.width) || (minus && !c.width)) return false;
    if (minus) c.width = -*c.width;
    if (c.width && *c.width < 0) {
      c.left = true;
      c.width = -*c.width;
    }
    if (accept('.') && !read_field(c.precision)) return false;
    if (accept('.') && !read_pad(c.pad)) return false;
    for (; !format_.empty() && (format_.front() == 't' || format_.front() == 'l'); format_.remove_prefix(1))
      format_.front() == 't' ? c.unicode = true : c.strings = false;
    auto const what = character();
    c.what = what && *what < 0x80 ? static_cast<char>(*what) : '\0';
    return c.what != 0;
  }

  bool read_field(field& out) {
    if (accept('*')) {
      out = integer_argument();
      return out && *out <= limits_.field_max && *out >= -limits_.field_max;
    }
    for (; !format_.empty() && std::isdigit(static_cast<unsigned char>(format_.front())) != 0;
         format_.remove_prefix(1)) {
      out = out.value_or(0) * 10 + (format_.front() - '0');
      if (*out > limits_.field_max) return false;
    }
    return true;
  }

  bool read_pad(std::uint32_t& out) {
    if (!accept('*')) {
      auto const c = character();
      out = c.value_or(0);
      return c.has_value();
    }
    auto const c = integer_argument();
    std::string ignored;
    if (!c || *c < 0 || *c > 0x10ffff || !base::append_utf8(ignored, static_cast<std::uint32_t>(*c)))
      return false;
    out = static_cast<std::uint32_t>(*c);
    return true;
  }

  // Writing it: control_small and control_limited.

  bool write(control const& c) {
    if (c.what == '~') return repeated_character('~', c);
    if (c.what == 'n') return newlines(c);
    auto const arg = args_.next();
    if (!arg) return false;
    switch (c.what) {
    case 'w': return term(*arg, c, -1);
    case 'p': return pretty(*arg, c, -1);
    case 'W':
    case 'P': {
      auto const depth = integer_argument();
      if (!depth) return false;
      return c.what == 'W' ? term(*arg, c, *depth) : pretty(*arg, c, *depth);
    }
    case 's': return string(*arg, c);
    case 'c': return character_argument(*arg, c);
    case 'e':
    case 'f':
    case 'g': return floating(*arg, c);
    case 'b':
    case 'B': return integer(*arg, c, "");
    case 'x':
    case 'X': return prefixed(*arg, c);
    case '+':
    case '#': return integer(*arg, c, fmt::format("{}#", c.precision.value_or(10)));
    case 'i': return true;
    default: return false;
    }
  }

  static std::string padding(std::uint32_t pad, std::int64_t count) {
    std::string out;
    for (; count > 0; --count) base::append_utf8(out, pad);
    return out;
  }

  void adjusted(std::string_view text, std::int64_t missing, control const& c) {
    if (!c.left) out_ += padding(c.pad, missing);
    out_ += text;
    if (c.left) out_ += padding(c.pad, missing);
  }

  // term/5: text that does not fit becomes stars.
  bool in_field(std::string_view text, control c) {
    if (!c.width && !c.precision) {
      out_ += text;
      return true;
    }
    if (!c.width) c.width = c.precision;
    auto const size = static_cast<std::int64_t>(length(text));
    auto const room = std::min({size, *c.width, c.precision.value_or(*c.width)});
    if (size > room)
      adjusted(std::string(static_cast<std::size_t>(std::max<std::int64_t>(room, 0)), '*'), *c.width - room,
               c);
    else
      adjusted(text, *c.width - size, c);
    return true;
  }

  etf::print_options options(control const& c, std::int64_t depth, bool strings) const {
    return {.strings = strings,
            .unicode = c.unicode,
            .wide = false,
            .depth = depth,
            .bytes_max = limits_.bytes_max};
  }

  bool term(view arg, control const& c, std::int64_t depth) {
    return in_field(etf::print(arg, options(c, depth, false)), c);
  }

  bool pretty(view arg, control const& c, std::int64_t depth) {
    if (c.left) return false;
    out_ += etf::print(arg, options(c, depth, c.strings));
    return true;
  }

  bool string(view arg, control const& c) {
    std::string text;
    if (auto const atom = arg.atom_text()) {
      text = *atom;
      if (!c.unicode && !is_latin1(text)) return false;
    } else {
      auto const how = c.unicode ? etf::binaries::utf8_or_latin1 : etf::binaries::latin1;
      if (!etf::append_chardata(text, arg, how, SIZE_MAX)) return false;
    }
    return string_field(text, c);
  }

  static bool is_latin1(std::string_view utf8) {
    for (; !utf8.empty(); utf8.remove_prefix(base::first_code_point(utf8).size))
      if (base::first_code_point(utf8).value > 0xff) return false;
    return true;
  }

  // string/6: text that does not fit is cut.
  bool string_field(std::string_view text, control c) {
    if (!c.width && !c.precision) {
      out_ += text;
      return true;
    }
    if (!c.width) c.left = true;
    auto const precision = c.precision.value_or(c.width.value_or(0));
    auto const width = c.width.value_or(precision);
    if (width < precision || precision < 0) return false;
    if (!c.precision || !c.width || width == precision) return cut_or_padded(text, width, c);
    auto const size = static_cast<std::int64_t>(length(text));
    std::string inner(first_characters(text, static_cast<std::size_t>(precision)));
    inner += padding(c.pad, precision - size);
    adjusted(inner, width - precision, c);
    return true;
  }

  bool cut_or_padded(std::string_view text, std::int64_t width, control const& c) {
    adjusted(first_characters(text, static_cast<std::size_t>(width)),
             width - static_cast<std::int64_t>(length(text)), c);
    return true;
  }

  bool character_argument(view arg, control const& c) {
    auto const value = etf::as_big_integer(arg);
    if (!value) return false;
    std::uint32_t const low = value->magnitude.empty() ? 0 : value->magnitude.front();
    if (!c.unicode) return repeated_character((value->negative ? 0 - low : low) & 0xffU, c);
    auto const code_point = arg.integer().value_or(-1);
    std::string ignored;
    if (code_point < 0 || code_point > 0x10ffff ||
        !base::append_utf8(ignored, static_cast<std::uint32_t>(code_point)))
      return false;
    return repeated_character(static_cast<std::uint32_t>(code_point), c);
  }

  // char/5: the precision, or else the width, is how many.
  bool repeated_character(std::uint32_t what, control const& c) {
    auto const count = c.precision.value_or(c.width.value_or(1));
    auto const width = c.width.value_or(count);
    if (count < 0 || width < count) return false;
    adjusted(padding(what, count), width - count, c);
    return true;
  }

  bool newlines(control const& c) {
    if (c.left) return false;
    out_ += std::string(static_cast<std::size_t>(c.width.value_or(1)), '\n');
    return true;
  }

  bool floating(view arg, control c) {
    auto const value = arg.floating();
    if (!value) return false;
    auto const text = format_float(*value, c.what, c.precision.value_or(6));
    if (!text) return false;
    c.precision = c.width;
    return in_field(*text, c);
  }

  bool prefixed(view arg, control const& c) {
    auto const prefix = args_.next();
    if (!prefix) return false;
    std::string text;
    if (auto const atom = prefix->atom_text())
      text = *atom;
    else if (!etf::append_chardata(text, *prefix, etf::binaries::as_they_are, limits_.bytes_max))
      return false;
    return base::is_utf8(text) && integer(arg, c, text);
  }

  bool integer(view arg, control c, std::string const& prefix) {
    auto const radix = c.precision.value_or(10);
    auto const value = etf::as_big_integer(arg);
    if (!value || value->magnitude.size() > etf::print_decimal_bytes_max || radix < 2 || radix > 36)
      return false;
    auto digits = etf::digits_of(value->magnitude, static_cast<unsigned>(radix));
    if (c.what == 'b' || c.what == 'x' || c.what == '+')
      for (char& d : digits) d = static_cast<char>(std::tolower(static_cast<unsigned char>(d)));
    c.precision.reset();
    return in_field(fmt::format("{}{}{}", value->negative ? "-" : "", prefix, digits), c);
  }

  std::string_view format_;
  etf::list_view args_;
  format_limits const& limits_;
  std::string out_;
};

std::optional<std::string> format_text(view format) {
  if (auto const atom = format.atom_text()) return std::string(*atom);
  std::string text;
  if (!etf::append_chardata(text, format, etf::binaries::utf8_or_latin1, SIZE_MAX)) return std::nullopt;
  return text;
}

std::string cut(std::string text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t size = bytes_max > 3 ? bytes_max - 3 : 0;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) --size;
  text.resize(size);
  return text + "...";
}

} // namespace

std::string io_format(view format, view args, format_limits const& limits) {
  auto const text = format_text(format);
  auto const list = args.list();
  if (text && list) {
    if (auto out = formatter(*text, *list, limits).run()) return cut(std::move(*out), limits.bytes_max);
  }
  etf::print_options const each{.bytes_max = limits.bytes_max};
  return cut(fmt::format("FORMAT ERROR: {} - {}", etf::print(format, each), etf::print(args, each)),
             limits.bytes_max);
}

std::optional<std::string> io_characters(view chars, encoding e, std::size_t bytes_max) {
  auto const how = e == encoding::latin1 ? etf::binaries::latin1 : etf::binaries::utf8_or_latin1;
  std::string out;
  if (!etf::append_chardata(out, chars, how, bytes_max)) return std::nullopt;
  return out;
}

} // namespace remora::services
