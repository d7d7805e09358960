"""Attention over earlier outputs, as language models had it before transformers.

Daniluk, Rocktäschel, Welbl and Riedel 2017, "Frustratingly Short Attention Spans in Neural Language
Modeling", section 3.1. With Y_t the ``window`` outputs before h_t, as columns,

    a_t = softmax(w tanh(K Y_t + Q h_t)),  r_t = Y_t a_t,  h*_t = tanh(R r_t + X h_t)

and h*_t goes to the decoder in place of h_t. Nothing in it is later than h_t. Salton, Ross and
Kelleher 2017, "Attentive Language Models", do the same with all outputs of a text so far.
"""

import torch
from torch import Tensor, nn

from awd.model import kernels
from awd.model.arithmetic import defined, linear, tanh


class WindowAttention(nn.Module):
    """Adds what the last ``window`` outputs remember to each output of ``width`` features."""

    def __init__(self, width: int, window: int):
        super().__init__()
        self.width, self.window = width, window
        for name in ("key", "query", "remembered", "current"):
            self.register_parameter(name, nn.Parameter(torch.empty(width, width)))
        self.score = nn.Parameter(torch.empty(width))

    def initial_state(self, batch_size: int) -> tuple[Tensor]:
        """A memory of zeros, (window, batch, width)."""
        return (self.score.new_zeros(self.window, batch_size, self.width),)

    def forward(self, outputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """(time, batch, width) and the outputs before them to attended outputs and next memory."""
        past = torch.cat([memory, outputs])
        keys, queries = linear(past, self.key), linear(outputs, self.query)
        if defined(past):
            remembered = _Attend.apply(past, keys, queries, self.score)
        else:
            remembered = self._attend(past, keys, queries)
        attended = tanh(linear(remembered, self.remembered) + linear(outputs, self.current))
        return attended, past[len(outputs) :]

    def _attend(self, past: Tensor, keys: Tensor, queries: Tensor) -> Tensor:
        # Before output t lie the rows t to t + window - 1 of past: (time, batch, width, window).
        before, keys = (rows[:-1].unfold(0, self.window, 1) for rows in (past, keys))
        weights = (self.score @ torch.tanh(keys + queries.unsqueeze(-1))).softmax(-1)
        return (before @ weights.unsqueeze(-1)).squeeze(-1)


class _Attend(torch.autograd.Function):
    """r_t for each t, by the compiled kernels."""

    @staticmethod
    def forward(ctx, past, keys, queries, score):
        weights, remembered = kernels.operators.attend(past, keys, queries, score)
        ctx.save_for_backward(past, keys, queries, score, weights)
        return remembered

    @staticmethod
    def backward(ctx, outer):
        return kernels.operators.attend_backward(*ctx.saved_tensors, outer.contiguous())
