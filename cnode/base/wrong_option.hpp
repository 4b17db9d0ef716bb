// What is wrong with a core's options: a key as it is called on the door and on the command line, and a
// sentence.
#pragma once

#include <string>

namespace remora::base {

struct wrong_option {
  std::string key;
  std::string text;
  friend bool operator==(wrong_option const&, wrong_option const&) = default;
};

} // namespace remora::base
