// Arbitrary datagrams and messages to one core that knows a few members, between them time and connections. A
// first byte says what comes next, a second how long it is. What must hold: nothing aborts, members keep to
// their limit, packets to theirs, this node is never gone for itself, and a deadline that has come does not
// stay.
#include "fuzz/fuzz.hpp"
#include "swim/core.hpp"
#include "swim/envelope.hpp"
#include "swim/messages.hpp"
#include "swim/metadata.hpp"

#include "base/bytes.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;
using fuzz::must;

namespace {

constexpr std::size_t members_max = 6;

std::string node(std::uint8_t n) { return std::string(1, static_cast<char>('a' + n % 8)) + "@h"; }

void look_at(swim::core const& c, swim::effects const& out, swim::limits const& l) {
  for (auto const& e : out) {
    must(!swim::describe(e).empty(), "each effect has words");
    if (auto const* const s = std::get_if<swim::send_packet>(&e)) {
      must(s->bytes.size() + swim::envelope::overhead <= l.packet_bytes_max, "a packet keeps to its limit");
      swim::message m;
      std::vector<swim::update> updates;
      must(swim::read(s->bytes, l, m, updates), "what is sent is a message");
      std::string again;
      swim::write(again, m);
      for (auto const& u : updates) swim::write(again, u);
      must(again == s->bytes, "and is written as it was read");
    }
  }
  auto const all = c.members();
  must(all.size() <= members_max, "no more members than may be");
  auto const self = c.find("me@h");
  must(self && self->status != swim::status::dead && self->status != swim::status::suspect,
       "this node is not gone for itself");
  for (auto const& m : all) must(swim::read_metadata(m.metadata).has_value(), "metadata is what it says");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  swim::limits l;
  l.members_max = members_max;
  l.events_max = 3;
  l.relays_max = 3;
  l.suspectors_max = 2;
  swim::options o;
  o.interval = 100ms;
  o.expel = swim::expelling::dead;
  swim::core c({.node = "me@h", .creation = 1, .at = {.ip = {1}, .port = 1}}, o, swim::make_directory(), 1,
               l);
  base::time_point now{};
  swim::effects out;
  auto const handle = [&](swim::event const& e) {
    out.clear();
    c.handle(e, now, out);
    look_at(c, out, l);
  };
  handle(swim::start{{1'000}});
  base::cursor in({data, size});
  while (!in.rest().empty()) {
    auto const what = in.u8();
    auto const bytes = std::string(base::as_text(in.take(std::min<std::size_t>(in.u8(), in.rest().size()))));
    auto const by = static_cast<std::uint8_t>(what >> 3U);
    switch (what & 7U) {
    case 0:
    case 1: handle(swim::packet{bytes, {.ip = {2}, .port = 2}}); break;
    case 2: handle(swim::peer_message{node(by), bytes}); break;
    case 3: handle(swim::peer_up{node(by), static_cast<std::uint32_t>(bytes.size())}); break;
    case 4: handle(swim::peer_down{node(by), "lost"}); break;
    case 5: handle(swim::beam_answered{node(by), bytes.size()}); break;
    case 6: handle(swim::app_here{node(by)}); break;
    default: {
      auto const until = now + by * 50ms;
      for (int ticks = 0; c.next_deadline() && *c.next_deadline() <= until; ++ticks) {
        must(ticks < 5'000, "a deadline that has come does not stay");
        now = std::max(now, *c.next_deadline());
        handle(swim::tick{});
      }
      now = until;
    }
    }
  }
  return 0;
}
