"""The csv files of trainings, one line per epoch -> one frame of learning curves."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from awd.errors import InputError
from awd.files import read_text

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


def join(files: list[tuple[Path, dict]]) -> pd.DataFrame:
    """Join ``files``: paths, and what is known of each (run, corpus, seed, stage).

    There may be thousands, so files with one header are parsed together. Raises InputError, naming
    the file, if one is no learning curve.
    """
    groups: dict[str, list[tuple[int, Path, str]]] = {}
    for number, (path, _) in enumerate(files):
        try:
            text = read_text(path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        # A last line without a line break is one that is being written right now.
        header, _, body = text[: text.rfind("\n") + 1].partition("\n")
        if body:
            groups.setdefault(header, []).append((number, path, body))
    frames = [_parse(header, group) for header, group in groups.items()]
    known = pd.DataFrame([k for _, k in files], columns=["run", "corpus", "seed", "stage"])
    if not frames:
        return typed(pd.DataFrame(columns=list(CURVE_TYPES)), CURVE_TYPES)
    lines = pd.concat(frames, ignore_index=True).sort_values("file", kind="stable")
    known = known.iloc[lines.pop("file")].reset_index(drop=True)
    curves = pd.concat([known, lines.reset_index(drop=True)], axis=1)
    if "event" in curves:
        curves["event"] = curves["event"].fillna("")
    return typed(curves, CURVE_TYPES)


def check_lengths(
    curves: pd.DataFrame, epochs: Mapping[tuple[str, str], int | None], where: Path
) -> None:
    """Raise InputError for a curve with another number of epochs than the training's record.

    Args:
        curves: the frame of `join`.
        epochs: by run and stage that has a curve, what the record counts; None if it does not.
        where: the folder of runs, or the csv file that has all curves.
    """
    lengths = curves.groupby(["run", "stage"], sort=False).size()
    for (run, stage), expected in epochs.items():
        there = lengths.get((run, stage), 0)
        if expected is not None and there != expected:
            file = where / run / f"{stage}.csv" if where.suffix != ".csv" else where
            whose = "" if file != where else f" of the {stage} stage of {run}"
            raise InputError(
                f"{file} has {there} epochs{whose}, but the record of that training counts "
                f"{expected}: put the whole file back, or delete it to go without the curve"
            )


def typed(frame: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    """Give the columns of a frame their types, those that it has."""
    return frame.astype({column: kind for column, kind in types.items() if column in frame})


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
