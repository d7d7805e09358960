"""Differences with known answers, and intervals that cover what they say."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from awd.evaluation.breakdown import BLOCKS, block_sums
from awd.report.stats import Difference, Result, holm, mean_and_deviation, paired_difference


def result(losses: np.ndarray, blocks: int = BLOCKS) -> Result:
    """Of a text cut into equal blocks."""
    edges = np.linspace(0, len(losses), blocks, endpoint=False, dtype=int)
    tokens = np.diff(edges, append=len(losses))
    return Result(math.exp(losses.mean()), tokens, np.add.reduceat(losses, edges))


def plain(perplexities) -> dict[int, Result]:
    return {seed: Result(value) for seed, value in enumerate(perplexities, 1)}


def test_mean_and_deviation():
    """Sample deviation (n - 1); unknown for one value, both unknown for none."""
    assert mean_and_deviation([1.0, 2.0, 4.0]) == pytest.approx((7 / 3, np.sqrt(7 / 3)))
    mean, deviation = mean_and_deviation([60.5])
    assert mean == 60.5
    assert math.isnan(deviation)
    assert all(map(math.isnan, mean_and_deviation([])))


def test_seeds_alone_are_compared_by_the_paired_t_test():
    """Without losses by block, interval and p are those of the textbook test."""
    row, base = [61.0, 62.5, 61.7, 60.9], [60.0, 60.4, 60.1, 60.6]
    found = paired_difference(plain(row), plain(base))
    expected = reference.ttest_rel(row, base)
    interval = expected.confidence_interval(0.95)
    assert found[:4] == pytest.approx((1.25, interval.low, interval.high, expected.pvalue))
    assert found.interval == "seeds"


def test_only_seeds_that_both_have_are_compared():
    row, base = {2: Result(62.0), 3: Result(9.0)}, {1: Result(1.0), 2: Result(60.5)}
    found = paired_difference(row, base)
    assert found.difference == 1.5
    assert math.isnan(found.low)
    assert found.interval == ""
    assert paired_difference({1: Result(62.0)}, {2: Result(60.5)}).interval == ""
    assert math.isnan(paired_difference({1: Result(62.0)}, {2: Result(60.5)}).difference)


def test_differences_without_spread_give_a_point():
    """Not a division by zero; a row that is the base row does not differ, with p = 1."""
    assert paired_difference(plain([2, 3]), plain([1, 2])) == Difference(1, 1, 1, 0, "seeds")
    assert paired_difference(plain([2, 3]), plain([2, 3])) == Difference(0, 0, 0, 1, "seeds")
    same = result(np.random.default_rng(0).gamma(1.2, 3.5, 10_001))
    assert paired_difference({1: same}, {1: same}) == Difference(0, 0, 0, 1, "tokens")
    both = {1: same, 2: same}
    assert paired_difference(both, both) == Difference(0, 0, 0, 1, "seeds and tokens")


def test_an_infinite_perplexity_is_no_difference():
    assert paired_difference(plain([math.inf, 3]), plain([1, 2])).interval == ""


@pytest.mark.parametrize(("row", "base"), [(30, 29), (9, 9)])
def test_texts_that_cannot_be_paired_give_no_interval(row, base):
    """Other blocks are another text; fewer than ten say too little."""
    losses = np.random.default_rng(0).gamma(1.2, 3.5, 9000)
    found = paired_difference({1: result(losses + 0.1, row)}, {1: result(losses, base)})
    assert found.difference > 0
    assert math.isnan(found.low)
    assert found.interval == ""


def correlated(generator, tokens: int, length: int = 20) -> np.ndarray:
    """Values that are alike over stretches of ``length`` tokens, with mean 0 and deviation 1."""
    return np.repeat(generator.standard_normal(tokens // length), length)


def test_one_seed_has_the_error_of_a_drawn_blocked_bootstrap():
    """The computed variance is what drawing whole blocks with replacement gives."""
    generator = np.random.default_rng(1)
    base = generator.gamma(1.2, 3.5, 60_000)
    row = base + 0.02 + 0.4 * correlated(generator, 60_000)
    found = paired_difference({1: result(row)}, {1: result(base)})
    draws = generator.integers(BLOCKS, size=(20_000, BLOCKS))

    def perplexity(losses):
        return np.exp(losses.reshape(BLOCKS, -1).mean(axis=1)[draws].mean(axis=1))

    drawn = (perplexity(row) - perplexity(base)).std() * math.sqrt(BLOCKS / (BLOCKS - 1))
    error = (found.high - found.low) / 2 / reference.t.ppf(0.975, BLOCKS - 1)
    assert error == pytest.approx(drawn, rel=0.03)
    assert found.difference == pytest.approx(np.exp(row.mean()) - np.exp(base.mean()))


def test_a_constant_shift_is_found_and_swapping_the_models_mirrors_it():
    """Every token harder by 0.05 nats multiplies the perplexity by exp(0.05), surely."""
    base = np.random.default_rng(0).gamma(1.2, 3.5, 40_000)
    there = paired_difference({1: result(base + 0.05)}, {1: result(base)})
    back = paired_difference({1: result(base)}, {1: result(base + 0.05)})
    assert there.difference == pytest.approx(np.exp(base.mean()) * np.expm1(0.05), rel=1e-9)
    assert 0 < there.low < there.high
    assert there.p < 1e-9
    assert (-back.high, -back.low, back.p) == pytest.approx((there.low, there.high, there.p))


def test_seeds_and_text_are_both_in_the_interval():
    """It is wider than either alone knows, and narrower than their sum."""
    generator = np.random.default_rng(3)
    text, base = correlated(generator, 60_000), generator.gamma(1.2, 3.5, 60_000)
    row = [base + 0.05 + 0.1 * text + 0.002 * s for s in (-1, 0, 1, 0.5, -0.5)]
    rows = {seed: result(losses) for seed, losses in enumerate(row)}
    bases = dict.fromkeys(rows, result(base))
    widths = {}
    for name, ours in {
        "both": rows,
        "seeds": {seed: Result(r.perplexity) for seed, r in rows.items()},
        "text": dict.fromkeys(rows, result(np.mean(row, axis=0))),
    }.items():
        found = paired_difference(ours, bases)
        widths[name] = found.high - found.low
    assert max(widths["seeds"], widths["text"]) < widths["both"] < widths["seeds"] + widths["text"]


def test_one_seed_covers_the_truth_though_neighbours_are_alike():
    """About 95% of intervals hold the true difference, with losses correlated over lines.

    Blocks of single tokens, which take each as independent, cover far less than they say.
    """
    trials, tokens = 2_000, 6_000
    truth = math.exp(4.1) - math.exp(4.08)
    generator = np.random.default_rng(2)
    covered = {BLOCKS: 0, tokens: 0}
    for _ in range(trials):
        base = 4.08 + generator.standard_normal(tokens) * 0.5
        row = base + 0.02 + 0.5 * correlated(generator, tokens)
        for blocks in covered:
            found = paired_difference({1: result(row, blocks)}, {1: result(base, blocks)})
            covered[blocks] += found.low <= truth <= found.high
    assert 0.93 <= covered[BLOCKS] / trials <= 0.97
    assert covered[tokens] / trials < 0.5


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize(
    ("training", "text", "both"), [(0.01, 0.002, 0.02), (0.01, 0.05, 0.03), (0.002, 0.05, 0.02)]
)
def test_several_seeds_cover_the_truth(seeds, training, text, both):
    """About 95%, whether trainings or texts differ more; the seeds alone would not do.

    Two seeds know little of the spread between trainings, so their intervals vary more.

    The three deviations are, in nats: of a training, of a block of the text, of both together.
    """
    trials, tokens = 2_000, np.full(BLOCKS, 1_000)
    generator = np.random.default_rng(4)
    covered = alone = 0
    for _ in range(trials):
        shifts = (
            0.01
            + training * generator.standard_normal((seeds, 1))
            + text * generator.standard_normal(BLOCKS)
            + both * generator.standard_normal((seeds, BLOCKS))
        )
        base = Result(60.0, tokens, tokens * math.log(60))
        row = {
            seed: Result(60 * math.exp(shift.mean()), tokens, base.nll + tokens * shift)
            for seed, shift in enumerate(shifts)
        }
        truth = 60 * math.expm1(0.01)
        found = paired_difference(row, dict.fromkeys(row, base))
        covered += found.low <= truth <= found.high
        bare = {seed: Result(r.perplexity) for seed, r in row.items()}
        found = paired_difference(bare, dict.fromkeys(row, base))
        alone += found.low <= truth <= found.high
    low, high = (0.91, 0.98) if seeds == 2 else (0.93, 0.97)
    assert low <= covered / trials <= high
    if training < text and seeds > 2:
        assert alone / trials < 0.91


def test_holm_is_the_textbook_example():
    """Steps down from the smallest; a missing value is no test."""
    found = holm([0.01, math.nan, 0.04, 0.03, 0.005])
    assert found[0] == pytest.approx(0.03)
    assert math.isnan(found[1])
    assert found[2:] == pytest.approx([0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_false_alarms_of_a_whole_table_at_five_percent():
    """Of tables in which no row differs, about one in twenty has a row that seems to."""
    generator = np.random.default_rng(5)
    tables = 4_000
    alarms = sum(min(holm(generator.random(9))) < 0.05 for _ in range(tables))
    assert 0.04 < alarms / tables < 0.06


def test_blocks_are_whole_lines_of_about_equal_length():
    """Together they are the text, and each but the first begins after the end of a line."""
    generator = np.random.default_rng(6)
    targets = generator.integers(0, 20, 9_000)
    losses = generator.gamma(1.2, 3.5, 9_000).astype(np.float32)
    found = block_sums(losses, targets, 0)
    assert len(found["tokens"]) == len(found["nll"]) == BLOCKS
    assert sum(found["tokens"]) == 9_000
    assert sum(found["nll"]) == pytest.approx(losses.sum(dtype=np.float64), abs=0.01)
    starts = np.cumsum(found["tokens"])[:-1]
    assert (targets[starts - 1] == 0).all()
    assert 150 < min(found["tokens"]) <= max(found["tokens"]) < 500
    assert found["nll"][3] == pytest.approx(losses[starts[2] : starts[3]].sum(), abs=0.01)


def test_blocks_of_texts_with_few_lines_or_none():
    """No more blocks than lines; without lines, blocks of equal length; no text, no blocks."""
    losses = np.ones(1_200)
    targets = np.ones(1_200, dtype=np.uint16)
    assert block_sums(losses, targets, None)["tokens"] == [40] * BLOCKS
    assert block_sums(losses, targets, 7)["tokens"] == [40] * BLOCKS
    targets[[299, 1_199]] = 7
    assert block_sums(losses, targets, 7) == {"tokens": [300, 900], "nll": [300.0, 900.0]}
    with pytest.raises(ValueError, match="1199 losses"):
        block_sums(losses[1:], targets, 7)
