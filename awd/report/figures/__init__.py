"""The figures of a report by name: each module with a `draw` is one."""

from collections.abc import Callable

from matplotlib.figure import Figure

from awd.report.figures import (
    ablation,
    cost,
    curves,
    floor,
    frequencies,
    losses,
    parameters,
    perplexities,
    schedules,
)
from awd.report.figures.saving import save

__all__ = ["FIGURES", "save"]

FIGURES: dict[str, Callable[..., Figure]] = {
    module.__name__.rpartition(".")[2]: module.draw
    for module in (
        *(curves, ablation, losses, perplexities, schedules, parameters, cost),
        *(frequencies, floor),
    )
}
"""Each takes a suite of the plan, ``scale``, and by name the frames of report.records (``records``,
``curves``), of report.tables (``table``) and of report.published_curves (``published``)."""
