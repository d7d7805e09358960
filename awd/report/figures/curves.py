"""Learning curves: validation perplexity of each row over epochs."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from awd.report import words
from awd.report.equal_epochs import equal_epochs
from awd.report.figures.drawing import limit_values, nothing, plot_lines
from awd.report.figures.lines import line_figure, name_lines, recorded
from awd.report.figures.style import GREY, PALE, scaled, styled
from awd.report.figures.traces import ASTRAY, settled_top
from awd.report.published_curves import curve_of
from awd.vocabulary import Stage

FAR = 20
"""How many times the lowest last perplexity makes a row one that does not set the range."""


@styled
def draw(
    suite: dict,
    curves: pd.DataFrame,
    records: pd.DataFrame,
    scale: str,
    published: pd.DataFrame,
    **_rest,
) -> Figure:
    """Validation perplexity over epochs: a panel per corpus, a line per row.

    A line is the mean over seeds, with a thin line per seed beneath; fine-tuning goes on where
    training ended. The base row is strong, every line is named at its end. A diamond marks the
    epoch where NT-ASGD starts to average, a triangle where the learning rate is lowered, a cross
    where a run diverged. At scale `paper` the base row's published curve lies behind, and that of
    each row that has fewer epochs: its name has the deviation at its last epoch. Rows that
    are evaluated differently from the same weights share a line. ``curves`` and ``records`` are
    the frames of awd.report.records, ``published`` that of awd.report.published_curves.
    """
    traces = recorded(suite, curves, records)
    if not any(traces.values()):
        return nothing("No learning curve of this suite has been recorded yet.")
    groups = {corpus: [[trace] for trace in found] for corpus, found in traces.items()}
    figure, drawn = line_figure(suite, groups, "valid_perplexity", "validation perplexity")
    for (axis, lines, named), corpus in zip(drawn, groups, strict=True):
        if not lines:
            continue
        if scale == "paper":
            _, found = equal_epochs(suite, curves, published)
            # Beside trainings that are under way, the rest of a long published curve is no help.
            unfinished = any((row["row"], corpus) in found for t, _ in named for row in t.rows)
            longest = max(mean.index[-1] for _, mean in lines)
            shown = published[published["epoch"] <= 2 * longest] if unfinished else published
            _draw_published(axis, shown, suite["base"], corpus, Stage.TRAIN)
            for trace, line in named:
                for row in trace.rows:
                    if (at := found.get((row["row"], corpus))) is not None:
                        line.set_label(f"{line.get_label()} ({words.unfinished(at)})")
                        if row["row"] != suite["base"]:
                            _draw_published(axis, shown, row["row"], corpus, row["stage"])
        # Curves that went astray do not decide how much of the others is seen.
        sound = [mean for trace, mean in lines if not trace.exclusion]
        sound = sound or [mean for _, mean in lines]
        best = min(mean.iloc[-1] for mean in sound)
        sound = [mean for mean in sound if mean.iloc[-1] < FAR * best]
        highest = 1.05 * max(settled_top(mean) for mean in sound)
        highest = min(highest, 3 * max(mean.iloc[-1] for mean in sound))  # nor does a wild start
        behind = [line.get_ydata() for line in axis.lines if line.get_gid() == "published"][:1]
        lowest = min(mean.min() for mean in (*sound, *behind))
        limit_values(axis, 0.97 * lowest, max(1.05 * lowest, min(highest, math.exp(ASTRAY))))
    return name_lines(figure, drawn)


def _draw_published(axis: Axes, published: pd.DataFrame, row: str, corpus: str, stage: str) -> None:
    epochs = curve_of(published, [row], corpus, stage)
    if len(epochs):
        losses = epochs["valid_loss"].clip(upper=ASTRAY)
        frame = pd.DataFrame({"epoch": epochs["epoch"], "value": np.exp(losses), "line": row})
        plot_lines(axis, frame, color=PALE, lw=1.6, zorder=1, gid="published")
        place = epochs["epoch"].iloc[-1], math.exp(losses.iloc[-1])
        where = {"xytext": (0, -3), "textcoords": "offset points", "ha": "right", "va": "top"}
        axis.annotate("published", place, color=GREY, fontsize=scaled(6.5), **where)
