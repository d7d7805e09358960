"""Points of rows: where they lie, which are left out, and what the legend explains."""

import pytest
from figure_study import points, study, texts
from matplotlib.ticker import EngFormatter

from awd.report.figures.scatter import LOOKS, scatter
from awd.report.figures.style import styled


@styled
def draw(inputs, places, compare=True):
    """The made-up study with the rows at the given places, in turn."""
    table = inputs["table"]
    table = table.assign(x=[places[number % len(places)] for number in range(len(table))])
    frames = (inputs["suite"], table, inputs["records"])
    return scatter(*frames, "size", EngFormatter(), compare, "no size is known")


@pytest.mark.parametrize(("places", "kind"), [((1.0, 3.0), "linear"), ((1.0, 5.0), "log")])
def test_places_far_apart_make_the_axis_logarithmic(tmp_path, places, kind):
    axis = draw(study(tmp_path, corpora=("ptb",)), places).axes[0]
    assert axis.get_xscale() == kind
    low, high = axis.get_xlim()
    assert low < min(places)
    assert max(places) < high


def test_a_row_without_a_place_is_named_with_the_reason(tmp_path):
    figure = draw(study(tmp_path, corpora=("ptb",)), (float("nan"), *[1.0] * 8))
    text = " ".join(text.replace("\n", " ") for text in texts(figure))
    assert "not shown: AWD-LSTM (no size is known); − AR/TAR (missing)" in text


def test_the_legend_explains_what_is_drawn_and_no_more(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    for compare in (True, False):
        (legend,) = [axis.get_legend() for axis in draw(inputs, (1.0, 2.0), compare).axes]
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels == ["single seed", *["published"] * compare]


def test_every_value_is_within_the_panel(tmp_path):
    """Those of single seeds and the published ones, too."""
    inputs = study(tmp_path, corpora=("ptb",))
    axis = draw(inputs, (1.0, 2.0)).axes[0]
    low, high = axis.get_ylim()
    heights = points(axis, *LOOKS)[:, 1]
    assert low < min(heights) <= max(heights) < high
    counts = {kind: len(points(axis, kind)) for kind in LOOKS}
    assert counts == {"published": 8, "seed": 2 * 8, "weak": 7, "strong": 1}
