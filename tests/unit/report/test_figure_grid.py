"""A panel per training, also of one without record."""

import numpy as np
import pytest
from figure_study import SMALL_PANELS, panel, study, texts, values
from synthetic import MISSING

from awd.report import figures


@pytest.mark.parametrize("name", SMALL_PANELS)
def test_a_training_without_record_has_an_empty_panel(tmp_path, name):
    """Its place is kept, and says why it is empty."""
    inputs = study(tmp_path)
    label = next(row["label"] for row in inputs["suite"]["rows"] if row["row"] == MISSING[0])
    axis = panel(figures.FIGURES[name](**inputs), label)
    assert not values(axis, "mean")
    assert "not recorded yet" in texts(axis)
    losses = ["train_loss", "valid_loss", "valid_perplexity"]
    inputs["curves"].loc[inputs["curves"]["run"].str.endswith("minus-nt-asgd"), losses] = np.nan
    axis = panel(figures.FIGURES[name](**inputs), "− NT-ASGD")
    assert "diverged in its first epoch" in texts(axis)
