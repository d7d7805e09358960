"""Differences with known answers, and an interval that covers what it says."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from awd.stats import Difference, mean_and_deviation, over_seeds, over_tokens, paired_difference


def test_mean_and_deviation():
    """Sample deviation (n - 1); unknown for one value, both unknown for none."""
    assert mean_and_deviation([1.0, 2.0, 4.0]) == pytest.approx((7 / 3, np.sqrt(7 / 3)))
    mean, deviation = mean_and_deviation([60.5])
    assert mean == 60.5
    assert math.isnan(deviation)
    assert all(map(math.isnan, mean_and_deviation([])))


def test_over_seeds_is_the_paired_t_test():
    """Interval and p are those of the textbook test."""
    row, base = [61.0, 62.5, 61.7, 60.9], [60.0, 60.4, 60.1, 60.6]
    found = over_seeds(row, base)
    expected = reference.ttest_rel(row, base)
    interval = expected.confidence_interval(0.95)
    assert found[:4] == pytest.approx((1.25, interval.low, interval.high, expected.pvalue))
    assert found.interval == "seeds"


def test_over_seeds_without_spread():
    """Differences that are all alike give a point, not a division by zero."""
    assert over_seeds([2.0, 3.0], [1.0, 2.0]) == Difference(1.0, 1.0, 1.0, 0.0, "seeds")
    assert over_seeds([2.0, 3.0], [2.0, 3.0]) == Difference(0.0, 0.0, 0.0, 1.0, "seeds")


def test_equal_arrays_do_not_differ():
    """A row with the base row's own losses differs by exactly zero, with p = 1."""
    losses = np.random.default_rng(0).gamma(1.2, 3.5, 10_001).astype(np.float32)
    assert over_tokens(losses, losses.copy()) == Difference(0.0, 0.0, 0.0, 1.0, "tokens")


def test_constant_shift_is_found_exactly():
    """Every token harder by 0.05 nats multiplies the perplexity by exp(0.05), surely."""
    base = np.random.default_rng(0).gamma(1.2, 3.5, 40_000)
    found = over_tokens(base + 0.05, base)
    assert found.difference == pytest.approx(np.exp(base.mean()) * np.expm1(0.05), rel=1e-9)
    assert found.low < found.difference < found.high
    assert found.p == pytest.approx(2 / 4_001)


def test_swapping_the_models_mirrors_the_answer():
    """Row minus base is minus base minus row, with the same p."""
    generator = np.random.default_rng(1)
    base = generator.gamma(1.2, 3.5, 20_000)
    row = base + 0.3 * generator.standard_normal(20_000)
    there, back = over_tokens(row, base), over_tokens(base, row)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p == pytest.approx(back.p, abs=1e-3)
    assert over_tokens(row, base) == there, "the draws are seeded"


def test_interval_covers_the_truth_though_neighbours_are_alike():
    """About 95% of intervals hold the true difference, with losses correlated over 20 tokens.

    Treating each token as independent would cover about half as often as it says.
    """
    covered, trials, tokens, truth = 0, 150, 16_000, np.exp(4.1) - np.exp(4.08)
    generator = np.random.default_rng(2)
    for _ in range(trials):
        wander = np.repeat(generator.standard_normal(tokens // 20), 20)
        base = 4.08 + generator.standard_normal(tokens)
        covered_by = over_tokens(base + 0.02 + 0.5 * wander, base)
        covered += covered_by.low <= truth <= covered_by.high
    assert 0.90 <= covered / trials <= 0.99


def test_streams_that_cannot_be_paired_give_no_values():
    """Too short a text, or arrays of different texts, say nothing rather than something wrong."""
    for row, base in ((np.ones(100), np.ones(100)), (np.ones(9000), np.ones(8999))):
        found = over_tokens(row, base)
        assert math.isnan(found.difference)
        assert math.isnan(found.p)
        assert found.interval == ""


def test_the_best_evidence_is_used():
    """Two common seeds: seeds. One: tokens. One without tokens: the bare difference. None: none."""
    losses = np.random.default_rng(3).gamma(1.2, 3.5, 10_000)

    def tokens(seed):
        assert seed == 2
        return losses + 0.01, losses

    assert paired_difference({1: 61.0, 2: 62.0}, {1: 60.0, 2: 60.5}, tokens).interval == "seeds"
    one = paired_difference({2: 62.0}, {1: 60.0, 2: 60.5}, tokens)
    assert (one.difference, one.interval) == (1.5, "tokens")
    bare = paired_difference({2: 62.0}, {2: 60.5}, lambda _: None)
    assert bare.difference == 1.5
    assert math.isnan(bare.low)
    assert bare.interval == ""
    assert math.isnan(paired_difference({2: 62.0}, {1: 60.0}, tokens).difference)
