"""Lays a figure out until nothing moves, and writes it: equal figures are equal files."""

import itertools
from collections.abc import Callable, Collection
from pathlib import Path

import matplotlib
import numpy as np
from fontTools import subset
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

from awd.files import atomic
from awd.report.figures.style import settings

LEAST_GAP = 1.0  # between the numbers of an axis, in pixels of a hundredth of an inch
MOST_LAYOUTS = 8  # until ticks and places fit each other; two are usual


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
            thinned = [_thin_out(axis) for axis in figure.axes]
            if not any(thinned):
                break
        before = now
    figure.set_layout_engine("none")


def _thin_out(axes: Axes) -> bool:
    """Leave out ticks whose numbers would touch others; return whether there were any.

    Every second one stays, or every third and so on, and zero. Ticks that were chosen one by one,
    as names are, all stay.
    """
    renderer = axes.figure.canvas.get_renderer()
    thinned = False
    for axis, side in ((axes.xaxis, 0), (axes.yaxis, 1)):
        if isinstance(axis.get_major_locator(), FixedLocator):
            continue
        low, high = sorted(axis.get_view_interval())
        places = {
            tick.get_loc(): tick.label1.get_window_extent(renderer)
            for tick in axis.get_major_ticks()
            if low <= tick.get_loc() <= high and tick.label1.get_text()
        }
        ticks = sorted(places)
        kept = next(
            each
            for step in range(1, len(ticks) + 2)
            if _apart(each := _every(step, ticks), places, side)
        )
        if len(kept) < len(ticks):
            axis.set_major_locator(FixedLocator(kept))
            thinned = True
    return thinned


def _every(step: int, ticks: list[float]) -> list[float]:
    """Every so many of ``ticks``, zero among them if it is one."""
    return ticks[ticks.index(0) % step if 0 in ticks else 0 :: step]


def _apart(ticks: list[float], places: dict[float, Bbox], side: int) -> bool:
    """Whether no two of neighbouring boxes touch, along x (side 0) or y (1)."""
    boxes = sorted((places[tick].min[side], places[tick].max[side]) for tick in ticks)
    return all(after[0] - before[1] > LEAST_GAP for before, after in itertools.pairwise(boxes))


def _ticks_and_place(axis: Axes) -> tuple:
    labels = [label.get_text() for label in (*axis.get_xticklabels(), *axis.get_yticklabels())]
    return (*labels, *np.round(axis.get_position().bounds, 4))
