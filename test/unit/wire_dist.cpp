// Whole conversations of real nodes (test/wire/dist_25.txt, dist_27.txt; record_dist.escript): what epmd and
// the nodes said is read, what remora would have said in their place is the same bytes, and what every frame
// carried is kept as text beside the recording (REMORA_REWRITE=1 writes it anew).
#include "dist/control.hpp"
#include "dist/epmd.hpp"
#include "dist/flags.hpp"
#include "dist/handshake.hpp"
#include "dist/inbound.hpp"
#include "etf/print.hpp"
#include "support/signals.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;

namespace {

struct line {
  std::string who;
  std::string what;
  std::string bytes;
};

std::string file(std::string const& name) { return std::string(REMORA_SOURCE_DIR) + "/test/wire/" + name; }

// Hex between commas, runs as HH*count.
std::string unpack(std::string const& text) {
  std::string out;
  std::istringstream pieces(text);
  for (std::string piece; std::getline(pieces, piece, ',');) {
    auto const star = piece.find('*');
    std::string plain;
    for (std::size_t i = 0; i + 1 < std::min(star, piece.size()); i += 2)
      plain.push_back(static_cast<char>(std::stoi(piece.substr(i, 2), nullptr, 16)));
    out += star == std::string::npos ? plain : std::string(std::stoul(piece.substr(star + 1)), plain[0]);
  }
  return out;
}

std::vector<line> conversation(int release) {
  std::vector<line> out;
  std::ifstream in(file(fmt::format("dist_{}.txt", release)));
  for (std::string text; std::getline(in, text);) {
    auto const first = text.find('\t');
    auto const second = text.find('\t', first + 1);
    out.push_back(
        {text.substr(0, first), text.substr(first + 1, second - first - 1), unpack(text.substr(second + 1))});
  }
  REQUIRE(out.size() > 50);
  return out;
}

std::vector<std::string> of(std::vector<line> const& all, std::string_view who, std::string_view what) {
  std::vector<std::string> out;
  for (auto const& l : all)
    if (l.who == who && l.what == what) out.push_back(l.bytes);
  return out;
}

std::string text(base::buffer const& b) { return std::string(base::as_text(b.view())); }
std::uint32_t u32(std::string const& bytes, std::size_t at) {
  return base::load_be<std::uint32_t>(base::as_bytes(bytes).data() + at);
}
std::string sized(std::string const& body) {
  return std::string{static_cast<char>(body.size() >> 8U), static_cast<char>(body.size())} + body;
}

// The control message as remora writes it; empty for what it never writes.
struct written {
  etf::builder b;
  static etf::pid pid(etf::view v) { return *v.as_pid(); }
  static etf::reference ref(etf::view v) { return *v.as_reference(); }

  void operator()(dist::link const& m) { dist::write::link(b, pid(m.from), pid(m.to)); }
  void operator()(dist::send const& m) { dist::write::send_sender(b, pid(m.from), pid(m.to)); }
  void operator()(dist::exit const& m) {
    dist::write::exit(b, pid(m.from), pid(m.to), m.reason, m.reason.empty());
  }
  void operator()(dist::exit2 const& m) {
    dist::write::exit2(b, pid(m.from), pid(m.to), m.reason, m.reason.empty());
  }
  void operator()(dist::unlink const& m) { dist::write::unlink(b, pid(m.from), pid(m.to)); }
  void operator()(dist::reg_send const& m) { dist::write::reg_send(b, pid(m.from), *m.name.atom_text()); }
  void operator()(dist::group_leader const& m) { dist::write::group_leader(b, pid(m.leader), pid(m.to)); }
  void operator()(dist::monitor_p const& m) { dist::write::monitor_p(b, pid(m.from), m.target, ref(m.ref)); }
  void operator()(dist::demonitor_p const& m) {
    dist::write::demonitor_p(b, pid(m.from), m.target, ref(m.ref));
  }
  void operator()(dist::monitor_p_exit const& m) {
    dist::write::monitor_p_exit(b, m.source, pid(m.to), ref(m.ref), m.reason, m.reason.empty());
  }
  void operator()(dist::spawn_request const& m) {
    dist::write::spawn_request(b, ref(m.req), pid(m.from), pid(m.leader), *m.module.atom_text(),
                               *m.function.atom_text(), m.arity, m.options);
  }
  void operator()(dist::spawn_reply const& m) {
    dist::write::spawn_reply(b, ref(m.req), pid(m.to), m.flags, m.result);
  }
  void operator()(dist::alias_send const& m) { dist::write::alias_send(b, pid(m.from), ref(m.alias)); }
  void operator()(dist::unlink_id const& m) { dist::write::unlink_id(b, m.id, pid(m.from), pid(m.to)); }
  void operator()(dist::unlink_id_ack const& m) {
    dist::write::unlink_id_ack(b, m.id, pid(m.from), pid(m.to));
  }
};

void check_epmd(std::vector<line> const& all) {
  for (auto const* const who : {"a", "b"}) {
    auto const request = of(all, who, "alive2").at(0);
    auto const port = base::load_be<std::uint16_t>(base::as_bytes(request).data() + 3);
    CHECK(text(dist::epmd::alive_request(port, who)) == request);
  }
  auto const creations = of(all, "epmd", "alive2");
  for (auto const& answer : creations)
    CHECK(**dist::epmd::read_alive_answer(base::as_bytes(answer)) == u32(answer, 2));
  CHECK(text(dist::epmd::port_request("b")) == of(all, "a", "port").at(0));
  auto const registered =
      base::load_be<std::uint16_t>(base::as_bytes(of(all, "b", "alive2").at(0)).data() + 3);
  CHECK(**dist::epmd::read_port_answer(base::as_bytes(of(all, "epmd", "port").at(0)), true) == registered);
  CHECK(text(dist::epmd::names_request()) == of(all, "a", "names").at(0));
  auto names = *dist::epmd::read_names_answer(base::as_bytes(of(all, "epmd", "names").at(0)));
  REQUIRE(names.size() == 2);
  std::sort(names.begin(), names.end(), [](auto const& x, auto const& y) { return x.name < y.name; });
  CHECK(names[0].name == "a");
  CHECK(names[1] == dist::epmd::registered_name{"b", registered});
}

// remora in the place of each of the two, given what the other said: it says the same.
void check_handshake(std::vector<line> const& all) {
  auto const a = of(all, "a", "hs"); // N, r
  auto const b = of(all, "b", "hs"); // s, N, a
  REQUIRE(a.size() == 2);
  REQUIRE(b.size() == 3);
  auto const config = [](std::string name, std::uint32_t creation, std::uint32_t challenge) {
    return dist::handshake_config{.our_name = std::move(name),
                                  .creation = creation,
                                  .flags = dist::flag::ours,
                                  .cookie = "golden",
                                  .challenge = challenge,
                                  .setup_time = 7s};
  };
  auto const feed = [](dist::handshake& h, std::string const& body) {
    std::size_t used = 0;
    auto out = h.read(base::as_bytes(sized(body)), used, {});
    CHECK(used == body.size() + 2);
    return out;
  };
  auto const said = [](dist::handshake& h) {
    auto out = text(h.output());
    h.output().clear();
    return out;
  };
  auto first =
      dist::handshake::initiate(config("a@127.0.0.1", u32(a[0], 9), u32(a[1], 1)), "b@127.0.0.1", {});
  CHECK(said(first) == sized(a[0]));
  CHECK_FALSE(feed(first, b[0]));
  CHECK_FALSE(feed(first, b[1]));
  CHECK(said(first) == sized(a[1]));
  auto const up = feed(first, b[2]);
  REQUIRE(up.has_value());
  CHECK(std::get<dist::handshake::up>(*up).flags == dist::flag::ours);

  auto second = dist::handshake::accept(config("b@127.0.0.1", u32(b[1], 13), u32(b[1], 9)), {});
  auto const named = feed(second, a[0]);
  REQUIRE(named.has_value());
  CHECK(std::get<dist::handshake::named>(*named).name == "a@127.0.0.1");
  second.decide(dist::status::ok, {});
  CHECK(said(second) == sized(b[0]) + sized(b[1]));
  auto const proved = feed(second, a[1]);
  REQUIRE(proved.has_value());
  CHECK(std::holds_alternative<dist::handshake::authenticated>(*proved));
  second.proceed();
  CHECK(said(second) == sized(b[2]));
}

// What all frames said, in the order of their arrival, and how often each kind came.
std::string check_frames(std::vector<line> const& all, std::map<std::size_t, int>& kinds) {
  std::map<std::string, dist::inbound> in;
  std::map<std::string, test::plain_inbound> plain;
  for (auto const* const who : {"a", "b"}) {
    in.emplace(who, dist::inbound(dist::flag::ours, {}));
    plain.emplace(who, etf::term_limits{});
  }
  std::string out;
  for (auto const& l : all) {
    if (l.what == "tick") out += l.who + " tick\n";
    if (l.what != "frame") continue;
    auto& reader = in.at(l.who);
    auto const signal = reader.read(base::as_bytes(l.bytes), {});
    REQUIRE_MESSAGE(signal.has_value(), describe(signal.error().why), ": ", signal.error().detail);
    CHECK(plain.at(l.who).read(base::as_bytes(l.bytes)) ==
          (*signal ? test::as_text((*signal)->control, (*signal)->payload) : ""));
    if (!*signal) {
      out += l.who + " part\n";
      continue;
    }
    auto const& s = **signal;
    ++kinds[s.control.index()];
    written w;
    std::visit(w, s.control);
    etf::view const control(w.b.bytes());
    out += fmt::format("{} {}", l.who, etf::print(control));
    if (!s.payload.empty()) out += " | " + etf::print(s.payload, {.bytes_max = 400});
    out += "\n";
    CHECK(etf::is_one_term(control.bytes()));
    // Written again it is read as the same.
    dist::inbound again(dist::flag::ours, {});
    auto const frame = std::string("\x83\x44\0", 3) + std::string(base::as_text(control.bytes())) +
                       std::string(base::as_text(s.payload.bytes().view()));
    auto const back = again.read(base::as_bytes(frame), {});
    REQUIRE(back.has_value());
    REQUIRE(back->has_value());
    CHECK((*back)->control.index() == s.control.index());
    CHECK((*back)->payload == s.payload);
  }
  for (auto const& [who, reader] : in) CHECK(reader.fragmented() == 0);
  return out;
}

void check_release(int release) {
  auto const all = conversation(release);
  check_epmd(all);
  check_handshake(all);
  std::map<std::size_t, int> kinds;
  auto const now = check_frames(all, kinds);
  // link, send, exit, reg_send, group_leader, exit2, monitors, spawns, unlinks: all that these releases send
  // each other
  for (std::size_t const kind : {0U, 1U, 2U, 4U, 5U, 6U, 7U, 8U, 9U, 10U, 11U, 13U, 14U}) {
    CAPTURE(kind);
    CHECK(kinds[kind] > 0);
  }
  if (release == 27) CHECK(kinds[12] > 0); // its servers answer aliases
  auto const kept = file(fmt::format("dist_{}.decoded.txt", release));
  if (std::getenv("REMORA_REWRITE") != nullptr) std::ofstream(kept) << now; // NOLINT(concurrency-mt-unsafe)
  std::ifstream in(kept);
  std::stringstream before;
  before << in.rdbuf();
  CHECK(now == before.str());
}

} // namespace

TEST_CASE("a conversation of two nodes of OTP 25") { check_release(25); }
TEST_CASE("a conversation of two nodes of OTP 27") { check_release(27); }
