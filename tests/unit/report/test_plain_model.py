"""The program of an exported folder measures what awd measures, with torch and safetensors alone.

It is the program that docs/weights.md shows (tests/unit/test_weights_document.py).
"""

import ast
import sys
from pathlib import Path

import pytest
import torch
import trained_runs

from awd.evaluation.perplexity import stream_losses
from awd.evaluation.trained_model import open_run
from awd.report import plain_model

SOURCE = Path(plain_model.__file__)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [True, False])
def test_each_loss_is_that_of_awd(cell, tied, tmp_path):
    run = trained_runs.trained(tmp_path, trained_runs.encoded(tmp_path), cell=cell, tied=tied)
    model, corpus, _ = open_run(run, None, trained_runs.CPU)
    lines = trained_runs.text(300, 9).splitlines(keepends=True)
    words = plain_model.encode([*lines, "a newer word"], corpus.vocabulary)
    assert len(words) > 1000, "more than are read at once"
    assert words[-4:].tolist() == [
        corpus.vocabulary.index(w) for w in ["a", "<unk>", "<unk>", "<eos>"]
    ]
    found = plain_model.losses(plain_model.load(run / "train.safetensors"), words)
    torch.testing.assert_close(found, stream_losses(model, words)[:, 0], rtol=1e-4, atol=1e-5)


def test_a_word_that_cannot_be_read_is_one_sentence():
    with pytest.raises(SystemExit, match="no word 'quick', and no <unk> to read it as"):
        plain_model.encode(["a quick"], ["a", "<eos>"])
    assert plain_model.encode(["a a"], ["a", "<eos>"]).tolist() == [0, 0, 1]


def test_it_imports_nothing_but_torch_and_safetensors():
    nodes = list(ast.walk(ast.parse(SOURCE.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in names}
    assert roots - sys.stdlib_module_names == {
        "torch",
        "safetensors",
    }
