#include "node/functions.hpp"

#include <fmt/format.h>

namespace remora::node {

void functions::add(std::string_view module, std::string_view name, std::size_t arity, native_function f) {
  table_.insert_or_assign(key{std::string(module), std::string(name), arity}, std::move(f));
}

native_function const* functions::find(std::string_view module, std::string_view name,
                                       std::size_t arity) const {
  auto const found = table_.find(borrowed_key{module, name, arity});
  return found != table_.end() ? &found->second : nullptr;
}

std::vector<std::string> functions::names() const {
  std::vector<std::string> out;
  for (auto const& [k, f] : table_) out.push_back(fmt::format("{}:{}/{}", k.module, k.name, k.arity));
  return out;
}

} // namespace remora::node
