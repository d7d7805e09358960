"""A table as LaTeX to be included in a paper."""

import itertools

import pandas as pd

from awd.report import words
from awd.report.tables.latex_text import beyond, escape
from awd.report.tables.layout import Column, Markup, body

# In print the page is narrow; these are in the other formats, states in footnotes.
LEFT_OUT = tuple(map(Column, ("seeds", "p", "p_holm", "seconds_per_epoch", "verdict", "status")))
LONGEST_FLOAT = 40  # lines; a longer table has to break over pages
MARKUP = Markup(
    text=escape,
    bold=lambda text: rf"\textbf{{{text}}}",
    emphasis=lambda text: rf"\emph{{{text}}}",
    pale=lambda text: rf"\textcolor{{gray}}{{{text}}}",
    struck=lambda text: rf"\struck{{{text}}}",
    mark=lambda _, number: rf"\textsuperscript{{{number}}}",
)
STRUCK = (
    r"\providecommand{\struck}[1]"
    r"{{\setbox0\hbox{#1}\rlap{\vrule height .65ex depth -.55ex width \wd0}\unhbox0}}"
)


def latex(frame: pd.DataFrame, suite: dict, scale: str) -> str:
    r"""Write a table to be \input: a `table`, or a `longtable` if it may not fit on a page.

    Arguments as of report.tables.markdown.
    """
    made = body(frame, suite, scale, MARKUP, without=LEFT_OUT)
    width = len(made.columns)
    long = sum(1 + len(group.lines) for group in made.groups) > LONGEST_FLOAT
    groups = []
    for group in made.groups:
        title = rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{group.title}}}}}"
        # Labels that have to be broken are better not spread.
        start = r"\raggedright\hangindent1em " if long else ""
        entries = [[line.entries[column].text for column in made.columns] for line in group.lines]
        ready = [title, *(start + " & ".join(texts) for texts in entries)]
        groups.append("".join(f"{line} \\\\\n" for line in ready[len(made.groups) < 2 :]))
    columns = "".join("l" if column.left else "r" for column in made.columns)
    label = f"tab:{suite['suite']}-{scale}"
    caption = rf"\caption{{{made.title}. {made.caption}}}\label{{{label}}}"
    head = [r"\toprule", *_two_header_lines(made.columns), r"\midrule"]
    rows = "\\midrule\n".join(groups) + r"\bottomrule"
    footnotes = " ".join(
        rf"\textsuperscript{{{number}}}~{note}" for number, note in enumerate(made.footnotes, 1)
    )
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
    opening = [f"% Needs {packages} in the preamble."]
    if signs := beyond("\n".join(lines)):
        opening.append(f"% Only XeLaTeX and LuaLaTeX print {signs}; pdfLaTeX prints their numbers.")
    return "\n".join([*opening, STRUCK, *lines]) + "\n"


def _two_header_lines(columns: list[Column]) -> list[str]:
    """A group's heading over its columns, with a rule, and a heading for each below."""
    above, rules, place = [], [], 1
    for group, members in itertools.groupby(columns, key=lambda column: column.group):
        span = len(list(members))
        title = escape(words.group_heading(group))
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{title}}}" if group else " & " * (span - 1))
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
        place += span
    names = [escape(words.heading(column.name, column.group)) for column in columns]
    return [" & ".join(above) + r" \\", "".join(rules), " & ".join(names) + r" \\"]
