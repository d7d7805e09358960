// The operators torch.ops.awd: a recurrent layer over time, a product, and a decoder's loss.
//
// For one CPU thread; awd/recurrent.py and awd/cross_entropy.py say what they are parts of.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <Python.h>
#include <torch/library.h>

#include <string_view>
#include <tuple>

#include "packed.h"
#include "pointwise.h"

namespace awd {
namespace {

using at::Tensor;

struct Cell {
  void (*forward)(Forward);
  void (*backward)(Backward);
  bool has_memory;  // which goes from step to step beside the hidden state
};

Cell cell_named(std::string_view name) {
  if (name == "lstm") return {lstm, lstm, true};
  if (name == "gru") return {gru, gru, false};
  TORCH_CHECK(name == "rnn", "no cell '", name, "'");
  return {rnn, rnn, false};
}

float* values(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous(), "a contiguous tensor is expected");
  return tensor.mutable_data_ptr<float>();
}

template <typename T>
Matrix<T> matrix_of(const Tensor& tensor) {
  const bool transposed = tensor.stride(1) != 1;
  TORCH_CHECK(!transposed || tensor.stride(0) == 1, "a matrix must be contiguous or transposed");
  return {tensor.const_data_ptr<T>(), tensor.size(0), tensor.size(1),
          tensor.stride(transposed ? 1 : 0), transposed};
}

// Calls `function` with a zero of the type of the operands of products.
template <typename Function>
void with_type_of(const Tensor& operand, Function function) {
  operand.scalar_type() == at::kBFloat16 ? function(BFloat16()) : function(0.f);
}

// `count` rows as a left factor of products of T: themselves, or rounded into `scratch`.
const float* operand(const float* from, int64_t, int64_t, float*) { return from; }
const BFloat16* operand(const float* from, int64_t count, int64_t length, BFloat16* scratch) {
  const int64_t stride = padded<BFloat16>(length);
  for (int64_t row = 0; row < count; ++row) {
    scratch[row * stride + stride - 1] = 0;
    round(length, from + row * length, scratch + row * stride);
  }
  return scratch;
}

// Over the steps of `gates` (time, batch, gates * width), which hold the inputs' part and are
// left with the activated gates, from the state `hidden` (and `memory`), (batch, width), on.
// Returns all hidden states and all memories, (time, batch, width).
std::tuple<Tensor, Tensor> recur(std::string_view name, const Tensor& gates, const Tensor& hidden,
                                 const Tensor& memory, const Tensor& weight, const Tensor& bias) {
  const Cell cell = cell_named(name);
  const int64_t time = gates.size(0), batch = gates.size(1), rows = gates.size(2);
  const int64_t width = hidden.size(1), size = batch * width;
  const Tensor output = at::empty({time, batch, width}, hidden.options());
  const Tensor memories = at::empty({time, batch, width}, hidden.options());
  with_type_of(weight, [&](auto zero) {
    using T = decltype(zero);
    const Packed<T> matrix(matrix_of<T>(weight.t()));
    const int64_t stride = padded<T>(width);
    Scratch<T> rounded(batch * stride);
    Scratch<float> recurrent(batch * rows);
    const float* state = values(hidden);
    const float* before = values(cell.has_memory ? memory : hidden);
    for (int64_t t = 0; t < time; ++t) {
      matrix.multiply(operand(state, batch, width, rounded), stride, batch, recurrent, rows,
                      false);
      float* at_output = values(output) + t * size;
      float* at_memory = values(memories) + t * size;
      for (int64_t b = 0; b < batch; ++b)
        cell.forward({width, values(gates) + (t * batch + b) * rows, recurrent + b * rows,
                      values(bias), before + b * width, at_memory + b * width,
                      at_output + b * width});
      state = at_output;
      before = cell.has_memory ? at_memory : at_output;
    }
  });
  return {output, memories};
}

// Back over the steps, from what `recur` left and the derivatives by `output` and by the last
// state. Fills the derivatives by the gates before activation: by the inputs' part in `d_gates`
// and the state's in `d_recurrent`, one tensor where both are the same. `d_hidden` and `d_memory`
// are left with the derivatives by the first state.
void recur_backward(std::string_view name, const Tensor& gates, const Tensor& output,
                    const Tensor& memories, const Tensor& hidden, const Tensor& memory,
                    const Tensor& weight, const Tensor& d_output, const Tensor& d_hidden,
                    const Tensor& d_memory, const Tensor& d_gates, const Tensor& d_recurrent) {
  const Cell cell = cell_named(name);
  const int64_t time = gates.size(0), batch = gates.size(1), rows = gates.size(2);
  const int64_t width = hidden.size(1), size = batch * width;
  const float* states = values(cell.has_memory ? memories : output);
  const float* first = values(cell.has_memory ? memory : hidden);
  with_type_of(weight, [&](auto zero) {
    using T = decltype(zero);
    const Packed<T> matrix(matrix_of<T>(weight));
    const int64_t stride = padded<T>(rows);
    Scratch<T> rounded(batch * stride);
    for (int64_t t = time - 1; t >= 0; --t) {
      const float* before = t ? states + (t - 1) * size : first;
      for (int64_t b = 0; b < batch; ++b) {
        const int64_t row = b * width, step = t * size + row, gate = (t * batch + b) * rows;
        cell.backward({width, values(gates) + gate, before + row, values(memories) + step,
                       values(d_output) + step, values(d_hidden) + row, values(d_memory) + row,
                       values(d_gates) + gate, values(d_recurrent) + gate});
      }
      const float* at_recurrent = values(d_recurrent) + t * batch * rows;
      matrix.multiply(operand(at_recurrent, batch, rows, rounded), stride, batch,
                      values(d_hidden), width, true);
    }
  });
}

// out = left * right of bfloat16 numbers, or with `add` out += left * right.
void product(const Tensor& left, const Tensor& right, const Tensor& out, bool add) {
  constexpr int64_t ROWS = 256;  // of `left`, that stay in the cache
  const auto from = matrix_of<BFloat16>(left);
  const Packed<BFloat16> factor(matrix_of<BFloat16>(right));
  const int64_t stride = padded<BFloat16>(from.columns);
  const bool fits = !from.transposed && stride == from.columns;
  Scratch<BFloat16> straight(fits ? 0 : ROWS * stride);
  for (int64_t row = 0; row < from.rows; row += ROWS) {
    const int64_t rows = std::min(ROWS, from.rows - row);
    const Matrix<BFloat16> part{from.at(row, 0), rows, from.columns, from.stride, from.transposed};
    if (!fits) straighten(part, straight);
    factor.multiply(fits ? part.data : straight, fits ? from.stride : stride, rows,
                    values(out) + row * factor.columns(), factor.columns(), add);
  }
}

// The loss in nats of each row of `logits` (rows, words), to which `bias` is yet to be added. Its
// derivative by the logits goes to `gradient`, which may be `logits` or of bfloat16 numbers, and
// is added to `bias_gradient`; `logits` is overwritten.
Tensor cross_entropy(const Tensor& logits, const Tensor& bias, const Tensor& targets,
                     const Tensor& gradient, const Tensor& bias_gradient) {
  const int64_t rows = logits.size(0), words = logits.size(1);
  const Tensor losses = at::empty({rows}, logits.options());
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t target = targets.const_data_ptr<int64_t>()[row];
    TORCH_CHECK(0 <= target && target < words, "target ", target, " is no word");
    float* at_row = values(logits) + row * words;
    values(losses)[row] =
        cross_entropy_row(words, at_row, values(bias), target, values(bias_gradient));
    if (gradient.scalar_type() == at::kBFloat16)
      round(words, at_row, gradient.mutable_data_ptr<BFloat16>() + row * words);
  }
  return losses;
}

}  // namespace

TORCH_LIBRARY(awd, library) {
  library.def(
      "recur(str cell, Tensor(a!) gates, Tensor hidden, Tensor memory, Tensor weight, Tensor bias)"
      " -> (Tensor, Tensor)");
  library.def(
      "recur_backward(str cell, Tensor gates, Tensor output, Tensor memories, Tensor hidden,"
      " Tensor memory, Tensor weight, Tensor d_output, Tensor(a!) d_hidden, Tensor(b!) d_memory,"
      " Tensor(c!) d_gates, Tensor(d!) d_recurrent) -> ()");
  library.def("product(Tensor left, Tensor right, Tensor(a!) out, bool add) -> ()");
  library.def(
      "cross_entropy(Tensor(a!) logits, Tensor bias, Tensor targets, Tensor(b!) gradient,"
      " Tensor(c!) bias_gradient) -> Tensor");
}

TORCH_LIBRARY_IMPL(awd, CPU, library) {
  library.impl("recur", recur);
  library.impl("recur_backward", recur_backward);
  library.impl("product", product);
  library.impl("cross_entropy", cross_entropy);
}

}  // namespace awd

// Python loads the operators by importing a module that holds nothing itself.
PyMODINIT_FUNC PyInit__compiled() {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_compiled", nullptr, -1, {}, {}, {}, {}, {}};
  return PyModule_Create(&module);
}
