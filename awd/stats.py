"""Means, and differences between a row and the base row with their uncertainty.

Two kinds of 95% interval, because two kinds of evidence may be at hand:

``seeds``   two or more seeds in common: the paired t interval of the perplexity differences. It
            says what another training of both models would give.
``tokens``  one seed in common: a paired block bootstrap over the tokens of the test stream. It
            says what another test text would give for these two trained models, and knows
            nothing of the spread between trainings; it is therefore usually the narrower one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # a tenth of the import time of scipy.stats

BLOCKS = 400
SHORTEST_BLOCK = 20  # tokens; about a sentence
FEWEST_BLOCKS = 10  # a bootstrap over fewer says little
RESAMPLES = 4_000


class Difference(NamedTuple):
    """Row minus base in perplexity; nan where unknown, ``interval`` is seeds, tokens or ""."""

    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    interval: str = ""


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1); nan where there are too few values."""
    mean = float(np.mean(values)) if len(values) else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def over_seeds(row: Sequence[float], base: Sequence[float]) -> Difference:
    """Paired t test of the perplexities of the same seeds, in the same order, at least two.

    Differences that are all exactly alike have no spread: the interval is then a point, and p is
    1 if they are zero and 0 otherwise.
    """
    differences = np.subtract(row, base, dtype=np.float64)
    mean, deviation = mean_and_deviation(differences)
    freedom = len(differences) - 1
    error = deviation / math.sqrt(len(differences))
    half = float(stdtrit(freedom, 0.975)) * error
    p = float(2 * stdtr(freedom, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, "seeds")


def over_tokens(row: np.ndarray, base: np.ndarray, seed: int = 0) -> Difference:
    """Paired block bootstrap of exp(mean row) - exp(mean base).

    ``row`` and ``base`` are the nats of each token of one test stream, shape (tokens,), in order.
    The stream is cut into contiguous blocks (400, fewer if they would be shorter than 20
    tokens), because neighbouring tokens are not independent; blocks are drawn with replacement,
    the same ones for both models. The interval is the 2.5th to 97.5th percentile of 4,000
    draws; p is twice the share of draws on the other side of zero, at least 2/4,001. The draws
    are seeded: the same arrays give the same answer. Arrays of different length, or too short
    for ten blocks, cannot be compared and give a Difference without values.
    """
    blocks = min(BLOCKS, len(row) // SHORTEST_BLOCK)
    if len(row) != len(base) or blocks < FEWEST_BLOCKS:
        return Difference()
    base = np.asarray(base, dtype=np.float64)
    excess = np.asarray(row, dtype=np.float64) - base
    edges = np.linspace(0, len(base), blocks, endpoint=False, dtype=np.int64)
    lengths = np.diff(edges, append=len(base))
    sums = np.stack([np.add.reduceat(excess, edges), np.add.reduceat(base, edges), lengths])

    def perplexity_difference(excess: np.ndarray, base: np.ndarray, tokens: np.ndarray):
        # Written with expm1, so that equal arrays differ by exactly zero.
        return np.exp(base / tokens) * np.expm1(excess / tokens)

    # Not `@`: for so thin a matrix a threaded BLAS spends its time waiting for its threads. Half
    # of the digits are plenty for an interval, and take half of the time.
    draws = perplexity_difference(
        *np.einsum("rb,kb->kr", _draws(blocks, seed), sums.astype(np.float32))
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    opposite = 1 + min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    p = min(1.0, 2 * opposite / (RESAMPLES + 1))
    point = float(perplexity_difference(*sums.sum(axis=1)))
    return Difference(point, float(low), float(high), p, "tokens")


def paired_difference(
    row: Mapping[int, float],
    base: Mapping[int, float],
    tokens: Callable[[int], tuple[np.ndarray, np.ndarray] | None],
) -> Difference:
    """Row minus base, from the best evidence there is.

    ``row`` and ``base`` map seeds to test perplexities; ``tokens`` returns, for a seed, the
    per-token nats of row and base, or None if they are not at hand. Without a common seed
    nothing is known; with one, the difference is known and its interval needs the tokens.
    """
    common = sorted(row.keys() & base.keys())
    if not common:
        return Difference()
    if len(common) > 1:
        return over_seeds([row[seed] for seed in common], [base[seed] for seed in common])
    arrays = tokens(common[0])
    found = over_tokens(*arrays) if arrays else Difference()
    return found._replace(difference=row[common[0]] - base[common[0]])


@lru_cache(maxsize=4)
def _draws(blocks: int, seed: int) -> np.ndarray:
    """How often each block is in each resample: shape (resamples, blocks)."""
    generator = np.random.default_rng(seed)
    drawn = generator.integers(blocks, size=(RESAMPLES, blocks))
    drawn += np.arange(RESAMPLES)[:, None] * blocks
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * blocks)
    return counts.reshape(RESAMPLES, blocks).astype(np.float32)
