// A value or the reason why there is none. C++20 has no std::expected; Boost's result does the same work with
// our own error enums. Reading the value of a failed result is our bug, and aborts.
#pragma once

#include "base/check.hpp"

#include <boost/system/result.hpp>

namespace remora::base {

template <class T, class E>
using result = boost::system::result<T, E>;

} // namespace remora::base
