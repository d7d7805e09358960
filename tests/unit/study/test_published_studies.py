"""Published numbers stand in one file, with their source, and reach the rows of the suites."""

import re

import pytest
from special_files import SPECIAL, make_broken_link

from awd.errors import InputError
from awd.places import HOME, PUBLISHED, SUITES
from awd.study.config import CONFIG, load_config
from awd.study.plan import Plan
from awd.study.published_studies import read_study
from awd.study.suite import OWN, read_suite, suite_files

STUDIES = {path.stem: read_study(path.stem, "here") for path in PUBLISHED.glob("*.yaml")}
SUITES_BY_NAME = {name: read_suite(name, "here")[0] for name in suite_files()}
PLAN = Plan(load_config(CONFIG, {"suites": list(SUITES_BY_NAME), "scale": "paper"}))
DATA = [*SUITES.glob("*.yaml"), *(HOME / "workflow/report").rglob("*.rst")]
MENTION = re.compile(
    r"([A-Z][a-z]+(?:, [A-Z][a-z]+)*(?: and [A-Z][a-z]+| et al\.)?),? ((?:19|20)\d\d)\b"
)


def names_of(suite: str) -> list[str]:
    return SUITES_BY_NAME[suite].published_names()


def test_the_plan_depends_on_the_files_of_suites_and_studies():
    """Another published number makes plan and tables anew."""
    plan = Plan(load_config(CONFIG, {"suites": "kim2024"}))
    assert [path.relative_to(HOME / "workflow").as_posix() for path in plan.suite_files] == [
        "suites/kim2024.yaml",
        "published/kim2024.yaml",
        "published/zaremba2014.yaml",
    ]


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_a_study_is_shown_by_one_row(name):
    """A number whose row is spelt otherwise would be missing without a word."""
    study = STUDIES[name]
    shown = [
        (row["row"], number)
        for suite, resolved in PLAN.suites.items()
        if name in names_of(suite)
        for row in resolved["rows"]
        for number in row["published"]
    ]
    for number in study.numbers:
        expected = number.model_dump(exclude={"row"}, exclude_none=True)
        (row,) = {row for row, found in shown if found == expected}
        own = [
            suite.rows[row].published or row
            for suite in SUITES_BY_NAME.values()
            if row in suite.rows and name in suite.published_names()
        ]
        assert number.row in own


def test_a_row_has_the_numbers_of_its_corpus_and_context():
    """At another scale than paper, those of the corpus that the scale names as context."""
    (paper,) = (row for row in PLAN.suites["kim2024"]["rows"] if row["row"] == "gru")
    demo = Plan(load_config(CONFIG, {"suites": "kim2024"})).suites["kim2024"]["rows"]
    (context,) = (row for row in demo if row["row"] == "gru")
    assert (paper["corpus"], context["corpus"]) == ("ptb", "networkx-docs")
    assert paper["published"] == context["published"]
    (number,) = paper["published"]
    assert (number["corpus"], number["column"], number["source"]) == ("ptb", "paper", "Figure 5")


@pytest.mark.parametrize("scale", ["demo", "small", "paper"])
def test_rows_on_a_text_of_ones_own_have_no_published_numbers(tmp_path, scale):
    """Nobody published anything of it, also where the scale has a context for its own corpora."""
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("a b c d e\n" * 10)
    changes = {"corpora": ["mine", "ptb"], "corpus_folders": {"mine": str(tmp_path)}}
    for name in ("merity2018", "yoon2019", "bonetto2024", "kim2024"):
        plan = Plan(load_config(CONFIG, changes | {"suites": name, "scale": scale}))
        rows = plan.suites[name]["rows"]
        assert not any(row["published"] for row in rows if row["corpus"] == "mine")
        of_ptb = [number for row in rows if row["corpus"] == "ptb" for number in row["published"]]
        assert {number["corpus"] for number in of_ptb} == {"ptb"}


def test_a_suite_has_the_citation_of_its_first_study():
    for name, suite in PLAN.suites.items():
        if not names_of(name):
            assert suite["paper"] == {"citation": OWN}
            continue
        study = STUDIES[names_of(name)[0]]
        for author in study.authors:
            assert author in suite["paper"]["citation"]
        assert study.title in suite["paper"]["citation"]
        assert suite["paper"].get("url") == study.url


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.name)
def test_who_is_cited_in_text_is_an_author_of_a_study_of_that_year(path):
    """In titles, comments, notes and captions."""
    for names, year in MENTION.findall(path.read_text(encoding="utf-8")):
        surnames = re.findall(r"[A-Z]\w+", names)
        authors = [
            [author.split()[-1] for author in study.authors]
            for name, study in STUDIES.items()
            if name.endswith(year)
        ]
        whole = [each for each in authors if each[: len(surnames)] == surnames]
        assert whole, f"{names} {year}"
        if "et al." not in names:
            assert surnames in whole, f"{names} {year}: not all authors"


def test_curves_are_of_rows_that_some_suite_has():
    for name, study in STUDIES.items():
        if study.curves:
            assert study.curves.logs.keys() <= SUITES_BY_NAME[name].rows.keys()


def test_a_study_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(InputError, match="here: no published study 'kim2023'; did you mean 'kim"):
        read_study("kim2023", "here")


@pytest.mark.parametrize("make", [*SPECIAL, make_broken_link])
def test_a_study_that_cannot_be_read_is_not_replaced_by_another(tmp_path, monkeypatch, make):
    """By that of the same name which comes with the program."""
    monkeypatch.chdir(tmp_path)
    assert read_study("kim2024", "here")
    (tmp_path / "workflow/published").mkdir(parents=True)
    make(tmp_path / "workflow/published/kim2024.yaml")
    with pytest.raises(InputError, match=r"published/kim2024.yaml cannot be read: "):
        read_study("kim2024", "here")
