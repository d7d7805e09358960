"""Test perplexity against what training cost, in core-hours or GPU-hours."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from awd.report import words
from awd.report.costs import Costs
from awd.report.figures.scatter import scatter
from awd.report.figures.style import styled

UNPLACED = "devices differ or are not known"  # why a row with a perplexity has no point


@styled
def draw(
    suite: dict, table: pd.DataFrame, records: pd.DataFrame, curves: pd.DataFrame, **_
) -> Figure:
    """Test perplexity against what training cost, in core-hours or GPU-hours: a panel per corpus.

    Otherwise as the figure of parameters. What costs little is given in minutes or seconds.
    """
    costs = Costs(records, curves)
    spent = [costs.training_hours(row) for row in suite["rows"]]
    hours = [each for each, _ in spent]
    most = max((each for each in hours if not math.isnan(each)), default=0.0)
    per_hour, unit = (3600, "seconds") if most < 0.1 else (60, "minutes")
    if most > 3:
        per_hour, unit = 1, "hours"
    what = " or ".join(
        f"{name}-{unit}" for name in sorted({words.unit_name(kind) for _, kind in spent if kind})
    )
    table = table.assign(x=[each * per_hour for each in hours])
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    return scatter(suite, table, records, f"training ({what})", plain, False, UNPLACED)
