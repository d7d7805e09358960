"""Perplexity against parameters."""

from figure_study import study

from awd.report.figures import (
    parameters,
)


def test_parameters_and_perplexities_are_those_of_the_table(tmp_path):
    """A point per row that has a perplexity; what was published only where it compares."""
    for scale in ("paper", "demo"):
        inputs = study(tmp_path / scale, corpora=("ptb",), scale=scale)
        table = inputs["table"].dropna(subset="test")
        lines = parameters.draw(**inputs).axes[0].lines
        points = {tuple(line.get_xydata()[0]) for line in lines if line.get_marker() == "o"}
        assert points >= set(zip(table["params"].astype(float), table["test"], strict=True))
        assert any(line.get_marker() == "D" for line in lines) is (scale == "paper")
