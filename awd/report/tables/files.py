"""A table's files: csv with every digit, and the formats that people read."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from awd.files import write_text
from awd.report import words
from awd.report.remarks import Remark, SeedsMissing
from awd.report.tables.build import COLUMNS
from awd.report.tables.html import html
from awd.report.tables.latex import latex
from awd.report.tables.markdown import markdown

FORMATS = ("csv", "md", "tex", "html")
TEXT_COLUMNS = ("suite", "row", "label", "corpus", "stage", "method", "incomparable", "note")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet compute a cell."""


def typeset(
    suite: dict, frame: pd.DataFrame, scale: str, formats: Collection[str] = FORMATS
) -> dict[str, str]:
    """Return the table as csv, md, tex and html, or as those in ``formats``."""
    made: dict[str, Callable[[], str]] = {"csv": partial(csv, frame)}
    for kind, function in (("md", markdown), ("tex", latex), ("html", html)):
        made[kind] = partial(function, frame, suite, scale)
    return {kind: made[kind]() for kind in FORMATS if kind in formats}


def write(
    name: str, texts: Mapping[str, str], folder: Path, formats: Collection[str] = FORMATS
) -> list[Path]:
    """Write ``texts`` by format, those in ``formats``, as {name}.csv and so on; return the paths.

    Each file is written whole or not at all.
    """
    paths = []
    for kind, text in texts.items():
        if kind in formats:
            paths.append(folder / f"{name}.{kind}")
            write_text(paths[-1], text)
    return paths


def csv(frame: pd.DataFrame) -> str:
    """The table as csv with exactly COLUMNS: numbers unrounded, remarks in words.

    UTF-8 without a byte order mark, which pandas, R and spreadsheets alike read. In the columns of
    text, a cell that a spreadsheet would compute begins with an apostrophe.
    """
    spelled = frame.assign(
        incomparable=[
            words.differences(found) if found else None for found in frame["incomparable"]
        ],
        note=[words.remarks(filter(_is_news, found)) for found in frame["remarks"]],
    )
    for column in TEXT_COLUMNS:
        spelled[column] = [_no_formula(cell) for cell in spelled[column]]
    return spelled[list(COLUMNS)].to_csv(index=False, lineterminator="\n")


def _is_news(remark: Remark) -> bool:
    """Whether the column of states does not say it."""
    return not (isinstance(remark, SeedsMissing) and remark.there == 0)


def _no_formula(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
