"""Explain a lack of memory in one sentence: how much there is, and what would need less."""

import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from awd.errors import InputError
from awd.vocabulary import Device

SIGNS = re.compile("out of memory|can't allocate memory|bad_alloc|ALLOC_FAILED|size calculation")
"""Parts of the messages of torch, its libraries and C++ when an allocation fails."""
ASKED = re.compile(r"(?:tried|unable) to allocate ([\d.]+) ?(\w)", re.IGNORECASE)
UNITS = {"b": 1, **{unit: 1 << 10 * power for power, unit in enumerate("KMGTPE", 1)}}


@contextmanager
def explained(device: torch.device) -> Iterator[None]:
    """Turn errors of the block that mean a lack of memory into an InputError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not SIGNS.search(str(error)):
            raise
        raise InputError(_sentence(device, str(error))) from error


def peak_memory(device: torch.device) -> float:
    """Return the peak memory so far in MB: of the device if it is a GPU, else of the process."""
    if device.type == Device.CUDA:
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _sentence(device: torch.device, message: str) -> str:
    asked = ASKED.search(message)
    amount = _gigabytes(float(asked[1]) * UNITS[asked[2]]) if asked else "more"
    held = _gigabytes(peak_memory(device) * 1e6)
    if device.type == Device.CUDA:
        free, total = map(_gigabytes, torch.cuda.mem_get_info(device))
        place, fewer = f"{free} of the GPU's {total} are free", "gpu_slots in config.yaml"
    else:
        place, fewer = f"it may have {_gigabytes(_most())}", "snakemake's --cores"
    return (
        f"out of memory: this job held up to {held} and asked for {amount} where {place}; "
        f"let fewer jobs run at once ({fewer}), or take a smaller batch_size, bptt or model, "
        "which is another run"
    )


def _most() -> float:
    """Return the bytes this process may have: the machine's, or fewer by ``ulimit -v``."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return machine if limit == resource.RLIM_INFINITY else min(machine, limit)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.2f} GB"
