r"""Every number of the tables as a LaTeX command, for prose: \awd{kim2024/lstm/test}."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from awd.report.tables.latex_text import escape
from awd.report.tables.layout import count, number, probability, seconds_text
from awd.vocabulary import HELD_OUT

SIGNED = "{:+.2f}"
COLUMNS: dict[str, Callable[..., str]] = {
    "params": count,
    **dict.fromkeys(("published_train", "published_valid", "published_test"), number),
    **dict.fromkeys(("train", "valid", "valid_sd", "test", "test_sd"), number),
    "n": lambda value: f"{value:.0f}",
    **dict.fromkeys(("delta_test", "delta_low", "delta_high"), lambda value: number(value, SIGNED)),
    **dict.fromkeys(("p", "p_holm"), probability),
    "seconds_per_epoch": seconds_text,
    **dict.fromkeys(
        (f"difference_{split}{end}" for split in HELD_OUT for end in ("", "_low", "_high")),
        lambda value: number(value, SIGNED),
    ),
    "distance": lambda value: number(100 * value, "{:+.1f}%"),
}
"""Columns of the csv files that are numbers, and how each is written."""
OPENING = r"""% Numbers of the tables for prose: \input{numbers}, then \awd{SUITE/ROW/COLUMN}, or
% \awd{SUITE/CORPUS/ROW/COLUMN} where a study has several corpora. Columns are those of the csv.
\providecommand{\awd}[1]{\ifcsname awd@#1\endcsname\csname awd@#1\endcsname\else
  \PackageError{awd}{There is no number '#1'}{The file of numbers lists those that there are.}\fi}
"""


def numbers(suites: Sequence[dict], frames: Sequence[pd.DataFrame]) -> str:
    r"""Write a \newcommand for each number of the suites' tables; what is not known has none.

    Args:
        suites: entries of the plan's ``suites``.
        frames: the table of each.
    """
    lines = []
    for suite, frame in zip(suites, frames, strict=True):
        several = frame["corpus"].nunique() > 1
        for line in frame.to_dict("records"):
            corpus = [line["corpus"]] if several else []
            place = [suite["suite"], *corpus, line["row"]]
            for column, write in COLUMNS.items():
                if not pd.isna(line[column]) and math.isfinite(line[column]):
                    name = "/".join([*place, column])
                    text = escape(write(line[column]))
                    lines.append(rf"\expandafter\newcommand\csname awd@{name}\endcsname{{{text}}}")
    return OPENING + "".join(f"{line}\n" for line in lines)
