"""Which GPU a job may use, where several jobs on one machine share several GPUs.

A workflow engine counts GPUs but does not hand out particular ones; every job would take the
first. Here each device has a few slots, each slot a file, and who has the file locked has the
slot. The kernel frees the lock when the process ends, however it ends.
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
"""Seconds between two looks for a free slot."""


def visible(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs that may be used here: those in CUDA_VISIBLE_DEVICES, or all of the machine's."""
    if "CUDA_VISIBLE_DEVICES" in environment:
        words = map(str.strip, environment["CUDA_VISIBLE_DEVICES"].split(","))
        return [word for word in words if word not in ("", "-1")]
    return [str(index) for index, _ in enumerate(GPUS.iterdir())] if GPUS.is_dir() else []


def assigned(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody else, a cluster or the user, has chosen this process's GPU, or none.

    Where several are listed, a choice among these remains.
    """
    return "CUDA_VISIBLE_DEVICES" in environment and len(visible(environment)) <= 1


def lock_folder() -> Path:
    """Where all of a user's jobs on this machine keep their locks."""
    return Path(tempfile.gettempdir()) / f"awd-gpus-{os.getuid()}"


def acquire(
    devices: Sequence[str], slots: int, folder: Path, pause: float = PAUSE
) -> tuple[str, IO]:
    """Wait for a slot on one of ``devices`` and lock it.

    Args:
        devices: indices or other names of the GPUs.
        slots: how many jobs may share one device.
        folder: of the lock files; the same for all jobs that share the devices.
        pause: seconds between two looks.

    Every device's first slot is tried before any second one, so jobs spread evenly. Returns the
    device and the locked file, which must stay open for as long as the device is used.
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
