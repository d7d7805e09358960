"""Report the progress of a training: a bar on a terminal, lines in a log, and a small file.

`awd status` reads the file, on this machine or on another that shares the folder.
"""

import logging
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from awd.errors import InputError
from awd.files import read_json, write_json

log = logging.getLogger(__name__)

LOOK = 0.2
"""Seconds between two updates of the state; their cost is not measurable."""
WRITE = 5.0
"""Seconds between two versions of the file."""


def progress_file(checkpoints: Path, run: str, stage: str) -> Path:
    """Return the path of a training's progress file, beside its checkpoint."""
    return checkpoints / run / f"{stage}.progress.json"


def curve_file(checkpoints: Path, run: str, stage: str) -> Path:
    """Return the path of the curve of a training that has no record yet, beside its checkpoint."""
    return checkpoints / run / f"{stage}.csv"


def share_done(checkpoints: Path, run: str, stage: str) -> float:
    """Return what share of a training is done, as far as it has a checkpoint; 0 without one."""
    path = progress_file(checkpoints, run, stage)
    if not path.with_name(f"{stage}.checkpoint").exists():
        return 0.0
    try:
        facts = read_json(path)
        return float((facts["epoch"] - 1 + facts["fraction"]) / facts["epochs"])
    except (InputError, KeyError, TypeError, ZeroDivisionError):
        return 0.0


def duration(seconds: float) -> str:
    """Return seconds in a readable unit: 40 s, 12 min, 3.5 h, 350 h, 51 days."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    if hours < 99.95:
        return f"{hours:.1f} h"
    return f"{hours:.0f} h" if hours < 999.5 else f"{hours / 24:,.0f} days"


class Progress:
    """Report on the training called ``title``.

    Args:
        epochs: number of epochs.
        epoch: the one that it begins in, or continues in.
        valid_perplexity: after the epoch before that, if there is one.
        tokens: number of tokens predicted in an epoch.
        live: whether to draw a line with a bar on the terminal.
        file: rewritten every WRITE seconds, also during validation; so an older file belongs to a
            training whose process has ended.
        after_epoch: called after each epoch; what the disk refuses then must not stop training.
    """

    def __init__(
        self,
        title: str,
        epochs: int,
        *,
        epoch: int = 1,
        valid_perplexity: float | None = None,
        live: bool,
        tokens: int = 0,
        file: Path | None = None,
        after_epoch: Callable[[], object] = lambda: None,
    ):
        self.title, self.epochs, self.tokens, self.file = title, epochs, tokens, file
        self.after_epoch = after_epoch
        self.state: dict = {"epoch": epoch, "epochs": epochs, "fraction": 0.0}
        self.state |= dict.fromkeys(("tokens_per_second", "seconds_left", "train_perplexity"))
        self.state["valid_perplexity"] = valid_perplexity
        self.next_look = 0.0
        self.began = (0, 0.0, 0.0)  # epoch, fraction of it that was done, and the time of that
        self.epoch_seconds: float | None = None  # of the last epoch, validation included
        self.bar = _Bar(title) if live else None
        self.ended = threading.Event()
        self.writer = threading.Thread(target=self._write_now_and_then, args=(file,), daemon=True)

    def __enter__(self):
        if self.bar:
            self.bar.start()
        if self.file:
            self.writer.start()
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()
        if self.file:
            self.ended.set()
            self.writer.join()

    def chunk(
        self,
        epoch: int,
        done: int,
        total: int,
        running_loss: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Note that ``done`` of an epoch's ``total`` chunks are trained.

        ``running_loss`` returns the mean loss of the epoch so far in nats, or None if computing it
        would delay the training; it is called at most every LOOK seconds.
        """
        now = time.monotonic()
        if now < self.next_look and epoch == self.began[0]:
            return
        self.next_look = now + LOOK
        fraction = done / total
        if epoch != self.began[0]:
            self.began = (epoch, fraction, now)
        loss = running_loss()
        changes = {"epoch": epoch, "fraction": fraction, "train_perplexity": _perplexity(loss)}
        _, before, then = self.began
        if fraction > before and now > then:
            per_epoch = (now - then) / (fraction - before)
            changes["tokens_per_second"] = self.tokens / per_epoch
            left = self.epochs - epoch + 1 - fraction
            changes["seconds_left"] = left * (self.epoch_seconds or per_epoch)
        self.state = self.state | changes
        if self.bar:
            self.bar.show(self.state)

    def epoch(self, line: dict) -> None:
        """Note that an epoch ended with this ``line`` of the training's curve."""
        epoch, before, then = self.began
        with suppress(OSError):
            self.after_epoch()
        self.epoch_seconds = line["seconds"]
        if epoch == line["epoch"] and before < 1:
            self.epoch_seconds = (time.monotonic() - then) / (1 - before)
        left = (self.epochs - line["epoch"]) * self.epoch_seconds
        self.state = self.state | {
            "epoch": line["epoch"],
            "fraction": 1.0,
            "tokens_per_second": line["tokens_per_second"],
            "valid_perplexity": line["valid_perplexity"],
            "seconds_left": left,
        }
        event = f", {line['event']}" if line["event"] else ""
        log.info(
            "%s: epoch %d/%d, valid perplexity %.2f, %s tokens/s, %s left%s",
            self.title,
            line["epoch"],
            self.epochs,
            line["valid_perplexity"],
            f"{line['tokens_per_second']:,.0f}",
            duration(left),
            event,
        )

    def remove(self) -> None:
        """Delete the file, once there is a record, which holds more."""
        if self.file:
            # A kill in the middle of a write leaves its temporary file.
            for path in (self.file, *self.file.parent.glob(f".{self.file.stem}-*")):
                path.unlink(missing_ok=True)

    def _write_now_and_then(self, file: Path) -> None:
        who = {"host": socket.gethostname(), "pid": os.getpid()}
        while True:
            ended = self.ended.is_set()
            # Failing to write the progress file must not stop training.
            with suppress(OSError):
                write_json(file, who | self.state | {"written": time.time()})
            if ended:
                return
            self.ended.wait(WRITE)


class _Bar:
    """The line on the terminal, drawn by rich; log lines appear above it."""

    def __init__(self, title: str):
        from rich.console import Console  # slow to import, and only needed on a terminal

        from awd.runs.bars import ROOMY, bars

        self.title, self.roomy = title, ROOMY
        self.bar = bars(Console(stderr=True))
        self.task = self.bar.add_task(title, total=1.0, words="")
        self.handlers: list[logging.StreamHandler] = []

    def start(self) -> None:
        to_terminal = sys.stderr
        self.bar.start()  # replaces sys.stderr by a stream that writes above the bar
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is to_terminal:
                handler.setStream(sys.stderr)
                self.handlers.append(handler)

    def stop(self) -> None:
        self.bar.stop()
        for handler in self.handlers:
            handler.setStream(sys.stderr)

    def show(self, state: dict) -> None:
        words = describe(state, speed=self.bar.console.width >= self.roomy)
        self.bar.update(self.task, completed=state["fraction"], words=words)


def describe(state: dict, *, speed: bool) -> str:
    """Return epoch, perplexity, time left and, if asked for, speed of a progress file's content."""
    words = [f"epoch {state['epoch']}/{state['epochs']}"]
    if state["tokens_per_second"] and speed:
        words.append(f"{state['tokens_per_second']:,.0f} tokens/s")
    words.append(perplexity_in_words(state))
    if state["seconds_left"] is not None:
        words.append(f"{duration(state['seconds_left'])} left")
    return "  ".join(filter(None, words))


def perplexity_in_words(state: dict) -> str:
    """Return the newest validation perplexity, or before the first the training perplexity."""
    if state.get("valid_perplexity") is not None:
        return f"valid perplexity {state['valid_perplexity']:,.2f}"
    if state.get("train_perplexity") is not None:
        return f"training perplexity {state['train_perplexity']:,.0f}"
    return ""


def _perplexity(loss: float | None) -> float | None:
    """Return exp(``loss``) if it is finite, else None: JSON has no infinity."""
    return math.exp(loss) if loss is not None and loss < 700 else None
