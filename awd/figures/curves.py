"""Rows as lines in a panel per corpus, named at their ends: learning curves, learning rates."""

import itertools
import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from awd.figures.drawing import (
    BASE,
    GREY,
    INK,
    PALETTE,
    draw_trace,
    explanations,
    limit_values,
    mark_boundary,
    nothing,
    panels,
    say,
    styled,
)
from awd.figures.traces import ASTRAY, Trace, corpora, settled_top, traces
from awd.typeset import corpus_name

OTHERS = [
    *(PALETTE[i] for i in (1, 2, 3, 4, 5, 7, 9)),
    (0.2, 0.2, 0.2),
]  # yellow and pale pink vanish on white
DIVERGED = " (diverged)"
CLOSE = 0.003
"""Nats per token that a validation text of 20,000 tokens can hardly tell from nothing."""
NAME_WIDTH = 28  # characters of a line's name before it is broken
NAME_HEIGHT = 8.2 / 72  # inches that a line of text takes


@styled
def learning_curves(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, **_) -> Figure:
    """Validation perplexity over epochs: a panel per corpus, a line per row.

    A line is the mean over seeds, with a thin line per seed beneath; fine-tuning goes on where
    training ended. The base row is strong, every line is named at its end. A diamond marks the
    epoch where NT-ASGD starts to average, a cross where a run diverged. Rows that are evaluated
    differently from the same weights share a line. ``curves`` and ``records`` are the frames of
    awd.records.
    """
    drawn = {corpus: _recorded(suite, corpus, curves, records) for corpus in corpora(suite)}
    if not any(drawn.values()):
        return nothing("No learning curve of this suite has been recorded yet.")
    groups = {corpus: [[trace] for trace in found] for corpus, found in drawn.items()}
    figure, axes, means = _line_figure(suite, groups, "valid_perplexity", "validation perplexity")
    for axis, lines in zip(axes, means, strict=True):
        if not lines:
            continue
        # A curve that went astray does not decide how much of the others is seen.
        sound = [mean for trace, mean in lines if not trace.diverged]
        highest = 1.05 * max(settled_top(mean) for mean in sound or [mean for _, mean in lines])
        lowest = min(mean.min() for _, mean in lines)
        limit_values(axis, 0.97 * lowest, max(1.05 * lowest, min(highest, math.exp(ASTRAY))))
    return _named(figure, axes)


@styled
def schedules(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, **_) -> Figure:
    """Learning rate over epochs: a panel per corpus, a line per schedule.

    Rows with the same learning rate in every epoch that they share have one line, which says
    how many they are; a diamond marks each epoch where one of them starts to average. Otherwise
    as `learning_curves`.
    """
    drawn = {corpus: _recorded(suite, corpus, curves, records) for corpus in corpora(suite)}
    if not any(drawn.values()):
        return nothing("No learning rate of this suite has been recorded yet.")
    groups = {corpus: _by_schedule(found) for corpus, found in drawn.items()}
    step = {"drawstyle": "steps-mid"}  # a rate is that of a whole epoch
    figure, axes, means = _line_figure(suite, groups, "learning_rate", "learning rate", **step)
    for axis, lines in zip(axes, means, strict=True):
        if not lines:
            continue
        low, high = min(mean.min() for _, mean in lines), max(mean.max() for _, mean in lines)
        if low > 0 and high / low > 5:
            margin = (high / low) ** 0.05
            limit_values(axis, low / margin, high * margin**3, logarithmic_from=5)
        else:
            axis.set_ylim(0, 1.2 * high)
    return _named(figure, axes)


@styled
def floor(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, **_) -> Figure:
    """Validation loss above the true entropy of the text over epochs, nats per token.

    Of corpora whose source is known; the scale is linear up to CLOSE and logarithmic beyond.
    What lies below zero has seen the words that it predicts. Otherwise as `learning_curves`.
    """
    floors = records[records["split"] == "valid"].dropna(subset="floor")
    floors = np.log(floors.groupby("run")["floor"].first())
    above = curves["valid_loss"] - curves["run"].map(floors)
    curves = curves.assign(above=above).dropna(subset="above")
    drawn = {corpus: _recorded(suite, corpus, curves, records) for corpus in corpora(suite)}
    if not any(drawn.values()):
        return nothing("No loss on a text of known entropy has been recorded yet.")
    groups = {corpus: [[trace] for trace in found] for corpus, found in drawn.items()}
    label = "nats per token above the true entropy"
    figure, axes, means = _line_figure(suite, groups, "above", label)
    for axis, lines in zip(axes, means, strict=True):
        values = [value for _, mean in lines for value in (mean.min(), mean.max())]
        low, high = min([-2 * CLOSE, *values]), max([10 * CLOSE, *values])
        axis.set_yscale("symlog", linthresh=CLOSE)
        axis.set_ylim(1.3 * low, 1.3 * high)
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.axhline(0, color=INK, lw=0.8, zorder=1)
        axis.axhspan(1.3 * low, 0, color="0.93", lw=0, zorder=0)
        place = {"xycoords": "axes fraction", "fontsize": 6.5, "color": GREY}
        axis.annotate("sees what it predicts", (0.02, 0.02), va="bottom", **place)
    return _named(figure, axes)


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


def _recorded(suite: dict, corpus: str, *frames: pd.DataFrame) -> list[Trace]:
    return [trace for trace in traces(suite, corpus, *frames) if trace.stages]


def _line_figure(
    suite: dict, groups: dict[str, list[list[Trace]]], column: str, axis_label: str, **line
) -> tuple[Figure, list[Axes], list[list[tuple[Trace, pd.Series]]]]:
    """Draw a panel per corpus with a line per group of traces, not named yet.

    Returns figure, panels, and what is drawn in each: traces and their values.
    """
    looks, base = _looks(suite), suite.get("base")
    most = max(
        sum(1 + len(_name(group, base)) // NAME_WIDTH for group in g) for g in groups.values()
    )
    figure, axes = panels(list(groups), height=max(2.3, 0.13 * most + 1.0))
    seen: set[str] = set()
    means: list[list[tuple[Trace, pd.Series]]] = []
    for axis, (corpus, lines) in zip(axes, groups.items(), strict=True):
        axis.set_title(corpus_name(corpus))
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        means.append([])
        for group in lines:
            strong = any(row["row"] == base for trace in group for row in trace.rows)
            dash, color = looks[base if strong else group[0].rows[0]["row"]]
            look = {"ls": dash, "color": color, "zorder": 3 if strong else 2, **line}
            look |= {"lw": 1.6 if strong else 0.9, "label": _name(group, base)}
            # The others of a group lie beneath the longest, only what happened to them is drawn.
            for trace in sorted(group, key=lambda trace: -len(trace.mean(column))):
                mean, said = draw_trace(axis, trace, column, **look)
                seen |= said
                look |= {"label": None, "ls": "", "gid": "beneath"}
                if len(mean):
                    means[-1].append((trace, mean))
        if not means[-1]:
            say(axis, "no curve recorded yet")
            axis.set(xticks=[], yticks=[])
        boundaries = [t.boundary for t, _ in means[-1] if t.boundary is not None]
        if boundaries:
            mark_boundary(axis, max(set(boundaries), key=boundaries.count))
    for axis in axes[::2]:
        axis.set_ylabel(axis_label)
    if entries := explanations(seen):
        figure.legend(handles=entries, loc="outside lower center", ncols=3)
    return figure, axes, means


def _name(group: list[Trace], base: str | None) -> str:
    """What stands beside the line of a group."""
    rows = [row for trace in group for row in trace.rows]
    if len(group) == 1:
        return rows[0]["label"] + (DIVERGED if group[0].diverged else "")
    rows.sort(key=lambda row: row["row"] != base)
    if len(rows) == 2:
        return f"{rows[0]['label']}; {rows[1]['label']}"
    return f"{rows[0]['label']} and {len(rows) - 1} more"


def _looks(suite: dict) -> dict[str, tuple]:
    """Dashes and colour of each row: the same in every panel and figure of the suite."""
    base = suite.get("base")
    others = [name for name in dict.fromkeys(r["row"] for r in suite["rows"]) if name != base]
    looks = itertools.cycle(itertools.product(["-", (0, (4, 1.2)), (0, (1.2, 1))], OTHERS))
    return dict(zip(others, looks, strict=False)) | {base: ("-", BASE)}


def _named(figure: Figure, axes: list[Axes]) -> Figure:
    figure.draw_without_rendering()  # settles the layout, which the names need to know
    for axis in axes:
        _name_lines(axis)
    return figure


def _name_lines(axis: Axes) -> None:
    """Write each line's name to the right of the panel, as near its end as the others allow."""
    lines = [line for line in axis.lines if line.get_gid() == "mean"]
    if not lines:
        return
    names = [textwrap.fill(line.get_label(), NAME_WIDTH) for line in lines]
    ends = np.array([line.get_xydata()[-1] for line in lines])
    heights = axis.transAxes.inverted().transform(axis.transData.transform(ends))[:, 1]
    order = np.argsort(heights, kind="stable")
    unit = NAME_HEIGHT / (axis.get_position().height * axis.figure.get_figheight())
    sizes = unit * np.array([1 + names[which].count("\n") for which in order])
    places = spread(heights[order], (sizes[1:] + sizes[:-1]) / 2, 0.0, 1.0)
    last = ends[:, 0].max()
    for which, place in zip(order, places, strict=True):
        line, (x, y) = lines[which], ends[which]
        strong = line.get_linewidth() > 1
        early = x < last  # trained for one stage only, or not to the end
        if early and not line.get_label().endswith(DIVERGED):
            axis.plot(x, y, "o", ms=2.2, color=line.get_color(), zorder=4)
        axis.annotate(
            "",
            (x, min(y, axis.get_ylim()[1])),
            xytext=(1.05, place),
            textcoords="axes fraction",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "lw": 0.5,
                "ls": (0, (1, 2)) if early else "-",
                "color": line.get_color(),
                "shrinkA": 0,
                "shrinkB": 1,
            },
        )
        axis.annotate(
            names[which],
            (1.06, place),
            xycoords="axes fraction",
            va="center",
            linespacing=1.0,
            fontsize=6.5,
            fontweight="bold" if strong else "normal",
            color=BASE if strong else INK,
        )


def spread(heights: np.ndarray, step: float | np.ndarray, low: float, high: float) -> np.ndarray:
    """Move ascending heights as little as possible (least squares) to be ``step`` apart.

    ``step`` is one distance, or one for each pair of neighbours. They stay between ``low`` and
    ``high`` as long as they fit there.
    """
    from scipy.optimize import isotonic_regression  # slow to import, only needed here

    steps = np.broadcast_to(step, max(len(heights) - 1, 0))
    ladder = np.concatenate([[0.0], np.cumsum(steps)])[: len(heights)]
    places = isotonic_regression(heights - ladder).x + ladder
    return np.maximum(np.minimum(places, high - (ladder[-1] - ladder)), low + ladder)
