// Bytes of the wire: big-endian integers, a cursor that cannot read past its end, and a growable buffer that
// becomes an immutable shared blob without a copy.
#pragma once

#include "base/check.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace remora::base {

using bytes_view = std::span<std::uint8_t const>;

template <class Int>
Int load_be(std::uint8_t const* at) {
  Int value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (sizeof(Int) == 2) return static_cast<Int>(__builtin_bswap16(value));
  if constexpr (sizeof(Int) == 4) return static_cast<Int>(__builtin_bswap32(value));
  if constexpr (sizeof(Int) == 8) return static_cast<Int>(__builtin_bswap64(value));
  return value;
}

template <class Int>
void store_be(std::uint8_t* at, Int value) {
  if constexpr (sizeof(Int) == 2) value = static_cast<Int>(__builtin_bswap16(value));
  if constexpr (sizeof(Int) == 4) value = static_cast<Int>(__builtin_bswap32(value));
  if constexpr (sizeof(Int) == 8) value = static_cast<Int>(__builtin_bswap64(value));
  std::memcpy(at, &value, sizeof value);
}

inline bytes_view as_bytes(std::string_view text) {
  return {reinterpret_cast<std::uint8_t const*>(text.data()), text.size()};
}

inline std::string_view as_text(bytes_view bytes) {
  return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

// Reads from the front of somebody else's bytes. Once a read fails every later one does, so a parser may read
// a whole layout and ask ok() once.
class cursor {
public:
  explicit cursor(bytes_view bytes) : left_(bytes) {}

  std::uint8_t u8() { return integer<std::uint8_t>(); }
  std::uint16_t u16() { return integer<std::uint16_t>(); }
  std::uint32_t u32() { return integer<std::uint32_t>(); }
  std::uint64_t u64() { return integer<std::uint64_t>(); }

  bytes_view take(std::size_t count) {
    if (count > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    auto const taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }

  bytes_view rest() const { return left_; }
  bool ok() const { return ok_; }

private:
  template <class Int>
  Int integer() {
    auto const taken = take(sizeof(Int));
    return ok_ ? load_be<Int>(taken.data()) : Int{};
  }

  bytes_view left_;
  bool ok_ = true;
};

namespace detail {
// The head of one heap block: the bytes follow it. The count is not atomic: one thread owns all that remora
// holds.
struct block {
  std::size_t size = 0;
  std::size_t capacity = 0;
  std::uint32_t references = 1;

  std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
};
block* grow(block* old, std::size_t capacity); // aborts when there is no memory
void release(block* last);
} // namespace detail

// Growable bytes with one owner.
class buffer {
public:
  buffer() = default;
  buffer(buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  buffer& operator=(buffer&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~buffer() {
    if (block_ != nullptr) detail::release(block_);
  }

  std::size_t size() const { return block_ != nullptr ? block_->size : 0; }
  std::size_t capacity() const { return block_ != nullptr ? block_->capacity : 0; }
  bool empty() const { return size() == 0; }
  std::uint8_t* data() { return block_ != nullptr ? block_->data() : nullptr; }
  std::uint8_t const* data() const { return block_ != nullptr ? block_->data() : nullptr; }
  bytes_view view() const { return {data(), size()}; }

  void reserve(std::size_t capacity) {
    if (capacity > this->capacity()) block_ = detail::grow(block_, capacity);
  }

  // Room for `count` more bytes at the end; valid until the next call. commit() says how many were written.
  std::uint8_t* room(std::size_t count) {
    if (size() + count > capacity()) enlarge(size() + count);
    return block_->data() + block_->size;
  }
  void commit(std::size_t count) {
    check(size() + count <= capacity(), "buffer: commit within the room asked for");
    if (count > 0) block_->size += count;
  }

  void append(bytes_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
    block_->size += bytes.size();
  }
  void append(std::string_view text) { append(as_bytes(text)); }
  template <class Int>
  void put(Int value) {
    store_be(room(sizeof value), value);
    block_->size += sizeof value;
  }

  void truncate(std::size_t size) {
    check(size <= this->size(), "buffer: truncate to less");
    if (block_ != nullptr) block_->size = size;
  }
  void clear() { truncate(0); }

private:
  friend class blob;
  void enlarge(std::size_t needed);

  detail::block* block_ = nullptr;
};

// Immutable shared bytes, all of a block or a part of it. Copies share; never hand one to another thread.
class blob {
public:
  blob() = default;
  explicit blob(buffer&& bytes) : block_(std::exchange(bytes.block_, nullptr)) {
    if (block_ != nullptr) size_ = block_->size;
  }
  blob(buffer&& bytes, std::size_t begin) : blob(std::move(bytes)) { // without its first bytes
    check(begin <= size_, "blob: begins within its bytes");
    begin_ = begin;
    size_ -= begin;
  }
  blob(blob const& other) : block_(other.block_), begin_(other.begin_), size_(other.size_) {
    if (block_ != nullptr) ++block_->references;
  }
  blob(blob&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), begin_(other.begin_),
        size_(std::exchange(other.size_, 0)) {}
  blob& operator=(blob other) noexcept {
    std::swap(block_, other.block_);
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~blob() {
    if (block_ != nullptr && --block_->references == 0) detail::release(block_);
  }

  bytes_view view() const {
    return block_ != nullptr ? bytes_view{block_->data() + begin_, size_} : bytes_view{};
  }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // A part that shares the bytes; `inside` is a view into this blob.
  blob part(bytes_view inside) const {
    auto const all = view();
    check(contains(inside), "blob: a part lies inside");
    blob out(*this);
    out.begin_ = begin_ + static_cast<std::size_t>(inside.data() - all.data());
    out.size_ = inside.size();
    return out;
  }
  bool contains(bytes_view bytes) const {
    auto const all = view();
    return bytes.data() >= all.data() && bytes.data() + bytes.size() <= all.data() + all.size();
  }

private:
  detail::block* block_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

} // namespace remora::base
