"""Verdicts and the order of rows, where both tables have noise."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from awd.report.agreement import Verdict, difference, judge, order
from awd.report.stats import Noise, Result, pool

UNKNOWN = Noise()


def losses(*perplexities) -> list[Result]:
    return [Result(math.log(value)) for value in perplexities]


@pytest.mark.parametrize(
    ("published", "verdict"),
    [(100, "close"), (97.2, "close"), (97, "higher"), (103, "close"), (103.2, "lower")],
)
def test_without_noise_three_percent_are_close(published, verdict):
    found = judge(losses(100.0), published, UNKNOWN)
    assert found.verdict == verdict
    assert found.distance == pytest.approx(100 / published - 1)


def test_with_noise_the_published_number_must_be_one_that_we_might_get():
    """The limits are those of the prediction interval: wider with few seeds."""
    noise = Noise(0.01**2, 4)
    half = reference.t.ppf(0.975, 4) * 0.01 * math.sqrt(1 + 1 / 2)
    for sign in (-1, 1):
        inside, outside = (100 * math.exp(sign * half * factor) for factor in (0.99, 1.01))
        ours = losses(99.0, 100**2 / 99.0)
        assert judge(ours, inside, noise).verdict == Verdict.REPRODUCED
        expected = Verdict.LOWER if sign > 0 else Verdict.HIGHER
        assert judge(ours, outside, noise).verdict == expected


def test_a_published_number_from_the_same_process_is_reproduced_95_times_of_100():
    generator = np.random.default_rng(1)
    found = []
    for _ in range(3_000):
        rows = [[Result(4 + 0.01 * x) for x in generator.standard_normal(n)] for n in (1, 3)]
        published = math.exp(4 + 0.01 * generator.standard_normal())
        found.append(judge(rows[0], published, pool(rows)).verdict == Verdict.REPRODUCED)
    assert 0.94 < np.mean(found) < 0.965


def test_the_interval_of_the_difference_is_that_of_two_means_over_seeds():
    """Of n trainings of ours and the published one, with one noise; in perplexity."""
    noise = Noise(0.01**2, 4)
    half = reference.t.ppf(0.975, 4) * 0.01 * math.sqrt(1 / 2 + 1)
    found = difference(losses(99.0, 100**2 / 99.0), 97.0, noise)
    assert found == pytest.approx([100 * math.exp(sign * half) - 97 for sign in (-1, 1)])
    assert all(map(math.isnan, difference(losses(99.0), 97.0, UNKNOWN)))


def test_the_interval_has_zero_in_it_exactly_where_the_number_is_reproduced():
    noise, ours = Noise(0.01**2, 4), losses(100.0)
    verdicts = set()
    for published in np.linspace(93, 107, 57):
        low, high = difference(ours, published, noise)
        verdict = judge(ours, published, noise).verdict
        assert (low <= 0 <= high) == (verdict == Verdict.REPRODUCED)
        verdicts.add(verdict)
    assert verdicts == {Verdict.REPRODUCED, Verdict.HIGHER, Verdict.LOWER}


def test_the_interval_holds_the_difference_of_two_means_95_times_of_100():
    """Also where both means differ: here by 0.02 nats at a perplexity near 54."""
    generator = np.random.default_rng(4)
    apart = math.exp(4.02) - math.exp(4)
    found = []
    for _ in range(3_000):
        rows = [[Result(4.02 + 0.01 * x) for x in generator.standard_normal(n)] for n in (1, 3)]
        published = math.exp(4 + 0.01 * generator.standard_normal())
        low, high = difference(rows[0], published, pool(rows))
        found.append(low <= apart <= high)
    assert 0.94 < np.mean(found) < 0.965


def test_tau_and_p_are_those_of_the_textbook_without_noise():
    """For one group, no ties and all pairs counted."""
    published = [4.0, 4.1, 4.2, 4.3, 4.4, 4.5]
    ours = [4.1, 4.0, 4.2, 4.5, 4.3, 4.6]
    found = order((tuple(zip(published, ours, strict=True)),), (UNKNOWN,))
    expected = reference.kendalltau(published, ours, alternative="greater", method="exact")
    assert (found.tau, found.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.pairs, found.agree, found.with_noise) == (15, 13, False)


def test_drawn_permutations_are_close_to_all_of_them():
    generator = np.random.default_rng(2)
    published = np.arange(12) / 10
    ours = published + 0.5 * generator.standard_normal(12)
    found = order((tuple(zip(published, ours, strict=True)),), (UNKNOWN,))
    expected = reference.kendalltau(published, ours, alternative="greater", method="exact")
    assert found.tau == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)


def test_pairs_published_closer_than_the_noise_do_not_count():
    noise = Noise(0.01**2, 10)
    least = reference.t.ppf(0.975, 10) * 0.01 * math.sqrt(2)
    rows = [(4.0, 4.1), (4.0 + 0.9 * least, 4.0), (4.0 + 1.95 * least, 4.2)]
    found = order((tuple(rows),), (noise,))
    assert (found.pairs, found.agree, found.tau, found.with_noise) == (2, 2, 1, True)
    assert order((tuple(rows),), (UNKNOWN,))[:2] == (3, 2)


def test_groups_are_permuted_apart():
    """Two groups of three rows in published order: one of 6 times 6 permutations is so."""
    group = ((4.0, 1.0), (4.1, 2.0), (4.2, 3.0))
    found = order((group, group), (UNKNOWN, UNKNOWN))
    assert (found.pairs, found.agree, found.tau) == (6, 6, 1)
    assert found.p == pytest.approx(1 / 36)


@pytest.mark.parametrize("groups", [(), ((),), (((4.0, 4.1),),), (((4.0, 4.1), (4.0, 4.2)),)])
def test_no_pairs_have_no_order(groups):
    found = order(groups, (UNKNOWN,) * len(groups))
    assert found.pairs == 0
    assert math.isnan(found.tau)
    assert math.isnan(found.p)
