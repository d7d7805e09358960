"""What trainings cost, by their devices."""

import numpy as np
import pytest
from figure_study import CPU, GPU, joined, on, study, texts, training_hours
from synthetic import MISSING

from awd.report.costs import Costs
from awd.report.figures import (
    cost,
)
from awd.vocabulary import Device, Stage


def test_cost_is_the_time_of_both_stages_on_all_threads(tmp_path):
    """Twelve epochs of training and of fine-tuning."""
    inputs = study(tmp_path, corpora=("ptb",))
    lines, frame = inputs["curves"], inputs["records"]
    full, without = inputs["suite"]["rows"][:2]
    hours = 12 * 85.1 / 3600
    assert training_hours(without, lines, frame) == (pytest.approx(hours), Device.CPU)
    assert training_hours(full, lines, frame) == (pytest.approx(2 * hours), Device.CPU)
    four = on(frame, CPU._replace(threads=4))
    assert training_hours(without, lines, four) == (pytest.approx(4 * hours), Device.CPU)
    gpu = on(frame, GPU)
    assert training_hours(without, lines, gpu) == (pytest.approx(hours), Device.CUDA)
    missing = next(row for row in inputs["suite"]["rows"] if row["row"] == MISSING[0])
    assert np.isnan(training_hours(missing, lines, frame)[0])
    assert "training (core-minutes)" in texts(cost.draw(**inputs))
    assert "training (GPU-minutes)" in texts(cost.draw(**inputs | {"records": gpu}))


def test_a_training_without_an_evaluation_has_the_device_of_all_others(tmp_path):
    """A further member of an ensemble, or a training that still runs."""
    inputs = study(tmp_path, corpora=("ptb",))
    _, without = inputs["suite"]["rows"][:2]
    seconds = Costs(inputs["records"], inputs["curves"]).of_row(without)
    frame = inputs["records"][inputs["records"]["run"] != next(iter(seconds))[0]]
    total = {Device.CPU: pytest.approx(sum(seconds.values()) / 3600)}
    assert Costs(frame, inputs["curves"]).hours(seconds) == total
    several = frame.copy()
    several["devices"] = [dict.fromkeys(Stage, (CPU,))] * (len(several) - 1) + [
        dict.fromkeys(Stage, (GPU,))
    ]
    assert None in Costs(several, inputs["curves"]).hours(seconds)


def test_energy_is_that_of_the_stages_behind_a_row_and_unknown_if_one_is(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    full, without = inputs["suite"]["rows"][:2]
    counted = inputs["records"].assign(energy_joules=1000.0)
    costs = Costs(counted, inputs["curves"])
    runs = len(without["runs"])
    assert costs.energy(costs.of_row(without)) == pytest.approx(1000 * runs)
    assert costs.energy(costs.of_row(full)) == pytest.approx(1000 * len(full["runs"]))
    assert costs.energy_of_row(without) == pytest.approx(1000 * runs)
    assert costs.energy_of_row({**without, "runs": []}) is None
    counted.loc[counted["stage"] == Stage.FINETUNE, "energy_joules"] = np.nan
    costs = Costs(counted, inputs["curves"])
    assert costs.energy(costs.of_row(full)) is None
    assert costs.energy_of_row(full) is None
    assert costs.energy({}) is None


def test_an_ensemble_costs_what_each_of_its_members_took(tmp_path):
    """The second training is half as long, as if it had stopped early, and has no evaluation."""
    inputs = study(tmp_path, corpora=("ptb",))
    row = inputs["suite"]["rows"][1]
    first, second = (item["run"] for item in row["runs"][:2])
    frame = inputs["records"][inputs["records"]["run"] == first]
    curves = inputs["curves"].copy()
    curves.loc[curves["run"] == second, "seconds"] /= 2
    ensemble = row | {"runs": [{"seed": 1, "run": first, "members": [second]}]}
    hours = 12 * 85.1 / 3600
    assert training_hours(ensemble, curves, frame) == (pytest.approx(1.5 * hours), Device.CPU)
    counted = frame.assign(trainings=2, energy_joules=1500.0)
    costs = Costs(counted, curves)
    assert costs.energy_of_row(ensemble) == pytest.approx(1500)
    assert costs.energy(costs.of_row(ensemble)) is None, "what each has used is not known"


@pytest.mark.parametrize("devices", [(CPU, GPU), (CPU, CPU._replace(threads=4)), ()])
def test_a_cost_that_is_not_known_is_no_cost(tmp_path, devices):
    """A training that moved from a CPU to a GPU is neither core-hours nor GPU-hours."""
    inputs = study(tmp_path, corpora=("ptb",))
    full, without = inputs["suite"]["rows"][:2]
    frame = on(inputs["records"], *devices)
    assert np.isnan(training_hours(without, inputs["curves"], frame)[0])
    costs = Costs(frame, inputs["curves"])
    assert costs.hours(costs.of_row(without)) == {None: pytest.approx(2 * 12 * 85.1 / 3600)}
    mixed = inputs["records"].copy()
    mixed["devices"] = [{Stage.TRAIN: (CPU,), Stage.FINETUNE: (GPU,)}] * len(mixed)
    assert np.isnan(training_hours(full, inputs["curves"], mixed)[0])
    costs = Costs(mixed, inputs["curves"])
    assert set(costs.hours(costs.of_row(full))) == {Device.CPU, Device.CUDA}
    figure = cost.draw(**inputs | {"records": mixed})
    assert any("AWD-LSTM" in text and cost.UNPLACED in joined(text) for text in texts(figure))
