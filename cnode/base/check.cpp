#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace remora::base {

void check_failed(char const* what, std::source_location where) {
  std::fprintf(stderr, "remora: check failed: %s (%s:%u)\n", what, where.file_name(), where.line());
  std::abort();
}

} // namespace remora::base
