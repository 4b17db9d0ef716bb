// Arbitrary frame bodies on one connection, with and without header: u8 kind of connection, then u16 length
// and body of one frame after the other. What is delivered is canonical, what is kept stays within its
// limits, and the first wrong frame is the last one that is looked at.
#include "dist/flags.hpp"
#include "dist/inbound.hpp"
#include "fuzz/fuzz.hpp"
#include "support/signals.hpp"

using namespace remora;
using fuzz::must;

namespace {

constexpr dist::inbound_limits limits{.term = {.depth_max = 64, .items_max = 4096, .bytes_max = 1U << 20U},
                                      .frame_bytes_max = 1U << 16U,
                                      .message_bytes_max = 1U << 14U,
                                      .fragmented_bytes_max = 1U << 15U,
                                      .fragmented_max = 8};

void check_delivered(dist::signal const& s) {
  if (s.payload.empty()) return;
  etf::reader reader;
  auto const size = reader.validate(s.payload->bytes(), {});
  must(size && *size == s.payload.size() && reader.canonical(), "a delivered payload is one canonical term");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  base::cursor in({data, size});
  bool const header = (in.u8() & 1U) != 0;
  auto const flags = header ? dist::flag::ours
                            : dist::flag::ours & ~(dist::flag::dist_hdr_atom_cache | dist::flag::fragments);
  dist::inbound inbound(flags, limits);
  test::plain_inbound plain(limits.term); // what repeats it reads anew each time
  base::time_point now{};
  while (in.ok() && !in.rest().empty()) {
    std::size_t const length = in.u16();
    auto const body = in.take(std::min(length, in.rest().size()));
    now += std::chrono::milliseconds(1);
    auto const read = inbound.read(body, now);
    auto const expected = header ? plain.read(body) : std::nullopt;
    must(inbound.fragmented_bytes() <= limits.fragmented_bytes_max,
         "half-received messages stay within their limit");
    must(inbound.fragmented() <= limits.fragmented_max, "and within their number");
    if (!read) {
      must(!describe(read.error().why).empty(), "an error says something");
      must(!expected || read.error().why == dist::frame_error::fragments_limit, "what is refused is wrong");
      return 0;
    }
    if (*read) check_delivered(**read);
    must(!header || expected, "what is wrong is refused");
    must(!header || *expected == (*read ? test::as_text((*read)->control, (*read)->payload) : ""),
         "read as if anew");
  }
  return 0;
}
