"""The program in docs/weights.md reads weights without awd and finds the recorded perplexity."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import forked
import pytest
import torch
import trained_runs
from safetensors import safe_open

from awd.files import read_json
from awd.study.spec import RunSpec, make_spec
from awd.training.stage import train_stage

HOME = Path(__file__).parents[2]
DOCUMENT = HOME / "docs" / "weights.md"
PROGRAM = HOME / "awd" / "report" / "plain_model.py"
CPU = torch.device("cpu")


def documented() -> str:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    return program


def test_the_documented_program_is_that_of_an_exported_model():
    assert documented() == PROGRAM.read_text("utf-8")


def test_the_documented_program_finds_what_awd_recorded_and_what_it_scores(tmp_path):
    """The lines are run as they stand in the document; test_plain_model.py has the other cells."""
    corpus = trained_runs.encoded(tmp_path)
    folder = trained_runs.trained(tmp_path, corpus, tied=True, weight_drop=0.2)
    (vocabulary,) = tmp_path.glob("corpora/*/vocabulary.txt")
    new = tmp_path / "new.txt"
    new.write_text(trained_runs.text(40, 5) + "a word that is new\n", "utf-8")

    def perplexity(text):
        words = (folder / "train.safetensors", vocabulary, text)
        command = [sys.executable, "-I", "-c", documented(), *words]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    recorded = read_json(folder / "train.stream.json")["splits"]["test"]["perplexity"]
    assert perplexity(tmp_path / "raw" / "test.txt") == pytest.approx(recorded, rel=1e-5)
    scored = forked.run("awd", ["score", folder, new, "format=csv"])
    *_, total = csv.DictReader(io.StringIO(scored.stdout))
    assert (total["line"], total["unknown"]) == ("total", "4")
    assert perplexity(new) == pytest.approx(float(total["perplexity"]), rel=1e-5)


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
