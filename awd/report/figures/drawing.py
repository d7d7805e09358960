"""The look of figures, and the parts that several share; sizes fit a paper."""

import functools
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from fontTools import subset
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from awd.errors import InputError, nearest
from awd.files import atomic
from awd.report.comparability import Exclusion
from awd.report.figures.traces import Trace
from awd.vocabulary import Event

COLUMN, PAGE = 1, 2  # columns that a figure is wide
GAP = 0.3  # inches between two columns
POINTS = 7.5  # of usual text, for which distances in figures are made
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MEAN, BAND = "mean", "band"  # identify the line of a mean, and the range of seeds
CHARACTERS = 21  # of small print that fit on an inch
STYLE = Path(__file__).with_name("awd.mplstyle")
COMMENT = re.compile(r"(^|\s)#.*")  # a colour has no space before its number sign
FIXED = {
    "text.parse_math": False,  # text comes from data: a dollar sign is a dollar sign
    "svg.hashsalt": "awd",  # without it every save gets other identifiers
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""Settings that no style may change."""
PALETTE = sns.color_palette("colorblind").as_hex()
BASE, INK, GREY = PALETTE[0], "0.15", "0.45"
OTHERS = [
    *(PALETTE[i] for i in (1, 2, 3, 4, 5, 7, 9)),
    (0.2, 0.2, 0.2),
]  # yellow and pale pink vanish on white
DASHES = ["-", (0, (4, 1.2)), (0, (1.2, 1))]


FONT = "DejaVu Sans"  # comes with matplotlib, so figures are the same everywhere
WIDER_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "IPAGothic"),
    *("Hiragino Sans", "PingFang SC", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
    *("Noto Sans", "Noto Sans Symbols2", "Noto Emoji", "Unifont"),
)
"""Fonts that have signs FONT lacks; those that are installed are used for these signs alone."""
MOST_LAYOUTS = 8  # until ticks and places fit each other; two are usual


@functools.cache
def _fonts() -> list[str]:
    installed = set(font_manager.get_font_names())
    return [FONT, *(font for font in WIDER_FONTS if font in installed)]


def settings(style: Path | None = None) -> dict:
    """Return matplotlib's settings for every figure: seaborn's, awd's, and those of ``style``.

    Raises InputError if the file ``style`` cannot be read or sets something wrong.
    """
    found = sns.axes_style("ticks") | sns.plotting_context("paper")
    found |= dict(matplotlib.rc_params_from_file(STYLE, use_default_template=False))
    if style is not None:
        found |= read_style(style)
    family = found["font.family"]
    names = [family] if isinstance(family, str) else list(family)
    return found | FIXED | {"font.family": list(dict.fromkeys([*names, *_fonts()]))}


def read_style(path: Path) -> dict:
    """Read a style file of matplotlib; raises InputError with its first mistake."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    found = matplotlib.RcParams()
    names = matplotlib.rcParams.keys()
    for number, line in enumerate(lines, 1):
        text = COMMENT.sub("", line).strip()
        if not text:
            continue
        name, colon, value = (part.strip() for part in text.partition(":"))
        if not colon:
            raise InputError(f"{path}, line {number}: '{text}' must have the form SETTING: VALUE")
        if name not in names:
            raise InputError(f"{path}, line {number}: no setting '{name}'; {nearest(name, names)}")
        try:
            found[name] = value.strip("\"'")
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    return dict(found)


def width(columns: int) -> float:
    """Return how wide a figure of one or two columns is, in inches."""
    page = matplotlib.rcParams["figure.figsize"][0]
    return round(page if columns == PAGE else (page - GAP) / 2, 3)


def least_height() -> float:
    """Return the least height of a panel, in inches."""
    return matplotlib.rcParams["figure.figsize"][1]


def scaled(size: float) -> float:
    """Return a size of text or of a distance that grows with it, made for text of POINTS."""
    return size * matplotlib.rcParams["font.size"] / POINTS


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make ``draw`` use `settings`, and leave the caller's settings as they are.

    The function gets another argument: ``style``, a style file in addition.
    """

    @functools.wraps(draw)
    def drawn(*inputs, style: Path | None = None, **named) -> Figure:
        with matplotlib.rc_context(settings(style)):
            return draw(*inputs, **named)

    return drawn


def save(
    figure: Figure,
    stem: Path,
    formats: Collection[str] = ("png", "pdf", "svg"),
    style: Path | None = None,
) -> list[Path]:
    """Write ``stem``.png, .pdf and .svg, or those in ``formats``; equal figures, equal files.

    ``style`` is the style file that the figure was drawn with.
    """
    paths = []
    with matplotlib.rc_context(settings(style)):
        settle(figure)
        figure.set_dpi(matplotlib.rcParams["savefig.dpi"])
        # Figure.savefig would draw everything twice.
        for kind, write in WRITERS.items():
            if kind in formats:
                path = Path(f"{stem}.{kind}")
                with atomic(path) as temporary:
                    write(figure, temporary)
                paths.append(path)
    return paths


class _EmbeddedFont(subset.Options):
    """What of a font a PDF gets: its glyphs, not the tables for shaping text, which are slow."""

    def __init__(self, **options):
        super().__init__(**options)
        self.drop_tables += ["GSUB", "GPOS", "GDEF"]


def _write_pdf(figure: Figure, path: Path) -> None:
    usual, subset.Options = subset.Options, _EmbeddedFont
    try:
        FigureCanvasPdf(figure).print_pdf(path, metadata={"CreationDate": None})
    finally:
        subset.Options = usual


WRITERS: dict[str, Callable[[Figure, Path], None]] = {
    "png": lambda figure, path: FigureCanvasAgg(figure).print_png(
        path, metadata={"Software": None}
    ),
    "pdf": lambda figure, path: _write_pdf(figure, path),
    "svg": lambda figure, path: FigureCanvasSVG(figure).print_svg(path, metadata={"Date": None}),
}
"""By format; without a date, so that equal figures are equal files."""


def lay_out(figure: Figure) -> None:
    """Lay the figure out once: to know about where its panels will be."""
    FigureCanvasAgg(figure)
    figure.get_layout_engine().execute(figure)


def settle(figure: Figure) -> None:
    """Lay the figure out until nothing moves, and then no more: the same in every format.

    A layout may give an axis other ticks, and their labels may need another layout.
    """
    engine = figure.get_layout_engine()
    if not isinstance(engine, ConstrainedLayoutEngine):
        return  # settled before
    FigureCanvasAgg(figure)  # measures text once for all layouts
    before: list | None = None
    for _ in range(MOST_LAYOUTS):
        engine.execute(figure)
        now = [_ticks_and_place(axis) for axis in figure.axes]
        if now == before:
            break
        before = now
    figure.set_layout_engine("none")


def _ticks_and_place(axis: Axes) -> tuple:
    labels = [label.get_text() for label in (*axis.get_xticklabels(), *axis.get_yticklabels())]
    return (*labels, *np.round(axis.get_position().bounds, 4))


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


def write_in_the_middle(axis: Axes, text: str) -> None:
    """Words in the middle of a panel, in place of what is not there."""
    where = {"transform": axis.transAxes, "ha": "center", "va": "center", "zorder": 5}
    axis.text(0.5, 0.5, text, color=GREY, bbox={"pad": 1.5, "lw": 0, "fc": "w"}, **where)


def looks(suite: dict) -> dict[str, tuple]:
    """Dashes and colour of each row: the same in every panel and figure of the suite.

    Neighbours differ in both, so that they differ without colour, too.
    """
    base = suite.get("base")
    others = [name for name in dict.fromkeys(r["row"] for r in suite["rows"]) if name != base]
    pairs = zip(itertools.cycle(DASHES), itertools.cycle(OTHERS), strict=False)
    return dict(zip(others, pairs, strict=False)) | {base: ("-", BASE)}


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
    cross where the runs diverged. ``line`` are the properties of the mean's line. Returns the
    mean by epoch, and what a legend has to explain.
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
    if mark_events and trace.switch is not None:
        seen.add("switch")
        size = 3.5 if line["lw"] > 1 else 2.8
        at = trace.switch
        place = (at, np.interp(at, mean.index, mean))
        axis.plot(*place, "D", color=color, ms=size, mec="w", mew=0.3, zorder=4)
    if trace.exclusion is Exclusion.DIVERGED:
        seen.add("diverged")
        axis.plot(mean.index[-1], mean.iloc[-1], "x", ms=5, mew=1.3, color=color, zorder=4)
    return mean, seen


def plot_lines(axis: Axes, frame: pd.DataFrame, **look) -> list[Line2D]:
    """Draw a tidy ``frame`` of epoch and value with seaborn, one line for each value of ``line``.

    ``look`` are properties of every line. A line of one epoch is a dot. Returns the lines.
    """
    names, before = (axis.get_xlabel(), axis.get_ylabel()), len(axis.lines)
    label = look.pop("label", None)
    sns.lineplot(
        frame, x="epoch", y="value", units="line", estimator=None, ax=axis, legend=False, **look
    )
    axis.set(xlabel=names[0], ylabel=names[1])
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
    names = axis.get_xlabel(), axis.get_ylabel()
    common = {"ax": axis, "legend": False, "marker": look["marker"], "linewidth": look["mew"]}
    common |= {"edgecolor": look["mec"], "zorder": look["zorder"], "gid": look.get("gid")}
    if kind == "strip":
        alike = {"native_scale": True, "jitter": False, "size": look["ms"], "color": look["mfc"]}
        sns.stripplot(x=x, y=y, orient="h", **alike, **common)
    else:
        sns.scatterplot(x=x, y=y, s=look["ms"] ** 2, facecolor=to_rgba_array(look["mfc"]), **common)
    axis.set(xlabel=names[0], ylabel=names[1])


def explanations(seen: Iterable[str]) -> list[Line2D]:
    """Legend entries for what `draw_trace` has drawn."""
    switch = f"{Event.AVERAGING_STARTS} (NT-ASGD)"
    entries = {
        "switch": Line2D([], [], marker="D", ms=3.5, lw=0, color=GREY, label=switch),
        "lowered": Line2D(
            [], [], marker="v", ms=3.5, lw=0, color=GREY, label="lower learning rate"
        ),
        "diverged": Line2D([], [], marker="x", ms=4, lw=0, color=GREY, label="diverged"),
        "seeds": Line2D([], [], lw=0.4, color=GREY, label="single seeds"),
        "boundary": Line2D([], [], lw=0, marker="|", ms=7, color="0.7", label="fine-tuning begins"),
    }
    return [entry for name, entry in entries.items() if name in seen]


def mark_boundary(axis: Axes, epoch: float, text: str | None = "fine-tuning") -> None:
    """A thin line between ``epoch`` and the next, where fine-tuning begins."""
    axis.axvline(epoch + 0.5, color="0.8", lw=0.6, zorder=0)
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
