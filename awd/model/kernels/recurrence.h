// A recurrent layer over time, forwards and backwards, in one direction.

#pragma once

#include "factor.h"

namespace awd {

// Over `time` steps of `gates` (time, batch, rows), which hold weight_ih * inputs and are left with
// the activated gates, from the state `hidden` (and `memory`), (batch, width), on. Fills the hidden
// states and the memories of all steps, (time, batch, width).
template <typename T>
void over_time(const Cell& cell, int64_t time, int64_t batch, int64_t rows, int64_t width,
               float* gates, const float* hidden, const float* memory, Matrix<T> weight,
               const float* bias_ih, const float* bias_hh, float* output, float* memories) {
  const Factor<T> factor({weight.data, width, rows, weight.stride, !weight.transposed});
  Rounded<T> rounded(batch, width);
  Scratch<float> recurrent(batch * rows);
  const float *state = hidden, *before = cell.has_memory ? memory : hidden;
  const int64_t size = batch * width;
  for (int64_t t = 0; t < time; ++t, gates += batch * rows, output += size, memories += size) {
    factor.multiply(rounded(state), recurrent, rows, false);
    for (int64_t b = 0; b < batch; ++b)
      cell.forward({width, gates + b * rows, recurrent + b * rows, bias_ih, bias_hh,
                    before + b * width, memories + b * width, output + b * width});
    state = output;
    before = cell.has_memory ? memories : output;
  }
}

// Back over the steps, from what `over_time` left and the derivatives by `output` and by the last
// state. Fills the derivatives by weight_ih * inputs in `d_gates` and by weight_hh * state in
// `d_recurrent`, which are one array where both are the same. `d_hidden` and `d_memory` are left
// with the derivatives by the first state.
template <typename T>
void back_over_time(const Cell& cell, int64_t time, int64_t batch, int64_t rows, int64_t width,
                    const float* gates, const float* output, const float* memories,
                    const float* hidden, const float* memory, Matrix<T> weight,
                    const float* d_output, float* d_hidden, float* d_memory, float* d_gates,
                    float* d_recurrent) {
  const Factor<T> factor(weight);
  Rounded<T> rounded(batch, rows);
  const float* states = cell.has_memory ? memories : output;
  const float* first = cell.has_memory ? memory : hidden;
  const int64_t size = batch * width;
  for (int64_t t = time - 1; t >= 0; --t) {
    const float* before = t ? states + (t - 1) * size : first;
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t row = b * width, step = t * size + row, gate = (t * batch + b) * rows;
      cell.backward({width, gates + gate, before + row, memories + step, d_output + step,
                     d_hidden + row, d_memory + row, d_gates + gate, d_recurrent + gate});
    }
    factor.multiply(rounded(d_recurrent + t * batch * rows), d_hidden, width, true);
  }
}

}  // namespace awd
