"""Rows that are not compared leave the others readable."""

import dataclasses

from figure_study import (
    leak,
    study,
    texts,
)
from synthetic import DIVERGED

from awd.report import tables
from awd.report.comparability import Protocol
from awd.report.figures import (
    ablation,
    cost,
    curves,
    frequencies,
    parameters,
    style,
)


def test_diverged_row_is_marked(tmp_path):
    """A curve that stops because of nan says so."""
    inputs = study(tmp_path)
    label = next(row["label"] for row in inputs["suite"]["rows"] if row["row"] == DIVERGED[0])
    assert f"{label} (diverged)" in texts(curves.draw(**inputs))
    assert "diverged" in texts(ablation.draw(**inputs))


def test_a_row_that_leaks_does_not_flatten_the_others(tmp_path):
    """It is named as such, beside the panel; it is no point of a comparison."""
    inputs = study(tmp_path, corpora=("ptb",))
    leak(inputs, "minus-nt-asgd")
    figure = curves.draw(**inputs)
    assert figure.axes[0].get_ylim()[0] > 40
    assert "− NT-ASGD (leaks)" in texts(figure)
    for draw in (parameters.draw, cost.draw):
        figure = draw(**inputs)
        assert figure.axes[0].get_ylim()[0] > 40
        assert "not shown: − NT-ASGD (leaks); − AR/TAR (missing)" in texts(figure)
    labels = [label.get_text() for label in frequencies.draw(**inputs).axes[0].get_yticklabels()]
    assert "− NT-ASGD" not in labels


def test_a_row_by_another_protocol_is_no_point_of_a_comparison(tmp_path):
    """Not of any figure: its number stands in grey, and its curve does not decide what is seen."""
    inputs = study(tmp_path, corpora=("ptb",))
    row = "minus-nt-asgd"
    of_row = inputs["records"]["run"].str.endswith(row)
    usual = Protocol("stream", "left", 1, True, True, 10_000, 500, 500)
    cloze = dataclasses.replace(usual, context="left and right")
    inputs["records"]["protocol"] = [cloze if differs else usual for differs in of_row]
    inputs["table"] = tables.build(inputs["suite"], inputs["records"], "paper")
    of_row = inputs["curves"]["run"].str.endswith(row)
    inputs["curves"].loc[of_row, "valid_perplexity"] = 1.1
    figure = ablation.draw(**inputs)
    value = inputs["table"].set_index("row").loc[row, "test"]
    (number,) = [text for text in figure.axes[0].texts if text.get_text() == f"{value:.2f}"]
    assert number.get_color() == style.GREY
    figure = curves.draw(**inputs)
    assert figure.axes[0].get_ylim()[0] > 40
    assert "− NT-ASGD (not comparable)" in texts(figure)
    for draw in (parameters.draw, cost.draw):
        told = "not shown: − NT-ASGD (not comparable); − AR/TAR (missing)"
        assert told in texts(draw(**inputs))
    labels = [label.get_text() for label in frequencies.draw(**inputs).axes[0].get_yticklabels()]
    assert "− NT-ASGD" not in labels


def test_a_hopeless_row_is_marked_and_is_no_point_of_a_comparison(tmp_path):
    inputs = study(tmp_path, corpora=("ptb",))
    of_row = inputs["records"]["run"].str.endswith("minus-nt-asgd")
    inputs["records"].loc[of_row, ["status", "perplexity"]] = ["hopeless", float("nan")]
    inputs["table"] = tables.build(inputs["suite"], inputs["records"], "paper")
    figure = curves.draw(**inputs)
    assert "− NT-ASGD (hopeless)" in texts(figure)
    assert "hopeless" in texts(figure), "the legend explains the mark"
    assert "hopeless" in texts(ablation.draw(**inputs))
    assert "not shown: − NT-ASGD (hopeless); − AR/TAR (missing)" in texts(cost.draw(**inputs))
