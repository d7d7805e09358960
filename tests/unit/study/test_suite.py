"""A suite as data: the most specific setting wins; names must lead somewhere."""

import pytest

import awd.study.suite
from awd.errors import InputError
from awd.study.base_model import validate
from awd.study.suite import OWN, Suite, citation, read_suite, suite_files


def make(**changes) -> Suite:
    content = {
        "title": "A study",
        "base_row": "full",
        "base": {"layers": 1, "epochs": 3, "hidden_size": 10, "bptt": 10},
        "corpora": {"ptb": {"epochs": 4, "bptt": 11}},
        "recipes": {"readme": {"ptb": {"bptt": 12}}},
        "rows": {
            "full": {"label": "full"},
            "wide": {"label": "wide", "set": {"hidden_size": 20}},
        },
        "figures": ["curves"],
        "scales": {scale: {"corpora": ["ptb"]} for scale in ("small", "paper")}
        | {
            "demo": {
                "corpora": ["ptb"],
                "set": {"epochs": 5},
                "rows": {"wide": {"hidden_size": 30}},
            }
        },
    }
    return validate(Suite, content | changes, "here")


@pytest.mark.parametrize(
    ("row", "scale", "corpus", "recipe", "expected"),
    [
        ("full", "paper", "wikitext-2", "default", {"epochs": 3, "hidden_size": 10, "bptt": 10}),
        ("full", "paper", "ptb", "default", {"epochs": 4, "hidden_size": 10, "bptt": 11}),
        ("full", "paper", "ptb", "readme", {"epochs": 4, "hidden_size": 10, "bptt": 12}),
        ("full", "demo", "ptb", "default", {"epochs": 5, "hidden_size": 10, "bptt": 11}),
        ("wide", "paper", "ptb", "default", {"epochs": 4, "hidden_size": 20, "bptt": 11}),
        ("wide", "demo", "ptb", "default", {"epochs": 5, "hidden_size": 30, "bptt": 11}),
    ],
)
def test_the_most_specific_setting_wins(row, scale, corpus, recipe, expected):
    """Base, then corpus, recipe, scale, row, and last the row at the scale."""
    spec, method = make().specification(row, scale, corpus, recipe, "fp32", "here")
    assert {name: getattr(spec, name) for name in expected} == expected
    assert (spec.corpus, spec.precision, method.kind) == (corpus, "fp32", "stream")


def test_a_method_for_the_next_word_refuses_a_cloze_model():
    suite = make(
        rows={
            "full": {
                "label": "full",
                "method": "cache",
                "set": {
                    "objective": "cloze",
                    "cache_window": 5,
                    "cache_theta": 1,
                    "cache_weight": 0.1,
                },
            }
        },
        scales={scale: {"corpora": ["ptb"]} for scale in ("demo", "small", "paper")},
    )
    with pytest.raises(InputError, match=r"^here: row 'full': method 'cache' needs objective"):
        suite.specification("full", "paper", "ptb", "default", "fp32", "here")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"base_row": "ful"}, "base_row: no row 'ful'; did you mean 'full'"),
        (
            {
                "scales": {
                    scale: {"corpora": ["ptb"], "rows": {"wid": {}}}
                    for scale in ("demo", "small", "paper")
                }
            },
            "scales.demo.rows: no row 'wid'; did you mean 'wide'",
        ),
        ({"recipes": {"default": {}}}, "default"),
        ({"recipes": {"bf16": {}}}, "bf16"),
        ({"rows": {}}, "rows"),
        ({"figures": ["curve"]}, "figures"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(changes, sentence):
    with pytest.raises(InputError, match=f"^here: .*{sentence}"):
        make(**changes)


def test_a_published_row_must_exist():
    rows = {"full": {"label": "full", "published": "ful"}}
    scales = {scale: {"corpora": ["ptb"]} for scale in ("demo", "small", "paper")}
    suite = make(rows=rows, scales=scales, published="merity2018")
    with pytest.raises(InputError, match=r"here: rows.full.published: no published row 'ful'"):
        suite.studies("here")


def test_files_that_are_no_suites_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(awd.study.suite, "SUITES", tmp_path)
    for name in ("mine.yaml", ".mine.yaml", "mine (copy).yaml", "mine.yaml~", "mine.txt"):
        (tmp_path / name).touch()
    assert suite_files() == {"mine": tmp_path / "mine.yaml"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("merity", "there: no suite 'merity'; did you mean 'merity2018'"),
        ("all", "there: suites: 'all' is no suite; list the suites you want: .*merity2018"),
    ],
)
def test_a_suite_that_does_not_exist_is_refused(name, sentence):
    with pytest.raises(InputError, match=f"^{sentence}"):
        read_suite(name, "there")


def test_a_citation_is_that_of_the_first_study():
    suite, place = read_suite("merity2018", "here")
    assert place == "suites/merity2018.yaml"
    found = citation(suite.studies(place))
    assert "Regularizing and Optimizing LSTM Language Models" in found["citation"]
    assert found["url"].startswith("https://")
    assert citation([]) == {"citation": OWN}
