#include "io/clock.hpp"

#include "base/check.hpp"

#include <sys/random.h>

namespace remora::io {

std::uint64_t entropy() {
  std::uint64_t value = 0;
  base::check(getrandom(&value, sizeof value, 0) == static_cast<ssize_t>(sizeof value),
              "the system gives random numbers");
  return value;
}

} // namespace remora::io
