// Where the numbers of a matrix lie, and memory for the time of a call.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace awd {

// The rows of a matrix are `stride` numbers apart or, if it is transposed, its columns.
template <typename T>
struct Matrix {
  const T* data;
  int64_t rows, columns, stride;
  bool transposed;

  [[gnu::always_inline]] const T* at(int64_t row, int64_t column) const {
    return data + (transposed ? row + column * stride : row * stride + column);
  }

  // `count` rows from `start` on.
  [[gnu::always_inline]] Matrix part(int64_t start, int64_t count) const {
    return {at(start, 0), count, columns, stride, transposed};
  }
};

// Memory on a cache line's boundary; its content is arbitrary at first. Large memory lies on huge
// pages where Linux has them: rows of logits are 40 kB apart, each on pages of its own otherwise.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : data_(static_cast<T*>(allocate(count * sizeof(T))), &std::free) {
    if (count && !data_) throw std::bad_alloc();
  }
  operator T*() const { return data_.get(); }

 private:
  static constexpr size_t LINE = 64, HUGE_PAGE = 1 << 21;

  static void* allocate(size_t size) {
    const size_t unit = size < 2 * HUGE_PAGE ? LINE : HUGE_PAGE;
    void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
#if defined(__linux__)
    // Advice: if it is not taken, pages are small.
    if (memory && unit == HUGE_PAGE) madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
  }

  std::unique_ptr<T, void (*)(void*)> data_;
};

}  // namespace awd
