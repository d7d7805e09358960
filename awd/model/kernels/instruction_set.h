// All kernels, for the instruction set that this is compiled for: ISA is its name.

#include "attention.h"
#include "cells.h"
#include "elementary.h"
#include "kernels.h"
#include "product.h"
#include "softmax.h"
#include "sums.h"
#include "updates.h"

#define NAME_OF(isa) #isa
#define NAME(isa) NAME_OF(isa)

namespace awd::ISA {

extern const Kernels table{
    .name = NAME(ISA),
    .packed_size = packed_size,
    .pack = pack,
    .multiply = multiply,
    .lstm = {lstm, lstm, true},
    .gru = {gru, gru, false},
    .rnn = {rnn, rnn, false},
    .cross_entropy = cross_entropy,
    .cross_entropy_gradient = cross_entropy_gradient,
    .softmax = softmax,
    .attend = attend,
    .attend_backward = attend_backward,
    .sum = sum,
    .sum_of_squares = sum_of_squares,
    .sum_of_squared_changes = sum_of_squared_changes,
    .exp = exp,
    .tanh = tanh,
    .log = log,
    .sqrt = sqrt,
    .add = add,
    .add_scaled = add_scaled,
    .mask = mask,
    .sgd = sgd,
    .adamw = adamw,
    .average = average,
};

}  // namespace awd::ISA
