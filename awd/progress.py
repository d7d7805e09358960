"""What a training says while it runs: a live line on a terminal, plain lines in a log."""

import logging
import time

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

log = logging.getLogger(__name__)


class Progress:
    """Reports on the training called ``title``, of ``epochs`` epochs.

    With ``live`` a bar of the current epoch is drawn, at most five times a second; each finished
    epoch is a line in the log either way.
    """

    def __init__(self, title: str, epochs: int, *, live: bool):
        self.title, self.epochs = title, epochs
        self.bar = None
        if live:
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                transient=True,
            )
            self.task = self.bar.add_task(title)
        self.drawn = 0.0

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_):
        if self.bar:
            self.bar.stop()

    def chunk(self, epoch: int, done: int, total: int) -> None:
        """``done`` of an epoch's ``total`` chunks are trained."""
        if self.bar and time.monotonic() - self.drawn > 0.2:
            self.drawn = time.monotonic()
            self.bar.update(
                self.task,
                description=f"{self.title}  epoch {epoch}/{self.epochs}",
                completed=done,
                total=total,
            )

    def epoch(self, line: dict) -> None:
        """An epoch ended with this ``line`` of the training's curve."""
        left = (self.epochs - line["epoch"]) * line["seconds"]
        event = f", {line['event']}" if line["event"] else ""
        log.info(
            "%s: epoch %d/%d, valid perplexity %.2f, %s tokens/s, %s left%s",
            self.title,
            line["epoch"],
            self.epochs,
            line["valid_perplexity"],
            f"{line['tokens_per_second']:,.0f}",
            f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s",
            event,
        )
