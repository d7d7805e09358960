"""Sources as BibTeX, and the page that lists them."""

import re
import subprocess

import pytest
from test_golden import missing_for_latex

from awd.errors import InputError
from awd.places import HOME, PUBLISHED
from awd.report.bibtex import bibtex, studies
from awd.study.published_studies import Study
from awd.study.suite import read_suite, suite_files

PAGE = HOME / "docs/sources.md"


def test_every_published_study_has_an_entry_with_what_its_file_says():
    found = studies()
    assert sorted(found) == sorted(path.stem for path in PUBLISHED.glob("*.yaml"))
    entries = bibtex(found).split("\n\n")
    for entry, (name, study) in zip(entries, found.items(), strict=True):
        assert entry.startswith(f"@misc{{{name},\n")
        assert f"author = {{{' and '.join(study.authors)}}}" in entry
        assert f"title = {{{{{study.title}}}}}" in entry
        assert f"year = {{{name[-4:]}}}" in entry, "names of studies end with their year"
        assert (f"url = {{{study.url}}}" in entry) == bool(study.url)
        assert ("url" in entry) == bool(study.url)


@pytest.mark.parametrize(
    ("venue", "howpublished"),
    [
        ("Course exercise, 2024", "Course exercise"),
        ("ICLR 2018", "ICLR"),
        ("Workshop (2018)", "Workshop"),
        ("arXiv:1409.2019", "arXiv:1409.2019"),
        ("NeurIPS 2023 workshop", "NeurIPS 2023 workshop"),
        ("2024", None),
    ],
)
def test_a_year_at_the_end_of_the_venue_is_only_in_its_own_field(venue, howpublished):
    study = studies(["kim2024"])["kim2024"].model_copy(update={"venue": venue})
    entry = bibtex({"it": study})
    found = re.findall(r"howpublished = \{(.*)\},", entry)
    assert found == ([howpublished] if howpublished else [])
    assert len(re.findall("  year = ", entry)) == 1


def test_a_suite_names_its_sources():
    assert list(studies(["kim2024", "yoon2019"])) == ["kim2024", "zaremba2014", "yoon2019"]
    assert studies(["factors"]) == {}
    with pytest.raises(InputError, match="suites: no suite 'kim2023'; did you mean 'kim2024'"):
        studies(["kim2023"])


def test_the_page_of_sources_is_that_of_the_files():
    """Its BibTeX to the letter; of each study authors, title, venue, address and suites."""
    text = PAGE.read_text("utf-8")
    (block,) = re.findall(r"```bibtex\n(.*?)```", text, re.DOTALL)
    assert block == bibtex(studies()), "write what `awd export bibtex` prints into docs/sources.md"
    suites = {name: read_suite(name, "here")[0].published_names() for name in suite_files()}
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(studies())
    for (name, who, where, read_in, used), study in zip(rows, studies().values(), strict=True):
        assert who == f"{', '.join(study.authors)}: {study.title}"
        assert where == (f"[{study.venue}]({study.url})" if study.url else study.venue)
        assert read_in == study.read_in
        using = [suite for suite, names in suites.items() if name.strip("`") in names]
        assert used == ", ".join(f"`{suite}`" for suite in using)


@pytest.mark.skipif(bool(reason := missing_for_latex("url")), reason=str(reason))
def test_signs_of_latex_compile(tmp_path):
    """As an author may write them: BibTeX makes a list of it, and LaTeX prints it."""
    number = {"row": "lstm", "corpus": "ptb", "test": 1.0, "source": "Table 1"}
    study = Study(
        title="50% of C_1 & Øre: {a}",
        authors=["Jürgen Müller"],
        venue="A & B, 1999",
        url="https://example.org/a_b",
        read_in="it",
        numbers=[number],
    )
    text = bibtex({"mueller1999": study})
    assert text.isascii()
    (tmp_path / "sources.bib").write_text(text)
    (tmp_path / "paper.tex").write_text(
        r"\documentclass{article}\usepackage{url}\begin{document}\nocite{*}"
        r"\bibliographystyle{plain}\bibliography{sources}\end{document}"
    )
    for words in (
        ["pdflatex", "-interaction=batchmode", "paper"],
        ["bibtex", "paper"],
        ["pdflatex", "-interaction=batchmode", "-halt-on-error", "paper"],
    ):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    assert (tmp_path / "paper.bbl").read_text().count("1999") == 2, "the key, and the year once"
