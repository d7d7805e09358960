"""The csv files of trainings, one line per epoch -> one frame of learning curves."""

import io
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from awd.errors import InputError
from awd.files import read_text
from awd.runs.curve import digest

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
PRINTED = 1e-5
"""By how much a perplexity may differ from that of its loss: files may be rounded."""
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


def check_digest(path: Path, expected: str | None) -> None:
    """Raise InputError if the numbers at ``path`` have another digest than their record holds.

    Older records have none: of their curves `check` looks at the numbers.
    """
    if expected is not None and digest(path) != expected:
        raise InputError(
            f"{path} was changed after its training: put the whole file back, or delete it to "
            "go without the curve"
        )


def check(curves: pd.DataFrame, results: Mapping[tuple[str, str], Mapping], where: Path) -> None:
    """Raise InputError for a curve that is not the one of its training's record.

    Its perplexities must be those of its losses, and the number of epochs and the best perplexity
    those of the record.

    Args:
        curves: the frame of `join`.
        results: by run and stage that has a curve, the ``result`` of its record, or a part of it.
        where: the folder of runs, or the csv file that has all curves.
    """

    def refuse(run: str, stage: str, what: str, expected: str) -> NoReturn:
        file = where / run / f"{stage}.csv" if where.suffix != ".csv" else where
        whose = "" if file != where else f" of the {stage} stage of {run}"
        raise InputError(
            f"{file} has {what}{whose}, but {expected}: put the whole file back, or delete it to "
            "go without the curve"
        )

    if "valid_loss" in curves:
        losses, found = curves["valid_loss"], curves["valid_perplexity"]
        known = losses.notna() & found.notna()
        wrong = curves[known & ~np.isclose(found, np.exp(losses), rtol=PRINTED, atol=0)]
        for run, stage, epoch, loss, perplexity in wrong[
            ["run", "stage", "epoch", "valid_loss", "valid_perplexity"]
        ].itertuples(index=False):
            what = f"validation perplexity {perplexity:.6g} in epoch {epoch}"
            refuse(run, stage, what, f"the loss beside it gives {math.exp(loss):.6g}")
    groups = curves.groupby(["run", "stage"], sort=False)["valid_perplexity"]
    lengths, best = groups.size(), groups.min()
    for (run, stage), result in results.items():
        there, expected = lengths.get((run, stage), 0), result.get("epochs")
        if expected is not None and there != expected:
            refuse(run, stage, f"{there} epochs", f"the record of that training counts {expected}")
        least, expected = best.get((run, stage), math.nan), result.get("valid_perplexity")
        if expected is None or math.isnan(least):
            continue
        kept = result.get("best_epoch") == 0  # fine-tuning kept weights of before, which are better
        if not math.isclose(least, expected, rel_tol=PRINTED) and not (kept and least > expected):
            what = f"the best validation perplexity {least:.6g}"
            refuse(run, stage, what, f"that of the record of that training is {expected:.6g}")


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
