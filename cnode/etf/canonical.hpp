// The second half of reading: copies a validated term and brings what came in another encoding into the
// canonical one (etf/term.hpp says which). The reader's walk notes the places; everything between them is
// copied as it is.
#pragma once

#include "base/bytes.hpp"
#include "etf/atom.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace remora::etf {

// A place where the canonical form differs from what came.
struct rewrite {
  enum class what : std::uint8_t {
    atom,       // from the cache, latin1, or 118 where 119 does
    identifier, // with its node
    integer,
    float_text,
    tuple_head,
    bits,
    empty_string, // 107 without characters: []
    empty_list,   // 108 without elements: its tail
    fun_begin,
    fun_end
  };
  what how;
  std::size_t at;
};
// What rewriting one identifier adds at the most: 101 to 90, two bytes of count and three of creation; 102 to
// 120, four of id and three of creation. An atom adds its own.
inline constexpr std::size_t identifier_growth_max = 8;

// `in` is one term that the reader accepted, `rewrites` its places in order. Copies up to the last of them
// and answers where in `in` the rest begins, which is canonical as it is.
std::size_t copy_canonical(base::bytes_view in, std::span<rewrite const> rewrites,
                           std::span<atom const> cached, base::buffer& out);

// Tag 99: text of 31 bytes, up to the first zero; finite numbers only.
inline constexpr std::size_t float_text_bytes = 31;
std::optional<double> parse_float_text(base::bytes_view text);

} // namespace remora::etf
