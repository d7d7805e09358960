"""Runs on a terminal: what each run is doing right now.

States come from the files that runs leave, so the trainings may run on other machines of a
cluster: only the folder of results is needed.
"""

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from awd.errors import InputError
from awd.files import read_json
from awd.report.words import plural
from awd.runs.progress import WRITE, duration, perplexity_in_words, progress_file
from awd.study.plan import Plan, Run
from awd.vocabulary import FAILED, Stage, Status

STALE = 12 * WRITE
"""Seconds without news after which a training is taken to be no more."""
PAUSE = 2.0
"""Seconds between two looks when watching."""


class State(StrEnum):
    """What a run is doing, in the order in which people want to know."""

    RUNNING = "running"
    STOPPED = "stopped"
    DIVERGED = Status.DIVERGED
    HOPELESS = Status.HOPELESS
    WAITING = "waiting"
    DONE = "done"


OVER = (State.DIVERGED, State.HOPELESS, State.DONE)
STYLES = {State.RUNNING: "bold", State.STOPPED: "yellow", State.DIVERGED: "red"} | {
    State.HOPELESS: "red",
    State.WAITING: "",
    State.DONE: "green",
}
NUMBERS = ("epoch", "tokens/s", "valid perplexity", "time left")
NAMES = ("run", "row")
COLUMNS = (*NAMES, "state", "stage", *NUMBERS)
NARROW = ("row", "seed", "now", *(name for name in NUMBERS if name != "tokens/s"))
"""What there is room for in a usual terminal of 80 columns."""
ROOMY = 140
"""Columns of a terminal from which on the names of runs have room."""
GAP = 2
"""Spaces between columns."""
SHORTEST = 20
"""Characters that are left of a name at least."""
EVALUATION = "evaluate"  # what follows the stages of a training


@dataclass(frozen=True)
class RunState:
    """What ``run`` is doing: its ``state``, and how far its ``stage`` is.

    ``facts`` has the keys of a progress file; what is not known is missing or None.
    """

    run: Run
    state: State
    stage: str
    facts: dict


def run_state(run: Run, checkpoints: Path) -> RunState:
    """Find out what one run is doing.

    Waiting: nothing of its next stage exists yet; after all training that is the evaluation.
    Running: its progress file is fresh. Stopped: a progress file or checkpoint exists, but no
    process works on it. Diverged, hopeless and done: so its records say.
    """
    facts: dict = {}
    failed: list[Status] = []
    for stage in run.all_stages:
        record = _record(run, stage)
        if record is None:
            found = _unfinished(run, stage, checkpoints)
            # A training that has ended meanwhile wrote its record before it deleted its progress.
            if found.state is State.RUNNING or (record := _record(run, stage)) is None:
                return found
        failed += [state for state in FAILED if record.get("status") == state]
        result = record.get("result") or {}
        facts = {
            "epoch": result.get("epochs"),
            "tokens_per_second": record.get("tokens_per_second"),
            "valid_perplexity": result.get("valid_perplexity"),
        }
    if failed:
        return RunState(run, State(failed[0]), stage, facts)
    if run.not_evaluated():
        perplexity = {"valid_perplexity": facts["valid_perplexity"]}
        return RunState(run, State.WAITING, EVALUATION, perplexity)
    return RunState(run, State.DONE, stage, facts)


def _record(run: Run, stage: Stage) -> dict | None:
    """The record of a stage; None while there is none."""
    try:
        return read_json(run.record(stage))
    except InputError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _unfinished(run: Run, stage: Stage, checkpoints: Path) -> RunState:
    path = progress_file(checkpoints, run.name, stage)
    facts = {}
    with suppress(InputError):  # no progress yet
        facts = read_json(path)
    if facts and _at_work(facts):
        return RunState(run, State.RUNNING, stage, facts)
    if facts or path.with_name(f"{stage}.checkpoint").exists():
        return RunState(run, State.STOPPED, stage, facts | {"seconds_left": None})
    return RunState(run, State.WAITING, stage, facts)


def _at_work(facts: dict) -> bool:
    """Whether the process that wrote ``facts`` still runs, by their age and, here, by its id."""
    if time.time() - facts["written"] > STALE:
        return False
    if facts["host"] != socket.gethostname():
        return True
    try:
        os.kill(facts["pid"], 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


def run_states(plan: Plan, before: Iterable[RunState] = ()) -> list[RunState]:
    """Find out what each run of ``plan`` is doing; those that were over ``before`` stay as is."""
    over = {each.run.name: each for each in before if each.state in OVER}
    return [over.get(run.name) or run_state(run, plan.checkpoints) for run in plan.runs.values()]


def show_states(plan: Plan) -> None:
    """Print the table of what each run of ``plan`` is doing, once."""
    console = terminal_or_wide()
    console.print(_table(plan, run_states(plan), console.width))


FACTS = (
    *("epoch", "epochs", "fraction", "tokens_per_second", "valid_perplexity"),
    *("seconds_left", "host", "written"),
)
"""What `status --json` has of each run; null where it is not known."""


def print_json(plan: Plan) -> None:
    """Print what each run of ``plan`` is doing, for a program: see docs/day-to-day.md."""
    found = run_states(plan)
    counts = Counter(each.state for each in found)
    runs = [
        {
            "run": each.run.name,
            "rows": each.run.rows,
            "state": each.state,
            "stage": each.stage,
            **{key: each.facts.get(key) for key in FACTS},
        }
        for each in found
    ]
    content = {"format": 1, "scale": plan.name, "results": str(plan.results)}
    content |= {"counts": {state: counts[state] for state in State}, "runs": runs}
    print(json.dumps(content, indent=1, allow_nan=False))


def watch_states(plan: Plan, pause: float = PAUSE) -> None:
    """Show the table of runs, as many as fit, every ``pause`` seconds until Ctrl-C or the end.

    Where the output is no terminal, print a line for each run whose state, stage or epoch changed.
    """
    console = Console()
    if not console.is_terminal:
        with suppress(KeyboardInterrupt):
            _watch_in_lines(plan, pause)
        return
    found = run_states(plan)
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            table = _table(plan, found, console.width, console.height - 5)
            live.update(table, refresh=True)
            if all(each.state in OVER for each in found):
                return
            time.sleep(pause)
            found = run_states(plan, found)


def _watch_in_lines(plan: Plan, pause: float) -> None:
    shown: dict[str, str] = {}
    found: list[RunState] = []
    while True:
        found = run_states(plan, found)
        for each in found:
            epoch = each.facts.get("epoch")
            words = [f"{each.run.name} {each.stage}: {each.state}"]
            words += [f"epoch {epoch}"] if epoch is not None else []
            words += filter(None, [perplexity_in_words({**each.facts, "train_perplexity": None})])
            line = ", ".join(words)
            if shown.get(each.run.name) != line:
                shown[each.run.name] = line
                print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
        if all(each.state in OVER for each in found):
            return
        time.sleep(pause)


def _table(plan: Plan, found: list[RunState], width: int, most: int | None = None) -> Group:
    """The runs sorted by state, the first ``most`` of them, and how many there are of each.

    In less than ROOMY columns, ``width``, a run is named by its first row and its seed.
    """
    order = list(State)
    ranked = sorted(found, key=lambda each: order.index(each.state))
    columns = COLUMNS if width >= ROOMY else NARROW
    lines = [_cells(each) for each in ranked[:most]]
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    widths = {
        heading: max(len(heading), *(len(cells[heading]) for cells in lines), 0)
        for heading in columns
    }
    # The table would cut numbers as well as names.
    room = width - sum(widths.values()) - GAP * (len(columns) - 1)
    for heading in reversed(NAMES):
        if room < 0 and heading in widths:
            cut = max(widths[heading] + room, SHORTEST)
            room += widths[heading] - cut
            widths[heading] = cut
    for heading, most_letters in widths.items():
        table.add_column(
            heading,
            justify="right" if heading in NUMBERS else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=most_letters,
        )
    for each, cells in zip(ranked, lines, strict=False):
        table.add_row(*(cells[heading] for heading in columns), style=STYLES[each.state])
    counts = Counter(each.state for each in found)
    summary = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    hidden = len(ranked) - len(lines)
    return Group(
        table,
        f"{plan.name}: {plural(len(found), 'run')}: {summary}"
        + (f" ({hidden} not shown)" if hidden else ""),
    )


def _cells(each: RunState) -> dict[str, str]:
    """What the table says of a run, by heading."""
    facts = each.facts
    first, *others = each.run.rows
    more = f" +{plural(len(others), 'row')}" if others else ""
    return {
        "run": each.run.name,
        "row": first + more,
        "seed": str(each.run.spec.seed),
        "state": each.state,
        "stage": each.stage,
        "now": each.stage if each.state == State.RUNNING else each.state,
        "epoch": _epoch(facts),
        "tokens/s": f"{facts['tokens_per_second']:,.0f}" if facts.get("tokens_per_second") else "",
        "valid perplexity": perplexity_in_words(facts).removeprefix("valid perplexity "),
        "time left": duration(facts["seconds_left"])
        if facts.get("seconds_left") is not None
        else "",
    }


def _epoch(facts: dict) -> str:
    if facts.get("epoch") is None:
        return ""
    if "epochs" not in facts:
        return str(facts["epoch"])
    share = facts["fraction"]
    return f"{facts['epoch']}/{facts['epochs']}" + (f" {share:4.0%}" if share < 1 else "     ")


def terminal_or_wide() -> Console:
    """Return the console; of a file or a pager, which have no edge to wrap at, a wide one."""
    console = Console()
    return console if console.is_terminal else Console(width=160)
