// Writes canonical terms. Two ways: step by step, or a whole shape at once.
//
//   builder b;                                     term t = make(tup(am("reply"), ref, 42));
//   b.tuple(2).atom("ok").integer(1);
//   term t = b.take();
//
// The builder counts nothing: who announces tuple(2) writes two terms. take() checks that what was written is
// one whole term, and aborts otherwise, because that is a bug of ours and would cost a peer's connection.
#pragma once

#include "etf/term.hpp"

#include <concepts>
#include <initializer_list>
#include <span>
#include <string>
#include <tuple>
#include <vector>

namespace remora::etf {

class builder {
public:
  builder& atom(std::string_view utf8); // at most 255 characters, ours: longer aborts
  builder& atom(etf::atom const& a) {
    bytes_.append(a.encoded());
    return *this;
  }
  builder& boolean(bool value) { return atom(value ? "true" : "false"); }
  builder& integer(std::int64_t value);
  builder& unsigned_integer(std::uint64_t value);
  builder& big_integer(bool negative, base::bytes_view magnitude); // little-endian, any size
  builder& floating(double value);                                 // finite: others abort
  builder& binary(base::bytes_view bytes);
  builder& binary(std::string_view text) { return binary(base::as_bytes(text)); }
  builder&
  string(std::string_view utf8); // a list of code points, as "..." in Erlang; U+FFFD for what is none
  builder& string(std::u32string_view code_points);
  builder& pid(etf::pid const& p);
  builder& port(etf::port const& p);
  builder& reference(etf::reference const& r);
  builder& export_fun(std::string_view module, std::string_view function, std::uint8_t arity);
  builder& copy(view v); // any term, as it is

  builder& tuple(std::size_t arity);
  builder&
  list(std::size_t length); // length elements and then the tail: nil() for a proper list; 0 writes nothing
  builder& nil();
  builder& map(std::size_t pairs);

  std::size_t size() const { return bytes_.size(); }
  base::bytes_view bytes() const { return bytes_.view(); }
  base::buffer& raw() { return bytes_; }
  void clear() { bytes_.clear(); }

  term take();

private:
  base::buffer bytes_;
};

// Shapes. tup(...) is a tuple, am("x") an atom, lst(...) a proper list, imp(a, b) the pair [a|b], str("x") a
// list of characters; std::string and std::string_view are binaries, std::vector a proper list.
struct am {
  std::string_view text;
  explicit am(std::string_view t) : text(t) {}
};
struct str {
  std::string_view text;
  explicit str(std::string_view t) : text(t) {}
};
template <class... Parts>
struct tuple_shape {
  std::tuple<Parts const&...> parts;
};
template <class... Parts>
struct list_shape {
  std::tuple<Parts const&...> parts;
};
template <class Head, class Tail>
struct improper_shape {
  Head const& head;
  Tail const& tail;
};
// Shapes borrow their parts: use them within the expression that makes them.
template <class... Parts>
tuple_shape<Parts...> tup(Parts const&... parts) {
  return {{parts...}};
}
template <class... Parts>
list_shape<Parts...> lst(Parts const&... parts) {
  return {{parts...}};
}
template <class Head, class Tail>
improper_shape<Head, Tail> imp(Head const& head, Tail const& tail) {
  return {head, tail};
}

inline void put(builder& b, am const& a) { b.atom(a.text); }
inline void put(builder& b, str const& s) { b.string(s.text); }
inline void put(builder& b, atom const& a) { b.atom(a); }
template <std::same_as<bool> Bool>
void put(builder& b, Bool value) {
  b.boolean(value);
} // not for pointers
template <std::signed_integral Int>
void put(builder& b, Int value) {
  b.integer(value);
}
template <std::unsigned_integral Int>
requires(!std::same_as<Int, bool>) void put(builder& b, Int value) { b.unsigned_integer(value); }
template <std::floating_point Float>
void put(builder& b, Float value) {
  b.floating(static_cast<double>(value));
}
inline void put(builder& b, std::string_view text) { b.binary(text); }
inline void put(builder& b, std::string const& text) { b.binary(std::string_view(text)); }
inline void put(builder& b, char const* text) { b.binary(std::string_view(text)); }
inline void put(builder& b, view v) { b.copy(v); }
inline void put(builder& b, term const& t) { b.copy(*t); }
inline void put(builder& b, pid const& p) { b.pid(p); }
inline void put(builder& b, port const& p) { b.port(p); }
inline void put(builder& b, reference const& r) { b.reference(r); }
template <class T>
void put(builder& b, std::vector<T> const& items);
template <class... Parts>
void put(builder& b, tuple_shape<Parts...> const& shape);
template <class... Parts>
void put(builder& b, list_shape<Parts...> const& shape);
template <class Head, class Tail>
void put(builder& b, improper_shape<Head, Tail> const& shape);

template <class T>
void put(builder& b, std::vector<T> const& items) {
  b.list(items.size());
  for (auto const& item : items) put(b, item);
  b.nil();
}
template <class... Parts>
void put(builder& b, tuple_shape<Parts...> const& shape) {
  b.tuple(sizeof...(Parts));
  std::apply([&](auto const&... part) { (put(b, part), ...); }, shape.parts);
}
template <class... Parts>
void put(builder& b, list_shape<Parts...> const& shape) {
  b.list(sizeof...(Parts));
  std::apply([&](auto const&... part) { (put(b, part), ...); }, shape.parts);
  b.nil();
}
template <class Head, class Tail>
void put(builder& b, improper_shape<Head, Tail> const& shape) {
  b.list(1);
  put(b, shape.head);
  put(b, shape.tail);
}

template <class Shape>
term make(Shape const& shape) {
  builder b;
  put(b, shape);
  return b.take();
}

} // namespace remora::etf
