"""A LaTeX table with the rows and columns that a writer chooses."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from awd.errors import InputError, nearest
from awd.report import words
from awd.report.tables.latex_text import bare_signs, escape
from awd.report.tables.layout import (
    DIFFERENCE,
    LABEL,
    SPREADS,
    STATUS,
    Body,
    Column,
    Entry,
    Line,
    Markup,
    body,
    usual,
)
from awd.vocabulary import Split

NUMBER = re.compile(
    r"(?P<before>(\\bfseries |\\color\{gray\} )?)(?P<sign>[-+]?)(?P<whole>\d+)"
    r"(\.(?P<decimals>\d+))?( \$\\pm\$ (?P<deviation>[\d.]+))?"
)
NUMBERS = Markup(
    text=escape,
    bold=lambda text: rf"\bfseries {text}",
    emphasis=lambda text: rf"\emph{{{text}}}",
    pale=lambda text: rf"\color{{gray}} {text}",
    struck=lambda text: rf"\struck{{{text}}}",
    mark=lambda _, number: rf"\textsuperscript{{{number}}}",
)
"""For columns of siunitx, where only what stands before a number may change its look."""
ABSENT = {
    "train": "only studies with published training perplexities have it",
    "published.": "no row here has this published number",
    "difference.": "no row here has this number both published and reproduced",
    "delta": "no row here can be compared with the base row",
    "seconds_per_epoch": "no row here is trained",
    "verdict": "rows have a verdict at scale paper only, if their perplexity is published",
    **dict.fromkeys(
        ("difference.valid_interval", "difference.test_interval"),
        "it needs scale paper, such a published number, and a row with several seeds",
    ),
} | dict.fromkeys(("interval", "p", "p_holm"), "it needs a row with several seeds")
"""Why a table has no such column, by the column's name or group."""
INTERVAL_OF = {
    "interval": "delta",
    **{column.spelled: column.spelled.removesuffix("_interval") for column in SPREADS},
}
"""The column that an interval must stand beside."""


class Choice(NamedTuple):
    """What a writer wants of a table; None is the usual.

    ``rows`` and ``columns`` are names, in the order wanted: columns as Column.spelled. ``caption``
    is LaTeX, ``label`` that of \\ref. ``siunitx``: numbers stand in its S columns. ``name`` ends
    the name of the file. Differences are from ``base_row``. ``notes``: whether notes stand below
    the table; by default footnotes of the rows, and the notes of the study where neither rows nor
    columns are chosen, since they may be about others.
    """

    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    caption: str | None = None
    label: str | None = None
    siunitx: bool = False
    name: str = "chosen"
    base_row: str | None = None
    notes: bool | None = None


def choose_body(
    frame: pd.DataFrame,
    suite: dict,
    scale: str,
    markup: Markup,
    unusual: tuple[Column, ...],
    choice: Choice,
) -> Body:
    """Lay out the chosen rows and columns; without a choice all columns but those in ``unusual``.

    Raises InputError for a row or column that the table has not, and for a caption that LaTeX
    would not compile.
    """
    if signs := bare_signs(choice.caption or ""):
        bare, typed = " ".join(signs), " ".join(signs.values())
        formula = ", or $...$ around a formula" if {*signs} & {"_", "^"} else ""
        raise InputError(f"caption: LaTeX does not print a bare {bare}: type {typed}{formula}")
    if choice.rows is not None:
        known = list(dict.fromkeys(frame["row"]))
        for row in choice.rows:
            if row not in known:
                raise InputError(f"rows: {suite['suite']} has no '{row}'; {nearest(row, known)}")
        places = {corpus: place for place, corpus in enumerate(dict.fromkeys(frame["corpus"]))}
        frame = frame[frame["row"].isin(choice.rows)]
        order = [
            (places[c], choice.rows.index(r))
            for c, r in zip(frame["corpus"], frame["row"], strict=True)
        ]
        frame = frame.iloc[sorted(range(len(frame)), key=order.__getitem__)].reset_index(drop=True)
        shown = [row for row in suite["rows"] if row["row"] in choice.rows]
        suite = suite | {"rows": shown, "all_rows": suite["rows"]}

    def choose(columns: list[Column]) -> list[Column]:
        if choice.columns is None:
            return [column for column in usual(columns) if column not in unusual]
        by_name = {column.spelled: column for column in (*columns, STATUS)}
        for name in choice.columns:
            if name not in by_name:
                table = f"the table of {suite['suite']}"
                raise InputError(f"columns: {table} has no '{name}'; {_why(name, by_name)}")
        for name, of in INTERVAL_OF.items():
            if name in choice.columns and of not in choice.columns:
                other = f"; that of '{DIFFERENCE}.test' is '{DIFFERENCE}.test_interval'"
                raise InputError(
                    f"columns: {name} is that of {of}: add '{of}', or leave it out"
                    + other * (name == "interval")
                )
        return [by_name[name] for name in choice.columns]

    return _noted(body(frame, suite, scale, markup, choose), choice, markup)


def _why(name: str, there: Mapping[str, Column]) -> str:
    """Say why the table has no such column, or which is the nearest of those that are ``there``."""
    group, dot, value = name.rpartition(".")
    possible = value in words.HEADINGS and (group != DIFFERENCE or value in list(Split))
    reason = ABSENT.get(name) or (ABSENT.get(group + dot) if possible else None)
    return reason or nearest(name, there)


def rebased(suite: dict, choice: Choice) -> dict:
    """Return the suite with the writer's base row, and the rows that are compared with it.

    These are the chosen ones, for whose number p values are corrected. Without a base row the
    suite stays as it is. Raises InputError for a row that the suite has not.
    """
    if choice.base_row is None:
        return suite
    known = list(dict.fromkeys(row["row"] for row in suite["rows"]))
    for key, row in [("base_row", choice.base_row), *(("rows", row) for row in choice.rows or ())]:
        if row not in known:
            raise InputError(f"{key}: {suite['suite']} has no '{row}'; {nearest(row, known)}")
    wanted = (choice.base_row, *(choice.rows or known))
    rows = [row for row in suite["rows"] if row["row"] in wanted]
    return suite | {"base": choice.base_row, "rows": rows}


def _noted(made: Body, choice: Choice, markup: Markup) -> Body:
    """Leave out notes that are not wanted; and say what is bold where the caption does not."""
    if choice.notes is False:
        groups = [group._replace(lines=list(map(_unmarked, group.lines))) for group in made.groups]
        return made._replace(groups=groups, footnotes=[], notes=[])
    whole = choice.rows is None and choice.columns is None
    notes = made.notes if whole or choice.notes else []
    if choice.caption and made.bold and "bold" not in choice.caption.lower():
        notes = [markup.text(words.bold(made.bold)), *notes]
    return made._replace(notes=notes)


def _unmarked(line: Line) -> Line:
    """A line without the mark of its footnote."""
    return line._replace(entries=line.entries | {LABEL: Entry(line.label)})


def s_column(cells: list[str]) -> tuple[str, list[str]] | None:
    """Return the type of a column of siunitx and its cells; None if it has hardly a number.

    A number is written as siunitx reads it, with a standard deviation in brackets; what is no
    number stands in braces.
    """
    found = [NUMBER.fullmatch(cell.replace("$-$", "-")) for cell in cells]
    numbers = [each for each in found if each]
    if 2 * len(numbers) < len([cell for cell in cells if cell != "--"]) or not numbers:
        return None
    deviations = [_deviation(each) for each in numbers if each["deviation"]]
    whole = max(len(each["whole"]) for each in numbers)
    decimals = max(len(each["decimals"] or "") for each in numbers)
    sign = "+" if any(each["sign"] == "+" for each in numbers) else ""
    sign = sign or ("-" if any(each["sign"] for each in numbers) else "")
    brackets = f"({max(map(len, deviations))})" if deviations else ""
    options = ["detect-weight", "mode=text", f"table-format={sign}{whole}.{decimals}{brackets}"]
    options += ["retain-explicit-plus"] * (sign == "+") + ["separate-uncertainty"] * bool(brackets)
    written = [
        _written(each) if each else f"{{{cell}}}" for each, cell in zip(found, cells, strict=True)
    ]
    return f"S[{','.join(options)}]", written


def _written(number: re.Match) -> str:
    decimals = f".{number['decimals']}" if number["decimals"] else ""
    brackets = f"({_deviation(number)})" if number["deviation"] else ""
    return f"{number['before']}{number['sign']}{number['whole']}{decimals}{brackets}"


def _deviation(number: re.Match) -> str:
    """The standard deviation in units of the number's last digit."""
    return str(round(float(number["deviation"]) * 10 ** len(number["decimals"] or "")))
