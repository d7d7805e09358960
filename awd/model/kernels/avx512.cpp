// For x86-64 CPUs with AVX-512 (F, BW, DQ, VL); setup.py gives the flags.

#if defined(__x86_64__)
#define ISA avx512
#include "instruction_set.h"
#endif
