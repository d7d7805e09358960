"""The report is built from whatever exists, without torch, and says what it needs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from synthetic import make_plan, write_runs
from table_study import with_frequencies

import awd
from awd.errors import InputError
from awd.files import read_json, write_json
from awd.report.build import PARTS, report, scales


@pytest.fixture
def results(tmp_path):
    plan = make_plan(scale="demo")
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    write_runs(plan, tmp_path / "runs", tokens=500)
    return tmp_path


def test_everything_is_written(results):
    """Records, curves, two tables in four formats, numbers, two figures in three, a page."""
    written = report(results, "demo")
    assert len(written) == len(set(written)) == 2 + 4 + 5 + 6 + 1
    assert all(path.stat().st_size > 500 for path in written)
    names = {path.relative_to(results / "demo").as_posix() for path in written}
    assert {"records.csv", "tables/merity2018.md", "figures/merity2018-curves.pdf"} <= names


def test_before_the_first_run(tmp_path):
    """A plan alone gives a table of missing rows and figures that say so."""
    write_json(tmp_path / "demo/plans/merity2018.json", make_plan(scale="demo"))
    report(tmp_path, "demo")
    report(tmp_path, "demo")
    table = pd.read_csv(tmp_path / "demo/tables/merity2018.csv")
    assert set(table["status"]) == {"missing"}
    assert table["params"].notna().all()


def test_all_formats_compare_the_best_row_with_the_second(tmp_path):
    """Where neither is the base row, so that the table has not this difference otherwise."""
    plan = make_plan(scale="demo", seeds=(1, 2))
    plan["suites"][0]["base"] = "minus-weight-drop"
    write_json(tmp_path / "demo/plans/merity2018.json", plan)
    write_runs(plan, tmp_path / "runs", tokens=500)
    written = report(tmp_path, "demo", parts=("tables", "combined"))
    texts = [path.read_text() for path in written if path.name != "numbers.tex"]
    assert len(texts) == 8
    assert {text.count("econd best: ") for text in texts} == {2}, "on two corpora"


def test_tables_whose_records_are_elsewhere_keep_their_numbers(results):
    """As in a copy of plans and tables alone; without numbers to lose they are made again."""
    parts = ("records", "tables")
    report(results, "demo", parts=parts)
    (results / "runs").rename(results / "elsewhere")
    table = results / "demo/tables/merity2018.md"
    before = table.read_text()
    report(results, "demo", parts=parts)
    assert table.read_text() == before, "it is made from the copy of the records"
    (results / "demo/records.csv").unlink()
    sentence = r"neither .* run the study: snakemake .* scale=demo results="
    with pytest.raises(InputError, match=sentence):
        report(results, "demo", parts=parts)
    assert table.read_text() == before


def test_parts_and_suites_can_be_chosen(results):
    """A workflow may ask for one table alone; the combined one is not made of a part."""
    written = report(results, "demo", ["merity2018"], parts=("tables",))
    assert {path.parent.name for path in written} == {"tables"}
    assert not (results / "demo/figures").exists()
    assert not (results / "demo/records.csv").exists()
    written = report(results, "demo", parts=("combined",), formats=("md", "html"))
    assert [path.name for path in written] == ["all.md", "all.html"]
    assert report(results, "demo", ["merity2018"], parts=("combined",)) == []


def test_formats_can_be_chosen(results):
    """Of tables and of figures; the frames of records are written all the same."""
    written = report(results, "demo", formats=("tex", "svg"))
    names = sorted(path.relative_to(results / "demo").as_posix() for path in written)
    assert names == [
        "curves.csv",
        "figures/merity2018-ablation.svg",
        "figures/merity2018-curves.svg",
        "records.csv",
        "tables/all.tex",
        "tables/merity2018.tex",
        "tables/numbers.tex",
    ]


def test_scales_with_a_plan(results):
    """They are found, in order; without any there is nothing to report."""
    write_json(results / "paper/plans/merity2018.json", make_plan())
    assert scales(results) == ["demo", "paper"]
    with pytest.raises(InputError, match="no plan of any scale; run a study first"):
        scales(results / "demo")


def test_published_curves_are_drawn_where_the_plan_names_them(results):
    """They come from the file of the suite; without it the figure is built all the same."""
    plan = read_json(results / "demo/plans/merity2018.json")
    (suite,) = plan["suites"]
    suite["figures"] = ["losses"]
    built = {}
    for name in (None, "yoon2019-curves.csv", "absent.csv"):
        suite["curves"] = name and {
            "file": name,
            "logs": {"full": {"ptb": "ptb-lstm-finetune.log"}},
        }
        write_json(results / "demo/plans/merity2018.json", plan)
        (written,) = report(results, "demo", parts=("figures",), formats=("svg",))
        built[name] = written.read_bytes()
    assert built[None] == built["absent.csv"] != built["yoon2019-curves.csv"]


def test_copy_without_run_folders(results):
    """records.csv and curves.csv are enough for tables and figures, to the last digit."""
    report(results, "demo", parts=("records", "tables"))
    before = (results / "demo/tables/merity2018.csv").read_bytes()
    kept = (results / "demo/records.csv").read_bytes()
    shutil.rmtree(results / "runs")
    report(results, "demo")
    assert (results / "demo/tables/merity2018.csv").read_bytes() == before
    assert (results / "demo/records.csv").read_bytes() == kept, "the copy is not overwritten"


def test_input_errors(results):
    """No plan, a plan of another format, a suite that is not in it: one helpful sentence each."""
    with pytest.raises(InputError, match="holds no plan; run a study at this scale first"):
        report(results, "paper")
    with pytest.raises(InputError, match="did you mean 'merity2018'"):
        report(results, "demo", ["merity2017"])
    write_json(results / "paper/plans/merity2018.json", {"format": 0})
    with pytest.raises(InputError, match="format: no 0; allowed: 1; delete the file and give"):
        report(results, "paper")


def test_tables_need_neither_torch_nor_matplotlib():
    """Reports are built where nothing is trained, and tables start quickly."""
    root = Path(awd.__file__).parents[1]
    code = "import sys, awd.report.build; assert not {'torch', 'matplotlib'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0


def test_a_report_needs_no_torch(results):
    """From the start of Python to the last table; benchmarks/workflow.py measures how long."""
    words = ["report", f"results={results}", f"parts={','.join(PARTS[:3])}"]
    code = f"""if True:
        import sys
        from awd.cli import main
        main({words}, standalone_mode=False)
        print("torch" in sys.modules)"""
    root = Path(awd.__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert said.stdout.splitlines()[-1] == "False"
    assert (results / "demo/tables/all.html").exists()


def test_words_that_train_does_not_have_are_in_table_and_page(results):
    """With their share, of the corpora that are encoded here; they explain high perplexities."""
    corpus = results / "corpora/ptb-01234567/corpus.json"
    shares = {"valid": {"share": 0.042, "tokens": 42}, "test": {"share": 0.05, "tokens": 50}}
    write_json(corpus, {"unseen": shares})
    report(results, "demo", formats=("md", "html"))
    for name in ("tables/merity2018.md", "tables/all.md", "report.html"):
        text = (results / "demo" / name).read_text(encoding="utf-8")
        assert "Of the words of Penn Treebank, 4.2% (valid) and 5.0% (test) never occur" in text
        assert "Of the words of WikiText-2" not in text
    write_json(corpus, {"unseen": {"valid": 3}})
    with pytest.raises(InputError, match=r"ptb-01234567/corpus\.json: 'unseen' cannot be read"):
        report(results, "demo")


def test_lines_that_stand_in_train_too_are_in_table_and_page(results):
    """If they are so many that perplexity is no longer that of new text."""
    corpus = results / "corpora/ptb-01234567/corpus.json"
    said = "Of the lines of Penn Treebank with 8 words or more, 21.0% (test) also stand in train"
    for share, shown in ((0.21, True), (0.002, False)):
        shares = {"valid": {"share": 0.001}, "test": {"share": share}}
        write_json(corpus, {"repeated_lines": shares})
        report(results, "demo", formats=("md", "html"))
        for name in ("tables/merity2018.md", "tables/all.md", "report.html"):
            text = (results / "demo" / name).read_text(encoding="utf-8")
            assert (said in text) is shown
            assert shown or "also stand in" not in text


def test_a_row_that_is_no_better_than_word_frequencies_is_remarked(results):
    """In table and page, and it is not called the best."""
    table, page = results / "demo/tables/merity2018.md", results / "demo/report.html"
    report(results, "demo", formats=("md", "html"))
    assert "word frequencies, " not in table.read_text("utf-8")
    assert page.read_text("utf-8").count('<p class="best">') == 2
    with_frequencies(results, 1.25)
    report(results, "demo", formats=("md", "html"))
    assert "No better than word frequencies, 1.25." in table.read_text("utf-8")
    assert "No better than word frequencies, 1.25." in page.read_text("utf-8")
    assert page.read_text("utf-8").count('<p class="best">') == 1


def test_how_much_text_was_trained_on_is_in_tables_and_page(results):
    """As soon as it is not all of it."""
    path = results / "demo/plans/merity2018.json"
    plan = read_json(path)
    for run in plan["runs"].values():
        run["spec"]["train_tokens"] = 25_000 if run["corpus"]["name"] == "ptb" else 0
    write_json(path, plan)
    report(results, "demo", formats=("md", "html"))
    for name in ("tables/merity2018.md", "tables/all.md", "report.html"):
        text = (results / "demo" / name).read_text(encoding="utf-8")
        assert "Trained on the first 25,000 tokens of Penn Treebank." in text
        assert "tokens of WikiText-2" not in text
    table = (results / "demo/tables/merity2018.md").read_text(encoding="utf-8")
    assert "Penn Treebank, first 25,000 tokens" in table
