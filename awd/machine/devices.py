"""Where a training runs, and how that place is set up."""

import ctypes
import os
import platform
from pathlib import Path

import torch

from awd.errors import InputError
from awd.machine import gpu_lease

MALLOC_OPTIONS = {"M_MMAP_THRESHOLD": -3, "M_TRIM_THRESHOLD": -1, "M_TOP_PAD": -2}


_held = []  # locks of this process's GPU, kept until it ends


def prepare(device: str = "auto", threads: int = 1, gpu_slots: int = 1) -> torch.device:
    """Set the process up for training and return its device.

    On a machine with several GPUs it takes one of them for itself, or one of the ``gpu_slots`` on
    it, waiting until there is one; unless CUDA_VISIBLE_DEVICES says that this was settled before.

    Args:
        device: "cpu", "cuda", or "auto": cuda where torch sees one.
        threads: CPU threads. Several one-thread jobs beat one job of several threads.

    Raises InputError if "cuda" is asked for and there is none.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    gpus = gpu_lease.visible()
    if device != "cpu" and gpus and not gpu_lease.assigned():
        chosen, lock = gpu_lease.acquire(gpus, gpu_slots, gpu_lease.lock_folder())
        _held.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen  # read when CUDA is first used
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not cpu_flags() & {"amx_bf16", "amx_tile"}:
        # Sends fp32 products to oneDNN, which on CPUs without AMX still computes them in fp32.
        torch.set_float32_matmul_precision("medium")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: 'cuda' was asked for but torch finds no GPU; use 'auto' or 'cpu'")
    return torch.device(device)


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks: each step needs the same large ones again."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(MALLOC_OPTIONS["M_MMAP_THRESHOLD"], 1 << 30)
    libc.mallopt(MALLOC_OPTIONS["M_TRIM_THRESHOLD"], (1 << 31) - 1)
    libc.mallopt(MALLOC_OPTIONS["M_TOP_PAD"], 1 << 28)


def cpu_flags() -> set[str]:
    """Instruction set extensions of the CPU, as Linux names them; empty elsewhere."""
    return set(_cpuinfo("flags").split())


def describe(device: torch.device) -> str:
    """The device's name, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} thread(s)"


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
