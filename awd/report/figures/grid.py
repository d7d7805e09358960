"""A small panel per training: shared by losses and perplexities.

Rows of one training share a panel: a thin line separates training from fine-tuning.
"""

import math
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from awd.report.figures.drawing import (
    draw_trace,
    explanations,
    legend_below,
    mark_boundary,
    write_in_the_middle,
)
from awd.report.figures.style import COLUMN, MAIN, PAGE, PALETTE, SHORTEST, fitting, scaled, width
from awd.report.figures.traces import Trace, corpora, traces
from awd.report.words import text_name

LOOKS = {
    "train": {"color": PALETTE[1], "ls": (0, (3, 1)), "lw": 0.9, "zorder": 2},
    "valid": {"color": MAIN, "ls": "-", "lw": 1.2, "zorder": 3},
}
TITLE_WIDTH = {1: 50, 2: 46, 3: 38, 4: 27}  # characters before a title is broken, by columns
LEGEND_WIDTH = 21  # characters before an entry in an empty place is broken
HEIGHT = {1: 2.0, 2: 1.9, 3: 1.55, 4: 1.35}  # inches of a panel with its title, by columns


class Panel(NamedTuple):
    """An axis and what it shows of a trace; ``shown`` are the drawn values by split."""

    axis: Axes
    trace: Trace
    shown: dict[str, pd.Series]


def panel_per_training(
    suite: dict,
    curves: pd.DataFrame,
    records: pd.DataFrame,
    splits: tuple[str, str],
    quantity: str,
    axis_label: str,
) -> tuple[Figure, list[Panel], Axes | None, list[Line2D]] | None:
    """Draw the columns ``splits`` + ``quantity`` of each training, in a block per corpus.

    Returns figure, panels, an empty place where the last block leaves one, and legend entries, or
    None if nothing is recorded.
    """
    blocks = {c: traces(suite, c, curves, records, join_stages=True) for c in corpora(suite)}
    blocks = {corpus: found for corpus, found in blocks.items() if found}
    if not any(trace.stages for found in blocks.values() for trace in found):
        return None
    most = max(len(found) for found in blocks.values())
    columns = math.ceil(most / math.ceil(most / fitting(4)))
    lines = [math.ceil(len(found) / columns) for found in blocks.values()]
    height = scaled(HEIGHT[columns] * sum(lines) + 0.2 * len(blocks) + 0.2)
    figure = Figure((width(COLUMN if columns == 1 else PAGE), height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.06)
    grid = figure.subplots(sum(lines), columns, squeeze=False)
    panels: list[Panel] = []
    seen: set[str] = set()
    for place, (corpus, found) in enumerate(blocks.items()):
        axes = list(grid[sum(lines[:place]) : sum(lines[: place + 1])].flat)
        for axis, trace in zip(axes, found, strict=False):
            shown = {}
            for split in splits:
                marks = split != "train"
                mean, drawn = draw_trace(axis, trace, split + quantity, marks, **LOOKS[split])
                seen |= drawn
                if len(mean):
                    shown[split] = mean
            _furnish(axis, trace, bool(shown), columns)
            if shown and trace.boundary is not None:
                seen.add("boundary")
            panels.append(Panel(axis, trace, shown))
        spare = axes[len(found) :]
        corner = spare.pop(0) if spare and place == len(blocks) - 1 else None
        for axis in spare:
            axis.remove()
        _head_block(axes[: min(columns, len(found))], text_name(suite, corpus))
    for panel in panels[-columns:]:  # those with none beneath
        panel.axis.set_xlabel("epoch")
    figure.supylabel(axis_label, fontsize=scaled(8))
    return figure, panels, corner, [*_entries(splits, quantity), *explanations(seen)]


def explain(figure: Figure, corner: Axes | None, entries: list[Line2D]) -> None:
    """A legend, in an empty place of the grid if there is one."""
    if corner is None:
        legend_below(figure, entries, 3)
        return
    corner.set_axis_off()
    labels = [
        textwrap.fill(str(entry.get_label()), fitting(LEGEND_WIDTH, SHORTEST)) for entry in entries
    ]
    corner.legend(entries, labels, loc="center left", borderaxespad=0, fontsize=scaled(6.5))


def _furnish(axis: Axes, trace: Trace, shown: bool, columns: int) -> None:
    title = textwrap.fill(trace.label, fitting(TITLE_WIDTH[columns], SHORTEST))
    axis.set_title(title, fontsize=scaled(7))
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axis.yaxis.set_major_locator(MaxNLocator(4))
    if not shown:
        write_in_the_middle(
            axis, "diverged in its first epoch" if trace.stages else "not recorded yet"
        )
    if trace.boundary is not None:
        mark_boundary(axis, trace.boundary, None)


def _head_block(axes: list[Axes], text: str) -> None:
    """Write the name of the text above the titles of a block's first panels."""
    lines = 1 + max(axis.get_title(loc="left").count("\n") for axis in axes)
    # The layout makes room for its height, not for its width, which may be that of several panels.
    for content in (text, " "):
        axes[0].annotate(
            content,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, scaled(9.0 * lines + 7)),
            textcoords="offset points",
            va="bottom",
            fontsize=scaled(8.5),
            fontweight="bold",
        ).set_in_layout(content != text)


def _entries(splits: Iterable[str], quantity: str) -> list[Line2D]:
    names = {"train": "training", "valid": "validation"}
    if quantity == "_perplexity":
        names["train"] = "training, with dropout"
    return [
        Line2D([], [], label=names[s], **{k: LOOKS[s][k] for k in ("color", "ls", "lw")})
        for s in splits
    ]
