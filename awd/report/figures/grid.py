"""A small panel per training: its losses beside published ones, its training and test perplexity.

Rows of one training share a panel: the fine-tuned row goes on behind a thin line.
"""

import math
import textwrap
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from awd.report.figures.drawing import (
    BASE,
    COLUMN,
    GREY,
    PALETTE,
    TEXT,
    draw_trace,
    explanations,
    limit_values,
    mark_boundary,
    nothing,
    say,
    styled,
)
from awd.report.figures.traces import ASTRAY, Trace, corpora, settled_top, traces
from awd.report.tables.typeset import corpus_name, published_columns

LOOKS = {
    "train": {"color": PALETTE[1], "ls": (0, (3, 1)), "lw": 0.9, "zorder": 2},
    "valid": {"color": BASE, "ls": "-", "lw": 1.2, "zorder": 3},
    "test": {"color": BASE, "ls": "-", "lw": 1.2, "zorder": 3},
}
PALE = "0.72"
TITLE_WIDTH = {1: 50, 2: 46, 3: 38, 4: 27}  # characters before a title is broken, by columns
LEGEND_WIDTH = 21  # characters before an entry in an empty place is broken
HEIGHT = {1: 2.0, 2: 1.9, 3: 1.55, 4: 1.35}  # inches of a panel with its title, by columns


class Panel(NamedTuple):
    """An axis and what it shows of a trace; ``shown`` are the drawn values by split."""

    axis: Axes
    trace: Trace
    shown: dict[str, pd.Series]


@styled
def losses(
    suite: dict,
    curves: pd.DataFrame,
    records: pd.DataFrame,
    scale: str = "paper",
    published: pd.DataFrame | None = None,
    **_,
) -> Figure:
    """Training and validation loss, nats per token, over epochs: a panel per training.

    The panels of a corpus are a block. The published curves, a frame of awd.report.published, lie
    behind in grey. At other scales than `paper` they are context: those of the corpus that the
    row's published values belong to, each stage drawn to the length that ours has. Losses beyond
    ASTRAY leave the panel, which then says how high they went.
    """
    drawn = _grid(suite, curves, records, ("train", "valid"), "_loss", "loss (nats per token)")
    if drawn is None:
        return nothing("No loss of this suite has been recorded yet.")
    figure, panels, corner, entries = drawn
    theirs = set()
    for panel in panels:
        corpus, behind = _published_losses(panel.trace, published, scale)
        for split, values in behind.items():
            look = LOOKS[split] | {"color": PALE, "zorder": 1}
            panel.axis.plot(values.index, values, gid=f"published {split}", **look)
            theirs.add(corpus)
        _limit_losses(panel, behind)
    if theirs:
        names = " and ".join({"ptb": "PTB"}.get(c, corpus_name(c)) for c in sorted(theirs))
        context = "" if scale == "paper" else f" ({names}, paper scale; epochs compressed)"
        entries.insert(2, Line2D([], [], color=PALE, lw=1.2, label=f"published{context}"))
    _explain(figure, corner, entries)
    return figure


@styled
def perplexities(
    suite: dict, curves: pd.DataFrame, records: pd.DataFrame, scale: str = "paper", **_
) -> Figure:
    """Training and test perplexity over epochs: a panel per training.

    Training perplexity is that of the running mean of the losses, with dropout. Hollow diamonds
    at the right edge are the published final values, pale at other scales than `paper`.
    """
    exponentials = {
        f"{split}_perplexity": np.exp(curves[f"{split}_loss"].clip(upper=500))
        for split in ("train", "test")
        if f"{split}_loss" in curves
    }
    curves = curves.assign(**exponentials)
    drawn = _grid(suite, curves, records, ("train", "test"), "_perplexity", "perplexity")
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
    _explain(figure, corner, entries)
    return figure


def _grid(
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
    columns = math.ceil(most / math.ceil(most / 4))
    lines = [math.ceil(len(found) / columns) for found in blocks.values()]
    height = HEIGHT[columns] * sum(lines) + 0.2 * len(blocks) + 0.2
    figure = Figure((COLUMN if columns == 1 else TEXT, height), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.06)
    grid = figure.subplots(sum(lines), columns, squeeze=False)
    panels: list[Panel] = []
    seen: set[str] = set()
    for place, (corpus, found) in enumerate(blocks.items()):
        axes = list(grid[sum(lines[:place]) : sum(lines[: place + 1])].flat)
        for axis, trace in zip(axes, found, strict=False):
            shown = {}
            for split in splits:
                look = {"mark_events": split != "train", **LOOKS[split]}
                mean, said = draw_trace(axis, trace, split + quantity, **look)
                seen |= said
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
        _head_block(axes[: min(columns, len(found))], corpus)
    for panel in panels[-columns:]:  # those with none beneath
        panel.axis.set_xlabel("epoch")
    figure.supylabel(axis_label, fontsize=8)
    return figure, panels, corner, [*_entries(splits, quantity), *explanations(seen)]


def _explain(figure: Figure, corner: Axes | None, entries: list[Line2D]) -> None:
    """A legend, in an empty place of the grid if there is one."""
    if corner is None:
        figure.legend(handles=entries, loc="outside lower center", ncols=3)
        return
    corner.set_axis_off()
    labels = [textwrap.fill(str(entry.get_label()), LEGEND_WIDTH) for entry in entries]
    corner.legend(entries, labels, loc="center left", borderaxespad=0, fontsize=6.5)


def _furnish(axis: Axes, trace: Trace, shown: bool, columns: int) -> None:
    axis.set_title(textwrap.fill(trace.label, TITLE_WIDTH[columns]), fontsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=2))
    axis.yaxis.set_major_locator(MaxNLocator(4))
    if not shown:
        say(axis, "diverged in its first epoch" if trace.stages else "not recorded yet")
    if trace.boundary is not None:
        mark_boundary(axis, trace.boundary, None)


def _head_block(axes: list[Axes], corpus: str) -> None:
    """Write the corpus above the titles of a block's first panels."""
    lines = 1 + max(axis.get_title(loc="left").count("\n") for axis in axes)
    axes[0].annotate(
        corpus_name(corpus),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 9.0 * lines + 7),
        textcoords="offset points",
        va="bottom",
        fontsize=8.5,
        fontweight="bold",
    )


def _entries(splits: Iterable[str], quantity: str) -> list[Line2D]:
    names = {"train": "training", "valid": "validation", "test": "test"}
    if quantity == "_perplexity":
        names["train"] = "training, with dropout"
    return [
        Line2D([], [], label=names[s], **{k: LOOKS[s][k] for k in ("color", "ls", "lw")})
        for s in splits
    ]


def _published_losses(
    trace: Trace, published: pd.DataFrame | None, scale: str
) -> tuple[str, dict[str, pd.Series]]:
    """The published losses to draw behind a trace, by split, and the corpus they are of."""
    corpus = trace.rows[0]["corpus"]
    if scale != "paper":
        entries = [entry for row in trace.rows for entry in row.get("published") or []]
        corpus = next((entry["corpus"] for entry in entries if entry.get("corpus")), corpus)
    if published is None:
        return corpus, {}
    behind: dict[str, list[pd.Series]] = {"train": [], "valid": []}
    ended = 0
    for stage in ("train", "finetune"):
        rows = [row["row"] for row in trace.rows if row["stage"] == stage]
        theirs = published[published["row"].isin(rows) & (published["corpus"] == corpus)]
        theirs = theirs[theirs["stage"] == stage]
        epochs = theirs["epoch"].to_numpy(float) + ended
        if scale != "paper":
            if stage not in trace.stages:
                continue
            start = trace.trained if stage == "finetune" else 0
            ours = trace.stages[stage]["epoch"].max()
            epochs = np.linspace(start + 1, start + ours, len(epochs))
        ended = int(epochs.max(initial=0))
        for split, parts in behind.items():
            parts.append(pd.Series(theirs[f"{split}_loss"].to_numpy(), index=epochs))
    found = {split: pd.concat(parts) for split, parts in behind.items() if parts}
    return corpus, {split: values for split, values in found.items() if len(values)}


def _limit_losses(panel: Panel, behind: dict[str, pd.Series]) -> None:
    curves = [*panel.shown.values(), *behind.values()]
    if not curves:
        panel.axis.set(xticks=[], yticks=[])
        return
    low = min(values.min() for values in curves)
    high = max(low + 0.1, min(ASTRAY, max(settled_top(values) for values in curves)))
    margin = 0.06 * (high - low)
    panel.axis.set_ylim(low - margin, high + margin)
    peaks = {
        who: max(values.max() for values in drawn.values())
        for who, drawn in (("", panel.shown), ("published ", behind))
        if drawn
    }
    if told := [f"{who}{peak:.0f}" for who, peak in peaks.items() if peak > ASTRAY]:
        panel.axis.annotate(
            f"\N{UPWARDS ARROW} peak {', '.join(told)}",
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="top",
            color=GREY,
            fontsize=6,
            zorder=6,
            bbox={"pad": 0.5, "lw": 0, "fc": "w"},
        )


def _published_final(trace: Trace) -> dict[str, float]:
    """Published training and test perplexity of the last of a trace's rows that has any."""
    for row in reversed(trace.rows):
        paper = published_columns(row).get("paper", {})
        if found := {split: paper[split] for split in ("train", "test") if split in paper}:
            return found
    return {}
