"""Names beside a panel can be read."""

import itertools

import numpy as np
import pytest
from figure_study import study
from scipy.optimize import isotonic_regression

from awd.report import figures
from awd.report.figures import (
    names,
)


@pytest.mark.parametrize("name", ["curves", "schedules"])
def test_names_of_lines_do_not_overlap(tmp_path, name):
    """However close the lines end, and however long their names are, they can be read."""
    inputs = study(tmp_path)
    inputs["suite"]["rows"][2]["label"] = "a name that is much too long to stand in one line"
    if name == "schedules":  # one schedule for each row
        rates = inputs["curves"]["run"].str[-6:].rank(method="dense") / 1000
        inputs["curves"]["learning_rate"] += rates
    figure = figures.FIGURES[name](**inputs)
    figure.draw_without_rendering()
    for axis in figure.axes:
        labels = [line.get_label() for line in axis.lines if line.get_gid() == "mean"]
        found = [text for text in axis.texts if text.get_text().replace("\n", " ") in labels]
        assert len(found) == len(labels)
        assert len(labels) > 6
        boxes = [text.get_window_extent() for text in found]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.padded(-1).overlaps(other.padded(-1))


def test_spread_moves_no_more_than_needed():
    """Apart already: untouched. Crowded: evenly around their middle, inside the bounds."""
    apart = np.array([0.1, 0.4, 0.9])
    np.testing.assert_allclose(names.spread(apart, 0.1, 0, 1), apart)
    crowded = names.spread(np.array([0.5, 0.5, 0.5]), 0.1, 0, 1)
    np.testing.assert_allclose(crowded, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(names.spread(np.zeros(3), 0.1, 0, 1), [0, 0.1, 0.2])
    np.testing.assert_allclose(names.spread(np.ones(3), 0.1, 0, 1), [0.8, 0.9, 1.0])
    uneven = names.spread(np.zeros(3), np.array([0.1, 0.3]), 0, 1)
    np.testing.assert_allclose(uneven, [0, 0.1, 0.4])


def test_spread_is_an_isotonic_regression():
    """That is the least squares: places less the distances between them must not fall."""
    generator = np.random.default_rng(0)
    for count in range(1, 20):
        heights, steps = np.sort(generator.random(count)), 0.2 * generator.random(count - 1)
        ladder = np.concatenate([[0.0], np.cumsum(steps)])
        expected = isotonic_regression(heights - ladder).x + ladder
        np.testing.assert_allclose(names.spread(heights, steps, -9, 9), expected)
