"""Does a table agree with the published one, given that both come from trainings with noise?"""

import math
from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations, pairwise, permutations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from awd.report.differences import Noise, Result, prediction

TOLERANCE = 0.03
"""Of the published perplexity; within it a value is close where the noise is unknown."""
EXACT = 7
"""With more rows than this, their permutations are drawn."""
DRAWS = 10_000


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

    It is reproduced if it lies in the 95% prediction interval of one more training. The noise is
    that of these trainings' corpus and split.
    """
    loss = float(np.mean([result.loss for result in results]))
    distance = math.exp(loss) / published - 1
    low, high = prediction(results, noise)
    if math.isnan(low):
        inside, verdict = abs(distance) <= TOLERANCE, Verdict.CLOSE
    else:
        inside, verdict = low <= math.log(published) <= high, Verdict.REPRODUCED
    if not inside:
        verdict = Verdict.HIGHER if distance > 0 else Verdict.LOWER
    return Judgement(verdict, distance)


def order(groups: Sequence[Sequence[tuple[float, float]]], noise: Sequence[Noise]) -> Order:
    """Compare the order of rows with the published one.

    Args:
        groups: per suite and corpus, the rows' mean losses: (published, reproduced), in nats.
        noise: of each group.

    Rows of different groups are not compared. A published difference counts if it lies outside the
    95% interval of the difference of two trainings without a true one. The p value is that of a
    one-sided permutation test: reproduced values are permuted within groups, all ways with up to
    EXACT rows in all, else DRAWS seeded ones.
    """
    counted, values, starts = [], [], [0]
    for rows, of_group in zip(groups, noise, strict=True):
        least = 0.0
        if of_group.freedom:
            least = float(stdtrit(of_group.freedom, 0.975)) * math.sqrt(2 * of_group.variance)
        for one, other in combinations(range(len(rows)), 2):
            published = rows[one][0] - rows[other][0]
            if abs(published) > least:
                counted.append((starts[-1] + one, starts[-1] + other, np.sign(published)))
        values += [ours for _, ours in rows]
        starts.append(len(values))
    known = bool(groups) and all(of_group.freedom for of_group in noise)
    if not counted:
        return Order(0, 0, math.nan, math.nan, known)
    ones, others = np.array([pair[:2] for pair in counted]).T
    signs = np.array([sign for *_, sign in counted])

    def agreement(losses: np.ndarray) -> np.ndarray:
        """1 for each pair in the published order, -1 against it, (permutations, pairs)."""
        return np.sign(losses[:, ones] - losses[:, others]) * signs

    reproduced = agreement(np.array([values]))
    total = reproduced.sum()
    permuted = _permutations(np.array(values), starts)
    as_much = int((agreement(permuted).sum(axis=1) >= total).sum())
    drawn = len(values) > EXACT  # then the reproduced order is one more of them
    p = (as_much + drawn) / (len(permuted) + drawn)
    return Order(len(counted), int((reproduced > 0).sum()), float(total) / len(counted), p, known)


def _permutations(values: np.ndarray, starts: Sequence[int]) -> np.ndarray:
    """``values`` permuted within the groups that begin at ``starts``, (permutations, values)."""
    groups = [values[start:end] for start, end in pairwise(starts)]
    if len(values) > EXACT:
        generator = np.random.default_rng(0)
        drawn = [generator.permuted(np.tile(group, (DRAWS, 1)), axis=1) for group in groups]
        return np.concatenate(drawn, axis=1)
    found = np.empty((1, 0))
    for group in groups:
        each = np.array(list(permutations(group)))
        found = np.concatenate(
            [np.repeat(found, len(each), axis=0), np.tile(each, (len(found), 1))], axis=1
        )
    return found
