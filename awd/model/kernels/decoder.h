// The cross-entropy of a linear decoder, without ever holding all its logits.
//
// Logits of a chunk of text are larger than the model itself. Here they are made LOGIT_ROWS rows at
// a time, and turned into their gradient while they are still in the processor's last cache.

#pragma once

#include <algorithm>

#include "factor.h"

namespace awd {

constexpr int64_t LOGIT_ROWS = 400;  // 16 MB for 10,000 word types; fewer or more were slower

// Where the derivatives of the mean of the losses go: by what the decoder reads (rows, features),
// its weight (words, features) and its bias (words), which is zero at first.
struct DecoderGradient {
  float *by_read, *by_weight, *by_bias;
};

// The loss in nats of each row of `read` (rows, features), whose next word `targets` has.
template <typename T>
void decode(Matrix<T> read, Matrix<T> weight, const float* bias, const int64_t* targets,
            float* losses, const DecoderGradient* gradient) {
  const Kernels& of = kernels();
  const int64_t words = weight.rows, features = weight.columns;
  const int64_t most = std::min(LOGIT_ROWS, read.rows);
  const Factor<T> decoder({weight.data, features, words, weight.stride, !weight.transposed});
  Scratch<float> logits(most * words);
  if (!gradient) {
    for (int64_t start = 0; start < read.rows; start += LOGIT_ROWS) {
      const int64_t count = std::min(LOGIT_ROWS, read.rows - start);
      decoder.multiply(read.part(start, count), logits, words, false);
      for (int64_t row = 0; row < count; ++row)
        losses[start + row] =
            of.cross_entropy(words, logits + row * words, bias, targets[start + row]);
    }
    return;
  }
  const Factor<T> encoder(weight);
  Rounded<T> rounded(most, words);
  const float scale = 1.f / static_cast<float>(read.rows);
  for (int64_t start = 0; start < read.rows; start += LOGIT_ROWS) {
    const Matrix<T> part = read.part(start, std::min(LOGIT_ROWS, read.rows - start));
    decoder.multiply(part, logits, words, false);
    for (int64_t row = 0; row < part.rows; ++row)
      losses[start + row] = of.cross_entropy_gradient(
          words, logits + row * words, bias, targets[start + row], scale, gradient->by_bias);
    Matrix<T> by_logits = rounded(logits).part(0, part.rows);
    encoder.multiply(by_logits, gradient->by_read + start * features, features, false);
    const Matrix<T> columns{by_logits.data, words, part.rows, by_logits.stride, true};
    Factor<T>(part).multiply(columns, gradient->by_weight, features, start > 0);
  }
}

}  // namespace awd
