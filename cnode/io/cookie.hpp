// The cluster's cookie, found as OTP finds it (lib/kernel/src/auth.erl, read_cookie/0), after our own two
// places:
// --cookie-file, REMORA_COOKIE, ~/.erlang.cookie, $XDG_CONFIG_HOME/erlang/.erlang.cookie; created with mode
// 0400 in the home directory when there is none. The cookie is never part of an error.
#pragma once

#include "base/result.hpp"

#include <string>

namespace remora::io {

// The cookie in `cookie_file`, or where there is none given, in the other places in their order. The error is
// a sentence: what was tried, what was found, what to do. A file that others than its owner can read is an
// error (in systemd's CREDENTIALS_DIRECTORY: others than owner and group).
base::result<std::string, std::string> find_cookie(std::string const& cookie_file = {});

} // namespace remora::io
