// Matrix products. Each output has one accumulator, to which terms are added in the order of k.
//
// The right factor is packed in panels of PANEL columns, so that a tile of ROWS x PANEL outputs
// stays in registers while k runs. After DEPTH terms the sums are stored, and go on from there with
// the next block. Neither the tile nor the blocks have any influence on the result.

#pragma once

#include <utility>

#include "fused.h"
#include "kernels.h"

namespace awd::ISA {

#if defined(__AVX512F__)
constexpr int VECTORS = 2, ROWS = 12;
#elif defined(__AVX2__)
constexpr int VECTORS = 2, ROWS = 6;
#else
constexpr int VECTORS = 4, ROWS = 6;
#endif
constexpr int64_t PANEL = VECTORS * WIDTH;
constexpr int64_t DEPTH = 384;  // a panel of so many rows fits the first cache
constexpr int64_t BLOCK = 120;  // rows of a transposed left factor, of which a copy fits the second

[[gnu::always_inline]] inline int64_t least(int64_t one, int64_t other) {
  return one < other ? one : other;
}

static int64_t panels_of(int64_t columns) { return (columns + PANEL - 1) / PANEL; }

static int64_t packed_size(int64_t rows, int64_t columns) {
  return rows * panels_of(columns) * PANEL;
}

// Copies 4 x 4 numbers and exchanges rows and columns.
[[gnu::always_inline]] inline void transpose(const float* from, int64_t from_stride, float* to,
                                             int64_t to_stride) {
  typedef float Four __attribute__((vector_size(16)));
  typedef int32_t Order __attribute__((vector_size(16)));
  Four a, b, c, d;
  std::memcpy(&a, from, sizeof a);
  std::memcpy(&b, from + from_stride, sizeof b);
  std::memcpy(&c, from + 2 * from_stride, sizeof c);
  std::memcpy(&d, from + 3 * from_stride, sizeof d);
  const Four ab = __builtin_shuffle(a, b, Order{0, 4, 1, 5});
  const Four ab2 = __builtin_shuffle(a, b, Order{2, 6, 3, 7});
  const Four cd = __builtin_shuffle(c, d, Order{0, 4, 1, 5});
  const Four cd2 = __builtin_shuffle(c, d, Order{2, 6, 3, 7});
  const Four row0 = __builtin_shuffle(ab, cd, Order{0, 1, 4, 5});
  const Four row1 = __builtin_shuffle(ab, cd, Order{2, 3, 6, 7});
  const Four row2 = __builtin_shuffle(ab2, cd2, Order{0, 1, 4, 5});
  const Four row3 = __builtin_shuffle(ab2, cd2, Order{2, 3, 6, 7});
  std::memcpy(to, &row0, sizeof row0);
  std::memcpy(to + to_stride, &row1, sizeof row1);
  std::memcpy(to + 2 * to_stride, &row2, sizeof row2);
  std::memcpy(to + 3 * to_stride, &row3, sizeof row3);
}

// Copies a block of at most PANEL columns, row by row, and fills missing columns with zeros.
static void pack_panel(Matrix<float> block, float* to) {
  if (block.columns < PANEL)
    for (int64_t row = 0; row < block.rows; ++row)
      for (int64_t column = 0; column < PANEL; ++column)
        to[row * PANEL + column] = column < block.columns ? *block.at(row, column) : 0.f;
  else if (!block.transposed)
    for (int64_t row = 0; row < block.rows; ++row)
      std::memcpy(to + row * PANEL, block.at(row, 0), PANEL * sizeof(float));
  else {
    int64_t row = 0;
    for (; row + 4 <= block.rows; row += 4)
      for (int64_t column = 0; column < PANEL; column += 4)
        transpose(block.at(row, column), block.stride, to + row * PANEL + column, PANEL);
    for (; row < block.rows; ++row)
      for (int64_t column = 0; column < PANEL; ++column)
        to[row * PANEL + column] = *block.at(row, column);
  }
}

static void pack(Matrix<float> right, float* packed) {
  for (int64_t start = 0; start < right.rows; start += DEPTH) {
    const int64_t height = least(DEPTH, right.rows - start);
    for (int64_t column = 0; column < right.columns; column += PANEL) {
      const int64_t width = least(PANEL, right.columns - column);
      pack_panel({right.at(start, column), height, width, right.stride, right.transposed}, packed);
      packed += height * PANEL;
    }
  }
}

// A block of the left factor, one of its rows after the other or one column after the other.
struct Left {
  const float* data;
  int64_t row_step, depth_step;
};

// COUNT rows times PANELS neighbouring panels, each of `depth` rows.
template <int COUNT, int PANELS>
[[gnu::always_inline]] inline void tile(int64_t depth, Left left, const float* panel, float* out,
                                        int64_t out_stride, bool add) {
  constexpr int ALONG = PANELS * VECTORS;
  const int64_t next_panel = depth * PANEL;
  Vector sums[COUNT][ALONG];
  for (int row = 0; row < COUNT; ++row)
    for (int v = 0; v < ALONG; ++v)
      sums[row][v] = add ? load(out + row * out_stride + v * WIDTH) : Vector{};
  const float* from = left.data;
  for (int64_t k = 0; k < depth; ++k, panel += PANEL, from += left.depth_step) {
    Vector right[ALONG];
    for (int v = 0; v < ALONG; ++v)
      right[v] = load(panel + v / VECTORS * next_panel + v % VECTORS * WIDTH);
    for (int row = 0; row < COUNT; ++row) {
      const Vector factor = broadcast(from[row * left.row_step]);
      for (int v = 0; v < ALONG; ++v) sums[row][v] = fma(factor, right[v], sums[row][v]);
    }
  }
  for (int row = 0; row < COUNT; ++row)
    for (int v = 0; v < ALONG; ++v) store(out + row * out_stride + v * WIDTH, sums[row][v]);
}

// COUNT rows times all panels of a block of `depth` rows.
template <int COUNT>
static void strip(int64_t depth, Left left, const float* packed, int64_t panel, int64_t width,
                  float* out, int64_t out_stride, bool add) {
  // Enough sums at once to hide how long each addition takes.
  constexpr int PANELS = COUNT == 1 ? 4 : COUNT == 2 ? 2 : 1;
  const float* from = packed + panel * depth * PANEL;
  out += panel * PANEL;
  if (width == PANELS * PANEL) {
    tile<COUNT, PANELS>(depth, left, from, out, out_stride, add);
    return;
  }
  for (; width > 0; width -= PANEL, from += depth * PANEL, out += PANEL) {
    if (width >= PANEL) {
      tile<COUNT, 1>(depth, left, from, out, out_stride, add);
      continue;
    }
    float whole[COUNT * PANEL];
    for (int row = 0; add && row < COUNT; ++row)
      for (int64_t column = 0; column < PANEL; ++column)
        whole[row * PANEL + column] = column < width ? out[row * out_stride + column] : 0.f;
    tile<COUNT, 1>(depth, left, from, whole, PANEL, add);
    for (int row = 0; row < COUNT; ++row)
      for (int64_t column = 0; column < width; ++column)
        out[row * out_stride + column] = whole[row * PANEL + column];
  }
}

using Strip = void (*)(int64_t, Left, const float*, int64_t, int64_t, float*, int64_t, bool);

template <int... LESS_ONE>
static Strip strip_of(int64_t count, std::integer_sequence<int, LESS_ONE...>) {
  static constexpr Strip strips[] = {strip<LESS_ONE + 1>...};
  return strips[count - 1];
}

// `count` rows times one block of the right factor.
static void multiply_block(int64_t depth, Left left, int64_t count, const float* packed,
                           int64_t columns, float* out, int64_t out_stride, bool add) {
  // Strips of nearly the same height: of 20 rows four of 5 are faster than 6 + 6 + 6 + 2.
  const int64_t strips = (count + ROWS - 1) / ROWS;
  const int64_t at_once = count == 1 ? 4 : count == 2 ? 2 : 1;
  for (int64_t panel = 0; panel < panels_of(columns); panel += at_once) {
    const int64_t width = least(at_once * PANEL, columns - panel * PANEL);
    for (int64_t number = 0, row = 0; number < strips; ++number) {
      const int64_t height = count / strips + (number < count % strips);
      const Left from{left.data + row * left.row_step, left.row_step, left.depth_step};
      strip_of(height, std::make_integer_sequence<int, ROWS>())(
          depth, from, packed, panel, width, out + row * out_stride, out_stride, add);
      row += height;
    }
  }
}

static void multiply(Matrix<float> left, const float* packed, int64_t columns, float* out,
                     int64_t out_stride, bool add) {
  alignas(64) float copy[BLOCK * DEPTH];
  for (int64_t start = 0; start < left.columns; start += DEPTH) {
    const int64_t depth = least(DEPTH, left.columns - start);
    for (int64_t row = 0; row < left.rows; row += BLOCK) {
      const int64_t count = least(BLOCK, left.rows - row);
      Left from{left.at(row, start), left.stride, 1};
      if (left.transposed) {  // its numbers for one k are neighbours, but each k is a page away
        for (int64_t k = 0; k < depth; ++k)
          std::memcpy(copy + k * count, left.at(row, start + k), count * sizeof(float));
        from = {copy, 1, count};
      }
      multiply_block(depth, from, count, packed, columns, out + row * out_stride, out_stride,
                     add || start > 0);
    }
    packed += depth * panels_of(columns) * PANEL;
  }
}

}  // namespace awd::ISA
