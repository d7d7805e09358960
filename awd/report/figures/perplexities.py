"""Training and validation perplexity of each training over epochs."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from awd.report.figures.drawing import limit_values, nothing
from awd.report.figures.grid import LOOKS, explain, panel_per_training
from awd.report.figures.style import GREY, PALE, styled
from awd.report.figures.traces import Trace, settled_top
from awd.report.tables.build import published_columns

SPLITS = ("train", "valid")


@styled
def draw(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, scale: str, **_) -> Figure:
    """Training and validation perplexity over epochs: a panel per training.

    Training perplexity is that of the running mean of the losses, with dropout. Hollow diamonds
    at the right edge are the published final values, pale at other scales than `paper`.
    """
    curves = curves.assign(train_perplexity=np.exp(curves["train_loss"].clip(upper=500)))
    drawn = panel_per_training(suite, curves, records, SPLITS, "_perplexity", "perplexity")
    if drawn is None:
        return nothing("No perplexity of this suite has been recorded yet.")
    figure, panels, corner, entries = drawn
    marked = False
    for axis, trace, shown in panels:
        if not shown:
            axis.set(xticks=[], yticks=[])
            continue
        final = _published_final(trace)
        for split, value in final.items():
            marked = True
            color = LOOKS[split]["color"]
            ink = {"mec": color if scale == "paper" else (color, 0.4), "gid": f"published {split}"}
            where = {"transform": axis.get_yaxis_transform(), "clip_on": False, "zorder": 5}
            axis.plot(1, value, "D", ms=4, mfc="w", mew=0.9, **ink, **where)
        low = min(*(mean.min() for mean in shown.values()), *final.values())
        high = max(*(settled_top(mean) for mean in shown.values()), *final.values())
        limit_values(axis, 0.94 * low, 1.06 * high, logarithmic_from=2, small=True)
    if marked:
        label = "published" if scale == "paper" else "published, at another corpus or scale"
        ink = {"mfc": "w", "mew": 0.9, "mec": GREY if scale == "paper" else PALE}
        entries.insert(2, Line2D([], [], marker="D", lw=0, ms=4, label=label, **ink))
    explain(figure, corner, entries)
    return figure


def _published_final(trace: Trace) -> dict[str, float]:
    """Published training and validation perplexity of the last of a trace's rows that has any."""
    for row in reversed(trace.rows):
        paper = published_columns(row).get("paper", {})
        if found := {split: paper[split] for split in SPLITS if split in paper}:
            return found
    return {}
