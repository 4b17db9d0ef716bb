// What the fuzz targets share. A target is one file that defines LLVMFuzzerTestOneInput and nothing else; the
// same file is linked with libFuzzer (preset fuzz) and with replay.cpp, which runs the kept corpus in every
// build with tests. Adding one takes: fuzz_NAME.cpp, corpus/NAME/ with a few inputs.
//
// What must hold is said with must(): a failure aborts, which libFuzzer and ctest both report.
#pragma once

#include "base/check.hpp"

#include <cstddef>
#include <cstdint>

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer names it
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace remora::fuzz {

inline void must(bool holds, char const* what, char const* file = __builtin_FILE(),
                 unsigned line = __builtin_LINE()) {
  base::check(holds, what, file, line);
}

} // namespace remora::fuzz
