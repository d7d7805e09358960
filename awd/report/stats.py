"""Differences between rows and a base row, with an interval that contains the noise of training.

Losses are mean nats per predicted token, that is log perplexities: noise that moves a perplexity
by a percent is the same number of nats at every level. A result could have come out otherwise in
two ways: by another training (seed), and on another text. With n trainings of a row and m of the
base row, the variance of the difference of their mean losses is

    variance = (noise of the row - residual) / n + (noise of the base row - residual) / m + text

``noise`` is the variance between trainings that differ in their seed alone. One row has too few
trainings to estimate it, so it is pooled over all rows that have several and train on the same part
of a corpus (report.noise.Pool), as in an analysis of variance. Rows may differ in it, which the
noise of one row allows for (`of_row`).
``text`` is the variance over blocks of the text, the same blocks for both models. It is that of a
blocked bootstrap, in which whole blocks are drawn with replacement (Kuensch 1989, Annals of
Statistics 17), not drawn but computed from how much each block moves the difference (the
infinitesimal jackknife; Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans",
chapter 6). ``residual`` is the interaction of trainings and blocks, which both other terms contain
(expected mean squares of crossed factors:
Cornfield and Tukey 1956, Annals of Mathematical Statistics 27). No part is allowed to be negative.
The interval is that of t with the degrees of freedom of Satterthwaite 1946 (Biometrics Bulletin 2).

Where row and base row are evaluations of the same trainings, such as one before fine-tuning or one
with a cache, their losses are subtracted training by training and the noise is that of these
differences; the rest is the same.

Some rows do not share the noise of the others: those whose trainings spread far more (F test, p <
0.001), of which a training predicts no better than word frequencies, or that were measured by
another protocol. They are not in the pool, and their differences use their own spread.

The noise is unknown if no row in the pool has two trainings, or if a row that is left out of it has
one. Then there is a difference, and neither an interval nor a p value.

p values are corrected for the number of rows with Holm's method, which is valid however the
differences are correlated. Dunnett's test, which uses the correlation that comes from the common
base row, finds hardly more, and raises more than 5% false alarms where the noise has few degrees of
freedom (benchmarks/coverage.md).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc, stdtr, stdtrit  # scipy.stats imports ten times slower

from awd.report.remarks import NoInterval, Whose
from awd.vocabulary import LeftOut

FEWEST_BLOCKS = 10
"""The variance over fewer blocks has too few degrees of freedom."""
UNSTEADY = 0.001
"""p value of the F test below which a row does not share the noise of the others."""
CONFIDENCE = 0.95
"""Of all intervals. Words have it, too (report.words.HEADINGS, workflow/report, docs)."""
SIGNIFICANCE = 0.05
"""Corrected p value below which a difference is beyond noise."""
CAUTION = 18
"""How much more the noise of training weighs in the degrees of freedom, see `satterthwaite`."""
LIKENESS = 4.5
"""Degrees of freedom that the pooled noise has, at most, as that of one row, see `of_row`."""


class Result(NamedTuple):
    """Mean loss of one training on a text, with the text's tokens and nats by block, (blocks).

    ``run`` names the training. ``astray``: it predicts no better than word frequencies.
    """

    loss: float
    tokens: np.ndarray | None = None
    nll: np.ndarray | None = None
    run: str = ""
    astray: bool = False


class Apart(NamedTuple):
    """The names of trainings that differ in their seed alone, and why they are not in the pool."""

    runs: tuple[str, ...]
    why: LeftOut


class Noise(NamedTuple):
    """Variance of the mean loss between trainings that differ in their seed alone, in nats squared.

    ``residual`` is the part of it that is the interaction with the text's blocks, ``freedom`` the
    degrees of freedom (0: unknown), ``trainings`` their number. ``left_out`` do not share it.
    """

    variance: float = math.nan
    freedom: float = 0
    residual: float = 0.0
    trainings: int = 0
    left_out: tuple[Apart, ...] = ()

    def counts_left_out(self) -> Counter[LeftOut]:
        """Count the trainings of rows with several that do not share the noise, by the reason."""
        several = (apart for apart in self.left_out if len(apart.runs) > 1)
        return Counter(apart.why for apart in several for _ in apart.runs)


class Side(NamedTuple):
    """Of a difference: a row's noise, number of trainings, and the pool that the noise is from.

    A row that is left out of the pool is its own.
    """

    noise: Noise
    trainings: int
    pool: Noise


class Difference(NamedTuple):
    """Row minus base row in nats per token; nan where unknown.

    ``low`` and ``high`` are its interval, ``covers`` is what it covers: "trainings and text",
    "trainings", or "" without an interval; ``lacks`` says why a known difference has none.
    """

    nats: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    freedom: float = math.nan
    covers: str = ""
    lacks: NoInterval | None = None


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean; nan of nothing."""
    return float(np.mean(values)) if len(values) else math.nan


def mean_loss(results: Sequence[Result]) -> float:
    """Mean of the losses of ``results`` in nats; nan of none."""
    return mean([result.loss for result in results])


def mean_and_deviation(perplexities: Sequence[float]) -> tuple[float, float]:
    """Perplexity of the mean loss, and sample deviation (n - 1); nan for too few values."""
    if len(perplexities) < 2:  # exactly as recorded
        return mean(perplexities), math.nan
    return float(np.exp(np.mean(np.log(perplexities)))), float(np.std(perplexities, ddof=1))


def pool(groups: Iterable[Sequence[Result]]) -> Noise:
    """Noise of training over ``groups`` of trainings that differ in their seed alone.

    Groups of one training count for nothing. A group that spreads far more than the others is left
    out, and so is one with a training that went astray: the rest of it are those that happened to
    be steady. Give one evaluation of each training, since others of the same weights are not
    independent.
    """
    groups = list(groups)
    left_out = [_apart(group, LeftOut.ASTRAY) for group in groups if _astray(group)]
    kept = [(_within(group), group) for group in groups if not _astray(group)]
    kept = [(noise, group) for noise, group in kept if noise.freedom]
    while len(kept) > 1:
        largest = max(kept, key=lambda each: each[0].variance)
        others = [each for each in kept if each is not largest]
        if _shares(largest[0], _join([noise for noise, _ in others])):
            break
        left_out.append(_apart(largest[1], LeftOut.SPREADS))
        kept = others
    return _join([noise for noise, _ in kept])._replace(left_out=tuple(left_out))


def left_out(group: Sequence[Result], noise: Noise) -> LeftOut | None:
    """Return why trainings of one row do not share the ``noise`` of the pool; None if they do."""
    if _astray(group):
        return LeftOut.ASTRAY
    names = {result.run for result in group if result.run}
    named = next((apart.why for apart in noise.left_out if not names.isdisjoint(apart.runs)), None)
    if named is None and not _shares(_within(group), noise):
        return LeftOut.SPREADS
    return named


def compare(
    row: Sequence[Result], base: Sequence[Result], noise: Noise, of_base: Noise | None = None
) -> Difference:
    """Difference of a row from the base row on the same text.

    ``noise`` is that of the row's pool, and ``of_base`` of the base row's if that is another one.

    All trainings count, whether or not both rows have their seed. A row that is left out of the
    pool has the noise of its own trainings. The text's part is left out if not all have losses of
    the same blocks. Nothing is known if there is no training of either, or a loss is infinite; only
    the difference is known if the noise is unknown. Differences without any spread give a point,
    and p is 1 if they are zero, 0 otherwise.
    """
    if not row or not base:
        return Difference()
    noises = (noise, noise if of_base is None else of_base)
    pairs = _same_trainings(row, base)
    if len(pairs) > 1:
        nats, own = mean_loss(pairs), _within(pairs)
        sides, moved = [Side(own, len(pairs), own)], _moved(pairs)
        moved = None if moved is None else moved.mean(axis=0)
    else:
        nats = mean_loss(row) - mean_loss(base)
        sides = [_side(group, each) for group, each in zip((row, base), noises, strict=True)]
        moved = _moved_apart(row, base)
    if not math.isfinite(nats):
        return Difference()
    if not all(side.noise.freedom for side in sides):
        return Difference(nats, lacks=_lacks((row, base), noises, [side.noise for side in sides]))
    variance, freedom = _variance(sides, moved)
    error = math.sqrt(variance)
    half = standard_errors(freedom) * error
    p = float(2 * stdtr(freedom, -abs(nats) / error)) if error > 0 else float(nats == 0)
    covers = "trainings" if moved is None else "trainings and text"
    return Difference(nats, nats - half, nats + half, p, freedom, covers)


def prediction(results: Sequence[Result], noise: Noise) -> tuple[float, float]:
    """Prediction interval of the mean loss of one more training, on the same text, in nats.

    Its variance is noise (1 + 1/n): that of the new training and that of the mean of n. The noise
    is the pooled one as it is, since a wider interval would call more numbers reproduced; trainings
    that are left out of the pool have their own. Both ends are nan if the noise is unknown or there
    is no training.
    """
    noise = _side(results, noise).pool
    if not noise.freedom or not results:
        return math.nan, math.nan
    error = math.sqrt(noise.variance * (1 + 1 / len(results)))
    half = standard_errors(noise.freedom) * error
    return mean_loss(results) - half, mean_loss(results) + half


def lacks(results: Sequence[Result], noise: Noise) -> NoInterval | None:
    """Return why the noise of trainings of one row in the pool of ``noise`` is unknown, if it is.

    It is known if `prediction` has an interval.
    """
    side = _side(results, noise)
    return None if side.pool.freedom else _lacks((results,), (noise,), (side.pool,))


def of_row(group: Sequence[Result], pool: Noise) -> Noise:
    """The noise of a row in the ``pool``, from its trainings too; unknown if the pool's is.

    Rows differ in their noise, so the pooled variance says less about that of one row than its f
    degrees of freedom promise: it counts as 1 / (1/f + 1/LIKENESS) of them. The variance of the
    row's own trainings, if there are several, has its own degrees of freedom. Both are averaged,
    weighted by them: the moderated variance of Smyth 2004 (Statistical Applications in Genetics and
    Molecular Biology 3), whose prior degrees of freedom are estimated from thousands of rows; here
    they are given. It is never less than the pooled variance: few trainings are often close to
    each other by chance. LIKENESS is such that tables whose rows have between half and twice the
    usual deviation raise about as many false alarms as SIGNIFICANCE says (benchmarks/coverage.md).
    """
    if not pool.freedom:
        return pool
    shared = pool._replace(freedom=freedom_of_row(pool.freedom))
    joined = _join([shared, _within(group)])
    return joined if joined.variance > pool.variance else shared._replace(freedom=joined.freedom)


def freedom_of_row(freedom: float, trainings: int = 1) -> float:
    """Degrees of freedom of `of_row`, of the pool's and the number of the row's trainings."""
    return 1 / (1 / freedom + 1 / LIKENESS) + trainings - 1


def standard_errors(freedom: float) -> float:
    """Return how many standard errors an interval reaches to either side, by t."""
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def text_variance(row: Sequence[Result], base: Sequence[Result]) -> float:
    """Variance of the difference of two rows over blocks of the text; nan without such losses."""
    moved = _moved_apart(row, base)
    return math.nan if moved is None else _text(moved)


def satterthwaite(squares: Sequence[tuple[float, float]]) -> float:
    """Satterthwaite's degrees of freedom of a sum of mean squares, given each with its own.

    Where a mean square of few degrees of freedom is small by chance, the formula gives most weight
    to the others, and the interval is too short: with 1 or 2 degrees of freedom it covers 88 or 92%
    instead of 95. So a mean square of f degrees of freedom weighs 1 + CAUTION / f**2 times as much
    here; then it covers about 95 to 97% from 2 degrees of freedom on (benchmarks/coverage.md).
    """
    weights = [square * (1 + CAUTION / freedom**2) for square, freedom in squares]
    spread = sum(w**2 / freedom for w, (_, freedom) in zip(weights, squares, strict=True))
    least = min(freedom for _, freedom in squares)  # of mean squares that are all 0
    return max(least, sum(weights) ** 2 / spread) if spread > 0 else least


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


def beyond_noise(p_holm: float) -> bool:
    """Return whether a difference is beyond noise, by its p value from `holm`; nan never is.

    Its interval does not decide: of many rows, some exclude zero by chance.
    """
    return p_holm < SIGNIFICANCE


def _within(group: Sequence[Result]) -> Noise:
    """The noise of one group alone."""
    if len(group) < 2:
        return Noise()
    losses = np.array([result.loss for result in group])
    if not np.isfinite(losses).all():
        return Noise()
    variance, freedom = float(losses.var(ddof=1)), len(group) - 1
    moved = _moved(group)
    residual = 0.0
    if moved is not None:
        deviations = moved - moved.mean(axis=0)
        blocks = moved.shape[1]
        residual = float((deviations**2).sum()) / freedom * blocks / (blocks - 1)
    return Noise(variance, freedom, residual, len(group))


def _join(noises: Iterable[Noise]) -> Noise:
    """The mean of those that are known, weighted by their degrees of freedom."""
    noises = [noise for noise in noises if noise.freedom]
    freedom = sum(noise.freedom for noise in noises)
    if not freedom:
        return Noise()
    variance, residual = (
        sum(getattr(noise, part) * noise.freedom for noise in noises) / freedom
        for part in ("variance", "residual")
    )
    return Noise(variance, freedom, residual, sum(noise.trainings for noise in noises))


def _shares(noise: Noise, others: Noise) -> bool:
    """Whether a group may have the noise of the others."""
    if not (noise.freedom and others.freedom) or noise.variance <= others.variance:
        return True
    if others.variance == 0:
        return False
    return fdtrc(noise.freedom, others.freedom, noise.variance / others.variance) >= UNSTEADY


def _lacks(
    groups: Sequence[Sequence[Result]], noises: Sequence[Noise], sides: Sequence[Noise]
) -> NoInterval:
    """Why the noise of a row, or of its base row, is unknown: first the reason of most rows.

    ``noises`` are those of their pools, ``sides`` those that they have. The pool of a row that is
    left out of it is no reason if the row's own trainings show its noise.
    """
    pools: tuple[Whose, Whose] = ("pool", "pool of the base row")
    rows: tuple[Whose, Whose] = ("row", "base row")
    unknown = [place for place, side in enumerate(sides) if not side.freedom]
    for place in unknown:
        noise = noises[place]
        if not noise.freedom:
            whose = pools[0] if noise is noises[0] else pools[place]
            return NoInterval(whose, tuple(noise.counts_left_out()))
    place = unknown[-1]
    why = left_out(groups[place], noises[place])
    assert why
    return NoInterval(rows[place], (why,))


def _astray(group: Sequence[Result]) -> bool:
    return any(result.astray for result in group)


def _apart(group: Sequence[Result], why: LeftOut) -> Apart:
    return Apart(tuple(result.run for result in group), why)


def _same_trainings(row: Sequence[Result], base: Sequence[Result]) -> list[Result]:
    """Row minus base row training by training, if each training of the row is one of the base."""
    of_base = {result.run: result for result in base if result.run}
    if not row or any(result.run not in of_base for result in row):
        return []
    return [_subtract(result, of_base[result.run]) for result in row]


def _subtract(one: Result, other: Result) -> Result:
    loss = one.loss - other.loss
    if one.tokens is None or one.nll is None or other.tokens is None or other.nll is None:
        return Result(loss)
    if not np.array_equal(one.tokens, other.tokens):
        return Result(loss)
    return Result(loss, one.tokens, one.nll - other.nll)


def _side(group: Sequence[Result], pool: Noise) -> Side:
    if left_out(group, pool):
        own = _within(group)
        return Side(own, len(group), own)
    return Side(of_row(group, pool), len(group), pool)


def _variance(sides: Sequence[Side], moved: np.ndarray | None) -> tuple[float, float]:
    """Variance of a difference, and its degrees of freedom.

    ``moved`` is how each block of the text moves the difference, (blocks). The degrees of freedom
    are those of rows that may differ in their noise (`of_row`), but no more than if they did not:
    where both sides have the same pool, what it knows counts once.
    """
    squares = [(side.noise.variance / side.trainings, side.noise.freedom) for side in sides]
    variance = sum(square for square, _ in squares)
    pooled = [(square, side.pool.freedom) for (square, _), side in zip(squares, sides, strict=True)]
    if all(side.pool is sides[0].pool for side in sides):
        pooled = [(variance, sides[0].pool.freedom)]
    blocks = []
    if moved is not None:
        text = _text(moved)
        residual = min(sum(side.noise.residual / side.trainings for side in sides), variance, text)
        blocks = [(text, len(moved) - 1)]
        variance += text - residual
    return variance, min(satterthwaite([*each, *blocks]) for each in (squares, pooled))


def _text(moved: np.ndarray) -> float:
    # Blocks cancel but for the factor that makes the variance unbiased: these are sums, not means.
    return float((moved**2).sum()) * len(moved) / (len(moved) - 1)


def _moved_apart(row: Sequence[Result], base: Sequence[Result]) -> np.ndarray | None:
    """How each block moves the difference of two means, (blocks), or None."""
    moved = _moved([*row, *base])
    if moved is None:
        return None
    return moved[: len(row)].mean(axis=0) - moved[len(row) :].mean(axis=0)


def _moved(results: Sequence[Result]) -> np.ndarray | None:
    """How each block moves the mean loss of each result, (results, blocks), or None.

    A result's values sum to zero. If block b were in the text w times, the mean loss would be its
    own plus sum(w * moved), to first order. None if a result has other blocks than the first, none,
    or too few.
    """
    tokens = results[0].tokens
    if tokens is None or len(tokens) < FEWEST_BLOCKS:
        return None
    if not all(r.tokens is not None and np.array_equal(r.tokens, tokens) for r in results):
        return None
    nll = np.array([result.nll for result in results])
    shares = tokens / tokens.sum()
    return nll / tokens.sum() - nll.sum(axis=1, keepdims=True) / tokens.sum() * shares
