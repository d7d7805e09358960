"""Cross-entropy of a linear decoder without ever holding all its logits.

A chunk's logits are (time * batch, vocabulary): larger than the model itself. Here they are made
a few hundred rows at a time, and turned into their gradient while they are still in the
processor's cache.
"""

import torch
from torch import Tensor
from torch.nn import functional

from awd.precision import operand, product

ROWS = 400
"""Rows of logits held at once: 16 MB for 10,000 word types; fewer or more were slower."""


def mean_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, precision: str = "fp32"
) -> Tensor:
    """Mean negative log likelihood of ``targets``, in nats per token.

    Args:
        hidden: (rows, features), what the decoder reads.
        weight: (vocabulary, features) of the decoder.
        bias: (vocabulary).
        targets: (rows), int64 word ids.
        precision: of the three matrix products, see awd.precision.

    Returns a scalar. Its backward pass costs nothing but a scaling: gradients were made with the
    value. Not differentiable twice.
    """
    return _MeanCrossEntropy.apply(hidden, weight, bias, targets, precision)


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
    def forward(ctx, hidden, weight, bias, targets, precision):
        count = len(targets)
        # The mean's 1 / count goes where it costs least.
        read, scaled = operand(hidden, precision), operand(hidden / count, precision)
        decoder = operand(weight, precision)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.empty_like(weight)
        bias_gradient = torch.zeros_like(bias)
        total = hidden.new_zeros(())
        buffer = hidden.new_empty(min(ROWS, count), len(weight))
        for start in range(0, count, ROWS):
            rows, target = slice(start, start + ROWS), targets[start : start + ROWS, None]
            logits = product(read[rows], decoder.t(), out=buffer[: len(target)]).add_(bias)
            likelihood, largest = logits.gather(1, target), logits.amax(1, keepdim=True)
            probabilities = torch.softmax(logits, 1, out=logits)
            # Not the log of the target's probability, which may have become zero: the largest
            # logit and its probability, which is never small, give the normaliser.
            log_normalizer = largest - probabilities.amax(1, keepdim=True).log_()
            total += (log_normalizer - likelihood).sum()
            # d loss / d logits = (softmax - one hot) / count, in the logits' own memory
            gradient = probabilities.scatter_add_(1, target, hidden.new_full(target.shape, -1.0))
            bias_gradient += gradient.sum(0)
            gradient = operand(gradient, precision)
            product(gradient, decoder, out=hidden_gradient[rows])
            product(gradient.t(), scaled[rows], out=weight_gradient, add=start > 0)
        ctx.save_for_backward(
            hidden_gradient.div_(count), weight_gradient, bias_gradient.div_(count)
        )
        return total / count

    @staticmethod
    def backward(ctx, outer):
        gradients = ctx.saved_tensors
        # Nearly always 1, and then a pass over the decoder's gradient is saved; asking a GPU
        # would make the host wait for it.
        if outer.device.type != "cpu" or outer != 1:
            gradients = [gradient * outer for gradient in gradients]
        return *gradients, None, None
