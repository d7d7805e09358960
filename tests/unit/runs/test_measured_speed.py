"""The speed of earlier trainings, by device and size."""

import json

import pytest

from awd.runs.measured_speed import MeasuredSpeed
from awd.study import cost
from awd.study.spec import make_spec
from awd.vocabulary import Device

CPU = "A CPU (Zen 9)"
SPEC = {"corpus": "mine", "hidden_size": 16, "embedding_size": 16}
SIZE = cost.size(make_spec(SPEC, "test"), 100)


def write(
    runs, name: str, seconds: float | None, stage: str = "train", device=None, **changes
) -> None:
    """A record of two epochs on 400 tokens, and validation on 300, which is as 100 of training."""
    device = device or {"kind": "cpu", "name": CPU, "threads": 1}
    record = {
        "format": 2,
        "run": name,
        "status": "done",
        "reason": None,
        "weights_sha256": None,
        "spec": SPEC,
        "corpus": {"name": "mine", "vocabulary": 100, "tokens": {"train": 400, "valid": 300}},
        "result": {"epochs": 2},
        "devices": [device],
        "seconds": seconds,
    }
    (runs / name).mkdir(exist_ok=True)
    (runs / name / f"{stage}.json").write_text(json.dumps(record | changes))


def test_the_median_of_stages_of_a_size_counts(tmp_path):
    """Whatever their seed and regularisers."""
    write(tmp_path, "a", 10.0)
    write(tmp_path, "b", 20.0, spec={**SPEC, "seed": 2, "weight_decay": 0.1})
    write(tmp_path, "b", 90.0, stage="finetune")
    found = MeasuredSpeed(tmp_path, CPU)
    assert found.per_token(Device.CPU, SIZE) == pytest.approx(20.0 / 1000)
    assert found.per_token(Device.CUDA, SIZE) is None
    assert found.gpus == set()


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {**SPEC, "hidden_size": 32}},
        {"spec": {**SPEC, "bptt": 7}},
        {"spec": {**SPEC, "precision": "bf16"}},
        {"spec": {**SPEC, "cell": "gru"}},
        {"spec": {**SPEC, "no_such_key": 1}},
        {"device": {"kind": "cpu", "name": CPU, "threads": 2}},
        {"device": {"kind": "cpu", "name": "A CPU", "threads": 1}},
        {"devices": None},
        {"devices": [{"kind": "cpu", "name": CPU, "threads": 1}] * 2},
        {"result": {"epochs": 0}},
        {"result": None},
        {"seconds": None},
        {"format": 1},
    ],
)
def test_other_sizes_other_machines_and_damage_do_not_count(tmp_path, change):
    write(tmp_path, "a", 10.0)
    write(tmp_path, "b", **{"seconds": 90.0, **change})
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "train.json").write_text("{")
    (tmp_path / "file").write_text("")
    assert MeasuredSpeed(tmp_path, CPU).per_token(Device.CPU, SIZE) == pytest.approx(0.01)


def test_a_gpu_counts_whatever_the_cpu(tmp_path):
    gpu = {"kind": "cuda", "name": "A GPU", "threads": None}
    write(tmp_path, "a", 1.0, device=gpu, peak_memory_mb=300.5)
    write(tmp_path, "b", 1.0, device=gpu, peak_memory_mb=200.0)
    write(tmp_path, "c", 1.0, device=gpu)
    found = MeasuredSpeed(tmp_path, CPU)
    assert found.per_token(Device.CUDA, SIZE) == pytest.approx(0.001)
    assert found.per_token(Device.CPU, SIZE) is None
    assert found.gpus == {"A GPU"}
    assert found.gpu_megabytes == {SIZE: 300.5}


def test_without_runs_nothing_is_measured(tmp_path):
    assert MeasuredSpeed(tmp_path / "none", CPU).per_token(Device.CPU, SIZE) is None
