"""Export the model of a run as a folder that needs nothing of awd."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from awd.errors import InputError
from awd.files import new_folder, read_bytes, read_json
from awd.report.model_card import model_card, plain_reader_misses
from awd.runs.find import corpus_of, trained_record
from awd.study.spec import make_spec

PROGRAM = Path(__file__).with_name("plain_model.py")


def export_model(folder: Path, destination: Path, stage: str | None = None) -> list[Path]:
    """Write the model of the run in ``folder`` to ``destination``, whole or not at all.

    The new folder has weights.safetensors, vocabulary.txt, README.md (the model card) and, if it
    can read the model, model.py.

    Args:
        stage: whose weights; by default those of the run's last stage.

    Returns the files. Raises InputError if ``destination`` exists and is not an empty folder, if
    the run has no such weights or failed, or if its corpus is not there.
    """
    with new_folder(destination) as made:
        record = trained_record(folder, stage)
        vocabulary = corpus_of(folder, record).vocabulary
        card = model_card(record, list(_evaluations(folder, record)), vocabulary)
        files = {
            "weights.safetensors": _weights(folder, record),
            "vocabulary.txt": "".join(f"{word}\n" for word in vocabulary).encode(),
            "README.md": card.encode(),
        }
        if plain_reader_misses(make_spec(record["spec"], str(folder))) is None:
            files["model.py"] = PROGRAM.read_bytes()
        for name, content in files.items():
            (made / name).write_bytes(content)
    return [destination / name for name in files]


def _weights(folder: Path, record: Mapping) -> bytes:
    path = folder / f"{record['stage']}.safetensors"
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != record["weights_sha256"]:
        raise InputError(f"{path} is damaged or of another training: delete it to train again")
    return content


def _evaluations(folder: Path, record: Mapping) -> Iterator[dict]:
    """Yield the records of evaluations of the weights alone, the plain stream first."""
    stage = record["stage"]
    paths = sorted(
        folder.glob(f"{stage}.*.json"), key=lambda path: ("stream" not in path.name, path)
    )
    for path in paths:
        evaluation = read_json(path)
        same = evaluation.get("weights_sha256") == record["weights_sha256"]
        if same and not evaluation.get("members"):
            yield evaluation
