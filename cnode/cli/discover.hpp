// Where other nodes are listed, as the command line and the TOML file say it.
//
//   --discover local-epmd                            [[discovery.source]]  type = "local-epmd"
//   --discover dns:app@nodes.example.org             [[discovery.source]]  type = "dns"
//                                                                          basename = "app"
//                                                                          hostname = "nodes.example.org"
//
// One table of kinds for both, so that a wrong one is refused with the list of right ones. Without `BASE@`
// the basename is that of this node.
#pragma once

#include "base/result.hpp"
#include "discovery/types.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remora::cli {

// What --discover says in one word; the error is a sentence.
base::result<discovery::source, std::string> parse_source(std::string const& spec);

// A [[discovery.source]]: its keys with their values, of which lists are in `lists`.
struct source_table {
  std::vector<std::pair<std::string, std::string>> texts;
  std::vector<std::pair<std::string, std::vector<std::string>>> lists;
};
struct configured_source {
  discovery::source source;
  std::string secret_file{}; // of a multicast group
};
base::result<configured_source, std::string> read_source(source_table const& table);

// A secret from a file that only its owner can read; the error is a sentence without it.
base::result<std::string, std::string> read_secret(std::string const& path);

} // namespace remora::cli
