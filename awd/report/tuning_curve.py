"""What a random search may expect after n trials, with how much of that its trials can show.

The expected best of n trials is estimated by the average over all subsets of n of the trials: the U
statistic of Tang et al. 2020, "Showing Your Work Doesn't Always Work". It is unbiased. The plug-in
estimate (the V statistic of Dodge et al. 2019, "Show Your Work") is not.

Bands are those of Lourie, Cho and He 2023, "Show Your Work with Confidence": of the median best of
n trials, at every n at once, for any distribution. They come from a band around the distribution
function, whose height at the i-th best trial is distributed as Beta(i, N - i + 1) (Learned-Miller
and DeStefano 2008), by intervals with equal tails that are widened until all of them hold together.
A band of the expected best would need a bound of the worst result, which a perplexity has not.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from awd.report.stats import CONFIDENCE

DRAWS = 20_000
"""Random samples from which the intervals' common width is found."""


class Point(NamedTuple):
    """The best of ``trials`` trials: its expectation, its median and a band of the median.

    Ends of the band are infinite where these trials cannot bound it.
    """

    trials: int
    expected: float
    median: float
    low: float
    high: float


def tuning_curve(values: Sequence[float]) -> list[Point]:
    """Return the curve of 1 to N trials whose perplexities are ``values``, in any order.

    Lower is better; a failed trial is infinite. Raises ValueError without values.
    """
    if not len(values):
        raise ValueError("a tuning curve needs at least one trial")
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    lower, upper = distribution_band(len(ordered), CONFIDENCE)
    points = []
    for trials in range(1, len(ordered) + 1):
        share = 1 - 0.5 ** (1 / trials)  # of single trials, that half of the bests are below
        # Between two results the distribution function is at most its band's height at the later.
        below, above = np.flatnonzero(upper < share), np.flatnonzero(lower >= share)
        points.append(
            Point(
                trials,
                expected_best(ordered, trials),
                float(ordered[max(math.ceil(share * len(ordered) - 1e-9) - 1, 0)]),
                float(ordered[below[-1]]) if len(below) else -math.inf,
                float(ordered[above[0]]) if len(above) else math.inf,
            )
        )
    return points


def expected_best(ordered: np.ndarray, trials: int) -> float:
    """Return the mean, over all subsets of ``trials`` of the results, of the best of a subset.

    ``ordered`` has the results from best to worst. The i-th best is best of the subsets that take
    the rest from those behind it.
    """
    number = len(ordered)
    behind = np.arange(number - 1, -1, -1)
    share = special.binom(behind, trials - 1) / special.binom(number, trials)
    counted = share > 0  # an infinite result that is never the best counts for nothing
    return float(np.sum(share[counted] * ordered[counted]))


def distribution_band(number: int, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds of the distribution function at each of ``number`` ordered results.

    All hold at once with probability ``confidence``, whatever the distribution, if it has no ties;
    with ties more often.
    """
    rank = np.arange(1, number + 1)
    heights = np.sort(np.random.default_rng(0).random((DRAWS, number)), axis=1)
    # The narrowest central intervals that hold one sample, as the probability they cover.
    tails = stats.beta.cdf(heights, rank, number + 1 - rank)
    coverage = np.quantile(np.abs(2 * tails - 1).max(axis=1), confidence)
    ends = [(1 - coverage) / 2, (1 + coverage) / 2]
    lower, upper = (stats.beta.ppf(end, rank, number + 1 - rank) for end in ends)
    return lower, upper
