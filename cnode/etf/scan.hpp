// The characters below etf/parse: white space, numbers, escapes, quoted text and names, read from the front
// of a text. What is asked for and not found leaves an error and answers false; later errors are not looked
// at.
#pragma once

#include "etf/bignum.hpp"
#include "etf/parse.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace remora::etf {

class scanner {
public:
  scanner(std::string_view text, parse_limits const& limits) : text_(text), limits_(limits) {}

  std::size_t at() const { return at_; }
  bool at_end() const { return at_ == text_.size(); }
  std::string_view rest() const { return text_.substr(at_); }
  void skip(std::size_t bytes) { at_ += bytes; }
  bool next_is(char c) const { return !at_end() && text_[at_] == c; }
  bool next_is_digit() const { return digit_at(at_); }
  bool next_is_sign() const { return next_is('-') || next_is('+'); }
  std::uint32_t peek() const;
  std::size_t name_size() const; // of the letters, digits, _ and @ that come next

  void skip_space(); // and % comments
  // Tokens, with the space before them.
  bool accept(std::string_view token);
  bool expect(std::string_view token, std::string_view expected) { return accept(token) || fail(expected); }

  bool is_float() const;
  bool floating(double& out);
  bool integer(big_integer& out);                                                      // with its base
  bool small_number(std::uint64_t& out, std::uint64_t max, std::string_view expected); // decimal digits only

  bool character(char32_t& out);                // in quotes or after $, an escape resolved
  bool quoted(char quote, std::u32string& out); // from quote to quote
  bool strings(std::u32string& out);            // "one" "string" "in pieces"
  bool atom_text(std::string& out);

  bool fits();                                          // is the text within its limit?
  bool fail(std::string_view expected);                 // what comes next is something else
  bool complain(std::size_t at, std::string_view what); // what came is wrong
  parse_error const& error() const { return error_; }
  parse_limits const& limits() const { return limits_; }

private:
  bool digit_at(std::size_t at) const;
  bool digit_of(unsigned radix, std::size_t at) const;
  bool digits(std::string& out, unsigned radix);
  bool radix(std::string const& digits, unsigned& out);
  void exponent(std::string& out);
  bool escape(char32_t& out);
  bool octal(char32_t& out);
  bool hexadecimal(char32_t& out);
  bool plain_character(char32_t& out);
  std::string found() const;

  std::string_view text_;
  parse_limits const& limits_;
  std::size_t at_ = 0;
  parse_error error_;
};

} // namespace remora::etf
