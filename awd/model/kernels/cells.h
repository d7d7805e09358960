// LSTM, GRU and tanh cell, one batch row at one time step; equations and order of gates are those
// of torch.nn.

#pragma once

#include "elementary.h"
#include "kernels.h"

namespace awd::ISA {

static void lstm(Forward row) {
  const int64_t width = row.width;
  float *gates = row.gates, *memory = row.memory, *output = row.output;
  const float *recurrent = row.recurrent, *before = row.before;
  const float *bias_ih = row.bias_ih, *bias_hh = row.bias_hh;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t i = j, f = j + width, g = j + 2 * width, o = j + 3 * width;
    gates[i] = logistic((gates[i] + bias_ih[i]) + (recurrent[i] + bias_hh[i]));
    gates[f] = logistic((gates[f] + bias_ih[f]) + (recurrent[f] + bias_hh[f]));
    gates[g] = tanh((gates[g] + bias_ih[g]) + (recurrent[g] + bias_hh[g]));
    gates[o] = logistic((gates[o] + bias_ih[o]) + (recurrent[o] + bias_hh[o]));
    memory[j] = fma(gates[f], before[j], gates[i] * gates[g]);
    output[j] = gates[o] * tanh(memory[j]);
  }
}

static void lstm(Backward row) {
  const int64_t width = row.width;
  const float *gates = row.gates, *before = row.before, *memory = row.memory;
  const float* d_output = row.d_output;
  float *d_hidden = row.d_hidden, *d_cell = row.d_memory, *d_gates = row.d_gates;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t i = j, f = j + width, g = j + 2 * width, o = j + 3 * width;
    const float d = d_hidden[j] + d_output[j], squashed = tanh(memory[j]);
    const float d_memory = fma(d * gates[o], fma(-squashed, squashed, 1.f), d_cell[j]);
    d_gates[i] = d_memory * gates[g] * gates[i] * (1.f - gates[i]);
    d_gates[f] = d_memory * before[j] * gates[f] * (1.f - gates[f]);
    d_gates[g] = d_memory * gates[i] * fma(-gates[g], gates[g], 1.f);
    d_gates[o] = d * squashed * gates[o] * (1.f - gates[o]);
    d_cell[j] = d_memory * gates[f];
    d_hidden[j] = 0;
  }
}

static void gru(Forward row) {
  const int64_t width = row.width;
  float *gates = row.gates, *memory = row.memory, *output = row.output;
  const float *recurrent = row.recurrent, *before = row.before;
  const float *bias_ih = row.bias_ih, *bias_hh = row.bias_hh;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t r = j, z = j + width, n = j + 2 * width;
    gates[r] = logistic((gates[r] + bias_ih[r]) + (recurrent[r] + bias_hh[r]));
    gates[z] = logistic((gates[z] + bias_ih[z]) + (recurrent[z] + bias_hh[z]));
    memory[j] = recurrent[n] + bias_hh[n];
    gates[n] = tanh(fma(gates[r], memory[j], gates[n] + bias_ih[n]));
    output[j] = fma(gates[z], before[j] - gates[n], gates[n]);
  }
}

static void gru(Backward row) {
  const int64_t width = row.width;
  const float *gates = row.gates, *before = row.before, *memory = row.memory;
  const float* d_output = row.d_output;
  float *d_hidden = row.d_hidden, *d_gates = row.d_gates, *d_recurrent = row.d_recurrent;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const int64_t r = j, z = j + width, n = j + 2 * width;
    const float d = d_hidden[j] + d_output[j];
    d_gates[n] = d * (1.f - gates[z]) * fma(-gates[n], gates[n], 1.f);
    d_gates[z] = d * (before[j] - gates[n]) * gates[z] * (1.f - gates[z]);
    d_gates[r] = d_gates[n] * memory[j] * gates[r] * (1.f - gates[r]);
    d_recurrent[r] = d_gates[r];
    d_recurrent[z] = d_gates[z];
    d_recurrent[n] = d_gates[n] * gates[r];
    d_hidden[j] = d * gates[z];
  }
}

static void rnn(Forward row) {
  const int64_t width = row.width;
  float *gates = row.gates, *output = row.output;
  const float *recurrent = row.recurrent, *bias_ih = row.bias_ih, *bias_hh = row.bias_hh;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j)
    output[j] = gates[j] = tanh((gates[j] + bias_ih[j]) + (recurrent[j] + bias_hh[j]));
}

static void rnn(Backward row) {
  const int64_t width = row.width;
  const float *gates = row.gates, *d_output = row.d_output;
  float *d_hidden = row.d_hidden, *d_gates = row.d_gates;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    d_gates[j] = (d_hidden[j] + d_output[j]) * fma(-gates[j], gates[j], 1.f);
    d_hidden[j] = 0;
  }
}

}  // namespace awd::ISA
