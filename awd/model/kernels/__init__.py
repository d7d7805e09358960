"""Kernels in C++: what fp32 runs on, on a CPU; made when awd is installed.

They do the same operations in the same order on every CPU, so that the results are the same bits
(see kernels.h). Where there was no compiler, or with several threads, torch does the work, more
slowly and with other last digits on each kind of CPU.
"""

import os
from functools import cache
from typing import Any

import torch

from awd.errors import InputError
from awd.machine import cpu

try:  # it adds torch.ops.awd
    from awd.model.kernels import _compiled  # type: ignore[attr-defined] # noqa: F401
except ImportError:
    operators: Any = None
else:
    operators = torch.ops.awd

NEEDED = {torch.float32: None, torch.bfloat16: "avx512_bf16"}
"""What a CPU must have for the kernels to take operands of a type."""


def usable(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the compiled kernels compute with numbers of ``dtype`` on ``device``.

    Raises InputError if AWD_ISA names an instruction set that they do not have on this CPU.
    """
    if operators is None or device.type != "cpu" or torch.get_num_threads() != 1:
        return False
    _choose(os.environ.get("AWD_ISA"))
    return _supported(dtype)


def arithmetic(device: torch.device, precision: str) -> str:
    """What the bits of a result depend on, for records.

    "portable": on nothing, they are the same on every CPU; "torch": on torch and the CPU;
    "device": on the kind of GPU, or of CPU in bf16.
    """
    if device.type != "cpu":
        return "device"
    if not usable(device, torch.float32):
        return "torch"
    return "portable" if precision == "fp32" else "device"


@cache
def _supported(dtype: torch.dtype) -> bool:
    return dtype in NEEDED and (NEEDED[dtype] is None or NEEDED[dtype] in cpu.flags())


@cache
def _choose(name: str | None) -> None:
    """Use the instruction set that AWD_ISA names; by default the best that the CPU has."""
    available = operators.instruction_sets()
    if not operators.use_instruction_set(name or available[0]):
        raise InputError(
            f"AWD_ISA: '{name}' is not an instruction set of the kernels on this CPU; "
            f"allowed are {', '.join(available)}"
        )
