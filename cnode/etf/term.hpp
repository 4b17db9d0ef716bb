// Terms as remora holds them: canonical external format without the version byte.
//
// Canonical means: validated, no atom cache references, and of several encodings of one value always the
// same: atoms as UTF-8 (119, and 118 only above 255 bytes), pids as 88, references as 90, ports as 120 (OTP
// 25 writes 89 or 120, 27 always 120), finite floats as 70, integers and tuples in the shortest of their
// forms, [] as 106 only, bit strings (77) only when they are no binaries. So equal bytes are equal terms, and
// but for lists (107 and 108) and the order of a map's keys also the other way round. Terms become canonical
// in one place, etf/reader, or are built so by etf/builder; everything behind trusts them and never checks
// again.
//
//   term  owns its bytes (shared, immutable, one thread)
//   view  borrows them: valid as long as the term, or the frame, that it was taken from
//
// Views are read by asking: every accessor answers std::nullopt when the term is of another shape.
#pragma once

#include "base/bytes.hpp"
#include "etf/ids.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace remora::etf {

enum class kind : std::uint8_t {
  integer,
  floating,
  atom,
  reference,
  fun,
  port,
  pid,
  tuple,
  map,
  nil,
  list,
  binary,
  bitstring
};

class list_view;
class map_view;

// A pid whose node lives in the bytes of the term.
struct borrowed_pid {
  std::string_view node;
  std::uint32_t id = 0;
  std::uint32_t serial = 0;
  std::uint32_t creation = 0;
};

class view {
public:
  view() = default; // no term at all; only for assignment
  explicit view(base::bytes_view canonical) : bytes_(canonical) {}

  base::bytes_view bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  kind what() const;

  // Atoms. The text is UTF-8 and lives as long as the bytes.
  std::optional<std::string_view> atom_text() const;
  bool is_atom(std::string_view text) const { return atom_text() == text; }
  bool is_atom() const { return atom_text().has_value(); }

  std::optional<std::int64_t> integer() const;           // also big integers that fit
  std::optional<std::uint64_t> unsigned_integer() const; // also big integers that fit
  std::optional<double> floating() const;                // floats only
  std::optional<base::bytes_view> binary() const;        // whole bytes only
  std::optional<bool> boolean() const;

  std::optional<etf::pid> as_pid() const;
  std::optional<etf::port> as_port() const;
  std::optional<etf::reference> as_reference() const;

  // The node of a pid, port or reference, without making an atom.
  std::optional<std::string_view> node_text() const;
  // All of a pid, likewise.
  std::optional<borrowed_pid> borrow_pid() const;

  std::optional<std::uint32_t> arity() const; // of a tuple
  // All elements of a tuple of exactly N.
  template <std::size_t N>
  std::optional<std::array<view, N>> tuple() const {
    std::array<view, N> elements;
    if (!tuple_elements(elements)) return std::nullopt;
    return elements;
  }
  // The same for an arity known at run time; false when the tuple has another.
  bool tuple_elements(std::span<view> elements) const;
  std::optional<view> element(std::uint32_t index) const; // of a tuple, from 0

  std::optional<list_view> list() const; // [], lists, and strings (107) alike
  std::optional<map_view> map() const;

  // Characters of a string in any of Erlang's spellings: list of code points, UTF-8 binary, nested chardata.
  // At most `bytes_max` of UTF-8; nothing when the whole is not UTF-8.
  std::optional<std::string> text(std::size_t bytes_max = 1U << 20U) const;

  // Equal bytes are equal terms; 1 and 1.0 are not, "a" as 107 and as 108 are told apart (use list() for
  // those).
  friend bool operator==(view a, view b) { return base::as_text(a.bytes_) == base::as_text(b.bytes_); }

private:
  base::bytes_view bytes_;
};

// Walks a list: while (auto item = list.next()) ...; then tail() is nil for a proper list. A string (107)
// yields its characters as small integers.
class list_view {
public:
  std::optional<view> next();
  std::uint32_t left() const { return left_; }
  view tail() const; // only when next() has answered nullopt

private:
  friend class view;
  std::uint32_t left_ = 0;
  bool string_ = false;
  base::bytes_view rest_;
};

class map_view {
public:
  struct pair {
    view key;
    view value;
  };
  std::optional<pair> next();
  std::optional<view> find(std::string_view atom_key) const; // walks the map
  std::uint32_t left() const { return left_; }

private:
  friend class view;
  std::uint32_t left_ = 0;
  base::bytes_view rest_;
};

// Length of the term at the front of canonical bytes.
std::size_t term_size(std::uint8_t const* canonical);

// Do the bytes hold exactly one term, by its tags and lengths? For what we built ourselves: nothing is read
// outside, but what the term says is not validated.
bool is_one_term(base::bytes_view built);

// The front of a term: its tag and everything that is not itself a term, and how many terms follow as its
// parts (all of a list's elements and its tail; none for a fun made by a module, which is opaque). A walk
// that takes heads one after the other sees every byte once, however deep the term is.
struct term_head {
  std::size_t size = 0;
  std::size_t parts = 0;
};
term_head head_of(std::uint8_t const* canonical);

class term {
public:
  term() = default; // no term at all
  explicit term(base::buffer&& canonical) : bytes_(std::move(canonical)) {}
  explicit term(base::blob canonical) : bytes_(std::move(canonical)) {}
  explicit term(view copied);

  // A term is read through its view: *t, t->tuple<2>(), or by passing t where a view is wanted.
  struct arrow {
    view seen;
    view const* operator->() const { return &seen; }
  };
  view operator*() const { return view(bytes_.view()); }
  arrow operator->() const { return {**this}; }
  operator view() const { return **this; } // NOLINT(google-explicit-constructor): so meant
  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }
  base::blob const& bytes() const { return bytes_; }
  // A term inside this one, sharing its bytes; `inside` is a view into this term.
  term part(view inside) const { return term(bytes_.part(inside.bytes())); }
  bool contains(view v) const { return bytes_.contains(v.bytes()); }

  friend bool operator==(term const& a, term const& b) { return *a == *b; }

private:
  base::blob bytes_;
};

} // namespace remora::etf
