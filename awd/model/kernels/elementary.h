// exp, log, tanh and the logistic function by our own polynomials.
//
// Those of C and of vector libraries differ in last digits from one CPU to the next. Here each is
// a fixed sequence of operations. The loops that use them are plain, so that a compiler makes
// vector instructions of them.

#pragma once

#include <limits>

#include "fused.h"

namespace awd::ISA {

constexpr float INFINITE = std::numeric_limits<float>::infinity();
constexpr float LOG2_HIGH = 0.693359375f, LOG2_LOW = -2.12194440e-4f;  // their sum is log 2

// exp(x) = power * (1 + series), where power = 2^n and series = exp(r) - 1 for x = n log 2 + r.
struct Exponential {
  float power, series;

  [[gnu::always_inline]] explicit Exponential(float x) {
    x = x < -87.f ? -87.f : x;
    x = x > 88.f ? 88.f : x;
    const float shifted = fma(x, 1.44269504f, 12582912.f);  // has n in its last bits
    const float n = shifted - 12582912.f;
    const float r = fma(n, -LOG2_LOW, fma(n, -LOG2_HIGH, x));
    int32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    const uint32_t exponent = static_cast<uint32_t>(bits + 127) << 23;
    std::memcpy(&power, &exponent, sizeof power);
    series = fma(r, 1.f / 5040, 1.f / 720);
    series = fma(series, r, 1.f / 120);
    series = fma(series, r, 1.f / 24);
    series = fma(series, r, 1.f / 6);
    series = fma(series, r, 0.5f);
    series = fma(series * r, r, r);
  }
};

[[gnu::always_inline]] inline float exponential(float x) {
  const Exponential e(x);
  return fma(e.power, e.series, e.power);
}

[[gnu::always_inline]] inline float logistic(float x) { return 1.f / (1.f + exponential(-x)); }

// Exact to the last bits near zero, too, where exp(2 x) - 1 must not be a difference.
[[gnu::always_inline]] inline float tanh(float x) {
  const Exponential e(2.f * x);
  const float less_one = fma(e.power, e.series, e.power - 1.f);
  return less_one / (less_one + 2.f);
}

// x = 2^n m with m from sqrt(1/2) to sqrt(2); the polynomial for log m is that of Cephes' logf.
[[gnu::always_inline]] inline float logarithm(float x) {
  const bool tiny = x < std::numeric_limits<float>::min();
  const float normal = tiny ? x * 8388608.f : x;  // 2^23
  uint32_t bits;
  std::memcpy(&bits, &normal, sizeof bits);
  bits -= 0x3f3504f3;  // sqrt(1/2)
  const float n = static_cast<float>(static_cast<int32_t>(bits) >> 23) - (tiny ? 23.f : 0.f);
  bits = (bits & 0x7fffff) + 0x3f3504f3;
  float m;
  std::memcpy(&m, &bits, sizeof m);
  const float r = m - 1.f, square = r * r;
  float series = fma(r, 7.0376836292e-2f, -1.1514610310e-1f);
  series = fma(series, r, 1.1676998740e-1f);
  series = fma(series, r, -1.2420140846e-1f);
  series = fma(series, r, 1.4249322787e-1f);
  series = fma(series, r, -1.6668057665e-1f);
  series = fma(series, r, 2.0000714765e-1f);
  series = fma(series, r, -2.4999993993e-1f);
  series = fma(series, r, 3.3333331174e-1f);
  const float low = fma(n, LOG2_LOW, fma(series * r, square, -0.5f * square));
  float value = fma(n, LOG2_HIGH, r + low);
  value = x < INFINITE ? value : x;  // neither of infinity nor of what is no number
  value = x < 0.f ? std::numeric_limits<float>::quiet_NaN() : value;
  return x == 0.f ? -INFINITE : value;
}

static void exp(int64_t count, const float* __restrict from, float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i] < -87.f ? 0.f : exponential(from[i]);
}

static void tanh(int64_t count, const float* __restrict from, float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = tanh(from[i]);
}

static void log(int64_t count, const float* __restrict from, float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = logarithm(from[i]);
}

static void sqrt(int64_t count, const float* __restrict from, float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = __builtin_sqrtf(from[i]);
}

static void add(int64_t count, const float* __restrict from, float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

static void add_scaled(int64_t count, float factor, const float* __restrict from,
                       float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = fma(factor, from[i], to[i]);
}

static void mask(int64_t count, int16_t least, float kept, const int16_t* __restrict drawn,
                 float* __restrict to) {
  for (int64_t i = 0; i < count; ++i) to[i] = drawn[i] >= least ? kept : 0.f;
}

}  // namespace awd::ISA
