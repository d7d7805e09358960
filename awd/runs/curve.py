"""The learning curve of a training: a csv file with one line per epoch, and its digest."""

import csv
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from awd.files import atomic, readable

TIMES = ("seconds", "tokens_per_second")
"""The last columns, which are never the same twice."""
COLUMNS = (
    "epoch",
    "train_loss",
    "valid_loss",
    "valid_perplexity",
    "learning_rate",
    "averaging",
    "event",
    *TIMES,
)
DIGEST = "curve_numbers_sha256"
"""The key of a training's record that holds the `digest` of its curve."""


def write_curve(path: Path, history: Iterable[Mapping[str, object]]) -> None:
    """Write a curve to ``path`` atomically; ``history`` has a value of each column per epoch."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def digest(path: Path) -> str:
    """Return the SHA-256 of a curve's lines without TIMES and carriage returns.

    Equal trainings have the same. Raises InputError if the file cannot be read.
    """
    kept = hashlib.sha256()
    with readable(path) as stream:
        for line in stream:
            kept.update(line.rstrip(b"\r\n").rsplit(b",", len(TIMES))[0] + b"\n")
    return kept.hexdigest()
