"""A suite as data: the most specific setting wins; names must lead somewhere."""

import shutil

import pytest
import yaml

import awd.study.suite
from awd.errors import InputError
from awd.places import SUITES
from awd.study import tuning
from awd.study.suite import OWN, Suite, citation, read_suite, suite_files
from awd.study.validation import validate
from awd.vocabulary import RESERVED_OF_SUITES


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


def test_a_relative_value_is_of_what_the_base_row_has_at_the_scale():
    rows = {"full": {"label": "full"}, "wide": {"label": "wide", "set": {"hidden_size": "x1.5"}}}
    scales = {
        "demo": {"corpora": ["ptb"], "set": {"hidden_size": "x0.4"}, "rows": {"wide": {"bptt": 7}}},
        "small": {"corpora": ["ptb"], "rows": {"wide": {"hidden_size": 9}}},
        "paper": {"corpora": ["ptb"]},
    }
    suite = make(rows=rows, scales=scales)
    expected = {
        ("full", "demo"): (4, {"hidden_size": ["x0.4"]}),
        ("wide", "demo"): (6, {"hidden_size": ["x0.4", "x1.5"]}),
        ("wide", "small"): (9, {}),
        ("wide", "paper"): (15, {"hidden_size": ["x1.5"]}),
    }
    for (row, scale), (size, factors) in expected.items():
        spec, _ = suite.specification(row, scale, "ptb", "default", "fp32", "here")
        assert spec.hidden_size == size
        assert suite.relative(row, scale, "ptb", "default", "here") == factors


def test_base_itself_has_nothing_to_multiply():
    with pytest.raises(InputError, match="here: base: epochs: 'x2' multiplies the value that base"):
        make(base={"epochs": "x2"})


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
        (
            {"scales": {"demo": {"corpora": ["ptb"], "without": ["wid"]}}},
            "scales.demo.without: no row 'wid'; did you mean 'wide'",
        ),
        (
            {"scales": {"demo": {"corpora": ["ptb"], "without": ["wide", "full"]}}},
            "scales.demo.without: 'full' is the base row, to which the others are compared",
        ),
        ({"recipes": {"default": {}}}, "default"),
        ({"recipes": {"bf16": {}}}, "bf16"),
        ({"recipes": {"fp32": {}}}, "results/{scale}-fp32 is for a precision"),
        ({"recipes": {"mine-bf16": {}}}, "'mine-bf16' is reserved"),
        ({"rows": {}}, "rows"),
        (
            {"rows": {"full": {"label": "same"}, "wide": {"label": "same "}}},
            "rows: 'full' and 'wide' have the same label 'same', so nobody could tell them apart",
        ),
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
    names = ("mine.yaml", ".mine.yaml", "mine (copy).yaml", "mine.yaml~", "mine.txt", "all.yaml")
    for name in (*names, "mine-epochs.yaml", "fewer-epochs.yaml"):
        (tmp_path / name).touch()
    assert suite_files() == {name: tmp_path / f"{name}.yaml" for name in ("mine", "fewer-epochs")}


def test_a_folder_of_suites_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    """It may have a suite that is to replace one of the same name."""
    monkeypatch.setattr(awd.study.suite, "SUITES", tmp_path / "suites")
    assert suite_files() == {}
    (tmp_path / "suites").touch()
    with pytest.raises(InputError, match=r"the folder .*/suites cannot be read: Not a directory"):
        suite_files()


@pytest.mark.parametrize("name", [*RESERVED_OF_SUITES, "mine-epochs"])
def test_a_suite_with_a_reserved_name_does_not_run(tmp_path, monkeypatch, name):
    """Although its file is there: its tables would replace others, or be hidden by them."""
    monkeypatch.setattr(awd.study.suite, "SUITES", tmp_path)
    for file in ("mine", name):
        shutil.copyfile(SUITES / "kim2024.yaml", tmp_path / f"{file}.yaml")
    assert read_suite("mine", "there")
    with pytest.raises(InputError, match=f"there: suites: '{name}' is reserved"):
        read_suite(name, "there")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("merity", "there: no suite 'merity'; did you mean 'merity2018'"),
        (
            "all",
            r"there: suites: 'all' is reserved \(it .*; list the suites you want: .*merity2018",
        ),
        ("default", "there: suites: 'default' is reserved .it stands for what a suite itself has"),
        ("numbers", "there: suites: 'numbers' is reserved .tables/numbers.tex has"),
        ("aux", "there: suites: 'aux' is reserved .Windows can have no file of that name"),
        (
            "kim2024-epochs",
            "there: suites: 'kim2024-epochs' is reserved .tables/kim2024-epochs.csv",
        ),
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


# what a search has chosen --------------------------------------------------------------------


def searched(monkeypatch, tmp_path, **rows: dict) -> Suite:
    """The suite of `make` with ``rows`` chosen on ptb at scale demo, read from its files."""
    for name, folder in (("SUITES", tmp_path / "suites"), ("TUNING", tmp_path / "tuning")):
        folder.mkdir()
        monkeypatch.setattr(awd.study.suite if name == "SUITES" else tuning, name, folder)
    content = make().model_dump(exclude_unset=True)
    content["scales"]["demo"]["corpora"] = ["ptb", "wikitext-2"]
    content["scales"]["demo"]["tuning"] = {
        "bptt": [5, 6],
        "hidden_size": {"low": 4, "high": 40},
    }
    (tmp_path / "suites/mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    choices = {
        row: tuning.Choice(search="0", trials=9, trial=1, valid_perplexity=9.0, set=chosen)
        for row, chosen in rows.items()
    }
    tuning.write_choices("mine", "demo", {"ptb": choices})
    return read_suite("mine", "here")[0]


@pytest.mark.parametrize(
    ("row", "scale", "corpus", "expected"),
    [
        ("full", "demo", "ptb", {"bptt": 5, "hidden_size": 12, "epochs": 5}),
        ("wide", "demo", "ptb", {"bptt": 6, "hidden_size": 30, "epochs": 5}),
        ("full", "demo", "wikitext-2", {"bptt": 5, "hidden_size": 12}),
        ("full", "small", "ptb", {"bptt": 11, "hidden_size": 10}),
    ],
)
def test_chosen_settings_are_those_of_their_scale(
    monkeypatch, tmp_path, row, scale, corpus, expected
):
    """The base row's are all rows'; what a row sets itself, or has chosen for it, wins."""
    suite = searched(monkeypatch, tmp_path, full={"bptt": 5, "hidden_size": 12}, wide={"bptt": 6})
    spec, _ = suite.specification(row, scale, corpus, "default", "fp32", "here")
    assert {name: getattr(spec, name) for name in expected} == expected


def test_what_a_row_sets_itself_is_not_searched(monkeypatch, tmp_path):
    suite = searched(monkeypatch, tmp_path)
    assert list(suite.searched("full", "demo", "here")) == ["bptt", "hidden_size"]
    assert list(suite.searched("wide", "demo", "here")) == ["bptt"]
    with pytest.raises(InputError, match="nothing to search for row 'full': give ranges under"):
        suite.searched("full", "small", "here")
    with pytest.raises(InputError, match="no row 'fully'; did you mean 'full'"):
        suite.searched("fully", "demo", "here")


def test_a_choice_for_a_row_that_is_gone_is_refused(monkeypatch, tmp_path):
    with pytest.raises(InputError, match=r"mine-demo.yaml: corpora.ptb: no row 'wider'; did you"):
        searched(monkeypatch, tmp_path, wider={"bptt": 5})
