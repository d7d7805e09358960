"""Evaluation records: every method, on weights that a training left."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from awd import corpora
from awd.errors import InputError
from awd.evaluation.evaluate import evaluate_stage, tune_cache
from awd.model.language_model import LanguageModel
from awd.report.comparability import Protocol
from awd.report.words import differences
from awd.study.methods import parse_method
from awd.study.spec import RunSpec
from awd.training.stage import train_stage

CPU = torch.device("cpu")


def spec_of(**settings) -> RunSpec:
    sizes = {"hidden_size": 8, "embedding_size": 8, "batch_size": 4, "bptt": 10, "epochs": 2}
    return RunSpec(corpus="tiny", **(sizes | settings))


def trained(corpus, folder, spec):
    run = folder / "runs" / spec.run(corpus.fingerprint)
    train_stage(spec, corpus, "train", run, device=CPU, checkpoints=folder / "checkpoints")
    return run


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """Two seeds of the same training."""
    folder = tmp_path_factory.mktemp("evaluate")
    return [trained(corpus, folder, spec_of(seed=seed)) for seed in (1, 2)]


def evaluate(corpus, run, name, spec=None, members=()):
    method = parse_method(name)
    spec = spec or spec_of()
    return evaluate_stage(spec, corpus, "train", method, run, device=CPU, members=members)


@pytest.mark.parametrize("name", ["stream", "cache-20-1-0.1", "dynamic-0.01-0.02-0.001-5"])
def test_record_and_losses_of_a_method(corpus, runs, name):
    record = evaluate(corpus, runs[0], name)
    assert json.loads((runs[0] / f"train.{name}.json").read_text()) == record
    assert (record["status"], record["method"]) == ("done", name)
    losses = np.load(runs[0] / f"train.{name}.npz")
    for split in ("valid", "test"):
        assert losses[split].shape == (199,)
        values = record["splits"][split]
        assert values["tokens"] == 199
        assert values["nll"] == pytest.approx(losses[split].sum(dtype="float64"))
        assert values["perplexity"] == pytest.approx(math.exp(values["nll"] / 199))
    assert ("train" in record["splits"]) is (name == "stream")
    blocks = record["splits"]["test"]["blocks"]
    assert sum(blocks["tokens"]) == 199
    assert sum(blocks["nll"]) == pytest.approx(record["splits"]["test"]["nll"], abs=0.01)


def test_blocks_of_the_record_end_where_lines_end(corpus, runs):
    corpus = replace(corpus, vocabulary=["<eos>", *corpus.vocabulary[1:]])
    blocks = evaluate(corpus, runs[0], "stream")["splits"]["test"]["blocks"]
    ends = np.cumsum(blocks["tokens"])[:-1]
    assert len(ends) > 3
    assert (corpus.test[ends] == 0).all(), "predicted token i is token i + 1 of the text"


def test_an_ensemble_names_its_members_and_beats_their_mean(corpus, runs):
    record = evaluate(corpus, runs[0], "ensemble-2", members=runs[1:])
    assert record["members"] == [runs[1].name]
    alone = [
        evaluate(corpus, run, "stream", spec_of(seed=seed))["splits"]["test"]["nll"]
        for seed, run in enumerate(runs, 1)
    ]
    assert record["splits"]["test"]["nll"] < sum(alone) / 2


def test_a_bidirectional_model_is_marked_as_leaking(corpus, tmp_path):
    spec = spec_of(bidirectional=True)
    record = evaluate(corpus, trained(corpus, tmp_path, spec), "stream", spec)
    assert record["status"] == "leaks"
    assert record["reason"] == "the model reads 1 token(s) ahead of what it predicts"
    assert record["splits"]["test"]["perplexity"] > 1


def test_two_directions_are_measured_apart_and_the_forward_one_counts(corpus, tmp_path):
    spec = spec_of(objective="both-directions")
    run = trained(corpus, tmp_path, spec)
    record = evaluate(corpus, run, "stream", spec)
    assert record["status"] == "done"
    splits = ("train", "valid", "test")
    assert set(record["splits"]) == {*splits, *(f"{split}-backward" for split in splits)}
    ahead, back = (record["splits"][name] for name in ("test", "test-backward"))
    assert ahead["tokens"] == back["tokens"] == 199
    assert ahead["nll"] != back["nll"]
    losses = np.load(run / "train.stream.npz")["test"]
    assert losses.sum(dtype="float64") == pytest.approx(ahead["nll"])


def test_a_cloze_model_is_measured_as_such(corpus, tmp_path):
    spec = spec_of(objective="cloze")
    record = evaluate(corpus, trained(corpus, tmp_path, spec), "stream", spec)
    assert record["status"] == "done"
    assert record["protocol"]["context"] == "left and right"


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The corpus of known entropy, in a folder of runs."""
    folder = tmp_path_factory.mktemp("chain")
    corpora.fetch("known-entropy", folder / "raw")
    print_ = corpora.fingerprint("known-entropy")
    corpora.encode("known-entropy", folder / "raw", folder / "encoded", fingerprint=print_)
    return corpora.load(folder / "encoded")


CHAIN = {"batch_size": 80, "bptt": 20, "epochs": 2, "learning_rate": 20, "hidden_size": 16}


@pytest.fixture(scope="module")
def chain_run(chain, tmp_path_factory):
    """A small model of it, trained, and its spec."""
    spec = spec_of(**CHAIN).changed(corpus="known-entropy")
    return trained(chain, tmp_path_factory.mktemp("chain-run"), spec), spec


def test_an_honest_model_stays_above_the_floor(chain, chain_run):
    """Near it, so that the alarm would be heard."""
    record = evaluate(chain, chain_run[0], "stream", chain_run[1])
    assert record["status"] == "done"
    floor = chain.info["entropy"]["test"]
    assert floor["tokens"] == record["splits"]["test"]["tokens"]
    assert 1 < record["splits"]["test"]["nll"] / floor["nll"] < 1.15


def test_a_model_that_cheats_is_below_the_floor(chain, chain_run, monkeypatch):
    """It cheats where the leak check does not look: in how its losses are computed."""
    losses = LanguageModel.token_losses
    monkeypatch.setattr(
        LanguageModel, "token_losses", lambda self, *given: 0.8 * losses(self, *given)
    )
    record = evaluate(chain, chain_run[0], "stream", chain_run[1])
    assert record["status"] == "leaks"
    assert "nats below the true entropy of the valid text" in record["reason"]


def test_a_diverged_training_has_an_evaluation_without_perplexity(corpus, tmp_path):
    spec = spec_of(learning_rate=1e30, clip=0)
    record = evaluate(corpus, trained(corpus, tmp_path, spec), "stream", spec)
    assert (record["status"], record["splits"]) == ("diverged", {})
    assert "epoch 1" in record["reason"]


def test_a_hopeless_training_has_an_evaluation_without_perplexity(corpus, tmp_path):
    spec = spec_of(initial_range=5, learning_rate=0, stop_hopeless=1)
    record = evaluate(corpus, trained(corpus, tmp_path, spec), "stream", spec)
    assert (record["status"], record["splits"]) == ("hopeless", {})
    assert "of 1 epoch is" in record["reason"]


def test_weights_of_another_run_are_refused(corpus, runs):
    with pytest.raises(InputError, match="not that of this spec"):
        evaluate(corpus, runs[0], "stream", spec_of(seed=9))


def test_cache_settings_are_tuned_on_validation_alone(corpus, runs):
    tried = tune_cache(corpus, runs[0], "train", [20, 50], [1.0], [0.1], device=CPU)
    record = evaluate(corpus, runs[0], "cache-20-1-0.1")
    assert len(tried) == 2
    assert tried[0][3] == pytest.approx(record["splits"]["valid"]["perplexity"], rel=1e-5)


def test_a_part_of_the_training_text_is_all_that_an_evaluation_sees_of_it(corpus, tmp_path):
    """Its perplexity, the frequencies of words, and the gradients of dynamic evaluation."""
    spec = spec_of(train_tokens=400)
    run = trained(corpus, tmp_path, spec)
    short = replace(corpus, train=corpus.train[:400])
    for name in ("stream", "dynamic-0.01-0.02-0.001-5"):
        assert (
            evaluate(corpus, run, name, spec)["splits"]
            == evaluate(short, run, name, spec)["splits"]
        )
    record = evaluate(corpus, run, "stream", spec)
    assert record["splits"]["train"]["tokens"] == 400 - spec.batch_size
    assert record["spec"]["train_tokens"] == 400
    assert "1000" not in record["splits"]["test"]["by_frequency"]


def test_sentences_are_measured_as_such(corpus, tmp_path):
    """Fewer tokens, other words in the protocol, and no comparison with a stream."""
    ends = np.arange(7, 200, 9)
    splits = {}
    for split in ("train", "valid", "test"):
        splits[split] = np.where(getattr(corpus, split) == 0, 1, getattr(corpus, split))
        splits[split][7::9] = 0
    lines = replace(corpus, vocabulary=["<eos>", *corpus.vocabulary[1:]], **splits)
    specs = [spec_of(reading=reading) for reading in ("stream", "sentences")]
    records, losses = [], []
    for spec in specs:
        run = trained(lines, tmp_path, spec)
        records.append(evaluate(lines, run, "stream", spec))
        losses.append(np.load(run / "train.stream.npz")["test"])
    stream, sentences = records
    # Twenty-two lines: of each but the first of the stream one word less is predicted.
    assert stream["splits"]["test"]["tokens"] - sentences["splits"]["test"]["tokens"] == len(ends)
    assert len(losses[1]) == 200 - len(ends) - 1 == sentences["protocol"]["tokens"]["test"]
    assert (sentences["protocol"]["mode"], sentences["protocol"]["carried_state"]) == (
        "sentences",
        False,
    )
    for split in ("valid", "test"):
        parts = sentences["splits"][split]
        assert sum(tokens for _, tokens in parts["by_frequency"].values()) == parts["tokens"]
        assert sum(nats for nats, _ in parts["by_frequency"].values()) == pytest.approx(
            parts["nll"]
        )
    blocks = sentences["splits"]["test"]["blocks"]
    assert blocks["tokens"][:3] == [7, 8, 8]
    assert blocks["nll"][0] == pytest.approx(losses[1][:7].sum(), abs=1e-4)
    protocols = [Protocol.from_record(record["protocol"]) for record in records]
    told = differences(protocols[1].difference(protocols[0]))
    assert told.startswith("read as sentences, fresh state per sentence, ")
