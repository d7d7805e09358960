"""A table as a section of HTML to be put into a page."""

from html import escape

import pandas as pd

from awd.report.tables.layout import LABEL, Column, Line, Markup, body, finite

MARKUP = Markup(
    text=escape,
    bold=lambda text: f"<strong>{text}</strong>",
    emphasis=lambda text: f"<em>{text}</em>",
    pale=lambda text: f'<span class="context">{text}</span>',
    struck=lambda text: f"<s>{text}</s>",
    mark=lambda name, number: f'<sup><a href="#{name}-note-{number}">{number}</a></sup>',
)


def html(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    """Write a table as a `section`; in ASCII, so that it fits any page.

    Every heading has its own `tbody`, whose first row names it if there are several (class
    `heading`). Cells that are numbers carry them unrounded in `data-sort`; rows have the class of
    their status, and `data-row` and `data-corpus`. Identifiers begin with the suite's name.
    Arguments as of report.tables.markdown.
    """
    made = body(frame, suite, scale, MARKUP)
    name = escape(suite["suite"])
    head = "".join(
        f'<th scope="col" class="{_side(column)}">{escape(column.heading) or "Row"}</th>'
        for column in made.columns
    )
    # Titles of a single group belong to the caption.
    titles = [made.title, *(group.title for group in made.groups[: len(made.groups) == 1])]
    lines = [
        f'<section class="results" id="table-{name}">',
        f"<h2>{made.title}</h2>",
        f'<p id="{name}-about">{made.caption}</p>',
        f'<table aria-describedby="{name}-about">',
        f"<caption>{', '.join(dict.fromkeys(titles))}</caption>",
        f"<thead>\n<tr>{head}</tr>\n</thead>",
    ]
    for group in made.groups:
        lines.append("<tbody>")
        if len(made.groups) > 1:
            across = f'<th scope="rowgroup" colspan="{len(made.columns)}">{group.title}</th>'
            lines.append(f'<tr class="heading">{across}</tr>')
        lines += [_row(line, made.columns) for line in group.lines]
        lines.append("</tbody>")
    lines.append("</table>")
    if made.footnotes:
        notes = (
            f'<li id="{name}-note-{i}">{note}</li>' for i, note in enumerate(made.footnotes, 1)
        )
        lines += ['<ol class="footnotes">', *notes, "</ol>"]
    lines += [*(f'<p class="note">{note}</p>' for note in made.notes), "</section>"]
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode("ascii") + "\n"


def _side(column: Column) -> str:
    return "left" if column.left else "right"


def _row(line: Line, columns: list[Column]) -> str:
    facts = line.facts
    place = "".join(f' data-{key}="{escape(facts[key])}"' for key in ("suite", "row", "corpus"))
    cells = [f'<th scope="row">{line.entries[LABEL].text}</th>']
    for column in columns:
        if column != LABEL:
            text, value, _ = line.entries[column]
            value = finite(value)
            sort = "" if value is None else f' data-sort="{value:.10g}"'
            cells.append(f'<td class="{_side(column)}"{sort}>{text}</td>')
    return f'<tr class="{facts["status"]}"{place}>{"".join(cells)}</tr>'
