// Which instruction set is used.

#include <cstring>

#include "kernels.h"

namespace awd {

const Kernels* const* available() {
  static const Kernels* found[4] = {};
  if (!found[0]) {
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      found[count++] = &avx512::table;
    if (fma) found[count++] = &avx2::table;
#endif
    found[count] = &generic::table;
  }
  return found;
}

static const Kernels* chosen = nullptr;

const Kernels& kernels() {
  if (!chosen) chosen = available()[0];
  return *chosen;
}

bool use(const char* name) {
  for (const Kernels* const* each = available(); *each; ++each)
    if (!std::strcmp((*each)->name, name)) {
      chosen = *each;
      return true;
    }
  return false;
}

}  // namespace awd
