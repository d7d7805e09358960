"""A suite's table as the page shows it: cells that sort, and how to run each row again."""

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from awd.report.figures.values import ensemble_size
from awd.report.overview import duration
from awd.report.page.charts import Span, Spans, spans
from awd.report.tables.layout import (
    DASH,
    NO_INTERVAL,
    UNVERIFIED,
    Body,
    Cell,
    body,
    published_columns,
)
from awd.report.tables.typeset import HTML
from awd.study.plan import USUAL

SPLITS = ("train", "valid", "test")
STATES = ("done", "partial", "missing", "diverged", "leaks")
SIGNS = {
    "reproduced": "\N{CHECK MARK}",
    "done": "\N{CHECK MARK}",
    "lower": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "higher": "\N{BLACK UP-POINTING TRIANGLE}",
    "partial": "\N{CIRCLE WITH LEFT HALF BLACK}",
    "missing": "\N{WHITE CIRCLE}",
    "diverged": "\N{MULTIPLICATION X}",
    "leaks": "\N{WARNING SIGN}\N{VARIATION SELECTOR-15}",
}
"""Outcomes in the order they sort, and a sign for each: nothing is told by colour alone."""
OUTCOME, TIME = "Outcome", "Time"  # columns that the page alone has
SHOWN = (
    *(f"{who} {split}" for who in ("Published", "Reproduced") for split in SPLITS),
    *(OUTCOME, "Δ", "95% interval", "p (Holm)", "Params", TIME),
)
"""Columns in their order; others of awd.report.tables.layout stand with what belongs to the row."""
PIECES = HTML._replace(mark=lambda _, number: f"\0{number}")  # the page places the mark itself


class Column(NamedTuple):
    """A heading, the group it stands in ("" for none), and whether it is context only."""

    name: str
    group: str = ""
    pale: bool = False


class Row(NamedTuple):
    """A line of the table."""

    label: str
    title: Markup  # the label as it is shown
    base: bool
    status: str
    outcome: str  # a key of SIGNS
    reason: str
    note: str  # number of its footnote, or ""
    cells: list[tuple[Markup, float | None]]  # text, and the number it sorts by; None sorts last
    test: str
    span: Span | None
    again: "Again"


class Again(NamedTuple):
    """All that it takes to run a row again, and how it was run."""

    command: str
    stage: str
    method: str
    changes: list[tuple[str, str, str]]
    published: list[tuple[str, str]]
    shared: list[str]
    cost: str
    seeds: list[dict]


class Table(NamedTuple):
    """The rows of a suite on one corpus."""

    corpus: str
    name: str
    columns: list[Column]
    groups: list[tuple[Column, int]]
    rows: list[Row]
    spans: Spans | None


class Trainings:
    """What is known of every training: results by run, stage and method, and time spent."""

    def __init__(self, plan: Mapping, records: pd.DataFrame, curves: pd.DataFrame):
        self.plan = plan
        self.results: dict[tuple[str, str, str], dict] = {}
        for line in records.to_dict("records"):
            key = (line["run"], line["stage"], line["method"])
            result = self.results.setdefault(key, {**line})
            if not math.isnan(line["perplexity"]):
                result[line["split"]] = line["perplexity"]
        spent = curves.groupby(["run", "stage"])["seconds"].sum() if "seconds" in curves else {}
        self.seconds: dict[tuple[str, str], float] = dict(spent)
        self.devices = {run: result["device"] for (run, *_), result in self.results.items()}
        self.rows: dict[str, list[str]] = {}
        for suite in plan["suites"]:
            for row in suite["rows"]:
                for item in row["runs"]:
                    self.rows.setdefault(item["run"], []).append(f"{suite['suite']}/{row['row']}")

    def spent(self, row: dict) -> dict[tuple[str, str], float]:
        """Seconds by run and stage that a row's result took to train.

        Of an ensemble one member is known by name; the others are taken to cost the same.
        """
        stages = ("train", "finetune")[: 1 + (row["stage"] == "finetune")]
        keys = [(item["run"], stage) for item in row["runs"] for stage in stages]
        members = ensemble_size(row["method"])
        return {key: members * self.seconds[key] for key in keys if key in self.seconds}

    def hours(self, seconds: Mapping[tuple[str, str], float]) -> str:
        """Time as core-hours and GPU-hours."""
        totals: dict[str, float] = {}
        for (run, _), spent in seconds.items():
            threads = re.search(r"(\d+) thread", str(self.devices.get(run, "1 thread")))
            unit, factor = ("core", int(threads[1])) if threads else ("GPU", 1)
            totals[unit] = totals.get(unit, 0.0) + factor * spent / 3600
        return " and ".join(_cost(hours, unit) for unit, hours in totals.items())


def tables(suite: dict, frame: pd.DataFrame, trainings: Trainings) -> tuple[list[Table], Body]:
    """A table per corpus of a suite, in its order, and what is to be said about them.

    ``frame`` is the suite's table of awd.report.tables.
    """
    made = body(frame, suite, trainings.plan["scale"], PIECES)
    groups = frame.groupby("corpus", sort=False)
    return [
        _table(suite, corpus, lines, made, number, trainings)
        for number, (corpus, lines) in enumerate(groups)
    ], made


def _table(
    suite: dict, corpus: str, frame: pd.DataFrame, made: Body, number: int, trainings: Trainings
) -> Table:
    planned = {row["row"]: row for row in suite["rows"] if row["corpus"] == corpus}
    base = planned.get(suite.get("base"))
    spread = spans(frame)
    group = made.groups[number]
    names = [name for name in SHOWN if name in (*made.header, OUTCOME, TIME)]
    rows = []
    for place, (line, marked) in enumerate(group.lines):
        row = planned[line["row"]]
        cells = dict(zip(made.header, marked, strict=True))
        outcome = line["verdict"] if isinstance(line["verdict"], str) else line["status"]
        words = cells.get("Verdict" if outcome != line["status"] else "Status", Cell("done"))
        cells[OUTCOME] = Cell(words.text, list(SIGNS).index(outcome))
        seconds = sum(trainings.spent(row).values())
        cells[TIME] = Cell(duration(seconds), seconds) if seconds else Cell(DASH)
        title, _, note = cells[""].text.partition("\0")
        rows.append(
            Row(
                line["label"],
                Markup(title),  # noqa: S704 - escaped by awd.report.tables.typeset.HTML, as are the cells
                row is base,
                line["status"],
                outcome,
                reason(line, row),
                note,
                [_sortable(cells[name]) for name in names],
                _number(line["test"]),
                spread.spans[place] if spread else None,
                _again(suite, row, base, trainings),
            )
        )
    columns = [_column(name, trainings.plan["scale"]) for name in names]
    heads: list[tuple[Column, int]] = []
    for column in columns:
        if heads and column.group and heads[-1][0].group == column.group:
            heads[-1] = (heads[-1][0], heads[-1][1] + 1)
        else:
            heads.append((column, 1))
    return Table(corpus, group.title, columns, heads, rows, spread)


def _column(name: str, scale: str) -> Column:
    group, _, split = name.rpartition(" ")
    if split not in SPLITS:
        return Column(name)
    return Column(split, group, group == "Published" and scale != "paper")


def _sortable(cell: Cell) -> tuple[Markup, float | None]:
    known = cell.value is not None and not pd.isna(cell.value) and math.isfinite(cell.value)
    return Markup(cell.text), float(cell.value) if known else None  # noqa: S704


def reason(line: dict, row: dict) -> str:
    """What the note of a table's line says about its status."""
    said = {NO_INTERVAL, UNVERIFIED, *(row.get("note") or "").split("; ")}
    parts = [part for part in line["note"].split("; ") if part not in said]
    parts = [part for part in parts if not re.fullmatch(r"\d+ of \d+ seeds|not comp.*", part)]
    return "; ".join(parts).removeprefix(f"{line['status']}: ")


def _again(suite: dict, row: dict, base: dict | None, trainings: Trainings) -> Again:
    runs = trainings.plan["runs"]
    theirs = runs[base["runs"][0]["run"]]["spec"] if base else {}
    others = {name for item in row["runs"] for name in trainings.rows[item["run"]]} - {
        f"{suite['suite']}/{row['row']}"
    }
    return Again(
        command(trainings.plan, suite, row),
        row["stage"],
        row["method"],
        [
            (key, _setting(theirs.get(key)), _setting(value))
            for key, value in row["changes"].items()
        ],
        [
            (
                name if name != "paper" else "",
                ", ".join(f"{s} {_number(cell[s])}" for s in SPLITS if s in cell),
            )
            for name, cell in published_columns(row).items()
            if any(split in cell for split in SPLITS)
        ],
        sorted(others),
        trainings.hours(trainings.spent(row)),
        [_seed(item, row, trainings) for item in row["runs"]],
    )


def command(plan: Mapping, suite: Mapping, row: Mapping) -> str:
    """What to type to train and evaluate a row again, whatever exists already."""
    targets = [f"results/runs/{i['run']}/{row['stage']}.{row['method']}.json" for i in row["runs"]]
    seeds = list(plan["seeds"])
    settings = {
        "scale": plan["scale"],
        **{key: plan.get(key, value) for key, value in USUAL.items()},
        "suites": suite["suite"],
        "corpora": row["corpus"],
        "seeds": len(seeds) if seeds == list(range(1, len(seeds) + 1)) else str(seeds),
    }
    usual = USUAL | {"seeds": 1}
    config = [f"{k}={v}".replace(" ", "") for k, v in settings.items() if usual.get(k) != v]
    words = ["snakemake", "--cores", "all", *targets, "--forcerun", "train", "--config", *config]
    return shlex.join(words)


def _seed(item: dict, row: dict, trainings: Trainings) -> dict:
    """One run of a row: what was measured, where, with what."""
    result = trainings.results.get((item["run"], row["stage"], row["method"]))
    found = {"seed": item["seed"], "run": item["run"]}
    if result is None:
        return found | {"state": "not evaluated yet"}
    one = row | {"runs": [item]}
    seconds = sum(trainings.spent(one).values())
    shown = {
        "state": result["status"],
        "valid": _number(result.get("valid")),
        "test": _number(result.get("test")),
        "epochs": _whole(result["epochs"]),
        "best": _whole(result["best_epoch"]),
        "averaging": _whole(result["switch_epoch"]),
        "time": duration(seconds) if seconds else DASH,
        "memory": f"{result['peak_memory_mb']:,.0f} MB" if result["peak_memory_mb"] > 0 else DASH,
        "speed": _number(result["tokens_per_second"], "{:,.0f}"),
        "resumes": _whole(result["resumes"]),
    }
    told = {key: _text(result[key]) for key in ("device", "precision", "torch", "commit", "ended")}
    return found | shown | told


def _number(value: float | None, shape: str = "{:,.2f}") -> str:
    return DASH if pd.isna(value) else shape.format(value)


def _whole(value: float) -> str:
    return DASH if pd.isna(value) else str(int(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else DASH


def _setting(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off"}.get(value, DASH)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cost(hours: float, unit: str) -> str:
    if hours < 0.02:
        return f"{3600 * hours:.0f} {unit}-seconds"
    return f"{hours:,.0f} {unit}-hours" if hours >= 10 else f"{hours:.2g} {unit}-hours"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def listed(names: Iterable[str], most: int = 8) -> str:
    """Names in a sentence, the first few of many."""
    names = list(names)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")
