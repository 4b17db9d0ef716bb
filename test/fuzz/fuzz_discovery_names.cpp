// Arbitrary bytes as addresses and hosts: one address has one text, and what becomes a node name is one.
#include "discovery/address.hpp"
#include "discovery/node_name.hpp"
#include "fuzz/fuzz.hpp"

#include <string_view>

using namespace remora;
using fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  if (auto const address = discovery::read_address(text)) {
    auto const written = discovery::write(*address);
    must(written.size() <= 45, "an address is short");
    auto const again = discovery::read_address(written);
    must(again && *again == *address && discovery::write(*again) == written, "it is read again as it was");
    must(discovery::make_node_name("app", text).has_value(), "an address can stand in a name");
  }
  if (auto const name = discovery::make_node_name("app", text)) {
    must(discovery::is_node_name(*name), "a name that is made is one");
    must(discovery::basename_of(*name) == "app", "it has its basename");
    must(discovery::make_node_name("app", discovery::host_of(*name)) == *name, "made again it is the same");
  }
  must(!discovery::is_host(text) || discovery::is_node_name("a@" + std::string(text)) || size > 250,
       "a host makes a name");
  return 0;
}
