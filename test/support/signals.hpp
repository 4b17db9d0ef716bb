// Signals to compare: all that a control message holds, as bytes, and a reader of frames that remembers
// nothing but the atom cache. Slow and simple: what dist::inbound does with what repeats is checked against
// it.
#pragma once

#include "dist/inbound.hpp"
#include "etf/reader.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace remora::test {

struct control_text {
  std::string out;
  void add(etf::view v) {
    out += std::to_string(v.bytes().size()) + ":" + std::string(base::as_text(v.bytes()));
  }
  void add(std::uint64_t n) { out += std::to_string(n) + ";"; }
  template <class... Parts>
  void all(Parts const&... parts) {
    (add(parts), ...);
  }

  void operator()(dist::link const& m) { all(m.from, m.to); }
  void operator()(dist::send const& m) { all(m.from, m.to); }
  void operator()(dist::exit const& m) { all(m.from, m.to, m.reason); }
  void operator()(dist::unlink const& m) { all(m.from, m.to); }
  void operator()(dist::reg_send const& m) { all(m.from, m.name); }
  void operator()(dist::group_leader const& m) { all(m.leader, m.to); }
  void operator()(dist::exit2 const& m) { all(m.from, m.to, m.reason); }
  void operator()(dist::monitor_p const& m) { all(m.from, m.target, m.ref); }
  void operator()(dist::demonitor_p const& m) { all(m.from, m.target, m.ref); }
  void operator()(dist::monitor_p_exit const& m) { all(m.source, m.to, m.ref, m.reason); }
  void operator()(dist::spawn_request const& m) {
    all(m.req, m.from, m.leader, m.module, m.function, m.options, std::uint64_t{m.arity});
  }
  void operator()(dist::spawn_reply const& m) { all(m.req, m.to, m.result, std::uint64_t{m.flags}); }
  void operator()(dist::alias_send const& m) { all(m.from, m.alias); }
  void operator()(dist::unlink_id const& m) { all(m.id, m.from, m.to); }
  void operator()(dist::unlink_id_ack const& m) { all(m.id, m.from, m.to); }
};

inline std::string as_text(dist::control_message const& control, etf::view payload) {
  control_text t;
  t.add(std::uint64_t{control.index()});
  std::visit(t, control);
  if (!payload.empty()) t.add(payload);
  return t.out;
}

// Frames with a header. The text of a signal; "" for a part; nullopt for what is wrong, whatever it is.
// Limits on fragments are not its business.
class plain_inbound {
public:
  explicit plain_inbound(etf::term_limits limits) : limits_(limits) {}

  std::optional<std::string> read(base::bytes_view body) {
    base::cursor in(body);
    if (in.u8() != 131) return std::nullopt;
    auto const tag = in.u8();
    if (tag == 70) return next(in);
    std::uint64_t const sequence = tag == 69 ? in.u64() : 0;
    std::uint64_t const fragment = tag == 69 ? in.u64() : 1;
    if (!in.ok() || (tag != 68 && tag != 69) || fragment == 0) return std::nullopt;
    auto atoms = header(in);
    if (!atoms) return std::nullopt;
    partial p{.next = fragment - 1, .control = {}, .payload = {}, .atoms = std::move(*atoms)};
    auto const used = term(in.rest(), p.atoms, p.control);
    if (!used) return std::nullopt;
    auto const parsed = dist::parse_control(etf::view(base::as_bytes(p.control)));
    if (!parsed) return std::nullopt;
    p.payload = base::as_text(in.rest().subspan(*used));
    if (fragment == 1) return whole(p, *parsed);
    if (!parsed->payload || !open_.emplace(sequence, std::move(p)).second) return std::nullopt;
    return "";
  }

private:
  struct partial {
    std::uint64_t next;
    std::string control;
    std::string payload;
    std::vector<etf::atom> atoms;
  };

  std::optional<std::string> next(base::cursor& in) {
    std::uint64_t const sequence = in.u64();
    std::uint64_t const fragment = in.u64();
    auto const found = open_.find(sequence);
    if (!in.ok() || found == open_.end() || fragment == 0 || found->second.next != fragment)
      return std::nullopt;
    found->second.payload += base::as_text(in.rest());
    if (--found->second.next > 0) return "";
    auto const done = std::move(found->second);
    open_.erase(found);
    return whole(done, *dist::parse_control(etf::view(base::as_bytes(done.control))));
  }

  std::optional<std::string> whole(partial const& p, dist::parsed_control const& parsed) const {
    std::string payload;
    std::size_t used = 0;
    if (parsed.payload) {
      auto const size = term(base::as_bytes(p.payload), p.atoms, payload);
      if (!size) return std::nullopt;
      used = *size;
    }
    if (used != p.payload.size()) return std::nullopt;
    return as_text(parsed.message, etf::view(base::as_bytes(payload)));
  }

  std::optional<std::size_t> term(base::bytes_view bytes, std::vector<etf::atom> const& atoms,
                                  std::string& out) const {
    etf::reader reader(limits_);
    base::buffer canonical;
    auto const used = reader.read(bytes, atoms, canonical);
    if (!used) return std::nullopt;
    out = base::as_text(canonical.view());
    return *used;
  }

  std::optional<std::vector<etf::atom>> header(base::cursor& in) {
    std::size_t const count = in.u8();
    std::vector<etf::atom> atoms;
    if (!in.ok()) return std::nullopt;
    if (count == 0) return atoms;
    auto const flags = in.take(count / 2 + 1);
    if (!in.ok()) return std::nullopt;
    auto const nibble = [&](std::size_t i) { return std::uint32_t{flags[i / 2]} >> (i % 2 * 4) & 15U; };
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t const slot = (nibble(i) & 7U) * 256U + in.u8();
      if (!in.ok()) return std::nullopt;
      if ((nibble(i) & 8U) != 0) {
        std::size_t const size = (nibble(count) & 1U) != 0 ? in.u16() : in.u8();
        auto const text = in.take(size);
        if (!in.ok() || !etf::is_atom_text(text)) return std::nullopt;
        cache_[slot] = etf::atom(base::as_text(text));
      }
      auto const found = cache_.find(slot);
      if (found == cache_.end()) return std::nullopt;
      atoms.push_back(found->second);
    }
    return atoms;
  }

  etf::term_limits limits_;
  std::map<std::size_t, etf::atom> cache_;
  std::map<std::uint64_t, partial> open_;
};

} // namespace remora::test
