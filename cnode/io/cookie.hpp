// The cluster's cookie, found as OTP finds it (lib/kernel/src/auth.erl, read_cookie/0), after our own two
// places:
// --cookie-file, REMORA_COOKIE, ~/.erlang.cookie, $XDG_CONFIG_HOME/erlang/.erlang.cookie; created with mode
// 0400 in the home directory when there is none. The cookie is never part of an error.
//
// `--cookie-file -` is the first line of standard input: how a program that starts this one hands the cookie
// over, for what stands in arguments, environments and files can be read by others.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <string>

namespace remora::io {

// The cookie in `cookie_file`, or where there is none given, in the other places in their order. The error is
// a sentence: what was tried, what was found, what to do. A file that others than its owner can read is an
// error (in systemd's CREDENTIALS_DIRECTORY: others than owner and group).
base::result<std::string, std::string> find_cookie(std::string const& cookie_file = {});

inline constexpr std::string_view cookie_from_stdin = "-"; // as `cookie_file`
inline constexpr auto cookie_time = std::chrono::seconds(10);

// The first line of a pipe, socket, terminal or file, and not a byte behind it: what follows is for whoever
// reads the descriptor next, as the lifeline does. An error when the line is empty or too long, when the
// input ends within it, or when it is not there after `limit`.
base::result<std::string, std::string> read_cookie_line(int descriptor,
                                                        std::chrono::milliseconds limit = cookie_time);

} // namespace remora::io
