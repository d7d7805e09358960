"""What a record says about where its numbers come from."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

import awd
from awd.machine.devices import describe
from awd.model import kernels
from awd.study.spec import RECIPE


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(device: torch.device, precision: str = "fp32") -> dict:
    """Device, precision of matrix products, versions and commit, in every kind of record."""
    return {
        "device": describe(device),
        "precision": precision,
        "kernels": _kernels(device, precision),
        "libraries": {"python": platform.python_version(), "torch": torch.__version__},
        "awd": awd.__version__,
        "commit": commit(),
        "recipe": RECIPE,
    }


def _kernels(device: torch.device, precision: str) -> str:
    """Whether awd's compiled kernels take part, or all is done by torch."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    return "compiled" if kernels.usable(device, dtype) else "torch"


@cache
def commit() -> str | None:
    """The git commit of this code, with "+" if it was changed since; None outside a checkout."""
    folder = Path(awd.__file__).parent
    try:
        head = _git(folder, "rev-parse", "--short=10", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    result = subprocess.run(
        ["git", "--no-optional-locks", *words],
        cwd=folder,
        capture_output=True,
        check=True,
        text=True,
    )
    return result.stdout.strip()
