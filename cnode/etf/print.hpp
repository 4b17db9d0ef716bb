// Prints a term in Erlang's syntax on one line, as io_lib:format("~tp") and its relatives do (OTP 25, io_lib
// and io_lib_pretty; only their line breaks are left out). What is printed without a limit etf/parse reads
// back, local funs excepted.
//
// Identifiers have no syntax in Erlang, and OTP's <0.7.0> names its node by a number that is valid on one
// node only. remora writes them so that they say all and can be read back; the node is written as an atom:
//
//   #Pid<'a@host.example'.Id.Serial.Creation>    #Port<a@host.Id.Creation>
//   #Ref<a@host.Creation.Word1.Word2...>         #Fun<module.Index.Uniq> (a local fun; only for the eye)
//
// One pass over the bytes: printing is linear in what is printed.
#pragma once

#include "etf/term.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace remora::etf {

inline constexpr std::size_t print_bytes_max = 1U << 20U; // when nothing else is asked for
inline constexpr std::size_t print_depth_max = 1024;      // nesting; what is deeper is written as ...
// Larger integers (in bytes of magnitude) are written as 16#...: decimal digits cost quadratic time.
inline constexpr std::size_t print_decimal_bytes_max = 1024;

struct print_options {
  bool strings = true;     // lists and binaries of printable characters in quotes: ~p; false is ~w
  bool unicode = true;     // the t of ~tp and ~tw: UTF-8 binaries, atoms beyond latin1 as they are
  bool wide = true;        // code points above 255 are printable in lists and binaries (erl +pc unicode)
  std::int64_t depth = -1; // the depth of ~P and ~W; negative: all
  std::size_t bytes_max = print_bytes_max; // what is longer is cut, and ends with ...
};

std::string print(view v, print_options const& options = {});

// The atom of this UTF-8 text, quoted when Erlang's syntax needs it.
std::string print_atom(std::string_view text);

// Code points that a terminal shows, and the white space among the escapes: io_lib:printable_list/1.
bool is_printable(std::uint32_t c, bool wide = true);
// Is the term at the front of canonical bytes a list of them? [] is.
bool is_printable_list(std::uint8_t const* canonical, bool wide = true);

} // namespace remora::etf
