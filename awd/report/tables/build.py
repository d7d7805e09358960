"""A suite and its records -> a frame: a line per row and corpus, facts and unrounded numbers."""

import math
from enum import StrEnum
from itertools import combinations

import numpy as np
import pandas as pd

from awd.report.comparability import measured_differently
from awd.report.remarks import (
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoInterval,
    Note,
    Remark,
    Unfinished,
)
from awd.report.stats import Difference, Result, holm, mean_and_deviation, paired_difference
from awd.vocabulary import Split, Stage, Status

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
    "p_holm",
    "interval",
    "seconds_per_epoch",
    "status",
    "verdict",
    "incomparable",
    "note",
]
"""Of the csv file. In the frame, ``remarks`` (report.remarks) stands in place of ``note``, and
``incomparable`` has what differs (report.comparability), or None."""
TOLERANCE = 0.03  # of the published perplexity; within it a value counts as reproduced
COUNTED = (Status.DONE, Status.PARTIAL)
"""The states whose values may be compared with others."""
ORDERED = [
    *("suite", "corpus", "status", "incomparable"),
    *("valid", "test", "published_valid", "published_test"),
]
"""The columns that the order of rows depends on."""
COSTS = ("parameters", "seconds_per_epoch")  # what a published row may give besides perplexity


class Verdict(StrEnum):
    """How a reproduced perplexity compares with the published one."""

    REPRODUCED = "reproduced"
    HIGHER = "higher"
    LOWER = "lower"


def build(
    suite: dict, records: pd.DataFrame, scale: str, planned: dict[str, dict] | None = None
) -> pd.DataFrame:
    """Build the table of a suite: a line per row and corpus, in the suite's order.

    Perplexities are means over seeds, unrounded. The base row has no difference, nor has a row that
    leaks or that is ``incomparable``: measured by another protocol. ``interval`` is the kind of the
    interval (report.stats); ``p_holm`` is ``p`` corrected for the number of rows compared on the
    corpus.

    Args:
        suite: an entry of the plan's ``suites``.
        records: the frame of report.records.
        planned: the plan's ``runs``, which have the parameters of what is not trained yet.
    """
    planned = planned or {}
    found = _by_seed(suite, records)
    bases = {row["corpus"]: row for row in suite["rows"] if row["row"] == suite.get("base")}
    differing = measured_differently(suite, records)
    lines = []
    for row in suite["rows"]:
        base = bases.get(row["corpus"])
        of_base = {} if base in (None, row) else found[base["row"], base["corpus"]]
        place = (row["row"], row["corpus"])
        line = _line(row, found[place], of_base, differing.get(place), planned, scale)
        lines.append({"suite": suite["suite"], **line})
    columns = [{"note": "remarks"}.get(column, column) for column in COLUMNS]
    frame = pd.DataFrame(lines, columns=columns)
    frame["p_holm"] = frame.groupby("corpus", sort=False)["p"].transform(holm)
    numbers = set(COLUMNS[COLUMNS.index("params") : COLUMNS.index("status")]) - {"interval"}
    kinds = dict.fromkeys(numbers, "float64")
    return frame.astype(kinds | {"params": "Int64", "n": "int64", "incomparable": "object"})


def combine(suites: list[dict], frames: list[pd.DataFrame]) -> tuple[dict, pd.DataFrame]:
    """Join all suites as one, to be written like one: the rows of each under its name."""
    parts = [part for part in suites if part["rows"]]
    together = {"suite": "all", "title": "All studies", "parts": parts}
    return together, pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)


def published_columns(row: dict) -> dict[str, dict]:
    """Return the published values of a row by column; the first one given for a value counts."""
    columns: dict[str, dict] = {}
    for entry in row.get("published") or []:
        column = columns.setdefault(entry.get("column", "paper"), {})
        for value in (*Split, *COSTS):
            if entry.get(value) is not None and value not in column:
                column[value] = entry[value]
    return columns


def compared(line: dict) -> bool:
    """Return whether a line is compared with others: it counts, and by the same protocol."""
    return line["status"] in COUNTED and not line["incomparable"]


def order_agreement(frame: pd.DataFrame) -> tuple[int, int]:
    """Count the pairs of rows in the published order of perplexities, and all pairs.

    A pair is of a suite and corpus, comparable, and published on the same split: by its test
    perplexity or, where that is not published of both, by that of the validation text. Pairs that
    are published as equal are left out. The share is (1 + Kendall's tau) / 2.
    """
    agree = total = 0
    groups: dict[tuple[str, str], list[dict]] = {}
    for line in filter(compared, frame[ORDERED].to_dict("records")):
        groups.setdefault((line["suite"], line["corpus"]), []).append(line)
    for lines in groups.values():
        for one, other in combinations(lines, 2):
            for split in ("test", "valid"):
                measured, published = (
                    one[column] - other[column] for column in (split, f"published_{split}")
                )
                if not math.isnan(measured) and not math.isnan(published):
                    agree += measured * published > 0
                    total += published != 0
                    break
    return agree, total


def _line(
    row: dict,
    results: dict[int, dict],
    of_base: dict[int, dict],
    differing: tuple[tuple[str, object], ...] | None,
    planned: dict[str, dict],
    scale: str,
) -> dict:
    """A row's facts, from its results by seed and those of the base row."""
    status = _status(row, results)
    values: dict[str, dict[int, float]] = {
        split: {seed: r[split] for seed, r in results.items() if split in r} for split in Split
    }
    train, _ = mean_and_deviation(list(values["train"].values()))
    valid, valid_sd = mean_and_deviation(list(values["valid"].values()))
    test, test_sd = mean_and_deviation(list(values["test"].values()))
    delta = Difference()
    if status in COUNTED and not differing:
        delta = paired_difference(_measured(results), _measured(of_base))
    published = published_columns(row).get("paper", {})
    judged = scale == "paper" and status in COUNTED and not differing
    remarks = [
        Note(row["note"]) if row.get("note") else None,
        *_state_remarks(row, results),
        _backward(results),
        _never_averaged(row, results, planned),
        Incomparable(differing) if differing else None,
        NoInterval() if not math.isnan(delta.difference) and not delta.interval else None,
    ]
    return {
        **{key: row[key] for key in ("row", "label", "corpus", "stage", "method")},
        "params": _parameters(row, results, planned),
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
        "interval": delta.interval,
        "seconds_per_epoch": mean_and_deviation(
            [r["seconds"] for r in results.values() if not math.isnan(r["seconds"])]
        )[0],
        "status": status,
        "verdict": _verdict(published, valid, test) if judged else None,
        "incomparable": differing,
        "remarks": tuple(filter(None, remarks)),
    }


def _by_seed(suite: dict, records: pd.DataFrame) -> dict[tuple[str, str], dict[int, dict]]:
    """Per (row, corpus) and seed: status, reason, parameters, seconds, perplexities, blocks."""
    wanted = {item["run"] for row in suite["rows"] for item in row["runs"]}
    lines = records[records["run"].isin(wanted)]
    results: dict[tuple[str, str, str], dict] = {}
    for line in lines.itertuples(index=False):
        result = results.setdefault((line.run, line.stage, line.method), {})
        result["status"] = line.status
        result["reason"] = line.reason if isinstance(line.reason, str) else None
        result["parameters"] = line.parameters
        result["epochs"], result["switch"] = line.epochs, line.switch_epoch
        result["seconds"] = line.seconds_per_epoch
        if not math.isnan(line.perplexity):
            result[line.split] = line.perplexity
        if line.blocks is not None:
            result["blocks"] = line.blocks
    return {
        (row["row"], row["corpus"]): {
            item["seed"]: results[key]
            for item in row["runs"]
            if (key := (item["run"], row["stage"], row["method"])) in results
        }
        for row in suite["rows"]
    }


def _counts(result: dict) -> bool:
    return result["status"] not in (Status.DIVERGED, Status.LEAKS)


def _backward(results: dict[int, dict]) -> Backward | None:
    names = ("valid-backward", "test-backward")
    values = [[result.get(name, math.nan) for result in results.values()] for name in names]
    means = [mean_and_deviation(each)[0] for each in values]
    return None if any(map(math.isnan, means)) else Backward(*means)


def _never_averaged(
    row: dict, results: dict[int, dict], planned: dict[str, dict]
) -> NeverAveraged | None:
    """A row of NT-ASGD whose trigger did not fire is one of SGD."""
    specs = [planned.get(item["run"], {}).get("spec", {}) for item in row["runs"]]
    if row["stage"] != Stage.TRAIN or "nt-asgd" not in [spec.get("optimizer") for spec in specs]:
        return None
    finished = [result for result in results.values() if _counts(result)]
    plain = [result for result in finished if pd.isna(result["switch"])]
    if not plain or pd.isna(plain[0]["epochs"]):
        return None
    return NeverAveraged(int(plain[0]["epochs"]), len(plain), len(finished))


def _measured(results: dict[int, dict]) -> dict[int, Result]:
    """The results to compare, by seed."""
    return {
        seed: Result(
            result["test"],
            *(np.array(numbers, dtype=np.float64) for numbers in result.get("blocks", ())),
        )
        for seed, result in results.items()
        if "test" in result and _counts(result)
    }


def _status(row: dict, results: dict[int, dict]) -> Status:
    """The row's state over its seeds."""
    good = sum(_counts(result) for result in results.values())
    states = {result["status"] for result in results.values()}
    if Status.LEAKS in states:
        return Status.LEAKS
    if Status.DIVERGED in states and not good:
        return Status.DIVERGED
    if good == 0:
        return Status.MISSING
    return Status.PARTIAL if good < len(row["runs"]) else Status.DONE


def _state_remarks(row: dict, results: dict[int, dict]) -> list[Remark]:
    """How many seeds a partial row has; and its seeds that ended badly, alike ones together."""
    bad: dict[tuple, list[int]] = {}
    for seed, result in results.items():
        if not _counts(result):
            bad.setdefault((result["status"], result["reason"]), []).append(seed)
    several = len(row["runs"]) > 1
    remarks: list[Remark] = [
        Ended(Status(status), reason, tuple(seeds) if several else ())
        for (status, reason), seeds in bad.items()
    ]
    good = sum(_counts(result) for result in results.values())
    if _status(row, results) in (Status.PARTIAL, Status.MISSING):
        remarks.insert(0, Unfinished(good, len(row["runs"])))
    return remarks


def _parameters(row: dict, results: dict[int, dict], planned: dict[str, dict]) -> int | None:
    counts = [result["parameters"] for result in results.values()]
    counts += [planned.get(item["run"], {}).get("parameters") for item in row["runs"]]
    return next((int(count) for count in counts if count is not None and not pd.isna(count)), None)


def _verdict(published: dict, valid: float, test: float) -> Verdict | None:
    """Compare with the published test value, or the valid one where only that exists."""
    for split, value in (("test", test), ("valid", valid)):
        if published.get(split) is not None and not math.isnan(value):
            relative = value / published[split] - 1
            if abs(relative) <= TOLERANCE:
                return Verdict.REPRODUCED
            return Verdict.HIGHER if relative > 0 else Verdict.LOWER
    return None
