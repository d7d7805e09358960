"""A table as LaTeX."""

import re

from table_study import study

from awd.report.tables.latex import latex


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
