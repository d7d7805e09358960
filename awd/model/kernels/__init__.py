"""Kernels in C++ for what torch computes slowly on one CPU thread; made when awd is installed.

They are optional: where there was no compiler, on another kind of CPU, or with several threads,
plain torch does the same, more slowly and with other last digits.
"""

from functools import cache

import torch

from awd.machine.devices import cpu_flags

try:
    from awd.model.kernels import _compiled  # noqa: F401 - it adds torch.ops.awd
except ImportError:
    operators = None
else:
    operators = torch.ops.awd

NEEDED = {torch.float32: "avx2", torch.bfloat16: "avx512_bf16"}
"""What a CPU must be able to do for the kernels to be fast on operands of a type."""


def usable(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the compiled kernels make products of operands of ``dtype`` on ``device``."""
    one_thread = device.type == "cpu" and torch.get_num_threads() == 1
    return operators is not None and one_thread and _supported(dtype)


@cache
def _supported(dtype: torch.dtype) -> bool:
    return NEEDED.get(dtype) in cpu_flags()
