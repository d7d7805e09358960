"""Test perplexity of each row against what it costs: shared by parameters and cost."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from awd.report import words
from awd.report.comparability import Exclusion
from awd.report.figures.ablation import PUBLISHED, SEED
from awd.report.figures.drawing import (
    draw_points,
    explain_below,
    legend_below,
    limit_values,
    nothing,
    panels,
    write_title,
)
from awd.report.figures.layout import lay_out
from awd.report.figures.names import HEIGHT, Name, lines_of, write_names
from awd.report.figures.seeds import seed_values
from awd.report.figures.style import FRAME, PALETTE, fitting, least_height, looks, roomy, scaled
from awd.report.tables.build import compared
from awd.report.words import text_name

TITLE_WIDTH = 42  # characters before the name of a text is broken
LOOKS = {
    "published": PUBLISHED | {"mec": PALETTE[3], "zorder": 2},
    "seed": SEED | {"ms": 1.8, "zorder": 3},
    "weak": {"marker": "o", "ms": 4, "mec": "w", "mew": 0.4, "zorder": 4},
    "strong": {"marker": "o", "ms": 5.5, "mec": "w", "mew": 0.4, "zorder": 4},
}
"""Of points: what was published, single seeds, rows, and the base row."""


def scatter(
    suite: dict,
    table: pd.DataFrame,
    records: pd.DataFrame,
    label: str,
    formatter: FuncFormatter | EngFormatter,
    compare: bool,
    unplaced: str,
) -> Figure:
    """Draw the lines of ``table``, whose column x says where; with ``compare`` the published."""
    sound = pd.Series(map(compared, table.to_dict("records")), table.index, dtype=bool)
    shown = table[sound & table["test"].notna() & table["x"].notna()]
    if shown.empty:
        return nothing("No test perplexity of this suite has been recorded yet.")
    groups = {
        corpus: lines.to_dict("records") for corpus, lines in shown.groupby("corpus", sort=False)
    }
    most = max(sum(lines_of(line["label"]) for line in lines) for lines in groups.values())
    figure, axes = panels(list(groups), height=max(least_height(), scaled(HEIGHT * most + 0.9)))
    base, look, drawn = suite.get("base"), looks(suite), set()
    for axis, (corpus, lines) in zip(axes, groups.items(), strict=True):
        write_title(axis, text_name(suite, corpus), TITLE_WIDTH)
        axis.set_xlabel(label)
        seeds = seed_values(suite, corpus, records)
        points = _points(lines, seeds, look, base, compare)
        for name, found in points.items():
            *places, colors = zip(*found, strict=True)
            drawn.add(name)
            inks = LOOKS[name] | {"mfc": list(colors), "gid": name}
            draw_points(axis, list(zip(*places, strict=True)), "scatter", **inks)
        heights = [y for found in points.values() for _, y, _ in found]
        low, high = min(heights), max(heights)
        margin = 1.03 * (high / low) ** 0.05
        limit_values(axis, low / margin, high * margin)
        _fit_places(axis, [line["x"] for line in lines], formatter)
    for axis in axes[::2]:
        axis.set_ylabel("test perplexity")
    _name_others(figure, table, shown, unplaced)
    _explain(figure, drawn)
    lay_out(figure)  # the names depend on it
    for axis, lines in zip(axes, groups.values(), strict=True):
        names = [
            Name(line["label"], line["x"], line["test"], look[line["row"]][1], line["row"] == base)
            for line in lines
        ]
        write_names(axis, names)
    return figure


def _points(
    lines: list[dict],
    seeds: dict[str, list[float]],
    look: dict[str, tuple],
    base: str | None,
    compare: bool,
) -> dict[str, list[tuple]]:
    """The points of a panel, (x, y, colour), by their names in LOOKS; those drawn first come first.

    A row with a single seed has no point of that seed.
    """
    points: dict[str, list[tuple]] = {name: [] for name in LOOKS}
    for line in lines:
        x, color = line["x"], look[line["row"]][1]
        if len(values := seeds[line["row"]]) > 1:
            points["seed"] += [(x, value, color) for value in values]
        points["strong" if line["row"] == base else "weak"].append((x, line["test"], color))
        if compare and not math.isnan(line["published_test"]):
            points["published"].append((x, line["published_test"], "w"))
    return {name: found for name, found in points.items() if found}


def _explain(figure: Figure, drawn: set[str]) -> None:
    """A legend in the first panel or, where letters are large, below the panels."""
    entries = {
        "seed": Line2D([], [], lw=0, label="single seed", **SEED | {"ms": 1.8}),
        "published": Line2D([], [], lw=0, label="published", mec=PALETTE[3], **PUBLISHED),
    }
    handles = [entry for name, entry in entries.items() if name in drawn]
    if handles and roomy():
        frame = {"frameon": True, "framealpha": 1, "edgecolor": FRAME, "handletextpad": 0}
        legend = figure.axes[0].legend(handles=handles, loc="best", fontsize=scaled(6.5), **frame)
        legend.set_in_layout(False)  # its best place is looked for once, not in each layout
    elif handles:
        legend_below(figure, handles, 2)


def _fit_places(axis: Axes, places: list[float], formatter: FuncFormatter | EngFormatter) -> None:
    """Logarithmic if they are far apart, with few ticks; room at both sides."""
    low, high = min(places), max(places)
    if high > 4 * low:
        axis.set_xscale("log")
        subdivisions = (1, 2, 5) if high < 50 * low else (1,)
        axis.xaxis.set_major_locator(LogLocator(subs=subdivisions, numticks=6))
        axis.xaxis.set_minor_formatter(NullFormatter())
        margin = (high / low) ** 0.08
        axis.set_xlim(low / margin, high * margin)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(fitting(4, 2)))
        margin = max(0.08 * (high - low), 0.04 * high)
        axis.set_xlim(low - margin, high + margin)
    axis.xaxis.set_major_formatter(formatter)


def _name_others(figure: Figure, table: pd.DataFrame, shown: pd.DataFrame, unplaced: str) -> None:
    """Name the rows that have no point, and why."""
    others = table.drop(shown.index)
    if others.empty:
        return
    groups: dict[str, list[str]] = {}
    for line in others.to_dict("records"):
        why = Exclusion.INCOMPARABLE if line["incomparable"] else line["status"]
        reason = unplaced if compared(line) else words.exclusion(why)
        groups.setdefault(reason, []).append(line["label"])
    parts = [f"{', '.join(dict.fromkeys(labels))} ({why})" for why, labels in groups.items()]
    explain_below(figure, "not shown: " + "; ".join(parts))
