"""A table as HTML."""

import pytest
from table_study import Page, study

from awd.report.tables.html import html


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
