"""Checkpoints survive damage and are never taken for another run's."""

import os

import pytest
import torch

from awd.errors import InputError
from awd.runs.checkpoint import Checkpoint


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path, "a-run", "train")


def test_state_comes_back_as_it_was(checkpoint):
    state = {"weights": {"w": torch.randn(3)}, "epoch": 4, "best": {"loss": 1.5}, "log": [1.0]}
    checkpoint.save(state)
    loaded = checkpoint.load()
    assert torch.equal(loaded["weights"].pop("w"), state["weights"].pop("w"))
    assert loaded == state


def test_without_a_file_there_is_no_state(checkpoint):
    assert checkpoint.load() is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_file_falls_back_to_the_generation_before(checkpoint, damage, caplog):
    for epoch in (1, 2):
        checkpoint.save({"epoch": epoch})
    content = bytearray(checkpoint.path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    checkpoint.path.write_bytes(content[: {"flip": None, "truncate": 100, "empty": 0}[damage]])
    assert checkpoint.load() == {"epoch": 1}
    assert "damaged" in caplog.text
    checkpoint.save({"epoch": 3})  # which must not make the damaged file the one to fall back on
    checkpoint.path.unlink()
    assert checkpoint.load() == {"epoch": 1}


def test_another_runs_checkpoint_is_refused(checkpoint, tmp_path):
    checkpoint.save({"epoch": 1})
    other = Checkpoint(tmp_path, "another-run", "train")
    other.path.parent.mkdir()
    checkpoint.path.rename(other.path)
    with pytest.raises(InputError, match="is a checkpoint of a-run/train"):
        other.load()


def test_removal_leaves_nothing(checkpoint, tmp_path):
    for epoch in (1, 2):
        checkpoint.save({"epoch": epoch})
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_two_jobs_may_remove_it_at_once(checkpoint, monkeypatch):
    """Such as evaluations of the same weights that end together."""
    checkpoint.save({"epoch": 1})
    look = os.scandir

    def look_too_late(folder):
        if folder == checkpoint.path.parent:
            checkpoint.path.unlink()
            checkpoint.path.parent.rmdir()
        return look(folder)

    monkeypatch.setattr(os, "scandir", look_too_late)
    checkpoint.remove()
    assert not checkpoint.path.parent.exists()


class Clock:
    """Moves only when a test says so."""

    def __init__(self):
        self.seconds = 100.0

    def monotonic(self):
        return self.seconds


def test_when_to_save(tmp_path, monkeypatch):
    """At the interval; at an epoch's end at first, then if a save costs 1% of the time since."""
    clock = Clock()
    monkeypatch.setattr("awd.runs.checkpoint.time", clock)
    checkpoint = Checkpoint(tmp_path, "a-run", "train")

    def due_after(seconds: float) -> tuple[bool, bool]:
        clock.seconds = checkpoint.saved + seconds
        return checkpoint.due(300), checkpoint.due(300, epoch_ended=True)

    assert due_after(0) == (False, True)
    assert due_after(299) == (False, True)
    assert due_after(300) == (True, True)
    checkpoint.cost = 0.5
    assert due_after(49) == (False, False)
    assert due_after(51) == (False, True)
    checkpoint.cost = 20
    assert due_after(299) == (False, False)
    assert due_after(300) == (True, True)


def test_a_save_is_timed(checkpoint, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("awd.runs.checkpoint.time", clock)
    monkeypatch.setattr(torch, "save", lambda *_: setattr(clock, "seconds", 107.0))
    checkpoint.save({})
    assert (checkpoint.cost, checkpoint.saved) == (7.0, 107.0)


def test_a_pickled_object_is_not_executed(checkpoint, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    checkpoint.save({"epoch": Hostile()})
    assert checkpoint.load() is None
    assert not (tmp_path / "written").exists()
