"""Find a run by its name, its last stage, and the corpus that it was trained on."""

import shlex
from collections.abc import Collection, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

from awd.corpora import Corpus, load
from awd.corpora.catalogue import entries
from awd.errors import InputError
from awd.runs.folder import read_record
from awd.study import last, parts
from awd.study.config import load_config
from awd.vocabulary import Stage, Status

SHOWN = 3
"""Names that are suggested for one that does not exist."""


def find_run(name: str, results: Path) -> Path:
    """Return the folder of the run called ``name``, which may also be the path of a folder.

    A name STUDY/ROW is the only run of this row. Raises InputError, with the nearest names, if
    there is no such run, and with all names if the row has several.
    """
    runs = results / "runs"
    for folder in (runs / name, Path(name)):
        if any((folder / f"{stage}.json").is_file() for stage in Stage):
            return folder
    names = sorted(path.parent.name for path in runs.glob(f"*/{Stage.TRAIN}.json"))
    if not names:
        raise InputError(f"no run '{name}': {runs} holds no runs; results=FOLDER names another")
    rows = _trained_rows(results, names) if name.count("/") == 1 else {}
    if len(rows.get(name, ())) == 1:
        return runs / rows[name][0]
    if name in rows:
        raise InputError(f"row '{name}' has several runs; name one: {', '.join(rows[name])}")
    word, known = (name, [*rows]) if rows else (Path(name).name, names)
    close = get_close_matches(word, known, n=SHOWN, cutoff=0)
    *others, last = [f"'{each}'" for each in close]
    listed = f"{', '.join(others)} or {last}" if others else last
    what = "no trained row" if rows else "no run"
    raise InputError(f"{runs} has {what} '{name}'; did you mean {listed}?")


def _trained_rows(results: Path, trained: Collection[str]) -> dict[str, list[str]]:
    """Return STUDY/ROW -> those of its runs that are ``trained``, at all scales and seeds."""
    rows: dict[str, list[str]] = {}
    for path in (path for scale in sorted(results.glob("*/")) for path in parts.files(scale)):
        for suite in parts.read_part(path)["suites"]:
            for row in suite["rows"]:
                for run in (item["run"] for item in row["runs"]):
                    found = rows.setdefault(f"{suite['suite']}/{row['row']}", [])
                    found += [run] if run in trained and run not in found else []
    return {name: runs for name, runs in rows.items() if runs}


def trained_record(folder: Path, stage: str | None = None) -> dict:
    """Return the record of a training whose weights are of use: of ``stage``, or of the last one.

    Raises InputError if the run has not had that stage, if its record is of another run, if it
    diverged or was hopeless, or without weights.
    """
    there = [each for each in Stage if (folder / f"{each}.json").is_file()]
    if stage is not None and stage not in there:
        raise InputError(f"{folder} has no stage '{stage}'; it has {', '.join(there)}")
    stage = stage or there[-1]
    record = read_record(folder, stage)
    if record["run"] != (name := folder.resolve().name):
        raise InputError(
            f"{folder / stage}.json is the record of '{record['run']}', not of "
            f"'{name}': give a run its own folder back"
        )
    if record["status"] == Status.DIVERGED:
        raise InputError(f"{folder}: the training diverged ({record['reason']}): it has no model")
    if record["status"] == Status.HOPELESS:
        raise InputError(f"{folder}: the training was stopped as hopeless: {record['reason']}")
    weights = folder / f"{record['stage']}.safetensors"
    if not weights.is_file():
        raise InputError(
            f"{weights} does not exist: only the records of this run are here, since weights are "
            "not in git; to have them, train the run in another folder: "
            "snakemake --config results=FOLDER ..."
        )
    return record


def corpus_folder(folder: Path, record: Mapping) -> Path:
    """Return where the results that ``folder`` belongs to keep the run's encoded corpus."""
    corpus = record["corpus"]
    name = f"{corpus['name']}-{corpus['fingerprint'][:8]}"
    return folder.resolve().parents[1] / "corpora" / name


def _making(corpus: Mapping, place: Path) -> list[list[str]]:
    """Return the commands that make the encoded corpus of a record in ``place``.

    The folder of a user's own text and its minimum count are those of the last workflow that has
    left these results, or of config.yaml.
    """
    name, raw = corpus["name"], str(place / "raw")
    same = ["--fingerprint", corpus["fingerprint"][:8]]
    folder = []
    if name not in entries():
        config: Mapping = {}
        with suppress(InputError):
            config = last.recall(place.parents[1]) or {}
        if name not in (config.get("corpus_folders") or {}):
            with suppress(InputError):
                config = load_config()
        folders = config.get("corpus_folders") or {}
        folder = ["--folder", str(folders.get(name, "FOLDER"))]
        if (least := config.get("minimum_count", 1)) != 1:
            same += ["--minimum-count", str(least)]
    return [
        ["awd", "fetch", name, raw, *folder, *same],
        ["awd", "encode", name, raw, str(place), *same],
    ]


def corpus_of(folder: Path, record: Mapping) -> Corpus:
    """Read the corpus that the run in ``folder`` was trained on.

    Raises InputError, with the commands that make it, if it is not there.
    """
    place, corpus = corpus_folder(folder, record), record["corpus"]
    if not (place / "corpus.json").is_file():
        raise InputError(
            f"{place} does not exist, which holds the words of this run; run its study again, or "
            + " and ".join(f"`{shlex.join(words)}`" for words in _making(corpus, place))
        )
    loaded = load(place)
    if loaded.fingerprint != corpus["fingerprint"]:
        raise InputError(f"{place} is not the text that {folder} was trained on")
    return loaded
