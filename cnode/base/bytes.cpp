#include "base/bytes.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

namespace remora::base {

namespace detail {

namespace {

// From this size on blocks are of huge pages where the system has them: a 64 MiB message is 32 page faults
// instead of 16,384.
constexpr std::size_t huge_block_min = 4U << 20U;
constexpr std::size_t huge_page = 2U << 20U;

block* grow_huge(block* old, std::size_t capacity) {
  std::size_t const size = (sizeof(block) + capacity + huge_page - 1) / huge_page * huge_page;
  void* const memory = std::aligned_alloc(huge_page, size);
  check(memory != nullptr, "buffer: out of memory");
  madvise(memory, size, MADV_HUGEPAGE); // a wish: where it is refused the pages are small
  auto* const grown = new (memory) block;
  if (old != nullptr) {
    grown->size = old->size;
    std::memcpy(grown->data(), old->data(), old->size);
    std::free(old);
  }
  grown->capacity = size - sizeof(block);
  return grown;
}

} // namespace

block* grow(block* old, std::size_t capacity) {
  if (capacity >= huge_block_min) return grow_huge(old, capacity);
  void* const memory = std::realloc(old, sizeof(block) + capacity);
  check(memory != nullptr, "buffer: out of memory");
  block* const grown = old != nullptr ? static_cast<block*>(memory) : new (memory) block;
  grown->capacity = capacity;
  return grown;
}

void release(block* last) { std::free(last); }

} // namespace detail

void buffer::enlarge(std::size_t needed) {
  constexpr std::size_t least = 128; // most messages that OTP's own processes send, whole
  block_ = detail::grow(block_, std::max({needed, 2 * capacity(), least}));
}

} // namespace remora::base
