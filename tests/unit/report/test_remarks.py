"""Remarks are values; words has a clause for each."""

import dataclasses
from typing import get_args

import pytest

from awd.report import words
from awd.report.remarks import (
    Ahead,
    AsFrequencies,
    AtEpoch,
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoInterval,
    NoPublishedInterval,
    Note,
    OtherInterval,
    OwnNoise,
    Remark,
    SeedsMissing,
)
from awd.vocabulary import LeftOut, Status

EXAMPLES = [
    Note("from the authors' code"),
    AtEpoch(40, 500, 75.98, 75.6),
    SeedsMissing(1, 3),
    Ended(Status.DIVERGED, "loss became nan", (2,)),
    Backward(60.0, 58.0),
    NeverAveraged(40, 1, 3),
    Incomparable((("batch_size", 10),)),
    AsFrequencies(22.7),
    NoInterval(),
    NoPublishedInterval(NoInterval()),
    Ahead("GRU", 0.5, -0.2, 1.2, 0.15, beyond=False),
    OwnNoise(LeftOut.SPREADS),
    OtherInterval(next(iter(words.INTERVALS))),
]


def test_every_kind_of_remark_has_words():
    assert {type(each) for each in EXAMPLES} == set(get_args(Remark))
    clauses = [words.remark(each) for each in EXAMPLES]
    assert all(clauses)
    assert len(set(clauses)) == len(clauses)
    assert words.remarks(EXAMPLES) == "; ".join(clauses)


@pytest.mark.parametrize("remark", EXAMPLES, ids=lambda each: type(each).__name__)
def test_equal_remarks_share_a_footnote(remark):
    """They are compared by value, and cannot be changed once they are made."""
    assert dataclasses.replace(remark) == remark
    assert len({dataclasses.replace(remark), remark}) == 1
    for field in dataclasses.fields(remark):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(remark, field.name, None)
