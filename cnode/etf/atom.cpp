#include "etf/atom.hpp"

#include "base/check.hpp"
#include "etf/tags.hpp"

namespace remora::etf {

atom::rep::rep(std::string_view text) : head(text.size() <= 255 ? 2 : 3), node(is_node_name(text)) {
  base::check(text.size() <= atom_bytes_max, "atom: at most 255 characters");
  encoded.reserve(head + text.size());
  encoded.push_back(static_cast<char>(head == 2 ? tag::small_atom_utf8 : tag::atom_utf8));
  if (head == 3) encoded.push_back(static_cast<char>(text.size() >> 8U));
  encoded.push_back(static_cast<char>(text.size() & 0xffU));
  encoded.append(text);
}

bool is_node_name(std::string_view text) {
  auto const at = text.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < text.size() &&
         text.find('@', at + 1) == std::string_view::npos;
}

} // namespace remora::etf
