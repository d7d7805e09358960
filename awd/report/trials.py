"""The trials of a random search: gathered from their records, kept in the suite's folder, shown."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from awd.errors import InputError
from awd.files import atomic, read_text
from awd.report.stats import CONFIDENCE
from awd.report.tuning_curve import tuning_curve
from awd.report.words import DASH, corpus_name
from awd.runs.checkpoint import Checkpoint
from awd.runs.folder import read_record
from awd.study import tuning
from awd.study.plan import Plan
from awd.study.tuning import Choice, Trial
from awd.vocabulary import FAILED, Stage

COLUMNS = (
    "corpus",
    "row",
    "search",
    "trial",
    "status",
    "valid_perplexity",
    "best_epoch",
    "run",
)
"""Of the csv file, before those of the hyperparameters."""
SHOWN = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Points of the curve that are shown, beside the last one."""


def gather(plan: Plan) -> list[dict]:
    """Return a line for each trial of the plan that is trained, in their order."""
    lines = []
    for trial in plan.trials:
        folder = plan.runs[trial.run].folder
        if not (folder / "train.json").exists():
            continue
        record = read_record(folder, Stage.TRAIN)
        result = record.get("result") or {}
        lines.append(
            {
                "corpus": trial.corpus,
                "row": trial.row,
                "search": trial.search,
                "trial": trial.number,
                "status": record["status"],
                "valid_perplexity": result.get("valid_perplexity"),
                "best_epoch": result.get("best_epoch"),
                "run": trial.run,
                **trial.settings,
            }
        )
    return lines


def on_file(plan: Plan) -> list[dict]:
    """Return the lines of all trials of the suite at this scale so far."""
    (suite,) = plan.suites
    return read(tuning.file_of(suite, plan.scale).with_suffix(".csv"))


def perplexity(line: Mapping) -> float:
    """Return what a trial is judged by; infinite if it diverged or was hopeless."""
    value = line["valid_perplexity"]
    return math.inf if line["status"] in FAILED or value in (None, "") else float(value)


def keep(plan: Plan) -> tuple[Path, Path]:
    """Write the trials of the plan and what is chosen into the folder that the suite reads.

    Other corpora, rows and earlier searches in the files stay. Checkpoints of the trials are
    removed, unless the configuration keeps them: no evaluation will do it.

    Returns the csv file of trials and the file of choices. Raises InputError if a trial is not
    trained, if all of a row failed, or if a search has more trials on file than the plan: a
    search is continued, never cut.
    """
    (suite,) = plan.suites
    lines = gather(plan)
    if missing := len(plan.trials) - len(lines):
        raise InputError(f"{missing} of {len(plan.trials)} trials are not trained yet")
    former = on_file(plan)
    refuse_to_cut(plan, former)
    if not plan.config.keep_checkpoints:
        for trial in plan.trials:
            Checkpoint(plan.checkpoints, trial.run, Stage.TRAIN).remove()
    known = {line["run"] for line in lines}
    file = tuning.own_file(suite, plan.scale).with_suffix(".csv")
    _write(file, lines + [line for line in former if line["run"] not in known])
    choices = {
        corpus: dict(rows) for corpus, rows in tuning.read_choices(suite, plan.scale).items()
    }
    for (corpus, row), own in searches(plan).items():
        choices.setdefault(corpus, {})[row] = _choose(own, lines, f"row '{row}' on {corpus}")
    return file, tuning.write_choices(suite, plan.scale, choices)


def searches(plan: Plan) -> dict[tuple[str, str], list[Trial]]:
    """Return the trials by corpus and row."""
    found: dict[tuple[str, str], list[Trial]] = {}
    for trial in plan.trials:
        found.setdefault((trial.corpus, trial.row), []).append(trial)
    return found


def refuse_to_cut(plan: Plan, former: Iterable[Mapping]) -> None:
    """Raise InputError if a search on file has more trials than the plan."""
    former = list(former)
    asked = {trial.search: trial.number for trial in plan.trials}
    for line in former:
        number = int(line["trial"])
        if number > asked.get(line["search"], number):
            raise InputError(
                f"row '{line['row']}' has had trial {number}: a search is continued, never cut; "
                f"give a --budget of at least {max(int(each['trial']) for each in former)}"
            )


def _choose(trials: list[Trial], lines: list[dict], what: str) -> Choice:
    runs = {line["run"]: line for line in lines}
    best = min(trials, key=lambda trial: perplexity(runs[trial.run]))
    if math.isinf(value := perplexity(runs[best.run])):
        raise InputError(
            f"all {len(trials)} trials of {what} diverged or were hopeless: search other ranges"
        )
    return Choice(
        search=best.search,
        trials=len(trials),
        trial=best.number,
        valid_perplexity=value,
        set=dict(best.settings),
    )


def read(path: Path) -> list[dict]:
    """Read the file of trials; empty if there is none. Raises InputError if it is damaged."""
    if not path.exists():
        return []
    try:
        lines = list(csv.DictReader(io.StringIO(read_text(path), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    for line in lines:
        if any(line.get(column) is None for column in COLUMNS) or not line["trial"].isdigit():
            raise InputError(f"{path} is no file of trials; delete it to write it anew")
    return lines


def _write(path: Path, lines: list[dict]) -> None:
    lines = sorted(
        lines, key=lambda line: (*(line[key] for key in COLUMNS[:3]), int(line["trial"]))
    )
    keys = sorted({key for line in lines for key in line} - set(COLUMNS))
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *keys], lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def show(plan: Plan, console: Console) -> None:
    """Print the curve and the best trial of each row; of those that are trained so far."""
    lines = {line["run"]: line for line in gather(plan)}
    for (corpus, row), trials in searches(plan).items():
        done = [lines[trial.run] for trial in trials if trial.run in lines]
        if not done:
            continue
        console.print(
            _curve(f"{row} on {corpus_name(corpus)}", [perplexity(each) for each in done])
        )
        best = min(done, key=perplexity)
        settings = next(trial.settings for trial in trials if trial.run == best["run"])
        console.print(
            f"Best: trial {best['trial']} of {len(done)}, validation perplexity "
            f"{_number(perplexity(best))}: "
            + ", ".join(f"{key} {value}" for key, value in settings.items()),
            soft_wrap=True,
        )


def _curve(title: str, values: list[float]) -> Table:
    table = Table(box=None, pad_edge=False, title=title)
    table.add_column("trials", justify="right")
    for heading in ("expected best", "median best", f"{CONFIDENCE:.0%} band of the median"):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in tuning_curve(values):
        if point.trials in SHOWN or point.trials == len(values):
            ends = (_number(point.low), _number(point.high))
            table.add_row(
                str(point.trials),
                _number(point.expected),
                _number(point.median),
                f"{ends[0]} to {ends[1]}",
            )
    return table


def _number(value: float) -> str:
    return f"{value:,.2f}" if math.isfinite(value) else DASH
