"""An exported folder is whole, belongs to its run and works by itself."""

import hashlib
import json
import subprocess
import sys

import pytest
import trained_runs

from awd.corpora.new_text import read_file
from awd.errors import InputError
from awd.evaluation.score import score
from awd.evaluation.trained_model import open_run
from awd.report.export import export_model


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def corpus(results):
    return trained_runs.encoded(results)


@pytest.fixture(scope="module")
def run(results, corpus):
    return trained_runs.trained(
        results, corpus, ("stream", "cache-20-1-0.1"), finetune_epochs=1, tied=True
    )


def test_the_folder_works_without_awd(run, tmp_path):
    """Its program finds what ``awd score`` finds."""
    folder = tmp_path / "deep" / "model"
    paths = export_model(run, folder)
    assert [path.name for path in paths] == [
        "weights.safetensors",
        "vocabulary.txt",
        "README.md",
        "model.py",
    ]
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(
        ["deep", "model", *(path.name for path in paths)]
    )
    new = tmp_path / "new.txt"
    new.write_text(trained_runs.text(50, 7) + "a word that is new\n", "utf-8")
    command = [sys.executable, "-I", "model.py", "weights.safetensors", "vocabulary.txt", new]
    program = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    trained = open_run(run, None, trained_runs.CPU)
    whole, _ = score(trained, read_file(trained.corpus, new))
    assert float(program.stdout) == pytest.approx(whole.perplexity, rel=1e-5)


@pytest.mark.parametrize("stage", ["train", "finetune"])
def test_the_weights_are_those_of_the_stage(run, stage, tmp_path):
    export_model(run, tmp_path / "model", stage)
    digest = hashlib.sha256((tmp_path / "model/weights.safetensors").read_bytes()).hexdigest()
    record = json.loads((run / f"{stage}.json").read_text())
    assert digest == record["weights_sha256"]
    card = (tmp_path / "model/README.md").read_text("utf-8")
    assert digest in card
    for method in ("stream", "cache-20-1-0.1"):
        measured = json.loads((run / f"{stage}.{method}.json").read_text())["splits"]["test"]
        assert f"| {method} | test | {measured['tokens']} | {measured['perplexity']:.2f} |" in card


@pytest.mark.parametrize(
    ("settings", "missed"),
    [
        ({"softmax": "adaptive"}, "an adaptive softmax"),
        ({"attention_window": 3}, "attention"),
        ({"bidirectional": True}, "bidirectional layers"),
        ({"objective": "cloze"}, "two directions at once"),
        ({"reading": "sentences"}, "sentences, each read from a state of zeros"),
    ],
)
def test_a_model_that_the_program_cannot_read_has_none(results, corpus, settings, missed, tmp_path):
    run = trained_runs.trained(results, corpus, **settings)
    export_model(run, tmp_path / "model")
    assert not (tmp_path / "model/model.py").exists()
    assert (
        f"A short program does not: it has {missed}." in (tmp_path / "model/README.md").read_text()
    )


def test_a_folder_with_something_in_it_is_refused(run, tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(InputError, match="exists: name a new folder"):
        export_model(run, tmp_path)
    (tmp_path / "mine").unlink()
    export_model(run, tmp_path)
    assert (tmp_path / "model.py").exists()


def test_damaged_weights_leave_nothing_behind(run, tmp_path):
    path = run / "train.safetensors"
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    try:
        with pytest.raises(InputError, match="is damaged or of another training"):
            export_model(run, tmp_path / "model", "train")
    finally:
        path.write_bytes(content)
    assert not list(tmp_path.iterdir())
