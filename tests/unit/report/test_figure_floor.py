"""Losses above the entropy of the text."""

import numpy as np
import pytest
from figure_study import study, texts

from awd.report.figures import (
    floor,
)


def test_losses_are_drawn_above_the_floor_and_below(tmp_path):
    """In nats; what cannot be reached lies below a line at zero."""
    inputs = study(tmp_path, corpora=("ptb",))
    axis = floor.draw(**inputs).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axis.lines if line.get_gid() == "mean"}
    run = next(row for row in inputs["suite"]["rows"] if row["row"] == "full")["runs"][0]["run"]
    losses = inputs["curves"].query(f"run == '{run}' and stage == 'train'")["valid_loss"]
    assert len(lines["AWD-LSTM"]) > 12
    assert lines["AWD-LSTM"][0] == pytest.approx(losses.iloc[0] - np.log(40), abs=0.1)
    inputs["records"]["floor"] = 100.0
    axis = floor.draw(**inputs).axes[0]
    assert axis.get_ylim()[0] < min(min(line.get_ydata()) for line in axis.lines) < 0


def test_a_text_of_unknown_source_has_no_floor(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["records"]["floor"] = np.nan
    assert any("known entropy" in text for text in texts(floor.draw(**inputs)))
