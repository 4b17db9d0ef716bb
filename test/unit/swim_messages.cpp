// What members say to each other: golden bytes of each message, and what is none.
#include "base/bytes.hpp"
#include "swim/metadata.hpp"
#include "unit/swim_paper.hpp"

using namespace remora;
using swim::message_kind;
using swim::update_kind;
using paper = test::swim_paper;

namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  for (auto const b : base::as_bytes(bytes)) out += fmt::format("{:02x}", b);
  return out;
}

bool reads(std::string_view bytes, swim::limits l = {}) {
  swim::message m;
  std::vector<swim::update> updates;
  return swim::read(bytes, l, m, updates);
}

swim::message head(message_kind kind) {
  return {.kind = kind,
          .flags = 1,
          .sequence = 0x11223344,
          .node = "a@h",
          .epoch = 0x018bcfe56800,
          .incarnation = 2,
          .view = 0x0102030405060708,
          .target = "b@h",
          .at = test::paper_address(2)};
}
// version, kind, flags, sequence, name, epoch, incarnation, view
std::string const head_hex(std::string_view kind) {
  return fmt::format("01{}01112233440361406800000{}000000020102030405060708", kind, "18bcfe56800");
}

std::vector<swim::update> each_update() {
  swim::address v6;
  v6.ip = {0x20, 0x01, 0x0d, 0xb8};
  v6.ip[15] = 1;
  v6.port = 4369;
  return {
      {.what = update_kind::alive,
       .node = "b@h",
       .epoch = 5,
       .incarnation = 1,
       .creation = 3,
       .at = test::paper_address(2),
       .metadata = std::string_view("\x01k\x00\x01v", 5)},
      {.what = update_kind::alive, .node = "b@h", .at = v6},
      {.what = update_kind::alive, .node = "b@h"},
      {.what = update_kind::suspect, .node = "b@h", .epoch = 5, .incarnation = 1, .by = "a@h"},
      {.what = update_kind::dead, .node = "b@h", .epoch = 5, .incarnation = 1, .by = "a@h"},
      {.what = update_kind::left, .node = "b@h", .epoch = 5, .incarnation = 1},
      {.what = update_kind::held,
       .node = "b@h",
       .epoch = 5,
       .incarnation = 1,
       .creation = 3,
       .held = swim::status::dead},
      {.what = update_kind::beam,
       .node = "v@h",
       .epoch = 5,
       .creation = 3,
       .by = "a@h",
       .state = swim::reach::silent,
       .companion = true,
       .number = 9},
      {.what = update_kind::happening,
       .node = "a@h",
       .epoch = 5,
       .number = 7,
       .name = "go",
       .payload = "now"},
      {.what = update_kind::hearsay, .node = "b@h", .incarnation = 1, .held = swim::status::suspect},
  };
}

} // namespace

TEST_CASE("swim messages: golden bytes of each kind") {
  auto const of = [](message_kind kind) { return hex(paper::bytes_of(head(kind))); };
  CHECK(of(message_kind::ping) == head_hex("01") + "03624068");
  CHECK(of(message_kind::ack) == head_hex("02"));
  CHECK(of(message_kind::ping_req) == head_hex("03") + "03624068" + "040a0000020fa0");
  CHECK(of(message_kind::nack) == head_hex("04"));
  CHECK(of(message_kind::gossip) == head_hex("05"));
  CHECK(of(message_kind::hello) == head_hex("10"));
  CHECK(of(message_kind::hello_answer) == head_hex("11"));
  CHECK(of(message_kind::sync) == head_hex("12"));
  CHECK(of(message_kind::sync_answer) == head_hex("13"));
  CHECK(of(message_kind::fallback_ping) == head_hex("14"));
  CHECK(of(message_kind::fallback_ack) == head_hex("15"));
  CHECK(of(message_kind::rumours) == head_hex("16"));
}

TEST_CASE("swim messages: golden bytes of each update") {
  test::lines got;
  for (auto const& u : each_update()) {
    std::string out;
    swim::write(out, u);
    got.push_back(hex(out));
  }
  CHECK(got == test::lines{
                   "01036240680000000000000005"
                   "0000000100000003040a0000020fa00005016b000176",
                   "010362406800000000000000000000000000000000"
                   "0620010db80000000000000000000000011111"
                   "0000",
                   "01036240680000000000000000000000000000000000"
                   "0000",
                   "0203624068000000000000000500000001"
                   "03614068",
                   "0303624068000000000000000500000001"
                   "03614068",
                   "0403624068000000000000000500000001",
                   "0502036240680000000000000005000000010000000300"
                   "0000",
                   "06037640680000000301010361406800000000000000050000"
                   "0009",
                   "070361406800000000000000050000000702676f00036e6f77",
                   "080362406801"
                   "00000001",
               });
}

TEST_CASE("swim messages: what is written is read") {
  for (auto const kind : {message_kind::ping, message_kind::ack, message_kind::ping_req, message_kind::nack,
                          message_kind::gossip, message_kind::hello, message_kind::hello_answer,
                          message_kind::sync, message_kind::sync_answer, message_kind::fallback_ping,
                          message_kind::fallback_ack, message_kind::rumours}) {
    bool const datagram = kind <= message_kind::gossip;
    auto all = each_update();
    if (datagram)
      std::erase_if(
          all, [](auto const& u) { return u.what == update_kind::held || u.what == update_kind::hearsay; });
    auto const bytes = paper::bytes_of(head(kind), all);
    swim::message m;
    std::vector<swim::update> updates;
    REQUIRE(swim::read(bytes, {}, m, updates));
    CHECK(paper::bytes_of(m, updates) == bytes);
    CHECK(swim::describe_message(bytes).starts_with(std::string(swim::name_of(kind))));
    for (std::size_t size = 0; size < bytes.size(); ++size) { // a part of it is read as less, or not at all
      auto const part = bytes.substr(0, size);
      if (swim::read(part, {}, m, updates)) CHECK(paper::bytes_of(m, updates) == part);
    }
    CHECK_FALSE(reads(bytes + "x"));
  }
}

TEST_CASE("swim messages: what is no message") {
  auto const good = [](auto change) {
    auto m = head(message_kind::ping);
    change(m);
    return paper::bytes_of(m);
  };
  CHECK(reads(good([](auto&) {})));
  CHECK_FALSE(reads(""));
  CHECK_FALSE(reads(good([](auto& m) { m.node = ""; })));
  CHECK_FALSE(reads(good([](auto& m) { m.node = "a\n@h"; })));
  CHECK_FALSE(reads(good([](auto& m) { m.node = "\xff@h"; })));
  CHECK_FALSE(reads(good([](auto& m) { m.target = ""; })));
  CHECK_FALSE(reads(good([](auto& m) { m.epoch = swim::epoch_max + 1; })));
  CHECK(reads(good([](auto& m) { m.epoch = swim::epoch_max; })));
  auto bytes = good([](auto&) {});
  bytes[0] = 2;
  CHECK_FALSE(reads(bytes));
  for (int kind = 0; kind < 256; ++kind) {
    bytes = paper::bytes_of(head(message_kind::ack));
    bytes[1] = static_cast<char>(kind);
    bool const known = (kind >= 4 && kind <= 5) || kind == 2 || (kind >= 16 && kind <= 22);
    CHECK(reads(bytes) == known); // ping and ping_req want a target
  }
}

TEST_CASE("swim messages: what is no update") {
  auto const with = [](swim::update const& u) { return paper::bytes_of(head(message_kind::gossip), {u}); };
  CHECK(reads(with(paper::alive("b@h"))));
  auto bad = paper::alive("b@h");
  bad.metadata = "x";
  CHECK_FALSE(reads(with(bad)));
  bad.metadata = std::string_view("\x01k\x00\x01v\x01k\x00\x01v", 10); // a key twice
  CHECK_FALSE(reads(with(bad)));
  bad = paper::alive("b@h");
  bad.epoch = swim::epoch_max + 1;
  CHECK_FALSE(reads(with(bad)));
  CHECK_FALSE(reads(with(paper::alive(""))));
  CHECK_FALSE(reads(with(paper::suspect("b@h", 0, ""))));
  CHECK_FALSE(reads(with({.what = update_kind::held, .node = "b@h"})));    // not in a datagram
  CHECK_FALSE(reads(with({.what = update_kind::hearsay, .node = "b@h"}))); // neither
  auto bytes = with({.what = update_kind::left, .node = "b@h"});
  auto const at = paper::bytes_of(head(message_kind::gossip)).size();
  bytes[at] = 9;
  CHECK_FALSE(reads(bytes));
  bytes[at] = 0;
  CHECK_FALSE(reads(bytes));
}

TEST_CASE("swim messages: limits of what is read") {
  swim::limits l;
  l.name_bytes_max = 10;
  l.metadata_bytes_max = 20;
  l.event_bytes_max = 8;
  auto const with = [](swim::update const& u) { return paper::bytes_of(head(message_kind::gossip), {u}); };
  CHECK(reads(with(paper::alive("12345678@h")), l));
  CHECK_FALSE(reads(with(paper::alive("123456789@h")), l));
  auto const sized = [](std::size_t value) { return swim::write_metadata({{"k", std::string(value, 'v')}}); };
  auto u = paper::alive("b@h");
  auto const fits = sized(16);
  u.metadata = fits;
  CHECK(reads(with(u), l));
  auto const more = sized(17);
  u.metadata = more;
  CHECK_FALSE(reads(with(u), l));
  CHECK(reads(with({.what = update_kind::happening, .node = "a@h", .name = "1234", .payload = "5678"}), l));
  CHECK_FALSE(
      reads(with({.what = update_kind::happening, .node = "a@h", .name = "1234", .payload = "56789"}), l));
}

TEST_CASE("swim metadata: sorted pairs, each key once") {
  swim::metadata const m = {{"", "empty"}, {"role", "worker"}, {"zone", ""}};
  auto const bytes = swim::write_metadata(m);
  CHECK(hex(bytes) == "000005656d70747904726f6c650006776f726b6572047a6f6e650000");
  CHECK(swim::read_metadata(bytes) == m);
  CHECK(swim::read_metadata("") == swim::metadata{});
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    auto const part = swim::read_metadata(std::string_view(bytes).substr(0, size));
    if (part) CHECK(swim::write_metadata(*part) == bytes.substr(0, size));
  }
  CHECK_FALSE(swim::read_metadata(std::string_view("\x01z\x00\x00\x01"
                                                   "a\x00\x00",
                                                   8)));
  CHECK_FALSE(swim::read_metadata(std::string_view("\x01z\x00\x00\x01z\x00\x00", 8)));
  CHECK_FALSE(swim::read_metadata(std::string_view("\x01\xff\x00\x00", 4)));
}

TEST_CASE("swim: addresses as text") {
  CHECK(swim::describe(swim::address{}) == "nowhere");
  CHECK(swim::describe(test::paper_address(7)) == "10.0.0.7:4000");
  auto const six = [](std::initializer_list<unsigned> groups) {
    swim::address out;
    std::size_t i = 0;
    for (auto const g : groups) {
      out.ip.at(i++) = static_cast<std::uint8_t>(g >> 8U);
      out.ip.at(i++) = static_cast<std::uint8_t>(g);
    }
    out.port = 1;
    return swim::describe(out);
  };
  CHECK(six({0xfd00, 0, 0, 0, 0, 0, 0, 1}) == "[fd00::1]:1");
  CHECK(six({0, 0, 0, 0, 0, 0, 0, 1}) == "[::1]:1");
  CHECK(six({1, 2, 3, 4, 5, 6, 7, 8}) == "[1:2:3:4:5:6:7:8]:1");
  CHECK(six({1, 0, 0, 4, 0, 0, 0, 8}) == "[1:0:0:4::8]:1");
  CHECK(six({1, 0, 3, 4, 5, 6, 7, 8}) == "[1:0:3:4:5:6:7:8]:1");
  CHECK(six({1, 0, 0, 0, 0, 0, 0, 0}) == "[1::]:1");
}

TEST_CASE("swim: options that are wrong are named") {
  using namespace std::chrono_literals;
  auto const wrong = [](auto change) {
    swim::options o;
    change(o);
    auto const w = swim::find_wrong(o);
    if (w) CHECK_FALSE(w->text.empty());
    return w ? w->key : std::string();
  };
  CHECK(wrong([](auto&) {}) == "");
  CHECK(wrong([](auto& o) { o.interval = 19ms; }) == "interval");
  CHECK(wrong([](auto& o) { o.interval = 20ms; }) == "");
  CHECK(wrong([](auto& o) { o.interval = 1h + 1ns; }) == "interval");
  CHECK(wrong([](auto& o) { o.probe_timeout = 801ms; }) == "probe_timeout");
  CHECK(wrong([](auto& o) { o.probe_timeout = 800ms; }) == "");
  CHECK(wrong([](auto& o) { o.probe_timeout = 1us; }) == "probe_timeout");
  CHECK(wrong([](auto& o) { o.probe_timeout = -1ns; }) == "probe_timeout");
  CHECK(wrong([](auto& o) { o.indirect_probes = 17; }) == "indirect_probes");
  CHECK(wrong([](auto& o) { o.indirect_probes = 0; }) == "");
  CHECK(wrong([](auto& o) { o.suspicion_min = 25h; }) == "suspicion_min");
  CHECK(wrong([](auto& o) { o.suspicion_min = -1s; }) == "suspicion_min");
  CHECK(wrong([](auto& o) { o.suspicion_max_factor = 0; }) == "suspicion_max_factor");
  CHECK(wrong([](auto& o) { o.suspicion_max_factor = 101; }) == "suspicion_max_factor");
  CHECK(wrong([](auto& o) { o.sync_interval = 999ms; }) == "sync_interval");
  CHECK(wrong([](auto& o) { o.sync_interval = 25h; }) == "sync_interval");
}
