"""A suite's table as the page shows it: entries that sort, and how to run each row again."""

import math
import shlex
from collections.abc import Mapping
from itertools import groupby
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from awd.report import words
from awd.report.agreement import Verdict
from awd.report.costs import Costs
from awd.report.page.intervals import Span, Spans, spans
from awd.report.remarks import (
    Ahead,
    AsFrequencies,
    Ended,
    Incomparable,
    NoInterval,
    NoPublishedInterval,
    Note,
    OwnNoise,
    SeedsMissing,
)
from awd.report.tables.build import published_columns
from awd.report.tables.html import MARKUP
from awd.report.tables.layout import (
    PUBLISHED,
    REPRODUCED,
    Body,
    Column,
    Entry,
    Group,
    Line,
    body,
    finite,
    number,
)
from awd.report.words import DASH
from awd.runs.progress import duration
from awd.study.dialect import USUAL
from awd.study.methods import parse_method
from awd.vocabulary import FAILED, Split, Status

PERPLEXITY = "{:,.2f}"
STATES = (Status.DONE, Status.PARTIAL, Status.MISSING, *FAILED, Status.LEAKS)
SIGNS = {
    Verdict.REPRODUCED: "\N{CHECK MARK}",
    Verdict.CLOSE: "\N{ALMOST EQUAL TO}",
    Status.DONE: "\N{CHECK MARK}",
    Verdict.LOWER: "\N{BLACK DOWN-POINTING TRIANGLE}",
    Verdict.HIGHER: "\N{BLACK UP-POINTING TRIANGLE}",
    Status.PARTIAL: "\N{CIRCLE WITH LEFT HALF BLACK}",
    Status.MISSING: "\N{WHITE CIRCLE}",
    Status.DIVERGED: "\N{MULTIPLICATION X}",
    Status.HOPELESS: "\N{HEAVY GREEK CROSS}",
    Status.LEAKS: "\N{WARNING SIGN}\N{VARIATION SELECTOR-15}",
}
"""Outcomes in the order they sort, and a sign for each: nothing is shown by colour alone."""
OUTCOME, TIME = Column("outcome"), Column("time")  # columns that the page alone has
SHOWN = (
    *(Column(split, group) for group in (PUBLISHED, REPRODUCED) for split in Split),
    OUTCOME,
    *map(Column, ("delta", "interval", "p_holm", "parameters")),
    TIME,
)
"""Columns in their order; the others of report.tables.layout stand with what belongs to the row."""


class PageColumn(NamedTuple):
    """The words of a column on the page.

    ``group`` is the heading of its group ("" for none); ``pale``: it is context only.
    """

    name: str
    heading: str
    group: str = ""
    pale: bool = False


class Row(NamedTuple):
    """A line of the table."""

    label: str
    title: Markup  # the label as it is shown
    base: bool
    status: str
    outcome: Status | Verdict
    reason: str
    note: int | None  # number of its footnote
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
    columns: list[PageColumn]
    groups: list[tuple[PageColumn, int]]  # each group by its first column, and its width
    rows: list[Row]
    spans: Spans | None


class Trainings:
    """All trainings of a plan: results by run, stage and method, and what they cost."""

    def __init__(self, plan: Mapping, records: pd.DataFrame, curves: pd.DataFrame):
        self.plan = plan
        self.costs = Costs(records, curves)
        self.results: dict[tuple[str, str, str], dict] = {}
        for line in records.to_dict("records"):
            key = (line["run"], line["stage"], line["method"])
            result = self.results.setdefault(key, {**line})
            if not math.isnan(line["perplexity"]):
                result[line["split"]] = line["perplexity"]
        self.rows: dict[str, list[str]] = {}
        for suite in plan["suites"]:
            for row in suite["rows"]:
                for item in row["runs"]:
                    self.rows.setdefault(item["run"], []).append(f"{suite['suite']}/{row['row']}")


def tables(suite: dict, frame: pd.DataFrame, trainings: Trainings) -> tuple[list[Table], Body]:
    """Make a table per corpus of a suite, in its order; and return its caption and notes.

    ``frame`` is the suite's table of report.tables.
    """
    made = body(frame, suite, trainings.plan["scale"], MARKUP)
    by_corpus = frame.groupby("corpus", sort=False)
    return [
        _table(suite, corpus, lines, group, made.columns, trainings)
        for group, (corpus, lines) in zip(made.groups, by_corpus, strict=True)
    ], made


def _table(
    suite: dict,
    corpus: str,
    frame: pd.DataFrame,
    group: Group,
    laid_out: list[Column],
    trainings: Trainings,
) -> Table:
    planned = {row["row"]: row for row in suite["rows"] if row["corpus"] == corpus}
    base = planned.get(suite.get("base"))
    spread = spans(frame)
    shown = [column for column in SHOWN if column in (*laid_out, OUTCOME, TIME)]
    rows = []
    for place, line in enumerate(group.lines):
        row = planned[line.facts["row"]]
        outcome = _outcome(line)
        seconds = sum(trainings.costs.of_row(row).values())
        judged = Column("verdict" if isinstance(outcome, Verdict) else "status")
        entries = line.entries | {
            OUTCOME: Entry(line.entries[judged].text, list(SIGNS).index(outcome)),
            TIME: Entry(duration(seconds), seconds) if seconds else Entry(DASH),
        }
        rows.append(
            Row(
                line.facts["label"],
                Markup(line.label),  # noqa: S704 - escaped by report.tables.html, as are the entries
                row is base,
                line.facts["status"],
                outcome,
                reason(line.facts),
                line.note,
                [_sortable(entries[column]) for column in shown],
                number(line.facts["test"], PERPLEXITY),
                spread.spans[place] if spread else None,
                _again(suite, row, base, trainings),
            )
        )
    columns = [_column(column, trainings.plan["scale"]) for column in shown]
    return Table(corpus, group.title, columns, _groups(shown, columns), rows, spread)


def _groups(shown: list[Column], columns: list[PageColumn]) -> list[tuple[PageColumn, int]]:
    """The first column of each group and the group's width; a column without a group is its own."""
    found: list[tuple[PageColumn, int]] = []
    for name, pairs in groupby(zip(shown, columns, strict=True), key=lambda pair: pair[0].group):
        members = [column for _, column in pairs]
        found += [(members[0], len(members))] if name else [(each, 1) for each in members]
    return found


def _outcome(line: Line) -> Status | Verdict:
    verdict = line.facts["verdict"]
    return Verdict(verdict) if isinstance(verdict, str) else Status(line.facts["status"])


def _column(column: Column, scale: str) -> PageColumn:
    group = words.group_heading(column.group) if column.group else ""
    pale = column.group == PUBLISHED and scale != "paper"
    return PageColumn(str(column.name), words.heading(column.name, column.group), group, pale)


def _sortable(entry: Entry) -> tuple[Markup, float | None]:
    return Markup(entry.text), finite(entry.value)  # noqa: S704


def reason(line: dict) -> str:
    """Return why a row has the state that it has, as far as its remarks give a reason."""
    others = (
        *(Note, SeedsMissing, Incomparable, AsFrequencies),
        *(NoInterval, NoPublishedInterval, OwnNoise, Ahead),
    )
    found = [each for each in line["remarks"] if not isinstance(each, others)]
    plain = [
        each.reason if isinstance(each, Ended) and not each.seeds and each.reason else each
        for each in found
    ]
    return "; ".join(each if isinstance(each, str) else words.remark(each) for each in plain)


def _again(suite: dict, row: dict, base: dict | None, trainings: Trainings) -> Again:
    runs = trainings.plan["runs"]
    costs, seconds = trainings.costs, trainings.costs.of_row(row)
    base_spec = runs[base["runs"][0]["run"]]["spec"] if base else {}
    others = {name for item in row["runs"] for name in trainings.rows[item["run"]]} - {
        f"{suite['suite']}/{row['row']}"
    }
    return Again(
        command(trainings.plan, suite, row),
        row["stage"],
        row["method"],
        [
            (key, _setting(base_spec.get(key)), _setting(value))
            for key, value in row["changes"].items()
        ],
        [
            (
                name if name != "paper" else "",
                ", ".join(f"{s} {number(values[s], PERPLEXITY)}" for s in Split if s in values),
            )
            for name, values in published_columns(row).items()
            if any(split in values for split in Split)
        ],
        sorted(others),
        words.cost(costs.hours(seconds), costs.energy_of_row(row)),
        [_seed(item, row, trainings) for item in row["runs"]],
    )


def command(plan: Mapping, suite: Mapping, row: Mapping) -> str:
    """Return the command that trains and evaluates a row again, whatever exists already."""
    results = plan.get("results", "results")
    record = f"{row['stage']}.{row['method']}.json"
    targets = [f"{results}/runs/{item['run']}/{record}" for item in row["runs"]]
    seeds = [item["seed"] for item in row["runs"]]
    settings = {
        "scale": plan["scale"],
        **{key: plan.get(key, value) for key, value in USUAL.items()},
        "suites": suite["suite"],
        "corpora": row["corpus"],
        "seeds": len(seeds) if seeds == list(range(1, len(seeds) + 1)) else str(seeds),
    }
    settings["results"] = results
    usual = USUAL | {"seeds": 1, "results": "results"}
    config = [f"{k}={v}".replace(" ", "") for k, v in settings.items() if usual.get(k) != v]
    words = ["snakemake", "--cores", "all", *targets, "--forcerun", "train", "--config", *config]
    return shlex.join(words)


def _seed(item: dict, row: dict, trainings: Trainings) -> dict:
    """One run of a row: what was measured, where, with what."""
    result = trainings.results.get((item["run"], row["stage"], row["method"]))
    seeds = ", ".join(map(str, parse_method(row["method"]).seeds(item["seed"])))
    found = {"seed": seeds, "run": item["run"]}
    if result is None:
        return found | {"state": "not evaluated yet"}
    one = row | {"runs": [item]}
    seconds = sum(trainings.costs.of_row(one).values())
    shown = {
        "state": result["status"],
        "valid": number(result.get("valid"), PERPLEXITY),
        "test": number(result.get("test"), PERPLEXITY),
        "epochs": _whole(result["epochs"]),
        "best": _whole(result["best_epoch"]),
        "averaging": _whole(result["switch_epoch"]),
        "time": duration(seconds) if seconds else DASH,
        "memory": f"{result['peak_memory_mb']:,.0f} MB" if result["peak_memory_mb"] > 0 else DASH,
        "speed": number(result["tokens_per_second"], "{:,.0f}"),
        "resumes": _whole(result["resumes"]),
    }
    origin = {key: _text(result[key]) for key in ("precision", "torch", "commit", "ended")}
    devices = words.device_names((result["devices"] or {}).get(row["stage"]))
    return found | shown | origin | {"device": devices}


def _whole(value: float) -> str:
    return DASH if pd.isna(value) else str(int(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else DASH


def _setting(value: object) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
