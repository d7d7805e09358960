"""Tuning curves: the unbiased estimate, and bands that hold as often as they claim."""

import functools
import itertools
import math

import numpy as np
import pytest

from awd.report import tuning_curve as module
from awd.report.tuning_curve import distribution_band, expected_best, tuning_curve


def test_the_expected_best_is_the_mean_over_all_subsets():
    results = np.array([5.0, 1.0, 4.0, 2.0, 8.0, 2.5])
    ordered = np.sort(results)
    for trials in range(1, 7):
        subsets = [min(each) for each in itertools.combinations(results, trials)]
        assert expected_best(ordered, trials) == pytest.approx(np.mean(subsets))


def test_the_expected_best_is_unbiased_where_the_plug_in_estimate_is_not():
    """Of four uniform numbers the best is 1/5 on average, whatever few results it is taken from."""
    draw = np.random.default_rng(1)
    samples = np.sort(draw.random((20_000, 5)), axis=1)
    assert np.mean([expected_best(each, 4) for each in samples]) == pytest.approx(0.2, abs=0.003)
    behind = 1 - np.arange(6) / 5  # the plug-in estimate, of Dodge et al. 2019
    plug_in = samples @ (behind[:-1] ** 4 - behind[1:] ** 4)
    assert plug_in.mean() > 0.22


def test_the_band_holds_at_all_numbers_of_trials_at_once(monkeypatch):
    """In 95 of 100 searches at least, for the true medians of a skewed distribution."""
    # Depends on the number of trials alone, and takes most of the time.
    monkeypatch.setattr(module, "distribution_band", functools.cache(distribution_band))
    draw, number = np.random.default_rng(2), 12
    trials = np.arange(1, number + 1)
    truth = np.exp(3 * (1 - 0.5 ** (1 / trials)))  # of exp(3 u), u uniform
    held = 0
    for _ in range(300):
        points = tuning_curve(np.exp(3 * draw.random(number)))
        held += all(each.low <= t <= each.high for each, t in zip(points, truth, strict=True))
    assert held / 300 >= 0.93


def test_the_band_of_the_distribution_holds_as_often_as_it_claims():
    lower, upper = distribution_band(10, 0.9)
    heights = np.sort(np.random.default_rng(3).random((20_000, 10)), axis=1)
    held = ((lower <= heights) & (heights <= upper)).all(axis=1).mean()
    assert held == pytest.approx(0.9, abs=0.01)


def test_failed_trials_and_few_trials():
    """Infinite results make an expectation infinite until a subset must have a better one."""
    points = tuning_curve([math.inf, 50.0, 60.0])
    assert [each.trials for each in points] == [1, 2, 3]
    assert math.isinf(points[0].expected)
    assert points[1].expected == pytest.approx((50 + 50 + 60) / 3)
    assert (points[0].median, points[2].median, points[2].expected) == (60, 50, 50)
    (only,) = tuning_curve([70.0])
    assert (only.expected, only.median, only.low, only.high) == (70, 70, -math.inf, math.inf)
    with pytest.raises(ValueError, match="at least one trial"):
        tuning_curve([])


def test_more_trials_are_never_worse():
    points = tuning_curve(np.random.default_rng(4).random(40))
    for column in ("expected", "median", "low", "high"):
        values = [getattr(each, column) for each in points]
        assert values == sorted(values, reverse=True)
