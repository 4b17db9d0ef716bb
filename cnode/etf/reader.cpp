#include "etf/reader.hpp"

#include "base/utf8.hpp"
#include "etf/ids.hpp"
#include "etf/keys.hpp"
#include "etf/tags.hpp"

#include <bit>
#include <cmath>

namespace remora::etf {

using base::load_be;

std::string_view describe(term_error error) {
  switch (error) {
  case term_error::truncated: return "a term is cut off";
  case term_error::unknown_tag: return "a term has an unknown tag";
  case term_error::too_deep: return "a term is nested too deeply";
  case term_error::too_many_items: return "a term claims too many elements";
  case term_error::too_large: return "a term is too large";
  case term_error::atom_too_long: return "an atom has more than 255 characters";
  case term_error::atom_not_utf8: return "an atom is not UTF-8";
  case term_error::cache_reference: return "an atom cache reference is not in the header";
  case term_error::reference_words: return "a reference does not have 1 to 5 words";
  case term_error::node_name: return "an identifier has a node that is not name@host";
  case term_error::bits: return "a bit string has a wrong number of last bits";
  case term_error::not_finite: return "a float is not a finite number";
  case term_error::fun: return "a fun has wrong parts";
  case term_error::equal_keys: return "a map has one key twice";
  }
  return "a term is wrong";
}

namespace {

std::optional<term_error> atom_problem(base::bytes_view text) {
  std::size_t characters = 0;
  while (!text.empty()) {
    std::size_t const size = base::utf8_size(text);
    if (size == 0) return term_error::atom_not_utf8;
    if (++characters > atom_chars_max) return term_error::atom_too_long;
    text = text.subspan(size);
  }
  return std::nullopt;
}

// Notes kept for the next term; a peer's larger heap of them is given back.
constexpr std::size_t rewrites_kept_max = 4096;

// Is this the shortest encoding of an integer of 32 bits or of a sign and magnitude?
bool is_shortest(std::int32_t value) { return value < 0 || value > 255; }
bool is_shortest(std::uint8_t sign, base::bytes_view magnitude, bool small_head) {
  if (sign > 1 || magnitude.empty() || magnitude.back() == 0) return false;
  if (small_head != (magnitude.size() <= 255)) return false;
  if (magnitude.size() > 4) return true;
  std::uint32_t value = 0;
  for (std::size_t i = magnitude.size(); i-- > 0;) value = (value << 8U) | magnitude[i];
  return value > (std::uint32_t{1} << 31U) - 1 + sign;
}

} // namespace

reader::reader(term_limits limits) : limits_(limits) {
  base::check(limits.bytes_max <= term_bytes_limit, "reader: bytes_max within term_bytes_limit");
  base::check(limits.items_max < UINT32_MAX / 2,
              "reader: items_max leaves room for the keys and values of maps");
}

bool is_atom_text(base::bytes_view text) { return !atom_problem(text); }

// The walk: an explicit stack of how many terms are still to come at each level, so depth is a number and not
// the C++ stack. A list that is the tail of a list takes its place: only so [a|[b|[c]]] is flat, and all
// other nesting counts, because those who walk a term by recursion rely on depth_max.
class reader::walk {
public:
  walk(reader& self, base::bytes_view in, std::span<atom const> cached)
      : self_(self), in_(in), cached_(cached) {}

  base::result<std::size_t, term_error> run() {
    self_.rewrites_.clear();
    self_.has_keys_ = false;
    self_.frames_.clear();
    self_.frames_.push_back({.left = 1, .of = frame::what::other});
    while (!self_.frames_.empty()) {
      auto& top = self_.frames_.back();
      if (top.left == 0) {
        if (top.of == frame::what::fun) fun_end();
        self_.frames_.pop_back();
        continue;
      }
      --top.left;
      if (!step()) return error_;
      if (pos_ + growth_ > self_.limits_.bytes_max) return term_error::too_large;
    }
    self_.canonical_ = self_.rewrites_.empty();
    self_.growth_ = growth_;
    return pos_;
  }

private:
  enum class role : std::uint8_t { plain, node, node_of_rewritten };

  bool fail(term_error error) {
    error_ = error;
    return false;
  }
  std::size_t left() const { return in_.size() - pos_; }
  bool skip(std::size_t count) {
    if (left() < count) return fail(term_error::truncated);
    pos_ += count;
    return true;
  }
  void note(rewrite::what how) { self_.rewrites_.push_back({.how = how, .at = pos_}); }

  // A length field of `size` bytes right after the tag; false when it is cut off.
  bool length(std::size_t size, std::size_t& value) {
    if (left() < 1 + size) return fail(term_error::truncated);
    std::uint8_t const* const at = in_.data() + pos_ + 1;
    value = size == 1 ? at[0] : size == 2 ? load_be<std::uint16_t>(at) : load_be<std::uint32_t>(at);
    return true;
  }

  bool nest(std::size_t head, std::size_t count, std::size_t extra, frame::what of = frame::what::other) {
    if (!skip(head)) return false;
    if (count > self_.limits_.items_max) return fail(term_error::too_many_items);
    if (count + extra > left()) return fail(term_error::truncated); // each term has at least one byte
    auto& frames = self_.frames_;
    if (of == frame::what::list && frames.back().of == frame::what::list && frames.back().left == 0)
      frames.pop_back();
    // The first frame is the whole term's.
    if (frames.size() > self_.limits_.depth_max) return fail(term_error::too_deep);
    frames.push_back({.left = static_cast<std::uint32_t>(count + extra), .of = of});
    return true;
  }

  bool atom_here(role as = role::plain) {
    if (left() < 2) return fail(term_error::truncated);
    switch (in_[pos_]) {
    case tag::atom_cache_ref: return cached_atom(as);
    case tag::small_atom_utf8: return utf8_atom(1, as);
    case tag::atom_utf8: return utf8_atom(2, as);
    case tag::small_atom_latin1: return latin1_atom(1, as);
    case tag::atom_latin1: return latin1_atom(2, as);
    default: return fail(as == role::plain ? term_error::unknown_tag : term_error::node_name);
    }
  }

  bool cached_atom(role as) {
    std::uint8_t const index = in_[pos_ + 1];
    if (index >= cached_.size()) return fail(term_error::cache_reference);
    auto const& atom = cached_[index];
    if (as != role::plain && !atom.names_a_node()) return fail(term_error::node_name);
    if (as != role::node_of_rewritten) note(rewrite::what::atom);
    growth_ += atom.encoded().size() - 2;
    return skip(2);
  }

  bool utf8_atom(std::size_t length_bytes, role as) {
    std::size_t size = 0;
    if (!length(length_bytes, size)) return false;
    if (left() < 1 + length_bytes + size) return fail(term_error::truncated);
    auto const text = in_.subspan(pos_ + 1 + length_bytes, size);
    if (auto const problem = atom_problem(text)) return fail(*problem);
    if (as != role::plain && !is_node_name(base::as_text(text))) return fail(term_error::node_name);
    if (length_bytes == 2 && size <= 255 && as != role::node_of_rewritten) note(rewrite::what::atom);
    return skip(1 + length_bytes + size);
  }

  bool latin1_atom(std::size_t length_bytes, role as) {
    std::size_t size = 0;
    if (!length(length_bytes, size)) return false;
    if (size > atom_chars_max) return fail(term_error::atom_too_long);
    if (left() < 1 + length_bytes + size) return fail(term_error::truncated);
    auto const text = in_.subspan(pos_ + 1 + length_bytes, size); // an @ is an @ in both encodings
    if (as != role::plain && !is_node_name(base::as_text(text))) return fail(term_error::node_name);
    if (as != role::node_of_rewritten) note(rewrite::what::atom);
    growth_ += size + 1;
    return skip(1 + length_bytes + size);
  }

  bool identifier(std::size_t tail) { return skip(1) && atom_here(role::node) && skip(tail); }

  // Tags 89, 101, 102, 103: narrower than their successors.
  bool old_identifier(std::size_t tail) {
    note(rewrite::what::identifier);
    growth_ += identifier_growth_max;
    return skip(1) && atom_here(role::node_of_rewritten) && skip(tail);
  }

  bool reference_here(std::size_t creation, role as) {
    std::size_t words = 0;
    if (!length(2, words)) return false;
    if (words == 0 || words > reference_words_max) return fail(term_error::reference_words);
    if (as == role::node_of_rewritten) {
      note(rewrite::what::identifier);
      growth_ += identifier_growth_max;
    }
    return skip(3) && atom_here(as) && skip(creation + 4 * words);
  }

  bool integer_here() {
    if (left() < 5) return fail(term_error::truncated);
    if (!is_shortest(static_cast<std::int32_t>(load_be<std::uint32_t>(in_.data() + pos_ + 1))))
      note(rewrite::what::integer);
    return skip(5);
  }

  bool big_here(std::size_t length_bytes) {
    std::size_t size = 0;
    if (!length(length_bytes, size)) return false;
    if (left() < 2 + length_bytes + size) return fail(term_error::truncated);
    auto const sign = in_[pos_ + 1 + length_bytes];
    if (!is_shortest(sign, in_.subspan(pos_ + 2 + length_bytes, size), length_bytes == 1))
      note(rewrite::what::integer);
    return skip(2 + length_bytes + size);
  }

  bool new_float_here() {
    if (left() < 9) return fail(term_error::truncated);
    if (!std::isfinite(std::bit_cast<double>(load_be<std::uint64_t>(in_.data() + pos_ + 1))))
      return fail(term_error::not_finite);
    return skip(9);
  }

  bool float_text_here() {
    if (left() < 1 + float_text_bytes) return fail(term_error::truncated);
    if (!parse_float_text(in_.subspan(pos_ + 1, float_text_bytes))) return fail(term_error::not_finite);
    note(rewrite::what::float_text);
    return skip(1 + float_text_bytes);
  }

  bool bits_here() {
    std::size_t size = 0;
    if (!length(4, size)) return false;
    if (left() < 6) return fail(term_error::truncated);
    unsigned const used = in_[pos_ + 5];
    if (used == 0 || used > 8 || size == 0) return fail(term_error::bits);
    if (left() < 6 + size) return fail(term_error::truncated);
    unsigned const last = in_[pos_ + 5 + size];
    if (used == 8 || (last & (0xffU >> used)) != 0) note(rewrite::what::bits);
    return skip(6 + size);
  }

  bool string_here() {
    std::size_t size = 0;
    if (!length(2, size)) return false;
    if (size == 0) note(rewrite::what::empty_string);
    return skip(3 + size);
  }

  bool list_here() {
    std::size_t size = 0;
    if (!length(4, size)) return false;
    if (size > 0) return nest(5, size, 1, frame::what::list);
    note(rewrite::what::empty_list); // external.c, LIST_EXT of length 0: the tail is the term
    ++self_.frames_.back().left;
    return skip(5);
  }

  bool tuple_here() {
    std::size_t size = 0;
    if (!length(4, size)) return false;
    if (size <= 255) note(rewrite::what::tuple_head);
    return nest(5, size, 0);
  }

  bool map_here() {
    std::size_t size = 0;
    if (!length(4, size)) return false;
    if (size > self_.limits_.items_max) return fail(term_error::too_many_items);
    if (size > 1) self_.has_keys_ = true;
    return nest(5, size, size);
  }

  bool export_fun_here() {
    if (!skip(1) || !atom_here() || !atom_here()) return false;
    if (left() < 2) return fail(term_error::truncated);
    if (in_[pos_] != tag::small_integer) return fail(term_error::fun);
    return skip(2);
  }

  bool fun_integer() {
    if (left() == 0) return fail(term_error::truncated);
    switch (in_[pos_]) {
    case tag::small_integer: return skip(2);
    case tag::integer: return skip(5);
    default: return fail(term_error::fun);
    }
  }

  // 112 | u32 size | u8 arity | 16 uniq | u32 index | u32 free count | module | old index | old uniq | pid |
  // free... The size is not believed: it depends on the atom cache, and is written anew in the copy.
  bool new_fun_here() {
    if (left() < 30) return fail(term_error::truncated);
    std::size_t const free_count = load_be<std::uint32_t>(in_.data() + pos_ + 26);
    note(rewrite::what::fun_begin);
    if (!skip(30) || !atom_here() || !fun_integer() || !fun_integer()) return false;
    if (left() == 0) return fail(term_error::truncated);
    if (in_[pos_] != tag::pid && in_[pos_] != tag::new_pid) return fail(term_error::fun);
    if (!(in_[pos_] == tag::pid ? old_identifier(9) : identifier(12))) return false;
    return nest(0, free_count, 0, frame::what::fun);
  }

  // A fun with nothing to rewrite inside and the right size stays as it is.
  void fun_end() {
    auto const& last = self_.rewrites_.back();
    if (last.how == rewrite::what::fun_begin &&
        load_be<std::uint32_t>(in_.data() + last.at + 1) == pos_ - last.at - 1)
      self_.rewrites_.pop_back();
    else
      note(rewrite::what::fun_end);
  }

  bool step() {
    if (left() == 0) return fail(term_error::truncated);
    std::size_t size = 0;
    switch (in_[pos_]) {
    case tag::small_integer: return skip(2);
    case tag::integer: return integer_here();
    case tag::new_float: return new_float_here();
    case tag::atom_cache_ref:
    case tag::small_atom_utf8:
    case tag::atom_utf8:
    case tag::small_atom_latin1:
    case tag::atom_latin1: return atom_here();
    case tag::nil: return skip(1);
    case tag::string: return string_here();
    case tag::binary: return length(4, size) && skip(5 + size);
    case tag::bit_binary: return bits_here();
    case tag::small_big: return big_here(1);
    case tag::large_big: return big_here(4);
    case tag::small_tuple: return length(1, size) && nest(2, size, 0);
    case tag::large_tuple: return tuple_here();
    case tag::list: return list_here();
    case tag::map: return map_here();
    case tag::new_pid:
    case tag::v4_port: return identifier(12);
    case tag::new_port: return old_identifier(8);
    case tag::pid: return old_identifier(9);
    case tag::port:
    case tag::reference: return old_identifier(5);
    case tag::newer_reference: return reference_here(4, role::node);
    case tag::new_reference: return reference_here(1, role::node_of_rewritten);
    case tag::float_text: return float_text_here();
    case tag::export_fun: return export_fun_here();
    case tag::new_fun: return new_fun_here();
    default: return fail(term_error::unknown_tag);
    }
  }

  reader& self_;
  base::bytes_view in_;
  std::span<atom const> cached_;
  std::size_t pos_ = 0;
  std::size_t growth_ = 0; // how much longer than the input the canonical term is at the most
  term_error error_ = term_error::truncated;
};

base::result<std::size_t, term_error> reader::validate(base::bytes_view bytes, std::span<atom const> cached) {
  return walk(*this, bytes, cached).run();
}

base::result<std::size_t, term_error> reader::read(base::bytes_view bytes, std::span<atom const> cached,
                                                   base::buffer& out) {
  auto const size = validate(bytes, cached);
  if (!size) return size;
  auto const begin = out.size();
  copy(bytes.first(*size), cached, out);
  if (!has_keys_ || !has_equal_keys(out.view().subspan(begin))) return size;
  out.truncate(begin);
  return term_error::equal_keys;
}

void reader::copy(base::bytes_view term, std::span<atom const> cached, base::buffer& out) {
  out.reserve(out.size() + term.size() + growth_);
  std::size_t const rest = copy_beginning(term, cached, out);
  out.append(term.subspan(rest));
}

std::size_t reader::copy_beginning(base::bytes_view term, std::span<atom const> cached, base::buffer& out) {
  std::size_t const rest = copy_canonical(term, rewrites_, cached, out);
  if (rewrites_.capacity() > rewrites_kept_max) rewrites_ = {};
  return rest;
}

} // namespace remora::etf
