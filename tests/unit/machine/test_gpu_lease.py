"""GPU leases: never more jobs on a device than slots, evenly spread, freed by death."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from awd.machine import devices, gpu_lease

HOLD = """
import sys, time
from pathlib import Path
from awd.machine.gpu_lease import acquire
folder, log, slots, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
device, held = acquire([0, 1], slots, folder, pause=0.02)
with log.open("a") as file:
    file.write(f"{time.monotonic()} {device} 1\\n")
time.sleep(float(seconds))
with log.open("a") as file:
    file.write(f"{time.monotonic()} {device} -1\\n")
"""


def start(tmp_path, slots, seconds):
    words = [sys.executable, "-c", HOLD, str(tmp_path / "locks"), str(tmp_path / "log")]
    return subprocess.Popen([*words, str(slots), str(seconds)])


def events(tmp_path):
    lines = (tmp_path / "log").read_text().splitlines()
    return sorted(
        (float(when), int(device), int(change)) for when, device, change in map(str.split, lines)
    )


def test_six_jobs_on_two_devices_never_exceed_the_slots_and_spread_evenly(tmp_path):
    for slots in (1, 2):
        folder = tmp_path / str(slots)
        folder.mkdir()
        jobs = [start(folder, slots, 0.4) for _ in range(6)]
        assert [job.wait(timeout=60) for job in jobs] == [0] * 6
        busy, most, starts = Counter(), Counter(), Counter()
        for _, device, change in events(folder):
            busy[device] += change
            most[device] = max(most[device], busy[device])
            starts[device] += change == 1
        assert most == {0: slots, 1: slots}
        assert starts[0] + starts[1] == 6
        assert abs(starts[0] - starts[1]) <= 2
        assert 2 <= starts[0] <= 4


def test_a_killed_jobs_slot_is_free_at_once(tmp_path):
    job = start(tmp_path, 1, 60)
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    taken = events(tmp_path)[0][1]
    job.kill()
    job.wait()
    held = [gpu_lease.acquire([0, 1], 1, tmp_path / "locks", pause=0.02) for _ in range(2)]
    assert sorted(device for device, _ in held) == [0, 1]
    assert taken in (0, 1)


def test_first_slots_of_all_devices_come_before_second_ones(tmp_path):
    held = [gpu_lease.acquire([0, 1, 2], 2, tmp_path / "locks") for _ in range(6)]
    assert [device for device, _ in held] == [0, 1, 2, 0, 1, 2]


def test_an_assignment_from_outside_is_seen():
    """One GPU or none is settled; of several, each job takes one."""
    assert gpu_lease.assigned({"CUDA_VISIBLE_DEVICES": "3"})
    assert gpu_lease.assigned({"CUDA_VISIBLE_DEVICES": ""})
    assert gpu_lease.assigned({"CUDA_VISIBLE_DEVICES": "-1"})
    assert not gpu_lease.assigned({"CUDA_VISIBLE_DEVICES": "2, 3"})
    assert not gpu_lease.assigned({})


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A machine with two GPUs, as far as locks are concerned."""
    for address in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / address).mkdir(parents=True)
    monkeypatch.setattr(gpu_lease, "GPUS", tmp_path / "gpus")
    monkeypatch.setattr(gpu_lease, "lock_folder", lambda: tmp_path / "locks")
    monkeypatch.setattr(devices, "_held", [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("two_gpus")
def test_a_job_takes_a_gpu_that_no_other_has(tmp_path, monkeypatch):
    """Where some are listed, one of these, by the name it has there."""
    _, other = gpu_lease.acquire(["0"], 1, tmp_path / "locks")
    devices.prepare("auto")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, MIG-GPU-b/1/0")
    for _ in range(2):  # the second call finds that one has been chosen
        devices.prepare("auto")
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert len(devices._held) == 2
    other.close()


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("visible", ["3", ""])
def test_what_a_cluster_assigned_stays(monkeypatch, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    devices.prepare("auto")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    assert devices._held == []
