"""Losses by training, with published ones behind."""

import numpy as np
from figure_study import panel, published, study, texts, values

from awd.report.figures import (
    grid,
    losses,
    style,
)


def test_losses_of_a_training_and_its_fine_tuning_share_a_panel(tmp_path):
    """Both rows of the full model are one panel: training and validation loss over both stages."""
    inputs = study(tmp_path)
    axis = panel(losses.draw(**inputs), "AWD-LSTM")
    drawn = values(axis, "mean")
    assert len(drawn) == 2
    frame = inputs["curves"]
    of_base = frame[frame["run"].str.fullmatch("ptb.*-full")]
    mean = of_base.groupby(["stage", "epoch"], sort=False)[["train_loss", "valid_loss"]].mean()
    for split in ("train", "valid"):
        line = drawn[grid.LOOKS[split]["color"]]
        np.testing.assert_allclose(line[:, 0], range(1, 25))
        np.testing.assert_allclose(line[:, 1], mean[f"{split}_loss"])
    titles = [each.get_title(loc="left") for each in losses.draw(**inputs).axes]
    assert "− fine-tuning" not in titles


def test_published_losses_lie_behind_at_their_own_epochs(tmp_path):
    """At paper scale they are the row's, of its corpus; fine-tuning follows their training."""
    theirs = published(
        ("minus-fine-tuning", "ptb", "train", 20),
        ("full", "ptb", "finetune", 5),
        ("minus-nt-asgd", "wikitext-2", "finetune", 5),
    )
    figure = losses.draw(**study(tmp_path, scale="paper") | {"published": theirs})
    axis = panel(figure, "AWD-LSTM")
    for split, loss in (("train", 4.0), ("valid", 5.0)):
        line = values(axis, f"published {split}")[style.PALE]
        np.testing.assert_allclose(line[:, 0], range(1, 26))
        np.testing.assert_allclose(line[:, 1], loss)
    dashes = {line.get_linestyle() for line in axis.lines if line.get_color() == style.PALE}
    assert len(dashes) == 2
    assert not values(panel(figure, "AWD-LSTM", 1), "published valid")
    assert not values(panel(figure, "− NT-ASGD"), "published valid")
    assert "published" in texts(figure)


def test_published_losses_are_context_at_other_scales(tmp_path):
    """They are those of the corpus of the published values, as long as ours, and labelled so."""
    inputs = study(tmp_path, scale="demo", corpora=("networkx-docs",))
    for row in inputs["suite"]["rows"]:
        row["published"][0]["corpus"] = "ptb"
    theirs = published(("minus-fine-tuning", "ptb", "train", 500), ("full", "ptb", "finetune", 405))
    figure = losses.draw(**inputs | {"published": theirs})
    line = values(panel(figure, "AWD-LSTM"), "published valid")[style.PALE]
    assert len(line) == 905
    assert line[[0, 499, 500, 904], 0].tolist() == [1, 12, 13, 24]
    assert "published (PTB, paper scale; epochs compressed)" in texts(figure)


def test_absurd_losses_leave_the_panel(tmp_path):
    """A divergence to 60 nats is told, not shown: what follows it stays readable."""
    inputs = study(tmp_path)
    frame = inputs["curves"]
    run = frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "train")
    frame.loc[run & (frame["epoch"] < 6), ["train_loss", "valid_loss"]] = 60.0
    axis = panel(losses.draw(**inputs), "AWD-LSTM")
    assert axis.get_ylim()[1] < 12
    assert "↑ peak 60" in texts(axis)
    assert "↑ peak 60" not in texts(panel(losses.draw(**inputs), "− NT-ASGD"))


def test_a_later_rise_stays_in_the_panel(tmp_path):
    """Overfitting is seen: only the first, steep epochs are cut."""
    inputs = study(tmp_path)
    frame = inputs["curves"]
    chosen = frame["run"].str.fullmatch("ptb.*-full") & (frame["stage"] == "train")
    frame.loc[chosen & frame["epoch"].between(8, 11), "valid_loss"] = 7.5
    assert panel(losses.draw(**inputs), "AWD-LSTM").get_ylim()[1] > 7.4
