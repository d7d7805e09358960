"""What an interrupted training needs to go on as if nothing had happened.

A checkpoint lies where the workflow engine does not know of it, because engines delete what a
failed job was to produce. The file is a SHA-256 digest followed by what ``torch.save`` wrote, and
the generation before it is kept.

It stays when its stage is done, until somebody reads what the stage has left. Only then is it known
that the engine has not deleted that for reasons of its own, such as clocks that differ or files
that a network file system shows late.
"""

import hashlib
import io
import logging
import time
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError

import torch

from awd.errors import InputError
from awd.files import atomic, half_written

log = logging.getLogger(__name__)

DIGEST = hashlib.sha256().digest_size
SHARE = 0.01
"""Of its time, a training spends at most this on the checkpoints of its epochs' ends."""


class Checkpoint:
    """The checkpoint of one ``stage`` of one ``run`` under ``folder``."""

    def __init__(self, folder: Path, run: str, stage: str):
        self.identity = f"{run}/{stage}"
        self.path = folder / run / f"{stage}.checkpoint"
        self.previous = self.path.with_suffix(".previous")
        self.saved = time.monotonic()
        self.cost = 0.0  # seconds that the last save took

    def due(self, every: float, *, epoch_ended: bool = False) -> bool:
        """Whether to save now: ``every`` seconds after the last time.

        At the end of an epoch earlier, too, as soon as a save takes at most SHARE of that time.
        """
        since = time.monotonic() - self.saved
        return since >= (min(every, self.cost / SHARE) if epoch_ended else every)

    def save(self, state: dict) -> None:
        """Write ``state`` (tensors, numbers, texts, lists and dictionaries of them) atomically.

        Raises OSError, as for a full disk; the generation before is then as it was.
        """
        started = time.monotonic()
        content = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, content)
        with atomic(self.path) as temporary:
            temporary.write_bytes(hashlib.sha256(content.getbuffer()).digest())
            with temporary.open("ab") as file:
                file.write(content.getbuffer())
            if self.path.exists():
                self.path.replace(self.previous)
        self.saved = time.monotonic()
        self.cost = self.saved - started

    def load(self) -> dict | None:
        """The newest intact state, its tensors on the CPU, or None where there is none.

        For whoever goes on from it: what was half-written before is removed.

        Raises InputError if the file belongs to another run.
        """
        for path in half_written(self.path):
            path.unlink()
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            content = path.read_bytes()
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                aside = path.replace(path.with_suffix(".damaged"))
                log.warning("%s is damaged and was set aside as %s", path, aside.name)
                continue
            try:
                saved = torch.load(
                    io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True
                )
                identity, state = saved["identity"], saved["state"]
            except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
                log.warning("%s cannot be read (%s) and was passed over", path, error)
                continue
            if identity != self.identity:
                raise InputError(
                    f"{path} is a checkpoint of {identity}, not of {self.identity}; "
                    "delete it to start this run from its beginning"
                )
            return state
        return None

    def remove(self) -> None:
        """Delete all of the stage's, and the run's folder if nothing else is in it."""
        for path in (*self.path.parent.glob(f"{self.path.stem}.*"), *half_written(self.path)):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()
