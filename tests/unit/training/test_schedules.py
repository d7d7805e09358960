"""Each learning-rate schedule against rates worked out by hand."""

import pytest
import torch

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


@pytest.mark.parametrize("schedule", ["step", "plateau", "non-monotonic", "one-cycle"])
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


def test_one_cycle_is_torchs_in_straight_lines():
    """Rate and momentum of each update; torch counts from 0, so its phases end one early."""
    epochs, updates = 5, 200
    spec = RunSpec(corpus="ptb", schedule="one-cycle", learning_rate=0.3, epochs=epochs)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight])
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=epochs * updates, anneal_strategy="linear"
    )
    schedule, rates, momenta = Schedule(spec), [], []
    for _ in range(epochs):
        for update in range(updates):
            schedule.advance(update / updates)
            group = optimizer.param_groups[0]
            assert schedule.rate == pytest.approx(group["lr"], abs=0.3 * 2 / (0.3 * 1000))
            assert schedule.momentum == pytest.approx(group["betas"][0], abs=0.1 * 2 / (0.3 * 1000))
            rates.append(schedule.rate)
            momenta.append(schedule.momentum)
            optimizer.step()
            theirs.step()
        assert schedule.epoch_ended(1.0) == "", "no event for each epoch"
    assert (rates[0], max(rates), momenta[0], min(momenta)) == pytest.approx(
        (0.3 / 25, 0.3, 0.95, 0.85)
    )
    assert rates.index(max(rates)) == momenta.index(min(momenta)) == 300
    assert rates[-1] < 0.3 / 500


def test_one_cycle_is_that_of_its_stage():
    spec = RunSpec(corpus="ptb", schedule="one-cycle", epochs=100, finetune_epochs=2)
    short, long = Schedule(spec, 2), Schedule(spec)
    for schedule in (short, long):
        schedule.epoch_ended(1.0)
    assert short.rate > 0.7 > 0.1 > long.rate


def test_other_schedules_do_not_change_within_an_epoch():
    schedule = Schedule(RunSpec(corpus="ptb", schedule="step", learning_rate=8))
    schedule.advance(0.9)
    assert (schedule.rate, schedule.momentum) == (8, None)
