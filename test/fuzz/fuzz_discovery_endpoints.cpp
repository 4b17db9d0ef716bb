// Arbitrary bytes as the API server's answer: the first byte chooses status and addressing, the rest is the
// body.
#include "discovery/endpoints.hpp"
#include "discovery/node_name.hpp"
#include "fuzz/fuzz.hpp"

#include <array>
#include <string>

using namespace remora;
using fuzz::must;

namespace {

constexpr std::size_t nodes_max = 64;
constexpr std::array<unsigned, 5> statuses = {200, 200, 401, 404, 503};

void check_all(discovery::endpoints const& got) {
  must(got.nodes.size() <= nodes_max, "no more nodes than may be");
  for (auto const& node : got.nodes) must(discovery::is_node_name(node), "what is listed is a node name");
  if (got.trouble) must(!got.trouble->text.empty(), "what is wrong is said");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  discovery::kubernetes k{.basename = "app", .ns = "prod"};
  k.how = static_cast<discovery::addressing>(data[0] % 3);
  discovery::document d{statuses.at(data[0] / 3 % statuses.size()),
                        std::string(reinterpret_cast<char const*>(data) + 1, size - 1)};
  auto const got = discovery::read_endpoints(k, "app", d, nodes_max);
  check_all(got);
  must(d.status == 200 || (got.nodes.empty() && got.trouble), "only 200 is an answer");
  if (got.trouble) return 0;

  // A complete document has kind and braces; less of it is never complete.
  while (!d.body.empty() && d.body.back() != '}') d.body.pop_back();
  must(!d.body.empty(), "a document is an object");
  d.body.pop_back();
  auto const cut = discovery::read_endpoints(k, "app", d, nodes_max);
  must(cut.trouble.has_value(), "a truncated document is not complete");
  return 0;
}
