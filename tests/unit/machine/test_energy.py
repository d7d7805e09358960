"""Joules from counters as the kernel and NVML have them, on make-believe ones."""

import copy
import ctypes
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from awd.machine import energy

CPU = torch.device("cpu")
RANGE = 65_532_610_987


@pytest.fixture
def counters(tmp_path, monkeypatch) -> list[Path]:
    """Two packages, and a part of one, which the package contains already."""
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("1000000\n")
        (tmp_path / name / "max_energy_range_uj").write_text(f"{RANGE}\n")
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


@pytest.mark.usefixtures("times")
def test_what_cannot_be_read_is_unknown_and_stays_so(counters):
    meter = energy.Meter(CPU)
    before = counters[0].read_text()
    counters[0].write_text("x")
    assert meter.joules() is None
    counters[0].write_text(before)
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
