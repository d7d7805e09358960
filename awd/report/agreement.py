"""Does a table agree with the published one, given that both come from trainings with noise?"""

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np

from awd.report.stats import Noise, Result, mean_loss, prediction, standard_errors

TOLERANCE = 0.03
"""Of the published perplexity; within it a value is close where the noise is unknown."""
EXACT = 7
"""With more rows than this, their permutations are drawn."""
DRAWS = 5_000


class Verdict(StrEnum):
    """How a reproduced perplexity compares with the published one."""

    REPRODUCED = "reproduced"  # another training of ours might have the published perplexity
    CLOSE = "close"  # within 3%; the noise of training is unknown
    HIGHER = "higher"
    LOWER = "lower"


class Judgement(NamedTuple):
    """A verdict, and the ``distance``: reproduced over published perplexity, minus 1."""

    verdict: Verdict
    distance: float


class Order(NamedTuple):
    """Agreement of the order of rows with the published one.

    ``pairs`` of rows are published further apart than the noise of training, ``agree`` of them in
    the reproduced order. ``tau`` is Kendall's, the difference of the shares that agree and that do
    not, and ``p`` the probability of as much agreement if the reproduced values were in any order.
    ``with_noise``: whether the noise was known; otherwise all pairs count that differ.
    """

    pairs: int
    agree: int
    tau: float
    p: float
    with_noise: bool


def judge(results: Sequence[Result], published: float, noise: Noise) -> Judgement:
    """Compare trainings with the published perplexity, which was that of one training, too.

    It is reproduced if it lies in the prediction interval of one more training. The noise is
    that of these trainings' pool and split.
    """
    loss = mean_loss(results)
    distance = math.exp(loss) / published - 1
    low, high = difference(results, published, noise)
    if math.isnan(low):
        inside, verdict = abs(distance) <= TOLERANCE, Verdict.CLOSE
    else:
        inside, verdict = low <= 0 <= high, Verdict.REPRODUCED
    if not inside:
        verdict = Verdict.HIGHER if distance > 0 else Verdict.LOWER
    return Judgement(verdict, distance)


def difference(results: Sequence[Result], published: float, noise: Noise) -> tuple[float, float]:
    """Interval of reproduced minus published perplexity; both ends are nan if the noise is unknown.

    It is the prediction interval of one more training, less the published perplexity, so it has 0
    in it exactly where the verdict is `reproduced`. It is that of the difference between two means
    over many seeds, of which ours is known from n trainings and the other one from the published
    training alone, with the same noise: its variance is noise (1/n + 1).
    """
    low, high = prediction(results, noise)
    return math.exp(low) - published, math.exp(high) - published


@lru_cache(maxsize=256)  # the table of a suite is written in several formats
def order(groups: tuple[tuple[tuple[float, float], ...], ...], noise: tuple[Noise, ...]) -> Order:
    """Compare the order of rows with the published one.

    Args:
        groups: per suite and corpus, the rows' mean losses: (published, reproduced), in nats.
        noise: of each group.

    Rows of different groups are not compared. A published difference counts if it lies outside the
    interval of the difference of two trainings without a true one. The p value is that of a
    one-sided permutation test: reproduced values are permuted within groups, all ways with up to
    EXACT rows in all, else DRAWS seeded ones.
    """
    pairs = agree = total = 0
    exact = sum(map(len, groups)) <= EXACT
    generator = np.random.default_rng(0)
    # The agreement of permuted values: pairs in the published order minus those against it.
    by_chance = np.zeros(1 if exact else DRAWS)
    for rows, of_group in zip(groups, noise, strict=True):
        ones, others, signs = _counted([published for published, _ in rows], of_group)
        if not len(signs):
            continue
        reproduced = np.array([[own for _, own in rows]])
        apart = np.sign(reproduced[:, ones] - reproduced[:, others]) * signs
        pairs += len(signs)
        agree += int((apart > 0).sum())
        total += int(apart.sum())
        if exact:
            permuted = np.array(list(permutations(reproduced[0])))
        else:
            permuted = generator.permuted(np.repeat(reproduced, DRAWS, axis=0), axis=1)
        sums = (np.sign(permuted[:, ones] - permuted[:, others]) * signs).sum(axis=1)
        # Every permutation of this group with every one of the groups before, or draw with draw.
        by_chance = np.add.outer(by_chance, sums).ravel() if exact else by_chance + sums
    known = bool(groups) and all(of_group.freedom for of_group in noise)
    if not pairs:
        return Order(0, 0, math.nan, math.nan, known)
    as_good, tried = int((by_chance >= total).sum()), len(by_chance)
    if not exact:  # draws may lack the order that was found; with it p is never 0
        as_good, tried = as_good + 1, tried + 1
    return Order(pairs, agree, total / pairs, as_good / tried, known)


def _counted(published: Sequence[float], noise: Noise) -> tuple[np.ndarray, ...]:
    """The pairs that count: both places and the sign of the published difference, (pairs)."""
    least = 0.0
    if noise.freedom:
        least = standard_errors(noise.freedom) * math.sqrt(2 * noise.variance)
    values = np.array(published)
    ones, others = np.triu_indices(len(values), 1)
    apart = values[ones] - values[others]
    kept = np.abs(apart) > least
    return ones[kept], others[kept], np.sign(apart[kept])
