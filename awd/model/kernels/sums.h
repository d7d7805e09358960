// Sums in a fixed order: LANES partial sums, of which lane j takes the terms j, j + LANES, ..., are
// added as a tree, whatever the width of a vector is.
//
// Sums over a whole tensor are made in double, in which the square of a float is exact.

#pragma once

#include "fused.h"

namespace awd::ISA {

constexpr int64_t LANES = 16;

template <typename T>
struct Lanes {
  T part[LANES] = {};

  [[gnu::always_inline]] T total() {
    for (int64_t half = LANES / 2; half; half /= 2)
      for (int64_t j = 0; j < half; ++j) part[j] += part[j + half];
    return part[0];
  }
};

// The sum of term(i) for i from 0 to count - 1.
template <typename T, typename Term>
[[gnu::always_inline]] inline T sum_of(int64_t count, Term term) {
  Lanes<T> lanes;
  const int64_t whole = count - count % LANES;
  for (int64_t i = 0; i < whole; i += LANES)
#pragma omp simd
    for (int64_t j = 0; j < LANES; ++j) lanes.part[j] += term(i + j);
  for (int64_t i = whole; i < count; ++i) lanes.part[i - whole] += term(i);
  return lanes.total();
}

static double sum(int64_t count, const float* __restrict values) {
  return sum_of<double>(count, [=](int64_t i) { return static_cast<double>(values[i]); });
}

static double sum_of_squares(int64_t count, const float* __restrict values) {
  return sum_of<double>(count, [=](int64_t i) {
    const double value = values[i];
    return value * value;
  });
}

static double sum_of_squared_changes(int64_t count, const float* __restrict before,
                                     const float* __restrict after) {
  return sum_of<double>(count, [=](int64_t i) {
    const double change = after[i] - before[i];
    return change * change;
  });
}

}  // namespace awd::ISA
