"""The table says what the records say: no more, no less, and the same in every format."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from synthetic import MISSING, make_plan, write_runs

from awd.report import records, tables, words
from awd.report.comparability import Protocol
from awd.report.remarks import (
    Backward,
    Ended,
    Incomparable,
    NeverAveraged,
    NoInterval,
    Unfinished,
    Unverified,
)
from awd.report.tables.build import order_agreement
from awd.report.tables.files import csv
from awd.report.tables.html import html
from awd.report.tables.latex import latex
from awd.report.tables.markdown import markdown
from awd.vocabulary import Status


def study(folder, scale="paper", change=lambda _: None, **options):
    """Plan, its only suite, and the table of it after made-up runs."""
    plan = make_plan(scale=scale, seeds=options.pop("seeds", (1,)))
    write_runs(plan, folder / "runs", **options)
    change(plan)
    frame, _ = records.collect(plan, folder / "runs")
    suite = plan["suites"][0]
    return suite, tables.build(suite, frame, scale, plan["runs"])


def line(table, row, corpus="ptb"):
    return table[(table["row"] == row) & (table["corpus"] == corpus)].iloc[0]


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_columns_and_order(tmp_path):
    """The columns are the documented ones; lines are in the suite's order."""
    suite, table = study(tmp_path)
    assert csv(table).splitlines()[0] == (
        "suite,row,label,corpus,stage,method,params,"
        "published_train,published_valid,published_test,train,valid,"
        "valid_sd,test,test_sd,n,delta_test,delta_low,delta_high,p,p_holm,interval,"
        "seconds_per_epoch,status,verdict,incomparable,note"
    )
    wanted = [(row["row"], row["corpus"]) for row in suite["rows"]]
    assert list(zip(table["row"], table["corpus"], strict=True)) == wanted


def test_values_of_three_seeds(tmp_path):
    """Mean and deviation over seeds, and the paired difference from the base row."""
    _, table = study(tmp_path, seeds=(1, 2, 3))
    values = {}
    for row in ("full", "minus-weight-drop"):
        paths = sorted(tmp_path.glob(f"runs/ptb-*-{row}/finetune.stream.json"))
        splits = [json.loads(path.read_text())["splits"] for path in paths]
        values[row] = np.array([split["test"]["perplexity"] for split in splits])
    found = line(table, "minus-weight-drop")
    assert found["test"] == pytest.approx(values["minus-weight-drop"].mean(), rel=1e-14)
    assert found["test_sd"] == pytest.approx(values["minus-weight-drop"].std(ddof=1))
    difference = (values["minus-weight-drop"] - values["full"]).mean()
    assert found["delta_test"] == pytest.approx(difference)
    assert found["delta_low"] < difference < found["delta_high"]
    assert (found["n"], found["status"], found["remarks"]) == (3, "done", ())
    assert found["interval"] == "seeds and tokens"
    assert np.isnan(line(table, "full")["delta_test"]), "the base row has no difference"


def test_one_seed_is_compared_block_by_block(tmp_path):
    """With one seed the interval comes from the test text, and says so."""
    suite, table = study(tmp_path)
    found = line(table, "minus-weight-drop")
    assert found["delta_low"] < found["delta_test"] < found["delta_high"]
    assert found["p"] < 0.01
    assert (found["interval"], found["remarks"]) == ("tokens", ())
    assert np.isnan(found["test_sd"])
    text = markdown(table, suite, "paper")
    assert "it does not cover the spread between trainings" in text


def test_p_values_are_corrected_for_the_rows_of_a_corpus(tmp_path):
    """The smallest of a corpus counts as often as it has rows that are compared."""
    _, table = study(tmp_path)
    for corpus, rows in (("ptb", 7), ("wikitext-2", 7)):
        lines = table[(table["corpus"] == corpus) & table["p"].notna()]
        assert len(lines) == rows
        smallest = lines.loc[lines["p"].idxmin()]
        assert smallest["p_holm"] == pytest.approx(min(1, rows * smallest["p"]))
        assert (lines["p_holm"] >= lines["p"]).all()
    assert table["p_holm"].isna().equals(table["p"].isna())


def test_records_without_losses_by_block(tmp_path):
    """They give a difference without an interval, and the reason."""
    suite, table = study(tmp_path, blocks=False)
    found = line(table, "minus-weight-drop")
    assert found["delta_test"] > 0
    assert np.isnan([found["delta_low"], found["delta_high"], found["p"]]).all()
    assert found["interval"] == ""
    assert found["remarks"] == (NoInterval(),)
    text = markdown(table, suite, "paper")
    assert f"from “AWD-LSTM”, {words.remark(NoInterval())}." in text
    assert "95% interval" not in text


def test_one_row_without_losses_by_block_has_a_footnote(tmp_path):
    def change(_):
        path = tmp_path / "runs/ptb-lstm-s1-merity2018-minus-nt-asgd/finetune.stream.json"
        record = json.loads(path.read_text())
        record["splits"]["test"]["blocks"] = None
        path.write_text(json.dumps(record))

    suite, table = study(tmp_path, change=change)
    text = markdown(table, suite, "paper")
    assert f"<sup>1</sup> {words.remark(NoInterval()).capitalize()}." in text


def test_states(tmp_path):
    """done, partial, diverged, missing and leaks are distinct, with their reasons."""
    plan = make_plan(seeds=(1, 2))
    runs = tmp_path / "runs"
    write_runs(plan, runs)
    name = "ptb-lstm-s{}-merity2018-minus-{}"
    (runs / name.format(2, "nt-asgd") / "finetune.stream.json").unlink()
    rewrite(
        runs / name.format(1, "weight-drop") / "finetune.stream.json",
        status="leaks",
        reason="position 3 sees token 4",
    )
    frame, _ = records.collect(plan, runs)
    table = tables.build(plan["suites"][0], frame, "paper", plan["runs"])
    assert line(table, "full")["status"] == "done"
    partial = line(table, "minus-nt-asgd")
    assert (partial["status"], partial["n"]) == ("partial", 1)
    assert (partial["remarks"], partial["interval"]) == ((Unfinished(1, 2),), "tokens")
    leaks = line(table, "minus-weight-drop")
    assert leaks["status"] == "leaks"
    assert pd.isna(leaks["verdict"])
    assert np.isnan(leaks["delta_test"])
    assert leaks["remarks"] == (Ended(Status.LEAKS, "position 3 sees token 4", (1,)),)
    diverged = line(table, "minus-weight-decay", "wikitext-2")
    assert (diverged["status"], diverged["n"]) == ("diverged", 0)
    reason = "loss became nan at epoch 4, step 120"
    assert diverged["remarks"] == (Ended(Status.DIVERGED, reason, (1, 2)),)
    missing = line(table, *MISSING)
    assert (missing["status"], missing["n"], missing["params"]) == ("missing", 0, 24_221_600)


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        ({"test": 100.0}, "reproduced"),
        ({"test": 100 / 1.029}, "reproduced"),
        ({"test": 100 / 1.031}, "higher"),
        ({"test": 100 / 0.969}, "lower"),
        ({"valid": 200.0}, "reproduced"),
        ({"valid": 200.0, "test": 50.0}, "higher"),
        ({"train": 40.0}, None),
    ],
)
def test_verdict(tmp_path, published, verdict):
    """Within 3% of the published test value (or valid, where there is no other) is reproduced."""

    def change(plan):
        row = plan["suites"][0]["rows"][0]
        row["published"] = [{"column": "paper", "verified": True, **published}]
        splits = {
            split: {"nll": 1.0, "tokens": 1, "perplexity": value}
            for split, value in (("valid", 200.0), ("test", 100.0))
        }
        rewrite(tmp_path / "runs" / row["runs"][0]["run"] / "finetune.stream.json", splits=splits)

    _, table = study(tmp_path, change=change, tokens=500)
    found = line(table, "full")["verdict"]
    assert found == verdict if verdict else pd.isna(found)


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


def test_unverified_and_additional_published_values(tmp_path):
    """An unverified value carries a note; other published columns are shown beside."""

    def change(plan):
        entries = plan["suites"][0]["rows"][0]["published"]
        entries[0]["verified"] = False
        entries.append({"column": "repository", "test": 56.5, "verified": True, "source": "README"})

    suite, table = study(tmp_path, change=change)
    assert line(table, "full")["remarks"] == (Unverified(),)
    text = markdown(table, suite, "paper")
    assert "Repository test" in text
    assert "56.50" in text
    assert "Repository valid" not in text
    assert "<sup>1</sup> Published value unverified." in text


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
        splits = {s: {"nll": 1.0, "tokens": 1, "perplexity": 2.0} for s in ("valid", "test")}
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


@pytest.mark.parametrize("base_is_there", [True, False])
def test_a_row_measured_by_another_protocol_is_not_best(tmp_path, base_is_there):
    """Not struck through, but neither best nor compared, with what differs in a footnote."""
    plan = make_plan()
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    if not base_is_there:
        frame = frame[~frame["run"].str.endswith("merity2018-full")]
    apart = frame["run"] == "ptb-lstm-s1-merity2018-minus-weight-drop"
    frame.loc[apart, "perplexity"] = 2.0
    usual = Protocol("stream", "left", 1, True, True, 10_000, 4_000, 4_000)
    cloze = dataclasses.replace(usual, context="left and right")
    frame["protocol"] = [cloze if is_apart else usual for is_apart in apart]
    suite = plan["suites"][0]
    table = tables.build(suite, frame, "paper")
    found = line(table, "minus-weight-drop")
    assert (found["status"], found["test"]) == ("done", 2.0)
    assert found["incomparable"] == (("context", "left and right"),)
    assert found[["delta_test", "p", "p_holm", "verdict"]].isna().all()
    assert table["p"].notna().sum() == (13 if base_is_there else 0), "as before"
    text = markdown(table, suite, "paper")
    assert "**2.00**" not in text
    assert "~~" not in text
    assert "<sup>1</sup> Not comparable with the other rows: left and right context (" in text


def test_the_caption_counts_pairs_in_published_order(tmp_path):
    """By test perplexity or else validation; no ties in print, no leaks, no other corpus."""
    frame = pd.DataFrame(
        {
            "suite": "study",
            "corpus": ["ptb"] * 5 + ["wikitext-2"],
            "status": ["done", "partial", "done", "leaks", "done", "done"],
            "incomparable": None,
            "published_valid": [60.0, 70.0, 65.0, 50.0, float("nan"), 10.0],
            "published_test": [58.0, 68.0, float("nan"), 40.0, 58.0, 9.0],
            "valid": [100.0, 90.0, 110.0, 1.0, 99.0, 5.0],
            "test": [95.0, 96.0, 105.0, 1.0, 94.0, 4.0],
        }
    )
    # first-second by test: yes; first-third by valid: yes; second-third by valid: no;
    # first-fifth: equal in print; second-fifth by test: yes; third-fifth: nothing in common
    assert order_agreement(frame) == (3, 4)
    suite, table = study(tmp_path)
    agree, pairs = order_agreement(table)
    assert pairs == 28 + 28, "of nine rows one is missing, and one diverged"
    text = markdown(table, suite, "paper")
    assert f"Order: {agree} of {pairs} pairs of rows stand as published." in text


def test_a_row_of_nt_asgd_that_never_averaged_has_a_remark(tmp_path):
    """It is SGD then, and may equal another row to the last digit."""
    plan = make_plan(seeds=(1, 2))
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    for run in plan["runs"].values():
        run["spec"]["optimizer"] = "nt-asgd"

    def note():
        table = tables.build(plan["suites"][0], frame, "paper", plan["runs"])
        for found in table.query("stage == 'finetune'")["remarks"]:
            assert not any(isinstance(each, NeverAveraged) for each in found)
        return line(table, "minus-fine-tuning")["remarks"]

    trained = frame["stage"] == "train"
    epochs = frame.loc[trained, "epochs"].iloc[0]
    assert note() == ()
    frame.loc[trained & (frame["seed"] == 2), "switch_epoch"] = pd.NA
    assert note() == (NeverAveraged(epochs, 1, 2),)
    for run in plan["runs"].values():
        run["spec"]["optimizer"] = "sgd"
    assert note() == ()


class Page(HTMLParser):
    """What a browser would make of a fragment: elements with attributes, and that all close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, **wanted):
        found = [attributes for name, attributes in self.elements if name == tag]
        return [a for a in found if all(a.get(key) == value for key, value in wanted.items())]


def test_html_is_a_fragment_that_says_what_its_cells_are(tmp_path):
    """Headers with scope, a caption, unrounded numbers to sort by, notes that are linked."""

    def change(plan):
        plan["suites"][0]["title"] = "A < B & C"

    suite, table = study(tmp_path, seeds=(1, 2), change=change)
    text = html(table, suite, "paper")
    assert text.isascii()
    page = Page(text)
    assert page.elements[0] == ("section", {"class": "results", "id": "table-merity2018"})
    assert not page.all("html")
    assert "A < B & C" in page.texts
    assert len(page.all("caption")) == 1
    columns = page.all("th", scope="col")
    assert len(page.all("tbody")) == len(page.all("th", scope="rowgroup")) == 2
    assert len(page.all("th", scope="row")) == 18
    assert len(page.all("td")) == 18 * (len(columns) - 1)
    sorts = [float(cell["data-sort"]) for cell in page.all("td") if "data-sort" in cell]
    for value in table["test"].dropna():
        assert value == pytest.approx(min(sorts, key=lambda other: abs(other - value)), rel=1e-8)
    (row,) = page.all("tr", **{"data-row": "minus-weight-drop", "data-corpus": "ptb"})
    assert (row["class"], row["data-suite"]) == ("done", "merity2018")
    assert len(page.all("tr", **{"class": "missing"})) == 1
    notes = {note["id"] for note in page.all("li")}
    assert notes == {link["href"][1:] for link in page.all("a")}
    assert notes


def test_the_combined_table_has_every_suite_under_its_name(tmp_path):
    """With shared columns, a best value for each, and one numbering of footnotes."""
    plan = make_plan()
    plan["suites"] += make_plan(name="other2020", corpora=("ptb",))["suites"]
    plan["suites"][1]["title"] = "Another study"
    plan["suites"][1]["rows"][0]["published"][0]["parameters"] = 24_000_000
    plan["runs"] |= make_plan(name="other2020", corpora=("ptb",))["runs"]
    write_runs(plan, tmp_path / "runs")
    frame, _ = records.collect(plan, tmp_path / "runs")
    built = [tables.build(suite, frame, "paper") for suite in plan["suites"]]
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


def test_partial_results_say_what_is_missing(tmp_path):
    """In the caption, beside the state of each row."""
    suite, table = study(tmp_path, skip=("minus-nt-asgd",))
    assert "Not complete: of 18 rows, 3 missing." in markdown(table, suite, "paper")


def measured_otherwise(tmp_path, row="weight-drop", **protocol):
    """A study one row of which has the best perplexity, by another protocol."""

    def change(_):
        path = tmp_path / f"runs/ptb-lstm-s1-merity2018-minus-{row}/finetune.stream.json"
        splits = {s: {"nll": 1.0, "tokens": 4000, "perplexity": 2.0} for s in ("valid", "test")}
        protocols = json.loads(path.read_text())["protocol"] | protocol
        rewrite(path, splits=splits, protocol=protocols)

    return study(tmp_path, change=change)


def test_a_row_of_another_protocol_is_not_compared(tmp_path):
    """No difference, no verdict, not the best; the footnote says what is otherwise."""
    suite, table = measured_otherwise(tmp_path, context="left and right")
    found = line(table, "minus-weight-drop")
    assert (found["status"], found["test"]) == ("done", 2.0)
    assert np.isnan(found["delta_test"])
    assert pd.isna(found["verdict"])
    assert found["remarks"] == (Incomparable((("context", "left and right"),)),)
    assert not np.isnan(line(table, "minus-nt-asgd")["delta_test"])
    text = markdown(table, suite, "paper")
    assert "**2.00**" not in text
    assert text.split("### WikiText-2")[0].count("**") == 4, "the best of the others is bold"


def test_the_same_protocol_in_other_words_is_compared(tmp_path):
    suite, table = measured_otherwise(tmp_path, context="left", batch_size=1, chunk=70)
    assert line(table, "minus-weight-drop")["delta_test"] < -50
    assert "**2.00**" in markdown(table, suite, "paper")


def test_a_second_direction_has_a_remark(tmp_path):
    def change(_):
        path = tmp_path / "runs/ptb-lstm-s1-merity2018-minus-weight-drop/finetune.stream.json"
        splits = json.loads(path.read_text())["splits"]
        for split, value in {"valid": 71.111, "test": 70.0}.items():
            splits[f"{split}-backward"] = {"nll": 1.0, "tokens": 1, "perplexity": value}
        rewrite(path, splits=splits)

    _, table = study(tmp_path, change=change)
    assert line(table, "minus-weight-drop")["remarks"] == (Backward(71.111, 70.0),)


def test_latex_is_well_formed(tmp_path):
    """Special characters are escaped, braces balance, every line has as many cells as columns."""

    def change(plan):
        suite = plan["suites"][0]
        suite["title"] = "100% of R&D_1 #2 {x} ~ ^ \\ $"
        suite["rows"][1]["label"] = "− a_b & 50%"

    suite, table = study(tmp_path, change=change)
    text = latex(table, suite, "paper")
    assert r"100\% of R\&D\_1 \#2 \{x\} \textasciitilde{} \textasciicircum{}" in text
    assert r"$-$ a\_b \& 50\%" in text
    assert "\N{MINUS SIGN}" not in text
    assert text.isascii()
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    width = len(re.search(r"\\begin{tabular}{@{}([lr]+)@{}}", text)[1])
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    for row in re.findall(r"^(.*) \\\\$", body, re.MULTILINE):
        spans = [int(span) for span in re.findall(r"\\multicolumn{(\d+)}", row)]
        cells = len(re.split(r"(?<!\\)&", row)) + sum(span - 1 for span in spans)
        assert cells == width, row
    assert text.count(r"\midrule") == 2, "one above each corpus"


def test_notes_keep_their_emphasis_and_quotes(tmp_path):
    """Notes are prose: emphasis and quotation marks come out right in both formats."""

    def change(plan):
        plan["suites"][0]["notes"] = ['"− fine-tuning" *has* 2*3 layers']

    suite, table = study(tmp_path, change=change)
    assert "“− fine-tuning” *has* 2\\*3 layers" in markdown(table, suite, "paper")
    assert r"``$-$ fine-tuning'' \emph{has} 2{*}3 layers" in latex(table, suite, "paper")


def test_written_files(tmp_path):
    """csv keeps every digit; the files, or those asked for, appear under the stem."""
    suite, table = study(tmp_path)
    stem = tmp_path / "tables" / "merity2018"
    paths = tables.write(table, suite, "paper", stem)
    assert [path.suffix for path in paths] == [".csv", ".md", ".tex", ".html"]
    assert tables.write(table, suite, "paper", stem, ["tex", "png"]) == [paths[2]]
    read = pd.read_csv(paths[0])
    assert list(read["test"].dropna()) == list(table["test"].dropna())
