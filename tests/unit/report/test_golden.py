"""Tables of a frozen study come out as they did; their LaTeX compiles."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from awd.files import read_json
from awd.report import records, tables
from awd.report.build import report
from awd.report.tables.latex import latex

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = sorted((GOLDEN / "paper/tables").iterdir())


def missing_for_latex(*more: str) -> str | None:
    """What LaTeX lacks here, if anything; ``more`` are packages beside the usual ones."""
    if not shutil.which("pdflatex"):
        return "pdflatex is not installed (Debian: texlive-latex-recommended)"
    for package in ("booktabs", "graphicx", "longtable", "xcolor", *more):
        if not subprocess.run(["kpsewhich", f"{package}.sty"], capture_output=True).stdout:
            return f"LaTeX lacks {package}.sty (Debian: texlive-latex-recommended, -science)"
    return None


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder of tables, made anew."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "paper/plans").mkdir(parents=True)
    for name in ("plans/merity2018.json", "records.csv", "curves.csv"):
        shutil.copy(GOLDEN / "paper" / name, folder / "paper" / name)
    report(folder, "paper", parts=("tables", "combined"))
    return folder / "paper/tables"


def test_no_table_is_left_out(made):
    assert len(FILES) == 3 * 4 + 1
    assert sorted(path.name for path in made.iterdir()) == [path.name for path in FILES]


@pytest.mark.parametrize("expected", FILES, ids=lambda path: path.name)
def test_tables_are_what_they_were(made, expected):
    """To the letter; the unrounded numbers of csv may differ by what processors differ."""
    if expected.suffix == ".csv":
        frames = (pd.read_csv(path) for path in (made / expected.name, expected))
        pd.testing.assert_frame_equal(*frames, rtol=1e-9)
    else:
        assert (made / expected.name).read_text("utf-8") == expected.read_text("utf-8")


@pytest.mark.skipif(bool(reason := missing_for_latex()), reason=str(reason))
@pytest.mark.parametrize("name", ["merity2018", "all", "long"])
def test_latex_compiles_as_it_is(made, tmp_path, name):
    """In a wrapper of three lines, without an error, and nothing sticks out of the page."""
    if name == "long":
        plain = (made / "all.tex").read_text("utf-8")
        assert "longtable" not in plain
        text = _repeat_rows()
        assert r"\begin{longtable}" in text
        (tmp_path / "long.tex").write_text(text, encoding="utf-8")
    else:
        shutil.copy(made / f"{name}.tex", tmp_path)
    wrapper = (
        r"\documentclass{article}\usepackage{booktabs,graphicx,longtable,xcolor}",
        rf"\begin{{document}}\input{{{name}}}",
        r"\end{document}",
    )
    (tmp_path / "wrapper.tex").write_text("\n".join(wrapper), encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "wrapper.tex"]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert said.returncode == 0, said.stdout
    assert not re.findall(r"Overfull.*|Missing character.*|LaTeX Error.*", said.stdout)
    assert (tmp_path / "wrapper.pdf").read_bytes().startswith(b"%PDF")


def _repeat_rows() -> str:
    """The combined table of five times the studies, which needs more than a page."""
    plan = read_json(GOLDEN / "paper/plans/merity2018.json")
    found, _ = records.read(GOLDEN / "paper")
    suites = plan["suites"]
    frames = [tables.build(suite, found, "paper", plan["runs"]) for suite in suites]
    together, frame = tables.combine(suites * 5, frames * 5)
    return latex(frame, together, "paper")
