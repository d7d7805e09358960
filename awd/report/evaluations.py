"""Which evaluations the rows of a suite of the plan consist of."""

from collections.abc import Mapping
from typing import TypeVar

from awd.study import parts
from awd.study.methods import parse_method

Evaluation = tuple[str, str, str]
"""Run, stage and method."""
Found = TypeVar("Found")


def runs_of(suite: Mapping) -> set[str]:
    """Return the runs of a suite's rows."""
    return {item["run"] for row in suite["rows"] for item in row["runs"]}


def name_members(suite: Mapping, runs: Mapping[str, dict]) -> None:
    """Note in each ensemble of a suite its other ``members``: the plan's ``runs`` of its seeds."""
    for row in suite["rows"]:
        method = parse_method(row["method"])
        for item in row["runs"] if method.models > 1 else ():
            seeds, found = method.seeds(item["seed"]), parts.alike(runs, item["run"])
            named = {runs[name]["spec"].get("seed"): name for name in found - {item["run"]}}
            item["members"] = [named[seed] for seed in seeds if seed in named]


def trainings_of(row: Mapping) -> list[str]:
    """Return the runs whose trainings a row needs, also those of an ensemble's other members."""
    return [run for item in row["runs"] for run in (item["run"], *item.get("members", ()))]


def evaluations_of(row: Mapping) -> list[Evaluation]:
    """Return the evaluations of a row, seed by seed."""
    return [(item["run"], row["stage"], row["method"]) for item in row["runs"]]


def by_seed(row: Mapping, found: Mapping[Evaluation, Found]) -> dict[int, Found]:
    """Return what was ``found`` of a row, by seed, of the seeds that have something."""
    keys = zip(row["runs"], evaluations_of(row), strict=True)
    return {item["seed"]: found[key] for item, key in keys if key in found}
