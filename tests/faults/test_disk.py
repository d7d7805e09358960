"""A disk that is full: one sentence, nothing half-written, and with room again the same result."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE
from trainings import Training, freeze_after_save, wait_until_frozen

from awd.runs.checkpoint import Checkpoint

pytestmark = pytest.mark.slow

PAGE = 4096  # what a tmpfs gives out


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system, and not everywhere")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, pages: int) -> Path:
    """Leave that many pages of the disk free; returns the file that takes the others."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - pages * PAGE))
    return ballast


def ends(training: Training, command: str = "train", *more: object) -> bool:
    """Whether the command succeeds; if not, one sentence says why, and no beginning is left."""
    training.said.unlink(missing_ok=True)
    code = training.end(command, *more, "--log", training.folder / "log")
    said = training.said.read_text()
    assert [name for name in training.files() if name.startswith(".")] == []
    assert "Traceback" not in said
    if code:
        assert said.splitlines()[-1].startswith("awd: No space left on device (")
    return code == 0


def test_while_a_checkpoint_is_saved(disk, texts, tmp_path, undisturbed):
    """The generation before it stays, and the training goes on from there."""
    training = Training(disk, texts)
    training.said = tmp_path / "said"
    checkpoint = Checkpoint(training.checkpoints, training.run.name, "train")
    process = training.start(fault=freeze_after_save)
    wait_until_frozen(process)
    ballast = fill(disk, 0)
    os.kill(process.pid, signal.SIGCONT)
    process.join(PATIENCE)
    assert process.exitcode == 1
    saved = checkpoint.load()
    assert saved["epoch"] < training.spec.epochs
    for pages in (0, 1, 5):  # enough for some of the file, not for all of it
        ballast.unlink()
        fill(disk, pages)
        assert not ends(training)
        again = checkpoint.load()
        assert (again["epoch"], again["position"]) == (saved["epoch"], saved["position"])
    ballast.unlink()
    assert ends(training)
    assert training.outcome() == undisturbed().outcome()
    assert training.record()["resumes"] == 1


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_while_the_results_are_written(disk, texts, tmp_path, undisturbed, command):
    """With room for none of the files, for one, ...: no record vouches for what is not there."""
    training = Training(disk, texts)
    training.said = tmp_path / "said"
    words = ("evaluate", "--stage", "train")
    if command == "evaluate":
        training.copy_trained(undisturbed())
    else:  # ends at once: all that is left to do is to write
        words = ("train",)
        assert ends(training, *words)
        for path in training.run.iterdir():
            path.unlink()
    pages, ballast = 0, fill(disk, 0)
    while not ends(training, *words):
        assert not list(
            training.run.glob("train.stream.json" if command == "evaluate" else "*.json")
        )
        ballast.unlink()
        pages += 1
        ballast = fill(disk, pages)
    assert pages > 1
    assert training.outcome() == undisturbed().outcome()
    print(f"{command}: {pages} times without room")
