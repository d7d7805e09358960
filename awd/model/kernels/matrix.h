// Where the numbers of a matrix lie, and memory for the time of a call.

#pragma once

#include <cstdint>
#include <memory>
#include <new>

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

// Memory on a cache line's boundary; its content is arbitrary at first.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : data_(static_cast<T*>(::operator new(count * sizeof(T), LINE)), &release) {}
  operator T*() const { return data_.get(); }

 private:
  static constexpr std::align_val_t LINE{64};
  static void release(T* data) { ::operator delete(data, LINE); }

  std::unique_ptr<T, void (*)(T*)> data_;
};

}  // namespace awd
