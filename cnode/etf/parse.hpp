// Reads terms written in Erlang's syntax, for the command line, configuration and test scripts: everything
// etf/print writes (identifiers included, local funs excepted) and what people write by hand.
//
//   atoms        ok 'any text' 'esc\x{41}pe'       numbers    42 -7 1_000 16#ff $a $\n 1.5 -1.0e-7
//   strings      "text" "in " "pieces"             binaries   <<1,2,3:4>> <<"latin1">> <<"any"/utf8, 0>>
//   lists        [] [1, 2 | tail]                  tuples     {} {ok, 1}
//   maps         #{a => 1}                         funs       fun lists:map/2
//   identifiers  #Pid<node@host.1.0.5> #Ref<node@host.5.1.2.3> #Port<'node@host.example'.1.5>
//
// White space and % comments go anywhere between tokens, a full stop at the end may be there. Reserved words
// are taken as atoms: there is no other use for them here. The outcome is encoded exactly as OTP encodes it,
// so that equal terms are equal bytes; of a map's keys the order is the one written.
#pragma once

#include "base/result.hpp"
#include "etf/term.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace remora::etf {

struct parse_limits {
  std::size_t text_bytes_max = 1U << 20U;
  std::size_t depth_max = 1024; // nesting; [a|[b|[c]]] is flat
  std::size_t digits_max =
      4096; // of a number in a base that is no power of two: reading costs quadratic time
};

struct parse_error {
  std::size_t at = 0;        // offset in bytes
  std::string_view expected; // "',' or ']'"
  std::string found;         // "'}'", "end of text"; empty when `expected` is the whole complaint
  friend bool operator==(parse_error const&, parse_error const&) = default;
};
std::string describe(parse_error const& error); // at 5: expected ',' or ']', found '}'

template <class T>
using parsed = base::result<T, parse_error>;

parsed<term> parse(std::string_view text, parse_limits const& limits = {});

// What stands between the parentheses of a call: terms and commas, or nothing.
parsed<std::vector<term>> parse_arguments(std::string_view text, parse_limits const& limits = {});

} // namespace remora::etf
