"""A text is scored as an evaluation reads it, in total and line by line."""

import math

import pytest
import torch
import trained_runs

from awd.corpora.new_text import read_file, read_text
from awd.errors import InputError
from awd.evaluation.perplexity import stream_losses
from awd.evaluation.score import Scored, score
from awd.evaluation.trained_model import open_run
from awd.files import read_json


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("score")


@pytest.fixture(scope="module")
def corpus(results):
    return trained_runs.encoded(results)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"softmax": "adaptive"},
        {"objective": "both-directions"},
        {"attention_window": 4},
        {"reading": "sentences"},
    ],
)
def test_the_corpus_own_text_has_the_recorded_score(results, corpus, settings):
    """To the last bit: the protocol is the same."""
    run = trained_runs.trained(results, corpus, **settings)
    trained = open_run(run, None, trained_runs.CPU)
    whole, lines = score(trained, read_file(trained.corpus, results / "raw" / "test.txt"))
    recorded = read_json(run / "train.stream.json")["splits"]["test"]
    assert (whole.tokens, whole.nll, whole.perplexity) == tuple(
        recorded[key] for key in ("tokens", "nll", "perplexity")
    )
    assert len(lines) == 40
    assert sum(line.tokens for line in lines) == whole.tokens
    assert math.fsum(line.nll for line in lines) == pytest.approx(whole.nll, rel=1e-12)


def test_each_line_has_the_losses_of_its_own_words(results, corpus):
    trained = open_run(trained_runs.trained(results, corpus), None, trained_runs.CPU)
    text = read_text(corpus, "the new cat\n\nsees new newer", "text")
    whole, lines = score(trained, text)
    losses = stream_losses(trained.model, torch.from_numpy(text.ids))[:, 0].double()
    # the | <unk> cat <eos> | <eos> | sees <unk> <unk> <eos>
    parts = losses[:3], losses[3:4], losses[4:]
    assert [(line.tokens, line.unknown) for line in lines] == [(3, 1), (1, 0), (4, 2)]
    for line, part in zip(lines, parts, strict=True):
        assert line.nll == pytest.approx(part.sum().item(), rel=1e-12)
        assert line.perplexity == pytest.approx(part.mean().exp().item(), rel=1e-12)
    assert (whole.tokens, whole.unknown) == (8, 3)


def test_an_empty_first_line_predicts_nothing(results, corpus):
    trained = open_run(trained_runs.trained(results, corpus), None, trained_runs.CPU)
    _, lines = score(trained, read_text(corpus, "\ncat", "text"))
    assert lines[0] == Scored(0, 0, 0.0)
    assert lines[0].perplexity is None
    assert lines[1].tokens == 2


def test_a_model_that_reads_what_it_predicts_has_no_score(results, corpus):
    run = trained_runs.trained(results, corpus, bidirectional=True)
    trained = open_run(run, None, trained_runs.CPU)
    with pytest.raises(InputError, match=r"has no perplexity: the model reads 1 token\(s\) ahead"):
        score(trained, read_text(corpus, "the cat", "text"))
