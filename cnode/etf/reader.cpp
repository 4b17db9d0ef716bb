#include "etf/reader.hpp"

#include "base/utf8.hpp"
#include "etf/ids.hpp"
#include "etf/tags.hpp"

#include <charconv>

namespace remora::etf {

using base::load_be;

std::string_view describe(term_error error) {
  switch (error) {
  case term_error::truncated: return "a term is cut off";
  case term_error::unknown_tag: return "a term has an unknown tag";
  case term_error::too_deep: return "a term is nested too deeply";
  case term_error::too_many_items: return "a term claims too many elements";
  case term_error::atom_too_long: return "an atom has more than 255 characters";
  case term_error::atom_not_utf8: return "an atom is not UTF-8";
  case term_error::cache_reference: return "an atom cache reference is not in the header";
  case term_error::reference_words: return "a reference does not have 1 to 5 words";
  case term_error::node_name: return "an identifier has a node that is not name@host";
  case term_error::bits: return "a bit string has a wrong number of last bits";
  case term_error::float_text: return "an old float is not a number";
  case term_error::fun: return "a fun has wrong parts";
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

void put_atom(base::buffer& out, std::string_view text) {
  if (text.size() <= 255) {
    out.put(tag::small_atom_utf8);
    out.put(static_cast<std::uint8_t>(text.size()));
  } else {
    out.put(tag::atom_utf8);
    out.put(static_cast<std::uint16_t>(text.size()));
  }
  out.append(text);
}

bool latin1_is_node_name(base::bytes_view text) { return is_node_name(base::as_text(text)); }

std::optional<double> parse_float_text(base::bytes_view text) {
  auto const string = base::as_text(text);
  auto const number = string.substr(0, string.find('\0'));
  double value = 0;
  auto const [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  return value;
}

constexpr std::size_t float_text_bytes = 31;

} // namespace

bool is_atom_text(base::bytes_view text) { return !atom_problem(text); }

bool is_node_name(std::string_view text) {
  auto const at = text.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         text.find('@', at + 1) == std::string_view::npos;
}

// The walk: an explicit stack of how many terms are still to come at each level, so depth is a number and not
// the C++ stack. A level is left as soon as its last term begins, hence [a|[b|[c]]] is not deep.
class reader::walk {
public:
  walk(reader& self, base::bytes_view in, std::span<atom const> cached)
      : self_(self), in_(in), cached_(cached) {}

  base::result<std::size_t, term_error> run() {
    self_.rewrites_.clear();
    self_.frames_.clear();
    self_.frames_.push_back({.left = 1, .fun = false});
    while (!self_.frames_.empty()) {
      auto& top = self_.frames_.back();
      if (top.left == 0) {
        if (top.fun) note(rewrite::what::fun_end);
        self_.frames_.pop_back();
        continue;
      }
      --top.left;
      if (!step()) return error_;
    }
    return pos_;
  }

private:
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
  void note(rewrite::what how, std::uint8_t index = 0) { self_.rewrites_.push_back({how, index, pos_}); }

  // A length field of `size` bytes right after the tag; 0 and false when it is cut off.
  bool length(std::size_t size, std::size_t& value) {
    if (left() < 1 + size) return fail(term_error::truncated);
    std::uint8_t const* const at = in_.data() + pos_ + 1;
    value = size == 1 ? at[0] : size == 2 ? load_be<std::uint16_t>(at) : load_be<std::uint32_t>(at);
    return true;
  }

  bool nest(std::size_t head, std::size_t count, std::size_t extra, bool fun = false) {
    if (!skip(head)) return false;
    if (count > self_.limits_.items_max || count + extra > left()) // each term has at least one byte
      return fail(count + extra > left() && count <= self_.limits_.items_max ? term_error::truncated
                                                                             : term_error::too_many_items);
    while (!self_.frames_.empty() && self_.frames_.back().left == 0 && !self_.frames_.back().fun)
      self_.frames_.pop_back();
    if (self_.frames_.size() >= self_.limits_.depth_max) return fail(term_error::too_deep);
    self_.frames_.push_back({.left = static_cast<std::uint32_t>(count + extra), .fun = fun});
    return true;
  }

  bool atom_here(bool of_node = false) {
    if (left() < 2) return fail(term_error::truncated);
    std::size_t size = 0;
    std::uint8_t const what = in_[pos_];
    switch (what) {
    case tag::atom_cache_ref: {
      std::uint8_t const index = in_[pos_ + 1];
      if (index >= cached_.size()) return fail(term_error::cache_reference);
      if (of_node && !is_node_name(cached_[index].text())) return fail(term_error::node_name);
      note(rewrite::what::cached_atom, index);
      return skip(2);
    }
    case tag::small_atom_utf8:
    case tag::atom_utf8: {
      std::size_t const head = what == tag::small_atom_utf8 ? 1 : 2;
      if (!length(head, size)) return false;
      if (left() < 1 + head + size) return fail(term_error::truncated);
      auto const text = in_.subspan(pos_ + 1 + head, size);
      if (auto const problem = atom_problem(text)) return fail(*problem);
      if (of_node && !is_node_name(base::as_text(text))) return fail(term_error::node_name);
      return skip(1 + head + size);
    }
    case tag::small_atom_latin1:
    case tag::atom_latin1: {
      std::size_t const head = what == tag::small_atom_latin1 ? 1 : 2;
      if (!length(head, size)) return false;
      if (size > atom_chars_max) return fail(term_error::atom_too_long);
      if (left() < 1 + head + size) return fail(term_error::truncated);
      if (of_node && !latin1_is_node_name(in_.subspan(pos_ + 1 + head, size)))
        return fail(term_error::node_name);
      note(rewrite::what::latin1_atom);
      return skip(1 + head + size);
    }
    default: return fail(of_node ? term_error::node_name : term_error::unknown_tag);
    }
  }

  bool identifier(std::size_t tail) { return skip(1) && atom_here(true) && skip(tail); }

  // Tags 101, 102, 103: creation is one byte.
  bool old_identifier(std::size_t tail) {
    note(rewrite::what::creation_u8);
    return identifier(tail);
  }

  bool reference_here(std::size_t creation, rewrite::what how, bool old) {
    std::size_t words = 0;
    if (!length(2, words)) return false;
    if (words == 0 || words > reference_words_max) return fail(term_error::reference_words);
    if (old) note(how);
    return skip(3) && atom_here(true) && skip(creation + 4 * words);
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
    if (in_[pos_] == tag::pid) {
      if (!old_identifier(9)) return false;
    } else if (in_[pos_] != tag::new_pid) {
      return fail(term_error::fun);
    } else if (!identifier(12)) {
      return false;
    }
    return nest(0, free_count, 0, true);
  }

  bool step() {
    if (left() == 0) return fail(term_error::truncated);
    std::size_t size = 0;
    switch (in_[pos_]) {
    case tag::small_integer: return skip(2);
    case tag::integer: return skip(5);
    case tag::new_float: return skip(9);
    case tag::atom_cache_ref:
    case tag::small_atom_utf8:
    case tag::atom_utf8:
    case tag::small_atom_latin1:
    case tag::atom_latin1: return atom_here();
    case tag::nil: return skip(1);
    case tag::string: return length(2, size) && skip(3 + size);
    case tag::binary: return length(4, size) && skip(5 + size);
    case tag::small_big: return length(1, size) && skip(3 + size);
    case tag::large_big: return length(4, size) && skip(6 + size);
    case tag::small_tuple: return length(1, size) && nest(2, size, 0);
    case tag::large_tuple: return length(4, size) && nest(5, size, 0);
    case tag::list: return length(4, size) && nest(5, size, 1);
    case tag::map:
      if (!length(4, size)) return false;
      if (size > self_.limits_.items_max) return fail(term_error::too_many_items);
      return nest(5, size, size);
    case tag::bit_binary:
      if (!length(4, size)) return false;
      if (left() < 6) return fail(term_error::truncated);
      if (in_[pos_ + 5] == 0 || in_[pos_ + 5] > 8 || size == 0) return fail(term_error::bits);
      return skip(6 + size);
    case tag::new_pid: return identifier(12);
    case tag::new_port: return identifier(8);
    case tag::v4_port: return identifier(12);
    case tag::pid: return old_identifier(9);
    case tag::port: return old_identifier(5);
    case tag::reference: return old_identifier(5);
    case tag::newer_reference: return reference_here(4, {}, false);
    case tag::new_reference: return reference_here(1, rewrite::what::old_reference, true);
    case tag::float_text: {
      if (left() < 1 + float_text_bytes) return fail(term_error::truncated);
      if (!parse_float_text(in_.subspan(pos_ + 1, float_text_bytes))) return fail(term_error::float_text);
      note(rewrite::what::float_text);
      return skip(1 + float_text_bytes);
    }
    case tag::export_fun:
      if (!skip(1) || !atom_here() || !atom_here()) return false;
      if (left() < 2) return fail(term_error::truncated);
      if (in_[pos_] != tag::small_integer) return fail(term_error::fun);
      return skip(2);
    case tag::new_fun: return new_fun_here();
    default: return fail(term_error::unknown_tag);
    }
  }

  reader& self_;
  base::bytes_view in_;
  std::span<atom const> cached_;
  std::size_t pos_ = 0;
  term_error error_ = term_error::truncated;
};

base::result<std::size_t, term_error> reader::validate(base::bytes_view bytes, std::span<atom const> cached) {
  return walk(*this, bytes, cached).run();
}

base::result<std::size_t, term_error> reader::read(base::bytes_view bytes, std::span<atom const> cached,
                                                   base::buffer& out) {
  auto const size = validate(bytes, cached);
  if (size) copy(bytes.first(*size), cached, out);
  return size;
}

// Copies what lies between the rewrites as it is. `from` is the first byte not yet copied; rewrites come in
// the order of the bytes, and an identifier's own (tag, creation) enclose that of its node atom.
void reader::copy(base::bytes_view in, std::span<atom const> cached, base::buffer& out) {
  out.reserve(out.size() + in.size() + 16 * rewrites_.size());
  std::size_t from = 0;
  auto const until = [&](std::size_t at) {
    if (at > from) out.append(in.subspan(from, at - from));
    from = at;
  };
  std::vector<std::size_t> funs;
  std::uint8_t identifier_tag = 0; // an old identifier whose node atom comes next
  std::uint16_t words = 0;

  // After the node atom of an old identifier: its numbers, and the creation widened.
  auto const finish_identifier = [&] {
    switch (identifier_tag) {
    case tag::pid: until(from + 8); break;
    case tag::port:
    case tag::reference: {
      if (identifier_tag == tag::port) {
        until(from + 4);
        break;
      }
      auto const id = in.subspan(from, 4);
      out.put(std::uint32_t{in[from + 4]}); // a reference has its creation first
      out.append(id);
      from += 5;
      identifier_tag = 0;
      return;
    }
    case tag::new_reference: {
      out.put(std::uint32_t{in[from]});
      ++from;
      until(from + std::size_t{4} * words);
      identifier_tag = 0;
      return;
    }
    default: return;
    }
    out.put(std::uint32_t{in[from]});
    ++from;
    identifier_tag = 0;
  };
  // An old identifier's node atom that needs no rewrite itself is copied here.
  auto const plain_node = [&] {
    if (in[from] != tag::small_atom_utf8 && in[from] != tag::atom_utf8) return; // a rewrite follows
    bool const small = in[from] == tag::small_atom_utf8;
    std::size_t const size = small ? 2U + in[from + 1] : 3U + load_be<std::uint16_t>(in.data() + from + 1);
    until(from + size);
    finish_identifier();
  };

  for (auto const& r : rewrites_) {
    until(r.at);
    switch (r.how) {
    case rewrite::what::cached_atom:
      put_atom(out, cached[r.index].text());
      from += 2;
      finish_identifier();
      break;
    case rewrite::what::latin1_atom: {
      bool const small = in[from] == tag::small_atom_latin1;
      std::size_t const head = small ? 2 : 3;
      std::size_t const size = small ? in[from + 1] : load_be<std::uint16_t>(in.data() + from + 1);
      put_atom(out, base::latin1_to_utf8(in.subspan(from + head, size)));
      from += head + size;
      finish_identifier();
      break;
    }
    case rewrite::what::creation_u8:
      identifier_tag = in[from];
      if (identifier_tag == tag::pid) {
        out.put(tag::new_pid);
      } else if (identifier_tag == tag::port) {
        out.put(tag::new_port);
      } else {
        out.put(tag::newer_reference);
        out.put(std::uint16_t{1});
      }
      ++from;
      plain_node();
      break;
    case rewrite::what::old_reference:
      identifier_tag = tag::new_reference;
      words = load_be<std::uint16_t>(in.data() + from + 1);
      out.put(tag::newer_reference);
      out.put(words);
      from += 3;
      plain_node();
      break;
    case rewrite::what::float_text: {
      double const value = parse_float_text(in.subspan(from + 1, float_text_bytes)).value_or(0);
      out.put(tag::new_float);
      out.put(std::bit_cast<std::uint64_t>(value));
      from += 1 + float_text_bytes;
      break;
    }
    case rewrite::what::fun_begin:
      funs.push_back(out.size());
      until(r.at + 1);
      break;
    case rewrite::what::fun_end:
      base::store_be(out.data() + funs.back() + 1, static_cast<std::uint32_t>(out.size() - funs.back() - 1));
      funs.pop_back();
      break;
    }
  }
  until(in.size());
}

} // namespace remora::etf
