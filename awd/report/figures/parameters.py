"""Test perplexity against the number of trainable parameters."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from awd.report.evaluations import by_seed
from awd.report.figures.scatter import scatter
from awd.report.figures.style import styled

UNPLACED = "number of parameters not known"  # why a row with a perplexity has no point


@styled
def draw(suite: dict, table: pd.DataFrame, records: pd.DataFrame, scale: str, **_) -> Figure:
    """Test perplexity against the number of trainable parameters: a panel per corpus.

    Each row is a point with its name, small points are its seeds, hollow diamonds what was
    published (at scale `paper` alone). ``table`` is the frame of report.tables, ``records`` that of
    awd.report.records. Rows that leak, diverged, are missing or not comparable are
    listed below.
    """
    trainings = {
        (run, stage, method): count
        for run, stage, method, count in records[
            ["run", "stage", "method", "trainings"]
        ].itertuples(index=False)
    }
    sizes = []
    for row, count in zip(suite["rows"], table["params"], strict=True):
        combined = next(iter(by_seed(row, trainings).values()), 1)
        known = not (pd.isna(count) or pd.isna(combined))
        sizes.append(int(count) * int(combined) if known else math.nan)
    table = table.assign(x=sizes)
    plain = EngFormatter(sep="")
    return scatter(suite, table, records, "parameters", plain, scale == "paper", UNPLACED)
