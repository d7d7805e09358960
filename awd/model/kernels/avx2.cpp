// For x86-64 CPUs with AVX2 and FMA; setup.py gives the flags.

#if defined(__x86_64__)
#define ISA avx2
#include "instruction_set.h"
#endif
