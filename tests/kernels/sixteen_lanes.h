// Stands in for AVX-512 where a CPU has none, included before all else: the kernels are then those
// for AVX-512, with vectors of 16 lanes and tiles of 12 x 32 outputs, and the compiler divides each
// operation on 16 lanes into two on 8.

#include <immintrin.h>

typedef float Sixteen __attribute__((vector_size(64)));

[[gnu::always_inline]] inline Sixteen fused(Sixteen a, Sixteen b, Sixteen c) {
  for (int lane = 0; lane < 16; ++lane) c[lane] = __builtin_fmaf(a[lane], b[lane], c[lane]);
  return c;
}

#define __AVX512F__ 1
#define _mm512_fmadd_ps fused
