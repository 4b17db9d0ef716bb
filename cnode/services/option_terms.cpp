#include "services/option_terms.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

namespace remora::services {

namespace {

constexpr std::size_t text_bytes_max = 4'096;
constexpr std::size_t key_bytes_max = 200; // of a key in a complaint
constexpr std::int64_t ms_max = std::int64_t{30} * 24 * 3'600 * 1'000;

} // namespace

std::optional<std::string> read_text(etf::view v) {
  if (auto const atom = v.atom_text()) return std::string(*atom);
  return v.text(text_bytes_max);
}

std::optional<std::vector<std::string>> read_texts(etf::view v, std::size_t max) {
  auto list = v.list();
  if (!list || list->left() > max) return std::nullopt;
  std::vector<std::string> out;
  while (auto const item = list->next()) {
    auto one = read_text(*item);
    if (!one) return std::nullopt;
    out.push_back(std::move(*one));
  }
  return list->tail().what() == etf::kind::nil ? std::optional(std::move(out)) : std::nullopt;
}

option text_option(std::string_view key, std::string& into) {
  return {key, "a text is expected", [&into](etf::view v) {
            auto text = read_text(v);
            if (text) into = std::move(*text);
            return text.has_value();
          }};
}

option ms_option(std::string_view key, base::duration& into) {
  return {key, "milliseconds are expected, up to 30 days", [&into](etf::view v) {
            auto const n = v.integer();
            bool const fits = n && *n >= 0 && *n <= ms_max;
            if (fits) into = std::chrono::milliseconds(*n);
            return fits;
          }};
}

option flag_option(std::string_view key, bool& into) {
  return {key, "true or false is expected", [&into](etf::view v) {
            auto const b = v.boolean();
            if (b) into = *b;
            return b.has_value();
          }};
}

option fraction_option(std::string_view key, double& into) {
  return {key, "a number from 0 to 1 is expected", [&into](etf::view v) {
            auto const whole = v.integer();
            auto const f = whole ? std::optional(static_cast<double>(*whole)) : v.floating();
            if (f) into = *f;
            return f.has_value();
          }};
}

std::optional<base::wrong_option> read_options(etf::view given, std::vector<option> const& options) {
  auto const names = [&] {
    std::vector<std::string_view> keys;
    keys.reserve(options.size());
    for (auto const& o : options) keys.push_back(o.key);
    return fmt::format("{}", fmt::join(keys, ", "));
  };
  auto map = given.map();
  if (!map) return base::wrong_option{"options", fmt::format("a map is expected, with {}", names())};
  while (auto const entry = map->next()) {
    auto const key = entry->key.atom_text();
    auto const found =
        std::find_if(options.begin(), options.end(), [&](auto const& o) { return key && o.key == *key; });
    if (found == options.end()) {
      auto const text = key ? std::string(*key) : etf::print(entry->key, {.bytes_max = key_bytes_max});
      return base::wrong_option{text, fmt::format("there is no {}; there are: {}", text, names())};
    }
    if (auto wrong = found->take(entry->value))
      return base::wrong_option{std::string(found->key), std::move(*wrong)};
  }
  return std::nullopt;
}

problem read_fields(etf::view given, std::vector<option> const& fields) {
  auto wrong = read_options(given, fields);
  if (!wrong) return std::nullopt;
  return fmt::format("{}: {}", wrong->key, wrong->text);
}

} // namespace remora::services
