"""A table as GitHub Markdown."""

import re

import pandas as pd
from tabulate import tabulate

from awd.report.tables.layout import Markup, body

CHARACTERS = str.maketrans(
    {**{c: f"\\{c}" for c in "\\|*_`~$"}, "<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
LINK = re.compile(r"\](?=[(\[:])|\[(?=\^)")  # a link, or a footnote
BLOCK = re.compile(r"^([-+#]+|\d+[.)])(?=\s|$)")  # a list or a heading, at the start of a line


def escape(text: str) -> str:
    """Write text so that Markdown shows it as it is, in one line."""
    text = " ".join(text.splitlines()).translate(CHARACTERS)
    text = LINK.sub(r"\\\g<0>", text)
    return BLOCK.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)


MARKUP = Markup(
    text=escape,
    bold=lambda text: f"**{text}**",
    emphasis=lambda text: f"*{text}*",
    pale=lambda text: f"<sub>{text}</sub>",
    struck=lambda text: f"~~{text}~~",
    mark=lambda _, number: f"<sup>{number}</sup>",
)


def markdown(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    """Write a table: title, caption, a table per heading, footnotes, notes.

    Args:
        frame: of report.tables.build.
        suite: an entry of the plan's ``suites``, or what report.tables.combine made of several.
        scale: the plan's scale.
    """
    made = body(frame, suite, scale, MARKUP)
    parts = [f"## {made.title}", made.caption]
    header = [escape(column.heading) for column in made.columns]
    sides = ["left" if column.left else "right" for column in made.columns]
    for group in made.groups:
        lines = [[line.entries[column].text for column in made.columns] for line in group.lines]
        parts.append(f"### {group.title}")
        parts.append(tabulate(lines, header, "github", colalign=sides, disable_numparse=True))
    notes = (f"<sup>{number}</sup> {note}" for number, note in enumerate(made.footnotes, 1))
    parts.append("<br>\n".join(notes))
    return "\n\n".join(filter(None, [*parts, *made.notes])) + "\n"
