"""Records without a plan, as in a backup of results/runs alone: which studies need them."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from awd.errors import InputError
from awd.places import plan_command
from awd.study.config import load_config
from awd.study.parts import FOLDER


def lost_plan(results: Path, scales: Iterable[str], suites: Collection[str] = ()) -> str:
    """Return the sentence about records in ``results`` that have no plan; "" if there are none.

    It names the commands that plan the studies again, each with one of the ``scales`` and all
    studies that need one of the records: their noise is pooled, so the intervals of one study
    depend on the others. "" also if none of ``suites`` is among them.
    """
    found = {scale: studies_of_records(results, scale) for scale in scales}
    if suites:
        found = {scale: names for scale, names in found.items() if {*names} & {*suites}}
    commands = [
        f"`{plan_command(results, scale=scale, suites=','.join(names))}`"
        for scale, names in found.items()
        if names
    ]
    if not commands:
        return ""
    places = ", ".join(str(results / scale / FOLDER) for scale, names in found.items() if names)
    return (
        f"{results / 'runs'} has records, but the plans that say to which rows they belong are "
        f"missing ({places}): copy them from where the records come from, or plan again, with all "
        "words that the study was run with, such as seeds=3; this trains nothing: "
        + "; ".join(commands)
    )


def studies_of_records(results: Path, scale: str) -> list[str]:
    """Return the suites that plan a run of which there is a record in ``results``."""
    if not any(results.glob("runs/*/*.json")):
        return []
    from awd.study.plan import Plan  # takes as long to import as a report's tables to be written
    from awd.study.suite import suite_files

    found = []
    for suite in suite_files():
        words = {"scale": scale, "suites": [suite], "results": str(results)}
        with suppress(InputError):  # of a suite that has no such scale
            runs = Plan(load_config(overrides=words)).runs
            if any(any((results / "runs" / run).glob("*.json")) for run in runs):
                found.append(suite)
    return found
