"""A table as Markdown."""

import math
import re

from table_study import rewrite, study

from awd.report import tables
from awd.report.tables.files import csv
from awd.report.tables.html import html
from awd.report.tables.latex import latex
from awd.report.tables.markdown import markdown


def test_other_scales_have_no_verdict_and_pale_published_numbers(tmp_path):
    """A demo never looks like a comparison with the paper."""
    suite, table = study(tmp_path, scale="demo")
    assert table["verdict"].isna().all()
    text = markdown(table, suite, "demo")
    assert "context, not comparison" in text
    assert "<sub>57.30</sub>" in text
    assert "Verdict" not in text
    assert r"\textcolor{gray}{57.30}" in latex(table, suite, "demo")
    assert "context" not in markdown(table, suite, "paper")


def test_published_costs_are_shown_where_there_are_any(tmp_path):
    """Parameters and seconds per epoch, beside the perplexities; the csv has none of them."""

    def change(plan):
        costs = {"parameters": 24_000_000, "seconds_per_epoch": 48}
        plan["suites"][0]["rows"][0]["published"][0].update(costs)

    suite, table = study(tmp_path, change=change, scale="demo")
    assert csv(table).splitlines()[0] == ",".join(tables.COLUMNS)
    text = markdown(table, suite, "demo")
    assert "Published params" in text
    assert "<sub>24M</sub>" in text
    assert "<sub>48</sub>" in text
    text = latex(table, suite, "paper")
    assert r"\multicolumn{4}{c}{Published}" in text
    assert "Params & params & s/epoch & valid & test" in text
    assert "& 24M & 48 & 60.00 & 57.30 &" in text
    suite, table = study(tmp_path)
    assert "Published params" not in markdown(table, suite, "paper")
    assert "Published s/epoch" not in markdown(table, suite, "paper")


def test_markdown(tmp_path):
    """Two decimals, the best value of a corpus bold, what is missing a dash with its status."""
    suite, table = study(tmp_path, seeds=(1, 2, 3))
    text = markdown(table, suite, "paper")
    assert text.startswith("## Ablation of AWD-LSTM\n")
    assert "### Penn Treebank" in text
    assert "### WikiText-2" in text
    first = next(row for row in text.splitlines() if row.startswith("| AWD-LSTM "))
    assert re.search(r"\| +24\.2M \| +60\.00 \| +57\.30 \| +\*\*60\.\d\d ± 0\.\d\d\*\* \|", first)
    missing = next(row for row in text.splitlines() if row.startswith("| − AR/TAR"))
    assert missing.count(" – ") == 8
    assert "missing" in missing
    for name in ("Penn Treebank", "WikiText-2"):
        assert text.split(f"### {name}")[1].split("###")[0].count("**") == 4
    assert "<sup>1</sup> Seeds 1, 2, 3 diverged: loss became nan" in text


def test_a_leaking_or_diverged_row_is_never_best(tmp_path):
    """A model that saw the future must not win the table."""

    def change(_):
        splits = {
            s: {"nll": math.log(2.0), "tokens": 1, "perplexity": 2.0} for s in ("valid", "test")
        }
        run = tmp_path / "runs/ptb-lstm-s1-merity2018-minus-weight-drop"
        rewrite(run / "finetune.stream.json", splits=splits, status="leaks")

    suite, table = study(tmp_path, change=change)
    text = markdown(table, suite, "paper")
    assert "| ~~− weight-dropping~~<sup>1</sup> " in text
    assert text.count("~~2.00~~") == 2
    assert "**2.00**" not in text
    assert "Struck through: the model reads the words that it predicts." in text
    assert r"\struck{2.00}" in latex(table, suite, "paper")
    assert "<s>2.00</s>" in html(table, suite, "paper")


def test_notes_keep_their_emphasis_and_quotes(tmp_path):
    """Notes are prose: emphasis and quotation marks come out right in both formats."""

    def change(plan):
        plan["suites"][0]["notes"] = ['"− fine-tuning" *has* 2*3 layers']

    suite, table = study(tmp_path, change=change)
    assert "“− fine-tuning” *has* 2\\*3 layers" in markdown(table, suite, "paper")
    assert r"``$-$ fine-tuning'' \emph{has} 2{*}3 layers" in latex(table, suite, "paper")
