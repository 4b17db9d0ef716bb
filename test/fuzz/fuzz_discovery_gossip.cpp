// Arbitrary datagrams to a member of a multicast group: a byte of time and a byte of length before each. A
// proof of zeros is right here, so that what is behind the signature is reached too.
#include "discovery/gossip.hpp"
#include "discovery/node_name.hpp"
#include "fuzz/fuzz.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <vector>

using namespace remora;
using fuzz::must;
using outcome = discovery::gossip::outcome;

namespace {

constexpr std::size_t members_max = 4;
constexpr std::int64_t noon = 1'000'000;

discovery::signer zeros() {
  return {[](std::string_view, base::bytes_view) { return discovery::signature{}; },
          [](std::string_view, base::bytes_view, base::bytes_view proof) {
            return proof.size() == 32 &&
                   std::all_of(proof.begin(), proof.end(), [](std::uint8_t b) { return b == 0; });
          }};
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  discovery::gossip g(
      {.node = "me@h", .boot_id = 7, .secret = "s", .members_max = members_max, .packet_bytes_max = 200},
      zeros(), 1);
  base::time_point now{};
  std::multiset<std::string> members;
  std::vector<std::string> taken;
  base::cursor in({data, size});
  while (!in.rest().empty()) {
    now += std::chrono::seconds(in.u8());
    auto const bytes = in.take(std::min<std::size_t>(in.u8(), in.rest().size()));
    auto const unix_ms = noon + now.time_since_epoch() / std::chrono::milliseconds(1);
    for (auto const& gone : g.expired(now)) must(members.erase(gone) == 1, "who is gone was a member");
    std::string const packet(base::as_text(bytes));
    auto const heard = g.receive(packet, now, unix_ms);
    if (heard.what == outcome::joined || heard.what == outcome::known) {
      must(discovery::is_node_name(heard.node) && heard.node != "me@h",
           "a member has a name, and is not this node");
      must(members.contains(heard.node) == (heard.what == outcome::known), "who joins was none");
      if (heard.what == outcome::joined) members.insert(heard.node);
      must(g.receive(packet, now, unix_ms).what == outcome::repeated, "a packet counts once");
      taken.push_back(packet);
    } else {
      must(heard.node.empty(), "who is refused is no member");
    }
    must(g.size() <= members_max, "no more members than may be");
  }
  for (auto const& packet : taken) {
    auto const unix_ms = noon + now.time_since_epoch() / std::chrono::milliseconds(1);
    auto const again = g.receive(packet, now, unix_ms).what;
    must(again == outcome::repeated || again == outcome::clock || again == outcome::full,
         "nothing is played again");
  }
  return 0;
}
