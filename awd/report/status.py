"""What the runs of a plan are doing right now, told from the files that they leave.

Nothing is asked of the trainings themselves: they may run on other machines of a cluster. All
that is needed is the folder of results.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from awd.errors import InputError
from awd.files import read_json
from awd.places import RESULTS
from awd.runs.progress import WRITE, duration, perplexity_in_words, progress_file
from awd.study.plan import Plan, Run

STALE = 12 * WRITE
"""Seconds without news after which a training is taken to be no more."""
PAUSE = 2.0
"""Seconds between two looks when watching."""
STATES = {"running": "bold", "stopped": "yellow", "diverged": "red", "waiting": "", "done": "green"}
"""What a run may be doing, in the order in which people want to know, and its style."""


@dataclass(frozen=True)
class Status:
    """What ``run`` is doing: its ``state``, one of STATES, and how far its ``stage`` is.

    ``facts`` has the keys of a progress file; what is not known is missing or None.
    """

    run: Run
    state: str
    stage: str
    facts: dict


def status(run: Run, checkpoints: Path) -> Status:
    """What one run is doing.

    ``waiting``: nothing of its next stage is there yet, which is ``evaluate`` after all training;
    ``running``: its progress file is fresh; ``stopped``: it or a checkpoint is there, but nobody
    works on it; ``diverged`` and ``done``: its records say so.
    """
    facts: dict = {}
    diverged = False
    for stage in ("train", "finetune") if "finetune" in run.stages else ("train",):
        path = run.folder / f"{stage}.json"
        if not path.exists():
            return _unfinished(run, stage, checkpoints)
        record = read_json(path)
        diverged = diverged or record.get("status") == "diverged"
        result = record.get("result") or {}
        facts = {
            "epoch": result.get("epochs"),
            "tokens_per_second": record.get("tokens_per_second"),
            "valid_perplexity": result.get("valid_perplexity"),
        }
    if diverged:
        return Status(run, "diverged", stage, facts)
    for trained, method in run.evaluations:
        if not (run.folder / f"{trained}.{method}.json").exists():
            perplexity = {"valid_perplexity": facts["valid_perplexity"]}
            return Status(run, "waiting", "evaluate", perplexity)
    return Status(run, "done", stage, facts)


def _unfinished(run: Run, stage: str, checkpoints: Path) -> Status:
    path = progress_file(checkpoints, run.name, stage)
    facts = {}
    with suppress(InputError):  # not there
        facts = read_json(path)
    if facts and _at_work(facts):
        return Status(run, "running", stage, facts)
    if facts or path.with_name(f"{stage}.checkpoint").exists():
        return Status(run, "stopped", stage, facts | {"seconds_left": None})
    return Status(run, "waiting", stage, facts)


def _at_work(facts: dict) -> bool:
    """Whether who wrote these ``facts`` is still there: by their age, here also by the process."""
    if time.time() - facts["written"] > STALE:
        return False
    if facts["host"] != socket.gethostname():
        return True
    try:
        os.kill(facts["pid"], 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def statuses(plan: Plan, before: Iterable[Status] = (), results: Path = RESULTS) -> list[Status]:
    """The status of each run of ``plan``; what was over ``before`` is not looked at again."""
    over = {each.run.name: each for each in before if each.state in ("done", "diverged")}
    return [
        over.get(run.name) or status(run, results / "checkpoints") for run in plan.runs.values()
    ]


def show(plan: Plan) -> None:
    """Print the table of runs once."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a file or a pager has no edge to wrap at
    console.print(_table(plan, statuses(plan)))


def watch(plan: Plan, pause: float = PAUSE) -> None:
    """Show the table of runs, as many as fit, every ``pause`` seconds until Ctrl-C or the end."""
    console = Console()
    found = statuses(plan)
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(_table(plan, found, most=console.height - 5), refresh=True)
            if all(each.state in ("done", "diverged") for each in found):
                return
            time.sleep(pause)
            found = statuses(plan, found)


def _table(plan: Plan, found: list[Status], most: int | None = None) -> Group:
    """The statuses sorted by state, the first ``most`` of them, and how many there are of each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True, overflow="ellipsis")
    table.add_column("row", no_wrap=True, overflow="ellipsis")
    for heading in ("state", "stage"):
        table.add_column(heading, no_wrap=True)
    for heading in ("epoch", "tokens/s", "valid perplexity", "time left"):
        table.add_column(heading, justify="right", no_wrap=True)
    order = list(STATES)
    ranked = sorted(found, key=lambda each: order.index(each.state))
    for each in ranked[:most]:
        facts = each.facts
        first, *others = each.run.rows
        table.add_row(
            each.run.name,
            f"{first} +{len(others)}" if others else first,
            each.state,
            each.stage,
            _epoch(facts),
            f"{facts['tokens_per_second']:,.0f}" if facts.get("tokens_per_second") else "",
            perplexity_in_words(facts).removeprefix("valid perplexity "),
            duration(facts["seconds_left"]) if facts.get("seconds_left") is not None else "",
            style=STATES[each.state],
        )
    counts = Counter(each.state for each in found)
    summary = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    hidden = len(ranked) - len(ranked[:most])
    return Group(
        table,
        f"{plan.name}: {len(found)} runs: {summary}" + (f" ({hidden} not shown)" if hidden else ""),
    )


def _epoch(facts: dict) -> str:
    if facts.get("epoch") is None:
        return ""
    if "epochs" not in facts:
        return str(facts["epoch"])
    share = facts["fraction"]
    return f"{facts['epoch']}/{facts['epochs']}" + (f" {share:4.0%}" if share < 1 else "     ")
