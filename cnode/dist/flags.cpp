#include "dist/flags.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace remora::dist::flag {

std::string names(std::uint64_t missing) {
  static constexpr std::array<std::pair<std::uint64_t, std::string_view>, 13> known{{
      {extended_references, "EXTENDED_REFERENCES"},
      {fun_tags, "FUN_TAGS"},
      {new_fun_tags, "NEW_FUN_TAGS"},
      {extended_pids_ports, "EXTENDED_PIDS_PORTS"},
      {export_ptr_tag, "EXPORT_PTR_TAG"},
      {bit_binaries, "BIT_BINARIES"},
      {new_floats, "NEW_FLOATS"},
      {utf8_atoms, "UTF8_ATOMS"},
      {map_tag, "MAP_TAG"},
      {big_creation, "BIG_CREATION"},
      {handshake_23, "HANDSHAKE_23"},
      {unlink_id, "UNLINK_ID"},
      {v4_nc, "V4_NC"},
  }};
  std::string out;
  for (auto const& [bit, name] : known) {
    if ((missing & bit) == 0) continue;
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

} // namespace remora::dist::flag
