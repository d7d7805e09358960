// Softmax of a row, and the cross-entropy of a row of logits with its gradient.

#pragma once

#include "elementary.h"
#include "sums.h"

namespace awd::ISA {

[[gnu::always_inline]] inline float largest_of(int64_t count, const float* row) {
  float largest = -INFINITE;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = row[i] > largest ? row[i] : largest;
  return largest;
}

// Leaves exp(logit - largest) in the row; returns the largest logit and the sum.
struct Exponentials {
  float largest, sum;
};

[[gnu::always_inline]] inline Exponentials exponentials(int64_t count, float* __restrict row,
                                                        const float* __restrict bias) {
  float largest = -INFINITE;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    row[i] += bias[i];
    largest = row[i] > largest ? row[i] : largest;
  }
  const float sum = sum_of<float>(count, [=](int64_t i) {
    return row[i] = exponential(row[i] - largest);
  });
  return {largest, sum};
}

static float cross_entropy(int64_t count, float* row, const float* bias, int64_t target) {
  const float logit = row[target] + bias[target];
  const auto [largest, sum] = exponentials(count, row, bias);
  return (largest - logit) + logarithm(sum);
}

static float cross_entropy_gradient(int64_t count, float* __restrict row,
                                    const float* __restrict bias, int64_t target, float scale,
                                    float* __restrict d_bias) {
  const float logit = row[target] + bias[target];
  const auto [largest, sum] = exponentials(count, row, bias);
  const float factor = scale / sum;
  const float at_target = fma(row[target], factor, -scale), before = d_bias[target];
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    row[i] *= factor;
    d_bias[i] += row[i];
  }
  row[target] = at_target;
  d_bias[target] = before + at_target;
  return (largest - logit) + logarithm(sum);
}

// `from` may be `to`.
static void softmax(int64_t count, const float* from, float* to) {
  const float largest = largest_of(count, from);
  const float sum = sum_of<float>(count, [=](int64_t i) {
    return to[i] = exponential(from[i] - largest);
  });
  for (int64_t i = 0; i < count; ++i) to[i] /= sum;
}

}  // namespace awd::ISA
