"""What docs/weights.md says of weights: the program that reads them, and what they hold."""

import json
import re
from pathlib import Path

import torch
from safetensors import safe_open

from awd.study.spec import RunSpec, make_spec
from awd.training.stage import train_stage

HOME = Path(__file__).parents[2]
DOCUMENT = HOME / "docs" / "weights.md"
PROGRAM = HOME / "awd" / "report" / "plain_model.py"
CPU = torch.device("cpu")


def test_the_documented_program_is_that_of_an_exported_model():
    """tests/unit/report has what it measures: test_export.py, and test_plain_model.py by cell."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert program == PROGRAM.read_text("utf-8")


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
