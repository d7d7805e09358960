"""How figures are laid out."""

import matplotlib
import numpy as np
import pytest
from figure_study import study
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend

from awd.report import figures
from awd.report.figures import layout, saving
from awd.report.figures.style import settings


@pytest.fixture
def executed(monkeypatch) -> list[Figure]:
    """The figures of all layouts that are made."""
    made, usual = [], ConstrainedLayoutEngine.execute

    def counted(engine, figure):
        made.append(figure)
        return usual(engine, figure)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    return made


def places(figure: Figure) -> list:
    return [axis.get_position().bounds for axis in figure.axes]


def with_numbers(labels: int) -> Figure:
    """Two panels; text beside the first one is the further away the wider the panel is."""
    figure = Figure((5, 2), layout="constrained")
    first, second = figure.subplots(1, 2)
    for axis in (first, second):
        axis.plot([0, 1], [0, 1])
    for number in range(labels):
        first.annotate("a name", (1.3, number / 2), xycoords="axes fraction")
    return figure


def test_a_layout_that_moves_nothing_in_its_second_round_is_the_last(executed):
    figure = with_numbers(0)
    for axis in figure.axes:
        axis.set(xticks=[], yticks=[])  # the width of a number may reach beyond its panel
    layout.settle(figure)
    assert len(executed) == 1


def test_panels_are_moved_until_they_stay(executed):
    figure = with_numbers(2)
    layout.settle(figure)
    assert 1 < len(executed) < layout.MOST_LAYOUTS
    before = places(figure)
    ConstrainedLayoutEngine().execute(figure)
    assert np.allclose(places(figure), before, rtol=0, atol=layout.LEAST_MOVE)


@pytest.mark.parametrize("name", ["ablation", "curves", "parameters", "schedules"])
def test_what_layouts_leave_out_needs_no_room(tmp_path, name):
    """Sides of panels, lines to names and the legend among points: all lie within the rest."""
    figure = figures.FIGURES[name](**study(tmp_path, corpora=("ptb",)))
    with matplotlib.rc_context(settings()):
        layout.settle(figure)
        before = places(figure)
        for axis in figure.axes:
            lines = [text for text in axis.texts if getattr(text, "arrow_patch", None)]
            legend = axis.get_legend()
            for artist in (*axis.spines.values(), *lines, *([legend] if legend else [])):
                artist.set_in_layout(True)
        FigureCanvasAgg(figure)
        ConstrainedLayoutEngine().execute(figure)
    assert np.allclose(places(figure), before, rtol=0, atol=layout.LEAST_MOVE)


def test_the_best_place_of_a_legend_is_looked_for_before_drawing_only(tmp_path, monkeypatch):
    figure = Figure((3, 3), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 1], [1, 0], label="falling")
    legend = axis.legend(loc="best")
    layout.settle(figure)
    right, top = axis.get_window_extent().max
    box = legend.get_window_extent()
    assert (box.x1, box.y1) > (0.9 * right, 0.9 * top)
    monkeypatch.delattr(Legend, "_find_best_position")
    saving.save(figure, tmp_path / "figure", ["png"])
