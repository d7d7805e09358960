"""How often do intervals cover, and do whole tables raise false alarms? Simulated studies.

    python benchmarks/coverage.py [--studies 5000]

Writes coverage.csv and coverage.md beside this file. Studies are computed many at a time, by the
formulas of awd.report.stats; awd itself computes the first ones of each design, too, and all must
agree. Deviations are in nats: of a training, of a
row on a block of the text, of a training on a block. ``scales`` multiply the deviation of the
trainings of each row. ``paired`` pairs trainings by their seed and pools nothing. Power is the
share of rows found, after correction, that truly differ by 3%.
"""

import argparse
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtr, fdtrc, stdtr, stdtrit
from tabulate import tabulate

from awd.report.stats import (
    CAUTION,
    CONFIDENCE,
    SIGNIFICANCE,
    UNSTEADY,
    Result,
    beyond_noise,
    compare,
    freedom_of_row,
    holm,
    pool,
)

BLOCKS = 30
TOKENS = np.full(BLOCKS, 1_000.0)
EFFECT = 0.03
TOGETHER, CHECKED = 1_000, 20
"""Studies that are computed at once; and how many of the first ones awd computes, too."""
FREEDOMS = (1, 1.5, 2, 3, 5, 10, 25, 1_000)
"""Degrees of freedom for which Dunnett's critical values are computed."""
ROWS = 9
"""Of a table, beside its base row, which comes tenth; later rows are of other studies."""
UNEQUAL = (0.5, 0.5, 0.7, 0.7, 1, 1, 1.4, 2, 2, 1)
ONE_NOISY = (1, 1, 1, 1, 1, 1, 1, 1, 10, 1)
ONE_BASE = (*[1] * ROWS, 3)
MORE_BASES = (*ONE_BASE, 3, 3, 3, 3)
MIXED = (1, 1, 2, 3, 5, 1, 4, 2, 1, 3)


class Design(NamedTuple):
    """Trainings of each row; ``astray``: those of the noisiest row predict as badly as that."""

    seeds: tuple[int, ...]
    deviations: tuple[float, float, float] = (0.007, 0.02, 0.01)
    scales: tuple[float, ...] = (1,) * 14
    astray: bool = False


DESIGNS = {
    "1 seed a row, 2 of the base row": Design((*[1] * ROWS, 2)),
    "1 seed a row, 3 of the base row": Design(ONE_BASE),
    "the same, much text": Design(ONE_BASE, (0.002, 0.04, 0.01)),
    "the same, little text": Design(ONE_BASE, (0.007, 0.005, 0.005)),
    "1 seed a row, 3 of the base row, unequal noise": Design(ONE_BASE, scales=UNEQUAL),
    "1 seed a row, 3 of four more base rows": Design(MORE_BASES),
    "1 seed a row, 3 of four more base rows, unequal noise": Design(
        MORE_BASES, scales=(*UNEQUAL, 0.5, 0.7, 1.4, 2)
    ),
    "2 seeds": Design((2,) * 10),
    "2 seeds, unequal noise": Design((2,) * 10, scales=UNEQUAL),
    "3 seeds": Design((3,) * 10),
    "3 seeds, much interaction": Design((3,) * 10, (0.003, 0.02, 0.03)),
    "3 seeds, unequal noise": Design((3,) * 10, scales=UNEQUAL),
    "2 seeds, one row ten times as noisy": Design((2,) * 10, scales=ONE_NOISY),
    "3 seeds, one row ten times as noisy": Design((3,) * 10, scales=ONE_NOISY),
    "the same, and it is astray": Design((3,) * 10, scales=ONE_NOISY, astray=True),
    "5 seeds": Design((5,) * 10),
    "5 seeds, unequal noise": Design((5,) * 10, scales=UNEQUAL),
    "1 to 5 seeds": Design(MIXED),
    "1 to 5 seeds, unequal noise": Design(MIXED, scales=UNEQUAL),
}


class Noise(NamedTuple):
    """That of `awd.report.stats`, of many studies at once: each part is (studies)."""

    variance: np.ndarray
    freedom: np.ndarray
    residual: np.ndarray


class Differences(NamedTuple):
    """Of the rows of many studies from their base rows: each part is (studies, rows)."""

    nats: np.ndarray
    half: np.ndarray
    p: np.ndarray
    freedom: np.ndarray


def simulate(generator, design: Design, effects, studies: int) -> list[np.ndarray]:
    """Losses of the trainings of each row, (studies, trainings, blocks)."""
    training, text, both = design.deviations
    return [
        4.6
        + effects[number]
        + text * generator.standard_normal((studies, 1, BLOCKS))
        + design.scales[number] * training * generator.standard_normal((studies, count, 1))
        + both * generator.standard_normal((studies, count, BLOCKS))
        for number, count in enumerate(design.seeds)
    ]


def moved(losses: np.ndarray) -> np.ndarray:
    """How each block moves the mean loss; blocks are equally long here."""
    return (losses - losses.mean(axis=-1, keepdims=True)) / BLOCKS


def within(losses: np.ndarray) -> Noise:
    """The noise of one row alone."""
    studies, count, _ = losses.shape
    deviations = moved(losses - losses.mean(axis=1, keepdims=True))
    residual = (deviations**2).sum(axis=(1, 2)) / (count - 1) * BLOCKS / (BLOCKS - 1)
    variance = losses.mean(axis=2).var(axis=1, ddof=1)
    return Noise(variance, np.full(studies, count - 1.0), residual)


def pooled(alone: dict[int, Noise]) -> tuple[Noise, dict[int, np.ndarray]]:
    """The noise of rows, and which of them share it, by row and study."""
    variances, freedoms, residuals = (
        np.array([getattr(noise, part) for noise in alone.values()]).T for part in Noise._fields
    )
    kept, studies = np.ones(variances.shape, bool), np.arange(len(variances))

    def join(which: np.ndarray) -> Noise:
        freedom = (which * freedoms).sum(axis=1)
        parts = [(which * freedoms * part).sum(axis=1) / freedom for part in (variances, residuals)]
        return Noise(parts[0], freedom, parts[1])

    going_on = np.full(len(studies), len(alone) > 1)
    while going_on.any():
        largest = np.where(kept, variances, -1).argmax(axis=1)
        others = kept.copy()
        others[studies, largest] = False
        going_on &= others.any(axis=1)
        rest = join(np.where(going_on[:, None], others, kept))
        ratio = variances[studies, largest] / rest.variance
        p = fdtrc(freedoms[studies, largest], rest.freedom, ratio)
        going_on &= (ratio > 1) & (p < UNSTEADY)
        kept[going_on] = others[going_on]
    return join(kept), dict(zip(alone, kept.T, strict=True))


def differences(design: Design, losses: list[np.ndarray]) -> tuple[Differences, np.ndarray]:
    """What `compare` finds with the noise of `pool`, and the degrees of freedom of this noise."""
    alone = {row: within(each) for row, each in enumerate(losses) if each.shape[1] > 1}
    noisiest = np.argmax(design.scales)
    shared = {row: each for row, each in alone.items() if not (design.astray and row == noisiest)}
    pool_noise, shares = pooled(shared)

    def side(row: int) -> tuple[Noise, np.ndarray]:
        share = shares.get(row, np.full(len(losses[row]), row not in alone))
        own = alone.get(row)
        mixed = moderated(pool_noise, own)
        if own is None:
            return mixed, share
        return Noise(*[np.where(share, *pair) for pair in zip(mixed, own, strict=True)]), share

    base, base_shares = side(ROWS)
    found = []
    for row in range(ROWS):
        of_row, row_shares = side(row)
        by_block = losses[row].mean(axis=1) - losses[ROWS].mean(axis=1)
        squares, by_pool = [], []
        for number, each, share in ((row, of_row, row_shares), (ROWS, base, base_shares)):
            square = each.variance / losses[number].shape[1]
            squares.append((square, each.freedom))
            by_pool.append((square, np.where(share, pool_noise.freedom, each.freedom)))
        one = (squares[0][0] + squares[1][0], pool_noise.freedom)
        residual = of_row.residual / losses[row].shape[1] + base.residual / losses[ROWS].shape[1]
        found.append(interval(by_block, squares, by_pool, one, row_shares & base_shares, residual))
    return Differences(*np.stack(found, axis=-1)), pool_noise.freedom


def moderated(shared: Noise, own: Noise | None) -> Noise:
    """`of_row` of many studies; ``own`` is that of the row's trainings, if it has several."""
    freedom = freedom_of_row(shared.freedom)
    if own is None:
        return shared._replace(freedom=freedom)
    both = freedom + own.freedom
    larger = own.variance > shared.variance
    parts = [
        np.where(larger, (freedom * pooled + own.freedom * alone) / both, pooled)
        for pooled, alone in ((shared.variance, own.variance), (shared.residual, own.residual))
    ]
    return Noise(parts[0], both, parts[1])


def interval(by_block, squares, by_pool, one, is_one, residual) -> tuple[np.ndarray, ...]:
    """Difference, half of its interval, p value and degrees of freedom, each (studies).

    ``squares`` are the mean squares of trainings with their degrees of freedom. These are no more
    than those of ``by_pool`` or, where both rows share a pool (``is_one``), of ``one``.
    """
    text = (moved(by_block) ** 2).sum(axis=1) * BLOCKS / (BLOCKS - 1)
    variance = sum(square for square, _ in squares)
    blocks = (text, np.full(len(text), BLOCKS - 1.0))
    most = np.where(is_one, degrees([one, blocks]), degrees([*by_pool, blocks]))
    freedom = np.minimum(degrees([*squares, blocks]), most)
    error = np.sqrt(variance + text - np.minimum(np.minimum(residual, variance), text))
    nats = by_block.mean(axis=1)
    half = stdtrit(freedom, (1 + CONFIDENCE) / 2) * error
    return nats, half, 2 * stdtr(freedom, -np.abs(nats) / error), freedom


def degrees(squares) -> np.ndarray:
    """`satterthwaite` of many studies, at least the smallest degrees of freedom."""
    weights = [square * (1 + CAUTION / freedom**2) for square, freedom in squares]
    spread = sum(w**2 / freedom for w, (_, freedom) in zip(weights, squares, strict=True))
    least = np.minimum.reduce([freedom for _, freedom in squares])
    return np.maximum(least, sum(weights) ** 2 / spread)


def paired(losses: list[np.ndarray], row: int) -> tuple[np.ndarray, ...]:
    """`interval` of a difference with the noise of pairs of equal seeds."""
    pairs = losses[row] - losses[ROWS]
    noise, count = within(pairs), pairs.shape[1]
    parts = [(noise.variance / count, noise.freedom)]
    return interval(pairs.mean(axis=1), parts, parts, parts[0], True, noise.residual / count)


def found_by_holm(found: Differences) -> np.ndarray:
    """Which rows are beyond noise, (studies, rows)."""
    order = np.argsort(found.p, axis=1)
    corrected = np.take_along_axis(found.p, order, axis=1) * np.arange(ROWS, 0, -1)
    return in_place(np.maximum.accumulate(corrected, axis=1) < SIGNIFICANCE, order)


def found_by_dunnett(found: Differences, critical: np.ndarray) -> np.ndarray:
    """Which rows step-down Dunnett finds with these ``critical`` values, (FREEDOMS, rows)."""
    order = np.argsort(found.p, axis=1)
    freedom = found.freedom.max(axis=1, keepdims=True)
    sizes = -stdtrit(freedom, np.take_along_axis(found.p, order, axis=1) / 2)
    inverse = 1 / np.array(FREEDOMS)  # decreases, and np.interp wants it to increase
    limits = [np.interp(1 / freedom[:, 0], inverse[::-1], each[::-1]) for each in critical.T]
    beyond = sizes > np.stack(limits, axis=1)[:, ::-1]  # all rows first, then one less each time
    return in_place(np.logical_and.accumulate(beyond, axis=1), order)


def in_place(sorted_values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Undo a sorting of rows."""
    values = np.empty_like(sorted_values)
    np.put_along_axis(values, order, sorted_values, axis=1)
    return values


@cache
def dunnett_critical(share: float) -> np.ndarray:
    """Critical values of the largest of 1 to ROWS t values of correlation ``share``, by freedom."""
    draws = np.random.default_rng(0).standard_normal((2_000, ROWS + 1))
    values = np.sqrt(share) * draws[:, :1] + np.sqrt(1 - share) * draws[:, 1:]
    tops = np.maximum.accumulate(np.abs(values), axis=1).T[:, None, :]
    freedom = np.array(FREEDOMS)[None, :, None]
    low, high = np.ones((ROWS, len(FREEDOMS), 1)), np.full((ROWS, len(FREEDOMS), 1), 200.0)
    for _ in range(16):
        middle = np.sqrt(low * high)
        tail = chdtr(freedom, freedom * (tops / middle) ** 2).mean(axis=2, keepdims=True)
        low, high = (
            np.where(tail > SIGNIFICANCE, middle, low),
            np.where(tail > SIGNIFICANCE, high, middle),
        )
    return high[:, :, 0].T


def check(design: Design, losses: list[np.ndarray], found: Differences) -> None:
    """Stop unless awd finds the same in the first studies."""
    noisiest = np.argmax(design.scales)
    for study in range(CHECKED):
        groups = [
            [
                Result(
                    float(each.mean()), TOKENS, each * TOKENS, "", design.astray and row == noisiest
                )
                for each in of_row[study]
            ]
            for row, of_row in enumerate(losses)
        ]
        noise = pool(groups)
        each = [compare(row, groups[ROWS], noise) for row in groups[:ROWS]]
        np.testing.assert_allclose(found.nats[study], [one.nats for one in each], atol=1e-9)
        np.testing.assert_allclose(
            found.half[study], [(one.high - one.low) / 2 for one in each], rtol=1e-6
        )
        np.testing.assert_allclose(found.p[study], [one.p for one in each], rtol=1e-6, atol=1e-9)
        beyond = [beyond_noise(p) for p in holm([one.p for one in each])]
        np.testing.assert_array_equal(found_by_holm(found)[study], beyond)


def measure(name: str, studies: int) -> dict:
    """Coverage, width, false alarms and power of one design."""
    design = DESIGNS[name]
    generator = np.random.default_rng(0)
    counts = np.array(design.seeds[:ROWS])
    # The base row's share of the variance is what two differences have in common.
    critical = dunnett_critical(float(np.mean(counts / (counts + design.seeds[ROWS]))))
    noisiest = np.array(design.scales[:ROWS]) == max(design.scales)
    figures: dict[str, list] = {}

    def note(**parts) -> None:
        for key, part in parts.items():
            figures.setdefault(key, []).append(part)

    for first in range(0, 2 * studies, TOGETHER):
        differ = first >= studies  # in the second half of the studies a third of the rows differ
        effects = np.zeros(len(design.seeds))
        effects[: ROWS // 3] = EFFECT * differ
        losses = simulate(generator, design, effects, TOGETHER)
        found, freedom = differences(design, losses)
        if first == 0:
            check(design, losses, found)
        beyond = {"holm": found_by_holm(found), "dunnett": found_by_dunnett(found, critical)}
        for method, rows in beyond.items():
            if differ:
                note(**{f"power_{method}": rows[:, : ROWS // 3]})
            else:
                note(**{f"alarms_{method}": rows.any(axis=1)})
        inside = np.abs(found.nats - effects[:ROWS]) <= found.half
        note(freedom=freedom, coverage=inside, width=2 * found.half)
        for row in np.flatnonzero((counts == design.seeds[ROWS]) & (counts > 1)):
            nats, half, *_ = paired(losses, row)
            note(coverage_paired=np.abs(nats - effects[row]) <= half, width_paired=2 * half)
    joined = {key: np.concatenate(parts) for key, parts in figures.items()}
    alarms, by_row = joined["alarms_holm"].mean(), joined["coverage"].mean(axis=0)
    return {
        "design": name,
        "freedom": int(np.median(joined["freedom"])),
        **{
            key: joined[key].mean() if key in joined else np.nan
            for key in ("coverage", "width", "coverage_paired", "width_paired")
        },
        "coverage_noisiest": np.nan if noisiest.all() else by_row[noisiest].mean(),
        "error": joined["coverage"].mean(axis=1).std() / np.sqrt(2 * studies),
        **{f"alarms_{method}": joined[f"alarms_{method}"].mean() for method in ("holm", "dunnett")},
        "error_alarms": np.sqrt(alarms * (1 - alarms) / studies),
        **{f"power_{method}": joined[f"power_{method}"].mean() for method in ("holm", "dunnett")},
    }


def main() -> None:
    """Simulate every design and write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=5_000, help="with and without effects each")
    studies = parser.parse_args().studies
    frame = pd.DataFrame([measure(name, studies) for name in DESIGNS])
    here = Path(__file__).with_suffix("")
    frame.to_csv(f"{here}.csv", index=False, float_format="%.5f")
    shown = pd.DataFrame({"design": frame["design"], "freedom": frame["freedom"]})
    for name, column in {
        "coverage": "coverage",
        "noisiest rows": "coverage_noisiest",
        "paired by seed": "coverage_paired",
        "false alarms, Holm": "alarms_holm",
        "Dunnett": "alarms_dunnett",
        "found, Holm": "power_holm",
        "found, Dunnett": "power_dunnett",
        "width": "width",
        "width, paired": "width_paired",
    }.items():
        shown[name] = [f"{100 * value:.1f}%" if value == value else "" for value in frame[column]]
    text = tabulate(
        shown, headers="keys", tablefmt="github", showindex=False, disable_numparse=True
    )
    Path(f"{here}.md").write_text(
        f"# Coverage of intervals\n\n{studies} simulated tables of nine rows without true "
        f"differences, and {studies} in which three rows differ by "
        f"{100 * EFFECT:.0f}%, per design; made by `python benchmarks/coverage.py --studies "
        f"{studies}`. *Freedom*: degrees of freedom of the noise of training (median). *Coverage*: "
        f"share of {CONFIDENCE:.0%} intervals that hold the true difference (standard error at "
        f"most {100 * frame['error'].max():.1f}%); *noisiest rows*: of the rows with most noise, "
        "where rows differ in it. *False alarms*: share of tables without differences in which at "
        f"least one row seems to differ (corrected p below {SIGNIFICANCE:g}; standard error at "
        f"most {100 * frame['error_alarms'].max():.1f}%). *Found*: share of the rows that differ. "
        "*Width*: mean width of the intervals.\n\n" + text + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
