"""Cross-entropy of a linear decoder without ever holding all its logits.

A chunk's logits are (time * batch, vocabulary): larger than the model itself. Here they are made
a few hundred rows at a time, and turned into their gradient while they are still in the
processor's cache.
"""

import torch
from torch import Tensor
from torch.nn import functional

from awd.model import kernels
from awd.model.arithmetic import defined, matrix
from awd.model.precision import operand, operand_type, product

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
        precision: of the three matrix products, see awd.model.precision.

    Returns a scalar. Its backward pass costs nothing but a scaling: gradients were made with the
    value. Not differentiable twice.
    """
    return _MeanCrossEntropy.apply(hidden, weight, bias, targets, precision)


@torch.no_grad()
def token_losses(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Negative log likelihood of each target, (rows) in nats; arguments as mean_cross_entropy."""
    if defined(hidden):
        return kernels.operators.token_losses(matrix(hidden), weight, bias, targets.contiguous())
    losses = [
        functional.cross_entropy(torch.addmm(bias, rows, weight.t()), target, reduction="none")
        for rows, target in zip(hidden.split(ROWS), targets.split(ROWS), strict=True)
    ]
    return torch.cat(losses)


class _MeanCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, bias, targets, precision):
        if kernels.usable(hidden.device, operand_type(hidden, precision)):
            read, decoder = matrix(operand(hidden, precision)), operand(weight, precision)
            targets = targets.contiguous()
            losses, *gradients = kernels.operators.cross_entropy(read, decoder, bias, targets)
            ctx.save_for_backward(*gradients)
            return kernels.operators.mean(losses)
        count = len(targets)
        # The mean's 1 / count goes where it costs least.
        read, scaled = operand(hidden, precision), operand(hidden / count, precision)
        decoder = operand(weight, precision)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.empty_like(weight)
        bias_gradient = torch.zeros_like(bias)
        total = hidden.new_zeros(())
        buffer = hidden.new_empty(min(ROWS, count), len(weight))
        # The gradient overwrites the logits, or is half as large.
        gradients = buffer if decoder is weight else torch.empty_like(buffer, dtype=decoder.dtype)
        for start in range(0, count, ROWS):
            rows, size = slice(start, start + ROWS), min(ROWS, count - start)
            logits = product(read[rows], decoder.t(), out=buffer[:size])
            gradient = gradients[:size]
            total += _losses(logits, bias, targets[rows], gradient, bias_gradient).sum()
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


def _losses(
    logits: Tensor, bias: Tensor, targets: Tensor, gradient: Tensor, bias_gradient: Tensor
) -> Tensor:
    """Cross-entropy (rows) of ``logits`` (rows, vocabulary), to which ``bias`` is yet to be added.

    Leaves its derivative by the logits, softmax less one hot, in ``gradient``, which may be
    ``logits`` itself, adds that by the bias to ``bias_gradient``, and overwrites ``logits``.
    """
    target = targets[:, None]
    likelihood, largest = logits.add_(bias).gather(1, target), logits.amax(1, keepdim=True)
    probabilities = torch.softmax(logits, 1, out=logits)
    # Not the log of the target's probability, which may have become zero: the largest logit and
    # its probability, which is never small, give the normaliser.
    log_normalizer = largest - probabilities.amax(1, keepdim=True).log_()
    probabilities.scatter_add_(1, target, logits.new_full(target.shape, -1.0))
    bias_gradient += probabilities.sum(0)
    if gradient is not logits:
        gradient.copy_(probabilities)
    return (log_normalizer - likelihood)[:, 0]
