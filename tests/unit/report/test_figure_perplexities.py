"""Training and validation perplexities by training."""

import matplotlib
import numpy as np
import pytest
from figure_study import panel, study, texts, values

from awd.report.figures import (
    grid,
    perplexities,
)


def test_perplexities_in_training_and_validation(tmp_path):
    """Means over seeds of the exponential of the losses; an ensemble has none."""
    inputs = study(tmp_path)
    inputs["suite"]["rows"][2]["method"] = "ensemble-2"
    figure = perplexities.draw(**inputs)
    assert len(figure.axes) == 8 + 7
    drawn = values(panel(figure, "AWD-LSTM"), "mean")
    frame = inputs["curves"]
    frame = frame[frame["run"].str.fullmatch("ptb.*-full")]
    frame = frame.assign(train_perplexity=np.exp(frame["train_loss"]))
    for split in ("train", "valid"):
        each = frame.groupby(["stage", "epoch"], sort=False)[f"{split}_perplexity"].mean()
        np.testing.assert_allclose(drawn[grid.LOOKS[split]["color"]][:, 1], each)


@pytest.mark.parametrize(("scale", "label"), [("paper", "published"), ("demo", "at another")])
def test_published_perplexities_are_marked_at_the_edge(tmp_path, scale, label):
    """Training and validation, on the axis, opaque only where they are a comparison."""
    inputs = study(tmp_path, scale=scale)
    for row in inputs["suite"]["rows"]:
        row["published"][0]["train"] = 31.5
    figure = perplexities.draw(**inputs)
    axis = panel(figure, "− NT-ASGD")
    marks = {line.get_gid(): line for line in axis.lines if "published" in str(line.get_gid())}
    assert marks["published train"].get_xydata().tolist() == [[1, 31.5]]
    assert marks["published valid"].get_xydata().tolist() == [[1, 66.3]]
    assert axis.get_ylim()[0] < 31.5
    *_, opacity = matplotlib.colors.to_rgba(marks["published valid"].get_markeredgecolor())
    assert opacity == (1 if scale == "paper" else 0.4)
    assert any(label in text for text in texts(figure))
