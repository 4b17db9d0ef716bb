// Reads terms from the wire: one bounded walk that validates, then a copy that makes them canonical
// (etf/term.hpp). Nothing reaches ei, a view or the rest of the program that did not pass here.
//
// What it accepts is erl_ext_dist's format as OTP 25 and 27 accept it after a distribution header or after
// 131, less compression (80), which no supported node sends. Atom cache references (82) are looked up in
// `cached`, the atoms of the message's own header. Old tags (89, 99, 100, 101, 102, 103, 114, 115) are
// rewritten to their successors, long-winded encodings (by other implementations than OTP) to the short ones.
//
// Two things that the emulator refuses pass here: a map with a key twice, which would need the keys compared
// as terms, and what is inside a fun's 16 bytes of uniq.
//
//   reader r(limits);
//   auto used = r.read(bytes, cached, out);   // appends one canonical term to out, answers how many bytes it
//   took
//
// On an error nothing was appended. Errors are the peer's: close its connection with describe(error).
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "etf/atom.hpp"
#include "etf/canonical.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace remora::etf {

// Sizes within a term have 32 bits.
inline constexpr std::size_t term_bytes_limit = std::size_t{1} << 31U;

struct term_limits {
  std::uint32_t depth_max = 1024;       // nesting of tuples, lists, maps and funs; [a|[b|[c]]] is flat
  std::uint32_t items_max = 16'777'216; // elements of one tuple, list, map or fun
  // Bytes of the canonical term. Two bytes of atom cache reference become a kilobyte of atom at the worst, so
  // the length of a frame does not bound what it grows to. At most term_bytes_limit.
  std::size_t bytes_max = std::size_t{256} << 20U;
};

enum class term_error : std::uint8_t {
  truncated,       // the term is longer than the bytes
  unknown_tag,     // a tag that erl_ext_dist does not have, or that must not come here
  too_deep,        // more than depth_max
  too_many_items,  // more than items_max, or than the bytes that are left could hold
  too_large,       // more than bytes_max when canonical
  atom_too_long,   // more than 255 characters
  atom_not_utf8,   //
  cache_reference, // an atom cache reference outside the message's header
  reference_words, // a reference of no or more than five words
  node_name,       // an identifier whose node is not name@host
  bits,            // a bit string whose last byte has no or more than eight bits
  not_finite,      // a float that is no number, or an infinite one
  fun,             // a fun whose parts are not what a fun has
  equal_keys,      // a map that has one key twice
};
std::string_view describe(term_error error);

// Is `text` the UTF-8 of at most 255 characters?
bool is_atom_text(base::bytes_view text);

class reader {
public:
  explicit reader(term_limits limits = {}); // limits out of their range abort

  base::result<std::size_t, term_error> read(base::bytes_view bytes, std::span<atom const> cached,
                                             base::buffer& out);

  // The walk alone: how long the term at the front is. Whether it is canonical as it stands is canonical().
  base::result<std::size_t, term_error> validate(base::bytes_view bytes, std::span<atom const> cached);
  bool canonical() const { return canonical_; }
  // The term that was validated last has a map of two or more: has_equal_keys() is to be asked of its
  // canonical form. read() does.
  bool has_keys() const { return has_keys_; }
  // The copy alone, of the very term that was validated last.
  void copy(base::bytes_view term, std::span<atom const> cached, base::buffer& out);
  // The same up to the last place that differs; answers where in `term` the rest begins that is canonical as
  // it is.
  std::size_t copy_beginning(base::bytes_view term, std::span<atom const> cached, base::buffer& out);

private:
  class walk;

  struct frame {
    enum class what : std::uint8_t { other, list, fun };
    std::uint32_t left;
    what of;
  };

  term_limits limits_;
  bool canonical_ = true;
  bool has_keys_ = false;
  std::size_t growth_ = 0;        // how much longer than the input the canonical term is at the most
  std::vector<rewrite> rewrites_; // both kept between calls for their memory
  std::vector<frame> frames_;
};

} // namespace remora::etf
