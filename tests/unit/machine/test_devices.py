"""Set up and describe the device of a process."""

import pytest
import torch

from awd.errors import InputError
from awd.machine import devices

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads():
    """Leave the number of threads and the precision of products as they were."""
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])


def test_a_cpu_is_described_by_its_name_and_threads(monkeypatch):
    monkeypatch.setattr(devices.cpu, "name", lambda: "A CPU, 9 thread(s)")
    torch.set_num_threads(2)
    assert devices.describe(CPU) == {"kind": "cpu", "name": "A CPU, 9 thread(s)", "threads": 2}


def test_a_gpu_is_described_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A GPU")
    described = devices.describe(torch.device("cuda"))
    assert described == {"kind": "cuda", "name": "A GPU", "threads": None}


@pytest.mark.parametrize("asked", ["auto", "cpu"])
def test_without_a_gpu_the_cpu_is_prepared(monkeypatch, asked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.prepare(asked, threads=3) == CPU
    assert torch.get_num_threads() == 3


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match="device is 'cuda' but torch finds no GPU"):
        devices.prepare("cuda")


@pytest.mark.parametrize(("flags", "precision"), [(set(), "medium"), ({"amx_tile"}, "highest")])
def test_products_stay_in_fp32_on_every_cpu(monkeypatch, flags, precision):
    """With AMX, "medium" would round operands to bf16."""
    monkeypatch.setattr(devices.cpu, "flags", lambda: flags)
    torch.set_float32_matmul_precision("highest")
    devices.prepare("cpu")
    assert torch.get_float32_matmul_precision() == precision
