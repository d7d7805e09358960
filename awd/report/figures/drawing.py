"""Panels, lines, points, marks and axes that several figures share."""

import math
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from awd.report import words
from awd.report.comparability import Exclusion
from awd.report.figures.style import (
    BOUNDARY,
    BOUNDARY_MARK,
    COLUMN,
    GREY,
    SHORTEST,
    fitting,
    roomy,
    scaled,
    width,
)
from awd.report.figures.traces import Trace
from awd.vocabulary import Event

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MEAN, BAND = "mean", "band"  # identify the line of a mean, and the range of seeds
CHARACTERS = 21  # of small print that fit on an inch
HANDLE = 6  # characters that the line or mark of a legend's entry takes
ENDS = {Exclusion.DIVERGED: "x", Exclusion.HOPELESS: "+"}
"""The marks at the end of lines of trainings that failed."""


def panels(corpora: list[str], height: float, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Panels side by side, at most two in a line: one is a column wide, more fill the page."""
    columns = min(2, len(corpora))
    lines = math.ceil(len(corpora) / 2)
    size = (width(columns), height * lines)
    figure = Figure(size, layout="constrained")
    axes = list(figure.subplots(lines, columns, sharey=sharey, squeeze=False).flat)
    for spare in axes[len(corpora) :]:
        spare.remove()
    return figure, axes[: len(corpora)]


def nothing(text: str) -> Figure:
    """Return a small figure with nothing but ``text``."""
    figure = Figure((width(COLUMN), scaled(1.2)), layout="constrained")
    axis = figure.subplots()
    axis.set_axis_off()
    write_in_the_middle(axis, text)
    return figure


def explain_below(figure: Figure, text: str) -> None:
    """Small print at the bottom of a figure, over its whole width."""
    text = textwrap.fill(text, int(CHARACTERS * figure.get_figwidth() / scaled(1)))
    figure.supxlabel(text, x=0.01, ha="left", color=GREY, fontsize=scaled(6))


def legend_below(figure: Figure, entries: list[Line2D], columns: int) -> None:
    """Explain ``entries`` below the panels, in ``columns`` or as many as there is room for.

    The figure grows by what fewer columns are higher.
    """
    size = FontProperties(size=matplotlib.rcParams["legend.fontsize"]).get_size_in_points()
    width = int(CHARACTERS * figure.get_figwidth() * 6 / size) - HANDLE
    for entry in entries:
        entry.set_label(textwrap.fill(str(entry.get_label()), width))
    renderer = FigureCanvasAgg(figure).get_renderer()
    heights = []
    for count in range(min(columns, len(entries)), 0, -1):
        legend = figure.legend(handles=entries, loc="outside lower center", ncols=count)
        box = legend.get_window_extent(renderer)
        heights.append(box.height)
        if count == 1 or box.width < figure.bbox.width:
            break
        legend.remove()
    _grow(figure, (heights[-1] - heights[0]) / figure.dpi)


def write_title(axis: Axes, text: str, characters: int) -> None:
    """Write the title of a panel, in lines of so many characters of the usual size.

    The figure grows where larger characters need more lines.
    """
    usual = textwrap.wrap(text, characters)
    # Letters differ in width, so larger ones get a bit less than their share.
    lines = usual if roomy() else textwrap.wrap(text, fitting(characters - 3, SHORTEST))
    title = axis.set_title("\n".join(lines))
    _grow(axis.get_figure(), (len(lines) - len(usual)) * 1.2 * title.get_fontsize() / 72)


def _grow(figure: Figure, inches: float) -> None:
    """Make a figure higher by ``inches``, if they are positive."""
    figure.set_figheight(figure.get_figheight() + max(0.0, inches))


def write_in_the_middle(axis: Axes, text: str) -> None:
    """Words in the middle of a panel, in place of what is not there."""
    where = {"transform": axis.transAxes, "ha": "center", "va": "center", "zorder": 5}
    axis.text(0.5, 0.5, text, color=GREY, bbox={"pad": 1.5, "lw": 0, "fc": "w"}, **where)


def stack(labels: Iterable[str], width: int) -> tuple[list[str], np.ndarray, float]:
    """Labels of lines beneath each other, broken after ``width`` characters.

    Returns the broken labels, the distance of each one's middle from the top, and the height of
    all, in inches.
    """
    texts = [textwrap.fill(label, width) for label in labels]
    heights = scaled(1) * np.array([0.075 + 0.115 * (1 + text.count("\n")) for text in texts])
    bottoms = np.cumsum(heights)
    return texts, bottoms - heights / 2, float(bottoms[-1])


def draw_trace(
    axis: Axes, trace: Trace, column: str, mark_events: bool = True, **line
) -> tuple[pd.Series, set[str]]:
    """Draw the mean over seeds, each seed and their range beneath, and what happened on the way.

    A diamond marks where averaging starts, a small triangle where the learning rate is lowered, a
    cross where the runs diverged, a plus where they were hopeless. ``line`` are the properties of
    the mean's line. Returns the mean by epoch, and what a legend has to explain.
    """
    seen: set[str] = set()
    mean = trace.mean(column)
    if mean.empty:
        return mean, seen
    seeds = trace.tidy(column)
    spread = seeds.groupby("epoch")["value"].agg(["min", "max"]).reindex(mean.index)
    look = {name: line[name] for name in ("color", "ls", "zorder")}
    if (spread["max"] > spread["min"]).any():
        seen.add("seeds")
        # seaborn's own band costs half a second for a curve of 500 epochs.
        area = {"color": line["color"], "alpha": 0.15, "lw": 0, "zorder": line["zorder"] - 0.5}
        axis.fill_between(spread.index, spread["min"], spread["max"], gid=BAND, **area)
        plot_lines(axis, seeds, **look, gid="seed", lw=0.4, alpha=0.35)
    if line.get("ls") != "":
        parts = pd.DataFrame({"epoch": mean.index, "value": mean.to_numpy()})
        parts["line"] = mean.isna().cumsum().to_numpy()
        plot_lines(axis, parts, **{"gid": MEAN} | line)
    color = line["color"]
    if mark_events and column != "learning_rate" and len(lowered := trace.lowered):
        seen.add("lowered")
        values = np.interp(lowered, mean.index, mean)
        axis.plot(lowered, values, "v", color=color, ms=3.4, mec="w", mew=0.3, zorder=4)
    if mark_events and trace.averaging_starts is not None:
        seen.add("averaging starts")
        size = 3.5 if line["lw"] > 1 else 2.8
        at = trace.averaging_starts
        place = (at, np.interp(at, mean.index, mean))
        axis.plot(*place, "D", color=color, ms=size, mec="w", mew=0.3, zorder=4)
    if trace.exclusion in ENDS:
        seen.add(trace.exclusion)
        sign = {"marker": ENDS[trace.exclusion], "ms": 5, "mew": 1.3, "color": color, "zorder": 4}
        axis.plot(mean.index[-1], mean.iloc[-1], **sign)
    return mean, seen


def plot_lines(axis: Axes, frame: pd.DataFrame, **look) -> list[Line2D]:
    """Draw a tidy ``frame`` of epoch and value with seaborn, one line for each value of ``line``.

    ``look`` are properties of every line. A line of one epoch is a dot. Returns the lines.
    """
    before, label = len(axis.lines), look.pop("label", None)
    with _named(axis):
        sns.lineplot(
            frame, x="epoch", y="value", units="line", estimator=None, ax=axis, legend=False, **look
        )
    drawn = axis.lines[before:]
    for line in drawn:
        line.set_label(label)
        if len(line.get_xdata()) == 1:
            line.set(marker="o", markersize=2 + look["lw"], markeredgewidth=0)
    return list(drawn)


def draw_points(axis: Axes, points: list[tuple], kind: str, **look) -> None:
    """Draw points (x, y) with seaborn's ``kind`` of plot: strip or scatter.

    ``look`` are properties as of a line of markers, as in a legend.
    """
    if not points:
        return
    x, y = zip(*points, strict=True)
    common = {"ax": axis, "legend": False, "marker": look["marker"], "linewidth": look["mew"]}
    common |= {"edgecolor": look["mec"], "zorder": look["zorder"], "gid": look.get("gid")}
    scattered = {"s": look["ms"] ** 2, "facecolor": to_rgba_array(look["mfc"])}
    strip = {"size": look["ms"], "color": look["mfc"], "native_scale": True, "jitter": False}
    with _named(axis):
        if kind == "strip":
            sns.stripplot(x=x, y=y, orient="h", **strip, **common)
        else:
            sns.scatterplot(x=x, y=y, **scattered, **common)


@contextmanager
def _named(axis: Axes) -> Iterator[None]:
    """Keep seaborn from naming the axes, before which it would look for the places of all ticks."""
    names = {"xlabel": axis.get_xlabel(), "ylabel": axis.get_ylabel()}
    axis.set(**dict.fromkeys(names, "kept"))
    yield
    axis.set(**names)


def explanations(seen: Iterable[str]) -> list[Line2D]:
    """Legend entries for what `draw_trace` has drawn."""
    starts = f"{Event.AVERAGING_STARTS} (NT-ASGD)"
    entries = {
        "averaging starts": Line2D([], [], marker="D", ms=3.5, lw=0, color=GREY, label=starts),
        "lowered": Line2D(
            [], [], marker="v", ms=3.5, lw=0, color=GREY, label="lower learning rate"
        ),
        "seeds": Line2D([], [], lw=0.4, color=GREY, label="single seeds"),
        "boundary": Line2D(
            [], [], lw=0, marker="|", ms=7, color=BOUNDARY_MARK, label="fine-tuning begins"
        ),
    }
    for why, sign in ENDS.items():
        look = {"marker": sign, "ms": 4, "lw": 0, "color": GREY}
        entries[why] = Line2D([], [], label=words.exclusion(why), **look)
    return [entry for name, entry in entries.items() if name in seen]


def mark_boundary(axis: Axes, epoch: float, text: str | None) -> None:
    """A thin line between ``epoch`` and the next, where fine-tuning begins."""
    axis.axvline(epoch + 0.5, color=BOUNDARY, lw=0.6, zorder=0)
    if text:
        left, right = axis.get_xlim()
        late = (epoch - left) / (right - left) > 0.6  # then the words do not fit on its right
        axis.annotate(
            f"{text} \N{RIGHTWARDS ARROW}" if late else text,
            (epoch + 0.5, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-2 if late else 3, -1),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            color=GREY,
            fontsize=scaled(7),
            zorder=5,
            bbox={"pad": 0.5, "lw": 0, "fc": "w"},
        )


def limit_values(
    axis: Axes, low: float, high: float, logarithmic_from: float = 1.6, small: bool = False
) -> None:
    """Show ``low`` to ``high``, with a logarithmic axis if they are far apart.

    A ``small`` panel has room for few ticks.
    """
    ratio = high / low
    if ratio > logarithmic_from:
        axis.set_yscale("log")
        wide = ratio > 1e4
        subdivisions = _subdivisions(ratio, small)
        places = {"numticks": 7} if wide else {"subs": subdivisions, "numticks": 20}
        axis.yaxis.set_major_locator(LogLocator(**places))
        axis.yaxis.set_major_formatter(FuncFormatter(_tick))
        axis.yaxis.set_minor_formatter(NullFormatter())
        if wide:
            axis.yaxis.set_minor_locator(NullLocator())
    axis.set_ylim(low, high)


def _tick(value: float, _: int) -> str:
    power = math.log10(value)
    if 1e-3 <= value < 1e5 or not math.isclose(power, round(power), abs_tol=1e-9):
        return f"{value:g}"
    return "10" + str(round(power)).translate(SUPERSCRIPTS)


def _subdivisions(ratio: float, small: bool) -> tuple[float, ...]:
    """Which numbers of a decade get a tick: more of them, the less of a decade is shown."""
    if ratio < 2.5:
        return (1, 1.5, 2, 3, 4, 6, 8) if small else (1, 1.2, 1.4, 1.6, 1.8, *np.arange(2, 10, 0.5))
    if ratio < 8:
        return (1, 2, 3, 5, 7) if small else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)
    return (1, 2, 5) if ratio < 40 else (1,)
