"""Columns, footnotes and groups of a table."""

import json

from synthetic import make_plan, write_runs
from table_study import Page, study

from awd.report import records, tables
from awd.report.tables.html import html
from awd.report.tables.latex import latex
from awd.report.tables.layout import probability
from awd.report.tables.markdown import markdown


def test_one_row_without_losses_by_block_has_a_footnote(tmp_path):
    def change(_):
        path = tmp_path / "runs/ptb-lstm-s1-merity2018-minus-nt-asgd/finetune.stream.json"
        record = json.loads(path.read_text())
        record["splits"]["test"]["blocks"] = None
        path.write_text(json.dumps(record))

    suite, table = study(tmp_path, change=change, seeds=(1, 2))
    text = markdown(table, suite, "paper")
    assert "<sup>1</sup> Interval over trainings, for this test text." in text


def test_additional_published_values_are_shown_beside(tmp_path):
    def change(plan):
        entries = plan["suites"][0]["rows"][0]["published"]
        entries.append({"column": "repository", "test": 56.5, "source": "README"})

    suite, table = study(tmp_path, change=change)
    text = markdown(table, suite, "paper")
    assert "Repository test" in text
    assert "56.50" in text
    assert "Repository valid" not in text


def test_the_combined_table_has_every_suite_under_its_name(tmp_path):
    """With shared columns, a best value for each, and one numbering of footnotes."""
    plan = make_plan(seeds=(1, 2))
    other = make_plan(name="other2020", corpora=("ptb",), seeds=(1, 2))
    plan["suites"] += other["suites"]
    plan["suites"][1]["title"] = "Another study"
    plan["suites"][1]["rows"][0]["published"][0]["parameters"] = 24_000_000
    plan["runs"] |= other["runs"]
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    built = [tables.build(suite, frame, "paper", plan["runs"]) for suite in plan["suites"]]
    suite, table = tables.combine(plan["suites"], built)
    assert list(table["suite"]) == ["merity2018"] * 18 + ["other2020"] * 9
    text = markdown(table, suite, "paper")
    headings = [row[4:] for row in text.splitlines() if row.startswith("### ")]
    assert headings == [
        "Ablation of AWD-LSTM (Penn Treebank)",
        "Ablation of AWD-LSTM (WikiText-2)",
        "Another study (Penn Treebank)",
    ]
    headers = [row.replace(" ", "") for row in text.splitlines() if "Params" in row]
    assert len(headers) == 3
    assert len(set(headers)) == 1
    assert all(part.count("**") == 4 for part in text.split("### ")[1:])
    assert "Published params" not in text
    assert "the base row of the suite" in text
    assert "of 27 rows, 2 missing" in text
    assert r"\begin{table}" in latex(table, suite, "paper")
    more, table = tables.combine(plan["suites"] * 2, built * 2)
    assert r"\begin{longtable}" in latex(table, more, "paper")
    page = Page(html(table, suite, "paper"))
    assert len(page.all("th", scope="rowgroup")) == 3


def test_a_p_value_never_looks_lower_than_the_level():
    written = [probability(p) for p in (0.0004, 0.0494, 0.0496, 0.0502, 0.0506)]
    assert written == ["<0.001", "0.049", "0.050", "0.0502", "0.051"]
