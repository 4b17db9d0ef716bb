// What the program's exit code says. Documented in the man page and the README.
#pragma once

namespace remora::cli {

enum exit_code : int {
  exit_ok = 0,
  exit_failed = 1,         // a client command got no or a negative answer; a service of the node was killed
  exit_usage = 2,          // command line, configuration or cookie
  exit_name_taken = 3,     // epmd knows the name already
  exit_no_epmd = 4,        // nothing answers on epmd's port
  exit_address_in_use = 5, // of --listen and --port
  exit_address = 6,        // --listen is not an address of this machine
};

} // namespace remora::cli
