// Capability flags of the distribution handshake (lib/kernel/include/dist.hrl; protocol.md 2.3).
#pragma once

#include <cstdint>
#include <string>

namespace remora::dist::flag {

inline constexpr std::uint64_t published = 0x1; // absent on either side: the connection is hidden for both
inline constexpr std::uint64_t extended_references = 0x4;
inline constexpr std::uint64_t dist_monitor = 0x8;
inline constexpr std::uint64_t fun_tags = 0x10;
inline constexpr std::uint64_t dist_monitor_name = 0x20;
inline constexpr std::uint64_t new_fun_tags = 0x80;
inline constexpr std::uint64_t extended_pids_ports = 0x100;
inline constexpr std::uint64_t export_ptr_tag = 0x200;
inline constexpr std::uint64_t bit_binaries = 0x400;
inline constexpr std::uint64_t new_floats = 0x800;
inline constexpr std::uint64_t unicode_io = 0x1000;
inline constexpr std::uint64_t dist_hdr_atom_cache = 0x2000; // we read cached headers and write none
inline constexpr std::uint64_t small_atom_tags = 0x4000;
inline constexpr std::uint64_t utf8_atoms = 0x10000;
inline constexpr std::uint64_t map_tag = 0x20000;
inline constexpr std::uint64_t big_creation = 0x40000;
inline constexpr std::uint64_t send_sender = 0x80000;
inline constexpr std::uint64_t big_seqtrace_labels = 0x100000;
inline constexpr std::uint64_t exit_payload = 0x400000;
inline constexpr std::uint64_t fragments = 0x800000;
inline constexpr std::uint64_t handshake_23 = 0x1000000;
inline constexpr std::uint64_t unlink_id = 0x2000000;
inline constexpr std::uint64_t mandatory_25_digest = 0x4000000; // bit 26, whatever the documentation says
inline constexpr std::uint64_t spawn = 0x1'00000000;
inline constexpr std::uint64_t name_me = 0x2'00000000; // a request, not a capability
inline constexpr std::uint64_t v4_nc = 0x4'00000000;
inline constexpr std::uint64_t alias = 0x8'00000000;

// Without these OTP 25 refuses a peer, and so do we.
inline constexpr std::uint64_t mandatory = extended_references | fun_tags | new_fun_tags |
                                           extended_pids_ports | export_ptr_tag | bit_binaries | new_floats |
                                           utf8_atoms | map_tag | big_creation | handshake_23;

// What OTP 25 and 27 both send when visible, and what remora sends.
inline constexpr std::uint64_t ours = 0x0000000d'07df7fbd;

// MANDATORY_25_DIGEST stands for all of `mandatory`.
constexpr std::uint64_t expand(std::uint64_t flags) {
  return (flags & mandatory_25_digest) != 0 ? flags | mandatory : flags;
}

// Names of the flags in `missing`, joined by ", ": for the one log line about a refused peer.
std::string names(std::uint64_t missing);

} // namespace remora::dist::flag
