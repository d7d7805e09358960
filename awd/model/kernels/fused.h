// A product and a sum with one rounding, for single numbers and for vectors.
//
// The compiler is told never to fuse by itself (-ffp-contract=off), because it would do so in some
// loops and not in others, and on some CPUs only.

#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace awd::ISA {

#if defined(__AVX512F__)
constexpr int64_t WIDTH = 16;
#elif defined(__AVX2__)
constexpr int64_t WIDTH = 8;
#else
constexpr int64_t WIDTH = 4;
#endif

typedef float Vector __attribute__((vector_size(WIDTH * sizeof(float))));

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
constexpr bool HARDWARE_FMA = true;
[[gnu::always_inline]] inline float fma(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
#else
// Without such an instruction: the product of two floats is exact in double. The sum is rounded to
// odd, which makes the second rounding, to float, right (Boldo and Melquiond 2008, "Emulation of
// FMA and correctly rounded sums: proved algorithms using rounding to odd").
constexpr bool HARDWARE_FMA = false;
[[gnu::always_inline]] inline float fma(float a, float b, float c) {
  const double product = static_cast<double>(a) * b, addend = c;
  double sum = product + addend;
  const double rest = sum - product;
  const double error = (product - (sum - rest)) + (addend - rest);
  int64_t bits, sign;
  std::memcpy(&bits, &sum, sizeof bits);
  std::memcpy(&sign, &error, sizeof sign);
  const bool inexact = error < 0 || error > 0;  // not if anything is infinite or no number
  const int64_t away = (sign ^ bits) < 0 ? -1 : 1;
  bits += inexact && !(bits & 1) ? away : 0;
  std::memcpy(&sum, &bits, sizeof sum);
  return static_cast<float>(sum);
}
#endif

[[gnu::always_inline]] inline Vector fma(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
  return vfmaq_f32(c, a, b);
#else
  for (int64_t lane = 0; lane < WIDTH; ++lane) c[lane] = fma(a[lane], b[lane], c[lane]);
  return c;
#endif
}

[[gnu::always_inline]] inline Vector load(const float* from) {
  Vector values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

[[gnu::always_inline]] inline void store(float* to, Vector values) {
  std::memcpy(to, &values, sizeof values);
}

[[gnu::always_inline]] inline Vector broadcast(float value) {
  return value - Vector{};  // "+" would turn -0 into 0, so the compiler could not leave it out
}

}  // namespace awd::ISA
