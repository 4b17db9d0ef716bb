// The functions that others may call here by rpc, erpc and spawn: a table of module, function and arity.
// Whatever is not in it is undef, as on OTP.
//
//   functions.add("calc", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
//
// Arguments are decoded by their C++ types (std::int64_t, std::uint64_t, double, bool, std::string for any
// chardata, etf::view for any term, etf::pid); an argument of another kind raises badarg. The result is
// anything that etf::put() takes. A function that must wait for something takes node::self first and returns
// task<etf::term>. A view among the arguments lives until the function returns, or its task ends.
#pragma once

#include "etf/builder.hpp"
#include "node/process.hpp"
#include "node/task.hpp"

#include <array>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace remora::node {

// Thrown by a function: what the caller sees as error:Reason, exit:Reason or throw:Reason.
struct raised {
  enum class kind : std::uint8_t { error, exit, throw_ };
  kind how;
  etf::term reason;
};
[[noreturn]] inline void raise_error(std::string_view reason) {
  throw raised{raised::kind::error, etf::make(etf::am(reason))};
}

// Runs with the arguments as a proper list of the table's arity.
using native_function = std::function<task<etf::term>(self, etf::term arguments)>;

namespace detail {

template <class T>
T decode_argument(etf::view v) {
  auto const required = [](auto&& value) {
    if (!value) raise_error("badarg");
    return std::move(*value);
  };
  if constexpr (std::is_same_v<T, etf::view>)
    return v;
  else if constexpr (std::is_same_v<T, etf::term>)
    return etf::term(v);
  else if constexpr (std::is_same_v<T, bool>)
    return required(v.boolean());
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return required(v.integer());
  else if constexpr (std::is_same_v<T, std::uint64_t>)
    return required(v.unsigned_integer());
  else if constexpr (std::is_same_v<T, std::string>)
    return required(v.text());
  else if constexpr (std::is_same_v<T, etf::pid>)
    return required(v.as_pid());
  else if constexpr (std::is_same_v<T, double>) {
    if (auto const whole = v.integer()) return static_cast<double>(*whole);
    return required(v.floating());
  } else
    static_assert(sizeof(T) == 0, "no argument of this type; take an etf::view");
}

template <std::size_t N>
std::array<etf::view, N> spread(etf::view arguments) {
  std::array<etf::view, N> out;
  auto list = arguments.list();
  for (auto& a : out) a = *list->next();
  return out;
}

template <class F>
struct signature : signature<decltype(&F::operator())> {};
template <class C, class R, class... As>
struct signature<R (C::*)(As...) const> {
  using result = R;
  using arguments = std::tuple<std::decay_t<As>...>;
};
template <class C, class R, class... As>
struct signature<R (C::*)(As...)> : signature<R (C::*)(As...) const> {};

template <class F, class... As, std::size_t... I>
etf::term call_plain(F const& f, etf::view arguments, std::type_identity<std::tuple<As...>>,
                     std::index_sequence<I...>) {
  auto const given = spread<sizeof...(As)>(arguments);
  (void)given; // of nothing, for functions without arguments
  if constexpr (std::is_void_v<std::invoke_result_t<F const&, As...>>) {
    f(decode_argument<As>(given[I])...);
    return etf::make(etf::am("ok"));
  } else if constexpr (std::is_same_v<std::invoke_result_t<F const&, As...>, etf::term>) {
    return f(decode_argument<As>(given[I])...);
  } else {
    return etf::make(f(decode_argument<As>(given[I])...));
  }
}

} // namespace detail

class functions {
public:
  // A plain function: it returns at once.
  template <class F>
  void add(std::string_view module, std::string_view name, F f) {
    using arguments = typename detail::signature<F>::arguments;
    constexpr std::size_t arity = std::tuple_size_v<arguments>;
    add(module, name, arity, [f = std::move(f)](self, etf::term given) -> task<etf::term> {
      co_return detail::call_plain(f, given, std::type_identity<arguments>{},
                                   std::make_index_sequence<arity>{});
    });
  }
  // One that may wait.
  void add(std::string_view module, std::string_view name, std::size_t arity, native_function f);

  native_function const* find(std::string_view module, std::string_view name, std::size_t arity) const;
  std::vector<std::string> names() const; // "calc:add/2", sorted

private:
  struct key {
    std::string module;
    std::string name;
    std::size_t arity;
    friend auto operator<=>(key const&, key const&) = default;
  };
  struct borrowed_key {
    std::string_view module;
    std::string_view name;
    std::size_t arity;
  };
  struct less {
    using is_transparent = void;
    static auto tie(auto const& k) {
      return std::tuple(std::string_view(k.module), std::string_view(k.name), k.arity);
    }
    bool operator()(auto const& a, auto const& b) const { return tie(a) < tie(b); }
  };
  std::map<key, native_function, less> table_;
};

} // namespace remora::node
