// Matrix products whose right factor is packed once and then used many times.
//
// The inner kernel is the one that libtorch carries for this purpose, oneDNN's "brgemm": it comes
// near a core's peak if the right factor lies in panels of 64 columns. Numbers are float, or
// bfloat16 whose products are summed in float.

#pragma once

#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

// Below, one copy of a function for each generation of CPUs; the one at hand chooses when it runs.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

namespace awd {

using at::BFloat16;

template <typename T>
constexpr bool is_bf16 = std::is_same_v<T, BFloat16>;

// How many numbers of a row a product reads: bfloat16 ones in pairs, of which a last number
// without a partner needs one that is zero in the right factor and finite in the left.
template <typename T>
constexpr int64_t padded(int64_t length) {
  return is_bf16<T> ? length + length % 2 : length;
}

constexpr int64_t PANEL = 64;    // columns
constexpr int64_t DEPTH = 1280;  // rows, of which each takes up a panel's width

// Where a matrix lies: its rows are `stride` numbers apart or, if it is transposed, its columns.
template <typename T>
struct Matrix {
  const T* data;
  int64_t rows, columns, stride;
  bool transposed;

  const T* at(int64_t row, int64_t column) const {
    return data + (transposed ? row + column * stride : row * stride + column);
  }
};

// Memory for the time of a call, on a cache line's boundary; its content is arbitrary at first.
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

// Copy a block of at most PANEL columns, row by row. (rows, columns) is the block's size.
EVERY_CPU static void pack(Matrix<float> block, float* to) {
  for (int64_t row = 0; row < block.rows; ++row)
    for (int64_t column = 0; column < block.columns; ++column)
      to[row * PANEL + column] = *block.at(row, column);
}

// Copy a block of at most PANEL columns, two rows at a time: their numbers alternate.
EVERY_CPU static void pack(Matrix<BFloat16> block, BFloat16* to) {
  for (int64_t row = 0; row < block.rows; row += 2, to += 2 * PANEL) {
    const BFloat16 *one = block.at(row, 0), *other = one + block.stride;
    if (row + 1 == block.rows)  // no partner
      for (int64_t column = 0; column < block.columns; ++column) {
        to[2 * column] = *block.at(row, column);
        to[2 * column + 1] = 0;
      }
    else if (block.transposed)
      for (int64_t column = 0; column < block.columns; ++column)
        std::memcpy(to + 2 * column, one + column * block.stride, 2 * sizeof(BFloat16));
    else
      for (int64_t column = 0; column < block.columns; ++column) {
        to[2 * column].x = one[column].x;
        to[2 * column + 1].x = other[column].x;
      }
  }
}

// Copy a matrix so that its rows are contiguous and padded: a left factor of products.
EVERY_CPU static void straighten(Matrix<BFloat16> matrix, BFloat16* to) {
  const int64_t length = padded<BFloat16>(matrix.columns);
  for (int64_t column = 0; column < matrix.columns; column += 2)
    for (int64_t row = 0; row < matrix.rows; ++row) {
      const BFloat16* partner = matrix.at(row, std::min(column + 1, matrix.columns - 1));
      const uint32_t pair = matrix.at(row, column)->x | static_cast<uint32_t>(partner->x) << 16;
      std::memcpy(to + row * length + column, &pair, sizeof pair);
    }
}

// The right factor of products. It is cut into blocks of at most DEPTH rows, and those into panels
// of PANEL columns.
template <typename T>
class Packed {
 public:
  explicit Packed(Matrix<T> matrix)
      : rows_(matrix.rows), columns_(matrix.columns), panels_((columns_ + PANEL - 1) / PANEL),
        data_(panels_ * PANEL * padded<T>(rows_)) {
    for (int64_t start = 0; start < rows_; start += DEPTH)
      for (int64_t panel = 0; panel < panels_; ++panel)
        pack(Matrix<T>{matrix.at(start, panel * PANEL), height(start), width(panel),
                       matrix.stride, matrix.transposed},
             block(start, panel));
  }

  int64_t columns() const { return columns_; }

  // out = left * this, or with `add` out += left * this. `left` has `count` rows of as many
  // numbers as this has rows, padded, `out` of as many as this has columns; the next row is a
  // stride on.
  void multiply(const T* left, int64_t left_stride, int64_t count, float* out, int64_t out_stride,
                bool add) const {
    for (int64_t start = 0; start < rows_; start += DEPTH)
      for (int64_t panel = 0; panel < panels_; ++panel)
        at::native::cpublas::brgemm(count, width(panel), padded<T>(height(start)), left_stride,
                                    PANEL, out_stride, add || start > 0, left + start,
                                    block(start, panel), out + panel * PANEL, is_bf16<T>);
    at::native::cpublas::brgemm_release(is_bf16<T>);  // the CPU's tiles, if it has such
  }

 private:
  int64_t height(int64_t start) const { return std::min(DEPTH, rows_ - start); }
  int64_t width(int64_t panel) const { return std::min(PANEL, columns_ - panel * PANEL); }
  T* block(int64_t start, int64_t panel) const {
    return data_ + PANEL * (start * panels_ + padded<T>(height(start)) * panel);
  }

  int64_t rows_, columns_, panels_;
  Scratch<T> data_;
};

}  // namespace awd
