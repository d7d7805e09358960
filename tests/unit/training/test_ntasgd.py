"""The trigger and the average, against the published curves and the definition."""

import csv
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from awd.training.ntasgd import Average, NonMonotonicTrigger

CURVES = Path(__file__).parents[3] / "workflow" / "published" / "yoon2019-curves.csv"


@pytest.mark.parametrize(
    ("log", "epoch"),
    [("ptb-lstm.log", 51), ("wiki-lstm.log", 62), ("ptb-gru.log", 7), ("wiki-gru.log", 12)],
)
def test_trigger_fires_where_it_did_in_the_published_runs(log, epoch):
    with CURVES.open(encoding="utf-8") as file:
        losses = [
            float(line["valid_ppl"])
            for line in csv.DictReader(file)
            if line["log"] == log and line["stage"] == "train"
        ]
    trigger = NonMonotonicTrigger(5)
    assert next(number for number, loss in enumerate(losses, 1) if trigger.fires(loss)) == epoch


def test_trigger_compares_with_the_best_of_all_but_the_last_n():
    trigger = NonMonotonicTrigger(2)
    # 9 exceeds the last two (7, 8) but not the best before them (10)
    assert [trigger.fires(loss) for loss in (10, 7, 8, 9)] == [False, False, False, False]
    assert trigger.fires(8)  # above 7, which is three evaluations back by now


def test_trigger_cannot_fire_before_n_plus_two_evaluations():
    trigger = NonMonotonicTrigger(5)
    assert [trigger.fires(loss) for loss in range(7)] == [False] * 6 + [True]


def test_average_is_the_mean_of_the_iterates_from_the_first_on():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3))
    average, iterates = Average([weight]), []
    for _ in range(6):
        weight.data += torch.randn(4, 3)
        average.expect()
        average.take()
        iterates.append(weight.detach().clone())
    torch.testing.assert_close(average.means[0], torch.stack(iterates).double().mean(0))


def test_average_is_applied_within_the_block_alone_even_if_it_raises():
    weight = torch.nn.Parameter(torch.zeros(2))
    average = Average([weight])
    weight.data += 1
    average.expect()
    average.take()
    weight.data += 2
    average.expect()
    average.take()
    with suppress(KeyError), average.applied():
        assert weight.tolist() == [2.0, 2.0]
        raise KeyError
    assert weight.tolist() == [3.0, 3.0]


def test_the_mean_of_very_many_iterates_still_moves():
    """In float a step towards a value 1% away would be lost after 265,000 updates."""
    weight = torch.nn.Parameter(torch.ones(3))
    average = Average([weight])
    average.count = 265_000
    weight.data.fill_(1.01)
    for _ in range(1000):
        average.expect()
        average.take()
    expected = (265_000 + 1000 * 1.01) / 266_000
    torch.testing.assert_close(average.means[0], torch.full((3,), expected, dtype=torch.float64))
    with average.applied():
        assert (weight > 1).all()
