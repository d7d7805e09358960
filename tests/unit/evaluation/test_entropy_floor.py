"""A model below the true entropy of a text is found, and luck is not."""

import math

import numpy as np
import pytest

from awd.evaluation.entropy_floor import below_floor


@pytest.mark.parametrize(("lead", "alarm"), [(0.0, False), (13.8, False), (13.9, True)])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_floor_allows_luck_once_in_a_million(split, lead, alarm):
    entropy = {name: {"nll": 1000.0, "tokens": 900} for name in ("valid", "test")}
    splits = {name: {"nll": 1000.0 - lead * (name == split)} for name in entropy}
    assert (below_floor(entropy, splits) is not None) is alarm


def test_the_alarm_is_as_rare_as_it_says():
    """10,000 texts of 50 throws of a coin, judged by a wrong guess of how biased it is."""
    draw = np.random.default_rng(0)
    heads = draw.binomial(50, 0.6, 10_000)
    truth, guess = (-(heads * math.log(p) + (50 - heads) * math.log(1 - p)) for p in (0.6, 0.8))
    for chance in (0.5, 0.1, 0.01):
        assert 0 < (truth - guess > math.log(1 / chance)).mean() <= chance
