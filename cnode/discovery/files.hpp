// The two files that list nodes. Somebody wrote them by hand: what cannot be read is said with its line, and
// the rest counts all the same.
//
//   .hosts.erlang   'host.example.org'.     Erlang terms as net_adm:host_file/0 reads them: atoms, or
//   strings;
//                                           % begins a comment
//   node file       app@host.example.org    one node a line; # at the start or after a space begins a comment
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::discovery {

struct file_content {
  std::vector<std::string> entries;   // in their order, each once
  std::optional<std::string> wrong{}; // the first thing that could not be read, with its line
};

file_content read_hosts_file(std::string_view text, std::size_t entries_max);
file_content read_node_file(std::string_view text, std::size_t entries_max);

} // namespace remora::discovery
