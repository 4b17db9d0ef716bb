#include "raft/messages.hpp"

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/overload.hpp"
#include "base/utf8.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace remora::raft::wire {

namespace {

constexpr std::string_view magic = "RE\x01";
constexpr base::duration time_max = std::chrono::hours(1);
constexpr std::uint64_t token_end = std::uint64_t{1} << 59U;
constexpr std::size_t node_bytes_max = 255;
constexpr std::uint64_t ballot_max = std::uint64_t{1} << 60U; // there is always a greater one

template <class Int>
void put_be(std::string& out, Int v) {
  std::array<std::uint8_t, sizeof v> at{};
  base::store_be(at.data(), v);
  out.append(base::as_text(at));
}

} // namespace

// ---- fields

void writer::u16(std::size_t v) {
  base::check(v <= 0xffff, "election: a length fits");
  put_be(bytes_, static_cast<std::uint16_t>(v));
}
void writer::u32(std::uint32_t v) { put_be(bytes_, v); }
void writer::u64(std::uint64_t v) { put_be(bytes_, v); }
void writer::time(base::duration d) { u64(d.count() < 0 ? 0 : static_cast<std::uint64_t>(d.count())); }
void writer::text(std::string_view t) {
  u16(t.size());
  bytes_ += t;
}
void writer::put(configuration const& c) {
  u64(c.cluster);
  u64(c.term);
  u64(c.version);
  u16(c.voters.size());
  for (auto const& v : c.voters) {
    text(v.node);
    u64(v.instance);
  }
}
void writer::put(ballot const& b) {
  u64(b.number);
  text(b.node);
}

std::string_view reader::take(std::size_t count) {
  if (!ok_ || count > left_.size()) {
    ok_ = false;
    left_ = {};
    return {};
  }
  auto const out = left_.substr(0, count);
  left_.remove_prefix(count);
  return out;
}
std::uint8_t reader::u8() {
  auto const t = take(1);
  return ok_ ? static_cast<std::uint8_t>(t[0]) : std::uint8_t{0};
}
std::uint16_t reader::u16() {
  auto const t = take(2);
  return ok_ ? base::load_be<std::uint16_t>(base::as_bytes(t).data()) : std::uint16_t{0};
}
std::uint32_t reader::u32() {
  auto const t = take(4);
  return ok_ ? base::load_be<std::uint32_t>(base::as_bytes(t).data()) : 0U;
}
std::uint64_t reader::u64() {
  auto const t = take(8);
  return ok_ ? base::load_be<std::uint64_t>(base::as_bytes(t).data()) : 0U;
}
bool reader::flag() {
  auto const v = u8();
  if (v > 1) fail();
  return v == 1;
}
base::duration reader::time() {
  auto const v = u64();
  if (v > static_cast<std::uint64_t>(time_max.count())) fail();
  return ok_ ? base::duration(static_cast<base::duration::rep>(v)) : base::duration{};
}
std::string reader::text(std::size_t max, bool may_be_empty) {
  auto const size = u16();
  if (size > max || (size == 0 && !may_be_empty)) fail();
  std::string out(take(size));
  if (!base::is_utf8(out)) fail();
  return out;
}
std::string reader::node(bool may_be_empty) {
  auto out = text(node_bytes_max, may_be_empty);
  if (!out.empty() && out.find('@') == std::string::npos) fail();
  return out;
}
raft::term reader::term() {
  auto const t = u64();
  if (t > limits_.term_max) fail();
  return t;
}
configuration reader::config(bool may_be_none) {
  configuration c;
  c.cluster = u64();
  c.term = term();
  c.version = u64();
  auto const count = u16();
  if (c.version > limits_.version_max || count > limits_.voters_max) fail();
  for (std::size_t i = 0; ok_ && i < count; ++i) {
    auto name = node();
    auto const instance = u64();
    if (!c.voters.empty() && c.voters.back().node >= name) fail(); // sorted, each once
    c.voters.push_back({std::move(name), instance});
  }
  bool const none = c.cluster == 0;
  if (none ? !may_be_none || c != configuration{} : c.voters.empty() || c.version == 0) fail();
  return c;
}
raft::ballot reader::ballot() {
  raft::ballot b;
  b.number = u64();
  b.node = node(true);
  if (b.node.empty() != (b.number == 0) || b.number > ballot_max) fail();
  return b;
}

// ---- messages

namespace {

void put(writer& w, stamp const& s) {
  w.u64(s.term);
  w.u64(s.version);
}
stamp read_stamp(reader& r) {
  stamp s;
  s.term = r.term();
  s.version = r.u64();
  if (s.version > r.limit().version_max) r.fail();
  return s;
}
void put(writer& w, session const& s) {
  w.u64(s.id);
  w.u64(s.sequence);
}
session read_session(reader& r) {
  session s;
  s.id = r.u64();
  s.sequence = r.u64();
  return s;
}
void put(writer& w, std::optional<configuration> const& c) {
  w.flag(c.has_value());
  if (c) w.put(*c);
}
std::optional<configuration> read_optional(reader& r) {
  if (!r.flag()) return std::nullopt;
  return r.config(false);
}
std::uint64_t read_token(reader& r) {
  auto const t = r.u64();
  if (t >= token_end) r.fail();
  return t;
}
// A word of an enum that has `count` of them.
template <class Enum>
Enum read_word(reader& r, unsigned count) {
  auto const v = r.u8();
  if (v >= count) r.fail();
  return static_cast<Enum>(v);
}
template <class Item>
std::vector<Item> read_list(reader& r, auto one) {
  std::vector<Item> out;
  auto const count = r.u16();
  for (std::size_t i = 0; r.ok() && i < count; ++i) out.push_back(one());
  return out;
}

void put(writer& w, hello const& m) {
  w.flag(m.answer);
  w.u64(m.instance);
  w.u32(m.priority);
  w.flag(m.votes);
  w.u32(m.expect);
  w.u64(m.term);
  w.put(m.config);
}
void read_into(reader& r, hello& m) {
  m.answer = r.flag();
  m.instance = r.u64();
  m.priority = r.u32();
  m.votes = r.flag();
  m.expect = r.u32();
  m.term = r.term();
  m.config = r.config(true);
}
void put(writer& w, ask_vote const& m) {
  w.flag(m.pre);
  w.u64(m.term);
  w.u64(m.permit);
  w.put(m.config);
}
void read_into(reader& r, ask_vote& m) {
  m.pre = r.flag();
  m.term = r.term();
  m.permit = r.term();
  m.config = r.config(false);
}
void put(writer& w, vote const& m) {
  w.flag(m.pre);
  w.u64(m.asked);
  w.u64(m.term);
  w.flag(m.granted);
  w.u64(m.instance);
  w.time(m.wait);
  put(w, m.config);
}
void read_into(reader& r, vote& m) {
  m.pre = r.flag();
  m.asked = r.term();
  m.term = r.term();
  m.granted = r.flag();
  m.instance = r.u64();
  m.wait = r.time();
  m.config = read_optional(r);
}
void put(writer& w, heartbeat const& m) {
  w.u64(m.term);
  w.u64(m.token);
  w.u64(m.round);
  put(w, m.config);
  put(w, m.full);
  put(w, m.confirmed);
  w.flag(m.session_over);
  w.time(m.name_lease);
}
void read_into(reader& r, heartbeat& m) {
  m.term = r.term();
  m.token = read_token(r);
  m.round = r.u64();
  m.config = read_stamp(r);
  m.full = read_optional(r);
  m.confirmed = read_session(r);
  m.session_over = r.flag();
  m.name_lease = r.time();
  if (m.term == 0 || term_of(m.token) != m.term || is_name_token(m.token)) r.fail();
}
void put(writer& w, heartbeat_reply const& m) {
  w.u64(m.term);
  w.u64(m.round);
  w.u64(m.instance);
  put(w, m.config);
  w.u32(m.priority);
  w.time(m.promise);
  put(w, m.renewal);
  w.u64(m.table);
}
void read_into(reader& r, heartbeat_reply& m) {
  m.term = r.term();
  m.round = r.u64();
  m.instance = r.u64();
  m.config = read_stamp(r);
  m.priority = r.u32();
  m.promise = r.time();
  m.renewal = read_session(r);
  m.table = r.u64();
}
void put(writer& w, timeout_now const& m) { w.u64(m.term); }
void read_into(reader& r, timeout_now& m) { m.term = r.term(); }
void put(writer& w, leave const& m) { w.u64(m.term); }
void read_into(reader& r, leave& m) { m.term = r.term(); }
void put(writer& w, request const& m) {
  w.u64(m.id);
  w.u8(static_cast<std::uint8_t>(m.what));
  w.flag(m.again);
  w.text(m.node);
  w.u64(m.token);
}
void read_into(reader& r, request& m) {
  m.id = r.u64();
  m.what = read_word<asked>(r, 4);
  m.again = r.flag();
  m.node = r.node(true);
  m.token = r.u64();
  if (m.node.empty() && m.what != asked::check_token) r.fail();
}
void put(writer& w, request_reply const& m) {
  w.u64(m.id);
  w.flag(m.failed.has_value());
  if (m.failed) w.u8(static_cast<std::uint8_t>(*m.failed));
}
void read_into(reader& r, request_reply& m) {
  m.id = r.u64();
  if (r.flag()) m.failed = read_word<failure>(r, 12);
}
void put(writer& w, claims const& m) {
  w.u64(m.term);
  w.u64(m.session);
  w.u64(m.batch);
  w.u16(m.all.size());
  for (auto const& c : m.all) {
    w.u8(static_cast<std::uint8_t>(c.what));
    w.u64(c.owner);
    w.u64(c.token);
    w.text(c.name);
  }
}
void read_into(reader& r, claims& m) {
  m.term = r.term();
  m.session = r.u64();
  m.batch = r.u64();
  m.all = read_list<claim>(r, [&] {
    claim c;
    c.what = read_word<claim::kind>(r, 3);
    c.owner = r.u64();
    c.token = read_token(r);
    c.name = r.text(r.limit().name_bytes_max);
    if ((c.what == claim::kind::hold) != is_name_token(c.token)) r.fail();
    return c;
  });
  if (m.session == 0) r.fail();
}
void put(writer& w, claims_reply const& m) {
  w.u64(m.term);
  w.u64(m.session);
  w.u64(m.batch);
  w.u16(m.all.size());
  for (auto const v : m.all) w.u8(static_cast<std::uint8_t>(v));
}
void read_into(reader& r, claims_reply& m) {
  m.term = r.term();
  m.session = r.u64();
  m.batch = r.u64();
  m.all = read_list<verdict>(r, [&] { return read_word<verdict>(r, 3); });
}
void put(writer& w, grants const& m) {
  w.u64(m.term);
  w.u64(m.session);
  w.u16(m.all.size());
  for (auto const& g : m.all) {
    w.u64(g.owner);
    w.u64(g.token);
    w.text(g.name);
  }
}
void read_into(reader& r, grants& m) {
  m.term = r.term();
  m.session = r.u64();
  m.all = read_list<grant>(r, [&] {
    grant g;
    g.owner = r.u64();
    g.token = read_token(r);
    g.name = r.text(r.limit().name_bytes_max);
    if (!is_name_token(g.token)) r.fail();
    return g;
  });
}
void put(writer& w, table const& m) {
  w.u64(m.term);
  w.u64(m.from);
  w.u64(m.to);
  w.flag(m.complete);
  w.u16(m.all.size());
  for (auto const& e : m.all) {
    w.text(e.name);
    w.text(e.node);
    w.u64(e.token);
  }
}
void read_into(reader& r, table& m) {
  m.term = r.term();
  m.from = r.u64();
  m.to = r.u64();
  m.complete = r.flag();
  m.all = read_list<table::entry>(r, [&] {
    table::entry e;
    e.name = r.text(r.limit().name_bytes_max);
    e.node = r.node(true);
    e.token = read_token(r);
    return e;
  });
  if (m.from > m.to) r.fail();
}
void put(writer& w, prepare const& m) { w.put(m.ballot); }
void read_into(reader& r, prepare& m) { m.ballot = r.ballot(); }
void put(writer& w, promise const& m) {
  w.put(m.ballot);
  w.u64(m.instance);
  w.put(m.accepted);
  w.put(m.config);
}
void read_into(reader& r, promise& m) {
  m.ballot = r.ballot();
  m.instance = r.u64();
  m.accepted = r.ballot();
  m.config = r.config(true);
  if ((m.accepted.number == 0) != (m.config.cluster == 0) || m.instance == 0) r.fail();
}
void put(writer& w, refused const& m) { w.put(m.promised); }
void read_into(reader& r, refused& m) { m.promised = r.ballot(); }
void put(writer& w, accept const& m) {
  w.put(m.ballot);
  w.put(m.config);
}
void read_into(reader& r, accept& m) {
  m.ballot = r.ballot();
  m.config = r.config(false);
  if (m.config.term != 0 || m.config.version != 1) r.fail();
}
void put(writer& w, accepted const& m) { w.put(m.ballot); }
void read_into(reader& r, accepted& m) { m.ballot = r.ballot(); }

template <std::size_t I = 0>
void read_kind(reader& r, std::size_t kind, body& out) {
  if constexpr (I < std::variant_size_v<body>) {
    if (kind == I)
      read_into(r, out.emplace<I>());
    else
      read_kind<I + 1>(r, kind, out);
  } else {
    r.fail();
  }
}

} // namespace

std::string write(envelope const& e) {
  writer w;
  w.bytes() += magic;
  w.u8(static_cast<std::uint8_t>(e.body.index()));
  w.u64(e.cluster);
  std::visit([&](auto const& m) { put(w, m); }, e.body);
  return std::move(w.bytes());
}

std::optional<envelope> read(std::string_view bytes, limits const& l) {
  if (bytes.size() > l.message_bytes_max || !bytes.starts_with(magic)) return std::nullopt;
  reader r(bytes.substr(magic.size()), l);
  auto const kind = r.u8();
  envelope out;
  out.cluster = r.u64();
  read_kind(r, kind, out.body);
  if (!r.done()) return std::nullopt;
  return out;
}

std::string describe(body const& b) {
  auto const stamped = [](stamp const& s) { return fmt::format("{}.{}", s.term, s.version); };
  return std::visit(
      base::overload{
          [&](hello const& m) {
            return fmt::format("hello term {} config {}{}", m.term, stamped(stamp_of(m.config)),
                               m.votes ? "" : " votes not");
          },
          [](ask_vote const& m) {
            return fmt::format("{} term {}{}", m.pre ? "ask_pre_vote" : "ask_vote", m.term,
                               m.permit != 0 ? " permitted" : "");
          },
          [](vote const& m) {
            return fmt::format("{} term {} {}{}{}", m.pre ? "pre_vote" : "vote", m.asked,
                               m.granted ? "granted" : "refused", m.wait.count() > 0 ? " for now" : "",
                               m.config ? " its configuration is newer" : "");
          },
          [&](heartbeat const& m) {
            return fmt::format("heartbeat term {} config {}{}", m.term, stamped(m.config),
                               m.full ? " whole" : "");
          },
          [&](heartbeat_reply const& m) {
            return fmt::format("heartbeat_reply term {} config {}", m.term, stamped(m.config));
          },
          [](timeout_now const& m) { return fmt::format("timeout_now term {}", m.term); },
          [](leave const& m) { return fmt::format("leave term {}", m.term); },
          [](request const& m) { return fmt::format("request {} {}", m.id, static_cast<int>(m.what)); },
          [](request_reply const& m) {
            return fmt::format("request_reply {} {}", m.id, m.failed ? name_of(*m.failed) : "done");
          },
          [](claims const& m) { return fmt::format("claims {} of {}", m.batch, m.all.size()); },
          [](claims_reply const& m) { return fmt::format("claims_reply {}", m.batch); },
          [](grants const& m) { return fmt::format("grants {}", m.all.size()); },
          [](table const& m) { return fmt::format("table {}..{}", m.from, m.to); },
          [](prepare const& m) { return fmt::format("prepare {} {}", m.ballot.number, m.ballot.node); },
          [](promise const& m) {
            return fmt::format("promise {} {}{}", m.ballot.number, m.ballot.node,
                               m.accepted.number != 0 ? " has accepted" : "");
          },
          [](refused const& m) { return fmt::format("refused {} {}", m.promised.number, m.promised.node); },
          [](accept const& m) { return fmt::format("accept {} {}", m.ballot.number, m.ballot.node); },
          [](accepted const& m) { return fmt::format("accepted {} {}", m.ballot.number, m.ballot.node); },
      },
      b);
}

} // namespace remora::raft::wire
