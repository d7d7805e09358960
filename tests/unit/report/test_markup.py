"""Text from data is never markup: not in figures, tables, or the page, and no formula either."""

import io

import matplotlib
import pandas as pd
import pytest
from synthetic import MISSING, make_plan, write_runs

from awd.report import records, tables
from awd.report.figures import ablation, curves, parameters, saving, style
from awd.report.published_curves import published_curves
from awd.report.tables.files import csv
from awd.report.tables.html import html
from awd.report.tables.latex import latex
from awd.report.tables.markdown import escape, markdown

HOSTILE = [
    "cost $5 vs $6",
    r"$\frac{1}{",
    "a_b^c \\alpha & 50% #1 {x}",
    "| * ~~x~~ `y` <b>z</b>",
    "--wdrop '' ``",
    "σ ≤ 漢字 🙂 é",
    "[link](https://example.org)",
]


def study(folder, labels):
    """The made-up study with other labels, and its table."""
    plan = make_plan(corpora=("ptb",))
    write_runs(plan, folder / "runs", tokens=500)
    (suite,) = plan["suites"]
    for row, label in zip(suite["rows"], labels, strict=False):
        row["label"] = row["note"] = label
    suite["title"] = suite["paper"]["citation"] = labels[0]
    suite["notes"] = labels
    frame, lines = records.collect(plan, folder / "runs")
    table = tables.build(suite, frame, "paper", plan["runs"])
    frames = {"table": table, "curves": lines, "records": frame, "published": published_curves({})}
    return {"suite": suite, "scale": "paper", **frames}


@pytest.mark.parametrize("module", [ablation, curves, parameters])
def test_labels_in_figures_are_text(tmp_path, module):
    """A dollar sign is drawn, not read as the beginning of mathematics."""
    inputs = study(tmp_path, HOSTILE)
    figure = module.draw(**inputs)
    saving.save(figure, tmp_path / "figure")
    artists = figure.findobj(matplotlib.text.Text)
    assert not any(artist.get_parse_math() for artist in artists if artist.get_text())
    drawn = ["".join(artist.get_text().split()) for artist in artists]
    for row, label in zip(inputs["suite"]["rows"], HOSTILE, strict=False):
        if module is not curves or row["row"] != MISSING[0]:
            assert any("".join(label.split()) in text for text in drawn), label


def test_corpora_may_have_any_name(tmp_path):
    inputs = study(tmp_path, HOSTILE)
    for row in inputs["suite"]["rows"]:
        row["corpus"] = "$x_1"
    inputs["table"]["corpus"] = "$x_1"
    figure = parameters.draw(**inputs)
    saving.save(figure, tmp_path / "figure", ["svg"])
    assert figure.axes[0].get_title(loc="left") == "$x_1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cost $5 vs $6", r"cost \$5 vs \$6"),
        ("a|b*c_d`e~f\\g", r"a\|b\*c\_d\`e\~f\\g"),
        ("<b> & x", "&lt;b&gt; &amp; x"),
        ("[a](b) [c]: [d][e] [1, 2]", r"[a\](b) [c\]: [d\][e] [1, 2]"),
        ("1. first", r"1\. first"),
        ("# title", r"\# title"),
        ("- item", r"\- item"),
        ("two\nlines", "two lines"),
        ("plain (text), 3-4 [0.1, 0.2].", "plain (text), 3-4 [0.1, 0.2]."),
    ],
)
def test_markdown_shows_text_as_it_is(text, expected):
    assert escape(text) == expected


def test_tables_keep_their_columns(tmp_path):
    """No label adds a cell, an element or an argument."""
    inputs = study(tmp_path, HOSTILE)
    table, suite = inputs["table"], inputs["suite"]
    rows = [line for line in markdown(table, suite, "paper").splitlines() if line[:2] == "| "]
    bars = {line.replace("\\|", "").count("|") for line in rows}
    assert len(rows) == 1 + 9
    assert len(bars) == 1
    assert "<b>" not in html(table, suite, "paper")
    text = latex(table, suite, "paper")
    assert "-{}-wdrop" in text
    assert "% Only XeLaTeX and LuaLaTeX print" in text


@pytest.mark.parametrize("label", ["=1+1", "+ cache", "-x", "@SUM(A1)", "\tx"])
def test_a_cell_of_the_csv_is_no_formula(tmp_path, label):
    """A spreadsheet shows it; the numbers stay numbers, and the file begins with no mark."""
    inputs = study(tmp_path, [label])
    text = csv(inputs["table"])
    found = pd.read_csv(io.StringIO(text))
    assert found["label"][0] == f"'{label}"
    assert found["label"][1] == inputs["table"]["label"][1]
    assert found["delta_test"].equals(inputs["table"]["delta_test"])
    assert text.startswith("suite,")


@pytest.mark.parametrize(
    ("low", "high"), [(40.0, 41.0), (95.0, 105.5), (990.0, 1010.0), (99.5, 130.0)]
)
def test_nothing_is_cut_off_whatever_the_ticks(tmp_path, low, high):
    """Labels of ticks may get longer when the layout changes the size of a panel."""
    inputs = study(tmp_path, ["long name " * 3, "b"])
    tests = inputs["table"]["test"].notna()
    values = [low + (high - low) * place / 8 for place in range(9)]
    inputs["table"].loc[tests, "test"] = pd.Series(values)[tests]
    figure = parameters.draw(**inputs)
    saving.save(figure, tmp_path / "figure", ["svg"])
    with matplotlib.rc_context(style.settings()):
        assert figure.get_tightbbox().x0 >= 0


def test_a_layout_is_final_once_it_is_settled(tmp_path):
    """Each format gets the same places, and drawing again changes none."""
    figure = ablation.draw(**study(tmp_path, HOSTILE))
    saving.save(figure, tmp_path / "figure", ["png"])
    places = [axis.get_position().bounds for axis in figure.axes]
    saving.save(figure, tmp_path / "again", ["svg"])
    assert [axis.get_position().bounds for axis in figure.axes] == places
