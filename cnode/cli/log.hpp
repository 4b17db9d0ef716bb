// The log on standard error, as text or as one JSON object a line, by spdlog.
#pragma once

#include "io/event.hpp"

#include <string>

namespace remora::cli {

struct log_options {
  std::string level = "info"; // debug, info, notice, warning, error, none
  std::string format = "text";
};

void open_log(log_options const& options);
void log(io::event const& e);
// Why the program ends, whatever the level.
void complain(std::string const& what);

} // namespace remora::cli
