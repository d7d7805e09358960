"""Learning curves and ablation bars, from the same frames as the tables; sizes fit a paper."""

import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from awd.files import atomic
from awd.typeset import corpus_name

COLUMN, TEXT = 3.4, 7.0  # inches: the width of one column and of the page
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are the same everywhere
    "font.size": 7.5,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.solid_capstyle": "round",
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "awd",  # without it every save gets other identifiers
}
PALETTE = seaborn.color_palette("colorblind")
BASE, INK, GREY = PALETTE[0], "0.15", "0.45"
OTHERS = [
    *(PALETTE[i] for i in (1, 2, 3, 4, 5, 7, 9)),
    (0.2, 0.2, 0.2),
]  # yellow and pale pink vanish on white
SWITCH = "averaging starts"  # what a training says in the `event` column
DIVERGED = " (diverged)"


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw with STYLE, leaving the caller's own settings alone."""

    @functools.wraps(draw)
    def drawn(*inputs, **named) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*inputs, **named)

    return drawn


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem``.png, ``stem``.pdf and ``stem``.svg; equal figures give equal files."""
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    paths = []
    for kind, metadata in undated.items():
        path = Path(f"{stem}.{kind}")
        with matplotlib.rc_context(STYLE), atomic(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata)
        paths.append(path)
    return paths


# --- learning curves -----------------------------------------------------------------------------


@styled
def learning_curves(suite: dict, curves: pd.DataFrame, records: pd.DataFrame, **_) -> Figure:
    """Validation perplexity over epochs: a panel per corpus, a line per row.

    A line is the mean over seeds, with a thin line per seed beneath; fine-tuning goes on where
    training ended. The base row is strong, every line is named at its end. A diamond marks the
    epoch where NT-ASGD starts to average, a cross where a run diverged. Rows that are evaluated
    differently from the same weights share a line. ``curves`` and ``records`` are the frames of
    awd.records.
    """
    by_stage = dict(list(curves.groupby(["run", "stage"], sort=False)))
    diverged = set(records.loc[records["status"] == "diverged", "run"])
    panels = {}
    for corpus in dict.fromkeys(row["corpus"] for row in suite["rows"]):
        drawn = {}
        for row in suite["rows"]:
            runs = tuple(item["run"] for item in row["runs"])
            if row["corpus"] == corpus and (runs, row["stage"]) not in drawn:
                # Seeds that diverged would end the mean of those that did not.
                lasting = tuple(run for run in runs if run not in diverged) or runs
                if traces := _traces(lasting, row["stage"], by_stage):
                    drawn[runs, row["stage"]] = (row, traces, diverged >= set(runs))
        panels[corpus] = list(drawn.values())
    if not any(panels.values()):
        return _nothing("No learning curve of this suite has been recorded yet.")
    most = max(len(lines) for lines in panels.values())
    figure, axes = _panels(list(panels), height=max(2.3, 0.13 * most + 1.0))
    seen: set[str] = set()
    others = [name for name in _rows(suite) if name != suite.get("base")]
    looks = itertools.cycle(itertools.product(["-", (0, (4, 1.2)), (0, (1.2, 1))], OTHERS))
    looks = dict(zip(others, looks, strict=False)) | {suite.get("base"): ("-", BASE)}
    for axis, (corpus, lines) in zip(axes, panels.items(), strict=True):
        seen |= _curve_panel(axis, lines, looks, suite.get("base"), corpus)
    for axis in axes[::2]:
        axis.set_ylabel("validation perplexity")
    handles = {
        "switch": Line2D([], [], marker="D", ms=3.5, lw=0, color=GREY, label=f"{SWITCH} (NT-ASGD)"),
        "diverged": Line2D([], [], marker="x", ms=4, lw=0, color=GREY, label="diverged"),
        "seeds": Line2D([], [], lw=0.4, color=GREY, label="single seed"),
    }
    if shown := [handle for name, handle in handles.items() if name in seen]:
        figure.legend(handles=shown, loc="outside lower center", ncols=3)
    figure.draw_without_rendering()  # settles the layout, which the labels need to know
    for axis in axes:
        _name_lines(axis)
    return figure


def _traces(runs: tuple[str, ...], stage: str, by_stage: dict) -> dict[str, list[pd.DataFrame]]:
    """The curves of a row: per stage up to its own, one frame per seed that has any epoch."""
    stages = ("train",) if stage == "train" else ("train", "finetune")
    found = {s: [by_stage[run, s] for run in runs if (run, s) in by_stage] for s in stages}
    return found if found["train"] else {}


def _rows(suite: dict) -> list[str]:
    return list(dict.fromkeys(row["row"] for row in suite["rows"]))


def _curve_panel(
    axis: Axes, lines: list[tuple], looks: dict[str, tuple], base: str | None, corpus: str
) -> set[str]:
    """Draw the lines of one corpus; says which legend entries are needed."""
    axis.set_title(corpus_name(corpus))
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if not lines:
        _say(axis, "no curve recorded yet")
        return set()
    seen, boundaries, tops, lowest = set(), [], [], math.inf
    for row, traces, has_diverged in lines:
        strong = row["row"] == base
        dash, color = looks[row["row"]]
        line = {"color": color, "linestyle": dash, "zorder": 3 if strong else 2}
        xs, ys, offset = [], [], 0
        for stage, seeds in traces.items():
            if not seeds:
                continue
            table = pd.concat([s.set_index("epoch")["valid_perplexity"] for s in seeds], axis=1)
            if len(seeds) > 1:
                seen.add("seeds")
                axis.plot(table.index + offset, table, **line | {"lw": 0.4, "alpha": 0.35})
            mean = table.mean(axis=1, skipna=False).dropna()  # epochs that every seed has
            if ys and len(mean) and mean.index[0] + offset > xs[-1] + 1:
                xs, ys = [*xs, xs[-1]], [*ys, math.nan]  # no line across what is not known
            xs += list(mean.index + offset)
            ys += list(mean)
            if stage == "train":
                switch = pd.concat([s["epoch"][s["event"].str.contains(SWITCH)] for s in seeds])
                if len(switch) and len(mean):
                    seen.add("switch")
                    at = switch.median()
                    mark = {"ms": 3.5 if strong else 2.8, "mec": "w", "mew": 0.3, "zorder": 4}
                    axis.plot(at, np.interp(at, mean.index, mean), "D", color=color, **mark)
                offset = int(table.index.max())
                if traces.get("finetune"):
                    boundaries.append(offset)
        if not ys:
            continue
        label = row["label"] + (DIVERGED if has_diverged else "")
        axis.plot(xs, ys, gid="mean", label=label, **line | {"lw": 1.6 if strong else 0.9})
        if has_diverged:
            seen.add("diverged")
            axis.plot(xs[-1], ys[-1], "x", ms=5, mew=1.3, color=color, zorder=4)
        # The first, steep epochs run out of the panel, so that the rest can be told apart; a
        # curve that went astray does not decide how much of the others is seen.
        early = np.interp(max(2, 0.04 * xs[-1]) if xs[-1] > 4 else 1, xs, ys)
        tops.append((has_diverged, max(early, ys[-1])))
        lowest = min(lowest, np.nanmin(ys))
    if not tops:
        _say(axis, "no curve recorded yet")
        return seen
    astray = all(has_diverged for has_diverged, _ in tops)
    highest = 1.05 * max(top for has_diverged, top in tops if astray or not has_diverged)
    if highest / lowest > 1.6:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=_subdivisions(highest / lowest), numticks=20))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_ylim(lowest * 0.97, highest)
    if boundaries:
        at = max(set(boundaries), key=boundaries.count) + 0.5
        axis.axvline(at, color="0.8", lw=0.6, zorder=0)
        axis.annotate(
            "fine-tuning",
            (at, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -1),
            textcoords="offset points",
            va="top",
            color=GREY,
            fontsize=7,
        )
    return seen


def _name_lines(axis: Axes) -> None:
    """Write each line's name to the right of the panel, as near its end as the others allow."""
    lines = [line for line in axis.lines if line.get_gid() == "mean"]
    if not lines:
        return
    ends = np.array([line.get_xydata()[-1] for line in lines])
    heights = axis.transAxes.inverted().transform(axis.transData.transform(ends))[:, 1]
    order = np.argsort(heights)
    step = 8.2 / 72 / (axis.get_position().height * axis.figure.get_figheight())
    places = spread(heights[order], step, 0.0, 1.0)
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
            line.get_label(),
            (1.06, place),
            xycoords="axes fraction",
            va="center",
            fontsize=6.5,
            fontweight="bold" if strong else "normal",
            color=BASE if strong else INK,
        )


def spread(heights: np.ndarray, step: float, low: float, high: float) -> np.ndarray:
    """Move ascending heights as little as possible (least squares) to be ``step`` apart.

    They stay between ``low`` and ``high`` as long as they fit there.
    """
    from scipy.optimize import isotonic_regression  # slow to import, only needed here

    ladder = step * np.arange(len(heights))
    places = isotonic_regression(heights - ladder).x + ladder
    return np.maximum(np.minimum(places, high - ladder[::-1]), low + ladder)


# --- ablation ------------------------------------------------------------------------------------


@styled
def ablation(suite: dict, table: pd.DataFrame, scale: str = "paper", **_) -> Figure:
    """Test perplexity of each row minus the base row's: a panel per corpus, a bar per row.

    ``table`` is the frame of awd.tables. Error bars are its 95% intervals, hollow diamonds the
    published differences (at other scales than `paper` they are pale: another corpus or model),
    the numbers at the right the reproduced test perplexities. What has none says why.
    """
    base = suite.get("base")
    corpora = list(dict.fromkeys(table["corpus"]))
    names = dict(zip(table["row"], table["label"], strict=True))
    if not names:
        return _nothing("This suite has no rows.")
    figure, axes = _panels(corpora, height=0.19 * len(names) + 0.95, sharey=True)
    published = False
    for axis, corpus in zip(axes, corpora, strict=True):
        axis.set_title(corpus_name(corpus))
        axis.axvline(0, color=INK, lw=0.6, zorder=3)
        lines = table[table["corpus"] == corpus].set_index("row").to_dict("index")
        anchor = lines.get(base, {}).get("published_test", math.nan)
        for place, name in enumerate(names):
            line = lines.get(name)
            if line is None:
                _beside(axis, place, "not studied", GREY)
                continue
            delta, low, high = (line[f"delta_{end}"] for end in ("test", "low", "high"))
            if not math.isnan(delta):
                axis.barh(place, delta, height=0.62, color=(*BASE, 0.55), zorder=1)
            if not math.isnan(low):
                whisker = [[delta - low], [high - delta]]
                axis.errorbar(
                    delta, place, xerr=whisker, color=INK, lw=0.8, capsize=1.8, capthick=0.8
                )
            if name != base and not math.isnan(gap := line["published_test"] - anchor):
                published = True
                axis.plot(gap, place, "D", ms=4, mfc="none", mew=0.9, mec=_published_ink(scale))
            _beside(axis, place, *_outcome(line))
            if name == base:
                axis.annotate(
                    "base",
                    (0, place),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center_baseline",
                    color=GREY,
                    fontsize=7,
                )
        axis.set_xlabel(f"Δ test perplexity from {names.get(base, 'base')}")
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.margins(x=0.06)
        axis.annotate("test", (1.03, 1), xycoords="axes fraction", va="bottom", color=GREY)
    axes[0].set_yticks(range(len(names)), list(names.values()))
    axes[0].set_ylim(len(names) - 0.45, -0.55)
    handles = [Line2D([], [], color=INK, lw=0.8, marker="|", ms=4, label="95% interval")]
    if published:
        label = "published" if scale == "paper" else "published, at another corpus or scale"
        style = {"ms": 4, "mfc": "none", "mew": 0.9, "mec": _published_ink(scale)}
        handles.append(Line2D([], [], marker="D", lw=0, label=label, **style))
    if table["delta_low"].isna().all():
        handles.pop(0)
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _published_ink(scale: str) -> str | tuple:
    return PALETTE[3] if scale == "paper" else "0.65"


def _outcome(line: dict) -> tuple[str, str]:
    """What stands at the right of a bar, and its colour."""
    if line["status"] in ("missing", "diverged"):
        return line["status"], GREY if line["status"] == "missing" else PALETTE[3]
    value = f"{line['test']:.2f}" if not math.isnan(line["test"]) else "\N{EN DASH}"
    return (f"{value} leaks", PALETTE[3]) if line["status"] == "leaks" else (value, INK)


def _beside(axis: Axes, place: float, text: str, color: str | tuple) -> None:
    axis.annotate(
        text, (1.03, place), xycoords=("axes fraction", "data"), va="center_baseline", color=color
    )


# --- for both ------------------------------------------------------------------------------------

FIGURES: dict[str, Callable[..., Figure]] = {"curves": learning_curves, "ablation": ablation}


def _panels(corpora: list[str], height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels side by side, at most two in a line: one is a column wide, more fill the page."""
    columns = min(2, len(corpora))
    lines = math.ceil(len(corpora) / 2)
    size = (COLUMN if columns == 1 else TEXT, height * lines)
    figure = Figure(size, layout="constrained")
    axes = list(figure.subplots(lines, columns, sharey=sharey, squeeze=False).flat)
    for spare in axes[len(corpora) :]:
        spare.remove()
    return figure, axes[: len(corpora)]


def _say(axis: Axes, text: str) -> None:
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color=GREY)


def _nothing(text: str) -> Figure:
    figure = Figure((COLUMN, 1.2), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    _say(axis, text)
    return figure


def _subdivisions(ratio: float) -> tuple[float, ...]:
    """Which numbers of a decade get a tick: more of them, the less of a decade is shown."""
    if ratio < 2.5:
        return (1, 1.2, 1.4, 1.6, 1.8, *np.arange(2, 10, 0.5))
    return (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8) if ratio < 8 else (1, 2, 5)
