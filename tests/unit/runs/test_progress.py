"""What a training says while it runs: on a terminal, in a log, and in a file for others."""

import json
import logging
import os
import time

import pytest
import torch
from patience import wait_until

from awd.runs import progress as module
from awd.runs.progress import Progress, duration, perplexity_in_words, progress_file, share_done
from awd.study.spec import RunSpec
from awd.training import stage as stage_module
from awd.training.stage import train_stage

LINE = {"epoch": 1, "seconds": 30.0, "event": "", "valid_perplexity": 80.5}
LINE |= {"tokens_per_second": 12345.6}


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test turns."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

        time = staticmethod(time.time)

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_speed_and_time_left_are_those_that_were_seen(clock):
    """Ten chunks of 100 tokens, one in two seconds: 50 tokens/s, and 28 chunks left of 30."""
    told = Progress("a run", 3, live=False, tokens=1000)
    told.chunk(1, 1, 10, lambda: 2.0)
    clock.now += 2
    told.chunk(1, 2, 10, lambda: 2.0)
    assert told.state["tokens_per_second"] == pytest.approx(50)
    assert told.state["seconds_left"] == pytest.approx(56)
    assert told.state["train_perplexity"] == pytest.approx(7.389, abs=1e-3)


def test_time_left_counts_validation_once_it_has_been_seen(clock, caplog):
    """The first epoch takes 100 s to train and 40 s to validate; a second one will, too."""
    caplog.set_level(logging.INFO)
    told = Progress("a run", 2, live=False, tokens=1000)
    for done in range(11):
        told.chunk(1, done, 10)
        clock.now += 10
    clock.now += 30
    told.epoch(LINE)
    assert told.state["seconds_left"] == pytest.approx(140)
    said = "a run: epoch 1/2, valid perplexity 80.50, 12,346 tokens/s, 2 min left"
    assert caplog.messages == [said]
    told.chunk(2, 0, 10)
    clock.now += 10
    told.chunk(2, 1, 10)
    assert told.state["seconds_left"] == pytest.approx(126)
    assert perplexity_in_words(told.state) == "valid perplexity 80.50"


def test_a_resumed_epoch_is_judged_by_its_rest(clock):
    """The second half of an epoch takes 50 s: a whole one takes 100 s."""
    told = Progress("a run", 2, live=False, tokens=1000)
    told.chunk(1, 5, 10)
    clock.now += 50
    told.epoch(LINE)
    assert told.state["seconds_left"] == pytest.approx(100)


def test_the_loss_is_asked_for_now_and_then(clock):
    """Asking may cost something; the trainer asks every chunk to be told."""
    asked = []
    told = Progress("a run", 1, live=False, tokens=100)
    for done in range(1000):
        told.chunk(1, done, 1000, lambda: asked.append(1))
        clock.now += module.LOOK / 100
    assert len(asked) == pytest.approx(10, abs=2)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 1000.0, None])
def test_a_perplexity_that_is_no_number_is_not_said(loss):
    """JSON has no nan, and a line of digits helps nobody."""
    told = Progress("a run", 1, live=False, tokens=100)
    told.chunk(1, 1, 10, lambda: loss)
    assert told.state["train_perplexity"] is None
    assert perplexity_in_words(told.state) == ""


def test_the_file_is_there_while_it_trains_and_gone_with_the_record(tmp_path, monkeypatch):
    """Fresh even when no chunk ends; it says who works and how far; half-written ones go, too."""
    monkeypatch.setattr(module, "WRITE", 0.01)
    path = progress_file(tmp_path, "a-run", "train")
    with Progress("a run", 2, live=False, tokens=1000, file=path) as told:
        told.chunk(1, 3, 10, lambda: 2.0)
        wait_until(lambda: path.exists() and read(path)["fraction"] == 0.3)
        first = read(path)["written"]
        wait_until(lambda: read(path)["written"] != first)
    assert read(path)["pid"] == os.getpid()
    assert (read(path)["epoch"], read(path)["epochs"]) == (1, 2)
    (path.parent / f".{path.stem}-killed.json").write_text("{")
    told.remove()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "share"),
    [
        ('{"epoch": 3, "epochs": 4, "fraction": 0.5}', 0.625),
        ('{"epoch": 3, "epochs": 0, "fraction": 0.5}', 0),
        ('{"epoch": 3}', 0),
        ("{", 0),
    ],
)
def test_a_share_is_done_if_there_is_a_checkpoint_to_go_on_from(tmp_path, content, share):
    path = progress_file(tmp_path, "a-run", "train")
    path.parent.mkdir()
    path.write_text(content)
    assert share_done(tmp_path, "a-run", "train") == 0
    path.with_name("train.checkpoint").write_text("")
    assert share_done(tmp_path, "a-run", "train") == share
    path.unlink()
    assert share_done(tmp_path, "a-run", "train") == 0


def test_a_folder_that_cannot_be_written_stops_no_training(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "a-run").write_text("")
    path = progress_file(tmp_path, "a-run", "train")
    with Progress("a run", 1, live=False, file=path) as told:
        told.chunk(1, 1, 2)
    assert not told.writer.is_alive()


def test_a_training_leaves_no_progress_file(corpus, tmp_path):
    spec = RunSpec(corpus="tiny", hidden_size=8, embedding_size=8, batch_size=4, bptt=10, epochs=1)
    run = tmp_path / "runs" / spec.run(corpus.fingerprint)
    checkpoints = tmp_path / "checkpoints"
    train_stage(spec, corpus, "train", run, device=torch.device("cpu"), checkpoints=checkpoints)
    assert list(checkpoints.rglob("*.progress.json")) == []


def test_a_training_that_continues_says_so_at_once(corpus, tmp_path, monkeypatch):
    """Its epoch and last perplexity, before it has trained anything."""
    spec = RunSpec(corpus="tiny", hidden_size=8, embedding_size=8, batch_size=4, bptt=10, epochs=3)
    run = tmp_path / "runs" / spec.run(corpus.fingerprint)
    places = {"device": torch.device("cpu"), "checkpoints": tmp_path / "checkpoints"}
    begun, ended = [], []

    class Watched(Progress):
        def __enter__(self):
            begun.append(dict(self.state))
            return super().__enter__()

        def epoch(self, line):
            super().epoch(line)
            ended.append(line)
            if len(ended) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(stage_module, "Progress", Watched)
    with pytest.raises(KeyboardInterrupt):
        train_stage(spec, corpus, "train", run, checkpoint_seconds=0, **places)
    train_stage(spec, corpus, "train", run, checkpoint_seconds=0, **places)
    assert [state["epoch"] for state in begun] == [1, 3]
    assert begun[0]["valid_perplexity"] is None
    assert begun[1]["valid_perplexity"] == ended[1]["valid_perplexity"]


def test_the_live_line_says_everything_and_log_lines_stand_above_it(monkeypatch, capsys):
    """Epoch, speed, perplexity and time left; a log line starts at the edge of the terminal."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(module, "LOOK", 0.0)
    handler = logging.StreamHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    module.log.setLevel(logging.INFO)
    with Progress("a run", 2, live=True, tokens=1000) as told:
        told.chunk(1, 1, 10, lambda: 2.0)
        told.chunk(1, 2, 10, lambda: 2.0)
        told.bar.bar.refresh()
        told.epoch(LINE)
    said = capsys.readouterr().err
    for fact in ("epoch 1/2", "tokens/s", "training perplexity 7", "left"):
        assert fact in said
    before, _, _ = said.partition("a run: epoch 1/2, valid perplexity 80.50")
    assert before.endswith(("\x1b[2K", "\n"))


def test_telling_costs_next_to_nothing():
    """A chunk of a demo takes milliseconds; being told of one takes less than a thousandth."""
    told = Progress("a run", 1, live=False, tokens=1000)
    started = time.process_time()
    for done in range(10_000):
        told.chunk(1, done, 10_000, lambda: 2.0)
    assert (time.process_time() - started) / 10_000 < 20e-6


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((40, "40 s"), (720, "12 min"), (12_600, "3.5 h"), (99.94 * 3600, "99.9 h")),
        *((268.4 * 3600, "268 h"), (1234.5 * 3600, "51 days"), (240_000 * 3600, "10,000 days")),
    ],
)
def test_many_hours_are_days(seconds, text):
    assert duration(seconds) == text
