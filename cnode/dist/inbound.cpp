#include "dist/inbound.hpp"

#include "dist/flags.hpp"
#include "dist/frame_tags.hpp"
#include "etf/keys.hpp"
#include "etf/tags.hpp"

namespace remora::dist {

namespace {

constexpr std::size_t repeated_control_bytes_max = 512; // longer control messages are not compared
// Room in front of a message put together from fragments: its beginning grows when cache references become
// atoms.
constexpr std::size_t fragment_headroom = 4096;
constexpr std::size_t reserve_bytes_max = 8U
                                          << 20U; // what a first fragment's count may make us reserve at once

frame_failure failure(frame_error why, std::string_view detail = {}) {
  return {.why = why, .detail = detail};
}

} // namespace

std::string_view describe(frame_error e) {
  switch (e) {
  case frame_error::too_large: return "a frame is larger than the limit";
  case frame_error::unknown_frame: return "a frame is of no negotiated kind";
  case frame_error::bad_header: return "an atom header is wrong";
  case frame_error::empty_cache_slot: return "an atom header refers to an empty cache slot";
  case frame_error::bad_term: return "a term is wrong";
  case frame_error::bad_control: return "a control message is wrong";
  case frame_error::trailing_bytes: return "bytes follow the last term of a frame";
  case frame_error::missing_payload: return "a message has no payload";
  case frame_error::bad_fragment: return "a fragment belongs to no open message or is out of order";
  case frame_error::fragments_limit: return "half-received messages exceed the limit";
  case frame_error::fragment_timeout: return "a half-received message waited too long for its next fragment";
  }
  return "a frame is wrong";
}

inbound::inbound(std::uint64_t negotiated_flags, inbound_limits limits)
    : header_negotiated_((negotiated_flags & (flag::dist_hdr_atom_cache | flag::fragments)) != 0),
      limits_(limits), reader_(limits.term) {}

inbound::outcome inbound::read(base::bytes_view body, base::time_point now) {
  if (!header_negotiated_) return pass_through(body);
  base::cursor in(body);
  if (in.u8() != etf::tag::version) return failure(frame_error::unknown_frame);
  switch (in.u8()) {
  case header_tag: return with_header(in.rest());
  case first_fragment_tag: return first_fragment(in.rest(), now);
  case next_fragment_tag: return next_fragment(in.rest(), now);
  default: return failure(frame_error::unknown_frame);
  }
}

inbound::outcome inbound::pass_through(base::bytes_view body) {
  if (body.empty() || body[0] != pass_through_tag) return failure(frame_error::unknown_frame);
  return deliver(body.subspan(1), true); // without a header there are no atoms to refer to
}

inbound::outcome inbound::with_header(base::bytes_view rest) {
  base::cursor in(rest);
  if (auto const problem = read_atom_header(in)) return *problem;
  return deliver(in.rest(), false);
}

// u8 N; then N/2+1 bytes of flag nibbles, entry i in byte i/2, even ones in the low half: bit 3 new, bits
// 0..2 segment; nibble N has LongAtoms in bit 0. Then N entries: u8 index, and if new its length (u8, or u16
// if LongAtoms) and text.
std::optional<frame_failure> inbound::read_atom_header(base::cursor& in) {
  if (same_header(in)) return std::nullopt;
  auto const begin = in.rest();
  ++header_number_;
  header_.clear();
  atoms_.clear();
  std::size_t const count = in.u8();
  if (!in.ok()) return failure(frame_error::bad_header);
  if (count == 0) return std::nullopt;
  auto const flags = in.take(count / 2 + 1);
  if (!in.ok()) return failure(frame_error::bad_header);
  auto const nibble = [&](std::size_t i) {
    return static_cast<std::uint8_t>(i % 2 == 0 ? flags[i / 2] & 0x0fU : flags[i / 2] >> 4U);
  };
  bool const long_atoms = (nibble(count) & 1U) != 0;
  if (cache_.empty()) cache_.resize(cache_slots);
  bool reusable = true;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint8_t const entry = nibble(i);
    std::size_t const slot = (entry & 7U) * std::size_t{256} + in.u8();
    if (!in.ok()) return failure(frame_error::bad_header);
    if ((entry & 8U) != 0) {
      reusable = false;
      if (auto const problem = new_cache_entry(in, long_atoms, slot)) return problem;
    } else if (!cache_[slot]) { // '' is an atom like others
      return failure(frame_error::empty_cache_slot);
    }
    atoms_.push_back(*cache_[slot]);
  }
  if (reusable) header_.append(begin.first(begin.size() - in.rest().size()));
  return std::nullopt;
}

// A sender that sends much of the same repeats its header to the byte. As long as no entry was added since,
// it means the same atoms: they are in atoms_ already.
bool inbound::same_header(base::cursor& in) const {
  auto const last = header_.view();
  auto const next = in.rest();
  if (last.empty() || next.size() < last.size() || std::memcmp(next.data(), last.data(), last.size()) != 0)
    return false;
  in.take(last.size());
  return true;
}

// Control messages repeat likewise: same bytes under the same header are the same message, which is in
// control_. A term says where it ends, so equal bytes at the front are enough.
base::result<parsed_control, frame_failure> inbound::read_control(base::bytes_view& rest) {
  auto const last = control_bytes_.view();
  if (!last.empty() && control_header_ == header_number_ && rest.size() >= last.size() &&
      std::memcmp(rest.data(), last.data(), last.size()) == 0) {
    rest = rest.subspan(last.size());
    return last_control_;
  }
  control_bytes_.clear();
  control_.clear();
  auto const size = reader_.read(rest, atoms_, control_);
  if (!size) return failure(frame_error::bad_term, etf::describe(size.error()));
  auto const parsed = parse_control(etf::view(control_.view()));
  if (!parsed) return failure(frame_error::bad_control, describe(parsed.error()));
  if (parsed->payload && *size <= repeated_control_bytes_max) {
    control_bytes_.append(rest.first(*size));
    control_header_ = header_number_;
    last_control_ = *parsed;
  }
  rest = rest.subspan(*size);
  return *parsed;
}

std::optional<frame_failure> inbound::new_cache_entry(base::cursor& in, bool long_atoms, std::size_t slot) {
  std::size_t const size = long_atoms ? in.u16() : in.u8();
  auto const text = in.take(size);
  if (!in.ok()) return failure(frame_error::bad_header);
  if (!etf::is_atom_text(text))
    return failure(frame_error::bad_header, "an atom is not UTF-8 of at most 255 characters");
  cache_[slot] = etf::atom(base::as_text(text));
  return std::nullopt;
}

inbound::outcome inbound::deliver(base::bytes_view rest, bool version_bytes) {
  auto const skip_version = [&] {
    if (!version_bytes) return true;
    if (rest.empty() || rest[0] != etf::tag::version) return false;
    rest = rest.subspan(1);
    return true;
  };
  if (!skip_version()) return failure(frame_error::bad_term, "a term lacks its version byte");
  auto const parsed = read_control(rest);
  if (!parsed) return parsed.error();
  signal out{.control = parsed->message, .payload = {}};
  if (parsed->payload) {
    if (rest.empty()) return failure(frame_error::missing_payload);
    if (!skip_version()) return failure(frame_error::bad_term, "a term lacks its version byte");
    base::buffer payload;
    auto const used = reader_.read(rest, atoms_, payload);
    if (!used) return failure(frame_error::bad_term, etf::describe(used.error()));
    rest = rest.subspan(*used);
    out.payload = etf::term(std::move(payload));
  }
  if (!rest.empty()) return failure(frame_error::trailing_bytes);
  return std::optional(std::move(out));
}

inbound::outcome inbound::first_fragment(base::bytes_view rest, base::time_point now) {
  base::cursor in(rest);
  std::uint64_t const sequence = in.u64();
  std::uint64_t const fragment = in.u64();
  if (!in.ok() || fragment == 0) return failure(frame_error::bad_fragment);
  if (auto const problem = read_atom_header(in)) return *problem;
  if (fragment == 1) return deliver(in.rest(), false);
  if (partials_.contains(sequence)) return failure(frame_error::bad_fragment, "its sequence is open already");
  if (partials_.size() >= limits_.fragmented_max)
    return failure(frame_error::fragments_limit, "too many at once");

  partial p{.next = fragment - 1,
            .control = {},
            .payload = {},
            .atoms = atoms_,
            .kept = 0,
            .deadline = now + limits_.fragment_timeout};
  auto const size = reader_.read(in.rest(), atoms_, p.control);
  if (!size) return failure(frame_error::bad_term, etf::describe(size.error()));
  auto const parsed = parse_control(etf::view(p.control.view()));
  if (!parsed) return failure(frame_error::bad_control, describe(parsed.error()));
  if (!parsed->payload) return failure(frame_error::bad_fragment, "only a payload can be split");
  auto const part = in.rest().subspan(*size);
  p.kept = p.control.size();
  for (auto const& a : atoms_) p.kept += a.text().size();
  if (!within_fragment_limits(part, p, p.kept)) return failure(frame_error::fragments_limit);
  // The count is the peer's word: believe it up to a point, and not for all messages at once.
  if (fragment <= limits_.message_bytes_max &&
      (partials_.size() + 1) * reserve_bytes_max <= limits_.fragmented_bytes_max)
    p.payload.reserve(fragment_headroom +
                      std::min(reserve_bytes_max, static_cast<std::size_t>(fragment) * part.size()));
  p.payload.room(fragment_headroom);
  p.payload.commit(fragment_headroom);
  p.payload.append(part);
  fragmented_bytes_ += p.kept + part.size();
  partials_.emplace(sequence, std::move(p));
  return std::optional<signal>();
}

inbound::outcome inbound::next_fragment(base::bytes_view rest, base::time_point now) {
  base::cursor in(rest);
  std::uint64_t const sequence = in.u64();
  std::uint64_t const fragment = in.u64();
  auto const found = partials_.find(sequence);
  if (!in.ok() || found == partials_.end() || found->second.next != fragment || fragment == 0)
    return failure(frame_error::bad_fragment);
  auto& p = found->second;
  auto const part = in.rest();
  if (!within_fragment_limits(part, p)) return failure(frame_error::fragments_limit);
  p.payload.append(part);
  fragmented_bytes_ += part.size();
  p.deadline = now + limits_.fragment_timeout;
  if (--p.next > 0) return std::optional<signal>();
  partial done = std::move(p);
  partials_.erase(found);
  fragmented_bytes_ -= done.kept + done.payload.size() - fragment_headroom;
  return finish(std::move(done));
}

bool inbound::within_fragment_limits(base::bytes_view part, partial const& p, std::size_t kept) const {
  std::size_t const received = p.payload.size() - std::min(p.payload.size(), fragment_headroom);
  return received + part.size() <= limits_.message_bytes_max &&
         fragmented_bytes_ + kept + part.size() <= limits_.fragmented_bytes_max;
}

inbound::outcome inbound::finish(partial done) {
  control_ = std::move(done.control);
  control_bytes_.clear(); // what it was compared with is gone
  auto const parsed = parse_control(etf::view(control_.view()));
  if (!parsed) return failure(frame_error::bad_control, describe(parsed.error()));
  auto const received = done.payload.view().subspan(fragment_headroom);
  auto const size = reader_.validate(received, done.atoms);
  if (!size) return failure(frame_error::bad_term, etf::describe(size.error()));
  if (*size != received.size()) return failure(frame_error::trailing_bytes);
  auto payload = canonical(done);
  if (reader_.has_keys() && etf::has_equal_keys(payload.bytes().view()))
    return failure(frame_error::bad_term, etf::describe(etf::term_error::equal_keys));
  return std::optional(signal{.control = parsed->message, .payload = std::move(payload)});
}

// What must be rewritten is mostly in front of one large binary: the new beginning is put before the rest
// where it lies, so that the rest need not be copied.
etf::term inbound::canonical(partial& done) {
  auto const received = done.payload.view().subspan(fragment_headroom);
  base::buffer beginning;
  std::size_t const rest = reader_.copy_beginning(received, done.atoms, beginning);
  if (beginning.size() > rest + fragment_headroom) {
    beginning.append(received.subspan(rest));
    return etf::term(std::move(beginning));
  }
  std::size_t const begin = fragment_headroom + rest - beginning.size();
  if (!beginning.empty()) std::memcpy(done.payload.data() + begin, beginning.data(), beginning.size());
  return etf::term(base::blob(std::move(done.payload), begin));
}

std::optional<base::time_point> inbound::next_deadline() const {
  std::optional<base::time_point> next;
  for (auto const& [sequence, p] : partials_) next = base::earliest(next, p.deadline);
  return next;
}

void inbound::restart_timeouts(base::time_point now) {
  for (auto& [sequence, p] : partials_) p.deadline = now + limits_.fragment_timeout;
}

bool inbound::timed_out(base::time_point now) const {
  auto const deadline = next_deadline();
  return deadline && *deadline <= now;
}

} // namespace remora::dist
