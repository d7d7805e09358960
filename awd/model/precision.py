"""Matrix products in the precision that a run asks for.

``bf16`` rounds the two operands of a product to bfloat16, and nothing else: sums and results,
weights and states, softmax, gradients and the optimizer stay in fp32.
"""

import torch
from torch import Tensor

from awd.model import arithmetic, kernels


def operand(values: Tensor, precision: str) -> Tensor:
    """``values`` as a product takes them: in bfloat16 if ``precision`` is "bf16"."""
    return values.to(operand_type(values, precision))


def operand_type(values: Tensor, precision: str) -> torch.dtype:
    """The type that ``operand`` gives to ``values``."""
    return torch.bfloat16 if precision == "bf16" else values.dtype


def product(left: Tensor, right: Tensor, out: Tensor | None = None, *, add: bool = False) -> Tensor:
    """``left`` (m, k) times ``right`` (k, n), both operands; of bfloat16 ones the product is fp32.

    A CPU multiplies bfloat16 operands as the fp32 numbers that they also are. With ``add`` the
    product is added to ``out``.
    """
    if left.dtype == torch.bfloat16 and left.is_cuda:
        result = torch.mm(left, right, out_dtype=torch.float32)
        if out is None:
            return result
        return out.add_(result) if add else out.copy_(result)
    if left.dtype == torch.bfloat16 and kernels.usable(left.device, left.dtype):
        if out is None:
            out = left.new_empty(len(left), right.shape[1], dtype=torch.float32)
        kernels.operators.product(left, right, out, add)
        return out
    if left.dtype == torch.bfloat16:
        left, right = left.float(), right.float()
    return arithmetic.product(left, right, out, add=add)


def rounded(values: Tensor) -> Tensor:
    """``values`` rounded to bfloat16 but kept in fp32; the gradient passes as if they were not."""
    return _Rounded.apply(values)


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(_, values):
        return values.bfloat16().float()

    @staticmethod
    def backward(_, gradient):
        return gradient
