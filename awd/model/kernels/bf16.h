// Products of bfloat16 numbers, summed in float.
//
// The inner kernel is the one that libtorch carries for this purpose, oneDNN's "brgemm": it comes
// near a core's peak if the right factor lies in panels of 64 columns. How it orders sums depends
// on the CPU.

#pragma once

#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <cstring>

#include "factor.h"
#include "transpose.h"

// Below, one copy of a function for each generation of CPUs; the one at hand chooses when it runs.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && __GNUC__ >= 12
#define EVERY_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EVERY_CPU
#endif

namespace awd {

using at::BFloat16;

constexpr int64_t LEFT_ROWS = 256;  // of a left factor, whose copy stays in the cache

// How many numbers of a row a product reads: pairs, of which a last number without a partner needs
// one that is zero in the right factor and finite in the left.
constexpr int64_t padded(int64_t length) { return length + length % 2; }

EVERY_CPU static void round(int64_t count, const float* __restrict from, BFloat16* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, from + i, sizeof bits);
    to[i].x = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);  // ties to even
  }
}

// The right factor of products. It is cut into blocks of at most DEPTH rows, and those into panels
// of PANEL columns.
template <>
class Factor<BFloat16> {
 public:
  explicit Factor(Matrix<BFloat16> matrix)
      : rows_(matrix.rows), columns_(matrix.columns), panels_((columns_ + PANEL - 1) / PANEL),
        data_(panels_ * PANEL * padded(rows_)) {
    for (int64_t start = 0; start < rows_; start += DEPTH)
      for (int64_t panel = 0; panel < panels_; ++panel)
        pack({matrix.at(start, panel * PANEL), height(start), width(panel), matrix.stride,
              matrix.transposed},
             block(start, panel));
  }

  void multiply(Matrix<BFloat16> left, float* out, int64_t out_stride, bool add) const {
    if (!left.transposed && left.columns == padded(rows_)) {
      multiply_straight(left.data, left.stride, left.rows, out, out_stride, add);
      return;
    }
    const int64_t stride = padded(rows_);
    Scratch<BFloat16> straight(LEFT_ROWS * stride);
    for (int64_t row = 0; row < left.rows; row += LEFT_ROWS) {
      const int64_t count = std::min(LEFT_ROWS, left.rows - row);
      straighten(left.part(row, count), straight);
      multiply_straight(straight, stride, count, out + row * out_stride, out_stride, add);
    }
  }

 private:
  static constexpr int64_t PANEL = 64, DEPTH = 1280;

  int64_t height(int64_t start) const { return std::min(DEPTH, rows_ - start); }
  int64_t width(int64_t panel) const { return std::min(PANEL, columns_ - panel * PANEL); }
  BFloat16* block(int64_t start, int64_t panel) const {
    return data_ + PANEL * (start * panels_ + padded(height(start)) * panel);
  }

  void multiply_straight(const BFloat16* left, int64_t left_stride, int64_t count, float* out,
                         int64_t out_stride, bool add) const {
    for (int64_t start = 0; start < rows_; start += DEPTH)
      for (int64_t panel = 0; panel < panels_; ++panel)
        at::native::cpublas::brgemm(count, width(panel), padded(height(start)), left_stride, PANEL,
                                    out_stride, add || start > 0, left + start,
                                    block(start, panel), out + panel * PANEL, true);
    at::native::cpublas::brgemm_release(true);  // the CPU's tiles, if it has such
  }

  static void pack(Matrix<BFloat16> block, BFloat16* to);
  static void straighten(Matrix<BFloat16> matrix, BFloat16* to);

  int64_t rows_, columns_, panels_;
  Scratch<BFloat16> data_;
};

// Copy a block of at most PANEL columns, two rows at a time: their numbers alternate.
EVERY_CPU static void alternate(Matrix<BFloat16> block, int64_t panel, BFloat16* to) {
  int64_t row = 0;
  if (block.transposed && block.columns % 4 == 0)  // a pair is a word
    for (; row + 8 <= block.rows; row += 8)
      for (int64_t column = 0; column < block.columns; column += 4)
        transpose(block.at(row, column), block.stride * sizeof(BFloat16),
                  to + row * panel + 2 * column, 2 * panel * sizeof(BFloat16));
  for (; row < block.rows; row += 2) {
    const BFloat16 *one = block.at(row, 0), *other = one + block.stride;
    BFloat16* pairs = to + row * panel;
    if (row + 1 == block.rows)  // no partner
      for (int64_t column = 0; column < block.columns; ++column) {
        pairs[2 * column] = *block.at(row, column);
        pairs[2 * column + 1] = 0;
      }
    else if (block.transposed)
      for (int64_t column = 0; column < block.columns; ++column)
        std::memcpy(pairs + 2 * column, one + column * block.stride, 2 * sizeof(BFloat16));
    else
      for (int64_t column = 0; column < block.columns; ++column) {
        pairs[2 * column].x = one[column].x;
        pairs[2 * column + 1].x = other[column].x;
      }
  }
}

inline void Factor<BFloat16>::pack(Matrix<BFloat16> block, BFloat16* to) {
  alternate(block, PANEL, to);
}

// Copy a matrix of at most LEFT_ROWS rows so that these are contiguous and padded: a left factor.
EVERY_CPU static void straight_rows(Matrix<BFloat16> matrix, BFloat16* to) {
  constexpr int64_t TILE = 4;  // words, of two numbers each
  const int64_t length = padded(matrix.columns), rows = matrix.rows;
  if (!matrix.transposed) {
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(to + row * length, matrix.at(row, 0), matrix.columns * sizeof(BFloat16));
      to[row * length + length - 1] = *matrix.at(row, matrix.columns - 1);
    }
    return;
  }
  uint32_t words[TILE][LEFT_ROWS];
  for (int64_t column = 0; column < matrix.columns; column += 2 * TILE) {
    const int64_t count = std::min(TILE, (length - column) / 2);
    for (int64_t word = 0; word < count; ++word) {
      const int64_t first = column + 2 * word;
      const BFloat16* low = matrix.at(0, first);
      const BFloat16* high = matrix.at(0, std::min(first + 1, matrix.columns - 1));
      for (int64_t row = 0; row < rows; ++row)
        words[word][row] = low[row].x | static_cast<uint32_t>(high[row].x) << 16;
    }
    int64_t row = 0;
    for (; count == TILE && row + TILE <= rows; row += TILE)
      transpose(&words[0][row], sizeof words[0], to + row * length + column,
                length * sizeof(BFloat16));
    for (; row < rows; ++row)
      for (int64_t word = 0; word < count; ++word)
        std::memcpy(to + row * length + column + 2 * word, &words[word][row], sizeof(uint32_t));
  }
}

inline void Factor<BFloat16>::straighten(Matrix<BFloat16> matrix, BFloat16* to) {
  straight_rows(matrix, to);
}

template <>
class Rounded<BFloat16> {
 public:
  Rounded(int64_t rows, int64_t length)
      : rows_(rows), length_(length), stride_(padded(length)), data_(rows * stride_) {}

  Matrix<BFloat16> operator()(const float* from) {
    for (int64_t row = 0; row < rows_; ++row) {
      data_[row * stride_ + stride_ - 1] = 0;
      round(length_, from + row * length_, data_ + row * stride_);
    }
    return {data_, rows_, stride_, stride_, false};
  }

 private:
  int64_t rows_, length_, stride_;
  Scratch<BFloat16> data_;
};

}  // namespace awd
