#include "etf/float_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace remora::etf {

namespace {

// 0.`digits` * 10^place
struct decimal {
  std::string digits;
  int place = 0;
};

decimal shortest(double value) {
  std::array<char, 32> text{};
  auto const [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  std::string_view const all(text.data(), static_cast<std::size_t>(end - text.data()));
  auto const e = all.find('e');
  decimal out;
  for (char const c : all.substr(0, e))
    if (c != '.') out.digits.push_back(c);
  auto const exponent = all.substr(all[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(exponent.data(), exponent.data() + exponent.size(), out.place);
  ++out.place;
  return out;
}

std::string scientific(decimal const& d) {
  return d.digits.substr(0, 1) + "." + (d.digits.size() > 1 ? d.digits.substr(1) : "0") + "e" +
         std::to_string(d.place - 1);
}

// The zeros that the plain form needs cost more characters than the exponent would.
bool exponent_is_shorter(decimal const& d, int digits) {
  int const cost = static_cast<int>(std::to_string(d.place - 1).size()) + 1 + (digits == 1 ? 2 : 1);
  return (d.place < 0 ? -d.place : d.place - digits) + 2 > cost;
}

} // namespace

std::string float_text(double finite) {
  std::string const sign = std::signbit(finite) ? "-" : "";
  double const value = std::fabs(finite);
  if (value == 0) return sign + "0.0";
  auto const d = shortest(value);
  auto const digits = static_cast<int>(d.digits.size());
  constexpr double exact_max =
      9007199254740992.0; // 2^53: above it the plain form would show digits it has not
  bool const inside = d.place >= 0 && d.place < digits;
  if (value >= exact_max || (!inside && exponent_is_shorter(d, digits))) return sign + scientific(d);
  if (d.place <= 0) return sign + "0." + std::string(static_cast<std::size_t>(-d.place), '0') + d.digits;
  if (!inside) return sign + d.digits + std::string(static_cast<std::size_t>(d.place - digits), '0') + ".0";
  auto const point = static_cast<std::size_t>(d.place);
  return sign + d.digits.substr(0, point) + "." + d.digits.substr(point);
}

} // namespace remora::etf
