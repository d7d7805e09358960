"""Ablation bars show the table."""

import numpy as np
from figure_study import points, study, texts

from awd.report.figures import (
    ablation,
    parameters,
)


def test_a_row_that_went_astray_does_not_flatten_the_others(tmp_path):
    """The axis turns logarithmic beyond the usual difference, and only then."""
    inputs = study(tmp_path, corpora=("ptb",))
    assert ablation.draw(**inputs).axes[0].get_xscale() == "linear"
    inputs["table"].loc[2, ["delta_test", "delta_low", "delta_high"]] = [5000.0, 4900.0, 5100.0]
    assert ablation.draw(**inputs).axes[0].get_xscale() == "symlog"


def test_ablation_shows_the_table(tmp_path):
    """Bars are the table's differences, in the suite's order, with its values beside them."""
    inputs = study(tmp_path, scale="paper")
    figure = ablation.draw(**inputs)
    table = inputs["table"][inputs["table"]["corpus"] == "ptb"]
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    np.testing.assert_allclose(widths, table["delta_test"].dropna())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [label.replace("\n", " ") for label in labels] == list(table["label"])
    assert set(texts(figure)) >= {f"{value:.2f}" for value in table["test"].dropna()}


def test_published_differences_are_context_at_other_scales(tmp_path):
    """The legend of a demo does not let the paper's numbers pass for a comparison."""
    inputs = study(tmp_path, scale="demo")
    assert "published, at another corpus or scale" in texts(ablation.draw(**inputs))
    assert "published" in texts(ablation.draw(**inputs | {"scale": "paper"}))


def test_seeds_are_points(tmp_path):
    """Of the bars, and of the perplexities; a single seed is the value itself."""
    inputs = study(tmp_path, corpora=("ptb",))
    tests = inputs["records"].query("split == 'test' and stage == 'finetune'")
    by_seed = {run: tests.set_index("run")["perplexity"][run] for run in tests["run"]}
    row, base = (
        np.array([by_seed[f"ptb-lstm-s{seed}-merity2018-{name}"] for seed in (1, 2)])
        for name in ("minus-nt-asgd", "full")
    )
    drawn = points(ablation.draw(**inputs).axes[0], "seed")[:, 0]
    for difference in row - np.sqrt(base.prod()):
        assert np.isclose(drawn, difference).any()
    drawn = points(parameters.draw(**inputs).axes[0], "seed")[:, 1]
    assert set(row) <= set(drawn)
    assert "single seed" in texts(ablation.draw(**inputs))
    alone = inputs | {"records": inputs["records"].query("seed == 1")}
    assert "single seed" not in texts(ablation.draw(**alone))


def test_bars_keep_their_width_beside_long_names(tmp_path):
    """However long a name is, an inch of the column is left for the bars."""
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["table"]["label"] += " and a name that goes on until it fills the whole column"
    figure = ablation.draw(**inputs)
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width * figure.get_figwidth() > 1.0
    for text in figure.axes[0].get_yticklabels():
        assert text.get_window_extent().x0 >= 0
