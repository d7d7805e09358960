// The right factor of products, packed once and then used many times.

#pragma once

#include "kernels.h"

namespace awd {

// Of numbers of type T: float here, bfloat16 in bf16.h.
template <typename T>
class Factor;

template <>
class Factor<float> {
 public:
  explicit Factor(Matrix<float> matrix)
      : kernels_(kernels()), columns_(matrix.columns),
        packed_(kernels_.packed_size(matrix.rows, matrix.columns)) {
    kernels_.pack(matrix, packed_);
  }

  // out = left * this, or with `add` out += left * this; the rows of `out` are a stride apart.
  void multiply(Matrix<float> left, float* out, int64_t out_stride, bool add) const {
    kernels_.multiply(left, packed_, columns_, out, out_stride, add);
  }

 private:
  const Kernels& kernels_;
  int64_t columns_;
  Scratch<float> packed_;
};

// Makes left factors of `rows` rows of `length` floats.
template <typename T>
class Rounded;

template <>
class Rounded<float> {
 public:
  Rounded(int64_t rows, int64_t length) : rows_(rows), length_(length) {}
  Matrix<float> operator()(const float* from) {
    return {from, rows_, length_, length_, false};
  }

 private:
  int64_t rows_, length_;
};

}  // namespace awd
