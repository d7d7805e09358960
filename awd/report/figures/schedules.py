"""Learning rate over epochs: a line per schedule."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from awd.report.figures.drawing import limit_values, nothing
from awd.report.figures.lines import line_figure, name_lines, recorded
from awd.report.figures.style import styled
from awd.report.figures.traces import Trace


@styled
def draw(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, **_rest) -> Figure:
    """Learning rate over epochs: a panel per corpus, a line per schedule.

    Rows with the same learning rate in every epoch that they share have one line, which says
    how many they are; a diamond marks each epoch where one of them starts to average. Otherwise
    as the figure of learning curves.
    """
    traces = recorded(suite, curves, records)
    if not any(traces.values()):
        return nothing("No learning rate of this suite has been recorded yet.")
    groups = {corpus: _by_schedule(found) for corpus, found in traces.items()}
    step = {"drawstyle": "steps-mid"}  # a rate is that of a whole epoch
    figure, drawn = line_figure(suite, groups, "learning_rate", "learning rate", **step)
    for axis, lines, _ in drawn:
        if not lines:
            continue
        low, high = min(mean.min() for _, mean in lines), max(mean.max() for _, mean in lines)
        if low > 0 and high / low > 5:
            margin = (high / low) ** 0.05
            limit_values(axis, low / margin, high * margin**3, logarithmic_from=5)
        else:
            axis.set_ylim(0, 1.2 * high)
    return name_lines(figure, drawn)


def _by_schedule(found: list[Trace]) -> list[list[Trace]]:
    """Group traces whose learning rates are equal as far as both go."""
    groups: list[list[Trace]] = []
    for trace in found:
        rates = trace.mean("learning_rate").to_numpy()
        for group in groups:
            longest = max((each.mean("learning_rate").to_numpy() for each in group), key=len)
            length = min(len(rates), len(longest))
            if np.allclose(rates[:length], longest[:length], atol=0, equal_nan=True):
                group.append(trace)
                break
        else:
            groups.append([trace])
    return groups
