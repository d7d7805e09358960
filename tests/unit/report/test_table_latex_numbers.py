"""Numbers of tables as LaTeX commands."""

import re
import subprocess

import pytest
from table_study import line, study
from test_golden import missing_for_latex

from awd.report.tables.latex_numbers import numbers


def commands(text):
    return dict(re.findall(r"awd@([^\\]+)\\endcsname\{(.*)\}$", text, re.MULTILINE))


def test_each_number_has_a_command_named_by_its_place(tmp_path):
    """By suite, row and column of the csv; with the corpus where there are several."""
    suite, table = study(tmp_path, seeds=(1, 2))
    found = commands(numbers([suite], [table]))
    row = line(table, "minus-nt-asgd")
    assert found["merity2018/ptb/minus-nt-asgd/test"] == f"{row['test']:.2f}"
    assert found["merity2018/ptb/minus-nt-asgd/test_sd"] == f"{row['test_sd']:.2f}"
    assert found["merity2018/ptb/minus-nt-asgd/published_test"] == "63.70"
    assert found["merity2018/ptb/minus-nt-asgd/params"] == "24.2M"
    assert found["merity2018/ptb/minus-nt-asgd/delta_test"] == f"{row['delta_test']:+.2f}"
    assert found["merity2018/ptb/minus-nt-asgd/distance"].endswith(r"\%")
    assert "merity2018/ptb/minus-ar-tar/test" not in found, "it was never run"
    of_ptb = table[table["corpus"] == "ptb"]
    short = commands(numbers([suite], [of_ptb]))
    assert short["merity2018/minus-nt-asgd/test"] == f"{row['test']:.2f}"


def compile_prose(folder, text, prose):
    (folder / "numbers.tex").write_text(text, encoding="utf-8")
    document = (
        rf"\documentclass{{article}}\begin{{document}}\input{{numbers}}{prose}\end{{document}}"
    )
    (folder / "prose.tex").write_text(document)
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "prose.tex"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, errors="replace")


@pytest.mark.skipif(bool(reason := missing_for_latex()), reason=str(reason))
def test_they_compile_in_prose_and_a_wrong_name_is_an_error(tmp_path):
    suite, table = study(tmp_path, seeds=(1, 2))
    text = numbers([suite], [table])
    prose = "".join(rf"\awd{{{name}}}, " for name in commands(text)) + r"\typeout{\awd{%s}}"
    place = "merity2018/ptb/minus-nt-asgd/test"
    said = compile_prose(tmp_path, text, prose % place)
    assert said.returncode == 0, said.stdout
    assert commands(text)[place] in said.stdout.splitlines()
    said = compile_prose(tmp_path, text, r"\awd{merity2018/ptb/ful/test}")
    assert said.returncode != 0
    assert "There is no number 'merity2018/ptb/ful/test'" in said.stdout.replace("\n", "")
