"""A table as LaTeX to be included in a paper."""

import itertools

import pandas as pd

from awd.report import words
from awd.report.tables.choice import NUMBERS, Choice, choose_body, s_column
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


def latex(frame: pd.DataFrame, suite: dict, scale: str, choice: Choice | None = None) -> str:
    r"""Write a table to be \input: a `table`, or a `longtable` if it may not fit on a page.

    Arguments as of report.tables.markdown; ``choice`` is what to write of it. Without it
    some columns of the other formats are left out, which the first lines say.
    """
    choice = choice or Choice()
    markup = NUMBERS if choice.siunitx else MARKUP
    made = choose_body(frame, suite, scale, markup, LEFT_OUT, choice)
    whole = made.columns if choice.columns else body(frame, suite, scale, markup).columns
    missing = [column.spelled for column in whole if column not in made.columns]
    width = len(made.columns)
    long = sum(1 + len(group.lines) for group in made.groups) > LONGEST_FLOAT
    lines_of_all = [line for group in made.groups for line in group.lines]
    types: list[str] = []
    across: list[list[str]] = []
    for column in made.columns:
        texts = [line.entries[column].text for line in lines_of_all]
        numbers = s_column(texts) if choice.siunitx and not column.left else None
        kind, texts = numbers or ("l" if column.left else "r", texts)
        types.append(kind)
        across.append(texts)
    cells = {
        id(line): list(row)
        for line, row in zip(lines_of_all, zip(*across, strict=True), strict=True)
    }
    groups = []
    for group in made.groups:
        title = rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{group.title}}}}}"
        # Labels that have to be broken are better not spread.
        start = r"\raggedright\hangindent1em " if long else ""
        entries = [cells[id(line)] for line in group.lines]
        ready = [title, *(start + " & ".join(texts) for texts in entries)]
        groups.append("".join(f"{line} \\\\\n" for line in ready[len(made.groups) < 2 :]))
    kinds = "".join(types)
    label = choice.label or f"tab:{suite['suite']}-{scale}"
    words_of_caption = choice.caption or f"{made.title}. {made.caption}"
    caption = rf"\caption{{{words_of_caption}}}\label{{{label}}}"
    head = [r"\toprule", *_two_header_lines(made.columns, braces=choice.siunitx), r"\midrule"]
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
    else:
        lines = [
            r"\begin{table}[tbp]",
            rf"\centering{small}",
            caption + r"\par\smallskip",
            rf"\setbox0\hbox{{\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
            *head,
            rows,
            r"\end{tabular}}",
            r"\leavevmode\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\box0}\else\box0\fi",
            *below,
            r"\end{table}",
        ]
    needs = ["booktabs", "xcolor", "longtable" if long else "graphicx"]
    needs += ["siunitx"] * choice.siunitx
    packages = " ".join(rf"\usepackage{{{name}}}" for name in needs)
    opening = [f"% Needs {packages} in the preamble."]
    if missing:
        opening.append(
            f"% Left out, since a page is narrow: {', '.join(missing)}; columns=... chooses others."
        )
    if signs := beyond("\n".join(lines)):
        opening.append(f"% Only XeLaTeX and LuaLaTeX print {signs}; pdfLaTeX prints their numbers.")
    return "\n".join([*opening, STRUCK, *lines]) + "\n"


def _two_header_lines(columns: list[Column], braces: bool) -> list[str]:
    """A group's heading over its columns, with a rule, and a heading for each below.

    Columns of siunitx need ``braces`` around what is no number.
    """
    above, rules, place = [], [], 1
    for group, members in itertools.groupby(columns, key=lambda column: column.group):
        span = len(list(members))
        title = escape(words.group_heading(group))
        above.append(rf"\multicolumn{{{span}}}{{c}}{{{title}}}" if group else " & " * (span - 1))
        if group:
            rules.append(rf"\cmidrule(lr){{{place}-{place + span - 1}}}")
        place += span
    names = [escape(words.heading(column.name, column.group)) for column in columns]
    names = [f"{{{name}}}" for name in names] if braces else names
    return [" & ".join(above) + r" \\", "".join(rules), " & ".join(names) + r" \\"]
