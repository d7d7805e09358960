"""One recurrent layer over time, by the fastest kernel there is for it."""

import torch
from torch import Tensor

from awd.precision import rounded

STOCK = {"lstm": torch.lstm, "gru": torch.gru, "rnn": torch.rnn_tanh}


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
        precision: "bf16" rounds the operands of the matrix products, see awd.precision.

    Returns the outputs (time, batch, directions * width) and the next state.
    """
    if precision == "bf16" and not inputs.is_cuda:
        # The matrices and what the layer reads; torch keeps the state between steps to itself.
        inputs = rounded(inputs)
        weights = [rounded(values) if values.dim() == 2 else values for values in weights]
    low = torch.bfloat16 if precision == "bf16" and inputs.is_cuda else inputs.dtype
    hidden = [part.to(low) for part in state]
    # has_biases, num_layers, dropout, train, bidirectional, batch_first
    output, *state = STOCK[cell](
        inputs.to(low),
        hidden if cell == "lstm" else hidden[0],
        [values.to(low) for values in weights],
        *(True, 1, 0.0, training, len(weights) == 8, False),
    )
    return output.to(inputs.dtype), tuple(part.to(inputs.dtype) for part in state)
