"""Perplexity against parameters."""

from figure_study import points, study

from awd.report.figures import (
    parameters,
)


def test_parameters_and_perplexities_are_those_of_the_table(tmp_path):
    """A point per row that has a perplexity; what was published only where it compares."""
    for scale in ("paper", "demo"):
        inputs = study(tmp_path / scale, corpora=("ptb",), scale=scale)
        table = inputs["table"].dropna(subset="test")
        axis = parameters.draw(**inputs).axes[0]
        rows = {tuple(point) for point in points(axis, "weak", "strong")}
        assert rows == set(zip(table["params"].astype(float), table["test"], strict=True))
        assert (len(points(axis, "published")) > 0) is (scale == "paper")
