// What is done to each unit of a row: gates and their derivatives, softmax, rounding.
//
// The loops are plain, so that a compiler makes vector instructions of them.

#pragma once

#include <cmath>
#include <limits>

#include "packed.h"

namespace awd {

// exp(x) = power * (1 + series), where power = 2^n and series = exp(r) - 1 for x = n log 2 + r.
struct Exponential {
  float power, series;

  [[gnu::always_inline]] explicit Exponential(float x) {
    x = x < -87.f ? -87.f : x;
    x = x > 88.f ? 88.f : x;
    const float shifted = x * 1.44269504f + 12582912.f;  // has n in its last bits
    const float n = shifted - 12582912.f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    int32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    const uint32_t exponent = static_cast<uint32_t>(bits + 127) << 23;
    std::memcpy(&power, &exponent, sizeof power);
    series = r * (1.f / 5040) + 1.f / 720;
    series = series * r + 1.f / 120;
    series = series * r + 1.f / 24;
    series = series * r + 1.f / 6;
    series = series * r + 0.5f;
    series = series * r * r + r;
  }
};

[[gnu::always_inline]] inline float exponential(float x) {
  const Exponential e(x);
  return e.power * e.series + e.power;
}

[[gnu::always_inline]] inline float sigmoid(float x) { return 1.f / (1.f + exponential(-x)); }

// Exact to the last bits near zero, too, where exp(2 x) - 1 must not be a difference.
[[gnu::always_inline]] inline float tanh(float x) {
  const Exponential e(2.f * x);
  const float less_one = e.power * e.series + (e.power - 1.f);
  return less_one / (less_one + 2.f);
}

EVERY_CPU static void round(int64_t count, const float* __restrict from, BFloat16* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, from + i, sizeof bits);
    to[i].x = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);  // ties to even
  }
}

// The cells, one batch row at a time; equations and order of gates are those of torch.nn.

struct Forward {
  int64_t width;
  float* gates;                    // in: the inputs' part; out: the activated gates
  const float *recurrent, *bias;   // the state's part
  const float* before;             // the last cell state (LSTM) or hidden state (GRU)
  float* memory;                   // the new cell state (LSTM) or `recurrent` of n (GRU)
  float* output;                   // the new hidden state
};

struct Backward {
  int64_t width;
  const float *gates, *before, *memory, *d_output;
  float *d_hidden, *d_cell;        // in: by the new state; out: by the old, but for the matrix
  float *d_gates, *d_recurrent;    // by the inputs' part of the gates, and by the state's
};

EVERY_CPU static void lstm(Forward row) {
  const auto [width, gates, recurrent, bias, before, memory, output] = row;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t i = j, f = j + width, g = j + 2 * width, o = j + 3 * width;
    gates[i] = sigmoid(gates[i] + recurrent[i] + bias[i]);
    gates[f] = sigmoid(gates[f] + recurrent[f] + bias[f]);
    gates[g] = tanh(gates[g] + recurrent[g] + bias[g]);
    gates[o] = sigmoid(gates[o] + recurrent[o] + bias[o]);
    memory[j] = gates[f] * before[j] + gates[i] * gates[g];
    output[j] = gates[o] * tanh(memory[j]);
  }
}

EVERY_CPU static void lstm(Backward row) {
  const auto [width, gates, before, memory, d_output, d_hidden, d_cell, d_gates, _] = row;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t i = j, f = j + width, g = j + 2 * width, o = j + 3 * width;
    const float d = d_hidden[j] + d_output[j], squashed = tanh(memory[j]);
    const float d_memory = d_cell[j] + d * gates[o] * (1.f - squashed * squashed);
    d_gates[i] = d_memory * gates[g] * gates[i] * (1.f - gates[i]);
    d_gates[f] = d_memory * before[j] * gates[f] * (1.f - gates[f]);
    d_gates[g] = d_memory * gates[i] * (1.f - gates[g] * gates[g]);
    d_gates[o] = d * squashed * gates[o] * (1.f - gates[o]);
    d_cell[j] = d_memory * gates[f];
    d_hidden[j] = 0;
  }
}

EVERY_CPU static void gru(Forward row) {
  const auto [width, gates, recurrent, bias, before, memory, output] = row;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t r = j, z = j + width, n = j + 2 * width;
    gates[r] = sigmoid(gates[r] + recurrent[r] + bias[r]);
    gates[z] = sigmoid(gates[z] + recurrent[z] + bias[z]);
    memory[j] = recurrent[n] + bias[n];
    gates[n] = tanh(gates[n] + gates[r] * memory[j]);
    output[j] = gates[n] + gates[z] * (before[j] - gates[n]);
  }
}

EVERY_CPU static void gru(Backward row) {
  const auto [width, gates, before, memory, d_output, d_hidden, _, d_gates, d_recurrent] = row;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t r = j, z = j + width, n = j + 2 * width;
    const float d = d_hidden[j] + d_output[j];
    d_gates[n] = d * (1.f - gates[z]) * (1.f - gates[n] * gates[n]);
    d_gates[z] = d * (before[j] - gates[n]) * gates[z] * (1.f - gates[z]);
    d_gates[r] = d_gates[n] * memory[j] * gates[r] * (1.f - gates[r]);
    d_recurrent[r] = d_gates[r];
    d_recurrent[z] = d_gates[z];
    d_recurrent[n] = d_gates[n] * gates[r];
    d_hidden[j] = d * gates[z];
  }
}

EVERY_CPU static void rnn(Forward row) {
  const auto [width, gates, recurrent, bias, _, __, output] = row;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j)
    output[j] = gates[j] = tanh(gates[j] + recurrent[j] + bias[j]);
}

EVERY_CPU static void rnn(Backward row) {
  const auto [width, gates, _, __, d_output, d_hidden, ___, d_gates, ____] = row;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    d_gates[j] = (d_hidden[j] + d_output[j]) * (1.f - gates[j] * gates[j]);
    d_hidden[j] = 0;
  }
}

// Turns a row of logits, to which `bias` is yet to be added, into the gradient of its
// cross-entropy: softmax less one at the target. Returns the cross-entropy in nats.
EVERY_CPU static float cross_entropy_row(int64_t count, float* __restrict row,
                                         const float* __restrict bias, int64_t target,
                                         float* __restrict bias_gradient) {
  float largest = -std::numeric_limits<float>::infinity(), sum = 0;
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    row[i] += bias[i];
    largest = row[i] > largest ? row[i] : largest;
  }
  const float loss = largest - row[target];
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    row[i] = exponential(row[i] - largest);
    sum += row[i];
  }
  const float scale = 1.f / sum;
  for (int64_t i = 0; i < count; ++i) {
    row[i] *= scale;
    bias_gradient[i] += row[i];
  }
  row[target] -= 1.f;
  bias_gradient[target] -= 1.f;
  return loss + std::log(sum);
}

}  // namespace awd
