// For every CPU of the kind that this is compiled on.

#define ISA generic
#include "instruction_set.h"
