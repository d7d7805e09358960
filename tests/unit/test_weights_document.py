"""The program in docs/weights.md reads weights without awd and finds the recorded perplexity."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from awd.evaluation.evaluate import evaluate_stage
from awd.study.methods import parse_method
from awd.study.spec import RunSpec, make_spec
from awd.training.stage import train_stage

DOCUMENT = Path(__file__).parents[2] / "docs" / "weights.md"
CPU = torch.device("cpu")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_documented_program_finds_the_recorded_perplexity(cell, tied, corpus, tmp_path):
    spec = RunSpec(
        corpus="tiny",
        cell=cell,
        tied=tied,
        layers=2,
        hidden_size=10,
        embedding_size=8,
        weight_drop=0.2,
        epochs=1,
        batch_size=4,
        bptt=10,
    )
    folder = tmp_path / spec.run(corpus.fingerprint)
    folder.mkdir()
    train_stage(spec, corpus, "train", folder, device=CPU, checkpoints=tmp_path / "checkpoints")
    record = evaluate_stage(spec, corpus, "train", parse_method("stream"), folder, device=CPU)
    np.save(tmp_path / "test.npy", corpus.test)
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    command = [sys.executable, "-c", program, folder / "train.safetensors", tmp_path]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert float(found.stdout) == pytest.approx(record["splits"]["test"]["perplexity"], rel=1e-5)


def test_weights_say_which_run_they_belong_to(corpus, tmp_path):
    spec = RunSpec(corpus="tiny", hidden_size=6, embedding_size=6, epochs=1, batch_size=4)
    folder = tmp_path / spec.run(corpus.fingerprint)
    folder.mkdir()
    train_stage(spec, corpus, "train", folder, device=CPU, checkpoints=tmp_path / "checkpoints")
    with safe_open(folder / "train.safetensors", "pt") as file:
        metadata = json.loads(file.metadata()["awd"])
    assert make_spec(metadata.pop("spec"), "metadata") == spec
    assert metadata == {
        "run": folder.name,
        "stage": "train",
        "corpus": "tiny",
        "fingerprint": corpus.fingerprint,
    }
