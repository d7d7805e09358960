"""Save and load the state of a training, so that it can be interrupted without a trace.

Checkpoints are no declared outputs of a rule, because workflow engines delete the outputs of a
failed job. A file is a SHA-256 digest followed by the bytes of ``torch.save``, and the previous
generation is kept.

A checkpoint stays after its stage is done until another job has read the stage's weights. Before
that, the engine may still delete them, for example if clocks differ or if a network file system
shows files late.
"""

import hashlib
import io
import logging
import time
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError

from awd.errors import InputError
from awd.files import atomic, half_written, read_bytes

log = logging.getLogger(__name__)

DIGEST = hashlib.sha256().digest_size
SHARE = 0.01
"""Largest share of its time that a training spends on checkpoints at ends of epochs."""


class Checkpoint:  # imports torch only to save and load: removing one takes milliseconds
    """The checkpoint of one ``stage`` of one ``run`` under ``folder``."""

    def __init__(self, folder: Path, run: str, stage: str):
        self.identity = f"{run}/{stage}"
        self.path = folder / run / f"{stage}.checkpoint"
        self.previous = self.path.with_suffix(".previous")
        self.saved = time.monotonic()
        self.cost = 0.0  # seconds that the last save took

    def due(self, every: float, *, epoch_ended: bool = False) -> bool:
        """Return whether to save now: ``every`` seconds after the last save.

        At the end of an epoch also earlier, if a save takes at most SHARE of the time since then.
        """
        since = time.monotonic() - self.saved
        return since >= (min(every, self.cost / SHARE) if epoch_ended else every)

    def save(self, state: dict) -> None:
        """Write ``state`` (tensors, numbers, texts, lists and dictionaries of them) atomically.

        Raises OSError, as for a full disk; the previous generation is then unchanged.
        """
        import torch

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
        """Return the newest intact state, its tensors on the CPU, or None.

        Removes half-written files of killed processes. Raises InputError if the file belongs to
        another run.
        """
        import torch

        for path in half_written(self.path):
            path.unlink()
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            content = read_bytes(path)
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                aside = path.replace(path.with_suffix(".damaged"))
                log.warning("%s is damaged and was renamed to %s", path, aside.name)
                continue
            try:
                saved = torch.load(
                    io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True
                )
                identity, state = saved["identity"], saved["state"]
            except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
                log.warning("%s cannot be read (%s); the previous checkpoint is used", path, error)
                continue
            if identity != self.identity:
                raise InputError(
                    f"{path} is a checkpoint of {identity}, not of {self.identity}; "
                    "delete it to start this run from its beginning"
                )
            return state
        return None

    def remove(self) -> None:
        """Delete the stage's checkpoints, and the run's folder if it is then empty.

        Two jobs that have read the stage's weights may do so at once.
        """
        with suppress(FileNotFoundError):  # the other one has removed the folder
            for path in (*self.path.parent.glob(f"{self.path.stem}.*"), *half_written(self.path)):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.parent.rmdir()
