"""Validation loss above the true entropy of the text, where its source is known."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from awd.report.figures.drawing import nothing
from awd.report.figures.lines import line_figure, name_lines, recorded
from awd.report.figures.style import GREY, INK, OUT_OF_REACH, scaled, styled
from awd.vocabulary import Split

CLOSE = 0.003
"""Nats per token that a validation text of 20,000 tokens can hardly tell from nothing."""


@styled
def draw(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, **_rest) -> Figure:
    """Validation loss above the true entropy of the text over epochs, nats per token.

    Of corpora whose source is known; the scale is linear up to CLOSE and logarithmic beyond.
    A model that lies below zero has seen more than what came before. Otherwise as
    the figure of learning curves.
    """
    floors = records[records["split"] == Split.VALID].dropna(subset="floor")
    floors = np.log(floors.groupby("run")["floor"].first())
    above = curves["valid_loss"] - curves["run"].map(floors)
    curves = curves.assign(above=above).dropna(subset="above")
    traces = recorded(suite, curves, records)
    if not any(traces.values()):
        return nothing("No loss on a text of known entropy has been recorded yet.")
    groups = {corpus: [[trace] for trace in found] for corpus, found in traces.items()}
    label = "nats above the true entropy"
    figure, drawn = line_figure(suite, groups, "above", label)
    for axis, lines, _ in drawn:
        values = [value for _, mean in lines for value in (mean.min(), mean.max())]
        low, high = min([-2 * CLOSE, *values]), max([10 * CLOSE, *values])
        axis.set_yscale("symlog", linthresh=CLOSE)
        axis.set_ylim(1.3 * low, 1.3 * high)
        axis.yaxis.set_major_locator(FixedLocator([-10, -1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10]))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.axhline(0, color=INK, lw=0.8, zorder=1)
        axis.axhspan(1.3 * low, 0, color=OUT_OF_REACH, lw=0, zorder=0)
        axis.annotate(
            "out of reach for a model\nthat sees only what came before",
            (0, 0),
            xycoords=("axes fraction", "data"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=scaled(6),
            color=GREY,
        )
    return name_lines(figure, drawn)
