// ~e, ~f and ~g of io_lib:format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace remora::services {

// `precision` is the digits of ~e and ~g and the decimals of ~f; nullopt where OTP has no clause for it.
std::optional<std::string> format_float(double finite, char what, std::int64_t precision);

} // namespace remora::services
