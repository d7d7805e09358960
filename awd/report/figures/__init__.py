"""The figures of a report by name."""

from collections.abc import Callable

from matplotlib.figure import Figure

from awd.report.figures.bars import ablation
from awd.report.figures.curves import floor, learning_curves, schedules
from awd.report.figures.drawing import save
from awd.report.figures.epochs import losses, perplexities
from awd.report.figures.scatter import cost, parameters
from awd.report.figures.words import frequencies

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
"""Each takes a suite of the plan, ``scale``, and by name the frames of report.records (``records``,
``curves``), of awd.report.tables (``table``) and of awd.report.published (``published``)."""
