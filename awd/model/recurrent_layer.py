"""One recurrent layer: its weights, weight drop, and the fastest kernel that there is for it."""

import torch
from torch import Tensor, nn

from awd.model import kernels
from awd.model.arithmetic import column_sums
from awd.model.precision import operand, operand_type, product, rounded
from awd.model.regularizers import weight_drop
from awd.study.spec import GATES

STOCK = {"lstm": torch.lstm, "gru": torch.gru, "rnn": torch.rnn_tanh}


class RecurrentLayer(nn.Module):
    """One LSTM, GRU or tanh layer whose recurrent matrix can be dropped per forward pass.

    The layer hands its weights to the fused kernel as arguments instead of owning an ``nn.LSTM``:
    a dropped matrix then takes part by construction, on every backend, and cannot be bypassed by
    a kernel's private copy of the weights.

    Args:
        cell: "lstm", "gru" or "rnn".
        inputs, outputs: widths; a bidirectional layer's directions each have half of ``outputs``.
        p: weight drop. Of a bidirectional layer only the forward direction is dropped, as in the
            implementation Yoon et al. ran.
        precision: of the matrix products in training.
    """

    def __init__(
        self,
        cell: str,
        inputs: int,
        outputs: int,
        *,
        bidirectional: bool,
        p: float,
        precision: str = "fp32",
    ):
        super().__init__()
        self.cell, self.p, self.bidirectional = cell, p, bidirectional
        self.precision = precision
        self.directions = 2 if bidirectional else 1
        self.width = outputs // self.directions
        rows = GATES[cell] * self.width
        for suffix in ("", "_reverse")[: self.directions]:
            for name, shape in {
                "weight_ih": (rows, inputs),
                "weight_hh": (rows, self.width),
                "bias_ih": (rows,),
                "bias_hh": (rows,),
            }.items():
                self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape)))

    def initial_state(self, batch_size: int) -> tuple[Tensor, ...]:
        """Zeros, (directions, batch, width) for each of h (and c)."""
        zeros = self.weight_hh.new_zeros(self.directions, batch_size, self.width)
        return (zeros, zeros.clone()) if self.cell == "lstm" else (zeros,)

    def forward(self, inputs: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple]:
        """(time, batch, inputs) and a state to (time, batch, outputs) and the next state."""
        weights = list(self.parameters())
        weights[1] = weight_drop(self.weight_hh, self.p, training=self.training)
        precision = self.precision if self.training else "fp32"
        return recur(self.cell, inputs, state, weights, training=self.training, precision=precision)


def recur(
    cell: str,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: list[Tensor],
    *,
    training: bool,
    precision: str = "fp32",
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a layer of ``cell`` ("lstm", "gru", "rnn") over a chunk of text.

    Args:
        inputs: (time, batch, features).
        state: h (and c), each (directions, batch, width): where the chunk starts.
        weights: of each direction weight_ih, weight_hh, bias_ih, bias_hh, laid out as in
            torch.nn.LSTM, GRU and RNN, whose equations these are.
        training: cuDNN keeps what a backward pass needs only if this is set.
        precision: "bf16" rounds the operands of the matrix products, see awd.model.precision.

    Returns the outputs (time, batch, directions * width) and the next state.
    """
    dtype = operand_type(inputs, precision)
    if not kernels.usable(inputs.device, dtype):
        return _stock(cell, inputs, state, weights, training, precision)
    outputs, states = [], []
    for direction in range(len(weights) // 4):
        first = [part[direction] for part in state]
        output, *last = _Recurrence.apply(
            cell,
            precision,
            inputs if direction == 0 else inputs.flip(0),
            first[0],
            first[-1],
            *weights[4 * direction : 4 * direction + 4],
        )
        outputs.append(output if direction == 0 else output.flip(0))
        states.append(last[: len(state)])
    output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
    return output, tuple(torch.stack(parts) for parts in zip(*states, strict=True))


def _stock(cell, inputs, state, weights, training, precision):
    if precision == "bf16":
        # The matrices and what the layer reads; torch keeps the state between steps to itself. In
        # bfloat16 cuDNN would also round states, biases, outputs and gradients of weights.
        inputs = rounded(inputs)
        weights = [rounded(values) if values.dim() == 2 else values for values in weights]
    # has_biases, num_layers, dropout, train, bidirectional, batch_first
    output, *after = STOCK[cell](
        inputs,
        state if cell == "lstm" else state[0],
        weights,
        *(True, 1, 0.0, training, len(weights) == 8, False),
    )
    return output, tuple(after)


class _Recurrence(torch.autograd.Function):
    """One direction by the compiled kernels, which run over time.

    The products of all time steps at once, and with them the gradients of the matrices, are made
    here, outside that loop.
    """

    @staticmethod
    def forward(
        ctx, cell, precision, inputs, hidden, memory, weight_ih, weight_hh, bias_ih, bias_hh
    ):
        read, matrix_ih, matrix_hh = (
            operand(values, precision) for values in (inputs.flatten(0, 1), weight_ih, weight_hh)
        )
        gates = product(read, matrix_ih.t()).view(*inputs.shape[:2], -1)
        output, memories = kernels.operators.recur(
            cell, gates, hidden, memory, matrix_hh, bias_ih, bias_hh
        )
        ctx.cell, ctx.precision = cell, precision
        ctx.save_for_backward(read, matrix_ih, matrix_hh, gates, hidden, memory, output, memories)
        return output, output[-1].clone(), memories[-1].clone()

    @staticmethod
    def backward(ctx, d_output, d_hidden, d_memory):
        read, matrix_ih, matrix_hh, gates, hidden, memory, output, memories = ctx.saved_tensors
        d_hidden, d_memory = d_hidden.clone(), d_memory.clone()
        d_gates = torch.empty_like(gates)
        # In a GRU alone the state reaches a gate in another way than the inputs do.
        d_recurrent = torch.empty_like(gates) if ctx.cell == "gru" else d_gates
        kernels.operators.recur_backward(
            *(ctx.cell, gates, output, memories, hidden, memory, matrix_hh),
            *(d_output.contiguous(), d_hidden, d_memory, d_gates, d_recurrent),
        )
        left = operand(d_gates.flatten(0, 1), ctx.precision)
        d_bias_ih = d_bias_hh = column_sums(d_gates.flatten(0, 1))
        left_hh = left
        if ctx.cell == "gru":
            left_hh = operand(d_recurrent.flatten(0, 1), ctx.precision)
            d_bias_hh = column_sums(d_recurrent.flatten(0, 1))
        # The first step read `hidden`, each later one the output before it.
        batch = len(hidden)
        d_weight_hh = product(left_hh[:batch].t(), operand(hidden, ctx.precision))
        if len(output) > 1:
            before = operand(output[:-1].flatten(0, 1), ctx.precision)
            product(left_hh[batch:].t(), before, out=d_weight_hh, add=True)
        return (
            *(None, None, product(left, matrix_ih).view(*gates.shape[:2], -1)),
            *(d_hidden, d_memory if ctx.cell == "lstm" else None),
            *(product(left.t(), read), d_weight_hh, d_bias_ih, d_bias_hh),
        )
