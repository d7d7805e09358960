"""Rows as lines in a panel per corpus, named at their ends: shared by curves, schedules, floor."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from awd.report import words
from awd.report.figures.drawing import (
    ENDS,
    MEAN,
    draw_trace,
    explanations,
    legend_below,
    mark_boundary,
    panels,
    write_in_the_middle,
    write_title,
)
from awd.report.figures.layout import lay_out
from awd.report.figures.names import Name, lines_of, write_names
from awd.report.figures.style import fitting, least_height, looks, roomy, scaled
from awd.report.figures.traces import Trace, corpora, traces
from awd.report.words import text_name

TITLE_WIDTH = 42  # characters before the name of a text is broken


class Panel(NamedTuple):
    """An axis, and the ``means`` and named ``lines`` that are drawn on it, with their traces."""

    axis: Axes
    means: list[tuple[Trace, pd.Series]]
    lines: list[tuple[Trace, Line2D]]


def recorded(suite: dict, *frames: pd.DataFrame) -> dict[str, list[Trace]]:
    """Return the traces of each corpus that have any epoch; ``frames`` are curves and records."""
    return {
        corpus: [trace for trace in traces(suite, corpus, *frames) if trace.stages]
        for corpus in corpora(suite)
    }


def line_figure(
    suite: dict, groups: Mapping[str, list[list[Trace]]], column: str, axis_label: str, **line
) -> tuple[Figure, list[Panel]]:
    """Draw a panel per corpus with a line per group of traces; `name_lines` names them.

    Args:
        groups: by corpus, the traces that share a line.
        column: of the frame of curves.
        line: properties of every line.
    """
    rows, base = looks(suite), suite.get("base", "")
    most = max(sum(lines_of(_name(group, base)) for group in g) for g in groups.values())
    figure, axes = panels(list(groups), height=max(least_height(), scaled(0.13 * most + 1.0)))
    seen: set[str] = set()
    drawn: list[Panel] = []
    for axis, (corpus, grouped) in zip(axes, groups.items(), strict=True):
        write_title(axis, text_name(suite, corpus), TITLE_WIDTH)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(fitting(5, 2), integer=True, min_n_ticks=1))
        panel = Panel(axis, [], [])
        drawn.append(panel)
        for group in grouped:
            strong = any(row["row"] == base for trace in group for row in trace.rows)
            dash, color = rows[base if strong else group[0].rows[0]["row"]]
            look = {"ls": dash, "color": color, "zorder": 3 if strong else 2, **line}
            look |= {"lw": 1.6 if strong else 0.9, "label": _name(group, base)}
            # The others of a group lie beneath the longest, only what happened to them is drawn.
            for trace in sorted(group, key=lambda trace: -len(trace.mean(column))):
                mean, shown = draw_trace(axis, trace, column, **look)
                seen |= shown
                if len(mean):
                    panel.means.append((trace, mean))
                    if look["label"] is not None:
                        means = [each for each in axis.lines if each.get_gid() == MEAN]
                        panel.lines.append((group[0], means[-1]))
                look |= {"label": None, "ls": "", "gid": "beneath"}
        if not panel.means:
            write_in_the_middle(axis, "no curve recorded yet")
            axis.set(xticks=[], yticks=[])
        boundaries = [t.boundary for t, _ in panel.means if t.boundary is not None]
        if boundaries:
            # Where letters are large, the legend has the words.
            if not roomy():
                seen.add("boundary")
            place = max(set(boundaries), key=boundaries.count)
            mark_boundary(axis, place, "fine-tuning" if roomy() else None)
    for axis in axes[::2]:
        axis.set_ylabel(axis_label)
    if entries := explanations(seen):
        legend_below(figure, entries, min(3, len(axes) + 1))
    return figure, drawn


def name_lines(figure: Figure, drawn: list[Panel]) -> Figure:
    """Write each line's name beside its panel."""
    lay_out(figure)  # the names depend on it
    for axis, _, lines in drawn:
        last = max((line.get_xdata()[-1] for _, line in lines), default=0)
        names = []
        for trace, line in lines:
            color, (x, y) = line.get_color(), line.get_xydata()[-1]
            early = x < last  # trained for one stage only, or not to the end
            if early and trace.exclusion not in ENDS:
                axis.plot(x, y, "o", ms=2.2, color=color, zorder=4)
            strong = line.get_linewidth() > 1
            names.append(Name(line.get_label(), x, y, color, strong=strong, dotted=early))
        write_names(axis, names)
    return figure


def _name(group: list[Trace], base: str | None) -> str:
    """What stands beside the line of a group."""
    rows = [row for trace in group for row in trace.rows]
    if len(group) == 1:
        why = group[0].exclusion
        return rows[0]["label"] + (f" ({words.exclusion(why)})" if why else "")
    rows.sort(key=lambda row: row["row"] != base)
    if len(rows) == 2:
        return f"{rows[0]['label']}; {rows[1]['label']}"
    return f"{rows[0]['label']} and {len(rows) - 1} more"
