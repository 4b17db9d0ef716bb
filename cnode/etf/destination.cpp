// Destinations as terms.
#include "etf/destination.hpp"

namespace remora::etf {

std::optional<destination> as_destination(view term) {
  if (auto p = term.as_pid()) return destination(std::move(*p));
  if (auto const name = term.atom_text()) return destination(*name);
  auto const pair = term.tuple<2>();
  if (!pair || !(*pair)[0].is_atom() || !(*pair)[1].is_atom()) return std::nullopt;
  return destination(*(*pair)[0].atom_text(), *(*pair)[1].atom_text());
}

void put(builder& b, destination const& to) {
  if (to.pid) return put(b, *to.pid);
  if (to.node.empty()) return put(b, to.name);
  put(b, tup(to.name, to.node));
}

} // namespace remora::etf
