"""Run records on disk -> two tidy frames: one of results, one of learning curves."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from awd.errors import InputError
from awd.files import atomic, open_regular, read_json
from awd.report import curves as learning_curves
from awd.report import structures
from awd.report.comparability import Protocol
from awd.report.curves import CURVE_TYPES, READING, typed
from awd.report.structures import STRUCTURES, UsedDevice, check_sums, load_devices
from awd.runs.curve import DIGEST
from awd.runs.folder import RECORD_FORMAT
from awd.runs.progress import curve_file
from awd.vocabulary import FAILED, HELD_OUT, Stage, Status, stages_to

LARGEST_LOSS = 709  # of which the exponential is finite

# One line of `records` is one run x stage x method x split.
RECORD_TYPES = {
    "run": "str",
    "corpus": "str",
    "seed": "Int64",
    "stage": "str",
    "method": "str",
    "split": "str",
    "nll": "float64",  # nats, summed over the predicted tokens
    "tokens": "Int64",
    "perplexity": "float64",
    "by_frequency": "object",  # {least frequency of a band: (summed nats, tokens)}
    "blocks": "object",  # structures.Blocks, of the test text
    "unigram_perplexity": "float64",  # of the text under the word frequencies of train
    "floor": "float64",  # perplexity of the text under its true source, where that is known
    "protocol": "object",  # comparability.Protocol
    "trainings": "Int64",  # that the evaluation combines: 1 unless it is of an ensemble
    "parameters": "Int64",
    "seconds_per_epoch": "float64",
    "tokens_per_second": "float64",
    "peak_memory_mb": "float64",
    "epochs": "Int64",
    "best_epoch": "Int64",
    "switch_epoch": "Int64",
    "status": "str",
    "reason": "str",
    "devices": "object",  # {stage: (structures.UsedDevice, ...)}: this stage and the one before
    "precision": "str",
    "arithmetic": "str",  # what its bits depend on (model.kernels.arithmetic)
    "awd": "str",
    "commit": "str",
    "recipe": "Int64",
    "torch": "str",
    "started": "str",
    "ended": "str",
    # Of an ensemble the sum over its members, unknown if one is:
    "seconds": "float64",  # of the training stage, all its resumes together
    "energy_joules": "float64",  # of this stage and the one before, validation included
    "resumes": "Int64",
}
ADDED = {"energy_joules", "unigram_perplexity"}
"""Columns that the csv files of awd 0.2.0 do not have: their values are unknown."""

NUMBERS = ("nll", "tokens", "perplexity", "unigram_perplexity", "floor")
"""Columns that each split of an evaluation has."""

# Parts of a record that are mappings, or null.
SECTIONS = ("result", "splits", "corpus", "libraries", "protocol")
TRAINING_KEYS = ("status", "result", "devices")
EVALUATION_KEYS = ("status", "splits", "protocol", "members")
EXPECTED = {"str": "text", "Int64": "a whole number", "float64": "a number"}


def collect(
    plan: Mapping, runs: Path, checkpoints: Path | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every record that exists for the plan's runs.

    ``plan`` is that of study.parts.read, ``runs`` the folder that has one folder per run. What
    does not exist yet is absent from the frames. Returns ``records`` (see RECORD_TYPES; a
    failed evaluation gives lines without perplexity, a stage without evaluation gives none)
    and ``curves`` (see report.curves), both in the plan's order. With ``checkpoints``, their
    folder, curves of trainings without a record are among them.

    Raises InputError, naming the file, if a record cannot be read, or if a curve is not the one of
    its record.
    """
    seeds = {
        item["run"]: item["seed"]
        for suite in plan["suites"]
        for row in suite["rows"]
        for item in row["runs"]
    }
    lines: list[dict] = []
    files: list[tuple[Path, dict]] = []
    results: dict[tuple[str, str], dict] = {}
    trainings: dict[str, dict[Stage, dict]] = {}
    for run, planned in plan["runs"].items():
        folder = Path(runs) / run
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            names = []
        seed = seeds.get(run, planned["spec"].get("seed"))
        known = {"run": run, "corpus": planned["corpus"]["name"], "seed": seed}
        trained = trainings[run] = _trainings(folder, names, planned)
        for stage in Stage:
            lines += _stage_lines(folder, names, known | {"stage": str(stage)}, trained, planned)
            if f"{stage}.csv" in names:
                path = folder / f"{stage}.csv"
                files.append((path, known | {"stage": str(stage)}))
                record = trained.get(stage, {})
                learning_curves.check_digest(path, record.get(DIGEST))
                if result := record.get("result"):
                    results[run, str(stage)] = result
            elif checkpoints and stage not in trained:
                unfinished = curve_file(checkpoints, run, stage)
                if unfinished.is_file():
                    files.append((unfinished, known | {"stage": str(stage)}))
    for line in lines:
        if line["members"]:
            line |= _sums(line["stage"], [trainings.get(run, {}) for run in line["members"]], line)
    curves = learning_curves.join(files)
    learning_curves.check(curves, results, runs)
    return typed(_frame(lines), RECORD_TYPES), curves


def write(records: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> list[Path]:
    """Write records.csv and curves.csv into ``folder``, each whole or not at all."""
    paths = [Path(folder) / "records.csv", Path(folder) / "curves.csv"]
    cells = {
        column: [structures.to_cell(column, value) for value in records[column]]
        for column in STRUCTURES
    }
    for frame, path in zip((records.assign(**cells), curves), paths, strict=True):
        with atomic(path) as temporary:
            frame.to_csv(temporary, index=False)
    return paths


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what `write` wrote; raises InputError if a file is missing or damaged.

    That is also so for curves that are not those of the records.
    """
    path = Path(folder) / "records.csv"
    cells = _read_csv(path, RECORD_TYPES | dict.fromkeys(STRUCTURES, "str"))
    lines = cells[list(RECORD_TYPES)].to_dict("records")
    for line in lines:
        for column in STRUCTURES:
            line[column] = structures.from_cell(column, line[column], path)
        check_sums(line, path)
    records = typed(_frame(lines), RECORD_TYPES)
    curves = _read_csv(Path(folder) / "curves.csv", CURVE_TYPES)
    there = set(curves[["run", "stage"]].itertuples(index=False, name=None))
    counts = records[["run", "stage", "epochs"]].dropna().itertuples(index=False, name=None)
    known = {(run, stage): {"epochs": n} for run, stage, n in counts if (run, stage) in there}
    learning_curves.check(curves, known, Path(folder) / "curves.csv")
    return records, curves


def _frame(lines: list[dict]) -> pd.DataFrame:
    """Build a frame whose structures stay the objects they are, and None where there are none."""
    columns = {
        column: pd.Series([line[column] for line in lines], dtype="object")
        for column in RECORD_TYPES
    }
    return pd.DataFrame(columns)


def _trainings(folder: Path, names: list[str], planned: Mapping) -> dict[Stage, dict]:
    """Read the records of a run's stages, those that exist."""
    trainings = {}
    for stage in Stage:
        if f"{stage}.json" in names:
            path = folder / f"{stage}.json"
            trainings[stage] = _record(path, TRAINING_KEYS)
            _check_identity(trainings[stage], path, planned, {"stage": str(stage)})
    return trainings


def _check_identity(record: Mapping, path: Path, planned: Mapping, expected: Mapping) -> None:
    """Raise InputError for a record of another run, stage, method, text or model than its place.

    ``planned`` is the run in the plan, ``expected`` what the file's name stands for. A record of
    an older version may lack hyperparameters that were added since.
    """
    expected = {"run": path.parent.name, **expected}
    for key in ("name", "fingerprint"):
        expected[f"corpus {key}"] = planned["corpus"][key]
    expected |= {f"spec {key}": value for key, value in planned["spec"].items()}
    found = dict(record)
    for section in ("corpus", "spec"):
        part = record.get(section)
        found |= {f"{section} {key}": value for key, value in (part or {}).items()}
    for key, value in expected.items():
        if key in found and found[key] != value:
            raise InputError(
                f"{path} does not belong there: its {key} is {found[key]!r}, not {value!r}; "
                "delete it. What is missing then is made again"
            )


def _stage_lines(
    folder: Path,
    names: list[str],
    known: dict,
    trainings: dict[Stage, dict],
    planned: Mapping,
) -> Iterator[dict]:
    """The lines of one run and stage, from its stage record and its evaluation records."""
    stage = known["stage"]
    trained = trainings.get(stage, {})
    devices: dict[Stage, tuple[UsedDevice, ...]] | None = None
    for name in names:
        # `finetune.stream.json` is an evaluation; temporary files begin with a dot.
        method = name.removeprefix(f"{stage}.").removesuffix(".json")
        if name != f"{stage}.{method}.json":
            continue
        path = folder / name
        evaluated = _record(path, EVALUATION_KEYS)
        _check_identity(evaluated, path, planned, {"stage": stage, "method": method})
        _check_weights(evaluated, trained, path)
        if not isinstance(evaluated["splits"], dict):
            raise InputError(f"{path}: 'splits' is {evaluated['splits']!r}, not a mapping")
        devices = devices or _devices(folder, stage, trainings)
        source = trained or evaluated  # a copy may lack the training's record
        result = source.get("result") or {}
        common = (
            {key: source.get(key) for key in RECORD_TYPES}
            | known
            | {key: result.get(key) for key in ("epochs", "best_epoch", "switch_epoch")}
            | {
                "method": method,
                "protocol": structures.load(
                    "protocol", evaluated["protocol"], path, Protocol.from_record
                ),
                "members": evaluated["members"],
                "trainings": _trainings_behind(evaluated, path),
                "status": _status(evaluated, path),
                "reason": evaluated.get("reason") or trained.get("reason"),
                "devices": devices,
                "energy_joules": _energy(stage, trainings),
                "torch": (source.get("libraries") or {}).get("torch"),
            }
        )
        failed = evaluated["status"] in FAILED
        for split in HELD_OUT if failed else evaluated["splits"]:
            values = {} if failed else evaluated["splits"][split]
            if not isinstance(values, dict):
                raise InputError(f"{path}: split '{split}' is {values!r}, not nll and tokens")
            line = common | {"split": str(split)}
            line |= {key: values.get(key) for key in NUMBERS}
            line |= {
                column: structures.load(column, values.get(column), path)
                for column in ("blocks", "by_frequency")
            }
            check_sums(line, path)
            yield _check_perplexity(_checked(line, path), path)


def _check_weights(evaluated: Mapping, trained: Mapping, path: Path) -> None:
    """Raise InputError for an evaluation of other weights than those of the stage's record."""
    digests = {each.get("weights_sha256") for each in (evaluated, trained)} - {None}
    if len(digests) > 1:
        raise InputError(
            f"{path} is of other weights than those that {path.parent.name} has now: delete it to "
            "evaluate again"
        )


def _devices(
    folder: Path, stage: str, trainings: dict[Stage, dict]
) -> dict[Stage, tuple[UsedDevice, ...]]:
    """The devices of ``stage`` and of the stage before it, as far as their records exist."""
    return {
        each: structures.load(
            "devices", trainings[each]["devices"], folder / f"{each}.json", load_devices
        )
        for each in stages_to(stage)
        if each in trainings and trainings[each]["devices"] is not None
    }


def _energy(stage: str, trainings: dict[Stage, dict]) -> float | None:
    """The energy of ``stage`` and the stage before it, None if that of one is not known."""
    return _sum(trainings.get(each, {}).get("energy_joules") for each in stages_to(stage))


def _sums(stage: str, members: list[dict[Stage, dict]], line: Mapping) -> dict[str, float | None]:
    """The sums over an ensemble: the run of its ``line`` and its other ``members``."""
    records = [each.get(Stage(stage), {}) for each in members]
    sums = {
        key: _sum([line[key], *(record.get(key) for record in records)])
        for key in ("seconds", "resumes")
    }
    energies = [line["energy_joules"], *(_energy(stage, each) for each in members)]
    return sums | {"energy_joules": _sum(energies)}


def _sum(values: Iterable[object]) -> float | None:
    """The sum of numbers, None if one is unknown."""
    values = list(values)
    known = [value for value in values if isinstance(value, int | float)]
    return sum(known) if len(known) == len(values) else None


def _trainings_behind(evaluated: dict, path: Path) -> int | None:
    members = evaluated["members"]
    if not isinstance(members, list | None) or not all(
        isinstance(run, str) for run in members or ()
    ):
        raise InputError(f"{path}: 'members' is {members!r} where a list of runs is expected")
    return None if members is None else 1 + len(members)


def _status(evaluated: dict, path: Path) -> str:
    allowed = (Status.DONE, *FAILED, Status.LEAKS)
    if evaluated["status"] not in allowed:
        names = ", ".join(f"'{each}'" for each in allowed)
        raise InputError(f"{path}: 'status' is {evaluated['status']!r}, not one of {names}")
    return evaluated["status"]


def _record(path: Path, keys: tuple[str, ...]) -> dict:
    record = read_json(path)
    if record.get("format") != RECORD_FORMAT:
        raise InputError(
            f"{path} has format {record.get('format')!r}; this version of awd reads {RECORD_FORMAT}"
        )
    for key in keys:
        if key not in record:
            raise InputError(f"{path} is not a record of this kind: it lacks '{key}'")
    for section in SECTIONS:
        value = record.get(section)
        if not isinstance(value, dict | None):
            raise InputError(f"{path}: '{section}' is {value!r} where a mapping is expected")
    return record


def _checked(line: dict, path: Path) -> dict:
    """Refuse a value that its column cannot hold."""
    for column, kind in RECORD_TYPES.items():
        value = line[column]
        if value is not None and kind in EXPECTED and not _fits(value, kind):
            raise InputError(f"{path}: '{column}' is {value!r} where {EXPECTED[kind]} is expected")
    return line


def _check_perplexity(line: dict, path: Path) -> dict:
    """Refuse a perplexity that is not exp(nll / tokens); neither may be there."""
    nll, tokens, perplexity = line["nll"], line["tokens"], line["perplexity"]
    if nll is None or tokens is None or perplexity is None:
        return line
    mean = nll / tokens if tokens > 0 else math.nan
    expected = math.exp(mean) if mean < LARGEST_LOSS else math.inf
    if not math.isclose(perplexity, expected, rel_tol=1e-5):
        raise InputError(
            f"{path}: the perplexity of '{line['split']}' is {perplexity!r}, but its nll and "
            f"tokens give {expected:.6g}; delete the file to evaluate again"
        )
    return line


def _fits(value: object, kind: str) -> bool:
    if kind == "str":
        return isinstance(value, str)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) >= 1 << 63:
        return False
    return kind == "float64" or float(value).is_integer()


def _read_csv(path: Path, types: dict[str, str]) -> pd.DataFrame:
    try:
        with open_regular(path) as stream:
            frame = pd.read_csv(stream, dtype=types, **READING)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    for column in ADDED & types.keys() - set(frame):
        frame[column] = math.nan
    if missing := [column for column in types if column not in frame]:
        raise InputError(f"{path} cannot be read: it has no column '{missing[0]}'")
    if "event" in frame:
        frame["event"] = frame["event"].fillna("")
    return frame
