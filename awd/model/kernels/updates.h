// What an optimizer does to each weight, in one pass over the weights.

#pragma once

#include "fused.h"
#include "kernels.h"

namespace awd::ISA {

// `scale` is what clipping leaves of the gradient; weight decay is added to what is left.
static void sgd(int64_t count, float rate, float decay, float scale,
                const float* __restrict gradient, float* __restrict parameter) {
  for (int64_t i = 0; i < count; ++i) {
    const float slope = fma(decay, parameter[i], scale * gradient[i]);
    parameter[i] = fma(-rate, slope, parameter[i]);
  }
}

// Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 2.
static void adamw(int64_t count, AdamW rule, const float* __restrict gradient,
                  float* __restrict parameter, float* __restrict mean, float* __restrict square) {
  const float scale = rule.scale, beta1 = rule.beta1, beta2 = rule.beta2;
  const float epsilon = rule.epsilon, step_size = rule.step_size;
  const float root_correction = rule.root_correction;
  const float shrink = 1.f - rule.rate * rule.decay, new1 = 1.f - beta1, new2 = 1.f - beta2;
  for (int64_t i = 0; i < count; ++i) {
    const float slope = scale * gradient[i];
    mean[i] = fma(beta1, mean[i], new1 * slope);
    square[i] = fma(beta2, square[i], new2 * slope * slope);
    const float root = __builtin_sqrtf(square[i]) / root_correction + epsilon;
    parameter[i] = fma(-step_size, mean[i] / root, shrink * parameter[i]);
  }
}

// A running mean in double: in float it would stall where a step is smaller than its last digit.
static void average(int64_t count, double weight, const float* __restrict parameter,
                    double* __restrict mean) {
  for (int64_t i = 0; i < count; ++i) mean[i] += (parameter[i] - mean[i]) * weight;
}

}  // namespace awd::ISA
