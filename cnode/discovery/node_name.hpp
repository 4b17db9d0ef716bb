// Names of nodes, name@host, made of what sources say. A listed name is foreign: it becomes an atom in a VM,
// and is dialled. Here is decided what can be one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace remora::discovery {

// One @ with something on both sides, no spaces or control characters, UTF-8, at most 255 characters: an atom
// can hold it. What stands around the @ may be more than OTP lets a node of its own be called (net_kernel:
// letters, digits, _ and -), because C nodes choose freely.
bool is_node_name(std::string_view text);

// What can stand before the @.
bool is_basename(std::string_view text);
// A host name or an address: what can stand behind the @, without @.
bool is_host(std::string_view text);

std::string_view basename_of(std::string_view node);
std::string_view host_of(std::string_view node);

// The trailing dot of a host goes, as do the brackets of an IPv6 literal, which is written as RFC 5952 has it
// (inet6_tcp takes app@fd00::1). None: that gives no name.
std::optional<std::string> make_node_name(std::string_view basename, std::string_view host);

} // namespace remora::discovery
