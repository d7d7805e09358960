"""Assign a GPU to a job, where several jobs on one machine share several GPUs.

A workflow engine counts GPUs but does not assign particular ones; every job would take the first.
Here each device has a few slots, each slot is a file, and a process that locks the file holds the
slot. The kernel releases the lock when the process ends, however it ends.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

GPUS = Path("/proc/driver/nvidia/gpus")
PAUSE = 1.0
"""Seconds between two attempts to find a free slot."""


def visible(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the usable GPUs: those in CUDA_VISIBLE_DEVICES, or all of the machine."""
    if "CUDA_VISIBLE_DEVICES" in environment:
        words = map(str.strip, environment["CUDA_VISIBLE_DEVICES"].split(","))
        return [word for word in words if word not in ("", "-1")]
    return [str(index) for index, _ in enumerate(GPUS.iterdir())] if GPUS.is_dir() else []


def assigned(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a cluster or the user has chosen a single GPU for this process, or none.

    If CUDA_VISIBLE_DEVICES lists several, this process still has to choose one of them.
    """
    return "CUDA_VISIBLE_DEVICES" in environment and len(visible(environment)) <= 1


def lock_folder() -> Path:
    """Return the folder of the locks of all of a user's jobs on this machine."""
    return Path(tempfile.gettempdir()) / f"awd-gpus-{os.getuid()}"


def acquire(
    devices: Sequence[str], slots: int, folder: Path, pause: float = PAUSE
) -> tuple[str, IO]:
    """Wait for a slot on one of ``devices`` and lock it.

    Args:
        devices: indices or other names of the GPUs.
        slots: number of jobs that may share one device.
        folder: of the lock files; the same for all jobs that share the devices.
        pause: seconds between two attempts.

    The first slots of all devices are tried before any second one, so jobs spread evenly. Returns
    the device and the locked file, which must stay open as long as the device is used.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        for slot in range(slots):
            for device in devices:
                name = f"gpu{device}-slot{slot}.lock".replace("/", "-")
                file = (folder / name).open("a")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.close()
                    continue
                return device, file
        if not waiting:
            log.info("all %d slots on %d GPUs are taken; waiting", slots, len(devices))
            waiting = True
        time.sleep(pause)
