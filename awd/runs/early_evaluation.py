"""Keep the evaluation that a training makes of its own weights until a row's job asks for it.

A training has the model in its process, and a process that evaluates has to load torch first,
which takes longer than to evaluate a small model. The engine deletes what a failed job was to
produce, so the early evaluation lies with the checkpoints; the job of the evaluation moves it
into the run's folder. Where it is missing, that job evaluates the weights.
"""

import logging
from contextlib import suppress
from pathlib import Path

from awd.errors import InputError
from awd.files import atomic, read_json
from awd.runs.folder import RECORD_FORMAT, read_record

log = logging.getLogger(__name__)

SUFFIXES = (".npz", ".json")
"""The record comes last: where it is, the losses are, too."""


def early_folder(checkpoints: Path, run: str) -> Path:
    """Return where a training of ``run`` leaves its early evaluations."""
    return checkpoints / run / "evaluations"


def adopt(checkpoints: Path, folder: Path, stage: str, method: str) -> dict | None:
    """Move an early evaluation of ``stage`` into the run's ``folder``.

    Returns its record; None if there is none, or if run, spec or weights are not those of the
    folder. Raises InputError if the stage has left no record.
    """
    early, name = early_folder(checkpoints, folder.name), f"{stage}.{method}"
    trained = read_record(folder, stage)
    record = None
    with suppress(InputError):  # none there, or damaged
        record = read_json(early / f"{name}.json")
    if record is not None:
        same = all(record.get(key) == trained[key] for key in ("run", "spec", "weights_sha256"))
        if same and record.get("format") == RECORD_FORMAT and (early / f"{name}.npz").exists():
            for suffix in SUFFIXES:
                with atomic(folder / f"{name}{suffix}") as temporary:
                    temporary.write_bytes((early / f"{name}{suffix}").read_bytes())
            log.info("%s %s: evaluated by its training", folder.name, name)
        else:
            record = None
    for suffix in SUFFIXES:
        (early / f"{name}{suffix}").unlink(missing_ok=True)
    with suppress(OSError):  # others are in it
        early.rmdir()
        early.parent.rmdir()
    return record
