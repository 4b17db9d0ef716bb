#include "etf/scan.hpp"

#include "base/utf8.hpp"
#include "etf/reader.hpp"
#include "etf/syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>

namespace remora::etf {

std::uint32_t scanner::peek() const { return base::first_code_point(rest()).value; }

std::size_t scanner::name_size() const {
  std::size_t size = 0;
  for (;;) {
    auto const c = base::first_code_point(rest().substr(size));
    if (c.size == 0 || !is_name_character(c.value)) return size;
    size += c.size;
  }
}

void scanner::skip_space() {
  for (; !at_end() && (static_cast<unsigned char>(text_[at_]) <= ' ' || text_[at_] == '%'); ++at_)
    if (text_[at_] == '%') at_ = std::min(text_.find('\n', at_), text_.size() - 1);
}

bool scanner::accept(std::string_view token) {
  skip_space();
  if (!rest().starts_with(token)) return false;
  at_ += token.size();
  return true;
}

// Numbers.

bool scanner::digit_at(std::size_t at) const {
  return at < text_.size() && is_digit(static_cast<unsigned char>(text_[at]));
}

bool scanner::digit_of(unsigned radix, std::size_t at) const {
  return at < text_.size() && digit_value(text_[at], radix).has_value();
}

// Digits with single underscores between them.
bool scanner::digits(std::string& out, unsigned radix) {
  if (!digit_of(radix, at_)) return fail("a digit");
  for (; digit_of(radix, at_) || (next_is('_') && digit_of(radix, at_ + 1)); ++at_)
    if (text_[at_] != '_') out.push_back(text_[at_]);
  return true;
}

bool scanner::is_float() const {
  std::size_t at = at_ + (next_is_sign() ? 1 : 0);
  while (digit_at(at) || (at < text_.size() && text_[at] == '_' && digit_at(at + 1))) ++at;
  return at < text_.size() && text_[at] == '.' && digit_at(at + 1);
}

bool scanner::floating(double& out) {
  std::size_t const start = at_;
  std::string copy = next_is('-') ? "-" : "";
  if (next_is_sign()) ++at_;
  if (!digits(copy, 10)) return false;
  ++at_;
  copy.push_back('.');
  for (; digit_at(at_); ++at_) copy.push_back(text_[at_]);
  exponent(copy);
  auto const [end, problem] = std::from_chars(copy.data(), copy.data() + copy.size(), out);
  if (problem != std::errc() || end != copy.data() + copy.size())
    return complain(start, "a float out of range");
  return true;
}

// e, a sign or none, digits; without digits it is not ours.
void scanner::exponent(std::string& out) {
  if (!next_is('e') && !next_is('E')) return;
  std::size_t at = at_ + 1;
  bool const signed_digits = at < text_.size() && (text_[at] == '-' || text_[at] == '+');
  if (signed_digits) ++at;
  if (!digit_at(at)) return;
  while (digit_at(at)) ++at;
  out += text_.substr(at_, at - at_);
  at_ = at;
}

bool scanner::integer(big_integer& out) {
  out.negative = next_is('-');
  if (next_is_sign()) ++at_;
  std::size_t const start = at_;
  std::string text;
  unsigned base_of = 10;
  if (!digits(text, base_of)) return false;
  if (next_is('#') && digit_of(36, at_ + 1)) {
    if (!radix(text, base_of)) return complain(start, "the base of a number is 2 to 36");
    ++at_;
    text.clear();
    if (!digits(text, base_of)) return false;
  }
  if (!std::has_single_bit(base_of) && text.size() > limits_.digits_max)
    return complain(start, "the number has too many digits");
  out.magnitude = magnitude_of(text, base_of).value_or(std::vector<std::uint8_t>{});
  return true;
}

bool scanner::radix(std::string const& digits, unsigned& out) {
  auto const [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return problem == std::errc() && end == digits.data() + digits.size() && out >= 2 && out <= 36;
}

bool scanner::small_number(std::uint64_t& out, std::uint64_t max, std::string_view expected) {
  if (!next_is_digit()) return fail(expected);
  auto const text = rest();
  auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (problem != std::errc() || out > max) return fail(expected);
  at_ += static_cast<std::size_t>(end - text.data());
  return true;
}

// Quoted text.

bool scanner::character(char32_t& out) {
  if (!next_is('\\')) return plain_character(out);
  ++at_;
  return escape(out);
}

bool scanner::plain_character(char32_t& out) {
  auto const c = base::first_code_point(rest());
  if (c.size == 0) return fail("a character of UTF-8");
  out = static_cast<char32_t>(c.value);
  at_ += c.size;
  return true;
}

bool scanner::escape(char32_t& out) {
  constexpr std::string_view names = "nrtvbfesd";
  constexpr std::u32string_view meanings = U"\n\r\t\v\b\f\x1b \x7f";
  if (at_end()) return fail("a character");
  char const c = text_[at_];
  if (auto const at = names.find(c); at != std::string_view::npos) {
    ++at_;
    out = meanings[at];
    return true;
  }
  if (c >= '0' && c <= '7') return octal(out);
  if (c == 'x') return hexadecimal(out);
  if (c == '^' && at_ + 1 < text_.size() && text_[at_ + 1] >= '@' && text_[at_ + 1] <= '_') {
    out = static_cast<char32_t>(text_[at_ + 1] & 31);
    at_ += 2;
    return true;
  }
  return plain_character(out);
}

bool scanner::octal(char32_t& out) {
  out = 0;
  for (int i = 0; i < 3 && !at_end() && text_[at_] >= '0' && text_[at_] <= '7'; ++i, ++at_)
    out = out * 8 + static_cast<char32_t>(text_[at_] - '0');
  return true;
}

// \xHH or \x{H...}
bool scanner::hexadecimal(char32_t& out) {
  std::size_t const start = at_ - 1;
  ++at_;
  bool const braces = next_is('{');
  if (braces) ++at_;
  auto const length = braces ? rest().find('}') : std::min<std::size_t>(2, rest().size());
  auto const text = rest().substr(0, length);
  std::uint32_t c = 0;
  auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), c, 16);
  bool const complete = braces ? length != std::string_view::npos : length == 2;
  if (!complete || problem != std::errc() || end != text.data() + text.size())
    return complain(start, "\\x needs two hexadecimal digits, or any number in braces");
  std::string ignored;
  if (!base::append_utf8(ignored, c)) return complain(start, "an escape that is no character");
  out = c;
  at_ += text.size() + (braces ? 1 : 0);
  return true;
}

bool scanner::quoted(char quote, std::u32string& out) {
  for (++at_; !next_is(quote);) {
    if (at_end()) return fail(quote == '"' ? "'\"'" : "\"'\"");
    char32_t c = 0;
    if (!character(c)) return false;
    out.push_back(c);
  }
  ++at_;
  return true;
}

bool scanner::strings(std::u32string& out) {
  do {
    if (!quoted('"', out)) return false;
    skip_space();
  } while (next_is('"'));
  return true;
}

bool scanner::atom_text(std::string& out) {
  skip_space();
  std::size_t const start = at_;
  if (next_is('\'')) {
    std::u32string characters;
    if (!quoted('\'', characters)) return false;
    for (auto const c : characters) base::append_utf8(out, c);
  } else {
    if (!is_lower(peek())) return fail("an atom");
    at_ += name_size();
    out = text_.substr(start, at_ - start);
  }
  return is_atom_text(base::as_bytes(out)) || complain(start, "an atom has at most 255 characters");
}

// Errors.

bool scanner::fits() {
  return text_.size() <= limits_.text_bytes_max || complain(limits_.text_bytes_max, "the text is too long");
}

bool scanner::fail(std::string_view expected) {
  error_ = {.at = at_, .expected = expected, .found = found()};
  return false;
}

bool scanner::complain(std::size_t at, std::string_view what) {
  error_ = {.at = at, .expected = what, .found = {}};
  return false;
}

std::string scanner::found() const {
  if (at_end()) return "end of text";
  auto const c = base::first_code_point(rest());
  if (c.size == 0 || c.value < ' ') return fmt::format("byte {}", static_cast<unsigned char>(text_[at_]));
  return fmt::format("'{}'", rest().substr(0, c.size));
}

std::string describe(parse_error const& error) {
  if (error.found.empty()) return fmt::format("at {}: {}", error.at, error.expected);
  return fmt::format("at {}: expected {}, found {}", error.at, error.expected, error.found);
}

} // namespace remora::etf
