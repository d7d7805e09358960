"""Means, and differences between a row and the base row with their uncertainty.

Row and base row are compared seed by seed on the same test text. Two things could have come out
otherwise: the trainings, and the text. A study with seeds s and blocks b of the text is a table of
differences with two crossed random factors and one value in a cell, and the variance of its mean
is

    variance = V(seeds) + V(text) - V(seeds x text)

where V(seeds) is the variance between the seeds' perplexity differences over their number, V(text)
that between the blocks, averaged over seeds, over their number, and the last term, which the first
two both contain, that of what is left (expected mean squares of crossed factors: Cornfield and
Tukey 1956, Annals of Mathematical Statistics 27). No part is allowed to be negative. The interval
is that of t with the degrees of freedom of Satterthwaite 1946 (Biometrics Bulletin 2), at least
seeds - 1. A bootstrap that draws both factors (Owen 2007, "The pigeonhole bootstrap", Annals of
Applied Statistics 1) would count the last term three times, and with three seeds draw from too few.

V(text) is the variance of a blocked bootstrap, in which whole blocks of the text are drawn with
replacement, the same for both models (Kuensch 1989, Annals of Statistics 17). It is not drawn but
computed, from how much each block moves the difference of the two perplexities (the infinitesimal
jackknife; Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans", chapter 6), and
has the t distribution's wider tails for blocks that are few. evaluation.breakdown says how blocks
are cut.

What an interval knows of depends on what is at hand, and is told with it:

``seeds and tokens``  two or more seeds in common, with losses by block: all of the above. It says
                      what other trainings and another text would give. In simulations it covers
                      94 to 99% from three seeds on, and 91 to 98% with two.
``seeds``             without losses by block: the paired t interval over seeds. The text is taken
                      as it is.
``tokens``            one seed: V(text) alone. It says what another text would give for these two
                      trained models, and knows nothing of the spread between trainings.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit  # a tenth of the import time of scipy.stats

FEWEST_BLOCKS = 10  # the spread between fewer says little


class Result(NamedTuple):
    """Test perplexity of one seed, and the text's tokens and nats by block, (blocks), or None."""

    perplexity: float
    tokens: np.ndarray | None = None
    nll: np.ndarray | None = None


class Difference(NamedTuple):
    """Row minus base in perplexity; nan where unknown. ``interval`` is what it knows of, or ""."""

    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    interval: str = ""


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1); nan where there are too few values."""
    mean = float(np.mean(values)) if len(values) else math.nan
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def paired_difference(row: Mapping[int, Result], base: Mapping[int, Result]) -> Difference:
    """Mean of row minus base over the seeds they share, with its 95% interval and p value.

    Losses by block count only if all shared seeds have them, for the same blocks. Without a shared
    seed, or with an infinite perplexity, nothing is known; with one seed and no losses by block,
    the bare difference. Differences without any spread give a point, and p is 1 if they are zero,
    0 otherwise.
    """
    pairs = [(row[seed], base[seed]) for seed in sorted(row.keys() & base.keys())]
    seeds = np.array([ours.perplexity - theirs.perplexity for ours, theirs in pairs])
    if not len(seeds) or not np.isfinite(seeds).all():
        return Difference()
    mean = float(seeds.mean())
    influence = _influence(pairs)
    if influence is not None:
        variance, freedom = _crossed(seeds, influence)
        kind = "seeds and tokens" if len(seeds) > 1 else "tokens"
    elif len(seeds) > 1:
        variance, freedom, kind = float(seeds.var(ddof=1)) / len(seeds), len(seeds) - 1, "seeds"
    else:
        return Difference(mean)
    error = math.sqrt(variance)
    half = float(stdtrit(freedom, 0.975)) * error
    p = float(2 * stdtr(freedom, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, kind)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for how many there are (Holm 1979, Scandinavian Journal of Statistics 6).

    The smallest is multiplied by their number, the next by one less, and so on; none ends below a
    smaller one or above 1. nan is no test: it stays and does not count.
    """
    corrected = [math.nan] * len(p_values)
    tests = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    least = 0.0
    for rank, (p, place) in enumerate(tests):
        least = max(least, min(1.0, p * (len(tests) - rank)))
        corrected[place] = least
    return corrected


def _influence(pairs: Sequence[tuple[Result, Result]]) -> np.ndarray | None:
    """How each block moves the perplexity difference of each seed, (seeds, blocks), or None.

    A seed's values sum to zero. If block b were in the text w times, the difference would be its
    own plus sum(w * influence), to first order.
    """
    results = [result for pair in pairs for result in pair]
    tokens = results[0].tokens
    if tokens is None or len(tokens) < FEWEST_BLOCKS:
        return None
    if not all(r.tokens is not None and np.array_equal(r.tokens, tokens) for r in results):
        return None
    moved = [
        result.perplexity * (result.nll - result.nll.sum() * tokens / tokens.sum()) / tokens.sum()
        for result in results
    ]
    return np.subtract(moved[::2], moved[1::2])


def _crossed(seeds: np.ndarray, influence: np.ndarray) -> tuple[float, float]:
    """Variance of the mean over ``seeds`` (seeds), and its degrees of freedom."""
    count, blocks = influence.shape
    # n / (n - 1) makes variances unbiased; blocks cancel, since influences are sums and no means.
    common = influence.mean(axis=0)
    text = float((common**2).sum()) * blocks / (blocks - 1)
    if count == 1:
        return text, blocks - 1
    trainings = float(seeds.var(ddof=1)) / count
    residual = float(((influence - common) ** 2).sum()) * blocks / (blocks - 1)
    both = min(residual / (count * (count - 1)), trainings, text)
    variance = trainings + text - both
    spread = (
        trainings**2 / (count - 1) + text**2 / (blocks - 1) + both**2 / ((count - 1) * (blocks - 1))
    )
    return variance, max(count - 1, variance**2 / spread) if spread > 0 else count - 1
