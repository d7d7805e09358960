"""Text from data is text in LaTeX, whatever its characters are."""

import re
import shutil
import subprocess

import pytest

from awd.report.tables.latex_text import BARE, SIGNS, bare_signs, beyond, escape

LATIN = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x180)]))
NO_PDFLATEX = shutil.which("pdflatex") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--wdrop", "-{}-wdrop"),
        ("a --- b", "a -{}-{}- b"),
        ("f''", "f'{}'"),
        ("?`", r"?{}\textasciigrave{}"),
        ("$5 < $6 & 7_8^9 \\x", r"\$5 $<$ \$6 \& 7\_8\textasciicircum{}9 \textbackslash{}x"),
        ("σ = 0.1 µm", r"$\sigma$ = 0.1 $\mu$m"),
        ("é Ł ï", r"\'{e} \L{} " + '\\"{\\i}'),
        ("two\nlines", "two lines"),
    ],
)
def test_special_characters(text, expected):
    assert escape(text) == expected


def test_a_sign_beyond_pdflatex_is_printed_by_other_engines():
    text = escape("漢 a")
    assert text == r"\ifdefined\Umathchar 漢\else{[}U+6F22{]}\fi{} a"
    assert beyond(text) == "漢"
    assert beyond(escape("plain")) == ""


CAPTIONS = [
    r"100\% of a \& b, \#1, a\_b, \$5, x\textasciicircum{}2",
    r"$a_b^2$ and \(c_d\), \emph{$\Delta_1$}",
    r"As in~\cite[p.\ 5]{merity_2018} and \ref{tab:my_table}, \'etude, no\^el",
]


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        *((caption, "") for caption in CAPTIONS),
        ("100% &", "%&"),
        (r"100\\% of it", "%"),
        ("row #1 in $5", "#$"),
        (r"\emph{a_b}, \textcolor{red}{c^d}", "_^"),
        ("$100%$", "%"),
    ],
)
def test_signs_that_do_not_compile_are_found(text, bare):
    r"""In formulas and names they may stand; after \\ a sign is bare."""
    assert bare_signs(text) == {sign: BARE[sign] for sign in bare}


@pytest.mark.skipif(NO_PDFLATEX, reason="pdflatex is not installed")
def test_captions_without_bare_signs_compile_and_each_bare_sign_ends_it(tmp_path):
    def compiles(*captions):
        tables = [rf"\begin{{table}}\caption{{{text}}}\end{{table}}" for text in captions]
        lines = [r"\documentclass{article}\begin{document}", *tables, r"\end{document}"]
        (tmp_path / "captions.tex").write_text("\n".join(lines), encoding="utf-8")
        words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "captions.tex"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True).returncode == 0

    assert compiles(*CAPTIONS, *(f"a {typed} b" for typed in BARE.values()))
    assert [sign for sign in BARE if compiles(f"a {sign} b")] == []


@pytest.mark.skipif(NO_PDFLATEX, reason="pdflatex is not installed")
def test_every_sign_compiles(tmp_path):
    """A table with each on a line of its own, and some that only other engines can print."""
    signs = dict.fromkeys((*SIGNS, *LATIN, *"漢字🙂ابђ", "ế"))
    lines = [f"{escape(sign)} & {escape(sign * 3)}" + r" \\" for sign in signs]
    heading = r"\section{" + escape("$漢--'") + "}"
    table = [r"\begin{longtable}{@{}ll@{}}", *lines, r"\end{longtable}", heading]
    document = [
        r"\documentclass{article}\usepackage{longtable}\begin{document}\tableofcontents",
        *table,
        r"\end{document}",
    ]
    (tmp_path / "signs.tex").write_text("\n".join(document), encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "signs.tex"]
    for _ in range(2):  # the second time it reads what the first wrote of the heading
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        problems = re.findall(
            r"^!.*|.*Missing character.*|.*undefined.*", done.stdout, re.MULTILINE
        )
        assert done.returncode == 0, problems or done.stdout[-2000:]
        assert not [each for each in problems if "font" not in each.lower() or "Missing" in each]
