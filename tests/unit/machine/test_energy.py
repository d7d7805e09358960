"""Joules from counters as the kernel and NVML have them, on make-believe ones."""

import copy
import ctypes
import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from awd.machine import energy

CPU = torch.device("cpu")
RANGE = 65_532_610_987


@pytest.fixture
def counters(tmp_path, monkeypatch) -> list[Path]:
    """What the kernel has under /sys/class/powercap on a laptop with two packages.

    Each package contains its parts. What counts the whole machine stands beside the packages.
    """
    zones = {
        **{"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "uncore"},
        **{"intel-rapl:1": "package-1-die-0", "intel-rapl:2": "psys"},
        "intel-rapl-mmio:0": "package-0",
    }
    for folder, name in zones.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "name").write_text(f"{name}\n")
        (tmp_path / folder / "energy_uj").write_text("1000000\n")
        (tmp_path / folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (tmp_path / "intel-rapl").mkdir()  # the control type, of which these are zones
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    return [tmp_path / name / "energy_uj" for name in ("intel-rapl:0", "intel-rapl:1")]


@pytest.fixture
def times(monkeypatch) -> list[float]:
    """CPU seconds of the process and of the machine."""
    known = [0.0, 0.0]
    monkeypatch.setattr(energy, "_times", lambda: tuple(known))
    return known


def test_a_process_has_its_share_of_all_packages(counters, times):
    meter = energy.Meter(CPU)
    assert meter.joules() == 0
    counters[0].write_text("21000000")
    counters[1].write_text("11000000")
    times[:] = 3.0, 4.0
    assert meter.joules() == pytest.approx(0.75 * 30)
    counters[0].write_text("22000000")
    times[:] = 4.0, 8.0
    assert meter.joules() == pytest.approx(0.75 * 30 + 0.25 * 1)


def test_a_copy_of_what_has_a_meter_has_the_same_one(counters, times):
    meter = energy.Meter(CPU)
    assert copy.deepcopy({"meter": meter})["meter"] is meter
    counters[0].write_text("3000000")
    times[:] = 1.0, 1.0
    assert meter.joules() == pytest.approx(2)


def test_a_counter_begins_again_after_its_range(counters, times):
    counters[0].write_text(str(RANGE - 4_999_999))
    meter = energy.Meter(CPU)
    counters[0].write_text("5000000")
    times[:] = 1.0, 1.0
    assert meter.joules() == pytest.approx(10)


def test_one_package_counts_on_where_the_counter_of_another_begins_again(counters, times):
    counters[0].write_text(str(RANGE))
    meter = energy.Meter(CPU)
    for number in (1, 2, 3):
        counters[0].write_text(str(999_999 * number))  # a microjoule takes it from RANGE to zero
        counters[1].write_text(str(1_000_000 + 500_000 * number))
        times[:] = number, number
        meter._look()
    assert meter.joules() == pytest.approx(3 * (0.999999 + 0.5) + 1e-6)


def test_the_whole_machine_and_parts_of_packages_are_not_counted_again(tmp_path, counters, times):
    meter = energy.Meter(CPU)
    for folder in ("intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:2", "intel-rapl-mmio:0"):
        (tmp_path / folder / "energy_uj").write_text("9000000\n")
    counters[0].write_text("2000000\n")
    times[:] = 1.0, 1.0
    assert meter.joules() == pytest.approx(1)


def deny(monkeypatch, denied: str) -> None:
    """Refuse to read the file as the kernel does; permissions do not stop root."""
    read = Path.read_text

    def refuse(path, *args, **named):
        if path.name == denied:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path, *args, **named)

    monkeypatch.setattr(Path, "read_text", refuse)


@pytest.mark.usefixtures("counters", "times")
@pytest.mark.parametrize("denied", ["energy_uj", "max_energy_range_uj", "name"])
def test_counters_that_only_root_may_read_are_no_counters(monkeypatch, denied):
    deny(monkeypatch, denied)
    assert energy.Meter(CPU).joules() is None


@pytest.mark.usefixtures("counters", "times")
def test_permission_that_is_taken_away_ends_counting_and_not_the_training(monkeypatch):
    meter = energy.Meter(CPU)
    with monkeypatch.context() as patch:
        deny(patch, "energy_uj")
        assert meter.joules() is None
    assert meter.joules() is None, "what was not seen is not known"


@pytest.mark.usefixtures("times")
@pytest.mark.parametrize("text", ["x", "", "-"])
def test_what_is_no_number_is_unknown_and_stays_so(counters, text):
    meter = energy.Meter(CPU)
    before = counters[0].read_text()
    counters[0].write_text(text)
    assert meter.joules() is None
    counters[0].write_text(before)
    assert meter.joules() is None


@pytest.mark.usefixtures("times")
def test_a_package_that_is_gone_ends_counting(counters):
    meter = energy.Meter(CPU)
    counters[1].unlink()
    assert meter.joules() is None


def test_a_machine_without_counters_has_no_energy(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    assert energy.Meter(CPU).joules() is None


def test_a_process_that_works_has_cpu_time_and_no_more_than_the_machine():
    own, busy = energy._times()
    sum(range(10**6))
    more_own, more_busy = energy._times()
    assert more_own >= own > 0
    assert more_busy >= busy >= 0


@pytest.mark.parametrize(
    ("failing", "expected"),
    [(None, 7.5), ("nvmlInit_v2", None), ("nvmlDeviceGetTotalEnergyConsumption", None)],
)
def test_a_gpu_is_counted_by_nvml(monkeypatch, failing, expected):
    total = [1_000]
    asked = []

    def init():
        return int(failing == "nvmlInit_v2")

    def find(name, handle):
        asked.append(name)
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = 5
        return 0

    def count(handle, result):
        assert handle.value == 5
        ctypes.cast(result, ctypes.POINTER(ctypes.c_ulonglong))[0] = total[0]
        return int(failing == "nvmlDeviceGetTotalEnergyConsumption")

    library = SimpleNamespace(
        nvmlInit_v2=init,
        nvmlDeviceGetHandleByUUID=find,
        nvmlDeviceGetTotalEnergyConsumption=count,
    )
    monkeypatch.setattr(energy.ctypes, "CDLL", lambda _: library)
    properties = SimpleNamespace(uuid="ab-cd")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    meter = energy.Meter(torch.device("cuda"))
    total[0] += 7_500
    assert meter.joules() == expected
    assert failing == "nvmlInit_v2" or asked == [b"GPU-ab-cd"]


def test_without_a_driver_a_gpu_has_no_energy(monkeypatch):
    monkeypatch.setattr(energy, "NVML", "libno-such-library.so")
    assert energy.Meter(torch.device("cuda")).joules() is None
