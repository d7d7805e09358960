"""The energy that a process uses, where the machine counts it: RAPL for CPUs, NVML for GPUs."""

import ctypes
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from awd.vocabulary import Device

POWERCAP = Path("/sys/class/powercap")
PAUSE = 30.0
"""Seconds between two looks: the counters of a CPU begin again after about ten minutes of load."""
MICROJOULE, MILLIJOULE = 1e-6, 1e-3
NVML = "libnvidia-ml.so.1"  # comes with the driver


class Meter:
    """Counts joules from its creation on.

    Of a CPU's energy it counts the share that this process has of the time in which any core of
    the machine works. A GPU's energy it counts whole, also where jobs share the GPU.
    """

    def __init__(self, device: torch.device):
        read = _gpu(device) if device.type == Device.CUDA else _cpu(POWERCAP)
        self._joules: float | None = None if read is None else 0.0
        self._lock = threading.Lock()
        if read is not None:
            self._read = read
            self._look()  # the first look only begins
            self._joules = 0.0
            threading.Thread(target=self._watch, daemon=True).start()

    def __deepcopy__(self, memo):
        """Return this meter: copies of a trainer, which probes make, count with the same one."""
        return self

    def joules(self) -> float | None:
        """Return the energy so far, None if the machine does not count it."""
        if self._joules is None:
            return None
        self._look()
        return self._joules

    def _watch(self) -> None:
        while self._joules is not None:
            time.sleep(PAUSE)
            self._look()

    def _look(self) -> None:
        with self._lock:
            if self._joules is None:
                return
            spent = self._read()
            self._joules = None if spent is None else self._joules + spent


def _cpu(folder: Path) -> Callable[[], float | None] | None:
    """Return the function that reads joules since it was last called, None without counters.

    Many systems let only root read the counters. A counter begins again at zero after its range.
    """
    counters = _packages(folder)
    ranges = _microjoules(counters, "max_energy_range_uj")
    if not ranges or _microjoules(counters, "energy_uj") is None:
        return None
    before: list[int] | None = None
    times = 0.0, 0.0

    def read() -> float | None:
        nonlocal before, times
        now, own_and_all = _microjoules(counters, "energy_uj"), _times()
        if now is None:
            return None
        spent = 0.0
        if before is not None:
            whole = sum(
                (after - start) % (most + 1)
                for most, start, after in zip(ranges, before, now, strict=True)
            )
            own, busy = (after - start for start, after in zip(times, own_and_all, strict=True))
            spent = whole * MICROJOULE * (min(1.0, own / busy) if busy > 0 else 0.0)
        before, times = now, own_and_all
        return spent

    return read


def _packages(folder: Path) -> list[Path]:
    """Return the counters of CPU packages: of AMD's, too, and not those of the whole machine.

    A package is named package-0 or package-0-die-0 and contains its parts, as intel-rapl:0:0. The
    counter psys, beside the packages, contains them.
    """
    return [
        counter
        for counter in sorted(folder.glob("intel-rapl:*"))
        if counter.name.count(":") == 1 and _text(counter / "name").startswith("package")
    ]


def _microjoules(counters: list[Path], name: str) -> list[int] | None:
    """Read the file ``name`` of each counter; None if one cannot be read."""
    try:
        return [int(_text(counter / name)) for counter in counters]
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # kept for root, or gone
        return ""


def _times() -> tuple[float, float]:
    """CPU seconds of this process, and of the whole machine."""
    own, all_ = psutil.Process().cpu_times(), psutil.cpu_times()
    idle = all_.idle + getattr(all_, "iowait", 0.0)
    counted_twice = getattr(all_, "guest", 0.0) + getattr(all_, "guest_nice", 0.0)
    return own.user + own.system, sum(all_) - idle - counted_twice


def _gpu(device: torch.device) -> Callable[[], float | None] | None:
    """Return the function that reads joules since it was last called, None without a counter."""
    try:
        library = ctypes.CDLL(NVML)
    except OSError:
        return None
    handle, count = ctypes.c_void_p(), ctypes.c_ulonglong()
    name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(handle)):
        return None

    def millijoules() -> int | None:
        failed = library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(count))
        return None if failed else count.value

    before = millijoules()
    if before is None:
        return None

    def read() -> float | None:
        nonlocal before
        now = millijoules()
        if now is None or before is None:
            return None
        spent, before = (now - before) * MILLIJOULE, now
        return spent

    return read
