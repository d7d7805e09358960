"""Set up and describe the device of a process."""

import os

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


@pytest.fixture
def gpu(monkeypatch):
    """A machine with one GPU; afterwards the precision of products is as it was."""
    libraries = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    before = [library.fp32_precision for library in libraries]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield libraries
    for library, precision in zip(libraries, before, strict=True):
        library.fp32_precision = precision
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = True


def test_products_stay_in_fp32_on_a_gpu(gpu):
    """torch's default rounds the operands of cuDNN's recurrent layers to TF32."""
    torch.backends.cudnn.rnn.fp32_precision = "tf32"
    assert devices.prepare("cuda") == torch.device("cuda")
    assert [library.fp32_precision for library in gpu] == ["ieee"] * 3
    assert not torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.usefixtures("gpu")
def test_a_workspace_that_the_user_chose_stays(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    devices.prepare("auto")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_record_of_a_gpu_has_its_libraries(monkeypatch, tmp_path):
    version = tmp_path / "version"
    version.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"
    )
    monkeypatch.setattr(devices, "DRIVER", version)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    found = devices.gpu_libraries(torch.device("cuda"))
    assert found == {"cuda": "13.0", "cudnn": "91900", "driver": "570.86.15"}
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "none")
    assert devices.gpu_libraries(torch.device("cuda"))["driver"] == "unknown"
    assert devices.gpu_libraries(CPU) == {}


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
