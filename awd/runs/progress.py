"""What a training says while it runs: a live line on a terminal, plain lines in a log, and a small
file that `awd status` reads, on this machine or on another that sees the same folder.
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

from awd.files import write_json

log = logging.getLogger(__name__)

LOOK = 0.2
"""Seconds between two looks at how far the training is; what it costs is below measure."""
WRITE = 5.0
"""Seconds between two versions of the file."""


def progress_file(checkpoints: Path, run: str, stage: str) -> Path:
    """Where a training says how far it is: beside its checkpoint."""
    return checkpoints / run / f"{stage}.progress.json"


def duration(seconds: float) -> str:
    """Seconds as people say them: 40 s, 12 min, 3.5 h."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"


class Progress:
    """Reports on the training called ``title``.

    Args:
        epochs: how many it has.
        tokens: how many are predicted in one.
        live: whether to draw a line with a bar on the terminal.
        file: rewritten every WRITE seconds, also while the training evaluates, so that a file
            that is older than that belongs to a training that is no more.
    """

    def __init__(
        self,
        title: str,
        epochs: int,
        *,
        live: bool,
        tokens: int = 0,
        file: Path | None = None,
    ):
        self.title, self.epochs, self.tokens, self.file = title, epochs, tokens, file
        self.state: dict = {"epoch": 1, "epochs": epochs, "fraction": 0.0}
        self.state |= dict.fromkeys(("tokens_per_second", "seconds_left"))
        self.state |= dict.fromkeys(("train_perplexity", "valid_perplexity"))
        self.next_look = 0.0
        self.began = (0, 0.0, 0.0)  # epoch, fraction of it that was done, and the time of that
        self.epoch_seconds: float | None = None  # of the last epoch, validation included
        self.bar = _Bar(title) if live else None
        self.ended = threading.Event()
        self.writer = threading.Thread(target=self._write_now_and_then, daemon=True)

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
        """``done`` of an epoch's ``total`` chunks are trained.

        ``running_loss`` returns the mean loss of the epoch so far in nats, or None if asking for
        it would hold up the training; it is called every LOOK seconds at most.
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
        """An epoch ended with this ``line`` of the training's curve."""
        epoch, before, then = self.began
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
        """Delete the file: there is a record now, which says more."""
        if self.file:
            # A kill in the middle of a write leaves its temporary file.
            for path in (self.file, *self.file.parent.glob(f".{self.file.stem}-*")):
                path.unlink(missing_ok=True)

    def _write_now_and_then(self) -> None:
        who = {"host": socket.gethostname(), "pid": os.getpid()}
        while True:
            ended = self.ended.is_set()
            # Nobody's training ends because nobody can be told about it.
            with suppress(OSError):
                write_json(self.file, who | self.state | {"written": time.time()})
            if ended:
                return
            self.ended.wait(WRITE)


class _Bar:
    """The line on the terminal, drawn by rich; log lines appear above it."""

    def __init__(self, title: str):
        from rich.console import Console  # slow to import, and only people look at it
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.title = title
        columns = (
            TextColumn("{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[say]}"),
        )
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(title, total=1.0, say="")
        self.handlers: list[logging.StreamHandler] = []

    def start(self) -> None:
        to_terminal = sys.stderr
        self.bar.start()  # from here sys.stderr is one that writes above the bar
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is to_terminal:
                handler.setStream(sys.stderr)
                self.handlers.append(handler)

    def stop(self) -> None:
        self.bar.stop()
        for handler in self.handlers:
            handler.setStream(sys.stderr)

    def show(self, state: dict) -> None:
        said = [f"epoch {state['epoch']}/{state['epochs']}"]
        if state["tokens_per_second"]:
            said.append(f"{state['tokens_per_second']:,.0f} tokens/s")
        said.append(perplexity_in_words(state))
        if state["seconds_left"] is not None:
            said.append(f"{duration(state['seconds_left'])} left")
        said = "  ".join(filter(None, said))
        self.bar.update(self.task, completed=state["fraction"], say=said)


def perplexity_in_words(state: dict) -> str:
    """The newest validation perplexity; before there is one, that of the training text so far."""
    if state.get("valid_perplexity") is not None:
        return f"valid perplexity {state['valid_perplexity']:,.2f}"
    if state.get("train_perplexity") is not None:
        return f"training perplexity {state['train_perplexity']:,.0f}"
    return ""


def _perplexity(loss: float | None) -> float | None:
    """exp(``loss``) where that is a finite number: JSON has no others."""
    return math.exp(loss) if loss is not None and loss < 700 else None
