"""Lays a figure out until nothing moves, and writes it: equal figures are equal files."""

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

from awd.files import atomic
from awd.report.figures.style import settings

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
            break
        before = now
    figure.set_layout_engine("none")


def _ticks_and_place(axis: Axes) -> tuple:
    labels = [label.get_text() for label in (*axis.get_xticklabels(), *axis.get_yticklabels())]
    return (*labels, *np.round(axis.get_position().bounds, 4))
