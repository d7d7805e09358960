"""Losses by word frequency."""

import numpy as np
import pytest
from figure_study import study, texts

from awd.report.figures import frequencies
from awd.report.figures.style import GREY, INK
from awd.report.stats import Difference, compare


def test_frequencies_compare_nats_with_the_base_row(tmp_path):
    """Rare words carry three quarters of the loss and are half of the text, in every row."""
    inputs = study(tmp_path, corpora=("ptb",))
    inputs["records"] = inputs["records"].query("seed == 1")
    tests = inputs["records"].query("split == 'test' and stage == 'finetune'").set_index("run")
    row, base = (
        tests["nll"][f"ptb-lstm-s1-merity2018-{name}"] / 500 for name in ("minus-nt-asgd", "full")
    )
    said = texts(frequencies.draw(**inputs))
    assert {"0–999\n50%", "≥ 1k\n50%"} <= set(said)
    assert {f"{1.5 * base:.2f}", f"{0.5 * base:.2f}"} <= set(said)
    assert {f"+{share * (row - base):.2f}" for share in (1.5, 0.5)} <= set(said)


def test_records_without_frequencies_are_left_out(tmp_path):
    """Those of evaluations before there were any: the row is missing, the figure is not."""
    inputs = study(tmp_path, corpora=("ptb",))
    old = inputs["records"]["run"].str.endswith("minus-nt-asgd")
    bands = inputs["records"]["by_frequency"]
    inputs["records"]["by_frequency"] = bands.where(~old, None)
    labels = [label.get_text() for label in frequencies.draw(**inputs).axes[0].get_yticklabels()]
    assert "AWD-LSTM" in labels
    assert "− NT-ASGD" not in labels
    inputs["records"]["by_frequency"] = None
    assert any("recorded yet" in text for text in texts(frequencies.draw(**inputs)))


@pytest.mark.parametrize(
    ("value", "text"), [(0.126, "+0.13"), (-0.5, "−0.50"), (-0.001, "0.00"), (np.nan, "–")]
)
def test_differences_have_a_sign_unless_they_are_zero(value, text):
    """The signs tell better from worse to those who do not see the colours."""
    assert frequencies._signed(value) == text


def test_numbers_are_grey_unless_they_are_beyond_noise_after_correction(tmp_path, monkeypatch):
    """One p value below 0.05 is no news among sixteen: it is judged as one of all numbers."""
    inputs = study(tmp_path, corpora=("ptb",))
    single = iter([0.01, *[0.9] * 99])
    monkeypatch.setattr(
        frequencies, "compare", lambda *_: Difference(0.1, 0.05, 0.15, p=next(single))
    )
    axis = frequencies.draw(**inputs).axes[0]
    numbers = [text for text in axis.texts if text.get_text() == "+0.10"]
    assert len(numbers) > 10
    assert {text.get_color() for text in numbers} == {GREY}
    single = iter([0.001, *[0.9] * 99])
    axis = frequencies.draw(**inputs).axes[0]
    colors = [text.get_color() for text in axis.texts if text.get_text() == "+0.10"]
    assert colors.count(INK) == 1


def test_rows_that_train_on_other_parts_of_the_text_do_not_share_noise(tmp_path, monkeypatch):
    """Each band has the noise of the rows that train on the same part."""
    inputs = study(tmp_path, corpora=("ptb",))
    part = {row["row"]: 0 for row in inputs["suite"]["rows"]} | {"minus-weight-drop": 8_000}
    given = set()

    def noted(row, base, noise, of_base):
        given.add(("minus-weight-drop" in row[0].run, noise.freedom, of_base is noise))
        return compare(row, base, noise, of_base)

    monkeypatch.setattr(frequencies, "compare", noted)
    frequencies.draw(**inputs | {"suite": inputs["suite"] | {"train_tokens": {"ptb": part}}})
    assert {each[1:] for each in given if each[0]} == {(1, False)}, "of its own two seeds"
    assert all(freedom > 1 and of_base for of_part, freedom, of_base in given if not of_part)
