"""A table in the formats people read and paste: GitHub Markdown, LaTeX, HTML.

All are made from the same cells (report.tables.layout). Each function takes the frame of
report.tables, its suite (or what awd.report.tables.combine made of several), and the scale.
"""

import html as entities
import itertools
import math

import pandas as pd
from tabulate import tabulate

from awd.report.tables.layout import (
    COUNTED,
    DASH,
    MEANING,
    UNVERIFIED,
    Body,
    Cell,
    Markup,
    body,
    corpus_name,
    published_columns,
)

__all__ = [
    "COUNTED",
    "DASH",
    "MEANING",
    "UNVERIFIED",
    "corpus_name",
    "html",
    "latex",
    "markdown",
    "published_columns",
]

# In print the page is narrow; these are in the other formats, states in footnotes.
NOT_IN_LATEX = ("Seeds", "p", "p (Holm)", "s/epoch", "Verdict", "Status")
LONGEST_FLOAT = 40  # lines; a longer table has to break over pages
MARKDOWN_CHARACTERS = str.maketrans(
    {**{c: f"\\{c}" for c in "\\|*_`~"}, "<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "}
)
LATEX_CHARACTERS = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": r"\textbar{}",
        '"': "''",
        "[": "{[}",  # after a line break, a bare bracket would be read as its argument
        "]": "{]}",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "\N{EM DASH}": "---",
        "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
        "\N{NO-BREAK SPACE}": "~",
        "\N{LEFT DOUBLE QUOTATION MARK}": "``",
        "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "\N{MIDDLE DOT}": r"$\cdot$",
        "\N{RIGHTWARDS ARROW}": r"$\to$",
        "\N{ALMOST EQUAL TO}": r"$\approx$",
        "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
        "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$",
        "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
        "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
        "\N{GREEK SMALL LETTER BETA}": r"$\beta$",
        "\N{GREEK SMALL LETTER LAMDA}": r"$\lambda$",
        "\N{GREEK SMALL LETTER THETA}": r"$\theta$",
    }
)
MARKDOWN = Markup(
    text=lambda text: text.translate(MARKDOWN_CHARACTERS),
    bold=lambda text: f"**{text}**",
    emphasis=lambda text: f"*{text}*",
    pale=lambda text: f"<sub>{text}</sub>",
    struck=lambda text: f"~~{text}~~",
    mark=lambda _, number: f"<sup>{number}</sup>",
)
LATEX = Markup(
    text=lambda text: text.translate(LATEX_CHARACTERS),
    bold=lambda text: rf"\textbf{{{text}}}",
    emphasis=lambda text: rf"\emph{{{text}}}",
    pale=lambda text: rf"\textcolor{{gray}}{{{text}}}",
    struck=lambda text: rf"\struck{{{text}}}",
    mark=lambda _, number: rf"\textsuperscript{{{number}}}",
)
HTML = Markup(
    text=entities.escape,
    bold=lambda text: f"<strong>{text}</strong>",
    emphasis=lambda text: f"<em>{text}</em>",
    pale=lambda text: f'<span class="context">{text}</span>',
    struck=lambda text: f"<s>{text}</s>",
    mark=lambda name, number: f'<sup><a href="#{name}-note-{number}">{number}</a></sup>',
)
STRUCK = (
    r"\providecommand{\struck}[1]"
    r"{{\setbox0\hbox{#1}\rlap{\vrule height .65ex depth -.55ex width \wd0}\unhbox0}}"
)


def markdown(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    """The table as GitHub Markdown: title, caption, a table per heading, footnotes, notes."""
    made = body(frame, suite, scale, MARKDOWN)
    parts = [f"## {made.title}", made.caption]
    for group in made.groups:
        lines = [[cell.text for cell in cells] for _, cells in group.lines]
        parts.append(f"### {group.title}")
        parts.append(
            tabulate(lines, made.header, "github", colalign=made.sides, disable_numparse=True)
        )
    parts.append("<br>\n".join(f"<sup>{i}</sup> {note}" for i, note in _numbered(made)))
    return "\n\n".join(filter(None, [*parts, *made.notes])) + "\n"


def latex(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    r"""The table as LaTeX to be \input: a `table`, or a `longtable` if it may not fit on a page."""
    made = body(frame, suite, scale, LATEX, without=NOT_IN_LATEX)
    width = len(made.header)
    long = sum(1 + len(group.lines) for group in made.groups) > LONGEST_FLOAT
    groups = []
    for group in made.groups:
        title = rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{group.title}}}}}"
        # Labels that have to be broken are better not spread.
        start = r"\raggedright\hangindent1em " if long else ""
        ready = [
            title,
            *(start + " & ".join(cell.text for cell in cells) for _, cells in group.lines),
        ]
        groups.append("".join(f"{line} \\\\\n" for line in ready[len(made.groups) < 2 :]))
    columns = "".join(side[0] for side in made.sides)
    caption = rf"\caption{{{made.title}. {made.caption}}}\label{{tab:{suite['suite']}-{scale}}}"
    head = [r"\toprule", *_two_header_lines(made.header), r"\midrule"]
    rows = "\\midrule\n".join(groups) + r"\bottomrule"
    footnotes = " ".join(rf"\textsuperscript{{{i}}}~{note}" for i, note in _numbered(made))
    below = [rf"\par\smallskip{{\raggedright {n}\par}}" for n in (footnotes, *made.notes) if n]
    size, gap = ("scriptsize", 2) if long else ("footnotesize", 3)
    small = rf"\{size}\setlength{{\tabcolsep}}{{{gap}pt}}"
    if long:
        lines = [
            rf"\begingroup{small}\setlength{{\LTcapwidth}}{{\linewidth}}",
            rf"\begin{{longtable}}{{@{{}}p{{.23\linewidth}}{columns[1:]}@{{}}}}",
            caption + r"\\",
            *head,
            r"\endfirsthead",
            *head,
            r"\endhead",
            rows,
            r"\end{longtable}",
            *below,
            r"\endgroup",
        ]
    else:
        lines = [
            r"\begin{table}[tbp]",
            rf"\centering{small}",
            caption + r"\par\smallskip",
            rf"\setbox0\hbox{{\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            *head,
            rows,
            r"\end{tabular}}",
            r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\box0}\else\box0\fi",
            *below,
            r"\end{table}",
        ]
    needs = ["booktabs", "xcolor", "longtable" if long else "graphicx"]
    packages = " ".join(rf"\usepackage{{{name}}}" for name in needs)
    return "\n".join([f"% Needs {packages} in the preamble.", STRUCK, *lines]) + "\n"


def html(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    """The table as a `section` to be put into a page; in ASCII, so that it fits any.

    Every heading has its own `tbody`, whose first row names it if there are several (class
    `heading`). Cells that are numbers carry them unrounded in `data-sort`; rows have the class of
    their status, and `data-row` and `data-corpus`. Identifiers begin with the suite's name.
    """
    made = body(frame, suite, scale, HTML)
    name = HTML.text(suite["suite"])
    head = "".join(
        f'<th scope="col" class="{side}">{column or "Row"}</th>'
        for column, side in zip(made.header, made.sides, strict=True)
    )
    lines = [
        f'<section class="results" id="table-{name}">',
        f"<h2>{made.title}</h2>",
        f'<p id="{name}-about">{made.caption}</p>',
        f'<table aria-describedby="{name}-about">',
        f"<caption>{', '.join(dict.fromkeys([made.title, made.groups[0].title]))}</caption>"
        if len(made.groups) == 1
        else f"<caption>{made.title}</caption>",
        f"<thead>\n<tr>{head}</tr>\n</thead>",
    ]
    for group in made.groups:
        lines.append("<tbody>")
        if len(made.groups) > 1:
            across = f'<th scope="rowgroup" colspan="{len(made.header)}">{group.title}</th>'
            lines.append(f'<tr class="heading">{across}</tr>')
        for line, cells in group.lines:
            place = "".join(
                f' data-{key}="{HTML.text(line[key])}"' for key in ("suite", "row", "corpus")
            )
            label, *others = cells
            data = "".join(map(_html_cell, others, made.sides[1:]))
            lines.append(
                f'<tr class="{line["status"]}"{place}><th scope="row">{label.text}</th>{data}</tr>'
            )
        lines.append("</tbody>")
    lines.append("</table>")
    if made.footnotes:
        notes = (f'<li id="{name}-note-{i}">{note}</li>' for i, note in _numbered(made))
        lines += ['<ol class="footnotes">', *notes, "</ol>"]
    lines += [*(f'<p class="note">{note}</p>' for note in made.notes), "</section>"]
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode("ascii") + "\n"


def _html_cell(cell: Cell, side: str) -> str:
    known = cell.value is not None and not pd.isna(cell.value) and math.isfinite(cell.value)
    sort = f' data-sort="{cell.value:.10g}"' if known else ""
    return f'<td class="{side}"{sort}>{cell.text}</td>'


def _numbered(made: Body) -> list[tuple[int, str]]:
    return list(enumerate(made.footnotes, 1))


def _two_header_lines(header: list[str]) -> list[str]:
    """`Published valid` and `Published test` as one heading over two columns, and a rule."""
    below = (" params", " s/epoch", " train", " valid", " test")
    pairs = [name.rsplit(" ", 1) if name.endswith(below) else ["", name] for name in header]
    above, rules, column = [], [], 1
    for group, columns in itertools.groupby(pairs, key=lambda pair: pair[0]):
        span = len(list(columns))
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{group}}}" if group else " & " * (span - 1))
        if group:
            rules.append(rf"\cmidrule(lr){{{column}-{column + span - 1}}}")
        column += span
    return [" & ".join(above) + r" \\", "".join(rules), " & ".join(n for _, n in pairs) + r" \\"]
