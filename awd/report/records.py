"""Run records on disk -> two tidy frames: one of results, one of learning curves."""

import io
import json
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from awd.errors import InputError
from awd.files import atomic, read_json
from awd.report.comparability import describe

STAGES = ("train", "finetune")
SPLITS = ("valid", "test")

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
    "by_frequency": "str",  # JSON: least frequency of a band -> [summed nats, tokens]
    "floor": "float64",  # perplexity of the text under its true source, where that is known
    "protocol": "str",  # how it was measured: compare only what has the same (report.comparability)
    "parameters": "Int64",
    "seconds_per_epoch": "float64",
    "tokens_per_second": "float64",
    "peak_memory_mb": "float64",
    "epochs": "Int64",
    "best_epoch": "Int64",
    "switch_epoch": "Int64",
    "status": "str",
    "reason": "str",
    "device": "str",
    "precision": "str",
    "kernels": "str",  # "compiled": those of awd took part; "torch": none did
    "awd": "str",
    "commit": "str",
    "recipe": "Int64",
    "torch": "str",
    "started": "str",
    "ended": "str",
    "seconds": "float64",  # of the training stage, all its resumes together
    "resumes": "Int64",
    # Of the test text by block (evaluation.breakdown), numbers with a space between; absent in old
    # records.
    "block_tokens": "str",
    "block_nll": "str",
}

ADDED = ("block_tokens", "block_nll", "by_frequency", "floor", "protocol", "kernels")
# Parts of a record that are mappings, where they are there.
SECTIONS = ("result", "splits", "corpus", "libraries", "protocol", "protocol.tokens")
WANTED = {"str": "text", "Int64": "a whole number", "float64": "a number"}

# One line of `curves` is one epoch; columns that a training file has beyond these are kept.
CURVE_TYPES = {
    "run": "str",
    "corpus": "str",
    "seed": "Int64",
    "stage": "str",
    "epoch": "int64",
    "train_loss": "float64",
    "valid_loss": "float64",
    "valid_perplexity": "float64",
    "learning_rate": "float64",
    "averaging": "Int64",
    "event": "str",
    "seconds": "float64",
    "tokens_per_second": "float64",
}
# Only an empty field is missing; words such as "None" or "NA" are text. (Numbers survive writing
# and reading to the last bit: that is the default.)
READING = {"keep_default_na": False, "na_values": ["", "nan"]}
ROUNDING = 0.01  # nats by which the sum of a block, taken in another order, may differ


def collect(plan: dict, runs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read every record that exists for the plan's runs.

    ``plan`` is the content of plan.json, ``runs`` the folder that has one folder per run. What
    is not there yet is simply absent from the frames. Returns ``records`` (see RECORD_TYPES; a
    diverged evaluation gives lines without perplexity, a stage without evaluation gives none)
    and ``curves`` (see CURVE_TYPES), both in the plan's order.

    Raises InputError, naming the file, if a record cannot be read.
    """
    seeds = {
        item["run"]: item["seed"]
        for suite in plan["suites"]
        for row in suite["rows"]
        for item in row["runs"]
    }
    lines: list[dict] = []
    files: list[tuple[Path, dict]] = []
    for run, planned in plan["runs"].items():
        folder = Path(runs) / run
        try:
            names = sorted(entry.name for entry in os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        seed = seeds.get(run, planned["spec"].get("seed"))
        known = {"run": run, "corpus": planned["corpus"]["name"], "seed": seed}
        for stage in STAGES:
            lines += _stage_lines(folder, names, known | {"stage": stage})
            if f"{stage}.csv" in names:
                files.append((folder / f"{stage}.csv", known | {"stage": stage}))
    return _typed(pd.DataFrame(lines, columns=list(RECORD_TYPES)), RECORD_TYPES), _curves(files)


def write(records: pd.DataFrame, curves: pd.DataFrame, folder: Path) -> list[Path]:
    """Write records.csv and curves.csv into ``folder``, each whole or not at all."""
    paths = [Path(folder) / "records.csv", Path(folder) / "curves.csv"]
    for frame, path in zip((records, curves), paths, strict=True):
        with atomic(path) as temporary:
            frame.to_csv(temporary, index=False)
    return paths


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read what `write` wrote; raises InputError if a file is missing or damaged."""
    records = _read_csv(Path(folder) / "records.csv", RECORD_TYPES)
    records = _typed(records.reindex(columns=list(RECORD_TYPES)), RECORD_TYPES)
    _check_blocks(records, Path(folder) / "records.csv")
    return records, _read_csv(Path(folder) / "curves.csv", CURVE_TYPES)


def _stage_lines(folder: Path, names: list[str], known: dict) -> Iterator[dict]:
    """The lines of one run and stage, from its stage record and its evaluation records."""
    stage = known["stage"]
    trained: dict | None = None
    for name in names:
        # `finetune.stream.json` is an evaluation; temporary files begin with a dot.
        method = name.removeprefix(f"{stage}.").removesuffix(".json")
        if name != f"{stage}.{method}.json":
            continue
        if trained is None:
            path = folder / f"{stage}.json"
            trained = _record(path) if path.name in names else {}
        path = folder / name
        evaluated = _record(path)
        if "status" not in evaluated or not isinstance(evaluated.get("splits"), dict):
            raise InputError(f"{path} is not an evaluation record: it lacks 'status' or 'splits'")
        source = trained or evaluated  # a copy may lack the training's record
        result = source.get("result") or {}
        common = (
            known
            | {key: source.get(key) for key in RECORD_TYPES if key not in known}
            | {key: result.get(key) for key in ("epochs", "best_epoch", "switch_epoch")}
            | {
                "method": method,
                "protocol": _protocol(evaluated, path),
                "status": evaluated["status"],
                "reason": evaluated.get("reason") or trained.get("reason"),
                "torch": (source.get("libraries") or {}).get("torch"),
            }
        )
        diverged = evaluated["status"] == "diverged"
        for split in SPLITS if diverged else evaluated["splits"]:
            values = {} if diverged else evaluated["splits"][split]
            if not isinstance(values, dict):
                raise InputError(f"{path}: split '{split}' is {values!r}, not nll and tokens")
            line = common | {"split": split}
            line |= {key: values.get(key) for key in ("nll", "tokens", "perplexity", "floor")}
            line |= _blocks(values, path)
            line["by_frequency"] = _by_frequency(values, path)
            yield _checked(line, path)


def _blocks(values: dict, path: Path) -> dict[str, str | None]:
    """The losses by block of a split in two fields, if there are any and they add up."""
    blocks = values.get("blocks")
    if blocks is None:
        return {"block_tokens": None, "block_nll": None}
    try:
        tokens, nll = blocks["tokens"], blocks["nll"]
        fits = len(tokens) == len(nll) and sum(tokens) == values["tokens"]
        if not fits or abs(sum(nll) - values["nll"]) > ROUNDING * len(nll):
            raise ValueError("they do not add up to those of the text")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its losses by block cannot be read: {error}") from error
    return {"block_tokens": " ".join(map(str, tokens)), "block_nll": " ".join(map(str, nll))}


def _protocol(evaluated: dict, path: Path) -> str:
    try:
        return describe(evaluated)
    except (AttributeError, TypeError) as error:
        raise InputError(f"{path}: its protocol cannot be read: {error}") from error


def _by_frequency(values: dict, path: Path) -> str | None:
    """The losses by word frequency of a split as JSON, if there are any and they add up."""
    bands = values.get("by_frequency")
    if bands is None:
        return None
    try:
        found = {int(least): (float(nll), int(tokens)) for least, (nll, tokens) in bands.items()}
        nll, tokens = (sum(column) for column in zip(*found.values(), strict=True))
        if tokens != values["tokens"] or not math.isclose(nll, values["nll"], rel_tol=1e-6):
            raise ValueError("they do not add up to those of the text")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its losses by frequency cannot be read: {error}") from error
    return json.dumps(found)


def _check_blocks(records: pd.DataFrame, path: Path) -> None:
    given = records[["block_tokens", "block_nll", "tokens", "nll"]].dropna(subset="block_nll")
    for block_tokens, block_nll, tokens, nll in given.itertuples(index=False):
        try:
            blocks = {
                "tokens": [int(word) for word in block_tokens.split()],
                "nll": [float(word) for word in block_nll.split()],
            }
        except (AttributeError, ValueError) as error:  # None is no text to split
            raise InputError(f"{path}: its losses by block cannot be read: {error}") from error
        _blocks({"blocks": blocks, "tokens": tokens, "nll": nll}, path)


def _record(path: Path) -> dict:
    record = read_json(path)
    if record.get("format") != 1:
        raise InputError(f"{path} has format {record.get('format')!r}; this version reads 1")
    for section in SECTIONS:
        value = record
        for key in section.split("."):
            value = value.get(key) or {}
            if not isinstance(value, dict):
                raise InputError(f"{path}: '{section}' is {value!r} where a mapping is expected")
    return record


def _checked(line: dict, path: Path) -> dict:
    """Refuse a value that its column cannot hold."""
    for column, kind in RECORD_TYPES.items():
        value = line[column]
        if value is not None and not _fits(value, kind):
            raise InputError(f"{path}: '{column}' is {value!r} where {WANTED[kind]} is expected")
    return line


def _fits(value: object, kind: str) -> bool:
    if kind == "str":
        return isinstance(value, str)
    if type(value) not in (int, float) or abs(value) >= 1 << 63:
        return False
    return kind == "float64" or float(value).is_integer()


def _typed(frame: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    return frame.astype({column: kind for column, kind in types.items() if column in frame})


def _curves(files: list[tuple[Path, dict]]) -> pd.DataFrame:
    """Join the per-epoch files; thousands of them, so they are parsed in one go, not one by one."""
    groups: dict[str, list[tuple[int, Path, str]]] = {}
    for number, (path, _) in enumerate(files):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        # A last line without a line break is one that is being written right now.
        header, _, body = text[: text.rfind("\n") + 1].partition("\n")
        if body:
            groups.setdefault(header, []).append((number, path, body))
    frames = [_parse(header, group) for header, group in groups.items()]
    known = pd.DataFrame([k for _, k in files], columns=["run", "corpus", "seed", "stage"])
    if not frames:
        return _typed(pd.DataFrame(columns=list(CURVE_TYPES)), CURVE_TYPES)
    lines = pd.concat(frames, ignore_index=True).sort_values("file", kind="stable")
    known = known.iloc[lines.pop("file")].reset_index(drop=True)
    curves = pd.concat([known, lines.reset_index(drop=True)], axis=1)
    if "event" in curves:
        curves["event"] = curves["event"].fillna("")
    return _typed(curves, CURVE_TYPES)


def _parse(header: str, group: list[tuple[int, Path, str]]) -> pd.DataFrame:
    """Parse files with one header, numbering the lines of each; on failure, find the culprit."""
    text = "".join(
        f"{number},{body.rstrip(chr(10)).replace(chr(10), f'{chr(10)}{number},')}\n"
        for number, _, body in group
    )
    try:
        # A line longer than its header is only warned of.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            frame = pd.read_csv(
                io.StringIO(f"file,{header}\n{text}"),
                dtype={k: kind for k, kind in CURVE_TYPES.items() if k in header.split(",")},
                index_col=False,
                **READING,
            )
        if missing := {"epoch", "valid_perplexity"} - set(frame):
            raise ValueError(f"it has no column '{min(missing)}'")
        return frame
    except (ValueError, pd.errors.ParserWarning) as error:  # a ParserError is a ValueError
        if len(group) > 1:
            for single in group:
                _parse(header, [single])
        raise InputError(f"{group[0][1]} is not a learning curve: {error}") from error


def _read_csv(path: Path, types: dict[str, str]) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=types, **READING)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if missing := [column for column in types if column not in {*frame, *ADDED}]:
        raise InputError(f"{path} cannot be read: it has no column '{missing[0]}'")
    if "event" in frame:
        frame["event"] = frame["event"].fillna("")
    return frame
