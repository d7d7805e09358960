"""Set up the device that a process computes on, and describe it for records."""

import ctypes
import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import IO

import torch

from awd.errors import InputError
from awd.machine import cpu, gpu_lease
from awd.vocabulary import Device

DRIVER = Path("/proc/driver/nvidia/version")
MALLOC_OPTIONS = {"M_MMAP_THRESHOLD": -3, "M_TRIM_THRESHOLD": -1, "M_TOP_PAD": -2}


_held: list[IO] = []  # locks of this process's GPU; closing one would release it


def prepare(device: str = "auto", threads: int = 1, gpu_slots: int = 1) -> torch.device:
    """Set up the process for its computations and return its device.

    On a machine with several GPUs, wait for one of them, or for one of its ``gpu_slots``, and
    reserve it; if CUDA_VISIBLE_DEVICES names a single GPU, take that one without waiting.

    Args:
        device: "cpu", "cuda", or "auto": cuda where torch sees one.
        threads: CPU threads. Several jobs of one thread are faster than one job of several.

    Raises InputError if ``device`` is "cuda" and torch finds no GPU.
    """
    keep_freed_memory()
    torch.set_num_threads(threads)
    gpus = gpu_lease.visible()
    if device != Device.CPU and gpus and not gpu_lease.assigned():
        chosen, lock = gpu_lease.acquire(gpus, gpu_slots, gpu_lease.lock_folder())
        _held.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = chosen  # read when CUDA is first used
    if device == "auto":
        device = Device.CUDA if torch.cuda.is_available() else Device.CPU
    if device == Device.CPU and not cpu.flags() & {"amx_bf16", "amx_tile"}:
        # fp32 products go to oneDNN, which on CPUs without AMX still computes them in fp32.
        torch.set_float32_matmul_precision("medium")
    if device == Device.CUDA and not torch.cuda.is_available():
        raise InputError("device is 'cuda' but torch finds no GPU; use 'auto' or 'cpu'")
    if device == Device.CUDA:
        exact_on_gpus()
    return torch.device(str(device))


def exact_on_gpus() -> None:
    """Let products on a GPU be those of fp32 (IEEE 754), the same ones each time.

    By default cuDNN's recurrent layers round operands to TF32, products of bfloat16 may add parts
    of sums in bfloat16, and cuBLAS may choose another order of additions with another workspace.
    """
    # Read when cuBLAS starts, which is later than this; one size of workspace leaves no choice.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn
    for library in (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn):
        library.fp32_precision = "ieee"
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks: each step needs blocks of the same sizes again."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    threshold = MALLOC_OPTIONS["M_MMAP_THRESHOLD"]
    if not libc.mallopt(threshold, 1 << 30):
        libc.mallopt(threshold, 1 << 25)  # the most that an older glibc takes
    libc.mallopt(MALLOC_OPTIONS["M_TRIM_THRESHOLD"], (1 << 31) - 1)
    libc.mallopt(MALLOC_OPTIONS["M_TOP_PAD"], 1 << 28)


def describe(device: torch.device) -> dict[str, str | int | None]:
    """Describe ``device`` for records: its kind, its name, and its threads if it is a CPU."""
    if device.type == Device.CUDA:
        name = torch.cuda.get_device_name(device)
        return {"kind": Device.CUDA.value, "name": name, "threads": None}
    return {"kind": Device.CPU.value, "name": cpu.name(), "threads": torch.get_num_threads()}


def gpu_libraries(device: torch.device) -> dict[str, str]:
    """Return the versions that a GPU's numbers depend on, by name; of a CPU none."""
    if device.type != Device.CUDA:
        return {}
    driver = None
    with suppress(OSError):
        driver = re.search(r"Module\b.*?\s(\d+(?:\.\d+)+)\s", DRIVER.read_text(encoding="utf-8"))
    return {
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "driver": driver[1] if driver else "unknown",
    }
