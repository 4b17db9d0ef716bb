// Options as the door takes them: a map whose keys are atoms, each read into its field. What is wrong is told
// by its key and what is expected instead; never by its value, which may be a secret.
#pragma once

#include "base/time.hpp"
#include "base/wrong_option.hpp"
#include "etf/term.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remora::services {

// Chardata or an atom, of at most 4 KiB.
std::optional<std::string> read_text(etf::view v);
// A proper list of at most `max` of them.
std::optional<std::vector<std::string>> read_texts(etf::view v, std::size_t max);

using problem = std::optional<std::string>; // what is expected instead

struct option {
  std::string_view key;
  std::function<problem(etf::view)> take;

  option(std::string_view a_key, std::function<problem(etf::view)> a_take)
      : key(a_key), take(std::move(a_take)) {}
  template <class Take> // true: taken
  option(std::string_view a_key, std::string_view expected, Take a_take)
      : key(a_key), take([expected, a_take](etf::view v) {
          return a_take(v) ? std::nullopt : problem(std::string(expected));
        }) {}
};

option text_option(std::string_view key, std::string& into);
option ms_option(std::string_view key, base::duration& into); // up to 30 days
option flag_option(std::string_view key, bool& into);
option fraction_option(std::string_view key, double& into);
template <class Int>
option count_option(std::string_view key, Int& into) {
  return {key, "a number is expected", [&into](etf::view v) {
            auto const n = v.unsigned_integer();
            bool const fits = n && *n <= std::numeric_limits<Int>::max();
            if (fits) into = static_cast<Int>(*n);
            return fits;
          }};
}

std::optional<base::wrong_option> read_options(etf::view given, std::vector<option> const& options);
// The same within an option: the sentence names the key.
problem read_fields(etf::view given, std::vector<option> const& fields);

} // namespace remora::services
