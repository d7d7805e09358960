"""Losses by word frequency: who belongs to which band, and that nothing is lost."""

import numpy as np
import pytest
import torch

from awd.evaluation.breakdown import BLOCKS, block_sums, losses_by_frequency
from awd.evaluation.evaluate import evaluate_stage
from awd.study.methods import parse_method
from awd.study.spec import RunSpec
from awd.training.stage import train_stage


def test_words_are_sorted_by_how_often_training_has_them():
    """At 0, 9, 10, 99 and 100 times: the borders of bands belong to the more frequent."""
    training = np.repeat([1, 2, 3, 4], [9, 10, 99, 100])
    losses = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    found = losses_by_frequency(losses, np.array([0, 1, 2, 3, 4, 4]), training, 5)
    assert found == {"0": [3.0, 2], "10": [12.0, 2], "100": [48.0, 2]}


def test_a_word_that_training_lacks_at_the_end_of_the_vocabulary():
    """The count of a word type must not depend on a later one being there."""
    assert losses_by_frequency(np.ones(1), np.array([9]), np.array([0]), 10) == {"0": [1.0, 1]}


def test_the_bands_of_a_record_add_up_to_its_split(corpus, tmp_path):
    """Every predicted token is in one band, in validation and test; training has no bands."""
    cpu = torch.device("cpu")
    spec = RunSpec(corpus="tiny", hidden_size=8, embedding_size=8, batch_size=4, bptt=10, epochs=1)
    run = tmp_path / spec.run(corpus.fingerprint)
    train_stage(spec, corpus, "train", run, device=cpu, checkpoints=tmp_path / "checkpoints")
    record = evaluate_stage(spec, corpus, "train", parse_method("stream"), run, device=cpu)
    losses = np.load(run / "train.stream.npz")
    counts = np.bincount(corpus.train, minlength=12)
    for split in ("valid", "test"):
        values = record["splits"][split]
        bands = values["by_frequency"]
        assert sum(tokens for _, tokens in bands.values()) == values["tokens"]
        assert sum(nats for nats, _ in bands.values()) == pytest.approx(values["nll"])
        rarer = counts[getattr(corpus, split)[1:]] < 100
        assert bands["10"] == [pytest.approx(losses[split][rarer].sum()), rarer.sum()]
    assert record["splits"]["train"]["by_frequency"] is None


def test_blocks_are_whole_lines_of_about_equal_length():
    """Together they are the text, and each but the first begins after the end of a line."""
    generator = np.random.default_rng(6)
    targets = generator.integers(0, 20, 9_000)
    losses = generator.gamma(1.2, 3.5, 9_000).astype(np.float32)
    found = block_sums(losses, targets, 0)
    assert len(found["tokens"]) == len(found["nll"]) == BLOCKS
    assert sum(found["tokens"]) == 9_000
    assert sum(found["nll"]) == pytest.approx(losses.sum(dtype=np.float64), abs=0.01)
    starts = np.cumsum(found["tokens"])[:-1]
    assert (targets[starts - 1] == 0).all()
    assert 150 < min(found["tokens"]) <= max(found["tokens"]) < 500
    assert found["nll"][3] == pytest.approx(losses[starts[2] : starts[3]].sum(), abs=0.01)


def test_blocks_of_texts_with_few_lines_or_none():
    """No more blocks than lines; without lines, blocks of equal length; no text, no blocks."""
    losses = np.ones(1_200)
    targets = np.ones(1_200, dtype=np.uint16)
    assert block_sums(losses, targets, None)["tokens"] == [40] * BLOCKS
    assert block_sums(losses, targets, 7)["tokens"] == [40] * BLOCKS
    targets[[299, 1_199]] = 7
    assert block_sums(losses, targets, 7) == {"tokens": [300, 900], "nll": [300.0, 900.0]}
    with pytest.raises(ValueError, match="1199 losses"):
        block_sums(losses[1:], targets, 7)
