// Arbitrary bytes as answers of epmd, whole and in pieces.
#include "dist/epmd.hpp"
#include "fuzz/fuzz.hpp"

using namespace remora;
using fuzz::must;

namespace {

void check_names(base::bytes_view answer) {
  auto const names = dist::epmd::read_names_answer(answer);
  if (!names) return;
  for (auto const& n : *names) must(!n.name.empty(), "a registered name has characters");
}

void check_port(base::bytes_view answer) {
  auto const early = dist::epmd::read_port_answer(answer, false);
  auto const late = dist::epmd::read_port_answer(answer, true);
  must(late.has_value(), "at the end there is an answer");
  must(!early || early->has_value() == late->has_value(), "more time does not change it");
  if (*late) must(**late != 0, "a port is not 0");
}

// The registration never says two things at once, and asks again only after its pause.
void check_registration(base::bytes_view bytes) {
  dist::epmd::registration r("name", 4711);
  std::vector<dist::epmd::registration::effect> effects;
  base::time_point now{};
  r.start(effects);
  r.connected(now, effects);
  effects.clear();
  for (auto const byte : bytes) {
    r.received({&byte, 1}, now, effects);
    must(effects.size() <= 2, "an answer has one outcome");
  }
  bool const refused = !effects.empty() && !r.alive();
  r.closed(now, effects);
  must(refused || r.next_deadline() == now + std::chrono::seconds(2),
       "a lost registration is tried again in 2 s");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  base::bytes_view const bytes(data, size);
  auto const creation = dist::epmd::read_alive_answer(bytes);
  if (creation && *creation) must(**creation != 0, "a creation is not 0");
  check_port(bytes);
  check_names(bytes);
  check_registration(bytes);
  return 0;
}
