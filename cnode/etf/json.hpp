// Prints a term as JSON, for programs that read the output of `remora --json`. Always one valid JSON text in
// UTF-8; there is no way back, JSON has fewer types:
//
//   true, false, null (atoms)            true, false, null
//   other atoms, undefined among them    "text"
//   integers within +-2^53               number; others "decimal" or, from print_decimal_bytes_max, "16#hex"
//   floats                               number
//   []                                   []
//   lists of printable characters        "text"
//   other proper lists                   [...]
//   [a|b]                                {"l": ["a"], "tail": "b"}
//   tuples                               {"t": [...]}
//   maps whose keys are all atoms, all   {"key": ...}
//     UTF-8 binaries, or all strings
//   other maps                           {"m": [[key, value], ...]}
//   binaries that are UTF-8              "text"; others {"b64": "..."}
//   bit strings                          {"b64": "...", "bits": all of them}
//   pids, ports, references, funs        "as etf/print writes them"
//
// Keys of one kind only, so that no two keys of a map become the same member.
#pragma once

#include "etf/term.hpp"

#include <cstddef>
#include <string>

namespace remora::etf {

inline constexpr std::size_t json_bytes_max = 64U << 20U;

// What would make the text longer than about `bytes_max` is left out: the value that reaches the limit is
// followed by "..." in its place, and what is open is closed.
std::string to_json(view v, std::size_t bytes_max = json_bytes_max);

} // namespace remora::etf
