"""Records -> one table per suite, published beside reproduced, as csv, Markdown and LaTeX."""

import math
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from awd.errors import InputError
from awd.files import atomic, write_text
from awd.stats import Difference, mean_and_deviation, paired_difference
from awd.typeset import COUNTED, INTERVALS, UNVERIFIED, latex, markdown, published_columns

COLUMNS = [
    "suite",
    "row",
    "label",
    "corpus",
    "stage",
    "method",
    "params",
    "published_train",
    "published_valid",
    "published_test",
    "train",
    "valid",
    "valid_sd",
    "test",
    "test_sd",
    "n",
    "delta_test",
    "delta_low",
    "delta_high",
    "p",
    "seconds_per_epoch",
    "status",
    "verdict",
    "note",
]
TOLERANCE = 0.03  # of the published perplexity; within it a value counts as reproduced


def build(
    suite: dict,
    records: pd.DataFrame,
    runs: Path,
    scale: str,
    planned: dict[str, dict] | None = None,
) -> pd.DataFrame:
    """One line per row and corpus of the suite, in its order, with exactly COLUMNS.

    ``suite`` is an entry of the plan's ``suites``, ``records`` the frame of awd.records,
    ``runs`` the folder with the per-token arrays (without them the differences of one seed have
    no interval), ``planned`` the plan's ``runs``, which know the parameters of what is not
    trained yet. Perplexities are means over seeds, unrounded. The base row has no difference.

    Raises InputError, naming the file, if a per-token array cannot be read.
    """
    found = _by_seed(suite, records)
    bases = {row["corpus"]: row for row in suite["rows"] if row["row"] == suite.get("base")}
    load = lru_cache(maxsize=8)(_tokens)  # the base row's arrays are asked for by every row
    lines = []
    for row in suite["rows"]:
        results = found[row["row"], row["corpus"]]
        status, notes = _status(row, results)
        values = {
            split: {seed: r[split] for seed, r in results.items() if split in r}
            for split in ("train", "valid", "test")
        }
        train, _ = mean_and_deviation(list(values["train"].values()))
        valid, valid_sd = mean_and_deviation(list(values["valid"].values()))
        test, test_sd = mean_and_deviation(list(values["test"].values()))
        base = bases.get(row["corpus"])
        delta = Difference()
        if base is not None and base is not row and status in COUNTED:
            pair = (_paths(row, runs), _paths(base, runs))
            of_base = found[base["row"], base["corpus"]]
            delta = paired_difference(
                values["test"],
                {seed: r["test"] for seed, r in of_base.items() if _counts(r) and "test" in r},
                lambda seed, pair=pair: _both(load, *(paths[seed] for paths in pair)),
            )
        published = published_columns(row).get("paper", {})
        lines.append(
            {
                "suite": suite["suite"],
                **{key: row[key] for key in ("row", "label", "corpus", "stage", "method")},
                "params": _parameters(row, results, planned or {}),
                **{f"published_{split}": published.get(split) for split in values},
                "train": train,
                "valid": valid,
                "valid_sd": valid_sd,
                "test": test,
                "test_sd": test_sd,
                "n": max(len(values["valid"]), len(values["test"])),
                "delta_test": delta.difference,
                "delta_low": delta.low,
                "delta_high": delta.high,
                "p": delta.p,
                "seconds_per_epoch": mean_and_deviation(
                    [r["seconds"] for r in results.values() if not math.isnan(r["seconds"])]
                )[0],
                "status": status,
                "verdict": _verdict(published, valid, test)
                if scale == "paper" and status in COUNTED
                else None,
                "note": "; ".join(
                    filter(
                        None,
                        [
                            row.get("note"),
                            *notes,
                            INTERVALS.get(delta.interval),
                            None if published.get("verified", True) else UNVERIFIED,
                        ],
                    )
                ),
            }
        )
    frame = pd.DataFrame(lines, columns=COLUMNS)
    kinds = dict.fromkeys(COLUMNS[COLUMNS.index("params") : COLUMNS.index("status")], "float64")
    return frame.astype(kinds | {"params": "Int64", "n": "int64"})


def write(frame: pd.DataFrame, suite: dict, scale: str, stem: Path) -> list[Path]:
    """Write ``stem``.csv, ``stem``.md and ``stem``.tex, each whole or not at all."""
    paths = [Path(f"{stem}.{kind}") for kind in ("csv", "md", "tex")]
    with atomic(paths[0]) as temporary:
        frame.to_csv(temporary, index=False)
    write_text(paths[1], markdown(frame, suite, scale))
    write_text(paths[2], latex(frame, suite, scale))
    return paths


def _by_seed(suite: dict, records: pd.DataFrame) -> dict[tuple[str, str], dict[int, dict]]:
    """Per (row, corpus) and seed: status, reason, parameters, seconds and perplexities."""
    wanted = {item["run"] for row in suite["rows"] for item in row["runs"]}
    lines = records[records["run"].isin(wanted)]
    results: dict[tuple[str, str, str], dict] = {}
    for line in lines.itertuples(index=False):
        result = results.setdefault((line.run, line.stage, line.method), {})
        result["status"] = line.status
        result["reason"] = line.reason if isinstance(line.reason, str) else None
        result["parameters"] = line.parameters
        result["seconds"] = line.seconds_per_epoch
        if not math.isnan(line.perplexity):
            result[line.split] = line.perplexity
    return {
        (row["row"], row["corpus"]): {
            item["seed"]: results[key]
            for item in row["runs"]
            if (key := (item["run"], row["stage"], row["method"])) in results
        }
        for row in suite["rows"]
    }


def _counts(result: dict) -> bool:
    return result["status"] not in ("diverged", "leaks")


def _status(row: dict, results: dict[int, dict]) -> tuple[str, list[str]]:
    """The row's state over its seeds, and what there is to say about it."""
    planned = len(row["runs"])
    good = sum(_counts(result) for result in results.values())
    # Seeds that ended alike are told in one breath.
    bad: dict[tuple, list[int]] = {}
    for seed, result in results.items():
        if not _counts(result):
            bad.setdefault((result["status"], result["reason"]), []).append(seed)
    notes = [
        (f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} " if planned > 1 else "")
        + (f"{status}: {reason}" if reason else status)
        for (status, reason), seeds in bad.items()
    ]
    states = {result["status"] for result in results.values()}
    if "leaks" in states:
        return "leaks", notes
    if "diverged" in states and not good:
        return "diverged", notes
    if good == 0:
        return "missing", notes
    if good < planned:
        return "partial", [f"{good} of {planned} seeds", *notes]
    return "done", notes


def _parameters(row: dict, results: dict[int, dict], planned: dict[str, dict]) -> int | None:
    counts = [result["parameters"] for result in results.values()]
    counts += [planned.get(item["run"], {}).get("parameters") for item in row["runs"]]
    return next((int(count) for count in counts if count is not None and not pd.isna(count)), None)


def _verdict(published: dict, valid: float, test: float) -> str | None:
    """Compare with the published test value, or the valid one where only that exists."""
    for split, value in (("test", test), ("valid", valid)):
        if published.get(split) is not None and not math.isnan(value):
            relative = value / published[split] - 1
            if abs(relative) <= TOLERANCE:
                return "reproduced"
            return "higher" if relative > 0 else "lower"
    return None


def _paths(row: dict, runs: Path) -> dict[int, Path]:
    name = f"{row['stage']}.{row['method']}.npz"
    return {item["seed"]: Path(runs) / item["run"] / name for item in row["runs"]}


def _both(load: Callable, row: Path, base: Path) -> tuple[np.ndarray, np.ndarray] | None:
    arrays = (load(row), load(base))
    return None if any(array is None for array in arrays) else arrays


def _tokens(path: Path) -> np.ndarray | None:
    """Nats of each test token, float32 (tokens,), or None if the file is not there."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["test"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} has no readable array 'test': {error}") from error
