// io_lib:format/2 for the output that processes on other nodes send to a group leader of ours
// (protocol.md 5.5: {put_chars, unicode, io_lib, format, [Format, Args]}).
//
// Follows OTP 25's io_lib_format.erl, control by control: ~w ~p ~W ~P ~s ~c ~b ~B ~x ~X ~+ ~# ~e ~f ~g ~n ~i
// ~~, with field width, precision and pad (* for each), and the modifiers t and l. It differs in three
// things: ~p and ~P do not break lines (and their field width, the length of a line, means nothing), a width
// counts code points where OTP counts grapheme clusters, and a format that is a binary is read as UTF-8.
//
// A format that does not fit its arguments is an ordinary event (the bug is on the other node, and its
// message is all that there is to find it by): the text is then what OTP's logger prints in this case,
//   FORMAT ERROR: "the format" - [the,arguments]
#pragma once

#include "etf/term.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace remora::services {

struct format_limits {
  std::size_t bytes_max = 1U << 20U;  // of the output; what is longer is cut, and ends with ...
  std::int64_t field_max = 1U << 16U; // width and precision; a larger one is a format error
};

// Always text, always UTF-8.
std::string io_format(etf::view format, etf::view args, format_limits const& limits = {});

// The characters of {put_chars, Encoding, Chars}: chardata of which a binary that is not UTF-8, and all
// binaries of latin1, are latin1. Nothing when it is no chardata or longer than `bytes_max`.
enum class encoding : std::uint8_t { latin1, unicode };
std::optional<std::string> io_characters(etf::view chars, encoding e, std::size_t bytes_max = 1U << 20U);

} // namespace remora::services
