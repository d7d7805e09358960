"""The figures of a report by name."""

from collections.abc import Callable

from matplotlib.figure import Figure

from awd.figures.bars import ablation
from awd.figures.curves import floor, learning_curves, schedules
from awd.figures.drawing import save
from awd.figures.epochs import losses, perplexities
from awd.figures.scatter import cost, parameters
from awd.figures.words import frequencies

__all__ = ["FIGURES", "save"]

FIGURES: dict[str, Callable[..., Figure]] = {
    "curves": learning_curves,
    "ablation": ablation,
    "losses": losses,
    "perplexities": perplexities,
    "schedules": schedules,
    "parameters": parameters,
    "cost": cost,
    "frequencies": frequencies,
    "floor": floor,
}
"""Each takes a suite of the plan, ``scale``, and by name the frames of awd.records (``records``,
``curves``), of awd.tables (``table``) and of awd.published (``published``)."""
