#include "swim/messages.hpp"

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/utf8.hpp"
#include "swim/metadata.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::swim {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::array<std::uint8_t, 12> ipv4_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <class Int>
void put(std::string& out, Int value) {
  std::array<std::uint8_t, sizeof(Int)> bytes{};
  base::store_be(bytes.data(), value);
  out.append(base::as_text(bytes));
}
void put8(std::string& out, std::string_view text) {
  base::check(text.size() <= 0xff, "swim: a short text fits its field");
  put(out, static_cast<std::uint8_t>(text.size()));
  out += text;
}
void put16(std::string& out, std::string_view text) {
  base::check(text.size() <= 0xffff, "swim: a text fits its field");
  put(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

bool is_ipv4(address const& a) { return std::equal(ipv4_prefix.begin(), ipv4_prefix.end(), a.ip.begin()); }

void put(std::string& out, address const& a) {
  bool const v4 = is_ipv4(a);
  put(out, static_cast<std::uint8_t>(a.port == 0 ? 0 : v4 ? 4 : 6));
  if (a.port == 0) return;
  auto const bytes = base::bytes_view(a.ip);
  out.append(base::as_text(v4 ? bytes.last(4) : bytes));
  put(out, a.port);
}

struct input {
  base::cursor in;
  limits const& l;
  bool good = true;

  bool ok() const { return good && in.ok(); }
  std::string_view name() {
    auto const text = base::as_text(in.take(in.u8()));
    good = good && is_name(text, l);
    return text;
  }
  std::uint64_t epoch() {
    auto const e = in.u64();
    good = good && e <= epoch_max;
    return e;
  }
  template <class Enum>
  Enum one_of(Enum last) {
    auto const n = in.u8();
    good = good && n <= static_cast<std::uint8_t>(last);
    return good ? static_cast<Enum>(n) : Enum{};
  }
  swim::address address() {
    swim::address out;
    auto const family = in.u8();
    if (family == 0) return out;
    good = good && (family == 4 || family == 6);
    if (family == 4) std::copy(ipv4_prefix.begin(), ipv4_prefix.end(), out.ip.begin());
    auto const bytes = in.take(family == 4 ? 4 : 16);
    std::copy(bytes.begin(), bytes.end(), out.ip.end() - static_cast<std::ptrdiff_t>(bytes.size()));
    out.port = in.u16();
    good = good && out.port != 0 && (family == 4 || !is_ipv4(out));
    return out;
  }
  std::string_view metadata() {
    auto const size = in.u16();
    auto const bytes = base::as_text(in.take(size));
    good = good && size <= l.metadata_bytes_max && (bytes.empty() || read_metadata(bytes));
    return bytes;
  }
};

bool read(input& i, update& u, bool over_distribution) {
  auto const kind = i.in.u8();
  if (kind < 1 || kind > 8) return false;
  u = {.what = static_cast<update_kind>(kind)};
  if (u.what == update_kind::held) {
    if (!over_distribution) return false;
    u.held = i.one_of(status::left);
  }
  u.node = i.name();
  switch (u.what) {
  case update_kind::alive:
  case update_kind::held:
    u.epoch = i.epoch();
    u.incarnation = i.in.u32();
    u.creation = i.in.u32();
    u.at = i.address();
    u.metadata = i.metadata();
    break;
  case update_kind::suspect:
  case update_kind::dead:
    u.epoch = i.epoch();
    u.incarnation = i.in.u32();
    u.by = i.name();
    break;
  case update_kind::left:
    u.epoch = i.epoch();
    u.incarnation = i.in.u32();
    break;
  case update_kind::beam:
    u.creation = i.in.u32();
    u.state = i.one_of(reach::lost);
    u.companion = i.in.u8() != 0;
    u.by = i.name();
    u.epoch = i.epoch();
    u.number = i.in.u32();
    break;
  case update_kind::happening:
    u.epoch = i.epoch();
    u.number = i.in.u32();
    u.name = base::as_text(i.in.take(i.in.u8()));
    u.payload = base::as_text(i.in.take(i.in.u16()));
    if (u.name.size() + u.payload.size() > i.l.event_bytes_max || !base::is_utf8(u.name)) return false;
    break;
  case update_kind::hearsay:
    if (!over_distribution) return false;
    u.held = i.one_of(status::left);
    u.incarnation = i.in.u32();
    break;
  }
  return i.ok();
}

bool has_target(message_kind k) { return k == message_kind::ping || k == message_kind::ping_req; }
bool is_datagram(message_kind k) { return k <= message_kind::gossip; }

std::string text_of(update const& u) {
  switch (u.what) {
  case update_kind::alive: return fmt::format("alive {} {}", u.node, u.incarnation);
  case update_kind::suspect: return fmt::format("suspect {} {} by {}", u.node, u.incarnation, u.by);
  case update_kind::dead: return fmt::format("dead {} {} by {}", u.node, u.incarnation, u.by);
  case update_kind::left: return fmt::format("left {} {}", u.node, u.incarnation);
  case update_kind::held: return fmt::format("held {} {} {}", u.node, name_of(u.held), u.incarnation);
  case update_kind::beam:
    return fmt::format("beam {} {} by {}{}", u.node, name_of(u.state), u.by,
                       u.companion ? ", its companion" : "");
  case update_kind::happening: return fmt::format("event {} of {} #{}", u.name, u.node, u.number);
  case update_kind::hearsay: return fmt::format("hearsay {} {} {}", u.node, name_of(u.held), u.incarnation);
  }
  return {};
}

} // namespace

bool is_name(std::string_view name, limits const& l) {
  return !name.empty() && name.size() <= l.name_bytes_max && base::is_utf8(name) &&
         std::none_of(name.begin(), name.end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x20; });
}

std::string_view name_of(message_kind k) {
  switch (k) {
  case message_kind::ping: return "ping";
  case message_kind::ack: return "ack";
  case message_kind::ping_req: return "ping_req";
  case message_kind::nack: return "nack";
  case message_kind::gossip: return "gossip";
  case message_kind::hello: return "hello";
  case message_kind::hello_answer: return "hello_answer";
  case message_kind::sync: return "sync";
  case message_kind::sync_answer: return "sync_answer";
  case message_kind::fallback_ping: return "fallback_ping";
  case message_kind::fallback_ack: return "fallback_ack";
  case message_kind::rumours: return "rumours";
  }
  return "?";
}

std::string_view name_of(reach r) {
  return r == reach::reached ? "reached" : r == reach::silent ? "silent" : "lost";
}

void write(std::string& out, message const& m) {
  put(out, version);
  put(out, static_cast<std::uint8_t>(m.kind));
  put(out, m.flags);
  put(out, m.sequence);
  put8(out, m.node);
  put(out, m.epoch);
  put(out, m.incarnation);
  put(out, m.view);
  if (has_target(m.kind)) put8(out, m.target);
  if (m.kind == message_kind::ping_req) put(out, m.at);
}

void write(std::string& out, update const& u) {
  put(out, static_cast<std::uint8_t>(u.what));
  if (u.what == update_kind::held) put(out, static_cast<std::uint8_t>(u.held));
  put8(out, u.node);
  switch (u.what) {
  case update_kind::alive:
  case update_kind::held:
    put(out, u.epoch);
    put(out, u.incarnation);
    put(out, u.creation);
    put(out, u.at);
    put16(out, u.metadata);
    break;
  case update_kind::suspect:
  case update_kind::dead:
    put(out, u.epoch);
    put(out, u.incarnation);
    put8(out, u.by);
    break;
  case update_kind::left:
    put(out, u.epoch);
    put(out, u.incarnation);
    break;
  case update_kind::beam:
    put(out, u.creation);
    put(out, static_cast<std::uint8_t>(u.state));
    put(out, static_cast<std::uint8_t>(u.companion ? 1 : 0));
    put8(out, u.by);
    put(out, u.epoch);
    put(out, u.number);
    break;
  case update_kind::happening:
    put(out, u.epoch);
    put(out, u.number);
    put8(out, u.name);
    put16(out, u.payload);
    break;
  case update_kind::hearsay:
    put(out, static_cast<std::uint8_t>(u.held));
    put(out, u.incarnation);
    break;
  }
}

bool read(std::string_view bytes, limits const& l, message& m, std::vector<update>& updates) {
  updates.clear();
  m = {};
  input i{base::cursor(base::as_bytes(bytes)), l};
  if (i.in.u8() != version) return false;
  auto const kind = i.in.u8();
  if ((kind < 1 || kind > 5) && (kind < 16 || kind > 22)) return false;
  m.kind = static_cast<message_kind>(kind);
  m.flags = i.in.u8();
  m.sequence = i.in.u32();
  m.node = i.name();
  m.epoch = i.epoch();
  m.incarnation = i.in.u32();
  m.view = i.in.u64();
  if (has_target(m.kind)) m.target = i.name();
  if (m.kind == message_kind::ping_req) m.at = i.address();
  if (!i.ok()) return false;
  while (!i.in.rest().empty())
    if (!read(i, updates.emplace_back(), !is_datagram(m.kind))) return false;
  return i.ok();
}

std::string describe_message(std::string_view bytes) {
  message m;
  std::vector<update> updates;
  if (!read(bytes, limits{}, m, updates)) return fmt::format("{} bytes that are no message", bytes.size());
  std::string out(name_of(m.kind));
  if (m.sequence != 0) out += fmt::format(" {}", m.sequence);
  if (has_target(m.kind)) out += fmt::format(" of {}", m.target);
  if ((m.flags & message::introduce) != 0) out += ", who are you?";
  constexpr std::size_t shown_max = 6;
  for (std::size_t i = 0; i < updates.size() && i < shown_max; ++i) out += ", " + text_of(updates[i]);
  if (updates.size() > shown_max) out += fmt::format(" and {} more", updates.size() - shown_max);
  return out;
}

} // namespace remora::swim
