"""Ablation bars: what each row costs or gains, beside what was published."""

import math
import statistics

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from awd.report import words
from awd.report.figures.drawing import (
    SUPERSCRIPTS,
    draw_points,
    legend_below,
    nothing,
    panels,
    stack,
    write_title,
)
from awd.report.figures.seeds import seed_differences
from awd.report.figures.style import (
    GREY,
    INK,
    MAIN,
    PALE_MARK,
    PALETTE,
    SHORTEST,
    fitting,
    roomy,
    scaled,
    styled,
)
from awd.report.tables.build import compared
from awd.report.tables.layout import number
from awd.report.words import MINUS, heading, text_name
from awd.vocabulary import FAILED, Status

ASTRAY = 12
"""How many times the usual difference makes a row one that went astray."""
LABEL_WIDTH = 25  # characters before a row's name is broken
TITLE_WIDTH = 24  # and before the name of the text is
BAR = 0.12  # inches
TITLE_PAD = 15  # points
SEED = {"marker": "o", "ms": 2.2, "mfc": INK, "mec": "w", "mew": 0.3, "ls": ""}
PUBLISHED = {"marker": "D", "ms": 4, "mfc": "w", "mew": 0.9, "ls": ""}


@styled
def draw(suite: dict, table: pd.DataFrame, records: pd.DataFrame, scale: str, **_) -> Figure:
    """Test perplexity of each row minus the base row's: a panel per corpus, a bar per row.

    ``table`` is the frame of report.tables, ``records`` that of report.records. Error bars are the
    table's intervals, points the seeds where there are several, hollow diamonds the published
    differences (at other scales than `paper` they are pale: another corpus or model), the numbers
    at the right the reproduced test perplexities, grey if not comparable. What has none says why.
    """
    base = suite.get("base")
    corpora = list(dict.fromkeys(table["corpus"]))
    names = dict(zip(table["row"], table["label"], strict=True))
    if not names:
        return nothing("This suite has no rows.")
    labels, places, height = stack(names.values(), fitting(LABEL_WIDTH, SHORTEST))
    figure, axes = panels(corpora, height=height + scaled(0.95), sharey=True)
    drawn: set[str] = set()
    for axis, corpus in zip(axes, corpora, strict=True):
        write_title(axis, text_name(suite, corpus), TITLE_WIDTH)
        if not roomy():  # above the heading of the numbers, which it may reach
            axis.set_title(axis.get_title("left"), pad=scaled(TITLE_PAD))
        axis.axvline(0, color=INK, lw=0.6, zorder=3)
        lines = table[table["corpus"] == corpus].set_index("row").to_dict("index")
        seeds = seed_differences(suite, corpus, records)
        drawn |= _draw_rows(axis, dict(zip(names, places, strict=True)), lines, seeds, base, scale)
        axis.set(xlabel="Δ test perplexity", ylabel="")
        _fit_values(axis, [abs(line["delta_test"]) for line in lines.values()])
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.margins(x=0.06)
        _mark_base(axis, places[list(names).index(base)] if base in names else None)
        axis.annotate("test", (1.03, 1), xycoords="axes fraction", va="bottom", color=GREY)
    axes[0].set_yticks(places, labels)
    axes[0].set_ylim(height, 0)
    label = "published" if scale == "paper" else "published, at another corpus or scale"
    entries = {
        "interval": Line2D([], [], color=INK, lw=0.8, marker="|", ms=4, label=heading("interval")),
        "seed": Line2D([], [], lw=0, label="single seed", **SEED),
        "published": Line2D([], [], lw=0, label=label, mec=_published_ink(scale), **PUBLISHED),
    }
    if handles := [entry for name, entry in entries.items() if name in drawn]:
        legend_below(figure, handles, 2)
    return figure


def _draw_rows(
    axis: Axes,
    places: dict[str, float],
    lines: dict[str, dict],
    seeds: dict[str, list[float]],
    base: str | None,
    scale: str,
) -> set[str]:
    """Draw all there is of the rows at their ``places``; return what a legend has to explain."""
    anchor = lines.get(base or "", {}).get("published_test", math.nan)
    bars, points, published, intervals = [], [], [], False  # (value, place)
    for name, place in places.items():
        line = lines.get(name)
        if line is None:
            _beside(axis, place, "not studied", GREY)
            continue
        delta, low, high = (line[f"delta_{end}"] for end in ("test", "low", "high"))
        if not math.isnan(delta):
            bars.append((delta, place))
        if not math.isnan(low):
            intervals = True
            whisker = [[delta - low], [high - delta]]
            axis.errorbar(delta, place, xerr=whisker, color=INK, lw=0.8, capsize=1.8, capthick=0.8)
        if not math.isnan(delta) and len(seeds[name]) > 1:
            points += [(value, place + scaled(0.035)) for value in seeds[name]]
        if name != base and not math.isnan(gap := line["published_test"] - anchor):
            published.append((gap, place))
        _beside(axis, place, *_outcome(line))
    _draw_bars(axis, bars)
    draw_points(axis, points, "strip", **SEED, zorder=4, gid="seed")
    draw_points(axis, published, "scatter", **PUBLISHED, mec=_published_ink(scale), zorder=4)
    seen = {"interval": intervals, "seed": points, "published": published}
    return {name for name, found in seen.items() if found}


def _draw_bars(axis: Axes, bars: list[tuple[float, float]]) -> None:
    if not bars:
        return
    deltas, places = zip(*bars, strict=True)
    # seaborn counts widths in the smallest distance of two places.
    nearest = min(np.diff(places), default=1.0)
    look = {"color": MAIN, "alpha": 0.55, "saturation": 1, "linewidth": 0, "zorder": 1}
    sns.barplot(
        x=deltas,
        y=places,
        orient="h",
        native_scale=True,
        errorbar=None,
        width=scaled(BAR) / nearest,
        ax=axis,
        legend=False,
        **look,
    )


def _plain(value: float, _: int) -> str:
    if abs(value) < 1000:
        return number(value, "{:g}")
    sign = MINUS if value < 0 else ""
    return f"{sign}10{str(round(math.log10(abs(value)))).translate(SUPERSCRIPTS)}"


def _mark_base(axis: Axes, place: float | None) -> None:
    """Write "base" beside the line at zero, on the side that has room."""
    if place is None:
        return
    left, right = axis.get_xlim()
    left, zero, right = axis.transData.transform([(left, 0), (0, 0), (right, 0)])[:, 0]
    before = right - zero < zero - left
    axis.annotate(
        "base",
        (0, place),
        xytext=(-4 if before else 4, 0),
        textcoords="offset points",
        ha="right" if before else "left",
        va="center_baseline",
        color=GREY,
        fontsize=scaled(7),
    )


def _fit_values(axis: Axes, sizes: list[float]) -> None:
    """A linear axis, unless one row went astray: then logarithmic beyond the usual difference."""
    sizes = [size for size in sizes if size > 0]  # nan is not
    usual = statistics.median(sizes) if sizes else 1.0
    if sizes and max(sizes) > ASTRAY * usual:
        first, last = (math.floor(math.log10(size)) for size in (usual, max(sizes)))
        axis.set_xscale("symlog", linthresh=10.0**first, linscale=1.0)
        step = 1 if last - first < 3 else 2
        powers = [10.0**power for power in range(first, last + 1, step)]
        shown = [-powers[0], 0, *powers] if roomy() else [0, powers[-1]]
        axis.xaxis.set_major_locator(FixedLocator(shown))
        axis.xaxis.set_major_formatter(FuncFormatter(_plain))
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.xaxis.set_major_locator(MaxNLocator(fitting(5, 2)))


def _published_ink(scale: str) -> str | tuple:
    return PALETTE[3] if scale == "paper" else PALE_MARK


def _outcome(line: dict) -> tuple[str, str]:
    """What stands at the right of a bar, and its colour."""
    if line["status"] in (Status.MISSING, *FAILED):
        color = GREY if line["status"] == Status.MISSING else PALETTE[3]
        return words.status(line["status"]), color
    value = number(line["test"])
    if line["status"] == Status.LEAKS:
        return f"{value} {words.status(Status.LEAKS)}", PALETTE[3]
    return value, INK if compared(line) else GREY


def _beside(axis: Axes, place: float, text: str, color: str | tuple) -> None:
    axis.annotate(
        text, (1.03, place), xycoords=("axes fraction", "data"), va="center_baseline", color=color
    )
