// OTP rounds the 21 digits of float_to_list/1, digit by digit and halves up, where printf would round the
// exact value; io_lib_format:float_man/3 is followed so that the last digit is the same.
#include "services/io_float.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace remora::services {

namespace {

// 0.`digits` * 10^exponent
struct float_data {
  std::string digits;
  int exponent = 0;
};

float_data data_of(double value) {
  std::array<char, 40> text{};
  auto const size = std::snprintf(text.data(), text.size(), "%.20e", value);
  std::string const all(text.data(), static_cast<std::size_t>(size));
  auto const e = all.find('e');
  float_data out;
  for (char const c : all.substr(0, e))
    if (c != '.') out.digits += c;
  auto const exponent = all.substr(all[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(exponent.data(), exponent.data() + exponent.size(), out.exponent);
  ++out.exponent;
  return out;
}

// `whole` digits, a point, `decimals` digits; true when rounding carried beyond the first of them.
bool mantissa(std::string digits, std::size_t whole, std::size_t decimals, std::string& out) {
  std::size_t const wanted = whole + decimals;
  bool carry = digits.size() > wanted && digits[wanted] >= '5';
  digits.resize(wanted, '0');
  for (std::size_t i = wanted; carry && i-- > 0;) {
    carry = digits[i] == '9';
    digits[i] = carry ? '0' : static_cast<char>(digits[i] + 1);
  }
  out = digits.substr(0, whole) + '.' + digits.substr(whole);
  return carry;
}

std::string scientific(float_data const& data, std::size_t digits) {
  std::string out;
  int exponent = data.exponent - 1;
  if (mantissa(data.digits, 1, digits - 1, out)) {
    out[0] = '1';
    ++exponent;
  }
  return out + (exponent >= 0 ? "e+" : "e") + std::to_string(exponent);
}

std::string fixed(float_data data, std::size_t decimals) {
  if (data.exponent <= 0) {
    data.digits.insert(0, static_cast<std::size_t>(1 - data.exponent), '0');
    data.exponent = 1;
  }
  std::string out;
  bool const carried = mantissa(data.digits, static_cast<std::size_t>(data.exponent), decimals, out);
  return carried ? '1' + out : out;
}

// The decimal exponent of 0.1..9999.9, where ~g uses the form of ~f.
std::optional<int> plain_exponent(double value) {
  if (value < 0.1) return -2;
  if (value < 1) return -1;
  if (value < 10) return 0;
  if (value < 100) return 1;
  if (value < 1000) return 2;
  if (value < 10000) return 3;
  return std::nullopt;
}

} // namespace

std::optional<std::string> format_float(double finite, char what, std::int64_t precision) {
  if (precision < (what == 'e' ? 2 : 1)) return std::nullopt;
  std::string const sign = std::signbit(finite) ? "-" : "";
  double const value = std::fabs(finite);
  auto const data = data_of(value);
  auto const digits = static_cast<std::size_t>(precision);
  if (what == 'e') return sign + scientific(data, digits);
  if (what == 'f') return sign + fixed(data, digits);
  auto const exponent = plain_exponent(value);
  bool const plain =
      exponent && *exponent >= -1 && ((precision <= 1 && *exponent == -1) || precision - 1 > *exponent);
  if (plain) return sign + fixed(data, static_cast<std::size_t>(precision - 1 - *exponent));
  return sign + scientific(data, precision <= 1 ? 2 : digits);
}

} // namespace remora::services
