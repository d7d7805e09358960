"""Describe where a record's numbers come from: device, versions, commit."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

import awd
from awd.machine.devices import describe, gpu_libraries
from awd.model import kernels
from awd.study.spec import RECIPE

ELSEWHERE = {
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_PREFIX", "GIT_NAMESPACE"),
    *("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
}
"""Variables that make git read another repository; its hooks, for example, set them."""


def now() -> str:
    """Return the time in UTC as ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(device: torch.device, precision: str = "fp32") -> dict:
    """Return devices, precision of matrix products, versions and commit for a record."""
    return {
        "devices": [describe(device)],
        "precision": precision,
        "arithmetic": kernels.arithmetic(device, precision),
        "libraries": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            **gpu_libraries(device),
        },
        "awd": awd.__version__,
        "commit": commit(),
        "recipe": RECIPE,
    }


@cache
def commit() -> str | None:
    """Return the git commit of this code, with "+" if the code was changed since.

    None if git does not track the code, which may be installed inside another project's checkout.
    """
    folder = Path(awd.__file__).parent
    try:
        _git(folder, "ls-files", "--error-unmatch", "--", Path(awd.__file__).name)
        head = _git(folder, "rev-parse", "--short=10", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    result = subprocess.run(
        ["git", "--no-optional-locks", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return result.stdout.strip()
