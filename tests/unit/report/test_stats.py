"""Differences with known answers, and intervals that cover as often as they should."""

import math

import numpy as np
import pytest
from scipy import stats as reference

from awd.report.remarks import NoInterval
from awd.report.stats import (
    LIKENESS,
    Apart,
    Noise,
    Result,
    beyond_noise,
    compare,
    holm,
    left_out,
    mean_and_deviation,
    of_row,
    pool,
    prediction,
    satterthwaite,
)
from awd.vocabulary import LeftOut

BLOCKS = 30
TOKENS = np.full(BLOCKS, 1_000.0)


def trainings(losses, runs=()) -> list[Result]:
    """One result per loss, without losses by block."""
    runs = runs or [""] * len(losses)
    return [Result(loss, run=run) for loss, run in zip(losses, runs, strict=True)]


def by_block(losses: np.ndarray, run: str = "") -> Result:
    """The result of a training with these mean losses per block, (blocks)."""
    return Result(float(losses.mean()), TOKENS, losses * TOKENS, run)


def study(generator, seeds, training=0.007, text=0.02, both=0.01) -> list[list[Result]]:
    """Trainings of rows without any true difference; the last row is the base row.

    ``seeds`` are the trainings per row. The deviations are, in nats: of a training, of a row on a
    block of the text, of a training on a block.
    """
    common = 4.6 + 0.3 * generator.standard_normal(BLOCKS)
    rows = []
    for count in seeds:
        of_row = common + text * generator.standard_normal(BLOCKS)
        rows.append(
            [
                by_block(
                    of_row
                    + training * generator.standard_normal()
                    + both * generator.standard_normal(BLOCKS)
                )
                for _ in range(count)
            ]
        )
    return rows


def test_mean_perplexity_is_that_of_the_mean_loss():
    assert mean_and_deviation([1.0, 2.0, 4.0]) == pytest.approx((2, np.sqrt(7 / 3)))
    found, deviation = mean_and_deviation([60.5])
    assert found == 60.5
    assert math.isnan(deviation)
    assert all(map(math.isnan, mean_and_deviation([])))


def test_noise_is_that_of_an_analysis_of_variance():
    """The mean square within groups, with its degrees of freedom; single trainings do not count."""
    groups = [[4.0, 4.02, 4.01], [5.0, 5.03], [3.0]]
    found = pool(map(trainings, groups))
    within = [np.array(group) - np.mean(group) for group in groups]
    assert found.freedom == 3
    assert found.trainings == 5
    assert found.variance == pytest.approx(sum((w**2).sum() for w in within) / 3)


@pytest.mark.parametrize("groups", [[], [[4.0]], [[4.0], [5.0]], [[4.0, math.inf]]])
def test_noise_is_unknown_without_two_trainings_of_a_row(groups):
    assert pool(map(trainings, groups)).freedom == 0


def test_one_training_each_gives_a_difference_and_nothing_more():
    found = compare(trainings([4.1]), trainings([4.0]), Noise())
    assert found.nats == pytest.approx(0.1)
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.covers == ""


def expected_interval(nats, *squares):
    """The interval of a difference of ``nats`` with these (mean square, degrees of freedom)."""
    freedom = max(min(freedom for _, freedom in squares), satterthwaite(squares))
    half = reference.t.ppf(0.975, freedom) * math.sqrt(sum(square for square, _ in squares))
    return pytest.approx((nats, nats - half, nats + half))


def test_two_rows_alone_are_told_apart_no_sooner_than_by_the_t_test():
    """Their noise is known from both together, however it is divided between them."""
    generator = np.random.default_rng(6)
    for counts in ((2, 2), (3, 3), (3, 2), (2, 5)):
        row, base = ([*generator.standard_normal(count)] for count in counts)
        found = compare(trainings(row), trainings(base), pool(map(trainings, (row, base))))
        student = reference.ttest_ind(row, base)
        interval = student.confidence_interval(0.95)
        assert found.freedom <= sum(counts) - 2
        assert found.p >= student.pvalue - 1e-9
        assert found.high - found.low >= interval.high - interval.low - 1e-9


def test_a_row_without_a_second_training_uses_the_noise_of_the_others():
    """That of 4 degrees of freedom counts as 1 / (1/4 + 1/LIKENESS) of them for each row."""
    noise = pool([trainings([4.00, 4.01, 4.02]), trainings([3.0, 3.01, 3.02])])
    found = compare(trainings([4.11]), trainings([4.00, 4.01, 4.02]), noise)
    counted = 1 / (1 / 4 + 1 / LIKENESS)
    assert found[:3] == expected_interval(0.1, (1e-4, counted), (1e-4 / 3, counted + 2))
    assert found.covers == "trainings"


def test_a_row_that_spreads_more_has_more_noise_and_none_has_less():
    noise = Noise(1e-4, 20)
    counted = 1 / (1 / 20 + 1 / LIKENESS)
    quiet, noisy = trainings([4.000, 4.001, 3.999]), trainings([4.02, 3.98, 4.00])
    assert of_row(quiet, noise)[:2] == pytest.approx((1e-4, counted + 2))
    larger = (counted * 1e-4 + 2 * 4e-4) / (counted + 2)
    assert of_row(noisy, noise)[:2] == pytest.approx((larger, counted + 2))
    assert of_row(trainings([4.0]), noise)[:2] == pytest.approx((1e-4, counted))
    assert not of_row(noisy, Noise()).freedom


def test_equal_rows_and_unequal_rows_keep_to_the_level():
    """Of nine rows of one training, compared with one of three; four more rows show the noise."""
    generator = np.random.default_rng(4)
    for smallest, alarms in ((1, 0.03), (0.5, 0.065)):
        wrong = 0
        for _ in range(400):
            deviations = 0.01 * np.exp(generator.uniform(-1, 1, 14) * math.log(1 / smallest))
            counts = [1] * 9 + [3] * 5
            rows = [
                trainings(4 + deviation * generator.standard_normal(count))
                for deviation, count in zip(deviations, counts, strict=True)
            ]
            noise = pool(rows)
            p_values = [compare(row, rows[9], noise).p for row in rows[:9]]
            wrong += any(map(beyond_noise, holm(p_values)))
        assert wrong / 400 <= alarms


def test_evaluations_of_the_same_trainings_are_compared_in_pairs():
    """What all trainings have in common cancels, as before and after fine-tuning."""
    base, row = [4.00, 4.20, 3.90], [3.95, 4.151, 3.849]
    runs = ["a", "b", "c"]
    found = compare(
        trainings(row, runs), trainings(base, runs), pool([trainings(base), trainings(row)])
    )
    expected = reference.ttest_rel(row, base)
    interval = expected.confidence_interval(0.95)
    assert found[:4] == pytest.approx((-0.05, interval.low, interval.high, expected.pvalue))
    other = compare(trainings(row), trainings(base), pool([trainings(base), trainings(row)]))
    assert other.high - other.low > 50 * (found.high - found.low)


def test_differences_without_spread_give_a_point():
    noise = Noise(0.0, 2)
    assert compare(trainings([4.0]), trainings([4.0]), noise)[:4] == (0, 0, 0, 1)
    assert compare(trainings([5.0]), trainings([4.0]), noise)[:4] == (1, 1, 1, 0)


@pytest.mark.parametrize(("row", "base"), [([], [4.0]), ([4.0], []), ([math.inf], [4.0])])
def test_what_has_no_result_has_no_difference(row, base):
    assert np.isnan(compare(trainings(row), trainings(base), Noise(1e-4, 4)).nats)


def test_a_row_that_spreads_far_more_keeps_its_noise_to_itself():
    """It is not in the pool, and its interval is as wide as its own spread demands."""
    steady = [trainings(4.0 + 0.01 * np.array(d)) for d in ((-1, 0, 1), (0, 1, 0.5), (1, -1, 0))]
    wild = trainings([4.0, 6.0, 9.0])
    noise = pool([*steady, wild])
    assert noise[:4] == pool(steady)[:4]
    assert noise.left_out == (Apart(("", "", ""), LeftOut.SPREADS),)
    there = compare(wild, steady[0], noise)
    assert there.high - there.low > 5
    assert compare(steady[1], steady[0], noise).high < 0.1
    low, high = prediction(wild, noise)
    assert high - low > 5


def astray(losses, runs="") -> list[Result]:
    return [each._replace(astray=True) for each in trainings(losses, runs or "xyz"[: len(losses)])]


STEADY = [trainings([4.00, 4.01, 4.02], "abc"), trainings([3.0, 3.01], "de")]


def test_a_row_that_went_astray_has_the_noise_of_its_own_trainings():
    """Of all of them, also of those that did not; as row and as base row."""
    wild = [*astray([9.0], "x"), *trainings([8.6], "y")]
    noise = pool([*STEADY, wild])
    assert noise[:4] == pool(STEADY)[:4]
    assert noise.left_out == (Apart(("x", "y"), LeftOut.ASTRAY),)
    own = 0.4**2 / 2
    steady = of_row(STEADY[0], noise)
    found = compare(wild, STEADY[0], noise)
    assert found[:3] == expected_interval(4.79, (own / 2, 1), (steady.variance / 3, steady.freedom))
    back = compare(STEADY[0], wild, noise)
    assert (-back.high, -back.low, back.p) == pytest.approx((found.low, found.high, found.p))
    low, high = prediction(wild, noise)
    assert high - low == pytest.approx(2 * reference.t.ppf(0.975, 1) * math.sqrt(own * 1.5))
    assert left_out(wild, noise) is LeftOut.ASTRAY
    assert left_out(STEADY[0], noise) is None


SPREAD = trainings([4.0, 6.0, 9.0], "uvw")
OTHER = Apart(("p", "q"), LeftOut.PROTOCOL)


@pytest.mark.parametrize(
    ("group", "why"),
    [
        (astray([9.0]), LeftOut.ASTRAY),
        (SPREAD[:1], LeftOut.SPREADS),
        (trainings([4.0], "p"), LeftOut.PROTOCOL),
    ],
)
def test_one_training_that_does_not_share_the_noise_has_no_interval(group, why):
    """It would be far too narrow with the noise of others; nor has it a verdict by that noise."""
    noise = pool([*STEADY, SPREAD])
    noise = noise._replace(left_out=(*noise.left_out, OTHER))
    for pair, whose in (((group, STEADY[0]), "row"), ((STEADY[0], group), "base row")):
        found = compare(*pair, noise)
        assert math.isfinite(found.nats)
        assert np.isnan([found.low, found.high, found.p]).all()
        assert (found.covers, found.lacks) == ("", NoInterval(whose, (why,)))
    assert all(map(math.isnan, prediction(group, noise)))
    assert compare(STEADY[1], STEADY[0], noise).covers == "trainings", "others keep theirs"


def test_row_and_base_row_of_two_pools_have_the_noise_of_each():
    """As when one of them trains on less text; without noise of either there is no interval."""
    of_row_pool, of_base = Noise(4e-4, 4), Noise(1e-4, 6)
    row, base = trainings([4.1]), trainings([4.0, 4.01])
    found = compare(row, base, of_row_pool, of_base)
    sides = of_row(row, of_row_pool), of_row(base, of_base)
    squares = [(side.variance / n, side.freedom) for n, side in enumerate(sides, start=1)]
    assert found[:3] == expected_interval(0.095, *squares)
    assert compare(row, base, Noise(), of_base).lacks == NoInterval()
    assert compare(row, base, of_row_pool, Noise()).lacks == NoInterval("pool of the base row")


def test_a_difference_says_why_no_row_has_noise():
    """There are none with several trainings, or those that there are were left out."""
    one, other = trainings([4.1], "a"), trainings([4.0], "b")
    assert compare(one, other, pool([one, other])).lacks == NoInterval()
    single = pool([one, other, astray([9.0], "z")])
    assert compare(one, other, single).lacks == NoInterval()
    assert not single.counts_left_out()
    noise = pool([one, other, astray([8.0, 9.0], "xy")])
    assert compare(one, other, noise).lacks == NoInterval("pool", (LeftOut.ASTRAY,))
    assert noise.counts_left_out() == {LeftOut.ASTRAY: 2}


def test_the_pool_of_a_row_with_its_own_noise_is_not_the_reason():
    """It is left out with several trainings; only the other side has no noise."""
    wild, single = astray([8.0, 9.0], "xy"), trainings([4.0], "b")
    of_wild, known = pool([wild]), pool(STEADY)
    base = trainings([4.0], "p")
    of_base = known._replace(left_out=(*known.left_out, OTHER))
    lacks = compare(wild, base, of_wild, of_base).lacks
    assert lacks == NoInterval("base row", (LeftOut.PROTOCOL,))
    lacks = compare(base, wild, of_base, of_wild).lacks
    assert lacks == NoInterval("row", (LeftOut.PROTOCOL,))
    assert compare(wild, single, of_wild, Noise()).lacks == NoInterval("pool of the base row")
    same = compare(wild, single, of_wild).lacks
    assert same == NoInterval("pool", (LeftOut.ASTRAY,)), "both are of one pool"


def test_an_unsteady_row_does_not_narrow_its_own_intervals():
    """Its noise is ten times that of the others: as row, as base row and as the next training."""
    generator = np.random.default_rng(11)
    inside = []
    for _ in range(2_000):
        steady = [trainings(4 + 0.01 * generator.standard_normal(3)) for _ in range(9)]
        wild = astray(9 + 0.1 * generator.standard_normal(3))
        noise = pool([*steady, wild])
        for found, truth in (
            (compare(wild, steady[0], noise), 5),
            (compare(steady[0], wild, noise), -5),
        ):
            inside.append(found.low <= truth <= found.high)
        low, high = prediction(wild, noise)
        inside.append(low <= 9 + 0.1 * generator.standard_normal() <= high)
    assert 0.94 <= np.mean(inside) <= 0.97


def test_texts_that_cannot_be_paired_leave_the_text_out():
    """Other blocks are another text; fewer than ten have too few degrees of freedom."""
    noise = Noise(1e-4, 4)
    row = by_block(np.full(BLOCKS, 4.1))
    shorter = Result(4.0, TOKENS[:9], np.full(9, 4_000.0))
    assert compare([row], [by_block(np.full(BLOCKS, 4.0))], noise).covers == "trainings and text"
    assert compare([row], [shorter], noise).covers == "trainings"
    assert compare([shorter], [shorter], noise).covers == "trainings"


def test_the_text_has_the_error_of_a_drawn_blocked_bootstrap():
    """The computed variance is what drawing whole blocks with replacement gives."""
    generator = np.random.default_rng(1)
    base = 4.0 + 0.3 * generator.standard_normal(BLOCKS)
    row = base + 0.02 + 0.1 * generator.standard_normal(BLOCKS)
    found = compare([by_block(row)], [by_block(base)], Noise(0.0, 1_000_000))
    draws = generator.integers(BLOCKS, size=(20_000, BLOCKS))
    drawn = (row - base)[draws].mean(axis=1).std() * math.sqrt(BLOCKS / (BLOCKS - 1))
    error = (found.high - found.low) / 2 / reference.t.ppf(0.975, BLOCKS - 1)
    assert error == pytest.approx(drawn, rel=0.03)


def test_swapping_row_and_base_mirrors_the_interval():
    row, base = study(np.random.default_rng(0), (3, 2))
    noise = pool([row, base])
    there, back = compare(row, base, noise), compare(base, row, noise)
    assert (-back.high, -back.low, back.p) == pytest.approx((there.low, there.high, there.p))


def test_blocks_of_unequal_length_count_by_their_tokens():
    """Cutting one block in two equal halves of the same loss hardly changes the interval."""
    generator = np.random.default_rng(4)
    losses = 0.1 * generator.standard_normal(BLOCKS)
    tokens = np.append(TOKENS[:-1], [500.0, 500.0])
    halves = np.append(losses, losses[-1]) * tokens
    flat = [Result(0.0, t, np.zeros(len(t))) for t in (TOKENS, tokens)]
    noise = Noise(1e-8, 4)
    whole = compare([by_block(losses)], flat[:1], noise)
    cut = compare([Result(float(losses.mean()), tokens, halves)], flat[1:], noise)
    assert cut.high - cut.low == pytest.approx(whole.high - whole.low, rel=0.06)


@pytest.mark.parametrize(
    ("seeds", "noises"),
    [
        ([1] * 9 + [3], {}),
        ([1] * 9 + [3], {"training": 0.002, "text": 0.04}),
        ([1] * 9 + [5], {"both": 0.04}),
        ([2] * 10, {}),
        ([3] * 10, {"training": 0.003, "both": 0.03}),
        ([5] * 10, {}),
        ([1, 1, 2, 3, 5, 1, 4, 2, 1, 3], {}),
        ([2, 2], {"text": 0.005, "both": 0.005}),
        ([2, 2, 2], {"text": 0.005, "both": 0.005}),
        ([3, 3], {"text": 0.005, "both": 0.005}),
    ],
)
def test_intervals_cover_and_whole_tables_raise_few_false_alarms(seeds, noises):
    """Intervals hold the true difference 95 to 98% of the time, from one seed a row to five.

    Of tables in which no row differs, at most one in twenty has a row that seems to.
    """
    generator = np.random.default_rng(8)
    studies = 500
    covered, alarms = [], 0
    for _ in range(studies):
        *rows, base = study(generator, seeds, **noises)
        noise = pool([*rows, base])
        found = [compare(row, base, noise) for row in rows]
        covered.append(np.mean([each.low <= 0 <= each.high for each in found]))
        alarms += min(holm([each.p for each in found])) < 0.05
    # Rows of a study share their base row: the error of the share comes from whole studies.
    error = np.std(covered) / math.sqrt(studies)
    assert 0.95 - 2 * error <= np.mean(covered) <= 0.98 + 2 * error
    assert alarms / studies <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)


def test_pairs_of_the_same_trainings_cover_the_truth():
    generator = np.random.default_rng(9)
    covered = []
    for _ in range(1_500):
        base, change = study(generator, (3, 3), training=0.01)
        base = [result._replace(run=f"{n}") for n, result in enumerate(base)]
        row = [
            Result(
                b.loss + 0.1 * (c.loss - 4.6), TOKENS, b.nll + 0.1 * (c.nll - 4.6 * TOKENS), b.run
            )
            for b, c in zip(base, change, strict=True)
        ]
        found = compare(row, base, pool([base]))
        covered.append(found.low <= 0 <= found.high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_the_next_training_lies_in_the_prediction_interval():
    """About 95% of the time, whether the noise comes from few trainings or many."""
    generator = np.random.default_rng(10)
    for seeds in ((1, 3), (3, 3, 3), (2, 1)):
        inside = []
        for _ in range(3_000):
            rows = [trainings(4 + 0.01 * generator.standard_normal(n)) for n in seeds]
            low, high = prediction(rows[0], pool(rows))
            inside.append(low <= 4 + 0.01 * generator.standard_normal() <= high)
        assert 0.94 <= np.mean(inside) <= 0.965
    assert all(map(math.isnan, prediction(trainings([4.0]), Noise())))
    assert all(map(math.isnan, prediction([], Noise(1e-4, 4))))


def test_holm_is_the_textbook_example():
    """Steps down from the smallest; a missing value is no test."""
    found = holm([0.01, math.nan, 0.04, 0.03, 0.005])
    assert found[0] == pytest.approx(0.03)
    assert math.isnan(found[1])
    assert found[2:] == pytest.approx([0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
