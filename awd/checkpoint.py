"""What an interrupted training needs to go on as if nothing had happened.

A checkpoint lies where the workflow engine does not know of it, because engines delete what a
failed job was to produce. The file is a SHA-256 digest followed by what ``torch.save`` wrote, and
the generation before it is kept until the stage is done.
"""

import hashlib
import io
import logging
from pathlib import Path
from pickle import UnpicklingError

import torch

from awd.errors import InputError
from awd.files import atomic

log = logging.getLogger(__name__)

DIGEST = hashlib.sha256().digest_size


class Checkpoint:
    """The checkpoint of one ``stage`` of one ``run`` under ``folder``."""

    def __init__(self, folder: Path, run: str, stage: str):
        self.identity = f"{run}/{stage}"
        self.path = folder / run / f"{stage}.checkpoint"
        self.previous = self.path.with_suffix(".previous")

    def save(self, state: dict) -> None:
        """Write ``state`` (tensors, numbers, texts, lists and dictionaries of them) atomically."""
        content = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, content)
        with atomic(self.path) as temporary:
            temporary.write_bytes(hashlib.sha256(content.getbuffer()).digest())
            with temporary.open("ab") as file:
                file.write(content.getbuffer())
            if self.path.exists():
                self.path.replace(self.previous)

    def load(self) -> dict | None:
        """The newest intact state, or None where there is none.

        Raises InputError if the file belongs to another run.
        """
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            content = path.read_bytes()
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                log.warning("%s is damaged and was passed over", path)
                continue
            try:
                saved = torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
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
        """Delete both generations, and the run's folder if nothing else is in it."""
        folder = self.path.parent
        half_written = folder.glob(f".{self.path.stem}-*{self.path.suffix}")
        for path in (self.path, self.previous, *half_written):
            path.unlink(missing_ok=True)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
