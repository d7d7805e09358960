"""What a lower perplexity costs: test perplexity against parameters and against training time."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from awd.report.figures.bars import PUBLISHED, SEED
from awd.report.figures.drawing import (
    PALETTE,
    explain_below,
    limit_values,
    looks,
    nothing,
    panels,
    styled,
)
from awd.report.figures.names import HEIGHT, Name, lines_of, write_names
from awd.report.figures.values import ensemble_size, seed_values, training_hours
from awd.report.tables.layout import compared
from awd.report.tables.typeset import corpus_name


@styled
def parameters(
    suite: dict, table: pd.DataFrame, records: pd.DataFrame, scale: str = "paper", **_
) -> Figure:
    """Test perplexity against the number of trainable parameters: a panel per corpus.

    Each row is a point with its name, small points are its seeds, hollow diamonds what was
    published (at scale `paper` alone). ``table`` is the frame of report.tables, ``records`` that of
    awd.report.records. Rows that leak, diverged, are missing or not comparable are told
    below.
    """
    sizes = [
        math.nan if pd.isna(count) else int(count) * ensemble_size(method)
        for count, method in zip(table["params"], table["method"], strict=True)
    ]
    table = table.assign(x=sizes)
    return _scatter(suite, table, records, "parameters", EngFormatter(sep=""), scale == "paper")


@styled
def cost(
    suite: dict, table: pd.DataFrame, records: pd.DataFrame, curves: pd.DataFrame, **_
) -> Figure:
    """Test perplexity against what training cost, in core-hours or GPU-hours: a panel per corpus.

    Otherwise as `parameters`. What costs little is given in minutes or seconds.
    """
    spent = [training_hours(row, curves, records) for row in suite["rows"]]
    hours = [each for each, _ in spent]
    most = max((each for each in hours if not math.isnan(each)), default=0.0)
    per_hour, unit = (3600, "seconds") if most < 0.1 else (60, "minutes")
    if most > 3:
        per_hour, unit = 1, "hours"
    what = " or ".join(f"{kind}-{unit}" for kind in sorted({kind for _, kind in spent if kind}))
    table = table.assign(x=[each * per_hour for each in hours])
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    return _scatter(suite, table, records, f"training ({what})", plain, False)


def _scatter(
    suite: dict,
    table: pd.DataFrame,
    records: pd.DataFrame,
    label: str,
    formatter: FuncFormatter | EngFormatter,
    compare: bool,
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
    figure, axes = panels(list(groups), height=max(2.3, HEIGHT * most + 0.9))
    base, look, drawn = suite.get("base"), looks(suite), set()
    for axis, (corpus, lines) in zip(axes, groups.items(), strict=True):
        axis.set_title(corpus_name(corpus))
        axis.set_xlabel(label)
        seeds = seed_values(suite, corpus, records)
        seen = []
        for line in lines:
            strong = line["row"] == base
            x, color = line["x"], look[line["row"]][1]
            values = list(seeds[line["row"]].values())
            seen += [line["test"], *values]
            if len(values) > 1:
                drawn.add("seed")
                axis.plot([x] * len(values), values, **SEED | {"ms": 1.8, "mfc": color}, zorder=3)
            size = 5.5 if strong else 4
            axis.plot(x, line["test"], "o", ms=size, color=color, mec="w", mew=0.4, zorder=4)
            if compare and not math.isnan(line["published_test"]):
                drawn.add("published")
                seen.append(line["published_test"])
                axis.plot(x, line["published_test"], mec=PALETTE[3], zorder=2, **PUBLISHED)
        low, high = min(seen), max(seen)
        margin = 1.03 * (high / low) ** 0.05
        limit_values(axis, low / margin, high * margin)
        _fit_places(axis, [line["x"] for line in lines], formatter)
    for axis in axes[::2]:
        axis.set_ylabel("test perplexity")
    _tell_the_others(figure, table, shown)
    entries = {
        "seed": Line2D([], [], lw=0, label="single seed", **SEED | {"ms": 1.8}),
        "published": Line2D([], [], lw=0, label="published", mec=PALETTE[3], **PUBLISHED),
    }
    if handles := [entry for name, entry in entries.items() if name in drawn]:
        frame = {"frameon": True, "framealpha": 1, "edgecolor": "0.85"}
        axes[0].legend(handles=handles, loc="best", fontsize=6.5, handletextpad=0, **frame)
    figure.draw_without_rendering()  # settles the layout, which the names need to know
    for axis, lines in zip(axes, groups.values(), strict=True):
        names = [
            Name(line["label"], line["x"], line["test"], look[line["row"]][1], line["row"] == base)
            for line in lines
        ]
        write_names(axis, names)
    return figure


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
        axis.xaxis.set_major_locator(MaxNLocator(4))
        margin = max(0.08 * (high - low), 0.04 * high)
        axis.set_xlim(low - margin, high + margin)
    axis.xaxis.set_major_formatter(formatter)


def _tell_the_others(figure: Figure, table: pd.DataFrame, shown: pd.DataFrame) -> None:
    """Name the rows that have no point, and why."""
    others = table.drop(shown.index)
    if others.empty:
        return
    reasons = others["status"].mask(others["incomparable"].notna(), "not comparable")
    told = []
    for reason, lines in others.groupby(reasons, sort=False):
        told.append(f"{', '.join(dict.fromkeys(lines['label']))} ({reason})")
    explain_below(figure, "not shown: " + "; ".join(told))
