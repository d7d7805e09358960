"""Rows as lines in a panel per corpus, named at their ends: learning curves, learning rates."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from awd.report.figures.drawing import (
    GREY,
    INK,
    draw_trace,
    explanations,
    limit_values,
    looks,
    mark_boundary,
    nothing,
    panels,
    say,
    styled,
)
from awd.report.figures.names import Name, lines_of, write_names
from awd.report.figures.traces import ASTRAY, Trace, corpora, settled_top, traces
from awd.report.tables.typeset import corpus_name

CLOSE = 0.003
"""Nats per token that a validation text of 20,000 tokens can hardly tell from nothing."""


@styled
def learning_curves(
    suite: dict,
    curves: pd.DataFrame,
    records: pd.DataFrame,
    scale: str = "paper",
    published: pd.DataFrame | None = None,
    **_,
) -> Figure:
    """Validation perplexity over epochs: a panel per corpus, a line per row.

    A line is the mean over seeds, with a thin line per seed beneath; fine-tuning goes on where
    training ended. The base row is strong, every line is named at its end. A diamond marks the
    epoch where NT-ASGD starts to average, a triangle where the learning rate is lowered, a cross
    where a run diverged. At scale `paper` the base row's published curve lies behind. Rows that
    are evaluated differently from the same weights share a line. ``curves`` and ``records`` are
    the frames of awd.report.records, ``published`` that of awd.report.published.
    """
    drawn = {corpus: _recorded(suite, corpus, curves, records) for corpus in corpora(suite)}
    if not any(drawn.values()):
        return nothing("No learning curve of this suite has been recorded yet.")
    groups = {corpus: [[trace] for trace in found] for corpus, found in drawn.items()}
    figure, axes, means = _line_figure(suite, groups, "valid_perplexity", "validation perplexity")
    for axis, lines, corpus in zip(axes, means, groups, strict=True):
        if not lines:
            continue
        if scale == "paper" and published is not None:
            _draw_published(axis, published, suite.get("base"), corpus)
        # Curves that went astray do not decide how much of the others is seen.
        sound = [mean for trace, mean in lines if not trace.remark]
        sound = sound or [mean for _, mean in lines]
        highest = 1.05 * max(settled_top(mean) for mean in sound)
        highest = min(highest, 3 * max(mean.iloc[-1] for mean in sound))  # nor does a wild start
        lowest = min(mean.min() for mean in sound)
        limit_values(axis, 0.97 * lowest, max(1.05 * lowest, min(highest, math.exp(ASTRAY))))
    return _named(figure, axes)


def _draw_published(axis: Axes, published: pd.DataFrame, row: str | None, corpus: str) -> None:
    theirs = published[(published["row"] == row) & (published["corpus"] == corpus)]
    theirs = theirs[theirs["stage"] == "train"]
    if len(theirs):
        losses = theirs["valid_loss"].clip(upper=ASTRAY)
        axis.plot(theirs["epoch"], np.exp(losses), color="0.72", lw=1.6, zorder=1, gid="published")
        place = theirs["epoch"].iloc[-1], math.exp(losses.iloc[-1])
        where = {"xytext": (0, -3), "textcoords": "offset points", "ha": "right", "va": "top"}
        axis.annotate("published", place, color=GREY, fontsize=6.5, **where)


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
    A model that lies below zero has seen more than what came before. Otherwise as
    `learning_curves`.
    """
    floors = records[records["split"] == "valid"].dropna(subset="floor")
    floors = np.log(floors.groupby("run")["floor"].first())
    above = curves["valid_loss"] - curves["run"].map(floors)
    curves = curves.assign(above=above).dropna(subset="above")
    drawn = {corpus: _recorded(suite, corpus, curves, records) for corpus in corpora(suite)}
    if not any(drawn.values()):
        return nothing("No loss on a text of known entropy has been recorded yet.")
    groups = {corpus: [[trace] for trace in found] for corpus, found in drawn.items()}
    label = "nats above the true entropy"
    figure, axes, means = _line_figure(suite, groups, "above", label)
    for axis, lines in zip(axes, means, strict=True):
        values = [value for _, mean in lines for value in (mean.min(), mean.max())]
        low, high = min([-2 * CLOSE, *values]), max([10 * CLOSE, *values])
        axis.set_yscale("symlog", linthresh=CLOSE)
        axis.set_ylim(1.3 * low, 1.3 * high)
        axis.yaxis.set_major_locator(FixedLocator([-10, -1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10]))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.axhline(0, color=INK, lw=0.8, zorder=1)
        axis.axhspan(1.3 * low, 0, color="0.93", lw=0, zorder=0)
        axis.annotate(
            "out of reach for a model\nthat sees only what came before",
            (0, 0),
            xycoords=("axes fraction", "data"),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=6,
            color=GREY,
        )
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
    rows, base = looks(suite), suite.get("base")
    most = max(sum(lines_of(_name(group, base)) for group in g) for g in groups.values())
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
            dash, color = rows[base if strong else group[0].rows[0]["row"]]
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
        return rows[0]["label"] + (f" ({group[0].remark})" if group[0].remark else "")
    rows.sort(key=lambda row: row["row"] != base)
    if len(rows) == 2:
        return f"{rows[0]['label']}; {rows[1]['label']}"
    return f"{rows[0]['label']} and {len(rows) - 1} more"


def _named(figure: Figure, axes: list[Axes]) -> Figure:
    """Write each line's name beside its panel."""
    figure.draw_without_rendering()  # settles the layout, which the names need to know
    for axis in axes:
        lines = [line for line in axis.lines if line.get_gid() == "mean"]
        last = max((line.get_xdata()[-1] for line in lines), default=0)
        names = []
        for line in lines:
            text, color, (x, y) = line.get_label(), line.get_color(), line.get_xydata()[-1]
            early = x < last  # trained for one stage only, or not to the end
            if early and not text.endswith(" (diverged)"):
                axis.plot(x, y, "o", ms=2.2, color=color, zorder=4)
            names.append(Name(text, x, y, color, strong=line.get_linewidth() > 1, dotted=early))
        write_names(axis, names)
    return figure
