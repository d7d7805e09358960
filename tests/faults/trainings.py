"""Trainings in processes of their own: what they are made from, how they end, what they leave.

Loading torch takes longer than the trainings here. A server loads it once and forks; the process
that comes out runs the same command line as ``python -m awd`` does.
"""

import gc
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
from forked import PROCESSES
from patience import PATIENCE, wait_until

from awd import corpora
from awd.cli import main
from awd.runs.checkpoint import Checkpoint
from awd.study.spec import make_spec

# Every random choice and every piece of state takes part; the average starts on the way.
FULL = {
    "hidden_size": 12,
    "embedding_size": 12,
    "tied": True,
    "layers": 2,
    "weight_drop": 0.2,
    "dropout_embedding": 0.1,
    "dropout_hidden": 0.2,
    "dropout_output": 0.2,
    "activation_regularization": 1,
    "temporal_activation_regularization": 1,
    "weight_decay": 1e-6,
    "batch_size": 4,
    "bptt": 10,
    "variable_bptt": True,
    "optimizer": "nt-asgd",
    "learning_rate": 30,
    "non_monotone_interval": 1,
    "epochs": 6,
    "finetune_epochs": 3,
}
MEASURED = {
    "started",
    "ended",
    "seconds",
    "energy_joules",
    "resumes",
    "seconds_per_epoch",
    "tokens_per_second",
    "peak_memory_mb",
    "commit",
}


class Training:
    """A run of ``settings`` on a small corpus, trained under ``folder``."""

    def __init__(self, folder: Path, texts: Path, **settings):
        self.folder = folder
        print_ = corpora.fingerprint("mine", {"mine": str(texts)})
        self.corpus = texts.with_name("encoded")
        if not self.corpus.exists():
            corpora.encode("mine", texts, self.corpus, fingerprint=print_)
        self.spec = make_spec({"corpus": "mine", **FULL, **settings}, "test")
        self.run = folder / "runs" / self.spec.run(print_)
        self.checkpoints = folder / "checkpoints"
        self.said = folder / "said"

    def words(self, command: str = "train", *more: object) -> list[str]:
        """The command line; a checkpoint is saved every 60 ms and at ends of epochs."""
        options = ["--spec", self.spec.canonical(), "--device", "cpu"]
        options += ["--checkpoints", self.checkpoints]
        if command != "evaluate":
            options += ["--checkpoint-minutes", "0.001"]
        return [*map(str, [command, self.corpus, self.run, *options, *more])]

    def start(self, *words: object, fault: Callable | None = None, **arguments):
        """A forked process of the command; ``fault`` is called in it first, with arguments."""
        self.folder.mkdir(parents=True, exist_ok=True)
        process = PROCESSES.Process(
            target=command, args=(self.words(*words), self.said, fault, arguments)
        )
        process.start()
        return process

    def end(self, *words: object, fault: Callable | None = None, **arguments) -> int:
        """The exit code of the command."""
        process = self.start(*words, fault=fault, **arguments)
        process.join(PATIENCE)
        assert process.exitcode is not None, "it hangs"
        return process.exitcode

    def copy_trained(self, other: "Training") -> None:
        """Take what the first stage of ``other``, the same run elsewhere, has left."""
        self.run.mkdir(parents=True)
        for path in other.run.glob("train.*"):
            shutil.copy(path, self.run)

    def wait_for_save(self, stage: str, alive: Callable) -> None:
        """Until one more checkpoint has been written, or the process is no more ``alive``."""
        path = self.checkpoints / self.run.name / f"{stage}.checkpoint"

        def written() -> int | None:
            with suppress(FileNotFoundError):
                return path.stat().st_mtime_ns
            return None

        before = written()
        wait_until(lambda: written() not in (None, before) or not alive(), self.said.read_text)

    def record(self, stage: str = "train") -> dict:
        """What the stage's record says."""
        return json.loads((self.run / f"{stage}.json").read_text())

    def outcome(self, stage: str = "train") -> tuple:
        """All that a stage leaves, but for what a clock or a meter has measured."""
        curve = pd.read_csv(self.run / f"{stage}.csv").drop(columns=MEASURED, errors="ignore")
        return (
            {key: value for key, value in self.record(stage).items() if key not in MEASURED},
            curve.to_csv(),
            (self.run / f"{stage}.safetensors").read_bytes(),
        )

    def files(self, *stages: str) -> list[str]:
        """What lies in the run's folder, and what is half-written."""
        hidden = [path for path in self.checkpoints.rglob(".*") if path.is_file()]
        names = [path.name for path in (*self.run.glob("*"), *hidden)]
        return sorted(name for name in names if name.startswith((*stages, ".")) or not stages)


def freeze_after_save() -> None:
    """Stop this process once it has saved a checkpoint, as long as nobody continues it."""
    save = Checkpoint.save

    def freeze(checkpoint: Checkpoint, state: dict) -> None:
        save(checkpoint, state)
        Checkpoint.save = save
        os.kill(os.getpid(), signal.SIGSTOP)

    Checkpoint.save = freeze


def wait_until_frozen(process) -> None:
    """Wait until a process that called `freeze_after_save` is stopped."""
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def command(words: list[str], said: Path, fault: Callable | None, arguments: dict) -> None:
    """``python -m awd`` with these ``words`` in this process."""
    gc.freeze()  # a collection would copy all that is shared with the server
    sys.stdout = sys.stderr = said.open("a", buffering=1)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where nohup has started the tests
    if fault is not None:
        fault(**arguments)
    main(words)
