"""Operations in a defined order: in fp32 on a CPU their results are the same bits on every CPU.

They are done by the compiled kernels if those are usable, and else by torch, as on a GPU. Beside
them only operations of torch may be used whose result leaves no choice: copies, comparisons,
integers, and the single +, -, *, / of two numbers, each rounded once. Sums, products of matrices,
powers, exp, tanh, log and sqrt leave a choice, and so does torch's fused a + b * c.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from awd.model import kernels


def defined(values: Tensor) -> bool:
    """Whether operations on ``values`` have a defined order."""
    return kernels.usable(values.device, values.dtype)


def matrix(values: Tensor) -> Tensor:
    """``values`` (rows, columns) as the kernels take it: contiguous, or transposed."""
    return values if 1 in values.stride() else values.contiguous()


def product(left: Tensor, right: Tensor, out: Tensor | None = None, *, add: bool = False) -> Tensor:
    """``left`` (m, k) times ``right`` (k, n), without a gradient; ``add`` adds it to ``out``."""
    if not defined(left):
        return torch.addmm(out, left, right, out=out) if add else torch.mm(left, right, out=out)
    if out is None:
        out = left.new_empty(len(left), right.shape[1])
    kernels.operators.product(matrix(left), matrix(right), out, add)
    return out


def linear(values: Tensor, weight: Tensor) -> Tensor:
    """(..., features) times the transposed ``weight`` (outputs, features)."""
    if not defined(values):
        return functional.linear(values, weight)
    return _Linear.apply(values.flatten(0, -2), weight).view(*values.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, weight):
        ctx.save_for_backward(values, weight)
        return product(values, weight.t())

    @staticmethod
    def backward(ctx, outer):
        values, weight = ctx.saved_tensors
        return product(outer, weight), product(outer.t(), values)


def look_up(tokens: Tensor, embedding: Tensor, factors: Tensor | None = None) -> Tensor:
    """Word vectors (time, batch, features) of ``tokens``, each times its word's factor, if any.

    Args:
        tokens: (time, batch) of word ids.
        embedding: (words, features).
        factors: (words), without a gradient.
    """
    if defined(embedding):
        return _LookUp.apply(tokens.contiguous(), embedding, factors)
    vectors = functional.embedding(tokens, embedding)
    return vectors if factors is None else vectors * factors[tokens].unsqueeze(-1)


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tokens, embedding, factors):
        ctx.save_for_backward(tokens, factors)
        ctx.words = len(embedding)
        vectors = functional.embedding(tokens, embedding)
        return vectors if factors is None else vectors.mul_(factors[tokens].unsqueeze(-1))

    @staticmethod
    def backward(ctx, outer):
        backward = kernels.operators.embedding_backward
        return None, backward(outer.contiguous(), *ctx.saved_tensors, ctx.words), None


def mean_square(values: Tensor) -> Tensor:
    """Mean of the squares of all ``values``, a scalar."""
    return _MeanSquare.apply(values) if defined(values) else values.square().mean()


class _MeanSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return kernels.operators.mean_square(values.contiguous())

    @staticmethod
    def backward(ctx, outer):
        (values,) = ctx.saved_tensors
        return values * (outer * (2 / values.numel()))


def mean_squared_change(values: Tensor) -> Tensor:
    """Mean of the squared differences between neighbours along the first dimension, a scalar."""
    if defined(values):
        return _MeanSquaredChange.apply(values)
    return torch.diff(values, dim=0).square().mean()


class _MeanSquaredChange(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        values = values.contiguous()
        ctx.save_for_backward(values)
        return kernels.operators.mean_squared_change(values)

    @staticmethod
    def backward(ctx, outer):
        (values,) = ctx.saved_tensors
        changes = (values[1:] - values[:-1]).mul_(outer * (2 / values[1:].numel()))
        gradient = torch.zeros_like(values)
        gradient[1:] = changes
        gradient[:-1] -= changes
        return gradient


def tanh(values: Tensor) -> Tensor:
    """The hyperbolic tangent of each of ``values``."""
    return _Tanh.apply(values) if defined(values) else torch.tanh(values)


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        squashed = kernels.operators.tanh(values.contiguous())
        ctx.save_for_backward(squashed)
        return squashed

    @staticmethod
    def backward(ctx, outer):
        (squashed,) = ctx.saved_tensors
        return outer * (1 - squashed * squashed)


# without gradients ---------------------------------------------------------------------------


def exp(values: Tensor) -> Tensor:
    """e to the power of each of ``values``."""
    return kernels.operators.exp(values.contiguous()) if defined(values) else torch.exp(values)


def log(values: Tensor) -> Tensor:
    """The natural logarithm of each of ``values``."""
    return kernels.operators.log(values.contiguous()) if defined(values) else torch.log(values)


def sqrt(values: Tensor) -> Tensor:
    """The square root of each of ``values``."""
    return kernels.operators.sqrt(values.contiguous()) if defined(values) else torch.sqrt(values)


def mean(values: Tensor) -> Tensor:
    """The mean of all ``values``, a scalar."""
    return kernels.operators.mean(values.contiguous()) if defined(values) else values.mean()


def softmax(rows: Tensor) -> Tensor:
    """The softmax of each row of (rows, columns)."""
    return kernels.operators.softmax(rows.contiguous()) if defined(rows) else rows.softmax(1)


def log_softmax(rows: Tensor) -> Tensor:
    """The logarithm of the softmax of each row of (rows, columns)."""
    shifted = rows - rows.amax(1, keepdim=True)
    return shifted - log(row_sums(exp(shifted)))[:, None]


def row_sums(rows: Tensor) -> Tensor:
    """(rows, columns) to (rows)."""
    return kernels.operators.row_sums(rows.contiguous()) if defined(rows) else rows.sum(1)


def column_sums(rows: Tensor) -> Tensor:
    """(rows, columns) to (columns)."""
    return kernels.operators.column_sums(rows.contiguous()) if defined(rows) else rows.sum(0)


@torch.no_grad()
def draw_uniformly(values: Tensor, limit: float) -> None:
    """Fill ``values`` with numbers between -``limit`` and ``limit``, from torch's generator.

    Each is one of 2^24 evenly spaced ones. torch's own uniform_ draws the same, but whether it
    rounds once or twice depends on the CPU.
    """
    values.random_(0, 1 << 24).mul_(2 * limit / (1 << 24)).sub_(limit)


def power(base: float, exponent: int) -> float:
    """``base`` to a whole ``exponent`` of at least 0, by squaring: C's pow depends on the CPU."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base, exponent = base * base, exponent >> 1
    return result


def norm(values: list[Tensor]) -> float:
    """Euclidean length of all ``values`` together; they must have a defined order."""
    return math.sqrt(kernels.operators.sum_of_squares(values))
