"""Learning curves run over both stages, with what happened on the way."""

import numpy as np
from figure_study import published, study, texts

from awd.report.figures import (
    curves,
)


def test_curves_continue_into_fine_tuning(tmp_path):
    """The base row's line runs over both stages; the row without fine-tuning ends before it."""
    inputs = study(tmp_path)
    figure = curves.draw(**inputs)
    lines = {line.get_label(): line for line in figure.axes[0].lines if line.get_gid() == "mean"}
    assert list(lines["AWD-LSTM"].get_xdata()) == list(range(1, 25))
    assert list(lines["− fine-tuning"].get_xdata()) == list(range(1, 13))
    frame = inputs["curves"]
    of_base = frame[frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "finetune")]
    mean = of_base.groupby("epoch")["valid_perplexity"].mean()
    np.testing.assert_allclose(lines["AWD-LSTM"].get_ydata()[12:], mean)
    assert "fine-tuning" in texts(figure)
    assert "averaging starts (NT-ASGD)" in texts(figure)


def test_lowered_rates_are_marked_where_they_are_lowered(tmp_path):
    """On the curve, at the first epoch with the lower rate; a rate that only falls a little is."""
    inputs = study(tmp_path, corpora=("ptb",))
    frame = inputs["curves"]
    chosen = frame["run"].str.endswith("minus-nt-asgd") & (frame["stage"] == "train")
    frame.loc[chosen & (frame["epoch"] >= 5), "learning_rate"] = 15.0
    frame.loc[chosen & (frame["epoch"] >= 9), "learning_rate"] = 14.9
    figure = curves.draw(**inputs)
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "v"]
    assert [list(mark.get_xdata()) for mark in marks] == [[5]]
    assert "lower learning rate" in texts(figure)


def test_the_published_curve_lies_behind_at_its_own_scale_alone(tmp_path):
    """Its epochs are not ours elsewhere."""
    theirs = published(("full", "ptb", "train", 20))
    for scale, lines in (("paper", 1), ("demo", 0)):
        inputs = study(tmp_path / scale, corpora=("ptb",), scale=scale)
        axis = curves.draw(**inputs | {"published": theirs}).axes[0]
        found = [line for line in axis.lines if line.get_gid() == "published"]
        assert len(found) == lines
        if found:
            np.testing.assert_allclose(found[0].get_ydata(), np.exp(5.0))
