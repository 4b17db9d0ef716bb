#include "base/bytes.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace remora::base {

namespace detail {

block* grow(block* old, std::size_t capacity) {
  // realloc moves large blocks by remapping pages instead of copying them.
  void* const memory = std::realloc(old, sizeof(block) + capacity);
  check(memory != nullptr, "buffer: out of memory");
  block* const grown = old != nullptr ? static_cast<block*>(memory) : new (memory) block;
  grown->capacity = capacity;
  return grown;
}

void release(block* last) { std::free(last); }

} // namespace detail

void buffer::enlarge(std::size_t needed) {
  std::size_t const doubled = capacity() + capacity() / 2;
  block_ = detail::grow(block_, std::max({needed, doubled, std::size_t{64}}));
}

} // namespace remora::base
