// Rows and columns of four by four words of 32 bits exchanged: floats, or pairs of bfloat16.

#pragma once

#include <cstdint>
#include <cstring>

namespace awd {

typedef int32_t Words __attribute__((vector_size(16)));

#if defined(__clang__)
#define SHUFFLED(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLED(one, other, ...) __builtin_shuffle(one, other, Words{__VA_ARGS__})
#endif

// The rows are so many bytes apart.
[[gnu::always_inline]] inline void transpose(const void* from, int64_t from_bytes, void* to,
                                             int64_t to_bytes) {
  Words row[4];
  for (int64_t i = 0; i < 4; ++i)
    std::memcpy(&row[i], static_cast<const char*>(from) + i * from_bytes, sizeof row[i]);
  const Words low01 = SHUFFLED(row[0], row[1], 0, 4, 1, 5);
  const Words high01 = SHUFFLED(row[0], row[1], 2, 6, 3, 7);
  const Words low23 = SHUFFLED(row[2], row[3], 0, 4, 1, 5);
  const Words high23 = SHUFFLED(row[2], row[3], 2, 6, 3, 7);
  const Words column[4] = {
      SHUFFLED(low01, low23, 0, 1, 4, 5), SHUFFLED(low01, low23, 2, 3, 6, 7),
      SHUFFLED(high01, high23, 0, 1, 4, 5), SHUFFLED(high01, high23, 2, 3, 6, 7)};
  for (int64_t i = 0; i < 4; ++i)
    std::memcpy(static_cast<char*>(to) + i * to_bytes, &column[i], sizeof column[i]);
}

}  // namespace awd
