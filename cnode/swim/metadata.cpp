#include "swim/metadata.hpp"

#include "base/bytes.hpp"
#include "base/utf8.hpp"

namespace remora::swim {

std::string write_metadata(metadata const& m) {
  std::string out;
  for (auto const& [key, value] : m) {
    if (key.size() > 0xff || value.size() > 0xffff) return std::string(1U << 20U, '\0');
    out += static_cast<char>(key.size());
    out += key;
    out += static_cast<char>(value.size() >> 8U);
    out += static_cast<char>(value.size() & 0xffU);
    out += value;
  }
  return out;
}

std::optional<metadata> read_metadata(std::string_view bytes) {
  metadata out;
  base::cursor in(base::as_bytes(bytes));
  while (!in.rest().empty()) {
    auto const key = base::as_text(in.take(in.u8()));
    auto const value = base::as_text(in.take(in.u16()));
    if (!in.ok() || !base::is_utf8(key) || !base::is_utf8(value)) return std::nullopt;
    if (!out.empty() && out.rbegin()->first >= key) return std::nullopt;
    out.emplace_hint(out.end(), key, value);
  }
  if (!in.ok()) return std::nullopt;
  return out;
}

} // namespace remora::swim
