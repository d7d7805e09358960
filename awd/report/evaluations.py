"""Which evaluations the rows of a suite of the plan consist of."""

from collections.abc import Mapping
from typing import TypeVar

Evaluation = tuple[str, str, str]
"""Run, stage and method."""
Found = TypeVar("Found")


def runs_of(suite: Mapping) -> set[str]:
    """Return the runs of a suite's rows."""
    return {item["run"] for row in suite["rows"] for item in row["runs"]}


def evaluations_of(row: Mapping) -> list[Evaluation]:
    """Return the evaluations of a row, seed by seed."""
    return [(item["run"], row["stage"], row["method"]) for item in row["runs"]]


def by_seed(row: Mapping, found: Mapping[Evaluation, Found]) -> dict[int, Found]:
    """Return what was ``found`` of a row, by seed, of the seeds that have something."""
    keys = zip(row["runs"], evaluations_of(row), strict=True)
    return {item["seed"]: found[key] for item, key in keys if key in found}
