// IP addresses as text, read and written without the system: node names are made of them, and one address has
// to give one name everywhere. IPv6 is written as RFC 5952 says, which is also what inet:ntoa/1 gives.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace remora::discovery {

struct ip_address {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{}; // of IPv4 the first four

  bool is_multicast() const { return v6 ? bytes[0] == 0xff : (bytes[0] & 0xf0U) == 0xe0; }
  friend bool operator==(ip_address const&, ip_address const&) = default;
};

// No brackets, no zone (%eth0), no leading zeros in the parts of IPv4, which some take for octal.
std::optional<ip_address> read_address(std::string_view text);
std::string write(ip_address const& a);

} // namespace remora::discovery
