#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace remora::base {

void check_failed(char const* what, char const* file, unsigned line) {
  std::fprintf(stderr, "remora: check failed: %s (%s:%u)\n", what, file, line);
  std::abort();
}

} // namespace remora::base
