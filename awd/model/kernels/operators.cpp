// The operators torch.ops.awd, as torch and Python see the kernels.
//
// For one CPU thread; awd/model/arithmetic.py and its users say what each is part of.

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <Python.h>
#include <torch/library.h>

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "bf16.h"
#include "decoder.h"
#include "recurrence.h"

namespace awd {
namespace {

using at::Tensor;
using Tensors = const std::vector<Tensor>&;

const Cell& cell_named(std::string_view name) {
  if (name == "lstm") return kernels().lstm;
  if (name == "gru") return kernels().gru;
  TORCH_CHECK(name == "rnn", "no cell '", name, "'");
  return kernels().rnn;
}

template <typename T = float>
T* values(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous(), "a contiguous tensor is expected");
  return tensor.mutable_data_ptr<T>();
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

// See recurrence.h for the meaning and the shapes of the arguments.
std::tuple<Tensor, Tensor> recur(std::string_view name, const Tensor& gates, const Tensor& hidden,
                                 const Tensor& memory, const Tensor& weight,
                                 const Tensor& bias_ih, const Tensor& bias_hh) {
  const int64_t time = gates.size(0), batch = gates.size(1), width = hidden.size(1);
  const Tensor output = at::empty({time, batch, width}, hidden.options());
  const Tensor memories = at::empty({time, batch, width}, hidden.options());
  with_type_of(weight, [&](auto zero) {
    over_time(cell_named(name), time, batch, gates.size(2), width, values(gates), values(hidden),
              values(memory), matrix_of<decltype(zero)>(weight), values(bias_ih),
              values(bias_hh), values(output), values(memories));
  });
  return {output, memories};
}

void recur_backward(std::string_view name, const Tensor& gates, const Tensor& output,
                    const Tensor& memories, const Tensor& hidden, const Tensor& memory,
                    const Tensor& weight, const Tensor& d_output, const Tensor& d_hidden,
                    const Tensor& d_memory, const Tensor& d_gates, const Tensor& d_recurrent) {
  with_type_of(weight, [&](auto zero) {
    back_over_time(cell_named(name), gates.size(0), gates.size(1), gates.size(2), hidden.size(1),
                   values(gates), values(output), values(memories), values(hidden),
                   values(memory), matrix_of<decltype(zero)>(weight), values(d_output),
                   values(d_hidden), values(d_memory), values(d_gates), values(d_recurrent));
  });
}

// out = left * right, or with `add` out += left * right.
void product(const Tensor& left, const Tensor& right, const Tensor& out, bool add) {
  TORCH_CHECK(left.size(1) == right.size(0) && left.size(1) > 0, "factors do not fit");
  TORCH_CHECK(out.size(0) == left.size(0) && out.size(1) == right.size(1), "the product is larger");
  with_type_of(left, [&](auto zero) {
    using T = decltype(zero);
    const Factor<T> factor(matrix_of<T>(right));
    factor.multiply(matrix_of<T>(left), values(out), right.size(1), add);
  });
}

// The decoder's arguments fit each other.
void check_decoder(const Tensor& read, const Tensor& weight, const Tensor& bias,
                   const Tensor& targets) {
  TORCH_CHECK(read.size(0) > 0 && targets.numel() == read.size(0), "no target for each row");
  TORCH_CHECK(read.size(1) == weight.size(1) && bias.numel() == weight.size(0),
              "decoder and what it reads do not fit");
}

const int64_t* checked(const Tensor& targets, int64_t words) {
  const int64_t* target = values<int64_t>(targets);
  for (int64_t row = 0; row < targets.numel(); ++row)
    TORCH_CHECK(0 <= target[row] && target[row] < words, "target ", target[row], " is no word");
  return target;
}

// Losses (rows) in nats and the gradient of their mean.
std::tuple<Tensor, Tensor, Tensor, Tensor> cross_entropy(const Tensor& read, const Tensor& weight,
                                                         const Tensor& bias,
                                                         const Tensor& targets) {
  check_decoder(read, weight, bias, targets);
  const auto options = bias.options();
  const Tensor losses = at::empty({read.size(0)}, options), d_bias = at::zeros_like(bias);
  const Tensor d_read = at::empty(read.sizes(), options);
  const Tensor d_weight = at::empty(weight.sizes(), options);
  const int64_t* words = checked(targets, weight.size(0));
  const DecoderGradient gradient{values(d_read), values(d_weight), values(d_bias)};
  with_type_of(read, [&](auto zero) {
    using T = decltype(zero);
    decode(matrix_of<T>(read), matrix_of<T>(weight), values(bias), words, values(losses),
           &gradient);
  });
  return {losses, d_read, d_weight, d_bias};
}

Tensor token_losses(const Tensor& read, const Tensor& weight, const Tensor& bias,
                    const Tensor& targets) {
  check_decoder(read, weight, bias, targets);
  const Tensor losses = at::empty({read.size(0)}, bias.options());
  decode(matrix_of<float>(read), matrix_of<float>(weight), values(bias),
         checked(targets, weight.size(0)), values(losses), nullptr);
  return losses;
}

// (rows, columns) to the (columns) sums, rows in their order.
Tensor column_sums(const Tensor& rows) {
  const int64_t columns = rows.size(1);
  const Tensor sums = at::zeros({columns}, rows.options());
  for (int64_t row = 0; row < rows.size(0); ++row)
    kernels().add(columns, values(rows) + row * columns, values(sums));
  return sums;
}

// The gradient of looking up `tokens` in (words, features), each row times its word's factor.
Tensor embedding_backward(const Tensor& d_vectors, const Tensor& tokens,
                          const std::optional<Tensor>& factors, int64_t words) {
  const int64_t features = d_vectors.size(-1);
  const Tensor gradient = at::zeros({words, features}, d_vectors.options());
  const int64_t* word = checked(tokens, words);
  for (int64_t row = 0; row < tokens.numel(); ++row) {
    const float* from = values(d_vectors) + row * features;
    float* to = values(gradient) + word[row] * features;
    if (!factors)
      kernels().add(features, from, to);
    else if (const float factor = values(*factors)[word[row]]; factor != 0)
      kernels().add_scaled(features, factor, from, to);
  }
  return gradient;
}

Tensor mapped(const Tensor& from, void (*function)(int64_t, const float*, float*)) {
  const Tensor to = at::empty_like(from);
  function(from.numel(), values(from), values(to));
  return to;
}

Tensor exp(const Tensor& from) { return mapped(from, kernels().exp); }
Tensor tanh(const Tensor& from) { return mapped(from, kernels().tanh); }
Tensor log(const Tensor& from) { return mapped(from, kernels().log); }
Tensor sqrt(const Tensor& from) { return mapped(from, kernels().sqrt); }

Tensor softmax(const Tensor& rows) {
  const Tensor to = at::empty_like(rows);
  const int64_t columns = rows.size(1);
  for (int64_t row = 0; row < rows.size(0); ++row)
    kernels().softmax(columns, values(rows) + row * columns, values(to) + row * columns);
  return to;
}

Tensor row_sums(const Tensor& rows) {
  const Tensor sums = at::empty({rows.size(0)}, rows.options());
  const int64_t columns = rows.size(1);
  for (int64_t row = 0; row < rows.size(0); ++row)
    values(sums)[row] =
        static_cast<float>(kernels().sum(columns, values(rows) + row * columns));
  return sums;
}

Tensor scalar(double value, const Tensor& like) {
  return at::scalar_tensor(static_cast<float>(value), like.options());
}

Tensor mean(const Tensor& of) {
  return scalar(kernels().sum(of.numel(), values(of)) / of.numel(), of);
}

Tensor mean_square(const Tensor& of) {
  return scalar(kernels().sum_of_squares(of.numel(), values(of)) / of.numel(), of);
}

// Of the changes from step to step of (time, ...).
Tensor mean_squared_change(const Tensor& of) {
  const int64_t step = of.numel() / of.size(0), count = of.numel() - step;
  const float* first = values(of);
  return scalar(kernels().sum_of_squared_changes(count, first, first + step) / count, of);
}

double sum_of_squares(Tensors of) {
  double sum = 0;
  for (const Tensor& each : of) sum += kernels().sum_of_squares(each.numel(), values(each));
  return sum;
}

// Sets what was drawn (int16) to 0 below `least`, the rest to 1 / `kept`, the share that is kept.
Tensor mask(const Tensor& drawn, int64_t least, double kept) {
  TORCH_CHECK(least == static_cast<int16_t>(least), "no number that is drawn is ", least);
  const Tensor to = at::empty(drawn.sizes(), drawn.options().dtype(at::kFloat));
  kernels().mask(drawn.numel(), static_cast<int16_t>(least), 1.f / static_cast<float>(kept),
                 values<int16_t>(drawn), values(to));
  return to;
}

void sgd(Tensors parameters, Tensors gradients, double rate, double decay, double scale) {
  for (size_t i = 0; i < parameters.size(); ++i)
    kernels().sgd(parameters[i].numel(), rate, decay, scale, values(gradients[i]),
                  values(parameters[i]));
}

void adamw(Tensors parameters, Tensors gradients, Tensors means, Tensors squares,
           const std::vector<double>& rule) {
  const AdamW of{float(rule[0]), float(rule[1]), float(rule[2]), float(rule[3]),
                 float(rule[4]), float(rule[5]), float(rule[6]), float(rule[7])};
  for (size_t i = 0; i < parameters.size(); ++i)
    kernels().adamw(parameters[i].numel(), of, values(gradients[i]), values(parameters[i]),
                    values(means[i]), values(squares[i]));
}

void average(Tensors means, Tensors parameters, double weight) {
  for (size_t i = 0; i < parameters.size(); ++i)
    kernels().average(parameters[i].numel(), weight, values(parameters[i]),
                      values<double>(means[i]));
}

Attention attention_at(int64_t t, int64_t b, const Tensor& past, const Tensor& keys,
                       const Tensor& queries, const Tensor& score) {
  const int64_t batch = past.size(1), width = past.size(2), at = (t * batch + b) * width;
  return {width, past.size(0) - queries.size(0), batch * width,
          values(past) + at, values(keys) + at, values(queries) + at, values(score)};
}

// past and keys (window + time, batch, width), queries (time, batch, width), score (width) to the
// weights (time, batch, window) and what is remembered (time, batch, width).
std::tuple<Tensor, Tensor> attend(const Tensor& past, const Tensor& keys, const Tensor& queries,
                                  const Tensor& score) {
  const int64_t time = queries.size(0), batch = queries.size(1), width = queries.size(2);
  const int64_t window = past.size(0) - time;
  const Tensor weights = at::empty({time, batch, window}, past.options());
  const Tensor remembered = at::empty_like(queries);
  for (int64_t t = 0; t < time; ++t)
    for (int64_t b = 0; b < batch; ++b)
      kernels().attend(attention_at(t, b, past, keys, queries, score),
                       values(weights) + (t * batch + b) * window,
                       values(remembered) + (t * batch + b) * width);
  return {weights, remembered};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> attend_backward(
    const Tensor& past, const Tensor& keys, const Tensor& queries, const Tensor& score,
    const Tensor& weights, const Tensor& d_remembered) {
  const Tensor d_past = at::zeros_like(past), d_keys = at::zeros_like(keys);
  const Tensor d_queries = at::zeros_like(queries), d_score = at::zeros_like(score);
  const int64_t time = queries.size(0), batch = queries.size(1), width = queries.size(2);
  const int64_t window = past.size(0) - time;
  for (int64_t t = 0; t < time; ++t)
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t row = t * batch + b;
      kernels().attend_backward(attention_at(t, b, past, keys, queries, score),
                                values(weights) + row * window,
                                values(d_remembered) + row * width, values(d_past) + row * width,
                                values(d_keys) + row * width, values(d_queries) + row * width,
                                values(d_score));
    }
  return {d_past, d_keys, d_queries, d_score};
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> names;
  for (const Kernels* const* each = available(); *each; ++each) names.push_back((*each)->name);
  return names;
}

std::string instruction_set() { return kernels().name; }

bool use_instruction_set(std::string_view name) { return use(std::string(name).c_str()); }

}  // namespace

TORCH_LIBRARY(awd, library) {
  library.def(
      "recur(str cell, Tensor(a!) gates, Tensor hidden, Tensor memory, Tensor weight,"
      " Tensor bias_ih, Tensor bias_hh) -> (Tensor, Tensor)");
  library.def(
      "recur_backward(str cell, Tensor gates, Tensor output, Tensor memories, Tensor hidden,"
      " Tensor memory, Tensor weight, Tensor d_output, Tensor(a!) d_hidden, Tensor(b!) d_memory,"
      " Tensor(c!) d_gates, Tensor(d!) d_recurrent) -> ()");
  library.def("product(Tensor left, Tensor right, Tensor(a!) out, bool add) -> ()");
  library.def(
      "cross_entropy(Tensor read, Tensor weight, Tensor bias, Tensor targets)"
      " -> (Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "token_losses(Tensor read, Tensor weight, Tensor bias, Tensor targets) -> Tensor");
  library.def("column_sums(Tensor rows) -> Tensor");
  library.def("row_sums(Tensor rows) -> Tensor");
  library.def(
      "embedding_backward(Tensor d_vectors, Tensor tokens, Tensor? factors, int words) -> Tensor");
  library.def("exp(Tensor values) -> Tensor");
  library.def("tanh(Tensor values) -> Tensor");
  library.def("log(Tensor values) -> Tensor");
  library.def("sqrt(Tensor values) -> Tensor");
  library.def("softmax(Tensor rows) -> Tensor");
  library.def("mean(Tensor values) -> Tensor");
  library.def("mean_square(Tensor values) -> Tensor");
  library.def("mean_squared_change(Tensor values) -> Tensor");
  library.def("sum_of_squares(Tensor[] values) -> float");
  library.def("mask(Tensor drawn, int least, float kept) -> Tensor");
  library.def(
      "sgd(Tensor(a!)[] parameters, Tensor[] gradients, float rate, float decay, float scale)"
      " -> ()");
  library.def(
      "adamw(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] means,"
      " Tensor(c!)[] squares, float[] rule) -> ()");
  library.def("average(Tensor(a!)[] means, Tensor[] parameters, float weight) -> ()");
  library.def(
      "attend(Tensor past, Tensor keys, Tensor queries, Tensor score) -> (Tensor, Tensor)");
  library.def(
      "attend_backward(Tensor past, Tensor keys, Tensor queries, Tensor score, Tensor weights,"
      " Tensor d_remembered) -> (Tensor, Tensor, Tensor, Tensor)");
  library.def("instruction_sets() -> str[]", instruction_sets);
  library.def("instruction_set() -> str", instruction_set);
  library.def("use_instruction_set(str name) -> bool", use_instruction_set);
}

TORCH_LIBRARY_IMPL(awd, CPU, library) {
  library.impl("recur", recur);
  library.impl("recur_backward", recur_backward);
  library.impl("product", product);
  library.impl("cross_entropy", cross_entropy);
  library.impl("token_losses", token_losses);
  library.impl("column_sums", column_sums);
  library.impl("row_sums", row_sums);
  library.impl("embedding_backward", embedding_backward);
  library.impl("exp", exp);
  library.impl("tanh", tanh);
  library.impl("log", log);
  library.impl("sqrt", sqrt);
  library.impl("softmax", softmax);
  library.impl("mean", mean);
  library.impl("mean_square", mean_square);
  library.impl("mean_squared_change", mean_squared_change);
  library.impl("sum_of_squares", sum_of_squares);
  library.impl("mask", mask);
  library.impl("sgd", sgd);
  library.impl("adamw", adamw);
  library.impl("average", average);
  library.impl("attend", attend);
  library.impl("attend_backward", attend_backward);
}

}  // namespace awd

// Python loads the operators by importing a module that holds nothing itself.
PyMODINIT_FUNC PyInit__compiled() {
  static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_compiled", nullptr, -1, {}, {}, {}, {}, {}};
  return PyModule_Create(&module);
}
