// Small files, read whole: what they are is checked before a byte is read, so that a pipe or a device under
// that name does not hold up the program.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>

namespace remora::io {

struct file_problem {
  enum class kind : std::uint8_t { missing, unreadable, too_large };
  kind what = kind::missing;
  std::string why; // a sentence
};

base::result<std::string, file_problem> read_text_file(std::string const& path, std::size_t bytes_max);

} // namespace remora::io
