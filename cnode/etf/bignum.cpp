#include "etf/bignum.hpp"

#include "etf/tags.hpp"

#include <algorithm>
#include <bit>

namespace remora::etf {

namespace {

constexpr char digit_names[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// The largest power of the base that fits a limb, so that one pass over the limbs yields several digits.
struct chunk {
  std::uint32_t power = 1;
  unsigned digits = 0;

  explicit chunk(unsigned radix) {
    for (std::uint64_t next = radix; next <= UINT32_MAX; next *= radix) {
      power = static_cast<std::uint32_t>(next);
      ++digits;
    }
  }
};

std::vector<std::uint32_t> limbs_of(base::bytes_view magnitude) {
  std::vector<std::uint32_t> limbs((magnitude.size() + 3) / 4);
  for (std::size_t i = 0; i < magnitude.size(); ++i)
    limbs[i / 4] |= std::uint32_t{magnitude[i]} << (8 * (i % 4));
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  return limbs;
}

std::uint32_t divide(std::vector<std::uint32_t>& limbs, std::uint32_t divisor) {
  std::uint64_t remainder = 0;
  for (std::size_t i = limbs.size(); i-- > 0;) {
    std::uint64_t const part = (remainder << 32U) | limbs[i];
    limbs[i] = static_cast<std::uint32_t>(part / divisor);
    remainder = part % divisor;
  }
  while (!limbs.empty() && limbs.back() == 0) limbs.pop_back();
  return static_cast<std::uint32_t>(remainder);
}

void multiply_add(std::vector<std::uint32_t>& limbs, std::uint32_t factor, std::uint32_t addend) {
  std::uint64_t carry = addend;
  for (auto& limb : limbs) {
    carry += std::uint64_t{limb} * factor;
    limb = static_cast<std::uint32_t>(carry);
    carry >>= 32U;
  }
  if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
}

// Bases that are powers of two read the bits as they lie: linear.
std::string shifted_digits(base::bytes_view magnitude, unsigned radix) {
  auto const width = static_cast<unsigned>(std::countr_zero(radix));
  std::string out;
  unsigned pending = 0;
  unsigned bits = 0;
  for (std::uint8_t const byte : magnitude) {
    pending |= unsigned{byte} << bits;
    for (bits += 8; bits >= width; bits -= width, pending >>= width)
      out.push_back(digit_names[pending & (radix - 1)]);
  }
  if (pending != 0) out.push_back(digit_names[pending]);
  while (out.size() > 1 && out.back() == '0') out.pop_back();
  return out;
}

std::vector<std::uint8_t> trimmed(std::vector<std::uint8_t> bytes) {
  while (!bytes.empty() && bytes.back() == 0) bytes.pop_back();
  return bytes;
}

std::optional<std::vector<std::uint8_t>> shifted_magnitude(std::string_view digits, unsigned radix) {
  auto const width = static_cast<unsigned>(std::countr_zero(radix));
  std::vector<std::uint8_t> out;
  unsigned pending = 0;
  unsigned bits = 0;
  for (std::size_t i = digits.size(); i-- > 0;) {
    auto const value = digit_value(digits[i], radix);
    if (!value) return std::nullopt;
    pending |= *value << bits;
    bits += width;
    if (bits < 8) continue;
    out.push_back(static_cast<std::uint8_t>(pending));
    pending >>= 8U;
    bits -= 8;
  }
  out.push_back(static_cast<std::uint8_t>(pending));
  return trimmed(std::move(out));
}

} // namespace

std::optional<unsigned> digit_value(char c, unsigned radix) {
  unsigned value = 36;
  if (c >= '0' && c <= '9') value = static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'z') value = static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'Z') value = static_cast<unsigned>(c - 'A') + 10;
  if (value >= radix) return std::nullopt;
  return value;
}

std::optional<big_integer> as_big_integer(view v) {
  if (v.empty() || v.what() != kind::integer) return std::nullopt;
  auto const bytes = v.bytes();
  if (bytes[0] == tag::small_big || bytes[0] == tag::large_big) {
    std::size_t const head = bytes[0] == tag::small_big ? 3 : 6;
    auto const magnitude = bytes.subspan(head);
    return big_integer{.negative = bytes[head - 1] != 0, .magnitude = {magnitude.begin(), magnitude.end()}};
  }
  auto const value = v.integer().value_or(0);
  big_integer out{.negative = value < 0, .magnitude = {}};
  for (auto left = value < 0 ? -value : value; left != 0; left >>= 8)
    out.magnitude.push_back(static_cast<std::uint8_t>(left));
  return out;
}

std::string digits_of(base::bytes_view magnitude, unsigned radix) {
  base::check(radix >= 2 && radix <= 36, "digits_of: base 2 to 36");
  std::string out;
  if (std::has_single_bit(radix)) {
    out = shifted_digits(magnitude, radix);
  } else {
    chunk const step(radix);
    for (auto limbs = limbs_of(magnitude); !limbs.empty();) {
      std::uint32_t part = divide(limbs, step.power);
      for (unsigned i = 0; i < step.digits && (part != 0 || !limbs.empty()); ++i, part /= radix)
        out.push_back(digit_names[part % radix]);
    }
  }
  std::reverse(out.begin(), out.end());
  return out.empty() ? "0" : out;
}

std::optional<std::vector<std::uint8_t>> magnitude_of(std::string_view digits, unsigned radix) {
  base::check(radix >= 2 && radix <= 36, "magnitude_of: base 2 to 36");
  if (std::has_single_bit(radix)) return shifted_magnitude(digits, radix);
  chunk const step(radix);
  std::vector<std::uint32_t> limbs;
  while (!digits.empty()) {
    std::uint32_t part = 0;
    std::uint32_t power = 1;
    for (unsigned i = 0; i < step.digits && !digits.empty(); ++i, digits.remove_prefix(1)) {
      auto const value = digit_value(digits.front(), radix);
      if (!value) return std::nullopt;
      part = part * radix + *value;
      power *= radix;
    }
    multiply_add(limbs, power, part);
  }
  std::vector<std::uint8_t> out;
  for (auto const limb : limbs)
    for (unsigned shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::uint8_t>(limb >> shift));
  return trimmed(std::move(out));
}

} // namespace remora::etf
