// The kernels that exist once for each instruction set, and the choice among them.
//
// Every kernel does the same operations in the same order, whatever the instruction set: vectors
// lie along outputs, sums have a fixed number of lanes, a product that is added to something is
// always fused (fma) where it is written so and never elsewhere. So the results are the same bits.

#pragma once

#include "matrix.h"

namespace awd {

// One batch row at one time step.
struct Forward {
  int64_t width;
  float* gates;                       // in: weight_ih * inputs; out: the activated gates
  const float* recurrent;             // weight_hh * state
  const float *bias_ih, *bias_hh;
  const float* before;                // the last cell state (LSTM) or hidden state (GRU)
  float* memory;                      // the new cell state (LSTM) or the state's part of n (GRU)
  float* output;                      // the new hidden state
};

struct Backward {
  int64_t width;
  const float *gates, *before, *memory, *d_output;
  float *d_hidden, *d_memory;         // in: by the new state; out: by the old, but for the matrix
  float *d_gates, *d_recurrent;       // by weight_ih * inputs, and by weight_hh * state
};

struct Cell {
  void (*forward)(Forward);
  void (*backward)(Backward);
  bool has_memory;  // which goes from step to step beside the hidden state
};

// Attention of one output to the `window` outputs before it; rows are `stride` numbers apart.
struct Attention {
  int64_t width, window, stride;
  const float *past, *keys;           // of the first of these outputs
  const float *query, *score;
};

struct AdamW {
  float rate, decay, scale, beta1, beta2, epsilon;
  float step_size, root_correction;   // rate / (1 - beta1^t), sqrt(1 - beta2^t)
};

struct Kernels {
  const char* name;

  // out = left * right, or with `add` out += left * right, where `packed` is the right factor
  int64_t (*packed_size)(int64_t rows, int64_t columns);
  void (*pack)(Matrix<float> right, float* packed);
  void (*multiply)(Matrix<float> left, const float* packed, int64_t columns, float* out,
                   int64_t out_stride, bool add);

  Cell lstm, gru, rnn;

  // The cross-entropy in nats of a row of logits, to which `bias` is yet to be added; overwrites
  // the row. The second one leaves `scale` times its gradient there and adds that to d_bias.
  float (*cross_entropy)(int64_t count, float* row, const float* bias, int64_t target);
  float (*cross_entropy_gradient)(int64_t count, float* row, const float* bias, int64_t target,
                                  float scale, float* d_bias);
  void (*softmax)(int64_t count, const float* from, float* to);
  void (*attend)(Attention, float* weights, float* remembered);
  void (*attend_backward)(Attention, const float* weights, const float* d_remembered,
                          float* d_past, float* d_keys, float* d_query, float* d_score);

  double (*sum)(int64_t count, const float* values);
  double (*sum_of_squares)(int64_t count, const float* values);
  double (*sum_of_squared_changes)(int64_t count, const float* before, const float* after);

  void (*exp)(int64_t count, const float* from, float* to);
  void (*tanh)(int64_t count, const float* from, float* to);
  void (*log)(int64_t count, const float* from, float* to);
  void (*sqrt)(int64_t count, const float* from, float* to);
  void (*add)(int64_t count, const float* from, float* to);                        // to += from
  void (*add_scaled)(int64_t count, float factor, const float* from, float* to);   // fused

  // `kept` where the number drawn is at least `least`, else 0
  void (*mask)(int64_t count, int16_t least, float kept, const int16_t* drawn, float* to);

  void (*sgd)(int64_t count, float rate, float decay, float scale, const float* gradient,
              float* parameter);
  void (*adamw)(int64_t count, AdamW rule, const float* gradient, float* parameter, float* mean,
                float* square);
  void (*average)(int64_t count, double weight, const float* parameter, double* mean);
};

namespace generic {
extern const Kernels table;
}
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}

// The kernels in use: those of the best instruction set of this CPU, until `use` names another.
const Kernels& kernels();

// The instruction sets that this CPU has, best first, up to a null.
const Kernels* const* available();

// Whether there is an instruction set of this name, which is then used from now on.
bool use(const char* name);

}  // namespace awd
