// Maps that name one key twice: OTP refuses the whole term and with it the connection (external.c, MAP_EXT),
// so who passed such a map on to a third node would lose that one.
#pragma once

#include "base/bytes.hpp"

namespace remora::etf {

// Does any map in this canonical term, at any depth, have two equal keys? One walk; keys are compared within
// a map of two or more only.
bool has_equal_keys(base::bytes_view canonical);

} // namespace remora::etf
