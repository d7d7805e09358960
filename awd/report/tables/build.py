"""Records -> one table per suite, and one of all: published beside reproduced, in four formats."""

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from awd.files import atomic, write_text
from awd.report.comparability import measured_otherwise
from awd.report.stats import Difference, Result, holm, mean_and_deviation, paired_difference
from awd.report.tables.layout import COUNTED, NO_INTERVAL, UNVERIFIED, published_columns
from awd.report.tables.typeset import html, latex, markdown

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
TOLERANCE = 0.03  # of the published perplexity; within it a value counts as reproduced


FORMATS = ("csv", "md", "tex", "html")


def build(
    suite: dict, records: pd.DataFrame, scale: str, planned: dict[str, dict] | None = None
) -> pd.DataFrame:
    """One line per row and corpus of the suite, in its order, with exactly COLUMNS.

    ``suite`` is an entry of the plan's ``suites``, ``records`` the frame of awd.report.records,
    ``planned`` the plan's ``runs``, which know the parameters of what is not trained yet.
    Perplexities are means over seeds, unrounded. The base row has no difference, nor has one that
    leaks or that is ``incomparable``: measured otherwise, which differs in what is told there
    (awd.report.comparability). ``interval``
    says what the interval knows of (report.stats); ``p_holm`` is ``p`` corrected for the number of
    rows compared on the corpus.
    """
    found = _by_seed(suite, records)
    bases = {row["corpus"]: row for row in suite["rows"] if row["row"] == suite.get("base")}
    apart = measured_otherwise(suite, records)
    lines = []
    for row in suite["rows"]:
        results = found[row["row"], row["corpus"]]
        status, notes = _status(row, results)
        base = bases.get(row["corpus"])
        of_base = {} if base is None else found[base["row"], base["corpus"]]
        incomparable = apart.get((row["row"], row["corpus"]))
        values = {
            split: {seed: r[split] for seed, r in results.items() if split in r}
            for split in ("train", "valid", "test")
        }
        train, _ = mean_and_deviation(list(values["train"].values()))
        valid, valid_sd = mean_and_deviation(list(values["valid"].values()))
        test, test_sd = mean_and_deviation(list(values["test"].values()))
        delta = Difference()
        if base is not row and status in COUNTED and not incomparable:
            delta = paired_difference(_measured(results), _measured(of_base))
        published = published_columns(row).get("paper", {})
        remarks = [
            row.get("note"),
            *notes,
            _backward(results),
            _never_averaged(row, results, planned or {}),
            f"not comparable with the other rows: {incomparable}" if incomparable else None,
            NO_INTERVAL if not math.isnan(delta.difference) and not delta.interval else None,
            None if published.get("verified", True) else UNVERIFIED,
        ]
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
                "interval": delta.interval,
                "seconds_per_epoch": mean_and_deviation(
                    [r["seconds"] for r in results.values() if not math.isnan(r["seconds"])]
                )[0],
                "status": status,
                "verdict": _verdict(published, valid, test)
                if scale == "paper" and status in COUNTED and not incomparable
                else None,
                "incomparable": incomparable,
                "note": "; ".join(filter(None, remarks)),
            }
        )
    frame = pd.DataFrame(lines, columns=COLUMNS)
    frame["p_holm"] = frame.groupby("corpus", sort=False)["p"].transform(holm)
    numbers = set(COLUMNS[COLUMNS.index("params") : COLUMNS.index("status")]) - {"interval"}
    kinds = dict.fromkeys(numbers, "float64")
    return frame.astype(kinds | {"params": "Int64", "n": "int64"})


def combine(suites: list[dict], frames: list[pd.DataFrame]) -> tuple[dict, pd.DataFrame]:
    """All suites as one, to be written like one: the rows of each under its name."""
    parts = [part for part in suites if part["rows"]]
    together = {"suite": "all", "title": "All studies", "parts": parts}
    return together, pd.concat([f for f in frames if len(f)] or frames, ignore_index=True)


def write(
    frame: pd.DataFrame, suite: dict, scale: str, stem: Path, formats: Collection[str] = FORMATS
) -> list[Path]:
    """Write ``stem``.csv, .md, .tex, .html, or those in ``formats``, each whole or not at all."""
    paths = []
    for kind in FORMATS:
        if kind not in formats:
            continue
        path = Path(f"{stem}.{kind}")
        if kind == "csv":
            with atomic(path) as temporary:
                frame.to_csv(temporary, index=False)
        else:
            typeset = {"md": markdown, "tex": latex, "html": html}[kind]
            write_text(path, typeset(frame, suite, scale))
        paths.append(path)
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
        result["epochs"], result["switch"] = line.epochs, line.switch_epoch
        result["seconds"] = line.seconds_per_epoch
        if not math.isnan(line.perplexity):
            result[line.split] = line.perplexity
        if isinstance(line.block_nll, str):
            result["blocks"] = (line.block_tokens, line.block_nll)
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


def _backward(results: dict[int, dict]) -> str | None:
    """What a second, backward direction reached, which no column has room for."""
    names = ("valid-backward", "test-backward")
    values = [[result.get(name, math.nan) for result in results.values()] for name in names]
    means = [mean_and_deviation(each)[0] for each in values]
    if any(map(math.isnan, means)):
        return None
    return "perplexity of the backward direction, valid and test: {:.2f}, {:.2f}".format(*means)


def _never_averaged(row: dict, results: dict[int, dict], planned: dict[str, dict]) -> str | None:
    """Of a row of NT-ASGD, that its trigger did not fire: the row is then one of SGD."""
    specs = [planned.get(item["run"], {}).get("spec", {}) for item in row["runs"]]
    if row["stage"] != "train" or "nt-asgd" not in [spec.get("optimizer") for spec in specs]:
        return None
    lasting = [result for result in results.values() if _counts(result)]
    plain = [result for result in lasting if pd.isna(result["switch"])]
    if not plain or pd.isna(plain[0]["epochs"]):
        return None
    seeds = f" with {len(plain)} of {len(lasting)} seeds" if len(lasting) > 1 else ""
    return f"averaging did not start in its {plain[0]['epochs']} epochs{seeds}"


def _measured(results: dict[int, dict]) -> dict[int, Result]:
    """What may be compared, by seed."""
    return {
        seed: Result(
            result["test"],
            *(np.array(numbers.split(), dtype=np.float64) for numbers in result.get("blocks", ())),
        )
        for seed, result in results.items()
        if "test" in result and _counts(result)
    }


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
        + (status.removesuffix("s") if len(seeds) > 1 else status)
        + (f": {reason}" if reason else "")
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
