"""Differences and intervals on one scale, in percent of its width."""

import pandas as pd
import pytest

from awd.report.page.intervals import MARGIN, Scale, spans


def table(*lines):
    """(difference, low, high) of each row."""
    return pd.DataFrame(lines, columns=["delta_test", "delta_low", "delta_high"], dtype=float)


@pytest.mark.parametrize(
    ("value", "place"), [(-1, 0.0), (0, 50.0), (0.5, 75.0), (1, 100.0), (7, 100.0), (-7, 0.0)]
)
def test_a_value_has_its_place_on_the_scale(value, place):
    assert Scale(-1, 1).place(value) == place


def test_the_scale_holds_zero_and_every_interval_with_a_margin():
    found = spans(table((1, 0.5, 2), (3, 2, 4)))
    first, second = found.spans
    edge = round(100 * MARGIN / (1 + 2 * MARGIN), 1)
    assert found.zero == edge
    assert second.right == pytest.approx(100 - edge)
    assert found.zero < first.left < first.dot < first.right == second.left < second.dot
    assert {span.beyond for span in found.spans} == {""}


def test_one_row_without_difference_from_the_base_has_a_place():
    """All differences are zero: the scale has a width nevertheless."""
    found = spans(table((0, None, None)))
    (span,) = found.spans
    assert span.dot == found.zero == 50.0


def test_a_table_of_single_trainings_has_no_intervals():
    assert spans(table((1, 0.5, 2), (3, None, None))).have_intervals
    assert not spans(table((1, None, None), (None, None, None))).have_intervals


@pytest.mark.parametrize(("far", "side", "dot"), [(-900, "left", 2.0), (900, "right", 98.0)])
def test_a_row_off_the_scale_lies_at_that_side(far, side, dot):
    *_, span = spans(table((1, 0, 2), (2, 1, 3), (1.5, 1, 2), (far, far, far))).spans
    assert span == (dot, None, None, side)


def test_a_difference_far_from_the_others_leaves_their_scale():
    """It is marked as beyond; the ordinary ones keep their places in order."""
    table = pd.DataFrame(
        {
            "delta_test": [None, 1.0, -1.0, 2.0, 900.0],
            "delta_low": [None, 0.5, -1.5, None, 800.0],
            "delta_high": [None, 1.5, -0.5, None, 1000.0],
        },
        dtype=float,
    )
    found = spans(table)
    none, *ordinary, far = found.spans
    assert none is None
    assert far.beyond == "right"
    assert ordinary[1].dot < found.zero < ordinary[0].dot < ordinary[2].dot < 100
    assert ordinary[0].left > found.zero > ordinary[1].right
    assert ordinary[2].left is None
    assert spans(table[:1]) is None
