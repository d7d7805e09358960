"""A stage leaves its record, curve, weights and checkpoint."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from awd.corpora.counts import unigram_loss
from awd.errors import InputError
from awd.evaluation.evaluate import evaluate_stage
from awd.runs.checkpoint import Checkpoint
from awd.runs.curve import digest
from awd.runs.early_evaluation import adopt, early_folder
from awd.study.cost import parameters
from awd.study.methods import parse_method
from awd.study.spec import RunSpec
from awd.training import stage as module
from awd.training.stage import train_stage
from awd.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {"hidden_size": 8, "embedding_size": 8, "batch_size": 4, "bptt": 10, "epochs": 2}
MEASURED = {"started", "ended", "seconds", "energy_joules"}


def spec_of(**settings) -> RunSpec:
    return RunSpec(corpus="tiny", **(SMALL | settings))


def test_a_checkpoint_of_another_version_is_refused(corpus, tmp_path):
    """What it lacks cannot be made up."""
    state = Trainer(spec_of(), corpus, "train", CPU).state()
    del state["schedule"]
    run = spec_of().run(corpus.fingerprint)
    Checkpoint(tmp_path / "checkpoints", run, "train").save(state)
    with pytest.raises(InputError, match=r"\.checkpoint was written by another version"):
        stage_of(corpus, tmp_path)


@pytest.mark.parametrize(
    ("before", "expected"), [(100.0, 107.5), (None, None), ("absent", None), (0.0, 7.5)]
)
def test_the_energy_of_all_processes_is_recorded_or_none(
    corpus, tmp_path, monkeypatch, before, expected
):
    """A checkpoint of awd 0.2.0 has none; the training goes on all the same."""
    meter = SimpleNamespace(joules=lambda: 7.5)
    monkeypatch.setattr("awd.training.trainer.Meter", lambda _: meter)
    if before:
        state = Trainer(spec_of(), corpus, "train", CPU).state() | {"energy": before}
        if before == "absent":
            del state["energy"]
        run = spec_of().run(corpus.fingerprint)
        Checkpoint(tmp_path / "checkpoints", run, "train").save(state)
    elif before is None:
        meter.joules = lambda: None
    _, record = stage_of(corpus, tmp_path)
    assert record["energy_joules"] == expected
    assert record["resumes"] == bool(before)


def test_weights_that_are_not_those_of_the_record_are_refused(corpus, tmp_path):
    """One flipped bit of them would change every number that comes from them."""
    folder, _ = stage_of(corpus, tmp_path, finetune_epochs=1)
    path = folder / "train.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"train\.safetensors is damaged or of another training"):
        stage_of(corpus, tmp_path, "finetune", finetune_epochs=1)


def stage_of(corpus, tmp_path, stage="train", **settings):
    spec = spec_of(**settings)
    folder = tmp_path / "runs" / spec.run(corpus.fingerprint)
    record = train_stage(
        spec, corpus, stage, folder, device=CPU, checkpoints=tmp_path / "checkpoints"
    )
    return folder, record


def test_a_stage_leaves_record_curve_and_weights(corpus, tmp_path):
    folder, record = stage_of(corpus, tmp_path, epochs=3)
    assert sorted(path.name for path in folder.iterdir()) == [
        "train.csv",
        "train.json",
        "train.safetensors",
    ]
    assert json.loads((folder / "train.json").read_text()) == record
    assert record["status"] == "done"
    assert record["result"]["epochs"] == 3
    assert record["spec"] == spec_of(epochs=3).as_dict()
    assert record["parameters"] == parameters(spec_of(), 12)
    assert len((folder / "train.csv").read_text().splitlines()) == 4
    assert record["curve_numbers_sha256"] == digest(folder / "train.csv")
    assert load_file(folder / "train.safetensors").keys() == {
        "embedding",
        "decoder",
        "bias",
        *(f"layers.0.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    }


def test_the_curve_of_an_unfinished_training_lies_beside_its_checkpoint(
    corpus, tmp_path, monkeypatch
):
    """It is there when the process dies, and gone when the record is written."""
    usual = module.Progress.epoch

    def dies(progress, line):
        usual(progress, line)
        if line["epoch"] == 2:
            raise RuntimeError("killed")

    monkeypatch.setattr(module.Progress, "epoch", dies)
    with pytest.raises(RuntimeError, match="killed"):
        stage_of(corpus, tmp_path, epochs=3)
    (unfinished,) = tmp_path.glob("checkpoints/*/train.csv")
    lines = unfinished.read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2"]
    monkeypatch.setattr(module.Progress, "epoch", usual)
    folder, *_ = stage_of(corpus, tmp_path, epochs=3)
    assert not unfinished.exists()
    assert len((folder / "train.csv").read_text(encoding="utf-8").splitlines()) == 4


@pytest.mark.parametrize("schedule", ["constant", "step", "plateau", "non-monotonic"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_shorter_training_is_the_beginning_of_a_longer_one(corpus, tmp_path, schedule, optimizer):
    """Only a schedule that is stretched over all epochs may know how many there are."""
    same = {"schedule": schedule, "optimizer": optimizer, "learning_rate": 0.05, "weight_drop": 0.2}
    (short, _), (long, _) = (stage_of(corpus, tmp_path, epochs=epochs, **same) for epochs in (3, 6))
    curves = [
        [line.split(",")[:-2] for line in (folder / "train.csv").read_text().splitlines()]
        for folder in (short, long)
    ]
    assert curves[0] == curves[1][:4]


def test_a_checkpoint_stays_until_the_next_stage_has_read_what_it_stands_for(corpus, tmp_path):
    """Until then, what the stage has left may still be deleted by who had it trained."""
    settings = {"finetune_epochs": 1}
    for stage in ("train", "finetune"):
        stage_of(corpus, tmp_path, stage, **settings)
        saved = [path.name for path in (tmp_path / "checkpoints").rglob("*.checkpoint")]
        assert saved == [f"{stage}.checkpoint"]


def test_fine_tuning_starts_from_the_trained_weights_and_leaves_them(corpus, tmp_path):
    settings = {"finetune_epochs": 2, "learning_rate": 0.0}
    folder, _ = stage_of(corpus, tmp_path, **settings)
    before = (folder / "train.safetensors").read_bytes()
    stage_of(corpus, tmp_path, "finetune", **settings)
    assert (folder / "train.safetensors").read_bytes() == before
    trained, tuned = (load_file(folder / f"{name}.safetensors") for name in ("train", "finetune"))
    assert all(torch.equal(trained[name], tuned[name]) for name in trained)


def test_fine_tuning_without_training_is_refused(corpus, tmp_path):
    with pytest.raises(InputError, match="train before fine-tuning"):
        stage_of(corpus, tmp_path, "finetune", finetune_epochs=1)


def test_a_diverged_training_is_a_result_with_step_and_reason(corpus, tmp_path, monkeypatch):
    original = Trainer.step

    def poisoned(self, chunk):
        if (self.epoch, self.position) == (2, 3):
            self.model.bias.data.fill_(torch.nan)
        original(self, chunk)

    monkeypatch.setattr(Trainer, "step", poisoned)
    folder, record = stage_of(corpus, tmp_path, epochs=4)
    assert record["status"] == "diverged"
    assert record["reason"] == "the loss became nan in epoch 2, step 4"
    assert record["result"]["epochs"] == 1
    weights = load_file(folder / "train.safetensors")
    assert all(value.isfinite().all() for value in weights.values())


def test_a_folder_named_for_another_run_is_refused(corpus, tmp_path):
    with pytest.raises(InputError, match="must be named tiny-lstm1x8-sgd-s1-"):
        train_stage(
            spec_of(), corpus, "train", tmp_path / "other", device=CPU, checkpoints=tmp_path
        )


# evaluations of its own ---------------------------------------------------------------------


def evaluated(corpus, tmp_path, stage="train", **settings):
    """Run the stage with its evaluation; returns its folder and its spec."""
    spec = spec_of(**settings)
    folder = tmp_path / "runs" / spec.run(corpus.fingerprint)
    checkpoints = tmp_path / "checkpoints"
    train_stage(spec, corpus, stage, folder, device=CPU, checkpoints=checkpoints, evaluate=True)
    return folder, spec


def take(tmp_path, folder, stage="train"):
    return adopt(tmp_path / "checkpoints", folder, stage, "stream")


@pytest.mark.parametrize("stage", ["train", "finetune"])
@pytest.mark.parametrize("rate", [1.0, 1e30])
def test_the_evaluation_of_a_training_is_that_of_its_weights(corpus, tmp_path, stage, rate):
    """Every number is that of a process that evaluates later, also where a training diverged."""
    settings = {"finetune_epochs": 1, "learning_rate": rate, "clip": 0}
    for each in ("train", "finetune")[: 1 + (stage == "finetune")]:
        folder, spec = evaluated(corpus, tmp_path, each, **settings)
    assert not (folder / f"{stage}.stream.json").exists()
    early = take(tmp_path, folder, stage)
    assert early == json.loads((folder / f"{stage}.stream.json").read_text())
    losses = dict(np.load(folder / f"{stage}.stream.npz"))
    later = evaluate_stage(spec, corpus, stage, parse_method("stream"), folder, device=CPU)
    assert {key: early[key] for key in early if key not in MEASURED} == {
        key: later[key] for key in later if key not in MEASURED
    }
    for split, again in np.load(folder / f"{stage}.stream.npz").items():
        assert np.array_equal(losses[split], again)


def test_an_early_evaluation_is_taken_once(corpus, tmp_path):
    folder, _ = evaluated(corpus, tmp_path)
    assert take(tmp_path, folder)["status"] == "done"
    assert take(tmp_path, folder) is None
    assert not early_folder(tmp_path / "checkpoints", folder.name).exists()


def test_fine_tuning_leaves_the_evaluation_of_the_training(corpus, tmp_path):
    folder, _ = evaluated(corpus, tmp_path, finetune_epochs=1)
    evaluated(corpus, tmp_path, "finetune", finetune_epochs=1)
    for stage in ("train", "finetune"):
        assert take(tmp_path, folder, stage)["stage"] == stage


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_a_signal_while_it_evaluates_ends_the_evaluation_alone(
    corpus, tmp_path, monkeypatch, caplog, signal
):
    """The training is done; its evaluation is left to a job of its own."""
    import os
    import signal as signals

    def interrupted(*_, **__):
        os.kill(os.getpid(), getattr(signals, signal))
        raise AssertionError("the signal has not ended the evaluation")

    monkeypatch.setattr(module, "evaluate_stage", interrupted)
    folder, _ = evaluated(corpus, tmp_path)
    assert (folder / "train.json").exists()
    assert f"stopped by {signal} before its evaluation ended" in caplog.text
    assert take(tmp_path, folder) is None


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("a mistake")])
def test_an_evaluation_that_fails_is_left_to_its_own_job(
    corpus, tmp_path, monkeypatch, caplog, error
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(module, "evaluate_stage", fail)
    folder, _ = evaluated(corpus, tmp_path)
    assert "trained; not yet evaluated" in caplog.text
    assert take(tmp_path, folder) is None


# trainings that cannot win ------------------------------------------------------------------

HOPELESS = {
    "initial_range": 5,
    "learning_rate": 0,
    "stop_hopeless": 2,
    "epochs": 5,
    "finetune_epochs": 1,
}


def test_a_training_no_better_than_word_frequencies_ends(corpus, tmp_path):
    folder, record = stage_of(corpus, tmp_path, **HOPELESS)
    assert (record["status"], record["result"]["epochs"]) == ("hopeless", 2)
    assert len((folder / "train.csv").read_text().splitlines()) == 3
    level = math.exp(unigram_loss(corpus.train, corpus.valid[1:], 12))
    best = record["result"]["valid_perplexity"]
    assert best >= level
    assert record["reason"] == (
        f"the best validation perplexity of 2 epochs is {best:.2f}; that of word frequencies is "
        f"{level:.2f}"
    )


@pytest.mark.parametrize("above", [1e-9, 0.0, -1e-9])
def test_a_training_at_word_frequencies_is_hopeless_and_one_below_goes_on(
    corpus, tmp_path, monkeypatch, above
):
    level = unigram_loss(corpus.train, corpus.valid[1:], 12)
    losses = iter([level + 1, level + above, *[level + 2] * 3])
    monkeypatch.setattr(Trainer, "validate", lambda _: next(losses))
    monkeypatch.setattr(module, "observe", lambda _: {})
    _, record = stage_of(corpus, tmp_path, **HOPELESS)
    expected = ("hopeless", 2) if above >= 0 else ("done", 5)
    assert (record["status"], record["result"]["epochs"]) == expected


def test_word_frequencies_are_those_of_the_text_that_is_trained_on(corpus):
    """Of its first part; and line by line, the first words are not predicted."""
    corpus = dataclasses.replace(corpus, vocabulary=["<eos>", *corpus.vocabulary[1:]])
    for settings in ({"train_tokens": 300}, {"reading": "sentences"}):
        trainer = Trainer(spec_of(**settings, stop_hopeless=1), corpus, "train", CPU)
        train = corpus.train[: settings.get("train_tokens")]
        words = corpus.valid[1:]
        if "reading" in settings:
            words = words[corpus.valid[:-1] != 0]
        assert trainer.unigram_loss == unigram_loss(train, words, 12)


def test_a_hopeless_training_is_not_fine_tuned(corpus, tmp_path):
    """The stage leaves the same weights and an empty curve, and the evaluation says why."""
    folder, trained = stage_of(corpus, tmp_path, **HOPELESS)
    folder, _ = evaluated(corpus, tmp_path, "finetune", **HOPELESS)
    record = json.loads((folder / "finetune.json").read_text())
    assert (record["status"], record["reason"]) == ("hopeless", trained["reason"])
    assert record["result"]["epochs"] == 0
    assert len((folder / "finetune.csv").read_text().splitlines()) == 1
    one, other = (load_file(folder / f"{stage}.safetensors") for stage in ("train", "finetune"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    early = take(tmp_path, folder, "finetune")
    assert (early["status"], early["splits"]) == ("hopeless", {})
    assert early["reason"] == trained["reason"]


@pytest.mark.parametrize("killed_at", [1, 2, "record"])
def test_a_hopeless_training_that_was_killed_ends_as_one_that_was_not(
    corpus, tmp_path, monkeypatch, killed_at
):
    """After each epoch, and between the last checkpoint and the record."""
    settings = HOPELESS | {"learning_rate": 0.01, "weight_drop": 0.5}
    usual, record_of = module.Progress.epoch, module._record
    whole, expected = stage_of(corpus, tmp_path / "whole", **settings)

    def dies(progress, line):
        usual(progress, line)
        if line["epoch"] == killed_at:
            raise RuntimeError("killed")

    def dies_at_the_end(*_):
        raise RuntimeError("killed")

    monkeypatch.setattr(module.Progress, "epoch", dies)
    if killed_at == "record":
        monkeypatch.setattr(module, "_record", dies_at_the_end)
    monkeypatch.setattr(Checkpoint, "due", lambda *_, **__: True)
    with pytest.raises(RuntimeError, match="killed"):
        stage_of(corpus, tmp_path, **settings)
    monkeypatch.setattr(module.Progress, "epoch", usual)
    monkeypatch.setattr(module, "_record", record_of)
    folder, record = stage_of(corpus, tmp_path, **settings)
    assert record["resumes"] == 1
    assert (record["status"], record["reason"]) == ("hopeless", expected["reason"])
    assert record["weights_sha256"] == expected["weights_sha256"]
    assert record["result"] == expected["result"]
    curves = [
        [line.split(",")[:-2] for line in (each / "train.csv").read_text().splitlines()]
        for each in (whole, folder)
    ]
    assert curves[0] == curves[1]
