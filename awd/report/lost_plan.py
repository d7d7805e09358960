"""Records without a plan, as in a backup of results/runs alone: which studies need them."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from awd.errors import InputError
from awd.places import plan_command
from awd.study.config import load_config
from awd.study.parts import FOLDER
from awd.study.plan import Plan
from awd.study.suite import suite_files


def lost_plan(results: Path, scales: Iterable[str], suites: Collection[str] = ()) -> str:
    """Return the sentence about records in ``results`` that have no plan; "" if there are none.

    It names the commands that plan the studies again, each with a scale and the studies that need
    one of the records. Only studies in ``suites`` are looked at, by default all that are known, and
    only these ``scales``.
    """
    found = {scale: studies_of_records(results, scale, suites) for scale in scales}
    commands = [
        f"`{plan_command(results, scale=scale, suites=','.join(names))}`"
        for scale, names in found.items()
        if names
    ]
    if not commands:
        return ""
    places = " and ".join(str(results / scale / FOLDER) for scale, names in found.items() if names)
    return (
        f"{results / 'runs'} has records, but {places}, which says what rows they are of, is "
        "missing: copy it from where the records come from; or plan the study again, with all "
        f"words that it was run with, such as seeds=3; this trains nothing: {'; '.join(commands)}"
    )


def studies_of_records(results: Path, scale: str, suites: Collection[str] = ()) -> list[str]:
    """Return those ``suites``, by default of all, that plan a run of which there is a record."""
    if not any(results.glob("runs/*/*.json")):
        return []
    found = []
    for suite in suites or suite_files():
        words = {"scale": scale, "suites": [suite], "results": str(results)}
        with suppress(InputError):  # of an unknown suite, or one that has no such scale
            runs = Plan(load_config(overrides=words)).runs
            if any(any((results / "runs" / run).glob("*.json")) for run in runs):
                found.append(suite)
    return found
