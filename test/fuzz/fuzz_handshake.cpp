// Arbitrary bytes as the other side of a handshake, in both roles: u8 role and decisions, then what arrives,
// in pieces of u8 length. Without the cookie nobody gets in; nothing is written that was not asked for, and
// whoever is refused is not heard any more.
#include "dist/connection.hpp"
#include "dist/flags.hpp"
#include "fuzz/fuzz.hpp"

using namespace remora;
using fuzz::must;

namespace {

// Nobody can prove this one by chance; the digests of the corpus are over others.
dist::handshake_config config() {
  return {.our_name = "us@127.0.0.1",
          .creation = 7,
          .flags = dist::flag::ours,
          .cookie = "of-which-no-input-knows",
          .challenge = 12345,
          .setup_time = std::chrono::seconds(7)};
}

void answer(dist::connection& c, std::uint8_t choice, base::time_point now) {
  using dist::status;
  static constexpr status all[] = {status::ok,  status::ok_simultaneous, status::alive,
                                   status::nok, status::not_allowed,     status::named};
  auto const with = all[choice % std::size(all)];
  c.decide(with, now, with == status::named ? "given@127.0.0.1" : "", 99);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  base::cursor in({data, size});
  auto const choice = in.u8();
  base::time_point now{};
  auto machine = (choice & 1U) != 0 ? dist::handshake::initiate(config(), "them@127.0.0.1", now)
                                    : dist::handshake::accept(config(), now);
  dist::connection c(std::move(machine), {}, now);
  while (in.ok() && !in.rest().empty()) {
    std::size_t const length = in.u8();
    auto const piece = in.take(std::min(length, in.rest().size()));
    auto const room = c.input_room();
    must(room.size() >= piece.size(), "there is room for a piece");
    if (!piece.empty()) std::memcpy(room.data(), piece.data(), piece.size());
    c.received(piece.size(), now);
    while (auto e = c.next(now)) {
      must(!std::holds_alternative<dist::handshake::up>(*e) &&
               !std::holds_alternative<dist::handshake::authenticated>(*e),
           "nobody gets in without the cookie");
      must(!std::holds_alternative<dist::signal>(*e), "no signal before the handshake is over");
      if (std::holds_alternative<dist::connection::closed>(*e)) {
        must(!c.next(now), "nothing follows the end");
        return 0;
      }
      if (std::holds_alternative<dist::handshake::lost_race>(*e)) return 0;
      if (std::holds_alternative<dist::handshake::named>(*e)) answer(c, choice >> 1U, now);
    }
    must(c.out().bytes() < 4096, "a handshake writes little");
  }
  auto const late = c.wake(now + std::chrono::seconds(8));
  must(!c.next_deadline() || late.has_value(), "who is silent is closed");
  return 0;
}
