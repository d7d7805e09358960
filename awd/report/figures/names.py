"""Names written at the right of a panel, each beside what it names as far as the others allow."""

import textwrap
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from awd.report.figures.style import INK, MAIN, SHORTEST, fitting, scaled

WIDTH = 28  # characters of a name before it is broken
HEIGHT = 8.2 / 72  # inches that a line of text takes


class Name(NamedTuple):
    """A ``text`` and the point in the panel, ``x`` and ``y``, that it belongs to.

    ``strong`` is for the base row; ``dotted`` is the look of the line from point to text.
    """

    text: str
    x: float
    y: float
    color: str | tuple
    strong: bool = False
    dotted: bool = False


def lines_of(text: str) -> int:
    """Count the lines that a name takes."""
    return len(textwrap.wrap(text, fitting(WIDTH, SHORTEST)))


def write_names(axis: Axes, names: list[Name]) -> None:
    """Write ``names`` beside a panel whose limits and place in the figure are settled."""
    if not names:
        return
    low, high = axis.get_ylim()
    texts = [textwrap.fill(name.text, fitting(WIDTH, SHORTEST)) for name in names]
    points = np.array([(name.x, name.y) for name in names])
    heights = axis.transAxes.inverted().transform(axis.transData.transform(points))[:, 1]
    order = np.argsort(heights, kind="stable")
    unit = scaled(HEIGHT) / (axis.get_position().height * axis.figure.get_figheight())
    sizes = unit * np.array([1 + texts[which].count("\n") for which in order])
    places = spread(heights[order], (sizes[1:] + sizes[:-1]) / 2, 0.0, 1.0)
    for which, place in zip(order, places, strict=True):
        name = names[which]
        axis.annotate(
            "",
            (name.x, min(max(name.y, low), high)),
            xytext=(1.05, place),
            textcoords="axes fraction",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "lw": 0.4,
                "ls": (0, (1, 2)) if name.dotted else "-",
                "color": name.color,
                "shrinkA": 0,
                "shrinkB": 1,
            },
        ).set_in_layout(False)  # a line lies between its panel and its name
        axis.annotate(
            texts[which],
            (1.06, place),
            xycoords="axes fraction",
            va="center",
            linespacing=1.0,
            fontsize=scaled(6.5),
            fontweight="bold" if name.strong else "normal",
            color=MAIN if name.strong else INK,
        )


def spread(heights: np.ndarray, step: float | np.ndarray, low: float, high: float) -> np.ndarray:
    """Move ascending heights as little as possible (least squares) to be ``step`` apart.

    ``step`` is one distance, or one for each pair of neighbours. They stay between ``low`` and
    ``high`` as long as they fit there.
    """
    steps = np.broadcast_to(step, max(len(heights) - 1, 0))
    ladder = np.concatenate([[0.0], np.cumsum(steps)])[: len(heights)]
    # An isotonic regression; scipy.optimize, which has one, takes longer to import than to draw.
    # A place is the highest, over all first names, of the lowest mean from there to a later name.
    sums = np.concatenate([[0.0], np.cumsum(heights - ladder)])
    first, last = np.triu_indices(len(heights))
    means = np.full((len(heights), len(heights)), np.inf)
    means[first, last] = (sums[last + 1] - sums[first]) / (last + 1 - first)
    lowest = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]
    places = np.maximum.accumulate(lowest, axis=0).diagonal() + ladder
    return np.maximum(np.minimum(places, high - (ladder[-1] - ladder)), low + ladder)
