"""Memory that is missing: one sentence with the numbers and what to turn."""

import re
import resource
from pathlib import Path

import pytest
import torch
from trainings import Training

from awd.errors import InputError
from awd.machine.out_of_memory import explained
from awd.training.trainer import Trainer

CPU = torch.device("cpu")
SENTENCE = re.compile(
    r"awd: out of memory: this job held up to [\d.]+ GB and asked for ([\d,.]+ GB|more) where it "
    r"may have [\d,.]+ GB; let fewer jobs run at once \(snakemake's --cores\), or take a smaller "
    "batch_size, bptt or model, which is another run"
)


def limit_memory(more: int) -> None:
    """Let this process have only so many bytes ``more`` than it has, as ``ulimit -v`` does."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fail_in(epoch: int) -> None:
    """Ask for more memory than there is, in the second step of that epoch."""
    step = Trainer.step

    def hungry(self, chunk):
        if self.position == 1 and self.epoch == epoch:
            torch.empty(1 << 55)
        step(self, chunk)

    Trainer.step = hungry


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"hidden_size": 10**8}, {}),
        ({"hidden_size": 10**12}, {}),
        ({"hidden_size": 10_000}, {"fault": limit_memory, "more": 1 << 28}),
        ({}, {"fault": fail_in, "epoch": 3}),
    ],
    ids=["more than there is", "more than can be counted", "more than is allowed", "later"],
)
def test_a_training_without_enough_memory(texts, undisturbed, tmp_path, settings, fault):
    """It ends with that sentence; with enough of it, it goes on where it was."""
    training = Training(tmp_path, texts, **settings)
    assert training.end(**fault) == 1
    said = training.said.read_text()
    assert "Traceback" not in said
    assert SENTENCE.fullmatch(said.splitlines()[-1])
    assert training.files() == []
    if not settings:
        assert training.end() == 0
        assert training.outcome() == undisturbed().outcome()
        assert training.record()["resumes"] == 1


def test_what_a_gpu_says(monkeypatch):
    """The numbers are the GPU's, and so is what to turn."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2_000_000_000, 8_000_000_000))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 5_500_000_000)
    said = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 7.45 GiB"
    with pytest.raises(InputError) as caught, explained(torch.device("cuda")):
        raise torch.OutOfMemoryError(said)
    assert (
        "held up to 5.50 GB and asked for 2.68 GB where 2.00 GB of the GPU's 8.00 GB are free; "
        "let fewer jobs run at once (gpu_slots in config.yaml)" in str(caught.value)
    )


def test_only_missing_memory_is_explained():
    """Any other failure is a mistake in the program and keeps its traceback."""
    with pytest.raises(RuntimeError, match="shapes"), explained(CPU):
        raise RuntimeError("shapes cannot be multiplied")
    with pytest.raises(InputError, match="asked for more where"), explained(CPU):
        raise MemoryError
