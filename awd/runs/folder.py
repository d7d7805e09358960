"""Read the record of a stage from the folder of a run.

Loading torch takes over a second, so nothing here needs it.
"""

from pathlib import Path

from awd.errors import InputError
from awd.files import read_json

RECORD_FORMAT = 2
"""Of the records of stages and of evaluations; 1 had the devices as one text."""


def read_record(folder: Path, stage: str) -> dict:
    """Read the record that ``stage`` left in ``folder``; raises InputError if it is none."""
    path = folder / f"{stage}.json"
    record = read_json(path)
    if record.get("format") != RECORD_FORMAT:
        raise InputError(
            f"{path} has format {record.get('format')!r}; this version reads {RECORD_FORMAT}"
        )
    for key in ("run", "status", "reason", "spec", "corpus", "weights_sha256"):
        if key not in record:
            raise InputError(f"{path} is not a training record: it lacks '{key}'")
    return record
