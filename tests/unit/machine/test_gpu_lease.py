"""GPU leases: never more jobs on a device than slots, evenly spread, freed by death."""

import os
import select
import subprocess
import sys
from collections import Counter
from subprocess import PIPE

import pytest
from patience import PATIENCE

from awd.machine import devices, gpu_lease

HOLD = """
import sys
from pathlib import Path
from awd.machine.gpu_lease import acquire
device, held = acquire([0, 1], int(sys.argv[2]), Path(sys.argv[1]), pause=0.02)
print(device, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path):
    """Start a job that holds a slot until its input ends; all are ended after the test."""
    jobs = []

    def start(slots: int) -> subprocess.Popen:
        words = [sys.executable, "-c", HOLD, str(tmp_path / "locks"), str(slots)]
        job = subprocess.Popen(words, stdin=PIPE, stdout=PIPE, text=True)
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        job.kill()
        job.communicate()


def device(job: subprocess.Popen) -> int:
    """Wait until the job has a slot; returns on which device."""
    return int(job.stdout.readline())


@pytest.mark.parametrize("slots", [1, 2])
def test_jobs_fill_the_slots_of_two_devices_and_others_wait(start, slots):
    """Evenly spread; a slot that becomes free goes to one that waits."""
    holders = [start(slots) for _ in range(2 * slots)]
    devices = [device(job) for job in holders]
    assert Counter(devices) == {0: slots, 1: slots}
    waiting = [start(slots) for _ in range(2)]
    for holder, freed in zip(holders, devices, strict=True):
        if not waiting:
            break
        ready, _, _ = select.select([job.stdout for job in waiting], [], [], 0)
        assert not ready, "all slots are taken"
        holder.communicate("")
        ready, _, _ = select.select([job.stdout for job in waiting], [], [], PATIENCE)
        (job,) = [job for job in waiting if job.stdout in ready]
        assert device(job) == freed
        waiting.remove(job)


def test_a_killed_jobs_slot_is_free_at_once(start, tmp_path):
    job = start(1)
    assert device(job) in (0, 1)
    job.kill()
    job.wait()
    held = [gpu_lease.acquire([0, 1], 1, tmp_path / "locks", pause=0.02) for _ in range(2)]
    assert sorted(device for device, _ in held) == [0, 1]


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
