"""Cross-entropy of a linear decoder without ever holding all its logits.

A chunk's logits are (time * batch, vocabulary): larger than the model itself. Here they are made
a few rows at a time, in one buffer that turns from logits into their gradient in place, while
they are still in the processor's cache.
"""

import torch
from torch import Tensor
from torch.nn import functional

ROWS = 128
"""Rows of logits held at once: 5 MB for 10,000 word types."""


def mean_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log likelihood of ``targets``, in nats per token.

    Args:
        hidden: (rows, features), what the decoder reads.
        weight: (vocabulary, features) of the decoder.
        bias: (vocabulary).
        targets: (rows), int64 word ids.

    Returns a scalar. Its backward pass costs nothing but a scaling: gradients were made with the
    value. Not differentiable twice.
    """
    return _MeanCrossEntropy.apply(hidden, weight, bias, targets)


@torch.no_grad()
def token_losses(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Negative log likelihood of each target, (rows) in nats; arguments as mean_cross_entropy."""
    losses = [
        functional.cross_entropy(torch.addmm(bias, rows, weight.t()), target, reduction="none")
        for rows, target in zip(hidden.split(ROWS), targets.split(ROWS), strict=True)
    ]
    return torch.cat(losses)


class _MeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, targets):
        count = len(targets)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        bias_gradient = torch.zeros_like(bias)
        total = hidden.new_zeros(())
        buffer = hidden.new_empty(min(ROWS, count), len(weight))
        for start in range(0, count, ROWS):
            rows, target = hidden[start : start + ROWS], targets[start : start + ROWS, None]
            logits = torch.addmm(bias, rows, weight.t(), out=buffer[: len(rows)])
            log_normalizer = logits.logsumexp(1, keepdim=True)
            total += (log_normalizer - logits.gather(1, target)).sum()
            # d loss / d logits = (softmax - one hot) / count, in the logits' own memory
            gradient = logits.sub_(log_normalizer).exp_()
            gradient.scatter_add_(1, target, gradient.new_full(target.shape, -1.0))
            torch.mm(gradient, weight, out=hidden_gradient[start : start + ROWS])
            weight_gradient.addmm_(gradient.t(), rows)
            bias_gradient += gradient.sum(0)
        ctx.save_for_backward(hidden_gradient, weight_gradient, bias_gradient)
        ctx.count = count
        return total / count

    @staticmethod
    def backward(ctx, outer):
        scale = outer / ctx.count
        return *(gradient * scale for gradient in ctx.saved_tensors), None
