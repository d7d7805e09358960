// Attention of one output to the window before it (awd/model/attention.py has the equations).

#pragma once

#include "softmax.h"
#include "kernels.h"

namespace awd::ISA {

static void attend(Attention of, float* __restrict weights, float* __restrict remembered) {
  const int64_t width = of.width, window = of.window, stride = of.stride;
  const float *past = of.past, *keys = of.keys, *query = of.query, *score = of.score;
  for (int64_t i = 0; i < window; ++i) {
    const float* key = keys + i * stride;
    weights[i] = sum_of<float>(width, [=](int64_t j) { return score[j] * tanh(key[j] + query[j]); });
  }
  softmax(window, weights, weights);
  for (int64_t j = 0; j < width; ++j) remembered[j] = 0;
  for (int64_t i = 0; i < window; ++i) add_scaled(width, weights[i], past + i * stride, remembered);
}

// Adds to what d_past, d_keys, d_query and d_score hold.
static void attend_backward(Attention of, const float* __restrict weights,
                            const float* __restrict d_remembered, float* __restrict d_past,
                            float* __restrict d_keys, float* __restrict d_query,
                            float* __restrict d_score) {
  const int64_t width = of.width, window = of.window, stride = of.stride;
  const float *past = of.past, *keys = of.keys, *query = of.query, *score = of.score;
  const auto by_weight = [=](int64_t i) {
    const float* row = past + i * stride;
    return sum_of<float>(width, [=](int64_t j) { return d_remembered[j] * row[j]; });
  };
  float mean = 0;
  for (int64_t i = 0; i < window; ++i) mean = fma(weights[i], by_weight(i), mean);
  for (int64_t i = 0; i < window; ++i) {
    const float d = weights[i] * (by_weight(i) - mean);
    const float* key = keys + i * stride;
    float* d_key = d_keys + i * stride;
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) {
      const float squashed = tanh(key[j] + query[j]);
      const float d_sum = d * score[j] * fma(-squashed, squashed, 1.f);
      d_score[j] = fma(d, squashed, d_score[j]);
      d_query[j] += d_sum;
      d_key[j] += d_sum;
    }
    add_scaled(width, weights[i], d_remembered, d_past + i * stride);
  }
}

}  // namespace awd::ISA
