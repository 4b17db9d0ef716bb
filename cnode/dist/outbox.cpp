#include "dist/outbox.hpp"

#include "dist/flags.hpp"
#include "dist/frame_tags.hpp"
#include "etf/tags.hpp"

#include <algorithm>

namespace remora::dist {

namespace {

constexpr std::size_t fragment_head = 18;         // 131, tag, sequence, fragment id
constexpr std::size_t gather_bytes = 512U << 10U; // how much to have ready for one write
constexpr std::size_t tail_room_max = 16U << 10U;

} // namespace

void outbox::open(std::uint64_t negotiated_flags) {
  header_ = (negotiated_flags & (flag::dist_hdr_atom_cache | flag::fragments)) != 0;
  fragments_ = (negotiated_flags & flag::fragments) != 0;
}

void outbox::grown(std::size_t count) {
  bytes_ += count;
  accepted_ += count;
  busy_ = busy_ || bytes_ > limits_.high_mark;
}

void outbox::push_raw(base::bytes_view bytes) {
  tail_.append(bytes);
  grown(bytes.size());
}

void outbox::push(std::uint64_t sender, base::bytes_view control, dist::payload const& payload) {
  if (!large_.empty()) {
    if (auto* const open = open_message(sender)) {
      base::buffer copy;
      copy.append(control);
      grown(control.size() + payload.size());
      open->behind.push_back({.control = base::blob(std::move(copy)), .payload = payload});
      return;
    }
  }
  if (payload.size() <= limits_.fragment_bytes) return frame(control, payload);
  if (fragments_) return push_large(sender, control, payload);
  frame_shared(control, payload);
}

outbox::fragmented* outbox::open_message(std::uint64_t sender) {
  auto const found =
      std::find_if(large_.begin(), large_.end(), [&](auto const& m) { return m.sender == sender; });
  return found != large_.end() ? &*found : nullptr;
}

void outbox::begin_frame(std::size_t body) {
  if (tail_.capacity() == 0) tail_.reserve(std::max(4 + head_size() + body, tail_room_));
  std::uint8_t* const room = tail_.room(4 + head_size());
  base::store_be(room, static_cast<std::uint32_t>(head_size() + body));
  if (header_) {
    room[4] = etf::tag::version;
    room[5] = header_tag;
    room[6] = 0; // no atoms: ours are inline
  } else {
    room[4] = pass_through_tag;
    room[5] = etf::tag::version;
  }
  tail_.commit(4 + head_size());
}

void outbox::frame(base::bytes_view control, dist::payload const& payload) {
  std::size_t const before = tail_.size();
  bool const version = !header_ && !payload.empty();
  begin_frame(control.size() + payload.size() + (version ? 1 : 0));
  tail_.append(control);
  if (version) tail_.put(etf::tag::version);
  tail_.append(payload.head.view());
  tail_.append(payload.tail.view());
  grown(tail_.size() - before);
}

// A large message of a peer without fragments: one frame, the payload not copied.
void outbox::frame_shared(base::bytes_view control, dist::payload const& payload) {
  std::size_t const before = tail_.size();
  begin_frame(control.size() + payload.size() + (header_ ? 0 : 1));
  tail_.append(control);
  if (!header_) tail_.put(etf::tag::version);
  grown(tail_.size() - before + payload.size());
  close_tail();
  ready(payload.head, 0, payload.head.size());
  ready(payload.tail, 0, payload.tail.size());
}

void outbox::ready(base::blob const& bytes, std::size_t begin, std::size_t size) {
  if (size == 0) return;
  ready_.push_back({.bytes = bytes, .begin = begin, .size = size});
  ready_bytes_ += size;
}

void outbox::push_large(std::uint64_t sender, base::bytes_view control, dist::payload const& payload) {
  base::buffer copy;
  copy.append(control);
  grown(control.size() + payload.size());
  large_.push_back({.sender = sender,
                    .sequence = ++sequence_,
                    .control = base::blob(std::move(copy)),
                    .payload = payload,
                    .sent = 0,
                    .behind = {}});
}

void outbox::close_tail() {
  if (tail_.empty()) return;
  std::size_t const size = tail_.size();
  tail_room_ = std::min(size, tail_room_max);
  ready_.push_back({.bytes = base::blob(std::move(tail_)), .begin = 0, .size = size});
  tail_ = {};
  ready_bytes_ += size;
}

void outbox::next_fragment() {
  turn_ = turn_ < large_.size() ? turn_ : 0;
  auto& m = large_[turn_];
  std::size_t const part = std::min(limits_.fragment_bytes, m.payload.size() - m.sent);
  std::size_t const left = m.payload.size() - m.sent;
  std::uint64_t const id = (left + limits_.fragment_bytes - 1) / limits_.fragment_bytes;
  bool const first = m.sent == 0;
  auto const control = first ? m.control.view() : base::bytes_view{};
  std::size_t const before = tail_.size();
  tail_.put(static_cast<std::uint32_t>(fragment_head + (first ? 1 : 0) + control.size() + part));
  tail_.put(etf::tag::version);
  tail_.put(first ? first_fragment_tag : next_fragment_tag);
  tail_.put(m.sequence);
  tail_.put(id);
  if (first) tail_.put(std::uint8_t{0});
  tail_.append(control);
  grown(tail_.size() - before - control.size());
  close_tail();
  std::size_t const in_head =
      m.sent < m.payload.head.size() ? std::min(part, m.payload.head.size() - m.sent) : 0;
  ready(m.payload.head, m.sent, in_head);
  ready(m.payload.tail, m.sent + in_head - m.payload.head.size(), part - in_head);
  m.sent += part;
  if (m.sent == m.payload.size())
    finish_fragmented(turn_);
  else
    ++turn_;
}

void outbox::finish_fragmented(std::size_t index) {
  fragmented const done = std::move(large_[index]);
  large_.erase(large_.begin() + static_cast<std::ptrdiff_t>(index));
  for (auto const& next : done.behind) { // may open the next large one, which takes the rest behind itself
    std::size_t const counted = next.control.size() + next.payload.size();
    bytes_ -= counted;
    accepted_ -= counted;
    push(done.sender, next.control.view(), next.payload);
  }
}

std::span<base::bytes_view const> outbox::gather() {
  close_tail();
  while (ready_bytes_ < gather_bytes && !large_.empty()) {
    next_fragment();
    close_tail();
  }
  parts_.clear();
  for (auto const& c : ready_) {
    if (parts_.size() == parts_max) break;
    parts_.push_back(c.bytes.view().subspan(c.begin, c.size));
  }
  return parts_;
}

void outbox::written(std::size_t count) {
  bytes_ -= count;
  ready_bytes_ -= count;
  while (count > 0) {
    auto& front = ready_.front();
    std::size_t const taken = std::min(count, front.size);
    front.begin += taken;
    front.size -= taken;
    count -= taken;
    if (front.size == 0) ready_.pop_front();
  }
  if (bytes_ < limits_.low_mark) busy_ = false;
}

} // namespace remora::dist
