"""Each learning-rate schedule against rates worked out by hand."""

import pytest

from awd.study.spec import RunSpec
from awd.training.schedules import Schedule


def rates(losses, **settings):
    """The rate of each epoch, given the validation loss at its end."""
    schedule, result = Schedule(RunSpec(corpus="ptb", **settings)), []
    for loss in losses:
        result.append(schedule.rate)
        schedule.epoch_ended(loss)
    return result


def test_constant():
    assert rates([3, 2, 5, 1], learning_rate=30) == [30, 30, 30, 30]


def test_step_decays_after_the_first_epochs_and_then_at_every_interval():
    zaremba = {"schedule": "step", "learning_rate": 8, "decay_first": 3, "decay_every": 1}
    assert rates([1] * 6, **zaremba) == [8, 8, 8, 4, 2, 1]
    slow = {"schedule": "step", "learning_rate": 8, "decay_first": 2, "decay_every": 2}
    assert rates([1] * 6, **slow) == [8, 8, 4, 4, 2, 2]


def test_step_divides_by_its_factor():
    settings = {"schedule": "step", "learning_rate": 3, "decay_first": 1, "decay_factor": 1.5}
    assert rates([1] * 3, **settings) == pytest.approx([3, 2, 4 / 3])


def test_plateau_halves_after_each_epoch_without_a_new_best():
    settings = {"schedule": "plateau", "learning_rate": 8}
    assert rates([5, 4, 4, 4.5, 3, 3.5], **settings) == [8, 8, 8, 4, 2, 2]


def test_non_monotonic_halves_where_nt_asgd_would_average_and_then_starts_over():
    settings = {"schedule": "non-monotonic", "learning_rate": 8, "non_monotone_interval": 1}
    assert rates([3, 3, 4, 4, 4, 5, 5], **settings) == [8, 8, 8, 4, 4, 4, 2]


@pytest.mark.parametrize("schedule", ["step", "plateau", "non-monotonic"])
def test_a_restored_schedule_goes_on_as_the_whole_one(schedule):
    spec = RunSpec(corpus="ptb", schedule=schedule, epochs=12, non_monotone_interval=1)
    losses = [5, 4, 4.5, 4.2, 4.1, 4.4, 4, 3, 3.5, 3.6]
    whole, pieces = Schedule(spec), Schedule(spec)
    for loss in losses:
        whole.epoch_ended(loss)
        pieces.epoch_ended(loss)
        fresh = Schedule(spec)
        fresh.restore(pieces.state())
        pieces = fresh
        assert pieces.rate == whole.rate
