"""A writer's choice of rows, columns, caption and label; columns of siunitx."""

import re
import shutil
import subprocess

import pytest
from synthetic import make_plan
from table_study import study
from test_golden import missing_for_latex

from awd.errors import InputError
from awd.report import records, tables
from awd.report.tables.choice import Choice, rebased, s_column
from awd.report.tables.latex import latex


def cells(text):
    """The rows of a table, by cell."""
    _, _, rest = text.partition("\\midrule\n")
    lines = [line.removesuffix(r" \\") for line in rest.partition(r"\bottomrule")[0].splitlines()]
    return [line.split(" & ") for line in lines if " & " in line]


def test_rows_and_columns_are_those_chosen_in_this_order(tmp_path):
    suite, table = study(tmp_path, seeds=(1, 2))
    choice = Choice(rows=("minus-nt-asgd", "full"), columns=("test", "published.test", "verdict"))
    text = latex(table, suite, "paper", choice)
    found = cells(text)
    assert [row[0].split(r"\text")[0] for row in found] == ["$-$ NT-ASGD", "AWD-LSTM"] * 2
    first = table[(table["row"] == "minus-nt-asgd") & (table["corpus"] == "ptb")].iloc[0]
    assert f"{first['test']:.2f}" in found[0][1]
    assert found[0][2] == f"{first['published_test']:.2f}"
    assert first["verdict"] in found[0][3]
    assert {len(row) for row in found} == {4}
    assert "Left out" not in text


def test_caption_and_label_are_the_writers(tmp_path):
    suite, table = study(tmp_path)
    text = latex(table, suite, "paper", Choice(caption=r"\emph{Mine}.", label="tab:mine"))
    assert r"\caption{\emph{Mine}.}\label{tab:mine}" in text
    assert r"\label{tab:merity2018-paper}" in latex(table, suite, "paper")


def test_the_usual_table_says_which_columns_it_has_not(tmp_path):
    suite, table = study(tmp_path)
    opening = latex(table, suite, "paper").splitlines()[1]
    assert opening.startswith("% Left out, since a page is narrow: seeds, ")
    assert "verdict" in opening


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (Choice(rows=("ful",)), "rows: merity2018 has no 'ful'; did you mean 'full'"),
        (Choice(columns=("tset",)), "columns: the table of merity2018 has no 'tset'; did you mean"),
        (Choice(columns=("difference",)), "has no 'difference'; did you mean 'difference."),
        (Choice(columns=("published.tset",)), "no 'published.tset'; did you mean 'published.test"),
        (Choice(columns=("interval",)), "has no 'interval'; it needs a row with several seeds"),
        (
            Choice(columns=("difference.test", "difference.test_interval")),
            "no 'difference.test_interval'; it needs scale paper, .* and a row with several seeds",
        ),
        (Choice(columns=("difference.interval",)), "no 'difference.interval'; did you mean 'diff"),
        (Choice(columns=("published.parameters",)), "; no row here has this published number"),
        (Choice(caption="100% & a_b"), r"caption: .* a bare % & _: type \\% \\& \\_, or \$...\$"),
    ],
)
def test_what_a_table_cannot_have_is_named(tmp_path, choice, sentence):
    suite, table = study(tmp_path)
    with pytest.raises(InputError, match=sentence):
        latex(table, suite, "paper", choice)


def test_an_interval_needs_the_difference_that_it_is_of(tmp_path):
    """Beside another difference it would be taken for that one's."""
    suite, table = study(tmp_path, seeds=(1, 2))
    columns = ("test", "difference.test", "interval")
    with pytest.raises(InputError, match=r"interval is that of delta: .* 'difference.test_inter"):
        latex(table, suite, "paper", Choice(columns=columns))
    assert "interval" in latex(table, suite, "paper", Choice(columns=("delta", "interval")))


def test_the_interval_of_a_published_difference_stands_beside_it(tmp_path):
    """And a verdict of reproduced is the same as zero within it."""
    suite, table = study(tmp_path, seeds=(1, 2))
    columns = ("difference.test", "difference.test_interval", "verdict")
    text = latex(table, suite, "paper", Choice(columns=columns))
    lines = table.to_dict("records")
    assert sum(row[2].startswith("{[}") for row in cells(text)) > 8
    for row, line in zip(cells(text), lines, strict=True):
        ends = [line["difference_test_low"], line["difference_test_high"]]
        expected = f"[{ends[0]:+.2f}, {ends[1]:+.2f}]" if ends[0] == ends[0] else "--"
        shown = row[2].replace("$-$", "-").replace("{[}", "[").replace("{]}", "]")
        assert shown == expected
        if ends[0] == ends[0]:
            assert (ends[0] <= 0 <= ends[1]) == (line["verdict"] == "reproduced")
            assert ends[0] < line["test"] - line["published_test"] < ends[1]
    assert r"with its 95\% interval over trainings, of which the published number is one." in text
    assert "Noise of training, over all studies: " in text
    with pytest.raises(InputError, match=r"test_interval is that of difference\.test: add"):
        latex(table, suite, "paper", Choice(columns=("difference.valid", columns[1])))


def test_a_row_without_interval_of_its_published_difference_has_a_reason(tmp_path):
    """Also the base row, which is compared with no other one."""
    suite, table = study(tmp_path, change=lambda plan: one_seed_on_ptb(plan), seeds=(1, 2))
    columns = ("difference.test", "difference.test_interval")
    rows = ("full", "minus-nt-asgd")
    text = latex(table, suite, "paper", Choice(rows=rows, columns=columns))
    found = cells(text)
    assert [row[2] == "--" for row in found] == [True, True, False, False]
    assert "No interval of the published difference: no row trained on the same text" in text
    assert "No interval: no row trained on the same text" in text
    assert [r"\textsuperscript" in row[0] for row in found] == [True, True, False, False]
    other = latex(table, suite, "paper", Choice(rows=rows, columns=("difference.test",)))
    assert "of the published difference" not in other


def one_seed_on_ptb(plan):
    for row in plan["suites"][0]["rows"]:
        if row["corpus"] == "ptb":
            for item in row["runs"][1:]:
                plan["runs"].pop(item["run"], None)
            del row["runs"][1:]


def test_a_difference_is_reproduced_minus_published(tmp_path):
    """Of rows that may be compared; pale at other scales, as published numbers are."""
    suite, table = study(tmp_path, seeds=(1, 2))
    ptb = table[table["corpus"] == "ptb"].reset_index(drop=True)
    columns = ("published.test", "test", "difference.test")
    choice = Choice(rows=("full", "minus-nt-asgd"), columns=columns)
    text = latex(ptb, suite, "paper", choice)
    lines = ptb.set_index("row").loc[list(choice.rows)]
    expected = [f"{n:+.2f}" for n in lines["test"] - lines["published_test"]]
    assert [row[3].replace("$-$", "-") for row in cells(text)] == expected
    assert "Difference: reproduced minus published perplexity." in text
    assert "Difference" not in latex(ptb, suite, "paper"), "only where it is chosen"
    assert r"\textcolor{gray}{" in cells(latex(ptb, suite, "small", choice))[0][3]


def test_a_state_can_be_shown_where_all_rows_are_done(tmp_path):
    """So that a script for a paper works during and after training."""
    suite, table = study(tmp_path)
    found = cells(latex(table, suite, "paper", Choice(rows=("full",), columns=("status",))))
    assert [row[1] for row in found] == ["done"] * 2


def test_a_verdict_needs_the_papers_scale(tmp_path):
    suite, table = study(tmp_path)
    table = table.assign(verdict=None)
    with pytest.raises(InputError, match="has no 'verdict'; rows have a verdict at scale paper"):
        latex(table, suite, "small", Choice(columns=("test", "verdict")))


@pytest.mark.parametrize(
    ("texts", "kind", "written"),
    [
        (["99.12", "--", "7.5"], "table-format=2.2", ["99.12", "{--}", "7.5"]),
        ([r"+1.20", "$-$13.00"], "table-format=+2.2,retain-explicit-plus", ["+1.20", "-13.00"]),
        (
            [r"\bfseries 99.12 $\pm$ 0.21", r"\color{gray} 8.10 $\pm$ 12.00"],
            "table-format=2.2(4),separate-uncertainty",
            [r"\bfseries 99.12(21)", r"\color{gray} 8.10(1200)"],
        ),
        (["24.2M", "{[}1, 2{]}", "1.0"], None, None),
        (["--", "--"], None, None),
    ],
)
def test_numbers_are_written_as_siunitx_reads_them(texts, kind, written):
    found = s_column(texts)
    if kind is None:
        assert found is None
    else:
        assert found == (f"S[detect-weight,mode=text,{kind}]", written)


def test_columns_of_siunitx_have_braces_around_words(tmp_path):
    suite, table = study(tmp_path, seeds=(1, 2))
    text = latex(table, suite, "paper", Choice(columns=("test", "delta"), siunitx=True))
    assert r"\usepackage{siunitx}" in text
    assert "{test}" in text
    assert "{base}" in text
    assert text.count("S[detect-weight") == 2


BOLD = "Bold: best reproduced value of the rows shown."


@pytest.mark.parametrize(
    ("choice", "about_study", "bold"),
    [
        (Choice(), True, True),
        (Choice(rows=("full", "minus-nt-asgd"), caption="Mine."), False, True),
        (Choice(rows=("full", "minus-nt-asgd"), caption="Bold is the best."), False, False),
        (Choice(rows=("full", "minus-nt-asgd"), caption="Mine.", notes=True), True, True),
        (Choice(columns=("published.test", "delta"), caption="Mine."), False, False),
        (Choice(notes=False, caption="Mine."), False, False),
    ],
)
def test_notes_are_of_what_is_shown(tmp_path, choice, about_study, bold):
    """And one says what bold is, unless the caption does or nothing is bold."""
    suite, table = study(tmp_path, seeds=(1, 2))
    suite = suite | {"notes": ["About the whole study."]}
    text = latex(table[table["corpus"] == "ptb"], suite, "paper", choice)
    assert ("About the whole study." in text) == about_study
    assert ("Bold: best" in text) == bold
    if choice.rows and bold:
        assert BOLD in text
    if choice.notes is False:
        assert "textsuperscript" not in text
        assert "raggedright" not in text


def test_differences_can_be_from_another_row(tmp_path):
    """With the statistics of a suite that has this base row; p is corrected for the rows shown."""
    plan_suite, table = study(tmp_path, seeds=(1, 2))
    choice = Choice(rows=("full", "minus-fine-tuning", "minus-weight-drop"), base_row="full")
    suite = rebased(plan_suite, choice)
    assert [row["row"] for row in suite["rows"] if row["corpus"] == "ptb"] == list(choice.rows)
    other = rebased(plan_suite, Choice(rows=("full",), base_row="minus-nt-asgd"))
    plan = make_plan(scale="paper", seeds=(1, 2))
    frame, _ = records.collect(plan, tmp_path / "runs")
    made = tables.build(other, frame, "paper", plan["runs"])
    ours = made[(made["row"] == "full") & (made["corpus"] == "ptb")].iloc[0]
    usual = table[(table["row"] == "minus-nt-asgd") & (table["corpus"] == "ptb")].iloc[0]
    assert ours["test"] - usual["test"] == pytest.approx(ours["delta_test"])
    assert ours["p"] == pytest.approx(usual["p"]), "the same pair"
    assert ours["p_holm"] == ours["p"], "there is one comparison"
    text = latex(made, other, "paper", Choice(rows=("full",), columns=("test", "delta")))
    assert "from ``$-$ NT-ASGD''" in text
    with pytest.raises(InputError, match="base_row: merity2018 has no 'ful'; did you mean 'full'"):
        rebased(plan_suite, Choice(base_row="ful"))
    assert rebased(plan_suite, Choice()) is plan_suite


@pytest.mark.skipif(bool(reason := missing_for_latex("siunitx")), reason=str(reason))
def test_a_table_of_siunitx_compiles_and_stands_under_its_caption(tmp_path):
    """In the middle of the page, as the caption does."""
    suite, table = study(tmp_path, seeds=(1, 2))
    choice = Choice(columns=("test",), caption="MINE", siunitx=True)
    (tmp_path / "table.tex").write_text(latex(table, suite, "paper", choice), encoding="utf-8")
    wrapper = (
        r"\documentclass{article}\usepackage{booktabs,graphicx,siunitx,xcolor}"
        r"\begin{document}\input{table}\end{document}"
    )
    (tmp_path / "wrapper.tex").write_text(wrapper)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "wrapper.tex"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert said.returncode == 0, said.stdout
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not installed (Debian: poppler-utils)")
    words = ["pdftotext", "-bbox", "wrapper.pdf", "-"]
    boxes = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    places = re.findall(r'xMin="([\d.]+)".*xMax="([\d.]+)".*>(\S+)</word>', boxes)
    (start,) = (float(left) for left, _, word in places if word == "Table")
    (end,) = (float(right) for _, right, word in places if word == "MINE")
    left, right = (
        min(float(left) for left, _, word in places if word == "AWD-LSTM"),
        max(float(right) for _, right, word in places if re.fullmatch(r"\d+\.\d\d.*", word)),
    )
    assert (left + right) / 2 == pytest.approx((start + end) / 2, abs=15)
