"""Perplexity against the cost of training."""

import pytest
from figure_study import GPU, on, points, study, texts, training_hours

from awd.report.figures import cost


@pytest.mark.parametrize(
    ("seconds", "unit", "per_hour"),
    [(10, "seconds", 3600), (85.1, "minutes", 60), (3600, "hours", 1)],
)
def test_costs_are_in_the_unit_that_fits_the_largest(tmp_path, seconds, unit, per_hour):
    """Twelve epochs of each stage; the points lie at what the rows cost."""
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["curves"]["seconds"] = float(seconds)
    figure = cost.draw(**inputs)
    assert f"training (core-{unit})" in texts(figure)
    drawn = {round(float(x), 6) for x, _ in points(figure.axes[0], "weak", "strong")}
    spent = [
        per_hour * training_hours(row, inputs["curves"], inputs["records"])[0]
        for row in inputs["suite"]["rows"]
    ]
    assert drawn == {round(each, 6) for each in spent if each == each}


def test_hours_of_cores_and_of_gpus_are_both_named(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    of_base = inputs["records"]["run"].str.endswith("-full")
    records = inputs["records"]
    inputs["records"] = records.assign(
        devices=on(records, GPU)["devices"].where(of_base, records["devices"])
    )
    assert "training (GPU-minutes or core-minutes)" in texts(cost.draw(**inputs))
