#include "etf/canonical.hpp"

#include "base/utf8.hpp"
#include "etf/encode.hpp"
#include "etf/tags.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <vector>

namespace remora::etf {

using base::load_be;

namespace {

class copier {
public:
  copier(base::bytes_view in, std::span<atom const> cached, base::buffer& out)
      : in_(in), cached_(cached), out_(out) {}

  void until(std::size_t at) {
    if (at > from_) out_.append(in_.subspan(from_, at - from_));
    from_ = std::max(from_, at);
  }

  std::size_t copied() const { return from_; }

  // By far the most frequent one.
  void cached_atom(std::size_t at) {
    auto const text = cached_[in_[at + 1]].encoded();
    std::size_t const plain = at - from_;
    std::uint8_t* const to = out_.room(plain + text.size());
    std::memcpy(to, in_.data() + from_, plain);
    std::memcpy(to + plain, text.data(), text.size());
    out_.commit(plain + text.size());
    from_ = at + 2;
  }

  void apply(rewrite const& r) {
    if (r.how == rewrite::what::atom && in_[r.at] == tag::atom_cache_ref) return cached_atom(r.at);
    until(r.at);
    switch (r.how) {
    case rewrite::what::atom: return atom();
    case rewrite::what::identifier: return identifier();
    case rewrite::what::integer: return integer();
    case rewrite::what::float_text: return float_text();
    case rewrite::what::tuple_head: return tuple_head();
    case rewrite::what::bits: return bits();
    case rewrite::what::empty_string: out_.put(tag::nil); return drop(3);
    case rewrite::what::empty_list: return drop(5);
    case rewrite::what::fun_begin: funs_.push_back(out_.size()); return until(r.at + 1);
    case rewrite::what::fun_end:
      base::store_be(out_.data() + funs_.back() + 1,
                     static_cast<std::uint32_t>(out_.size() - funs_.back() - 1));
      return funs_.pop_back();
    }
  }

private:
  std::uint8_t const* here() const { return in_.data() + from_; }
  void drop(std::size_t count) { from_ += count; }
  std::uint32_t take_u8() { return in_[from_++]; }
  std::uint32_t take_u32() {
    auto const value = load_be<std::uint32_t>(here());
    drop(4);
    return value;
  }

  void atom() {
    std::uint8_t const what = *here();
    if (what == tag::atom_cache_ref) {
      out_.append(cached_[here()[1]].encoded());
      return drop(2);
    }
    bool const small = what == tag::small_atom_utf8 || what == tag::small_atom_latin1;
    std::size_t const size = small ? here()[1] : load_be<std::uint16_t>(here() + 1);
    drop(small ? 2 : 3);
    auto const text = in_.subspan(from_, size);
    if (what == tag::small_atom_latin1 || what == tag::atom_latin1)
      put_atom(out_, base::latin1_to_utf8(text));
    else
      put_atom(out_, base::as_text(text));
    drop(size);
  }

  void identifier() {
    std::uint8_t const what = *here();
    drop(1);
    switch (what) {
    case tag::pid:
      out_.put(tag::new_pid);
      atom();
      until(from_ + 8);
      return out_.put(take_u8());
    case tag::port:
    case tag::new_port:
      out_.put(tag::v4_port);
      atom();
      out_.put(std::uint64_t{take_u32()});
      return out_.put(what == tag::port ? take_u8() : take_u32());
    case tag::reference: return reference(1, true);
    default: {
      auto const words = load_be<std::uint16_t>(here());
      drop(2);
      return reference(words, false);
    }
    }
  }

  void reference(std::uint16_t words, bool creation_last) {
    out_.put(tag::newer_reference);
    out_.put(words);
    atom();
    if (creation_last) {
      out_.put(std::uint32_t{here()[4]});
      until(from_ + 4);
      return drop(1);
    }
    out_.put(take_u8());
    until(from_ + std::size_t{4} * words);
  }

  void integer() {
    std::uint8_t const what = *here();
    drop(1);
    if (what == tag::integer) return put_integer(out_, false, std::uint64_t{take_u32()}); // 0..255
    std::size_t const size = what == tag::small_big ? take_u8() : take_u32();
    bool const negative = take_u8() != 0;
    put_integer(out_, negative, in_.subspan(from_, size));
    drop(size);
  }

  void float_text() {
    double const value = parse_float_text(in_.subspan(from_ + 1, float_text_bytes)).value_or(0);
    out_.put(tag::new_float);
    out_.put(std::bit_cast<std::uint64_t>(value));
    drop(1 + float_text_bytes);
  }

  void tuple_head() {
    drop(1);
    out_.put(tag::small_tuple);
    out_.put(static_cast<std::uint8_t>(take_u32()));
  }

  void bits() {
    drop(1);
    std::uint32_t const size = take_u32();
    unsigned const used = take_u8();
    out_.put(used == 8 ? tag::binary : tag::bit_binary);
    out_.put(size);
    if (used < 8) out_.put(static_cast<std::uint8_t>(used));
    until(from_ + size - 1);
    out_.put(static_cast<std::uint8_t>(take_u8() & ~(0xffU >> used)));
  }

  base::bytes_view in_;
  std::span<etf::atom const> cached_;
  base::buffer& out_;
  std::size_t from_ = 0;          // the first byte not yet copied
  std::vector<std::size_t> funs_; // where the open ones begin in out_
};

} // namespace

std::size_t copy_canonical(base::bytes_view in, std::span<rewrite const> rewrites,
                           std::span<atom const> cached, base::buffer& out) {
  copier copy(in, cached, out);
  for (auto const& r : rewrites) copy.apply(r);
  return copy.copied();
}

std::optional<double> parse_float_text(base::bytes_view text) {
  auto const string = base::as_text(text);
  auto const number = string.substr(0, string.find('\0'));
  double value = 0;
  auto const [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

} // namespace remora::etf
