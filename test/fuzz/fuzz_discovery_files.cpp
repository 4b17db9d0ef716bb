// Arbitrary bytes as .hosts.erlang and as a node file: whatever is found can be written and read again.
#include "discovery/files.hpp"
#include "discovery/node_name.hpp"
#include "fuzz/fuzz.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

using namespace remora;
using fuzz::must;

namespace {

constexpr std::size_t entries_max = 50;

void check_shape(discovery::file_content const& got, std::string_view text, std::size_t max) {
  must(got.entries.size() <= max, "no more entries than may be");
  must(std::set(got.entries.begin(), got.entries.end()).size() == got.entries.size(), "each once");
  if (!got.wrong) return;
  must(got.wrong->starts_with("line ") && got.wrong->size() < 200, "what is wrong has a line, and is short");
  auto const line = std::stoul(got.wrong->substr(5));
  auto const lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  must(line >= 1 && line <= lines, "the line is one of the file");
}

void check_again(discovery::file_content const& got, std::string const& written, auto read) {
  auto const again = read(written, got.entries.size());
  must(!again.wrong && again.entries == got.entries, "what is written is read again");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);

  auto const hosts = discovery::read_hosts_file(text, entries_max);
  check_shape(hosts, text, entries_max);
  std::string written = "%\n"; // U+FEFF at the beginning of a file is none of a name
  for (auto const& host : hosts.entries) {
    must(discovery::is_host(host), "a host can stand in a name");
    written += "'" + host + "'.\n";
  }
  check_again(hosts, written, discovery::read_hosts_file);

  auto const nodes = discovery::read_node_file(text, entries_max);
  check_shape(nodes, text, entries_max);
  written = "#\n";
  for (auto const& node : nodes.entries) {
    must(discovery::is_node_name(node), "a node has a name");
    written += node + "\n";
  }
  check_again(nodes, written, discovery::read_node_file);
  return 0;
}
