"""Lays a figure out until nothing moves."""

import itertools

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.ticker import FixedLocator
from matplotlib.transforms import Bbox

LEAST_GAP = 1.0  # between the numbers of an axis, in pixels of a hundredth of an inch
PLACES = (
    *("upper right", "upper left", "lower left", "lower right", "center left", "center right"),
    *("lower center", "upper center", "center"),
)
"""Of legends, of which matplotlib takes the best."""
LEAST_MOVE = 2e-4  # of a panel, in widths and heights of its figure
MOST_LAYOUTS = 8  # until ticks and places fit each other; two are usual


def lay_out(figure: Figure) -> None:
    """Lay the figure out once: to know about where its panels will be."""
    _prepare(figure)
    figure.get_layout_engine().execute(figure)


def _prepare(figure: Figure) -> None:
    """Give a figure what layouts measure text with; leave out what needs no place of its own.

    These are what the tick labels surround, and labels of axes that are empty.
    """
    FigureCanvasAgg(figure)
    for axes in figure.axes:
        axes.spines[:].set_in_layout(False)
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)  # else each drawing looks for a place beside the ticks


def settle(figure: Figure) -> None:
    """Lay the figure out until nothing moves, and then no more: the same in every format.

    A layout may give an axis other ticks, and their labels may need another layout.
    """
    engine = figure.get_layout_engine()
    if not isinstance(engine, ConstrainedLayoutEngine):
        return  # settled before
    _prepare(figure)
    watch = _Watch()
    figure.axes[0].add_artist(watch)
    watch.set_clip_on(False)  # else no layout asks for its size
    before: list | None = None
    for _ in range(MOST_LAYOUTS):
        engine.execute(figure)
        now = [_ticks_and_place(axis) for axis in figure.axes]
        if now == before or np.allclose(_places(figure), watch.places, 0, LEAST_MOVE):
            thinned = [_thin_out(axis) for axis in figure.axes]
            if not any(thinned):
                break
        before = now
    for axis in figure.axes:
        _settle_legend(axis.get_legend())
    watch.remove()
    figure.set_layout_engine("none")


def _settle_legend(legend: Legend | None) -> None:
    """Keep the best place of a legend: each drawing would look for it again, which is slow."""
    if legend is None:
        return
    best = legend.get_window_extent().bounds
    for place in PLACES:
        legend.set_loc(place)
        if legend.get_window_extent().bounds == best:
            return
    legend.set_loc("best")


class _Watch(Artist):
    """Sees the places of panels between the two rounds of a layout.

    If the second round moved nothing, another layout moves nothing, either.
    """

    places: np.ndarray

    def get_tightbbox(self, renderer=None):  # noqa: ARG002 - called as each round begins
        self.places = _places(self.figure)


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


def _places(figure: Figure) -> np.ndarray:
    return np.array([axis.get_position().bounds for axis in figure.axes])
