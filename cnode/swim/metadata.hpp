// What a member says of itself: pairs of text, sorted by key, each key once. u8 length, key, u16 length,
// value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace remora::swim {

using metadata = std::map<std::string, std::string>;

// A key or value that does not fit its field makes it larger than anybody takes.
std::string write_metadata(metadata const& m);
std::optional<metadata> read_metadata(std::string_view bytes); // nullopt: no metadata

} // namespace remora::swim
