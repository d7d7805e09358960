"""Ablation bars: what each row costs or gains, beside what was published."""

import math
import statistics

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from awd.figures.drawing import BASE, GREY, INK, PALETTE, nothing, panels, styled
from awd.typeset import corpus_name

ASTRAY = 30
"""How many times the usual difference makes a row one that went astray."""


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
        return nothing("This suite has no rows.")
    figure, axes = panels(corpora, height=0.19 * len(names) + 0.95, sharey=True)
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
        _fit_values(axis, [abs(line["delta_test"]) for line in lines.values()])
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


def _fit_values(axis: Axes, sizes: list[float]) -> None:
    """A linear axis, unless one row went astray: then logarithmic beyond the usual difference."""
    sizes = [size for size in sizes if size > 0]  # nan is not
    usual = statistics.median(sizes) if sizes else 1.0
    if sizes and max(sizes) > ASTRAY * usual:
        axis.set_xscale("symlog", linthresh=10 ** math.floor(math.log10(usual)), linscale=1.0)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axis.xaxis.set_major_locator(MaxNLocator(5))


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
