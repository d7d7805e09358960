"""The training loop: one step by hand, and interruption that leaves no trace."""

import os
import signal
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
import torch

from awd.corpora import Corpus
from awd.corpora.batching import Chunk
from awd.errors import InputError
from awd.runs.checkpoint import Checkpoint
from awd.runs.progress import Progress
from awd.study.spec import RunSpec
from awd.training.trainer import Diverged, Interrupted, Trainer, stop_signals

CPU = torch.device("cpu")
SMALL = {"hidden_size": 8, "embedding_size": 8, "batch_size": 4, "bptt": 10, "epochs": 2}


def spec_of(**settings) -> RunSpec:
    return RunSpec(corpus="tiny", **(SMALL | settings))


def trainer_of(corpus, stage="train", **settings) -> Trainer:
    return Trainer(spec_of(**settings), corpus, stage, CPU)


def gradients_after(trainer, chunk):
    """What the optimizer will see: gradients of the full loss, before clipping."""
    spec, model = trainer.spec, trainer.model
    end = chunk.start + chunk.length
    output = model(trainer.batches[chunk.start : end], trainer.hidden)
    logits = output.dropped @ model.decoder_weight.t() + model.bias
    targets = trainer.batches[chunk.start + 1 : end + 1]
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss = loss + spec.activation_regularization * (output.dropped**2).mean()
    changes = output.raw[1:] - output.raw[:-1]
    loss = loss + spec.temporal_activation_regularization * (changes**2).mean()
    return torch.autograd.grad(loss, trainer.parameters)


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_one_sgd_step_is_clip_then_decay_then_the_scaled_rate(corpus, clip):
    trainer = trainer_of(
        corpus,
        clip=clip,
        learning_rate=2.0,
        weight_decay=0.1,
        activation_regularization=2,
        temporal_activation_regularization=1,
    )
    before = [parameter.detach().clone() for parameter in trainer.parameters]
    gradients = gradients_after(trainer, Chunk(0, 10, 0.5))
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    scale = min(1.0, clip / (norm.item() + 1e-6)) if clip else 1.0
    trainer.step(Chunk(0, 10, 0.5))
    for parameter, old, gradient in zip(trainer.parameters, before, gradients, strict=True):
        expected = old - 2.0 * 0.5 * (scale * gradient + 0.1 * old)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-5, atol=1e-6)


def test_adamw_steps_as_torchs_own(corpus):
    trainer = trainer_of(corpus, optimizer="adamw", learning_rate=0.01, weight_decay=0.1, clip=0)
    copies = [parameter.detach().clone().requires_grad_() for parameter in trainer.parameters]
    optimizer = torch.optim.AdamW(copies, lr=0.01, weight_decay=0.1)
    for copy, gradient in zip(copies, gradients_after(trainer, Chunk(0, 10, 1.0)), strict=True):
        copy.grad = gradient
    optimizer.step()
    trainer.step(Chunk(0, 10, 1.0))
    for parameter, copy in zip(trainer.parameters, copies, strict=True):
        torch.testing.assert_close(parameter, copy, rtol=1e-4, atol=1e-5)


def test_the_state_is_carried_between_chunks_and_zero_at_each_epochs_start(corpus):
    trainer = trainer_of(corpus)
    trainer.step(Chunk(0, 10, 1.0))
    assert trainer.hidden[0][0].abs().sum() > 0
    assert not trainer.hidden[0][0].requires_grad
    trainer.end_epoch()
    assert trainer.hidden[0][0].abs().sum() == 0


def validations(trainer, monkeypatch, losses):
    """Run epochs whose validation losses are given; returns the events."""
    values = iter(losses)
    monkeypatch.setattr("awd.training.trainer.mean_loss", lambda _: next(values))
    for _ in losses:
        trainer.step(Chunk(0, 10, 1.0))
        trainer.end_epoch()
    return [line["event"] for line in trainer.history]


def test_averaging_starts_when_the_trigger_fires_and_evaluates_the_average(corpus, monkeypatch):
    trainer = trainer_of(corpus, optimizer="nt-asgd", non_monotone_interval=2, epochs=9)
    events = validations(trainer, monkeypatch, [5, 4, 3, 5, 5, 2])
    # 5 at epoch 4 exceeds min(5, 4)? no: interval 2 leaves [5]; at epoch 5 it exceeds min(5, 4)
    assert events == ["", "", "", "", "averaging starts", ""]
    assert [line["averaging"] for line in trainer.history] == [0, 0, 0, 0, 0, 1]
    means = dict(zip(dict(trainer.model.named_parameters()), trainer.average.means, strict=True))
    assert trainer.average.count == 1
    assert all(
        torch.equal(trainer.best_weights[name], mean.float()) for name, mean in means.items()
    )


def test_without_nt_asgd_the_same_trigger_halves_the_rate_and_starts_over(corpus, monkeypatch):
    trainer = trainer_of(
        corpus, schedule="non-monotonic", non_monotone_interval=1, learning_rate=8.0, epochs=9
    )
    events = validations(trainer, monkeypatch, [3, 3, 4, 4, 4, 5])
    assert events == ["", "", "learning rate 4", "", "", "learning rate 2"]
    assert [line["learning_rate"] for line in trainer.history] == [8, 8, 8, 4, 4, 4]
    assert trainer.average is None


def test_patience_ends_a_training_that_gets_no_better(corpus, monkeypatch):
    """Counted from the best epoch, and not in fine-tuning, which has the trigger."""
    trainer = trainer_of(corpus, schedule="plateau", patience=2, epochs=9)
    validations(trainer, monkeypatch, [5, 6, 4, 4])
    assert not trainer.finished
    validations(trainer, monkeypatch, [5])
    assert trainer.finished
    assert (len(trainer.history), trainer.best["epoch"]) == (5, 3)
    tuned = trainer_of(corpus, "finetune", patience=1, finetune_epochs=9)
    validations(tuned, monkeypatch, [3, 4, 5])
    assert not tuned.finished


def test_fine_tuning_averages_from_its_first_step_and_stops_by_the_trigger(corpus, monkeypatch):
    trainer = trainer_of(corpus, "finetune", non_monotone_interval=1, finetune_epochs=9)
    validations(trainer, monkeypatch, [3, 2, 4])
    assert trainer.finished
    assert [line["averaging"] for line in trainer.history] == [1, 1, 1]
    assert trainer.average.count == 3


CASES = {
    "sgd": {},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01},
    "nt-asgd before its switch": {"optimizer": "nt-asgd", "non_monotone_interval": 9},
    # a rate of 30 makes the trigger fire in the first epochs
    "nt-asgd across its switch": {
        "optimizer": "nt-asgd",
        "non_monotone_interval": 1,
        "learning_rate": 30,
        "epochs": 8,
    },
    "one cycle": {"schedule": "one-cycle", "optimizer": "adamw", "learning_rate": 0.01},
    "halved": {"schedule": "non-monotonic", "non_monotone_interval": 1, "learning_rate": 30},
    "gru": {"cell": "gru"},
    "regularised": {
        "weight_drop": 0.5,
        "dropout_embedding": 0.2,
        "dropout_input": 0.2,
        "dropout_output": 0.3,
        "variable_bptt": True,
        "tied": True,
        "layers": 2,
    },
}


def test_fine_tuning_keeps_the_weights_it_starts_from_if_no_epoch_is_better(
    corpus, tmp_path, monkeypatch
):
    weights = trainer_of(corpus).model.state_dict()
    settings = {"finetune_epochs": 2, "non_monotone_interval": 9}
    for losses, best in (([1.0, 2.0, 3.0], 0), ([3.0, 2.0, 1.0], 2)):
        # Of the weights it starts from; then of each epoch.
        values = iter(losses)
        monkeypatch.setattr("awd.training.trainer.mean_loss", lambda _, of=values: next(of))
        trainer = Trainer(spec_of(**settings), corpus, "finetune", CPU, weights)
        trainer.run(Checkpoint(tmp_path, f"best-{best}", "finetune"), 1e9, Quiet())
        assert trainer.best == {"epoch": best, "loss": 1.0}
        kept = all(torch.equal(trainer.best_weights[name], weights[name]) for name in weights)
        assert kept == (best == 0)


def in_pieces(make, checkpoint: Checkpoint) -> tuple[Trainer, int]:
    """Run trainers of ``make``, each stopped after seven chunks, one after another to the end.

    Returns the last one and how many were stopped.
    """
    stops = 0
    while True:
        trainer = make()
        if (state := checkpoint.load()) is not None:
            trainer.restore(state)
        try:
            trainer.run(checkpoint, 1e9, StopAfter(7))
            return trainer, stops
        except Interrupted:
            stops += 1


@pytest.mark.parametrize("stage", ["train", "finetune"])
@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_training_ends_bit_for_bit_like_an_undisturbed_one(
    corpus, tmp_path, name, stage
):
    """Stopped after every seventh chunk, each time continued by a new trainer from the file."""
    settings = {"epochs": 5, "finetune_epochs": 3} | CASES[name]

    def trainer():
        return trainer_of(corpus, stage, **settings)

    whole = trainer()
    whole.run(Checkpoint(tmp_path, "whole", stage), 1e9, Quiet())

    pieces, stops = in_pieces(trainer, Checkpoint(tmp_path, "pieces", stage))
    assert stops >= 5
    assert pieces.resumes == stops
    for key, value in whole.best_weights.items():
        assert torch.equal(value, pieces.best_weights[key])
    measured = {"seconds", "tokens_per_second"}
    for line, other in zip(whole.history, pieces.history, strict=True):
        assert {key: line[key] for key in line.keys() - measured} == {
            key: other[key] for key in other.keys() - measured
        }
    if name == "nt-asgd across its switch" and stage == "train":
        assert any(line["averaging"] for line in whole.history)


def test_an_interruption_costs_at_most_one_interval(corpus, tmp_path, monkeypatch):
    """On a clock on which a step takes a second and a save three: ever 10 s apart, or an epoch."""
    seconds, saves = 0, []

    class Clock:
        @staticmethod
        def monotonic():
            return seconds

    class Timed(Checkpoint):
        def save(self, state):
            nonlocal seconds
            saves.append((state["epoch"], state["position"], seconds))
            super().save(state)
            seconds += 3
            self.cost, self.saved = 3, seconds

    class Steps(Quiet):
        def chunk(self, *_):
            nonlocal seconds
            seconds += 1

    monkeypatch.setattr("awd.runs.checkpoint.time", Clock)
    trainer = trainer_of(corpus)
    trainer.run(Timed(tmp_path, "a-run", "train"), 10, Steps())
    moments = [seconds for *_, seconds in saves]
    assert all(later - earlier <= 3 + 10 for earlier, later in pairwise([0, *moments]))
    assert saves[0][:2] == (1, 10)
    assert saves[-1][:2] == (3, 0), "the finished training is saved before its record is written"


def test_work_that_a_gpu_does_while_a_checkpoint_waits_belongs_to_the_epoch(
    corpus, tmp_path, monkeypatch
):
    """On a clock that a look at the losses moves by 100 s, as if all work were done then."""
    seconds = 0.0

    class Clock:
        @staticmethod
        def perf_counter():
            return seconds

    class Busy:
        def item(self):
            nonlocal seconds
            seconds += 100
            return 1.0

    trainer = trainer_of(corpus)
    monkeypatch.setattr("awd.training.trainer.time", Clock)
    monkeypatch.setattr(trainer, "step", lambda _: None)
    monkeypatch.setattr(trainer, "loss_sum", Busy())
    monkeypatch.setattr(
        trainer, "state", lambda: {"epoch": trainer.epoch, "is": trainer.epoch_seconds}
    )
    checkpoint = Checkpoint(tmp_path, "a-run", "train")
    with pytest.raises(Interrupted):
        trainer.run(checkpoint, 1e9, StopAfter(1))
    assert checkpoint.load()["is"] == 100


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_a_training_goes_on_on_another_device(corpus, tmp_path, monkeypatch):
    """The record lists both, in order of use."""
    first = {"kind": "cpu", "name": "first", "threads": 2}
    second = {"kind": "cuda", "name": "second", "threads": None}
    monkeypatch.setattr("awd.training.trainer.describe", lambda _: first)
    trainer, checkpoint = trainer_of(corpus), Checkpoint(tmp_path, "a-run", "train")
    with pytest.raises(Interrupted):
        trainer.run(checkpoint, 1e9, StopAfter(7))
    monkeypatch.setattr("awd.training.trainer.describe", lambda _: second)
    other = Trainer(spec_of(), corpus, "train", torch.device("meta"))
    other.restore(checkpoint.load())
    assert other.devices == [first, second]
    state = other.state()
    tensors = [*state["best_weights"].values(), *chain(*state["hidden"]), state["loss_sum"]]
    assert all(tensor.device.type == "meta" for tensor in tensors)


class Quiet(Progress):
    """Progress that says nothing."""

    def __init__(self):
        super().__init__("", 0, live=False)

    def epoch(self, line):
        pass


class StopAfter(Quiet):
    """Sends the process the signal to stop after some chunks."""

    def __init__(self, chunks):
        super().__init__()
        self.left = chunks

    def chunk(self, *_):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_signal_does_not_disturb_what_the_first_one_ends():
    """Ctrl-C comes twice to a job: from the terminal and from Snakemake."""
    ended = []

    def stop(name):
        raise RuntimeError(name)

    def work():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append(True)

    with pytest.raises(RuntimeError, match="SIGINT"), stop_signals(stop):
        work()
    assert ended


def test_a_step_on_nan_is_noticed_at_once(corpus):
    trainer = trainer_of(corpus)
    trainer.model.embedding.data.fill_(torch.nan)
    with pytest.raises(Diverged):
        trainer.step(Chunk(0, 10, 1.0))


def test_too_large_a_batch_is_one_sentence(corpus):
    with pytest.raises(InputError, match="batch_size 400 leaves 2 steps"):
        trainer_of(corpus, batch_size=400)


def test_a_training_reads_the_first_tokens_alone(corpus):
    """Batches, and the counts of an adaptive softmax, are those of a corpus that ends there."""
    short = replace(corpus, train=corpus.train[:300])
    for softmax in ("full", "adaptive"):
        part = trainer_of(corpus, softmax=softmax, train_tokens=300)
        alike = trainer_of(short, softmax=softmax)
        assert torch.equal(part.batches, alike.batches)
        for ours, theirs in zip(part.parameters, alike.parameters, strict=True):
            assert torch.equal(ours, theirs)
    assert len(part.model.embedding) == len(corpus.vocabulary)


def test_more_text_than_there_is_is_refused(corpus):
    with pytest.raises(InputError, match="801 is more than the 800 tokens of the training text"):
        trainer_of(corpus, train_tokens=801)
    assert trainer_of(corpus, train_tokens=800).batches.numel() == 800


# sentences ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines(corpus) -> Corpus:
    """The corpus with lines: w0 ends one, after 1 to 12 other words or right away."""
    draw = np.random.default_rng(5)
    splits = {}
    for name, count in {"train": 90, "valid": 20, "test": 20}.items():
        made = [[*draw.integers(1, 12, draw.integers(0, 12)), 0] for _ in range(count)]
        splits[name] = np.array([token for line in made for token in line], dtype=np.uint16)
    vocabulary = ["<eos>", *corpus.vocabulary[1:]]
    return replace(corpus, vocabulary=vocabulary, **splits)


def line_by_line(trainer, numbers):
    """The gradients of the loss over some lines, each read alone and without any filling."""
    spec, model, sentences = trainer.spec, trainer.model.train(), trainer.sentences
    losses, dropped, changes = [], [], []
    for number in numbers:
        start, length = sentences.starts[number], sentences.lengths[number]
        text = sentences.text[start : start + length, None]
        output = model(text[:-1], model.initial_state(1))
        logits = output.dropped[:, 0] @ model.decoder_weight.t() + model.bias
        losses.append(torch.nn.functional.cross_entropy(logits, text[1:, 0], reduction="none"))
        dropped.append(output.dropped.flatten(0, 1))
        changes.append((output.raw[1:] - output.raw[:-1]).flatten(0, 1))
    loss = torch.cat(losses).mean()
    loss = loss + spec.activation_regularization * torch.cat(dropped).square().mean()
    loss = loss + spec.temporal_activation_regularization * torch.cat(changes).square().mean()
    return torch.autograd.grad(loss, trainer.parameters), len(torch.cat(losses))


def test_a_step_on_sentences_counts_nothing_that_fills_up(lines):
    """Not in the mean loss, not in AR, and in TAR no change from one line to another."""
    trainer = trainer_of(
        lines,
        reading="sentences",
        clip=0.0,
        learning_rate=2.0,
        activation_regularization=2,
        temporal_activation_regularization=1,
    )
    chunk = trainer.chunks()[0]
    before = [parameter.detach().clone() for parameter in trainer.parameters]
    gradients, predicted = line_by_line(trainer, trainer.order[: chunk.length])
    trainer.step(chunk)
    for parameter, old, gradient in zip(trainer.parameters, before, gradients, strict=True):
        torch.testing.assert_close(parameter, old - 2.0 * gradient, atol=1e-6, rtol=1e-4)
    assert trainer.token_steps == predicted


def test_an_epoch_reads_each_sentence_once_from_a_state_of_zeros(lines):
    """In an order that is new in each epoch; the last batch has what is left."""
    trainer = trainer_of(lines, reading="sentences", batch_size=7)
    count, orders = len(trainer.sentences), []
    for _ in range(2):
        chunks = trainer.chunks()
        assert [chunk.start for chunk in chunks] == list(range(0, count, 7))
        assert sum(chunk.length for chunk in chunks) == count
        orders.append(trainer.order.tolist())
        for chunk in chunks:
            trainer.step(chunk)
            assert not any(part.any() for part in chain.from_iterable(trainer.hidden))
        assert trainer.token_steps == trainer.sentences.predicted.sum()
        trainer.end_epoch()
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(count))
    assert orders[0] != orders[1]
    assert trainer.history[0]["tokens_per_second"] > 0
    assert trainer.tokens == trainer.sentences.lengths.sum()


def test_a_sentence_of_one_prediction_has_no_change(lines):
    """Where no output of a batch has a successor, TAR is zero and no missing number."""
    short = replace(lines, train=np.array([1, 0, 2, 0, 3, 0], dtype=np.uint16))
    trainer = trainer_of(short, reading="sentences", temporal_activation_regularization=1)
    trainer.step(trainer.chunks()[0])
    assert all(parameter.isfinite().all() for parameter in trainer.parameters)


def test_reading_by_sentences_needs_lines(corpus):
    with pytest.raises(InputError, match="needs a text whose lines end in <eos>"):
        trainer_of(corpus, reading="sentences")


@pytest.mark.parametrize("stage", ["train", "finetune"])
def test_an_interrupted_training_on_sentences_ends_like_an_undisturbed_one(lines, tmp_path, stage):
    settings = {"reading": "sentences", "epochs": 3, "finetune_epochs": 3, "dropout_output": 0.3}
    whole = trainer_of(lines, stage, **settings)
    whole.run(Checkpoint(tmp_path, "whole", stage), 1e9, Quiet())
    pieces, stops = in_pieces(
        lambda: trainer_of(lines, stage, **settings), Checkpoint(tmp_path, "pieces", stage)
    )
    assert stops >= 5
    for key, value in whole.best_weights.items():
        assert torch.equal(value, pieces.best_weights[key])


# one cycle ----------------------------------------------------------------------------------


def test_one_cycle_sets_rate_and_momentum_of_each_update(corpus):
    """Up and down over all updates of all epochs; the curve has the rate of the last of each."""
    trainer = trainer_of(
        corpus, schedule="one-cycle", optimizer="adamw", learning_rate=0.01, epochs=4
    )
    rates, momenta = [], []
    while not trainer.finished:
        for chunk in trainer.chunks():
            trainer.step(chunk)
            group = trainer.optimizer.param_groups[0]
            rates.append(group["lr"])
            momenta.append(group["betas"][0])
        trainer.end_epoch()
    peak = rates.index(max(rates))
    assert peak / len(rates) == pytest.approx(0.3, abs=0.02)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert momenta.index(min(momenta)) == peak
    assert rates[0] == pytest.approx(0.01 / 25)
    assert [line["event"] for line in trainer.history] == [""] * 4
    assert trainer.history[-1]["learning_rate"] == rates[-1] < 0.01 / 40
