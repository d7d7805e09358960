"""A table as LaTeX to be included in a paper."""

from collections.abc import Iterator
from itertools import groupby, islice

import pandas as pd

from awd.report import words
from awd.report.tables.choice import NUMBERS, Choice, choose_body, s_column
from awd.report.tables.latex_text import beyond, escape
from awd.report.tables.layout import Body, Column

# In print the page is narrow; these are in the other formats, states in footnotes.
LEFT_OUT = tuple(map(Column, ("seeds", "p", "p_holm", "seconds_per_epoch", "verdict", "status")))
LONGEST_FLOAT = 40  # lines; a longer table has to break over pages
MARKUP = NUMBERS._replace(
    bold=lambda text: rf"\textbf{{{text}}}",
    pale=lambda text: rf"\textcolor{{gray}}{{{text}}}",
)
STRUCK = (
    r"\providecommand{\struck}[1]"
    r"{{\setbox0\hbox{#1}\rlap{\vrule height .65ex depth -.55ex width \wd0}\unhbox0}}"
)


def latex(frame: pd.DataFrame, suite: dict, scale: str, choice: Choice | None = None) -> str:
    r"""Write a table to be \input: a `table`, or a `longtable` if it may not fit on a page.

    Arguments as of report.tables.markdown; ``choice`` is what to write of it. Without it
    some columns of the other formats are left out, which the first lines say.
    """
    choice = choice or Choice()
    markup = NUMBERS if choice.siunitx else MARKUP
    made = choose_body(frame, suite, scale, markup, LEFT_OUT, choice)
    long = sum(1 + len(group.lines) for group in made.groups) > LONGEST_FLOAT
    kinds, rows = _columns(made, choice.siunitx)
    label = choice.label or f"tab:{suite['suite']}-{scale}"
    text = choice.caption or f"{made.title}. {made.caption}"
    head = [r"\toprule", *_two_header_lines(made.columns, braces=choice.siunitx), r"\midrule"]
    footnotes = " ".join(
        rf"\textsuperscript{{{number}}}~{note}" for number, note in enumerate(made.footnotes, 1)
    )
    below = [rf"\par\smallskip{{\raggedright {n}\par}}" for n in (footnotes, *made.notes) if n]
    whole = _longtable if long else _float
    lines = whole(
        kinds,
        rf"\caption{{{text}}}\label{{{label}}}",
        head,
        "\\midrule\n".join(_groups(made, rows, long)) + r"\bottomrule",
        below,
    )
    needs = ["booktabs", "xcolor", "longtable" if long else "graphicx"]
    needs += ["siunitx"] * choice.siunitx
    packages = " ".join(rf"\usepackage{{{name}}}" for name in needs)
    opening = [f"% Needs {packages} in the preamble."]
    if made.left_out and not choice.columns:
        missing = ", ".join(column.spelled for column in made.left_out)
        opening.append(
            f"% Left out, since a page is narrow: {missing}; columns=... chooses others."
        )
    if signs := beyond("\n".join(lines)):
        opening.append(f"% Only XeLaTeX and LuaLaTeX print {signs}; pdfLaTeX prints their numbers.")
    return "\n".join([*opening, STRUCK, *lines]) + "\n"


def _columns(made: Body, siunitx: bool) -> tuple[str, Iterator[tuple[str, ...]]]:
    """The types of the columns, and the cells of each line."""
    lines = [line for group in made.groups for line in group.lines]
    kinds, across = "", []
    for column in made.columns:
        texts = [line.entries[column].text for line in lines]
        numbers = s_column(texts) if siunitx and not column.left else None
        kind, texts = numbers or ("l" if column.left else "r", texts)
        kinds += kind
        across.append(texts)
    return kinds, zip(*across, strict=True)


def _groups(made: Body, rows: Iterator[tuple[str, ...]], long: bool) -> Iterator[str]:
    """The lines of each group, below its title if there are several groups."""
    # Labels that have to be broken are better not spread.
    start = r"\raggedright\hangindent1em " if long else ""
    for group in made.groups:
        title = rf"\multicolumn{{{len(made.columns)}}}{{@{{}}l}}{{\emph{{{group.title}}}}}"
        lines = [start + " & ".join(cells) for cells in islice(rows, len(group.lines))]
        titles = [title] * (len(made.groups) > 1)
        yield "".join(f"{line} \\\\\n" for line in [*titles, *lines])


def _longtable(kinds: str, caption: str, head: list[str], rows: str, below: list[str]) -> list[str]:
    return [
        r"\begingroup\scriptsize\setlength{\tabcolsep}{2pt}\setlength{\LTcapwidth}{\linewidth}",
        rf"\begin{{longtable}}{{@{{}}p{{.23\linewidth}}{kinds[1:]}@{{}}}}",
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


def _float(kinds: str, caption: str, head: list[str], rows: str, below: list[str]) -> list[str]:
    return [
        r"\begin{table}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
        caption + r"\par\smallskip",
        rf"\setbox0\hbox{{\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        *head,
        rows,
        r"\end{tabular}}",
        r"\leavevmode\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\box0}\else\box0\fi",
        *below,
        r"\end{table}",
    ]


def _two_header_lines(columns: list[Column], braces: bool) -> list[str]:
    """A group's heading over its columns, with a rule, and a heading for each below.

    Columns of siunitx need ``braces`` around what is no number.
    """
    above, rules, place = [], [], 1
    for group, members in groupby(columns, key=lambda column: column.group):
        span = len(list(members))
        title = escape(words.group_heading(group))
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{title}}}" if group else " & " * (span - 1))
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
        place += span
    names = [escape(words.heading(column.name, column.group)) for column in columns]
    names = [f"{{{name}}}" for name in names] if braces else names
    return [" & ".join(above) + r" \\", "".join(rules), " & ".join(names) + r" \\"]
