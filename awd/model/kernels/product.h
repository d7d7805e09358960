// Matrix products. Each output has one accumulator, to which terms are added in the order of k.
//
// The right factor is packed in panels of PANEL columns, so that a tile of ROWS x PANEL outputs
// stays in registers while k runs. After at most DEPTH terms the sums are stored, and go on from
// there with the next block. Neither the tile nor the blocks have any influence on the result.

#pragma once

#include <utility>

#include "fused.h"
#include "kernels.h"
#include "transpose.h"

namespace awd::ISA {

#if defined(__AVX512F__)
constexpr int VECTORS = 2, ROWS = 12;
constexpr int64_t DEPTH = 640;  // a panel of so many rows is read from the second cache
#elif defined(__AVX2__)
constexpr int VECTORS = 2, ROWS = 6;
constexpr int64_t DEPTH = 384;  // a panel of so many rows fits the first cache
#else
constexpr int VECTORS = 4, ROWS = 6;
constexpr int64_t DEPTH = 384;
#endif
constexpr int64_t PANEL = VECTORS * WIDTH;
constexpr int64_t BLOCK = 120;  // rows of a left factor, of which DEPTH columns fit the second cache

[[gnu::always_inline]] inline int64_t least(int64_t one, int64_t other) {
  return one < other ? one : other;
}

// A length cut into parts of nearly the same size: of 20 rows four strips of 5 are faster than
// 6 + 6 + 6 + 2.
struct Parts {
  int64_t length, most, count = (length + most - 1) / most;

  int64_t size(int64_t number) const { return length / count + (number < length % count); }
};

static int64_t panels_of(int64_t columns) { return (columns + PANEL - 1) / PANEL; }

static int64_t packed_size(int64_t rows, int64_t columns) {
  return rows * panels_of(columns) * PANEL;
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
        transpose(block.at(row, column), block.stride * sizeof(float),
                  to + row * PANEL + column, PANEL * sizeof(float));
    for (; row < block.rows; ++row)
      for (int64_t column = 0; column < PANEL; ++column)
        to[row * PANEL + column] = *block.at(row, column);
  }
}

static void pack(Matrix<float> right, float* packed) {
  const Parts blocks{right.rows, DEPTH};
  for (int64_t number = 0, start = 0; number < blocks.count; start += blocks.size(number++)) {
    const int64_t height = blocks.size(number);
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

// What is fetched into the cache meanwhile, `step` bytes for each row of a panel. The right factor
// of a recurrent layer comes from memory at each time step, and is waited for otherwise.
struct Ahead {
  const char* data;
  int64_t step;
};

// COUNT rows times ALONG vectors of a panel or of neighbouring panels, each of `depth` rows.
template <int COUNT, int ALONG>
[[gnu::always_inline]] inline void tile(int64_t depth, Left left, const float* panel, Ahead ahead,
                                        float* out, int64_t out_stride, bool add) {
  const int64_t next_panel = depth * PANEL;
  for (int row = 0; row < COUNT; ++row)  // the sums go there when k has run
    for (int v = 0; v < ALONG; ++v) __builtin_prefetch(out + row * out_stride + v * WIDTH, 1);
  Vector sums[COUNT][ALONG];
  for (int row = 0; row < COUNT; ++row)
    for (int v = 0; v < ALONG; ++v)
      sums[row][v] = add ? load(out + row * out_stride + v * WIDTH) : Vector{};
  const float* from = left.data;
  for (int64_t k = 0; k < depth; ++k, panel += PANEL, from += left.depth_step) {
    if (ALONG <= VECTORS) __builtin_prefetch(ahead.data);  // more leave no time for it
    ahead.data += ahead.step;
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
static void strip(int64_t depth, Left left, const float* from, int64_t width, Ahead ahead,
                  float* out, int64_t out_stride, bool add) {
  // Enough sums at once to hide how long each addition takes.
  constexpr int PANELS = COUNT == 1 ? 4 : COUNT == 2 ? 2 : 1;
  if (width == PANELS * PANEL) {
    tile<COUNT, PANELS * VECTORS>(depth, left, from, ahead, out, out_stride, add);
    return;
  }
  for (; width > 0; width -= PANEL, from += depth * PANEL, out += PANEL) {
    if (width >= PANEL) {
      tile<COUNT, VECTORS>(depth, left, from, ahead, out, out_stride, add);
      continue;
    }
    float whole[COUNT * PANEL];
    for (int row = 0; add && row < COUNT; ++row)
      for (int64_t column = 0; column < PANEL; ++column)
        whole[row * PANEL + column] = column < width ? out[row * out_stride + column] : 0.f;
    if (width <= PANEL / 2)
      tile<COUNT, VECTORS / 2>(depth, left, from, ahead, whole, PANEL, add);
    else
      tile<COUNT, VECTORS>(depth, left, from, ahead, whole, PANEL, add);
    for (int row = 0; row < COUNT; ++row)
      for (int64_t column = 0; column < width; ++column)
        out[row * out_stride + column] = whole[row * PANEL + column];
  }
}

using Strip = void (*)(int64_t, Left, const float*, int64_t, Ahead, float*, int64_t, bool);

template <int... LESS_ONE>
static Strip strip_of(int64_t height, std::integer_sequence<int, LESS_ONE...>) {
  static constexpr Strip strips[] = {strip<LESS_ONE + 1>...};
  return strips[height - 1];
}

constexpr std::make_integer_sequence<int, ROWS> HEIGHTS;

// Copies a transposed left factor so that each strip's numbers follow each other as the tile takes
// them. In their place those for one k are neighbours, but each k is a page away.
static void straighten(Matrix<float> left, Parts strips, float* to) {
  constexpr int64_t SOON = 16;
  for (int64_t k = 0; k < left.columns; ++k) {
    for (int64_t row = 0; row < left.rows; row += 16) __builtin_prefetch(left.at(row, k + SOON));
    const float* from = left.at(0, k);
    for (int64_t number = 0, row = 0; number < strips.count; ++number) {
      const int64_t height = strips.size(number);
      float* numbers = to + row * left.columns + k * height;
      if (height == ROWS)
        std::memcpy(numbers, from + row, ROWS * sizeof(float));
      else
        for (int64_t i = 0; i < height; ++i) numbers[i] = from[row + i];
      row += height;
    }
  }
}

// A block of the left factor, or its `straight` copy, times one of the right factor.
static void multiply_block(Matrix<float> left, const float* straight, const float* packed,
                           int64_t columns, float* out, int64_t out_stride, bool add) {
  const int64_t depth = left.columns;
  const Parts strips{left.rows, ROWS};
  const int64_t at_once = left.rows == 1 ? 4 : left.rows == 2 ? 2 : 1;
  for (int64_t panel = 0; panel < panels_of(columns); panel += at_once) {
    const int64_t width = least(at_once * PANEL, columns - panel * PANEL);
    const float* from = packed + panel * depth * PANEL;
    // The next panels, each strip its part of them.
    const int64_t bytes = at_once * PANEL * sizeof(float);
    const char* next = reinterpret_cast<const char*>(from) + depth * bytes;
    for (int64_t number = 0, row = 0; number < strips.count; ++number) {
      const int64_t height = strips.size(number);
      const Left rows = straight ? Left{straight + row * depth, 1, height}
                                 : Left{left.at(row, 0), left.stride, 1};
      const Ahead ahead{next + number * depth * bytes / strips.count, bytes / strips.count};
      strip_of(height, HEIGHTS)(depth, rows, from, width, ahead,
                                out + row * out_stride + panel * PANEL, out_stride, add);
      row += height;
    }
  }
}

// Not inlined, since the copy would then lie on the stack of products that need none.
[[gnu::noinline]] static void multiply_transposed(Matrix<float> left, const float* packed,
                                                  int64_t columns, float* out,
                                                  int64_t out_stride, bool add) {
  alignas(64) float straight[BLOCK * DEPTH];
  straighten(left, Parts{left.rows, ROWS}, straight);
  multiply_block(left, straight, packed, columns, out, out_stride, add);
}

static void multiply(Matrix<float> left, const float* packed, int64_t columns, float* out,
                     int64_t out_stride, bool add) {
  const Parts blocks{left.columns, DEPTH};
  for (int64_t number = 0, start = 0; number < blocks.count; start += blocks.size(number++)) {
    const int64_t depth = blocks.size(number);
    for (int64_t row = 0; row < left.rows; row += BLOCK) {
      const Matrix<float> block{left.at(row, start), least(BLOCK, left.rows - row), depth,
                                left.stride, left.transposed};
      float* to = out + row * out_stride;
      if (left.transposed)
        multiply_transposed(block, packed, columns, to, out_stride, add || start > 0);
      else
        multiply_block(block, nullptr, packed, columns, to, out_stride, add || start > 0);
    }
    packed += depth * panels_of(columns) * PANEL;
  }
}

}  // namespace awd::ISA
